//! `lattice serve`.

use std::env;
use std::net::SocketAddr;

use clap::Args;
use openlattice_modal_server::{Access, Credentials, Server, ServerConfig};

use super::doctor;
use crate::context::Context;
use crate::failure::{Failure, Result};
use crate::live::Signals;
use crate::output;
use crate::providers::server_failed as failed;

/// Serve Modal's sandbox protocol on the local store
///
/// Modal's own Python, JavaScript and Go clients work against it when MODAL_SERVER_URL is set to the printed address. Calls
/// need the token pair of MODAL_TOKEN_ID and MODAL_TOKEN_SECRET of the environment; without them a pair is created and kept in the
/// store. The server may be killed at any moment: sandboxes and commands go on.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice serve --listen 127.0.0.1:9900 --no-auth &
  MODAL_SERVER_URL=http://127.0.0.1:9900 MODAL_TOKEN_ID=ak-x MODAL_TOKEN_SECRET=as-x python3 my_modal_program.py")]
pub(crate) struct Serve {
    /// Address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Let anybody call who reaches the port; loopback addresses only
    #[arg(long)]
    no_auth: bool,
}

impl Serve {
    pub(crate) async fn run(self, context: &Context) -> Result<()> {
        doctor::require_host(&context.state_dir)?;
        openlattice_engine::keep_freed_memory();
        let mut config = ServerConfig::new(&context.state_dir);
        config.listen = self.listen;
        config.access =
            access(self.no_auth, env::var("MODAL_TOKEN_ID").ok(), env::var("MODAL_TOKEN_SECRET").ok())?;
        let generated = matches!(config.access, Access::Generated);
        let mut signals = Signals::catch()?;
        let server = Server::bind(config).await.map_err(failed)?;
        output::print_line(&format!("listening on {}", server.url()))?;
        if generated {
            let file = context.state_dir.join("modal").join("token");
            output::complain(&format!(
                "MODAL_TOKEN_ID and MODAL_TOKEN_SECRET for clients are in {}",
                file.display()
            ));
        }
        output::complain("warning: sandboxes have no outbound network, whatever clients ask for");
        let stopped = async {
            signals.next().await;
        };
        server.serve(stopped).await.map_err(failed)
    }
}

/// Who may call: the pair of the environment, anybody, or the holder of a pair that the store keeps.
fn access(open: bool, id: Option<String>, secret: Option<String>) -> Result<Access> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    match (open, given(id), given(secret)) {
        (true, ..) => Ok(Access::Open),
        (false, Some(id), Some(secret)) => Ok(Access::Pairs(vec![Credentials::new(id, secret)])),
        (false, None, None) => Ok(Access::Generated),
        _ => Err(Failure::invalid("MODAL_TOKEN_ID and MODAL_TOKEN_SECRET must both be set, or neither")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_refused() {
        let some = |text: &str| Some(text.to_owned());
        assert!(matches!(access(false, None, None), Ok(Access::Generated)));
        assert!(matches!(access(false, some("a"), some("b")), Ok(Access::Pairs(_))));
        assert!(matches!(access(true, some("a"), None), Ok(Access::Open)));
        assert!(access(false, some("a"), some("")).is_err());
    }
}
