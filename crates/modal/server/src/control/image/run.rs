//! Carries a build out: its base, its lines in a sandbox, the image of what they left.

use super::{
    Resolved, by_id,
    definition::{Definition, at},
    dockerfile::{ImageConfig, Line},
    local,
    script::{Action, Script},
};
use crate::{
    build::{Build, Outcome, Workshop, failure, words},
    shared::Shared,
    state::BuiltImage,
};
use bytes::Bytes;
use openlattice_engine::{
    Error, ErrorKind, ExecSpec, FileAttributes, FileKind, ImageInfo, PullSpec, RegistryCredentials,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tonic::Status;

/// Keys of a secret that opens a registry (modal-protocol, section 3.2).
const USERNAME: &str = "REGISTRY_USERNAME";
const PASSWORD: &str = "REGISTRY_PASSWORD";
/// How often a pull is mentioned in the log, in hundredths.
const STEP: u64 = 10;

/// Builds the image `id`. Dropped midway, it leaves nothing but the note that it was begun.
pub(super) async fn run(
    shared: Arc<Shared>,
    id: String,
    definition: Definition,
    build: Arc<Build>,
) -> Outcome {
    let made = make(&shared, &definition, &build).await;
    let noted = match made {
        Ok(Made { base, config, from }) => match serde_json::to_string(&config) {
            Ok(config) => {
                shared.state.finish_build(BuiltImage { id, base, config }, from).await.map(|()| None)
            }
            Err(error) => Err(Status::internal(error.to_string())),
        },
        Err(text) => shared.state.fail_build(&id).await.map(|()| Some(text)),
    };
    match noted {
        Ok(None) => Outcome::Built,
        Ok(Some(text)) => Outcome::Failed(text),
        Err(status) => Outcome::Failed(status.message().to_owned()),
    }
}

/// What a build gives.
struct Made {
    base: String,
    config: ImageConfig,
    /// Id of the image that it was made from.
    from: String,
}

async fn make(shared: &Shared, definition: &Definition, build: &Arc<Build>) -> Result<Made, String> {
    build.log(&format!("=> FROM {}\n", definition.from.rest));
    let base = base(shared, definition, build).await?;
    let (outer, workdir) = (base.base.env.clone(), base.base.workdir.clone());
    let mut script = definition.script(base.config.clone(), outer, workdir);
    let from = base.base.id.to_string();
    if !definition.needs_files {
        for line in &definition.lines {
            script.follow(line).map_err(|text| at(line, &text))?;
        }
        return Ok(Made { base: from.clone(), config: script.config, from });
    }
    let image = in_a_sandbox(shared, definition, &base, &mut script, build).await?;
    Ok(Made { base: image.id.to_string(), config: script.config, from })
}

/// The image that the lines stand on; pulled when this store has none of its name.
async fn base(shared: &Shared, definition: &Definition, build: &Arc<Build>) -> Result<Resolved, String> {
    let failed = |text: &str| at(&definition.from, text);
    let of_status = |status: Status| failed(status.message());
    if let Some(id) = &definition.base {
        return by_id(shared, id).await.map_err(of_status);
    }
    if let Some(base) = local(shared, &definition.name).await.map_err(of_status)? {
        return Ok(base);
    }
    let mut spec = PullSpec::new(&*definition.name);
    spec.credentials = credentials(shared, definition).await.map_err(|text| failed(&text))?;
    let (told, log) = (AtomicU64::new(0), Arc::clone(build));
    spec.progress = Some(Arc::new(move |done, total| {
        let part = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        if part / STEP > told.fetch_max(part / STEP, Ordering::Relaxed) {
            log.log(&format!("pulled {part} % of {total} bytes\n"));
        }
    }));
    let base = shared.engine.ensure_image(spec).await.map_err(|error| failed(&words(&error)))?;
    Ok(Resolved { id: base.id.to_string(), base, config: ImageConfig::default() })
}

async fn credentials(
    shared: &Shared,
    definition: &Definition,
) -> Result<Option<RegistryCredentials>, String> {
    let Some(id) = &definition.registry_secret else { return Ok(None) };
    let mut values = shared.state.open_secret(id).await.map_err(|status| status.message().to_owned())?;
    let mut take = |key: &str| {
        values.remove(key).ok_or_else(|| format!("the registry's secret has no key {key}; add it"))
    };
    Ok(Some(RegistryCredentials { username: take(USERNAME)?, password: take(PASSWORD)? }))
}

async fn in_a_sandbox(
    shared: &Shared,
    definition: &Definition,
    base: &Resolved,
    script: &mut Script,
    build: &Build,
) -> Result<ImageInfo, String> {
    let engine = |error: Error| words(&error);
    let secrets = secrets(shared, definition).await.map_err(|status| status.message().to_owned())?;
    let workshop = Workshop::open(&shared.engine, &shared.builds, &base.base).await.map_err(engine)?;
    let work = Work { workshop: &workshop, definition, secrets, build };
    // What an image below only sets is made when something runs in it.
    let mut done = match &script.config.workdir {
        Some(path) => workshop.files().mkdir(path, true).await.map_err(engine),
        None => Ok(()),
    };
    for line in &definition.lines {
        if done.is_err() {
            break;
        }
        done = work.follow(script, line).await.map_err(|text| at(line, &text));
    }
    let image = match done {
        Ok(()) => workshop.snapshot(script.user.clone()).await.map_err(engine),
        Err(text) => Err(text),
    };
    workshop.close().await.map_err(engine)?;
    image
}

/// Values of all secrets, later ones win.
async fn secrets(shared: &Shared, definition: &Definition) -> Result<BTreeMap<String, String>, Status> {
    let mut all = BTreeMap::new();
    for id in &definition.secrets {
        all.extend(shared.state.open_secret(id).await?);
    }
    Ok(all)
}

/// Follows lines in a sandbox.
struct Work<'a> {
    workshop: &'a Workshop,
    definition: &'a Definition,
    secrets: BTreeMap<String, String>,
    build: &'a Build,
}

