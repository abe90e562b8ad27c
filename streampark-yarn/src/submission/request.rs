//! What a submission is built from.

use std::path::{Path, PathBuf};

use streampark_core::Result;
use streampark_core::cluster::{SessionSpec, Submission};
use streampark_core::flink::{FlinkConfig, FlinkVersion};
use streampark_core::job::Resource;

use crate::facts::ClusterFacts;

/// What is to run.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Deploy<'a> {
    /// One job in a cluster of its own (`yarn-application`).
    Application(&'a Submission),
    /// A cluster that jobs come to later (`yarn-session`).
    Session(&'a SessionSpec),
}

/// Everything that a submission depends on; the same request gives the same submission.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Request<'a> {
    /// What is to run.
    pub deploy: Deploy<'a>,
    /// Which Flink runs it.
    pub version: &'a FlinkVersion,
    /// How this YARN cluster is used.
    pub options: &'a SubmissionOptions,
    /// What is known of the cluster.
    pub facts: &'a ClusterFacts,
    /// The files and folders of this machine that the configuration names, see [`needs`](super::needs).
    pub local: &'a [LocalTree],
}

impl<'a> Request<'a> {
    /// A request without files of this machine.
    pub fn new(
        deploy: Deploy<'a>,
        version: &'a FlinkVersion,
        options: &'a SubmissionOptions,
        facts: &'a ClusterFacts,
    ) -> Self {
        Self { deploy, version, options, facts, local: &[] }
    }

    /// Sets the files and folders of this machine.
    #[must_use]
    pub fn local(mut self, trees: &'a [LocalTree]) -> Self {
        self.local = trees;
        self
    }
}

/// How a YARN cluster is used by every submission to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SubmissionOptions {
    /// Flink configuration below that of the job or session; Flink's own `yarn.*` keys are honoured
    /// in both.
    pub flink: FlinkConfig,
    /// Tags of every application, beside the one that names the run.
    pub tags: Vec<String>,
    /// How the processes log. Default [`LogConfig::Standard`].
    pub logging: LogConfig,
    /// Flink's files on this machine, uploaded with every application; None where the cluster's file
    /// system holds them (`yarn.provided.lib.dirs`).
    pub distribution: Option<LocalDistribution>,
    /// `flink-python-*.jar` of Flink's `opt/`, for Python programs.
    pub python_jar: Option<Resource>,
    /// `flink-sql-gateway-*.jar` of Flink's `opt/`, for Flink's own SQL driver (since 2.0).
    pub sql_gateway_jar: Option<Resource>,
    /// The JobManager of an application stays after the end of its job until it is ended, so that
    /// state, exceptions and last checkpoint can be read; and a `main` that throws becomes a failed
    /// job that says why. Default true.
    pub linger: bool,
    /// Flink writes ended jobs to a folder beside the staging folder, for readers who come too late
    /// (`jobmanager.archive.fs.dir`). Default true.
    pub archive: bool,
    /// Since Flink 1.18 Java 17 needs modules opened to Flink, as the distribution's own
    /// configuration does; older Java ignores it. Default true.
    pub open_java_modules: bool,
}

impl Default for SubmissionOptions {
    fn default() -> Self {
        Self {
            flink: FlinkConfig::new(),
            tags: Vec::new(),
            logging: LogConfig::default(),
            distribution: None,
            python_jar: None,
            sql_gateway_jar: None,
            linger: true,
            archive: true,
            open_java_modules: true,
        }
    }
}

/// How the processes of a cluster log (`YarnLogConfigUtil`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogConfig {
    /// Our own `log4j.properties`: one rolling file per process, as Flink's distribution has it.
    #[default]
    Standard,
    /// This `log4j.properties`.
    Log4j(String),
    /// This `logback.xml`; the jars of logback must be in Flink's `lib/`.
    Logback(String),
    /// None: Flink's libraries decide.
    None,
}

/// A Flink distribution on this machine.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalDistribution {
    /// `flink-dist-*.jar`.
    pub dist_jar: PathBuf,
    /// The folder `lib`.
    pub lib: LocalTree,
    /// The folder `plugins`.
    pub plugins: Option<LocalTree>,
    /// The folder `usrlib`.
    pub usrlib: Option<LocalTree>,
}

