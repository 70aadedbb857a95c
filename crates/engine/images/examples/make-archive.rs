//! Writes an image archive made of this machine's shell and small tools, for tests that may download nothing.
//!
//! `cargo run -p openlattice-images --example make-archive -- OUT.tar [--format docker|oci]`

use std::path::Path;
use std::process::ExitCode;

use openlattice_images::testing::{ArchiveFormat, host_programs, write_archive};

#[expect(clippy::print_stderr, reason = "a program reports on standard error")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (out, format) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [out] | [out, "--format", "docker"] => (out, ArchiveFormat::Docker),
        [out, "--format", "oci"] => (out, ArchiveFormat::Oci),
        _ => {
            eprintln!("usage: make-archive OUT.tar [--format docker|oci]");
            return ExitCode::from(2);
        }
    };
    match host_programs().and_then(|layers| write_archive(Path::new(out), &layers, format)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write {out:?}: {error}");
            ExitCode::FAILURE
        }
    }
}
