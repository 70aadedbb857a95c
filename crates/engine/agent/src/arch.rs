//! What differs between processors: the entry point, the system call instruction and its numbers.
//!
//! x86_64 is tested; aarch64 is written after the kernel's generic table and untested.

use core::arch::{asm, global_asm};

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym crate::start,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "bl {main}",
    "brk #1",
    main = sym crate::start,
);

/// Makes a system call and returns what the kernel left in the result register.
///
/// # Safety
/// The arguments must be what system call `number` takes: pointers valid for what the kernel reads or writes there.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; rcx, r11 and memory are declared as clobbered.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") a[0], in("rsi") a[1], in("rdx") a[2], in("r10") a[3], in("r8") a[4], in("r9") a[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes a system call and returns what the kernel left in the result register.
///
/// # Safety
/// The arguments must be what system call `number` takes: pointers valid for what the kernel reads or writes there.
#[cfg(target_arch = "aarch64")]
#[inline]
pub(crate) unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; memory counts as clobbered.
    unsafe {
        asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") a[0] => result,
            in("x1") a[1], in("x2") a[2], in("x3") a[3], in("x4") a[4], in("x5") a[5],
            options(nostack),
        );
    }
    result
}

macro_rules! numbers {
    ($($name:ident $x86_64:literal $aarch64:literal;)*) => {
        /// System call numbers.
        pub(crate) mod nr {
            $(
                #[cfg(target_arch = "x86_64")]
                pub(crate) const $name: usize = $x86_64;
                #[cfg(target_arch = "aarch64")]
                pub(crate) const $name: usize = $aarch64;
            )*
        }
    };
}

numbers! {
    READ 0 63; WRITE 1 64; CLOSE 3 57; LSEEK 8 62; MMAP 9 222; MUNMAP 11 215; RT_SIGACTION 13 134; RT_SIGPROCMASK 14 135; IOCTL 16 29;
    PREAD64 17 67; PWRITE64 18 68; MADVISE 28 233; SOCKET 41 198; CONNECT 42 203; SENDMSG 46 211; RECVMSG 47 212; SHUTDOWN 48 210; SETSOCKOPT 54 208; EXECVE 59 221;
    WAIT4 61 260; KILL 62 129; FCNTL 72 25; GETCWD 79 17; CHDIR 80 49; FCHDIR 81 50; UMASK 95 166; SETSID 112 157;
    FCHOWN 93 55; FALLOCATE 285 47; SETGROUPS 116 159; SETRESUID 117 147; SETRESGID 119 149; CAPSET 126 91; PIVOT_ROOT 155 41; PRCTL 157 167; MOUNT 165 40;
    UMOUNT2 166 39; SETHOSTNAME 170 161; CLOCK_GETTIME 228 113; EXIT_GROUP 231 94; EPOLL_CTL 233 21; KEYCTL 250 219;
    OPENAT 257 56; MKDIRAT 258 34; UNLINKAT 263 35; UNSHARE 272 97; EPOLL_PWAIT 281 22; TIMERFD_CREATE 283 85;
    TIMERFD_SETTIME 286 86; ACCEPT4 288 242; SIGNALFD4 289 74; EPOLL_CREATE1 291 20; DUP3 292 24; PIPE2 293 59;
    PRLIMIT64 302 261; SECCOMP 317 277; STATX 332 291; OPEN_TREE 428 428; MOVE_MOUNT 429 429; FSOPEN 430 430;
    FSCONFIG 431 431; FSMOUNT 432 432; CLONE3 435 435; CLOSE_RANGE 436 436; OPENAT2 437 437; MOUNT_SETATTR 442 442;
}
