//! What is known of a cluster before anything is submitted to it, asked once.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use streampark_core::flink::{FlinkConfig, FlinkVersion};
use streampark_core::job::{Location, Resource};
use streampark_core::{Error, ErrorKind, Result};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use tokio::time::Instant;

use crate::auth::{Authenticator, Simple};
use crate::client::ResourceManager;
use crate::config::YarnOptions;
use crate::dist::{Cache, Hashes, OnInstalling, dist_tag};
use crate::facts::{ClusterFacts, ResourceLimits};
use crate::fs::{FileSystem, SharedFolder, WebHdfs, WebHdfsOptions, location_of, path_of};
use crate::hadoop::HadoopConf;
use crate::http::{Http, HttpOptions};
use crate::provided::{Provided, look};
use crate::submission::SubmissionOptions;

/// How long Flink's files on the cluster are trusted to be still there.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What does not change while a cluster is up.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) fs: Arc<dyn FileSystem>,
    pub(crate) default_fs: String,
    /// The folder that holds `.flink`, without scheme.
    pub(crate) home: String,
    pub(crate) class_path: Option<Vec<String>>,
    pub(crate) secure: bool,
    /// Whether ResourceManagers keep their applications over a restart: any of them takes an id once only.
    recovers: bool,
    limits: ResourceLimits,
}

/// Flink's files on the cluster, and how applications that use them are tagged.
#[derive(Debug, Clone)]
pub(crate) struct Wares {
    pub(crate) provided: Provided,
    pub(crate) version: FlinkVersion,
    pub(crate) tag: Option<String>,
}

/// The connections to one cluster.
#[derive(Debug)]
pub(crate) struct Yarn {
    pub(crate) options: YarnOptions,
    pub(crate) http: Http,
    pub(crate) rm: ResourceManager,
    hadoop: HadoopConf,
    given_fs: Option<Arc<dyn FileSystem>>,
    fs: OnceCell<Arc<dyn FileSystem>>,
    ground: OnceCell<Ground>,
    wares: AsyncMutex<Option<(Instant, Wares)>>,
    hashes: Arc<Hashes>,
    version: Mutex<Option<FlinkVersion>>,
    /// Which process the active ResourceManager is.
    incarnation: Mutex<Option<String>>,
    limits: Mutex<Option<ResourceLimits>>,
}

impl Yarn {
    pub(crate) fn new(
        options: YarnOptions,
        authenticator: Option<Arc<dyn Authenticator>>,
        given_fs: Option<Arc<dyn FileSystem>>,
    ) -> Result<Self> {
        options.check()?;
        let hadoop = options.hadoop()?;
        let authenticator: Arc<dyn Authenticator> = match authenticator {
            Some(authenticator) => authenticator,
            None => match &options.kerberos {
                Some(kerberos) => kerberos.authenticator()?,
                None => Arc::new(Simple::new(options.user_or_env()?)),
            },
        };
        let http = Http::new(
            HttpOptions {
                timeout: options.timeout,
                connect_timeout: options.connect_timeout,
                transfer_timeout: options.transfer_timeout,
                tls_ca: options.authorities()?,
            },
            authenticator,
            options.proxy_user.clone(),
        )?;
        let addresses = match options.resource_managers.is_empty() {
            true => hadoop.resource_managers(),
            false => options.resource_managers.clone(),
        };
        let rm = ResourceManager::new(http.clone(), &addresses, options.failover_patience)?;
        let version = Mutex::new(options.flink_version.clone());
        Ok(Self {
            options,
            http,
            rm,
            hadoop,
            given_fs,
            fs: OnceCell::new(),
            ground: OnceCell::new(),
            wares: AsyncMutex::new(None),
            hashes: Arc::default(),
            version,
            incarnation: Mutex::default(),
            limits: Mutex::default(),
        })
    }

    /// A property of the Hadoop configuration folder.
    pub(crate) fn hadoop_property(&self, name: &str) -> Option<String> {
        self.hadoop.get(name)
    }

