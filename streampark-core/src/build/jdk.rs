//! Which JDK a build runs on, read from the file that every JDK has beside its programs.

use std::path::{Path, PathBuf};

use super::builder::BuildRequest;
use super::process;

/// The version and maker of the JDK that a build finds: by its option, by `JAVA_HOME`, on the PATH.
pub(super) fn version(option: Option<&Path>, request: &BuildRequest) -> Option<String> {
    let named = || request.env.resolve().ok()?.get("JAVA_HOME").map(PathBuf::from);
    let on_path = || {
        let java = process::on_path("java", request).ok()??.canonicalize().ok()?;
        java.parent()?.parent().map(Path::to_owned)
    };
    let home = option.map(Path::to_owned).or_else(named).or_else(on_path)?;
    of_release(&std::fs::read_to_string(home.join("release")).ok()?)
}

fn of_release(text: &str) -> Option<String> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
        Some(line.trim().trim_matches('"').to_owned())
    };
    let version = value("JAVA_VERSION")?;
    Some(match value("IMPLEMENTOR") {
        Some(maker) => format!("{version} ({maker})"),
        None => version,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_is_read() {
        let text = "IMPLEMENTOR=\"Debian\"\nJAVA_RUNTIME_VERSION=\"17.0.15+6\"\nJAVA_VERSION=\"17.0.15\"\n";
        assert_eq!(of_release(text).as_deref(), Some("17.0.15 (Debian)"));
        assert_eq!(of_release("JAVA_VERSION=\"1.8.0_442\"\n").as_deref(), Some("1.8.0_442"));
        assert_eq!(of_release("OS_NAME=\"Linux\"\n"), None);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("release"), text).unwrap();
        let request = BuildRequest::new(folder.path());
        assert_eq!(version(Some(folder.path()), &request).as_deref(), Some("17.0.15 (Debian)"));
    }
}
