//! `lattice doctor --store`.

use crate::store::Store;

#[test]
fn a_store_is_clean_or_what_does_not_fit_is_named_with_its_remedy() {
    let Some(store) = Store::new("the check of a store") else { return };
    let id = store.ok(&["create"]);
    let said = store.ok(&["doctor", "--store"]);
    assert!(said.contains(" is clean: 1 sandboxes (1 living), 1 images, 0 volumes, "), "{said}");
    std::fs::create_dir(store.path("store/trash/half")).unwrap();
    let found = store.run(&["doctor", "--store"]);
    assert_eq!(found.code(), 1, "{}", found.out());
    assert!(found.out().contains("trash/half") && found.out().contains("lattice gc"), "{}", found.out());
    let json: serde_json::Value =
        serde_json::from_str(&store.run(&["doctor", "--store", "--json"]).out()).unwrap();
    assert_eq!((json["clean"].as_bool(), json["living"].as_u64()), (Some(false), Some(1)));
    assert_eq!(json["findings"].as_array().unwrap().len(), 1, "{json}");
    store.ok(&["gc"]);
    assert_eq!(store.run(&["doctor", "--store"]).code(), 0);
    store.ok(&["rm", &id]);
}
