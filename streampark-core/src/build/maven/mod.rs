//! Builds by Apache Maven.

mod options;
mod verdict;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

pub use self::options::MavenOptions;
pub(super) use self::verdict::of as verdict_of;
use super::builder::{BuildEvent, BuildOutput, BuildRequest, Builder};
use super::failure::{BuildFailure, BuildFailureKind};
use super::pom::{self, Pom};
use super::process::{self, Call};
use super::{jdk, outputs};
use crate::{Result, Secret, is_sensitive_key};

#[cfg(test)]
mod tests;

/// Builds with the project's wrapper, or else with the Maven of `M2_HOME`, or else with the one on the PATH.
///
/// Modules are named by their folder, such as `jobs/orders`; what they need of the same project is built with
/// them. Maven's launcher gets its words one by one, and reads no `~/.mavenrc`.
///
/// ```
/// use streampark_core::build::{MavenBuilder, MavenOptions};
///
/// let builder = MavenBuilder::new(MavenOptions::default().profile("prod").property("revision", "1.2"))?;
/// assert!(MavenBuilder::new(MavenOptions::default().profile("prod || rm -rf /")).is_err());
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MavenBuilder {
    options: MavenOptions,
}

impl MavenBuilder {
    /// A builder with these options.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) naming the option and its rule.
    pub fn new(options: MavenOptions) -> Result<Self> {
        options.check()?;
        Ok(Self { options })
    }

    /// Finds the Maven to run, and says which one it is.
    fn tool(&self, root: &Path, request: &BuildRequest) -> Result<(PathBuf, &'static str)> {
        let wrapper = root.join("mvnw");
        if self.options.wrapper && root.join(".mvn/wrapper/maven-wrapper.properties").is_file() && wrapper.is_file() {
            let wrapper = process::inside(root, Path::new("mvnw"))?;
            if process::is_program(&wrapper) {
                return Ok((wrapper, "wrapper"));
            }
        }
        for variable in ["M2_HOME", "MAVEN_HOME"] {
            let Some(home) = std::env::var_os(variable).filter(|home| !home.is_empty()) else { continue };
            let program = Path::new(&home).join("bin").join("mvn");
            if process::is_program(&program) {
                return Ok((program, variable));
            }
        }
        if let Some(program) = process::on_path("mvn", request)? {
            return Ok((program, "PATH"));
        }
        Err(BuildFailure::new(BuildFailureKind::Tool).into_error(
            "there is no Maven: the project has no executable mvnw, M2_HOME names none, and none is on the PATH; install Maven, or set M2_HOME",
        ))
    }

    /// One goal, without the options that are about a project's own build.
    pub(super) fn goal(&self, root: &Path, request: &BuildRequest, goal: &str) -> Result<Call> {
        let (program, _) = self.tool(root, request)?;
        Ok(self.base(program, root).arg(goal))
    }

    /// Repositories, settings, JDK.
    fn base(&self, program: PathBuf, root: &Path) -> Call {
        let options = &self.options;
        let mut call = Call::new(program, &options.folder)
            .arg("--batch-mode")
            .arg("--no-transfer-progress")
            .arg("-Dstyle.color=never");
        if let Some(settings) = &options.settings {
            call = call.arg("--settings").arg(settings);
        }
        if let Some(repository) = &options.local_repository {
            let mut word = OsString::from("-Dmaven.repo.local=");
            word.push(repository);
            call = call.arg(word);
        }
        for (set, word) in [(options.offline, "--offline"), (options.update_snapshots, "--update-snapshots")] {
            call = if set { call.arg(word) } else { call };
        }
        call.env.push(("MAVEN_SKIP_RC", "1".into()));
        call.env.push(("MAVEN_BASEDIR", root.into()));
        if let Some(heap) = options.heap_mb {
            call.env.push(("MAVEN_OPTS", format!("-Xmx{heap}m").into()));
        }
        if let Some(home) = &options.java_home {
            call.env.push(("JAVA_HOME", home.into()));
        }
        call
    }

    fn call(&self, program: PathBuf, root: &Path, request: &BuildRequest) -> Call {
        let options = &self.options;
        let mut call = self.base(program, root);
        if let Some(threads) = options.threads {
            call = call.arg("--threads").arg(threads.to_string());
        }
        if !options.profiles.is_empty() {
            call = call.arg("--activate-profiles").arg(options.profiles.join(","));
        }
        if !options.tests {
            call = call.arg("-DskipTests");
        }
        for (key, value) in &options.properties {
            call = call.arg(format!("-D{key}={value}"));
            if is_sensitive_key(key) {
                call.hidden.push(Secret::new(value));
            }
        }
        let modules: Vec<&str> =
            request.modules.iter().map(String::as_str).filter(|module| !module.is_empty()).collect();
        if !modules.is_empty() {
            call = call.arg("--projects").arg(modules.join(",")).arg("--also-make");
        }
        call.arg("clean").arg("package")
    }
}

