//! One build, from the source to the artifacts.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::record::BuildOrder;
use crate::build::artifact::Artifact;
use crate::build::artifacts::{ArtifactStore, describe};
use crate::build::builder::{BuildEvent, BuildRequest, Builder};
use crate::build::environment::BuildEnvironment;
use crate::build::failure::{BuildFailure, BuildFailureKind};
use crate::build::outputs::blocking;
use crate::build::spec::ModuleSpec;
use crate::build::unpack::{self, UnpackLimits};
use crate::build::{LogSink, pick};
use crate::project::{CheckoutOptions, Revision, Source, SyncOptions, SyncProgress};
use crate::{Result, SharedClock};

/// What a project's name stands for when the turn of a build comes.
#[derive(Clone)]
#[non_exhaustive]
pub struct BuildPlan {
    /// Where the code is.
    pub source: Arc<dyn Source>,
    /// What builds it.
    pub builder: Arc<dyn Builder>,
    /// The modules that give jobs; none named are all that the build makes.
    pub modules: Vec<ModuleSpec>,
}

impl BuildPlan {
    /// All modules of `source`, built by `builder`.
    pub fn new(source: Arc<dyn Source>, builder: Arc<dyn Builder>) -> Self {
        Self { source, builder, modules: Vec::new() }
    }

    /// Names the modules that give jobs.
    #[must_use]
    pub fn with_modules(mut self, modules: Vec<ModuleSpec>) -> Self {
        self.modules = modules;
        self
    }
}

impl fmt::Debug for BuildPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildPlan")
            .field("source", &self.source)
            .field("builder", &self.builder)
            .finish_non_exhaustive()
    }
}

/// Knows the projects. A queue asks it each time the turn of a build comes, so that builds that waited through a
/// restart, or through a change of their project, are built as the project stands then.
pub trait BuildPlans: fmt::Debug + Send + Sync + 'static {
    /// What the name stands for.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) where there is no such project.
    fn plan(&self, project: &str) -> Result<BuildPlan>;
}

/// What a build tells while it is under way.
pub(super) type Progress = Arc<dyn Fn(SyncProgress) + Send + Sync>;

/// What was found out, even where the build fails later.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) revision: Option<Revision>,
    pub(super) builder: String,
    pub(super) key: Option<String>,
}

/// What one build needs of its queue.
pub(super) struct Work {
    pub(super) id: String,
    pub(super) order: BuildOrder,
    pub(super) plan: BuildPlan,
    pub(super) artifacts: ArtifactStore,
    pub(super) env: BuildEnvironment,
    pub(super) timeout: Duration,
    pub(super) max_output: u64,
    pub(super) max_memory: Option<u64>,
    pub(super) clock: SharedClock,
    pub(super) log: LogSink,
    pub(super) progress: Progress,
}

impl Work {
    /// Brings the code, and says what would be built: the key under which an equal build may be known.
    pub(super) async fn begin(&self) -> Result<Found> {
        let revision = match &self.order.revision {
            Some(id) => Revision::new(id.to_ascii_lowercase()),
            None => {
                self.step(format!("sync {}", self.plan.source.location()));
                let progress = Arc::clone(&self.progress);
                let options = SyncOptions::default().with_progress(move |made| progress(made));
                self.plan.source.sync(&options).await?.revision
            }
        };
        let key = self.key(&revision.id);
        Ok(Found { revision: Some(revision), builder: self.plan.builder.kind().to_owned(), key: Some(key) })
    }

