//! `lattice doctor`.

mod host;
mod trial;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::failure::Result;
use crate::output;

/// Check what this machine offers to nodes, and make one for trial
///
/// Exits with 0 when nodes work here, with 1 when something that they need is missing.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice doctor --json | jq '.[] | select(.status != \"ok\")'")]
pub(crate) struct Doctor {
    /// As a JSON list
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
    /// Nodes work, with less than they could have.
    Limited,
    /// Nodes do not work.
    Missing,
}

impl Finding {
    fn new(name: &'static str, status: Status, detail: impl Into<String>) -> Self {
        Self { name, status, detail: detail.into() }
    }

    /// A thing that nodes cannot do without.
    fn needed(name: &'static str, there: bool, detail: impl Into<String>) -> Self {
        Self::new(name, if there { Status::Ok } else { Status::Missing }, detail)
    }
}

impl Doctor {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let mut findings = host::findings(&context.state_dir);
        findings.extend(trial::findings(context).await);
        if self.json {
            output::print_json(&findings)?;
        } else {
            output::print(&text(&findings))?;
        }
        Ok(u8::from(findings.iter().any(|finding| finding.status == Status::Missing)))
    }
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
