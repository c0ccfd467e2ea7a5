//! `GET /v1/watch`: changes, as they happen.

use std::{io, sync::Arc};

use mupdate_core::{
    directory::Filter,
    server::{Finish, Row},
};

use super::{Answer, Call, Out, mailboxes::server};
use crate::{
    admin::{
        api::{Mailbox, MailboxState},
        http::Refused,
    },
    feeds::Subscription,
    inbox::Inbox,
    service::Service,
    store::RowSink,
    sync::lock,
};

/// Of which server.
pub(super) const PARAMETERS: &[&str] = &["server"];

/// Names of a page at most.
const PAGE: usize = 512;

/// Octets of a page after which it ends: ACLs can be long.
const OCTETS: usize = 64 * 1024;

/// A line for each name that has changed, with what it is by now, until the peer goes or the daemon does. Whoever has read
/// the head of the answer misses nothing that is committed afterwards. As with an UPDATE stream, a peer that does not
/// read costs a name once, however often it changes; one that takes nothing for a while is dropped.
pub(super) fn watch(call: &mut Call<'_>) -> Result<Answer, Refused> {
    let filter = match server(&call.request.query)? {
        Some(server) => Filter::Servers([server].into()),
        None => Filter::All,
    };
    let wake = Arc::clone(call.body.wake());
    let inbox = Inbox::new(Box::new(move || wake.wake()));
    let service = Arc::clone(call.service());
    let subscription = service.feeds.subscribe(filter, Arc::clone(&inbox));
    Ok(Answer::lines(move |out| follow(&service, &subscription, &inbox, out)))
}

fn follow(
    service: &Service,
    subscription: &Subscription,
    inbox: &Inbox,
    out: &mut Out<'_>,
) -> io::Result<()> {
    loop {
        if inbox.take().changed {
            lock(subscription.feed()).sort_in();
        }
        let published = service.feeds.published();
        let mut page = Page { subscription, rows: Vec::new(), octets: 0 };
        service.store.drain(subscription, published, &mut page)?;
        let more = !page.rows.is_empty();
        for row in page.rows {
            out.line(&row)?;
        }
        if !more && !out.rest(None)? {
            return Ok(());
        }
    }
}

/// Some changes.
struct Page<'a> {
    subscription: &'a Subscription,
    rows: Vec<Mailbox>,
    octets: usize,
}

impl RowSink for &mut Page<'_> {
    fn full(&self) -> bool {
        self.rows.len() >= PAGE || self.octets >= OCTETS
    }

    fn row(&mut self, row: Row<'_>) {
        // To who watches one server, what has left it is gone.
        if !self.subscription.whole() && !self.subscription.wants(row.location) {
            return self.gone(row.name);
        }
        self.octets += row.name.len() + row.location.len() + row.acl.map_or(0, <[u8]>::len);
        self.rows.push(Mailbox {
            mailbox: row.name.into(),
            state: if row.acl.is_some() { MailboxState::Active } else { MailboxState::Reserved },
            location: Some(row.location.into()),
            acl: row.acl.map(Into::into),
            revision: None,
        });
    }

    fn gone(&mut self, name: &[u8]) {
        self.octets += name.len();
        let state = MailboxState::Deleted;
        self.rows.push(Mailbox { mailbox: name.into(), state, location: None, acl: None, revision: None });
    }

    fn finish(self, _how: Finish) {}
}
