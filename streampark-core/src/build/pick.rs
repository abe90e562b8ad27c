//! Which of the files that a module's build left behind is *the* jar of the job.

use std::path::{Path, PathBuf};

use super::failure::{BuildFailure, BuildFailureKind};
use super::outputs::{is_archive, name};
use super::unpack::{self, UnpackLimits};
use super::words;
use crate::{Error, Result};

#[cfg(test)]
mod tests;

/// Names of jars that never run, and why.
const NEVER: [(&str, bool, &str); 6] = [
    ("original-", true, "what the shade plug-in keeps of the jar before shading"),
    ("-sources", false, "sources"),
    ("-javadoc", false, "documentation"),
    ("-tests", false, "tests"),
    ("-test-sources", false, "sources of tests"),
    ("-test-javadoc", false, "documentation of tests"),
];

/// Endings that the plug-ins for jars with everything in them give.
const SHADED: [&str; 8] =
    ["-shaded", "-jar-with-dependencies", "-with-dependencies", "-all", "-uber", "-fat", "-assembly", "-bundle"];

/// The choice, and what it rests on.
#[derive(Debug)]
pub(super) struct Choice {
    /// The jar that runs: its name as it is shown, and where it is.
    pub(super) jar: (String, PathBuf),
    /// What goes with it: the rest of a distribution.
    pub(super) rest: Vec<(String, PathBuf)>,
    /// The rule that decided.
    pub(super) rule: String,
    /// What else there was, and why it was not taken.
    pub(super) passed: Vec<(String, String)>,
    /// Holds unpacked files as long as they are needed.
    pub(super) scratch: Option<tempfile::TempDir>,
}

/// Decides. `wanted` is the owner's word: a name in which `*` stands for any text. Blocks.
///
/// The rules, in this order: the owner's word; a distribution (`bin conf lib`, as Apache StreamPark packs it); the
/// only jar that is not `original-`, sources, documentation or tests; the only shaded one among several.
///
/// # Errors
/// A [`BuildFailure`] of the kind `outputs` that lists the jars and says how to name one.
pub(super) fn pick(module: &str, files: &[PathBuf], wanted: Option<&str>) -> Result<Choice> {
    if let Some(wanted) = wanted {
        let (fit, rest): (Vec<&PathBuf>, Vec<&PathBuf>) =
            files.iter().partition(|file| words::fits(wanted, &name(file)));
        return match fit.as_slice() {
            [] => Err(failed(format!("no file of {} is named {wanted}; there are {}", of(module), list(&rest)))),
            [archive] if is_archive(&name(archive)) => distribution(module, archive, &rest),
            [jar] => {
                Ok(taken(jar, format!("named by the project: {wanted}"), passed(&rest, "the project names another")))
            }
            many => Err(failed(format!("{wanted} fits more than one file of {}: {}", of(module), list(many)))),
        };
    }
    for archive in files.iter().filter(|file| is_archive(&name(file))) {
        if holds_lib(archive) {
            let rest: Vec<&PathBuf> = files.iter().filter(|file| *file != archive).collect();
            return distribution(module, archive, &rest);
        }
    }
    let jars: Vec<&PathBuf> = files.iter().filter(|file| name(file).ends_with(".jar")).collect();
    let (mut jar, rule, mut passed_over) = of_jars(module, &jars)?;
    passed_over.extend(
        files
            .iter()
            .filter(|file| is_archive(&name(file)))
            .map(|file| (name(file), "an archive without a folder lib".into())),
    );
    jar.rule = rule;
    jar.passed = passed_over;
    Ok(jar)
}

type Passed = Vec<(String, String)>;

