//! Sandboxes that belong to a process.

use openlattice::{Attachment, ComputeProvider, ProvisionSpec};

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
