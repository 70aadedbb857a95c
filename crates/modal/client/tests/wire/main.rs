//! The client over the real wire, against a server that fails as it is told to.
#![allow(clippy::unwrap_used, reason = "test code; only functions marked as tests are exempt by themselves")]

#[path = "../fake/mod.rs"]
mod fake;

mod build;
mod exec;
mod main_process;
mod retry;
mod router;
mod sandbox;
mod tls;
mod token;
mod watch;

use fake::Fake;
use openlattice_modal_client::{
    App, Client, Config, Exec, ExecSpec, IfMissing, ImageId, Sandbox, SandboxSpec,
};

/// A configuration with made-up credentials for the fake.
fn config(fake: &Fake) -> Config {
    Config::new("ak-test", "as-test").with_server_url(&fake.url()).unwrap()
}

fn client(fake: &Fake) -> Client {
    Client::new(config(fake)).unwrap()
}

async fn app(client: &Client) -> App {
    client.app("test", IfMissing::Create).await.unwrap()
}

async fn sandbox(client: &Client) -> Sandbox {
    let app = app(client).await;
    client.create_sandbox(&app, &SandboxSpec::new(ImageId::new("im-1"))).await.unwrap()
}

async fn command(fake: &Fake) -> Exec {
    sandbox(&client(fake)).await.exec(&ExecSpec::new(["true"])).await.unwrap()
}
