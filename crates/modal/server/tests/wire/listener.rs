//! One port for TLS and plaintext, large messages, and the end of the server.

use crate::fixture::{Running, Scene, Store, app};
use hyper_util::rt::TokioIo;
use openlattice_modal_proto::client::{self as proto, modal_client_client::ModalClientClient};
use rustls::{
    ClientConfig, DigitallySignedStruct, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use std::{io, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{Code, transport::Endpoint};

/// Takes every certificate, as a client on loopback does.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider().signature_verification_algorithms.supported_schemes()
    }
}

/// The id of app `a`, asked for over TLS with these protocols offered.
async fn app_over_tls(server: &Running, protocols: &[&[u8]]) -> String {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().dangerous();
    let mut config = config.with_custom_certificate_verifier(Arc::new(Anyone)).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let connector = TlsConnector::from(Arc::new(config));
    let port = server.port;
    let connect = tower::service_fn(move |_| {
        let connector = connector.clone();
        async move {
            let stream = TcpStream::connect(("127.0.0.1", port)).await?;
            let name = ServerName::try_from("localhost").unwrap();
            Ok::<_, io::Error>(TokioIo::new(connector.connect(name, stream).await?))
        }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector(connect).await.unwrap();
    app(&mut ModalClientClient::new(channel), "a").await
}

#[tokio::test]
async fn one_port_speaks_tls_and_plaintext() {
    let store = Store::new();
    let server = store.open().await;
    let plain = app(&mut server.control().await, "a").await;
    assert_eq!(app_over_tls(&server, &[]).await, plain, "without a negotiated protocol");
    assert_eq!(app_over_tls(&server, &[b"h2"]).await, plain);
    server.stop().await;
}

#[tokio::test]
async fn a_silent_connection_holds_up_nobody() {
    let store = Store::new();
    let server = store.open().await;
    let silent = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    app(&mut server.control().await, "a").await;
    server.stop().await;
    drop(silent);
}

#[tokio::test]
async fn large_messages_pass() {
    let store = Store::new();
    let server = store.open().await;
    let request = proto::AppGetOrCreateRequest { app_name: "x".repeat(50 << 20), ..Default::default() };
    let status = server.control().await.app_get_or_create(request).await.unwrap_err();
    // The handler saw it; a message over the limit would be OUT_OF_RANGE.
    assert_eq!(status.code(), Code::InvalidArgument);
    server.stop().await;
}

#[tokio::test]
async fn the_server_stops_while_calls_wait() {
    let store = Arc::new(Store::new());
    let server = store.open().await;
    let mut scene = Scene::new(&server, store).await;
    let Some(made) = scene.create(&[]).await else { return };
    let mut control = scene.control.clone();
    let id = made.id.clone();
    let waiting = tokio::spawn(async move {
        let request = proto::SandboxWaitRequest { sandbox_id: id, timeout: 600.0 };
        control.sandbox_wait_v2(request).await.unwrap_err().code()
    });
    tokio::task::yield_now().await;
    scene.wait(&made.id, 0.0).await;
    server.stop().await;
    assert_eq!(waiting.await.unwrap(), Code::Unavailable);
    let server = scene.store.clone().open().await;
    let mut scene = Scene::new(&server, scene.store).await;
    scene.terminate(&made.id).await;
    server.stop().await;
}
