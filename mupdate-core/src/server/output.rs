//! What a session asks of its runtime, and what the runtime answers.
//!
//! The session never touches a socket, a store, a clock or a password: everything that it
//! needs from outside is one [`Output`] of [`poll`](super::ServerSession::poll), and comes back through
//! [`reply`](super::ServerSession::reply) or [`rows`](super::ServerSession::rows).

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use mupdate_proto::{LimitKind, MailboxName, ServerName};

use crate::directory::{Action, Filter, Order, Revision, Verdict};

/// Names one request of one session, so that a late answer cannot be taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(crate) u64);

/// For runtimes that are tested without a session. A session takes no ticket that it did not give.
impl From<u64> for Ticket {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// What the runtime has to do next. Poll again after doing it.
#[must_use = "the session waits for this to be done"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Do this and answer it with the ticket, at once or later. At most one is ever outstanding, but for
    /// [`Request::Submit`]: of those there may be several, to be carried out in their sequence.
    Request(Ticket, Request),
    /// Take notice; there is nothing to answer.
    Note(Note),
    /// Everything written so far has been flushed: put this layer between socket and session, then
    /// call [`resume`](super::ServerSession::resume). Octets read after what was given to the session belong to the layer.
    Upgrade(Layer),
    /// Nothing to do until what is named here happens, or [`poll_timeout`](super::ServerSession::poll_timeout) passes.
    Blocked(On),
    /// Write out what is left, then close. The session is over; every further poll says the same.
    Closed(Reason),
}

/// A layer between the socket and the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// STARTTLS (RFC 3656 section 5.7).
    Tls,
    /// COMPRESS DEFLATE: raw deflate both ways, as in RFC 4978.
    Deflate,
}

/// What a blocked session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Octets from the peer.
    Input,
    /// The answer to the outstanding request (or the deadline, where one is set).
    Reply,
    /// Both: changes are under way, and what comes next may join them.
    InputOrReply,
    /// A [`permit`](super::ServerSession::permit) to take the next command, which the runtime gives when it is time. (Also
    /// answers, if changes are under way, and on a stream [`changed`](super::ServerSession::changed).)
    Pace,
    /// Room: write out what was produced. Back-pressure of a slow reader arrives here.
    Flush,
    /// An UPDATE stream at rest: octets from the peer, or [`changed`](super::ServerSession::changed).
    Stream,
}

/// What a session needs from the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A step of a SASL exchange; answered by [`Reply::Auth`], except [`AuthStep::Cancel`].
    Authenticate(AuthStep),
    /// A change for the writer; answered by [`Reply::Submitted`] once it is durable or refused.
    Submit(Action),
    /// Look up one mailbox; answered through `rows` with at most one row, then [`Finish::End`].
    Find(MailboxName),
    /// Begin to walk the directory (LIST, or the dump of UPDATE) and give its first page through `rows`.
    Walk(Scope),
    /// Give the next page of the walk begun last.
    More,
    /// Open a feed of changes; answered by [`Reply::Subscribed`].
    Subscribe(Filter),
    /// The dump is over: put every name that the peer's merge can have lost into the feed;
    /// answered by [`Reply::Reannounced`].
    Reannounce,
    /// Give what the feed holds through `rows`, each name at its latest state, then [`Finish::Drained`].
    Drain,
    /// Everything committed before now must be in the feed; answered by [`Reply::Barrier`].
    Barrier,
}

impl Request {
    /// Whether the answer tells of mailboxes: what a peer needs a [role](crate::directory::PeerRole) that reads for.
    pub fn reads(&self) -> bool {
        match self {
            Self::Find(_)
            | Self::Walk(_)
            | Self::More
            | Self::Subscribe(_)
            | Self::Reannounce
            | Self::Drain => true,
            Self::Authenticate(_) | Self::Submit(_) | Self::Barrier => false,
        }
    }
}

/// One step of a SASL exchange, decoded from base64.
#[derive(Clone, PartialEq, Eq)]
pub enum AuthStep {
    /// AUTHENTICATE with its mechanism (as the peer spelt it) and its initial response, if any.
    Start {
        /// The mechanism's name; compare without case.
        mechanism: String,
        /// The initial response.
        initial: Option<Vec<u8>>,
    },
    /// The peer's answer to a challenge.
    Continue(Vec<u8>),
    /// The peer gave up: forget the exchange. No answer is expected.
    Cancel,
}

impl std::fmt::Debug for AuthStep {
    /// Responses are secrets and stay out of logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Start { mechanism, initial } => f
                .debug_struct("Start")
                .field("mechanism", mechanism)
                .field("initial", &initial.as_ref().map(|_| "***"))
                .finish(),
            Self::Continue(_) => f.write_str("Continue(***)"),
            Self::Cancel => f.write_str("Cancel"),
        }
    }
}

