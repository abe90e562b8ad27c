//! What the names in a spec stood for when a run was intended, so that the run stays what it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::dependency::Dependency;
use super::program::{ProgramContext, ProgramSpec};
use super::resolve::name_of;
use super::spec::JobSpec;
use crate::Result;

#[cfg(test)]
mod tests;

/// What one dependency of a spec stood for when a run was intended.
///
/// A name such as "the newest build of a module" means another jar after the next build. A run keeps what it meant,
/// and a run that takes its place by itself, after a failure, takes it over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Pin {
    /// The dependency, as the spec has it.
    pub named: Dependency,
    /// The same in words that give the same jars at any later time; never empty.
    pub exact: Vec<Dependency>,
    /// What people want to know of it: `commit`, `branch`, `author`, `build`, `artifact`; `version`; of Maven
    /// coordinates the lock, each jar with its SHA-256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

impl Pin {
    /// `named` stands for `exact`.
    pub fn new(named: Dependency, exact: impl IntoIterator<Item = Dependency>) -> Self {
        Self { named, exact: exact.into_iter().collect(), facts: BTreeMap::new() }
    }

    /// Adds a fact for people.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.insert(name.into(), value.into());
        self
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name_of(&self.named))?;
        let facts: Vec<String> = self.facts.iter().map(|(name, value)| format!("{name} {value}")).collect();
        match facts.as_slice() {
            [] => Ok(()),
            facts => write!(f, " ({})", facts.join(", ")),
        }
    }
}

impl JobSpec {
    /// Everything that the job names: its own jar first, then what goes with it.
    pub fn named_jars(&self) -> impl Iterator<Item = &Dependency> {
        let own = match &self.program {
            ProgramSpec::Jar(program) => Some(&program.jar),
            _ => None,
        };
        own.into_iter().chain(&self.dependencies)
    }

    /// Whether it names jars that can mean others later: modules of projects, entries of the resource centre, Maven
    /// coordinates.
    pub fn has_names_to_pin(&self) -> bool {
        self.named_jars().any(may_change)
    }

    /// The same spec with the names of `pins` replaced by what they stood for.
    #[must_use]
    pub fn pinned(mut self, pins: &[Pin]) -> Self {
        let exact = |dependency: &Dependency| match pins.iter().find(|pin| pin.named == *dependency) {
            Some(pin) if !pin.exact.is_empty() => pin.exact.clone(),
            _ => vec![dependency.clone()],
        };
        self.dependencies = self.dependencies.iter().flat_map(exact).collect();
        if let ProgramSpec::Jar(program) = &mut self.program {
            let mut jars = exact(&program.jar).into_iter();
            if let Some(own) = jars.next() {
                program.jar = own;
            }
            self.dependencies.splice(0..0, jars);
        }
        self
    }
}

fn may_change(dependency: &Dependency) -> bool {
    match dependency {
        // Maven coordinates are held by their lock file, of which the run keeps a copy.
        Dependency::Module(_) | Dependency::Resource(_) | Dependency::Maven(_) => true,
        // What a path or URL names is looked at each time.
        Dependency::Location(_) => false,
    }
}

/// What the names in `spec` stand for now; what nobody here can tell is left out, and is found when it is needed.
///
/// # Errors
/// Those of the resolver: a module that was never built, a resource that does not exist.
pub async fn pin(spec: &JobSpec, context: &ProgramContext) -> Result<Vec<Pin>> {
    let mut pins: Vec<Pin> = Vec::new();
    let Some(resolver) = &context.resolver else { return Ok(pins) };
    for dependency in spec.named_jars().filter(|dependency| may_change(dependency)) {
        if pins.iter().all(|pin| pin.named != *dependency) {
            pins.extend(resolver.pin(dependency).await?);
        }
    }
    Ok(pins)
}
