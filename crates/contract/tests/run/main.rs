//! What follows from the trait: buffered commands and node handles, against a provider that plays back one command.

mod double;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use double::Double;
use openlattice::{
    Callbacks, ComputeProvider, ComputeProviderExt, ErrorKind, ExecSpec, Node, NodeRef, OnDrop,
    ProvisionSpec, Stdin,
};

/// Drives a future that is never pending.
fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the double never waits"),
    }
}

fn double() -> Double {
    let mut double = Double::default();
    double.capabilities.exec.kill_on_drop = true;
    double
}

#[test]
fn m16_a_run_collects_both_streams_and_calls_back_in_order() {
    let provider: Arc<dyn ComputeProvider> = Arc::new(double());
    let node = now(provider.provision_node(ProvisionSpec::default())).unwrap();
    let (mut out, mut pieces) = (Vec::new(), 0);
    let callbacks = Callbacks::none().on_stdout(|bytes| {
        out.extend_from_slice(bytes);
        pieces += 1;
    });
    let result = now(node.run_with(ExecSpec::new(["play"]), callbacks)).unwrap();
    assert_eq!((result.exit_code(), result.stdout_text().as_ref()), (7, "standard output"));
    assert_eq!(result.stderr_text(), "error");
    assert_eq!((out.as_slice(), pieces), (&b"standard output"[..], 5));
    assert_eq!(result.stdout_dropped_from, Some(15));
}

#[test]
fn g9_a_run_asks_for_a_kill_on_drop_where_it_is_offered() {
    let provider = Arc::new(double());
    now(provider.run(&"sb-1".into(), ExecSpec::new(["play"]), Callbacks::none())).unwrap();
    assert_eq!(provider.asked.lock().unwrap().as_ref().unwrap().options.on_drop, OnDrop::Kill);
    assert!(provider.dropped.load(Ordering::SeqCst));
    let plain = Arc::new(Double::default());
    now(plain.run(&"sb-1".into(), ExecSpec::new(["play"]), Callbacks::none())).unwrap();
    assert_eq!(plain.asked.lock().unwrap().as_ref().unwrap().options.on_drop, OnDrop::Detach);
}

#[test]
fn g3_a_broken_stream_is_an_error_and_drops_the_session() {
    let provider = Arc::new(Double { fails_after: Some(3), ..double() });
    let error = now(provider.run(&"sb-1".into(), ExecSpec::new(["play"]), Callbacks::none())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(provider.dropped.load(Ordering::SeqCst));
}

#[test]
fn an_open_input_is_refused_in_a_run() {
    let provider = Arc::new(double());
    let spec = ExecSpec::new(["cat"]).with_stdin(Stdin::Open);
    let error = now(provider.run(&"sb-1".into(), spec, Callbacks::none())).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::InvalidArgument, Some("options.stdin")));
    assert!(provider.asked.lock().unwrap().is_none());
}

#[test]
fn a_handle_is_rebuilt_from_its_reference_by_the_same_provider_only() {
    let provider: Arc<dyn ComputeProvider> = Arc::new(double());
    let node: Node = provider.node("sb-9");
    let json = serde_json::to_string(&node.to_ref()).unwrap();
    assert_eq!(json, r#"{"provider":"double","id":"sb-9"}"#);
    let reference: NodeRef = serde_json::from_str(&json).unwrap();
    assert_eq!(provider.node_from(reference.clone()).unwrap().id(), node.id());
    let other = NodeRef { provider: "modal".into(), ..reference };
    assert_eq!(provider.node_from(other).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(node.files().is_none() && node.network().is_none());
}