    pub(crate) async fn ground(&self) -> Result<&Ground> {
        self.ground.get_or_try_init(|| self.learn()).await
    }

    /// The cluster's file system; the ResourceManager is asked where neither the options nor a Hadoop folder name it.
    pub(crate) async fn files(&self) -> Result<Arc<dyn FileSystem>> {
        let found = self.fs.get_or_try_init(|| async {
            let default_fs = match &self.options.default_fs {
                Some(given) => Some(given.clone()),
                None if self.given_fs.is_some() => None,
                None => self.property("fs.defaultFS").await?,
            };
            self.file_system(default_fs.as_deref().unwrap_or("file:///"))
        });
        found.await.map(Arc::clone)
    }

    async fn property(&self, name: &str) -> Result<Option<String>> {
        match self.hadoop.get(name) {
            Some(value) => Ok(Some(value)),
            None => self.rm.property(name).await,
        }
    }

    async fn learn(&self) -> Result<Ground> {
        let names = [
            "yarn.application.classpath",
            "hadoop.security.authentication",
            "yarn.scheduler.minimum-allocation-mb",
            "yarn.scheduler.maximum-allocation-mb",
            "yarn.scheduler.maximum-allocation-vcores",
            "yarn.resourcemanager.recovery.enabled",
        ];
        let asked = futures_util::future::try_join_all(names.iter().map(|name| self.property(name)));
        let (asked, fs) = futures_util::future::try_join(asked, self.files()).await?;
        let [class_path, security, min_memory, max_memory, max_cores, recovery] =
            <[Option<String>; 6]>::try_from(asked).unwrap_or_default();
        let home = match &self.options.staging {
            Some(folder) => path_of(fs.as_ref(), folder).ok_or_else(|| {
                Error::invalid(format!(
                    "the staging folder '{folder}' is not on the cluster's file system, {}; give a folder that is",
                    fs.scheme()
                ))
            })?,
            None => fs.home().await?,
        };
        let entries = class_path.map(|text| {
            text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        });
        let number = |text: Option<String>, or: u64| text.and_then(|text| text.trim().parse().ok()).unwrap_or(or);
        let max_vcores = u32::try_from(number(max_cores, 4)).unwrap_or(u32::MAX);
        Ok(Ground {
            default_fs: fs.scheme().trim_end_matches('/').to_owned(),
            fs,
            home: home.trim_end_matches('/').to_owned(),
            class_path: entries.filter(|entries| !entries.is_empty()),
            secure: security.is_some_and(|kind| kind.eq_ignore_ascii_case("kerberos")),
            recovers: recovery.is_some_and(|text| text.trim() == "true"),
            limits: ResourceLimits {
                max_memory_mb: number(max_memory, 8192),
                max_vcores,
                min_allocation_mb: number(min_memory, 1024),
            },
        })
    }

    fn file_system(&self, default_fs: &str) -> Result<Arc<dyn FileSystem>> {
        if let Some(fs) = &self.given_fs {
            return Ok(Arc::clone(fs));
        }
        let default_fs = default_fs.trim_end_matches('/');
        if let Some(folder) = &self.options.shared_folder {
            let scheme = if default_fs.starts_with("file:") { "file://" } else { default_fs };
            return Ok(Arc::new(SharedFolder::new(folder, scheme, self.http.user())));
        }
        let told = |error: Error| error.with_operation("yarn.file_system");
        if default_fs.starts_with("file:") {
            return Err(told(Error::invalid(
                "fs.defaultFS is 'file:///', and the nodes of a cluster do not share their disks; set fs.defaultFS to \
                 the cluster's HDFS in core-site.xml or by the option default_fs, or give shared_folder where they do",
            )));
        }
        #[cfg(feature = "s3")]
        if default_fs.starts_with("s3a://") {
            let bucket = crate::fs::Bucket::s3(default_fs, &self.options.object_store, self.http.user());
            return Ok(Arc::new(bucket.map_err(told)?));
        }
        if !default_fs.starts_with("hdfs://") {
            return Err(told(Error::new(
                ErrorKind::Unsupported,
                format!("'{default_fs}' is no HDFS; give a FileSystem that writes there, or a staging folder on HDFS"),
            )));
        }
        let mut addresses = self.options.web_hdfs.clone();
        if addresses.is_empty() {
            addresses = self.hadoop.name_nodes(default_fs);
        }
        let options = WebHdfsOptions {
            addresses,
            scheme: default_fs.to_owned(),
            http_fs: self.options.http_fs,
            host_map: self.options.host_map.clone(),
            replication: self.options.flink.get("yarn.file-replication").and_then(|count| count.trim().parse().ok()),
        };
        Ok(Arc::new(WebHdfs::new(self.http.clone(), options).map_err(told)?))
    }

