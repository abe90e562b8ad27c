//! A project, declared: where its code is, how it is built, whose it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::builder::Builder;
use super::command::{CommandBuilder, NoBuilder};
use super::gradle::{GradleBuilder, GradleOptions};
use super::maven::{MavenBuilder, MavenOptions};
use super::words;
#[cfg(feature = "git")]
use crate::project::git::{GitCache, GitCredentials, GitSource};
use crate::project::{LocalSource, Source};
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// How a project's code is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuilderSpec {
    /// By Maven.
    Maven(MavenOptions),
    /// By Gradle.
    Gradle(GradleOptions),
    /// By one program.
    Command(CommandSpec),
    /// Not at all: the files are in the project.
    None(NoneSpec),
}

/// The program that builds, and what it leaves behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CommandSpec {
    /// The program and its words.
    pub argv: Vec<String>,
    /// Module, and the files of it: paths in which `*` stands for any text of a name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Vec<String>>,
}

impl CommandSpec {
    /// Runs `argv`.
    pub fn new<W: Into<String>>(argv: impl IntoIterator<Item = W>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), outputs: BTreeMap::new() }
    }

    /// Declares a file of a module.
    #[must_use]
    pub fn output(mut self, module: impl Into<String>, path: impl Into<String>) -> Self {
        self.outputs.entry(module.into()).or_default().push(path.into());
        self
    }
}

/// The files that are in the project already.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NoneSpec {
    /// Module, and the files of it. Where none are named: the jars and archives at the top.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Vec<String>>,
}

impl BuilderSpec {
    /// The builder that it describes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the option and its rule.
    pub fn builder(&self) -> Result<Arc<dyn Builder>> {
        Ok(match self {
            Self::Maven(options) => Arc::new(MavenBuilder::new(options.clone())?),
            Self::Gradle(options) => Arc::new(GradleBuilder::new(options.clone())?),
            Self::Command(spec) => {
                let mut builder = CommandBuilder::new(spec.argv.iter().cloned())?;
                for (module, path) in pairs(&spec.outputs) {
                    builder = builder.output(module, path)?;
                }
                Arc::new(builder)
            }
            Self::None(spec) => {
                let mut builder = NoBuilder::new();
                for (module, path) in pairs(&spec.outputs) {
                    builder = builder.output(module, path)?;
                }
                Arc::new(builder)
            }
        })
    }
}

impl Default for BuilderSpec {
    fn default() -> Self {
        Self::Maven(MavenOptions::default())
    }
}

fn pairs(outputs: &BTreeMap<String, Vec<String>>) -> impl Iterator<Item = (&str, &str)> {
    outputs.iter().flat_map(|(module, paths)| paths.iter().map(move |path| (module.as_str(), path.as_str())))
}

/// Who we are to the project's server. Secrets are named, not held: `env:NAME` or `file:/path`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CredentialsSpec {
    /// An access token over https.
    Token(String),
    /// A name and a password over https.
    Password {
        /// The account.
        user: String,
        /// Where the password is.
        password: String,
    },
    /// A private key over ssh.
    Key {
        /// The file, in OpenSSH or PEM form.
        file: PathBuf,
        /// Where the passphrase is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        passphrase: Option<String>,
    },
    /// The ssh agent of the process's user.
    Agent,
}

impl CredentialsSpec {
    fn check(&self) -> Result<()> {
        let secrets = match self {
            Self::Token(secret) | Self::Password { password: secret, .. } => Some(secret),
            Self::Key { passphrase, .. } => passphrase.as_ref(),
            Self::Agent => None,
        };
        match secrets {
            Some(secret) if !secret.starts_with("env:") && !secret.starts_with("file:") => Err(refused(
                "the credentials of a project hold a secret itself; name where it is instead, as env:NAME or file:/path, because projects are kept in files",
            )),
            _ => Ok(()),
        }
    }

    #[cfg(feature = "git")]
    fn credentials(&self) -> GitCredentials {
        match self {
            Self::Token(secret) => GitCredentials::token(secret.clone()),
            Self::Password { user, password } => GitCredentials::password(user, password.clone()),
            Self::Key { file, passphrase } => {
                GitCredentials::key_file(file, passphrase.clone().map(crate::Secret::new))
            }
            Self::Agent => GitCredentials::Agent,
        }
    }
}

/// A module that gives a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModuleSpec {
    /// Its folder inside the project, such as `jobs/orders`; empty for the project itself.
    pub name: String,
    /// The name of the job's jar, in which `*` stands for any text; None leaves it to the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jar: Option<String>,
}

impl ModuleSpec {
    /// The module in a folder.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), jar: None }
    }

    /// Names the job's jar.
    #[must_use]
    pub fn jar(mut self, pattern: impl Into<String>) -> Self {
        self.jar = Some(pattern.into());
        self
    }
}

impl<T: Into<String>> From<T> for ModuleSpec {
    fn from(name: T) -> Self {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for ModuleSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            name: String,
            #[serde(default)]
            jar: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Name(String),
            Whole(Whole),
        }
        Ok(match Either::deserialize(deserializer)? {
            Either::Name(name) => Self::new(name),
            Either::Whole(Whole { name, jar }) => Self { name, jar },
        })
    }
}

