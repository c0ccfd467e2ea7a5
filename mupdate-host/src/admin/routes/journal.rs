//! `GET /v1/journal`: who changed what, newest first.

use std::io;

use clap::ValueEnum;

use super::{Answer, Call};
use crate::{
    admin::{api::Deed, http::Refused},
    history::{self, Wanted},
};

/// Entries that one answer has unless more are asked for.
const LIMIT: u64 = 100;

/// As many as `limit` says; 0 is all. `before` goes on where an answer ended.
pub(super) fn journal(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let query = &call.request.query;
    let wanted = Wanted {
        mailbox: query.octets("mailbox").map(<[u8]>::to_vec),
        server: query.octets("server").map(<[u8]>::to_vec),
        user: query.text("user")?.map(str::to_owned),
        deed: query.text("deed")?.map(deed).transpose()?,
        takeovers: query.flag("takeovers")?,
    };
    let before = query.parsed("before", "a revision")?;
    let limit = query.parsed("limit", "a number")?.unwrap_or(LIMIT);
    let store = call.service().store.clone();
    Ok(Answer::lines(move |out| {
        let mut said = 0;
        history::journal(&store, &wanted, before, |entry| {
            out.line(&history::shown(entry))?;
            said += 1;
            Ok::<_, io::Error>(said != limit && !out.is_closing())
        })
    }))
}

fn deed(text: &str) -> Result<Deed, Refused> {
    Deed::from_str(text, false).map_err(|_| {
        let all: Vec<String> = Deed::value_variants().iter().map(|deed| deed.word()).collect();
        Refused::bad(format!("deed: one of {} is allowed", all.join(", ")))
    })
}
