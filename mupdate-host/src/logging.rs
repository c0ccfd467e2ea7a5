//! Logs on standard error: lines for people, or a JSON object a line for machines; or with fields, for journald.

mod journal;

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::str::FromStr;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt as lines};

use crate::exit::{Code, Fatal};
use journal::Journal;

/// How much is logged, and in which form. Written `info`, `json`, `debug,json`, or with a level
/// for one part of the program: `info,mupdate_host::auth=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// Levels, separated by commas, as [`Targets`] reads them.
    levels: String,
    /// What a message looks like.
    pub form: Form,
}

/// What a message looks like, and where it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// As an entry of the journal where that reads standard error, else as a line.
    #[default]
    Fitting,
    /// A line for people, on standard error.
    Lines,
    /// A JSON object a line, there too.
    Json,
    /// An entry of the journal, with fields.
    Journal,
}

impl Form {
    /// Those that are chosen, and their names.
    const NAMED: [(&'static str, Self); 3] =
        [("lines", Self::Lines), ("json", Self::Json), ("journal", Self::Journal)];
}

const ALLOWED: &str = "a level (error, warn, info, debug, trace, off), a form (\"lines\", \"json\", \"journal\"), or \
                       both as in \"debug,json\"";

impl Default for LogSettings {
    fn default() -> Self {
        Self { levels: "info".into(), form: Form::Fitting }
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
        let (mut forms, mut levels) = (Vec::new(), Vec::new());
        for part in text.split(',').map(str::trim) {
            let part = part.to_ascii_lowercase();
            if let Some((_, form)) = Form::NAMED.iter().find(|(name, _)| *name == part) {
                forms.push(*form);
                continue;
            }
            match part.rsplit('=').next().unwrap_or_default() {
                "error" | "warn" | "info" | "debug" | "trace" | "off" => levels.push(part),
                _ => return Err(format!("allowed: {ALLOWED}")),
            }
        }
        if forms.len() > 1 {
            return Err("allowed: one form".into());
        }
        if !levels.iter().any(|level| !level.contains('=')) {
            levels.insert(0, "info".into());
        }
        let levels = levels.join(",");
        levels.parse::<Targets>().map_err(|_| format!("allowed: {ALLOWED}"))?;
        Ok(Self { levels, form: forms.pop().unwrap_or_default() })
    }
}

impl fmt::Display for LogSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.levels)?;
        match Form::NAMED.iter().find(|(_, form)| *form == self.form) {
            Some((name, _)) => write!(f, ",{name}"),
            None => Ok(()),
        }
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

/// Starts logging for the whole program, as what this program says; called once.
///
/// A journal that does not listen is done without: lines on standard error say so.
///
/// # Errors
/// Something else already does the logging of this process.
pub fn init(program: &str, settings: &LogSettings) -> Result<LogHandle, Fatal> {
    let (levels, handle) = reload::Layer::new(settings.targets());
    let (form, unheard) = form(program, settings.form);
    tracing_subscriber::registry()
        .with(levels)
        .with(form)
        .try_init()
        .map_err(|error| Fatal::new(Code::Software, format!("cannot start logging: {error}")))?;
    if let Some(error) = unheard {
        tracing::warn!(%error, "the journal does not listen at {}: these are lines instead", journal::SOCKET);
    }
    Ok(LogHandle(handle))
}

/// What writes messages in this form, below their filter; and why it is not the journal that was wanted.
fn form<S>(program: &str, form: Form) -> (Box<dyn Layer<S> + Send + Sync>, Option<std::io::Error>)
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    let lines = || lines::layer().with_writer(std::io::stderr);
    let people = || lines().with_ansi(std::io::stderr().is_terminal()).with_target(false).boxed();
    match form {
        Form::Json => (lines().json().flatten_event(true).boxed(), None),
        Form::Lines => (people(), None),
        Form::Fitting if !journal::is_at_standard_error() => (people(), None),
        Form::Fitting | Form::Journal => match Journal::at(Path::new(journal::SOCKET), program) {
            Ok(journal) => (journal.boxed(), None),
            Err(error) => (people(), Some(error)),
        },
    }
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
        assert_eq!(shown("journal,warn"), Ok("warn,journal".into()));
        assert_eq!(shown("lines"), Ok("info,lines".into()));
        for wrong in ["", "loud", "info,", "a=json", "a=b=c", "x=loud"] {
            assert!(shown(wrong).is_err_and(|text| text.contains("allowed: a level")), "{wrong}");
        }
        assert!(shown("json,lines").is_err_and(|text| text.contains("one form")));
    }
}
