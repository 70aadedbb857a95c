//! `lattice gc`.

use std::time::Duration;

use clap::Args;
use indicatif::HumanBytes;
use openlattice_engine::GcSpec;
use openlattice_local::LocalProvider;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{output, value};

/// Remove abandoned sandboxes and unused data
///
/// Sandboxes whose owner is gone are ended. On the local store, output of commands that ended over an hour ago, results older than 7 days,
/// expired images and volumes, and what a crash left half done are removed too; `lattice` does so now and then by itself.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice gc
  lattice gc --older 1h
  lattice gc --all --json")]
pub(crate) struct Gc {
    /// Also remove output and results of all sandboxes that have ended
    #[arg(long, conflicts_with = "older")]
    all: bool,
    /// Also remove output and results of sandboxes that ended longer ago than this, such as 1h
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    older: Option<Duration>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What was done.
#[derive(Debug, Default, Serialize)]
struct Report {
    ended: Vec<String>,
    removed: Vec<String>,
    images: Vec<String>,
    volumes: Vec<String>,
    bytes: u64,
}

impl Gc {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let report =
            if context.is_local() { self.local(context).await? } else { self.elsewhere(context).await? };
        if self.json { output::print_json(&report) } else { output::print(&report.text()) }
    }

    async fn elsewhere(&self, context: &Context) -> Result<Report> {
        if self.all || self.older.is_some() {
            let text = "--all and --older are about the local store\nhint: leave --provider out";
            return Err(Failure::new(openlattice::ErrorKind::Unsupported, text));
        }
        let report = context.provider().await?.gc().await?;
        Ok(Report { ended: texts(&report.ended), ..Report::default() })
    }

    /// The engine's own round, which says more than the contract's.
    async fn local(&self, context: &Context) -> Result<Report> {
        let engine = context.engine("gc").await?;
        let abandoned = LocalProvider::end_abandoned(&engine).await?;
        let spec = match (self.all, self.older) {
            (true, _) => GcSpec::all(),
            (false, Some(age)) => GcSpec::older(age),
            (false, None) => GcSpec::default(),
        };
        let report = engine.gc(spec).await?;
        let mut ended = texts(&abandoned);
        ended.extend(texts(&report.ended));
        Ok(Report {
            ended,
            removed: texts(&report.removed),
            images: texts(&report.images),
            volumes: texts(&report.volumes),
            bytes: report.bytes,
        })
    }
}

fn texts<T: ToString>(ids: &[T]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl Report {
    /// A line for each kind of thing, with the ids of what lived until now.
    fn text(&self) -> String {
        let mut text: String = self.ended.iter().map(|id| format!("ended {id}\n")).collect();
        for (ids, what) in
            [(&self.removed, "sandboxes"), (&self.images, "images"), (&self.volumes, "volumes")]
        {
            if !ids.is_empty() {
                text.push_str(&format!("removed {} {what}\n", ids.len()));
            }
        }
        text.push_str(&format!("freed {}\n", HumanBytes(self.bytes)));
        text
    }
}
