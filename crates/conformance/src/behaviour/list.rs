//! `list`: sandboxes found again.

use std::collections::BTreeMap;

use openlattice::{ListFilter, SandboxState};

use super::behaviours;
use crate::case::Case;
use crate::verdict::{Outcome, ensure, ensure_eq, must_refuse, passed, skipped};

behaviours![
    m20_list_shows_live_sandboxes,
    m20_list_leaves_out_ended_sandboxes_unless_asked,
    m20_list_filters_by_all_tags,
    m20_list_filters_by_name,
];

async fn m20_list_shows_live_sandboxes(case: Case) -> Outcome {
    let made = case.provision(case.spec()).await?;
    let listed = case.provider().list(ListFilter::default()).await;
    if !case.offers().identity.list {
        return must_refuse(listed, "identity.list");
    }
    let listed = listed?;
    let Some(found) = listed.iter().find(|info| info.id == made.id) else {
        return crate::verdict::failed(format!("{} is not listed", made.id));
    };
    ensure_eq!(found.state, SandboxState::Running, "the state");
    passed()
}

async fn m20_list_leaves_out_ended_sandboxes_unless_asked(case: Case) -> Outcome {
    if !case.offers().identity.list {
        return skipped("listing is not offered, and another test proves the refusal");
    }
    let node = case.node().await?;
    node.destroy().await?;
    let live = case.provider().list(ListFilter::default()).await?;
    ensure!(live.iter().all(|info| &info.id != node.id()), "an ended sandbox is listed");
    let filter = ListFilter { include_ended: true, ..ListFilter::default() };
    for info in case.provider().list(filter).await? {
        if &info.id == node.id() {
            ensure_eq!(info.state, SandboxState::Terminated, "the state of the ended sandbox");
        }
    }
    passed()
}

async fn m20_list_filters_by_all_tags(case: Case) -> Outcome {
    let value = case.unique("v");
    let spec = case.spec().with_tag("lattice-one", &value).with_tag("lattice-two", &value);
    if !case.offers().identity.tags {
        return must_refuse(case.provision(spec).await, "tags");
    }
    let both = case.provision(spec).await?;
    case.provision(case.spec().with_tag("lattice-one", &value)).await?;
    let tags = |names: &[&str]| {
        names.iter().map(|name| ((*name).to_owned(), value.clone())).collect::<BTreeMap<_, _>>()
    };
    for (names, count) in [(&["lattice-one"][..], 2), (&["lattice-one", "lattice-two"][..], 1)] {
        let filter = ListFilter { tags: tags(names), ..ListFilter::default() };
        let found = case.provider().list(filter).await?;
        ensure_eq!(found.len(), count, "the sandboxes with tags {names:?}");
        ensure!(found.iter().any(|info| info.id == both.id), "{} is missing for {names:?}", both.id);
    }
    passed()
}

async fn m20_list_filters_by_name(case: Case) -> Outcome {
    if !case.offers().identity.list || !case.offers().identity.names {
        return skipped("names or lists are not offered, and other tests prove the refusals");
    }
    let name = case.unique("named");
    let made = case.provision(case.spec().with_name(&name)).await?;
    case.provision(case.spec()).await?;
    let filter = ListFilter { name: Some(name.clone()), ..ListFilter::default() };
    let found = case.provider().list(filter).await?;
    ensure_eq!(
        found.iter().map(|info| &info.id).collect::<Vec<_>>(),
        vec![&made.id],
        "the sandboxes named {name}"
    );
    ensure_eq!(found[0].name, Some(name), "the name");
    passed()
}
