//! The SASL side of one connection: which mechanism, which step, and the credentials at its end.

use std::fmt;
use std::sync::Arc;

use mupdate_core::server::{AuthReply, AuthStep};
use rsasl::callback::{Context, SessionCallback, SessionData};
use rsasl::config::SASLConfig;
use rsasl::mechanisms::{login::LOGIN, plain::PLAIN};
use rsasl::mechname::Mechname;
use rsasl::prelude::{Mechanism as Spoken, Registry, SASLError, SASLServer, Session, SessionError, State};
use rsasl::property::{AuthId, AuthzId, Password};
use rsasl::validate::{Validate, Validation, ValidationError};
use tracing::warn;
use zeroize::Zeroizing;

use super::claim::{Claim, another};
use super::{
    Authenticator, BUSY, Credentials, FAILED, Mechanism, Outcome, TlsFacts, Transport, UNAVAILABLE, rejected,
    scram, shown,
};
use crate::scram::{Hash, ScramRecord, prepare};
use crate::users;

/// What a response is told that is not what the mechanism asks for.
const MALFORMED: &str = "malformed SASL response";

static REGISTRY: [Spoken; 2] = [PLAIN, LOGIN];

/// What comes of a step.
#[derive(Debug)]
pub enum LoginStep {
    /// The peer is to be answered this.
    Reply(AuthReply),
    /// The exchange is complete: give these to [`Authenticator::check`].
    Verify(Credentials),
    /// The peer has cancelled; nothing is to be answered.
    Cancelled,
}

/// The SASL exchanges of one connection, one after the other.
pub struct Login {
    authenticator: Arc<Authenticator>,
    transport: Transport,
    peer: Arc<str>,
    exchange: Exchange,
    /// The mechanism of the exchange that was begun last, if we speak it.
    mechanism: Option<Mechanism>,
    /// The peer has tried to log in.
    tried: bool,
}

/// What is under way.
enum Exchange {
    Nothing,
    /// A mechanism that sends the password.
    Password(Mechanism, Session<Collected>),
    /// As whom the peer wants to act is awaited.
    External,
    /// The first message of SCRAM is awaited.
    Scram {
        hash: Hash,
        plus: bool,
    },
    /// The final one is.
    Proof(Box<Proof>),
    /// The peer has proved to know the password, and has now been shown that we have its keys; it has nothing to add.
    Proven(Claim),
}

struct Proof {
    claim: Claim,
    record: ScramRecord,
    /// The record is the user's own.
    real: bool,
    exchange: scram::Exchange,
}

/// What rsasl's callback hands out: it collects, and does not judge.
struct Collected;

struct Sent {
    acting_as: Option<String>,
    user: String,
    password: Zeroizing<Vec<u8>>,
}

impl Validation for Collected {
    type Value = Sent;
}

struct Collect;

impl SessionCallback for Collect {
    fn validate(
        &self,
        _session: &SessionData,
        context: &Context<'_>,
        validate: &mut Validate<'_>,
    ) -> Result<(), ValidationError> {
        let (Some(user), Some(password)) = (context.get_ref::<AuthId>(), context.get_ref::<Password>())
        else {
            return Ok(());
        };
        let sent = || Sent {
            acting_as: context.get_ref::<AuthzId>().map(str::to_owned),
            user: user.to_owned(),
            password: Zeroizing::new(password.to_vec()),
        };
        validate.with::<Collected, _>(|| Ok(sent())).map(drop)
    }
}

pub(super) fn sasl_config() -> Result<Arc<SASLConfig>, SASLError> {
    SASLConfig::builder().with_registry(Registry::with_mechanisms(&REGISTRY)).with_callback(Collect)
}

impl Login {
    pub(super) fn new(authenticator: Arc<Authenticator>, transport: Transport, peer: Arc<str>) -> Self {
        Self { authenticator, transport, peer, exchange: Exchange::Nothing, mechanism: None, tried: false }
    }

    /// The mechanisms offered on this connection now, for the banner.
    pub fn mechanisms(&self) -> Vec<String> {
        self.authenticator.mechanisms(&self.transport)
    }

    /// The connection is encrypted from now on. What was begun before counts no more.
    pub fn encrypted(&mut self, facts: Arc<TlsFacts>) {
        self.transport.tls = Some(facts);
        self.exchange = Exchange::Nothing;
    }

    /// The peer is gone, and nobody was logged in.
    pub fn left(&self) {
        if !self.tried {
            self.authenticator.left_without_a_try(&self.transport, &self.peer);
        }
    }

