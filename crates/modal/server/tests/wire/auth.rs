//! Who may call.

use crate::fixture::{Header, Running, Store};
use openlattice_modal_proto::{
    client::{AuthTokenGetRequest, modal_client_client::ModalClientClient},
    task_command_router::TaskExecPollRequest,
};
use openlattice_modal_server::{Access, Credentials, Server, ServerConfig};
use tonic::{Code, Request, metadata::MetadataValue};

fn with_pair(id: &str, secret: &str) -> Request<AuthTokenGetRequest> {
    let mut request = Request::new(AuthTokenGetRequest {});
    request.metadata_mut().insert("x-modal-token-id", MetadataValue::try_from(id).unwrap());
    request.metadata_mut().insert("x-modal-token-secret", MetadataValue::try_from(secret).unwrap());
    request
}

#[tokio::test]
async fn a_pair_is_needed_and_kept_over_a_restart() {
    let store = Store::new();
    let server = Running::on(store.path(), Access::Generated).await;
    let pair = server.credentials.clone().unwrap();
    let mut control = server.control().await;
    for request in [Request::new(AuthTokenGetRequest {}), with_pair(&pair.id, "as-wrong")] {
        assert_eq!(control.auth_token_get(request).await.unwrap_err().code(), Code::Unauthenticated);
    }
    let token = control.auth_token_get(with_pair(&pair.id, &pair.secret)).await.unwrap().into_inner().token;
    assert_eq!(token.split('.').count(), 3);
    server.stop().await;

    let server = Running::on(store.path(), Access::Generated).await;
    assert_eq!(server.credentials, Some(pair.clone()));
    let mut request = with_pair(&pair.id, &pair.secret);
    request.metadata_mut().insert("x-modal-auth-token", MetadataValue::try_from(&token).unwrap());
    server.control().await.auth_token_get(request).await.expect("the token of before holds");
    server.stop().await;
}

#[tokio::test]
async fn a_broken_control_token_is_refused() {
    let store = Store::new();
    let server = Running::on(store.path(), Access::Pairs(vec![Credentials::new("a", "b")])).await;
    let mut request = with_pair("a", "b");
    request.metadata_mut().insert("x-modal-auth-token", MetadataValue::from_static("a.b.c"));
    let status = server.control().await.auth_token_get(request).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    server.stop().await;
}

#[tokio::test]
async fn the_router_wants_a_token_of_its_own() {
    let store = Store::new();
    let server = store.open().await;
    let control_token =
        server.control().await.auth_token_get(AuthTokenGetRequest {}).await.unwrap().into_inner().token;
    for jwt in ["", "a.b.c", &control_token] {
        let mut router = server.router(jwt).await;
        let status = router.task_exec_poll(TaskExecPollRequest::default()).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{jwt:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_open_server_stays_on_loopback() {
    let store = Store::new();
    let mut config = ServerConfig::new(store.path());
    config.access = Access::Open;
    config.listen = "0.0.0.0:0".parse().unwrap();
    let text = Server::bind(config).await.unwrap_err().to_string();
    assert!(text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn another_service_is_not_here() {
    let store = Store::new();
    let server = store.open().await;
    let channel = server.channel().await;
    let mut other = tonic::client::Grpc::new(channel);
    other.ready().await.unwrap();
    let path = "/grpc.health.v1.Health/Check".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<AuthTokenGetRequest, AuthTokenGetRequest>::default();
    let status = other.unary(Request::new(AuthTokenGetRequest {}), path, codec).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
    server.stop().await;
}

#[tokio::test]
async fn odd_headers_do_no_harm() {
    let store = Store::new();
    let server = store.open().await;
    let header = Header("grpc-timeout", "soon".to_owned());
    let mut control = ModalClientClient::with_interceptor(server.channel().await, header);
    control.auth_token_get(AuthTokenGetRequest {}).await.unwrap();
    server.stop().await;
}
