//! What a provider cannot do with files itself, done by commands of the sandbox: `chmod`, `ln` and `touch`.

use std::collections::BTreeMap;

use openlattice::{ComputeProvider, ExecResult, ExecSpec, FileTime, Node, Result};

/// Argument bytes of one command, far below every kernel's bound.
const BATCH: usize = 60_000;
/// Makes links from pairs of target and path. The arguments are never part of the script.
const LINKS: &str = r#"while [ $# -gt 1 ]; do ln -s -- "$1" "$2" || exit 1; shift 2; done"#;

/// Sets times from triples of seconds, nanoseconds and path; prints how many could not be set. The `touch` of BusyBox has no fractions, and an
/// old one changes no link.
const TIMES: &str = r#"n=0; while [ $# -gt 2 ]; do
touch -h -d "@$1.$2" -- "$3" || touch -h -d "@$1" -- "$3" || { [ ! -L "$3" ] && touch -d "@$1" -- "$3"; } || n=$((n+1))
shift 3; done 2>/dev/null; echo $n"#;

/// Sets modes; counts those that could not be set.
pub(crate) async fn set_modes<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    modes: Vec<(String, u32)>,
) -> Result<u64> {
    let mut by_mode: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for (path, mode) in modes {
        by_mode.entry(mode).or_default().push(path);
    }
    let mut not_set = 0;
    for (mode, paths) in by_mode {
        for batch in batches(paths.into_iter().map(|path| vec![path])) {
            let count = batch.len() as u64;
            let command = ["chmod".to_owned(), format!("{mode:o}")].into_iter().chain(batch);
            if !runs(node, command).await? {
                not_set += count;
            }
        }
    }
    Ok(not_set)
}

/// Makes links from pairs of path and target; gives the paths of those that could not be made.
pub(crate) async fn make_links<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    links: Vec<(String, String)>,
) -> Result<Vec<String>> {
    let mut not_made = Vec::new();
    for batch in batches(links.into_iter().map(|(path, target)| vec![target, path])) {
        let paths = batch.iter().skip(1).step_by(2).cloned();
        let shell = ["/bin/sh", "-c", LINKS, "sh"].map(str::to_owned).into_iter();
        let paths: Vec<String> = paths.collect();
        if !runs(node, shell.chain(batch)).await? {
            not_made.extend(paths);
        }
    }
    Ok(not_made)
}

/// Sets times of last change, also of links themselves; counts those that could not be set.
pub(crate) async fn set_times<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    times: Vec<(String, FileTime)>,
) -> Result<u64> {
    let mut not_set = 0;
    let triples = times.into_iter().map(|(path, time)| {
        // Before 1970 a fraction would count away from it.
        let nanos = if time.seconds < 0 { 0 } else { time.nanos };
        vec![time.seconds.to_string(), format!("{nanos:09}"), path]
    });
    for batch in batches(triples) {
        let count = batch.len() as u64 / 3;
        let shell = ["/bin/sh", "-c", TIMES, "sh"].map(str::to_owned).into_iter();
        let failed = match run(node, shell.chain(batch)).await? {
            Some(result) if result.is_success() => result.stdout_text().trim().parse().unwrap_or(count),
            _ => count,
        };
        not_set += failed;
    }
    Ok(not_set)
}

/// Groups of arguments that fit into one command.
fn batches(groups: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let (mut all, mut bytes) = (Vec::<Vec<String>>::new(), BATCH);
    for group in groups {
        let size: usize = group.iter().map(|argument| argument.len() + 1).sum();
        if bytes + size > BATCH {
            all.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(last) = all.last_mut() {
            last.extend(group);
        }
    }
    all
}

/// Whether the command is there and does it.
async fn runs<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    argv: impl Iterator<Item = String>,
) -> Result<bool> {
    Ok(run(node, argv).await?.is_some_and(|result| result.is_success()))
}

/// What came of a command; `None` where there is no such program.
async fn run<P: ComputeProvider + ?Sized>(
    node: &Node<P>,
    argv: impl Iterator<Item = String>,
) -> Result<Option<ExecResult>> {
    match node.run(ExecSpec::new(argv)).await {
        Ok(result) => Ok(Some(result)),
        Err(error) if error.subject() == Some(openlattice::Subject::Program) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_grouped_by_their_size_and_pairs_stay_together() {
        let pair = || vec!["t".repeat(20_000), "p".repeat(9_000)];
        let all = batches((0..5).map(|_| pair()));
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        assert!(batches(std::iter::empty()).is_empty());
    }
}
