//! A new sandbox, with the volumes that it asks for.

use openlattice::{
    ComputeProvider, Error, ErrorKind, ProvisionSpec, SandboxInfo, Subject, VolumeMount, Volumes,
};

use crate::failure::Result;
use crate::output;

/// Makes a sandbox; a volume that is missing is created first, as docker does. Its warnings are said.
pub(crate) async fn provision(provider: &dyn ComputeProvider, spec: ProvisionSpec) -> Result<SandboxInfo> {
    let wanted = spec.volumes.clone();
    let info = match provider.provision(spec.clone()).await {
        Err(error) if lacks_volume(&error) && create(provider, &wanted).await? => {
            provider.provision(spec).await?
        }
        made => made?,
    };
    for warning in &info.warnings {
        output::complain(warning);
    }
    Ok(info)
}

fn lacks_volume(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound && error.subject() == Some(Subject::Volume)
}

/// Creates those that are missing; says no where the provider creates none.
async fn create(provider: &dyn ComputeProvider, wanted: &[VolumeMount]) -> Result<bool> {
    let Some(volumes) = provider.extensions().get::<dyn Volumes>() else { return Ok(false) };
    for volume in wanted {
        match volumes.create(&volume.name).await {
            Ok(made) => output::complain(&format!("created volume {:?}", made.name)),
            // It was there, or somebody else was quicker.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}