    /// Which process the active ResourceManager is, once known: it takes an application id once only.
    pub(crate) fn known_incarnation(&self) -> Option<String> {
        if self.ground.get().is_some_and(|ground| ground.recovers) {
            return Some("yarn.resourcemanager.recovery.enabled".to_owned());
        }
        self.incarnation.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A ResourceManager calls itself by the time of its start, and so do the ids that it gives out.
    pub(crate) fn learn_incarnation(&self, cluster_timestamp: impl ToString) {
        let mut known = self.incarnation.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(cluster_timestamp.to_string());
    }

    /// The version of Flink, once known.
    pub(crate) fn known_version(&self) -> Option<FlinkVersion> {
        self.version.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Flink's files on the cluster; put there first where they come from this machine.
    pub(crate) async fn wares(&self, told: Option<&OnInstalling>) -> Result<Wares> {
        let mut kept = self.wares.lock().await;
        if let Some((at, wares)) = &*kept
            && at.elapsed() < LOOK_AGAIN
        {
            return Ok(wares.clone());
        }
        let ground = self.ground().await?;
        let (provided, tag) = match &self.options.flink_home {
            Some(home) => {
                let local = self.hashes.local(home).await?;
                let provided = self.cache(ground)?.ensure(&local, told).await?;
                (provided, dist_tag(&local.hash))
            }
            None if self.options.provided_lib_dirs.is_empty() => {
                return Err(Error::invalid(
                    "where Flink is was not said; give flink_home, a Flink on this machine, or provided_lib_dirs, \
                     folders on the cluster",
                )
                .with_operation("yarn.flink"));
            }
            None => (look(ground.fs.as_ref(), &self.options.provided_lib_dirs).await?, None),
        };
        let wares = self.versioned(provided, tag)?;
        *kept = Some((Instant::now(), wares.clone()));
        Ok(wares)
    }

    fn versioned(&self, provided: Provided, tag: Option<String>) -> Result<Wares> {
        let version = self.options.flink_version.clone().or_else(|| provided.version.clone()).ok_or_else(|| {
            Error::not_found(
                "the folders of provided_lib_dirs hold no flink-dist-*.jar; they must hold Flink's lib folder with it",
            )
            .with_operation("yarn.provided_lib_dirs")
            .with_context("folders", self.options.provided_lib_dirs.join(", "))
        })?;
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Some(version.clone());
        Ok(Wares { provided, version, tag })
    }

    /// As [`wares`](Self::wares), and nothing is written: what is not there yet is told from this machine.
    pub(crate) async fn wares_for_plan(&self) -> Result<(Wares, Option<String>)> {
        let ground = self.ground().await?;
        let Some(home) = &self.options.flink_home else { return Ok((self.wares(None).await?, None)) };
        let local = self.hashes.local(home).await?;
        let cache = self.cache(ground)?;
        let (provided, note) = cache.expect(&local).await?;
        Ok((self.versioned(provided, dist_tag(&local.hash))?, note))
    }

    /// Forgets what was seen of Flink's files, after an application missed one.
    pub(crate) async fn distrust_wares(&self) {
        *self.wares.lock().await = None;
    }

    pub(crate) fn cache<'a>(&self, ground: &'a Ground) -> Result<Cache<'a>> {
        let fs = ground.fs.as_ref();
        let folder = match &self.options.distribution_folder {
            Some(folder) => path_of(fs, folder).ok_or_else(|| {
                Error::invalid(format!("the distribution folder '{folder}' is not on the cluster's file system"))
            })?,
            None => format!("{}/.streampark/dist", ground.home),
        };
        Ok(Cache { fs, folder })
    }

