//! What a spec becomes on the wire.

use openlattice::{
    ComputeProvider, ErrorKind, ListFilter, ProvisionSpec, Retry, SandboxId, SnapshotKind, SnapshotRef,
    Subject, Timestamp,
};
use openlattice_modal_proto::client::secret_source::Source;
use openlattice_modal_proto::client::{Sandbox, network_access::NetworkAccessType};
use tonic::{Code, Status};

use crate::fake::{Created, Fake};
use crate::provider;

async fn created(spec: &str) -> Created {
    let fake = Fake::start().await;
    let made = provider(&fake).provision(ProvisionSpec::from_json(spec).unwrap()).await.unwrap();
    let created = fake.state().created.clone();
    assert_eq!(created.len(), 1, "exactly one sandbox");
    assert_eq!(made.id.as_str(), created[0].id);
    created[0].clone()
}

fn gpu(definition: &Sandbox) -> (String, u32) {
    let gpu = definition.resources.clone().unwrap().gpu_config.unwrap();
    (gpu.gpu_type, gpu.count)
}

#[tokio::test]
async fn m06_m07_a_gpu_is_passed_on_and_is_a_t4_without_a_type() {
    let asked = created(r#"{"gpu": {"type": "A100", "count": 2}}"#).await;
    assert_eq!(gpu(&asked.definition), ("A100".to_owned(), 2));
    let default = created(r#"{"gpu": {}}"#).await;
    assert_eq!(gpu(&default.definition), ("T4".to_owned(), 1));
    let none = created("{}").await;
    assert_eq!(gpu(&none.definition), (String::new(), 0));
}

#[tokio::test]
async fn m06_types_of_a_gpu_are_tried_in_order() {
    let fake = Fake::start().await;
    let spec = r#"{"gpu": {"type": "H100", "count": 2, "fallback": ["A100", "T4"]}, "key": "k"}"#;
    let spec = ProvisionSpec::from_json(spec).unwrap();
    fake.fail("SandboxCreate", [Status::resource_exhausted("no H100 is free")]);
    fake.fail("SandboxGetTaskId", [Status::resource_exhausted("no A100 is free")]);
    let made = provider(&fake).provision(spec.clone()).await.unwrap();
    assert_eq!(made.warnings.len(), 2, "{:?}", made.warnings);
    assert!(made.warnings[0].contains("H100") && made.warnings[1].contains("A100"));
    let created = fake.state().created.clone();
    let types: Vec<_> = created.iter().map(|one| (gpu(&one.definition).0, one.ended)).collect();
    assert_eq!(types, [("A100".to_owned(), true), ("T4".to_owned(), false)], "what got no machine is ended");

    let fake = Fake::start().await;
    fake.fail("SandboxCreate", [Status::permission_denied("no GPUs for you")]);
    let error = provider(&fake).provision(spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(fake.calls("SandboxCreate").len(), 1, "another failure is not about the type");
}

#[tokio::test]
async fn m08_m09_life_time_and_directory_are_the_sandbox_s() {
    let spec = r#"{"duration": {"maxSeconds": 600, "idleSeconds": 60}, "runtime": {"workdir": "/srv"}}"#;
    let asked = created(spec).await.definition;
    assert_eq!((asked.timeout_secs, asked.idle_timeout_secs), (600, Some(60)));
    assert_eq!(asked.workdir.as_deref(), Some("/srv"));
    let default = created("{}").await.definition;
    assert_eq!(default.timeout_secs, 86_400, "a day at most");
    assert_eq!(default.network_access.unwrap().network_access_type(), NetworkAccessType::Blocked);
}

#[tokio::test]
async fn m04_the_main_process_is_what_is_asked_for_or_none() {
    let fake = Fake::start().await;
    for (image, from) in [("x:1", "FROM x:1"), ("im-7", "FROM base")] {
        let spec = ProvisionSpec::new(image).with_main(["serve", "--all"]);
        provider(&fake).provision(spec).await.unwrap();
        let asked = fake.state().images.pop().unwrap();
        assert_eq!(asked.dockerfile_commands, [from, "ENTRYPOINT []", "CMD []"]);
    }
    provider(&fake).provision(ProvisionSpec::new("x:1")).await.unwrap();
    let created = fake.state().created.clone();
    let commands: Vec<_> = created.iter().map(|made| made.definition.entrypoint_args.join(" ")).collect();
    assert_eq!(commands, ["serve --all", "serve --all", ""]);
}

#[tokio::test]
async fn m14_variables_travel_inline_and_secrets_win() {
    let spec = r#"{"env": {"A": "1", "B": "1"}, "secrets": [{"values": {"B": "2"}}]}"#;
    let made = created(spec).await;
    let Some(Source::Env(env)) = &made.sources[0].source else { panic!("{made:?}") };
    assert_eq!((env.contents["A"].as_str(), env.contents["B"].as_str()), ("1", "2"));
}

#[tokio::test]
async fn m23_m24_a_restore_uses_the_snapshot_and_the_overrides() {
    let fake = Fake::start().await;
    let snapshot = SnapshotRef {
        provider: "modal".to_owned(),
        external_id: "im-snapshot".to_owned(),
        created_at: Timestamp::now(),
        kind: SnapshotKind::Filesystem,
    };
    let spec = r#"{"gpu": {"type": "H100"}, "duration": {"maxSeconds": 77}, "env": {"A": "1"}}"#;
    let spec = ProvisionSpec::from_json(spec).unwrap();
    provider(&fake).restore(&snapshot, spec).await.unwrap();
    let made = fake.state().created[0].clone();
    assert_eq!((made.definition.image_id.as_str(), made.definition.timeout_secs), ("im-1", 77));
    let image = fake.state().images[0].clone();
    assert_eq!(image.dockerfile_commands, ["FROM base", "ENTRYPOINT []", "CMD []"], "no command of its own");
    assert_eq!(image.base_images[0].image_id, "im-snapshot");
    assert_eq!(gpu(&made.definition), ("H100".to_owned(), 1));
    assert_eq!(fake.state().stored[0]["A"], "1", "a sandbox with a GPU has its variables stored");
    let other = SnapshotRef { provider: "local".to_owned(), ..snapshot.clone() };
    let error = provider(&fake).restore(&other, ProvisionSpec::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::InvalidArgument, Some(Subject::Snapshot)));
    fake.fail("ImageFromId", [Status::not_found("no such image")]);
    let error = provider(&fake).restore(&snapshot, ProvisionSpec::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.subject()), (ErrorKind::NotFound, Some(Subject::Snapshot)));
}

#[tokio::test]
async fn g6_what_is_not_offered_is_refused_before_anything_is_sent() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    for (spec, field) in [
        (r#"{"resources": {"diskLimitBytes": 1}}"#, "resources.diskLimitBytes"),
        (r#"{"network": {"policy": "open"}}"#, "network.policy"),
        (r#"{"resources": {"pidsLimit": 10}}"#, "resources.pidsLimit"),
        (r#"{"key": "k", "name": "n"}"#, "name"),
    ] {
        let error = provider.provision(ProvisionSpec::from_json(spec).unwrap()).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Unsupported, Some(field)), "{spec}");
    }
    let id = SandboxId::new("sb-1");
    assert_eq!(provider.pause(&id).await.unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(fake.state().seen.is_empty());
}

/// The whole way of a failure: status, client error, contract error.
#[tokio::test]
async fn every_status_has_its_kind() {
    let table = [
        (Code::InvalidArgument, ErrorKind::InvalidArgument),
        (Code::OutOfRange, ErrorKind::InvalidArgument),
        (Code::NotFound, ErrorKind::NotFound),
        (Code::AlreadyExists, ErrorKind::AlreadyExists),
        (Code::FailedPrecondition, ErrorKind::FailedPrecondition),
        (Code::Aborted, ErrorKind::FailedPrecondition),
        (Code::Unimplemented, ErrorKind::Unsupported),
        (Code::Unauthenticated, ErrorKind::Unauthenticated),
        (Code::PermissionDenied, ErrorKind::PermissionDenied),
        (Code::ResourceExhausted, ErrorKind::ResourceExhausted),
        (Code::DeadlineExceeded, ErrorKind::Timeout),
        (Code::Unavailable, ErrorKind::Unavailable),
        (Code::Cancelled, ErrorKind::Cancelled),
        (Code::Internal, ErrorKind::Internal),
        (Code::Unknown, ErrorKind::Internal),
        (Code::DataLoss, ErrorKind::Internal),
    ];
    let mut checks = tokio::task::JoinSet::new();
    for (code, kind) in table {
        checks.spawn(async move {
            let fake = Fake::start().await;
            fake.fail("SandboxListV2", (0..4).map(|_| Status::new(code, "so it is")));
            let error = provider(&fake).list(ListFilter::default()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{code:?}");
            assert!(error.message().contains("so it is"), "{error}");
            let again = matches!(error.retry(), Retry::Safe { .. });
            let transient =
                [Code::DeadlineExceeded, Code::Unavailable, Code::Cancelled, Code::Internal, Code::Unknown];
            assert_eq!(again, transient.contains(&code), "{code:?}");
        });
    }
    checks.join_all().await;
}

#[tokio::test]
async fn m26_a_server_that_is_not_there_is_unhealthy() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    assert!(provider.health().await.healthy);
    fake.fail("ClientHello", [Status::unavailable("down for repairs")]);
    let health = provider.health().await;
    let message = health.message.unwrap();
    assert!(!health.healthy && message.starts_with("unreachable"), "{message}");
    assert!(message.contains("down for repairs"), "{message}");
}
