//! What the kernel tells by directory and name, as events with paths.

use super::{
    Below, FileEvent, FileEventKind, WatchSpec,
    walk::{Found, Walked},
};
use crate::{files::hidden::is_hidden, watch::Change};
use rustix::fs::inotify::ReadFlags;
use std::{
    collections::{HashMap, HashSet, VecDeque},
    ffi::{OsStr, OsString},
    path::Path,
    time::Duration,
};
use tokio::time::Instant;

/// How long the second half of a renaming is waited for. The kernel queues both at once, though not in one step (inotify(7)).
const PATIENCE: Duration = Duration::from_millis(10);
/// Entries that are remembered as told by a list.
const LISTED: usize = 65_536;

/// The first half of a renaming.
#[derive(Debug)]
struct Moved {
    cookie: u32,
    path: Below,
    name: OsString,
    directory: bool,
    until: Instant,
}

/// The watched directories, and the events that wait to be told.
#[derive(Debug)]
pub(super) struct Tree {
    base: String,
    /// The one entry that is meant, where a file is watched.
    only: Option<OsString>,
    spec: WatchSpec,
    root: Option<i32>,
    directories: HashMap<i32, Below>,
    /// Entries of new directories that were told because they were in the list: the kernel may tell them again.
    listed: HashSet<(i32, OsString)>,
    unfollowed: Vec<Below>,
    moved: Option<Moved>,
    events: VecDeque<FileEvent>,
    over: bool,
}

impl Tree {
    pub(super) fn new(path: &str, only: Option<OsString>, spec: WatchSpec) -> Self {
        let trimmed = path.trim_end_matches('/');
        // Paths are told as they were asked for; those of entries begin with that of their directory.
        let base = match &only {
            Some(_) => trimmed.rsplit_once('/').map_or("", |(folder, _)| folder),
            None => trimmed,
        };
        Self {
            base: base.to_owned(),
            only,
            spec,
            root: None,
            directories: HashMap::new(),
            listed: HashSet::new(),
            unfollowed: Vec::new(),
            moved: None,
            events: VecDeque::new(),
            over: false,
        }
    }

    /// Takes what was there at the beginning, of which nothing is told.
    pub(super) fn begin(&mut self, walked: Walked) {
        self.root = walked.found.first().map(|found| found.wd);
        self.directories.extend(walked.found.into_iter().map(|found| (found.wd, found.path)));
    }

    /// Takes directories that came to be and are watched now.
    pub(super) fn followed(&mut self, walked: Walked) {
        self.unfollowed.clear();
        for found in walked.found {
            self.tell_listed(&found);
            self.directories.entry(found.wd).or_insert(found.path);
        }
        for path in walked.missed {
            self.tell(FileEventKind::Unknown, &[&path]);
        }
    }

    /// Tells what is in a directory that was made after the watch began.
    fn tell_listed(&mut self, found: &Found) {
        if self.directories.contains_key(&found.wd) {
            return;
        }
        if found.more {
            self.tell(FileEventKind::Unknown, &[&found.path]);
            return;
        }
        for name in &found.entries {
            self.tell(FileEventKind::Create, &[&found.path.join(name)]);
            if self.listed.len() < LISTED {
                self.listed.insert((found.wd, name.clone()));
            }
        }
    }

    pub(super) fn has_unfollowed(&self) -> bool {
        !self.unfollowed.is_empty()
    }

    pub(super) fn unfollowed(&self) -> &[Below] {
        &self.unfollowed
    }

    pub(super) fn pop(&mut self) -> Option<FileEvent> {
        self.events.pop_front()
    }

    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    pub(super) fn end(&mut self) {
        self.over = true;
    }

    /// Until when the second half of a renaming is waited for.
    pub(super) fn patience(&self) -> Option<Instant> {
        self.moved.as_ref().map(|moved| moved.until)
    }

    /// Tells that changes were lost, and looks for directories anew; gives those that are not to be watched any more.
    pub(super) fn lost(&mut self) -> Vec<i32> {
        let gone = self.give_up_pairing();
        self.tell(FileEventKind::Unknown, &[Path::new("")]);
        if self.spec.recursive && self.only.is_none() {
            self.unfollowed.push(Below::new());
        }
        gone
    }