    /// Builds, and keeps what came of it: module and artifact.
    pub(super) async fn build(&self, found: &mut Found) -> Result<Vec<(String, String)>> {
        let at = found.revision.as_ref().map(|revision| CheckoutOptions::at(&revision.id)).unwrap_or_default();
        let checkout = self.plan.source.checkout(&at).await?;
        found.revision = Some(checkout.revision.clone());
        self.step(format!("build {} by {}", checkout.revision.id, self.plan.builder.kind()));
        let wanted = self.modules();
        let mut request = BuildRequest::new(checkout.path()).with_modules(wanted.iter().map(|module| &module.name));
        request.id.clone_from(&self.id);
        request.env = self.env.clone();
        request.timeout = self.timeout;
        request.max_output = self.max_output;
        request.max_memory = self.max_memory;
        request.log = Arc::clone(&self.log);
        let output = self.plan.builder.build(&request).await?;
        pick::distinct(&output.modules)?;
        let mut drafts = Vec::new();
        for (module, files) in output.modules {
            let pattern = self.plan.modules.iter().find(|spec| spec.name == module).and_then(|spec| spec.jar.clone());
            let name = module.clone();
            let choice = blocking(move || {
                let choice = pick::pick(&name, &files, pattern.as_deref())?;
                unpack::check_jar(&choice.jar.1, UnpackLimits::default())?;
                Ok(choice)
            })
            .await;
            // A module that nobody named and that gives no job, such as a shared library, is no failure.
            let choice = match choice {
                Err(error) if wanted.is_empty() && is_outputs(&error) => {
                    self.step(format!("module '{module}' gives no job: {}", error.message()));
                    continue;
                }
                choice => choice?,
            };
            self.step(format!("job jar of module '{module}': {} ({})", choice.jar.0, choice.rule));
            let jar = describe(&choice.jar.0, &choice.jar.1).await?;
            let mut artifact = Artifact::new(
                &self.order.project,
                &module,
                checkout.revision.clone(),
                self.plan.builder.kind(),
                jar.clone(),
                self.clock.now(),
            );
            let mut files = vec![(jar, choice.jar.1.clone())];
            for (shown, path) in &choice.rest {
                let file = describe(shown, path).await?;
                artifact.files.push(file.clone());
                files.push((file, path.clone()));
            }
            artifact.dirty = checkout.dirty;
            artifact.build = Some(self.id.clone());
            artifact.rule.clone_from(&choice.rule);
            artifact.passed.clone_from(&choice.passed);
            artifact.facts.clone_from(&output.facts);
            artifact.facts.insert("options".to_owned(), self.plan.builder.fingerprint());
            drafts.push((artifact, files, choice.scratch));
        }
        self.check(&drafts.iter().map(|(artifact, ..)| artifact).collect::<Vec<_>>())?;
        let mut kept = Vec::new();
        for (artifact, files, _scratch) in drafts {
            self.artifacts.put_files(&artifact, &files).await?;
            kept.push((artifact.module.clone(), artifact.id));
        }
        Ok(kept)
    }

    fn check(&self, artifacts: &[&Artifact]) -> Result<()> {
        let failed = |message: String| Err(BuildFailure::new(BuildFailureKind::Outputs).into_error(message));
        if artifacts.is_empty() {
            return failed("no module gives a job; see the log for what was passed over".to_owned());
        }
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for artifact in artifacts {
            if !seen.insert(&artifact.id) {
                let twins: Vec<&&Artifact> = artifacts.iter().filter(|other| other.id == artifact.id).collect();
                let names: Vec<String> = twins.iter().map(|twin| format!("'{}'", twin.module)).collect();
                let path = twins.first().map(|twin| twin.job_jar.path.as_str()).unwrap_or_default();
                return failed(format!(
                    "the modules {} claim the same jar '{path}'; declare it for one of them",
                    names.join(" and ")
                ));
            }
        }
        Ok(())
    }

    fn modules(&self) -> Vec<ModuleSpec> {
        match self.order.modules.is_empty() {
            true => self.plan.modules.clone(),
            false => self.order.modules.iter().map(ModuleSpec::new).collect(),
        }
    }

    /// Same project, commit, builder, options and modules: same result.
    fn key(&self, revision: &str) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        };
        for text in [&self.order.project, revision, self.plan.builder.kind(), &self.plan.builder.fingerprint()] {
            add(text);
        }
        let mut modules = self.modules();
        modules.sort_by(|one, other| one.name.cmp(&other.name));
        for module in &self.plan.modules {
            add(module.jar.as_deref().unwrap_or_default());
        }
        for module in &modules {
            add(&module.name);
        }
        hex::encode(hash.finalize())
    }

    fn step(&self, text: String) {
        (self.log)(BuildEvent::Step(text));
    }
}

fn is_outputs(error: &crate::Error) -> bool {
    BuildFailure::of(error).is_some_and(|failure| failure.kind == BuildFailureKind::Outputs)
}
