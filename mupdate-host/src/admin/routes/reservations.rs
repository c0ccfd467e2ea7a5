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
    match operate(call, Operation::Release(wanted))? {
        Operated::Released(released, left) => {
            let text = |mailbox: &MailboxName| Text::from(mailbox.as_bytes());
            Ok(Answer::json(&Released {
                released: released.iter().map(text).collect(),
                left: left.iter().map(|(mailbox, why)| (text(mailbox), why.clone())).collect(),
            }))
        }
        other => unreachable!("a release is answered with {other:?}"),
    }
}

/// Have the writer do something. What it refuses is a conflict with what is there.
pub(super) fn operate(call: &Call<'_>, operation: Operation) -> Result<Operated, Refused> {
    let origin = Origin { principal: call.who.to_string().into(), peer: "admin".into() };
    call.service().writer.operate(operation, origin).map_err(|reason| Refused::new(409, reason))
}
