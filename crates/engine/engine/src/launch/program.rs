//! The embedded agent as a file that nobody can change.

use crate::error::{Error, Result};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::Errno,
};
use std::{
    fs::File,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    sync::OnceLock,
};

static PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/lattice-agent"));
static FILE: OnceLock<OwnedFd> = OnceLock::new();

/// The program's memfd; one for all sandboxes of this process, so that they share its pages.
pub(super) fn file() -> Result<&'static OwnedFd> {
    if let Some(file) = FILE.get() {
        return Ok(file);
    }
    let made = make().map_err(|e| Error::io("cannot make the memory file of the agent", e))?;
    // Of two made at the same time one stays.
    Ok(FILE.get_or_init(|| made))
}

fn make() -> std::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Kernels before 6.3 do not know EXEC, and make executable ones anyway.
    let fd = match memfd_create("lattice-agent", flags | MemfdFlags::EXEC) {
        Err(Errno::INVAL) => memfd_create("lattice-agent", flags)?,
        other => other?,
    };
    let mut file = File::from(fd);
    file.write_all(PROGRAM)?;
    fcntl_add_seals(file.as_fd(), SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    // Opened anew for reading: a program cannot be executed while somebody has it open for writing.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
    Ok(File::open(path)?.into())
}

/// A memfd with `bytes`.
pub(crate) fn memory_file(name: &str, bytes: &[u8]) -> std::io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    Ok(file.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn the_program_cannot_be_changed() {
        let file = File::from(make().unwrap());
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        assert!(file.write_at(b"x", 0).is_err());
        let again = File::options().write(true).open(path);
        assert!(again.and_then(|file| file.write_at(b"x", 0)).is_err());
    }
}
