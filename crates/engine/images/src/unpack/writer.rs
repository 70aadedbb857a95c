//! Writes the entries of a layer below its root.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::rc::Rc;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Uid};
use rustix::io::Errno;
use tar::EntryType;

use super::path::{LayerPath, Target};
use super::{Extended, UnpackError, UnpackReport, shown, xattr};
use crate::error::failed;
use crate::ids::IdRange;
use crate::tree::attributes::{self, Metadata};
use crate::tree::{beneath, remove};

/// The state of one layer's unpacking.
pub(super) struct Writer<'a> {
    root: BorrowedFd<'a>,
    ids: IdRange,
    /// The directory of the entry before, since neighbours mostly share it.
    near: (PathBuf, Rc<OwnedFd>),
    /// Directories get their time of change last, because entries made in them change it.
    times: Vec<(PathBuf, Metadata)>,
    report: UnpackReport,
}

/// One entry with its names and metadata checked.
struct Entry<'a> {
    raw: &'a [u8],
    path: LayerPath,
    metadata: Metadata,
    extended: Extended,
}

impl<'a> Writer<'a> {
    pub(super) fn new(root: BorrowedFd<'a>, ids: IdRange) -> Result<Self, UnpackError> {
        let near = beneath::open_directory(root, "").map_err(failed("open", "/"))?;
        chown_to_base(root, ids).map_err(failed("set the owner of", "/"))?;
        let near = (PathBuf::new(), Rc::new(near));
        Ok(Self { root, ids, near, times: Vec::new(), report: UnpackReport::default() })
    }

    /// Writes one entry that is no extension record.
    pub(super) fn write<R: Read>(
        &mut self,
        tar: &mut tar::Entry<'_, R>,
        extended: Extended,
    ) -> Result<(), UnpackError> {
        let raw = extended.path.clone().unwrap_or_else(|| tar.path_bytes().into_owned());
        refuse_unsupported(tar, &extended, &raw)?;
        let bad = |reason| UnpackError::Path { path: shown(&raw), reason };
        let path = LayerPath::parse(&raw).map_err(bad)?;
        let metadata = self.metadata(tar, &extended, &raw)?;
        let entry = Entry { raw: &raw, path: path.clone(), metadata, extended };
        match path.target().map_err(bad)? {
            Target::Ignored => return Ok(()),
            Target::Root => self.root_directory(tar, &entry)?,
            Target::Opaque => {
                let parent = self.parent(&entry)?;
                attributes::set_opaque(&*parent).map_err(failed("hide what is below", &path.parent))?;
            }
            Target::Whiteout(name) => self.whiteout(&entry, &c_name(name))?,
            Target::Name(name) => return self.named(tar, &entry, &c_name(name)),
        }
        self.report.entries += 1;
        Ok(())
    }

    /// Sets the directories' times of change and gives the report.
    pub(super) fn finish(self) -> Result<UnpackReport, UnpackError> {
        for (path, metadata) in &self.times {
            let set = || match beneath::open_directory(self.root, path) {
                // A later entry put something else in its place.
                Err(error) if matches!(error.raw_os_error(), Some(2 | 20 | 40)) => Ok(()),
                directory => metadata.apply(directory?),
            };
            set().map_err(failed("set the times of", path))?;
        }
        Ok(self.report)
    }

    fn metadata<R: Read>(
        &self,
        tar: &tar::Entry<'_, R>,
        extended: &Extended,
        raw: &[u8],
    ) -> Result<Metadata, UnpackError> {
        let header = tar.header();
        let field = |value: io::Result<u64>| value.map_err(UnpackError::Damaged);
        let uid = extended.uid.map_or_else(|| field(header.uid()), Ok)?;
        let gid = extended.gid.map_or_else(|| field(header.gid()), Ok)?;
        let seconds = || i64::try_from(header.mtime().unwrap_or_default()).unwrap_or_default();
        Ok(Metadata {
            uid: self.shifted(uid, raw)?,
            gid: self.shifted(gid, raw)?,
            mode: header.mode().map_err(UnpackError::Damaged)? & 0o7777,
            mtime: extended.mtime.unwrap_or_else(|| Timespec { tv_sec: seconds(), tv_nsec: 0 }),
        })
    }

    fn shifted(&self, id: u64, raw: &[u8]) -> Result<u32, UnpackError> {
        let outside = || UnpackError::Id { path: shown(raw), id, count: self.ids.count };
        self.ids.host(id).ok_or_else(outside)
    }

