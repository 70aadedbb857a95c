//! Which extended attributes of an archive reach a layer.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::XattrFlags;

use crate::ids::IdRange;

/// Sets the attributes that mean the same in every sandbox and counts the others.
pub(super) fn set(
    file: impl AsFd,
    attributes: &[(Vec<u8>, Vec<u8>)],
    ids: IdRange,
    regular: bool,
) -> io::Result<u64> {
    let mut dropped = 0;
    for (name, value) in attributes {
        let kept = match name.as_slice() {
            b"security.capability" if regular => shifted_capability(value, ids),
            name if name.starts_with(b"user.") && !name.starts_with(b"user.overlay.") => Some(value.clone()),
            _ => None,
        };
        match kept {
            Some(value) => {
                rustix::fs::fsetxattr(file.as_fd(), name.as_slice(), &value, XattrFlags::empty())?;
            }
            None => dropped += 1,
        }
    }
    Ok(dropped)
}

/// File capabilities that count for the guest's root only (capabilities(7), `VFS_CAP_REVISION_3`).
///
/// Kept as they stand in the archive, they would be real ones on the host.
fn shifted_capability(value: &[u8], ids: IdRange) -> Option<Vec<u8>> {
    const REVISION_2: u32 = 0x0200_0000;
    const REVISION_3: u32 = 0x0300_0000;
    const FLAGS: u32 = 0x00ff_ffff;
    let magic = u32::from_le_bytes(value.get(..4)?.try_into().ok()?);
    if value.len() != 20 || magic & !FLAGS != REVISION_2 {
        return None;
    }
    let mut shifted = (REVISION_3 | magic & FLAGS).to_le_bytes().to_vec();
    shifted.extend_from_slice(&value[4..]);
    shifted.extend_from_slice(&ids.base.to_le_bytes());
    Some(shifted)
}
