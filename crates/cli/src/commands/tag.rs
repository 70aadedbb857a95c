//! `lattice tag`.

use clap::Args;
use openlattice::{ErrorKind, Tags};

use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::{output, resolve, value};

/// Show or replace the tags of a sandbox
///
/// Without tags it only shows what the sandbox has. With some, the sandbox has these and no others from then on.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice tag sb-0123 job=17 stage=test
  lattice tag sb-0123 --json
  lattice tag sb-0123 --clear")]
pub(crate) struct Tag {
    /// The sandbox: its ID, its name, or the beginning of its ID
    sandbox: String,
    /// All tags that the sandbox is to have
    #[arg(value_name = "K=V", value_parser = value::tag, conflicts_with = "clear")]
    tags: Vec<(String, String)>,
    /// Take all tags away
    #[arg(long)]
    clear: bool,
    /// As a JSON object
    #[arg(long)]
    json: bool,
}

impl Tag {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let tags = provider.extensions().get::<dyn Tags>().ok_or_else(|| {
            let text = format!("the provider {} does not change the tags of a sandbox", provider.name());
            Failure::new(ErrorKind::Unsupported, text)
        })?;
        let id = resolve::living(&*provider, &self.sandbox).await?;
        if self.clear || !self.tags.is_empty() {
            tags.set(&id, value::distinct(&self.tags)?).await?;
        }
        let now = tags.get(&id).await?;
        if self.json {
            return output::print_json(&now);
        }
        now.iter().try_for_each(|(name, value)| output::print_line(&format!("{name}={value}")))
    }
}
