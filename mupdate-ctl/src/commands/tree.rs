//! `tree`: the names as a hierarchy.

use std::{collections::BTreeMap, ffi::OsString};

use clap::Args;
use mupdate_host::admin::api::{MailboxState, Text};
use serde::Serialize;

use super::{
    Session,
    shared::{Filter, mailboxes, octets, server},
};
use crate::{
    fail::Fail,
    show::{
        Table,
        table::DIM,
        text::{count, escaped},
    },
};

/// Which part of it.
#[derive(Debug, Args)]
pub struct Options {
    /// Only what is at this name, and below it
    #[arg(value_name = "NAME")]
    name: Option<OsString>,
    #[command(flatten)]
    filter: Filter,
    /// Show so many levels
    #[arg(long, short, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..))]
    depth: u8,
    /// Show so many names below each
    #[arg(long, value_name = "N", default_value_t = 20)]
    width: usize,
}

/// A name, and all below it.
#[derive(Default)]
struct Node {
    children: BTreeMap<Vec<u8>, Node>,
    /// Active and reserved, its own included.
    counts: [u64; 2],
    servers: BTreeMap<Vec<u8>, u64>,
}

/// A line of the tree, for programs.
#[derive(Serialize)]
struct Line {
    name: Text,
    depth: usize,
    active: u64,
    reserved: u64,
    servers: Vec<(Text, u64)>,
}

pub(super) fn run(options: &Options, session: &mut Session<'_>) -> Result<(), Fail> {
    let top = options.name.as_ref().map(octets);
    let mut root = Node::default();
    let mut way = session.connect.way()?;
    mailboxes(&mut way, &options.filter, |mailbox| {
        if let Some(path) = below(top.as_deref(), mailbox.mailbox.as_bytes()) {
            let reserved = mailbox.state == MailboxState::Reserved;
            root.add(path.into_iter().take(options.depth.into()), server(&mailbox), reserved);
        }
        Ok(())
    })?;
    if session.out.json {
        return root.json(top.as_deref().unwrap_or_default(), 0, session);
    }
    let mut table = Table::new(&["name", "active", "reserved", "servers"]).right(&[1, 2]);
    root.row(top.as_deref().map_or_else(|| "(all)".into(), escaped), &mut table);
    root.rows("", options.width, &mut table);
    session.out.table(&mut table)
}

/// The steps from `top` to a name: its domain (`example.org!`), and what stands between its dots. `None`: it is elsewhere.
fn below<'a>(top: Option<&[u8]>, name: &'a [u8]) -> Option<Vec<&'a [u8]>> {
    let rest = match top {
        None => name,
        Some(top) => {
            let rest = name.strip_prefix(top)?;
            // A domain ends with its bang, any other name before a dot.
            if !rest.is_empty() && !top.ends_with(b"!") && rest[0] != b'.' {
                return None;
            }
            rest.strip_prefix(b".").filter(|_| !top.ends_with(b"!")).unwrap_or(rest)
        }
    };
    let domain = rest.iter().position(|octet| *octet == b'!').map_or(0, |bang| bang + 1);
    let (domain, path) = rest.split_at(domain);
    let steps = std::iter::once(domain).chain(path.split(|octet| *octet == b'.'));
    Some(
        steps
            .enumerate()
            .filter(|(number, step)| *number > 0 && !rest.is_empty() || !step.is_empty())
            .map(|(_, step)| step)
            .collect(),
    )
}

impl Node {
    fn add<'a>(&mut self, mut path: impl Iterator<Item = &'a [u8]>, server: &[u8], reserved: bool) {
        self.counts[usize::from(reserved)] += 1;
        match self.servers.get_mut(server) {
            Some(number) => *number += 1,
            None => drop(self.servers.insert(server.to_vec(), 1)),
        }
        if let Some(step) = path.next() {
            match self.children.get_mut(step) {
                Some(child) => child.add(path, server, reserved),
                None => self.children.entry(step.to_vec()).or_default().add(path, server, reserved),
            }
        }
    }

    fn row(&self, name: String, table: &mut Table) {
        table.row([name, count(self.counts[0]), count(self.counts[1]), self.places()]);
    }

    fn rows(&self, indent: &str, width: usize, table: &mut Table) {
        for (number, (name, child)) in self.children.iter().enumerate() {
            if number == width {
                let more =
                    format!("{indent}└ {} more (--width)", count((self.children.len() - width) as u64));
                return table.styled(DIM, [more, String::new(), String::new(), String::new()]);
            }
            let last = number + 1 == self.children.len();
            let (branch, below) = if last { ("└ ", "  ") } else { ("├ ", "│ ") };
            child.row(format!("{indent}{branch}{}", escaped(name)), table);
            child.rows(&format!("{indent}{below}"), width, table);
        }
    }

    /// Where it is: the server with most of it, and how many more there are.
    fn places(&self) -> String {
        match &self.sorted()[..] {
            [] => "-".into(),
            [(server, _)] => escaped(server),
            [(server, number), others @ ..] => {
                format!("{} {}, {} more", escaped(server), count(*number), others.len())
            }
        }
    }

    fn sorted(&self) -> Vec<(&[u8], u64)> {
        let mut sorted: Vec<_> = self.servers.iter().map(|(server, number)| (&server[..], *number)).collect();
        sorted.sort_by_key(|(_, number)| std::cmp::Reverse(*number));
        sorted
    }

    fn json(&self, name: &[u8], depth: usize, session: &mut Session<'_>) -> Result<(), Fail> {
        let servers = self.sorted().into_iter().map(|(server, number)| (server.into(), number)).collect();
        let [active, reserved] = self.counts;
        session.out.json_line(&Line { name: name.into(), depth, active, reserved, servers })?;
        self.children.iter().try_for_each(|(step, child)| {
            let dot: &[u8] = if name.is_empty() || name.ends_with(b"!") { b"" } else { b"." };
            child.json(&[name, dot, step].concat(), depth + 1, session)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(top: Option<&str>, name: &str) -> Option<String> {
        let steps = below(top.map(str::as_bytes), name.as_bytes())?;
        Some(steps.iter().map(|step| escaped(step)).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn names_are_taken_apart_at_dots_and_domains() {
        assert_eq!(path(None, "user.alice.Sent").as_deref(), Some("user alice Sent"));
        assert_eq!(path(None, "example.org!user.alice").as_deref(), Some("example.org! user alice"));
        assert_eq!(path(Some("user"), "user.alice.Sent").as_deref(), Some("alice Sent"));
        assert_eq!(path(Some("user.alice"), "user.alice").as_deref(), Some(""));
        assert_eq!(path(Some("user.al"), "user.alice"), None);
        assert_eq!(path(Some("example.org!"), "example.org!user.a").as_deref(), Some("user a"));
    }

    #[test]
    fn counts_are_those_of_all_below() {
        let mut root = Node::default();
        for (name, server, reserved) in
            [("user.a", "be1", false), ("user.a.b", "be2", false), ("shared", "be2", true)]
        {
            root.add(below(None, name.as_bytes()).unwrap().into_iter().take(2), server.as_bytes(), reserved);
        }
        assert_eq!(root.counts, [2, 1]);
        assert_eq!(root.children[&b"user"[..]].children[&b"a"[..]].counts, [2, 0]);
        assert_eq!(root.places(), "be2 2, 1 more");
        assert_eq!(root.children[&b"shared"[..]].places(), "be2");
    }
}
