//! Serves a store: `serve STATE_DIR [ADDRESS]`, without credentials, until Ctrl-C. Prints the address once it listens.

use openlattice_modal_server::{Access, Server, ServerConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut config = ServerConfig::new(arguments.next().ok_or("usage: serve STATE_DIR [ADDRESS]")?);
    if let Some(address) = arguments.next() {
        config.listen = address.parse()?;
    }
    config.access = Access::Open;
    let server = Server::bind(config).await?;
    #[expect(clippy::print_stdout, reason = "the caller reads the address from here")]
    {
        println!("{}", server.url());
    }
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    server.serve(interrupted).await?;
    Ok(())
}
