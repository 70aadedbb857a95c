//! Volumes: kept apart from sandboxes, attached by name.

use openlattice::{ErrorKind, Node, ProvisionSpec, Subject, VolumeMount, Volumes};

use super::behaviours;
use crate::case::{Case, shell, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, must_fail, passed, skipped};

behaviours![
    m29_volumes_are_there_exactly_where_claimed,
    m29_a_volume_is_made_once_and_listed_until_it_is_removed,
    m04_a_volume_has_what_an_ended_sandbox_wrote,
    m04_a_read_only_volume_refuses_writes,
    m04_a_folder_of_a_volume_appears_instead_of_the_whole,
    m04_a_missing_volume_is_named_and_nothing_is_made,
    m22_a_snapshot_has_nothing_of_a_volume,
    m27_files_reach_into_a_volume,
];

/// Where volumes appear.
const PLACE: &str = "/mnt/lattice-volume";
/// Why a behaviour of attached volumes is not judged.
const NOT_HERE: &str = "volumes are not offered, and another test proves the refusal";

async fn m29_volumes_are_there_exactly_where_claimed(case: Case) -> Outcome {
    let there = case.provider().extensions().has::<dyn Volumes>();
    ensure_eq!(there, case.offers().extensions.volumes, "whether volumes are there");
    passed()
}

async fn m29_a_volume_is_made_once_and_listed_until_it_is_removed(case: Case) -> Outcome {
    let Some(volumes) = case.volumes() else { return skipped(NOT_HERE) };
    let name = case.volume("once").await?;
    let again = must_fail(volumes.create(&name).await, &[ErrorKind::AlreadyExists], "a name that is taken")?;
    ensure_eq!(again.subject(), Some(Subject::Volume), "what is taken");
    let listed = volumes.list().await?;
    let found = listed.iter().filter(|volume| volume.name == name).count();
    ensure_eq!(found, 1, "how often the volume is listed");
    for wrong in ["", "a/b", "a b"] {
        must_fail(volumes.create(wrong).await, &[ErrorKind::InvalidArgument], "a name that none can have")?;
    }
    volumes.remove(&name).await?;
    let gone = must_fail(volumes.remove(&name).await, &[ErrorKind::NotFound], "a volume that is gone")?;
    ensure_eq!(gone.subject(), Some(Subject::Volume), "what is missing");
    let listed = volumes.list().await?;
    ensure!(listed.iter().all(|volume| volume.name != name), "a removed volume is listed");
    passed()
}

/// A spec with a volume.
fn with(case: &Case, mount: VolumeMount) -> ProvisionSpec {
    let mut spec = case.spec();
    spec.volumes = vec![mount];
    spec
}

/// Writes a file into a volume by a sandbox that has ended when this returns.
async fn fill(case: &Case, name: &str) -> Result<(), Failure> {
    let node = case.node_of(with(case, VolumeMount::new(name, PLACE))).await?;
    shell_text(&node, &format!("printf kept > {PLACE}/file")).await?;
    Ok(node.destroy().await?)
}

/// A sandbox that has a volume which another one has filled.
async fn reader(case: &Case, change: impl FnOnce(&mut VolumeMount)) -> Result<Option<Node>, Failure> {
    if !case.offers().runtime.volumes || case.volumes().is_none() {
        return Ok(None);
    }
    let name = case.volume("filled").await?;
    fill(case, &name).await?;
    let mut mount = VolumeMount::new(name, PLACE);
    change(&mut mount);
    Ok(Some(case.node_of(with(case, mount)).await?))
}

async fn m04_a_volume_has_what_an_ended_sandbox_wrote(case: Case) -> Outcome {
    let Some(node) = reader(&case, |_| ()).await? else { return skipped(NOT_HERE) };
    ensure_eq!(shell_text(&node, &format!("cat {PLACE}/file")).await?, "kept", "the file");
    passed()
}

async fn m04_a_read_only_volume_refuses_writes(case: Case) -> Outcome {
    let Some(node) = reader(&case, |mount| mount.read_only = true).await? else { return skipped(NOT_HERE) };
    for script in
        [format!("echo 1 > {PLACE}/file"), format!("rm -f {PLACE}/file"), format!("mkdir {PLACE}/d")]
    {
        ensure!(!shell(&node, &script).await?.is_success(), "{script:?} succeeded");
    }
    ensure_eq!(shell_text(&node, &format!("cat {PLACE}/file")).await?, "kept", "the file");
    passed()
}

async fn m04_a_folder_of_a_volume_appears_instead_of_the_whole(case: Case) -> Outcome {
    let folder = |mount: &mut VolumeMount| mount.sub_path = Some("users/one".to_owned());
    let Some(node) = reader(&case, folder).await? else { return skipped(NOT_HERE) };
    ensure_eq!(shell_text(&node, &format!("ls -A {PLACE}")).await?, "", "a folder that was not there");
    shell_text(&node, &format!("touch {PLACE}/mine")).await?;
    passed()
}

async fn m04_a_missing_volume_is_named_and_nothing_is_made(case: Case) -> Outcome {
    if !case.offers().runtime.volumes {
        return skipped(NOT_HERE);
    }
    let name = case.unique("missing");
    let made = case.provision(with(&case, VolumeMount::new(&name, PLACE))).await;
    let error = must_fail(made, &[ErrorKind::NotFound], "a volume that does not exist")?;
    ensure_eq!(error.subject(), Some(Subject::Volume), "what is missing");
    ensure!(format!("{error:?}").contains(&name), "{error:?} does not name {name}");
    case.nothing_alive("after a missing volume").await?;
    passed()
}

async fn m22_a_snapshot_has_nothing_of_a_volume(case: Case) -> Outcome {
    if !case.offers().snapshot {
        return skipped("snapshots are not offered, and another test proves the refusal");
    }
    let Some(node) = reader(&case, |_| ()).await? else { return skipped(NOT_HERE) };
    let reference = node.snapshot().await?;
    let restored = case.restore(&reference, case.restore_spec()).await?;
    let found = shell_text(&restored, &format!("cat {PLACE}/file 2>/dev/null || echo none")).await?;
    ensure_eq!(found.trim(), "none", "what the snapshot has of the volume");
    passed()
}

async fn m27_files_reach_into_a_volume(case: Case) -> Outcome {
    let Some(node) = reader(&case, |_| ()).await? else { return skipped(NOT_HERE) };
    let Some(files) = node.files() else { return skipped("files are not offered") };
    ensure_eq!(files.read(&format!("{PLACE}/file")).await?.as_ref(), b"kept", "the file");
    files.write(&format!("{PLACE}/more/file"), "from outside").await?;
    ensure_eq!(
        shell_text(&node, &format!("cat {PLACE}/more/file")).await?,
        "from outside",
        "what was written"
    );
    passed()
}
