//! `lattice inspect`.

use clap::Args;
use openlattice::SandboxInfo;

use crate::context::Context;
use crate::failure::Result;
use crate::{output, resolve};

/// Show details of a sandbox, ended or not
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice inspect sb-0123 --json")]
pub(crate) struct Inspect {
    /// The sandbox: its ID, its name while it lives, or the beginning of its ID
    sandbox: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let info = resolve::known(&*provider, &self.sandbox).await?;
        if self.json {
            return output::print_json(&info);
        }
        let network = &provider.capabilities().networking.default_policy;
        output::print(&text(&info, network))
    }
}

fn text(info: &SandboxInfo, network: &str) -> String {
    let mut lines = vec![("id", info.id.to_string()), ("state", info.state.as_str().to_owned())];
    if let Some(end) = &info.end {
        let exit = end.exit.map(|exit| format!(", {exit}")).unwrap_or_default();
        lines.push(("end", format!("{:?}{exit}", end.reason)));
    }
    let dates = [("created", info.created_at), ("ends", info.expires_at), ("ended", info.ended_at)];
    lines.extend(dates.into_iter().filter_map(|(name, date)| Some((name, date?.to_string()))));
    let texts = [("image", &info.image), ("name", &info.name)];
    lines.extend(texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?))));
    lines.extend(info.tags.iter().map(|(name, value)| ("tag", format!("{name}={value}"))));
    lines.extend(info.owner.as_ref().map(|owner| ("owner", format!("process {}", owner.pid))));
    if !network.is_empty() {
        lines.push(("network", format!("{network} unless asked otherwise")));
    }
    lines.extend(info.warnings.iter().map(|warning| ("warning", warning.clone())));
    lines.iter().map(|(name, value)| format!("{name:8} {value}\n")).collect()
}
