//! Directory entries as the helper prints them.

use openlattice_engine::{FileKind, FileStat, Files};
use serde::Serialize;
use std::{collections::HashMap, time::SystemTime};

/// Most of `/etc/passwd` and `/etc/group` that is read, in bytes.
const NAMES_LIMIT: usize = 1 << 20;

/// One entry; clients need every member but the last.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    name: String,
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    mode: u32,
    permissions: String,
    owner: String,
    group: String,
    modified_time: f64,
    symlink_target: Option<String>,
}

/// Names of owners and groups, as the sandbox's own files give them.
#[derive(Debug, Default)]
pub(super) struct Names {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Names {
    /// Reads the sandbox's files; without them ids stay numbers.
    pub(super) async fn read(files: &Files) -> Self {
        Self { users: names(files, "/etc/passwd").await, groups: names(files, "/etc/group").await }
    }
}

async fn names(files: &Files, path: &str) -> HashMap<u32, String> {
    let content = files.read_at(path, 0, NAMES_LIMIT).await.unwrap_or_default();
    parse_names(&String::from_utf8_lossy(&content))
}

/// Both files have the name first and the id third.
fn parse_names(text: &str) -> HashMap<u32, String> {
    let line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        Some((fields.nth(1)?.parse().ok()?, name))
    };
    // The first line of an id counts, so later ones must not replace it.
    text.lines().rev().filter_map(line).collect()
}

impl Entry {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn new(stat: FileStat, names: &Names) -> Self {
        let name =
            |names: &HashMap<u32, String>, id: u32| names.get(&id).cloned().unwrap_or_else(|| id.to_string());
        // A device or pipe is shown as a file: clients know three types and fail on a fourth.
        let (kind, letter) = match stat.kind {
            FileKind::Directory => ("directory", 'd'),
            FileKind::Symlink => ("symlink", 'l'),
            _ => ("file", '-'),
        };
        Self {
            kind,
            permissions: permissions(letter, stat.mode),
            owner: name(&names.users, stat.uid),
            group: name(&names.groups, stat.gid),
            modified_time: match stat.modified.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(since) => since.as_secs_f64(),
                Err(before) => -before.duration().as_secs_f64(),
            },
            name: stat.name.to_string_lossy().into_owned(),
            path: stat.path.to_string_lossy().into_owned(),
            size: stat.size,
            mode: stat.mode,
            symlink_target: stat.symlink_target.map(|target| target.to_string_lossy().into_owned()),
        }
    }
}

/// As `ls -l` writes them.
fn permissions(kind: char, mode: u32) -> String {
    let mut text = String::from(kind);
    for (shift, special, set, unset) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = mode >> shift;
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (false, false) => '-',
            (false, true) => 'x',
            (true, true) => set,
            (true, false) => unset,
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_read_as_ls_prints_them() {
        assert_eq!(permissions('-', 0o644), "-rw-r--r--");
        assert_eq!(permissions('d', 0o1777), "drwxrwxrwt");
        assert_eq!(permissions('-', 0o4755), "-rwsr-xr-x");
        assert_eq!(permissions('-', 0o6640), "-rwSr-S---");
        assert_eq!(permissions('d', 0o1770), "drwxrwx--T");
    }

    #[test]
    fn the_first_name_of_an_id_counts() {
        let names = parse_names("root:x:0:0::/root:/bin/sh\nbroken\ntoor:x:0:0\nme:x:7:7");
        assert_eq!((names[&0].as_str(), names[&7].as_str(), names.len()), ("root", "me", 2));
    }
}
