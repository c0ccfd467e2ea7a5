//! Putting a layer under the session: DEFLATE at once, TLS after a handshake.

use std::time::Instant;

use mupdate_core::server::{Layer, LayerFacts, Reason};
use tracing::debug;

use super::{End, Link, turns::Turn};
use crate::metrics::Handshake;

impl Link {
    /// The session has asked for a layer.
    pub(super) fn upgrade(&mut self, layer: Layer, now: Instant) {
        if self.layers.holds_input() {
            let reason = Reason::Injected(layer);
            self.log_end(&reason);
            self.end = Some(End::Session(reason));
            return;
        }
        match layer {
            Layer::Deflate => {
                self.layers.compress(self.deflate_ratio);
                self.in_place(now);
            }
            Layer::Tls => self.begin_tls(),
        }
    }

    /// The layer that the session waited for has come.
    fn in_place(&mut self, now: Instant) {
        let (tls, compressed) = (self.layers.encrypted(), self.layers.compressed());
        let starttls = self.tls.is_some() && !tls;
        self.place.facts().wrapped(tls, compressed);
        self.session.resume(LayerFacts { starttls, tls, compressed, ..self.requests.facts() }, now);
    }

    /// The handshake is next. Its turns are others than those of long work.
    pub(super) fn begin_tls(&mut self) {
        let begun = match &self.tls {
            Some(tls) => self.layers.encrypt(tls),
            // Not offered, so the session never asks for it; and no listener is without.
            None => return self.end = Some(End::Layer),
        };
        match begun {
            Ok(()) => self.turn = Turn::new(self.requests.handshakes(), &self.inbox),
            Err(error) => self.layer_failed(&error),
        }
    }

    /// Go on with the handshake, if one is under way and something came for it; true if the session can go on.
    ///
    /// It costs a processor up to some milliseconds, for a large RSA key, and so needs a turn.
    pub(super) fn shake(&mut self, now: Instant) -> bool {
        if !self.layers.handshaking() {
            return false;
        }
        if !self.layers.holds_input() {
            // Whoever is gone shakes no hands; the session knows what to do.
            if self.eof {
                self.session.receive_eof();
            }
            return self.eof;
        }
        if !self.turn.enter() {
            return false;
        }
        match self.layers.shake() {
            Ok(Some(facts)) => {
                let how = if self.layers.resumed() { Handshake::Resumed } else { Handshake::Full };
                self.requests.counts().shook(how);
                debug!(connection = self.place.number(), peer = %self.requests.peer(), suite = facts.suite,
                       client = ?facts.client, "encrypted");
                self.requests.encrypted(facts);
                self.turn = Turn::new(self.requests.turns(), &self.inbox);
                self.in_place(now);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.requests.counts().shook(Handshake::Failed);
                self.layer_failed(&error);
                true
            }
        }
    }
}
