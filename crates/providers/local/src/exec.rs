//! Starting commands and finding them again.

use std::ops::Range;

use openlattice::{
    Bytes, Error, ErrorKind, ExecId, ExecSession, ExecSpec, OnDrop, PtySize, Result, SandboxId, SecretSource,
    Stdin, Subject,
};
use openlattice_engine as engine;
use openlattice_engine::Engine;
use tokio::sync::oneshot;

use crate::error::Attempt;
use crate::key;
use crate::provider::parse;
use crate::provision::require_running;
use crate::session::LocalSession;

const EXEC: Attempt = Attempt("exec");
/// Piece of input that is offered at once.
const PIECE: usize = 256 << 10;
/// Input that is accepted whatever the command does with it.
const AT_ONCE: usize = 32 << 20;

/// Starts a command by a checked spec.
///
/// The start runs in a task of its own: a caller that goes away meanwhile leaves either no command or one whose
/// session was dropped, and a dropped session does what `on_drop` says.
pub(crate) async fn start(engine: &Engine, id: &SandboxId, spec: ExecSpec) -> Result<Box<dyn ExecSession>> {
    let known = parse(id).ok_or_else(|| EXEC.no_sandbox(id))?;
    let (sender, receiver) = oneshot::channel();
    let (engine, id) = (engine.clone(), id.clone());
    drop(tokio::spawn(async move {
        let started = launch(&engine, &known, &id, spec).await;
        // Nobody there: the session is dropped here.
        drop(sender.send(started));
    }));
    let lost = |_| Error::new(ErrorKind::Internal, "exec", "the task that starts the command has died");
    let session = receiver.await.map_err(lost)??;
    Ok(Box::new(session))
}

async fn launch(
    engine: &Engine,
    known: &engine::SandboxId,
    id: &SandboxId,
    spec: ExecSpec,
) -> Result<LocalSession> {
    let asked = engine_spec(&spec)?;
    let started = match engine.exec(known, asked).await {
        Ok(started) => started,
        Err(error) => return Err(refused(engine, id, &spec, error).await),
    };
    let kill = spec.options.on_drop == OnDrop::Kill;
    let session = LocalSession::new(engine.clone(), known.clone(), started, kill);
    if let Stdin::Bytes(bytes) = &spec.options.stdin {
        give(&session, bytes).await?;
    }
    Ok(session)
}

/// Follows a command that was started earlier.
pub(crate) async fn attach(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Result<Box<dyn ExecSession>> {
    let attempt = Attempt("attach");
    let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
    engine.sandbox(&known).await.map_err(attempt.on(Subject::Sandbox))?;
    let missing = |_| {
        let error = Error::new(ErrorKind::NotFound, "attach", format!("no command {exec} in sandbox {id}"));
        error.with_subject(Subject::Exec)
    };
    let command = engine::ExecId::parse(exec.as_str()).map_err(missing)?;
    engine.exec_state(&known, &command).await.map_err(attempt.on(Subject::Exec))?;
    Ok(Box::new(LocalSession::new(engine.clone(), known, command, false)))
}

/// The size of a terminal as the engine has it.
pub(crate) fn terminal_size(size: PtySize) -> engine::TerminalSize {
    engine::TerminalSize { rows: size.rows, columns: size.cols }
}

fn engine_spec(spec: &ExecSpec) -> Result<engine::ExecSpec> {
    let options = &spec.options;
    let mut asked = engine::ExecSpec::default();
    if let Some(id) = &options.exec_id {
        let bad = |error: engine::Error| Error::invalid("exec", "options.execId", error.to_string());
        asked.id = Some(engine::ExecId::parse(id.as_str()).map_err(bad)?);
        asked.fingerprint = Some(key::exec_digest(spec));
    }
    asked.argv.clone_from(&spec.argv);
    let values = options.secrets.iter().filter_map(|source| match source {
        SecretSource::Values(env) => Some(env),
        SecretSource::Named(_) => None,
    });
    let all = std::iter::once(&options.env).chain(values);
    asked.env =
        all.flat_map(|env| env.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    asked.workdir.clone_from(&options.cwd);
    asked.timeout = options.timeout();
    asked.stdin = options.stdin != Stdin::Closed;
    asked.terminal = options.pty.map(terminal_size);
    Ok(asked)
}

/// Says what was missing: a sandbox that has ended, or a directory, which the engine calls an invalid argument.
async fn refused(engine: &Engine, id: &SandboxId, spec: &ExecSpec, error: engine::Error) -> Error {
    use engine::ErrorKind as From;
    match (error.kind(), &spec.options.cwd) {
        (From::NotFound | From::FailedPrecondition, _) => match require_running(engine, EXEC, id).await {
            Err(gone) => gone,
            Ok(()) => EXEC.on(Subject::Sandbox)(error),
        },
        (From::AlreadyExists, _) => EXEC.on(Subject::Exec)(error),
        (From::InvalidArgument, Some(cwd)) if !is_there(engine, id, cwd).await => {
            Error::new(ErrorKind::NotFound, "exec", error.to_string())
                .with_subject(Subject::WorkingDirectory)
                .with_context("sandbox", id)
        }
        _ => EXEC.failed()(error),
    }
}

/// Whether a path leads to something in the sandbox; where that cannot be told, yes.
async fn is_there(engine: &Engine, id: &SandboxId, path: &str) -> bool {
    let Some(known) = parse(id) else { return true };
    match engine.files(&known).stat(path).await {
        Err(error) => error.kind() != engine::ErrorKind::NotFound,
        Ok(_) => true,
    }
}

/// Gives a command its whole input: what must wait for the command to read, in a task of its own, so that whoever started it can read its
/// output meanwhile.
async fn give(session: &LocalSession, bytes: &Bytes) -> Result<()> {
    let at_once = bytes.len().min(AT_ONCE);
    feed(session, bytes, 0..at_once).await?;
    if at_once < bytes.len() {
        let (bytes, session) = (bytes.clone(), session.observer());
        // It ends with the command at the latest, whose status tells what became of it.
        drop(tokio::spawn(async move { feed(&session, &bytes, at_once..bytes.len()).await }));
    }
    Ok(())
}

/// Gives a command a part of its input, and with the last one the end. A command that ends without reading it is no failure.
async fn feed(session: &LocalSession, bytes: &Bytes, part: Range<usize>) -> Result<()> {
    let mut offset = part.start;
    while offset < part.end {
        let piece = bytes.slice(offset..part.end.min(offset + PIECE));
        let length = piece.len();
        match session.write_stdin(offset as u64, piece).await {
            Err(error) if error.kind() == ErrorKind::FailedPrecondition => return Ok(()),
            written => written?,
        }
        offset += length;
    }
    if offset == bytes.len() { session.close_stdin().await } else { Ok(()) }
}
