//! The projects in `tests/projects`, as files of a commit.

use std::path::Path;

/// Path and text of every file of the project `name`.
pub fn project(name: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects").join(name);
    let mut found = Vec::new();
    let mut todo = vec![root.clone()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What a build on this machine may have left.
                if !path.ends_with("target") && !path.ends_with("build") {
                    todo.push(path);
                }
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{} holds no files", root.display());
    found
}
