//! Where Flink lies on this machine, and which Flink it is.

use std::path::{Path, PathBuf};

use crate::flink::FlinkVersion;
use crate::{Error, ErrorKind, Result};

/// An installed Flink: its jars, plugins and version.
#[derive(Debug, Clone)]
pub(super) struct FlinkHome {
    pub(super) jars: Vec<PathBuf>,
    pub(super) plugins: Option<PathBuf>,
    pub(super) version: FlinkVersion,
}

impl FlinkHome {
    /// Looks below `folder`: a FLINK_HOME, the folder of an installed PyFlink (or the `site-packages`
    /// that holds it), or a folder that holds the jars themselves.
    pub(super) fn find(folder: &Path) -> Result<Self> {
        let places = [folder.join("lib"), folder.join("pyflink").join("lib"), folder.to_owned()];
        for place in &places {
            let jars = jars_in(place);
            let name =
                |jar: &PathBuf| jar.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let dist = jars.iter().map(name).find(|name| name.starts_with("flink-dist"));
            let Some(dist) = dist else { continue };
            let text = dist.trim_start_matches("flink-dist").trim_start_matches("_2.12").trim_start_matches("_2.11");
            let version = text.trim_start_matches('-').trim_end_matches(".jar").parse().map_err(|source: Error| {
                Error::invalid(format!("the version of Flink cannot be read from the name '{dist}'"))
                    .with_source(source)
            })?;
            let plugins = place.parent().map(|home| home.join("plugins")).filter(|plugins| plugins.is_dir());
            return Ok(Self { jars, plugins, version });
        }
        Err(Error::not_found(
            "no flink-dist-*.jar lies there; give a FLINK_HOME, the folder of an installed PyFlink, or a folder with Flink's jars",
        )
        .with_operation("local.flink_home")
        .with_context("folder", folder.display()))
    }

    /// The class path: every jar, in order of names, as Flink's own scripts have it.
    pub(super) fn class_path(&self) -> String {
        self.jars.iter().map(|jar| jar.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":")
    }
}

fn jars_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut jars: Vec<_> = entries.filter(|path| path.extension().is_some_and(|kind| kind == "jar")).collect();
    jars.sort();
    jars
}

/// The program that runs Java: of `JAVA_HOME` where that is set, else the one on the PATH.
pub(super) fn java() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("JAVA_HOME") {
        let program = Path::new(&home).join("bin").join("java");
        if program.is_file() {
            return Ok(program);
        }
        return Err(Error::not_found("JAVA_HOME is set, and holds no bin/java; set it to a Java 11 or 17")
            .with_operation("local.java")
            .with_context("JAVA_HOME", Path::new(&home).display()));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("java")).find(|program| program.is_file());
    found.ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "no java is on the PATH; install Java 11 or 17, or set JAVA_HOME")
            .with_operation("local.java")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_flink_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let error = FlinkHome::find(folder.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.message().starts_with("no flink-dist-*.jar lies there"), "{error}");
    }

    #[test]
    fn the_version_is_that_of_the_dist_jar_in_every_layout() {
        for layout in ["lib", "pyflink/lib", "."] {
            let folder = tempfile::tempdir().unwrap();
            let lib = folder.path().join(layout);
            std::fs::create_dir_all(&lib).unwrap();
            std::fs::write(lib.join("flink-dist-1.20.5.jar"), "").unwrap();
            assert_eq!(FlinkHome::find(folder.path()).unwrap().version.to_string(), "1.20.5", "{layout}");
        }
    }
}
