//! Where things are: the checkout, the build folder and the folders that tasks keep in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The checkout that this program was built from.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Finds the checkout; the build folder follows `CARGO_TARGET_DIR` as cargo itself does.
    pub(crate) fn locate() -> Self {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().expect("xtask lies one folder below the root").to_path_buf();
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root, target }
    }

    /// The top folder of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The build folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// A program that the dev profile built, for example `lattice` or `examples/make-archive`.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// A program as it is shipped, that the profile `dist` built.
    pub(crate) fn shipped(&self, name: &str) -> PathBuf {
        self.target.join("dist").join(name)
    }

    /// The same cargo that runs this task, started in the root.
    pub(crate) fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root);
        command
    }
}
