//! `lattice ps`.

use std::time::{Duration, SystemTime};

use clap::Args;
use openlattice::{ListFilter, SandboxInfo, Timestamp};

use crate::context::Context;
use crate::failure::Result;
use crate::{output, value};

/// List sandboxes, newest first
///
/// An abandoned one still runs, but the `lattice run` that it belongs to is gone: `lattice gc` ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice ps -a
  lattice ps --tag job=17
  lattice ps --json | jq -r '.[].id'")]
pub(crate) struct Ps {
    /// Include ended sandboxes
    #[arg(short, long)]
    all: bool,
    /// Filter by tag; repeat to require several
    #[arg(long = "tag", value_name = "K=V", value_parser = value::tag)]
    tags: Vec<(String, String)>,
    /// Filter by name
    #[arg(long)]
    name: Option<String>,
    /// As a JSON list, in the shape of `inspect --json`
    #[arg(long)]
    json: bool,
}

impl Ps {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let tags = value::distinct(&self.tags)?;
        let filter = ListFilter { include_ended: self.all, tags, name: self.name };
        let provider = context.provider().await?;
        let found = provider.list(filter).await?;
        if self.json {
            return output::print_json(&found);
        }
        let now = SystemTime::now();
        let heading = ["ID", "STATE", "AGE", "ENDS", "IMAGE", "NAME"].map(str::to_owned);
        let rows = found.iter().map(|info| row(info, now));
        output::print(&output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>()))
    }
}

fn row(info: &SandboxInfo, now: SystemTime) -> [String; 6] {
    let age = info.created_at.map(|created| span(created, now.into())).unwrap_or_default();
    let ends = info.expires_at.map(|end| format!("in {}", span(now.into(), end))).unwrap_or_default();
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [info.id.to_string(), info.state.as_str().to_owned(), age, ends, text(&info.image), text(&info.name)]
}

/// A time span in its largest unit.
fn span(from: Timestamp, to: Timestamp) -> String {
    let millis = to.unix_millis().saturating_sub(from.unix_millis());
    let seconds = Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let at =
            |seconds: i64| span(Timestamp::from_unix_millis(0), Timestamp::from_unix_millis(seconds * 1000));
        assert_eq!([at(5), at(300), at(10_000), at(200_000), at(-5)], ["5s", "5m", "2h", "2d", "0s"]);
    }
}
