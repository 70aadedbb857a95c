//! The output quota, small enough to be filled.

use std::sync::Arc;

use openlattice_conformance::{Candidate, Judgement, Settings, judge};
use openlattice_local::LocalConfig;

#[tokio::test(flavor = "multi_thread")]
async fn g2_output_beyond_the_quota_is_reported() {
    let store = tempfile::tempdir().unwrap();
    let config = LocalConfig { output_quota: Some(256 << 10), ..LocalConfig::new(store.path()) };
    let provider = config.build().await.unwrap();
    let candidate = Candidate::new(Arc::new(provider), Settings::new("local", "host"));
    let names = ["g2_output_beyond_the_quota", "g2_a_reader_that_keeps_up_loses_nothing"];
    let judged = judge(candidate, &names).await;
    assert!(judged.iter().all(|one| one.judgement == Judgement::Holds), "{judged:?}");
    assert_eq!(judged.len(), 2);
}
