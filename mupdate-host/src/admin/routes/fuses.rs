//! `GET /v1/fuses`, `POST /v1/fuses/release`: users whose changes are held.

use tracing::error;

use super::{Answer, Call};
use crate::{
    admin::{
        api::{Fuse, ReleaseFuse},
        http::Refused,
        unix_ms,
    },
    fuses,
};

/// All fuses that have blown.
pub(super) fn list(call: &mut Call<'_>) -> Result<Answer, Refused> {
    // When they blew is known to their files alone; a file that could not be written has no time.
    let files = fuses::list(&call.admin.data_dir).unwrap_or_else(|error| {
        error!(%error, "the files of fuses cannot be read");
        Vec::new()
    });
    let since = |user: &str| files.iter().find(|file| file.principal == user).and_then(|file| file.since);
    let blown = call.service().fuses.blown().into_iter().map(|(user, kinds)| Fuse {
        holds: kinds.iter().map(|kind| kind.as_str().to_owned()).collect(),
        since_ms: since(&user).map(unix_ms),
        user,
    });
    Ok(Answer::json(&blown.collect::<Vec<_>>()))
}

/// Let a user go on: at once, and over restarts. Answers with what was asked; 404 if there is nothing to release.
pub(super) fn release(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let asked: ReleaseFuse = call.body.json()?;
    match call.service().fuses.release_now(&asked.user) {
        Ok(true) => Ok(Answer::json(&asked)),
        Ok(false) => Err(Refused::missing(format!("no fuse of {} has blown", asked.user.escape_debug()))),
        Err(error) => Err(Refused::new(500, format!("the file of the fuse cannot be removed: {error}"))),
    }
}
