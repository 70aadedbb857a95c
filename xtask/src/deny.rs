//! Licences, bans and sources of every dependency, as deny.toml states them.
//!
//! `cargo deny` reads the same file; where it is installed it runs as well. Advisories need the network and a database
//! and are not part of this check.

use std::collections::BTreeMap;
use std::fs;

use toml::{Table, Value};

use crate::failure::{Attempted, Failure, Result};
use crate::metadata::{Metadata, Package};
use crate::spdx;
use crate::workspace::Workspace;
use crate::{program, stage};

/// What deny.toml says, as far as this check goes.
#[derive(Debug, Default)]
struct Rules {
    licences: Vec<String>,
    exceptions: Vec<(String, Vec<String>)>,
    banned: Vec<String>,
    registries: Vec<String>,
}

/// Runs the check and says how much it looked at.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let file = workspace.root().join("deny.toml");
    let text = fs::read_to_string(&file).attempted(format!("could not read {}", file.display()))?;
    let rules = Rules::parse(&text)?;
    let graph = Metadata::load(workspace)?;
    let faults = faults(&graph, &rules);
    if !faults.is_empty() {
        return Err(Failure::new(format!("{} faults:\n  {}", faults.len(), faults.join("\n  "))));
    }
    for (name, versions) in duplicates(&graph) {
        println!("warning: {name} is in the tree {} times: {}", versions.len(), versions.join(", "));
    }
    if program::exists("cargo-deny") {
        program::run(workspace.cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    } else {
        stage::note(
            "cargo-deny is not installed; its licences, bans and sources rules were checked without it",
        );
    }
    Ok(format!("{} packages", graph.packages.len()))
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let table: Table = text.parse().attempted("deny.toml")?;
        let rule = |section: &str, key: &str| table.get(section).and_then(|section| section.get(key));
        Ok(Self {
            licences: texts(rule("licenses", "allow")),
            exceptions: tables(rule("licenses", "exceptions"))
                .map(|entry| (name(entry), texts(entry.get("allow"))))
                .collect(),
            banned: tables(rule("bans", "deny")).map(name).collect(),
            registries: texts(rule("sources", "allow-registry")),
        })
    }

    fn accepts(&self, package: &Package) -> bool {
        let granted = self.exceptions.iter().find(|(name, _)| *name == package.name).map(|(_, list)| list);
        let accepted = |licence: &str| {
            self.licences.iter().chain(granted.into_iter().flatten()).any(|allowed| allowed == licence)
        };
        package.license.as_deref().is_some_and(|expression| spdx::satisfied(expression, &accepted))
    }

    fn knows(&self, source: Option<&str>) -> bool {
        let Some(source) = source else { return true };
        source
            .strip_prefix("registry+")
            .is_some_and(|registry| self.registries.iter().any(|known| known == registry))
    }
}

fn faults(graph: &Metadata, rules: &Rules) -> Vec<String> {
    let mut faults = Vec::new();
    for package in graph.packages.values() {
        let label = format!("{} {}", package.name, package.version);
        if !rules.accepts(package) {
            let licence = package.license.as_deref().unwrap_or("no licence expression");
            faults.push(format!("{label}: licence {licence:?} is not accepted by deny.toml"));
        }
        if rules.banned.contains(&package.name) {
            faults.push(format!("{label}: banned by deny.toml"));
        }
        if !rules.knows(package.source.as_deref()) {
            faults.push(format!(
                "{label}: source {:?} is not in deny.toml",
                package.source.as_deref().unwrap_or("")
            ));
        }
    }
    faults
}

/// Packages that are in the tree in several versions: a warning, since the remedy is often upstream.
fn duplicates(graph: &Metadata) -> Vec<(&str, Vec<&str>)> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in graph.packages.values() {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.into_iter().filter(|(_, list)| list.len() > 1).collect()
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}

fn tables(value: Option<&Value>) -> impl Iterator<Item = &Table> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
}

fn name(entry: &Table) -> String {
    entry.get("crate").and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "special", allow = ["Zlib"] }]
        [bans]
        deny = [{ crate = "openssl-sys" }]
        [sources]
        allow-registry = ["known"]
    "#;

    fn one(name: &str, license: Option<&str>, source: Option<&str>) -> Vec<String> {
        let mut graph = Metadata::default();
        let package = Package {
            name: name.to_owned(),
            license: license.map(str::to_owned),
            source: source.map(str::to_owned),
            ..Package::default()
        };
        graph.packages.insert(name.to_owned(), package);
        faults(&graph, &Rules::parse(RULES).unwrap())
    }

    #[test]
    fn an_accepted_package_has_no_fault() {
        assert!(one("fine", Some("MIT OR Apache-2.0"), Some("registry+known")).is_empty());
        assert!(one("special", Some("Zlib"), None).is_empty());
    }

    #[test]
    fn licence_ban_and_source_are_each_a_fault() {
        assert!(one("other", Some("Zlib"), None)[0].contains("licence"));
        assert!(one("other", None, None)[0].contains("licence"));
        assert!(one("openssl-sys", Some("MIT"), None)[0].contains("banned"));
        assert!(one("other", Some("MIT"), Some("git+elsewhere"))[0].contains("source"));
    }
}