    /// The directory of an entry, made (mode 0755, owned by guest root) when the archive has no entry for it.
    fn parent(&mut self, entry: &Entry<'_>) -> Result<Rc<OwnedFd>, UnpackError> {
        if self.near.0 != entry.path.parent {
            let opened = match beneath::open_directory(self.root, &entry.path.parent) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.make_parents(&entry.path.parent)
                }
                opened => opened,
            };
            let directory = opened.map_err(|error| refused_parent(error, entry))?;
            self.near = (entry.path.parent.clone(), Rc::new(directory));
        }
        Ok(Rc::clone(&self.near.1))
    }

    fn make_parents(&self, path: &std::path::Path) -> io::Result<OwnedFd> {
        let mut current = beneath::open_directory(self.root, "")?;
        for part in path {
            match rustix::fs::mkdirat(&current, part, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    current = beneath::open_directory(&current, part)?;
                    chown_to_base(&current, self.ids)?;
                }
                Err(Errno::EXIST) => current = beneath::open_directory(&current, part)?,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(current)
    }

    fn root_directory<R: Read>(
        &mut self,
        tar: &tar::Entry<'_, R>,
        entry: &Entry<'_>,
    ) -> Result<(), UnpackError> {
        if tar.header().entry_type() != EntryType::Directory {
            return Err(UnpackError::Path {
                path: shown(entry.raw),
                reason: "names the root but is no directory",
            });
        }
        entry.metadata.apply(self.root).map_err(failed("set the attributes of", "/"))?;
        self.times.push((PathBuf::new(), entry.metadata));
        Ok(())
    }

    /// Marks a path of the layers below as deleted, unless this layer has its own entry of that name, which hides it
    /// anyway: a directory then must not show the contents of the one below.
    fn whiteout(&mut self, entry: &Entry<'_>, name: &CStr) -> Result<(), UnpackError> {
        let folder = self.parent(entry)?;
        let parent = folder.as_fd();
        let make = || match stat(parent, name)? {
            None => Ok(rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), 0)?),
            Some(stat) if beneath::file_type(&stat) == FileType::Directory => {
                attributes::set_opaque(beneath::open_directory(parent, name)?)
            }
            Some(_) => Ok(()),
        };
        Ok(make().map_err(failed("make the whiteout of", shown(entry.raw)))?)
    }

    fn named<R: Read>(
        &mut self,
        tar: &mut tar::Entry<'_, R>,
        entry: &Entry<'_>,
        name: &CStr,
    ) -> Result<(), UnpackError> {
        match tar.header().entry_type() {
            EntryType::Directory => self.directory(entry, name)?,
            EntryType::Regular | EntryType::Continuous => self.regular(tar, entry, name)?,
            EntryType::Symlink => self.symlink(&link_target(tar, entry), entry, name)?,
            EntryType::Link => self.hard_link(&link_target(tar, entry), entry, name)?,
            EntryType::Fifo => self.fifo(entry, name)?,
            EntryType::Char | EntryType::Block => {
                self.report.dropped_devices += 1;
                return Ok(());
            }
            _ => return Err(UnpackError::Unsupported { path: shown(entry.raw), what: "of an unknown type" }),
        }
        self.report.entries += 1;
        Ok(())
    }

    fn directory(&mut self, entry: &Entry<'_>, name: &CStr) -> Result<(), UnpackError> {
        let folder = self.parent(entry)?;
        let parent = folder.as_fd();
        let make = || {
            let before = stat(parent, name)?;
            let kind = before.as_ref().map(beneath::file_type);
            if kind.is_some_and(|kind| kind != FileType::Directory) {
                rustix::fs::unlinkat(parent, name, AtFlags::empty())?;
            }
            if kind != Some(FileType::Directory) {
                rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
            }
            let directory = beneath::open_directory(parent, name)?;
            if before.as_ref().is_some_and(beneath::is_whiteout) {
                attributes::set_opaque(&directory)?;
            }
            entry.metadata.apply(&directory)?;
            xattr::set(&directory, &entry.extended.attributes, self.ids, false)
        };
        let dropped = make().map_err(failed("make directory", shown(entry.raw)))?;
        self.report.dropped_attributes += dropped;
        self.times.push((entry.path.parent.join(OsStr::from_bytes(name.to_bytes())), entry.metadata));
        Ok(())
    }

    fn regular<R: Read>(
        &mut self,
        tar: &mut tar::Entry<'_, R>,
        entry: &Entry<'_>,
        name: &CStr,
    ) -> Result<(), UnpackError> {
        let folder = self.parent(entry)?;
        let file = create(folder.as_fd(), name).map_err(failed("make file", shown(entry.raw)))?;
        copy_data(tar, &file, entry)?;
        let finish = || {
            entry.metadata.apply(&file)?;
            xattr::set(&file, &entry.extended.attributes, self.ids, true)
        };
        let dropped = finish().map_err(failed("set the attributes of", shown(entry.raw)))?;
        self.report.dropped_attributes += dropped;
        Ok(())
    }

    fn symlink(&mut self, link: &[u8], entry: &Entry<'_>, name: &CStr) -> Result<(), UnpackError> {
        if link.is_empty() || link.contains(&0) {
            return Err(UnpackError::Path { path: shown(entry.raw), reason: "is a link to no name" });
        }
        let folder = self.parent(entry)?;
        let parent = folder.as_fd();
        let make = || {
            make_way(parent, name)?;
            rustix::fs::symlinkat(link, parent, name)?;
            entry.metadata.apply_at(parent, name, true)
        };
        Ok(make().map_err(failed("make link", shown(entry.raw)))?)
    }

    fn fifo(&mut self, entry: &Entry<'_>, name: &CStr) -> Result<(), UnpackError> {
        let folder = self.parent(entry)?;
        let parent = folder.as_fd();
        let make = || {
            make_way(parent, name)?;
            rustix::fs::mknodat(parent, name, FileType::Fifo, Mode::RUSR, 0)?;
            entry.metadata.apply_at(parent, name, false)
        };
        Ok(make().map_err(failed("make fifo", shown(entry.raw)))?)
    }

    fn hard_link(&mut self, link: &[u8], entry: &Entry<'_>, name: &CStr) -> Result<(), UnpackError> {
        let bad = |reason| UnpackError::Path { path: shown(entry.raw), reason };
        let target = LayerPath::parse(link).map_err(|_| bad("is a hard link out of its layer"))?;
        let Ok(Target::Name(target_name)) = target.target() else {
            return Err(bad("is a hard link to no file"));
        };
        let target_name = c_name(target_name);
        let missing = |_| bad("is a hard link to nothing that this layer has before it");
        let source = beneath::open_directory(self.root, &target.parent).map_err(missing)?;
        let found = stat(source.as_fd(), &target_name)
            .map_err(missing)?
            .ok_or_else(|| missing(Errno::NOENT.into()))?;
        if !matches!(beneath::file_type(&found), FileType::RegularFile | FileType::Symlink | FileType::Fifo) {
            return Err(bad("is a hard link to no file"));
        }
        if target == entry.path {
            return Ok(());
        }
        let folder = self.parent(entry)?;
        let parent = folder.as_fd();
        let make = || {
            make_way(parent, name)?;
            rustix::fs::linkat(&source, &target_name, parent, name, AtFlags::empty()).map_err(io::Error::from)
        };
        Ok(make().map_err(failed("make hard link", shown(entry.raw)))?)
    }
}

