//! `doctor`: what an operator should look into.

use mupdate_host::admin::api::{Finding, Severity};

use super::Session;
use crate::{
    connect::http::Target,
    fail::{Code, Fail},
    show::{
        Out,
        table::{BAD, DIM, WARN},
        text::{one_line, shown},
    },
};

/// Subjects of a finding that are shown.
const SUBJECTS: usize = 5;

pub(super) fn run(session: &mut Session<'_>) -> Result<(), Fail> {
    let mut findings: Vec<Finding> = session.connect.admin()?.items(&Target::new("/v1/doctor"))?;
    // The worst first; otherwise as they came.
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let out = &mut session.out;
    if out.json {
        out.document(&findings)?;
    } else if findings.is_empty() {
        out.line("nothing was found")?;
    } else {
        findings.iter().try_for_each(|finding| show(finding, out))?;
    }
    match findings.first().map(|finding| finding.severity) {
        None | Some(Severity::Note) => Ok(()),
        Some(Severity::Warning) => Err(Fail::Silent(Code::No)),
        Some(Severity::Alarm) => Err(Fail::Silent(Code::Alarm)),
    }
}

fn show(finding: &Finding, out: &mut Out) -> Result<(), Fail> {
    let (style, word) = match finding.severity {
        Severity::Note => (DIM, "note"),
        Severity::Warning => (WARN, "warning"),
        Severity::Alarm => (BAD, "ALARM"),
    };
    let (check, text) = (one_line(&finding.check), one_line(&finding.text));
    out.line(format_args!("{style}{word:<8}{style:#} {check}: {text}"))?;
    if !finding.subjects.is_empty() {
        let mut subjects: Vec<_> = finding.subjects.iter().take(SUBJECTS).map(shown).collect();
        match finding.subjects.len().checked_sub(SUBJECTS) {
            None | Some(0) => {}
            Some(more) => subjects.push(format!("{more} more")),
        }
        out.line(format_args!("         {}", subjects.join(", ")))?;
    }
    out.line(format_args!("         {DIM}do:{DIM:#} {}", one_line(&finding.advice)))
}
