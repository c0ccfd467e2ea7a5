//! `GET /v1/reservations`, `POST /v1/reservations/release`: names that are taken, and perhaps by nobody any more.

use std::io::{self, Write};

use mupdate_proto::MailboxName;

use super::{Answer, Call};
use crate::{
    admin::{
        api::{Release, Released, Text},
        http::Refused,
    },
    clock::now_millis,
    history,
    writer::{Operated, Operation, Origin},
};

/// All that are older than `older_than_s`, which is 0 unless it is said: a list in JSON, written by and by, since a backend
/// can reserve as many as it likes.
pub(super) fn reservations(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let seconds: u64 = call.request.query.parsed("older_than_s", "a number of seconds")?.unwrap_or(0);
    let store = call.service().store.clone();
    Ok(Answer::stream("application/json", None, move |out| {
        let mut between: &[u8] = b"[";
        history::reservations(&store, seconds.saturating_mul(1000), now_millis(), |one| {
            out.write_all(between)?;
            between = b",";
            serde_json::to_writer(&mut *out, &one).map_err(io::Error::from)
        })?;
        out.write_all(if between == b"[" { b"[]\n" } else { b"]\n" })
    }))
}

pub(super) fn release(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let Release { names } = call.body.json()?;
    let mut wanted = Vec::with_capacity(names.len());
    for (name, revision) in names {
        let mailbox = MailboxName::new(name.as_bytes().to_vec());
        let mailbox = mailbox.map_err(|_| Refused::bad(format!("{name:?} is no mailbox name")))?;
        wanted.push((mailbox, revision));
    }
    let text = |mailbox: &MailboxName| Text::from(mailbox.as_bytes());
    let mut done = Released { released: Vec::new(), left: Vec::new() };
    // Between steps the changes of others go on.
    for step in wanted.chunks(Operation::STEP) {
        match operate(call, Operation::Release(step.to_vec())) {
            Ok(Operated::Released(released, left)) => {
                done.released.extend(released.iter().map(text));
                done.left.extend(left.iter().map(|(mailbox, why)| (text(mailbox), why.clone())));
            }
            Ok(other) => unreachable!("a release is answered with {other:?}"),
            Err(refused) if done.released.is_empty() => return Err(refused),
            Err(Refused { status, error }) => {
                let (released, all) = (done.released.len(), wanted.len());
                let error = format!("{released} of {all} names were released, the others were not: {error}");
                return Err(Refused::new(status, error));
            }
        }
    }
    Ok(Answer::json(&done))
}

/// Have the writer do something. What it refuses is a conflict with what is there.
pub(super) fn operate(call: &Call<'_>, operation: Operation) -> Result<Operated, Refused> {
    call.service().writer.operate(operation, origin(call)).map_err(|reason| Refused::new(409, reason))
}

/// Who does something, for the journal.
pub(super) fn origin(call: &Call<'_>) -> Origin {
    Origin { principal: call.who.to_string().into(), peer: "admin".into() }
}
