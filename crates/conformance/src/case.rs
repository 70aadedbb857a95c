//! One test's view of the candidate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openlattice::{
    Capabilities, ComputeProvider, ComputeProviderExt, ErrorKind, ExecResult, ExecSpec, ListFilter, Node,
    ProvisionSpec, Result, SandboxId, SandboxInfo, SandboxState, SnapshotRef, Timestamp, Volumes,
};

use crate::candidate::{Candidate, Settings};
use crate::verdict::{Failure, failed};

/// The tag that all sandboxes of a test carry.
const TAG: &str = "openlattice-conformance";

/// Gives a test the provider, and remembers what the test made.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    candidate: Arc<Candidate>,
    token: String,
    made: Arc<Mutex<Vec<SandboxId>>>,
    volumes: Arc<Mutex<Vec<String>>>,
}

impl Case {
    /// Makes a case with a token of its own.
    pub(crate) fn new(candidate: Arc<Candidate>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let token = format!("t{}-{}-{number}", Timestamp::now().unix_millis(), std::process::id());
        Self { candidate, token, made: Arc::default(), volumes: Arc::default() }
    }

    /// Returns the provider.
    pub(crate) fn provider(&self) -> &Arc<dyn ComputeProvider> {
        &self.candidate.provider
    }

    /// Returns the independent second instance.
    pub(crate) fn peer(&self) -> Option<&Arc<dyn ComputeProvider>> {
        self.candidate.peer.as_ref()
    }

    /// Returns the instance that cannot reach its other side.
    pub(crate) fn unreachable(&self) -> Option<&Arc<dyn ComputeProvider>> {
        self.candidate.unreachable.as_ref()
    }

    /// Returns what the provider claims.
    pub(crate) fn offers(&self) -> &Capabilities {
        self.candidate.provider.capabilities()
    }

    /// Returns what the suite was told.
    pub(crate) fn settings(&self) -> &Settings {
        &self.candidate.settings
    }

    /// Returns a text that no other test has, of letters, digits and hyphens.
    pub(crate) fn unique(&self, what: &str) -> String {
        format!("{what}-{}", self.token)
    }

    /// Returns a plain spec that carries the test's tag, and ends by itself should the test be killed.
    pub(crate) fn spec(&self) -> ProvisionSpec {
        let mut spec = ProvisionSpec::new(&self.settings().image);
        self.mark(&mut spec);
        spec
    }

    /// Returns a plain spec for `restore`, which takes no image.
    pub(crate) fn restore_spec(&self) -> ProvisionSpec {
        let mut spec = ProvisionSpec::default();
        self.mark(&mut spec);
        spec
    }

    fn mark(&self, spec: &mut ProvisionSpec) {
        if self.offers().identity.tags {
            spec.tags.insert(TAG.to_owned(), self.token.clone());
        }
        if self.offers().lifetime.max {
            spec.duration.max_seconds = Some(600);
        }
    }

    /// Makes a sandbox that the test's end removes.
    pub(crate) async fn provision(&self, spec: ProvisionSpec) -> Result<SandboxInfo> {
        let info = self.provider().provision(spec).await?;
        self.remember(&info.id);
        Ok(info)
    }

    /// Makes a sandbox with a handle; the test's end removes it.
    pub(crate) async fn node_of(&self, spec: ProvisionSpec) -> Result<Node> {
        let info = self.provision(spec).await?;
        Ok(self.provider().node(info.id))
    }

    /// Makes a plain sandbox with a handle.
    pub(crate) async fn node(&self) -> Result<Node> {
        self.node_of(self.spec()).await
    }

    /// Makes a sandbox from a snapshot; the test's end removes it.
    pub(crate) async fn restore(&self, from: &SnapshotRef, spec: ProvisionSpec) -> Result<Node> {
        let info = self.provider().restore(from, spec).await?;
        self.remember(&info.id);
        Ok(self.provider().node(info.id))
    }

