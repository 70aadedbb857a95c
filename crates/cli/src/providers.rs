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
pub(crate) use modal::is_built_in;

/// The provider of who names none.
pub(crate) const DEFAULT: &str = "local";

type Opening = Pin<Box<dyn Future<Output = Result<Opened>> + Send>>;

/// A provider, and what it speaks to.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) provider: Arc<dyn ComputeProvider>,
    /// The server that it speaks to and what that one gives, in words; nothing where there is none.
    pub(crate) server: Option<String>,
}

impl Opened {
    fn new(provider: impl ComputeProvider, server: Option<String>) -> Self {
        Self { provider: Arc::new(provider), server }
    }
}

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
