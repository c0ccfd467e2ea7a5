//! `clients`, `kick`: who is connected.

use clap::Args;
use mupdate_host::admin::api::{Client, Doing};

use super::Session;
use crate::{
    connect::http::Target,
    fail::{Code, Fail},
    show::{
        Table,
        text::{count, one_line, shown},
        time::{ago, lasting},
    },
};

pub(super) fn run(session: &mut Session<'_>) -> Result<(), Fail> {
    let clients: Vec<Client> = session.connect.admin()?.items(&Target::new("/v1/clients"))?;
    if session.out.json {
        return session.out.document(&clients);
    }
    let heads = ["number", "user", "peer", "layers", "for", "commands", "doing"];
    let mut table = Table::new(&heads).right(&[0, 4, 5]);
    for client in &clients {
        let layers = match (client.tls, client.compressed) {
            (true, true) => "tls deflate",
            (true, false) => "tls",
            (false, true) => "deflate",
            (false, false) => "-",
        };
        table.row([
            client.number.to_string(),
            client.user.as_deref().map_or_else(|| "-".into(), one_line),
            one_line(&client.peer),
            layers.into(),
            ago(client.since_ms),
            count(client.commands),
            doing(client),
        ]);
    }
    session.out.table_or(&mut table, "nobody is connected")
}

fn doing(client: &Client) -> String {
    let Some(stream) = &client.stream else {
        return match client.doing {
            Doing::Login => "login".into(),
            Doing::Commands => "commands".into(),
            Doing::Stream => "stream".into(),
        };
    };
    let mut text = String::from("stream");
    if !stream.servers.is_empty() {
        let servers: Vec<_> = stream.servers.iter().map(shown).collect();
        text.push_str(&format!(" of {}", servers.join(", ")));
    }
    match stream.behind {
        0 => text.push_str(", in step"),
        behind => text.push_str(&format!(", {} behind for {}", count(behind), lasting(stream.lag_ms))),
    }
    text
}

/// Whose connections are closed.
#[derive(Debug, Args)]
pub struct Kick {
    /// Numbers of connections, as `clients` shows them
    #[arg(required = true, value_name = "NUMBER")]
    numbers: Vec<u64>,
}

pub(super) fn kick(options: &Kick, session: &mut Session<'_>) -> Result<(), Fail> {
    let admin = session.connect.admin()?;
    let mut missing = false;
    for number in &options.numbers {
        match admin.act(&Target::new(format!("/v1/clients/{number}/kick")), &serde_json::json!({})) {
            Ok(_) if session.out.json => {
                session.out.json_line(&serde_json::json!({ "number": number, "kicked": true }))?;
            }
            Ok(_) => session.out.line(format_args!("{number} closed"))?,
            // The others are closed nevertheless.
            Err(Fail::Said(Code::No, _)) if session.out.json => {
                missing = true;
                session.out.json_line(&serde_json::json!({ "number": number, "kicked": false }))?;
            }
            Err(Fail::Said(Code::No, why)) => {
                missing = true;
                session.out.line(format_args!("{number} not closed: {why}"))?;
            }
            Err(other) => return Err(other),
        }
    }
    if missing { Err(Fail::Silent(Code::No)) } else { Ok(()) }
}
