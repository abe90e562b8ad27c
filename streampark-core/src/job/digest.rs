//! SHA-256 of files, computed once for each content.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A file changed so recently may change again without a new time: file systems count in steps of up
/// to 2 s (FAT), and what is remembered of it could be wrong.
const RACY: Duration = Duration::from_secs(2);

/// The SHA-256 of the file at `path` in lower-case hex. It is remembered under `cache` by path, size
/// and time of change, so that a jar of hundreds of megabytes is read once. Blocks.
pub(super) fn of_file(path: &Path, cache: &Path) -> Result<String> {
    let unreadable = |source: std::io::Error| Error::from(source).with_context("file", path.display());
    let mut file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let place = cache.join("digests").join(of_bytes(path.as_os_str().as_encoded_bytes()));
    let stamp = stamp(&metadata);
    if let Some(stamp) = &stamp
        && let Ok(known) = std::fs::read_to_string(&place)
        && let Some(digest) = known.strip_prefix(stamp.as_str()).and_then(|rest| rest.strip_prefix(' '))
        && digest.len() == 64
    {
        return Ok(digest.to_owned());
    }
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(unreadable)? {
            0 => break,
            read => hash.update(buffer.get(..read).unwrap_or_default()),
        }
    }
    let digest = hex::encode(hash.finalize());
    if let Some(stamp) = stamp
        && let Err(source) = replace(&place, format!("{stamp} {digest}").as_bytes())
    {
        // Only time is lost: it is computed again.
        tracing::debug!(file = %path.display(), error = %source, "the hash of a file could not be remembered");
    }
    Ok(digest)
}

/// The SHA-256 of `bytes` in lower-case hex.
pub(super) fn of_bytes(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Writes a small file whole or not at all; its folder is made where it is absent.
pub(super) fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    use std::io::Write;

    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}

/// What changes with the content of a file; None where that cannot be told yet.
fn stamp(metadata: &Metadata) -> Option<String> {
    let modified = metadata.modified().ok()?;
    if SystemTime::now().duration_since(modified).ok()? < RACY {
        return None;
    }
    let nanos = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt;
        format!("{}-{}-{}", metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
    };
    #[cfg(not(unix))]
    let identity = "-";
    Some(format!("{}-{nanos}-{identity}", metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(path: &Path, seconds: u64) {
        let time = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn a_known_file_is_not_read_again_and_a_changed_one_is() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("a.jar"), folder.path().join("cache"));
        std::fs::write(&file, "one").unwrap();
        age(&file, 60);
        let first = of_file(&file, &cache).unwrap();
        assert_eq!(first, of_bytes(b"one"));
        let place = std::fs::read_dir(cache.join("digests")).unwrap().next().unwrap().unwrap().path();
        let forged = std::fs::read_to_string(&place).unwrap().replace(&first, &"0".repeat(64));
        std::fs::write(&place, forged).unwrap();
        assert_eq!(of_file(&file, &cache).unwrap(), "0".repeat(64), "what is remembered is used");

        std::fs::write(&file, "two").unwrap();
        age(&file, 30);
        assert_eq!(of_file(&file, &cache).unwrap(), of_bytes(b"two"));
    }

    #[test]
    fn a_file_of_just_now_is_not_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("a.jar"), folder.path().join("cache"));
        std::fs::write(&file, "one").unwrap();
        of_file(&file, &cache).unwrap();
        assert!(!cache.exists());
    }
}
