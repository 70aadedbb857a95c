//! Labels of sandboxes that exist.

use std::collections::BTreeMap;

use openlattice::{ErrorKind, ListFilter, SandboxId, Subject, Tags};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Failure, Outcome, ensure_eq, must_fail, passed, skipped};

behaviours![
    m29_tags_are_there_exactly_where_claimed,
    m20_tags_that_are_set_replace_all_and_are_found,
    m20_refused_tags_change_nothing,
    m20_tags_of_an_unknown_sandbox_are_not_found,
];

/// Why a behaviour is not judged.
const NOT_HERE: &str =
    "changing tags is not offered, and another test proves that the extension is not there";

async fn m29_tags_are_there_exactly_where_claimed(case: Case) -> Outcome {
    let there = case.provider().extensions().has::<dyn Tags>();
    ensure_eq!(there, case.offers().extensions.tags, "whether tags are there");
    ensure_eq!(case.node().await?.tags().is_some(), there, "whether the node has them");
    passed()
}

/// How many sandboxes a list by one tag finds.
async fn found(case: &Case, name: &str, value: &str) -> Result<usize, Failure> {
    let tags = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    Ok(case.provider().list(ListFilter { tags, ..ListFilter::default() }).await?.len())
}

async fn m20_tags_that_are_set_replace_all_and_are_found(case: Case) -> Outcome {
    if !case.offers().extensions.tags {
        return skipped(NOT_HERE);
    }
    let value = case.unique("v");
    let node = case.node_of(case.spec().with_tag("lattice-old", &value)).await?;
    let Some(tags) = node.tags() else { return skipped(NOT_HERE) };
    let mut wanted = case.spec().tags;
    ensure_eq!(tags.get().await?.get("lattice-old"), Some(&value), "the tag that it was made with");
    wanted.insert("lattice-new".to_owned(), value.clone());
    tags.set(wanted.clone()).await?;
    ensure_eq!(tags.get().await?, wanted, "the tags that were set");
    ensure_eq!(node.inspect().await?.tags, wanted, "the tags that inspect tells");
    if case.offers().identity.list {
        let counts = (found(&case, "lattice-new", &value).await?, found(&case, "lattice-old", &value).await?);
        ensure_eq!(counts, (1, 0), "what a list by the new and by the old tag finds");
    }
    passed()
}

async fn m20_refused_tags_change_nothing(case: Case) -> Outcome {
    let node = case.node().await?;
    let Some(tags) = node.tags() else { return skipped(NOT_HERE) };
    let before = tags.get().await?;
    let mut wrong = before.clone();
    wrong.insert(String::new(), "1".to_owned());
    let error = must_fail(tags.set(wrong).await, &[ErrorKind::InvalidArgument], "an empty name")?;
    ensure_eq!(error.field(), Some("tags"), "the refused field");
    ensure_eq!(tags.get().await?, before, "the tags");
    passed()
}

async fn m20_tags_of_an_unknown_sandbox_are_not_found(case: Case) -> Outcome {
    let Some(tags) = case.provider().extensions().get::<dyn Tags>() else { return skipped(NOT_HERE) };
    let id = SandboxId::new("sb-no-such-sandbox");
    let error = must_fail(tags.get(&id).await, &[ErrorKind::NotFound], "tags of an unknown sandbox")?;
    ensure_eq!(error.subject(), Some(Subject::Sandbox), "what is missing");
    must_fail(tags.set(&id, BTreeMap::new()).await, &[ErrorKind::NotFound], "tags for an unknown sandbox")?;
    passed()
}
