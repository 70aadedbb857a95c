//! The contract's conformance suite over the real wire once more, with sandboxes of Modal's first generation.

#[path = "conformance/candidate.rs"]
mod candidate;

fn main() -> std::process::ExitCode {
    openlattice_conformance::run(async || candidate::in_process(false, |provider| provider).await)
}
