//! The operations that are dropped midway, the same for every provider, and what must hold afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use openlattice::{
    Bytes, Callbacks, ComputeProvider, ComputeProviderExt, ExecId, ExecSpec, Files, ListFilter, ListOptions,
    OutputStream, ProvisionSpec, SandboxId, SandboxState, SnapshotRef, SnapshotSpec, Stdin, WriteOptions,
};

const TAG: &str = "case";
const WORD: Bytes = Bytes::from_static(b"word");
const FILE: &str = "/tmp/word";
const EXTRA: &str = "/tmp/extra";

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
    Attach,
    Wait,
    Read,
    Feed,
    EndInput,
    WriteFile,
    MakeFolder,
    RemoveFile,
    ReadFile,
    ListFiles,
    StatFile,
    Poll,
    InputStatus,
    Inspect,
    List,
    Gc,
    Health,
}

/// Those that change something at the other side.
pub(crate) const CHANGING: [Operation; 11] = [
    Operation::Provision,
    Operation::Restore,
    Operation::Exec,
    Operation::Run,
    Operation::Snapshot,
    Operation::Destroy,
    Operation::Feed,
    Operation::EndInput,
    Operation::WriteFile,
    Operation::MakeFolder,
    Operation::RemoveFile,
];

/// Those that only ask.
pub(crate) const ASKING: [Operation; 12] = [
    Operation::Attach,
    Operation::Wait,
    Operation::Read,
    Operation::ReadFile,
    Operation::ListFiles,
    Operation::StatFile,
    Operation::Poll,
    Operation::InputStatus,
    Operation::Inspect,
    Operation::List,
    Operation::Gc,
    Operation::Health,
];

/// What the operations work on.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) node: SandboxId,
    pub(crate) snapshot: SnapshotRef,
    /// A command that printed a word and has ended.
    ended: ExecId,
    /// One that prints its input, which is open.
    open: ExecId,
}

impl Scene {
    /// Makes a node, and a snapshot of it.
    pub(crate) async fn make(provider: &dyn ComputeProvider) -> Result<Self> {
        let node = provider.provision(spec("scene")).await.map_err(text)?.id;
        let snapshot = provider.snapshot(&node, SnapshotSpec::default()).await.map_err(text)?;
        Self::on(provider, node, snapshot).await.map_err(text)
    }

    /// Takes another node in the place of one that an operation changes for good.
    pub(crate) async fn with_new_node(&self, provider: &dyn ComputeProvider) -> Result<Self> {
        let node = provider.provision(spec("scene")).await.map_err(text)?.id;
        Self::on(provider, node, self.snapshot.clone()).await.map_err(text)
    }

    async fn on(
        provider: &dyn ComputeProvider,
        node: SandboxId,
        snapshot: SnapshotRef,
    ) -> openlattice::Result<Self> {
        let session = provider.exec(&node, command()).await?;
        session.wait().await?;
        let open = provider.exec(&node, ExecSpec::new(["cat"]).with_stdin(Stdin::Open)).await?;
        write(provider, &node, FILE).await?;
        write(provider, &node, EXTRA).await?;
        Ok(Self { ended: session.id().clone(), open: open.id().clone(), node, snapshot })
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
            Self::Attach => drop(provider.attach(node, &scene.ended).await?),
            Self::Wait => drop(provider.attach(node, &scene.ended).await?.wait().await?),
            Self::Read => {
                let session = provider.attach(node, &scene.ended).await?;
                session.output(OutputStream::Stdout, 0).next_chunk().await?;
            }
            Self::Feed => provider.attach(node, &scene.open).await?.write_stdin(0, WORD).await?,
            Self::EndInput => provider.attach(node, &scene.open).await?.close_stdin().await?,
            Self::WriteFile => write(provider, node, &format!("/tmp/{case}")).await?,
            Self::MakeFolder => files(provider).mkdir(node, format!("/tmp/{case}").as_ref(), true).await?,
            Self::RemoveFile => files(provider).remove(node, EXTRA.as_ref(), true).await?,
            Self::StatFile => drop(files(provider).stat(node, FILE.as_ref()).await?),
            Self::Poll => drop(provider.attach(node, &scene.ended).await?.poll().await?),
            Self::InputStatus => drop(provider.attach(node, &scene.open).await?.stdin_status().await?),
            Self::ReadFile => drop(files(provider).read(node, FILE.as_ref()).await?),
            Self::ListFiles => {
                drop(files(provider).list(node, "/tmp".as_ref(), ListOptions::default()).await?);
            }
            Self::Inspect => drop(provider.inspect(node).await?),
            Self::List => drop(provider.list(ListFilter::default()).await?),
            Self::Gc => drop(provider.gc().await?),
            Self::Health => drop(provider.health().await),
        }
        Ok(None)
    }

    /// Says whether each case needs a node of its own.
    pub(crate) fn needs_its_own_node(self) -> bool {
        matches!(self, Self::Destroy | Self::EndInput)
    }

    /// Checks that a dropped operation left nothing behind and broke nothing.
    pub(crate) async fn check(self, provider: &dyn ComputeProvider, scene: &Scene, case: &str) -> Result<()> {
        match self {
            Self::Provision | Self::Restore => return gone(provider, case).await,
            Self::Destroy => return destroyed(provider, &scene.node).await,
            Self::Feed => fed(provider, scene).await?,
            Self::EndInput => at_its_end(provider, scene).await?,
            Self::WriteFile => written(provider, &scene.node, case).await?,
            Self::MakeFolder => {
                files(provider)
                    .mkdir(&scene.node, format!("/tmp/{case}").as_ref(), true)
                    .await
                    .map_err(text)?;
            }
            // Removed or not, it is there again for the next case.
            Self::RemoveFile => write(provider, &scene.node, EXTRA).await.map_err(text)?,
            _ => {}
        }
        works(provider, &scene.node).await
    }
}

