//! Which system calls a command may make.
//!
//! An allow-list: what ordinary programs, compilers and language runtimes use, without what reaches beyond the sandbox: mounts,
//! namespaces, modules, tracing, keys, BPF, io_uring, performance counters, user faults, other processes' memory and handles.
//! The calls that programs probe for and replace by an older one answer ENOSYS, all others EPERM.

use std::collections::BTreeMap;

/// What is done with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    /// Allowed if any condition holds, else EPERM.
    AllowIf(Vec<Condition>),
    Errno(i32),
}

/// Holds if all of its tests hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition(pub(super) Vec<Test>);

/// A test of the low 32 bits of an argument (index, value): every argument tested here is an `int` to the kernel, or has the
/// tested flags in its low half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Equals(u32, u32),
    NotEquals(u32, u32),
    NoBitOf(u32, u32),
}

macro_rules! numbers {
    ($($call:ident)*) => {
        [$(call_number(libc::$call)),*]
    };
}

fn call_number(number: libc::c_long) -> u32 {
    u32::try_from(number).expect("call numbers are small and positive")
}

/// `CLONE_NEW*` of every namespace that clone(2) can make.
const NEW_NAMESPACES: u32 = 0x7e02_0000;
/// ioctl(2) commands that push input into a terminal, and the one that puts another line discipline on it: a dozen drivers that only
/// modems need.
const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const TIOCSETD: u32 = 0x5423;

/// The policy, by call number of this machine.
pub(super) fn rules() -> BTreeMap<u32, Action> {
    let mut rules: BTreeMap<u32, Action> = BTreeMap::new();
    let lists = [files(), memory(), processes(), identity(), time_and_events(), sockets_and_ipc(), legacy()];
    rules.extend(lists.into_iter().flatten().map(|number| (number, Action::Allow)));
    rules.extend(absent().map(|number| (number, Action::Errno(libc::ENOSYS))));
    rules.extend(conditional());
    rules
}

fn all_of<const N: usize>(tests: [Test; N]) -> Condition {
    Condition(tests.to_vec())
}

fn conditional() -> [(u32, Action); 4] {
    // 16 is netlink: only protocol 0 (routes), which getifaddrs(3) reads; the sandbox cannot change anything with it.
    let families = [
        all_of([Test::Equals(0, 1)]),
        all_of([Test::Equals(0, 2)]),
        all_of([Test::Equals(0, 10)]),
        all_of([Test::Equals(0, 16), Test::Equals(2, 0)]),
    ];
    // PER_LINUX and PER_LINUX32, each with and without UNAME26 off; 0xffffffff asks for the current value.
    let personas = [0, 8, 0x0002_0000, 0x0002_0008, 0xffff_ffff];
    [
        (call_number(libc::SYS_clone), Action::AllowIf(vec![all_of([Test::NoBitOf(0, NEW_NAMESPACES)])])),
        (call_number(libc::SYS_socket), Action::AllowIf(families.to_vec())),
        (
            call_number(libc::SYS_ioctl),
            Action::AllowIf(vec![all_of([
                Test::NotEquals(1, TIOCSTI),
                Test::NotEquals(1, TIOCLINUX),
                Test::NotEquals(1, TIOCSETD),
            ])]),
        ),
        (
            call_number(libc::SYS_personality),
            Action::AllowIf(personas.iter().map(|&persona| all_of([Test::Equals(0, persona)])).collect()),
        ),
    ]
}

/// Calls whose flags a filter cannot see (clone3) or that programs do without when they are missing.
fn absent() -> [u32; 4] {
    numbers![SYS_clone3 SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register]
}

fn files() -> Vec<u32> {
    numbers![
        SYS_read SYS_write SYS_close SYS_fstat SYS_lseek SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_preadv SYS_pwritev SYS_preadv2 SYS_pwritev2
        SYS_dup SYS_dup3 SYS_pipe2 SYS_sendfile SYS_splice SYS_tee SYS_vmsplice SYS_fcntl SYS_flock SYS_fsync SYS_fdatasync SYS_truncate SYS_ftruncate
        SYS_getdents64 SYS_getcwd SYS_chdir SYS_fchdir SYS_fchmod SYS_fchown SYS_umask SYS_sync SYS_syncfs SYS_sync_file_range SYS_fallocate SYS_fadvise64
        SYS_openat SYS_openat2 SYS_mkdirat SYS_mknodat SYS_fchownat SYS_unlinkat SYS_renameat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_readlinkat
        SYS_fchmodat SYS_fchmodat2 SYS_faccessat SYS_faccessat2 SYS_newfstatat SYS_statx SYS_utimensat SYS_statfs SYS_fstatfs SYS_copy_file_range SYS_readahead
        SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_getxattr SYS_lgetxattr SYS_fgetxattr SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_removexattr
        SYS_lremovexattr SYS_fremovexattr SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch SYS_name_to_handle_at SYS_close_range SYS_chroot
        SYS_io_setup SYS_io_destroy SYS_io_getevents SYS_io_submit SYS_io_cancel
    ]
    .to_vec()
}

