//! crun's side: the same program from the host's /usr, with limits and a filter of the same calls.
//!
//! crun refuses a host with version 1 and version 2 control groups side by side, so it runs from a shell in a private mount
//! namespace where the version 2 mount is gone. The shell is started once; a round costs it one fork.
//!
//! The filter is measured in two forms. [`Filter::EveryAbi`] covers the three system call interfaces of x86-64, as the default
//! profiles of container engines do; that is what the goal compares with. [`Filter::OneAbi`] covers the 64-bit one only.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::Outcome;

const SHELL: &str = "\
if mountpoint -q /sys/fs/cgroup/unified; then umount -l /sys/fs/cgroup/unified; fi
cd \"$0\"
while read id; do crun run \"$id\" </dev/null >/dev/null 2>error; echo $?; done";

/// The calls that the engine's filter allows without a condition.
const ALLOWED_CALLS: &str = include_str!("allowed_calls.txt");

/// Which system call interfaces crun's filter lists; the others are killed by default.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Filter {
    /// 64-bit, 32-bit and x32.
    EveryAbi,
    /// 64-bit.
    OneAbi,
}

impl Filter {
    fn interfaces(self) -> &'static [&'static str] {
        match self {
            Self::EveryAbi => &["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            Self::OneAbi => &["SCMP_ARCH_X86_64"],
        }
    }
}

/// A shell that runs `crun run` once per line. Dropping it ends it.
pub(crate) struct Crun {
    shell: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    bundle: PathBuf,
    rounds: u32,
}

impl Crun {
    /// Writes a bundle for `program` into `folder` and starts the shell.
    pub(crate) fn start(folder: &Path, program: &str, filter: Filter) -> Outcome<Self> {
        write_bundle(folder)?;
        fs::write(folder.join("config.json"), config(program, filter).to_string())?;
        let mut shell = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", SHELL])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = shell.stdin.take();
        let output = BufReader::new(shell.stdout.take().ok_or("the shell has no output")?);
        Ok(Self { shell, input, output, bundle: folder.to_path_buf(), rounds: 0 })
    }

    /// Runs the bundle's program once and returns the time from the request to the end of `crun run`.
    pub(crate) fn run(&mut self) -> Outcome<Duration> {
        self.rounds += 1;
        let start = Instant::now();
        let input = self.input.as_mut().ok_or("the shell has no input")?;
        writeln!(input, "openlattice-bench-{}-{}", self.shell.id(), self.rounds)?;
        let mut code = String::new();
        self.output.read_line(&mut code)?;
        if code.trim() == "0" {
            return Ok(start.elapsed());
        }
        let error = fs::read_to_string(self.bundle.join("error")).unwrap_or_default();
        Err(format!("crun run ended with {}: {}", code.trim(), error.trim()).into())
    }
}

impl Drop for Crun {
    fn drop(&mut self) {
        // The end of its input ends the shell; waiting fails only for a process that is gone already.
        drop(self.input.take());
        drop(self.shell.wait());
    }
}

/// A root folder that shows the host's /usr, as image `host` does.
fn write_bundle(folder: &Path) -> Outcome<()> {
    let root = folder.join("rootfs");
    for name in ["usr", "proc", "dev", "sys", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    for name in ["bin", "lib", "lib64", "sbin"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    Ok(())
}

fn config(program: &str, filter: Filter) -> Value {
    json!({
        "ociVersion": "1.0.0",
        "hostname": "bench",
        "root": {"path": "rootfs", "readonly": true},
        "process": {
            "args": [program], "cwd": "/", "env": ["PATH=/usr/bin"], "user": {"uid": 0, "gid": 0},
            "noNewPrivileges": true, "capabilities": {}
        },
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": format!("/openlattice-bench-{}", std::process::id()),
            "namespaces": namespaces(),
            "resources": {
                "memory": {"limit": 256 << 20},
                "cpu": {"quota": 100_000, "period": 100_000},
                "pids": {"limit": 128},
                "devices": [{"allow": false, "access": "rwm"}]
            },
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
            "seccomp": seccomp(filter)
        }
    })
}

fn namespaces() -> Value {
    let kinds = ["pid", "ipc", "uts", "mount", "network", "cgroup"];
    kinds.iter().map(|kind| json!({"type": kind})).collect()
}

fn mounts() -> Value {
    let mount = |kind: &str, target: &str, options: &[&str]| json!({"type": kind, "source": kind, "destination": target, "options": options});
    json!([
        {"type": "bind", "source": "/usr", "destination": "/usr", "options": ["bind", "ro"]},
        mount("proc", "/proc", &[]),
        mount("tmpfs", "/dev", &["nosuid", "mode=755", "size=65536k"]),
        mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
        mount("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
        mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"])
    ])
}

/// An allow-list of the same calls, with the engine's argument rules as far as the format has them.
fn seccomp(filter: Filter) -> Value {
    let calls: Vec<&str> = ALLOWED_CALLS.lines().collect();
    let equal = |call: &str, index: u32, value: u64| json!({"names": [call], "action": "SCMP_ACT_ALLOW", "args": [{"index": index, "value": value, "op": "SCMP_CMP_EQ"}]});
    let mut rules = vec![
        json!({"names": calls, "action": "SCMP_ACT_ALLOW"}),
        json!({"names": ["ioctl"], "action": "SCMP_ACT_ALLOW"}),
        json!({"names": ["clone"], "action": "SCMP_ACT_ALLOW",
            "args": [{"index": 0, "value": 0x7e02_0000_u64, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}),
        json!({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}),
    ];
    rules.extend([1, 2, 10, 16].map(|family| equal("socket", 0, family)));
    rules.extend([0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff].map(|persona| equal("personality", 0, persona)));
    json!({"defaultAction": "SCMP_ACT_ERRNO", "architectures": filter.interfaces(), "syscalls": rules})
}
