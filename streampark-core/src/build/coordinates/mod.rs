//! Jars by their Maven coordinates, with what they need, found by Maven itself.

mod lock;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

pub use self::lock::{DependencyConflict, LockedJar, MavenLock};
use super::builder::BuildRequest;
use super::environment::BuildEnvironment;
use super::maven::{MavenBuilder, MavenOptions};
use super::outputs::blocking;
use super::process;
use super::words;
use crate::{Error, Result};

#[cfg(test)]
mod tests;

/// The plug-in that lists what Maven resolved; a fixed version, so that its words are known.
const LIST: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:list";

/// What no job may bring along, because every cluster has it: two of them lose the log or the classes.
const EXCLUDED: [&str; 6] = [
    "org.slf4j:*",
    "log4j:*",
    "org.apache.logging.log4j:*",
    "ch.qos.logback:*",
    "org.apache.flink:force-shading",
    "com.google.code.findbugs:jsr305",
];

/// `group:artifact:version`, or with a classifier as fourth part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coordinates {
    group: String,
    artifact: String,
    version: String,
    classifier: Option<String>,
}

impl Coordinates {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let (group, artifact, version, classifier) = match parts.as_slice() {
            [group, artifact, version] => (*group, *artifact, *version, None),
            [group, artifact, version, classifier] => (*group, *artifact, *version, Some((*classifier).to_owned())),
            _ => {
                return Err(words::refused(format!(
                    "'{}' are no Maven coordinates: write group:artifact:version, or group:artifact:version:classifier",
                    words::shown(text)
                )));
            }
        };
        for (what, part) in [("group", group), ("artifact", artifact), ("version", version)] {
            words::name(what, part)?;
        }
        if let Some(classifier) = &classifier {
            words::name("classifier", classifier)?;
        }
        let [group, artifact, version] = [group, artifact, version].map(str::to_owned);
        Ok(Self { group, artifact, version, classifier })
    }
}

/// Finds jars in Maven repositories; cheap to clone.
///
/// What was found once stands in a lock file with the hash of each jar. From then on the same coordinates give the
/// same jars without asking anybody, until [`refresh`](Self::refresh).
#[derive(Debug, Clone)]
pub struct MavenResolver {
    folder: Arc<PathBuf>,
    options: MavenOptions,
    env: BuildEnvironment,
    /// Maven's local repository is no place for two of them at once.
    running: Arc<Mutex<()>>,
}

impl MavenResolver {
    /// Keeps lock files and jars in `folder`. Of the options those about repositories count: `settings`,
    /// `local_repository`, `offline`, `java_home`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the option and its rule.
    pub fn open(folder: impl Into<PathBuf>, options: MavenOptions) -> Result<Self> {
        MavenBuilder::new(options.clone())?;
        let folder = std::path::absolute(folder.into())?;
        std::fs::create_dir_all(&folder)
            .map_err(|source| Error::from(source).with_context("path", folder.display()))?;
        Ok(Self { folder: Arc::new(folder), options, env: BuildEnvironment::default(), running: Arc::default() })
    }

    /// The jars of `coordinates` and of all that they need at run time, except what `exclude` names as
    /// `group:artifact`, in which `*` stands for all.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where a text is no coordinates; a
    /// [`BuildFailure`](super::BuildFailure) of the kinds `dependency`, `repository` or `tool`;
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) where a jar is not what the lock file says.
    pub async fn resolve(&self, coordinates: &str, exclude: &[String]) -> Result<MavenLock> {
        let named = |error: Error| error.with_operation("maven.resolve").with_context("maven", coordinates);
        let pom = pom(&Coordinates::parse(coordinates).map_err(named)?, exclude).map_err(named)?;
        let place = self.place(&pom);
        let known = {
            let place = place.clone();
            blocking(move || MavenLock::read(&place)).await.map_err(named)?
        };
        match known {
            Some(lock) => Ok(lock),
            None => self.ask(coordinates, exclude, pom, &place).await.map_err(named),
        }
    }

    /// Asks Maven again and writes the lock file anew.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub async fn refresh(&self, coordinates: &str, exclude: &[String]) -> Result<MavenLock> {
        let named = |error: Error| error.with_operation("maven.resolve").with_context("maven", coordinates);
        let pom = pom(&Coordinates::parse(coordinates).map_err(named)?, exclude).map_err(named)?;
        let place = self.place(&pom);
        self.ask(coordinates, exclude, pom, &place).await.map_err(named)
    }

    fn place(&self, pom: &str) -> PathBuf {
        use sha2::{Digest, Sha256};
        let name = hex::encode(Sha256::digest(pom));
        self.folder.join("locks").join(format!("{}.json", name.get(..32).unwrap_or_default()))
    }

    async fn ask(&self, coordinates: &str, exclude: &[String], pom: String, place: &Path) -> Result<MavenLock> {
        let _one = self.running.lock().await;
        let folder = tempfile::Builder::new().prefix("streampark-maven-").tempdir()?;
        std::fs::write(folder.path().join("pom.xml"), pom)?;
        let mut request = BuildRequest::new(folder.path());
        request.env = self.env.clone();
        request.timeout = std::time::Duration::from_secs(1800);
        let mut options = self.options.clone();
        (options.wrapper, options.folder) = (false, String::new());
        let root = folder.path().canonicalize()?;
        let builder = MavenBuilder::new(options)?;
        let call = builder.goal(&root, &request, LIST)?;
        let words = ["-DincludeScope=runtime", "-DoutputAbsoluteArtifactFilename=true", "-DoutputFile=list.txt"];
        let call = words.into_iter().fold(call, |call, word| call.arg(word));
        let finished = process::run(call, &request).await?;
        if !finished.succeeded() {
            return Err(super::maven::verdict_of(&finished, &root));
        }
        let list = tokio::fs::read_to_string(root.join("list.txt")).await?;
        let (blobs, place) = (self.folder.join("jars"), place.to_owned());
        let (coordinates, exclude) = (coordinates.to_owned(), exclude.to_vec());
        blocking(move || {
            let lock = MavenLock::of_list(&coordinates, &exclude, &list, &blobs)?;
            lock.write(&place)?;
            Ok(lock)
        })
        .await
    }
}

/// The project that needs nothing but these coordinates.
fn pom(coordinates: &Coordinates, exclude: &[String]) -> Result<String> {
    let mut exclusions = String::new();
    let own = format!("{}:{}", coordinates.group, coordinates.artifact);
    for text in EXCLUDED.iter().copied().chain(exclude.iter().map(String::as_str)) {
        let Some((group, artifact)) = text.split_once(':') else {
            return Err(words::refused(format!(
                "'{}' cannot be excluded: write group:artifact, or group:*",
                words::shown(text)
            )));
        };
        for part in [group, artifact].into_iter().filter(|part| *part != "*") {
            words::name("exclusion", part)?;
        }
        if text == own {
            return Err(words::refused(format!("'{own}' is wanted and excluded at once")));
        }
        exclusions += &format!("<exclusion><groupId>{group}</groupId><artifactId>{artifact}</artifactId></exclusion>");
    }
    let classifier = match &coordinates.classifier {
        Some(classifier) => format!("<classifier>{classifier}</classifier>"),
        None => String::new(),
    };
    let Coordinates { group, artifact, version, .. } = coordinates;
    Ok(format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\"><modelVersion>4.0.0</modelVersion>\
         <groupId>streampark</groupId><artifactId>dependencies</artifactId><version>1</version><packaging>pom</packaging>\
         <dependencies><dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
         <version>{version}</version>{classifier}<exclusions>{exclusions}</exclusions></dependency></dependencies></project>\n"
    ))
}
