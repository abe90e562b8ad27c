//! Builds by Gradle.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::builder::{BuildOutput, BuildRequest, Builder};
use super::failure::{BuildFailure, BuildFailureKind};
use super::maven::{folder, no_module, place};
use super::process::{self, Call, Finished};
use super::verdict::{self, Verdict};
use super::{jdk, outputs, words};
use crate::{Error, Result, Secret, is_sensitive_key};

#[cfg(test)]
mod tests;

/// How Gradle is run. There is no free text among it: each option is checked by its own rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GradleOptions {
    /// The folder of the project that holds `settings.gradle`; empty is its top.
    pub folder: String,
    /// The task that makes the jar. Default: `assemble`; `shadowJar` with the plug-in of that name.
    pub task: String,
    /// Properties of the project, as `-Pkey=value` sets them.
    pub properties: BTreeMap<String, String>,
    /// Whether tests are run too.
    pub tests: bool,
    /// Whether nothing may be fetched.
    pub offline: bool,
    /// Whether the project's `gradlew` is preferred. Default: yes.
    pub wrapper: bool,
    /// Where Gradle keeps what it fetched. Default: `~/.gradle`.
    pub user_home: Option<PathBuf>,
    /// The heap of Gradle's JVM in MiB. Default: the JVM's.
    pub heap_mb: Option<u32>,
    /// The JDK to build with. Default: `JAVA_HOME`, or the one on the PATH.
    pub java_home: Option<PathBuf>,
}

impl Default for GradleOptions {
    fn default() -> Self {
        Self {
            folder: String::new(),
            task: "assemble".to_owned(),
            properties: BTreeMap::new(),
            tests: false,
            offline: false,
            wrapper: true,
            user_home: None,
            heap_mb: None,
            java_home: None,
        }
    }
}

impl GradleOptions {
    /// Sets a property.
    #[must_use]
    pub fn property(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.properties.insert(key.into(), value.into());
        self
    }

    /// Names the task that makes the jar.
    #[must_use]
    pub fn task(mut self, task: impl Into<String>) -> Self {
        self.task = task.into();
        self
    }

    /// Sets whether tests are run.
    #[must_use]
    pub fn tests(mut self, run: bool) -> Self {
        self.tests = run;
        self
    }

    fn check(&self) -> Result<()> {
        words::folder("folder", &self.folder)?;
        words::name("task", &self.task)?;
        for (key, value) in &self.properties {
            words::name("property", key)?;
            words::value(key, value)?;
        }
        for (name, path) in [("user_home", &self.user_home), ("java_home", &self.java_home)] {
            if path.as_ref().is_some_and(|path| !path.is_absolute()) {
                return Err(words::refused(format!(
                    "the option {name} is refused: it is a relative path; write it whole"
                )));
            }
        }
        if self.heap_mb.is_some_and(|heap| heap < 16) {
            return Err(words::refused("heap_mb is less than 16, with which no Gradle starts".to_owned()));
        }
        Ok(())
    }
}

/// Builds with the project's `gradlew`, or else with the Gradle on the PATH; never with a daemon.
///
/// Modules are named by their folder: `jobs/orders` is Gradle's project `:jobs:orders`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GradleBuilder {
    options: GradleOptions,
}

impl GradleBuilder {
    /// A builder with these options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the option and its rule.
    pub fn new(options: GradleOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options })
    }

    fn tool(&self, root: &Path, request: &BuildRequest) -> Result<(PathBuf, &'static str)> {
        if self.options.wrapper && root.join("gradlew").is_file() {
            let wrapper = process::inside(root, Path::new("gradlew"))?;
            if process::is_program(&wrapper) {
                return Ok((wrapper, "wrapper"));
            }
        }
        match process::on_path("gradle", request)? {
            Some(program) => Ok((program, "PATH")),
            None => Err(BuildFailure::new(BuildFailureKind::Tool).into_error(
                "there is no Gradle: the project has no executable gradlew, and none is on the PATH; install Gradle, or commit the wrapper",
            )),
        }
    }

    fn call(&self, program: PathBuf, request: &BuildRequest) -> Call {
        let options = &self.options;
        let mut call = Call::new(program, &options.folder).arg("--no-daemon").arg("--console=plain");
        if options.offline {
            call = call.arg("--offline");
        }
        for (key, value) in &options.properties {
            call = call.arg(format!("-P{key}={value}"));
            if is_sensitive_key(key) {
                call.hidden.push(Secret::new(value));
            }
        }
        let modules: Vec<&str> =
            request.modules.iter().map(String::as_str).filter(|module| !module.is_empty()).collect();
        let tasks = ["clean", &options.task].into_iter().chain(options.tests.then_some("test"));
        for task in tasks {
            match modules.as_slice() {
                [] => call = call.arg(task),
                modules => {
                    for module in modules {
                        call = call.arg(format!(":{}:{task}", module.replace('/', ":")));
                    }
                }
            }
        }
        if let Some(home) = &options.user_home {
            call.env.push(("GRADLE_USER_HOME", home.into()));
        }
        if let Some(heap) = options.heap_mb {
            call.env.push(("JAVA_OPTS", format!("-Xmx{heap}m").into()));
        }
        if let Some(home) = &options.java_home {
            call.env.push(("JAVA_HOME", home.into()));
        }
        call
    }
}

