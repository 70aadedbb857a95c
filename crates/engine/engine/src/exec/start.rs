//! Starts a command.

use super::{
    ExecSpec,
    folder::{self, Claim},
    user::{self, User},
};
use crate::{
    agent::{Agent, ExecBody, ExecFiles, Refusal},
    engine::Engine,
    error::{Error, ErrorKind, Result},
    id::{ExecId, SandboxId},
    lifecycle::plan,
    protocol::stage,
    store::SandboxRow,
};
use rustix::io::Errno;

const SIGKILL: u32 = 9;

/// Starts a command in a running sandbox. The body runs in a task of its own, so that a dropped future leaves a command that is
/// started or one that is not.
pub(crate) async fn start(engine: &Engine, id: &SandboxId, spec: ExecSpec) -> Result<ExecId> {
    check(&spec)?;
    let row = engine.row(id).await?;
    row.require_running()?;
    let (body, nameless) = (engine.clone(), spec.id.is_none());
    let started = engine.detached(async move {
        begin(&body, &row, spec, false).await.map(|exec| Started { engine: body, row, exec, kill: nameless })
    });
    Ok(started.await?.take())
}

/// Starts the main command of a sandbox that is being made.
pub(crate) async fn start_main(engine: &Engine, id: &SandboxId, spec: ExecSpec) -> Result<()> {
    let row = engine.row(id).await?;
    begin(engine, &row, spec, true).await.map(|_exec| ())
}

/// A started command on its way to the caller. Dropped there, one whose id nobody knows is killed.
struct Started {
    engine: Engine,
    row: SandboxRow,
    exec: ExecId,
    kill: bool,
}

impl Started {
    fn take(mut self) -> ExecId {
        self.kill = false;
        self.exec.clone()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let (true, Ok(runtime)) = (self.kill, tokio::runtime::Handle::try_current()) {
            let (dir, exec) = (self.engine.inner().store.sandbox_dir(&self.row.info.id), self.exec.clone());
            drop(runtime.spawn(async move {
                if let Ok(agent) = Agent::connect(&dir).await {
                    // One that has ended needs no kill; a sandbox that has ended killed it.
                    drop(agent.signal(exec.as_str(), SIGKILL, true).await);
                }
            }));
        }
    }
}

fn check(spec: &ExecSpec) -> Result<()> {
    if spec.argv.first().is_none_or(String::is_empty) {
        return Err(Error::invalid("a command needs a program"));
    }
    plan::check_arguments(&spec.argv)?;
    plan::check_env(&spec.env)?;
    if let Some(workdir) = &spec.workdir {
        plan::check_workdir(workdir)?;
    }
    if spec.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
        return Err(Error::invalid("a timeout of less than a millisecond: leave it out for none"));
    }
    Ok(())
}

async fn begin(engine: &Engine, row: &SandboxRow, spec: ExecSpec, main: bool) -> Result<ExecId> {
    let id = &row.info.id;
    let exec = spec.id.clone().unwrap_or_else(ExecId::random);
    let path = folder::path(engine.inner(), id, &exec);
    let claim = engine.blocking(move |_| folder::claim(path)).await?;
    if claim.started {
        claim.require_same(&exec, spec.fingerprint.as_deref())?;
        return Ok(exec);
    }
    match ask(engine, row, &spec, &exec, &claim, main).await {
        Ok(()) => Ok(exec),
        Err(error) => {
            engine.blocking(move |_| claim.discard()).await?;
            Err(error)
        }
    }
}

async fn ask(
    engine: &Engine,
    row: &SandboxRow,
    spec: &ExecSpec,
    exec: &ExecId,
    claim: &Claim,
    main: bool,
) -> Result<()> {
    let user = ids(engine, row, spec).await?;
    let files = files(claim, spec)?;
    claim.remember(spec.fingerprint.as_deref())?;
    let body = ExecBody {
        argv: spec.argv.clone(),
        env: spec.env.clone(),
        cwd: spec.workdir.clone(),
        uid: user.uid,
        gid: user.gid,
        groups: user.groups,
        timeout: spec.timeout,
        output_quota: engine.inner().config.output_quota,
        main,
        merge: spec.merge_stderr,
    };
    let agent = Agent::connect(&engine.inner().store.sandbox_dir(&row.info.id)).await?;
    agent.exec(exec.as_str(), body, files).await.map_err(|refusal| not_started(spec, refusal))
}

async fn ids(engine: &Engine, row: &SandboxRow, spec: &ExecSpec) -> Result<User> {
    let wanted = match spec.uid {
        Some(uid) => uid.to_string(),
        None => {
            let image = row.info.image.clone();
            engine.blocking(move |inner| inner.store.image_row(image.as_str())).await?.content.user
        }
    };
    user::resolve(engine, &row.info.id, &wanted).await
}

/// The files of a command. Both output spools exist always, so that a reader of a discarded stream finds its end.
fn files(claim: &Claim, spec: &ExecSpec) -> Result<ExecFiles> {
    let (stdout, stderr) = (claim.file("stdout")?, claim.file("stderr")?);
    Ok(ExecFiles {
        status: claim.file("status")?,
        stdin: spec.stdin.then(|| claim.file("stdin")).transpose()?,
        stdout: (!spec.discard_stdout).then_some(stdout),
        stderr: (!spec.discard_stderr && !spec.merge_stderr).then_some(stderr),
    })
}

/// The error of a start that failed.
fn not_started(spec: &ExecSpec, refusal: Refusal) -> Error {
    let program = spec.argv.first().map_or("", String::as_str);
    let (kind, message) = match refusal {
        Refusal::Agent { errno, stage: stage::EXEC } if errno == Errno::NOENT || errno == Errno::NOTDIR => {
            (ErrorKind::ProgramNotFound, format!("the sandbox has no program {program:?}"))
        }
        Refusal::Agent { errno, stage: stage::EXEC }
            if [Errno::ACCESS, Errno::NOEXEC, Errno::PERM, Errno::ISDIR].contains(&errno) =>
        {
            (ErrorKind::ProgramNotExecutable, format!("the program {program:?} is not executable"))
        }
        Refusal::Agent { errno: Errno::TOOBIG, .. } => {
            (ErrorKind::InvalidArgument, format!("the arguments and environment of {program:?} are too long"))
        }
        Refusal::Agent { stage: stage::CWD, .. } => {
            let workdir = spec.workdir.as_deref().unwrap_or("the sandbox's own");
            (ErrorKind::InvalidArgument, format!("cannot enter the working directory {workdir:?}"))
        }
        _ => return refused(&format!("cannot start {program:?}"), refusal),
    };
    Error::new(kind, message).with_source(refusal)
}

/// The error of a request that an agent refused or did not answer.
pub(super) fn refused(what: &str, refusal: Refusal) -> Error {
    let exhausted = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE, Errno::NOSPC];
    let kind = if exhausted.iter().any(|errno| refusal.is(*errno)) {
        ErrorKind::ResourceExhausted
    } else {
        ErrorKind::Internal
    };
    Error::new(kind, what).with_source(refusal)
}
