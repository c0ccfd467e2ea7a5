//! What is asked for, and what comes of it.

use std::sync::atomic::Ordering;

use mupdate_core::server::{Answered, CommandKind};

use super::{
    describe::{CHANGES, COMMANDS, READS_REFUSED, TAKEOVERS},
    page::Page,
};
use crate::{service::Service, writer::Decision};

pub(super) fn collect(service: &Service, page: &mut Page) {
    let answers = &service.metrics.answers;
    let commands = page.family(&COMMANDS);
    for kind in CommandKind::ALL {
        for answered in Answered::ALL {
            let count = answers.of(kind, answered);
            commands.add([("command", kind.as_str().into()), ("answer", answered.as_str().into())], count);
        }
    }
    let stats = service.writer.stats();
    let changes = page.family(&CHANGES);
    for kind in [CommandKind::Reserve, CommandKind::Activate, CommandKind::Deactivate, CommandKind::Delete] {
        for decision in Decision::ALL {
            let count = stats.decisions.of(kind, decision);
            changes.add([("command", kind.as_str().into()), ("outcome", decision.as_str().into())], count);
        }
    }
    page.say(&TAKEOVERS, stats.takeovers.load(Ordering::Relaxed));
    page.say(&READS_REFUSED, service.permits.reads_refused());
}
