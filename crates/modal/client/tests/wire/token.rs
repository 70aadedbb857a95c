//! Tokens: of the control plane (protocol section 1.5) and of command routers (section 1.6).

use openlattice_modal_client::{ErrorKind, ExecSpec, IfMissing, OutputStream, Retry};
use tonic::Status;

use crate::fake::Fake;
use crate::{app, client, command, sandbox};

#[tokio::test]
async fn the_token_is_fetched_once_for_many_calls_and_travels_with_each() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let (one, two, three) = tokio::join!(app(&client), app(&client), app(&client));
    assert!(one == two && two == three);
    let fetched = fake.calls("AuthTokenGet");
    assert_eq!(fetched.len(), 1);
    assert!(!fetched[0].metadata.contains_key("x-modal-auth-token"));
    assert_eq!(fetched[0].metadata["x-modal-token-secret"], "as-test");
    for call in fake.calls("AppGetOrCreate") {
        assert_eq!(call.metadata["x-modal-auth-token"], "token-1");
        assert_eq!(call.metadata["x-modal-client-type"], "8");
        assert_eq!(call.metadata["x-modal-host"], "127.0.0.1");
    }
}

#[tokio::test]
async fn refused_credentials_are_an_error_at_once() {
    let fake = Fake::start().await;
    fake.fail("AuthTokenGet", [Status::unauthenticated("who are you")]);
    let error = client(&fake).app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unauthenticated, Retry::Never));
    assert_eq!(fake.calls("AuthTokenGet").len(), 1);
    assert!(fake.calls("AppGetOrCreate").is_empty());
}

#[tokio::test]
async fn a_token_that_the_server_has_forgotten_is_fetched_again_once() {
    let fake = Fake::start().await;
    let client = client(&fake);
    app(&client).await;
    fake.fail("AppGetOrCreate", [Status::unauthenticated("token")]);
    app(&client).await;
    assert_eq!(fake.calls("AuthTokenGet").len(), 2);
    assert_eq!(fake.calls("AppGetOrCreate").last().unwrap().metadata["x-modal-auth-token"], "token-2");
    fake.fail("AppGetOrCreate", (0..3).map(|_| Status::unauthenticated("token")));
    let error = client.app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    assert_eq!(fake.calls("AppGetOrCreate").len(), 5);
}

#[tokio::test]
async fn a_refused_router_token_is_renewed_for_calls_and_streams() {
    let fake = Fake::start().await;
    fake.state().stdout = b"kept".to_vec();
    let exec = command(&fake).await;
    assert_eq!(fake.calls("SandboxGetCommandRouterAccess").len(), 1);
    fake.revoke();
    exec.wait().await.unwrap();
    assert_eq!(fake.calls("SandboxGetCommandRouterAccess").len(), 2);
    fake.revoke();
    let mut output = exec.output(OutputStream::Stdout, 0);
    assert_eq!(output.read().await.unwrap().unwrap(), "kep");
    assert_eq!(fake.calls("SandboxGetCommandRouterAccess").len(), 3);
    assert!(!format!("{exec:?} {output:?}").contains("jwt-"));
}

#[tokio::test]
async fn access_of_the_create_reply_is_used_first() {
    let fake = Fake::start().await;
    fake.state().access_on_create = true;
    let exec = command(&fake).await;
    exec.wait().await.unwrap();
    assert!(fake.calls("SandboxGetCommandRouterAccess").is_empty());
    assert!(fake.calls("SandboxGetTaskIdV2").is_empty());
}

#[tokio::test]
async fn no_access_to_an_ended_sandbox_is_not_found() {
    let fake = Fake::start().await;
    let sandbox = sandbox(&client(&fake)).await;
    fake.fail("SandboxGetCommandRouterAccess", [Status::failed_precondition("the sandbox has finished")]);
    let error = sandbox.exec(&ExecSpec::new(["true"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let access = fake.calls("SandboxGetCommandRouterAccess");
    assert_eq!(access[0].metadata["x-modal-sandbox-token"], "sandbox-token");
}
