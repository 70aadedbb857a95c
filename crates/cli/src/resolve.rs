//! Which sandbox a word of the command line means.
//!
//! An exact id comes before a name, a name before the beginning of an id. An id costs one look-up of that sandbox alone; only
//! another word has the provider list.

use openlattice::{ComputeProvider, EndReason, ErrorKind, ListFilter, SandboxId, SandboxInfo, SandboxState};

use crate::failure::{Failure, Result};

/// Shortest beginning of an id that names a sandbox: `sb-` alone begins every one.
const SHORTEST: usize = 4;
/// Most candidates that an error lists.
const LISTED: usize = 10;

/// Finds a sandbox that lives, by its id, its name or the unique beginning of its id.
///
/// # Errors
/// `NotFound` when there is none or it has ended, `InvalidArgument` when several match.
pub(crate) async fn living(provider: &dyn ComputeProvider, word: &str) -> Result<SandboxId> {
    let found = find(provider, word, Wanted::Living).await?;
    let over = match found.state {
        SandboxState::Terminated => "has ended",
        SandboxState::Ending => "is ending",
        _ => return Ok(found.id),
    };
    Err(Failure::new(ErrorKind::NotFound, format!("sandbox {:?} {over}", found.id.as_str())))
}

/// Finds a sandbox that the provider still knows, ended or not: by its id, the name of one that lives, or the unique beginning of
/// its id.
///
/// # Errors
/// `NotFound` when there is none, `InvalidArgument` when several match.
pub(crate) async fn known(provider: &dyn ComputeProvider, word: &str) -> Result<SandboxInfo> {
    find(provider, word, Wanted::Known).await
}

/// Which sandboxes the beginning of an id is looked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Living,
    Known,
}

async fn find(provider: &dyn ComputeProvider, word: &str, wanted: Wanted) -> Result<SandboxInfo> {
    if word.is_empty() {
        return Err(Failure::invalid("a sandbox is named by an empty text\nhint: give its ID or name"));
    }
    let exact = provider.inspect(&SandboxId::new(word)).await?;
    if is_known(&exact) {
        return Ok(exact);
    }
    if !provider.capabilities().identity.list {
        return Err(not_found(word));
    }
    let living = provider.list(ListFilter::default()).await?;
    if let Some(found) = one(word, living.iter().filter(|info| info.name.as_deref() == Some(word)))? {
        return Ok(found);
    }
    let all = match wanted {
        Wanted::Living => living,
        Wanted::Known => provider.list(ListFilter { include_ended: true, ..ListFilter::default() }).await?,
    };
    // One that has ended, which `inspect` alone could not tell from one that never was.
    if let Some(found) = all.iter().find(|info| info.id.as_str() == word) {
        return Ok(found.clone());
    }
    let begins = |info: &&SandboxInfo| word.len() >= SHORTEST && info.id.as_str().starts_with(word);
    one(word, all.iter().filter(begins))?.ok_or_else(|| not_found(word))
}

/// Whether `inspect` described a sandbox, and not the absence of one.
fn is_known(info: &SandboxInfo) -> bool {
    let unknown = info.end.is_some_and(|end| end.reason == EndReason::Unknown && end.exit.is_none());
    !unknown || info.created_at.is_some()
}

/// The only match, nothing, or an error that lists them.
fn one<'a>(word: &str, mut matches: impl Iterator<Item = &'a SandboxInfo>) -> Result<Option<SandboxInfo>> {
    let Some(first) = matches.next() else { return Ok(None) };
    let others: Vec<_> = matches.collect();
    if others.is_empty() {
        return Ok(Some(first.clone()));
    }
    let all = std::iter::once(first).chain(others.iter().copied());
    let mut lines: Vec<_> = all.take(LISTED).map(line).collect();
    if others.len() >= LISTED {
        lines.push(format!("  and {} more", others.len() + 1 - LISTED));
    }
    let text = format!("{word:?} matches {} sandboxes: give more of the ID\n", others.len() + 1);
    Err(Failure::invalid(text + &lines.join("\n")))
}

fn line(info: &SandboxInfo) -> String {
    let name = info.name.as_ref().map(|name| format!("  {name}")).unwrap_or_default();
    format!("  {}  {}{name}", info.id, info.state.as_str())
}

fn not_found(word: &str) -> Failure {
    Failure::new(ErrorKind::NotFound, format!("sandbox {word:?} not found\nhint: `lattice ps -a` lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(id: &str) -> SandboxInfo {
        SandboxInfo::running(SandboxId::new(id))
    }

    #[test]
    fn several_matches_are_listed_and_not_chosen_from() {
        let many: Vec<_> = (0..12).map(|number| info(&format!("sb-a{number:02}"))).collect();
        let error = one("sb-a", many.iter()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        let text = error.to_string();
        assert!(
            text.contains("12 sandboxes") && text.contains("sb-a09") && text.contains("and 2 more"),
            "{text}"
        );
        assert!(!text.contains("sb-a10"), "{text}");
        let ten = one("sb-a", many.iter().take(10)).unwrap_err().to_string();
        assert!(ten.contains("sb-a09") && !ten.contains("more\n") && !ten.contains("and "), "{ten}");
        assert_eq!(one("sb-a00", many.iter().take(1)).unwrap().unwrap().id.as_str(), "sb-a00");
        assert!(one("x", [].iter()).unwrap().is_none());
    }

    #[test]
    fn what_was_never_there_is_told_from_what_has_ended() {
        let id = || SandboxId::new("sb-1");
        assert!(!is_known(&SandboxInfo::new(id(), SandboxState::Terminated)));
        assert!(is_known(&SandboxInfo::terminated(id(), EndReason::Destroyed, None)));
        assert!(is_known(&info("sb-1")));
        let created_at = Some(openlattice::Timestamp::from_unix_millis(0));
        assert!(is_known(&SandboxInfo { created_at, ..SandboxInfo::new(id(), SandboxState::Terminated) }));
    }
}
