//! `GET /v1/events`: all that the status page shows, as it changes.

use std::{
    io::{self, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Answer, Call, Out};
use crate::admin::{Admin, board::EVERY, http::Refused};

/// Something is said after so long, though nothing has changed: who hears nothing for longer knows that the line is dead.
const SILENT: Duration = Duration::from_secs(10);

/// Whoever loses the line is to come again after so many milliseconds.
const RETRY: &str = "retry: 2000\n\n";

/// Events of server-sent events (HTML section 9.2), one kind: `state`, whose data is [`State`](crate::admin::api::State) on
/// one line. One at once, one whenever something has changed, and one after ten seconds. A peer that reads slowly is given
/// what is so when it has read, and nothing of what was in between.
pub(super) fn events(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let admin = Arc::clone(call.admin);
    // What is wrong with the directory is said in words here, and nowhere later.
    admin.board.state(&admin)?;
    Ok(Answer::events(move |out| follow(&admin, out)))
}

fn follow(admin: &Admin, out: &mut Out<'_>) -> io::Result<()> {
    out.write_all(RETRY.as_bytes())?;
    let mut said = None;
    loop {
        let made = admin.board.state(admin)?;
        let now = Instant::now();
        if said.is_none_or(|(number, at)| number != made.number || now >= at + SILENT) {
            out.write_all(b"event: state\ndata: ")?;
            out.write_all(&made.json)?;
            out.write_all(b"\n\n")?;
            said = Some((made.number, now));
        }
        let next = now + EVERY;
        // What was written before may have woken this thread late.
        out.flush()?;
        loop {
            if !out.rest(Some(next))? {
                return Ok(());
            }
            if Instant::now() >= next {
                break;
            }
        }
    }
}
