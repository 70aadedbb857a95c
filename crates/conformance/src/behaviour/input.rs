//! Input: bytes, by offset, to its end.

use openlattice::{Bytes, ErrorKind, ExecSession, ExecSpec, OutputReader, OutputStream, Stdin, StdinStatus};

use super::behaviours;
use super::output::read_from;
use crate::case::Case;
use crate::verdict::{Failure, Outcome, ensure, ensure_eq, failed, must_fail, must_refuse, passed, skipped};

behaviours![
    m12_input_is_at_its_end_by_default,
    m12_given_bytes_are_the_whole_input,
    m12_an_open_input_reaches_a_running_command,
    g2_a_mebibyte_of_input_comes_back,
    g2_a_repeated_write_is_taken_once,
    g2_a_write_beyond_the_accepted_is_refused,
    g3_writing_after_the_end_is_an_error,
];

/// Starts `cat` with an open input.
async fn cat(case: &Case) -> Result<Box<dyn ExecSession>, Failure> {
    let node = case.node().await?;
    Ok(node.exec(ExecSpec::new(["cat"]).with_stdin(Stdin::Open)).await?)
}

/// Reads until the given number of bytes is there.
pub(super) async fn read_some(reader: &mut Box<dyn OutputReader>, want: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    while bytes.len() < want {
        match reader.next_chunk().await? {
            Some(chunk) => bytes.extend_from_slice(&chunk.data),
            None => return failed(format!("the stream ended after {} bytes", bytes.len())),
        }
    }
    Ok(bytes)
}

async fn m12_input_is_at_its_end_by_default(case: Case) -> Outcome {
    let node = case.node().await?;
    let result = node.run(ExecSpec::new(["cat"])).await?;
    ensure!(result.is_success() && result.stdout.is_empty(), "cat read {:?}", result.stdout_text());
    passed()
}

async fn m12_given_bytes_are_the_whole_input(case: Case) -> Outcome {
    let node = case.node().await?;
    let every: Vec<u8> = (0..=255).collect();
    let spec = ExecSpec::new(["cat"]).with_stdin(Stdin::Bytes(every.clone().into()));
    if !case.offers().exec.stdin {
        return must_refuse(node.run(spec).await, "options.stdin");
    }
    let result = node.run(spec).await?;
    ensure!(result.is_success(), "the status is {:?}", result.status);
    ensure_eq!(result.stdout, every, "what cat read");
    passed()
}

async fn m12_an_open_input_reaches_a_running_command(case: Case) -> Outcome {
    if !case.offers().exec.stdin {
        return skipped("input is not offered, and another test proves the refusal");
    }
    let session = cat(&case).await?;
    let mut reader = session.output(OutputStream::Stdout, 0);
    session.write_stdin(0, Bytes::from_static(b"one\n")).await?;
    ensure_eq!(read_some(&mut reader, 4).await?, b"one\n", "the first answer");
    session.write_stdin(4, Bytes::from_static(b"two\n")).await?;
    ensure_eq!(read_some(&mut reader, 4).await?, b"two\n", "the second answer");
    ensure_eq!(
        session.stdin_status().await?,
        StdinStatus { accepted: 8, closed: false },
        "the input's status"
    );
    session.close_stdin().await?;
    session.close_stdin().await?;
    ensure!(session.wait().await?.is_success(), "cat did not end well");
    ensure_eq!(reader.next_chunk().await?, None, "after the end");
    passed()
}

async fn g2_a_mebibyte_of_input_comes_back(case: Case) -> Outcome {
    if !case.offers().exec.stdin {
        return skipped("input is not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    })
    .take(1 << 20)
    .collect();
    let result = node.run(ExecSpec::new(["cat"]).with_stdin(Stdin::Bytes(noise.clone().into()))).await?;
    ensure!(result.stdout == noise, "{} bytes came back, or others", result.stdout.len());
    passed()
}

async fn g2_a_repeated_write_is_taken_once(case: Case) -> Outcome {
    if !case.offers().exec.stdin {
        return skipped("input is not offered, and another test proves the refusal");
    }
    let session = cat(&case).await?;
    session.write_stdin(0, Bytes::from_static(b"abc")).await?;
    session.write_stdin(0, Bytes::from_static(b"abc")).await?;
    session.write_stdin(1, Bytes::from_static(b"bcdef")).await?;
    session.close_stdin().await?;
    ensure_eq!(read_from(&*session, OutputStream::Stdout, 0).await?, b"abcdef", "what cat read");
    passed()
}

async fn g2_a_write_beyond_the_accepted_is_refused(case: Case) -> Outcome {
    if !case.offers().exec.stdin {
        return skipped("input is not offered, and another test proves the refusal");
    }
    let session = cat(&case).await?;
    let result = session.write_stdin(5, Bytes::from_static(b"late")).await;
    must_fail(result, &[ErrorKind::InvalidArgument], "a write that leaves a gap")?;
    session.close_stdin().await?;
    ensure_eq!(read_from(&*session, OutputStream::Stdout, 0).await?, b"", "what cat read");
    passed()
}

async fn g3_writing_after_the_end_is_an_error(case: Case) -> Outcome {
    if !case.offers().exec.stdin {
        return skipped("input is not offered, and another test proves the refusal");
    }
    let session = cat(&case).await?;
    session.close_stdin().await?;
    ensure!(session.wait().await?.is_success(), "cat did not end well");
    let result = session.write_stdin(0, Bytes::from_static(b"late")).await;
    must_fail(result, &[ErrorKind::FailedPrecondition], "a write after the end")?;
    session.close_stdin().await?;
    passed()
}
