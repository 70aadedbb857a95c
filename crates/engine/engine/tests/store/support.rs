//! A store of a test's own, and the check that nothing of it is left.

use openlattice_engine::{
    Engine, EngineConfig, ExecEnd, ExecId, ExecSpec, ExecState, OutputStream, SandboxFilter, SandboxId,
    SandboxInfo, SandboxSpec,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A store in a temporary folder. [`Self::close`] checks for leaks.
pub(crate) struct Store {
    dir: tempfile::TempDir,
    pub(crate) engine: Engine,
}

/// Says whether tests of sandboxes can run here, and prints why not.
pub(crate) fn able() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("skipped: sandboxes need root");
    }
    root
}

impl Store {
    /// Opens a fresh store, or nothing where sandboxes cannot run.
    pub(crate) async fn open() -> Option<Self> {
        if !able() {
            return None;
        }
        let dir = match std::env::var_os("OPENLATTICE_TEST_DIR") {
            Some(parent) => tempfile::Builder::new().prefix("store-").tempdir_in(parent).unwrap(),
            None => tempfile::Builder::new().prefix("lattice-store-").tempdir().unwrap(),
        };
        let engine = Engine::open(EngineConfig::new(dir.path().join("s"))).await.unwrap();
        Some(Self { dir, engine })
    }

    /// The store's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    /// A second engine on the same store, as another process would have it.
    pub(crate) async fn again(&self) -> Engine {
        Engine::open(EngineConfig::new(self.path())).await.unwrap()
    }

    /// An idle sandbox of image `host`.
    pub(crate) async fn sandbox(&self) -> SandboxInfo {
        self.engine.create(SandboxSpec::default()).await.unwrap()
    }

    /// Runs a shell script to its end.
    pub(crate) async fn sh(&self, id: &SandboxId, script: &str) -> Outcome {
        run(&self.engine, id, &["sh", "-c", script]).await
    }

    /// Removes all sandboxes.
    async fn clean(engine: &Engine) {
        for info in engine
            .sandboxes(&SandboxFilter { include_ended: true, ..SandboxFilter::default() })
            .await
            .unwrap()
        {
            engine.remove(&info.id).await.unwrap();
        }
    }

    /// Removes all sandboxes, and fails when anything of the store lives on outside its folder.
    pub(crate) async fn close(self) {
        Self::clean(&self.engine).await;
        assert_eq!(names(&self.path().join("sandboxes")), Vec::<String>::new());
        assert_eq!(names(&self.path().join("trash")), Vec::<String>::new());
        assert_eq!(leaks(self.engine.store_id(), &self.path()), Vec::<String>::new());
    }
}

impl Drop for Store {
    /// A test that fails must not leave sandboxes behind either.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let engine = self.engine.clone();
            let clean = move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(Self::clean(&engine));
            };
            drop(std::thread::spawn(clean).join());
        }
    }
}

/// Names in a folder, sorted.
pub(crate) fn names(path: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Control groups, mounts and processes of a store.
fn leaks(store: &str, path: &Path) -> Vec<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let text = path.to_str().unwrap();
    let mut found: Vec<String> =
        mounts.lines().filter(|line| line.contains(text)).map(str::to_owned).collect();
    for line in mounts.lines().filter(|line| line.contains(" - cgroup")) {
        let group = Path::new(line.split(' ').nth(4).unwrap()).join("openlattice").join(store);
        if group.exists() && !names_of_folders(&group).is_empty() {
            found.push(format!("{} has {:?}", group.display(), names_of_folders(&group)));
        }
    }
    for process in names(Path::new("/proc")).iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())) {
        let groups = fs::read_to_string(format!("/proc/{process}/cgroup")).unwrap_or_default();
        // A zombie runs nothing: it waits for the machine's init.
        let zombie =
            fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default().contains("State:\tZ");
        if groups.contains(&format!("/openlattice/{store}/")) && !zombie {
            found.push(format!("process {process}: {groups}"));
        }
    }
    found
}

fn names_of_folders(path: &Path) -> Vec<String> {
    names(path).into_iter().filter(|name| path.join(name).is_dir()).collect()
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) state: ExecState,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn end(&self) -> ExecEnd {
        self.state.end.unwrap()
    }

    /// Its standard output, after checking that it succeeded.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.state.end, Some(ExecEnd::Exited(0)), "{self:?}");
        &self.stdout
    }
}

/// A spec of a command.
pub(crate) fn command(argv: &[&str]) -> ExecSpec {
    let mut spec = ExecSpec::default();
    spec.argv = argv.iter().map(|argument| (*argument).to_owned()).collect();
    spec
}

/// Runs a command to its end.
pub(crate) async fn run(engine: &Engine, id: &SandboxId, argv: &[&str]) -> Outcome {
    let exec = engine.exec(id, command(argv)).await.unwrap();
    outcome(engine, id, &exec).await
}

/// Waits for a command and reads all of its output.
pub(crate) async fn outcome(engine: &Engine, id: &SandboxId, exec: &ExecId) -> Outcome {
    let state = engine.exec_wait(id, exec).await.unwrap();
    let stdout = text(engine, id, exec, OutputStream::Stdout).await;
    let stderr = text(engine, id, exec, OutputStream::Stderr).await;
    Outcome { state, stdout, stderr }
}

/// Reads a stream from its start to its end.
pub(crate) async fn text(engine: &Engine, id: &SandboxId, exec: &ExecId, stream: OutputStream) -> String {
    let mut reader = engine.output(id, exec, stream, 0).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    assert_eq!(reader.offset(), bytes.len() as u64);
    String::from_utf8(bytes).unwrap()
}

/// The process in the sandbox's agent group.
pub(crate) fn agent_pid(store: &str, id: &SandboxId) -> rustix::process::Pid {
    let wanted = format!("/openlattice/{store}/{id}/agent");
    let found = names(Path::new("/proc")).into_iter().find(|pid| {
        std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(&wanted))
    });
    rustix::process::Pid::from_raw(found.unwrap().parse().unwrap()).unwrap()
}