    /// The path of a change that may be of a file without a name: the kernel tells changes of one (O_TMPFILE, as our own writes use
    /// it) under its number.
    pub(super) fn may_be_nameless(&self, change: &Change) -> Option<Below> {
        let name = change.name.as_ref()?;
        let number = name.as_encoded_bytes().strip_prefix(b"#")?;
        let named = ReadFlags::CREATE | ReadFlags::DELETE | ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
        let so = number.iter().all(u8::is_ascii_digit) && !change.flags.intersects(named);
        so.then(|| self.directories.get(&change.wd).map(|folder| folder.join(name)))?
    }

    /// Takes one change; gives the directories that are not to be watched any more.
    pub(super) fn take(&mut self, change: Change) -> Vec<i32> {
        if change.wd < 0 {
            return self.lost();
        }
        let Some(folder) = self.directories.get(&change.wd).cloned() else { return Vec::new() };
        let Some(name) = change.name.clone() else { return self.take_own(&change) };
        if change.flags.contains(ReadFlags::MOVED_TO)
            && self.moved.as_ref().is_some_and(|moved| moved.cookie == change.cookie)
        {
            return self.renamed(&folder, name, change.flags.contains(ReadFlags::ISDIR));
        }
        let gone = self.give_up_pairing();
        self.take_entry(&change, &folder, name);
        gone
    }

    /// Takes a change of a watched directory itself. Those of the ones below are told by their parents.
    fn take_own(&mut self, change: &Change) -> Vec<i32> {
        let is_root = self.root == Some(change.wd);
        let flags = change.flags;
        if is_root && self.only.is_none() {
            if flags.contains(ReadFlags::ATTRIB) {
                self.tell(FileEventKind::Modify, &[Path::new("")]);
            } else if flags.contains(ReadFlags::DELETE_SELF) {
                self.tell(FileEventKind::Remove, &[Path::new("")]);
            } else if flags.contains(ReadFlags::MOVE_SELF) {
                self.tell(FileEventKind::RenameFrom, &[Path::new("")]);
            }
        }
        let over = ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::MOVE_SELF | ReadFlags::DELETE_SELF;
        self.over |= is_root && flags.intersects(over);
        if flags.contains(ReadFlags::IGNORED) {
            self.directories.remove(&change.wd);
            self.listed.retain(|(wd, _)| *wd != change.wd);
            return vec![change.wd];
        }
        Vec::new()
    }

    fn take_entry(&mut self, change: &Change, folder: &Path, name: OsString) {
        let directory = change.flags.contains(ReadFlags::ISDIR);
        let path = folder.join(&name);
        let flags = change.flags;
        if flags.contains(ReadFlags::MOVED_FROM) {
            let until = Instant::now() + PATIENCE;
            self.moved = Some(Moved { cookie: change.cookie, path, name, directory, until });
        } else if flags.contains(ReadFlags::MOVED_TO) {
            self.tell_of(FileEventKind::RenameTo, &name, &path);
            self.follow_later(directory, path);
        } else if flags.contains(ReadFlags::CREATE) {
            if !self.listed.remove(&(change.wd, name.clone())) {
                self.tell_of(FileEventKind::Create, &name, &path);
                self.follow_later(directory, path);
            }
        } else if flags.contains(ReadFlags::DELETE) {
            self.listed.remove(&(change.wd, name.clone()));
            self.tell_of(FileEventKind::Remove, &name, &path);
        } else if flags.intersects(ReadFlags::MODIFY | ReadFlags::ATTRIB) {
            self.tell_of(FileEventKind::Modify, &name, &path);
        } else if !directory && flags.intersects(ReadFlags::OPEN | ReadFlags::ACCESS | ReadFlags::CLOSE_WRITE)
        {
            self.tell_of(FileEventKind::Access, &name, &path);
        }
    }

    /// Takes the second half of a renaming.
    fn renamed(&mut self, folder: &Path, name: OsString, directory: bool) -> Vec<i32> {
        let Some(from) = self.moved.take() else { return Vec::new() };
        let to = folder.join(&name);
        match (self.is_meant(&from.name), self.is_meant(&name)) {
            // Our own writes put a file in place so.
            (_, true) if is_hidden(&from.name) => self.tell(FileEventKind::Modify, &[&to]),
            (true, true) => self.tell(FileEventKind::Rename, &[&from.path, &to]),
            (true, false) => self.tell(FileEventKind::RenameFrom, &[&from.path]),
            (false, true) => self.tell(FileEventKind::RenameTo, &[&to]),
            (false, false) => {}
        }
        if directory {
            for path in self.directories.values_mut() {
                if let Ok(rest) = path.strip_prefix(&from.path) {
                    *path = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                }
            }
            // It may have moved before it was watched.
            let known = self.directories.values().any(|path| *path == to);
            self.follow_later(!known, to);
        }
        Vec::new()
    }

