//! What the file tool says of one file.

use serde::{Deserialize, Deserializer};

/// One file, directory or link.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct FileEntry {
    /// The last part of the path.
    pub name: String,
    /// The whole path.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileType,
    /// Bytes of a file's content.
    pub size: u64,
    /// The mode bits; the lowest twelve are the permissions.
    pub mode: u32,
    /// The permissions as `ls` writes them, for example `-rw-r--r--`.
    pub permissions: String,
    /// The owner's name, or number where it has none.
    pub owner: String,
    /// The group's name, or number where it has none.
    pub group: String,
    /// When the content last changed, in seconds since 1970.
    pub modified_time: f64,
    /// What a link points to.
    #[serde(default)]
    pub symlink_target: Option<String>,
}

/// What a path is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Something else, in the server's word for it.
    Other(String),
}

impl<'de> Deserialize<'de> for FileType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(match word.as_str() {
            "file" => Self::File,
            "directory" => Self::Directory,
            "symlink" => Self::Symlink,
            _ => Self::Other(word),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_from_the_tools_json() {
        let json = r#"{"name":"a","path":"/d/a","type":"symlink","size":1,"mode":511,"permissions":"lrwxrwxrwx",
            "owner":"root","group":"root","modified_time":1700000000.5,"symlink_target":"b"}"#;
        let entry: FileEntry = serde_json::from_str(json).unwrap();
        assert_eq!((entry.kind, entry.symlink_target.as_deref()), (FileType::Symlink, Some("b")));
        let without = json.replace(r#","symlink_target":"b""#, "").replace("symlink", "socket");
        let entry: FileEntry = serde_json::from_str(&without).unwrap();
        assert_eq!(entry.kind, FileType::Other("socket".to_owned()));
    }
}
