//! Asking before something is done that cannot be seen at once to be right.

use std::io::{self, BufRead, Write};

use clap::Args;

use crate::{
    fail::{Code, Fail},
    show::out::interactive,
};

/// Whether to ask.
#[derive(Debug, Args)]
pub struct Consent {
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

impl Consent {
    /// Goes on if it may.
    ///
    /// # Errors
    /// It may not, or nobody can be asked.
    pub fn ask(&self, question: &str) -> Result<(), Fail> {
        if self.yes {
            return Ok(());
        }
        if !interactive() {
            return Err(Fail::usage(format!("{question} Nobody is there to be asked: say --yes")));
        }
        let mut answer = String::new();
        // Nothing can be asked where standard error is gone, and then the answer is no.
        let _ = write!(io::stderr(), "{question} [y/N] ");
        let _ = io::stdin().lock().read_line(&mut answer);
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(Fail::new(Code::No, "nothing was done")),
        }
    }
}