#[async_trait]
impl Builder for GradleBuilder {
    fn kind(&self) -> &str {
        "gradle"
    }

    fn fingerprint(&self) -> String {
        serde_json::to_string(&self.options).unwrap_or_default()
    }

    async fn build(&self, request: &BuildRequest) -> Result<BuildOutput> {
        let root = folder(request, &self.options.folder, "build.gradle")?;
        let files = ["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"];
        if !files.iter().any(|file| root.join(file).is_file()) {
            return Err(BuildFailure::new(BuildFailureKind::BuildFile).into_error(format!(
                "there is no build.gradle in the {} of the project; name the folder that holds it with the option 'folder', or take another builder",
                place(&self.options.folder)
            )));
        }
        for module in &request.modules {
            words::folder("module", module)?;
            if !root.join(module).is_dir() {
                return Err(no_module(module, &[]));
            }
        }
        let (program, found) = self.tool(&root, request)?;
        process::step(request, format!("Gradle of the {found}: {}", program.display()));
        let finished = process::run(self.call(program, request), request).await?;
        if !finished.succeeded() {
            return Err(verdict_of(&finished, &root));
        }
        let mut output = BuildOutput::default();
        let wanted = if request.modules.is_empty() {
            let root = root.clone();
            outputs::blocking(move || Ok(outputs::folders_with(&root, "build/libs"))).await?
        } else {
            request.modules.clone()
        };
        for module in wanted {
            let build = root.join(&module).join("build");
            let mut files = outputs::in_folder(&root, &build.join("libs"))?;
            files.extend(outputs::in_folder(&root, &build.join("distributions"))?);
            if files.is_empty() {
                return Err(BuildFailure::new(BuildFailureKind::Outputs)
                    .into_error(format!("Gradle left no jar in the folder build/libs of module '{module}'")));
            }
            output.modules.push((module, files));
        }
        if output.modules.is_empty() {
            return Err(BuildFailure::new(BuildFailureKind::Outputs)
                .into_error("Gradle left no jar in any folder build/libs; does the task make one?"));
        }
        output.facts.insert("tool".into(), format!("Gradle of the {found}"));
        if let Some(jdk) = jdk::version(self.options.java_home.as_deref(), request) {
            output.facts.insert("jdk".into(), jdk);
        }
        Ok(output)
    }
}

/// What Gradle's output means.
fn verdict_of(finished: &Finished, root: &Path) -> Error {
    if let Some(error) = verdict::of_exit("Gradle", finished) {
        return error;
    }
    let says = |text: &str| finished.lines.iter().any(|line| line.contains(text));
    let picked = |marks: &[&str]| -> Vec<String> {
        let fits = |line: &&String| marks.iter().any(|mark| line.contains(mark));
        finished.lines.iter().filter(fits).map(|line| verdict::relative(line.trim(), root)).collect()
    };
    let Verdict { kind, message, lines } = if says("Compilation failed") || says("Compilation error") {
        // Gradle 4 begins a task's line and does not end it before the compiler speaks.
        let top = format!("{}/", root.display());
        let from_path = |line: &String| match line.split_once(&top) {
            Some((_, rest)) => rest.to_owned(),
            None => line.trim().to_owned(),
        };
        let sources = [".java:", ".scala:", ".kt:", ".groovy:"];
        let is_place = |line: &&String| sources.iter().any(|mark| line.contains(mark));
        let lines = finished.lines.iter().filter(is_place).map(from_path).collect();
        Verdict::new(BuildFailureKind::Compile, "the code does not compile".into(), lines)
    } else if says("There were failing tests") {
        Verdict::new(BuildFailureKind::Tests, "tests failed".into(), picked(&[" FAILED"]))
    } else if says("Could not GET") || says("Could not HEAD") {
        let message = "a repository cannot be reached; check the network and the proxy".to_owned();
        Verdict::new(BuildFailureKind::Repository, message, picked(&["Could not GET", "Could not HEAD", "> "]))
    } else if says("Could not find ")
        || says("Could not resolve ")
        || says("was not found in any of the following sources")
    {
        let message = "a dependency is in no repository; check its coordinates, or declare its repository".to_owned();
        let lines = picked(&["Could not find ", "Could not resolve ", "was not found in any"]);
        Verdict::new(BuildFailureKind::Dependency, message, lines)
    } else if says("not found in root project") {
        let message = "Gradle does not know a module or task that was asked for".to_owned();
        Verdict::new(BuildFailureKind::Module, message, picked(&["not found in root project"]))
    } else {
        let wrong: Vec<String> = finished
            .lines
            .iter()
            .skip_while(|line| !line.starts_with("* What went wrong"))
            .skip(1)
            .take_while(|line| !line.starts_with("* Try"))
            .filter(|line| !line.trim().is_empty())
            .map(|line| verdict::relative(line.trim(), root))
            .collect();
        let lines = if wrong.is_empty() { verdict::tail(finished) } else { wrong };
        Verdict::new(BuildFailureKind::Other, format!("Gradle failed{}", verdict::code(finished)), lines)
    };
    BuildFailure::new(kind).with_lines(lines).into_error(message)
}
