//! Which UPDATE subscriber is the same client as one of before.
//!
//! A frontend that comes back is told again only what it can have lost since it was last in sync, which is remembered
//! under its principal and address. Two frontends that share both would take each other's place, and lose mailboxes
//! without a word; so a name under which two streams were ever open at the same time is remembered for nobody.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use mupdate_core::directory::Revision;

use crate::sync::{Mutex, MutexGuard, lock};

/// Shared names that are kept in mind after their streams are closed. Nobody's murder has so many.
const MOST: usize = 8192;

/// What is kept of a name that several clients use, in place of the revision that one client has reached.
const SHARED: Revision = 0;

/// The clients with an open stream, and the names that turned out to be shared.
#[derive(Debug, Default)]
pub struct Clients(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    entries: BTreeMap<String, Entry>,
    /// So many names are shared that some are forgotten: none is trusted any more.
    distrust: bool,
}

#[derive(Debug, Default)]
struct Entry {
    streams: usize,
    shared: bool,
}

impl Clients {
    /// A stream of this client was opened: an UPDATE of the whole directory, from another machine.
    pub fn open(self: &Arc<Self>, principal: &str, address: IpAddr) -> ClientStream {
        // An address has no `@`, so the last one parts the two.
        let name = format!("{principal}@{address}");
        let mut clients = self.lock();
        let entry = clients.entries.entry(name.clone()).or_default();
        entry.streams += 1;
        entry.shared |= entry.streams > 1;
        drop(clients);
        ClientStream { name, clients: Arc::clone(self) }
    }

    /// Every change under the lock is whole.
    fn lock(&self) -> MutexGuard<'_, Known> {
        lock(&self.0)
    }
}

/// One open stream of a client; closed when dropped.
#[derive(Debug)]
pub struct ClientStream {
    name: String,
    clients: Arc<Clients>,
}

impl ClientStream {
    /// What the client is remembered under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is to be remembered now that the stream is open, if anything: that its name is of no use.
    pub fn opened(&self) -> Option<Revision> {
        self.shared().then_some(SHARED)
    }

    /// Up to where the client had everything when it was last heard of, if what is remembered under its name can be
    /// relied on.
    pub fn in_sync_until(&self, remembered: Option<Revision>) -> Option<Revision> {
        if self.shared() {
            return None;
        }
        if remembered == Some(SHARED)
            && let Some(entry) = self.clients.lock().entries.get_mut(&self.name)
        {
            entry.shared = true;
        }
        remembered.filter(|&revision| revision != SHARED)
    }

    /// What is to be remembered of a client that proved to have everything up to this revision, if anything.
    pub fn proved(&self, revision: Revision) -> Option<Revision> {
        // The revision of an empty directory stands for a shared name, and says nothing anyway.
        (revision != SHARED && !self.shared()).then_some(revision)
    }

    /// Several clients use this name, so nothing may be remembered under it.
    fn shared(&self) -> bool {
        let clients = self.clients.lock();
        clients.distrust || clients.entries.get(&self.name).is_none_or(|entry| entry.shared)
    }
}

impl Drop for ClientStream {
    fn drop(&mut self) {
        let mut clients = self.clients.lock();
        let full = clients.entries.len() > MOST;
        let Some(entry) = clients.entries.get_mut(&self.name) else { return };
        entry.streams -= 1;
        if entry.streams > 0 || (entry.shared && !full) {
            return;
        }
        let forgotten = clients.entries.remove(&self.name).is_some_and(|entry| entry.shared);
        clients.distrust |= forgotten;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_at_the_same_time_make_a_name_worthless() {
        let clients = Arc::new(Clients::default());
        let address = "192.0.2.1".parse().expect("an address");
        let first = clients.open("murder", address);
        assert!(!first.shared());
        let other = clients.open("other", address);
        assert!(!first.shared() && !other.shared(), "another principal is another client");
        let second = clients.open("murder", address);
        assert!(first.shared() && second.shared());
        drop(second);
        assert!(first.shared(), "also when the other has gone");
        drop((first, other));
        assert!(clients.open("murder", address).shared(), "and when both have");
        assert!(!clients.open("other", address).shared());
        assert_eq!(clients.lock().entries.len(), 1, "nothing else is kept of who has gone");
    }

    #[test]
    fn too_many_shared_names_make_all_worthless() {
        let clients = Arc::new(Clients::default());
        let address = "192.0.2.1".parse().expect("an address");
        for number in 0..=MOST {
            let name = number.to_string();
            drop((clients.open(&name, address), clients.open(&name, address)));
        }
        assert_eq!(clients.lock().entries.len(), MOST);
        assert!(clients.open("murder", address).shared());
    }
}
