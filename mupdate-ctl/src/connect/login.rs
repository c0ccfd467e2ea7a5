//! Who we are: a user's name and password, never from the command line.

use std::{env, fs, io, path::Path};

use mupdate_host::{scram::client::Identity, users::FIRST_USER};

use super::{Connect, place::Place, stream::Stream};
use crate::{
    fail::Fail,
    options::{PASSWORD, Secret},
    show::{out::interactive, text::one_line},
};

/// The file of the user that a daemon's first start makes.
const FIRST_PASSWORD: &str = "first-password";

/// The user and the password, from the first of these that has one: `--password-file`, the environment, the tool's own
/// file, the first password of a local data directory, and whoever sits at the terminal.
///
/// # Errors
/// There is no password, or nobody who would take one.
pub fn identity(connect: &Connect<'_>, place: &Place) -> Result<Identity, Fail> {
    let global = connect.global;
    let user = global.user.clone().unwrap_or_else(|| FIRST_USER.into());
    let password = match password(connect, &user, place)? {
        Some(password) => password,
        // The certificate says who we are.
        None if global.certificate.is_some() => Secret::default(),
        None => {
            // Nobody is to look for a password who will then hear that no server is there.
            Stream::dial(place)?;
            if !interactive() {
                let text = format!("no password for {user}: use --password-file, or set {PASSWORD}");
                return Err(Fail::usage(text));
            }
            ask(&user)?
        }
    };
    Ok(Identity { user, password, ..Identity::default() })
}

fn password(connect: &Connect<'_>, user: &str, place: &Place) -> Result<Option<Secret>, Fail> {
    if let Some(path) = &connect.global.password_file {
        return first_line(path).map(Some).map_err(|error| Fail::read(path, &error));
    }
    if let Ok(password) = env::var(PASSWORD) {
        return Ok(Some(Secret::new(password)));
    }
    if connect.secret.is_some() {
        return Ok(connect.secret.clone());
    }
    // It is of use on its own host only, and shown to nobody else.
    if user == FIRST_USER && place.private() {
        return Ok(first_line(&connect.global.data_dir().join(FIRST_PASSWORD)).ok());
    }
    Ok(None)
}

fn first_line(path: &Path) -> io::Result<Secret> {
    let text = fs::read_to_string(path).map(Secret::new)?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().to_owned()))
}

fn ask(user: &str) -> Result<Secret, Fail> {
    let prompt = format!("Password of {}: ", one_line(user));
    rpassword::prompt_password(prompt)
        .map(Secret::new)
        .map_err(|error| Fail::usage(format!("cannot ask for the password: {error}; use --password-file")))
}
