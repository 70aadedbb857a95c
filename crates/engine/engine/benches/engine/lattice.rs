//! The engine's side: one store, limits set, every protection on.

use std::path::Path;
use std::time::{Duration, Instant};

use openlattice_engine::{Engine, EngineConfig, ExecEnd, ExecSpec, Limits, SandboxId, SandboxSpec};
use tokio::runtime::Runtime;

use crate::Outcome;

/// An open store and the runtime that its calls run on.
pub(crate) struct Lattice<'a> {
    runtime: &'a Runtime,
    engine: Engine,
    ended: Vec<SandboxId>,
}

impl<'a> Lattice<'a> {
    /// Makes a store in `folder`.
    pub(crate) fn open(runtime: &'a Runtime, folder: &Path) -> Outcome<Self> {
        let engine = runtime.block_on(Engine::open(EngineConfig::new(folder)))?;
        Ok(Self { runtime, engine, ended: Vec::new() })
    }

    /// The store's id, which is in the names of its control groups.
    pub(crate) fn store_id(&self) -> &str {
        self.engine.store_id()
    }

    /// Creates an idle sandbox of image `host` with the limits that crun gets too.
    pub(crate) fn create(&self) -> Outcome<SandboxId> {
        let mut spec = SandboxSpec::default();
        spec.limits = Limits { memory_bytes: Some(256 << 20), milli_cpus: Some(1000), pids: Some(128) };
        Ok(self.runtime.block_on(self.engine.create(spec))?.id)
    }

    /// Runs a program to its end and returns the time from the request to the exit code.
    pub(crate) fn exec(&self, id: &SandboxId, program: &str) -> Outcome<Duration> {
        let start = Instant::now();
        let mut spec = ExecSpec::default();
        spec.argv = vec![program.to_owned()];
        let state = self.runtime.block_on(async {
            let exec = self.engine.exec(id, spec).await?;
            self.engine.exec_wait(id, &exec).await
        })?;
        if state.end != Some(ExecEnd::Exited(0)) {
            return Err(format!("{program} ended with {:?}", state.end).into());
        }
        Ok(start.elapsed())
    }

    /// Creates a sandbox, runs a program in it, and returns the time from the request to the exit code, and of that the
    /// creation's part.
    ///
    /// Its end afterwards is not part of the time. Its folder stays until [`Self::remove_all`]: ext4 makes files slowly
    /// where it has just deleted some, which would measure the removal of the round before.
    pub(crate) fn create_and_exec(&mut self, program: &str) -> Outcome<[Duration; 2]> {
        let start = Instant::now();
        let id = self.create()?;
        let created = start.elapsed();
        self.exec(&id, program)?;
        let taken = start.elapsed();
        self.runtime.block_on(self.engine.terminate(&id))?;
        self.ended.push(id);
        Ok([taken, created])
    }

    /// Creates a sandbox, runs a program in it, and returns the time from the request for its end until nothing of it is left.
    pub(crate) fn create_and_remove(&self, program: &str) -> Outcome<Duration> {
        let id = self.create()?;
        self.exec(&id, program)?;
        let start = Instant::now();
        self.remove(&id)?;
        Ok(start.elapsed())
    }

    /// Removes the folders of the sandboxes that [`Self::create_and_exec`] made.
    pub(crate) fn remove_all(&mut self) -> Outcome<()> {
        std::mem::take(&mut self.ended).iter().try_for_each(|id| self.remove(id))
    }

    /// Ends a sandbox and removes what it had.
    pub(crate) fn remove(&self, id: &SandboxId) -> Outcome<()> {
        Ok(self.runtime.block_on(self.engine.remove(id))?)
    }
}
