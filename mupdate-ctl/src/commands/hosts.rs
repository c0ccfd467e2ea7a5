//! `hosts`: the backends.

use std::collections::BTreeMap;

use anstyle::Style;
use clap::Args;
use mupdate_host::admin::api::{Host, HostOrder, MailboxState, OrderSource, Partition};

use super::{
    Session,
    shared::{Filter, mailboxes, partition, server},
};
use crate::{
    connect::{Way, http::Target},
    fail::Fail,
    show::{
        Table,
        table::{DIM, WARN},
        text::{count, one_line, shown},
    },
};

/// How much is shown of them.
#[derive(Debug, Args)]
pub struct Options {
    /// Show their partitions
    #[arg(long, short)]
    partitions: bool,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    // The list of everything says no more than how many there are.
    let (hosts, known): (Vec<Host>, usize) = match session.connect.way()? {
        Way::Admin(admin) => (admin.items(&Target::new("/v1/hosts"))?, 6),
        mut wire @ Way::Wire(_) => (counted(&mut wire)?, 3),
    };
    if session.out.json {
        return session.out.document(&hosts);
    }
    let heads = ["server", "active", "reserved", "order", "changed", "state"];
    let mut table = Table::new(&heads[..known]).right(&[1, 2]);
    for host in &hosts {
        let cells = [
            shown(&host.server),
            count(host.active),
            count(host.reserved),
            host.order.as_ref().map_or_else(|| "-".into(), order),
            host.changed_ms.map_or_else(|| "-".into(), |ms| session.out.clock.at(ms)),
            if host.draining { "draining".into() } else { "-".into() },
        ];
        let style = if host.draining { WARN } else { Style::new() };
        table.styled(style, cells.into_iter().take(known));
        for part in host.partitions.iter().filter(|_| options.partitions) {
            let name = shown(&part.partition);
            let name = if name.is_empty() { "(none said)".into() } else { name };
            let dash = || "-".to_owned();
            let cells =
                [format!("  {name}"), count(part.active), count(part.reserved), dash(), dash(), dash()];
            table.styled(DIM, cells.into_iter().take(known));
        }
    }
    session.out.table_or(&mut table, "no server has a name yet")
}

fn order(order: &HostOrder) -> String {
    let how = match order.source {
        OrderSource::Configured => "configured",
        OrderSource::Learned => "learned",
    };
    format!("{} ({how})", one_line(&order.order))
}

/// What the list of everything says of the backends.
fn counted(way: &mut Way) -> Result<Vec<Host>, Fail> {
    // Server, then partition: active and reserved.
    let mut counts: BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, [u64; 2]>> = BTreeMap::new();
    mailboxes(way, &Filter::default(), |mailbox| {
        let of_server = match counts.get_mut(server(&mailbox)) {
            Some(known) => known,
            None => counts.entry(server(&mailbox).to_vec()).or_default(),
        };
        let of_partition = match of_server.get_mut(partition(&mailbox)) {
            Some(known) => known,
            None => of_server.entry(partition(&mailbox).to_vec()).or_default(),
        };
        of_partition[usize::from(mailbox.state == MailboxState::Reserved)] += 1;
        Ok(())
    })?;
    let host = |(server, partitions): (Vec<u8>, BTreeMap<Vec<u8>, [u64; 2]>)| {
        let partition = |(partition, [active, reserved]): (Vec<u8>, [u64; 2])| Partition {
            partition: partition.into(),
            active,
            reserved,
        };
        let partitions: Vec<Partition> = partitions.into_iter().map(partition).collect();
        Host {
            server: server.into(),
            active: partitions.iter().map(|partition| partition.active).sum(),
            reserved: partitions.iter().map(|partition| partition.reserved).sum(),
            partitions,
            order: None,
            changed_ms: None,
            draining: false,
        }
    };
    Ok(counts.into_iter().map(host).collect())
}