/// Repeats a destroy.
async fn destroyed(provider: &dyn ComputeProvider, node: &SandboxId) -> Result<()> {
    provider.destroy(node).await.map_err(text)?;
    let state = provider.inspect(node).await.map_err(text)?.state;
    same("the state", &state, &SandboxState::Terminated)
}

/// Repeats a write to an input: it is taken once.
async fn fed(provider: &dyn ComputeProvider, scene: &Scene) -> Result<()> {
    let session = provider.attach(&scene.node, &scene.open).await.map_err(text)?;
    session.write_stdin(0, WORD).await.map_err(text)?;
    same("the input", &session.stdin_status().await.map_err(text)?.accepted, &4)?;
    let (mut reader, mut read) = (session.output(OutputStream::Stdout, 0), Vec::new());
    while read.len() < WORD.len() {
        read.extend(reader.next_chunk().await.map_err(text)?.ok_or("the output ended")?.data);
    }
    same("the output", &read, &WORD.to_vec())
}

/// Repeats the announcement of an input's end.
async fn at_its_end(provider: &dyn ComputeProvider, scene: &Scene) -> Result<()> {
    let session = provider.attach(&scene.node, &scene.open).await.map_err(text)?;
    session.close_stdin().await.map_err(text)?;
    let status = session.wait().await.map_err(text)?;
    if status.is_success() { Ok(()) } else { Err(format!("it ended with {status:?}")) }
}

/// Repeats the writing of a file.
async fn written(provider: &dyn ComputeProvider, node: &SandboxId, case: &str) -> Result<()> {
    let path = format!("/tmp/{case}");
    write(provider, node, &path).await.map_err(text)?;
    same("the file", &files(provider).read(node, path.as_ref()).await.map_err(text)?, &WORD)
}

async fn write(provider: &dyn ComputeProvider, node: &SandboxId, path: &str) -> openlattice::Result<()> {
    files(provider).write(node, path.as_ref(), WORD, WriteOptions::default()).await
}

fn files(provider: &dyn ComputeProvider) -> Arc<dyn Files> {
    provider.extensions().get::<dyn Files>().expect("files are offered")
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, right: &T) -> Result<()> {
    if found == right { Ok(()) } else { Err(format!("{what} is {found:?} and not {right:?}")) }
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
    ExecSpec::new(["cat"]).with_stdin(Stdin::Bytes(WORD))
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
    if result.exit_code() == 0 && result.stdout == WORD {
        return Ok(());
    }
    Err(format!("the node answers {result:?}"))
}

/// Writes an error with everything that it tells.
pub(crate) fn text(error: openlattice::Error) -> String {
    format!("{error:?}")
}
