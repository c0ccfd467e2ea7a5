//! The time of day, for what is kept and shown.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970 (UTC); 0 for what lies before.
pub(crate) fn millis_of(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Now.
pub(crate) fn now_millis() -> u64 {
    millis_of(SystemTime::now())
}
