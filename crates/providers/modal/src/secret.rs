//! Variables and secrets, in the client's form.

use std::collections::BTreeMap;

use openlattice::{Env, Result, SecretSource, Subject};
use openlattice_modal_client as modal;

use crate::account::Account;
use crate::error::Attempt;

/// Variables ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    pub(crate) values: BTreeMap<String, modal::Secret>,
    pub(crate) stored: Vec<modal::SecretId>,
}

impl Variables {
    /// Looks stored secrets up by name, and joins all values; a secret's value wins over a plain one of the same name.
    pub(crate) async fn gather(
        account: &Account,
        env: &Env,
        secrets: &[SecretSource],
        attempt: Attempt,
    ) -> Result<Self> {
        let mut variables = Self::default();
        variables.add(env);
        for source in secrets {
            match source {
                SecretSource::Values(values) => variables.add(values),
                SecretSource::Named(name) => {
                    let found = account.client.secret(name, &[]).await;
                    let missing =
                        |error| attempt.about(Subject::Provider)(error).with_context("secret", name);
                    variables.stored.push(found.map_err(missing)?);
                }
            }
        }
        Ok(variables)
    }

    fn add(&mut self, env: &Env) {
        self.values.extend(env.iter().map(|(name, value)| (name.to_owned(), modal::Secret::new(value))));
    }
}
