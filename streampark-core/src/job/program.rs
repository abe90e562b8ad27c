//! What a job runs, and how it is made ready.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::dependency::Dependency;
use super::download::DownloadOptions;
use super::jar::JarProgram;
use super::launch::{Launch, Resource};
use super::pin::Pin;
use super::sql::SqlProgram;
use crate::flink::FlinkVersion;
use crate::{Error, Result};

/// A kind of program: turns what the user wrote into a [`Launch`].
///
/// Implement it for programs that this crate does not ship, and register it under a kind of its
/// own with [`ProgramRegistry::register`].
///
/// # Contract
/// - `prepare` checks everything that can be known before a submission and sends nothing.
/// - It never runs the user's code (law 7).
/// - Called again with the same inputs it gives an equal launch.
#[async_trait]
pub trait Program: fmt::Debug + Send + Sync + 'static {
    /// The kind, as the spec spells it: `jar`, `sql`, …
    fn kind(&self) -> &str;

    /// Checks the program and finds its parts.
    ///
    /// # Errors
    /// [`ErrorKind::Program`](crate::ErrorKind::Program) or
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the file or statement at fault.
    async fn prepare(&self, context: &ProgramContext) -> Result<Launch>;
}

/// Finds the file behind a name that is no path and no URL: an artifact of a project's module, a
/// resource of the resource centre, Maven coordinates.
#[async_trait]
pub trait Resolve: fmt::Debug + Send + Sync + 'static {
    /// The jars that `dependency` stands for, the main one first.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is no such artifact or resource.
    async fn resolve(&self, dependency: &Dependency) -> Result<Vec<Resource>>;

    /// What a name that can mean another jar later stands for now. None: it is exact, or nobody here can tell.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    async fn pin(&self, _dependency: &Dependency) -> Result<Option<Pin>> {
        Ok(None)
    }
}

/// What a program may ask while it is made ready.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ProgramContext {
    /// The Flink of the cluster that will run it, where known.
    pub flink_version: Option<FlinkVersion>,
    /// A folder for downloads and generated files; kept between calls.
    pub cache: PathBuf,
    /// Relative paths of a spec start here.
    pub base: PathBuf,
    /// Finds artifacts and shared resources, where the platform has them.
    pub resolver: Option<Arc<dyn Resolve>>,
    /// The bounds of downloads.
    pub downloads: DownloadOptions,
}

impl ProgramContext {
    /// A context with `cache` as its folder; relative paths start at the working folder.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            flink_version: None,
            cache: cache.into(),
            base: PathBuf::new(),
            resolver: None,
            downloads: DownloadOptions::default(),
        }
    }

    /// Sets the Flink version.
    #[must_use]
    pub fn with_flink_version(mut self, version: Option<FlinkVersion>) -> Self {
        self.flink_version = version;
        self
    }

    /// Sets the folder at which relative paths start.
    #[must_use]
    pub fn with_base(mut self, base: impl AsRef<Path>) -> Self {
        self.base = base.as_ref().to_owned();
        self
    }

    /// Sets who finds artifacts and shared resources.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Option<Arc<dyn Resolve>>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets the bounds of downloads.
    #[must_use]
    pub fn with_downloads(mut self, options: DownloadOptions) -> Self {
        self.downloads = options;
        self
    }
}

/// The program of a spec: one of the shipped kinds, or one that an embedder registered.
///
/// In YAML and JSON it is a map that holds the kind as a key: `{jar: orders.jar, …}`,
/// `{sql: "INSERT …"}`, `{custom: my-kind, …}`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ProgramSpec {
    /// A JAR with a `main`.
    Jar(JarProgram),
    /// A script of Flink SQL statements.
    Sql(SqlProgram),
    /// A kind registered by the embedder, and its options.
    Custom {
        /// The registered kind.
        kind: String,
        /// Its options, as written.
        options: Map<String, Value>,
    },
}

impl ProgramSpec {
    /// The kind: `jar`, `sql`, or the registered one.
    pub fn kind(&self) -> &str {
        match self {
            Self::Jar(_) => "jar",
            Self::Sql(_) => "sql",
            Self::Custom { kind, .. } => kind,
        }
    }
}

impl From<JarProgram> for ProgramSpec {
    fn from(program: JarProgram) -> Self {
        Self::Jar(program)
    }
}

impl From<SqlProgram> for ProgramSpec {
    fn from(program: SqlProgram) -> Self {
        Self::Sql(program)
    }
}

impl Serialize for ProgramSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Jar(program) => program.serialize(serializer),
            Self::Sql(program) => program.serialize(serializer),
            Self::Custom { kind, options } => {
                let mut map = Map::new();
                map.insert("custom".to_owned(), Value::String(kind.clone()));
                map.extend(options.clone());
                map.serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for ProgramSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;

        let mut map = Map::<String, Value>::deserialize(deserializer)?;
        let of = |map: Map<String, Value>| Value::Object(map);
        if map.contains_key("jar") {
            return serde_json::from_value(of(map)).map(Self::Jar).map_err(D::Error::custom);
        }
        if map.contains_key("sql") || map.contains_key("sql_file") {
            return serde_json::from_value(of(map)).map(Self::Sql).map_err(D::Error::custom);
        }
        if let Some(kind) = map.remove("custom") {
            let kind = kind
                .as_str()
                .ok_or_else(|| D::Error::custom("'custom' takes the name of a registered program kind"))?;
            return Ok(Self::Custom { kind: kind.to_owned(), options: map });
        }
        Err(D::Error::custom("a program names its kind with one of the keys jar, sql, sql_file, custom"))
    }
}

/// Makes a program from the options of a custom kind.
pub type ProgramFactory = Arc<dyn Fn(&Map<String, Value>) -> Result<Arc<dyn Program>> + Send + Sync>;

/// The program kinds that a platform knows.
#[derive(Clone, Default)]
pub struct ProgramRegistry {
    factories: BTreeMap<String, ProgramFactory>,
}

impl ProgramRegistry {
    /// Knows `jar` and `sql` only.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; the newest registration of a name wins.
    pub fn register(&mut self, kind: impl Into<String>, factory: ProgramFactory) {
        self.factories.insert(kind.into(), factory);
    }

    /// The program that `spec` describes.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) listing the known kinds.
    pub fn program(&self, spec: &ProgramSpec) -> Result<Arc<dyn Program>> {
        match spec {
            ProgramSpec::Jar(program) => Ok(Arc::new(program.clone())),
            ProgramSpec::Sql(program) => Ok(Arc::new(program.clone())),
            ProgramSpec::Custom { kind, options } => match self.factories.get(kind) {
                Some(factory) => factory(options),
                None => {
                    let known: Vec<&str> =
                        ["jar", "sql"].into_iter().chain(self.factories.keys().map(String::as_str)).collect();
                    Err(Error::not_found(format!(
                        "no program kind '{kind}' is registered; known kinds are {}",
                        known.join(", ")
                    )))
                }
            },
        }
    }
}

impl fmt::Debug for ProgramRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.factories.keys()).finish()
    }
}
