//! What the kernel holds under the store's name.

use super::{Found, GC, Rows};
use crate::{
    cgroup,
    engine::Inner,
    error::{Error, Result},
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Names of the control groups of the store's sandboxes, in any hierarchy.
pub(super) fn groups(inner: &Inner) -> Result<BTreeSet<String>> {
    cgroup::sandboxes(inner.store.id())
}

pub(super) fn compare(inner: &Inner, rows: &Rows, groups: &BTreeSet<String>) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for name in groups.iter().filter(|name| rows.living(name).is_none()) {
        let members = cgroup::members(inner.store.id(), name)?;
        let group = format!("control group openlattice/{}/{name}", inner.store.id());
        found.push(if members.is_empty() {
            Found::new(group, "no living sandbox has it", "remove it with `rmdir` in every hierarchy")
        } else {
            let pids: Vec<String> = members.iter().map(u32::to_string).collect();
            let problem =
                format!("no living sandbox has it, and there are processes in it: {}", pids.join(", "));
            Found::new(
                group,
                problem,
                format!("end them (`kill -9 {}`), then remove it with `rmdir`", pids.join(" ")),
            )
        });
    }
    found.extend(mounts(inner, rows)?);
    Ok(found)
}

/// Mounts of the machine below the store. Those of sandboxes are in namespaces of their own, so there is none.
fn mounts(inner: &Inner, rows: &Rows) -> Result<Vec<Found>> {
    let table = fs::read_to_string("/proc/self/mountinfo")
        .map_err(|e| Error::io("cannot read /proc/self/mountinfo", e))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped);
    let foreign = points.filter(|point| is_foreign(inner.store.dir(), rows, point));
    Ok(foreign
        .map(|point| {
            let remedy = format!("unmount it (`umount {}`), then {GC}", point.display());
            Found::new(format!("mount {}", point.display()), "no living sandbox has it", remedy)
        })
        .collect())
}

/// Volumes may be on other disks, and the store itself.
fn is_foreign(store: &Path, rows: &Rows, point: &Path) -> bool {
    if ["layers", "trash"].iter().any(|name| point.starts_with(store.join(name))) {
        return point.parent() != Some(store);
    }
    let Ok(below) = point.strip_prefix(store.join("sandboxes")) else { return false };
    let id = below.iter().next().map(|id| id.to_string_lossy());
    id.is_some_and(|id| rows.living(&id).is_none())
}

/// A path as the kernel writes it in a mount table: blanks and backslashes as `\` and three octal digits (proc_pid_mountinfo(5)).
fn unescaped(text: &str) -> PathBuf {
    let pairs = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    pairs.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_what_is_the_stores_own_are_foreign() {
        let rows = Rows { sandboxes: Vec::new(), images: Vec::new(), volumes: Vec::new() };
        let foreign = |point: &str| is_foreign(Path::new("/s t"), &rows, &unescaped(point));
        for point in ["/s\\040t/sandboxes/sb-1/mnt", "/s\\040t/layers/x", "/s\\040t/trash/y/z"] {
            assert!(foreign(point), "{point}");
        }
        for point in [
            "/",
            "/s\\040t",
            "/s\\040t/volumes/v",
            "/s\\040t/sandboxes",
            "/s\\040t/layers",
            "/s\\040tx/layers/x",
        ] {
            assert!(!foreign(point), "{point}");
        }
    }
}
