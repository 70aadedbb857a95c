//! Copies the bytes of one file, keeping its holes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use rustix::fs::SeekFrom;
use rustix::io::Errno;

/// Copies all of `source` to the empty file `target`: as a shared extent where the file system can, else range by
/// range inside the kernel, else through memory.
pub(crate) fn copy(source: &File, target: &File) -> io::Result<u64> {
    let size = source.metadata()?.len();
    if size == 0 || rustix::fs::ioctl_ficlone(target, source).is_ok() {
        return Ok(size);
    }
    rustix::fs::ftruncate(target, size)?;
    let mut at = 0;
    while at < size {
        let Some((start, end)) = next_data(source, at, size)? else { break };
        copy_range(source, target, start, end)?;
        at = end;
    }
    Ok(size)
}

/// The next range with data at or after `at`, or nothing when only a hole is left.
fn next_data(source: &File, at: u64, size: u64) -> io::Result<Option<(u64, u64)>> {
    let start = match rustix::fs::seek(source, SeekFrom::Data(at)) {
        Err(Errno::NXIO) => return Ok(None),
        // A file system without holes answers EINVAL: all is data.
        Err(Errno::INVAL) => return Ok(Some((at, size))),
        start => start?,
    };
    let end = rustix::fs::seek(source, SeekFrom::Hole(start))?;
    Ok((start < size).then_some((start, end.min(size))))
}

fn copy_range(source: &File, target: &File, start: u64, end: u64) -> io::Result<()> {
    let (mut from, mut to) = (start, start);
    while from < end {
        let want = usize::try_from(end - from).unwrap_or(usize::MAX).min(1 << 30);
        let copied =
            rustix::fs::copy_file_range(source.as_fd(), Some(&mut from), target.as_fd(), Some(&mut to), want);
        match copied {
            Ok(0) => return Ok(()),
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return copy_through_memory(source, target, from, end);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

fn copy_through_memory(source: &File, target: &File, start: u64, end: u64) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut at = start;
    while at < end {
        let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
        let read = source.read_at(&mut buffer[..want], at)?;
        if read == 0 {
            break;
        }
        target.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn keeps_bytes_and_holes() {
        let source = tempfile::tempfile().unwrap();
        rustix::fs::ftruncate(&source, 8 << 20).unwrap();
        source.write_all_at(b"middle", 4 << 20).unwrap();
        let mut target = tempfile::tempfile().unwrap();
        assert_eq!(copy(&source, &target).unwrap(), 8 << 20);
        let mut bytes = Vec::new();
        target.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), 8 << 20);
        assert_eq!(&bytes[4 << 20..(4 << 20) + 6], b"middle");
        let blocks = |file: &File| rustix::fs::fstat(file).unwrap().st_blocks;
        assert!(blocks(&target) <= blocks(&source).max(64), "the copy has filled the holes");
    }

    #[test]
    fn the_way_through_memory_gives_the_same() {
        let source = tempfile::tempfile().unwrap();
        source.write_all_at(&vec![7; 600_000], 0).unwrap();
        let mut target = tempfile::tempfile().unwrap();
        copy_through_memory(&source, &target, 0, 600_000).unwrap();
        let mut bytes = Vec::new();
        target.read_to_end(&mut bytes).unwrap();
        assert!(bytes == vec![7; 600_000]);
    }
}
