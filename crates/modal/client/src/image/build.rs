//! A build on the server: asked for, then followed through its log until it has a result.

use openlattice_modal_proto::client as wire;
use openlattice_modal_proto::client::generic_result::GenericStatus;

use super::{ImageId, ImageSpec};
use crate::app::App;
use crate::client::{Client, ControlPlane};
use crate::error::{Error, ErrorKind, Result};
use crate::retry::Reopening;
use crate::status::{self, Operation};

const IMAGE_GET_OR_CREATE: Operation = Operation::repeatable("ImageGetOrCreate");
const IMAGE_JOIN_STREAMING: Operation = Operation::repeatable("ImageJoinStreaming");
/// How long the server is asked to hold one log stream open, in seconds.
const JOIN_SECONDS: f32 = 55.0;

/// Where log lines go.
pub(super) type OnLog<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Asks for the image and waits until it is built.
pub(super) async fn run(
    client: &Client,
    app: &App,
    spec: &ImageSpec,
    builder_version: String,
    on_log: OnLog<'_>,
) -> Result<ImageId> {
    let request = wire::ImageGetOrCreateRequest {
        image: Some(spec.on_wire()),
        app_id: app.id().to_owned(),
        force_build: spec.force,
        namespace: wire::DeploymentNamespace::Workspace.into(),
        builder_version,
        ..Default::default()
    };
    let send = |mut stub: ControlPlane, request| async move { stub.image_get_or_create(request).await };
    let reply = client.unary(IMAGE_GET_OR_CREATE, request, send).await?;
    if reply.image_id.is_empty() {
        return Err(Error::unexpected("the server gave no image id").during(IMAGE_GET_OR_CREATE.name));
    }
    let id = ImageId::new(reply.image_id);
    if outcome(reply.result.as_ref())?.is_none() {
        join(client, &id, on_log).await?;
    }
    Ok(id)
}

/// Follows the build's log, stream after stream, until a message carries the result.
async fn join(client: &Client, id: &ImageId, on_log: OnLog<'_>) -> Result<()> {
    let (mut last_entry, mut reopening) = (String::new(), Reopening::default());
    loop {
        match join_once(client, id, &mut last_entry, on_log).await {
            Ok(true) => return Ok(()),
            Ok(false) => reopening = Reopening::default(),
            Err(error) => reopening.after(error).await?,
        }
    }
}

/// Reads one stream to its end; says whether the build has succeeded.
async fn join_once(
    client: &Client,
    id: &ImageId,
    last_entry: &mut String,
    on_log: OnLog<'_>,
) -> Result<bool> {
    let request = wire::ImageJoinStreamingRequest {
        image_id: id.as_str().to_owned(),
        timeout: JOIN_SECONDS,
        last_entry_id: last_entry.clone(),
        include_logs_for_finished: true,
    };
    let send = |mut stub: ControlPlane, request| async move { stub.image_join_streaming(request).await };
    let mut stream = client.stream(IMAGE_JOIN_STREAMING, request, send).await?;
    let broken = |status| status::error(IMAGE_JOIN_STREAMING, &status);
    while let Some(message) = stream.message().await.map_err(broken)? {
        if !message.entry_id.is_empty() {
            *last_entry = message.entry_id;
        }
        message.task_logs.iter().filter(|log| !log.data.is_empty()).for_each(|log| on_log(&log.data));
        if outcome(message.result.as_ref())?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads a build's result: nothing while it runs, an error when it failed.
fn outcome(result: Option<&wire::GenericResult>) -> Result<Option<()>> {
    let Some(result) = result else { return Ok(None) };
    let what = match result.status() {
        GenericStatus::Unspecified => return Ok(None),
        GenericStatus::Success => return Ok(Some(())),
        GenericStatus::Failure | GenericStatus::MemoryManagerEviction => "the image build failed",
        GenericStatus::Terminated => "the image build was ended by the server",
        GenericStatus::Timeout => "the image build took too long",
        _ => "the image build ended in an unknown way",
    };
    let text =
        if result.exception.is_empty() { what.to_owned() } else { format!("{what}: {}", result.exception) };
    Err(Error::new(ErrorKind::BuildFailed, text).during(IMAGE_GET_OR_CREATE.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_build_has_its_outcome() {
        let result = |status: GenericStatus| wire::GenericResult {
            status: status.into(),
            exception: "no such image".to_owned(),
            ..Default::default()
        };
        assert!(outcome(None).unwrap().is_none());
        assert!(outcome(Some(&result(GenericStatus::Unspecified))).unwrap().is_none());
        assert!(outcome(Some(&result(GenericStatus::Success))).unwrap().is_some());
        let error = outcome(Some(&result(GenericStatus::Failure))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BuildFailed);
        assert!(error.message().contains("no such image"));
        assert!(outcome(Some(&result(GenericStatus::Timeout))).is_err());
    }
}
