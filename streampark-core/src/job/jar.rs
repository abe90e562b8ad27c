//! Programs that come as a JAR.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::archive::Jar;
use super::dependency::Dependency;
use super::launch::{Launch, Location};
use super::program::{Program, ProgramContext};
use super::resolve;
use crate::{Error, ErrorKind, Result};

/// A JAR with a `main`.
///
/// Before anything is sent, a jar that can be seen from here is checked: it exists, it is a jar, and it
/// has the class. One that only the engine can read (`hdfs://…`, `s3://…`, `local://…`) is taken as it is.
///
/// ```
/// use streampark_core::job::JarProgram;
///
/// let program = JarProgram::new("orders.jar").entry_class("com.acme.Orders").args(["--env", "prod"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JarProgram {
    /// The jar: a path, a URL, or the artifact of a project's module.
    pub jar: Dependency,
    /// The class with `main`; None means the manifest names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_class: Option<String>,
    /// The arguments of `main`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

impl JarProgram {
    /// The jar at a path or URL, or of a project's module.
    pub fn new(jar: impl Into<Dependency>) -> Self {
        Self { jar: jar.into(), entry_class: None, args: Vec::new() }
    }

    /// Names the class with `main`.
    #[must_use]
    pub fn entry_class(mut self, class: impl Into<String>) -> Self {
        self.entry_class = Some(class.into());
        self
    }

    /// Sets the arguments of `main`.
    #[must_use]
    pub fn args<I: IntoIterator<Item = A>, A: Into<String>>(mut self, args: I) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }
}

#[async_trait]
impl Program for JarProgram {
    fn kind(&self) -> &str {
        "jar"
    }

    async fn prepare(&self, context: &ProgramContext) -> Result<Launch> {
        let named = |error: Error| error.with_operation("jar.prepare");
        let mut found = resolve::resolve(&self.jar, context).await.map_err(named)?.into_iter();
        let Some(jar) = found.next() else {
            return Err(named(Error::not_found(format!("{} has no jar", resolve::name_of(&self.jar)))));
        };
        let mut launch = Launch::of_jar(jar.clone());
        launch.jars = found.collect();
        launch.args = self.args.clone();
        launch.entry_class = match jar.location {
            Location::Path(path) => {
                let (wanted, shown) = (self.entry_class.clone(), shown(&self.jar));
                let check = move || entry_class(&mut Jar::open(&path)?, wanted, &shown);
                Some(resolve::blocking(check).await.map_err(named)?)
            }
            // Only the engine sees what is in it.
            _ => self.entry_class.clone(),
        };
        Ok(launch)
    }
}

fn shown(jar: &Dependency) -> String {
    match jar {
        Dependency::Location(_) => resolve::name_of(jar),
        other => format!("of {}", resolve::name_of(other)),
    }
}

/// The class whose `main` runs: the one that was named or the manifest's, and it is there.
fn entry_class(jar: &mut Jar, wanted: Option<String>, shown: &str) -> Result<String> {
    let error = |message: String| Err(Error::new(ErrorKind::Program, message));
    let (class, source) = match wanted {
        Some(class) if class.trim().is_empty() => {
            return Err(Error::invalid("entry_class is empty; name a class, or leave it out for the manifest's"));
        }
        Some(class) => (class, ""),
        None => match jar.manifest_class()? {
            Some(class) => (class, ", which the manifest names,"),
            None => {
                return error(format!(
                    "the jar {shown} names no Main-Class in its manifest; set entry_class to the class with main"
                ));
            }
        },
    };
    let file = format!("{}.class", class.replace('.', "/"));
    // What is in a jar within the jar is Flink's to find.
    if !class.contains('/') && (jar.has(&file) || jar.has_libraries()) {
        return Ok(class);
    }
    if jar.has(&format!("BOOT-INF/classes/{file}")) {
        return error(format!(
            "class '{class}' is in the jar {shown} where only Spring Boot finds it; build a plain jar with all classes"
        ));
    }
    let hint = match closest(&class, jar.classes()) {
        Some(meant) => format!("did you mean '{meant}'?"),
        None => format!("its {} classes have no similar name", jar.classes().count()),
    };
    error(format!("class '{class}'{source} is not in the jar {shown}; {hint}"))
}

/// The class that was probably meant: of the same simple name in another package, else one that is
/// a few letters away.
fn closest(class: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let simple = |name: &str| name.rsplit(['.', '/', '$']).next().unwrap_or_default().to_lowercase();
    let (wanted, allowed) = (simple(class), class.len() / 4 + 1);
    known
        .filter_map(|name| {
            let other = simple(&name) != wanted;
            if other && name.len().abs_diff(class.len()) > allowed {
                return None;
            }
            let distance = strsim::levenshtein(class, &name);
            (!other || distance <= allowed).then_some((other, distance, name))
        })
        .min()
        .map(|(_, _, name)| name)
}

#[cfg(test)]
pub(in crate::job) mod tests;
