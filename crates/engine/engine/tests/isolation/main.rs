//! Attacks on a sandbox from inside. Each must fail, and the sandbox must go on working.
//!
//! The attacks that need raw system calls run in a copy of this very program inside the sandbox (see `attacker`).

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops at the first surprise and says why it is skipped"
)]

mod attacker;
mod bombs;
mod escape;
mod host;
mod network;
#[path = "../store/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the store; each uses a part")]
mod support;
mod volumes;

use openlattice_engine::{FileAttributes, SandboxId, SandboxInfo, SandboxSpec, TerminalSize};
use support::{Outcome, Store, command, outcome};

/// What the attacker reports: attempts and results.
fn reports(done: &Outcome) -> Vec<(String, String)> {
    let reports = done.ok().lines().filter_map(|line| line.split_once("attack: "));
    let reports: Vec<_> = reports.filter_map(|(_, report)| report.split_once(" -> ")).collect();
    assert!(!reports.is_empty(), "{done:?}");
    reports.into_iter().map(|(attempt, result)| (attempt.to_owned(), result.to_owned())).collect()
}

/// A sandbox to attack.
struct Target {
    store: Store,
    info: SandboxInfo,
}

impl Target {
    /// A sandbox of image `host` with room for the attacker.
    async fn new() -> Option<Self> {
        Self::with(SandboxSpec::default()).await
    }

    /// The same with a spec.
    async fn with(spec: SandboxSpec) -> Option<Self> {
        let store = Store::open().await?;
        let info = store.engine.create(spec).await.unwrap();
        Some(Self { store, info })
    }

    fn id(&self) -> &SandboxId {
        &self.info.id
    }

    /// Runs a script as root inside.
    async fn sh(&self, script: &str) -> Outcome {
        self.store.sh(self.id(), script).await
    }

    /// Runs a script as another user inside.
    async fn sh_as(&self, uid: u32, script: &str) -> Outcome {
        let mut spec = command(&["sh", "-c", script]);
        spec.uid = Some(uid);
        let exec = self.store.engine.exec(self.id(), spec).await.unwrap();
        outcome(&self.store.engine, self.id(), &exec).await
    }

    /// Puts the attacker in.
    async fn bring_attacker(&self) {
        let files = self.store.engine.files(self.id());
        if files.stat("/tmp/attacker").await.is_err() {
            let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
            files.write("/tmp/attacker", program.into(), FileAttributes::default()).await.unwrap();
            self.sh("chmod 755 /tmp/attacker").await.ok();
        }
    }

    /// Runs one of the attacker's attacks; what it reports.
    async fn attack(&self, name: &str) -> Vec<(String, String)> {
        self.bring_attacker().await;
        let script = format!(
            "ATTACK={name} /tmp/attacker --ignored --exact attacker::attack --nocapture --test-threads=1"
        );
        reports(&self.sh(&script).await)
    }

    /// The same at a terminal.
    async fn attack_at_a_terminal(&self, name: &str) -> Vec<(String, String)> {
        self.bring_attacker().await;
        let mut spec = command(&["/tmp/attacker", "--ignored", "--exact", "attacker::attack", "--nocapture"]);
        spec.env = vec![("ATTACK".to_owned(), name.to_owned())];
        spec.terminal = Some(TerminalSize { rows: 24, columns: 80 });
        let exec = self.store.engine.exec(self.id(), spec).await.unwrap();
        reports(&outcome(&self.store.engine, self.id(), &exec).await)
    }

    /// Fails when an attempt succeeded.
    async fn must_fail(&self, name: &str) {
        let succeeded: Vec<_> =
            self.attack(name).await.into_iter().filter(|(_, result)| result.starts_with("ok")).collect();
        assert_eq!(succeeded, [], "these succeeded");
    }

    /// The sandbox still works; then nothing of it is left.
    async fn close(self) {
        assert_eq!(self.sh("echo fine").await.ok(), "fine\n");
        self.store.close().await;
    }
}
