//! The extension `files`.

use openlattice::{Bytes, ErrorKind, ExecSpec, FileKind, Files, Node, NodeFiles, Subject};

use super::behaviours;
use crate::case::{Case, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, failed, must_fail, passed, skipped};

behaviours![
    m27_written_bytes_come_back,
    m27_files_and_commands_see_the_same,
    m27_write_makes_parents_and_replaces,
    m27_list_is_complete_and_sorted,
    m27_stat_describes_without_following,
    m27_mkdir_with_and_without_parents,
    m27_remove_takes_files_and_trees,
    m27_missing_paths_are_not_found,
    m27_wrong_types_are_refused,
    m27_links_do_not_lead_out_of_the_sandbox,
    m27_an_ended_sandbox_has_no_files,
];

/// What a test says where files are not offered.
pub(super) const NONE: &str = "files are not offered, and another test proves it";

/// Makes a sandbox with files; `None` where they are not offered.
pub(super) async fn files(case: &Case) -> Result<Option<(Node, NodeFiles)>, Failure> {
    if case.provider().extensions().get::<dyn Files>().is_none() {
        return Ok(None);
    }
    let node = case.node().await?;
    match node.files() {
        Some(files) => Ok(Some((node, files))),
        None => failed("the node has no files, and its provider has"),
    }
}

async fn m27_written_bytes_come_back(case: Case) -> Outcome {
    let Some((_node, files)) = files(&case).await? else { return skipped(NONE) };
    let large: Vec<u8> =
        (0..1_500_000_u32).map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    for (path, data) in
        [("/tmp/empty", Vec::new()), ("/tmp/every", (0..=255).collect()), ("/tmp/large", large)]
    {
        files.write(path, data.clone()).await?;
        ensure!(files.read(path).await? == data, "{path} came back changed");
    }
    passed()
}

async fn m27_files_and_commands_see_the_same(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    files.write("/tmp/from outside", Bytes::from_static(b"in\n")).await?;
    let seen = node.run(ExecSpec::new(["cat", "/tmp/from outside"])).await?;
    ensure_eq!(seen.stdout_text(), "in\n", "what a command reads");
    shell_text(&node, "printf 'o\\377t' > /tmp/from-inside").await?;
    ensure_eq!(files.read("/tmp/from-inside").await?, b"o\xfft"[..], "what the extension reads");
    passed()
}

async fn m27_write_makes_parents_and_replaces(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    files.write("/tmp/a/b/c", Bytes::from_static(b"a long first content")).await?;
    files.write("/tmp/a/b/c", Bytes::from_static(b"short")).await?;
    ensure_eq!(files.read("/tmp/a/b/c").await?, b"short"[..], "the content");
    let names: Vec<_> = files.list("/tmp/a/b").await?.into_iter().map(|info| info.name).collect();
    ensure_eq!(names, ["c"], "what lies beside it");
    ensure_eq!(shell_text(&node, "cat /tmp/a/b/c").await?, "short", "what a command reads");
    passed()
}

async fn m27_list_is_complete_and_sorted(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let script = "mkdir -p /tmp/list/sub; cd /tmp/list; printf 1 > b; printf 22 > a; printf x > .hidden; ln -s a link; \
                  printf y > sub/inner";
    shell_text(&node, script).await?;
    let found: Vec<_> =
        files.list("/tmp/list").await?.into_iter().map(|info| (info.name, info.kind)).collect();
    let expected = [
        (".hidden", FileKind::File),
        ("a", FileKind::File),
        ("b", FileKind::File),
        ("link", FileKind::Symlink),
        ("sub", FileKind::Directory),
    ];
    ensure_eq!(found, expected.map(|(name, kind)| (name.to_owned(), kind)), "the directory");
    passed()
}

async fn m27_stat_describes_without_following(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    shell_text(
        &node,
        "printf 12345 > /tmp/five; chmod 640 /tmp/five; ln -s five /tmp/to-five; mkdir /tmp/dir",
    )
    .await?;
    let five = files.stat("/tmp/five").await?;
    ensure_eq!((five.kind, five.size, five.mode & 0o777), (FileKind::File, 5, 0o640), "the file");
    ensure_eq!((five.name.as_str(), five.path.as_str()), ("five", "/tmp/five"), "the file's name and path");
    let link = files.stat("/tmp/to-five").await?;
    ensure_eq!(link.kind, FileKind::Symlink, "the link");
    ensure_eq!(link.symlink_target.as_deref(), Some("five"), "the link's target");
    ensure_eq!(files.stat("/tmp/dir").await?.kind, FileKind::Directory, "the directory");
    passed()
}

