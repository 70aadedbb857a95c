//! Looking sandboxes up, tags and names.

use crate::{
    engine::{Engine, Inner},
    error::{Error, ErrorKind, Result},
    id::SandboxId,
    lifecycle::settle::{TEARDOWN, settle},
    sandbox::{SandboxFilter, SandboxInfo, SandboxState},
    store::{Phase, Process, SandboxRow},
};
use std::{collections::BTreeMap, time::Duration};

/// Most tags, and longest tag, name, scope, in bytes.
const MAX_TAGS: usize = 64;
const MAX_TEXT: usize = 256;

impl Engine {
    /// The row of a sandbox as it is now.
    pub(crate) async fn row(&self, id: &SandboxId) -> Result<SandboxRow> {
        let id = id.clone();
        self.blocking(move |inner| inner.row(&id)).await
    }
}

impl Inner {
    /// The row of a sandbox as it is now.
    pub(crate) fn row(&self, id: &SandboxId) -> Result<SandboxRow> {
        settle(self, self.store.sandbox_row(id)?, TEARDOWN)
    }

    pub(crate) fn by_name(&self, scope: &str, name: &str, include_ended: bool) -> Result<SandboxInfo> {
        for row in self.store.sandboxes_named(scope, name)? {
            let Some(row) = self.settled(row, Duration::ZERO) else { continue };
            if include_ended || row.phase != Phase::Ended {
                return Ok(row.info);
            }
        }
        Err(Error::not_found(format!("no sandbox named {name:?}")))
    }

    pub(crate) fn list(&self, filter: &SandboxFilter) -> Result<Vec<SandboxInfo>> {
        let limit = if filter.limit == 0 { usize::MAX } else { filter.limit };
        let mut found = Vec::new();
        for row in self.store.sandbox_rows(filter.scope.as_deref(), filter.before, filter.include_ended)? {
            if found.len() == limit {
                break;
            }
            if !filter.tags.iter().all(|(key, value)| row.info.tags.get(key) == Some(value)) {
                continue;
            }
            let Some(row) = self.settled(row, Duration::ZERO) else { continue };
            if filter.include_ended || row.phase != Phase::Ended {
                found.push(row.info);
            }
        }
        Ok(found)
    }

    pub(crate) fn set_tags(&self, id: &SandboxId, tags: &BTreeMap<String, String>) -> Result<()> {
        check_tags(tags)?;
        if self.store.set_tags(id, tags)? {
            Ok(())
        } else {
            Err(Error::not_found(format!("no sandbox {id}")))
        }
    }

    pub(crate) fn take_over(&self, id: &SandboxId, note: &str) -> Result<bool> {
        let row = self.row(id)?;
        match row.owner.filter(Process::is_gone) {
            Some(gone) => self.store.set_owner(id, &gone, &Process::current()?, note),
            None => Ok(false),
        }
    }

    pub(crate) fn set_name(&self, id: &SandboxId, name: &str) -> Result<()> {
        check_name(name)?;
        let row = self.row(id)?;
        self.free_name(&row.info.scope, name)?;
        if self.store.set_name(id, name)? {
            return Ok(());
        }
        Err(Error::new(ErrorKind::FailedPrecondition, format!("sandbox {id} has a name or has ended")))
    }

    /// Settles whoever has a name, so that a name is not held by a sandbox that ended unnoticed.
    pub(crate) fn free_name(&self, scope: &str, name: &str) -> Result<()> {
        for row in self.store.sandboxes_named(scope, name)? {
            self.settled(row, TEARDOWN);
        }
        Ok(())
    }

    /// A row as it is now, for who asks about many: what hinders the end of one is that one's state and nobody's error. `None` where
    /// a creation that failed has taken it back since it was read.
    pub(crate) fn settled(&self, row: SandboxRow, patience: Duration) -> Option<SandboxRow> {
        let id = row.info.id.clone();
        match settle(self, row, patience) {
            Ok(row) => Some(row),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(_) => {
                let mut row = self.store.sandbox_row(&id).ok()?;
                row.info.state = SandboxState::Ending;
                Some(row)
            }
        }
    }
}

pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    let fits = tags.len() <= MAX_TAGS
        && tags
            .iter()
            .all(|(key, value)| !key.is_empty() && key.len() <= MAX_TEXT && value.len() <= MAX_TEXT);
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "tags are at most {MAX_TAGS}, each key and value at most {MAX_TEXT} bytes"
        )))
    }
}

pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = (1..=MAX_TEXT).contains(&name.len()) && !name.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(format!(
            "{name:?} is no sandbox name: 1 to {MAX_TEXT} bytes, no control characters"
        )))
    }
}
