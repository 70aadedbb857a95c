//! Sandboxes that belong to a process.

use openlattice::{Attachment, ComputeProvider, ProvisionSpec};

use openlattice_modal_proto::task_command_router::task_exec_wait_response::ExitStatus;
use tonic::Status;

use crate::fake::Fake;
use crate::provider;

#[cfg(target_os = "linux")]
#[tokio::test]
async fn g5_gc_ends_what_belonged_to_a_process_that_is_gone() {
    let fake = Fake::start().await;
    let provider = provider(&fake);
    let bound = || ProvisionSpec { attachment: Attachment::Bound, ..ProvisionSpec::new("host") };
    let orphan = provider.provision(bound()).await.unwrap();
    let ours = provider.provision(bound()).await.unwrap();
    let detached = provider.provision(ProvisionSpec::new("host")).await.unwrap();
    assert_eq!(ours.owner.as_ref().unwrap().pid, std::process::id());
    assert_eq!(provider.inspect(&ours.id).await.unwrap().owner, ours.owner);
    assert!(detached.owner.is_none() && provider.inspect(&detached.id).await.unwrap().tags.is_empty());
    // No process has both this id and this start time.
    fake.state().created[0].tags.insert("openlattice_owner_process".to_owned(), "1-1".to_owned());
    let report = provider.gc().await.unwrap();
    assert_eq!(report.ended, [orphan.id]);
    let ended: Vec<bool> = fake.state().created.iter().map(|sandbox| sandbox.ended).collect();
    assert_eq!(ended, [true, false, false]);
    assert!(provider.gc().await.unwrap().ended.is_empty());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn g5_a_detached_sandbox_belongs_to_a_process_until_it_is_set_up() {
    let fake = Fake::start().await;
    let provider = std::sync::Arc::new(provider(&fake));
    fake.state().hold_waits = true;
    let making = tokio::spawn({
        let provider = std::sync::Arc::clone(&provider);
        async move { provider.provision(ProvisionSpec::new("host").with_command(["sleep", "1"])).await }
    });
    while fake.calls("TaskExecWait").is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let tags = fake.state().created[0].tags.clone();
    assert!(tags.contains_key("openlattice_owner_process") && tags.contains_key("openlattice_lease"));
    // The process is killed here: the next gc, of whichever process, ends what it left.
    fake.state().created[0].tags.insert("openlattice_owner_process".to_owned(), "1-1".to_owned());
    assert_eq!(provider.gc().await.unwrap().ended.len(), 1);
    making.abort();

    fake.state().hold_waits = false;
    let spec = ProvisionSpec::new("host").with_command(["true"]);
    let whole = provider.provision(spec.clone()).await.unwrap();
    assert_eq!(whole.owner, None);
    let tags = fake.state().created[1].tags.clone();
    assert!(tags.keys().all(|name| name == "openlattice_attempt"), "{tags:?}");
    assert!(provider.gc().await.unwrap().ended.is_empty());
    fake.fail("SandboxTagsSetV2", [Status::permission_denied("not yours")]);
    provider.provision(spec).await.unwrap_err();
    assert!(fake.state().created[2].ended, "what cannot be detached would be ended later");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn g5_the_key_of_a_gone_owner_s_sandbox_gives_it_to_whoever_repeats_it() {
    let fake = Fake::start().await;
    let bound =
        || ProvisionSpec { attachment: Attachment::Bound, ..ProvisionSpec::new("host").with_key("k") };
    let made = provider(&fake).provision(bound()).await.unwrap();
    let owner = |fake: &Fake| fake.state().created[0].tags["openlattice_owner_process"].clone();
    let first = owner(&fake);
    fake.state().created[0].tags.insert("openlattice_owner_process".to_owned(), "1-1".to_owned());
    let other = provider(&fake);
    let found = other.provision(bound()).await.unwrap();
    assert_eq!((&found.id, found.owner.as_ref().unwrap().pid), (&made.id, std::process::id()));
    assert_eq!(owner(&fake), first);
    assert!(other.gc().await.unwrap().ended.is_empty());
}

#[tokio::test]
async fn g4_a_sandbox_that_its_maker_ends_meanwhile_is_not_handed_out() {
    let fake = Fake::start().await;
    let spec = || ProvisionSpec::new("host").with_key("k").with_command(["setup"]);
    // Of another process: its attempt is none of this one's.
    let lost = provider(&fake).provision(spec()).await.unwrap();
    fake.state().hold_waits = true;
    let finder = tokio::spawn({
        let provider = provider(&fake);
        async move { provider.provision(spec()).await }
    });
    while fake.calls("TaskExecWait").len() < 2 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    {
        let mut state = fake.state();
        state.created[0].tags.insert("openlattice_failed".to_owned(), "1".to_owned());
        state.created[0].ended = true;
        state.hold_waits = false;
        state.exit = Some(ExitStatus::Code(0));
    }
    fake.release();
    let found = finder.await.unwrap().unwrap();
    assert_ne!(found.id, lost.id);
    assert!(!fake.state().created[1].ended);
}
