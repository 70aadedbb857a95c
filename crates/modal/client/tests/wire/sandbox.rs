//! Sandboxes of both generations (protocol section 4).

use std::time::Duration;

use openlattice_modal_client::{
    Client, EndReason, ErrorKind, Generation, Gpu, ImageId, Retry, SandboxFilter, SandboxSpec, SandboxStatus,
    Secret,
};
use openlattice_modal_proto::client::GenericResult;
use openlattice_modal_proto::client::generic_result::GenericStatus;
use openlattice_modal_proto::client::secret_source::Source;
use tonic::Status;

use crate::fake::Fake;
use crate::{app, client, config, sandbox};

fn spec() -> SandboxSpec {
    let mut spec = SandboxSpec::new(ImageId::new("im-1"));
    spec.env.insert("K".to_owned(), Secret::new("v"));
    spec.tags.insert("team".to_owned(), "a".to_owned());
    spec.timeout = Duration::from_millis(90_500);
    spec.workdir = Some("/srv".to_owned());
    spec
}

#[tokio::test]
async fn generation_2_carries_its_variables_inline() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let sandbox = client.create_sandbox(&app(&client).await, &spec()).await.unwrap();
    assert_eq!(sandbox.generation(), Generation::V2);
    let made = fake.state().created[0].clone();
    assert_eq!((made.id.as_str(), made.definition.timeout_secs), (sandbox.id(), 91));
    assert_eq!(made.definition.workdir.as_deref(), Some("/srv"));
    assert_eq!(made.tags["team"], "a");
    let Some(Source::Env(env)) = &made.sources[0].source else { panic!("{made:?}") };
    assert_eq!(env.contents["K"], "v");
    assert!(fake.state().stored.is_empty());
}

#[tokio::test]
async fn a_gpu_makes_generation_1_with_stored_variables() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let spec = SandboxSpec { gpu: Some(Gpu::parse("a100:2").unwrap()), ..spec() };
    let sandbox = client.create_sandbox(&app(&client).await, &spec).await.unwrap();
    assert_eq!(sandbox.generation(), Generation::V1);
    let made = fake.state().created[0].clone();
    let gpu = made.definition.resources.unwrap().gpu_config.unwrap();
    assert_eq!((gpu.gpu_type.as_str(), gpu.count), ("A100", 2));
    assert_eq!(made.definition.secret_ids, ["st-1"]);
    assert_eq!(fake.state().stored[0]["K"], "v");
    assert_eq!(fake.calls("SandboxGetTaskId").len(), 1);
    assert!(fake.calls("SandboxCreateV2").is_empty());
}

#[tokio::test]
async fn the_configuration_can_choose_generation_1() {
    let fake = Fake::start().await;
    let client = Client::new(config(&fake).with_sandbox_v2(false)).unwrap();
    let made = sandbox(&client).await;
    assert_eq!(made.generation(), Generation::V1);
    made.terminate().await.unwrap();
    assert_eq!(fake.calls("SandboxTerminate").len(), 1);
}

#[tokio::test]
async fn a_sandbox_runs_until_its_result_is_there() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let made = sandbox(&client).await;
    assert_eq!(made.poll().await.unwrap(), SandboxStatus::Running);
    made.terminate().await.unwrap();
    let end = made.wait().await.unwrap();
    assert_eq!((end.reason, end.exit_code), (EndReason::Terminated, 137));
    let unknown = client.sandbox("sb-nobody");
    assert_eq!(unknown.poll().await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_unanswered_create_is_not_called_safe_to_repeat() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let app = app(&client).await;
    fake.fail("SandboxCreateV2", (0..4).map(|_| Status::unavailable("lost the reply")));
    let error = client.create_sandbox(&app, &spec()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Unknown));
    fake.fail("SandboxCreateV2", [Status::already_exists("the name is taken")]);
    let error = client.create_sandbox(&app, &spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn g3_a_sandbox_that_ended_before_it_had_a_machine_is_not_a_missing_image() {
    let fake = Fake::start().await;
    let client = Client::new(config(&fake).with_sandbox_v2(false)).unwrap();
    let exception = "the worker died".to_owned();
    fake.state().never_scheduled =
        Some(GenericResult { status: GenericStatus::InitFailure.into(), exception, ..Default::default() });
    let error = client.create_sandbox(&app(&client).await, &spec()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FailedPrecondition);
    assert!(error.to_string().contains("the worker died"), "{error}");
}

#[tokio::test]
async fn g9_a_server_that_holds_no_wait_is_not_asked_in_a_tight_loop() {
    let fake = Fake::start().await;
    let made = sandbox(&client(&fake)).await;
    let waiting = tokio::spawn({
        let made = made.clone();
        async move { made.wait().await }
    });
    for _ in 0..60 {
        made.tags().await.unwrap();
    }
    let waits = fake.calls("SandboxWaitV2").len();
    assert!(waits < 30, "{waits} waits in the time of 60 other calls");
    waiting.abort();
}

#[tokio::test]
async fn a_list_whose_pages_do_not_move_on_is_refused() {
    let fake = Fake::start().await;
    let client = client(&fake);
    sandbox(&client).await;
    let app = app(&client).await;
    assert_eq!(client.list_sandboxes(&app, &SandboxFilter::default()).await.unwrap().len(), 1);
    fake.state().ignores_pages = true;
    let error = client.list_sandboxes(&app, &SandboxFilter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedReply);
    assert_eq!(fake.calls("SandboxListV2").len(), 4, "two of the first list, two of the second");
}
