//! From the names of jars to their files.

use std::path::{Path, PathBuf};

use url::Url;

use super::archive;
use super::dependency::{Dependency, MavenRef, ModuleRef, ResourceRef};
use super::digest;
use super::download;
use super::launch::{Location, Resource};
use super::program::ProgramContext;
use crate::{Error, ErrorKind, Result};

#[cfg(test)]
mod tests;

/// Finds the jars that `dependencies` name, in their order, each with what it brings along.
///
/// A path, a `file:` URL or an `http(s)` URL becomes a file on this machine that was looked at (it is a
/// jar) and hashed; any other URL is left to the engine; a module, a resource or Maven coordinates are asked
/// of the context's resolver.
///
/// # Errors
/// [`ErrorKind::InvalidInput`] where a path or URL is wrong, [`ErrorKind::Program`] where what was found is
/// no jar, [`ErrorKind::Unsupported`] where a resolver is needed and there is none, and the errors of a download.
pub async fn resolve_dependencies(dependencies: &[Dependency], context: &ProgramContext) -> Result<Vec<Resource>> {
    let mut found: Vec<Resource> = Vec::new();
    for dependency in dependencies {
        for resource in resolve(dependency, context).await? {
            // Two ways to one jar are one jar; a class path that holds it twice helps nobody.
            if !found.contains(&resource) {
                found.push(resource);
            }
        }
    }
    Ok(found)
}

/// The jars of one dependency, the main one first; never empty.
pub(super) async fn resolve(dependency: &Dependency, context: &ProgramContext) -> Result<Vec<Resource>> {
    let resources = match dependency {
        Dependency::Location(text) => vec![at_location(text, context).await?],
        other => match &context.resolver {
            Some(resolver) => resolver.resolve(other).await?,
            None => return Err(no_resolver(other)),
        },
    };
    if resources.is_empty() {
        return Err(Error::not_found(format!("{} has no jar; build it, or name another one", name_of(dependency))));
    }
    let mut checked = Vec::with_capacity(resources.len());
    for resource in resources {
        checked.push(check(resource, context).await?);
    }
    Ok(checked)
}

/// The dependency in words, for messages.
pub(super) fn name_of(dependency: &Dependency) -> String {
    match dependency {
        Dependency::Location(text) => format!("'{}'", download::without_secrets(text)),
        Dependency::Module(ModuleRef { project, module: Some(module), .. }) => {
            format!("module '{module}' of project '{project}'")
        }
        Dependency::Module(ModuleRef { project, .. }) => format!("project '{project}'"),
        Dependency::Resource(ResourceRef { resource, .. }) => format!("resource '{resource}'"),
        Dependency::Maven(MavenRef { maven, .. }) => format!("Maven artifact '{maven}'"),
    }
}

async fn at_location(text: &str, context: &ProgramContext) -> Result<Resource> {
    let Some(url) = as_url(text)? else {
        return Ok(local(context.base.join(text)));
    };
    match url.scheme() {
        "file" => match url.to_file_path() {
            Ok(path) => Ok(local(path)),
            Err(()) => Err(Error::invalid(format!(
                "'{text}' is not a file on this machine; write file:///path/to/the.jar, or the plain path"
            ))),
        },
        "http" | "https" => download::fetch(&url, context).await,
        _ => Ok(Resource::new(file_name(url.path()), Location::Remote(url))),
    }
}

/// None where the text is a path. One letter before a colon is a drive of Windows.
fn as_url(text: &str) -> Result<Option<Url>> {
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(None) };
    let mut letters = scheme.chars();
    let is_scheme = scheme.len() > 1
        && letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    if !is_scheme || !rest.starts_with('/') {
        return Ok(None);
    }
    Url::parse(text).map(Some).map_err(|source| {
        Error::invalid(format!("'{}' is not a URL", download::without_secrets(text))).with_source(source)
    })
}

fn local(path: PathBuf) -> Resource {
    Resource::new(file_name(&path.to_string_lossy()), Location::Path(path))
}

/// The last part of a path. Flink takes files whose name ends with `.jar` only (`JarUploadHandler`).
pub(super) fn file_name(path: &str) -> String {
    let last = path.trim_end_matches('/').rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).collect();
    match name.as_str() {
        "" | "." | ".." => "program.jar".to_owned(),
        _ if Path::new(&name).extension().is_some_and(|extension| extension == "jar") => name,
        _ => format!("{name}.jar"),
    }
}

/// A file of this machine is looked at and hashed; its path is made whole, because whoever sends it may work elsewhere.
async fn check(resource: Resource, context: &ProgramContext) -> Result<Resource> {
    let Location::Path(path) = &resource.location else { return Ok(resource) };
    let (path, base, cache) = (path.clone(), context.base.clone(), context.cache.clone());
    let known = resource.sha256.clone();
    let (path, sha256) = blocking(move || {
        let path = existing_file(&path, &base)?;
        archive::check(&path, &path.to_string_lossy())?;
        let sha256 = match known {
            Some(sha256) => sha256,
            None => digest::of_file(&path, &cache)?,
        };
        Ok((path, sha256))
    })
    .await?;
    Ok(Resource::new(resource.name, Location::Path(path)).with_sha256(sha256))
}

fn existing_file(path: &Path, base: &Path) -> Result<PathBuf> {
    let shown = path.display();
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            let start = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
            let start = if base.as_os_str().is_empty() { std::env::current_dir().unwrap_or(start) } else { start };
            Error::invalid(format!(
                "the jar '{shown}' does not exist; check its path (relative paths start at '{}')",
                start.display()
            ))
        }
        _ => Error::from(source).with_context("jar", &shown),
    })?;
    if metadata.is_dir() {
        return Err(Error::invalid(format!("'{shown}' is a folder; name the jar in it")));
    }
    if !metadata.is_file() {
        return Err(Error::invalid(format!("'{shown}' is not a regular file; name a jar")));
    }
    std::path::absolute(path).map_err(|source| Error::from(source).with_context("jar", shown))
}

fn no_resolver(dependency: &Dependency) -> Error {
    let remedy = match dependency {
        Dependency::Module(_) => "register the project with the platform, or name the jar by its path or URL",
        Dependency::Resource(_) => "give the platform a resource centre, or name the jar by its path or URL",
        _ => "give the platform a resolver for Maven, or name the jar by its path or URL",
    };
    Error::new(ErrorKind::Unsupported, format!("nobody here can find {}; {remedy}", name_of(dependency)))
}

/// Runs file work away from the async threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|source| Err(Error::new(ErrorKind::Internal, "reading a jar ended early").with_source(source)))
}