fn of_jars(module: &str, jars: &[&PathBuf]) -> Result<(Choice, String, Passed)> {
    let mut passed_over: Passed = Vec::new();
    let mut left: Vec<&PathBuf> = Vec::new();
    for jar in jars {
        match never(&name(jar)) {
            Some(why) => passed_over.push((name(jar), why.to_owned())),
            None => left.push(jar),
        }
    }
    if let [jar] = left.as_slice() {
        return Ok((taken(jar, String::new(), Vec::new()), "the only jar that can run".to_owned(), passed_over));
    }
    let (shaded, plain): (Vec<&PathBuf>, Vec<&PathBuf>) =
        left.iter().copied().partition(|jar| is_shaded(&name(jar), jars));
    match shaded.as_slice() {
        [jar] => {
            passed_over.extend(passed(&plain, "not shaded"));
            Ok((taken(jar, String::new(), Vec::new()), "the only shaded jar".to_owned(), passed_over))
        }
        [] if left.is_empty() => {
            let all: Vec<&PathBuf> = jars.to_vec();
            let there = if all.is_empty() { "there is none".to_owned() } else { format!("there are {}", list(&all)) };
            Err(failed(format!("no jar of {} can run; {there}", of(module))))
        }
        _ => Err(failed(format!(
            "{} has more than one jar that could run: {}; name one with the module's option 'jar'",
            of(module),
            list(&left)
        ))),
    }
}

/// Unpacks an archive with `bin`, `conf` and `lib`, alone or in one folder.
fn distribution(module: &str, archive: &Path, others: &[&PathBuf]) -> Result<Choice> {
    let scratch = tempfile::Builder::new().prefix("streampark-unpack-").tempdir()?;
    unpack::unpack(archive, scratch.path(), UnpackLimits::default())?;
    let mut files = Vec::new();
    all_files(scratch.path(), "", &mut files)?;
    let shown = name(archive);
    let top = match top_folder(&files) {
        Some(top) => format!("{top}/"),
        None => String::new(),
    };
    let files: Vec<(String, PathBuf)> =
        files.into_iter().filter_map(|(path, at)| Some((path.strip_prefix(&top)?.to_owned(), at))).collect();
    let in_lib = |path: &str| {
        path.strip_prefix("lib/")
            .is_some_and(|rest| !rest.contains('/') && rest.ends_with(".jar") && never(rest).is_none())
    };
    let jars: Vec<&(String, PathBuf)> = files.iter().filter(|(path, _)| in_lib(path)).collect();
    let own = own_names(&top, module, &shown);
    let is_own = |path: &str| own.iter().any(|own| path.strip_prefix("lib/") == Some(&format!("{own}.jar")));
    let (jar, rule) = match jars.as_slice() {
        [] => return Err(failed(format!("the archive '{shown}' of {} has no jar in its folder lib", of(module)))),
        [jar] => ((*jar).clone(), format!("the only jar in lib of {shown}")),
        many => match many.iter().find(|(path, _)| is_own(path)) {
            Some(jar) => ((*jar).clone(), format!("the jar in lib of {shown} that bears its name")),
            None => {
                let names: Vec<&str> = many.iter().map(|(path, _)| path.as_str()).collect();
                return Err(failed(format!(
                    "the archive '{shown}' of {} has more than one jar and none bears its name: {}",
                    of(module),
                    names.join(", ")
                )));
            }
        },
    };
    let rest = files.into_iter().filter(|(path, _)| *path != jar.0).collect();
    Ok(Choice { jar, rest, rule, passed: passed(others, "a distribution was taken"), scratch: Some(scratch) })
}

