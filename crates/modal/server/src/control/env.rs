//! Environment variables of sandboxes and commands, from all the places where clients put them.

use crate::shared::Shared;
use openlattice_modal_proto::client::{SecretSource, StringMap, secret_source::Source};
use std::collections::{BTreeMap, HashMap};
use tonic::Status;

/// Variables in the order in which they apply; later ones win.
pub(crate) type Env = Vec<(String, String)>;

/// Where one request's variables come from, earliest first.
pub(crate) struct EnvSources {
    /// Ids of stored secrets.
    pub(crate) secret_ids: Vec<String>,
    /// Plain maps, for older clients.
    pub(crate) maps: Vec<HashMap<String, String>>,
    /// Stored and inline secrets in order. When present they also name everything that `secret_ids` does.
    pub(crate) sources: Vec<SecretSource>,
}

impl EnvSources {
    /// Opens secrets and joins everything; `NOT_FOUND` for an unknown secret, `INVALID_ARGUMENT` for a bad name.
    pub(crate) async fn resolve(self, shared: &Shared) -> Result<Env, Status> {
        let mut env = Env::new();
        if self.sources.is_empty() {
            for id in &self.secret_ids {
                env.extend(shared.state.open_secret(id).await?);
            }
        }
        for map in self.maps {
            env.extend(sorted(map));
        }
        for source in self.sources {
            match source.source {
                Some(Source::SecretId(id)) => env.extend(shared.state.open_secret(&id).await?),
                Some(Source::Env(StringMap { contents })) => env.extend(sorted(contents)),
                None => {
                    return Err(Status::invalid_argument("secret_sources has an entry of an unknown kind"));
                }
            }
        }
        check(&env)?;
        Ok(env)
    }
}

/// Maps have no order of their own.
fn sorted(map: HashMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().collect()
}

/// Checks names and values; values never appear in the error.
pub(crate) fn check(env: &[(String, String)]) -> Result<(), Status> {
    for (name, value) in env {
        if name.is_empty() || name.contains(['=', '\0', '\n']) {
            return Err(Status::invalid_argument(format!("{name:?} is no name of an environment variable")));
        }
        if value.contains('\0') {
            return Err(Status::invalid_argument(format!(
                "the value of environment variable {name} contains NUL"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_without_their_values() {
        for name in ["", "A=B", "A\0", "A\nB"] {
            let error = check(&[(name.to_owned(), "hunter2".to_owned())]).unwrap_err();
            assert!(!error.message().contains("hunter2"));
        }
        let error = check(&[("A".to_owned(), "hunter\0".to_owned())]).unwrap_err();
        assert!(error.message().contains('A') && !error.message().contains("hunter"));
        assert!(check(&[("A".to_owned(), "x=\n".to_owned())]).is_ok());
    }
}
