//! The program inside: raw system calls that no shell can make. Run only by `Target::attack`.

#![allow(unsafe_code, reason = "attacks are raw system calls, made in a process of their own")]
#![allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "system calls take words, whatever their arguments mean"
)]

use std::{ffi::CStr, io, ptr::null};

/// Tries one group of attacks and reports each attempt on a line.
#[test]
#[ignore = "runs inside a sandbox only, where an attack starts it"]
fn attack() {
    match std::env::var("ATTACK").as_deref() {
        Ok("namespaces") => namespaces(),
        Ok("kernel") => kernel(),
        Ok("sockets") => sockets(),
        Ok("processes") => processes(),
        Ok("agent") => agent(),
        Ok("abi") => abi(),
        Ok("terminals") => terminals(),
        Ok("terminal") => terminal(),
        Ok("watches") => watches(),
        other => panic!("unknown attack {other:?}"),
    }
}

fn call(number: libc::c_long, a: [usize; 6]) -> io::Result<i64> {
    // SAFETY: pointers among the arguments are null or point to live values, and the calls that could harm this process must fail.
    let result = unsafe { libc::syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn report(attempt: &str, result: &io::Result<i64>) {
    match result {
        Ok(value) => println!("attack: {attempt} -> ok {value}"),
        Err(error) => println!("attack: {attempt} -> {error}"),
    }
}

fn attempt(name: &str, number: libc::c_long, a: [usize; 6]) {
    report(name, &call(number, a));
}

fn text(text: &CStr) -> usize {
    text.as_ptr() as usize
}

fn namespaces() {
    for (name, flag) in [
        ("user", libc::CLONE_NEWUSER),
        ("mount", libc::CLONE_NEWNS),
        ("pid", libc::CLONE_NEWPID),
        ("net", libc::CLONE_NEWNET),
        ("ipc", libc::CLONE_NEWIPC),
        ("uts", libc::CLONE_NEWUTS),
        ("cgroup", libc::CLONE_NEWCGROUP),
        ("time", 0x80),
    ] {
        let flag = usize::try_from(flag).unwrap();
        attempt(&format!("unshare {name}"), libc::SYS_unshare, [flag, 0, 0, 0, 0, 0]);
        // Below 0x100 it is the signal of the end to clone, not a flag.
        if flag > 0xff {
            attempt(&format!("clone {name}"), libc::SYS_clone, [flag | 17, 0, 0, 0, 0, 0]);
        }
        attempt(&format!("setns {name}"), libc::SYS_setns, [0, flag, 0, 0, 0, 0]);
    }
    let clone_args = [libc::CLONE_NEWUSER as u64, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0];
    attempt("clone3 user", libc::SYS_clone3, [clone_args.as_ptr() as usize, 88, 0, 0, 0, 0]);
    let (proc, tmp, none) = (text(c"proc"), text(c"/tmp"), text(c"none"));
    attempt("mount proc", libc::SYS_mount, [none, tmp, proc, 0, 0, 0]);
    attempt("mount tmpfs", libc::SYS_mount, [none, tmp, text(c"tmpfs"), 0, 0, 0]);
    attempt("bind mount", libc::SYS_mount, [text(c"/"), tmp, 0, 4096, 0, 0]);
    attempt("remount rw", libc::SYS_mount, [none, text(c"/proc/sys"), 0, 32 | 4096, 0, 0]);
    attempt("umount mask", libc::SYS_umount2, [text(c"/proc/kcore"), 2, 0, 0, 0, 0]);
    attempt("umount proc", libc::SYS_umount2, [text(c"/proc"), 2, 0, 0, 0, 0]);
    attempt("pivot_root", libc::SYS_pivot_root, [tmp, tmp, 0, 0, 0, 0]);
    attempt("fsopen", libc::SYS_fsopen, [proc, 0, 0, 0, 0, 0]);
    attempt("fspick", libc::SYS_fspick, [libc::AT_FDCWD as usize, text(c"/"), 0, 0, 0, 0]);
    attempt("open_tree", libc::SYS_open_tree, [libc::AT_FDCWD as usize, text(c"/"), 1, 0, 0, 0]);
    attempt(
        "move_mount",
        libc::SYS_move_mount,
        [libc::AT_FDCWD as usize, text(c"/proc"), libc::AT_FDCWD as usize, tmp, 0, 0],
    );
    let attributes = [0_u64, 1, 0, 0];
    attempt(
        "mount_setattr",
        libc::SYS_mount_setattr,
        [libc::AT_FDCWD as usize, text(c"/proc/sys"), 0, attributes.as_ptr() as usize, 32, 0],
    );
}

fn kernel() {
    let zeros = [0_u64; 32];
    let zeros = zeros.as_ptr() as usize;
    for (name, number) in [
        ("bpf", libc::SYS_bpf),
        ("perf_event_open", libc::SYS_perf_event_open),
        ("userfaultfd", libc::SYS_userfaultfd),
        ("io_uring_setup", libc::SYS_io_uring_setup),
        ("kexec_load", libc::SYS_kexec_load),
        ("kexec_file_load", libc::SYS_kexec_file_load),
        ("init_module", libc::SYS_init_module),
        ("finit_module", libc::SYS_finit_module),
        ("delete_module", libc::SYS_delete_module),
        ("add_key", libc::SYS_add_key),
        ("request_key", libc::SYS_request_key),
        ("swapon", libc::SYS_swapon),
        ("swapoff", libc::SYS_swapoff),
        ("acct", libc::SYS_acct),
        ("fanotify_init", libc::SYS_fanotify_init),
        ("sethostname", libc::SYS_sethostname),
        ("setdomainname", libc::SYS_setdomainname),
        ("settimeofday", libc::SYS_settimeofday),
        ("open_by_handle_at", libc::SYS_open_by_handle_at),
        ("quotactl", libc::SYS_quotactl),
        ("lookup_dcookie", libc::SYS_lookup_dcookie),
        ("vhangup", libc::SYS_vhangup),
    ] {
        attempt(name, number, [zeros, zeros, zeros, 0, 0, 0]);
    }
    // KEYCTL_GET_KEYRING_ID of the session and KEYCTL_READ of it.
    attempt("keyctl session", libc::SYS_keyctl, [0, -3_isize as usize, 0, 0, 0, 0]);
    attempt("keyctl read", libc::SYS_keyctl, [11, -3_isize as usize, zeros, 0, 0, 0]);
    attempt("syslog", libc::SYS_syslog, [3, zeros, 1, 0, 0, 0]);
    attempt("clock_settime", libc::SYS_clock_settime, [0, zeros, 0, 0, 0, 0]);
    attempt("reboot", libc::SYS_reboot, [0xfee1_dead, 672_274_793, 0x89ab_cdef, 0, 0, 0]);
    attempt("personality", libc::SYS_personality, [0x0040_0000, 0, 0, 0, 0, 0]);
    attempt("tiocsti", libc::SYS_ioctl, [0, 0x5412, zeros, 0, 0, 0]);
    attempt(
        "mknod disk",
        libc::SYS_mknodat,
        [libc::AT_FDCWD as usize, text(c"/tmp/disk"), 0o60600, 254 << 8, 0, 0],
    );
    attempt(
        "mknod memory",
        libc::SYS_mknodat,
        [libc::AT_FDCWD as usize, text(c"/dev/mem"), 0o20600, 1 << 8 | 1, 0, 0],
    );
}

fn sockets() {
    for (name, family, kind, protocol) in [
        ("vsock", 40, 1, 0),
        ("alg", 38, 5, 0),
        ("packet", 17, 3, 768),
        ("raw", 2, 3, 1),
        ("raw6", 10, 3, 58),
        ("netlink audit", 16, 3, 9),
        ("netlink netfilter", 16, 3, 12),
        ("bluetooth", 31, 3, 1),
        ("can", 29, 3, 1),
        ("xdp", 44, 3, 0),
        ("key", 15, 3, 2),
    ] {
        attempt(name, libc::SYS_socket, [family, kind, protocol, 0, 0, 0]);
    }
}

fn processes() {
    for (name, request) in [("attach", 16), ("seize", 0x4206)] {
        attempt(&format!("ptrace {name}"), libc::SYS_ptrace, [request, 1, 0, 0, 0, 0]);
    }
    let mut buffer = [0_u8; 64];
    let vector = [buffer.as_mut_ptr() as usize, buffer.len()];
    let vector = vector.as_ptr() as usize;
    attempt("process_vm_readv", libc::SYS_process_vm_readv, [1, vector, 1, vector, 1, 0]);
    attempt("process_vm_writev", libc::SYS_process_vm_writev, [1, vector, 1, vector, 1, 0]);
    attempt("kcmp", libc::SYS_kcmp, [1, 1, 0, 0, 0, 0]);
    attempt("move_pages", libc::SYS_move_pages, [1, 0, 0, 0, 0, 0]);
    attempt("prlimit agent", libc::SYS_prlimit64, [1, 7, [1_u64, 1].as_ptr() as usize, 0, 0, 0]);
    attempt(
        "oom protection",
        libc::SYS_write,
        [open("/proc/self/oom_score_adj"), text(c"-1000"), 5, 0, 0, 0],
    );
    attempt("oom of the agent", libc::SYS_write, [open("/proc/1/oom_score_adj"), text(c"1000"), 4, 0, 0, 0]);
    attempt(
        "open files limit",
        libc::SYS_prlimit64,
        [0, 7, [1 << 30, 1_u64 << 30].as_ptr() as usize, 0, 0, 0],
    );
    attempt(
        "capabilities",
        libc::SYS_capset,
        [[0x2008_0522_u32, 0].as_ptr() as usize, [u32::MAX; 6].as_ptr() as usize, 0, 0, 0, 0],
    );
    let pidfd = call(libc::SYS_pidfd_open, [1, 0, 0, 0, 0, 0]).unwrap_or(-1);
    for fd in 0..8 {
        attempt(&format!("pidfd_getfd {fd}"), libc::SYS_pidfd_getfd, [pidfd as usize, fd, 0, 0, 0, 0]);
    }
    attempt("setns of the agent", libc::SYS_setns, [pidfd as usize, libc::CLONE_NEWNS as usize, 0, 0, 0, 0]);
}

fn open(path: &str) -> usize {
    let path = std::ffi::CString::new(path).unwrap();
    call(libc::SYS_openat, [libc::AT_FDCWD as usize, text(&path), libc::O_RDWR as usize, 0, 0, 0])
        .unwrap_or(-1) as usize
}

/// As root inside one may become the agent's own id; that must give nothing either.
fn agent() {
    let id = 65_536;
    report("(become the agent's id)", &Err(io::Error::other("allowed")));
    call(libc::SYS_setresgid, [id, id, id, 0, 0, 0]).unwrap();
    call(libc::SYS_setresuid, [id, id, id, 0, 0, 0]).unwrap();
    let flags = libc::O_RDONLY as usize;
    for name in ["mem", "maps", "environ", "fd", "exe", "cwd", "root", "ns/mnt", "syscall", "stack"] {
        let path = std::ffi::CString::new(format!("/proc/1/{name}")).unwrap();
        attempt(
            &format!("open {name}"),
            libc::SYS_openat,
            [libc::AT_FDCWD as usize, text(&path), flags, 0, 0, 0],
        );
    }
    attempt(
        "open exe to write",
        libc::SYS_openat,
        [libc::AT_FDCWD as usize, text(c"/proc/1/exe"), 2, 0, 0, 0],
    );
    for signal in [libc::SIGKILL, libc::SIGSTOP, libc::SIGTERM, libc::SIGSEGV] {
        // Sending is allowed; the end of it is that the sandbox still works, which the caller checks.
        let sent = call(libc::SYS_kill, [1, signal as usize, 0, 0, 0, 0]);
        report(&format!("(signal {signal})"), &Err(io::Error::other(format!("{sent:?}"))));
    }
    attempt("ptrace", libc::SYS_ptrace, [16, 1, 0, 0, 0, 0]);
}

/// The other entries into the kernel: x32 numbers, and the 32-bit interrupt, which ends the process.
fn abi() {
    #[cfg(target_arch = "x86_64")]
    {
        attempt("x32 getpid", 0x4000_0000 + libc::SYS_getpid, [0; 6]);
        attempt("x32 ptrace", 0x4000_0000 + 521, [0; 6]);
        // SAFETY: the child makes one call and no other use of its copy of the memory.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut result = 20_i32;
            // SAFETY: getpid of the 32-bit table takes no arguments; rbx is not touched.
            unsafe { std::arch::asm!("int 0x80", inlateout("eax") result) };
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(result > 0)) };
        }
        let mut status = 0;
        // SAFETY: `status` is alive.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        let killed = libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSYS;
        report("int 0x80", &if killed { Err(io::Error::other("killed")) } else { Ok(i64::from(status)) });
    }
    attempt("no such call", 100_000, [null::<u8>() as usize, 0, 0, 0, 0, 0]);
}

