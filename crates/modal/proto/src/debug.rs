//! `Debug` for the messages that carry secrets: they name every field and show no hidden value.

use std::fmt;

use crate::client as control;
use crate::task_command_router as router;

/// Stands for a value that is not shown.
struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<hidden>")
    }
}

/// Implements `Debug` with the first fields shown and those after the semicolon hidden.
///
/// The pattern names every field, so that a field added to the message does not compile until it is put on a side.
macro_rules! hiding {
    ($($message:path { $($shown:ident),* ; $($hidden:ident),+ })*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self { $($shown,)* $($hidden: _,)+ } = self;
                let name = stringify!($message).rsplit("::").next().unwrap_or_default().trim();
                f.debug_struct(name)
                    $(.field(stringify!($shown), $shown))*
                    $(.field(stringify!($hidden), &Hidden))+
                    .finish()
            }
        }
    )*};
}

hiding! {
    control::AuthTokenGetResponse { ; token }
    control::BlobCreateResponse { blob_id, blob_ids ; upload_type_oneof, upload_types_oneof }
    control::CommandRouterAccess { url ; jwt }
    control::experimental_outbound_policy::HeaderReplacement { domain, secret_id ; headers }
    control::Image {
        base_images, context_files, version, secret_ids, context_mount_id, gpu_config, image_registry_config,
        runtime, runtime_debug, build_function, volume_mounts, arch ; dockerfile_commands, build_args
    }
    control::ImageContextFile { filename ; data }
    control::MountPutFileRequest { sha256_hex ; data_oneof }
    control::MultiPartUpload { part_length ; upload_urls, completion_url }
    control::SandboxCreateConnectTokenResponse { url ; token }
    control::SandboxCreateV2Response {
        sandbox_id, tunnels, task_id, metadata, command_router_access ; sandbox_token
    }
    control::SandboxGetCommandRouterAccessResponse { url, worker_ipv4_address ; jwt }
    control::SandboxStdinWriteRequest { sandbox_id, index, eof ; input }
    control::SecretGetOrCreateRequest {
        deployment_name, environment_name, object_creation_type, app_id, required_keys ; env_dict
    }
    control::StringMap { ; contents }
    control::TaskGetCommandRouterAccessResponse { url ; jwt }
    control::TaskLogs {
        task_state, timestamp, file_descriptor, task_progress, function_call_id, input_id, timestamp_ns,
        container_id, container_name ; data
    }
    control::UploadUrlList { ; items }
    router::SandboxStdinWriteV2Request { task_id, offset, eof ; data }
    router::SandboxStdioReadV2Response { starting_offset ; data }
    router::TaskContainerCreateRequest {
        task_id, container_name, image_id, args, workdir, secret_ids, volume_mounts, network_access, pty_info,
        memory_reserve_consume_mib, secret_sources ; env
    }
    router::TaskExecStartRequest {
        task_id, exec_id, command_args, stdout_config, stderr_config, timeout_secs, workdir, secret_ids, pty_info,
        runtime_debug, container_id, secret_sources ; env
    }
    router::TaskExecStdinWriteRequest { task_id, exec_id, offset, eof ; data }
    router::TaskExecStdinWriteStreamRequest { ; payload }
    router::TaskExecStdioReadResponse { ; data }
    router::TaskMountDirectoryRequest { task_id, path, image_id, container_id ; customer_supplied_encryption_key }
    router::TaskSnapshotDirectoryRequest {
        task_id, path, snapshot_id, ttl_seconds, container_id ; customer_supplied_encryption_key
    }
    router::TaskSnapshotFilesystemRequest {
        task_id, snapshot_id, ttl_seconds, container_id ; customer_supplied_encryption_key
    }
}

/// Implements `Debug` for a oneof none of whose values may be shown.
macro_rules! hiding_oneof {
    ($($oneof:path),+ $(,)?) => {$(
        impl fmt::Debug for $oneof {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                Hidden.fmt(f)
            }
        }
    )+};
}

hiding_oneof! {
    control::blob_create_response::UploadTypeOneof,
    control::blob_create_response::UploadTypesOneof,
    control::mount_put_file_request::DataOneof,
    router::task_exec_stdin_write_stream_request::Payload,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_values_stay_hidden_wherever_the_map_is_nested() {
        let env = control::StringMap { contents: [("K".to_owned(), "hunter2".to_owned())].into() };
        let source = control::SecretSource { source: Some(control::secret_source::Source::Env(env.clone())) };
        let create = control::SandboxCreateV2Request {
            ephemeral_secrets: Some(env.clone()),
            secret_sources: vec![source.clone()],
            cloud_bucket_mount_credentials: [("/mnt".to_owned(), env)].into(),
            ..Default::default()
        };
        let exec = router::TaskExecStartRequest {
            env: [("K".to_owned(), "hunter2".to_owned())].into(),
            secret_sources: vec![source],
            command_args: vec!["shown".to_owned()],
            ..Default::default()
        };
        let text = format!("{create:?} {exec:?}");
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("<hidden>") && text.contains("shown"), "{text}");
    }

    #[test]
    fn tokens_stay_hidden_and_addresses_show() {
        let access = control::CommandRouterAccess { jwt: "a.b.c".into(), url: "https://127.0.0.1:1".into() };
        let reply = control::SandboxCreateV2Response {
            command_router_access: Some(access),
            sandbox_token: "tok-1".into(),
            ..Default::default()
        };
        let text = format!("{reply:?} {:?}", control::AuthTokenGetResponse { token: "tok-2".into() });
        assert!(!text.contains("a.b.c") && !text.contains("tok-1") && !text.contains("tok-2"), "{text}");
        assert!(
            text.starts_with("SandboxCreateV2Response {") && text.contains("https://127.0.0.1:1"),
            "{text}"
        );
    }

    #[test]
    fn stream_bytes_stay_hidden() {
        use router::task_exec_stdin_write_stream_request::Payload;
        let message =
            router::TaskExecStdinWriteStreamRequest { payload: Some(Payload::Data("tskey-1".into())) };
        assert!(!format!("{message:?} {:?}", message.payload).contains("tskey"));
    }
}
