//! Making a sandbox: once per key, whole or not at all.

use std::time::Duration;

use openlattice::{
    Attachment, ComputeProviderExt, Error, ErrorKind, ExecSpec, PortSpec, ProvisionSpec, Readiness, Result,
    Retry, Runtime, SandboxId, SandboxInfo, SecretSource, Subject,
};
use openlattice_engine as engine;
use openlattice_engine::Engine;

use crate::error::Attempt;
use crate::note::Note;
use crate::provider::{LocalProvider, parse};
use crate::{info, key, owner, pending, volumes};

/// Id of the initial command. It is the same for everybody who repeats a key, so that the command runs once.
const INITIAL: &str = "initial-command";
/// How long a sandbox may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(600);
/// How long to wait between two tries of a probe.
const PROBE_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait between two looks at a sandbox that another process is making.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Provisions by a checked spec, from an image or a snapshot.
pub(crate) async fn provision(
    provider: &LocalProvider,
    spec: ProvisionSpec,
    snapshot: Option<&str>,
) -> Result<SandboxInfo> {
    let attempt = Attempt(if snapshot.is_some() { "restore" } else { "provision" });
    pending::check_tags(attempt.0, &spec.tags)?;
    check_architecture(attempt, &spec)?;
    let image = find_image(&provider.engine, attempt, &spec, snapshot).await?;
    let volumes = volumes::find(&provider.engine, attempt, &spec.volumes).await?;
    let plan = Plan {
        attempt,
        image,
        volumes,
        digest: spec.key.as_deref().map(|key| key::spec_digest(key, &spec, snapshot)),
        spec,
    };
    match plan.spec.key.clone() {
        None => plan.make(provider, None).await,
        Some(key) => plan.make_once(provider, &key).await,
    }
}

/// Refuses a sandbox that is unknown or has ended.
pub(crate) async fn require_running(engine: &Engine, attempt: Attempt, id: &SandboxId) -> Result<()> {
    let known = parse(id).ok_or_else(|| attempt.no_sandbox(id))?;
    let found = engine.sandbox(&known).await.map_err(attempt.on(Subject::Sandbox))?;
    if found.is_living() { Ok(()) } else { Err(attempt.no_sandbox(id)) }
}

fn check_architecture(attempt: Attempt, spec: &ProvisionSpec) -> Result<()> {
    let here = std::env::consts::ARCH;
    match spec.placement.architecture.as_deref() {
        Some(wanted) if wanted != here => Err(Error::unsupported(attempt.0, "placement.architecture")
            .with_hint(format!("this machine is {here}; leave the architecture out"))),
        _ => Ok(()),
    }
}

async fn find_image(
    engine: &Engine,
    attempt: Attempt,
    spec: &ProvisionSpec,
    snapshot: Option<&str>,
) -> Result<String> {
    let (reference, subject) = match snapshot {
        Some(id) => (id, Subject::Snapshot),
        None => (spec.runtime.image.as_deref().unwrap_or("host"), Subject::Image),
    };
    let found = match snapshot {
        Some(id) => engine.image(id).await,
        None => engine.ensure_image(pull(reference, &spec.runtime)).await,
    };
    match found {
        Ok(_) => Ok(reference.to_owned()),
        // A text that cannot be the name of an image is the name of no image.
        Err(error)
            if matches!(error.kind(), engine::ErrorKind::NotFound | engine::ErrorKind::InvalidArgument) =>
        {
            let missing = Error::new(ErrorKind::NotFound, attempt.0, error.to_string()).with_subject(subject);
            Err(missing.with_context("image", reference).with_hint(
                "`lattice images ls` lists what the store has; other names are looked for in their registry",
            ))
        }
        // Nothing was made.
        Err(error) if error.kind() == engine::ErrorKind::Unavailable => {
            let safe = Retry::Safe { after: None };
            Err(attempt.on(subject)(error).with_context("image", reference).with_retry(safe))
        }
        Err(error) => Err(attempt.on(subject)(error).with_context("image", reference)),
    }
}

/// The pull of an image that the store may not have.
fn pull(reference: &str, runtime: &Runtime) -> engine::PullSpec {
    let mut spec = engine::PullSpec::new(reference);
    spec.credentials = runtime.registry.as_ref().map(|given| engine::RegistryCredentials {
        username: given.username.clone(),
        password: given.password.expose().to_owned(),
    });
    spec
}

/// A spec that was checked against everything that can be known before something is made.
struct Plan {
    attempt: Attempt,
    image: String,
    volumes: Vec<engine::VolumeMount>,
    digest: Option<String>,
    spec: ProvisionSpec,
}

