//! Compiles the agent with the same compiler, for the same target, and leaves it where `include_bytes!` finds it.

use std::{env, path::Path, path::PathBuf, process::Command};

fn main() {
    let source = Path::new("../agent/src");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let output = PathBuf::from(variable("OUT_DIR")).join("lattice-agent");
    let mut rustc = Command::new(variable("RUSTC"));
    rustc
        .args(["--edition", "2024", "--crate-type", "bin", "--crate-name", "lattice_agent", "--target"])
        .arg(variable("TARGET"));
    for option in [
        "panic=abort",
        "opt-level=s",
        "codegen-units=1",
        "debuginfo=0",
        "strip=symbols",
        "relocation-model=static",
    ] {
        rustc.args(["-C", option]);
    }
    for option in ["-nostartfiles", "-nostdlib", "-static"] {
        rustc.arg("-C").arg(format!("link-arg={option}"));
    }
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    rustc.arg("-o").arg(&output).arg(source.join("main.rs"));
    let status = rustc.status().expect("the compiler that cargo names can be started");
    assert!(status.success(), "the agent does not compile: {rustc:?}");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name} for build scripts"))
}
