//! How much goes over the wire, counted without a common counter for each command.

use std::{mem, sync::Arc};

use crate::service::Service;

/// So much is counted for itself before it goes to the common counters.
const STEP: u64 = 16 * 1024;

/// One connection's part.
#[derive(Debug)]
pub(super) struct Traffic {
    service: Arc<Service>,
    received: u64,
    sent: u64,
}

impl Traffic {
    pub fn new(service: &Arc<Service>) -> Self {
        Self { service: Arc::clone(service), received: 0, sent: 0 }
    }

    pub fn received(&mut self, octets: usize) {
        self.received += octets as u64;
        if self.received >= STEP {
            self.pass_on();
        }
    }

    pub fn sent(&mut self, octets: usize) {
        self.sent += octets as u64;
        if self.sent >= STEP {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let counts = &self.service.metrics.links;
        counts.received.add(mem::take(&mut self.received));
        counts.sent.add(mem::take(&mut self.sent));
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.pass_on();
    }
}
