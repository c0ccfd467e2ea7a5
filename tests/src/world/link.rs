//! One connection of a world: a session, and what the daemons keep beside it.

use std::{net::IpAddr, sync::Arc, time::Instant};

use bytes::BytesMut;
use mupdate_core::{
    directory::Feed,
    server::{Layer, LayerFacts, Reason, ServerConfig, ServerSession},
};

use mupdate_host::link::ClientStream;

use super::{auth::Exchange, auth::MECHANISMS, directory::Walk};
use crate::deflate::Deflate;

/// A connection. Its octets arrive whole and at once; what the peer does not read piles up in `sent`.
pub struct Link {
    pub(super) session: ServerSession,
    /// What the session said and has not been flushed.
    pub(super) out: BytesMut,
    /// What the peer can read.
    sent: Vec<u8>,
    /// What came and the session did not want yet.
    received: Vec<u8>,
    deflate: Option<Deflate>,
    facts: LayerFacts,
    /// Which sides have begun the TLS handshake, ours first. Nobody listens on the way: what would be encrypted is not.
    shaking: [bool; 2],
    /// The peer's address, if it is on another machine.
    pub(super) peer: Option<IpAddr>,
    finished: bool,
    /// Nobody reads what is said.
    pub(super) gone: bool,
    /// The session has something to do.
    pub(super) awake: bool,
    pub(super) closed: Option<Reason>,
    pub(super) exchange: Exchange,
    pub(super) walk: Option<Walk>,
    pub(super) feed: Option<Feed>,
    /// Under which name the subscriber is remembered, if under any.
    pub(super) client: Option<ClientStream>,
}

impl Link {
    pub(super) fn new(
        config: &Arc<ServerConfig>,
        starttls: bool,
        peer: Option<IpAddr>,
        now: Instant,
    ) -> Self {
        let mechanisms = MECHANISMS.iter().map(ToString::to_string).collect();
        let facts = LayerFacts { mechanisms, starttls, ..LayerFacts::default() };
        Self {
            session: ServerSession::new(Arc::clone(config), facts.clone(), now),
            facts,
            shaking: [false; 2],
            out: BytesMut::new(),
            sent: Vec::new(),
            received: Vec::new(),
            deflate: None,
            peer,
            finished: false,
            gone: false,
            awake: true,
            closed: None,
            exchange: Exchange::default(),
            walk: None,
            feed: None,
            client: None,
        }
    }

    /// Octets from the peer.
    pub(super) fn receive(&mut self, octets: &[u8]) {
        self.received.extend_from_slice(octets);
        self.awake = true;
    }

    /// The peer has closed its sending side.
    pub(super) fn finish(&mut self) {
        self.finished = true;
        self.awake = true;
    }

    /// The peer is gone. What it had sent and the session has not taken yet is lost with it.
    pub(super) fn abandon(&mut self) {
        self.received.clear();
        self.session.abandon();
        self.gone = true;
        self.awake = true;
    }

    /// Gives the session what has come, if it wants it.
    pub(super) fn feed_session(&mut self, now: Instant) {
        if !self.session.wants_input() {
            return;
        }
        if !self.received.is_empty() {
            let octets = std::mem::take(&mut self.received);
            match &mut self.deflate {
                None => self.session.receive(&octets, now),
                Some(deflate) => match deflate.unpack(&octets) {
                    Ok(plain) => self.session.receive(&plain, now),
                    Err(_) => self.closed = Some(Reason::Injected(Layer::Deflate)),
                },
            }
        }
        if self.finished {
            self.session.receive_eof();
        }
    }

    /// Sends what the session said.
    pub(super) fn flush(&mut self) {
        let out = self.out.split();
        if self.gone {
            return;
        }
        match &mut self.deflate {
            Some(deflate) if !out.is_empty() => self.sent.extend(deflate.pack(&out)),
            _ => self.sent.extend_from_slice(&out),
        }
    }

    /// Puts a layer in place.
    pub(super) fn upgrade(&mut self, layer: Layer, now: Instant) {
        match layer {
            Layer::Deflate => {
                self.deflate = Some(Deflate::default());
                self.facts.compressed = true;
                self.session.resume(self.facts.clone(), now);
            }
            Layer::Tls => self.shake(0, now),
        }
    }

    /// The peer begins its handshake.
    pub(super) fn encrypt(&mut self, now: Instant) {
        self.shake(1, now);
        self.awake = true;
    }

    fn shake(&mut self, side: usize, now: Instant) {
        self.shaking[side] = true;
        if self.shaking == [true; 2] {
            (self.facts.tls, self.facts.starttls) = (true, false);
            self.session.resume(self.facts.clone(), now);
        }
    }

    /// Takes what the peer can read.
    pub(super) fn take_sent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.sent)
    }
}
