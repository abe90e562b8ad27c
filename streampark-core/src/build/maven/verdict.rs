//! What Maven's output means.

use std::collections::BTreeMap;
use std::path::Path;

use crate::Error;
use crate::build::failure::{BuildFailure, BuildFailureKind};
use crate::build::process::Finished;
use crate::build::verdict::{self, Verdict};

/// Why Maven failed: the reason that stands nearest to the cause wins.
pub(in crate::build) fn of(finished: &Finished, root: &Path) -> Error {
    if let Some(error) = verdict::of_exit("Maven", finished) {
        return error;
    }
    let errors: Vec<String> = finished
        .lines
        .iter()
        .filter_map(|line| line.strip_prefix("[ERROR]"))
        .map(|line| verdict::relative(line.trim(), root))
        .filter(|line| !line.is_empty() && !is_advice(line))
        .collect();
    let all = || finished.lines.iter();
    let says = |text: &str| all().any(|line| line.contains(text));
    let module = all().find_map(|line| line.split_once("on project ")?.1.split_once(": ").map(|(name, _)| name));
    let of_module = module.map(|name| format!(" of module '{name}'")).unwrap_or_default();
    let Verdict { kind, message, lines } = if says("COMPILATION ERROR") {
        let places: Vec<String> = errors.iter().filter(|line| is_place(line)).map(|line| place(line)).collect();
        Verdict::new(BuildFailureKind::Compile, format!("the code{of_module} does not compile"), unique(places))
    } else if says("There are test failures")
        || (says("maven-surefire-plugin") && says("Tests run:") && says("FAILURE"))
    {
        let tests =
            errors.iter().filter(|line| !line.starts_with("Failed to execute goal") && !line.starts_with("Please"));
        Verdict::new(BuildFailureKind::Tests, format!("tests{of_module} failed"), unique(tests.cloned().collect()))
    } else if says("Could not find the selected project in the reactor") {
        Verdict::new(BuildFailureKind::Module, "Maven does not know a module that was asked for".into(), errors)
    } else if let Some(cause) = all().find(|line| is_unreachable(line)) {
        let cause = verdict::relative(cause.trim_start_matches("[ERROR]").trim(), root);
        let message = "a Maven repository cannot be reached; check the network, the proxy and settings.xml".to_owned();
        Verdict::new(BuildFailureKind::Repository, message, vec![cause])
    } else if errors.iter().any(|line| is_missing(line)) {
        let causes: Vec<String> = errors.iter().filter(|line| is_missing(line)).cloned().collect();
        let message = format!(
            "a dependency{of_module} is in no repository; check its coordinates, or add its repository to settings.xml"
        );
        Verdict::new(BuildFailureKind::Dependency, message, unique(causes))
    } else if says("non-parseable POM")
        || says("Non-parseable POM")
        || says("problems were encountered while processing the POMs")
    {
        Verdict::new(BuildFailureKind::BuildFile, "a pom.xml of the project is wrong".into(), errors)
    } else {
        let lines = if errors.is_empty() { verdict::tail(finished) } else { errors };
        Verdict::new(BuildFailureKind::Other, format!("Maven failed{of_module}{}", verdict::code(finished)), lines)
    };
    BuildFailure::new(kind).with_lines(lines).into_error(message)
}

/// Facts for people, from Maven's output.
pub(super) fn facts(finished: &Finished) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let taken =
        |mark: &str| finished.lines.iter().rev().find_map(|line| Some(line.split_once(mark)?.1.trim().to_owned()));
    if let Some(time) = taken("Total time:") {
        facts.insert("tool_time".to_owned(), time);
    }
    let warnings = finished.lines.iter().filter(|line| line.starts_with("[WARNING]") && line.len() > 10).count();
    if warnings > 0 {
        facts.insert("warnings".to_owned(), warnings.to_string());
    }
    facts
}

/// `file.java:[12,8] cannot find symbol`.
fn is_place(line: &str) -> bool {
    line.split_once(":[").is_some_and(|(file, rest)| {
        [".java", ".scala", ".kt", ".groovy"].iter().any(|ending| file.ends_with(ending))
            && rest.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// As compilers write places: `file.java:12:8: cannot find symbol`.
fn place(line: &str) -> String {
    let Some((file, (at, text))) = line.split_once(":[").and_then(|(file, rest)| Some((file, rest.split_once(']')?)))
    else {
        return line.to_owned();
    };
    format!("{file}:{}: {}", at.replace(',', ":"), text.trim())
}

fn is_missing(line: &str) -> bool {
    [
        "Could not find artifact",
        "Could not resolve dependencies",
        "was not found in",
        "Non-resolvable parent POM",
        "could not be resolved",
        "Failure to find",
        "is missing",
        "has not been downloaded from it before",
    ]
    .iter()
    .any(|mark| line.contains(mark))
}

fn is_unreachable(line: &str) -> bool {
    let transfer = line.contains("Could not transfer artifact") || line.contains("Could not transfer metadata");
    transfer
        && [
            "Connection refused",
            "Connect to",
            "Connection reset",
            "Unknown host",
            "timed out",
            "Network is unreachable",
            "Unauthorized",
            "status code: 401",
            "status code: 403",
            "status code: 407",
            "status code: 5",
            "PKIX path building failed",
            "Remote host terminated the handshake",
        ]
        .iter()
        .any(|mark| line.contains(mark))
}

fn is_advice(line: &str) -> bool {
    [
        "-> [Help",
        "To see the full stack trace",
        "Re-run Maven",
        "For more information about the errors",
        "After correcting the problems",
        "[Help ",
    ]
    .iter()
    .any(|mark| line.starts_with(mark))
        || line.contains("mvn <args> -rf")
        || line.starts_with("mvn ")
}

fn unique(lines: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    lines.into_iter().filter(|line| seen.insert(line.clone())).collect()
}
