//! The committed table of rows.

use std::collections::BTreeMap;
use std::fs;

use toml::{Table as Toml, Value};

use crate::failure::{Attempted, Failure, Result};
use crate::workspace::Workspace;

/// A provider, or both at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The local provider.
    Local,
    /// The Modal provider.
    Modal,
    /// What both stand on: contract, layers, client, server, engine, command line.
    Shared,
}

impl Side {
    /// All, in the order in which they are printed.
    pub(crate) const ALL: [Self; 3] = [Self::Local, Self::Modal, Self::Shared];

    /// Its name in the table.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Modal => "modal",
            Self::Shared => "shared",
        }
    }

    /// The side that the tests of a crate speak for.
    pub(crate) fn of(package: &str) -> Self {
        match package {
            "openlattice-local" => Self::Local,
            "openlattice-modal" => Self::Modal,
            _ => Self::Shared,
        }
    }
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// Its id, such as `M13`.
    pub(crate) id: String,
    /// What it is about.
    pub(crate) title: String,
    /// Addresses of tests (`crate/program/name`, the name perhaps `*`) that prove it on a side, besides those with its prefix.
    pub(crate) tests: BTreeMap<Side, Vec<String>>,
    /// Why it is not a provider's.
    pub(crate) absent: BTreeMap<Side, String>,
}

/// All rows.
#[derive(Debug)]
pub(crate) struct Table {
    /// In the order of their ids.
    pub(crate) rows: Vec<Row>,
    /// Tests of rows that no run judges, and why.
    pub(crate) nowhere: BTreeMap<String, String>,
}

/// Every row that must be in the table.
fn ids() -> impl Iterator<Item = String> {
    (1..=33).map(|number| format!("M{number}")).chain((1..=9).map(|number| format!("G{number}")))
}

impl Table {
    /// Reads `xtask/rows.toml`.
    pub(crate) fn load(workspace: &Workspace) -> Result<Self> {
        let path = workspace.root().join("xtask/rows.toml");
        let text = fs::read_to_string(&path).attempted(format!("could not read {}", path.display()))?;
        Self::parse(&text)
    }

    /// Reads the table; every row must be there, and nothing else.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut toml: Toml = text.parse().attempted("rows.toml is unreadable")?;
        let rows = ids().map(|id| {
            let row = toml.remove(&id).ok_or_else(|| Failure::new(format!("rows.toml has no row {id}")))?;
            read_row(id, row)
        });
        let rows = rows.collect::<Result<_>>()?;
        let nowhere = toml.remove("nowhere").map(read_reasons).transpose()?.unwrap_or_default();
        match toml.keys().next() {
            Some(key) => Err(Failure::new(format!("rows.toml has {key}, which is no row"))),
            None => Ok(Self { rows, nowhere }),
        }
    }
}

fn read_reasons(value: Value) -> Result<BTreeMap<String, String>> {
    value.try_into().attempted("rows.toml: nowhere has a test without a reason")
}

fn read_row(id: String, value: Value) -> Result<Row> {
    let wrong = |what: &str| Failure::new(format!("rows.toml: {id} {what}"));
    let Value::Table(mut fields) = value else { return Err(wrong("is not a table")) };
    let Some(Value::String(title)) = fields.remove("title") else { return Err(wrong("has no title")) };
    let (mut tests, mut absent) = (BTreeMap::new(), BTreeMap::new());
    for side in Side::ALL {
        match fields.remove(side.name()) {
            None => {}
            Some(Value::String(why)) if side != Side::Shared => drop(absent.insert(side, why)),
            Some(Value::Array(names)) => {
                let names: Option<Vec<_>> =
                    names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
                tests.insert(side, names.ok_or_else(|| wrong("names a test that is not text"))?);
            }
            Some(_) => return Err(wrong(&format!("has neither tests nor a reason for {}", side.name()))),
        }
    }
    match fields.keys().next() {
        Some(key) => Err(wrong(&format!("has a field {key}, which means nothing"))),
        None => Ok(Row { id: id.clone(), title, tests, absent }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(change: impl Fn(&str) -> String) -> String {
        ids().map(|id| change(&id)).collect()
    }

    fn plain(id: &str) -> String {
        format!("[{id}]\ntitle = \"a title\"\n")
    }

    #[test]
    fn the_committed_table_is_whole() {
        let rows = Table::load(&Workspace::locate()).unwrap().rows;
        assert_eq!(rows.len(), 42);
    }

    #[test]
    fn a_missing_row_and_an_unknown_one_are_refused() {
        let missing = full(|id| if id == "M7" { String::new() } else { plain(id) });
        assert!(Table::parse(&missing).unwrap_err().to_string().contains("no row M7"));
        let unknown = full(plain) + "[M34]\ntitle = \"x\"\n";
        assert!(Table::parse(&unknown).unwrap_err().to_string().contains("M34"));
    }

    #[test]
    fn tests_and_reasons_are_told_apart() {
        let text = full(|id| plain(id) + "local = \"because\"\nmodal = [\"a/b/c\"]\n");
        let rows = Table::parse(&text).unwrap().rows;
        assert_eq!(rows[0].absent[&Side::Local], "because");
        assert_eq!(rows[0].tests[&Side::Modal], ["a/b/c"]);
        let told = format!("{text}[nowhere]\nm1_a = \"because\"\n");
        assert_eq!(Table::parse(&told).unwrap().nowhere["m1_a"], "because");

        assert!(Table::parse(&(text + "[nowhere]\nm1_a = 1\n")).unwrap_err().to_string().contains("reason"));
        let wrong = full(|id| plain(id) + "locale = []\n");
        assert!(Table::parse(&wrong).unwrap_err().to_string().contains("locale"));
    }
}
