//! `fuse list`, `fuse release`.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::FuseCommand;
use super::check::write;
use crate::exit::{Code, Fatal};
use crate::fuses::{self, Blown, words};
use crate::users::{UsersError, user_name};

pub(super) fn run(program: &str, command: FuseCommand, data_dir: &Path) -> Result<(), Fatal> {
    let out = &mut io::stdout().lock();
    let failed = |doing: &str, error: &io::Error| {
        let text = format!("cannot {doing} the fuses in {}: {error}", data_dir.display());
        Fatal::new(Code::IoErr, text)
    };
    let blown = fuses::list(data_dir).map_err(|error| failed("read", &error))?;
    let released = match command {
        FuseCommand::List => {
            for Blown { principal, kinds, since } in blown {
                let ago = since.and_then(|since| SystemTime::now().duration_since(since).ok());
                let ago = ago.map_or(String::new(), |ago| format!(", blown {} s ago", ago.as_secs()));
                write(out, format_args!("{principal}: {} are held{ago}\n", words(&kinds)))?;
            }
            return Ok(());
        }
        FuseCommand::Release { name: Some(name), .. } => {
            vec![user_name(&name).map_err(UsersError::Name)?.into_owned()]
        }
        FuseCommand::Release { name: None, .. } => blown.into_iter().map(|blown| blown.principal).collect(),
    };
    for name in released {
        if !fuses::remove(data_dir, &name).map_err(|error| failed("release", &error))? {
            let text = format!("no fuse of {name} has blown; `{program} fuse list` shows which have");
            return Err(Fatal::new(Code::Data, text));
        }
        write(
            out,
            format_args!("the fuse of {name} is released; a running {program} sees it within a second\n"),
        )?;
    }
    Ok(())
}
