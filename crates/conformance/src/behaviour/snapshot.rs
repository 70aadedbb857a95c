//! `snapshot` and `restore`.

use openlattice::{
    ErrorKind, ExecSpec, Node, ProvisionSpec, SnapshotKind, SnapshotRef, SnapshotSpec, Subject, Timestamp,
};

use super::behaviours;
use crate::case::{Case, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, must_fail, must_refuse, passed, skipped};

behaviours![
    m22_a_snapshot_has_a_reference_that_serialises,
    m22_commands_run_on_during_a_snapshot,
    m22_a_memory_snapshot_is_made_or_refused,
    m22_an_unknown_sandbox_is_not_found,
    m23_restore_gives_a_new_sandbox_with_the_files,
    m23_a_snapshot_outlives_its_sandbox,
    m23_a_restored_sandbox_is_its_own,
    m23_a_reference_that_is_not_ours_is_refused,
    m24_overrides_apply_to_the_restored_sandbox,
    m24_an_image_in_a_restore_is_refused,
];

/// What a test says where snapshots are not offered.
const NONE: &str = "snapshots are not offered, and another test proves the refusal";

/// Makes a sandbox with a file and keeps it.
async fn kept(case: &Case, script: &str) -> Result<(Node, SnapshotRef), Failure> {
    let node = case.node().await?;
    shell_text(&node, script).await?;
    let reference = node.snapshot().await?;
    Ok((node, reference))
}

async fn m22_a_snapshot_has_a_reference_that_serialises(case: Case) -> Outcome {
    let node = case.node().await?;
    let before = Timestamp::now().unix_millis();
    let result = node.snapshot().await;
    if !case.offers().snapshot {
        return must_refuse(result, "snapshot");
    }
    let reference = result?;
    ensure_eq!(reference.provider, case.settings().name, "the provider");
    ensure!(!reference.external_id.is_empty(), "the id is empty");
    ensure_eq!(reference.kind, SnapshotKind::Filesystem, "the kind");
    let hour = 3_600_000;
    ensure!((reference.created_at.unix_millis() - before).abs() < hour, "made at {}", reference.created_at);
    let json = serde_json::to_value(&reference)?;
    for field in ["provider", "externalId", "createdAt", "type"] {
        ensure!(json[field].is_string(), "{field} is not a text in {json}");
    }
    ensure_eq!(serde_json::from_value::<SnapshotRef>(json)?, reference, "after a round trip");
    passed()
}

async fn m22_commands_run_on_during_a_snapshot(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let node = case.node().await?;
    let script = "echo up; until [ -e /tmp/go ]; do sleep 0.05; done; echo down";
    let session = node.exec(ExecSpec::shell(script)).await?;
    node.snapshot().await?;
    ensure_eq!(session.poll().await?, None, "the status after the snapshot");
    shell_text(&node, "echo > /tmp/go").await?;
    ensure!(session.wait().await?.is_success(), "the command did not end well");
    passed()
}

async fn m22_a_memory_snapshot_is_made_or_refused(case: Case) -> Outcome {
    let node = case.node().await?;
    let result = case.provider().snapshot(node.id(), SnapshotSpec { kind: SnapshotKind::Memory }).await;
    if !case.offers().snapshot {
        return must_refuse(result, "snapshot");
    }
    if !case.offers().snapshots.memory {
        return must_refuse(result, "type");
    }
    ensure_eq!(result?.kind, SnapshotKind::Memory, "the kind");
    passed()
}

async fn m22_an_unknown_sandbox_is_not_found(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let id = openlattice::SandboxId::new("sb-no-such-sandbox");
    let result = case.provider().snapshot(&id, SnapshotSpec::default()).await;
    let error = must_fail(result, &[ErrorKind::NotFound], "an unknown sandbox")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject");
    passed()
}

