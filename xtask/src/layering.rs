//! The arrows between our crates, checked against `cargo metadata`.
//!
//! ARCHITECTURE.md draws them. An arrow that is not in [`ARROWS`] is a failure, and so is a crate that the table does
//! not know: whoever adds one decides here, in the open, what it may stand on.

use std::collections::BTreeSet;

use crate::failure::{Failure, Result};
use crate::metadata::{Metadata, Use};
use crate::workspace::Workspace;

/// What one of our crates may depend on among our crates.
struct Arrows {
    /// The crate.
    name: &'static str,
    /// What it may be built with.
    built: &'static [&'static str],
    /// What its tests, examples and benchmarks may use besides.
    tests: &'static [&'static str],
}

const ARROWS: &[Arrows] = &[
    Arrows { name: "openlattice", built: &[], tests: &[] },
    Arrows { name: "openlattice-conformance", built: &["openlattice"], tests: &["openlattice-local"] },
    Arrows {
        name: "openlattice-layers",
        built: &["openlattice"],
        tests: &["openlattice-conformance", "openlattice-local"],
    },
    Arrows { name: "openlattice-copy", built: &["openlattice"], tests: &["openlattice-local"] },
    Arrows { name: "openlattice-sys", built: &[], tests: &[] },
    Arrows { name: "openlattice-images", built: &["openlattice-sys"], tests: &[] },
    Arrows { name: "openlattice-engine", built: &["openlattice-sys", "openlattice-images"], tests: &[] },
    Arrows { name: "openlattice-modal-proto", built: &[], tests: &[] },
    Arrows {
        name: "openlattice-modal-client",
        built: &["openlattice-modal-proto"],
        tests: &["openlattice-modal-server"],
    },
    Arrows {
        name: "openlattice-modal-server",
        built: &["openlattice-modal-proto", "openlattice-engine", "openlattice-images"],
        tests: &["openlattice-modal-client", "openlattice-sys"],
    },
    Arrows {
        name: "openlattice-local",
        built: &["openlattice", "openlattice-engine", "openlattice-images"],
        tests: &["openlattice-conformance", "openlattice-layers"],
    },
    Arrows {
        name: "openlattice-modal",
        built: &["openlattice", "openlattice-modal-client", "openlattice-modal-proto"],
        tests: &[
            "openlattice-conformance",
            "openlattice-layers",
            "openlattice-modal-server",
            "openlattice-engine",
            "openlattice-images",
        ],
    },
    Arrows {
        name: "openlattice-cli",
        built: &[
            "openlattice",
            "openlattice-copy",
            "openlattice-layers",
            "openlattice-local",
            "openlattice-modal",
            "openlattice-modal-server",
            "openlattice-engine",
            "openlattice-images",
        ],
        tests: &["openlattice-conformance", "openlattice-modal-proto"],
    },
    Arrows {
        name: "openlattice-examples",
        built: &["openlattice", "openlattice-layers", "openlattice-local", "openlattice-modal"],
        tests: &["openlattice-modal-client", "openlattice-modal-server"],
    },
    Arrows { name: "xtask", built: &[], tests: &[] },
];

/// Packages that must not be reachable from a crate, however far away.
const FAR: &[(&str, &[&str])] = &[
    ("openlattice", &["tokio", "tonic", "prost", "hyper"]),
    ("openlattice-conformance", &["tonic", "prost"]),
    ("openlattice-layers", &["tonic", "prost"]),
    ("openlattice-copy", &["tonic", "prost"]),
    ("openlattice-sys", &["tokio", "tonic", "prost"]),
    ("openlattice-images", &["tonic", "prost"]),
    ("openlattice-engine", &["openlattice", "tonic", "prost"]),
    ("openlattice-local", &["tonic", "prost"]),
];

/// Runs the check and says how much it looked at.
pub(crate) fn check(workspace: &Workspace) -> Result<String> {
    let graph = Metadata::load(workspace)?;
    let mut faults = near(&graph);
    faults.extend(far(&graph));
    if faults.is_empty() {
        return Ok(format!("{} crates, every arrow goes down", graph.members.len()));
    }
    Err(Failure::new(format!("{} faults:\n  {}", faults.len(), faults.join("\n  "))))
}

/// Direct dependencies among our crates that the table does not allow.
fn near(graph: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for (_, package) in graph.own() {
        let Some(arrows) = ARROWS.iter().find(|arrows| arrows.name == package.name) else {
            faults.push(format!(
                "{} is not in the table of arrows: add it to xtask/src/layering.rs",
                package.name
            ));
            continue;
        };
        for (id, how) in &package.dependencies {
            let Some(dependency) = graph.packages.get(id).filter(|_| graph.members.contains(id)) else {
                continue;
            };
            let name = dependency.name.as_str();
            let allowed =
                arrows.built.contains(&name) || (*how == Use::Tests && arrows.tests.contains(&name));
            if !allowed && name != package.name {
                let kind = if *how == Use::Tests { "tests of " } else { "" };
                faults.push(format!("{kind}{} must not depend on {name}", package.name));
            }
        }
    }
    faults
}

/// Dependencies at any distance that the table forbids.
fn far(graph: &Metadata) -> Vec<String> {
    let mut faults = Vec::new();
    for (id, package) in graph.own() {
        let forbidden = FAR.iter().find(|(name, _)| *name == package.name).map_or(&[][..], |(_, far)| far);
        let reached: BTreeSet<&str> = graph.closure(id);
        for name in forbidden.iter().filter(|name| reached.contains(**name)) {
            faults.push(format!("{} must not reach {name}, not even through others", package.name));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Package;

    fn graph(arrows: &[(&str, &str, Use)]) -> Metadata {
        let mut graph = Metadata::default();
        for (from, to, how) in arrows {
            for name in [from, to] {
                let package = Package { name: (*name).to_owned(), ..Package::default() };
                graph.packages.entry((*name).to_owned()).or_insert(package);
                if name.starts_with("openlattice") {
                    graph.members.insert((*name).to_owned());
                }
            }
            graph.packages.get_mut(*from).unwrap().dependencies.push(((*to).to_owned(), *how));
        }
        graph
    }

    #[test]
    fn an_arrow_up_is_a_fault() {
        let faults = near(&graph(&[("openlattice-engine", "openlattice", Use::Built)]));
        assert_eq!(faults, ["openlattice-engine must not depend on openlattice"]);
    }

    #[test]
    fn tests_may_use_the_suite_and_builds_may_not() {
        assert!(near(&graph(&[("openlattice-local", "openlattice-conformance", Use::Tests)])).is_empty());
        assert_eq!(near(&graph(&[("openlattice-local", "openlattice-conformance", Use::Built)])).len(), 1);
    }

    #[test]
    fn providers_do_not_know_each_other() {
        for how in [Use::Built, Use::Tests] {
            assert_eq!(near(&graph(&[("openlattice-local", "openlattice-modal", how)])).len(), 1);
        }
    }

    #[test]
    fn the_contract_reaches_no_runtime_through_others() {
        let faults = far(&graph(&[("openlattice", "between", Use::Built), ("between", "tokio", Use::Built)]));
        assert_eq!(faults, ["openlattice must not reach tokio, not even through others"]);
    }

    #[test]
    fn an_unknown_crate_must_be_entered() {
        assert!(near(&graph(&[("openlattice-new", "serde", Use::Built)]))[0].contains("not in the table"));
    }
}