fn memory() -> Vec<u32> {
    numbers![
        SYS_mmap SYS_mprotect SYS_munmap SYS_brk SYS_mremap SYS_msync SYS_mincore SYS_madvise SYS_mlock SYS_mlock2 SYS_munlock SYS_mlockall SYS_munlockall
        SYS_memfd_create SYS_memfd_secret SYS_membarrier SYS_pkey_mprotect SYS_pkey_alloc SYS_pkey_free SYS_remap_file_pages SYS_process_mrelease
    ]
    .to_vec()
}

fn processes() -> Vec<u32> {
    numbers![
        SYS_execve SYS_execveat SYS_exit SYS_exit_group SYS_wait4 SYS_waitid SYS_kill SYS_tkill SYS_tgkill SYS_getpid SYS_getppid SYS_gettid SYS_set_tid_address
        SYS_set_robust_list SYS_get_robust_list SYS_futex SYS_futex_waitv SYS_rseq SYS_prctl SYS_seccomp SYS_sched_yield SYS_sched_getaffinity SYS_sched_setaffinity
        SYS_sched_getparam SYS_sched_setparam SYS_sched_getscheduler SYS_sched_setscheduler SYS_sched_get_priority_max SYS_sched_get_priority_min
        SYS_sched_rr_get_interval SYS_sched_getattr SYS_sched_setattr SYS_getpriority SYS_setpriority SYS_ioprio_get SYS_ioprio_set SYS_getrlimit SYS_setrlimit
        SYS_prlimit64 SYS_getrusage SYS_times SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigpending SYS_rt_sigtimedwait SYS_rt_sigqueueinfo
        SYS_rt_tgsigqueueinfo SYS_rt_sigsuspend SYS_sigaltstack SYS_restart_syscall SYS_pidfd_open SYS_pidfd_send_signal SYS_getcpu SYS_uname SYS_sysinfo
        SYS_getrandom SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
    ]
    .to_vec()
}

fn identity() -> Vec<u32> {
    numbers![
        SYS_getuid SYS_getgid SYS_geteuid SYS_getegid SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_getgroups SYS_setgroups SYS_setresuid SYS_getresuid
        SYS_setresgid SYS_getresgid SYS_setfsuid SYS_setfsgid SYS_setpgid SYS_getpgid SYS_getsid SYS_setsid SYS_capget SYS_capset
    ]
    .to_vec()
}

fn time_and_events() -> Vec<u32> {
    numbers![
        SYS_nanosleep SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_gettimeofday SYS_getitimer SYS_setitimer SYS_timer_create SYS_timer_settime
        SYS_timer_gettime SYS_timer_getoverrun SYS_timer_delete SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime SYS_eventfd2 SYS_signalfd4
        SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_ppoll SYS_pselect6
    ]
    .to_vec()
}

fn sockets_and_ipc() -> Vec<u32> {
    numbers![
        SYS_socketpair SYS_bind SYS_listen SYS_accept SYS_accept4 SYS_connect SYS_getsockname SYS_getpeername SYS_sendto SYS_recvfrom SYS_setsockopt SYS_getsockopt
        SYS_shutdown SYS_sendmsg SYS_recvmsg SYS_sendmmsg SYS_recvmmsg SYS_shmget SYS_shmctl SYS_shmat SYS_shmdt SYS_semget SYS_semop SYS_semctl SYS_semtimedop
        SYS_msgget SYS_msgsnd SYS_msgrcv SYS_msgctl SYS_mq_open SYS_mq_unlink SYS_mq_timedsend SYS_mq_timedreceive SYS_mq_notify SYS_mq_getsetattr
    ]
    .to_vec()
}

/// Calls that only the older numbering of x86-64 has.
#[cfg(target_arch = "x86_64")]
fn legacy() -> Vec<u32> {
    numbers![
        SYS_open SYS_stat SYS_lstat SYS_poll SYS_access SYS_pipe SYS_select SYS_dup2 SYS_pause SYS_alarm SYS_fork SYS_vfork SYS_getdents SYS_rename SYS_mkdir SYS_rmdir
        SYS_creat SYS_link SYS_unlink SYS_symlink SYS_readlink SYS_chmod SYS_chown SYS_lchown SYS_utime SYS_utimes SYS_futimesat SYS_mknod SYS_time SYS_getpgrp
        SYS_epoll_create SYS_epoll_wait SYS_inotify_init SYS_signalfd SYS_eventfd SYS_arch_prctl SYS_set_thread_area SYS_get_thread_area
    ]
    .to_vec()
}

/// The newer numbering has no older calls.
#[cfg(not(target_arch = "x86_64"))]
fn legacy() -> Vec<u32> {
    Vec::new()
}
