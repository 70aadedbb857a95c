//! Where a test's nodes live: a store of its own, and a server of Modal's protocol on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use openlattice::{ComputeProvider, ListFilter};
use openlattice_local::LocalProvider;
use openlattice_modal_server::{Access, Credentials, Server, ServerConfig};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const TOKEN: (&str, &str) = ("ak-guides", "as-guides");

/// A store in a temporary folder.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// A fresh one, or nothing where nodes cannot run.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skip: nodes on this machine need root");
            return None;
        }
        let mut folder = tempfile::Builder::new();
        folder.prefix("examples-");
        let folder = match std::env::var_os("OPENLATTICE_TEST_DIR") {
            Some(parent) => folder.tempdir_in(parent),
            None => folder.tempdir(),
        };
        Some(Self { folder: folder.unwrap() })
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// A command with nothing of the caller's settings, on this store.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("MODAL_") || text.starts_with("LATTICE_") {
                command.env_remove(&name);
            }
        }
        command.env("LATTICE_STATE_DIR", self.store()).env("MODAL_CONFIG_PATH", "/dev/null");
        command.stdin(Stdio::null()).current_dir(self.folder.path());
        command
    }

    /// Serves Modal's protocol on this store.
    pub(crate) async fn serve(&self) -> Served {
        let mut config = ServerConfig::new(self.store());
        config.access = Access::Pairs(vec![Credentials::new(TOKEN.0, TOKEN.1)]);
        let server = Server::bind(config).await.unwrap();
        let url = server.url();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.serve(async move { drop(stopped.await) }));
        Served { url, stop, task }
    }

    /// Fails where a node was left running, then removes the store.
    pub(crate) async fn close(self) {
        let provider = LocalProvider::open(self.store()).await.unwrap();
        let left = provider.list(ListFilter::default()).await.unwrap();
        for node in &left {
            provider.destroy(&node.id).await.unwrap();
        }
        provider.gc().await.unwrap();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// A server that runs in this process.
pub(crate) struct Served {
    url: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<openlattice_modal_server::Result<()>>,
}

impl Served {
    /// Points a program to this server.
    pub(crate) fn reach(&self, command: &mut Command) {
        command
            .env("MODAL_SERVER_URL", &self.url)
            .env("MODAL_TOKEN_ID", TOKEN.0)
            .env("MODAL_TOKEN_SECRET", TOKEN.1)
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("PYTHONDONTWRITEBYTECODE", "1");
    }

    pub(crate) async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
    }
}

/// Runs a program to its end, beside the server that may run in this process.
pub(crate) async fn finish(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// The program's standard output, where it ended with this code.
pub(crate) fn printed(output: &Output, code: i32) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    stdout.into_owned()
}
