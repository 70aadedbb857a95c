//! Makes a sandbox: row, folder, launch, working directory, main command, and only then `running`.

use crate::{
    engine::Engine,
    error::{Error, ErrorKind, Result},
    exec::{self, ExecSpec},
    files,
    id::{ExecId, SandboxId},
    image, launch,
    lifecycle::{
        plan,
        undo::{Unfinished, undone},
    },
    ports::Listeners,
    sandbox::{SandboxInfo, SandboxSpec},
    store::{Folder, ImageRow, SandboxRow, start_time},
};
use std::time::SystemTime;

/// Creates a sandbox. The body runs in a task of its own, so that a dropped future stops it nowhere midway; its outcome owns the
/// sandbox until somebody takes it.
pub(crate) async fn create(engine: &Engine, spec: SandboxSpec) -> Result<SandboxInfo> {
    plan::check_spec(&spec)?;
    require_root()?;
    let image = engine.image_row(&spec.image).await?;
    image::host::check_usr(&image)?;
    let listeners = Listeners::open(&spec.ports)?;
    let body = engine.clone();
    let (info, unfinished) =
        engine.detached(async move { make(&body, spec, image, listeners).await }).await?;
    unfinished.keep();
    Ok(info)
}

fn require_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        "sandboxes need root: this version has no rootless mode, run it as root",
    ))
}

async fn make(
    engine: &Engine,
    spec: SandboxSpec,
    image: ImageRow,
    listeners: Listeners,
) -> Result<(SandboxInfo, Unfinished)> {
    let row = insert(engine, &spec, &image).await?;
    let unfinished = Unfinished::new(engine, &row);
    match build(engine, spec, image, row, listeners).await {
        Ok(info) => Ok((info, unfinished)),
        Err(error) => Err(undone(error, unfinished.undo().await)),
    }
}

async fn insert(engine: &Engine, spec: &SandboxSpec, image: &ImageRow) -> Result<SandboxRow> {
    let mut row = plan::row(spec, image)?;
    engine
        .blocking(move |inner| {
            if let Some(name) = &row.info.name {
                inner.free_name(&row.info.scope, name)?;
            }
            inner.store.insert_sandbox(&mut row)?;
            Ok(row)
        })
        .await
}

async fn build(
    engine: &Engine,
    spec: SandboxSpec,
    image: ImageRow,
    row: SandboxRow,
    listeners: Listeners,
) -> Result<SandboxInfo> {
    let (id, expires) = (row.info.id.clone(), row.info.lifetime);
    let (main, workdir) = (main_command(&spec), plan::workdir(&spec, &image));
    engine.blocking(move |inner| launch(inner, &spec, &row, &image, listeners)).await?;
    let ready = SystemTime::now();
    make_workdir(engine, &id, workdir).await?;
    if let Some(main) = main {
        exec::start::start_main(engine, &id, main).await?;
    }
    let expires = ready.checked_add(expires).unwrap_or(ready);
    engine.blocking(move |inner| finish(inner, &id, expires)).await
}

fn launch(
    inner: &crate::engine::Inner,
    spec: &SandboxSpec,
    row: &SandboxRow,
    image: &ImageRow,
    listeners: Listeners,
) -> Result<()> {
    let folder = Folder::make(&inner.store.sandbox_dir(&row.info.id), image.content.usr.is_some())?;
    listeners.keep(&folder.path)?;
    let launched = launch::launch(plan::launch_plan(inner, spec, row, image, folder, listeners)?)?;
    let gone = || Error::new(ErrorKind::Internal, "the agent died as soon as it was ready");
    let start = start_time(launched.pid).ok_or_else(gone)?;
    inner.store.set_agent(&row.info.id, crate::store::Agent { pid: launched.pid, start })
}

async fn make_workdir(engine: &Engine, id: &SandboxId, workdir: String) -> Result<()> {
    if workdir == "/" {
        return Ok(());
    }
    let root = engine.agent(id).await?.root().await?;
    let made = engine.blocking(move |_| files::make_directories(&root, &workdir)).await;
    made.map_err(|error| {
        Error::new(ErrorKind::InvalidArgument, "cannot make the working directory").with_source(error)
    })
}

/// The main command; `None` for a sandbox without.
fn main_command(spec: &SandboxSpec) -> Option<ExecSpec> {
    (!spec.command.is_empty()).then(|| ExecSpec {
        id: Some(ExecId::main()),
        argv: spec.command.clone(),
        stdin: true,
        terminal: spec.terminal,
        ..ExecSpec::default()
    })
}

/// Ready: the row says so, unless somebody has asked for its end meanwhile.
fn finish(inner: &crate::engine::Inner, id: &SandboxId, expires: SystemTime) -> Result<SandboxInfo> {
    if !inner.store.set_running(id, expires)? {
        return Err(Error::new(
            ErrorKind::FailedPrecondition,
            format!("sandbox {id} was terminated while it was being created"),
        ));
    }
    Ok(inner.store.sandbox_row(id)?.info)
}
