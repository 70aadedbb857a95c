//! The Modal provider against the server, both in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openlattice::{
    Callbacks, ComputeProvider, ComputeProviderExt, ErrorKind, ExecSpec, ListFilter, ProvisionSpec,
};
use openlattice_engine::{Engine, EngineConfig};
use openlattice_layers::{Layer, TraceLayer};
use openlattice_modal::ModalConfig;
use openlattice_modal_proto::client::{
    ObjectCreationType, SecretGetOrCreateRequest, modal_client_client::ModalClientClient,
};
use openlattice_modal_server::{Access, Credentials, Server, ServerConfig};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::flows::{NAMED, World, bad, chain, good};
use crate::planted::{Plant, shown};
use crate::processes::Sampler;

const TOKEN_ID: &str = "ak-planted";
/// What gives up by itself has given up by then.
const PATIENCE: Duration = Duration::from_secs(120);

/// Both generations on one store, then callers that are refused, then a server that is gone.
pub(crate) async fn run(store: &Path, sampler: &Sampler) {
    let (url, served) = serve(store).await;
    store_named(&url).await;
    for (name, v2) in [("modal v2", true), ("modal v1", false)] {
        let mut config = config(&url, Plant::TokenSecret);
        config.sandbox_v2 = Some(v2);
        let provider = config.build().unwrap();
        shown("client", provider.client());
        shown("client's configuration", provider.client().config());
        let provider: Arc<dyn ComputeProvider> = Arc::new(TraceLayer.over(Arc::new(provider)));
        let world = World { name, provider, store, sampler };
        world.run().await;
    }
    refused(&url).await;
    gone(&url, served).await;
}

async fn serve(store: &Path) -> (String, JoinHandle<()>) {
    let engine = Engine::open(EngineConfig::new(store)).await.unwrap();
    let mut config = ServerConfig::new(store);
    config.access = Access::Pairs(vec![Credentials::new(TOKEN_ID, Plant::TokenSecret.value())]);
    shown("server's configuration", &config);
    let server = Server::bind_on(engine.clone(), config).await.unwrap();
    shown("server", &server);
    shown("engine", &engine);
    shown("server's credentials", &server.credentials());
    let url = server.url();
    (url, tokio::spawn(async { server.serve(std::future::pending()).await.unwrap() }))
}

fn config(url: &str, secret: Plant) -> ModalConfig {
    let config = ModalConfig::new(TOKEN_ID, secret.value()).with_server_url(url);
    shown("provider's configuration", &config);
    config
}

/// Stores a secret under a name, as the official clients do.
pub(crate) async fn store_named(url: &str) {
    let mut request = tonic::Request::new(SecretGetOrCreateRequest {
        deployment_name: NAMED.to_owned(),
        object_creation_type: ObjectCreationType::CreateIfMissing.into(),
        env_dict: [("NAMED".to_owned(), Plant::NamedSecret.value())].into(),
        ..SecretGetOrCreateRequest::default()
    });
    shown("message", request.get_ref());
    let headers =
        [("x-modal-token-id", TOKEN_ID.to_owned()), ("x-modal-token-secret", Plant::TokenSecret.value())];
    for (name, value) in headers {
        request.metadata_mut().insert(name, value.parse().unwrap());
    }
    let channel = tonic::transport::Endpoint::new(url.to_owned()).unwrap().connect().await.unwrap();
    let mut client = ModalClientClient::new(channel);
    shown("answer", &client.secret_get_or_create(request).await.unwrap());
}

/// Wrong credentials and wrong settings.
async fn refused(url: &str) {
    use ErrorKind::{InvalidArgument, PermissionDenied, Unauthenticated};
    let provider = config(url, Plant::WrongTokenSecret).build().unwrap();
    let denied = [Unauthenticated, PermissionDenied];
    bad("wrong token: list", provider.list(ListFilter::default()).await, &denied);
    let spec = ProvisionSpec::new("host").with_env("A", Plant::Env.value());
    bad("wrong token: provision", provider.provision(spec).await, &denied);
    shown("wrong token: health", &provider.health().await);
    let broken = ModalConfig::new(TOKEN_ID, format!("{}\n", Plant::TokenSecret.value()));
    bad("token with a line end", broken.with_server_url(url).build(), &[InvalidArgument]);
    let secret = Plant::TokenSecret.value();
    for url in [
        format!("http://user:{secret}@127.0.0.1:1"),
        format!("http://user:{secret}@127.0.0.1:1/path"),
        format!("ftp://user:{secret}@127.0.0.1:1"),
        format!("user:{secret}@127.0.0.1"),
    ] {
        bad("address", ModalConfig::new("a", "b").with_server_url(url).build(), &[InvalidArgument]);
    }
    for json in
        [format!(r#"{{"tokenSecret": ["{secret}"]}}"#), format!(r#"{{"tokenSecret": "{secret}", "x": 1}}"#)]
    {
        chain("malformed configuration", &serde_json::from_str::<ModalConfig>(&json).unwrap_err());
    }
}

/// The server ends under a command, and stays away.
async fn gone(url: &str, served: JoinHandle<()>) {
    let provider = config(url, Plant::TokenSecret).build().unwrap();
    let made = good("provision", provider.provision(ProvisionSpec::new("host").with_max_seconds(60)).await);
    let command = ExecSpec::shell("sleep 600").with_env("A", Plant::Env.value());
    let session = good("exec", provider.exec(&made.id, command.clone()).await);
    served.abort();
    let spec = ProvisionSpec::new("host").with_env("A", Plant::Env.value());
    // Together, since each of them tries for a while before it gives up.
    let (waited, run, made) = tokio::join!(
        timeout(PATIENCE, session.wait()),
        timeout(PATIENCE, provider.run(&made.id, command, Callbacks::none())),
        timeout(PATIENCE, provider.provision(spec)),
    );
    chain("server gone: wait", &waited.unwrap().unwrap_err());
    chain("server gone: run", &run.unwrap().unwrap_err());
    chain("server gone: provision", &made.unwrap().unwrap_err());
    shown("server gone: health", &provider.health().await);
}
