//! The measured operations on this client: `bench_client OPERATION AMOUNT` prints one line of JSON.
//!
//! `cargo xtask bench client` runs it beside the same programs for the official clients (`tests/bench`).

#![expect(clippy::print_stdout, reason = "a benchmark reports on its terminal")]

use std::error::Error;
use std::time::Instant;

use bytes::Bytes;
use openlattice_modal_client::{
    App, Client, Config, ExecSpec, ExecStatus, IfMissing, ImageSpec, OutputStream, Sandbox, SandboxSpec,
};
use rustix::time::{ClockId, clock_gettime};

type Outcome<T> = Result<T, Box<dyn Error>>;

const WARM_UP: usize = 5;
/// Files written before the measured ones: memory that the machine has not used for long is slow to come the first time.
const WARM_UP_FILES: usize = 2;
/// Files that are measured.
const FILES: usize = 3;
const DATA: &str = "/tmp/data";
/// Where a `true` without libraries is put.
const TRUE: &str = "/tmp/true";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [operation, amount] = arguments.as_slice() else {
        return Err("usage: bench_client OPERATION AMOUNT".into());
    };
    let bench = Bench::open().await?;
    let done = bench.run(operation, amount.parse()?).await;
    bench.sandbox.terminate().await?;
    done
}

/// One app, one sandbox, and what to make more from.
struct Bench {
    client: Client,
    app: App,
    spec: SandboxSpec,
    sandbox: Sandbox,
}

/// A measurement under way.
struct Measured {
    times: Vec<f64>,
    cpu: f64,
    before: u64,
}

impl Bench {
    async fn open() -> Outcome<Self> {
        let client = Client::new(Config::from_env()?)?;
        let app = client.app("bench-rust", IfMissing::Create).await?;
        let image = client.build_image(&app, &ImageSpec::from_registry("host"), |_| ()).await?;
        let spec = SandboxSpec::new(image);
        let sandbox = client.create_sandbox(&app, &spec).await?;
        Ok(Self { client, app, spec, sandbox })
    }

    async fn run(&self, operation: &str, amount: usize) -> Outcome<()> {
        match operation {
            "creates" => self.creates(amount).await,
            "execs" => self.execs(amount, TRUE).await,
            "execs_dynamic" => self.execs(amount, "true").await,
            "output" => self.output(amount).await,
            "write" => self.write(amount).await,
            "read" => self.read(amount).await,
            "many" => self.many(amount, TRUE).await,
            "many_dynamic" => self.many(amount, "true").await,
            other => Err(format!("no operation {other:?}").into()),
        }
    }

    async fn creates(&self, amount: usize) -> Outcome<()> {
        run(&self.sandbox, ["true"]).await?;
        let mut made = Vec::new();
        let mut measured = Measured::start()?;
        for _ in 0..amount {
            let start = Instant::now();
            let sandbox = self.client.create_sandbox(&self.app, &self.spec).await?;
            run(&sandbox, ["true"]).await?;
            measured.push(start);
            made.push(sandbox);
        }
        measured.print()?;
        for sandbox in made {
            sandbox.terminate().await?;
        }
        Ok(())
    }

    async fn execs(&self, amount: usize, program: &str) -> Outcome<()> {
        self.warm_up(program).await?;
        let mut measured = Measured::start()?;
        for _ in 0..amount {
            let start = Instant::now();
            run(&self.sandbox, [program]).await?;
            measured.push(start);
        }
        measured.print()
    }

    async fn output(&self, amount: usize) -> Outcome<()> {
        run(&self.sandbox, ["true"]).await?;
        let mut measured = Measured::start()?;
        let start = Instant::now();
        let exec =
            self.sandbox.exec(&ExecSpec::new(["head", "-c", &amount.to_string(), "/dev/zero"])).await?;
        let mut stdout = exec.output(OutputStream::Stdout, 0);
        let mut length = 0;
        while let Some(chunk) = stdout.read().await? {
            length += chunk.len();
        }
        ended(exec.wait().await?.status)?;
        measured.push(start);
        check(length, amount)?;
        measured.print()
    }