impl Plan {
    /// Finds the sandbox of a key or makes it.
    async fn make_once(&self, provider: &LocalProvider, key: &str) -> Result<SandboxInfo> {
        for number in 0..key::ATTEMPTS {
            let id = key::sandbox_id(key, number);
            match provider.engine.sandbox(&id).await {
                Ok(found) => {
                    if let Some(info) = self.adopt(provider, found).await? {
                        return Ok(info);
                    }
                }
                Err(error) if error.kind() == engine::ErrorKind::NotFound => {
                    match self.make(provider, Some(id.clone())).await {
                        // Somebody else was quicker, unless it is the sandbox's name that is taken.
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                            let Ok(found) = provider.engine.sandbox(&id).await else { return Err(error) };
                            if let Some(info) = self.adopt(provider, found).await? {
                                return Ok(info);
                            }
                        }
                        made => return made,
                    }
                }
                Err(error) => return Err(self.attempt.failed()(error)),
            }
        }
        let message = format!("{} provisions with this key have failed", key::ATTEMPTS);
        Err(Error::new(ErrorKind::ResourceExhausted, self.attempt.0, message).with_hint("use another key"))
    }

    /// Takes the sandbox that has the id of our key; nothing when it is the remains of a failed attempt.
    async fn adopt(
        &self,
        provider: &LocalProvider,
        found: engine::SandboxInfo,
    ) -> Result<Option<SandboxInfo>> {
        let found = self.settled(&provider.engine, found).await?;
        let found = self.owned(&provider.engine, found).await?;
        let ended = match &found.state {
            engine::SandboxState::Ended(end) => Some(end.reason),
            _ => None,
        };
        let failed =
            ended == Some(engine::EndReason::Failed) || (ended.is_some() && pending::is_pending(&found.tags));
        if failed {
            return Ok(None);
        }
        if Note::read(&found.note).spec != self.digest {
            let message = "the key was used with another spec";
            let error =
                Error::new(ErrorKind::AlreadyExists, self.attempt.0, message).with_subject(Subject::Name);
            return Err(error.with_context("sandbox", &found.id).with_hint("use a new key for another spec"));
        }
        if ended.is_some() {
            return Ok(Some(info::sandbox(found)));
        }
        match provider.engine.adopt(&found.id).await.map_err(self.attempt.failed())? {
            Some(ours) if pending::is_pending(&ours.tags) => self.finish(provider, ours).await.map(Some),
            Some(ours) => Ok(Some(info::sandbox(ours))),
            // Its end was begun since the look at it.
            None => Box::pin(self.adopt(provider, found)).await,
        }
    }

    /// Waits while another process makes or ends the sandbox.
    async fn settled(&self, engine: &Engine, mut found: engine::SandboxInfo) -> Result<engine::SandboxInfo> {
        loop {
            found = engine.sandbox(&found.id).await.map_err(self.attempt.failed())?;
            if !matches!(found.state, engine::SandboxState::Creating | engine::SandboxState::Ending) {
                return Ok(found);
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Makes a sandbox whose owner is gone this process's own, where the spec wants it to belong to one: the next `gc` would end it.
    async fn owned(&self, engine: &Engine, found: engine::SandboxInfo) -> Result<engine::SandboxInfo> {
        let mut note = Note::read(&found.note);
        let orphan = note.owner.as_ref().is_some_and(|owner| !owner::is_alive(owner));
        if !(orphan
            && found.is_living()
            && self.spec.attachment == Attachment::Bound
            && note.spec == self.digest)
        {
            return Ok(found);
        }
        note.owner = owner::this_process();
        engine.take_over(&found.id, &note.write()).await.map_err(self.attempt.failed())?;
        engine.sandbox(&found.id).await.map_err(self.attempt.failed())
    }

    async fn make(&self, provider: &LocalProvider, id: Option<engine::SandboxId>) -> Result<SandboxInfo> {
        let made = provider.engine.create(self.engine_spec(id)).await;
        let made = made.map_err(self.attempt.on(Subject::Name))?;
        self.finish(provider, made).await
    }

    /// Whether there is something to wait for in the new sandbox.
    fn has_steps(&self) -> bool {
        !self.spec.runtime.command.is_empty() || self.spec.readiness.is_some()
    }

    /// Runs the initial command, then waits for readiness; a failure, or being dropped meanwhile, ends the sandbox.
    async fn finish(&self, provider: &LocalProvider, made: engine::SandboxInfo) -> Result<SandboxInfo> {
        if !self.has_steps() {
            return Ok(info::sandbox(made));
        }
        let guard = Undo::new(&provider.engine, &made);
        let outcome = self.set_up(provider, &made).await;
        if let Err(error) = outcome {
            guard.undo_now().await;
            return Err(error);
        }
        guard.disarm();
        Ok(info::sandbox(made))
    }

    async fn set_up(&self, provider: &LocalProvider, made: &engine::SandboxInfo) -> Result<()> {
        if !self.spec.runtime.command.is_empty() {
            self.run_initial(provider, made).await?;
        }
        if let Some(readiness) = &self.spec.readiness {
            self.wait_until_ready(provider, made, readiness).await?;
        }
        let tags = pending::without_mark(&made.tags);
        provider.engine.set_tags(&made.id, tags).await.map_err(self.attempt.failed())
    }

    async fn wait_until_ready(
        &self,
        provider: &LocalProvider,
        made: &engine::SandboxInfo,
        readiness: &Readiness,
    ) -> Result<()> {
        let probe = match readiness {
            Readiness::TcpPort(port) => engine::Probe::TcpPort(*port),
            Readiness::Command(argv) => engine::Probe::Command(argv.clone()),
        };
        let ready = provider.engine.until_ready(&made.id, &probe, PROBE_INTERVAL);
        match tokio::time::timeout(READY_LIMIT, ready).await {
            Ok(ready) => ready.map_err(self.attempt.on(Subject::Sandbox)),
            Err(_) => {
                let text = format!("the sandbox was not ready within {READY_LIMIT:?}");
                Err(Error::new(ErrorKind::Timeout, self.attempt.0, text).with_subject(Subject::Sandbox))
            }
        }
    }

    async fn run_initial(&self, provider: &LocalProvider, made: &engine::SandboxInfo) -> Result<()> {
        let id = SandboxId::new(made.id.as_str());
        let mut command = ExecSpec::new(self.spec.runtime.command.clone());
        command.options.exec_id = Some(INITIAL.into());
        let result = provider.run(&id, command, openlattice::Callbacks::none()).await;
        let failed = |message: String| {
            Error::new(ErrorKind::FailedPrecondition, self.attempt.0, message)
                .with_subject(Subject::InitialCommand)
        };
        let result = result.map_err(|error| failed(error.message().to_owned()).with_source(error))?;
        if !result.is_success() {
            return Err(
                failed(format!("the initial command ended with {}", result.status.exit)).with_output(result)
            );
        }
        Ok(())
    }

    fn engine_spec(&self, id: Option<engine::SandboxId>) -> engine::SandboxSpec {
        let owner = owner::this_process();
        let spec = &self.spec;
        let bound = spec.attachment == Attachment::Bound;
        let mut made = engine::SandboxSpec::default();
        made.id = id;
        made.image.clone_from(&self.image);
        made.command.clone_from(&spec.runtime.main);
        made.env = environment(spec);
        made.workdir.clone_from(&spec.runtime.workdir);
        made.limits = engine::Limits {
            memory_bytes: spec.resources.memory_limit_bytes,
            milli_cpus: spec.resources.cpu_limit_millis.map(u64::from),
            pids: spec.resources.pids_limit.map(u64::from),
        };
        made.lifetime = spec.duration.max();
        made.idle_timeout = spec.duration.idle();
        made.volumes.clone_from(&self.volumes);
        made.name.clone_from(&spec.name);
        made.tags.clone_from(&spec.tags);
        made.ports = ports(spec);
        if self.has_steps() {
            pending::mark(&mut made.tags, owner.as_ref());
        }
        made.owner = if bound { engine::Owner::ThisProcess } else { engine::Owner::Detached };
        made.note = Note { spec: self.digest.clone(), owner: owner.filter(|_| bound) }.write();
        made
    }
}

/// Only plain ports are on offer; the others were refused before.
fn ports(spec: &ProvisionSpec) -> Vec<engine::PublishPort> {
    let port = |port: &PortSpec| engine::PublishPort { inside: port.port, outside: port.host_port };
    spec.network.ports.iter().map(port).collect()
}

/// Plain variables, then secret ones, which win. Named secrets were refused before.
fn environment(spec: &ProvisionSpec) -> Vec<(String, String)> {
    let values = spec.secrets.iter().filter_map(|source| match source {
        SecretSource::Values(env) => Some(env),
        SecretSource::Named(_) => None,
    });
    let all = std::iter::once(&spec.env).chain(values);
    all.flat_map(|env| env.iter()).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Ends a sandbox when the provision that made it does not come to its end, unless a repetition of it has taken the sandbox over.
struct Undo {
    engine: Engine,
    made: Option<engine::SandboxInfo>,
}

impl Undo {
    fn new(engine: &Engine, made: &engine::SandboxInfo) -> Self {
        Self { engine: engine.clone(), made: Some(made.clone()) }
    }

    fn disarm(mut self) {
        self.made = None;
    }

    /// Ends it before the error is reported. What cannot be ended now is ended by `gc`, by its mark.
    async fn undo_now(self) {
        if let Some(made) = &self.made
            && self.engine.take_back(made).await.is_ok()
        {
            self.disarm();
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(made) = self.made.take() else { return };
        let engine = self.engine.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(async move { engine.take_back(&made).await }));
        }
    }
}
