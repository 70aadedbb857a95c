//! Runs tool calls in a node: one JSON object per line in, one per line out.
//!
//! ```sh
//! cargo run -p openlattice-examples --bin tool-loop -- --scripted
//! echo '{"id":"1","argv":["uname","-n"]}' | cargo run -p openlattice-examples --bin tool-loop
//! ```
//!
//! A call has `id` and `argv`, and may have `cwd`, `env`, `stdin` and `timeoutMs` (30 seconds by default). The answer has the same
//! `id` and either `result` (`exitCode`, `stdout`, `stderr`, `timedOut` ...) or `error` (`kind`, `message`). A program that
//! fails, hangs or is missing is an answer, so the caller can go on; only the loss of the node ends the loop.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "answers and complaints of a program")]

use std::collections::BTreeMap;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use openlattice::{ComputeProviderExt, ErrorKind, ExecResult, ExecSpec, Node, Stdin, Subject};
use openlattice_examples::{Arguments, explain, open, spec};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

/// How much of each stream an answer holds, in bytes.
const SHOWN: usize = 16 << 10;
/// How long a call runs that does not say.
const PATIENCE_MS: u64 = 30_000;

/// The calls of `--scripted`: state is kept between calls, and no failure ends the loop.
const SCRIPT: &str = r#"
{"id": "write", "argv": ["tee", "/tmp/sum.sh"], "stdin": "echo $(( $1 + $2 ))\n"}
{"id": "run", "argv": ["sh", "/tmp/sum.sh", "40", "2"]}
{"id": "quoting is no matter", "argv": ["printf", "%s", "$HOME; `id`"]}
{"id": "in its own folder", "argv": ["sh", "-c", "pwd; echo $MODE"], "cwd": "/tmp", "env": {"MODE": "test"}}
{"id": "fails", "argv": ["ls", "/nowhere"]}
{"id": "hangs", "argv": ["sleep", "600"], "timeoutMs": 200}
{"id": "missing", "argv": ["no-such-program"]}
"#;

/// A call as it is written on a line.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Call {
    id: String,
    argv: Vec<String>,
    cwd: Option<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    stdin: Option<String>,
    timeout_ms: Option<u64>,
}

impl Call {
    /// The call as a command. The vector stays one: no shell sees it.
    fn command(self) -> ExecSpec {
        let patience = Duration::from_millis(self.timeout_ms.unwrap_or(PATIENCE_MS));
        let mut command = ExecSpec::new(self.argv).with_timeout(patience);
        command.options.cwd = self.cwd;
        for (name, value) in self.env {
            command = command.with_env(name, value);
        }
        match self.stdin {
            Some(text) => command.with_stdin(Stdin::Bytes(text.into())),
            None => command,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tool-loop: {}", explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = Arguments::of_process();
    let scripted = arguments.flag("--scripted");
    let provider = open(&mut arguments).await?;
    arguments.end()?;
    let node = provider.provision_node(spec(provider.as_ref())).await?;
    // Whatever becomes of the loop, the node is ended.
    let outcome = if scripted { follow_script(&node).await } else { follow_stdin(&node).await };
    node.destroy().await?;
    outcome
}

async fn follow_script(node: &Node) -> Result<(), Box<dyn Error>> {
    for line in SCRIPT.lines().filter(|line| !line.is_empty()) {
        println!("{}", answer(node, line).await?);
    }
    Ok(())
}

async fn follow_stdin(node: &Node) -> Result<(), Box<dyn Error>> {
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        println!("{}", answer(node, &line).await?);
    }
    Ok(())
}

/// Runs the call of a line. What is wrong with the call is an answer; that the node is gone is an error.
async fn answer(node: &Node, line: &str) -> openlattice::Result<Value> {
    let call: Call = match serde_json::from_str(line) {
        Ok(call) => call,
        Err(error) => {
            let kind = ErrorKind::InvalidArgument.as_str();
            return Ok(json!({"id": null, "error": {"kind": kind, "message": error.to_string()}}));
        }
    };
    let id = call.id.clone();
    match node.run(call.command()).await {
        Ok(result) => Ok(json!({"id": id, "result": shown(result)})),
        Err(error) if error.subject() == Some(Subject::Sandbox) => Err(error),
        Err(error) => {
            Ok(json!({"id": id, "error": {"kind": error.kind().as_str(), "message": error.message()}}))
        }
    }
}

/// Bounds both streams; `stdoutDroppedFrom` and `stderrDroppedFrom` then say where they were cut.
fn shown(mut result: ExecResult) -> ExecResult {
    for (stream, cut) in [
        (&mut result.stdout, &mut result.stdout_dropped_from),
        (&mut result.stderr, &mut result.stderr_dropped_from),
    ] {
        if stream.len() > SHOWN {
            stream.truncate(SHOWN);
            *cut = Some(SHOWN as u64);
        }
    }
    result
}
