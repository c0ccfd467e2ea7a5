//! Times and spans for people.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp, civil, tz::TimeZone};

/// Shows moments in one time zone.
#[derive(Debug, Clone)]
pub struct Clock(TimeZone);

impl Clock {
    /// Of this host, or UTC.
    pub fn new(utc: bool) -> Self {
        Self(if utc { TimeZone::UTC } else { TimeZone::system() })
    }

    /// Now, in milliseconds since 1970.
    pub fn now() -> u64 {
        u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
    }

    /// A moment, given in milliseconds since 1970, in the form of RFC 3339.
    pub fn at(&self, ms: u64) -> String {
        let moment = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        match moment {
            None => ms.to_string(),
            Some(moment) if self.0 == TimeZone::UTC => moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Some(moment) => {
                moment.to_zoned_datetime(self.0.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
            }
        }
    }

    /// A moment that an operator gives, in milliseconds since 1970: RFC 3339; a date and a time of this clock's zone, or
    /// either alone (a time is today's); or how long ago, as in `10m` or `2h ago`.
    ///
    /// # Errors
    /// What would be understood.
    pub fn moment(&self, text: &str) -> Result<u64, String> {
        const FORMS: &str = "not a time; allowed: 2026-05-01T12:00:00Z, 2026-05-01T12:00, 12:00, 10m (ago)";
        let text = text.trim();
        let now = Timestamp::now().to_zoned_datetime(self.0.clone());
        let moment = if let Ok(moment) = text.parse::<Timestamp>() {
            Some(moment)
        } else if let Ok(local) = text.parse::<civil::DateTime>() {
            local.to_zoned_datetime(self.0.clone()).ok().map(|zoned| zoned.timestamp())
        } else if let Ok(time) = text.parse::<civil::Time>() {
            now.date().to_datetime(time).to_zoned_datetime(self.0.clone()).ok().map(|zoned| zoned.timestamp())
        } else {
            let ago = span(text.trim_end_matches("ago").trim()).map_err(|_| FORMS.to_owned())?;
            now.timestamp().checked_sub(ago).ok()
        };
        moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok()).ok_or_else(|| FORMS.to_owned())
    }
}

/// A span that an operator gives: `90s`, `1h`, `7d`.
///
/// # Errors
/// What would be understood.
pub fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = |_| "not a span of time; allowed: 90s, 15m, 1h30m, 7d".to_owned();
    let span: Span = text.parse().map_err(wrong)?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(wrong).map(SignedDuration::abs)
}

/// A span in milliseconds, in its two largest units.
pub fn lasting(ms: u64) -> String {
    let (s, two) = (ms / 1000, |a: u64, b: &str, c: u64, d: &str| match c {
        0 => format!("{a}{b}"),
        c => format!("{a}{b} {c}{d}"),
    });
    match s {
        0 => format!("{ms}ms"),
        1..60 => format!("{s}s"),
        60..3600 => two(s / 60, "m", s % 60, "s"),
        3600..86_400 => two(s / 3600, "h", s / 60 % 60, "m"),
        _ => two(s / 86_400, "d", s / 3600 % 24, "h"),
    }
}

/// How long ago that was.
pub fn ago(ms: u64) -> String {
    lasting(Clock::now().saturating_sub(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_and_understood() {
        let clock = Clock::new(true);
        assert_eq!(clock.at(1_777_636_800_000), "2026-05-01T12:00:00Z");
        for text in
            ["2026-05-01T12:00:00Z", "2026-05-01T14:00:00+02:00", "2026-05-01T12:00", "2026-05-01 12:00"]
        {
            assert_eq!(clock.moment(text), Ok(1_777_636_800_000), "{text}");
        }
        let hour = Clock::now() - clock.moment("1h ago").unwrap();
        assert!((3_600_000..3_700_000).contains(&hour), "{hour}");
        assert!(clock.moment("12:00").is_ok() && clock.moment("7d").is_ok());
        assert!(clock.moment("soon").unwrap_err().starts_with("not a time"));
    }

    #[test]
    fn spans_have_two_units() {
        let shown = [5, 1500, 61_000, 3_600_000, 5_000_000, 90_000_000].map(lasting);
        assert_eq!(shown, ["5ms", "1s", "1m 1s", "1h", "1h 23m", "1d 1h"]);
        assert_eq!(span("7d").map(|span| span.as_secs()), Ok(604_800));
        assert!(span("x").is_err());
    }
}