    /// What containers may ask for: by the newest id that was given out, else by the configuration.
    pub(crate) fn limits(&self, ground: &Ground) -> ResourceLimits {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(ground.limits)
    }

    /// A new application id.
    pub(crate) async fn new_id(&self) -> Result<String> {
        let ground = self.ground().await?;
        let new = self.rm.new_application().await?;
        if let Some(timestamp) = new.application_id.split('_').nth(1) {
            self.learn_incarnation(timestamp);
        }
        let most = new.maximum_resource_capability;
        if let (Ok(memory), Ok(cores)) = (u64::try_from(most.memory), u32::try_from(most.v_cores))
            && memory > 0
        {
            let limits = ResourceLimits { max_memory_mb: memory, max_vcores: cores, ..ground.limits };
            *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = Some(limits);
        }
        Ok(new.application_id)
    }

    /// What a submission must know.
    pub(crate) fn facts(&self, ground: &Ground, wares: &Wares, application_id: &str) -> ClusterFacts {
        let timestamp = application_id.split('_').nth(1).and_then(|text| text.parse().ok());
        ClusterFacts {
            resource_manager: self.rm.base().to_string(),
            default_fs: ground.default_fs.clone(),
            user: self.http.user().to_owned(),
            home: location_of(ground.fs.as_ref(), &ground.home),
            yarn_class_path: ground.class_path.clone(),
            application_id: application_id.to_owned(),
            cluster_timestamp: timestamp.unwrap_or_default(),
            limits: self.limits(ground),
            hadoop_files: std::collections::BTreeMap::new(),
            provided_lib_dirs: wares.provided.folders.clone(),
            files: wares.provided.files.clone(),
            secure: ground.secure,
        }
    }

    /// How every submission to this cluster is built.
    pub(crate) fn submission_options(&self, wares: &Wares) -> SubmissionOptions {
        let mut options = SubmissionOptions::default();
        let mut flink = FlinkConfig::new();
        if let Some(queue) = &self.options.queue {
            flink.set("yarn.application.queue", queue);
        }
        flink.merge(&self.options.flink);
        options.flink = flink;
        options.tags = std::iter::once(self.options.tag.clone()).chain(wares.tag.clone()).collect();
        options.linger = self.options.keep_job_manager;
        options.archive = self.options.job_archive;
        options.python_jar = self.optional_jar("flink-python");
        options.sql_gateway_jar = self.optional_jar("flink-sql-gateway");
        options
    }

    fn optional_jar(&self, prefix: &str) -> Option<Resource> {
        let folder = self.options.flink_home.as_ref()?.join("opt");
        let named = |name: &str| name.starts_with(prefix) && name.ends_with(".jar");
        let mut entries = std::fs::read_dir(folder).ok()?.flatten();
        let entry = entries.find(|entry| entry.file_name().to_str().is_some_and(named))?;
        Some(Resource::new(entry.file_name().to_string_lossy(), Location::Path(entry.path())))
    }

    /// `host:port` as we reach it.
    pub(crate) fn reachable(&self, address: &str) -> String {
        let Some((host, port)) = address.rsplit_once(':') else { return address.to_owned() };
        match self.options.host_map.get(host) {
            Some(mapped) if mapped.contains(':') => mapped.clone(),
            Some(mapped) => format!("{mapped}:{port}"),
            None => address.to_owned(),
        }
    }
}