    async fn write(&self, amount: usize) -> Outcome<()> {
        run(&self.sandbox, ["true"]).await?;
        let data = Bytes::from(vec![7; amount]);
        for _ in 0..WARM_UP_FILES {
            self.sandbox.write_file(DATA, data.clone()).await?;
        }
        let mut measured = Measured::start()?;
        for _ in 0..FILES {
            let start = Instant::now();
            self.sandbox.write_file(DATA, data.clone()).await?;
            measured.push(start);
        }
        check(usize::try_from(self.sandbox.stat(DATA).await?.size)?, amount)?;
        measured.print()
    }

    async fn read(&self, amount: usize) -> Outcome<()> {
        run(&self.sandbox, ["sh", "-c", &format!("head -c {amount} /dev/zero > {DATA}")]).await?;
        let mut measured = Measured::start()?;
        let start = Instant::now();
        let content = self.sandbox.read_file(DATA).await?;
        measured.push(start);
        check(content.len(), amount)?;
        measured.print()
    }

    async fn many(&self, amount: usize, program: &'static str) -> Outcome<()> {
        self.warm_up(program).await?;
        let mut measured = Measured::start()?;
        let start = Instant::now();
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..amount {
            let sandbox = self.sandbox.clone();
            running.spawn(async move { run(&sandbox, [program]).await.map_err(|error| error.to_string()) });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        measured.push(start);
        measured.print()
    }

    /// Brings the static program along where it is asked for, and runs it a few times.
    async fn warm_up(&self, program: &str) -> Outcome<()> {
        if program == TRUE {
            self.sandbox.write_file(TRUE, std::fs::read(std::env::var("BENCH_TRUE")?)?).await?;
            run(&self.sandbox, ["chmod", "755", TRUE]).await?;
        }
        for _ in 0..WARM_UP {
            run(&self.sandbox, [program]).await?;
        }
        Ok(())
    }
}

impl Measured {
    fn start() -> Outcome<Self> {
        Ok(Self { times: Vec::new(), before: memory("VmRSS")?, cpu: cpu() })
    }

    fn push(&mut self, start: Instant) {
        self.times.push(start.elapsed().as_secs_f64() * 1000.0);
    }

    /// Prints wall times, CPU time of one run, and the memory before and at its peak.
    fn print(self) -> Outcome<()> {
        let runs: f64 = self.times.iter().map(|_| 1.0).sum();
        let found = serde_json::json!({
            "wall_ms": self.times,
            "cpu_ms": (cpu() - self.cpu) / runs,
            "before_kib": self.before,
            "peak_kib": memory("VmHWM")?,
        });
        println!("{found}");
        Ok(())
    }
}

async fn run<const N: usize>(sandbox: &Sandbox, argv: [&str; N]) -> Outcome<()> {
    ended(sandbox.exec(&ExecSpec::new(argv)).await?.wait().await?.status)
}

fn ended(status: ExecStatus) -> Outcome<()> {
    if status == ExecStatus::Code(0) { Ok(()) } else { Err(format!("ended with {status:?}").into()) }
}

fn check(length: usize, wanted: usize) -> Outcome<()> {
    if length == wanted { Ok(()) } else { Err(format!("{length} bytes of {wanted}").into()) }
}

/// CPU time of all threads, in milliseconds.
fn cpu() -> f64 {
    let time = std::time::Duration::try_from(clock_gettime(ClockId::ProcessCPUTime));
    time.expect("a clock that starts at 0 never shows less").as_secs_f64() * 1000.0
}

/// A line of the kernel's account of this process, in KiB.
fn memory(field: &str) -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or_else(|| format!("no line {field}"))?.parse()?)
}
