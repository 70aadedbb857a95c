//! Building images (protocol section 3.2).

use openlattice_modal_client::{ErrorKind, ImageSpec};
use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::generic_result::GenericStatus;
use tonic::Status;

use crate::fake::Fake;
use crate::{app, client};

fn log(entry: &str, text: &str) -> wire::ImageJoinStreamingResponse {
    let line = wire::TaskLogs { data: text.to_owned(), ..Default::default() };
    wire::ImageJoinStreamingResponse {
        entry_id: entry.to_owned(),
        task_logs: vec![line],
        ..Default::default()
    }
}

fn result(status: GenericStatus, exception: &str) -> wire::ImageJoinStreamingResponse {
    let result =
        wire::GenericResult { status: status.into(), exception: exception.to_owned(), ..Default::default() };
    wire::ImageJoinStreamingResponse { result: Some(result), ..Default::default() }
}

#[tokio::test]
async fn a_build_is_followed_over_streams_until_it_has_a_result() {
    let fake = Fake::start().await;
    fake.state().build = [
        vec![log("1-0", "step 1\n")],
        vec![],
        vec![log("2-0", "step 2\n"), result(GenericStatus::Success, "")],
    ]
    .into();
    fake.fail("ImageJoinStreaming", [Status::unavailable("not yet")]);
    let client = client(&fake);
    let mut lines = Vec::new();
    let app = app(&client).await;
    let image = ImageSpec::from_registry("python:3.12-slim");
    let id = client.build_image(&app, &image, |line| lines.push(line.to_owned())).await.unwrap();
    assert_eq!(id.as_str(), "im-1");
    assert_eq!(lines, ["step 1\n", "step 2\n"]);
    assert_eq!(fake.state().joined_from, ["", "1-0", "1-0"]);
}

#[tokio::test]
async fn a_failed_build_says_why() {
    let fake = Fake::start().await;
    fake.state().build = [vec![result(GenericStatus::Failure, "no such image")]].into();
    let client = client(&fake);
    let app = app(&client).await;
    let image = ImageSpec::from_registry("nowhere/nothing:1");
    let error = client.build_image(&app, &image, |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BuildFailed);
    assert!(error.to_string().contains("no such image"), "{error}");
}

#[tokio::test]
async fn the_builder_version_is_asked_once() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let app = app(&client).await;
    for name in ["a", "b"] {
        client.build_image(&app, &ImageSpec::from_registry(name), |_| ()).await.unwrap();
    }
    assert_eq!(fake.calls("EnvironmentGetOrCreate").len(), 1);
}
