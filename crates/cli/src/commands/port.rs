//! `lattice port`.

use clap::Args;
use openlattice::{Error, Network};

use crate::context::Context;
use crate::failure::Result;
use crate::{output, resolve};

/// List published ports and their addresses
///
/// One line a port: its number in the sandbox, and its address. With PORT the address of that one alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  id=$(lattice create -p 8080 --lifetime 1h)
  lattice port $id 8080")]
pub(crate) struct Port {
    /// The sandbox: its ID, its name, or the beginning of its ID
    sandbox: String,
    /// The number of one port in the sandbox
    #[arg(value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl Port {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        let provider = context.provider().await?;
        let network = provider.extensions().get::<dyn Network>();
        let network = network.ok_or_else(|| Error::unsupported("list ports", "extensions.network"))?;
        let id = resolve::living(&*provider, &self.sandbox).await?;
        if let Some(port) = self.port {
            let found = network.url(&id, port).await?;
            return if self.json { output::print_json(&found) } else { output::print_line(&found.url) };
        }
        let ports = network.ports(&id).await?;
        if self.json {
            return output::print_json(&ports);
        }
        ports.iter().try_for_each(|port| output::print_line(&format!("{} {}", port.port, port.url)))
    }
}
