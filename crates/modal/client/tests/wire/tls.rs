//! TLS to the control plane: certificates are checked, and further roots can be given.

use openlattice_modal_client::{Client, Config, ErrorKind, IfMissing};
use tonic::transport::Identity;

use crate::fake::Fake;

/// A server with a certificate of its own for `localhost`, its address, and the certificate.
async fn server() -> (Fake, String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let certificate = made.cert.pem();
    let fake = Fake::start_with_tls(Identity::from_pem(&certificate, made.signing_key.serialize_pem())).await;
    let url = format!("https://localhost:{}", fake.address.port());
    (fake, url, certificate)
}

fn config(url: &str) -> Config {
    Config::new("ak-test", "as-test").with_server_url(url).unwrap()
}

#[tokio::test]
async fn a_certificate_of_a_given_root_is_trusted() {
    let (fake, url, certificate) = server().await;
    let client = Client::new(config(&url).with_root_certificates(certificate)).unwrap();
    client.app("test", IfMissing::Create).await.unwrap();
    assert_eq!(fake.calls("AppGetOrCreate").len(), 1);
}

#[tokio::test]
async fn an_unknown_certificate_is_refused_and_no_token_is_sent() {
    let (fake, url, _) = server().await;
    let error = Client::new(config(&url)).unwrap().app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(fake.state().seen.is_empty());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let (fake, url, certificate) = server().await;
    let url = url.replace("localhost", "127.0.0.1");
    let client = Client::new(config(&url).with_root_certificates(certificate)).unwrap();
    let error = client.app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(fake.state().seen.is_empty());
}