    /// Takes a step of an exchange; quick, and never waits.
    pub fn step(&mut self, step: AuthStep) -> LoginStep {
        match step {
            AuthStep::Start { mechanism, initial } => self.start(&mechanism, initial.map(Zeroizing::new)),
            AuthStep::Continue(response) => self.advance(&Zeroizing::new(response)),
            AuthStep::Cancel => {
                self.exchange = Exchange::Nothing;
                LoginStep::Cancelled
            }
        }
    }

    fn start(&mut self, mechanism: &str, initial: Option<Zeroizing<Vec<u8>>>) -> LoginStep {
        self.exchange = Exchange::Nothing;
        self.tried = true;
        self.mechanism = Mechanism::named(mechanism);
        let Some(mechanism) = self.mechanism else {
            self.count_refused();
            return LoginStep::Reply(rejected(UNAVAILABLE));
        };
        if !self.authenticator.offers(mechanism, &self.transport) {
            self.count_refused();
            return LoginStep::Reply(rejected(&self.why_not(mechanism)));
        }
        // What the peer is asked. It begins all but LOGIN itself, which an empty challenge invites it to.
        let mut challenge = Vec::new();
        self.exchange = match mechanism {
            Mechanism::External => Exchange::External,
            Mechanism::Scram { hash, plus } => Exchange::Scram { hash, plus },
            Mechanism::Plain | Mechanism::Login => match self.asks_for_password(mechanism, &mut challenge) {
                Some(session) => Exchange::Password(mechanism, session),
                None => return LoginStep::Reply(rejected(UNAVAILABLE)),
            },
        };
        match initial {
            // An initial response answers this first challenge, which then need not be sent.
            Some(initial) => self.advance(&initial),
            None => LoginStep::Reply(AuthReply::Challenge(challenge)),
        }
    }

    fn why_not(&self, mechanism: Mechanism) -> String {
        match mechanism {
            Mechanism::Plain | Mechanism::Login => {
                warn!(peer = %self.peer, %mechanism, "login refused: passwords need TLS, loopback or allow_plaintext");
                format!("{mechanism} needs TLS or a loopback connection here (allow_plaintext)")
            }
            Mechanism::Scram { .. } | Mechanism::External => UNAVAILABLE.to_owned(),
        }
    }

    fn asks_for_password(&self, mechanism: Mechanism, challenge: &mut Vec<u8>) -> Option<Session<Collected>> {
        let server = SASLServer::<Collected>::new(Arc::clone(&self.authenticator.sasl));
        let mut session = server.start_suggested(Mechname::parse(mechanism.name().as_bytes()).ok()?).ok()?;
        if session.are_we_first() {
            session.step(None, challenge).ok()?;
        }
        Some(session)
    }

    /// Goes on with what the peer has sent.
    fn advance(&mut self, response: &[u8]) -> LoginStep {
        match std::mem::replace(&mut self.exchange, Exchange::Nothing) {
            Exchange::Nothing => LoginStep::Reply(rejected("no authentication is under way")),
            Exchange::Password(mechanism, session) => self.password(mechanism, session, response),
            Exchange::External => self.external(response),
            Exchange::Scram { hash, plus } => self.scram_first(hash, plus, response),
            Exchange::Proof(proof) => self.scram_final(*proof, response),
            Exchange::Proven(claim) if response.is_empty() => {
                LoginStep::Reply(self.authenticator.shared.proved(&claim))
            }
            Exchange::Proven(_) => self.malformed("something follows the end of SCRAM"),
        }
    }

    fn password(
        &mut self,
        mechanism: Mechanism,
        mut session: Session<Collected>,
        response: &[u8],
    ) -> LoginStep {
        let mut challenge = Vec::new();
        match session.step(Some(response), &mut challenge) {
            Ok(State::Running) => {
                self.exchange = Exchange::Password(mechanism, session);
                LoginStep::Reply(AuthReply::Challenge(challenge))
            }
            Ok(State::Finished(_)) => self.sent(mechanism, session.validation()),
            Err(error) => self.malformed(&reason(&error)),
        }
    }

