//! `check-config`: tells everything that is wrong, changes nothing.

use std::io::{self, Write};
use std::path::Path;

use super::Source;
use crate::auth::saslauthd_warning;
use crate::config::{Config, ConfigError, roles};
use crate::exit::{Code, Fatal};
use crate::fuses::{self, Blown, words};
use crate::manager::{Passed, Purpose};
use crate::privileges::{self, Account};
use crate::tls::{Remark, Tls};
use crate::users::{self, Users, UsersError};

/// Checks the configuration, the files of TLS and, where there are some, the users; writes what would be in force.
pub(super) fn run(source: &Source, out: &mut impl Write) -> Result<(), Fatal> {
    let config = match source.load() {
        Ok(config) => config,
        Err(ConfigError::Wrong { path, problems }) => {
            let count = problems.len();
            for problem in &problems {
                write(out, format_args!("{}: {}\n", path.display(), problem.text))?;
            }
            let them = if count == 1 { "it" } else { "them" };
            let text = format!("{} problem(s) in {}; correct {them} and check again", count, path.display());
            return Err(Fatal::new(Code::Config, text));
        }
        Err(error) => return Err(error.into()),
    };
    let file = source.file.as_deref().unwrap_or(Path::new("no file, the defaults"));
    write(out, format_args!("# In force ({}):\n{config}", file.display()))?;
    let passed = Passed::of_environment(&config)?;
    list_listeners(&config, &passed, out)?;
    for warning in passed.with(&config).warnings() {
        write(out, format_args!("# Warning: {warning}\n"))?;
    }
    // What cannot be read keeps the daemon from starting; that is told when it does.
    for Blown { principal, kinds, .. } in fuses::list(&config.data_dir).unwrap_or_default() {
        write(
            out,
            format_args!("# Warning: the fuse of {principal} has blown: {} are held\n", words(&kinds)),
        )?;
    }
    for warning in privileges::data_dir_warnings(&config.data_dir) {
        write(out, format_args!("# Warning: {warning}\n"))?;
    }
    // What the daemon will read again on SIGHUP, it will read as this user.
    let look = || {
        let mut seen = Vec::new();
        let sound = check_files(&config, source, &mut seen);
        (seen, sound)
    };
    let (seen, sound) = match Account::to_become(&config)? {
        Some(account) => account.on_behalf(look)?,
        None => look(),
    };
    write(out, format_args!("{}", String::from_utf8_lossy(&seen)))?;
    sound?;
    let users = users::path(&config.data_dir);
    match Users::load(&config.data_dir) {
        Ok(users) if users.is_empty() && config.saslauthd.socket.is_none() => {
            write(out, format_args!("# Warning: there are no users, nobody can log in\n"))
        }
        Ok(found) => {
            if config.saslauthd.socket.is_some() && !found.is_empty() {
                let text = "SCRAM is offered, which saslauthd cannot do: clients that prefer it and whose users are in \
                            auth.saslauthd_users need force_sasl_client_mech: PLAIN";
                write(out, format_args!("# Warning: {text}\n"))?;
            }
            for remark in found.uneven().into_iter().chain(roles::remarks(&config, &found)) {
                write(out, format_args!("# Warning: {remark}\n"))?;
            }
            write(out, format_args!("# Users in {}: {}\n", users.display(), found.len()))
        }
        Err(UsersError::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            write(out, format_args!("# No users yet: the first start makes {}\n", users::FIRST_USER))
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells what will be listened on, and what for.
fn list_listeners(config: &Config, passed: &Passed, out: &mut impl Write) -> Result<(), Fatal> {
    for (purpose, address) in passed.list() {
        let name = purpose.name();
        write(out, format_args!("# Listens on {address} ({name}), which the service manager passes\n"))?;
    }
    for (purpose, address) in Purpose::of_config(config).filter(|(_, address)| !passed.covers(address)) {
        write(out, format_args!("# Listens on {address} ({})\n", purpose.name()))?;
    }
    Ok(())
}

/// Looks at the files that are named.
fn check_files(config: &Config, source: &Source, out: &mut Vec<u8>) -> Result<(), Fatal> {
    if let Some(warning) = privileges::config_warning(source.file.as_deref()) {
        write(out, format_args!("# Warning: {warning}\n"))?;
    }
    if let Some(warning) = saslauthd_warning(&config.saslauthd) {
        write(out, format_args!("# Warning: {warning}\n"))?;
    }
    check_tls(config, out)
}

/// Reads certificate, key and CA. What clients may refuse is refused here, though the daemon would start with it.
fn check_tls(config: &Config, out: &mut impl Write) -> Result<(), Fatal> {
    let Some(tls) = Tls::load(config, None)? else { return Ok(()) };
    for remark in tls.remarks() {
        match remark {
            Remark::Warning(text) => write(out, format_args!("# Warning: {text}\n"))?,
            Remark::Refused(text) => return Err(Fatal::new(Code::Data, text.clone())),
        }
    }
    Ok(())
}

pub(super) fn write(out: &mut impl Write, text: std::fmt::Arguments<'_>) -> Result<(), Fatal> {
    match out.write_fmt(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Fatal::new(
            Code::IoErr,
            format!("cannot write to standard output: {error}; send it elsewhere"),
        )),
        _ => Ok(()),
    }
}
