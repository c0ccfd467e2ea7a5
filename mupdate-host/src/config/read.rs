//! Reading a TOML document key by key, so that every complaint can name its line, what was found, what is allowed,
//! and the name that was probably meant.

use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::size;

/// The settings that exist: a table's name ("" for the top), and the keys in it.
pub type Names = &'static [(&'static str, &'static [&'static str])];

/// A document being read, and what was wrong with it so far.
pub struct Document<'a> {
    text: &'a str,
    names: Names,
    problems: RefCell<Vec<Problem>>,
}

/// One table of a document.
pub struct Section<'d, 'a> {
    document: &'d Document<'a>,
    name: &'static str,
    entries: DeTable<'a>,
}

impl<'a> Document<'a> {
    /// A document in which these names exist.
    pub fn new(text: &'a str, names: Names) -> Self {
        Self { text, names, problems: RefCell::default() }
    }

    /// Parses the text. What is not TOML is noted, and what is left of the document returned.
    pub fn root(&self) -> Section<'_, 'a> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = error.span().map_or(0, |span| self.line(&span));
            let reason = error.message().trim().replace('\n', "; ");
            self.note(line, format!("line {line} is not TOML: {reason}"));
        }
        // What follows a syntax error is guesswork, and so would be every further complaint.
        let entries = if errors.is_empty() { root.into_inner() } else { DeTable::new() };
        self.section("", entries)
    }

    /// Everything that was wrong, in the order of the lines.
    pub fn problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    fn section(&self, name: &'static str, entries: DeTable<'a>) -> Section<'_, 'a> {
        let section = Section { document: self, name, entries };
        section.refuse_unknown();
        section
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let end = span.start.min(self.text.len());
        1 + self.text.as_bytes()[..end].iter().filter(|octet| **octet == b'\n').count()
    }

    fn note(&self, line: usize, text: String) {
        self.problems.borrow_mut().push(Problem { line, text });
    }

    fn keys(&self, section: &str) -> &'static [&'static str] {
        self.names.iter().find(|(name, _)| *name == section).map_or(&[], |(_, keys)| keys)
    }

    /// Where a key that does not exist in `section` was probably meant to stand, and what it was meant to be.
    fn nearest(&self, section: &str, key: &str) -> Option<String> {
        let elsewhere = self.names.iter().find(|(_, keys)| keys.contains(&key));
        if let Some((place, key)) =
            elsewhere.and_then(|(place, keys)| Some((place, keys.iter().find(|k| **k == key)?)))
        {
            return Some(match *place {
                "" => format!("`{key}` above the first [table]"),
                place => format!("`{key}` in [{place}]"),
            });
        }
        let distance = |name: &str| strsim::damerau_levenshtein(name, &key.to_ascii_lowercase());
        let near = self.keys(section).iter().map(|name| (distance(name), name)).min()?;
        (near.0 <= 1 + key.chars().count() / 3).then(|| format!("`{}`", near.1))
    }
}

impl<'d, 'a> Section<'d, 'a> {
    /// The table of this name; empty where the document has none.
    pub fn table(&mut self, name: &'static str) -> Section<'d, 'a> {
        let mut entries = DeTable::new();
        if let Some((key, value)) = self.entries.remove_entry(name) {
            match value.into_inner() {
                DeValue::Table(table) => entries = table,
                other => {
                    let line = self.document.line(&key.span());
                    let text =
                        format!("`{name}` in line {line} is {}; allowed: a table, [{name}]", found(&other));
                    self.document.note(line, text);
                }
            }
        }
        self.document.section(name, entries)
    }

