//! `lattice doctor`.

mod host;
mod store;
mod trial;

use std::path::Path;

use clap::Args;
use openlattice::ErrorKind;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::output;

/// Check this machine and start a test sandbox
///
/// Exits with 0 when sandboxes work here, with 1 when something that they need is missing. Of another machine's sandboxes, as those of
/// Modal, only the test is made.
///
/// With --store it compares instead what the store says with what is there, and changes nothing: it exits with 0 when the store is
/// clean, with 1 when something does not fit, which is named with its remedy.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice doctor --json | jq '.[] | select(.status != \"ok\")'
  lattice doctor --store")]
pub(crate) struct Doctor {
    /// Check the store instead of the machine
    #[arg(long)]
    store: bool,
    /// As JSON: a list of what was looked at, or with --store what the store holds and what does not fit
    #[arg(long)]
    json: bool,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    name: &'static str,
    status: Status,
    detail: String,
}

/// What a finding means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// Sandboxes work, with less than they could have.
    Limited,
    /// Sandboxes do not work.
    Missing,
}

impl Finding {
    fn new(name: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into() }
    }

    /// A thing that sandboxes cannot do without.
    fn needed(name: &'static str, there: bool, detail: impl Into<String>) -> Self {
        Self::new(name, if there { Status::Ok } else { Status::Missing }, detail)
    }
}

impl Doctor {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        if self.store {
            return store::check(context, self.json).await;
        }
        let mut findings = if context.is_here() { host::findings(&context.state_dir) } else { Vec::new() };
        findings.extend(trial::findings(context).await);
        if self.json {
            output::print_json(&findings)?;
        } else {
            output::print(&text(&findings))?;
        }
        Ok(u8::from(findings.iter().any(|finding| finding.status == Status::Missing)))
    }
}

/// Refuses a machine that cannot run sandboxes, in the words of `lattice doctor`.
pub(crate) fn require_host(state_dir: &Path) -> Result<()> {
    let mut findings = host::findings(state_dir);
    findings.retain(|finding| finding.status == Status::Missing);
    if findings.is_empty() {
        return Ok(());
    }
    let lines = text(&findings);
    Err(Failure::new(
        ErrorKind::Unsupported,
        format!("this machine cannot run sandboxes\n{}", lines.trim_end()),
    ))
}

fn text(findings: &[Finding]) -> String {
    let word = |status| match status {
        Status::Ok => "ok",
        Status::Limited => "limited",
        Status::Missing => "MISSING",
    };
    let rows: Vec<[String; 3]> = findings
        .iter()
        .map(|finding| [word(finding.status).to_owned(), finding.name.to_owned(), finding.detail.clone()])
        .collect();
    output::table(&rows)
}
