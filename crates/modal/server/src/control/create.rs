//! Making a sandbox, once per call even when the call is repeated.

use super::{
    app,
    definition::{self, Plan},
    env::EnvSources,
    image::{self, Resolved},
};
use crate::{
    ids::{self, Generation},
    reach::{self, Asked},
    shared::Shared,
    status,
};
use openlattice_engine::{
    EndReason, ErrorKind, PublishPort, SandboxId, SandboxInfo, SandboxSpec, SandboxState,
};
use openlattice_modal_proto::client::{Sandbox, SandboxTag, SecretSource};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};
use tonic::Status;

/// How often a sandbox that another call is making is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What both generations' requests come down to.
pub(super) struct CreateCall {
    pub(super) generation: Generation,
    /// `x-idempotency-key`.
    pub(super) key: Option<String>,
    pub(super) app_id: String,
    pub(super) definition: Sandbox,
    pub(super) ephemeral: HashMap<String, String>,
    pub(super) sources: Vec<SecretSource>,
    pub(super) tags: Vec<SandboxTag>,
}

/// What this server keeps with a sandbox.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The image id that the client named; it may be a record of ours on top of the engine's.
    #[serde(default)]
    pub(crate) modal_image: String,
    /// How it is reached from outside.
    #[serde(default)]
    pub(crate) reach: Asked,
}

impl Note {
    /// Reads the note of a sandbox; one made by another front has none.
    pub(crate) fn of(info: &SandboxInfo) -> Self {
        serde_json::from_str(&info.note).unwrap_or_default()
    }
}

/// Makes the sandbox of a call and returns it with texts for the user.
pub(super) async fn create(
    shared: &Arc<Shared>,
    call: CreateCall,
) -> Result<(SandboxInfo, Vec<String>), Status> {
    let app = app::by_id(shared, &call.app_id).await?;
    let mut plan = definition::read(call.definition)?;
    let warnings = std::mem::take(&mut plan.warnings);
    let image = image::by_id(shared, &plan.image_id).await?;
    let sources = EnvSources {
        secret_ids: std::mem::take(&mut plan.secret_ids),
        maps: vec![std::mem::take(&mut plan.env), call.ephemeral],
        sources: call.sources,
    };
    let env = definition::joined(&image.config.env, sources.resolve(shared).await?);
    let mut spec = spec(plan, &image)?;
    spec.env = env;
    spec.scope = app.id;
    spec.tags = tags(call.tags)?;
    let method = match call.generation {
        Generation::First => "SandboxCreate",
        Generation::Second => "SandboxCreateV2",
    };
    let making = Making { shared: shared.clone(), method, key: call.key, generation: call.generation };
    // In a task of its own: a caller that gives up and repeats its call finds the sandbox of the first try.
    let made = tokio::spawn(making.run(spec)).await;
    let info = made.map_err(|error| Status::internal(format!("creation stopped: {error}")))??;
    Ok((info, warnings))
}

fn spec(plan: Plan, image: &Resolved) -> Result<SandboxSpec, Status> {
    let publish = |inside| PublishPort { inside, outside: None };
    let ports = plan.reach.plain().map(publish).collect();
    let note = Note { modal_image: image.id.clone(), reach: plan.reach };
    let mut spec = SandboxSpec::default();
    spec.image = image.base.id.to_string();
    spec.command = definition::command(plan.command, image.entrypoint(), image.command());
    spec.workdir = plan.workdir.or_else(|| image.config.workdir.clone());
    spec.terminal = plan.terminal;
    spec.limits = plan.limits;
    spec.volumes = plan.volumes;
    spec.lifetime = Some(plan.lifetime);
    spec.idle_timeout = plan.idle_timeout;
    spec.ports = ports;
    spec.name = plan.name;
    spec.note = serde_json::to_string(&note).map_err(|error| Status::internal(error.to_string()))?;
    Ok(spec)
}

/// Tags as a map; a tag name may come once.
pub(super) fn tags(tags: Vec<SandboxTag>) -> Result<BTreeMap<String, String>, Status> {
    let mut map = BTreeMap::new();
    for SandboxTag { tag_name, tag_value } in tags {
        if tag_name.is_empty() {
            return Err(Status::invalid_argument("a tag has no name"));
        }
        if let Some(twice) = map.insert(tag_name.clone(), tag_value) {
            return Err(Status::invalid_argument(format!(
                "tag {tag_name:?} is given twice (also as {twice:?})"
            )));
        }
    }
    Ok(map)
}

fn was_never_ready(info: &SandboxInfo) -> bool {
    matches!(&info.state, SandboxState::Ended(end) if end.reason == EndReason::Failed)
}

struct Making {
    shared: Arc<Shared>,
    method: &'static str,
    key: Option<String>,
    generation: Generation,
}

impl Making {
    async fn run(self, spec: SandboxSpec) -> Result<SandboxInfo, Status> {
        let info = self.made(spec).await?;
        let Err(status) = reach::attach(&self.shared, &info).await else { return Ok(info) };
        self.shared.engine.take_back(&info).await.map_err(status::from_engine)?;
        self.release().await?;
        Err(status)
    }

    async fn made(&self, mut spec: SandboxSpec) -> Result<SandboxInfo, Status> {
        let (mut id, repeated) = self.reserve().await?;
        if repeated {
            match self.known(&id).await? {
                // Its creator was killed midway: the engine has taken it back, and its id is used up.
                Some(info) if was_never_ready(&info) => {
                    self.release().await?;
                    (id, _) = self.reserve().await?;
                }
                Some(info) => return Ok(info),
                None => {}
            }
        }
        spec.id = Some(id.clone());
        let error = match self.shared.engine.create(spec).await {
            Ok(info) => return Ok(info),
            Err(error) => error,
        };
        // The same call came twice at once: the other one is making this very sandbox.
        if error.kind() == ErrorKind::AlreadyExists
            && self.key.is_some()
            && let Some(info) = self.known(&id).await?
        {
            return Ok(info);
        }
        self.release().await?;
        Err(status::from_engine(error))
    }

    /// Forgets the call, so that its repetition starts anew.
    async fn release(&self) -> Result<(), Status> {
        match &self.key {
            Some(key) => self.shared.state.release(self.method, key).await,
            None => Ok(()),
        }
    }

    /// The id to use; for a key that came before, the id of then.
    async fn reserve(&self) -> Result<(SandboxId, bool), Status> {
        let candidate = ids::new_sandbox(self.generation);
        let (id, repeated) = match &self.key {
            Some(key) => self.shared.state.reserve(self.method, key, candidate).await?,
            None => (candidate, false),
        };
        Ok((ids::sandbox(&id)?, repeated))
    }

    /// The sandbox of an id once it is made, taken over from the call that made it; `None` when there is none (any more).
    async fn known(&self, id: &SandboxId) -> Result<Option<SandboxInfo>, Status> {
        loop {
            match self.shared.engine.sandbox(id).await {
                Ok(info) if info.state == SandboxState::Creating => tokio::time::sleep(LOOK_AGAIN).await,
                Ok(info) if info.is_living() => {
                    let ours = self.shared.engine.adopt(id).await.map_err(status::from_engine)?;
                    return Ok(Some(ours.unwrap_or(info)));
                }
                Ok(info) => return Ok(Some(info)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(status::from_engine(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_a_map() {
        let tag = |name: &str| SandboxTag { tag_name: name.into(), tag_value: "1".into() };
        assert_eq!(tags(vec![tag("a"), tag("b")]).unwrap().len(), 2);
        assert!(tags(vec![tag("a"), tag("a")]).is_err());
        assert!(tags(vec![tag("")]).is_err());
    }
}
