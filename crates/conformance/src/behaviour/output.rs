//! Output: bytes, complete, in order, by offset.

use openlattice::{DropReason, Dropped, ErrorKind, ExecSession, ExecSpec, OutputStream, Stdin, Subject};

use super::behaviours;
use crate::case::{Case, shell, shell_text};
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, passed, skipped};

behaviours![
    g2_output_is_bytes,
    g2_four_mebibytes_arrive_complete,
    g2_reading_goes_on_from_any_offset,
    g2_readers_are_independent,
    g2_output_stays_readable_after_the_end,
    g2_nobody_reading_does_not_hold_up_the_command,
    g2_a_background_process_does_not_keep_the_stream_open,
    g2_output_beyond_the_quota_is_reported,
    g2_a_reader_that_keeps_up_loses_nothing_beyond_the_quota,
];

/// The largest quota that the suite fills.
const FILLABLE: u64 = 8 << 20;

/// Reads a stream from an offset to its end, checking that chunks follow one another.
pub(crate) async fn read_from(
    session: &dyn ExecSession,
    stream: OutputStream,
    offset: u64,
) -> Result<Vec<u8>, Failure> {
    let mut reader = session.output(stream, offset);
    let (mut next, mut whole) = (offset, Vec::new());
    while let Some(chunk) = reader.next_chunk().await? {
        ensure_eq!(chunk.offset, next, "the offset of a chunk");
        ensure!(!chunk.data.is_empty(), "a chunk at {next} is empty");
        next = chunk.end();
        whole.extend_from_slice(&chunk.data);
    }
    ensure_eq!(reader.dropped(), None, "what output was dropped");
    Ok(whole)
}

async fn g2_output_is_bytes(case: Case) -> Outcome {
    let node = case.node().await?;
    let octal: String = (0..=255).map(|byte| format!("\\{byte:03o}")).collect();
    let result = shell(&node, &format!("printf '{octal}'; printf '{octal}' >&2")).await?;
    let every: Vec<u8> = (0..=255).collect();
    ensure_eq!(result.stdout, every, "standard output");
    ensure_eq!(result.stderr, every, "standard error");
    passed()
}

async fn g2_four_mebibytes_arrive_complete(case: Case) -> Outcome {
    let node = case.node().await?;
    let script = "i=0; while [ $i -lt 64 ]; do printf '%08d' $i; head -c 65528 /dev/zero; i=$((i+1)); done";
    let result = shell(&node, script).await?;
    ensure_eq!(result.stdout.len(), 4 << 20, "the size");
    for (number, block) in result.stdout.chunks(1 << 16).enumerate() {
        ensure!(block.starts_with(format!("{number:08}").as_bytes()), "block {number} is out of order");
        ensure!(block[8..].iter().all(|byte| *byte == 0), "block {number} is damaged");
    }
    passed()
}

async fn g2_reading_goes_on_from_any_offset(case: Case) -> Outcome {
    let node = case.node().await?;
    let session =
        node.exec(ExecSpec::shell("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done")).await?;
    let whole = read_from(&*session, OutputStream::Stdout, 0).await?;
    ensure_eq!(whole, (0..3000).map(|i| format!("{i}\n")).collect::<String>().into_bytes(), "the output");
    for offset in [1, 7, 4096, whole.len() - 1, whole.len()] {
        let rest = read_from(&*session, OutputStream::Stdout, offset as u64).await?;
        ensure!(rest == whole[offset..], "{} bytes from offset {offset} instead of the rest", rest.len());
    }
    passed()
}

async fn g2_readers_are_independent(case: Case) -> Outcome {
    let node = case.node().await?;
    let session = node.exec(ExecSpec::shell("echo one; echo two >&2; echo three")).await?;
    let (first, second, err) = futures_util::future::try_join3(
        read_from(&*session, OutputStream::Stdout, 0),
        read_from(&*session, OutputStream::Stdout, 0),
        read_from(&*session, OutputStream::Stderr, 0),
    )
    .await?;
    ensure_eq!(first, b"one\nthree\n", "the first reader");
    ensure_eq!(second, b"one\nthree\n", "the second reader");
    ensure_eq!(err, b"two\n", "the reader of standard error");
    passed()
}