    /// Makes credentials of what the peer has sent, in the form in which names and passwords are kept.
    fn sent(&self, mechanism: Mechanism, sent: Option<Sent>) -> LoginStep {
        let Some(Sent { acting_as, user, password }) = sent else {
            return self.refuse("", "the mechanism gave no user and password", FAILED);
        };
        match (self.claim(mechanism, &user, acting_as.as_deref()), prepare(&password)) {
            (Ok(claim), Ok(password)) => LoginStep::Verify(Credentials { claim: Box::new(claim), password }),
            (Err(reason), _) | (_, Err(reason)) => self.refuse(&user, reason, FAILED),
        }
    }

    /// The certificate was verified in the handshake; what is sent (RFC 4422 appendix A) is as whom to act, or nothing.
    fn external(&self, response: &[u8]) -> LoginStep {
        let acting_as = match str::from_utf8(response) {
            Ok(name) if !name.contains('\0') => name,
            _ => return self.malformed("not a name"),
        };
        let user = self.authenticator.external_user(&self.transport);
        let claim = user.map(|user| self.claim(Mechanism::External, &user, Some(acting_as)));
        match claim {
            Some(Ok(claim)) => LoginStep::Reply(self.authenticator.shared.proved(&claim)),
            Some(Err(reason)) => self.refuse("", reason, FAILED),
            None => self.refuse("", "the certificate names no user", FAILED),
        }
    }

    fn scram_first(&mut self, hash: Hash, plus: bool, message: &[u8]) -> LoginStep {
        let first = match scram::ClientFirst::parse(message) {
            Ok(first) => first,
            Err(reason) => return self.malformed(reason),
        };
        let offered = self.authenticator.binds(&self.transport);
        let binding = match scram::binding(first.flag, plus, offered, self.transport.tls.as_deref()) {
            Ok(binding) => binding,
            Err(text) => return self.refuse(&first.user, text, text),
        };
        let mechanism = Mechanism::Scram { hash, plus };
        let claim = match self.claim(mechanism, &first.user, first.acting_as.as_deref()) {
            Ok(claim) => claim,
            Err(reason) => return self.refuse(&first.user, reason, FAILED),
        };
        let (record, real) = self.authenticator.scram_record(hash, &claim.user);
        match scram::Exchange::begin(record.clone(), binding, &first) {
            Ok((exchange, server_first)) => {
                self.exchange = Exchange::Proof(Box::new(Proof { claim, record, real, exchange }));
                LoginStep::Reply(AuthReply::Challenge(server_first))
            }
            Err(error) => {
                claim.warn(&format!("no random octets: {error}"));
                LoginStep::Reply(rejected(BUSY))
            }
        }
    }

    fn scram_final(&mut self, proof: Proof, message: &[u8]) -> LoginStep {
        let Proof { claim, record, real, exchange } = proof;
        let server_final = match scram::ClientFinal::parse(message) {
            Ok(last) => exchange.finish(&last),
            Err(reason) => return self.malformed(reason),
        };
        let judged = self.authenticator.shared.judge(&claim, &record, real, server_final.is_some());
        match (judged, server_final) {
            (Ok(()), Some(server_final)) => {
                self.exchange = Exchange::Proven(claim);
                LoginStep::Reply(AuthReply::Challenge(server_final))
            }
            (Ok(()), None) => self.malformed("no proof"),
            (Err(refusal), _) => LoginStep::Reply(refusal),
        }
    }

    fn claim(
        &self,
        mechanism: Mechanism,
        user: &str,
        acting_as: Option<&str>,
    ) -> Result<Claim, &'static str> {
        let user = users::user_name(user)?.into_owned();
        Ok(Claim {
            acting_as: another(&user, acting_as),
            user,
            mechanism,
            peer: Arc::clone(&self.peer),
            network: self.transport.network,
        })
    }

    fn malformed(&self, reason: &str) -> LoginStep {
        self.refuse("", reason, MALFORMED)
    }

    fn refuse(&self, user: &str, reason: &str, text: &str) -> LoginStep {
        self.count_refused();
        self.warn(user, reason);
        LoginStep::Reply(rejected(text))
    }

    fn count_refused(&self) {
        self.authenticator.shared.outcomes.add(self.mechanism, Outcome::Refused);
    }

    fn warn(&self, user: &str, reason: &str) {
        warn!(user = %shown(user), peer = %self.peer, reason, "login refused");
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("transport", &self.transport)
            .field("peer", &self.peer)
            .field("under_way", &!matches!(self.exchange, Exchange::Nothing))
            .finish_non_exhaustive()
    }
}

fn reason(error: &SessionError) -> String {
    match error {
        SessionError::MechanismError(error) => error.to_string(),
        error => error.to_string(),
    }
}
