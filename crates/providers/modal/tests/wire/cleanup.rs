//! A provision that fails or is dropped leaves nothing, and ends are idempotent.

use std::sync::Arc;

use openlattice::{ComputeProvider, ErrorKind, ExecEnd, ProvisionSpec, Retry, SandboxId, Subject};
use openlattice_modal_proto::client::GenericResult;
use openlattice_modal_proto::client::generic_result::GenericStatus;
use openlattice_modal_proto::task_command_router::task_exec_wait_response::ExitStatus;
use tonic::Status;

use crate::fake::{Fake, Script};
use crate::provider;

/// What the file tool says of a socket.
const ENTRY: &[u8] = br#"{"name":"tailscaled.sock","path":"/var/run/tailscale/tailscaled.sock","type":"other","size":0,"mode":438,
    "permissions":"","owner":"root","group":"root","modified_time":0}"#;

/// Waits until the fake has seen something; the suite's own time limit bounds it.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

fn all_ended(fake: &Fake) -> bool {
    fake.state().created.iter().all(|sandbox| sandbox.ended)
}

#[tokio::test]
async fn m10_a_failing_initial_command_fails_provision_with_its_output() {
    let fake = Fake::start().await;
    fake.state().exit = Some(ExitStatus::Code(3));
    fake.state().stdout = b"out".to_vec();
    fake.state().stderr = b"err".to_vec();
    let spec = ProvisionSpec::new("host").with_command(["setup", "--now"]);
    let error = provider(&fake).provision(spec).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.subject()),
        (ErrorKind::FailedPrecondition, Some(Subject::InitialCommand))
    );
    let output = error.output().unwrap();
    assert_eq!(
        (output.exit_code(), output.stdout_text(), output.stderr_text()),
        (3, "out".into(), "err".into())
    );
    assert_eq!(fake.state().started[0].command_args, ["setup", "--now"]);
    assert!(fake.state().created.len() == 1 && all_ended(&fake));
}

#[tokio::test]
async fn m11_the_tailnet_key_goes_through_standard_input_alone() {
    let fake = Fake::start().await;
    let listens = Script { stdout: ENTRY.to_vec(), ..Script::default() };
    fake.state().scripts = vec![("tailscaled.sock", listens)];
    let mut spec = ProvisionSpec::new("host");
    spec.network.tailscale_auth_key = Some("tskey-hush".into());
    provider(&fake).provision(spec.clone()).await.unwrap();
    assert_eq!(fake.state().stdin, b"tskey-hush");
    let started = fake.state().started.last().unwrap().clone();
    assert_eq!(started.command_args[..2], ["tailscale", "up"]);
    assert!(!started.command_args.concat().contains("hush") && started.secret_sources.is_empty());
    assert!(!all_ended(&fake));

    fake.state().exit = Some(ExitStatus::Code(1));
    fake.state().stderr = b"backend: invalid key tskey-hush".to_vec();
    let error = provider(&fake).provision(spec).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::FailedPrecondition, Some(Subject::Tailnet)));
    assert!(error.message().contains("invalid key <hidden>"), "{error}");
    assert!(!format!("{error:?}").contains("hush"));
    assert!(fake.state().created[1].ended);
}

#[tokio::test]
async fn g5_an_unanswered_create_is_swept_up() {
    let fake = Fake::start().await;
    fake.fail("SandboxCreateV2", (0..4).map(|_| Status::unavailable("lost the reply")));
    let error = provider(&fake).provision(ProvisionSpec::new("host")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(matches!(error.retry(), Retry::Safe { .. }), "{error:?}");
    assert_eq!(fake.state().created.len(), 4, "the fake makes one for each try");
    assert!(all_ended(&fake));
}

#[tokio::test]
async fn g5_a_sandbox_whose_create_reply_is_of_no_use_is_ended() {
    let fake = Fake::start().await;
    fake.state().bad_token_on_create = true;
    let error = provider(&fake).provision(ProvisionSpec::new("host")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::InvalidArgument, Retry::Never));
    assert!(fake.state().created.len() == 1 && all_ended(&fake));
}