async fn g2_output_stays_readable_after_the_end(case: Case) -> Outcome {
    let node = case.node().await?;
    let session = node.exec(ExecSpec::shell("echo kept; echo too >&2; exit 3")).await?;
    ensure_eq!(session.wait().await?.exit.code(), 3, "the exit code");
    ensure_eq!(read_from(&*session, OutputStream::Stdout, 0).await?, b"kept\n", "standard output");
    ensure_eq!(read_from(&*session, OutputStream::Stderr, 0).await?, b"too\n", "standard error");
    passed()
}

async fn g2_nobody_reading_does_not_hold_up_the_command(case: Case) -> Outcome {
    let node = case.node().await?;
    let session = node.exec(ExecSpec::new(["head", "-c", "3000000", "/dev/zero"])).await?;
    ensure!(session.wait().await?.is_success(), "the command failed");
    ensure_eq!(read_from(&*session, OutputStream::Stdout, 0).await?.len(), 3_000_000, "the size");
    passed()
}

async fn g2_a_background_process_does_not_keep_the_stream_open(case: Case) -> Outcome {
    if !case.offers().exec.stdin {
        return skipped("input is not offered");
    }
    let node = case.node().await?;
    let spec = ExecSpec::shell("sleep 86421 & cat").with_stdin(Stdin::Bytes("hi".into()));
    ensure_eq!(node.run(spec).await?.stdout_text(), "hi", "the output");
    ensure_eq!(shell_text(&node, "echo next").await?, "next\n", "the next command");
    passed()
}

async fn g2_output_beyond_the_quota_is_reported(case: Case) -> Outcome {
    let Some(quota) = case.offers().limits.output_bytes else {
        return skipped("the provider declares no bound of what it keeps");
    };
    if quota > FILLABLE {
        return skipped(format!("{quota} bytes of output are too many to fill here"));
    }
    let node = case.node().await?;
    let bytes = (quota + 100_000).to_string();
    let session = node.exec(ExecSpec::new(["head", "-c", &bytes, "/dev/zero"])).await?;
    let status = session.wait().await?;
    ensure!(status.is_success(), "the command did not run on: {status:?}");
    let (mut reader, mut kept) = (session.output(OutputStream::Stdout, 0), 0);
    while let Some(chunk) = reader.next_chunk().await? {
        kept = chunk.end();
    }
    let expected = Dropped { from: quota, bytes: 100_000, reason: DropReason::Quota };
    ensure_eq!(reader.dropped(), Some(expected), "what was dropped of an output that nobody read");
    ensure_eq!(kept, quota, "the bytes that were kept");
    let mut reader = session.output(OutputStream::Stderr, 0);
    ensure_eq!(reader.next_chunk().await?, None, "standard error");
    ensure_eq!(reader.dropped(), None, "what was dropped of standard error");
    passed()
}

async fn g2_a_reader_that_keeps_up_loses_nothing_beyond_the_quota(case: Case) -> Outcome {
    let Some(quota) = case.offers().limits.output_bytes else {
        return skipped("the provider declares no bound of what it keeps");
    };
    if quota > FILLABLE {
        return skipped(format!("{quota} bytes of output are too many to read here"));
    }
    let node = case.node().await?;
    let bytes = 4 * quota + 12_345;
    let session = node.exec(ExecSpec::new(["head", "-c", &bytes.to_string(), "/dev/zero"])).await?;
    let read = read_from(&*session, OutputStream::Stdout, 0).await?;
    ensure_eq!(read.len() as u64, bytes, "the bytes that arrived");
    let mut again = session.output(OutputStream::Stdout, 0);
    match again.next_chunk().await {
        Err(error) => {
            ensure_eq!(
                error.kind(),
                ErrorKind::FailedPrecondition,
                "the kind for what is not there any more"
            );
            ensure_eq!(error.subject(), Some(Subject::Exec), "the subject for what is not there any more");
        }
        Ok(chunk) => ensure_eq!(chunk.map(|chunk| chunk.offset), Some(0), "where a second reading began"),
    }
    passed()
}
