//! Variables and secrets, in the client's form.

use std::collections::BTreeMap;

use openlattice::{Env, Result, SecretSource, Subject};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;

/// Looks stored secrets up by name, and puts all variables in an order in which the later wins: plain ones, stored secrets, secrets
/// that are given.
pub(crate) async fn gather(
    account: &Account,
    env: &Env,
    secrets: &[SecretSource],
    attempt: Attempt,
) -> Result<Vec<modal::SecretSource>> {
    let (mut stored, mut given) = (Vec::new(), Env::new());
    for source in secrets {
        match source {
            SecretSource::Values(values) => values.iter().for_each(|(name, value)| given.set(name, value)),
            SecretSource::Named(name) => {
                let found = account.client.secret(name, &[]).await;
                let missing = |error| attempt.about(Subject::Provider)(error).with_context("secret", name);
                stored.push(found.map_err(missing)?);
            }
        }
    }
    Ok(in_order(env, stored, &given))
}

/// Without stored secrets all are one source: of a sandbox with a GPU each one is a call.
fn in_order(env: &Env, stored: Vec<modal::SecretId>, given: &Env) -> Vec<modal::SecretSource> {
    let (mut first, mut last) = (values(env), values(given));
    if stored.is_empty() {
        first.append(&mut last);
    }
    let some = |values: BTreeMap<String, modal::Secret>| {
        (!values.is_empty()).then_some(modal::SecretSource::Values(values))
    };
    some(first).into_iter().chain(stored.into_iter().map(Into::into)).chain(some(last)).collect()
}

fn values(env: &Env) -> BTreeMap<String, modal::Secret> {
    env.iter().map(|(name, value)| (name.to_owned(), modal::Secret::new(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sources: &[modal::SecretSource]) -> Vec<String> {
        let text = |source: &modal::SecretSource| match source {
            modal::SecretSource::Stored(id) => id.as_str().to_owned(),
            modal::SecretSource::Values(values) => {
                values.iter().map(|(name, value)| format!("{name}={} ", value.reveal())).collect()
            }
        };
        sources.iter().map(text).collect()
    }

    #[test]
    fn secrets_win_over_plain_variables_and_given_ones_over_stored_ones() {
        let env = |value| [("A", value)].into_iter().collect::<Env>();
        let stored = || vec![modal::SecretId::new("st-1")];
        assert_eq!(
            shown(&in_order(&env("plain"), stored(), &env("given"))),
            ["A=plain ", "st-1", "A=given "]
        );
        assert_eq!(shown(&in_order(&env("plain"), Vec::new(), &env("given"))), ["A=given "]);
        assert_eq!(shown(&in_order(&Env::new(), stored(), &Env::new())), ["st-1"]);
        assert!(in_order(&Env::new(), Vec::new(), &Env::new()).is_empty());
    }
}