fn refuse_unsupported<R: Read>(
    tar: &tar::Entry<'_, R>,
    extended: &Extended,
    raw: &[u8],
) -> Result<(), UnpackError> {
    let refuse = |what| Err(UnpackError::Unsupported { path: shown(raw), what });
    if extended.sparse || tar.header().entry_type() == EntryType::GNUSparse {
        return refuse("a sparse file of GNU tar");
    }
    if extended.size.is_some_and(|size| size != tar.size()) {
        return refuse("a file whose size stands in a pax record only");
    }
    Ok(())
}

/// The bytes of the file, with a damaged archive and a full disk told apart.
fn copy_data<R: Read>(
    tar: &mut tar::Entry<'_, R>,
    mut file: &File,
    entry: &Entry<'_>,
) -> Result<(), UnpackError> {
    let (mut left, mut buffer) = (tar.size(), vec![0; 128 << 10]);
    while left > 0 {
        let read = tar.read(&mut buffer).map_err(UnpackError::Damaged)?;
        if read == 0 {
            return Err(UnpackError::Damaged(io::ErrorKind::UnexpectedEof.into()));
        }
        io::Write::write_all(&mut file, &buffer[..read]).map_err(failed("write", shown(entry.raw)))?;
        left = left.saturating_sub(read as u64);
    }
    Ok(())
}

fn link_target<R: Read>(tar: &tar::Entry<'_, R>, entry: &Entry<'_>) -> Vec<u8> {
    let header = || tar.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
    entry.extended.link.clone().unwrap_or_else(header)
}

/// A parent that is a link or a file: writing through it is what a hostile archive wants.
fn refused_parent(error: io::Error, entry: &Entry<'_>) -> UnpackError {
    let path = shown(entry.raw);
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::LOOP) => {
            UnpackError::Path { path, reason: "lies below a symbolic link of its own layer" }
        }
        Some(Errno::NOTDIR) => {
            UnpackError::Path { path, reason: "lies below something that is no directory" }
        }
        _ => UnpackError::File(failed("open the directory of", path)(error)),
    }
}

fn stat(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<Option<Stat>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        stat => Ok(Some(stat?)),
    }
}

/// Removes what an earlier entry of this layer put at `name`.
fn make_way(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    remove::remove_tree(parent, name)
}

fn create(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<File> {
    make_way(parent, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?.into())
}

fn chown_to_base(directory: impl AsFd, ids: IdRange) -> io::Result<()> {
    Ok(rustix::fs::fchown(directory, Some(Uid::from_raw(ids.base)), Some(Gid::from_raw(ids.base)))?)
}

fn c_name(name: &[u8]) -> CString {
    CString::new(name).expect("a parsed path has no zero byte")
}
