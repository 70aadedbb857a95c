//! The contract's conformance suite over the real wire, through all layers at once.

#[path = "conformance/candidate.rs"]
mod candidate;
#[path = "../../../layers/tests/stack/mod.rs"]
mod stack;

fn main() -> std::process::ExitCode {
    stack::run(async |made| candidate::in_process(true, |provider| stack::layered(provider, &made)).await)
}
