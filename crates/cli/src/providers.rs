//! The table of providers: a new one is a line here.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use openlattice::ComputeProvider;

use crate::failure::Result;

mod local;
mod modal;

pub(crate) use modal::failed as server_failed;

/// The provider of who names none.
pub(crate) const DEFAULT: &str = "local";

type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn ComputeProvider>>> + Send>>;

struct Entry {
    name: &'static str,
    open: fn(PathBuf) -> Opening,
}

const TABLE: &[Entry] = &[
    Entry { name: "local", open: |state_dir| Box::pin(local::open(state_dir)) },
    Entry { name: "modal", open: |state_dir| Box::pin(modal::open(state_dir)) },
];

/// The names that `--provider` takes.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(TABLE.iter().map(|entry| entry.name))
}

/// Builds the provider of a name that [`names`] lists.
pub(crate) async fn open(name: &str, state_dir: &Path) -> Result<Arc<dyn ComputeProvider>> {
    let entry = TABLE.iter().find(|entry| entry.name == name).expect("the parser takes listed names only");
    (entry.open)(state_dir.to_owned()).await
}