    /// Tells the first half of a renaming as one that led out; gives the directories that left with it.
    pub(super) fn give_up_pairing(&mut self) -> Vec<i32> {
        let Some(from) = self.moved.take() else { return Vec::new() };
        self.tell_of(FileEventKind::RenameFrom, &from.name, &from.path);
        if !from.directory {
            return Vec::new();
        }
        let left = |path: &Below| path.starts_with(&from.path);
        let gone: Vec<i32> =
            self.directories.iter().filter(|(_, path)| left(path)).map(|(wd, _)| *wd).collect();
        gone.iter().for_each(|wd| drop(self.directories.remove(wd)));
        gone
    }

    fn follow_later(&mut self, directory: bool, path: Below) {
        if directory && self.spec.recursive && self.only.is_none() {
            self.unfollowed.push(path);
        }
    }

    fn is_meant(&self, name: &OsStr) -> bool {
        !is_hidden(name) && self.only.as_ref().is_none_or(|only| only == name)
    }

    fn tell_of(&mut self, kind: FileEventKind, name: &OsStr, path: &Path) {
        if self.is_meant(name) {
            self.tell(kind, &[path]);
        }
    }

    fn tell(&mut self, kind: FileEventKind, paths: &[&Path]) {
        if self.spec.wants(kind) {
            let paths = paths.iter().map(|path| self.shown(path)).collect();
            self.events.push_back(FileEvent { kind, paths });
        }
    }

