//! Which control group hierarchies the host has.

use crate::error::{Error, Result};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A controller that the engine sets limits with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Controller {
    /// Processor time.
    Cpu,
    /// Memory and swap.
    Memory,
    /// Processes.
    Pids,
}

impl Controller {
    /// The kernel's name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pids => "pids",
        }
    }
}

/// Mount points of the hierarchies.
#[derive(Clone, Debug, Default)]
pub(super) struct Hierarchies {
    v1: Vec<(Controller, PathBuf)>,
    /// The v2 one.
    pub(super) unified: Option<PathBuf>,
    unified_controllers: String,
}

impl Hierarchies {
    /// Those of this host.
    pub(super) fn of_host() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .map_err(|e| Error::io("cannot read /proc/self/mountinfo", e))?;
        Ok(Self::parse(&mounts))
    }

    /// Those of a mount table in the form of `/proc/PID/mountinfo` (proc(5)).
    pub(super) fn parse(mounts: &str) -> Self {
        let mut found = Self::default();
        for line in mounts.lines() {
            let Some((left, right)) = line.split_once(" - ") else { continue };
            let Some(point) = left.split(' ').nth(4) else { continue };
            let mut right = right.split(' ');
            let (kind, options) = (right.next().unwrap_or_default(), right.nth(1).unwrap_or_default());
            match kind {
                "cgroup" => found.add_v1(Path::new(point), options),
                "cgroup2" if found.unified.is_none() => found.add_unified(Path::new(point)),
                _ => {}
            }
        }
        found
    }

    fn add_v1(&mut self, point: &Path, options: &str) {
        for controller in [Controller::Cpu, Controller::Memory, Controller::Pids] {
            if options.split(',').any(|option| option == controller.name()) && self.v1(controller).is_none() {
                self.v1.push((controller, point.to_owned()));
            }
        }
    }

    fn add_unified(&mut self, point: &Path) {
        self.unified = Some(point.to_owned());
        self.unified_controllers = fs::read_to_string(point.join("cgroup.controllers")).unwrap_or_default();
    }

    /// Mount point of a v1 controller.
    pub(super) fn v1(&self, controller: Controller) -> Option<&Path> {
        self.v1.iter().find(|(found, _)| *found == controller).map(|(_, point)| point.as_path())
    }

    /// Whether v2 has the controller.
    pub(super) fn unified_has(&self, controller: Controller) -> bool {
        self.unified_controllers.split_whitespace().any(|name| name == controller.name())
    }

    /// Every mount point once, v2 first: it can kill what is left.
    pub(super) fn roots(&self) -> Vec<&Path> {
        let mut roots: Vec<&Path> = self.unified.iter().map(PathBuf::as_path).collect();
        for (_, point) in &self.v1 {
            if !roots.contains(&point.as_path()) {
                roots.push(point);
            }
        }
        roots
    }
}
