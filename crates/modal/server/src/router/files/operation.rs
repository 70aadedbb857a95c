//! What the helper can be asked to do, and doing it.

use super::{
    content,
    entry::{Entry, Names},
    exec::{FileExec, Taken},
    failure::Failure,
    watch,
};
use bytes::Bytes;
use openlattice_engine::{Error, FileAttributes, FileKind, Files, OutputStream};
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

/// One object with one key, the operation.
#[derive(Debug, Deserialize)]
pub(super) enum Operation {
    ReadFile {
        path: String,
    },
    WriteFile {
        path: String,
    },
    ListFiles {
        path: String,
    },
    Stat {
        path: String,
    },
    MakeDirectory {
        path: String,
        #[serde(default)]
        parents: bool,
    },
    Remove {
        path: String,
        #[serde(default)]
        recursive: bool,
    },
    Watch {
        path: String,
        #[serde(default)]
        recursive: bool,
        filter: Option<Vec<String>>,
        timeout_secs: Option<u64>,
    },
}

impl Operation {
    pub(super) fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json)
            .map_err(|error| Failure::argument(format!("not a known operation: {error}")))
    }

    /// What its input is for.
    pub(super) fn input(&self) -> Taken {
        match self {
            Self::WriteFile { .. } => Taken::Content,
            Self::Watch { .. } => Taken::End,
            _ => Taken::Nothing,
        }
    }
}

/// Does it; what it prints goes to `exec`. `chunks` is the content of a written file, and its end that of a watch. `begun` is told
/// when a watch is in place.
pub(super) async fn run(
    files: &Files,
    operation: Result<Operation, Failure>,
    exec: &FileExec,
    chunks: mpsc::Receiver<Bytes>,
    begun: oneshot::Sender<()>,
) -> Result<(), Failure> {
    let failed = |error: Error| Failure::engine(&error, false);
    match operation? {
        Operation::ReadFile { path } => content::open(files, &path, exec).await,
        Operation::WriteFile { path } => write(files, &path, chunks).await,
        Operation::ListFiles { path } => {
            let names = Names::read(files).await;
            let stats = files.list(&path).await.map_err(failed)?;
            let mut entries: Vec<_> = stats.into_iter().map(|stat| Entry::new(stat, &names)).collect();
            entries.sort_by(|one, other| one.name().cmp(other.name()));
            print(exec, &entries).await
        }
        Operation::Stat { path } => {
            let names = Names::read(files).await;
            print(exec, &Entry::new(files.stat(&path).await.map_err(failed)?, &names)).await
        }
        Operation::MakeDirectory { path, parents } => {
            files.mkdir(&path, parents).await.map_err(|error| Failure::engine(&error, true))
        }
        Operation::Remove { path, recursive } => files.remove(&path, recursive).await.map_err(failed),
        Operation::Watch { path, recursive, filter, timeout_secs } => {
            let spec = watch::spec(recursive, filter, timeout_secs);
            watch::run(files, &path, spec, exec, chunks, begun).await
        }
    }
}

async fn print(exec: &FileExec, value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_vec(value).map_err(|error| Failure::internal(&error.into()))?;
    exec.append(OutputStream::Stdout, text.into()).await.map_err(|error| Failure::internal(&error))
}

/// A directory is refused before the content arrives; everything else the write itself finds.
async fn write(files: &Files, path: &str, chunks: mpsc::Receiver<Bytes>) -> Result<(), Failure> {
    if files.stat(path).await.is_ok_and(|stat| stat.kind == FileKind::Directory) {
        return Err(Failure::new("IsDirectory", "is a directory"));
    }
    files
        .write_from(path, chunks, FileAttributes::default())
        .await
        .map_err(|error| Failure::engine(&error, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_read() {
        assert!(
            matches!(Operation::parse(r#"{"ReadFile":{"path":"/a"}}"#), Ok(Operation::ReadFile { path }) if path == "/a")
        );
        let made = Operation::parse(r#"{"MakeDirectory":{"path":"/a","parents":true}}"#);
        assert!(matches!(made, Ok(Operation::MakeDirectory { parents: true, .. })));
        let watch = r#"{"Watch":{"path":"/a","recursive":false,"filter":null,"timeout_secs":null}}"#;
        let watch = Operation::parse(watch);
        assert!(matches!(&watch, Ok(Operation::Watch { path, filter: None, .. }) if path == "/a"));
        assert_eq!(watch.unwrap().input(), Taken::End);
        for odd in ["", "{}", r#"{"Chmod":{}}"#, r#"{"ReadFile":{}}"#] {
            assert!(Operation::parse(odd).is_err(), "{odd}");
        }
    }
}
