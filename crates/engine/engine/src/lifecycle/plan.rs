//! Checks what is asked for and turns it, with the image, into a row and a launch plan.

use super::{
    find::{check_name, check_tags},
    volumes,
};
use crate::{
    engine::Inner,
    error::{Error, Result},
    id::{self, SandboxId},
    launch::LaunchPlan,
    ports::{self, Listeners},
    sandbox::{Limits, Owner, SandboxInfo, SandboxSpec, SandboxState},
    store::{Folder, ImageRow, Phase, Process, SandboxRow},
};
use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// Life of a sandbox that asks for none.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);
/// Processes and threads of a sandbox that sets no bound: a fork bomb must not reach the host.
const PIDS: u64 = 4096;
/// Open files of one process.
const NOFILE: u64 = 65_536;
/// Bytes of `/dev/shm`: what container runtimes give.
const SHM_BYTES: u64 = 64 << 20;
/// Least memory: below it the first command dies before it says why.
const LEAST_MEMORY: u64 = 1 << 20;
/// Longest note.
const MAX_NOTE: usize = 1 << 20;

/// Refuses a spec whose values are wrong, before anything is made.
pub(crate) fn check_spec(spec: &SandboxSpec) -> Result<()> {
    check_arguments(&spec.command)?;
    check_env(&spec.env)?;
    if let Some(workdir) = &spec.workdir {
        check_workdir(workdir)?;
    }
    check_limits(&spec.limits)?;
    volumes::placed(&spec.volumes)?;
    ports::check(&spec.ports)?;
    check_tags(&spec.tags)?;
    spec.name.as_deref().map_or(Ok(()), check_name)?;
    if spec.note.len() > MAX_NOTE {
        return Err(Error::invalid(format!(
            "the note has {} bytes, at most {MAX_NOTE} are kept",
            spec.note.len()
        )));
    }
    if spec.lifetime.is_some_and(|time| time.as_millis() == 0)
        || spec.idle_timeout.is_some_and(|time| time.as_millis() == 0)
    {
        return Err(Error::invalid(
            "a life time or idle time of less than a millisecond: leave it out for none",
        ));
    }
    Ok(())
}

fn check_limits(limits: &Limits) -> Result<()> {
    if limits.memory_bytes.is_some_and(|bytes| bytes < LEAST_MEMORY) {
        return Err(Error::invalid(format!(
            "a memory limit below {LEAST_MEMORY} bytes starts nothing: raise it"
        )));
    }
    if limits.milli_cpus.is_some_and(|cpus| cpus < 10) {
        return Err(Error::invalid("a processor limit below 0.01 is finer than the kernel's: raise it"));
    }
    if limits.pids.is_some_and(|pids| pids < 2) {
        return Err(Error::invalid("a process limit below 2 starts nothing: raise it"));
    }
    Ok(())
}

/// Refuses texts that no argument vector can carry.
pub(crate) fn check_arguments(arguments: &[String]) -> Result<()> {
    match arguments.iter().any(|argument| argument.contains('\0')) {
        true => Err(Error::invalid("an argument contains a NUL byte")),
        false => Ok(()),
    }
}

/// Refuses variables that no environment can carry. Values stay out of the message.
pub(crate) fn check_env(env: &[(String, String)]) -> Result<()> {
    for (key, value) in env {
        if key.is_empty() || key.contains(['=', '\0']) {
            return Err(Error::invalid(format!("{key:?} is no name of an environment variable")));
        }
        if value.contains('\0') {
            return Err(Error::invalid(format!(
                "the value of the environment variable {key:?} contains a NUL byte"
            )));
        }
    }
    Ok(())
}

/// Refuses working directories that are not absolute.
pub(crate) fn check_workdir(workdir: &str) -> Result<()> {
    let fits = workdir.starts_with('/') && !workdir.contains('\0') && workdir.len() < 4096;
    if fits {
        Ok(())
    } else {
        Err(Error::invalid(format!("{workdir:?} is no absolute path for a working directory")))
    }
}