/// The names under which a distribution's own jar may be: that of its folder, of the archive, of the module.
fn own_names(top: &str, module: &str, archive: &str) -> Vec<String> {
    let stem = [".tar.gz", ".tgz", ".zip"].iter().find_map(|ending| archive.strip_suffix(ending)).unwrap_or(archive);
    let stem = stem.trim_end_matches("-bin").trim_end_matches("-dist");
    let module = module.rsplit('/').next().unwrap_or_default();
    let mut names = vec![top.trim_end_matches('/').to_owned(), stem.to_owned(), module.to_owned()];
    // `orders-1.0` holds `orders.jar`.
    for text in [top.trim_end_matches('/'), stem] {
        if let Some((plain, _)) =
            text.split_once('-').filter(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
        {
            names.push(plain.to_owned());
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn top_folder(files: &[(String, PathBuf)]) -> Option<String> {
    if files.iter().any(|(path, _)| path.starts_with("lib/")) {
        return None;
    }
    files.iter().find_map(|(path, _)| {
        let (top, rest) = path.split_once('/')?;
        rest.starts_with("lib/").then(|| top.to_owned())
    })
}

fn all_files(root: &Path, below: &str, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let mut entries: Vec<_> = std::fs::read_dir(root.join(below))?.collect::<Result<_, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let own = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { own } else { format!("{below}/{own}") };
        match entry.file_type()?.is_dir() {
            true => all_files(root, &path, found)?,
            false => found.push((path, entry.path())),
        }
    }
    Ok(())
}

/// Whether an archive has a folder `lib` at its top or one below.
fn holds_lib(archive: &Path) -> bool {
    let is_lib = |name: &str| {
        let name = name.trim_start_matches("./");
        let (first, rest) = name.split_once('/').unwrap_or((name, ""));
        (first == "lib" && !rest.is_empty()) || (rest.starts_with("lib/") && rest.len() > 4)
    };
    let Ok(file) = std::fs::File::open(archive) else { return false };
    if name(archive).ends_with(".zip") {
        return zip::ZipArchive::new(std::io::BufReader::new(file))
            .is_ok_and(|zip| zip.file_names().filter_map(|name| name.ok()).any(|name| is_lib(&name)));
    }
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(std::io::BufReader::new(file)));
    tar.entries().is_ok_and(|mut entries| {
        entries.by_ref().take(100_000).flatten().any(|entry| is_lib(&String::from_utf8_lossy(&entry.path_bytes())))
    })
}

fn never(jar: &str) -> Option<&'static str> {
    let stem = jar.strip_suffix(".jar").unwrap_or(jar);
    let fits = |(mark, before, _): &&(&'static str, bool, &'static str)| match before {
        true => stem.starts_with(mark),
        false => stem.ends_with(mark),
    };
    NEVER.iter().find(fits).map(|(_, _, why)| *why)
}

fn is_shaded(jar: &str, all: &[&PathBuf]) -> bool {
    let stem = jar.strip_suffix(".jar").unwrap_or(jar);
    SHADED.iter().any(|ending| stem.ends_with(ending))
        || all.iter().any(|other| name(other) == format!("original-{jar}"))
}

fn taken(jar: &Path, rule: String, passed: Passed) -> Choice {
    Choice { jar: (name(jar), jar.to_owned()), rest: Vec::new(), rule, passed, scratch: None }
}

fn passed(files: &[&PathBuf], why: &str) -> Passed {
    files.iter().map(|file| (name(file), why.to_owned())).collect()
}

fn list(files: &[&PathBuf]) -> String {
    if files.is_empty() {
        return "none".to_owned();
    }
    files.iter().map(|file| name(file)).collect::<Vec<_>>().join(", ")
}

fn of(module: &str) -> String {
    if module.is_empty() { "the project".to_owned() } else { format!("module '{module}'") }
}

fn failed(message: String) -> Error {
    BuildFailure::new(BuildFailureKind::Outputs).into_error(message)
}

/// Refuses that two modules claim one file: nobody could say whose job it is.
pub(super) fn distinct(modules: &[(String, Vec<PathBuf>)]) -> Result<()> {
    let mut seen: Vec<(&PathBuf, &str)> = Vec::new();
    for (module, files) in modules {
        for file in files {
            if let Some((_, other)) = seen.iter().find(|(known, other)| *known == file && other != module) {
                return Err(failed(format!(
                    "the modules '{other}' and '{module}' claim the same jar '{}'; declare it for one of them",
                    name(file)
                )));
            }
            seen.push((file, module));
        }
    }
    Ok(())
}
