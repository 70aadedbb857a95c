//! Asks for a node with a GPU, and shows which one it got.
//!
//! ```sh
//! MODAL_TOKEN_ID=ak-... MODAL_TOKEN_SECRET=as-... cargo run -p openlattice-examples --bin gpu -- --provider modal --gpu A100
//! ```
//!
//! A provider without GPUs refuses the field before anything is made; the exit code is then 2, and 1 for any other failure.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "answers and complaints of a program")]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use openlattice::{ComputeProvider, ComputeProviderExt, ErrorKind, ExecSpec, Gpu, GpuType};
use openlattice_examples::{Arguments, explain, open, spec};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("gpu: {}", explain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = Arguments::of_process();
    let name: String = arguments.value("--gpu", "T4".to_owned())?;
    let count: u32 = arguments.value("--count", 1)?;
    let provider = open(&mut arguments).await?;
    arguments.end()?;

    let mut spec = spec(provider.as_ref());
    spec.gpu = Some(Gpu { gpu_type: Some(GpuType::new(name)?), count: Some(count), ..Gpu::default() });
    let node = match provider.provision_node(spec).await {
        Ok(node) => node,
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            eprintln!("gpu: {}", refusal(provider.as_ref(), &error));
            return Ok(ExitCode::from(2));
        }
        Err(error) => return Err(error.into()),
    };
    let query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"];
    let result = node.run(ExecSpec::new(query).with_timeout(Duration::from_secs(60))).await;
    node.destroy().await?;
    let result = result?;
    print!("{}", result.stdout_text());
    eprint!("{}", result.stderr_text());
    Ok(if result.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says what was refused, by whom, and what to do.
fn refusal(provider: &dyn ComputeProvider, error: &openlattice::Error) -> String {
    format!(
        "provider {:?} does not offer the field {:?}; try --provider modal with MODAL_TOKEN_ID and MODAL_TOKEN_SECRET set",
        provider.name(),
        error.field().unwrap_or("gpu"),
    )
}