/// How a SASL exchange goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthReply {
    /// Send this challenge and wait for the peer's line.
    Challenge(Vec<u8>),
    /// The peer is this principal.
    Accepted {
        /// The name that logs and rules know the peer by.
        principal: String,
    },
    /// The exchange failed; the text is for the peer and must not tell which part was wrong.
    Rejected {
        /// What the tagged NO says.
        text: String,
        /// How long it is held back, if that is longer than `login_delay`.
        delay: Duration,
    },
}

/// Which mailboxes a walk covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them, in v36 order.
    All,
    /// LIST's argument: those whose location starts with these octets. `S!...` comes in the order of server S.
    Prefix(Bytes),
    /// A partial UPDATE: those on these servers, in v36 order.
    Servers(BTreeSet<ServerName>),
}

/// The answer to a request that is not answered with rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To [`Request::Authenticate`].
    Auth(AuthReply),
    /// To [`Request::Submit`]; sent only when the verdict is durable.
    Submitted(Verdict),
    /// To [`Request::Subscribe`]: from here on nothing that is committed is missed.
    Subscribed,
    /// To [`Request::Reannounce`].
    Reannounced {
        /// The revision that the dump and the feed together bring the peer to.
        revision: Revision,
    },
    /// To [`Request::Barrier`].
    Barrier {
        /// The feed's end position when the barrier passed the writer.
        position: u64,
    },
    /// To any request that could not be done: the command is answered NO with this text.
    Failed(String),
}

/// For the runtime's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The peer showed which order its own database is in (`ctl_mboxlist -m`).
    Learned {
        /// The server name that it listed.
        server: ServerName,
        /// Its order.
        order: Order,
    },
    /// An UPDATE subscriber has proved that it processed every change up to this revision.
    Synced(Revision),
    /// A FIND was answered without its mailbox, to keep `ctl_mboxlist -m` from dying or wiping mail.
    Guarded {
        /// The server that the peer listed, and that holds the mailbox.
        server: ServerName,
        /// The mailbox.
        mailbox: MailboxName,
    },
    /// A line, literal or message was over its limit; it was dropped and answered BAD.
    TooLong(LimitKind),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The peer said LOGOUT.
    Logout,
    /// The peer closed its side.
    EndOfInput,
    /// The peer sent what cannot be framed; it was told in a `* BYE`.
    Protocol(String),
    /// Octets came behind STARTTLS or COMPRESS before the layer was there: an injection, or a broken peer.
    Injected(Layer),
    /// Nobody logged in in time, or nobody spoke; told in a `* BYE`.
    TimedOut(&'static str),
    /// Too many failed logins; told in a `* BYE`.
    LoginsFailed,
    /// This side ends it, with the text of the `* BYE`.
    Bye(String),
}

impl Reason {
    /// What the `* BYE` tells the peer, where there is one.
    pub(super) fn farewell(&self) -> Option<&str> {
        match self {
            Self::Protocol(text) | Self::Bye(text) => Some(text),
            Self::TimedOut(text) => Some(text),
            Self::LoginsFailed => Some("too many failed logins"),
            Self::Logout | Self::EndOfInput | Self::Injected(_) => None,
        }
    }
}

/// A mailbox as the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// The mailbox name.
    pub name: &'a [u8],
    /// Its location.
    pub location: &'a [u8],
    /// Its ACL; `None` for a reservation.
    pub acl: Option<&'a [u8]>,
}

/// How a request that was answered with rows ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// That was all.
    End,
    /// The page is full; ask again.
    More,
    /// A drain of the feed.
    Drained {
        /// How many names have left the feed so far, ever.
        position: u64,
        /// Names are left in the feed.
        more: bool,
        /// Every change up to here has been given, if nothing is left.
        revision: Revision,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_logs() {
        let shown = |step: AuthStep| format!("{:?}", Request::Authenticate(step));
        let start = AuthStep::Start { mechanism: "PLAIN".into(), initial: Some(b"secret".to_vec()) };
        assert_eq!(shown(start), "Authenticate(Start { mechanism: \"PLAIN\", initial: Some(\"***\") })");
        assert_eq!(shown(AuthStep::Continue(b"secret".to_vec())), "Authenticate(Continue(***))");
        assert_eq!(shown(AuthStep::Cancel), "Authenticate(Cancel)");
    }

    #[test]
    fn whoever_goes_is_told_nothing_and_whoever_is_sent_away_is_told_why() {
        for reason in [Reason::Logout, Reason::EndOfInput, Reason::Injected(Layer::Tls)] {
            assert_eq!(reason.farewell(), None, "{reason:?}");
        }
        assert_eq!(Reason::Protocol("line is too long".into()).farewell(), Some("line is too long"));
        assert_eq!(Reason::TimedOut("idle for too long").farewell(), Some("idle for too long"));
        assert_eq!(Reason::LoginsFailed.farewell(), Some("too many failed logins"));
        assert_eq!(Reason::Bye("shutting down".into()).farewell(), Some("shutting down"));
    }

    #[test]
    fn tickets_are_told_apart_by_their_numbers() {
        assert_eq!(Ticket::from(7), Ticket::from(7));
        assert_ne!(Ticket::from(7), Ticket::from(8));
    }
}
