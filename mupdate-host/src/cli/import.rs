//! `user import`: users and passwords of a Cyrus SASL database.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::exit::{Code, Fatal};
use crate::users::import::{Import, Realm, Why};
use crate::users::{self, NewKeys};

/// A dump that is longer is of something else: a user takes about a hundred octets.
const LONGEST: usize = 64 << 20;

/// A text to be read, and what it is called.
pub(super) struct Input {
    name: String,
    reader: Box<dyn Read>,
}

/// Opens the file that was named; standard input where there is none, or `-`.
pub(super) fn open(file: Option<&Path>) -> Result<Input, Fatal> {
    match file.filter(|file| *file != Path::new("-")) {
        Some(file) => {
            let opened = File::open(file).map_err(|error| {
                Fatal::io("read", file, &error, "make it with `db_dump -p /etc/sasldb2`, as root")
            })?;
            Ok(Input { name: file.display().to_string(), reader: Box::new(opened) })
        }
        None if io::stdin().is_terminal() => {
            let text =
                "nothing to import on standard input; name a FILE, or pipe `db_dump -p /etc/sasldb2` into it";
            Err(Fatal::new(Code::Usage, text))
        }
        None => Ok(Input { name: "standard input".into(), reader: Box::new(io::stdin().lock()) }),
    }
}

/// The realm whose users are wanted. Cyrus's own default is the host's name, and a MUPDATE server's is what it calls
/// itself.
pub(super) fn wanted<'a>(chosen: Option<&'a str>, server_name: &'a str) -> Realm<'a> {
    chosen.map_or(Realm::Supposed(server_name), Realm::Chosen)
}

/// Imports, and says what was done; everything that is not taken over is told on `err`, a line each.
pub(super) fn run(
    program: &str,
    input: Input,
    wanted: Realm<'_>,
    data_dir: &Path,
    replace: bool,
    err: &mut impl Write,
) -> Result<String, Fatal> {
    let Input { name, reader } = input;
    let data = |text: String| Fatal::new(Code::Data, text);
    let text = read(reader, &name)?;
    let import = Import::read(&text, wanted)
        .map_err(|error| data(format!("{name}: {error}; nothing was changed, give the whole of a dump")))?;
    tell(&import, &name, err);
    let (Realm::Chosen(realm) | Realm::Supposed(realm)) = wanted;
    if import.is_listing {
        let count = import.left.iter().filter(|left| left.why == Why::Listed).count();
        return Err(data(format!(
            "{name} is a list without passwords, nothing was changed; import `db_dump -p /etc/sasldb2` instead, or give \
             the {count} user(s) of realm {realm} passwords with `{program} user add NAME`"
        )));
    }
    if import.has_faults() {
        let count = import.left.iter().filter(|left| left.why.is_fault()).count();
        return Err(data(format!(
            "{count} user(s) in {name} cannot be taken over, so nothing was changed; correct what is said above, or leave \
             these lines out (a key and its value are two)"
        )));
    }
    if import.users.0.is_empty() {
        let realms: Vec<String> =
            import.realms.iter().map(|(realm, users)| format!("{realm} ({users})")).collect();
        let there = if realms.is_empty() { "none at all".into() } else { realms.join(", ") };
        return Err(data(format!(
            "no user of realm {realm} has a password in {name}, nothing was changed; users with passwords by realm: \
             {there}; choose one with --realm"
        )));
    }
    let (mut keys, new) = (BTreeMap::new(), NewKeys::default());
    for (user, password) in &import.users.0 {
        keys.insert(user.as_str(), new.of(password)?);
    }
    let [new, changed] = users::add_all(data_dir, &keys, replace)?;
    Ok(format!("{new} user(s) added, {changed} with a new password, {} line(s) left", import.left.len()))
}

/// What is not taken over, and why; then how many of each kind.
fn tell(import: &Import, name: &str, err: &mut impl Write) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for left in &import.left {
        // Nothing can be done where even standard error is closed.
        let _ = writeln!(err, "{name}: {left}");
        *counts.entry(kind(&left.why)).or_default() += 1;
    }
    if !counts.is_empty() {
        let counts: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        let _ = writeln!(err, "{name}: not taken over: {}", counts.join(", "));
    }
}

fn kind(why: &Why) -> &'static str {
    match why {
        Why::OtherRealm => "of another realm",
        Why::Property(_) => "of another property",
        Why::NoPassword(_) | Why::Listed => "without a password",
        Why::TwoRealms => "in two realms",
        Why::Twice(_) => "twice",
        Why::Unfit(_) => "unfit",
    }
}

/// Reads all there is. A buffer that grew is wiped before it is left behind.
fn read(mut reader: impl Read, name: &str) -> Result<Zeroizing<Vec<u8>>, Fatal> {
    let mut text = Zeroizing::new(vec![0; 64 << 10]);
    let mut length = 0;
    loop {
        if length == text.len() {
            if length >= LONGEST {
                return Err(Fatal::new(
                    Code::Data,
                    format!("{name} is longer than 64 MiB; give a dump of a sasldb"),
                ));
            }
            let mut longer = Zeroizing::new(vec![0; length * 2]);
            longer[..length].copy_from_slice(&text);
            text = longer;
        }
        match reader.read(&mut text[length..]) {
            Ok(0) => {
                text.truncate(length);
                return Ok(text);
            }
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return Err(Fatal::new(Code::IoErr, format!("cannot read {name}: {error}; try again")));
            }
        }
    }
}