impl Work<'_> {
    async fn follow(&self, script: &mut Script, line: &Line) -> Result<(), String> {
        self.build.log(&format!("=> line {}: {} {}\n", line.number, line.instruction, line.rest));
        match script.follow(line)? {
            Action::Run(argv) => self.run(script, argv).await,
            Action::Directory(path) => {
                self.workshop.files().mkdir(&path, true).await.map_err(|error| words(&error))
            }
            Action::Copy { sources, target } => self.copy(&sources, &target).await,
            Action::Nothing | Action::User => Ok(()),
        }
    }

    async fn run(&self, script: &Script, argv: Vec<String>) -> Result<(), String> {
        let mut spec = ExecSpec::default();
        spec.argv = argv;
        spec.env = script.env();
        spec.env.extend(self.secrets.iter().map(|(name, value)| (name.clone(), value.clone())));
        spec.workdir.clone_from(&script.config.workdir);
        spec.user.clone_from(&script.user);
        spec.merge_stderr = true;
        let ended = self.workshop.run(spec, self.build).await.map_err(|error| words(&error))?;
        failure(&ended).map_or(Ok(()), Err)
    }

    async fn copy(&self, sources: &[String], target: &str) -> Result<(), String> {
        let files = self.workshop.files();
        let folder = target.ends_with('/')
            || match files.stat(target).await {
                Ok(found) => found.kind == FileKind::Directory,
                Err(error) if error.kind() == ErrorKind::NotFound => false,
                Err(error) => return Err(words(&error)),
            };
        for source in sources {
            let content = self.definition.context.get(source).cloned().unwrap_or_default();
            let name = source.rsplit('/').next().unwrap_or(source);
            let path =
                if folder { format!("{}/{name}", target.trim_end_matches('/')) } else { target.to_owned() };
            files
                .write(&path, Bytes::from(content), FileAttributes::default())
                .await
                .map_err(|error| words(&error))?;
        }
        Ok(())
    }
}
