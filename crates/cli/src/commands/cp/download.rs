//! Out of a node. What a node says of its files may be hostile: names are checked, and links are made last, so that
//! nothing is written through one.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use openlattice::{FileInfo, FileKind, Files, ListOptions, SandboxId};

use crate::failure::{Failure, Result};

pub(super) async fn copy(files: &dyn Files, id: &SandboxId, path: &str, local: &Path) -> Result<()> {
    let found = files.stat(id, path).await?;
    let target = if local.is_dir() { local.join(own_name(path)?) } else { local.to_owned() };
    if found.kind == FileKind::Directory {
        return copy_folder(files, id, path, &target).await;
    }
    // A link that was named is followed, inside the node.
    let content = files.read(id, path).await?;
    let mode = if found.kind == FileKind::Symlink { 0o644 } else { found.mode };
    write(&target, &content, mode)
}

async fn copy_folder(files: &dyn Files, id: &SandboxId, path: &str, target: &Path) -> Result<()> {
    make_folder(target)?;
    let (mut todo, mut links) = (vec![(path.to_owned(), target.to_owned())], Vec::new());
    while let Some((folder, local)) = todo.pop() {
        for entry in files.list(id, &folder, ListOptions::default()).await? {
            let target = local.join(checked(&entry.name)?);
            match entry.kind {
                FileKind::Directory => {
                    make_folder(&target)?;
                    todo.push((entry.path, target));
                }
                FileKind::File => write(&target, &files.read(id, &entry.path).await?, entry.mode)?,
                FileKind::Symlink => links.push((entry, target)),
                FileKind::Other => {
                    let text = format!("{} is a device, fifo or socket and cannot be copied", entry.path);
                    return Err(Failure::new(openlattice::ErrorKind::FailedPrecondition, text));
                }
            }
        }
    }
    links.into_iter().try_for_each(|(entry, target)| make_link(&entry, &target))
}

fn make_link(entry: &FileInfo, target: &Path) -> Result<()> {
    let points_to = entry.symlink_target.as_deref().unwrap_or_default();
    symlink(points_to, target)
        .map_err(|error| Failure::from_io(&format!("make link {}", target.display()), error))
}

/// Makes a folder of ours; one that exists is used, a link to one is not.
fn make_folder(path: &Path) -> Result<()> {
    let made = match fs::create_dir(path) {
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) => Ok(()),
        made => made,
    };
    made.map_err(|error| Failure::from_io(&format!("make folder {}", path.display()), error))
}

/// Writes a file with the permission bits of its original, set-id bits left out.
fn write(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let written = fs::write(path, content)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o777)));
    written.map_err(|error| Failure::from_io(&format!("write {}", path.display()), error))
}

/// The last part of a path in a node.
fn own_name(path: &str) -> Result<PathBuf> {
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    checked(name)
}

/// A name that cannot lead anywhere else.
fn checked(name: &str) -> Result<PathBuf> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Failure::invalid(format!(
            "{name:?} is no name for a local file\nhint: name the target file"
        )));
    }
    Ok(PathBuf::from(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_a_node_cannot_lead_out() {
        assert_eq!(own_name("/a/b/").unwrap(), Path::new("b"));
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(checked(bad).is_err(), "{bad:?} was taken");
        }
        assert!(own_name("/").is_err());
    }

    #[test]
    fn a_link_is_no_folder_of_ours() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(make_folder(&dir.path().join("link")).is_err());
        assert!(make_folder(dir.path()).is_ok());
    }
}