#[async_trait]
impl Builder for MavenBuilder {
    fn kind(&self) -> &str {
        "maven"
    }

    fn fingerprint(&self) -> String {
        // Keys come in a fixed order: fields in that of the struct, maps sorted.
        serde_json::to_string(&self.options).unwrap_or_default()
    }

    async fn build(&self, request: &BuildRequest) -> Result<BuildOutput> {
        let root = folder(request, &self.options.folder, "pom.xml")?;
        let known = {
            let root = root.clone();
            outputs::blocking(move || pom::modules(&root)).await?
        };
        if known.is_empty() {
            return Err(BuildFailure::new(BuildFailureKind::BuildFile).into_error(format!(
                "there is no pom.xml in the {} of the project; name the folder that holds it with the option 'folder', or take another builder",
                place(&self.options.folder)
            )));
        }
        check_modules(&request.modules, &known)?;
        let (program, found) = self.tool(&root, request)?;
        process::step(request, format!("Maven of the {found}: {}", program.display()));
        let request = &with_steps(request);
        let finished = process::run(self.call(program, &root, request), request).await?;
        if !finished.succeeded() {
            return Err(verdict::of(&finished, &root));
        }
        let wanted: Vec<String> = if request.modules.is_empty() {
            known.iter().filter(|(_, pom)| pom.packaging != "pom").map(|(module, _)| module.clone()).collect()
        } else {
            request.modules.clone()
        };
        let mut output = BuildOutput::default();
        for module in &wanted {
            let files = outputs::in_folder(&root, &root.join(module).join("target"))?;
            if !files.is_empty() {
                output.modules.push((module.clone(), files));
            } else if !request.modules.is_empty() {
                return Err(BuildFailure::new(BuildFailureKind::Outputs).into_error(format!(
                    "Maven left no jar and no tar.gz in the target folder of module '{module}'; is its packaging jar?"
                )));
            }
        }
        if output.modules.is_empty() {
            return Err(BuildFailure::new(BuildFailureKind::Outputs).into_error(
                "Maven left no jar and no tar.gz in any target folder; is a packaging jar among the modules?",
            ));
        }
        output.facts = verdict::facts(&finished);
        output.facts.insert("tool".into(), format!("Maven of the {found}"));
        if let Some(jdk) = jdk::version(self.options.java_home.as_deref(), request) {
            output.facts.insert("jdk".into(), jdk);
        }
        Ok(output)
    }
}

/// Tells each module that Maven begins as a step: `[INFO] Building orders 1.0      [2/3]`.
fn with_steps(request: &BuildRequest) -> BuildRequest {
    let log = Arc::clone(&request.log);
    let mut request = request.clone();
    request.log = Arc::new(move |event| {
        let step = match &event {
            BuildEvent::Line(line) => line.strip_prefix("[INFO] Building ").filter(|rest| !rest.starts_with("jar:")),
            _ => None,
        };
        if let Some(step) = step {
            log(BuildEvent::Step(format!("Building {}", step.split_whitespace().collect::<Vec<_>>().join(" "))));
        }
        log(event);
    });
    request
}

/// The folder in which a tool starts, checked to be one and to be inside.
pub(super) fn folder(request: &BuildRequest, below: &str, build_file: &str) -> Result<PathBuf> {
    let path = Path::new(below);
    if !request.folder.join(path).is_dir() {
        return Err(BuildFailure::new(BuildFailureKind::BuildFile)
            .into_error(format!("the project has no folder '{below}', which should hold its {build_file}")));
    }
    process::inside(&request.folder, path)
}

/// A folder in words.
pub(super) fn place(folder: &str) -> String {
    if folder.is_empty() { "top folder".to_owned() } else { format!("folder '{folder}'") }
}

fn check_modules(wanted: &[String], known: &[(String, Pom)]) -> Result<()> {
    for module in wanted {
        super::words::folder("module", module)?;
        if known.iter().any(|(name, _)| name == module) {
            continue;
        }
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty()).collect();
        return Err(no_module(module, &names));
    }
    Ok(())
}

/// The project has no such module; `names` are those it has.
pub(super) fn no_module(module: &str, names: &[&str]) -> crate::Error {
    let known = match names {
        [] => "the project has no modules".to_owned(),
        names => format!("its modules are {}", names.join(", ")),
    };
    BuildFailure::new(BuildFailureKind::Module).into_error(format!("the project has no module '{module}'; {known}"))
}
