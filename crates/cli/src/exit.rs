//! Exit codes, which are part of the interface.
//!
//! `run` and `exec` exit with the command's own code, 128 plus the number for a signal, and otherwise with one of
//! [`TIMEOUT`], [`OWN_FAILURE`], [`NOT_EXECUTABLE`] and [`NOT_FOUND`], as timeout(1) and container runtimes do. Every
//! other command exits with 0 or with the code of the error's kind.

use openlattice::ErrorKind;

/// `run` and `exec`: the command's timeout passed.
pub(crate) const TIMEOUT: u8 = 124;
/// `run` and `exec`: lattice itself failed or output was lost, and it says why on standard error.
pub(crate) const OWN_FAILURE: u8 = 125;
/// `run` and `exec`: the program may not be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// `run` and `exec`: there is no such program.
pub(crate) const NOT_FOUND: u8 = 127;
/// The arguments are wrong.
pub(crate) const USAGE: u8 = 2;
/// Added to a signal's number.
pub(crate) const SIGNAL: u8 = 128;
/// Nobody reads our standard output any more: 128 plus SIGPIPE.
pub(crate) const BROKEN_PIPE: u8 = 141;

/// What `--help` says of them.
pub(crate) const HELP: &str = "\
Exit codes:
  run, exec   the command's own; 128+N for signal N; 124 timeout, 125 failure of lattice
              or output lost, 126 not executable, 127 not found
  others      0 success, 1 internal, 2 invalid argument, 3 not found, 4 already exists,
              5 failed precondition, 6 unsupported, 7 unauthenticated, 8 permission denied,
              9 resource exhausted, 10 timeout, 11 unavailable, 12 cancelled";

/// The code of an error's kind.
pub(crate) fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidArgument => USAGE,
        ErrorKind::NotFound => 3,
        ErrorKind::AlreadyExists => 4,
        ErrorKind::FailedPrecondition => 5,
        ErrorKind::Unsupported => 6,
        ErrorKind::Unauthenticated => 7,
        ErrorKind::PermissionDenied => 8,
        ErrorKind::ResourceExhausted => 9,
        ErrorKind::Timeout => 10,
        ErrorKind::Unavailable => 11,
        ErrorKind::Cancelled => 12,
        _ => 1,
    }
}

/// A command's code as a process can give it.
pub(crate) fn of_command(code: i32) -> u8 {
    u8::try_from(code & 0xff).expect("eight bits fit a byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_stay_as_documented() {
        assert_eq!(of_kind(ErrorKind::NotFound), 3);
        assert_eq!(of_kind(ErrorKind::Internal), 1);
        assert_eq!(of_command(7), 7);
        assert_eq!(of_command(137), 137);
        assert_eq!(of_command(-1), 255);
    }
}
