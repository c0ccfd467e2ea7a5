//! Warns while there is still room.

use crate::store::Store;

/// Percent of the map in use that are worth a warning.
const ALARM: u64 = 80;

/// Commits between two looks; a commit adds pages, not percents.
const EVERY: u32 = 256;

/// How full the store was when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Gauge {
    /// Commits until the next look.
    rest: u32,
    alarmed: bool,
}

impl Gauge {
    /// Something was committed. True: the operator has just been warned.
    pub(super) fn committed(&mut self, store: &Store) -> bool {
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        self.rest = EVERY;
        // If it cannot be told, the next commit will tell.
        let Ok((used, size)) = store.map_fill() else { return false };
        let high = used.saturating_mul(100) >= size.saturating_mul(ALARM);
        let warn = high && !self.alarmed;
        self.alarmed = high;
        if warn {
            tracing::warn!(used, size, "the store is more than {ALARM}% full: raise map_size and restart");
        }
        warn
    }
}

#[cfg(test)]
mod tests {
    use mupdate_core::directory::{Record, State, View};
    use mupdate_proto::{Acl, Location, MailboxName};

    use super::*;
    use crate::store::StoreOptions;

    #[test]
    fn warns_once_before_it_is_too_late() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let options = StoreOptions { map_size: 1 << 20, max_readers: 16, ..StoreOptions::default() };
        let store = Store::open(dir.path(), options).expect("opens");
        let mut gauge = Gauge::default();
        let mut warned_at = None;
        let mut warnings = 0;
        for made in 1_u64.. {
            let mut txn = store.begin().expect("no other writer");
            let record = Record {
                location: Location::new("be1!p").expect("legal"),
                state: State::Active(Acl::new(vec![b'a'; 3000])),
            };
            let mailbox = MailboxName::new(format!("m{made}")).expect("legal");
            let put = txn.put(&mailbox, &record, None, made).map_err(Into::into);
            if put.and_then(|()| txn.commit()).is_err() {
                assert!(warned_at.is_some_and(|warned| warned < made));
                break;
            }
            gauge.rest = 0;
            if gauge.committed(&store) {
                warned_at = Some(made);
                warnings += 1;
            }
        }
        assert_eq!(warnings, 1);
    }

    #[test]
    fn looks_now_and_then() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let options = StoreOptions { map_size: 1 << 20, max_readers: 16, ..StoreOptions::default() };
        let store = Store::open(dir.path(), options).expect("opens");
        let mut gauge = Gauge::default();
        assert!(!gauge.committed(&store));
        assert_eq!(gauge.rest, EVERY);
        assert!(!gauge.committed(&store));
        assert_eq!(gauge.rest, EVERY - 1);
    }
}