/// The row of a sandbox to be made.
pub(crate) fn row(spec: &SandboxSpec, image: &ImageRow) -> Result<SandboxRow> {
    let creator = Process::current()?;
    let owner = match spec.owner {
        Owner::Detached => None,
        Owner::ThisProcess => Some(creator.clone()),
    };
    let info = SandboxInfo {
        id: spec.id.clone().unwrap_or_else(SandboxId::random),
        state: SandboxState::Creating,
        image: image.info.id.clone(),
        image_name: spec.image.clone(),
        created_at: SystemTime::now(),
        expires_at: None,
        command: spec.command.clone(),
        limits: spec.limits,
        volumes: volumes::placed(&spec.volumes)?,
        name: spec.name.clone(),
        scope: spec.scope.clone(),
        tags: spec.tags.clone(),
        owned: owner.is_some(),
        note: spec.note.clone(),
        lifetime: spec.lifetime.unwrap_or(LIFETIME),
        idle_timeout: spec.idle_timeout,
        birth: id::random_birth(),
    };
    let (agent, ending) = (None, None);
    Ok(SandboxRow {
        info,
        phase: Phase::Creating,
        creator,
        owner,
        agent,
        ending,
        frozen: false,
        folder: true,
        files: true,
        keep_files: spec.keep_files,
    })
}

/// What the launch needs.
pub(crate) fn launch_plan(
    inner: &Inner,
    spec: &SandboxSpec,
    row: &SandboxRow,
    image: &ImageRow,
    folder: Folder,
    listeners: Listeners,
) -> Result<LaunchPlan> {
    let paths = |layers: &[(String, u64)]| -> Vec<PathBuf> {
        layers.iter().map(|(layer, _)| inner.store.layers_dir().join(layer)).collect()
    };
    Ok(LaunchPlan {
        store_id: inner.store.id().to_owned(),
        sandbox: row.info.id.as_str().to_owned(),
        dir: folder.path,
        lock: folder.lock,
        listener: folder.listener,
        result: folder.result,
        root_layers: paths(&image.content.layers),
        usr_layers: image.content.usr.as_deref().map(paths),
        volumes: volumes::plan(inner, &row.info.volumes)?,
        hostname: hostname(&row.info.id),
        env: environment(image, &spec.env),
        workdir: workdir(spec, image),
        limits: Limits { pids: Some(spec.limits.pids.unwrap_or(PIDS)), ..spec.limits },
        lifetime: row.info.lifetime,
        idle: row.info.idle_timeout,
        nofile: NOFILE,
        shm_bytes: SHM_BYTES,
        listeners,
    })
}

/// The directory in which commands start that name none.
pub(crate) fn workdir(spec: &SandboxSpec, image: &ImageRow) -> String {
    spec.workdir.clone().or_else(|| image.content.workdir.clone()).unwrap_or_else(|| "/".to_owned())
}

/// A host name has letters, digits and `-`, and at most 63 of them (hostname(7)).
fn hostname(id: &SandboxId) -> String {
    id.as_str().chars().map(|c| if c == '_' { '-' } else { c }).take(63).collect()
}

/// The image's, then the spec's; of one name the last one stays. What nobody sets, PATH and HOME, the agent adds for each command.
fn environment(image: &ImageRow, env: &[(String, String)]) -> Vec<(String, String)> {
    let mut merged: Vec<(String, String)> = Vec::new();
    for (key, value) in image.content.env.iter().chain(env) {
        match merged.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => known.clone_from(value),
            None => merged.push((key.clone(), value.clone())),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn values_that_cannot_be_carried_are_refused_without_their_text() {
        assert!(check_env(&text(&[("A", "secret\0")])).unwrap_err().to_string().find("secret").is_none());
        for key in ["", "A=B", "A\0"] {
            assert!(check_env(&text(&[(key, "x")])).is_err(), "{key:?} was taken");
        }
        assert!(check_arguments(&["a\0".to_owned()]).is_err());
        assert!(check_workdir("relative").is_err());
        assert!(check_limits(&Limits { memory_bytes: Some(4096), ..Limits::default() }).is_err());
    }

    #[test]
    fn of_one_variable_the_last_value_stays() {
        let content =
            crate::store::ImageContent { env: text(&[("A", "1"), ("PATH", "/x")]), ..Default::default() };
        let image = ImageRow { info: crate::image::ImageInfo::empty(crate::id::ImageId::random()), content };
        let env = environment(&image, &text(&[("A", "2"), ("A", "3")]));
        assert_eq!(env, text(&[("A", "3"), ("PATH", "/x")]));
    }

    #[test]
    fn a_host_name_has_no_underscores() {
        assert_eq!(hostname(&SandboxId::parse("a_b").unwrap()), "a-b");
    }
}
