//! What can be read from a `pom.xml` without running Maven: enough to find the modules of a build.

use std::collections::BTreeMap;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::failure::{BuildFailure, BuildFailureKind};
use crate::{Error, Result};

/// How deep aggregators may hold aggregators, and how many modules a build may have.
const MAX_DEPTH: usize = 16;
const MAX_MODULES: usize = 2_000;
/// A `pom.xml` larger than this is none.
const MAX_BYTES: u64 = 8 << 20;

/// A `pom.xml`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Pom {
    pub(super) artifact: String,
    pub(super) packaging: String,
    /// Those of profiles too: which profile is active only Maven knows.
    pub(super) modules: Vec<String>,
    pub(super) properties: BTreeMap<String, String>,
    /// `group:artifact` and version, as written.
    pub(super) dependencies: Vec<(String, Option<String>)>,
}

impl Pom {
    pub(super) fn parse(text: &str) -> Result<Self, quick_xml::Error> {
        let mut reader = Reader::from_str(text);
        let mut pom = Self { packaging: "jar".to_owned(), ..Self::default() };
        let mut path: Vec<String> = Vec::new();
        let mut value = String::new();
        let mut dependency = (String::new(), String::new(), None);
        loop {
            match reader.read_event()? {
                Event::Start(start) => {
                    path.push(start.local_name().as_ref().to_owned());
                    value.clear();
                }
                Event::Text(text) => value.push_str(&text),
                Event::CData(text) => value.push_str(&text),
                Event::End(_) => {
                    let text = value.trim().to_owned();
                    let words: Vec<&str> = path.iter().map(String::as_str).collect();
                    match words.as_slice() {
                        ["project", "artifactId"] => pom.artifact = text,
                        ["project", "packaging"] => pom.packaging = text,
                        ["project", "modules", "module"] | ["project", "profiles", "profile", "modules", "module"] => {
                            pom.modules.push(text)
                        }
                        ["project", "properties", name] => {
                            pom.properties.insert((*name).to_owned(), text);
                        }
                        [.., "dependencies", "dependency", "groupId"] => dependency.0 = text,
                        [.., "dependencies", "dependency", "artifactId"] => dependency.1 = text,
                        [.., "dependencies", "dependency", "version"] => dependency.2 = Some(text),
                        [.., "dependencies", "dependency"] => {
                            let (group, artifact, version) = std::mem::take(&mut dependency);
                            pom.dependencies.push((format!("{group}:{artifact}"), version));
                        }
                        _ => {}
                    }
                    value.clear();
                    path.pop();
                }
                Event::Eof => return Ok(pom),
                _ => {}
            }
        }
    }

    /// A text of the file with its `${…}` replaced from the file's own properties, where they are there.
    pub(super) fn resolved(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for _ in 0..8 {
            let Some(start) = text.find("${") else { return Some(text) };
            let end = start + text.get(start..)?.find('}')?;
            let replacement = self.properties.get(text.get(start + 2..end)?)?.clone();
            text.replace_range(start..=end, &replacement);
        }
        None
    }
}

/// The folders of all modules below `root`, `root` itself as the empty text first, each with its `pom.xml`. Blocks.
pub(super) fn modules(root: &Path) -> Result<Vec<(String, Pom)>> {
    let mut found: Vec<(String, Pom)> = Vec::new();
    let mut todo = vec![(String::new(), 0)];
    while let Some((folder, depth)) = todo.pop() {
        if depth > MAX_DEPTH || found.len() >= MAX_MODULES {
            return Err(Error::invalid("the modules of this project are nested too deep, or are too many"));
        }
        if found.iter().any(|(known, _)| *known == folder) {
            continue;
        }
        let Some(pom) = read(root, &folder)? else { continue };
        // The order of the file is kept: what was pushed last is taken first.
        for module in pom.modules.iter().rev() {
            if let Some(below) = joined(&folder, module) {
                todo.push((below, depth + 1));
            }
        }
        found.push((folder, pom));
    }
    Ok(found)
}

fn read(root: &Path, folder: &str) -> Result<Option<Pom>> {
    let path = root.join(folder).join("pom.xml");
    let shown = if folder.is_empty() { "pom.xml".to_owned() } else { format!("{folder}/pom.xml") };
    match std::fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() && metadata.len() <= MAX_BYTES => {}
        _ => return Ok(None),
    }
    let text = std::fs::read(&path).map_err(|source| Error::from(source).with_context("file", &shown))?;
    let pom = Pom::parse(&String::from_utf8_lossy(&text)).map_err(|source| {
        BuildFailure::new(BuildFailureKind::BuildFile)
            .with_lines([source.to_string()])
            .into_error(format!("'{shown}' is not XML"))
    })?;
    Ok(Some(pom))
}

/// Where a `<module>` leads; None where it leaves the project, or names a file.
fn joined(folder: &str, module: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in module.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_in_the_order_of_the_files() {
        let root = tempfile::tempdir().unwrap();
        let write = |folder: &str, text: &str| {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
            std::fs::write(root.path().join(folder).join("pom.xml"), text).unwrap();
        };
        write(
            "",
            "<project xmlns='http://maven.apache.org/POM/4.0.0'><artifactId>root</artifactId><packaging>pom</packaging>\
             <properties><flink.version>1.20.5</flink.version><a>${flink.version}</a></properties>\
             <modules><module>b</module><module>a</module><module>../out</module></modules>\
             <profiles><profile><modules><module>c</module></modules></profile></profiles></project>",
        );
        write("a", "<project><artifactId>a</artifactId></project>");
        write(
            "b",
            "<project><artifactId>b</artifactId><dependencies><dependency><groupId>g</groupId>\
             <artifactId>x</artifactId><version>${a}</version><exclusions><exclusion><groupId>h</groupId></exclusion></exclusions>\
             </dependency></dependencies><modules><module>../b/d</module></modules></project>",
        );
        write("b/d", "<project><artifactId>d</artifactId></project>");
        let modules = modules(root.path()).unwrap();
        let names: Vec<&str> = modules.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["", "b", "b/d", "a"]);
        assert_eq!((modules[0].1.packaging.as_str(), modules[1].1.packaging.as_str()), ("pom", "jar"));
        assert_eq!(modules[1].1.dependencies, [("g:x".to_owned(), Some("${a}".to_owned()))]);
        assert_eq!(modules[0].1.resolved("v${a}!").as_deref(), Some("v1.20.5!"));
        assert_eq!(modules[0].1.resolved("${project.version}"), None);
        write("a", "<project><artifactId>a</project>");
        assert!(super::modules(root.path()).unwrap_err().to_string().starts_with("build: 'a/pom.xml' is not XML"));
    }
}
