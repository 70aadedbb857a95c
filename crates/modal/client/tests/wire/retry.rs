//! Retries of control plane calls (protocol sections 2.1 and 2.2).

use std::time::Duration;

use openlattice_modal_client::{Client, ErrorKind, IfMissing, Retry};
use openlattice_modal_proto::Any;
use openlattice_modal_proto::client::{RpcRetryPolicy, RpcStatus};
use prost::Message as _;
use tonic::{Code, Status};

use crate::fake::{Fake, Seen};
use crate::{client, config};

const CALL: &str = "AppGetOrCreate";

fn values(calls: &[Seen], key: &str) -> Vec<Option<String>> {
    calls.iter().map(|call| call.metadata.get(key).cloned()).collect()
}

pub(crate) fn throttled() -> Status {
    let policy = RpcRetryPolicy { retry_after_secs: 0.0 };
    let any =
        Any { type_url: "type.modal.com/modal.client.RPCRetryPolicy".into(), value: policy.encode_to_vec() };
    let details = RpcStatus { code: 8, message: String::new(), details: vec![any] };
    Status::with_details(Code::ResourceExhausted, "slow down", details.encode_to_vec().into())
}

#[tokio::test]
async fn a_transient_failure_is_tried_again_with_one_key() {
    let fake = Fake::start().await;
    let codes = [Code::Unavailable, Code::Internal, Code::Unknown];
    fake.fail(CALL, codes.map(|code| Status::new(code, "later")));
    client(&fake).app("test", IfMissing::Create).await.unwrap();
    let calls = fake.calls(CALL);
    assert_eq!(calls.len(), 4);
    let keys = values(&calls, "x-idempotency-key");
    assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    let attempts: Vec<_> = values(&calls, "x-retry-attempt").into_iter().flatten().collect();
    assert_eq!(attempts, ["0", "1", "2", "3"]);
    let delays = values(&calls, "x-retry-delay");
    assert!(delays[0].is_none() && delays[1..].iter().all(Option::is_some), "{delays:?}");
}

#[tokio::test]
async fn after_four_tries_the_error_says_that_a_retry_is_safe() {
    let fake = Fake::start().await;
    fake.fail(CALL, (0..9).map(|_| Status::unavailable("gone fishing")));
    let error = client(&fake).app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.retry(), error.operation()), (ErrorKind::Unavailable, Retry::Safe, CALL));
    assert!(error.to_string().contains("gone fishing"));
    assert_eq!(fake.calls(CALL).len(), 4);
}

#[tokio::test]
async fn other_failures_are_not_tried_again() {
    let fake = Fake::start().await;
    let client = client(&fake);
    for (status, kind) in [
        (Status::not_found("no app"), ErrorKind::NotFound),
        (Status::resource_exhausted("quota"), ErrorKind::ResourceExhausted),
        (Status::unimplemented("not here"), ErrorKind::Unsupported),
        (Status::aborted("conflict"), ErrorKind::FailedPrecondition),
    ] {
        let before = fake.calls(CALL).len();
        fake.fail(CALL, [status]);
        assert_eq!(client.app("test", IfMissing::Fail).await.unwrap_err().kind(), kind);
        assert_eq!(fake.calls(CALL).len(), before + 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_pause_that_the_server_asks_for_uses_up_no_retry() {
    let fake = Fake::start().await;
    fake.fail(CALL, (0..5).map(|_| throttled()));
    client(&fake).app("test", IfMissing::Create).await.unwrap();
    let calls = fake.calls(CALL);
    assert_eq!(calls.len(), 6);
    assert_eq!(calls[5].metadata["x-retry-attempt"], "0");
    assert_eq!(calls[5].metadata["x-throttle-retry-attempt"], "5");
    assert!(!calls[0].metadata.contains_key("x-throttle-retry-delay"));
    assert!(calls[5].metadata["x-throttle-retry-delay"].parse::<f64>().unwrap() >= 0.5);
}

#[tokio::test]
async fn a_cap_of_zero_gives_the_pause_to_the_caller() {
    let fake = Fake::start().await;
    fake.fail(CALL, [throttled()]);
    let client = Client::new(config(&fake).with_max_throttle_wait(Duration::ZERO)).unwrap();
    let error = client.app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::ResourceExhausted, Retry::Safe));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(100)));
    assert_eq!(fake.calls(CALL).len(), 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable_and_says_why() {
    let fake = Fake::start().await;
    let config = config(&fake);
    let address = fake.address;
    drop(fake);
    // The port is free once nothing accepts on it any more.
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    let error = Client::new(config).unwrap().app("test", IfMissing::Create).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Unavailable, Retry::Safe));
    assert!(error.to_string().to_lowercase().contains("refused"), "{error}");
    assert!(!format!("{error:?}").contains("as-test"));
}
