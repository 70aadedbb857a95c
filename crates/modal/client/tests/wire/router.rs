//! Connections to command routers, and what their calls carry (protocol sections 1.4, 1.6 and 2.3).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use openlattice_modal_client::{Client, ErrorKind, ExecSpec, IfMissing, NetworkAccess};
use openlattice_modal_proto::client::network_access::NetworkAccessType;

use crate::fake::Fake;
use crate::retry::throttled;
use crate::{app, client, command, config, sandbox};

fn peers(fake: &Fake, method: &str) -> BTreeSet<SocketAddr> {
    fake.calls(method).into_iter().map(|seen| seen.peer.unwrap()).collect()
}

#[tokio::test]
async fn sandboxes_behind_one_router_share_a_connection() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let again = client.clone();
    let (one, two) = (sandbox(&client).await, sandbox(&again).await);
    assert_ne!(one.id(), two.id());
    for sandbox in [&one, &two] {
        sandbox.exec(&ExecSpec::new(["true"])).await.unwrap().wait().await.unwrap();
    }
    assert_eq!(peers(&fake, "TaskExecStart").len(), 1);
    assert_eq!(peers(&fake, "TaskExecStart"), peers(&fake, "TaskExecWait"));
    assert_eq!(peers(&fake, "SandboxCreateV2").len(), 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_the_next_use_dials_again() {
    let fake = Fake::start().await;
    let client = Client::new(config(&fake).with_router_idle(Duration::from_millis(1))).unwrap();
    let exec = sandbox(&client).await.exec(&ExecSpec::new(["true"])).await.unwrap();
    while peers(&fake, "TaskExecPoll").len() < 2 {
        exec.poll().await.unwrap();
        // Not a time to wait for: only longer than what counts as idle.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(fake.calls("SandboxGetCommandRouterAccess").len(), 1, "access is kept without a connection");
}

#[tokio::test]
async fn a_pause_that_the_router_asks_for_uses_up_no_retry_and_has_the_cap() {
    let fake = Fake::start().await;
    let exec = command(&fake).await;
    fake.fail("TaskExecPoll", (0..11).map(|_| throttled()));
    exec.poll().await.unwrap();
    assert_eq!(fake.calls("TaskExecPoll").len(), 12);
    let capped = Client::new(config(&fake).with_max_throttle_wait(Duration::ZERO)).unwrap();
    let exec = sandbox(&capped).await.exec(&ExecSpec::new(["true"])).await.unwrap();
    fake.fail("TaskExecPoll", [throttled()]);
    let error = exec.poll().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.retry_after()),
        (ErrorKind::ResourceExhausted, Some(Duration::from_millis(100)))
    );
}

#[tokio::test]
async fn the_sandboxs_own_token_travels_with_its_calls_and_no_others() {
    let fake = Fake::start().await;
    let client = client(&fake);
    let made = sandbox(&client).await;
    made.poll().await.unwrap();
    client.sandbox(made.id()).poll().await.unwrap();
    app(&client).await;
    let tokens: Vec<_> = fake.calls("SandboxWaitV2");
    let tokens: Vec<_> =
        tokens.iter().map(|seen| seen.metadata.get("x-modal-sandbox-token").cloned()).collect();
    assert_eq!(tokens, [Some("sandbox-token".to_owned()), None]);
    assert!(!fake.calls("AppGetOrCreate")[0].metadata.contains_key("x-modal-sandbox-token"));
}

#[tokio::test]
async fn headers_of_ones_own_go_to_the_control_plane_alone() {
    let fake = Fake::start().await;
    let client = Client::new(config(&fake).with_header("x-extra", "1")).unwrap();
    sandbox(&client).await.exec(&ExecSpec::new(["true"])).await.unwrap();
    assert_eq!(fake.calls("SandboxCreateV2")[0].metadata["x-extra"], "1");
    let start = &fake.calls("TaskExecStart")[0].metadata;
    assert!(start["authorization"].starts_with("Bearer ") && !start.contains_key("x-extra"), "{start:?}");
    assert!(!start.keys().any(|key| key.starts_with("x-modal-")), "{start:?}");
}

#[tokio::test]
async fn warnings_are_kept_once_wherever_they_came_from() {
    let fake = Fake::start().await;
    fake.state().warning = Some("the quota is near");
    let client = client(&fake);
    client.app("test", IfMissing::Create).await.unwrap();
    client.app("test", IfMissing::Create).await.unwrap();
    assert_eq!(client.warnings(), ["the quota is near"]);
    client.hello(Duration::from_secs(30)).await.unwrap();
    assert_eq!(client.clone().warnings(), ["the quota is near", "an old word of warning"]);
}

#[tokio::test]
async fn the_network_of_a_running_sandbox_is_changed_to_what_was_said() {
    let fake = Fake::start().await;
    let sandbox = sandbox(&client(&fake)).await;
    sandbox.set_network_access(&NetworkAccess::Open).await.unwrap();
    let (cidrs, domains) = (vec!["10.0.0.0/8".to_owned()], vec!["*.example.com".to_owned()]);
    sandbox
        .set_network_access(&NetworkAccess::AllowList { cidrs: cidrs.clone(), domains: domains.clone() })
        .await
        .unwrap();
    let sent = fake.state().networks.clone();
    assert_eq!(sent[0].network_access_type(), NetworkAccessType::Open);
    assert_eq!(sent[1].network_access_type(), NetworkAccessType::Allowlist);
    assert_eq!((&sent[1].allowed_cidrs, &sent[1].allowed_domains), (&cidrs, &domains));
}
