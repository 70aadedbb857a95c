//! Under which ids a command runs.

use crate::{
    agent::Agent,
    engine::Engine,
    error::{Error, Result},
    files,
};
use std::os::fd::OwnedFd;

/// Longest `/etc/passwd` or `/etc/group` that is looked at.
const MAX_TABLE: usize = 1 << 20;

/// Ids of a command, inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

/// Resolves an image's `USER` (name or id, with or without `:group`; empty is root) by the sandbox's own tables, as an OCI runtime
/// does. An id that no table knows has group 0.
pub(super) async fn resolve(engine: &Engine, agent: &Agent, user: &str) -> Result<User> {
    if matches!(user, "" | "0" | "root" | "0:0" | "root:root") {
        return Ok(User::default());
    }
    let root = agent.root().await?;
    let wanted = user.to_owned();
    engine.blocking(move |_| lookup(&wanted, &table(&root, "/etc/passwd"), &table(&root, "/etc/group"))).await
}

/// The text of a table; a missing or strange one is empty.
fn table(root: &OwnedFd, path: &str) -> String {
    let bytes = files::read_start(root, path, MAX_TABLE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn lookup(user: &str, passwd: &str, group: &str) -> Result<User> {
    let (user, wanted_group) = user.split_once(':').map_or((user, None), |(user, group)| (user, Some(group)));
    // name:password:uid:gid:… (passwd(5)), name:password:gid:members (group(5))
    let known = rows(passwd)
        .find(|row| row.first() == Some(&user))
        .or_else(|| rows(passwd).find(|row| row.get(2) == Some(&user)));
    let number = |row: &[&str], at: usize| row.get(at).and_then(|text| text.parse::<u32>().ok());
    let uid = known.as_deref().and_then(|row| number(row, 2)).or_else(|| user.parse().ok());
    let uid = uid.ok_or_else(|| Error::invalid(format!("the image has no user {user:?}")))?;
    if let Some(wanted) = wanted_group {
        let known = rows(group).find(|row| row.first() == Some(&wanted)).and_then(|row| number(&row, 2));
        let gid = known
            .or_else(|| wanted.parse().ok())
            .ok_or_else(|| Error::invalid(format!("the image has no group {wanted:?}")))?;
        return Ok(User { uid, gid, groups: Vec::new() });
    }
    let gid = known.as_deref().and_then(|row| number(row, 3)).unwrap_or(0);
    let name = known.as_deref().and_then(|row| row.first().copied()).unwrap_or(user);
    let member =
        |row: &Vec<&str>| row.get(3).is_some_and(|members| members.split(',').any(|member| member == name));
    let groups =
        rows(group).filter(member).filter_map(|row| number(&row, 2)).filter(|other| *other != gid).collect();
    Ok(User { uid, gid, groups })
}

fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    table.lines().map(|line| line.split(':').collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\nextra:x:44:app,other\n";

    #[test]
    fn names_and_ids_are_found_in_the_image() {
        let app = User { uid: 1000, gid: 1001, groups: vec![44] };
        assert_eq!(lookup("app", PASSWD, GROUP).unwrap(), app);
        assert_eq!(lookup("1000", PASSWD, GROUP).unwrap(), app);
        assert_eq!(lookup("app:extra", PASSWD, GROUP).unwrap(), User { uid: 1000, gid: 44, groups: vec![] });
        assert_eq!(lookup("77:88", PASSWD, GROUP).unwrap(), User { uid: 77, gid: 88, groups: vec![] });
        assert_eq!(lookup("77", PASSWD, GROUP).unwrap(), User { uid: 77, gid: 0, groups: vec![] });
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(lookup("ghost", PASSWD, GROUP).is_err());
        assert!(lookup("app:ghosts", PASSWD, GROUP).is_err());
        assert!(lookup("ghost", "strange\n::\n", "").is_err());
    }
}
