//! The command line of `mupdatectl bench`.

use std::{env, fs, path::PathBuf, time::Duration};

use clap::Args;

use super::{BenchError, Secret, target::Target};

/// The environment variable that holds the password.
const PASSWORD: &str = "MUPDATE_PASSWORD";

/// Measures what backends and frontends would wait for: changes, look-ups, lists, streams, logins.
///
/// It makes mailboxes under `user.bench...` at servers `bench0.invalid` and so on, and deletes them at the end. Do not point it
/// at a murder in service: it is made to keep a server busy.
#[derive(Debug, Args)]
pub struct Options {
    /// The server: a host or address, with or without a port
    #[arg(value_name = "HOST[:PORT]", default_value = "127.0.0.1:3905")]
    pub server: String,
    /// Measure this server too, in turns with the first, and print ratios
    #[arg(long, value_name = "HOST[:PORT]")]
    pub vs: Vec<String>,
    /// Log in as this user
    #[arg(long, default_value = "murder")]
    pub user: String,
    /// Read the password from this file; without it, it is taken from MUPDATE_PASSWORD
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// Mailboxes that are there before measuring begins
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    pub mailboxes: u32,
    /// Numbers of clients at a time
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,8,64")]
    pub clients: Vec<usize>,
    /// Numbers of commands that a client has under way at a time
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,32")]
    pub pipeline: Vec<usize>,
    /// Numbers of subscribers that changes are to reach
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,16,128,1000")]
    pub subscribers: Vec<usize>,
    /// Connections of the case `idle`
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub idle: usize,
    /// Measure only these: create, setacl, find, list, list-server, dump, push, barrier, login, resync, beside-dump, beside-stuck, idle
    #[arg(long, value_name = "CASE,...", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Seconds that each case is measured in each round
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    pub seconds: f64,
    /// Rounds; what is shown are medians
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = parse_rounds)]
    pub rounds: usize,
    /// Process of each server on this machine, in their sequence, to look at its memory
    #[arg(long, value_name = "PID,...", value_delimiter = ',')]
    pub pid: Vec<u32>,
    /// Write all figures into this file as JSON, `-` for standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Leave the mailboxes there for the next run
    #[arg(long)]
    pub keep: bool,
}

impl Options {
    /// The servers, the one to be judged first.
    pub(super) fn targets(&self) -> Result<Vec<Target>, BenchError> {
        let password = self.password()?;
        let names = std::iter::once(&self.server).chain(&self.vs);
        let target = |(number, name): (usize, &String)| {
            Target::new(name, &self.user, &password, self.pid.get(number).copied())
        };
        names.enumerate().map(target).collect()
    }

    /// How long a case is measured.
    pub(super) fn time(&self) -> Duration {
        Duration::try_from_secs_f64(self.seconds)
            .unwrap_or(Duration::from_secs(2))
            .max(Duration::from_millis(50))
    }

    fn password(&self) -> Result<Secret, BenchError> {
        if let Some(path) = &self.password_file {
            let text = fs::read_to_string(path)
                .map(Secret::new)
                .map_err(|error| BenchError::File { path: path.clone(), error })?;
            return Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let missing = || BenchError::Options(format!("no password: use --password-file, or set {PASSWORD}"));
        env::var(PASSWORD).map(Secret::new).map_err(|_| missing())
    }
}

fn parse_rounds(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(rounds @ 1..=1000) => Ok(rounds),
        _ => Err("allowed: a number from 1 to 1000".into()),
    }
}