    fn shown(&self, path: &Path) -> String {
        // Where a file is watched, what is lost of its directory is lost of it.
        let whole = path.as_os_str().is_empty();
        let path = if whole { self.only.as_deref().unwrap_or_default() } else { path.as_os_str() };
        match (path.is_empty(), self.base.is_empty()) {
            (true, true) => "/".to_owned(),
            (true, false) => self.base.clone(),
            (false, _) => format!("{}/{}", self.base, path.to_string_lossy()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FileEventKind::{Create, Modify, Remove, Rename, RenameFrom, RenameTo, Unknown};

    const ROOT: i32 = 1;

    fn tree(path: &str, only: Option<&str>, spec: WatchSpec) -> Tree {
        let mut tree = Tree::new(path, only.map(OsString::from), spec);
        tree.begin(Walked { found: vec![found(ROOT, "", &["old"])], missed: Vec::new() });
        tree
    }

    fn found(wd: i32, path: &str, entries: &[&str]) -> Found {
        Found { wd, path: path.into(), entries: entries.iter().map(OsString::from).collect(), more: false }
    }

    fn change(wd: i32, flags: ReadFlags, name: &str) -> Change {
        let name = (!name.is_empty()).then(|| name.into());
        Change { wd, flags, cookie: 7, name }
    }

    fn told(tree: &mut Tree) -> Vec<(FileEventKind, String)> {
        std::iter::from_fn(|| tree.pop()).map(|event| (event.kind, event.paths.join(" > "))).collect()
    }

    fn recursive() -> WatchSpec {
        WatchSpec { recursive: true, ..WatchSpec::default() }
    }

    #[tokio::test]
    async fn changes_become_events_in_order_with_full_paths() {
        let mut tree = tree("/d/", None, WatchSpec::default());
        for (flags, name) in
            [(ReadFlags::CREATE, "a"), (ReadFlags::MODIFY, "a"), (ReadFlags::MOVED_FROM, "a")]
        {
            tree.take(change(ROOT, flags, name));
        }
        tree.take(change(ROOT, ReadFlags::MOVED_TO, "b"));
        tree.take(change(ROOT, ReadFlags::DELETE, "b"));
        let expected = [(Create, "/d/a"), (Modify, "/d/a"), (Rename, "/d/a > /d/b"), (Remove, "/d/b")];
        assert_eq!(told(&mut tree), expected.map(|(kind, path)| (kind, path.to_owned())));
    }

    #[tokio::test]
    async fn half_a_renaming_is_told_when_the_other_half_does_not_come() {
        let mut tree = tree("/", None, WatchSpec::default());
        tree.take(change(ROOT, ReadFlags::MOVED_FROM, "a"));
        assert!(tree.patience().is_some() && told(&mut tree).is_empty());
        tree.take(change(ROOT, ReadFlags::CREATE, "c"));
        tree.take(change(ROOT, ReadFlags::MOVED_TO, "b"));
        let expected = [(RenameFrom, "/a"), (Create, "/c"), (RenameTo, "/b")];
        assert_eq!(told(&mut tree), expected.map(|(kind, path)| (kind, path.to_owned())));
        assert!(tree.patience().is_none());
    }

    #[tokio::test]
    async fn what_a_new_directory_holds_is_told_once() {
        let mut tree = tree("/d", None, recursive());
        tree.take(change(ROOT, ReadFlags::CREATE | ReadFlags::ISDIR, "new"));
        assert_eq!(tree.unfollowed(), [Below::from("new")]);
        tree.followed(Walked { found: vec![found(2, "new", &["x", "y"])], missed: Vec::new() });
        tree.take(change(2, ReadFlags::CREATE, "y"));
        tree.take(change(2, ReadFlags::DELETE, "x"));
        tree.take(change(2, ReadFlags::CREATE, "x"));
        let expected = [
            (Create, "/d/new"),
            (Create, "/d/new/x"),
            (Create, "/d/new/y"),
            (Remove, "/d/new/x"),
            (Create, "/d/new/x"),
        ];
        assert_eq!(told(&mut tree), expected.map(|(kind, path)| (kind, path.to_owned())));
    }

    #[tokio::test]
    async fn a_directory_that_moves_takes_its_paths_along_and_one_that_leaves_is_let_go() {
        let mut tree = tree("/d", None, recursive());
        tree.followed(Walked { found: vec![found(2, "a", &[]), found(3, "a/b", &[])], missed: Vec::new() });
        tree.take(change(ROOT, ReadFlags::MOVED_FROM | ReadFlags::ISDIR, "a"));
        tree.take(change(ROOT, ReadFlags::MOVED_TO | ReadFlags::ISDIR, "z"));
        tree.take(change(3, ReadFlags::CREATE, "f"));
        let expected = [(Rename, "/d/a > /d/z"), (Create, "/d/z/b/f")];
        assert_eq!(told(&mut tree), expected.map(|(kind, path)| (kind, path.to_owned())));
        tree.take(change(ROOT, ReadFlags::MOVED_FROM | ReadFlags::ISDIR, "z"));
        let mut gone = tree.give_up_pairing();
        gone.sort_unstable();
        assert_eq!(gone, [2, 3]);
    }

    #[tokio::test]
    async fn one_file_is_watched_through_its_directory() {
        let mut tree = tree("/d/f", Some("f"), WatchSpec::default());
        tree.take(change(ROOT, ReadFlags::MODIFY, "other"));
        tree.take(change(ROOT, ReadFlags::MOVED_FROM, "new"));
        tree.take(change(ROOT, ReadFlags::MOVED_TO, "f"));
        tree.take(change(ROOT, ReadFlags::MOVED_FROM, ".lattice-0123"));
        tree.take(change(ROOT, ReadFlags::MOVED_TO, "f"));
        tree.lost();
        let expected = [(RenameTo, "/d/f"), (Modify, "/d/f"), (Unknown, "/d/f")];
        assert_eq!(told(&mut tree), expected.map(|(kind, path)| (kind, path.to_owned())));
    }

    #[tokio::test]
    async fn loss_is_told_and_directories_are_looked_for_anew() {
        let spec = WatchSpec { kinds: Some([Create].into()), ..recursive() };
        let mut watched = tree("/d", None, spec);
        watched.take(change(-1, ReadFlags::QUEUE_OVERFLOW, ""));
        assert_eq!(told(&mut watched), [(Unknown, "/d".to_owned())]);
        assert_eq!(watched.unfollowed(), [Below::new()]);
        let mut silent = tree("/d", None, WatchSpec { kinds: Some([].into()), ..recursive() });
        silent.take(change(-1, ReadFlags::QUEUE_OVERFLOW, ""));
        assert!(told(&mut silent).is_empty());
    }

    #[tokio::test]
    async fn the_end_of_the_directory_is_the_end_of_the_watch() {
        let mut tree = tree("/d", None, WatchSpec::default());
        tree.take(change(ROOT, ReadFlags::DELETE_SELF, ""));
        tree.take(change(ROOT, ReadFlags::IGNORED, ""));
        assert_eq!(told(&mut tree), [(Remove, "/d".to_owned())]);
        assert!(tree.is_over());
    }
}
