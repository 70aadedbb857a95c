//! What the file tool says when it fails.

use serde::Deserialize;

use super::tool::Tool;
use crate::error::{Error, ErrorKind};

/// The tool's standard error when it fails: one JSON object.
#[derive(Deserialize)]
struct Report {
    error_kind: String,
    message: String,
}

/// Turns a failed tool's standard error into an error about the path.
pub(super) fn error(tool: &Tool<'_>, exit: &str, stderr: &[u8]) -> Error {
    let Ok(report) = serde_json::from_slice::<Report>(stderr) else {
        return Error::unexpected(format!("the file tool failed with {exit} and gave no reason"))
            .during(tool.name());
    };
    let text = format!("{}: {}", report.message, tool.path());
    Error::new(kind(tool, &report.error_kind), text).during(tool.name()).with_path(tool.path())
}

/// The table of protocol section 6; a word that it leaves open is an internal error.
fn kind(tool: &Tool<'_>, word: &str) -> ErrorKind {
    match (word, tool) {
        ("NotFound", _) => ErrorKind::NotFound,
        ("PermissionDenied", _) => ErrorKind::PermissionDenied,
        ("IsDirectory", _) => ErrorKind::IsDirectory,
        ("NotDirectory", _)
        | ("IsFile", Tool::ListFiles { .. })
        | ("AlreadyExists", Tool::WriteFile { .. }) => ErrorKind::NotADirectory,
        ("PathAlreadyExists" | "AlreadyExists", _) => ErrorKind::AlreadyExists,
        ("DirectoryNotEmpty", _) => ErrorKind::DirectoryNotEmpty,
        ("FileTooLarge", _) => ErrorKind::FileTooLarge,
        ("NotSupported", _) => ErrorKind::Unsupported,
        ("InvalidArgument", _) => ErrorKind::InvalidArgument,
        ("ResourceExhausted", _) => ErrorKind::ResourceExhausted,
        _ => ErrorKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_words_become_kinds() {
        let report = |tool: &Tool<'_>, word: &str| {
            let json = format!(r#"{{"error_kind":"{word}","message":"no"}}"#);
            error(tool, "exit code 1", json.as_bytes())
        };
        let read = Tool::ReadFile { path: "/a" };
        let write = Tool::WriteFile { path: "/a" };
        let list = Tool::ListFiles { path: "/a" };
        let mkdir = Tool::MakeDirectory { path: "/a", parents: false };
        assert_eq!(report(&read, "NotFound").kind(), ErrorKind::NotFound);
        assert_eq!(report(&read, "NotFound").path(), Some("/a"));
        assert_eq!(report(&write, "AlreadyExists").kind(), ErrorKind::NotADirectory);
        assert_eq!(report(&list, "IsFile").kind(), ErrorKind::NotADirectory);
        assert_eq!(report(&mkdir, "PathAlreadyExists").kind(), ErrorKind::AlreadyExists);
        assert_eq!(report(&write, "ResourceExhausted").kind(), ErrorKind::ResourceExhausted);
        assert_eq!(report(&write, "InvalidArgument").kind(), ErrorKind::InvalidArgument);
        assert_eq!(report(&read, "Novel").kind(), ErrorKind::Internal);
    }

    #[test]
    fn an_unreadable_report_is_not_about_the_path() {
        let error = error(&Tool::Stat { path: "/a" }, "exit code 3", b"Segmentation fault");
        assert_eq!((error.kind(), error.path()), (ErrorKind::UnexpectedReply, None));
        assert!(error.message().contains("exit code 3"));
    }
}
