//! The end of a sandbox.

use crate::exec::WaitStatus;
use crate::protocol::{RESULT_MAGIC, SandboxResult, VERSION};
use crate::serve::Server;
use crate::{reap, sys};

/// Kills everything, records how each command ended and why the sandbox did, and ends.
///
/// The lock is free only after every other process is gone: the kernel would close it before it kills them.
pub(crate) fn sandbox(server: &mut Server, reason: u32, code: i32) -> ! {
    const EVERYBODY: i32 = -1;
    server.ending = true;
    // ESRCH: there is nobody else.
    let _ = sys::kill(EVERYBODY, sys::SIGKILL);
    while let Ok((pid, status)) = sys::wait(EVERYBODY) {
        reap::one(server, pid, WaitStatus::decode(status));
    }
    write_result(server, reason, code);
    sys::exit(0)
}

fn write_result(server: &Server, reason: u32, code: i32) {
    let ended_ns = sys::now(sys::CLOCK_REALTIME);
    let result = SandboxResult { magic: RESULT_MAGIC, version: VERSION, reason, code, ended_ns };
    // SAFETY: the record is plain numbers without padding, and is borrowed for its size.
    let bytes = unsafe {
        core::slice::from_raw_parts(core::ptr::from_ref(&result).cast::<u8>(), size_of::<SandboxResult>())
    };
    // On a full disk it stays empty, which reads as a lost agent.
    let _ = sys::pwrite(server.handles.result.raw(), bytes, 0);
}
