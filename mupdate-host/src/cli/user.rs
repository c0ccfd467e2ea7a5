//! `user add`, `user list`, `user remove`; `user import` is next door.

use std::io::{self, IsTerminal, Read};

use mupdate_core::directory::PeerRole;
use zeroize::Zeroizing;

use super::check::write;
use super::{UserCommand, import};
use crate::config::Config;
use crate::exit::{Code, Fatal};
use crate::users::{self, Added, NewKeys, Users};

/// More than that is no password.
const LONGEST: u64 = 4096;

pub(super) fn run(program: &str, command: UserCommand, config: &Config) -> Result<(), Fatal> {
    let data_dir = config.data_dir.as_path();
    let out = &mut io::stdout().lock();
    let file = users::path(data_dir);
    let later = format!("a running {program} takes it over on SIGHUP");
    match command {
        UserCommand::Add { name, no_password: true, .. } => {
            let name = users::user_name(&name).map_err(users::UsersError::Name)?;
            let done = match users::add_without_password(data_dir, &name)? {
                Added::New => "added without a password",
                Added::Changed => "has no password any more",
            };
            write(out, format_args!("{name} {done} in {}; {later}\n", file.display()))?;
            note_role(&name, config, out)
        }
        UserCommand::Add { name, scram: hashes, iterations, no_password: false } => {
            // Told before the password is asked for.
            let name = users::user_name(&name).map_err(users::UsersError::Name)?;
            let password = if io::stdin().is_terminal() { ask(&name)? } else { read(io::stdin().lock())? };
            let done = match users::add(data_dir, &name, &password, &NewKeys { hashes, iterations })? {
                Added::New => "added",
                Added::Changed => "has a new password",
            };
            write(out, format_args!("{name} {done} in {}; {later}\n", file.display()))?;
            if let Some(warning) = Users::load(data_dir)?.uneven() {
                write(out, format_args!("Warning: {warning}\n"))?;
            }
            note_role(&name, config, out)
        }
        UserCommand::Import { file: from, realm, replace } => {
            let input = import::open(from.as_deref())?;
            let wanted = import::wanted(realm.as_deref(), &config.server_name);
            let done = import::run(program, input, wanted, data_dir, replace, &mut io::stderr().lock())?;
            write(out, format_args!("{done} in {}; {later}\n", file.display()))
        }
        UserCommand::List => {
            for name in Users::load(data_dir)?.names() {
                write(out, format_args!("{name}\n"))?;
            }
            Ok(())
        }
        UserCommand::Remove { name } => {
            if !users::remove(data_dir, &name)? {
                let text =
                    format!("no user {name} in {}; `{program} user list` shows who is", file.display());
                return Err(Fatal::new(Code::Data, text));
            }
            write(out, format_args!("{name} removed from {}; {later}\n", file.display()))
        }
    }
}

/// Tells of a user that may do nothing.
fn note_role(name: &str, config: &Config, out: &mut impl io::Write) -> Result<(), Fatal> {
    if config.roles.speaker(name).role == &PeerRole::None {
        write(out, format_args!("{name} has no role in [roles] yet, and may do nothing\n"))?;
    }
    Ok(())
}

/// Asks at the terminal, twice.
fn ask(name: &str) -> Result<Zeroizing<Vec<u8>>, Fatal> {
    let prompt = |text: String| {
        rpassword::prompt_password(text).map(|typed| Zeroizing::new(typed.into_bytes())).map_err(|error| {
            let text = format!("cannot ask for the password: {error}; give it on standard input");
            Fatal::new(Code::IoErr, text)
        })
    };
    let password = prompt(format!("Password for {name}: "))?;
    if password != prompt("The same again: ".into())? {
        return Err(Fatal::new(Code::Data, "the two passwords differ; nothing was changed, try again"));
    }
    Ok(password)
}

/// Reads all there is, without the line end that `echo` puts there.
fn read(input: impl Read) -> Result<Zeroizing<Vec<u8>>, Fatal> {
    // With its room from the start, the password is not left behind where a growing buffer was.
    let mut password = Zeroizing::new(Vec::with_capacity(8192));
    input.take(LONGEST + 1).read_to_end(&mut password).map_err(|error| {
        Fatal::new(Code::IoErr, format!("cannot read the password from standard input: {error}; try again"))
    })?;
    if password.len() as u64 > LONGEST {
        let text =
            format!("the password on standard input is longer than {LONGEST} octets; choose a shorter one");
        return Err(Fatal::new(Code::Data, text));
    }
    if password.last() == Some(&b'\n') {
        password.pop();
        if password.last() == Some(&b'\r') {
            password.pop();
        }
    }
    if password.iter().any(|octet| matches!(octet, b'\n' | b'\r' | 0)) {
        let text = "the password on standard input has more than one line, or a NUL; give one line";
        return Err(Fatal::new(Code::Data, text));
    }
    Ok(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        let given = |text: &[u8]| read(text).map(|password| password.to_vec());
        assert_eq!(given(b"secret\n"), Ok(b"secret".to_vec()));
        assert_eq!(given(b"secret\r\n"), Ok(b"secret".to_vec()));
        assert_eq!(given(b" secret "), Ok(b" secret ".to_vec()));
        assert_eq!(given(b""), Ok(b"".to_vec()));
        assert!(given(b"two\nlines\n").is_err_and(|error| error.code == Code::Data));
        assert!(given(&[b'x'; 5000]).is_err_and(|error| error.message.contains("longer than 4096")));
    }
}
