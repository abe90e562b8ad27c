//! Projects, builds, artifacts and resources; records cross as JSON, which the Python half makes into its own.

mod options;
mod plain;
mod updates;

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::json;
use streampark_core::build::{ArtifactFilter, ArtifactRetention, BuildOrder, ProjectSpec, UploadOptions};
use streampark_core::platform::{Project, Projects as Core};
use streampark_core::project::Push;
use streampark_core::{Result, Secret};

pub(crate) use self::plain::{inspect_jar, jar_problems, maven_arguments, project_from_yaml};
pub(crate) use self::updates::BuildUpdates;
use crate::blobs::BlobStore;
use crate::convert::{Raise as _, duration, parse, text};
use crate::runtime::{Pending, is_forked};
use crate::spec::spec_of;

/// The projects of one folder.
#[pyclass(frozen, module = "streampark._streampark")]
pub(crate) struct Projects(pub(crate) Core);

impl Drop for Projects {
    fn drop(&mut self) {
        if is_forked() {
            std::mem::forget(self.0.clone());
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtifactArgs {
    project: Option<String>,
    module: Option<String>,
    revision: Option<String>,
    limit: Option<usize>,
}

impl Projects {
    fn on_project<T, F, Fut>(&self, name: String, call: F) -> Pending
    where
        F: FnOnce(Project) -> Fut + Send + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        T: for<'py> IntoPyObject<'py> + Send + 'static,
    {
        Pending::on(&self.0, move |projects| async move { call(projects.get(&name)?).await })
    }
}

#[pymethods]
impl Projects {
    #[staticmethod]
    #[pyo3(signature = (folder, settings, blobs))]
    fn open(folder: String, settings: &str, blobs: Option<&BlobStore>) -> PyResult<Pending> {
        let options = options::read(&folder, settings, blobs.map(|blobs| Arc::clone(&blobs.0))).or_raise()?;
        Ok(Pending::new(async move { Core::open(folder, options).await.map(Projects) }))
    }

    fn acting_as(&self, actor: String) -> Self {
        Self(self.0.acting_as(actor))
    }

    fn close(&self) -> Pending {
        Pending::on(&self.0, |projects| async move {
            projects.close().await;
            Ok(())
        })
    }

    /// Declares a project; gives its name.
    fn put(&self, spec: &str, new: bool) -> PyResult<Pending> {
        let spec: ProjectSpec = parse(spec, "the project").or_raise()?;
        Ok(Pending::on(&self.0, move |projects| async move {
            let project = if new { projects.create(spec).await? } else { projects.put(spec).await? };
            Ok(project.name().to_owned())
        }))
    }

    fn spec(&self, name: &str) -> PyResult<String> {
        self.0.get(name).and_then(|project| text(&project.spec()?)).or_raise()
    }

    fn list(&self) -> PyResult<String> {
        text(&self.0.list()).or_raise()
    }

    fn remove(&self, name: String) -> Pending {
        Pending::on(&self.0, move |projects| async move { projects.remove(&name).await.map(drop) })
    }

    fn check(&self, name: String) -> Pending {
        self.on_project(name, |project| async move { text(&project.check().await?) })
    }

    fn sync(&self, name: String) -> Pending {
        self.on_project(name, |project| async move {
            let report = project.sync().await?;
            let (revision, changed, bytes) = (&report.revision, report.changed, report.received_bytes);
            text(&json!({"revision": revision, "changed": changed, "received_bytes": bytes}))
        })
    }

    /// Asks for a build; gives its id.
    fn build(&self, order: &str) -> PyResult<Pending> {
        let order: BuildOrder = parse(order, "the order of a build").or_raise()?;
        Ok(Pending::on(&self.0, move |projects| async move {
            let project = projects.get(&order.project)?;
            Ok(project.build_with(order).await?.id().to_owned())
        }))
    }

    fn build_if_changed(&self, name: String) -> Pending {
        self.on_project(name, |project| async move {
            Ok(project.build_if_changed().await?.map(|build| build.id().to_owned()))
        })
    }

    /// Reads a webhook and asks for the builds that it concerns; gives their ids.
    fn pushed(&self, headers: Vec<(String, String)>, body: Vec<u8>, secret: String) -> Pending {
        Pending::on(&self.0, move |projects| async move {
            let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let Some(push) = Push::read(headers, &body, &Secret::new(secret))? else { return Ok(Vec::new()) };
            let builds = projects.pushed(&push).await?;
            Ok(builds.iter().map(|build| build.id().to_owned()).collect::<Vec<_>>())
        })
    }

    #[pyo3(signature = (project))]
    fn builds(&self, project: Option<&str>) -> PyResult<String> {
        text(&self.0.builds().list(project)).or_raise()
    }

    fn waiting(&self) -> PyResult<String> {
        text(&self.0.builds().waiting()).or_raise()
    }

    fn record(&self, build: &str) -> PyResult<String> {
        self.0.builds().get(build).and_then(|build| text(&build.record()?)).or_raise()
    }

    fn position(&self, build: &str) -> PyResult<Option<usize>> {
        self.0.builds().get(build).map(|build| build.position()).or_raise()
    }

    fn wait(&self, build: String) -> Pending {
        Pending::on(&self.0, move |projects| async move { text(&projects.builds().get(&build)?.wait().await?) })
    }

    fn cancel(&self, build: String, actor: String) -> Pending {
        Pending::on(&self.0, move |projects| async move { projects.builds().get(&build)?.cancel_as(actor).await })
    }

    fn again(&self, build: String) -> Pending {
        Pending::on(&self.0, move |projects| async move {
            Ok(projects.builds().get(&build)?.again().await?.id().to_owned())
        })
    }

    fn log(&self, build: String, start: u64, limit: usize) -> Pending {
        Pending::on(&self.0, move |projects| async move {
            let page = projects.builds().get(&build)?.log(start, limit).await?;
            Ok((page.text, page.next))
        })
    }

    fn tail(&self, build: String, lines: usize) -> Pending {
        Pending::on(&self.0, move |projects| async move { projects.builds().get(&build)?.tail(lines).await })
    }

    fn follow(&self, build: &str) -> PyResult<BuildUpdates> {
        let follower = self.0.builds().get(build).and_then(|build| build.follow()).or_raise()?;
        Ok(BuildUpdates::of(follower))
    }

    fn build_artifacts(&self, build: String) -> Pending {
        Pending::on(&self.0, move |projects| async move { text(&projects.builds().get(&build)?.artifacts().await?) })
    }

    fn artifacts(&self, filter: &str) -> PyResult<Pending> {
        let args: ArtifactArgs = parse(filter, "the filter of artifacts").or_raise()?;
        let mut filter = ArtifactFilter::default();
        filter.project = args.project;
        filter.module = args.module;
        filter.revision = args.revision;
        filter.limit = args.limit;
        Ok(Pending::on(&self.0, move |projects| async move { text(&projects.artifacts().list(&filter).await?) }))
    }

    #[pyo3(signature = (name, module))]
    fn artifact(&self, name: String, module: Option<String>) -> Pending {
        self.on_project(name, move |project| async move { text(&project.artifact(module.as_deref()).await?) })
    }

    fn jar(&self, artifact: String) -> Pending {
        Pending::on(&self.0, move |projects| async move {
            let artifact = projects.artifacts().get(&artifact).await?;
            Ok(projects.artifacts().jar(&artifact).await?.to_string_lossy().into_owned())
        })
    }

    fn inspect(&self, artifact: String) -> Pending {
        Pending::on(&self.0, move |projects| async move {
            let artifact = projects.artifacts().get(&artifact).await?;
            text(&projects.artifacts().inspect(&artifact).await?)
        })
    }

    fn prune(&self, keep: usize, max_age: f64) -> PyResult<Pending> {
        let mut retention = ArtifactRetention::default();
        retention.keep = keep;
        retention.max_age = duration(max_age).or_raise()?;
        Ok(Pending::on(&self.0, move |projects| async move {
            let pruned = projects.prune(&retention).await?;
            text(&json!({"artifacts": pruned.artifacts, "bytes": pruned.bytes}))
        }))
    }

    fn readme(&self, name: String, module: String) -> Pending {
        self.on_project(name, move |project| async move { project.readme(&module).await })
    }

    fn commits(&self, name: String, path: String, limit: usize) -> Pending {
        self.on_project(name, move |project| async move { text(&project.log(&path, limit).await?) })
    }

    fn refs(&self, name: String) -> Pending {
        self.on_project(name, |project| async move { text(&project.refs().await?) })
    }

    fn history(&self, name: String, limit: usize) -> Pending {
        Pending::on(&self.0, move |projects| async move { text(&projects.history(&name, limit).await?) })
    }

    #[pyo3(signature = (name, path, reference))]
    fn file(&self, name: String, path: String, reference: Option<String>) -> Pending {
        self.on_project(name, move |project| async move {
            match reference {
                Some(reference) => project.file_at(&reference, &path).await,
                None => project.file(&path).await,
            }
        })
    }

    #[pyo3(signature = (name, version, path, team, actor, description))]
    fn upload(
        &self,
        name: String,
        version: String,
        path: PathBuf,
        team: Option<String>,
        actor: String,
        description: String,
    ) -> Pending {
        let options = upload_options(team, actor, description);
        Pending::on(&self.0, move |projects| async move {
            text(&projects.resources().upload(&name, &version, &path, options).await?)
        })
    }

    #[pyo3(signature = (name, version, members, team, actor, description))]
    fn group(
        &self,
        name: &str,
        version: &str,
        members: Vec<String>,
        team: Option<String>,
        actor: String,
        description: String,
    ) -> PyResult<String> {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let options = upload_options(team, actor, description);
        self.0.resources().group(name, version, &members, options).and_then(|entry| text(&entry)).or_raise()
    }

    #[pyo3(signature = (name, version))]
    fn resource(&self, name: &str, version: Option<&str>) -> PyResult<String> {
        self.0.resources().get(name, version).and_then(|entry| text(&entry)).or_raise()
    }

    #[pyo3(signature = (team))]
    fn resources(&self, team: Option<&str>) -> PyResult<String> {
        text(&self.0.resources().list(team)).or_raise()
    }

    #[pyo3(signature = (name, version))]
    fn create_functions(&self, name: &str, version: Option<&str>) -> PyResult<Vec<String>> {
        self.0.resources().create_functions(name, version).or_raise()
    }

    #[pyo3(signature = (name, version))]
    fn resource_users(&self, name: String, version: Option<String>) -> Pending {
        Pending::on(&self.0, move |projects| async move { projects.users_of_resource(&name, version.as_deref()).await })
    }

    #[pyo3(signature = (name, version))]
    fn remove_resource(&self, name: String, version: Option<String>) -> Pending {
        Pending::on(&self.0, move |projects| async move { projects.remove_resource(&name, version.as_deref()).await })
    }

    fn maven(&self, coordinates: String, exclude: Vec<String>, refresh: bool) -> Pending {
        Pending::on(&self.0, move |projects| async move {
            let maven = projects.maven();
            let lock = match refresh {
                true => maven.refresh(&coordinates, &exclude).await?,
                false => maven.resolve(&coordinates, &exclude).await?,
            };
            text(&lock)
        })
    }

    fn conflicts(&self, spec: &str) -> PyResult<Pending> {
        let spec = spec_of(spec)?;
        Ok(Pending::on(&self.0, move |projects| async move { text(&projects.conflicts(&spec).await?) }))
    }
}

fn upload_options(team: Option<String>, actor: String, description: String) -> UploadOptions {
    let options = UploadOptions::default().actor(actor).description(description);
    match team {
        Some(team) => options.team(team),
        None => options,
    }
}
