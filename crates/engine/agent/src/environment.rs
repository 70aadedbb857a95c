//! Argument vector, environment and program search of a command; runs in its child.

use crate::memory::Map;
use crate::records::strings;
use crate::sys::{self, Errno, Result};
use core::ffi::CStr;

const DEFAULT_PATH: &CStr = c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Longest path that the search builds.
const MAX_PATH: usize = 4096;

/// A null-terminated array of C strings.
pub(crate) struct Strings {
    table: &'static mut [usize],
    count: usize,
}

impl Strings {
    /// An array with room for `capacity` strings.
    fn new(capacity: usize) -> Result<Self> {
        let map = Map::new((capacity + 1) * size_of::<usize>())?;
        // SAFETY: zero is a valid word and a page is aligned enough.
        Ok(Self { table: unsafe { map.into_table::<usize>() }, count: 0 })
    }

    fn push(&mut self, string: &CStr) {
        self.table[self.count] = string.as_ptr() as usize;
        self.count += 1;
    }

    fn get(&self, index: usize) -> &CStr {
        // SAFETY: the first `count` words come from `push`, whose strings live until the exec replaces all memory.
        unsafe { CStr::from_ptr(self.table[index] as *const core::ffi::c_char) }
    }

    /// Sets a variable; the last one wins.
    fn set(&mut self, assignment: &CStr) {
        let name = name_of(assignment);
        for i in 0..self.count {
            if name_of(self.get(i)) == name {
                self.table[i] = assignment.as_ptr() as usize;
                return;
            }
        }
        self.push(assignment);
    }

    fn default(&mut self, assignment: &CStr) {
        if (0..self.count).all(|i| name_of(self.get(i)) != name_of(assignment)) {
            self.push(assignment);
        }
    }

    fn path(&self) -> &[u8] {
        let found = (0..self.count)
            .map(|i| self.get(i).to_bytes())
            .find_map(|variable| variable.strip_prefix(b"PATH="));
        found.unwrap_or_default()
    }
}

fn name_of(assignment: &CStr) -> &[u8] {
    let bytes = assignment.to_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
    &bytes[..end]
}

/// The argument vector; an empty one is refused.
pub(crate) fn arguments(argv: &[u8]) -> Result<Strings> {
    let mut list = Strings::new(strings(argv).count())?;
    strings(argv).for_each(|argument| list.push(argument));
    if list.count == 0 { Err(Errno::EINVAL) } else { Ok(list) }
}

/// The environment: the sandbox's, then the command's, then what every program expects, and at a terminal what kind that is.
pub(crate) fn environment(base: &[u8], own: &[u8], uid: u32, terminal: bool) -> Result<Strings> {
    const DEFAULTS: usize = 3;
    let mut list = Strings::new(strings(base).count() + strings(own).count() + DEFAULTS)?;
    for assignment in strings(base).chain(strings(own)) {
        list.set(assignment);
    }
    list.default(DEFAULT_PATH);
    list.default(if uid == 0 { c"HOME=/root" } else { c"HOME=/" });
    if terminal {
        list.default(c"TERM=xterm-256color");
    }
    Ok(list)
}

/// Replaces the program, looking for it in PATH as execvp(3) does (but never handing it to a shell); returns what stopped it.
pub(crate) fn execute(argv: &Strings, envp: &Strings) -> Errno {
    let name = argv.get(0);
    if name.to_bytes().contains(&b'/') || name.is_empty() {
        return attempt(name, argv, envp);
    }
    let mut denied = false;
    for directory in envp.path().split(|byte| *byte == b':') {
        let mut buffer = [0u8; MAX_PATH];
        let Some(path) = join(directory, name, &mut buffer) else { continue };
        match attempt(path, argv, envp) {
            Errno::ENOENT | Errno::ENOTDIR => {}
            Errno::EACCES => denied = true,
            other => return other,
        }
    }
    if denied { Errno::EACCES } else { Errno::ENOENT }
}

fn attempt(path: &CStr, argv: &Strings, envp: &Strings) -> Errno {
    // SAFETY: both tables have a zero word after their strings (room for it is made in `new`), and the strings are alive.
    unsafe { sys::execve(path, argv.table.as_ptr(), envp.table.as_ptr()) }
}

fn join<'a>(directory: &[u8], name: &CStr, buffer: &'a mut [u8; MAX_PATH]) -> Option<&'a CStr> {
    let directory = if directory.is_empty() { b"." } else { directory };
    let name = name.to_bytes_with_nul();
    let end = directory.len() + 1 + name.len();
    buffer.get_mut(..directory.len())?.copy_from_slice(directory);
    *buffer.get_mut(directory.len())? = b'/';
    buffer.get_mut(directory.len() + 1..end)?.copy_from_slice(name);
    CStr::from_bytes_with_nul(&buffer[..end]).ok()
}