fn terminals() {
    let opened = (0..2000).take_while(|_| open("/dev/ptmx") != usize::MAX).count();
    report("terminals", &if opened <= 256 { Err(io::Error::other(opened.to_string())) } else { Ok(2000) });
}

/// What can be asked of the terminal that one runs at. Its being there is shown first, so that a refusal is not for lack of one.
fn terminal() {
    let (mut size, discipline, key) = ([0_u16; 4], 21_i32, b'x');
    let on = |command: usize, value: usize| call(libc::SYS_ioctl, [0, command, value, 0, 0, 0]);
    on(0x5413, size.as_mut_ptr() as usize).unwrap();
    report("(size)", &Err(io::Error::other(format!("{size:?}"))));
    report("push a key", &on(0x5412, &raw const key as usize));
    report("console keys", &on(0x541c, &raw const key as usize));
    report("line discipline", &on(0x5423, &raw const discipline as usize));
    report("take the console's output", &on(0x541d, 0));
    report("hang up", &on(0x5437, 0));
    report("lock the settings", &on(0x5457, size.as_ptr() as usize));
    attempt("vhangup", libc::SYS_vhangup, [0; 6]);
}

/// Takes as many inotify instances as there are, and keeps them until its input ends.
fn watches() {
    let held = (0..10_000).take_while(|_| call(libc::SYS_inotify_init1, [0; 6]).is_ok()).count();
    report("watches", &Err(io::Error::other(held.to_string())));
    io::read_to_string(io::stdin()).unwrap();
}
