//! Faithful copy of an overlay upper directory into a layer folder.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};

use crate::error::{FileError, failed};
use crate::sink::StagedLayer;
use crate::tree::attributes::{self, Metadata};
use crate::tree::{beneath, data};

/// What a copy held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Files, directories, links, whiteouts.
    pub entries: u64,
    /// Sum of the sizes of the regular files, holes included, hard links counted once.
    pub bytes: u64,
}

/// Copies the tree at `source` into `layer`: owners, modes, times of change, extended attributes (overlay's opaque
/// mark included), whiteouts, hard links among its files, symbolic links, fifos and sockets.
///
/// The source must not change meanwhile: the caller has frozen or ended the sandbox. No link is followed and no
/// device or fifo is opened; a directory that moves during the copy is an error. Uses two descriptors at any depth.
/// Overlay's marks that only an upper directory has (origin, impure and the like) are left out. A copy that failed
/// midway leaves `layer` unpublished, and dropping it removes what was copied.
///
/// # Errors
/// [`FileError`] names the entry: unreadable source, no space, a device node other than a whiteout, missing privilege.
pub fn copy_tree(source: &Path, layer: &StagedLayer) -> Result<CopyReport, FileError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(source, flags, Mode::empty()).map_err(failed("open", source))?;
    let target = layer.root().try_clone_to_owned().map_err(failed("open", source))?;
    let pool = layer.link_pool()?;
    let mut copier =
        Copier { source: root, target, pool, pooled: HashSet::new(), report: CopyReport::default() };
    copier.walk()?;
    Ok(copier.report)
}

struct Copier {
    source: OwnedFd,
    target: OwnedFd,
    /// Directory with one link to every copied file that has several names, under its inode number.
    pool: OwnedFd,
    pooled: HashSet<u64>,
    report: CopyReport,
}

/// One directory that the walk is inside of.
struct Level {
    parents: Option<((u64, u64), (u64, u64))>,
    pending: Vec<CString>,
}

impl Copier {
    fn walk(&mut self) -> Result<(), FileError> {
        let mut levels = vec![Level { parents: None, pending: self.copy_entries()? }];
        while let Some(level) = levels.last_mut() {
            if let Some(name) = level.pending.pop() {
                levels.push(self.enter(&name)?);
            } else {
                self.leave(level.parents)?;
                levels.pop();
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: &CStr) -> Result<Level, FileError> {
        let open = |directory: &OwnedFd| beneath::open_directory(directory, name);
        let parents = beneath::identity(&self.source)
            .and_then(|source| Ok((source, beneath::identity(&self.target)?)))
            .map_err(failed("examine", display(name)))?;
        self.source = open(&self.source).map_err(failed("open", display(name)))?;
        self.target = open(&self.target).map_err(failed("open", display(name)))?;
        Ok(Level { parents: Some(parents), pending: self.copy_entries()? })
    }

    /// Finishes the current directory, whose time of change is right only once its entries are made, and goes up.
    fn leave(&mut self, parents: Option<((u64, u64), (u64, u64))>) -> Result<(), FileError> {
        let finish = || {
            attributes::copy_attributes(&self.source, &self.target)?;
            Metadata::of(&rustix::fs::fstat(&self.source)?).apply(&self.target)
        };
        finish().map_err(failed("set the attributes of directory", "."))?;
        if let Some((source, target)) = parents {
            let up = failed("leave directory", ".");
            (self.source, self.target) = beneath::open_parent(&self.source, source)
                .and_then(|above| Ok((above, beneath::open_parent(&self.target, target)?)))
                .map_err(up)?;
        }
        Ok(())
    }

    /// Copies all entries of the current directory and returns its subdirectories, which are made but empty.
    fn copy_entries(&mut self) -> Result<Vec<CString>, FileError> {
        let mut directories = Vec::new();
        for name in beneath::names(&self.source).map_err(failed("list directory", "."))? {
            let stat = rustix::fs::statat(&self.source, &name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(failed("examine", display(&name)))?;
            self.report.entries += 1;
            if beneath::file_type(&stat) == FileType::Directory {
                rustix::fs::mkdirat(&self.target, &name, Mode::RWXU)
                    .map_err(failed("make directory", display(&name)))?;
                directories.push(name);
            } else {
                self.copy_leaf(&name, &stat).map_err(failed("copy", display(&name)))?;
            }
        }
        Ok(directories)
    }

    fn copy_leaf(&mut self, name: &CStr, stat: &Stat) -> std::io::Result<()> {
        let key = format!("{:x}", stat.st_ino);
        if stat.st_nlink > 1 && self.pooled.contains(&stat.st_ino) {
            return Ok(rustix::fs::linkat(&self.pool, &key, &self.target, name, AtFlags::empty())?);
        }
        match beneath::file_type(stat) {
            FileType::RegularFile => self.report.bytes += self.copy_regular(name, stat)?,
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(&self.source, name, Vec::new())?;
                rustix::fs::symlinkat(&link, &self.target, name)?;
                self.finish_leaf(name, stat, true)?;
            }
            FileType::Fifo | FileType::Socket => self.copy_node(name, stat)?,
            FileType::CharacterDevice if beneath::is_whiteout(stat) => self.copy_node(name, stat)?,
            _ => return Err(std::io::Error::other("device nodes are not copied into layers")),
        }
        if stat.st_nlink > 1 {
            rustix::fs::linkat(&self.target, name, &self.pool, &key, AtFlags::empty())?;
            self.pooled.insert(stat.st_ino);
        }
        Ok(())
    }

    fn copy_regular(&self, name: &CStr, stat: &Stat) -> std::io::Result<u64> {
        let source = File::from(beneath::open_file(&self.source, name)?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let target = rustix::fs::openat(&self.target, name, flags, Mode::RUSR | Mode::WUSR)?;
        let target = File::from(target);
        let bytes = data::copy(&source, &target)?;
        let metadata = Metadata::of(stat);
        metadata.apply(&target)?;
        // After the owner, whose change would drop file capabilities.
        attributes::copy_attributes(&source, &target)?;
        Ok(bytes)
    }

    fn copy_node(&self, name: &CStr, stat: &Stat) -> std::io::Result<()> {
        rustix::fs::mknodat(&self.target, name, beneath::file_type(stat), Mode::RUSR, stat.st_rdev)?;
        self.finish_leaf(name, stat, false)
    }

    fn finish_leaf(&self, name: &CStr, stat: &Stat, link: bool) -> std::io::Result<()> {
        Metadata::of(stat).apply_at(self.target.as_fd(), name, link)?;
        attributes::copy_attributes_at(&self.source, &self.target, name)
    }
}

fn display(name: &CStr) -> std::path::PathBuf {
    std::path::PathBuf::from(name.to_string_lossy().into_owned())
}
