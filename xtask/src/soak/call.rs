//! One `lattice` process of a participant, killed at a random moment in some cases.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Load, Random};
use crate::failure::{Attempted, Result};

/// How many of 100 calls are meant to be killed; some of them end before.
const KILLED: u64 = 40;
/// How long a call may take before it counts as one that hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// How a call ended.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What was called, as a person would type it.
    pub(super) line: String,
    /// Its exit code; `None` for one that was killed.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Outcome {
    /// For the report of what does not hold.
    pub(super) fn told(&self) -> String {
        let code = self.code.map_or("killed".to_owned(), |code| format!("exit code {code}"));
        let said = self.stdout.chars().take(300).collect::<String>();
        format!("`lattice {}`: {code}, stdout {said:?}, stderr {:?}", self.line, self.stderr.trim_end())
    }
}

/// When a call is killed; `None`: not at all.
pub(super) fn moment(load: &Load, random: &mut Random, kind: &'static str) -> Option<Duration> {
    let span = load.tally.usual(kind).as_micros() * 6 / 5;
    let at = random.below(u64::try_from(span).unwrap_or(u64::MAX).max(1));
    random.chance(KILLED).then(|| Duration::from_micros(at))
}

/// Runs `lattice` to its end, or kills it when `moment` has passed.
pub(super) fn run(
    load: &Load,
    kind: &'static str,
    arguments: &[&str],
    moment: Option<Duration>,
) -> Result<Outcome> {
    let start = Instant::now();
    let mut command = load.store.lattice();
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().attempted("could not start lattice")?;
    let (open, closed) = mpsc::channel();
    let stdout = reader(child.stdout.take().expect("stdout was asked for as a pipe"), open.clone());
    let stderr = reader(child.stderr.take().expect("stderr was asked for as a pipe"), open);
    if closed.recv_timeout(moment.unwrap_or(PATIENCE)) == Err(RecvTimeoutError::Timeout) {
        kill(&mut child);
        if moment.is_none() {
            load.tally.violation(&format!("`lattice {}` hangs", arguments.join(" ")));
        }
    }
    let status = child.wait().attempted("could not wait for lattice")?;
    let text = |reader: JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    load.tally.count(kind, status.code().is_none(), start.elapsed());
    Ok(Outcome { line: arguments.join(" "), code: status.code(), stdout, stderr })
}

/// Fails only for a process that has ended, which is what is wanted.
fn kill(child: &mut Child) {
    drop(child.kill());
}

/// Reads a stream to its end; `open` closes then.
fn reader(mut from: impl Read + Send + 'static, open: mpsc::Sender<()>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before a failure is judged as it is.
        drop(from.read_to_end(&mut bytes));
        drop(open);
        bytes
    })
}
