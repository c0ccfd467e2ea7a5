//! mupdated.toml(5), made of the example configuration: what that says of a setting is said once.

use std::fmt::Write;

/// The example, with every setting and its default.
const EXAMPLE: &str = include_str!("../../../../mupdated.example.toml");

/// The page, for man(1).
pub(super) fn page() -> String {
    render(EXAMPLE)
}

/// What the lines of the example are.
#[derive(Debug, PartialEq, Eq)]
enum Line<'t> {
    /// Words for people; with their indentation, where they are set in columns.
    Text(&'t str),
    Setting(&'t str),
    Section(&'t str),
    Blank,
}

impl<'t> Line<'t> {
    fn of(line: &'t str) -> Self {
        if line.starts_with('[') {
            return Self::Section(line);
        }
        match line.strip_prefix('#') {
            None => Self::Blank,
            Some("") => Self::Text(""),
            // A setting that is commented out follows its # at once; so does one of a name in quotes.
            Some(setting) if !setting.starts_with(' ') => Self::Setting(setting),
            Some(text) => Self::Text(text.strip_prefix(' ').unwrap_or(text)),
        }
    }
}

fn render(example: &str) -> String {
    let mut page = format!(
        ".TH mupdated.toml 5 \"\" \"mupdate {}\"\n.SH NAME\nmupdated.toml \\- the configuration of mupdated and \
         mupdated\\-sync\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut lines = example.lines().map(Line::of).peekable();
    // What stands before the first blank line is about the file.
    let mut words = Vec::new();
    while let Some(Line::Text(text)) = lines.next_if(|line| *line != Line::Blank) {
        words.push(text);
    }
    say(&mut page, &std::mem::take(&mut words));
    page.push_str(".SH SETTINGS\n");
    let mut settings: Vec<&str> = Vec::new();
    for line in lines.chain([Line::Blank]) {
        // Words come before what they are about, and that may be several settings in a row.
        if !matches!(line, Line::Setting(_)) && !settings.is_empty() {
            for (at, setting) in settings.drain(..).enumerate() {
                let _ = writeln!(page, "{}\n.B {}", if at == 0 { ".TP" } else { ".TQ" }, argument(setting));
            }
            say(&mut page, &std::mem::take(&mut words));
        }
        match line {
            Line::Text(text) => words.push(text),
            Line::Setting(setting) => settings.push(setting),
            Line::Section(section) => {
                let _ = writeln!(page, ".SH {}", escape(section));
                say(&mut page, &std::mem::take(&mut words));
            }
            Line::Blank => {}
        }
    }
    page.push_str(".SH FILES\n/etc/mupdated/mupdated.toml\n.SH SEE ALSO\n");
    page.push_str("mupdated(1), mupdated\\-sync(1), mupdatectl(1)\n");
    page
}

/// Paragraphs, and lines that are set in columns as they are.
fn say(page: &mut String, words: &[&str]) {
    let mut columns = false;
    for line in words {
        let indented = line.starts_with(' ');
        if indented != columns {
            page.push_str(if indented { ".nf\n" } else { ".fi\n" });
            columns = indented;
        }
        match line.is_empty() {
            true => page.push_str(".sp\n"),
            false => {
                let _ = writeln!(page, "{}", escape(line));
            }
        }
    }
    if columns {
        page.push_str(".fi\n");
    }
}

/// Nothing in it is a request or an escape of roff's.
fn escape(text: &str) -> String {
    let escaped = text.replace('\\', "\\e").replace('-', "\\-");
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

/// The same as the argument of a request, which quotes would be taken for.
fn argument(text: &str) -> String {
    escape(text).replace('"', "\\(dq")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_follow_what_is_said_of_them() {
        let page = render(
            "# About.\n\n# Who it\n# is.\n#user = \"\"\n#group = \"a-b\"\n\n\
             # All of it.\n[tls]\n# Words:\n#   \"a\"  one\n#x = 1\n",
        );
        let settings = page.split_once(".SH SETTINGS\n").expect("there are some").1;
        let wanted = ".TP\n.B user = \\(dq\\(dq\n.TQ\n.B group = \\(dqa\\-b\\(dq\nWho it\nis.\n.SH [tls]\nAll of it.\n\
                      .TP\n.B x = 1\nWords:\n.nf\n  \"a\"  one\n.fi\n";
        assert!(settings.starts_with(wanted), "{settings}");
    }

    #[test]
    fn every_setting_of_the_example_has_its_place() {
        let page = page();
        let settings =
            EXAMPLE.lines().filter(|line| line.starts_with('#') && !line.starts_with("# ") && *line != "#");
        for setting in settings {
            let shown = format!(".B {}", argument(&setting[1..]));
            assert!(page.lines().any(|line| line == shown), "{setting}");
        }
        for section in EXAMPLE.lines().filter(|line| line.starts_with('[')) {
            assert!(page.lines().any(|line| line == format!(".SH {section}")), "{section}");
        }
    }
}
