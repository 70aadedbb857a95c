//! The table of providers: a new one is a line here.

use std::any::Any;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use openlattice::ComputeProvider;

use crate::failure::Result;

mod local;
mod modal;

/// The provider of who names none.
pub(crate) const DEFAULT: &str = "local";

/// A provider and what must live as long as it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) provider: Arc<dyn ComputeProvider>,
    /// A server of our own, for example.
    pub(crate) _kept: Option<Box<dyn Any + Send + Sync>>,
}

type Opening = Pin<Box<dyn Future<Output = Result<Opened>> + Send>>;

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
pub(crate) async fn open(name: &str, state_dir: &Path) -> Result<Opened> {
    let entry = TABLE.iter().find(|entry| entry.name == name).expect("the parser takes listed names only");
    (entry.open)(state_dir.to_owned()).await
}