    /// Returns the extension that keeps volumes, where the provider has it.
    pub(crate) fn volumes(&self) -> Option<Arc<dyn Volumes>> {
        self.provider().extensions().get::<dyn Volumes>()
    }

    /// Makes a volume that the test's end removes, and returns its name.
    pub(crate) async fn volume(&self, what: &str) -> Result<String, Failure> {
        let name = self.unique(what);
        let Some(volumes) = self.volumes() else { return failed("volumes are not there") };
        volumes.create(&name).await?;
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        Ok(name)
    }

    /// Has the test's end remove a sandbox that was made by other means.
    pub(crate) fn remember(&self, id: &SandboxId) {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
    }

    /// Lists the test's live sandboxes by tag; `None` where the provider cannot list by tag.
    pub(crate) async fn alive(&self) -> Result<Option<Vec<SandboxInfo>>> {
        let identity = &self.offers().identity;
        if !identity.list || !identity.tags {
            return Ok(None);
        }
        let tags = BTreeMap::from([(TAG.to_owned(), self.token.clone())]);
        let filter = ListFilter { tags, ..ListFilter::default() };
        self.provider().list(filter).await.map(Some)
    }

    /// Fails where a sandbox with the test's tag is alive.
    pub(crate) async fn nothing_alive(&self, when: &str) -> Result<(), Failure> {
        match self.alive().await? {
            Some(left) if !left.is_empty() => {
                left.iter().for_each(|info| self.remember(&info.id));
                failed(format!("{when}, {} sandbox(es) are alive: {left:?}", left.len()))
            }
            _ => Ok(()),
        }
    }

    /// Removes what the test made, and fails where something stays. One failure does not keep the rest.
    pub(crate) async fn clean_up(&self) -> Result<(), Failure> {
        let listed = self.alive().await.map(|left| {
            left.iter().flatten().for_each(|info| self.remember(&info.id));
        });
        let made = std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner));
        let mut failure = listed.err().map(Failure::from);
        for id in &made {
            if let Err(left) = self.remove(id).await {
                failure.get_or_insert(left);
            }
        }
        if let Err(left) = self.remove_volumes().await {
            failure.get_or_insert(left);
        }
        failure.map_or(Ok(()), Err)
    }

    /// Removes the volumes that the test made, after the sandboxes that have them.
    async fn remove_volumes(&self) -> Result<(), Failure> {
        let made = std::mem::take(&mut *self.volumes.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(volumes) = self.volumes().filter(|_| !made.is_empty()) else { return Ok(()) };
        for name in made {
            match volumes.remove(&name).await {
                // The test has removed it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }

    async fn remove(&self, id: &SandboxId) -> Result<(), Failure> {
        self.provider().destroy(id).await?;
        match self.provider().inspect(id).await?.state {
            SandboxState::Terminated => Ok(()),
            state => failed(format!("{id} is {state:?} after destroy")),
        }
    }
}

/// Runs a script in a sandbox and returns its result.
pub(crate) async fn shell(node: &Node, script: &str) -> Result<ExecResult> {
    node.run(ExecSpec::shell(script)).await
}

/// Runs a script that must succeed and returns its standard output as text.
pub(crate) async fn shell_text(node: &Node, script: &str) -> Result<String, Failure> {
    let result = shell(node, script).await?;
    if !result.is_success() {
        return failed(format!("{script:?} ended with {:?}: {}", result.status, result.stderr_text()));
    }
    Ok(result.stdout_text().into_owned())
}

/// Returns the command lines of all processes in a sandbox.
pub(crate) async fn processes(node: &Node) -> Result<String, Failure> {
    let result = shell(node, "cat /proc/[0-9]*/cmdline 2>/dev/null; true").await?;
    Ok(result.stdout_text().replace('\0', " "))
}

/// Asks again until the answer is there; the test's deadline bounds it.
pub(crate) async fn until<T>(mut ask: impl AsyncFnMut() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