/// A project.
///
/// In YAML:
///
/// ```yaml
/// name: orders
/// git: ssh://git@git.example.com/team/orders.git
/// ref: main
/// credentials: {key: {file: /etc/keys/orders}}
/// builder: {maven: {profiles: [prod]}}
/// modules: [jobs/orders, {name: jobs/returns, jar: "returns-*-all.jar"}]
/// owner: team-orders
/// environment: prod
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProjectSpec {
    /// The name that jobs use.
    pub name: String,
    /// The address of a Git repository; this, or `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// A folder of this machine; this, or `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<PathBuf>,
    /// The branch, tag or commit; empty is the repository's default branch.
    #[serde(default, rename = "ref", skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// Who we are to the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialsSpec>,
    /// Whether submodules are brought.
    #[serde(default)]
    pub submodules: bool,
    /// How it is built.
    #[serde(default)]
    pub builder: BuilderSpec,
    /// Which modules give jobs; none named are all that the build makes.
    #[serde(default)]
    pub modules: Vec<ModuleSpec>,
    /// Whose it is.
    #[serde(default)]
    pub owner: String,
    /// What it is for: `dev`, `prod`.
    #[serde(default)]
    pub environment: String,
    /// What it is, in a sentence.
    #[serde(default)]
    pub description: String,
}

impl ProjectSpec {
    /// The repository at `url`, built by Maven.
    pub fn git(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self { git: Some(url.into()), ..Self::nowhere(name.into()) }
    }

    /// The folder at `path`, built by Maven.
    pub fn local(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { local: Some(path.into()), ..Self::nowhere(name.into()) }
    }

    fn nowhere(name: String) -> Self {
        Self {
            name,
            git: None,
            local: None,
            reference: String::new(),
            credentials: None,
            submodules: false,
            builder: BuilderSpec::default(),
            modules: Vec::new(),
            owner: String::new(),
            environment: String::new(),
            description: String::new(),
        }
    }

    /// Names the branch, tag or commit.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = reference.into();
        self
    }

    /// Says who we are.
    #[must_use]
    pub fn credentials(mut self, credentials: CredentialsSpec) -> Self {
        self.credentials = Some(credentials);
        self
    }

    /// Says how it is built.
    #[must_use]
    pub fn builder(mut self, builder: BuilderSpec) -> Self {
        self.builder = builder;
        self
    }

    /// Adds a module that gives a job.
    #[must_use]
    pub fn module(mut self, module: impl Into<ModuleSpec>) -> Self {
        self.modules.push(module.into());
        self
    }

    /// Says whose it is.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>) -> Self {
        self.owner = owner.into();
        self
    }

    /// Says what it is for.
    #[must_use]
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.environment = environment.into();
        self
    }

    /// Reads one from YAML.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with line and column.
    pub fn from_yaml(text: &str) -> Result<Self> {
        let spec: Self = serde_saphyr::from_str(text)
            .map_err(|source| refused(format!("the project cannot be read: {}", source.to_string().trim_end())))?;
        spec.validate()?;
        Ok(spec)
    }

    /// Checks everything that can be known without asking anybody.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] naming the field and its rule.
    pub fn validate(&self) -> Result<()> {
        words::name("project name", &self.name)?;
        if self.name.len() > 100 {
            return Err(refused("the name of a project has at most 100 characters"));
        }
        if self.git.is_some() == self.local.is_some() {
            return Err(
                refused("a project has either the field git or the field local").with_context("project", &self.name)
            );
        }
        self.reference.parse::<crate::project::GitRef>()?;
        if let Some(credentials) = &self.credentials {
            credentials.check().map_err(|error| error.with_context("project", &self.name))?;
        }
        for (index, module) in self.modules.iter().enumerate() {
            words::folder("module", &module.name)?;
            if let Some(jar) = &module.jar {
                words::folder("jar", &jar.replace('*', "x"))?;
            }
            if self.modules.iter().take(index).any(|other| other.name == module.name) {
                return Err(
                    refused(format!("the module '{}' is named twice", module.name)).with_context("project", &self.name)
                );
            }
        }
        self.builder.builder().map(drop).map_err(|error| error.with_context("project", &self.name))
    }

    /// The source that it describes.
    ///
    /// # Errors
    /// As [`validate`](Self::validate), and [`ErrorKind::Unsupported`] for a Git repository where the feature `git`
    /// is off.
    pub(crate) fn source(&self, context: &SourceContext) -> Result<Arc<dyn Source>> {
        if let Some(folder) = &self.local {
            return Ok(Arc::new(LocalSource::new(folder)?.checkouts(&context.checkouts)));
        }
        #[cfg(feature = "git")]
        {
            Ok(Arc::new(self.git_source(context)?))
        }
        #[cfg(not(feature = "git"))]
        {
            Err(Error::new(
                ErrorKind::Unsupported,
                "this build of the SDK reads no Git repositories; enable its feature 'git'",
            )
            .with_context("project", &self.name))
        }
    }

    #[cfg(feature = "git")]
    pub(crate) fn git_source(&self, context: &SourceContext) -> Result<GitSource> {
        let url = self.git.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, format!("the project '{}' is a folder and has no history", self.name))
        })?;
        let source = GitSource::new(&context.git, url)?.reference(&self.reference)?.submodules(self.submodules);
        Ok(match &self.credentials {
            Some(credentials) => source.credentials(credentials.credentials()),
            None => source,
        })
    }
}

/// What the sources of projects share.
#[derive(Debug, Clone)]
pub(crate) struct SourceContext {
    #[cfg(feature = "git")]
    pub(crate) git: GitCache,
    pub(crate) checkouts: PathBuf,
}

impl SourceContext {
    /// Everything below one folder.
    #[cfg(feature = "git")]
    pub(crate) fn new(folder: &Path, git: crate::project::git::GitOptions) -> Result<Self> {
        Ok(Self { git: GitCache::open(folder.join("git"), git)?, checkouts: folder.join("checkouts") })
    }

    /// Everything below one folder.
    #[cfg(not(feature = "git"))]
    pub(crate) fn new(folder: &Path) -> Self {
        Self { checkouts: folder.join("checkouts") }
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message).with_operation("project.spec")
}
