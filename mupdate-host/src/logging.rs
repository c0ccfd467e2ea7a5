//! Logs on standard error: lines for people, or a JSON object a line for machines.

use std::fmt;
use std::io::IsTerminal;
use std::str::FromStr;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt as lines};

use crate::exit::{Code, Fatal};

/// How much is logged, and in which form. Written `info`, `json`, `debug,json`, or with a level
/// for one part of the program: `info,mupdate_host::auth=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Levels, separated by commas, as [`Targets`] reads them.
    levels: String,
    /// A JSON object a line.
    pub json: bool,
}

const ALLOWED: &str =
    "a level (error, warn, info, debug, trace, off), \"json\", or both as in \"debug,json\"";

impl Default for LogSettings {
    fn default() -> Self {
        Self { levels: "info".into(), json: false }
    }
}

impl LogSettings {
    fn targets(&self) -> Targets {
        self.levels.parse().unwrap_or_else(|_| Targets::new().with_default(tracing::Level::INFO))
    }
}

impl FromStr for LogSettings {
    type Err = String;

    /// # Errors
    /// A text that says what is allowed.
    fn from_str(text: &str) -> Result<Self, String> {
        let (mut json, mut levels) = (false, Vec::new());
        for part in text.split(',').map(str::trim) {
            let level = part.rsplit('=').next().unwrap_or_default().to_ascii_lowercase();
            match level.as_str() {
                "json" if !part.contains('=') => json = true,
                "error" | "warn" | "info" | "debug" | "trace" | "off" => {
                    levels.push(part.to_ascii_lowercase())
                }
                _ => return Err(format!("allowed: {ALLOWED}")),
            }
        }
        if !levels.iter().any(|level| !level.contains('=')) {
            levels.insert(0, "info".into());
        }
        let levels = levels.join(",");
        levels.parse::<Targets>().map_err(|_| format!("allowed: {ALLOWED}"))?;
        Ok(Self { levels, json })
    }
}

impl fmt::Display for LogSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.levels)?;
        if self.json { f.write_str(",json") } else { Ok(()) }
    }
}

/// Changes the levels of a running program's log.
#[derive(Debug, Clone)]
pub struct LogHandle(reload::Handle<Targets, Registry>);

impl LogHandle {
    /// Logs this much from now on. The form stays as it was at the start.
    pub fn set(&self, settings: &LogSettings) {
        // The only error is that the subscriber is gone, and then nobody logs anything.
        let _ = self.0.reload(settings.targets());
    }
}

/// Starts logging for the whole program; called once.
///
/// # Errors
/// Something else already does the logging of this process.
pub fn init(settings: &LogSettings) -> Result<LogHandle, Fatal> {
    let (levels, handle) = reload::Layer::new(settings.targets());
    let form = lines::layer().with_writer(std::io::stderr);
    let form = if settings.json {
        form.json().flatten_event(true).boxed()
    } else {
        form.with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(levels)
        .with(form)
        .try_init()
        .map_err(|error| Fatal::new(Code::Software, format!("cannot start logging: {error}")))?;
    Ok(LogHandle(handle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_json_in_any_order() {
        let shown = |text: &str| text.parse::<LogSettings>().map(|settings| settings.to_string());
        assert_eq!(shown("info"), Ok("info".into()));
        assert_eq!(shown("json"), Ok("info,json".into()));
        assert_eq!(shown("JSON, Debug"), Ok("debug,json".into()));
        assert_eq!(shown("mupdate_host::auth=trace"), Ok("info,mupdate_host::auth=trace".into()));
        assert_eq!(shown("info,json"), Ok("info,json".into()));
        for wrong in ["", "loud", "info,", "a=json", "a=b=c", "x=loud"] {
            assert!(shown(wrong).is_err_and(|text| text.contains("allowed: a level")), "{wrong}");
        }
    }
}
