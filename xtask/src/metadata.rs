//! What `cargo metadata` knows: packages, their licences, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::failure::{Failure, Result};
use crate::program;
use crate::workspace::Workspace;

/// How a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// At run time or by a build script.
    Built,
    /// By tests, examples and benchmarks only.
    Tests,
}

/// One package of the resolved graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// The package's name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// Its licence expression, where the manifest has one.
    pub(crate) license: Option<String>,
    /// Where it comes from; `None` for a folder of this checkout.
    pub(crate) source: Option<String>,
    /// Its direct dependencies by package id, and how each is used.
    pub(crate) dependencies: Vec<(String, Use)>,
}

/// The resolved graph.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    /// Every package by id.
    pub(crate) packages: BTreeMap<String, Package>,
    /// The ids of the workspace's own packages.
    pub(crate) members: BTreeSet<String>,
}

impl Metadata {
    /// Asks cargo for the graph of this checkout.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let text =
            program::capture(workspace.cargo().args(["metadata", "--format-version", "1", "--locked"]))
                .or_else(|_| {
                    program::capture(workspace.cargo().args(["metadata", "--format-version", "1"]))
                })?;
        Self::parse(&serde_json::from_str(&text)?)
    }

    /// Reads cargo's JSON, format version 1.
    pub(crate) fn parse(json: &Value) -> Result<Self> {
        let mut graph = Self::default();
        for package in list(json, "packages")? {
            graph.packages.insert(text(package, "id")?, read_package(package)?);
        }
        for node in list(&json["resolve"], "nodes")? {
            let dependencies = list(node, "deps")?.iter().flat_map(read_uses).collect();
            if let Some(package) = graph.packages.get_mut(&text(node, "id")?) {
                package.dependencies = dependencies;
            }
        }
        graph.members =
            list(json, "workspace_members")?.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect();
        Ok(graph)
    }

    /// The workspace's own packages, by name.
    pub(crate) fn own(&self) -> impl Iterator<Item = (&String, &Package)> {
        self.packages.iter().filter(|(id, _)| self.members.contains(*id))
    }

    /// The names of everything that `id` needs when it is built, directly or not, without itself.
    pub(crate) fn closure(&self, id: &str) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut waiting = vec![id];
        while let Some(next) = waiting.pop() {
            let Some(package) = self.packages.get(next) else { continue };
            for (dependency, _) in package.dependencies.iter().filter(|(_, how)| *how == Use::Built) {
                if seen.insert(dependency.as_str()) {
                    names.extend(self.packages.get(dependency).map(|found| found.name.as_str()));
                    waiting.push(dependency);
                }
            }
        }
        names
    }
}

fn read_package(package: &Value) -> Result<Package> {
    Ok(Package {
        name: text(package, "name")?,
        version: text(package, "version")?,
        license: package["license"].as_str().map(str::to_owned),
        source: package["source"].as_str().map(str::to_owned),
        dependencies: Vec::new(),
    })
}

fn read_uses(dependency: &Value) -> Vec<(String, Use)> {
    let Some(id) = dependency["pkg"].as_str() else { return Vec::new() };
    let kinds = dependency["dep_kinds"].as_array().map_or(&[][..], Vec::as_slice);
    let uses: BTreeSet<Use> = kinds
        .iter()
        .map(|kind| if kind["kind"].as_str() == Some("dev") { Use::Tests } else { Use::Built })
        .collect();
    uses.into_iter().map(|how| (id.to_owned(), how)).collect()
}

fn list<'a>(value: &'a Value, key: &str) -> Result<&'a [Value]> {
    value[key]
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| Failure::new(format!("cargo metadata without a list {key:?}")))
}

fn text(value: &Value, key: &str) -> Result<String> {
    value[key]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(format!("cargo metadata without a text {key:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn closure_follows_built_dependencies_only() {
        let package = |name: &str| json!({"id": name, "name": name, "version": "1.0.0"});
        let dep = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let graph = Metadata::parse(&json!({
            "packages": [package("a"), package("b"), package("c"), package("d")],
            "workspace_members": ["a"],
            "resolve": {"nodes": [
                {"id": "a", "deps": [dep("b", Value::Null), dep("d", json!("dev"))]},
                {"id": "b", "deps": [dep("c", json!("build"))]},
                {"id": "c", "deps": []},
                {"id": "d", "deps": []},
            ]},
        }))
        .unwrap();
        assert_eq!(graph.closure("a").into_iter().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!(graph.own().count(), 1);
    }
}
