//! `promote`, `demote`: who decides.

use clap::Args;
use mupdate_host::admin::api::{Promote, Turned};

use super::{Session, ask::Consent};
use crate::{connect::http::Target, fail::Fail, show::time::lasting};

/// How a replica becomes the master.
#[derive(Debug, Args)]
pub struct Promotion {
    /// Whatever may be lost, and though there may be another master
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    consent: Consent,
}

/// How a master becomes a replica.
#[derive(Debug, Args)]
pub struct Demotion {
    #[command(flatten)]
    consent: Consent,
}

pub(super) fn promote(options: &Promotion, session: &mut Session<'_>) -> Result<(), Fail> {
    let admin = session.connect.admin()?;
    if options.force {
        options.consent.ask("Become the master, whatever may be lost, and though there may be another?")?;
    }
    let turned: Turned = admin.post(&Target::new("/v1/promote"), &Promote { force: options.force })?;
    let lag = match turned.lag_ms {
        Some(lag) => format!("; it was last sure to have everything {} before", lasting(lag)),
        None => String::new(),
    };
    tell(&turned, &format!("this is the master now{lag}"), session)
}

pub(super) fn demote(options: &Demotion, session: &mut Session<'_>) -> Result<(), Fail> {
    let admin = session.connect.admin()?;
    options.consent.ask("Take no changes any more, and follow the master that [upstream] names?")?;
    let turned: Turned = admin.post(&Target::new("/v1/demote"), &serde_json::json!({}))?;
    tell(&turned, "this takes no changes any more; promote the other now", session)
}

fn tell(turned: &Turned, text: &str, session: &mut Session<'_>) -> Result<(), Fail> {
    if session.out.json { session.out.document(turned) } else { session.out.line(text) }
}
