//! What the kernel shows of running processes, as far as leak checks need it.

use std::fs;
use std::path::{Path, PathBuf};

/// One process, seen through /proc.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its id.
    pub(crate) pid: u32,
    folder: PathBuf,
}

/// Every process except this one. Those that end meanwhile show as empty.
pub(crate) fn all() -> Vec<Process> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(|pid| (pid, entry.path())))
        .filter(|(pid, _)| *pid != own)
        .map(|(pid, folder)| Process { pid, folder })
        .collect()
}

impl Process {
    /// Its command line or, where it has none, its short name.
    pub(crate) fn title(&self) -> String {
        let line = self.text("cmdline").replace('\0', " ");
        if line.trim().is_empty() { self.text("comm").trim().to_owned() } else { line.trim().to_owned() }
    }

    /// The first place where one of `names` shows: arguments, links, open files, mounts or control groups.
    pub(crate) fn names(&self, names: &[String]) -> Option<String> {
        let hit = |text: &str| names.iter().any(|name| text.contains(name.as_str()));
        for file in ["cmdline", "cgroup"] {
            if hit(&self.text(file)) {
                return Some(file.to_owned());
            }
        }
        for link in ["exe", "cwd", "root"] {
            if hit(&link_text(&self.folder.join(link))) {
                return Some(link.to_owned());
            }
        }
        self.mount(&hit).or_else(|| self.open_file(&hit))
    }

    fn mount(&self, hit: &impl Fn(&str) -> bool) -> Option<String> {
        self.text("mountinfo").lines().find(|line| hit(line)).map(|line| format!("mount {line}"))
    }

    fn open_file(&self, hit: &impl Fn(&str) -> bool) -> Option<String> {
        let entries = fs::read_dir(self.folder.join("fd")).ok()?;
        let mut targets = entries.filter_map(Result::ok).map(|entry| link_text(&entry.path()));
        targets.find(|target| hit(target)).map(|target| format!("open file {target}"))
    }

    fn text(&self, file: &str) -> String {
        fs::read(self.folder.join(file))
            .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into())
    }
}

fn link_text(link: &Path) -> String {
    fs::read_link(link).map_or_else(|_| String::new(), |target| target.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn finds_a_process_by_what_it_names_and_loses_it_when_it_ends() {
        let name = format!("openlattice-probe-{}", std::process::id());
        let mut child = Command::new("sh")
            .args(["-c", "read line; : \"$0\"", &name])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let seen = |names: &[String]| all().into_iter().find(|process| process.names(names).is_some());
        // A moment after its start the kernel shows no command line yet.
        let found = (0..1000).find_map(|_| seen(std::slice::from_ref(&name))).map(|process| process.pid);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(found, Some(child.id()));
        assert!(!all().iter().any(|process| process.pid == child.id()));
    }
}
