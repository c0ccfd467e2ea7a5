//! What the tool does: a file for each command.

mod ask;
mod backup;
mod clients;
mod diff;
mod doctor;
mod export;
mod find;
mod fuse;
mod history;
mod host;
mod hosts;
mod import;
mod list;
mod pages;
mod pairs;
mod reservations;
mod role;
mod shared;
mod status;
mod tree;
mod undo;
mod user;
mod watch;

use clap::Subcommand;
use mupdate_host::cli::UserCommand;

use crate::{bench, connect::Connect, fail::Fail, show::Out};

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say how a daemon is, in brief
    ///
    /// Ends with 1 if it is not ready.
    Status,
    /// Say where mailboxes are
    ///
    /// Ends with 1 if one of them is nowhere.
    Find(find::Options),
    /// List mailboxes
    #[command(visible_alias = "ls")]
    List(list::Options),
    /// Show the names as a hierarchy, with how many there are and where
    Tree(tree::Options),
    /// Show changes as they happen
    ///
    /// A mailbox that leaves the backend which is watched is shown as deleted. What the server tells again, as ours does of
    /// some names at first, is shown again. Ctrl-C ends it.
    Watch(watch::Options),
    /// Show the backends and what they have
    Hosts(hosts::Options),
    /// Have a backend take no new mailboxes, or take them again
    #[command(subcommand)]
    Host(host::Command),
    /// Show who is connected
    Clients,
    /// Close connections
    Kick(clients::Kick),
    /// Show names that are reserved, and give them free
    Reservations(reservations::Options),
    /// Give reserved names free: as `reservations release`
    Release(reservations::Names),
    /// Show who changed what, newest first
    History(history::Options),
    /// Show mailboxes that were taken from another backend, newest first
    Takeovers(history::Page),
    /// Bring names back to what they were
    ///
    /// All changes since a moment that fit what is given are taken back. The plan is shown first. A name that changes before it
    /// is carried out is left alone, and told; then the command ends with 1.
    Undo(undo::Options),
    /// Show who speaks for which backend, and how far replicas lag behind
    ///
    /// Pairs are those of [pairs], and those that the daemon has noticed since its start.
    Pairs(pairs::Options),
    /// Say what should be looked into
    ///
    /// Ends with 1 at warnings, and with 3 at alarms.
    Doctor,
    /// Show and release fuses that have blown: users who took over or deleted too many names at a time
    #[command(subcommand)]
    Fuse(fuse::Command),
    /// Add, import, list and remove the users of a data directory on this host
    #[command(subcommand, after_help = "A running daemon takes changes over when it gets SIGHUP.")]
    User(UserCommand),
    /// Write the directory as a list to standard output
    ///
    /// The forms of Cyrus are those that `ctl_mboxlist -d` writes and `ctl_mboxlist -u` reads. Changes that come meanwhile may be
    /// in it or not.
    Export(export::Options),
    /// Take a list of mailboxes over: all of it, or nothing
    ///
    /// Names of the list become what it says; others stay, unless --replace is given. Nothing is done if one of its rows is
    /// wrong, or if one of these names is changed meanwhile.
    Import(import::Options),
    /// Compare the directory with another server's, or with a list in a file
    ///
    /// Ends with 1 if they differ. What changes meanwhile may be shown as a difference.
    Diff(diff::Options),
    /// Make a replica the master
    ///
    /// Refused while its old master answers as one, or if the replica may not have everything; --force does it all the same.
    Promote(role::Promotion),
    /// Make the master a replica of the server that `[upstream]` names
    Demote(role::Demotion),
    /// Copy the database of a running daemon into a file
    ///
    /// The copy is consistent and without gaps; it is a data.mdb, as a data directory has it. The file has its name only once
    /// everything is on the disk, and is its owner's alone.
    Backup(backup::Options),
    /// Measure a server under load, or two servers in turns
    Bench(Box<bench::Options>),
    /// Write completions for a shell to standard output
    Completions(pages::Completions),
    /// Write man pages of the tool and the daemons into a directory
    Man(pages::Man),
}

/// What a command works with.
pub struct Session<'a> {
    /// The server.
    pub connect: Connect<'a>,
    /// Standard output.
    pub out: Out,
}

/// Does what a command says.
///
/// # Errors
/// It cannot be done, or the answer is no.
pub fn run(command: Command, session: &mut Session<'_>) -> Result<(), Fail> {
    match command {
        Command::Status => status::run(session),
        Command::Find(options) => find::run(&options, session),
        Command::List(options) => list::run(&options, session),
        Command::Tree(options) => tree::run(&options, session),
        Command::Watch(options) => watch::run(&options, session),
        Command::Hosts(options) => hosts::run(&options, session),
        Command::Host(command) => host::run(&command, session),
        Command::Clients => clients::run(session),
        Command::Kick(options) => clients::kick(&options, session),
        Command::Reservations(options) => reservations::run(&options, session),
        Command::Release(names) => reservations::release(&names, session),
        Command::History(options) => history::run(&options, session),
        Command::Takeovers(page) => history::takeovers(&page, session),
        Command::Undo(options) => undo::run(&options, session),
        Command::Pairs(options) => pairs::run(&options, session),
        Command::Doctor => doctor::run(session),
        Command::Fuse(command) => fuse::run(&command, session),
        Command::User(command) => user::run(command, session),
        Command::Export(options) => export::run(&options, session),
        Command::Import(options) => import::run(&options, session),
        Command::Diff(options) => diff::run(&options, session),
        Command::Promote(options) => role::promote(&options, session),
        Command::Demote(options) => role::demote(&options, session),
        Command::Backup(options) => backup::run(&options, session),
        Command::Bench(options) => Ok(bench::run(&options)?),
        Command::Completions(options) => pages::completions(&options, session),
        Command::Man(options) => pages::man(&options),
    }
}
