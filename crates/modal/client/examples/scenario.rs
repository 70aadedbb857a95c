//! The scenario of the comparison of calls (`tests/interop/trace`), on this client; it runs against the server of the environment.

use std::error::Error;

use openlattice_modal_client::{
    Client, Config, ExecSpec, IfMissing, ImageSpec, OutputStream, Port, PortKind, Sandbox, SandboxFilter,
    SandboxSpec, SnapshotLife,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let client = Client::new(Config::from_env()?)?;
    let app = client.app("trace", IfMissing::Create).await?;
    let image = client.build_image(&app, &ImageSpec::from_registry("host"), |_| ()).await?;
    let mut spec = SandboxSpec::new(image);
    spec.name = Some("traced".to_owned());
    spec.ports.push(Port { number: 8000, kind: PortKind::Encrypted });
    let sandbox = client.create_sandbox(&app, &spec).await?;
    sandbox.set_tags(&[("kind".to_owned(), "traced".to_owned())].into()).await?;
    commands(&sandbox).await?;
    sandbox.write_file("/tmp/file", "content").await?;
    sandbox.read_file("/tmp/file").await?;
    let kept = sandbox.snapshot_filesystem(SnapshotLife::default(), None).await?;
    let copy = client.create_sandbox(&app, &SandboxSpec::new(kept)).await?;
    copy.terminate().await?;
    sandbox.tunnels().await?;
    let filter = SandboxFilter { tags: sandbox.tags().await?, include_finished: false };
    client.list_sandboxes(&app, &filter).await?;
    client.sandbox_by_name("trace", "traced", false).await?;
    let same = client.sandbox(sandbox.id());
    same.poll().await?;
    output(&same, &ExecSpec::new(["true"])).await?;
    sandbox.terminate().await?;
    sandbox.wait().await?;
    sandbox.poll().await?;
    Ok(())
}

async fn commands(sandbox: &Sandbox) -> Outcome<()> {
    output(sandbox, &ExecSpec::new(["echo", "hello"])).await?;
    let spec = ExecSpec {
        env: [("A".to_owned(), "1".into())].into(),
        workdir: Some("/tmp".to_owned()),
        timeout: Some(std::time::Duration::from_secs(60)),
        ..ExecSpec::new(["cat"])
    };
    let exec = sandbox.exec(&spec).await?;
    exec.write_stdin(0, "input".into(), true).await?;
    exec.output(OutputStream::Stdout, 0).read().await?;
    exec.wait().await?;
    exec.poll().await?;
    Ok(())
}

async fn output(sandbox: &Sandbox, spec: &ExecSpec) -> Outcome<()> {
    let exec = sandbox.exec(spec).await?;
    let mut output = exec.output(OutputStream::Stdout, 0);
    while output.read().await?.is_some() {}
    exec.wait().await?;
    Ok(())
}