    /// Reads one key, where it stands in the document, into `place`. `parse` says what is allowed when it refuses.
    pub fn read<T>(&self, key: &str, place: &mut T, parse: impl FnOnce(&DeValue<'a>) -> Result<T, String>) {
        debug_assert!(self.document.keys(self.name).contains(&key), "{key} is not among the names");
        let Some(value) = self.entries.get(key) else { return };
        match parse(value.get_ref()) {
            Ok(value) => *place = value,
            Err(why) => self.complain(key, value, &why),
        }
    }

    /// Complains about a key that is there, unless what it needs is there too.
    pub fn require(&self, key: &str, needed: &str, satisfied: bool) {
        if let Some(value) = self.entries.get(key).filter(|_| !satisfied) {
            self.complain(key, value, &format!("set `{}` too", self.path(needed)));
        }
    }

    /// Reads every key of a table whose keys are free.
    pub fn read_all(&self, mut each: impl FnMut(&str, &DeValue<'a>) -> Result<(), String>) {
        for (key, value) in &self.entries {
            if let Err(why) = each(key.get_ref(), value.get_ref()) {
                self.complain(key.get_ref(), value, &why);
            }
        }
    }

    fn complain(&self, key: &str, value: &Spanned<DeValue<'a>>, why: &str) {
        let line = self.document.line(&value.span());
        let key = self.path(key);
        self.document.note(line, format!("`{key}` in line {line} is {}; {why}", found(value.get_ref())));
    }

    /// A key with its table, on one line whatever is in it.
    fn path(&self, key: &str) -> String {
        let key = key.escape_debug();
        if self.name.is_empty() { key.to_string() } else { format!("{}.{key}", self.name) }
    }

    fn refuse_unknown(&self) {
        let keys = self.document.keys(self.name);
        for key in self.entries.keys() {
            let name: &str = key.get_ref();
            if keys.contains(&name) || keys.contains(&"*") {
                continue;
            }
            let line = self.document.line(&key.span());
            let shown = self.path(name);
            let advice = match self.document.nearest(self.name, name) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("known here: {}", keys.join(", ")),
            };
            self.document.note(line, format!("unknown key `{shown}` in line {line}; {advice}"));
        }
    }
}

/// A value as a complaint shows it.
fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > 60 => "a long string".into(),
        DeValue::String(text) => format!("{text:?}"),
        // The parser gives what stands there as a number, control characters amid the digits included.
        DeValue::Integer(number) => number.to_string().escape_debug().to_string(),
        DeValue::Float(number) => number.to_string().escape_debug().to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a table".into(),
    }
}

/// A string.
pub fn text(value: &DeValue<'_>) -> Result<String, String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        _ => Err("allowed: a string, in quotes".into()),
    }
}

/// A name without spaces and control characters; an empty one is none.
pub fn name(value: &DeValue<'_>) -> Result<Option<String>, String> {
    match text(value)? {
        name if name.contains(|char: char| char.is_whitespace() || char.is_control()) => {
            Err("allowed: a name without spaces".into())
        }
        name => Ok(Some(name).filter(|name| !name.is_empty())),
    }
}

/// A string that something can be made of.
pub fn parsed<T: FromStr<Err = String>>(value: &DeValue<'_>) -> Result<T, String> {
    text(value)?.parse()
}

/// `true` or `false`.
pub fn truth(value: &DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(value) => Ok(*value),
        _ => Err("allowed: true or false".into()),
    }
}

/// A list of strings that something can be made of; a single string counts as a list of one.
pub fn list<T: FromStr<Err = String>>(value: &DeValue<'_>) -> Result<Vec<T>, String> {
    match value {
        DeValue::Array(items) => items.iter().map(|item| parsed(item.get_ref())).collect(),
        DeValue::String(text) => Ok(vec![text.parse()?]),
        _ => Err("allowed: a list of strings, as in [\"one\", \"two\"]".into()),
    }
}

/// A whole number within bounds.
pub fn number<T>(range: RangeInclusive<T>) -> impl Fn(&DeValue<'_>) -> Result<T, String>
where
    T: TryFrom<u64> + PartialOrd + std::fmt::Display,
{
    move |value| {
        let read = integer(value).and_then(|number| T::try_from(number).ok());
        read.filter(|number| range.contains(number))
            .ok_or_else(|| format!("allowed: a number from {} to {}", range.start(), range.end()))
    }
}

/// A whole number up to a bound, in which 0 stands for none.
pub fn unless_zero<T>(most: T) -> impl Fn(&DeValue<'_>) -> Result<Option<T>, String>
where
    T: TryFrom<u64> + PartialOrd + std::fmt::Display + Default,
{
    let number = number(T::default()..=most);
    move |value| number(value).map(|number| Some(number).filter(|number| *number > T::default()))
}

/// A number of octets within bounds: a number, or a string as in "64KiB".
pub fn octets(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<usize, String> {
    move |value| {
        let read = match value {
            DeValue::String(text) => size::parse(text),
            value => integer(value),
        };
        read.filter(|number| range.contains(number))
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| {
                let (from, to) = (size::show(*range.start()), size::show(*range.end()));
                format!("allowed: octets from {from} to {to}, as a number or as in \"64KiB\"")
            })
    }
}

/// A number of seconds within bounds.
pub fn seconds(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<Duration, String> {
    let number = number(range);
    move |value| number(value).map(Duration::from_secs).map_err(|why| format!("{why} (seconds)"))
}

/// A number of days; 0 is without a bound.
pub fn days_unless_zero(most: u64) -> impl Fn(&DeValue<'_>) -> Result<Option<Duration>, String> {
    let days = unless_zero(most);
    move |value| days(value).map(|days| days.map(|days| Duration::from_secs(days * 86_400)))
}

/// A number of milliseconds within bounds.
pub fn millis(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Result<Duration, String> {
    let number = number(range);
    move |value| number(value).map(Duration::from_millis).map_err(|why| format!("{why} (milliseconds)"))
}

fn integer(value: &DeValue<'_>) -> Option<u64> {
    match value {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        _ => None,
    }
}
