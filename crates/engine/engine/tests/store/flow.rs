//! Output and input larger than what may lie on the disk.

use crate::support::{Store, command, outcome, text};
use openlattice_engine::{
    DropReason, Engine, EngineConfig, ErrorKind, ExecEnd, ExecId, OutputReader, OutputStream, SandboxId,
};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes that stay behind a reader.
const WINDOW: u64 = 256 << 10;
const QUOTA: u64 = 1 << 20;
/// Bytes of output of [`numbers`].
const LENGTH: u64 = 7_888_896;

/// A store, an engine on it with small bounds, and a sandbox.
async fn small(patience: Duration) -> Option<(Store, Engine, SandboxId)> {
    let store = Store::open().await?;
    let mut config = EngineConfig::new(store.path());
    (config.output_quota, config.output_window, config.reader_patience) = (QUOTA, WINDOW, patience);
    let engine = Engine::open(config).await.unwrap();
    let id = store.sandbox().await.id;
    Some((store, engine, id))
}

/// So long that no test reaches it.
const LONG: Duration = Duration::from_secs(3600);

/// Starts what prints [`LENGTH`] bytes in which no two places are alike.
async fn numbers(engine: &Engine, id: &SandboxId) -> ExecId {
    engine.exec(id, command(&["seq", "1000000", "1986111"])).await.unwrap()
}

fn whole() -> Vec<u8> {
    let text: String = (1_000_000..=1_986_111).map(|n| format!("{n}\n")).collect();
    assert_eq!(text.len() as u64, LENGTH);
    text.into()
}

fn spool(store: &Store, id: &SandboxId, exec: &ExecId, name: &str) -> PathBuf {
    store.path().join("sandboxes").join(id.as_str()).join("execs").join(exec.as_str()).join(name)
}

fn on_disk(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.blocks() * 512)
}

async fn reader(engine: &Engine, id: &SandboxId, exec: &ExecId, offset: u64) -> OutputReader {
    engine.output(id, exec, OutputStream::Stdout, offset).await.unwrap()
}

async fn rest(reader: &mut OutputReader) -> Vec<u8> {
    let mut read = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        read.extend_from_slice(&piece);
    }
    read
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

/// Waits until the spool has this length.
async fn grown_to(path: &Path, length: u64) {
    while fs::metadata(path).map_or(0, |file| file.len()) < length {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn g2_a_reader_that_keeps_up_loses_nothing_and_the_disk_stays_bounded() {
    let Some((store, engine, id)) = small(LONG).await else { return };
    let exec = numbers(&engine, &id).await;
    let (mut live, path) = (reader(&engine, &id, &exec, 0).await, spool(&store, &id, &exec, "stdout"));
    let (mut read, mut most) = (Vec::new(), 0);
    while let Some(piece) = live.next().await.unwrap() {
        read.extend_from_slice(&piece);
        most = most.max(on_disk(&path));
    }
    assert!(read == whole(), "{} bytes", read.len());
    // The quota, and what may come before the next look.
    assert!(most <= QUOTA + (1 << 20), "{most} bytes on disk");
    let state = engine.exec_wait(&id, &exec).await.unwrap();
    assert_eq!((state.end, state.dropped(OutputStream::Stdout)), (Some(ExecEnd::Exited(0)), None));
    // What was freed is told, with where the rest begins, and the rest can be read again.
    let gone = engine.output(&id, &exec, OutputStream::Stdout, 0).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::OutOfRange, "{gone}");
    let message = gone.to_string();
    let first = message.split("still there is ").nth(1).unwrap().split(',').next().unwrap();
    let first: u64 = first.parse().unwrap();
    assert!((1..=LENGTH - WINDOW).contains(&first), "{gone}");
    assert!(rest(&mut reader(&engine, &id, &exec, first).await).await == whole()[at(first)..]);
    let refused = engine.output(&id, &exec, OutputStream::Stdout, first - 1).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::OutOfRange);
    store.close().await;
}

