//! The store's volumes.

use openlattice::{Error, Result, Subject, VolumeInfo, VolumeMount, Volumes, async_trait};
use openlattice_engine as engine;
use openlattice_engine::Engine;

use crate::error::Attempt;

/// The scope of the names that this provider and the command line use.
const SCOPE: &str = "";

/// Makes, lists and removes through the engine.
#[derive(Clone, Debug)]
pub(crate) struct LocalVolumes {
    engine: Engine,
}

impl LocalVolumes {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Volumes for LocalVolumes {
    async fn create(&self, name: &str) -> Result<VolumeInfo> {
        let mut spec = engine::VolumeSpec::default();
        spec.name = Some(name.to_owned());
        let made = self.engine.create_volume(spec).await.map_err(about(Attempt("create volume"), name))?;
        Ok(volume_info(made))
    }

    async fn list(&self) -> Result<Vec<VolumeInfo>> {
        let all = self.engine.volumes(Some(SCOPE)).await.map_err(Attempt("list volumes").failed())?;
        Ok(all.into_iter().filter(|volume| volume.name.is_some()).map(volume_info).collect())
    }

    async fn remove(&self, name: &str) -> Result<()> {
        let attempt = Attempt("remove volume");
        let found = self.engine.volume_by_name(SCOPE, name).await.map_err(about(attempt, name))?;
        self.engine.remove_volume(&found.id).await.map_err(about(attempt, name))
    }
}

/// Finds the volumes that a spec names.
pub(crate) async fn find(
    engine: &Engine,
    attempt: Attempt,
    asked: &[VolumeMount],
) -> Result<Vec<engine::VolumeMount>> {
    let mut found = Vec::with_capacity(asked.len());
    for mount in asked {
        let VolumeMount { name, path, read_only, sub_path } = mount;
        let volume = engine.volume_by_name(SCOPE, name).await.map_err(about(attempt, name))?.id;
        found.push(engine::VolumeMount {
            volume,
            path: path.clone(),
            read_only: *read_only,
            sub_path: sub_path.clone(),
        });
    }
    Ok(found)
}

fn about(attempt: Attempt, name: &str) -> impl FnOnce(engine::Error) -> Error {
    move |error| attempt.on(Subject::Volume)(error).with_context("volume", name)
}

fn volume_info(volume: engine::VolumeInfo) -> VolumeInfo {
    VolumeInfo {
        name: volume.name.unwrap_or_default(),
        id: volume.id.as_str().to_owned(),
        created_at: Some(volume.created_at.into()),
    }
}