async fn m27_mkdir_with_and_without_parents(case: Case) -> Outcome {
    let Some((node, all)) = files(&case).await? else { return skipped(NONE) };
    let Some(files) = case.provider().extensions().get::<dyn Files>() else { return skipped(NONE) };
    all.mkdir("/tmp/m/n/o").await?;
    all.mkdir("/tmp/m/n/o").await?;
    ensure_eq!(all.stat("/tmp/m/n/o").await?.kind, FileKind::Directory, "the directory");
    files.mkdir(node.id(), "/tmp/m/p".as_ref(), false).await?;
    let twice = files.mkdir(node.id(), "/tmp/m/p".as_ref(), false).await;
    must_fail(twice, &[ErrorKind::AlreadyExists], "an existing directory")?;
    let orphan = files.mkdir(node.id(), "/tmp/none/q".as_ref(), false).await;
    must_fail(orphan, &[ErrorKind::NotFound], "a missing parent")?;
    passed()
}

async fn m27_remove_takes_files_and_trees(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    shell_text(
        &node,
        "mkdir -p /tmp/r/s /tmp/empty; printf x > /tmp/r/s/t; printf y > /tmp/y; ln -s y /tmp/z",
    )
    .await?;
    files.remove("/tmp/z").await?;
    ensure_eq!(files.read("/tmp/y").await?, b"y"[..], "the target of a removed link");
    files.remove("/tmp/y").await?;
    files.remove("/tmp/empty").await?;
    must_fail(
        files.remove("/tmp/r").await,
        &[ErrorKind::FailedPrecondition],
        "a directory that is not empty",
    )?;
    files.remove_all("/tmp/r").await?;
    let left = shell_text(&node, "for f in r empty y z; do [ -e /tmp/$f ] && echo $f; done; true").await?;
    ensure_eq!(left, "", "what is left");
    passed()
}

async fn m27_missing_paths_are_not_found(case: Case) -> Outcome {
    let Some((_node, files)) = files(&case).await? else { return skipped(NONE) };
    let path = "/tmp/no such file";
    let errors = [
        ("read", must_fail(files.read(path).await, &[ErrorKind::NotFound], "read")?),
        ("list", must_fail(files.list(path).await, &[ErrorKind::NotFound], "list")?),
        ("stat", must_fail(files.stat(path).await, &[ErrorKind::NotFound], "stat")?),
        ("remove", must_fail(files.remove(path).await, &[ErrorKind::NotFound], "remove")?),
    ];
    for (what, error) in errors {
        ensure_eq!(error.subject(), Some(Subject::Path), "the subject of {what}");
    }
    passed()
}

async fn m27_wrong_types_are_refused(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    shell_text(&node, "mkdir /tmp/wd; printf x > /tmp/wf").await?;
    let kinds = [ErrorKind::FailedPrecondition];
    must_fail(files.read("/tmp/wd").await, &kinds, "reading a directory")?;
    must_fail(files.write("/tmp/wd", Bytes::new()).await, &kinds, "writing a directory")?;
    must_fail(files.list("/tmp/wf").await, &kinds, "listing a file")?;
    must_fail(files.read("relative").await, &[ErrorKind::InvalidArgument], "a relative path")?;
    passed()
}

async fn m27_links_do_not_lead_out_of_the_sandbox(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    let script = "printf inside > /tmp/mark; ln -s /tmp/mark /tmp/absolute; \
                  ln -s ../../../../../../../../tmp/mark /tmp/upwards";
    shell_text(&node, script).await?;
    for path in ["/tmp/absolute", "/tmp/upwards", "/../../../tmp/mark"] {
        ensure_eq!(files.read(path).await?, b"inside"[..], "what {path} leads to");
    }
    passed()
}

async fn m27_an_ended_sandbox_has_no_files(case: Case) -> Outcome {
    let Some((node, files)) = files(&case).await? else { return skipped(NONE) };
    node.destroy().await?;
    let error = must_fail(files.read("/tmp/x").await, &[ErrorKind::NotFound], "an ended sandbox")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "the subject");
    passed()
}
