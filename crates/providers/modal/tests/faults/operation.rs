//! The operations that are dropped midway, the same for every provider, and what must hold afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use openlattice::{
    Callbacks, ComputeProvider, ComputeProviderExt, ExecSpec, ListFilter, ProvisionSpec, SandboxId,
    SandboxState, SnapshotRef, SnapshotSpec, Stdin,
};

const TAG: &str = "case";

/// Why something does not hold.
type Result<T> = std::result::Result<T, String>;

/// An operation of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Provision,
    Restore,
    Exec,
    Run,
    Snapshot,
    Destroy,
}

pub(crate) const ALL: [Operation; 6] = [
    Operation::Provision,
    Operation::Restore,
    Operation::Exec,
    Operation::Run,
    Operation::Snapshot,
    Operation::Destroy,
];

/// What the operations work on.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) node: SandboxId,
    pub(crate) snapshot: SnapshotRef,
}

impl Scene {
    /// Makes a node, and a snapshot of it.
    pub(crate) async fn make(provider: &dyn ComputeProvider) -> Result<Self> {
        let node = provider.provision(spec("scene")).await.map_err(text)?.id;
        let snapshot = provider.snapshot(&node, SnapshotSpec::default()).await.map_err(text)?;
        Ok(Self { node, snapshot })
    }

    /// Takes another node in the place of one that an operation ends.
    pub(crate) async fn with_new_node(&self, provider: &dyn ComputeProvider) -> Result<Self> {
        let node = provider.provision(spec("scene")).await.map_err(text)?.id;
        Ok(Self { node, ..self.clone() })
    }
}

impl Operation {
    /// Carries the operation out; what it makes carries the case's tag.
    pub(crate) async fn act(
        self,
        provider: &dyn ComputeProvider,
        scene: &Scene,
        case: &str,
    ) -> openlattice::Result<Option<SandboxId>> {
        let node = &scene.node;
        match self {
            Self::Provision => return Ok(Some(provider.provision(spec(case)).await?.id)),
            Self::Restore => return Ok(Some(provider.restore(&scene.snapshot, overrides(case)).await?.id)),
            Self::Exec => drop(provider.exec(node, command()).await?),
            Self::Run => drop(provider.run(node, command(), Callbacks::none()).await?),
            Self::Snapshot => drop(provider.snapshot(node, SnapshotSpec::default()).await?),
            Self::Destroy => provider.destroy(node).await?,
        }
        Ok(None)
    }

    /// Says whether each case needs a node of its own.
    pub(crate) fn ends_its_node(self) -> bool {
        self == Self::Destroy
    }

    /// Checks that a dropped operation left nothing behind and broke nothing.
    pub(crate) async fn check(self, provider: &dyn ComputeProvider, scene: &Scene, case: &str) -> Result<()> {
        match self {
            Self::Provision | Self::Restore => gone(provider, case).await,
            Self::Exec | Self::Run | Self::Snapshot => works(provider, &scene.node).await,
            Self::Destroy => {
                provider.destroy(&scene.node).await.map_err(text)?;
                let state = provider.inspect(&scene.node).await.map_err(text)?.state;
                if state == SandboxState::Terminated { Ok(()) } else { Err(format!("it is {state:?}")) }
            }
        }
    }
}

pub(crate) fn spec(case: &str) -> ProvisionSpec {
    let mut spec = overrides(case);
    spec.runtime.image = Some("host".to_owned());
    spec
}

/// What a restore adds to its snapshot.
fn overrides(case: &str) -> ProvisionSpec {
    let mut spec = ProvisionSpec::default().with_command(["true"]);
    spec.tags.insert(TAG.to_owned(), case.to_owned());
    spec
}

fn command() -> ExecSpec {
    ExecSpec::new(["cat"]).with_stdin(Stdin::Bytes("word".into()))
}

/// Waits until no sandbox of the case is alive; the test's own limit bounds it.
pub(crate) async fn gone(provider: &dyn ComputeProvider, case: &str) -> Result<()> {
    while !alive(provider, case).await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

/// Gives the ids of the case's sandboxes that are alive.
pub(crate) async fn alive(provider: &dyn ComputeProvider, case: &str) -> Result<Vec<SandboxId>> {
    let tags = BTreeMap::from([(TAG.to_owned(), case.to_owned())]);
    let listed = provider.list(ListFilter { tags, ..ListFilter::default() }).await.map_err(text)?;
    Ok(listed.into_iter().map(|info| info.id).collect())
}

pub(crate) async fn works(provider: &dyn ComputeProvider, node: &SandboxId) -> Result<()> {
    let result = provider.run(node, command(), Callbacks::none()).await.map_err(text)?;
    if result.exit_code() == 0 && result.stdout == "word" {
        return Ok(());
    }
    Err(format!("the node answers {result:?}"))
}

/// Writes an error with everything that it tells.
pub(crate) fn text(error: openlattice::Error) -> String {
    format!("{error:?}")
}
