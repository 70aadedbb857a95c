//! `/etc` of the image `host`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::HostError;
use super::builder::Builder;
use crate::error::failed;

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
bin:x:2:2:bin:/bin:/usr/sbin/nologin
sys:x:3:3:sys:/dev:/usr/sbin/nologin
mail:x:8:8:mail:/var/mail:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
";
const GROUP: &str = "\
root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
mail:x:8:
www-data:x:33:
utmp:x:43:
staff:x:50:
users:x:100:
nogroup:x:65534:
";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
const NSSWITCH: &str = "\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
ethers: files
rpc: files
";

/// Files of the machine that programs look up and that say nothing about it.
const COPIED_FILES: [&str; 7] =
    ["ld.so.cache", "ld.so.conf", "services", "protocols", "rpc", "mime.types", "ssl/openssl.cnf"];
/// Directories of which world-readable files and links are copied, with everything below.
const COPIED_TREES: [&str; 5] =
    ["ld.so.conf.d", "alternatives", "ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted"];
/// Where the distribution made a link it stays one, so that it follows the image's /usr.
const LINKS_OR_FILES: [&str; 3] = ["os-release", "localtime", "ssl/cert.pem"];
/// Largest file that is copied; a bundle of certificate authorities has a quarter of a megabyte.
const LARGEST: u64 = 4 << 20;

pub(super) fn build(builder: &Builder) -> Result<(), HostError> {
    builder.directory("etc", 0o755)?;
    for (name, contents) in [
        ("passwd", PASSWD),
        ("group", GROUP),
        ("hosts", HOSTS),
        ("resolv.conf", ""),
        ("nsswitch.conf", NSSWITCH),
        ("shells", "/bin/sh\n/bin/bash\n"),
    ] {
        builder.file(Path::new("etc").join(name), contents.as_bytes())?;
    }
    builder.link("etc/mtab", "../proc/self/mounts")?;
    for name in COPIED_FILES.iter().chain(&LINKS_OR_FILES) {
        copy(builder, Path::new(name), 0)?;
    }
    for name in COPIED_TREES {
        copy(builder, Path::new(name), 4)?;
    }
    Ok(())
}

/// Copies a file, a link, or with `depth` left a directory of the machine's `/etc`; skips what is not there.
fn copy(builder: &Builder, name: &Path, depth: usize) -> Result<(), HostError> {
    let (from, to) = (Path::new("/etc").join(name), Path::new("etc").join(name));
    let metadata = match fs::symlink_metadata(&from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(failed("examine", &from))?,
    };
    // What only root may read is nobody else's business.
    let public = metadata.permissions().mode() & 0o004 != 0;
    if metadata.is_symlink() {
        let target = fs::read_link(&from).map_err(failed("read link", &from))?;
        return Ok(builder.link(to, target)?);
    }
    if metadata.is_file() && public && metadata.len() <= LARGEST {
        return copy_file(builder, &from, &to);
    }
    if metadata.is_dir() && public && depth > 0 {
        for entry in fs::read_dir(&from).map_err(failed("list", &from))? {
            let entry = entry.map_err(failed("list", &from))?;
            copy(builder, &name.join(entry.file_name()), depth - 1)?;
        }
    }
    Ok(())
}

fn copy_file(builder: &Builder, from: &Path, to: &Path) -> Result<(), HostError> {
    let contents = fs::read(from).map_err(failed("read", from))?;
    // A key that somebody stored among the certificates, readable by all, is a key all the same.
    if contains(&contents, b"PRIVATE KEY") {
        return Ok(());
    }
    Ok(builder.file(to, &contents)?)
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_account_has_its_group() {
        for line in PASSWD.lines() {
            let gid = line.split(':').nth(3).unwrap();
            assert!(GROUP.lines().any(|group| group.split(':').nth(2) == Some(gid)), "{line}");
        }
        assert!(contains(b"-----BEGIN PRIVATE KEY-----", b"PRIVATE KEY"));
    }
}