#[tokio::test]
async fn g2_readers_at_different_speeds_both_read_all() {
    let Some((store, engine, id)) = small(LONG).await else { return };
    let exec = numbers(&engine, &id).await;
    let (mut fast, mut slow) = (reader(&engine, &id, &exec, 0).await, reader(&engine, &id, &exec, 0).await);
    let (mut of_fast, mut of_slow, mut turn) = (Vec::new(), Vec::new(), 0);
    loop {
        turn += 1;
        // Once the fast one is held up with the command, only the slow one can go on.
        tokio::select! {
            biased;
            piece = fast.next(), if turn % 4 != 0 => match piece.unwrap() {
                Some(piece) => of_fast.extend_from_slice(&piece),
                None => break,
            },
            piece = slow.next() => of_slow.extend_from_slice(&piece.unwrap().unwrap_or_default()),
        }
    }
    of_slow.extend(rest(&mut slow).await);
    assert!(of_fast == whole() && of_slow == whole(), "{} and {} bytes", of_fast.len(), of_slow.len());
    store.close().await;
}

#[tokio::test]
async fn g2_reading_resumes_within_the_window_and_goes_on_when_another_reader_is_gone() {
    let Some((store, engine, id)) = small(LONG).await else { return };
    let exec = numbers(&engine, &id).await;
    let (mut first, behind) = (reader(&engine, &id, &exec, 0).await, reader(&engine, &id, &exec, 0).await);
    let mut read = Vec::new();
    // Whoever is behind holds the command up, and with it the other one.
    while (read.len() as u64) < WINDOW {
        read.extend_from_slice(&first.next().await.unwrap().unwrap());
    }
    drop(behind);
    while (read.len() as u64) < LENGTH / 2 {
        read.extend_from_slice(&first.next().await.unwrap().unwrap());
    }
    let again = first.offset() - WINDOW / 2;
    drop(first);
    let resumed = rest(&mut reader(&engine, &id, &exec, again).await).await;
    assert!(resumed == whole()[at(again)..], "{} bytes from {again} on", resumed.len());
    store.close().await;
}

#[tokio::test]
async fn g2_without_a_reader_what_is_past_the_quota_is_dropped_and_told() {
    let Some((store, engine, id)) = small(LONG).await else { return };
    let exec = numbers(&engine, &id).await;
    let (mut first, path) = (reader(&engine, &id, &exec, 0).await, spool(&store, &id, &exec, "stdout"));
    first.next().await.unwrap().unwrap();
    drop(first);
    let state = engine.exec_wait(&id, &exec).await.unwrap();
    let length = fs::metadata(&path).unwrap().len();
    assert_eq!(state.end, Some(ExecEnd::Exited(0)));
    assert_eq!(state.dropped(OutputStream::Stdout), Some((LENGTH - length, DropReason::Quota)));
    assert_eq!(state.dropped(OutputStream::Stderr), None);
    assert!(on_disk(&path) <= QUOTA + 4096, "{} bytes on disk", on_disk(&path));
    assert_eq!(text(&engine, &id, &exec, OutputStream::Stdout).await.as_bytes(), &whole()[..at(length)]);
    store.close().await;
}

#[tokio::test]
async fn a_reader_that_stands_still_holds_the_command_up_for_a_while_only() {
    let Some((store, engine, id)) = small(Duration::from_millis(20)).await else { return };
    let exec = engine.exec(&id, command(&["head", "-c", "1000000", "/dev/zero"])).await.unwrap();
    let mut stands = reader(&engine, &id, &exec, 0).await;
    let state = engine.exec_wait(&id, &exec).await.unwrap();
    assert_eq!((state.end, state.dropped(OutputStream::Stdout)), (Some(ExecEnd::Exited(0)), None));
    assert_eq!(rest(&mut stands).await.len(), 1_000_000);
    // At the quota it is waited for, however long that takes.
    let exec = numbers(&engine, &id).await;
    let mut stands = reader(&engine, &id, &exec, 0).await;
    grown_to(&spool(&store, &id, &exec, "stdout"), QUOTA).await;
    assert!(rest(&mut stands).await == whole());
    assert_eq!(engine.exec_wait(&id, &exec).await.unwrap().stdout_dropped, 0);
    store.close().await;
}

