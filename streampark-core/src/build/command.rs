//! Builds by a declared command, and builds of which nothing is left to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::builder::{BuildOutput, BuildRequest, Builder};
use super::failure::{BuildFailure, BuildFailureKind};
use super::maven::no_module;
use super::process::{self, Call};
use super::{outputs, verdict, words};
use crate::Result;

#[cfg(test)]
mod tests;

/// Programs that take a line of text and run it.
const SHELLS: [&str; 9] = ["sh", "bash", "dash", "zsh", "ksh", "fish", "busybox", "cmd", "powershell"];

/// Runs one program with fixed words, and takes the files that are declared to come of it.
///
/// ```
/// use streampark_core::build::CommandBuilder;
///
/// let builder = CommandBuilder::new(["./build.sh", "--release"])?.output("", "dist/*.jar")?;
/// assert!(CommandBuilder::new(["sh", "-c", "make || rm -rf /"]).is_err());
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CommandBuilder {
    argv: Vec<String>,
    outputs: BTreeMap<String, Vec<String>>,
}

impl CommandBuilder {
    /// Runs `argv`: the first word is an absolute path, a path inside the project that begins with `./`, or the
    /// name of a program on the PATH. The words are handed over as they are.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where there is no word, or the program is a
    /// shell that is to run a text.
    pub fn new<W: Into<String>>(argv: impl IntoIterator<Item = W>) -> Result<Self> {
        let argv: Vec<String> = argv.into_iter().map(Into::into).collect();
        argv.iter().try_for_each(|word| words::word(word))?;
        let Some((program, rest)) = argv.split_first().filter(|(program, _)| !program.is_empty()) else {
            return Err(words::refused("the command is empty; name a program first, then its words".to_owned()));
        };
        let name = outputs::name(Path::new(program));
        let runs_text = rest.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.contains('c'));
        if SHELLS.contains(&name.trim_end_matches(".exe")) && runs_text {
            return Err(words::refused(format!(
                "the command is refused: '{}' would run a text as commands; put them into a script of the project, or name the program itself",
                words::shown(&name)
            )));
        }
        Ok(Self { argv, outputs: BTreeMap::new() })
    }

    /// Declares files that a module's build leaves behind: a path inside the project, in whose last part `*`
    /// stands for any text. The module's name is free; the empty one is that of a project of one module.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where the path leads out.
    pub fn output(mut self, module: impl Into<String>, path: impl Into<String>) -> Result<Self> {
        let (module, path) = (module.into(), path.into());
        words::folder("module", &module)?;
        words::folder("output", &path.replace('*', "x"))?;
        self.outputs.entry(module).or_default().push(path);
        Ok(self)
    }

    fn call(&self, request: &BuildRequest) -> Result<Call> {
        let missing = |text: String| BuildFailure::new(BuildFailureKind::Tool).into_error(text);
        let (program, rest) = self.argv.split_first().ok_or_else(|| missing("the command is empty".into()))?;
        let path = Path::new(program);
        let program = if path.is_absolute() {
            path.to_owned()
        } else if program.contains('/') {
            if !request.folder.join(path).is_file() {
                return Err(missing(format!("the project has no program '{program}'")));
            }
            process::inside(&request.folder, path)?
        } else {
            process::on_path(program, request)?
                .ok_or_else(|| missing(format!("there is no program '{program}' on the PATH of builds")))?
        };
        Ok(rest.iter().fold(Call::new(program, ""), |call, word| call.arg(word)))
    }
}

#[async_trait]
impl Builder for CommandBuilder {
    fn kind(&self) -> &str {
        "command"
    }

    fn fingerprint(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    async fn build(&self, request: &BuildRequest) -> Result<BuildOutput> {
        let call = self.call(request)?;
        process::step(request, format!("command: {}", call.program.display()));
        let finished = process::run(call, request).await?;
        if !finished.succeeded() {
            let error = verdict::of_exit("the command", &finished).unwrap_or_else(|| {
                BuildFailure::new(BuildFailureKind::Other)
                    .with_lines(verdict::tail(&finished))
                    .into_error(format!("the command failed{}", verdict::code(&finished)))
            });
            return Err(error);
        }
        declared(&self.outputs, request).await
    }
}

/// Takes files that are in the project already; runs nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NoBuilder {
    outputs: BTreeMap<String, Vec<String>>,
}

impl NoBuilder {
    /// Takes the jars and archives at the top of the project.
    pub fn new() -> Self {
        Self::default()
    }

    /// Declares files of a module, as [`CommandBuilder::output`] does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) where the path leads out.
    pub fn output(mut self, module: impl Into<String>, path: impl Into<String>) -> Result<Self> {
        let (module, path) = (module.into(), path.into());
        words::folder("module", &module)?;
        words::folder("output", &path.replace('*', "x"))?;
        self.outputs.entry(module).or_default().push(path);
        Ok(self)
    }
}

#[async_trait]
impl Builder for NoBuilder {
    fn kind(&self) -> &str {
        "none"
    }

    fn fingerprint(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    async fn build(&self, request: &BuildRequest) -> Result<BuildOutput> {
        declared(&self.outputs, request).await
    }
}

/// The files that were declared, looked up; where none were, those at the top.
async fn declared(declared: &BTreeMap<String, Vec<String>>, request: &BuildRequest) -> Result<BuildOutput> {
    let (declared, root, wanted) = (declared.clone(), request.folder.canonicalize()?, request.modules.clone());
    let top = BTreeMap::from([(String::new(), vec!["*.jar".to_owned(), "*.tar.gz".to_owned(), "*.zip".to_owned()])]);
    outputs::blocking(move || {
        let all = if declared.is_empty() { &top } else { &declared };
        let names: Vec<&str> = all.keys().map(String::as_str).filter(|name| !name.is_empty()).collect();
        if let Some(unknown) = wanted.iter().find(|module| !all.contains_key(*module)) {
            return Err(no_module(unknown, &names));
        }
        let mut output = BuildOutput::default();
        for (module, patterns) in all.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
            let mut files = Vec::new();
            for pattern in patterns {
                files.extend(matching(&root, pattern)?);
            }
            if files.is_empty() {
                let name = if module.is_empty() { "the project".to_owned() } else { format!("module '{module}'") };
                return Err(BuildFailure::new(BuildFailureKind::Outputs)
                    .into_error(format!("{name} has no file {}", patterns.join(", "))));
            }
            output.modules.push((module.clone(), files));
        }
        Ok(output)
    })
    .await
}

fn matching(root: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    let found = outputs::in_folder(root, &root.join(folder))?;
    Ok(found.into_iter().filter(|path| words::fits(name, &outputs::name(path))).collect())
}
