//! The command line that both daemons share.
//!
//! [`main`] is all that a daemon's own `main` calls: it reads the command line and the configuration, starts the log, and
//! serves or does one of the small jobs (`user`, `check-config`). Whatever fails ends as one line on standard error, what
//! happened and what to do, with an exit code of sysexits(3).

mod check;
mod fuse;
mod import;
mod user;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::RangedI64ValueParser;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use tracing::warn;

use crate::config::{Config, ConfigError, ListenAddr, Overrides};
use crate::exit::{Code, Fatal};
use crate::logging::{self, LogHandle, LogSettings};
use crate::manager::Passed;
use crate::scram::{BOUNDS, Hash, ITERATIONS};

/// What a daemon needs to serve.
#[derive(Debug)]
pub struct Serve {
    /// The program's name, `mupdated` or `mupdated-sync`.
    pub program: &'static str,
    /// What is in force at the start.
    pub config: Config,
    /// Where that came from; SIGHUP reads it again.
    pub source: Source,
    /// Changes the log's levels.
    pub log: LogHandle,
    /// Sockets that the service manager has made.
    pub passed: Passed,
}

/// Where a configuration comes from: a file, if one was named, and what the command line says over it.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// `--config`
    pub file: Option<PathBuf>,
    /// Everything else.
    pub overrides: Overrides,
}

impl Source {
    /// Reads the configuration, at the start and again on SIGHUP.
    ///
    /// # Errors
    /// The file cannot be read, or is wrong.
    pub fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref()).map(|config| config.with(&self.overrides))
    }
}

impl Serve {
    /// Reads the configuration again: what would be in force, and the names of the settings that differ but wait for a
    /// restart. Nothing changes before [`adopt`](Self::adopt).
    ///
    /// # Errors
    /// The file cannot be read, or is wrong.
    pub fn reread(&self) -> Result<(Config, Vec<&'static str>), ConfigError> {
        Ok(self.config.reloaded(self.source.load()?))
    }

    /// Puts a configuration that was read again in force, as far as the log is concerned.
    pub fn adopt(&mut self, config: Config) {
        self.log.set(&config.log);
        self.config = config;
    }
}

/// MUPDATE server (RFC 3656) for Cyrus IMAP murders: it knows which backend holds which mailbox.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Without a command, it serves until SIGTERM or SIGINT. SIGHUP reads the configuration and the users again.\n\
                  At the first start it makes a user and shows its password once.",
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    place: Place,
    /// Listen here: an address with a port, or the path of a Unix socket; may be repeated
    #[arg(long, value_name = "ADDR:PORT|PATH")]
    listen: Vec<ListenAddr>,
    /// Listen here for connections that begin with TLS; needs a certificate in the configuration; may be repeated
    #[arg(long, value_name = "ADDR:PORT|PATH")]
    listen_tls: Vec<ListenAddr>,
    /// Once everything is bound, become this user (started as root only)
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// This server's name in the banner [default: the host's name]
    #[arg(long, value_name = "NAME", value_parser = crate::config::server_name)]
    server_name: Option<String>,
    /// error, warn, info, debug, trace or off; lines, json or journal; or both, as in debug,json
    #[arg(long, value_name = "LEVEL|FORM")]
    log: Option<LogSettings>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Place {
    /// Read this configuration file; without one, the defaults are in force
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Keep the database and the users in this directory [default: mupdate-data]
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add, import, list and remove the users that backends and frontends log in as
    #[command(subcommand, after_help = "A running daemon takes changes over when it gets SIGHUP.")]
    User(UserCommand),
    /// Show and release fuses that have blown: users who took over or deleted too many names at a time
    #[command(subcommand)]
    Fuse(FuseCommand),
    /// Check the configuration and the users, and show what is in force; changes nothing
    CheckConfig,
}

#[derive(Debug, Subcommand)]
enum FuseCommand {
    /// List the fuses that have blown
    List,
    /// Let a user go on whose fuse has blown
    Release {
        /// The user's name
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        name: Option<String>,
        /// Every user's
        #[arg(long)]
        all: bool,
    },
}