#[tokio::test]
async fn a_command_that_is_held_up_ends_by_its_timeout_by_a_kill_and_with_its_sandbox() {
    let Some((store, engine, id)) = small(LONG).await else { return };
    let endless = command(&["cat", "/dev/zero"]);
    let mut timed = endless.clone();
    timed.timeout = Some(Duration::from_millis(300));
    let exec = engine.exec(&id, timed).await.unwrap();
    let mut stands = reader(&engine, &id, &exec, 0).await;
    let state = engine.exec_wait(&id, &exec).await.unwrap();
    assert!(state.timed_out && state.stdout_dropped == 0, "{state:?}");
    let length = fs::metadata(spool(&store, &id, &exec, "stdout")).unwrap().len();
    assert_eq!(rest(&mut stands).await.len() as u64, length);
    for end_sandbox in [false, true] {
        let exec = engine.exec(&id, endless.clone()).await.unwrap();
        let mut stands = reader(&engine, &id, &exec, 0).await;
        grown_to(&spool(&store, &id, &exec, "stdout"), WINDOW * 3 / 2).await;
        match end_sandbox {
            false => engine.signal(&id, &exec, 9).await.unwrap(),
            true => drop(engine.terminate(&id).await.unwrap()),
        }
        let state = engine.exec_wait(&id, &exec).await.unwrap();
        let expected = if end_sandbox { ExecEnd::SandboxEnded } else { ExecEnd::Signaled(9) };
        assert_eq!((state.end, state.stdout_dropped), (Some(expected), 0));
        assert!(rest(&mut stands).await.len() as u64 >= WINDOW * 3 / 2);
    }
    store.close().await;
}

#[tokio::test]
async fn input_past_the_quota_arrives_whole_and_waits_for_the_command() {
    let Some((store, engine, id)) = small(LONG).await else { return };
    let mut spec = command(&["sha256sum"]);
    spec.stdin = true;
    let exec = engine.exec(&id, spec).await.unwrap();
    let (path, mut most) = (spool(&store, &id, &exec, "stdin"), 0);
    for (n, piece) in whole().chunks(100_000).enumerate() {
        engine.write_stdin(&id, &exec, n as u64 * 100_000, piece, false).await.unwrap();
        most = most.max(on_disk(&path));
    }
    engine.write_stdin(&id, &exec, LENGTH, b"", true).await.unwrap();
    let sum = outcome(&engine, &id, &exec).await.ok().to_owned();
    assert!(most <= QUOTA, "{most} bytes on disk");
    let file = store.path().join("input");
    fs::write(&file, whole()).unwrap();
    let host =
        std::process::Command::new("sha256sum").stdin(fs::File::open(&file).unwrap()).output().unwrap();
    assert_eq!(sum.as_bytes(), host.stdout);
    store.close().await;
}

#[tokio::test]
async fn input_that_waits_for_a_command_ends_with_it_and_after_a_while_below_the_quota() {
    let Some((store, engine, id)) = small(Duration::from_millis(20)).await else { return };
    let mut spec = command(&["sh", "-c", "sleep 600"]);
    spec.stdin = true;
    let exec = engine.exec(&id, spec.clone()).await.unwrap();
    let piece = vec![7; 200_000];
    for n in 0..5 {
        engine.write_stdin(&id, &exec, n * 200_000, &piece, false).await.unwrap();
    }
    assert_eq!(engine.stdin_state(&id, &exec).await.unwrap().accepted, 1_000_000);
    // At the quota it waits; dropped, it has accepted nothing; then the command ends.
    let write = engine.write_stdin(&id, &exec, 1_000_000, &piece, false);
    assert!(tokio::time::timeout(Duration::from_millis(300), write).await.is_err());
    assert_eq!(engine.stdin_state(&id, &exec).await.unwrap().accepted, 1_000_000);
    let (written, ()) = tokio::join!(engine.write_stdin(&id, &exec, 1_000_000, &piece, false), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        engine.signal(&id, &exec, 9).await.unwrap();
    });
    assert_eq!(written.unwrap_err().kind(), ErrorKind::FailedPrecondition);
    // One that closes its input says so to who waits, and more at once than the quota is refused.
    spec.argv = vec!["sh".into(), "-c".into(), "sleep 0.1; exec 0<&-; sleep 600".into()];
    let exec = engine.exec(&id, spec).await.unwrap();
    let most = vec![7; at(QUOTA)];
    engine.write_stdin(&id, &exec, 0, &most, false).await.unwrap();
    let refused = engine.write_stdin(&id, &exec, QUOTA, &piece, false).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::FailedPrecondition, "{refused}");
    let refused = engine.write_stdin(&id, &exec, 0, &[most, vec![7; 1 << 20]].concat(), false).await;
    assert!(matches!(
        refused.unwrap_err().kind(),
        ErrorKind::ResourceExhausted | ErrorKind::FailedPrecondition
    ));
    store.close().await;
}