#[tokio::test]
async fn g5_a_sandbox_without_a_task_is_ended() {
    let fake = Fake::start().await;
    let spec = ProvisionSpec::from_json(r#"{"gpu": {}}"#).unwrap();
    for status in [Status::permission_denied("not yours"), Status::invalid_argument("no such task")] {
        fake.fail("SandboxGetTaskId", [status]);
        let error = provider(&fake).provision(spec.clone()).await.unwrap_err();
        assert_eq!(error.subject(), None, "{error:?}");
        assert!(all_ended(&fake));
    }
}

#[tokio::test]
async fn g3_an_end_before_the_machine_is_not_a_missing_image() {
    let fake = Fake::start().await;
    fake.state().never_scheduled =
        Some(GenericResult { status: GenericStatus::InitFailure.into(), ..Default::default() });
    let spec = ProvisionSpec::from_json(r#"{"gpu": {}}"#).unwrap();
    let error = provider(&fake).provision(spec).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::FailedPrecondition, None));
}

#[tokio::test]
async fn g4_no_ended_sandbox_is_left_to_answer_for_its_key() {
    let fake = Fake::start().await;
    fake.state().exit = Some(ExitStatus::Code(3));
    fake.fail("SandboxTagsSetV2", (0..4).map(|_| Status::unavailable("not now")));
    let spec = ProvisionSpec::new("host").with_key("k").with_command(["setup"]);
    let error = provider(&fake).provision(spec).await.unwrap_err();
    assert_eq!(error.subject(), Some(Subject::InitialCommand));
    until(|| all_ended(&fake)).await;
    assert!(fake.state().created[0].tags.contains_key("openlattice_failed"));
}

#[tokio::test]
async fn g5_g9_a_dropped_provision_leaves_no_sandbox() {
    let fake = Fake::start().await;
    fake.state().hold_waits = true;
    let provider = Arc::new(provider(&fake));
    let spec = ProvisionSpec::new("host").with_command(["sleep", "1000"]);
    let making = tokio::spawn({
        let provider = Arc::clone(&provider);
        async move { provider.provision(spec).await }
    });
    until(|| !fake.calls("TaskExecWait").is_empty()).await;
    assert!(!all_ended(&fake));
    making.abort();
    until(|| all_ended(&fake)).await;
}

#[tokio::test]
async fn m18_ending_an_unknown_sandbox_is_success() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    provider.destroy(&SandboxId::new("sb-nobody")).await.unwrap();
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    provider.destroy(&made.id).await.unwrap();
    provider.destroy(&made.id).await.unwrap();
    assert!(all_ended(&fake));
}

#[tokio::test]
async fn m19_only_of_an_id_that_cannot_be_one_is_an_invalid_argument_success() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    let refused = || fake.fail("SandboxTerminateV2", [Status::invalid_argument("bad request")]);
    refused();
    provider.destroy(&SandboxId::new("nobody")).await.unwrap();
    refused();
    assert_eq!(provider.destroy(&made.id).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    fake.fail("SandboxWaitV2", [Status::invalid_argument("bad request")]);
    assert_eq!(provider.inspect(&made.id).await.unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(!all_ended(&fake));
}

#[tokio::test]
async fn m19_a_failure_that_may_have_left_it_running_is_reported() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    for (status, kind) in [
        (Status::unavailable("down"), ErrorKind::Unavailable),
        (Status::unauthenticated("who are you"), ErrorKind::Unauthenticated),
    ] {
        fake.fail("SandboxTerminateV2", (0..4).map(|_| status.clone()));
        let error = provider.destroy(&made.id).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(matches!(error.retry(), Retry::Safe { .. }), "{error:?}");
        fake.state().faults.clear();
    }
    assert!(!all_ended(&fake));
    provider.destroy(&made.id).await.unwrap();
}

#[tokio::test]
async fn g7_without_the_server_s_word_a_kill_is_a_signal() {
    let fake = Fake::start().await;
    fake.state().exit = Some(ExitStatus::Signal(9));
    let provider = provider(&fake);
    let made = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    let spec = openlattice::ExecSpec::new(["sleep", "1"]).with_timeout(std::time::Duration::from_secs(3600));
    let session = provider.exec(&made.id, spec).await.unwrap();
    assert_eq!(session.wait().await.unwrap().reason, ExecEnd::Signalled);
    fake.state().end_trailer = Some("timeout");
    assert_eq!(session.wait().await.unwrap().reason, ExecEnd::TimedOut);
}