async fn m23_restore_gives_a_new_sandbox_with_the_files(case: Case) -> Outcome {
    if !case.offers().snapshot {
        let reference = SnapshotRef {
            provider: case.settings().name.to_owned(),
            external_id: "none".to_owned(),
            created_at: Timestamp::now(),
            kind: SnapshotKind::Filesystem,
        };
        return must_refuse(case.provider().restore(&reference, ProvisionSpec::default()).await, "snapshot");
    }
    let script = "mkdir -p /srv/deep/er; printf 'a\\000b' > /srv/deep/er/bytes; ln -s er/bytes /srv/deep/link; \
                  printf '#!/bin/sh\\necho runs' > /srv/run; chmod 755 /srv/run";
    let (node, reference) = kept(&case, script).await?;
    let restored = case.restore(&reference, case.restore_spec()).await?;
    ensure!(restored.id() != node.id(), "the restored sandbox has the id of the first");
    let result = restored.run(ExecSpec::new(["cat", "/srv/deep/link"])).await?;
    ensure_eq!(result.stdout, b"a\0b"[..], "the file's content");
    ensure_eq!(
        restored.run(ExecSpec::new(["/srv/run"])).await?.stdout_text(),
        "runs\n",
        "the program's output"
    );
    passed()
}

async fn m23_a_snapshot_outlives_its_sandbox(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let (node, reference) = kept(&case, "echo kept > /srv/kept").await?;
    node.destroy().await?;
    let restored = case.restore(&reference, case.restore_spec()).await?;
    ensure_eq!(shell_text(&restored, "cat /srv/kept").await?, "kept\n", "the file");
    passed()
}

async fn m23_a_restored_sandbox_is_its_own(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let (node, reference) = kept(&case, "echo first > /srv/file").await?;
    shell_text(&node, "echo later > /srv/file; echo > /srv/new").await?;
    let one = case.restore(&reference, case.restore_spec()).await?;
    let two = case.restore(&reference, case.restore_spec()).await?;
    shell_text(&one, "echo one > /srv/file").await?;
    ensure_eq!(
        shell_text(&two, "cat /srv/file; [ -e /srv/new ] || echo none").await?,
        "first\nnone\n",
        "the second"
    );
    ensure_eq!(shell_text(&node, "cat /srv/file").await?, "later\n", "the original");
    passed()
}

async fn m23_a_reference_that_is_not_ours_is_refused(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let (_node, reference) = kept(&case, "true").await?;
    let foreign = SnapshotRef { provider: "somebody-else".to_owned(), ..reference.clone() };
    let result = case.restore(&foreign, case.restore_spec()).await;
    must_fail(result, &[ErrorKind::InvalidArgument], "another provider's reference")?;
    let unknown = SnapshotRef { external_id: "im-no-such-snapshot".to_owned(), ..reference };
    let result = case.restore(&unknown, case.restore_spec()).await;
    let error = must_fail(result, &[ErrorKind::NotFound], "an unknown reference")?;
    ensure_eq!(error.subject(), Some(Subject::Snapshot), "the subject");
    passed()
}

async fn m24_overrides_apply_to_the_restored_sandbox(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let offers = case.offers();
    if !offers.runtime.env || !offers.runtime.workdir || !offers.lifetime.max {
        return skipped("variables, working directories or life times are not offered");
    }
    let (_node, reference) = kept(&case, "mkdir -p /srv/there").await?;
    let spec = case.restore_spec().with_env("LATTICE_F", "override").with_workdir("/srv/there");
    let restored = case.restore(&reference, spec).await?;
    let seen = shell_text(&restored, "printf '%s ' \"$LATTICE_F\"; pwd").await?;
    ensure_eq!(seen, "override /srv/there\n", "variable and directory");
    let short = case.restore(&reference, case.restore_spec().with_max_seconds(1)).await?;
    crate::case::until(async || {
        let ended = short.inspect().await?.state == openlattice::SandboxState::Terminated;
        Ok(ended.then_some(()))
    })
    .await?;
    passed()
}

async fn m24_an_image_in_a_restore_is_refused(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped(NONE);
    }
    let (_node, reference) = kept(&case, "true").await?;
    let error =
        must_fail(case.restore(&reference, case.spec()).await, &[ErrorKind::InvalidArgument], "an image")?;
    ensure_eq!(error.field(), Some("runtime.image"), "the refused field");
    passed()
}
