//! What a cluster is, as far as a submission depends on it: plain data, read before and passed on.

use std::collections::BTreeMap;

/// How YARN brings a file to a container (`LocalResourceType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResourceType {
    /// As it is.
    File,
    /// Unpacked into a folder of its name.
    Archive,
}

impl ResourceType {
    /// YARN's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "FILE",
            Self::Archive => "ARCHIVE",
        }
    }
}

/// Who shares a node's copy of a file (`LocalResourceVisibility`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Every application of every user: downloaded once per node. The file must be readable by
    /// others, and every folder above it passable.
    Public,
    /// Every application of one user.
    Private,
    /// One application.
    Application,
}

impl Visibility {
    /// YARN's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Private => "PRIVATE",
            Self::Application => "APPLICATION",
        }
    }
}

/// A file on the cluster's file system, as its status was read after it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteFile {
    /// The whole path, not percent-encoded: `hdfs://nn:8020/user/alice/.flink/application_1_0001/job.jar`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Modification time in milliseconds, exactly as the file system says: a NodeManager compares it.
    pub modified_ms: i64,
    /// File or archive.
    pub resource_type: ResourceType,
    /// Who shares it.
    pub visibility: Visibility,
}

/// What containers may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimits {
    /// The largest container, in MiB (`maximum-resource-capability`).
    pub max_memory_mb: u64,
    /// The most virtual cores of a container.
    pub max_vcores: u32,
    /// The smallest container, in MiB (`yarn.scheduler.minimum-allocation-mb`).
    pub min_allocation_mb: u64,
}

/// What a submission needs to know of its cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The ResourceManager's address: `http://rm:8088/`.
    pub resource_manager: String,
    /// `fs.defaultFS`: `hdfs://nn:8020`, without a slash at the end.
    pub default_fs: String,
    /// The short name of the submitting user.
    pub user: String,
    /// The folder that holds `.flink`, with scheme: `hdfs://nn:8020/user/alice`.
    pub home: String,
    /// `yarn.application.classpath`, one entry each; None where nobody says, then Hadoop's default holds.
    pub yarn_class_path: Option<Vec<String>>,
    /// `application_<cluster timestamp>_<number>`.
    pub application_id: String,
    /// When the ResourceManager that gave out the id was started.
    pub cluster_timestamp: i64,
    /// What containers may ask for.
    pub limits: ResourceLimits,
    /// Hadoop configuration files to ship, by name.
    pub hadoop_files: BTreeMap<String, Vec<u8>>,
    /// Folders on the cluster's file system that hold Flink's own files, with scheme.
    pub provided_lib_dirs: Vec<String>,
    /// Every remote file that the submission refers to, those below `provided_lib_dirs` included.
    pub files: Vec<RemoteFile>,
    /// Whether Hadoop asks for Kerberos.
    pub secure: bool,
}

impl ClusterFacts {
    /// The staging folder of the application: `<home>/.flink/<application id>`, without a slash at the end.
    pub fn staging(&self) -> String {
        format!("{}/.flink/{}", self.home.trim_end_matches('/'), self.application_id)
    }

    /// The file at exactly this path.
    pub fn file(&self, path: &str) -> Option<&RemoteFile> {
        self.files.iter().find(|file| file.path == path)
    }
}
