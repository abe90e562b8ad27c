//! The options of Maven that a project may set, each with its rule.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::build::words;
use crate::{Error, Result};

/// Properties that an option of ours sets, or that would load code past the project.
const RESERVED: [(&str, &str); 6] = [
    ("maven.repo.local", "use the option local_repository"),
    ("skipTests", "use the option tests"),
    ("maven.test.skip", "use the option tests"),
    ("style.color", "it is set already"),
    ("maven.ext.class.path", "list extensions in the project's .mvn/extensions.xml"),
    ("maven.multiModuleProjectDirectory", "use the option folder"),
];

/// How Maven is run. There is no free text among it: each option is checked by its own rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MavenOptions {
    /// The folder of the project that holds the `pom.xml`; empty is its top.
    pub folder: String,
    /// Profiles to activate.
    pub profiles: Vec<String>,
    /// Properties, as `-Dkey=value` sets them.
    pub properties: BTreeMap<String, String>,
    /// A `settings.xml` of this machine: repositories, mirrors, credentials.
    pub settings: Option<PathBuf>,
    /// Where Maven keeps what it fetched. Default: as the settings say, `~/.m2/repository`.
    pub local_repository: Option<PathBuf>,
    /// Whether tests are run too.
    pub tests: bool,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// Whether snapshots are looked for again.
    pub update_snapshots: bool,
    /// Whether the project's `mvnw` is preferred. Default: yes.
    pub wrapper: bool,
    /// How many modules are built at once. Default: one.
    pub threads: Option<u8>,
    /// The heap of Maven's JVM in MiB. Default: the JVM's.
    pub heap_mb: Option<u32>,
    /// The JDK to build with. Default: `JAVA_HOME`, or the one on the PATH.
    pub java_home: Option<PathBuf>,
}

impl Default for MavenOptions {
    fn default() -> Self {
        Self {
            folder: String::new(),
            profiles: Vec::new(),
            properties: BTreeMap::new(),
            settings: None,
            local_repository: None,
            tests: false,
            offline: false,
            update_snapshots: false,
            wrapper: true,
            threads: None,
            heap_mb: None,
            java_home: None,
        }
    }
}

impl MavenOptions {
    /// Activates a profile.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profiles.push(name.into());
        self
    }

    /// Sets a property.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Names the `settings.xml`.
    #[must_use]
    pub fn settings(mut self, path: impl Into<PathBuf>) -> Self {
        self.settings = Some(path.into());
        self
    }

    /// Names the folder that holds the `pom.xml`.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<String>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Sets whether tests are run.
    #[must_use]
    pub fn tests(mut self, run: bool) -> Self {
        self.tests = run;
        self
    }

    /// Reads a line of arguments as Apache StreamPark keeps it (`-Pprod -Dx=1`), without any shell's rules:
    /// words are parted by spaces, and each has to be one of the options that there is a field for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the first word that is none.
    pub fn parse(line: &str) -> Result<Self> {
        let mut options = Self::default();
        for word in line.split(' ').filter(|word| !word.is_empty()) {
            options.read(word)?;
        }
        options.check()?;
        Ok(options)
    }

    fn read(&mut self, word: &str) -> Result<()> {
        match word {
            "-DskipTests" | "-DskipTests=true" | "-Dmaven.test.skip" | "-Dmaven.test.skip=true" => self.tests = false,
            "-DskipTests=false" | "-Dmaven.test.skip=false" => self.tests = true,
            "-o" | "--offline" => self.offline = true,
            "-U" | "--update-snapshots" => self.update_snapshots = true,
            word => {
                if let Some(profiles) = word.strip_prefix("-P") {
                    self.profiles.extend(profiles.split(',').map(str::to_owned));
                } else if let Some(property) = word.strip_prefix("-D") {
                    let (key, value) = property.split_once('=').unwrap_or((property, "true"));
                    self.properties.insert(key.to_owned(), value.to_owned());
                } else {
                    return Err(words::refused(format!(
                        "the build argument '{}' is refused: known are -Pprofile, -Dkey=value, -o and -U",
                        words::shown(word)
                    )));
                }
            }
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<()> {
        words::folder("folder", &self.folder)?;
        for profile in &self.profiles {
            // Maven turns a profile off that is written with '!' or '-' in front.
            words::name("profile", profile.strip_prefix('!').unwrap_or(profile))?;
        }
        for (key, value) in &self.properties {
            words::name("property", key)?;
            if let Some((_, remedy)) = RESERVED.iter().find(|(reserved, _)| reserved == key) {
                return Err(words::refused(format!("the property '{key}' is refused: {remedy}")));
            }
            words::value(key, value)?;
        }
        for (name, path) in
            [("settings", &self.settings), ("local_repository", &self.local_repository), ("java_home", &self.java_home)]
        {
            let Some(path) = path else { continue };
            if !path.is_absolute() {
                return Err(relative(name, path));
            }
        }
        if self.threads == Some(0) {
            return Err(words::refused("threads is 0; use 1 or more".to_owned()));
        }
        if self.heap_mb.is_some_and(|heap| heap < 16) {
            return Err(words::refused("heap_mb is less than 16, with which no Maven starts".to_owned()));
        }
        Ok(())
    }
}

fn relative(name: &str, path: &std::path::Path) -> Error {
    words::refused(format!(
        "the option {name} is refused: '{}' is a relative path; write it whole, since builds run in folders of their own",
        words::shown(&path.to_string_lossy())
    ))
}
