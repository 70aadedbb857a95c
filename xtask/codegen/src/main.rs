//! Generates the committed code of the Modal protocol subset from its .proto files.
//!
//! Takes the folder of the .proto files and the output folder. `cargo xtask codegen` runs it.

use std::error::Error;
use std::path::Path;

use prost::Message as _;

/// Types whose values must never reach a log: their `Debug` is written by hand in the proto crate.
const WITHOUT_DEBUG: &[&str] = &[
    ".modal.client.AuthTokenGetResponse",
    ".modal.client.BlobCreateResponse",
    ".modal.client.CommandRouterAccess",
    ".modal.client.ExperimentalOutboundPolicy.HeaderReplacement",
    ".modal.client.Image",
    ".modal.client.ImageContextFile",
    ".modal.client.MountPutFileRequest",
    ".modal.client.MultiPartUpload",
    ".modal.client.SandboxCreateConnectTokenResponse",
    ".modal.client.SandboxCreateV2Response",
    ".modal.client.SandboxGetCommandRouterAccessResponse",
    ".modal.client.SandboxStdinWriteRequest",
    ".modal.client.SecretGetOrCreateRequest",
    ".modal.client.StringMap",
    ".modal.client.TaskGetCommandRouterAccessResponse",
    ".modal.client.TaskLogs",
    ".modal.client.UploadUrlList",
    ".modal.task_command_router.SandboxStdinWriteV2Request",
    ".modal.task_command_router.SandboxStdioReadV2Response",
    ".modal.task_command_router.TaskContainerCreateRequest",
    ".modal.task_command_router.TaskExecStartRequest",
    ".modal.task_command_router.TaskExecStdinWriteRequest",
    ".modal.task_command_router.TaskExecStdinWriteStreamRequest",
    ".modal.task_command_router.TaskExecStdioReadResponse",
    ".modal.task_command_router.TaskMountDirectoryRequest",
    ".modal.task_command_router.TaskSnapshotDirectoryRequest",
    ".modal.task_command_router.TaskSnapshotFilesystemRequest",
];

/// Fields that carry a stream's bytes: shared buffers instead of copies.
const SHARED_BYTES: &[&str] = &[
    ".modal.task_command_router.SandboxStdinWriteV2Request.data",
    ".modal.task_command_router.SandboxStdioReadV2Response.data",
    ".modal.task_command_router.TaskExecStdinWriteRequest.data",
    ".modal.task_command_router.TaskExecStdinWriteStreamRequest.data",
    ".modal.task_command_router.TaskExecStdioReadResponse.data",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(proto), Some(out)) = (arguments.next(), arguments.next()) else {
        return Err("usage: openlattice-codegen PROTO-FOLDER OUTPUT-FOLDER".into());
    };
    let (proto, out) = (Path::new(&proto), Path::new(&out));
    let files = protox::compile(["modal_client.proto", "task_command_router.proto"], [proto])?;
    std::fs::write(out.join("descriptors.bin"), stripped(files.clone()).encode_to_vec())?;
    let mut config = prost_build::Config::new();
    config.skip_debug(WITHOUT_DEBUG).bytes(SHARED_BYTES).skip_source_info();
    tonic_prost_build::configure()
        .build_transport(false)
        .out_dir(out)
        .compile_fds_with_config(files, config)?;
    Ok(())
}

/// Drops source positions, which would change with every comment.
fn stripped(mut files: prost_types::FileDescriptorSet) -> prost_types::FileDescriptorSet {
    for file in &mut files.file {
        file.source_code_info = None;
    }
    files
}
