//! What is in a jar, from its central directory alone.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::{Error, ErrorKind, Result};

/// The largest manifest that is read; real ones have a few hundred bytes.
const MANIFEST_LIMIT: u64 = 1024 * 1024;

/// A jar that could be opened.
#[derive(Debug)]
pub(super) struct Jar {
    archive: ZipArchive<BufReader<File>>,
    names: HashSet<String>,
}

/// Refuses what is no jar; messages call it `shown`. Blocks.
pub(super) fn check(path: &Path, shown: &str) -> Result<()> {
    open_archive(path, shown).map(drop)
}

impl Jar {
    /// Opens the jar at `path`. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let archive = open_archive(path, &path.to_string_lossy())?;
        // A name that is no text is no class.
        let names = archive.file_names().filter_map(|name| name.ok()).map(|name| name.into_owned()).collect();
        Ok(Self { archive, names })
    }

    /// Whether the entry is there.
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Whether the jar holds jars that Flink puts on the class path of the program
    /// (`PackagedProgram.extractContainedLibraries`).
    pub(super) fn has_libraries(&self) -> bool {
        self.names.iter().any(|name| name.starts_with("lib/") && name.ends_with(".jar"))
    }

    /// The classes that can be named, as `a.b.C`, in no order.
    pub(super) fn classes(&self) -> impl Iterator<Item = String> {
        self.names.iter().filter_map(|name| {
            let class = name.strip_suffix(".class")?;
            let described = class.ends_with("-info") || class.starts_with("META-INF/");
            let anonymous = class.rsplit('$').next().is_some_and(|part| part.starts_with(|c: char| c.is_ascii_digit()));
            (!described && !anonymous).then(|| class.replace('/', "."))
        })
    }

    /// The class that the manifest names, in Flink's order of attributes
    /// (`PackagedProgram.getEntryPointClassNameFromJar`).
    pub(super) fn manifest_class(&mut self) -> Result<Option<String>> {
        let Some(position) = self.archive.index_for_name("META-INF/MANIFEST.MF") else { return Ok(None) };
        let damaged = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Program, "the manifest of the jar cannot be read; build the jar again")
                .with_source(source)
        };
        let entry = self.archive.by_index(position).map_err(|source| damaged(source.into()))?;
        let mut text = Vec::new();
        entry.take(MANIFEST_LIMIT).read_to_end(&mut text).map_err(|source| damaged(source.into()))?;
        let text = String::from_utf8_lossy(&text);
        Ok(["program-class", "Main-Class"].into_iter().find_map(|name| attribute(&text, name)))
    }
}

fn open_archive(path: &Path, shown: &str) -> Result<ZipArchive<BufReader<File>>> {
    let file = File::open(path).map_err(|source| Error::from(source).with_context("jar", shown))?;
    ZipArchive::new(BufReader::new(file)).map_err(|source| not_a_jar(path, shown).with_source(source))
}

/// Says what the file is instead, because that is nearly always the whole answer.
fn not_a_jar(path: &Path, shown: &str) -> Error {
    let mut head = Vec::new();
    // Where even this fails, the plain message has to do.
    let _ = File::open(path).and_then(|file| file.take(512).read_to_end(&mut head));
    let text = String::from_utf8_lossy(&head).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let instead = match head.as_slice() {
        [] => "it is empty; build or copy it again",
        [b'P', b'K', 3, 4, ..] => "it is cut off or damaged; build or copy it again",
        [0x1f, 0x8b, ..] => "it is a gzip archive; unpack it and name the jar in it",
        [0xca, 0xfe, 0xba, 0xbe, ..] => "it is a single class; pack it into a jar",
        _ if text.starts_with("<!doctype html") || text.starts_with("<html") => {
            "it is an HTML page; an error or login page was probably saved in its place"
        }
        _ if text.starts_with("version https://git-lfs") => {
            "it is a pointer of Git LFS; fetch the file itself with git lfs pull"
        }
        head if !head.contains(&0) && std::str::from_utf8(head).is_ok() => "it is a text file; name the jar itself",
        _ => "it is not a zip archive; name the jar itself",
    };
    Error::new(ErrorKind::Program, format!("'{shown}' is not a jar: {instead}"))
}

/// An attribute of a manifest's main section; long lines go on after a line break and a space
/// (JAR File Specification, "Manifest").
fn attribute(manifest: &str, name: &str) -> Option<String> {
    let manifest = manifest.replace("\r\n", "\n").replace('\r', "\n").replace("\n ", "");
    manifest
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().to_owned())
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::attribute;

    #[test]
    fn manifests_are_read_as_the_jar_specification_says() {
        let manifest =
            "Manifest-Version: 1.0\r\nmain-class: com.acme.a.very.lo\r\n ng.Name\r\n\r\nName: x\r\nOther: y\r\n";
        assert_eq!(attribute(manifest, "Main-Class").as_deref(), Some("com.acme.a.very.long.Name"));
        assert_eq!(attribute(manifest, "Other"), None, "only the main section counts");
        assert_eq!(attribute("Main-Class: \n", "Main-Class"), None);
    }
}
