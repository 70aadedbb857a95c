//! Extension records: long names of GNU tar and the key-value records of pax.

use std::io::Read;

use rustix::fs::Timespec;
use tar::EntryType;

use super::{UnpackError, shown};

/// Longest extension record that is read; real ones are a few kilobytes.
const RECORD_BYTES: u64 = 1 << 20;

/// What extension records say of the entry that follows them.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) link: Option<Vec<u8>>,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) size: Option<u64>,
    pub(crate) mtime: Option<Timespec>,
    pub(crate) attributes: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) sparse: bool,
}

impl Extended {
    /// Takes `entry` in when it is an extension record; false when it is an entry of its own.
    pub(crate) fn absorb(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<bool, UnpackError> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.path = Some(long_name(entry)?),
            EntryType::GNULongLink => self.link = Some(long_name(entry)?),
            EntryType::XHeader => {
                let record = read_record(entry)?;
                self.absorb_pax(&record).ok_or_else(|| damaged("a pax record is malformed"))?;
            }
            // Applies to all entries; writers of layers only put comments there.
            EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reads `LENGTH KEY=VALUE\n` records (POSIX pax); values may hold any byte.
    fn absorb_pax(&mut self, mut record: &[u8]) -> Option<()> {
        while !record.is_empty() {
            let space = record.iter().position(|&byte| byte == b' ')?;
            let length: usize = number(&record[..space])?.try_into().ok()?;
            let body = record.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = body.iter().position(|&byte| byte == b'=')?;
            self.set(&body[..equals], &body[equals + 1..])?;
            record = &record[length..];
        }
        Some(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"size" => self.size = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.attributes.push((name.to_vec(), value.to_vec()));
                }
                self.sparse |= key.starts_with(b"GNU.sparse.");
            }
        }
        Some(())
    }
}

fn long_name(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, UnpackError> {
    let mut name = read_record(entry)?;
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
    name.truncate(end);
    Ok(name)
}

fn read_record(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, UnpackError> {
    if entry.size() > RECORD_BYTES {
        let path = shown(&entry.path_bytes());
        return Err(UnpackError::Unsupported { path, what: "an extension record of more than 1 MiB" });
    }
    let mut record = Vec::new();
    entry.read_to_end(&mut record).map_err(UnpackError::Damaged)?;
    Ok(record)
}

fn damaged(what: &'static str) -> UnpackError {
    UnpackError::Damaged(std::io::Error::new(std::io::ErrorKind::InvalidData, what))
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Seconds since 1970 with an optional fraction and sign; the fraction counts towards the past when negative.
fn time(text: &[u8]) -> Option<Timespec> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some(Timespec { tv_sec: seconds.checked_sub(1)?, tv_nsec: 1_000_000_000 - nanoseconds });
    }
    Some(Timespec { tv_sec: seconds, tv_nsec: nanoseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(record: &[u8]) -> Option<Extended> {
        let mut extended = Extended::default();
        extended.absorb_pax(record).map(|()| extended)
    }

    #[test]
    fn reads_records_with_any_byte_in_the_value() {
        let extended = parse(b"12 path=a/b\n27 SCHILY.xattr.user.x=\n\0\n\n").unwrap();
        assert_eq!(extended.path.unwrap(), b"a/b");
        assert_eq!(extended.attributes, [(b"user.x".to_vec(), b"\n\0\n".to_vec())]);
    }

    #[test]
    fn refuses_malformed_records() {
        for bad in [&b"x"[..], b"4 a=\n", b"99 a=b\n", b"0 a=b\n", b"7 path\n", b"11 uid=-1\n", b"-3 a=b\n"] {
            assert!(parse(bad).is_none(), "{} was taken", bad.escape_ascii());
        }
    }

    #[test]
    fn reads_times() {
        let read = |text: &[u8]| time(text).map(|time| (time.tv_sec, time.tv_nsec));
        assert_eq!(read(b"12"), Some((12, 0)));
        assert_eq!(read(b"12.5"), Some((12, 500_000_000)));
        assert_eq!(read(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(read(b"1.x"), None);
    }
}
