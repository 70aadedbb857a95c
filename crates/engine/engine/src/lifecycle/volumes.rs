//! Where the volumes of a sandbox may appear.

use crate::{
    engine::Inner,
    error::{Error, Result},
    launch::VolumePlan,
    protocol::MAX_VOLUMES,
    volume::{self, VolumeMount},
};

/// What the kernel and the engine mount; nothing may cover it or lie in it.
const RESERVED: [&str; 3] = ["/proc", "/sys", "/dev"];
/// Longest path (PATH_MAX with its NUL) and longest name in one.
const MAX_PATH: usize = 4095;
const MAX_NAME: usize = 255;

/// The mounts with their paths in one form: no empty parts, no slash at the end.
pub(crate) fn placed(mounts: &[VolumeMount]) -> Result<Vec<VolumeMount>> {
    if mounts.len() > MAX_VOLUMES {
        let count = mounts.len();
        return Err(Error::invalid(format!("{count} volumes: a sandbox has at most {MAX_VOLUMES}")));
    }
    let mut placed: Vec<VolumeMount> = Vec::new();
    for mount in mounts {
        let path = place(&mount.path)?;
        if let Some(other) = placed.iter().find(|other| overlap(&other.path, &path)) {
            let message =
                format!("the volumes at {:?} and {path:?} lie in one another: keep them apart", other.path);
            return Err(Error::invalid(message));
        }
        let sub_path = mount.sub_path.as_deref().map(sub_path).transpose()?.flatten();
        placed.push(VolumeMount { path, sub_path, ..mount.clone() });
    }
    Ok(placed)
}

fn place(path: &str) -> Result<String> {
    let parts = parts(path).filter(|_| path.starts_with('/'));
    let parts = parts.ok_or_else(|| {
        Error::invalid(format!(
            "{path:?} is no place for a volume: give an absolute path without `.` and `..`"
        ))
    })?;
    let place = format!("/{}", parts.join("/"));
    if parts.is_empty() || RESERVED.iter().any(|reserved| is_in(&place, reserved)) {
        return Err(Error::invalid(format!(
            "{path:?} is no place for a volume: not over the root, and not in {}",
            RESERVED.join(", ")
        )));
    }
    Ok(place)
}

/// Without leading slash; nothing for the whole volume.
fn sub_path(path: &str) -> Result<Option<String>> {
    let parts = parts(path).ok_or_else(|| {
        Error::invalid(format!(
            "{path:?} is no folder of a volume: give its path in the volume without `.` and `..`"
        ))
    })?;
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

/// The names in a path; `None` when it cannot be taken.
fn parts(path: &str) -> Option<Vec<&str>> {
    if path.is_empty() || path.len() > MAX_PATH || path.contains('\0') {
        return None;
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let fits = parts.iter().all(|part| !matches!(*part, "." | "..") && part.len() <= MAX_NAME);
    fits.then_some(parts)
}

fn overlap(one: &str, other: &str) -> bool {
    is_in(one, other) || is_in(other, one)
}

fn is_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the launch needs, with the folders of the volumes made.
pub(crate) fn plan(inner: &Inner, mounts: &[VolumeMount]) -> Result<Vec<VolumePlan>> {
    let plan = |mount: &VolumeMount| {
        Ok(VolumePlan {
            dir: volume::folder(inner, &mount.volume)?,
            sub_path: mount.sub_path.clone(),
            target: mount.path.clone(),
            read_only: mount.read_only,
        })
    };
    mounts.iter().map(plan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::VolumeId;

    fn mount(path: &str, sub_path: Option<&str>) -> VolumeMount {
        let sub_path = sub_path.map(str::to_owned);
        VolumeMount { volume: VolumeId::random(), path: path.to_owned(), read_only: false, sub_path }
    }

    #[test]
    fn places_have_one_form() {
        let placed = placed(&[mount("/data/", Some("/a//b/")), mount("//srv//x", Some("/"))]).unwrap();
        assert_eq!((placed[0].path.as_str(), placed[0].sub_path.as_deref()), ("/data", Some("a/b")));
        assert_eq!((placed[1].path.as_str(), placed[1].sub_path.as_deref()), ("/srv/x", None));
    }

    #[test]
    fn places_that_would_cover_what_must_stay_are_refused() {
        for bad in
            ["", "data", "/", "//", "/.", "/a/../b", "/proc", "/proc/self", "/sys/", "/dev/shm", "/a\0"]
        {
            assert!(placed(&[mount(bad, None)]).is_err(), "{bad:?} was taken");
        }
        for bad in ["..", "a/../b", "", "a\0"] {
            assert!(placed(&[mount("/data", Some(bad))]).is_err(), "{bad:?} was taken");
        }
        assert!(placed(&[mount("/process", None), mount("/devices", None)]).is_ok());
    }

    #[test]
    fn places_in_one_another_are_refused_by_name() {
        for (one, other) in [("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a/"), ("/a", "//a")] {
            let error = placed(&[mount(one, None), mount(other, None)]).unwrap_err();
            assert!(error.to_string().contains("\"/a"), "{error}");
        }
        assert!(placed(&[mount("/a", None), mount("/ab", None)]).is_ok());
        assert!(placed(&(0..33).map(|n| mount(&format!("/{n}"), None)).collect::<Vec<_>>()).is_err());
    }
}
