//! Which file system a file is on.

use std::path::{Path, PathBuf};

/// File systems on which locks or synced writes of SQLite's write-ahead log cannot be relied on,
/// as Linux names them. Source: sqlite.org/wal.html, "does not work over a network filesystem".
const NETWORK: [&str; 10] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse"];

/// The network file system that holds `path`, where it is known to be one. Linux only.
pub(super) fn network_file_system(path: &Path) -> Option<String> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    network_of(&table, path).map(str::to_owned)
}

/// Reads a `mountinfo` table (`man 5 proc_pid_mountinfo`); of several mounts over `path` the deepest
/// counts, and of two in one place the later.
fn network_of<'a>(table: &'a str, path: &Path) -> Option<&'a str> {
    let (_, kind) = table
        .lines()
        .filter_map(|line| {
            let (mount, system) = line.split_once(" - ")?;
            let folder = unescape(mount.split(' ').nth(4)?);
            path.starts_with(&folder).then_some((folder.components().count(), system.split(' ').next()?))
        })
        .max_by_key(|(depth, _)| *depth)?;
    NETWORK.contains(&kind).then_some(kind)
}

/// The kernel writes space, tab, line feed and backslash as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(escapes.iter().fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:41 / /data rw,relatime shared:2 - nfs4 filer:/data rw,vers=4.2
41 40 8:2 / /data/local rw,relatime - xfs /dev/sdb1 rw
42 22 0:42 / /my\\040share rw - cifs //server/share rw
";

    #[test]
    fn the_deepest_mount_decides() {
        assert_eq!(network_of(TABLE, Path::new("/home/jobs.db")), None);
        assert_eq!(network_of(TABLE, Path::new("/data/jobs.db")), Some("nfs4"));
        assert_eq!(network_of(TABLE, Path::new("/data/local/jobs.db")), None);
        assert_eq!(network_of(TABLE, Path::new("/database/jobs.db")), None);
        assert_eq!(network_of(TABLE, Path::new("/my share/jobs.db")), Some("cifs"));
    }
}