impl LocalDistribution {
    /// A distribution without plugins and `usrlib`.
    pub fn new(dist_jar: impl Into<PathBuf>, lib: LocalTree) -> Self {
        Self { dist_jar: dist_jar.into(), lib, plugins: None, usrlib: None }
    }

    /// Looks at a `FLINK_HOME`.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](streampark_core::ErrorKind::NotFound) where `lib` or the jar `flink-dist` is missing;
    /// those of reading.
    pub fn read(home: &Path) -> Result<Self> {
        let lib = LocalTree::read(&home.join("lib"))?;
        let Some(dist) = lib.files.iter().find(|file| super::resources::is_dist_jar(file.name())) else {
            return Err(streampark_core::Error::not_found(
                "the folder lib of Flink holds no flink-dist-*.jar; give the FLINK_HOME of an unpacked distribution",
            )
            .with_context("flink_home", home.display()));
        };
        let dist_jar = lib.path.join(&dist.relative);
        let optional = |name: &str| match home.join(name) {
            folder if folder.is_dir() => LocalTree::read(&folder).map(Some),
            _ => Ok(None),
        };
        Ok(Self { dist_jar, plugins: optional("plugins")?, usrlib: optional("usrlib")?, lib })
    }
}

/// A file or folder of this machine, with all files below it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalTree {
    /// Where it is, as the configuration names it.
    pub path: PathBuf,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// The files below a folder in order of their paths; for a file, itself.
    pub files: Vec<LocalFile>,
}

/// One file of a [`LocalTree`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalFile {
    /// The path below the folder with `/` between its parts; the name of a file that stands alone.
    pub relative: String,
    /// Bytes.
    pub size: u64,
}

impl LocalFile {
    /// A file of this size.
    pub fn new(relative: impl Into<String>, size: u64) -> Self {
        Self { relative: relative.into(), size }
    }

    pub(super) fn name(&self) -> &str {
        self.relative.rsplit('/').next().unwrap_or_default()
    }
}

impl LocalTree {
    /// A single file.
    pub fn of_file(path: impl Into<PathBuf>, size: u64) -> Self {
        let path = path.into();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { path, is_folder: false, files: vec![LocalFile::new(name, size)] }
    }

    /// A folder with these files.
    pub fn of_folder(path: impl Into<PathBuf>, files: impl IntoIterator<Item = LocalFile>) -> Self {
        let mut files: Vec<LocalFile> = files.into_iter().collect();
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        Self { path: path.into(), is_folder: true, files }
    }

    /// Looks at the disk; links are followed. Blocks: call it where blocking is allowed.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](streampark_core::ErrorKind::Io) with the path that cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |source: std::io::Error, path: &Path| {
            streampark_core::Error::from(source).with_context("path", path.display())
        };
        let metadata = std::fs::metadata(path).map_err(|source| wrong(source, path))?;
        if !metadata.is_dir() {
            return Ok(Self::of_file(path, metadata.len()));
        }
        let mut files = Vec::new();
        let mut folders = vec![(path.to_owned(), String::new(), 0_u32)];
        while let Some((folder, prefix, depth)) = folders.pop() {
            for entry in std::fs::read_dir(&folder).map_err(|source| wrong(source, &folder))? {
                let entry = entry.map_err(|source| wrong(source, &folder))?;
                let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                    return Err(streampark_core::Error::invalid("a file name is no UTF-8; rename the file")
                        .with_context("path", entry.path().display()));
                };
                let relative = format!("{prefix}{name}");
                let metadata = std::fs::metadata(entry.path()).map_err(|source| wrong(source, &entry.path()))?;
                if metadata.is_dir() {
                    if depth == MAX_DEPTH {
                        return Err(streampark_core::Error::invalid(
                            "a folder to be shipped is nested too deep; does a link lead back into it?",
                        )
                        .with_context("path", entry.path().display()));
                    }
                    folders.push((entry.path(), format!("{relative}/"), depth + 1));
                } else {
                    files.push(LocalFile::new(relative, metadata.len()));
                }
            }
        }
        Ok(Self::of_folder(path, files))
    }

    /// The folder's own name, below which its files lie in a container.
    pub(super) fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Where a file of it is.
    pub(super) fn path_of(&self, file: &LocalFile) -> PathBuf {
        if self.is_folder { self.path.join(&file.relative) } else { self.path.clone() }
    }
}

/// Deeper than any distribution, and shallow enough to end where links go round in a circle.
const MAX_DEPTH: u32 = 32;
