//! `lattice run`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use openlattice::{
    Attachment, Capabilities, ComputeProvider, ExecCapabilities, ExecSpec, Network, OnDrop, PortSpec,
    ProvisionSpec, SandboxId, SandboxInfo, Signal,
};

use super::report::Report;
use super::rm::remove_all;
use crate::context::Context;
use crate::failure::Result;
use crate::live::{self, Ending, Signals, Streams, StreamsArguments};
use crate::node_arguments::{NodeArguments, whole_seconds};
use crate::{output, provision, pull, value};

/// How long a sandbox may stay that nobody looks after.
const LEFT_BEHIND_SECONDS: u64 = 60;

/// Run a command in a new sandbox and remove it afterwards
///
/// Output is passed on as it comes, standard input with -i only. Signals go to the command: Ctrl-C, of which a second one within two
/// seconds ends the sandbox; TERM and HUP, after which the command has 10 seconds to end; and the others. The exit code is the
/// command's own. With -it every key goes to the command. The protocol of `--provider modal` has no signals: the first one
/// ends the sandbox. A sandbox whose `lattice run` was killed shows as abandoned, and `lattice gc` ends it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  lattice run -e GREETING=hello --timeout 30s -- sh -c 'echo $GREETING; exit 7'
  echo data | lattice run -i --memory 256m -- wc -c
  lattice run -it -- bash
  lattice run -v data:/data -- sh -c 'date > /data/last'")]
pub(crate) struct Run {
    #[command(flatten)]
    streams: StreamsArguments,
    #[command(flatten)]
    node: NodeArguments,
    /// Time after which the command is killed (exit code 124), such as 30s
    #[arg(long, value_name = "TIME", value_parser = value::duration)]
    timeout: Option<Duration>,
    /// File that gets how it ended, as JSON
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// The program and its arguments; no shell is involved
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<String>,
}

impl Run {
    pub(crate) async fn run(self, context: &Context) -> Result<u8> {
        let mut sandbox = None;
        let outcome = self.outcome(context, &mut sandbox).await;
        Ok(Report::of(sandbox, &outcome).finish(self.result.as_deref(), self.timeout))
    }

    async fn outcome(&self, context: &Context, sandbox: &mut Option<SandboxId>) -> Result<Ending> {
        let mut spec = self.node.spec()?;
        let mut signals = Signals::catch()?;
        let streams = self.streams.take()?;
        let provider = context.announced_provider().await?;
        let offer = provider.capabilities();
        // What the command cannot have is known before there is a sandbox.
        offer.check_exec(&self.exec_spec(&streams, &offer.exec))?;
        tokio::select! {
            pulled = pull::pull_missing(context, spec.runtime.image.as_deref()) => pulled?,
            signal = signals.next() => return Ok(Ending::Interrupted(signal)),
        }
        self.bind(&mut spec, offer);
        let spec_ports = spec.network.ports.clone();
        let (info, interrupted) = match provision_or_stop(&*provider, spec, &mut signals).await? {
            Provisioned::Made(info, interrupted) => (info, interrupted),
            Provisioned::GivenUp(signal) => return Ok(Ending::Interrupted(signal)),
        };
        *sandbox = Some(info.id.clone());
        tell_ports(&*provider, &info.id, &spec_ports).await;
        let outcome = match interrupted {
            Some(signal) => Ok(Ending::Interrupted(signal)),
            None => self.command(&*provider, &info.id, &mut signals, streams).await,
        };
        match (outcome, remove_all(&*provider, &info.id).await) {
            (outcome, Ok(())) => outcome,
            (Err(failure), Err(left)) => {
                output::complain(&failure.to_string());
                Err(left)
            }
            (Ok(_), Err(left)) => Err(left),
        }
    }

    /// Ties the sandbox to this process. Where nobody looks after owners, one whose process was killed must at least not outlive its
    /// command for long.
    fn bind(&self, spec: &mut ProvisionSpec, offer: &Capabilities) {
        if offer.identity.owners {
            spec.attachment = Attachment::Bound;
            return;
        }
        spec.duration.idle_seconds = offer.lifetime.idle.then_some(LEFT_BEHIND_SECONDS);
        let bound = self.timeout.filter(|_| offer.lifetime.max);
        spec.duration.max_seconds =
            bound.map(|timeout| whole_seconds(timeout).saturating_add(LEFT_BEHIND_SECONDS));
    }

    async fn command(
        &self,
        provider: &dyn ComputeProvider,
        id: &SandboxId,
        signals: &mut Signals,
        streams: Streams,
    ) -> Result<Ending> {
        let offer = &provider.capabilities().exec;
        let session = provider.exec(id, self.exec_spec(&streams, offer)).await?;
        live::follow(session.as_ref(), signals, streams, offer).await
    }

    fn exec_spec(&self, streams: &Streams, offer: &ExecCapabilities) -> ExecSpec {
        let mut spec = ExecSpec::new(self.command.clone()).with_stdin(streams.stdin());
        spec.options.pty = streams.size();
        if let Some(timeout) = self.timeout {
            spec = spec.with_timeout(timeout);
        }
        if offer.kill_on_drop {
            spec.options.on_drop = OnDrop::Kill;
        }
        spec
    }
}

/// Says where ports are reached whose number on this machine nobody chose. Where that cannot be told, the command runs all the same.
async fn tell_ports(provider: &dyn ComputeProvider, id: &SandboxId, ports: &[PortSpec]) {
    let Some(network) = provider.extensions().get::<dyn Network>() else { return };
    for port in ports.iter().filter(|port| port.host_port.is_none()) {
        match network.url(id, port.port).await {
            Ok(found) => output::complain(&format!("port {} is at {}", found.port, found.url)),
            Err(error) => output::complain(&error.to_string()),
        }
    }
}

enum Provisioned {
    /// The sandbox is there; a signal may have come meanwhile.
    Made(Box<SandboxInfo>, Option<Signal>),
    /// A second interrupt came before it was there.
    GivenUp(Signal),
}

/// Provisions to the end even when a signal comes, since only then the sandbox can be removed for certain; a second interrupt
/// gives up, and the sandbox is left to `gc`.
async fn provision_or_stop(
    provider: &dyn ComputeProvider,
    spec: ProvisionSpec,
    signals: &mut Signals,
) -> Result<Provisioned> {
    let made = provision::provision(provider, spec);
    tokio::pin!(made);
    let mut first = None;
    loop {
        tokio::select! {
            info = &mut made => return Ok(Provisioned::Made(Box::new(info?), first)),
            signal = signals.next() => {
                if first == Some(Signal::INT) && signal == Signal::INT {
                    return Ok(Provisioned::GivenUp(signal));
                }
                first.get_or_insert(signal);
            }
        }
    }
}