/// What can be done to the users of a data directory.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Add a user, or give one a new password
    ///
    /// The password is asked for twice at a terminal, and read from standard input otherwise. What is kept are keys for
    /// SCRAM, from which nobody can learn it; PLAIN and LOGIN are checked by them too.
    Add {
        /// The user's name
        name: String,
        /// Keep keys for SCRAM with these hashes: sha1, sha256, sha512
        #[arg(long, value_name = "HASH,...", value_delimiter = ',', default_value = "sha256")]
        scram: Vec<Hash>,
        /// Iterate the hash that often
        #[arg(long, value_name = "N", default_value_t = ITERATIONS, value_parser = iterations())]
        iterations: u32,
        /// Make a user who logs in with a certificate only
        #[arg(long, conflicts_with_all = ["scram", "iterations"])]
        no_password: bool,
    },
    /// Take over the users and passwords of a Cyrus SASL database, all of them or none
    ///
    /// Reads what `db_dump -p /etc/sasldb2` says (`mdb_dump -n` where the database is LMDB's). What cannot be taken
    /// over is told line by line. The list that `sasldblistusers2` makes has no passwords; it is told then who needs one.
    Import {
        /// What the dump said [default: standard input]
        #[arg(value_name = "FILE|-")]
        file: Option<PathBuf>,
        /// Take over the users of this realm [default: the server's name]
        #[arg(long, value_name = "REALM")]
        realm: Option<String>,
        /// Give users that are there already the passwords of the import
        #[arg(long)]
        replace: bool,
    },
    /// List the users' names
    List,
    /// Remove a user
    Remove {
        /// The user's name
        name: String,
    },
}

fn iterations() -> RangedI64ValueParser<u32> {
    RangedI64ValueParser::new().range(i64::from(*BOUNDS.start())..=i64::from(*BOUNDS.end()))
}

/// Runs a daemon's command line. `serve` is called to serve, with the log started.
pub fn main(program: &'static str, serve: impl FnOnce(Serve) -> Result<(), Fatal>) -> ExitCode {
    match run(program, std::env::args_os(), serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            // Nothing can be done where even standard error is closed.
            let _ = writeln!(io::stderr(), "{program}: {fatal}");
            fatal.code.into()
        }
    }
}

fn run(
    program: &'static str,
    args: impl IntoIterator<Item = OsString>,
    serve: impl FnOnce(Serve) -> Result<(), Fatal>,
) -> Result<(), Fatal> {
    let Some(cli) = parse(program, args)? else { return Ok(()) };
    let source = Source {
        file: cli.place.config,
        overrides: Overrides {
            data_dir: cli.place.data_dir,
            user: cli.user,
            listen: cli.listen,
            listen_tls: cli.listen_tls,
            server_name: cli.server_name,
            log: cli.log,
        },
    };
    match cli.command {
        None => {
            let config = source.load()?;
            let log = logging::init(program, &config.log)?;
            let passed = Passed::of_environment(&config)?;
            for warning in passed.with(&config).warnings() {
                warn!("{warning}");
            }
            serve(Serve { program, config, source, log, passed })
        }
        Some(Command::CheckConfig) => check::run(&source, &mut io::stdout().lock()),
        Some(Command::User(_) | Command::Fuse(_))
            if !source.overrides.listen.is_empty()
                || !source.overrides.listen_tls.is_empty()
                || source.overrides.server_name.is_some() =>
        {
            let text = "--listen, --listen-tls and --server-name are for serving alone; leave them out";
            Err(Fatal::new(Code::Usage, text))
        }
        Some(Command::Fuse(command)) => {
            let config = source.load()?;
            logging::init(program, &config.log)?;
            fuse::run(program, command, &config.data_dir)
        }
        Some(Command::User(command)) => {
            let config = source.load()?;
            logging::init(program, &config.log)?;
            user::run(program, command, &config)
        }
    }
}

/// Does what a command says to the users in the configuration's data directory, as `PROGRAM user` does.
///
/// # Errors
/// The users file cannot be read or changed, or what was asked for makes no sense.
pub fn user(program: &str, command: UserCommand, config: &Config) -> Result<(), Fatal> {
    user::run(program, command, config)
}

/// The definition of a daemon's command line, for man pages.
pub fn command(program: &'static str) -> clap::Command {
    Cli::command().name(program).bin_name(program)
}

/// The command line; `None` when it asked for help or the version, and got it.
fn parse(program: &'static str, args: impl IntoIterator<Item = OsString>) -> Result<Option<Cli>, Fatal> {
    match command(program).try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Ok(Some(cli)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            // A reader that has seen enough, `head` for one, is no failure.
            let _ = error.print();
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let fuse = error.to_string().contains(&format!("{program} fuse "));
            let (command, needs) = match fuse {
                true => ("fuse", "list, release NAME"),
                false => ("user", "add NAME, import, list, remove NAME"),
            };
            let text = format!("`{command}` needs one of: {needs}; see `{program} {command} --help`");
            Err(Fatal::new(Code::Usage, text))
        }
        Err(error) => Err(Fatal::new(Code::Usage, one_line(program, &error.to_string()))),
    }
}

/// What clap says over several lines, in one: the error, its tips, and where to read on.
fn one_line(program: &str, text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for paragraph in text.split("\n\n") {
        let line = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() || line.starts_with("Usage:") || line.starts_with("For more information") {
            continue;
        }
        parts.push(line.trim_start_matches("error: ").trim_start_matches("tip: ").to_owned());
    }
    parts.push(format!("see `{program} --help`"));
    parts.join("; ")
}

#[cfg(test)]
mod tests;
