//! Dates as HTTP has them (RFC 9110 section 5.6.7).

use std::time::{SystemTime, UNIX_EPOCH};

use x509_cert::der::DateTime;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// As in `Sun, 06 Nov 1994 08:49:37 GMT`; nothing for a clock that is far off.
pub(super) fn date(now: SystemTime) -> Option<String> {
    let since = now.duration_since(UNIX_EPOCH).ok()?;
    let date = DateTime::from_unix_duration(since).ok()?;
    let day = DAYS[usize::try_from(since.as_secs() / 86_400 % 7).ok()?];
    let month = MONTHS.get(usize::from(date.month()).checked_sub(1)?)?;
    let (hour, minute, second) = (date.hour(), date.minutes(), date.seconds());
    Some(format!("{day}, {:02} {month} {} {hour:02}:{minute:02}:{second:02} GMT", date.day(), date.year()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(784_111_777).as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(at(0).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(at(1_709_164_800).as_deref(), Some("Thu, 29 Feb 2024 00:00:00 GMT"));
        assert_eq!(date(UNIX_EPOCH - Duration::from_secs(1)), None);
        assert_eq!(at(u64::from(u32::MAX) << 20), None);
    }
}
