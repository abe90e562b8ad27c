//! Finds what a configuration or a program names among the files that are known.

use streampark_core::job::Resource;
use streampark_core::{Error, Result};

use super::place::{Place, base_name, place, qualified};
use super::request::Request;
use super::resources::Item;
use crate::facts::{ClusterFacts, RemoteFile};

/// A part of a program.
pub(super) fn of_resource(request: &Request<'_>, key: String, resource: &Resource) -> Result<Item> {
    Item::of_resource(key, resource, |url| {
        let path = qualified(url, &request.facts.default_fs);
        let decoded = decoded(&path);
        let found = request.facts.file(&path).or_else(|| request.facts.file(&decoded)).cloned();
        found.ok_or_else(|| Error::not_found(format!("'{url}' does not exist on the cluster's file system")))
    })
}

/// A URL as a Hadoop path.
fn decoded(url: &str) -> String {
    let mut bytes = Vec::with_capacity(url.len());
    let mut rest = url.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
        match (first, code.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (byte, _) => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A configured path: a file, or all files below a folder under the folder's own name.
pub(super) fn of_path(request: &Request<'_>, key: &'static str, path: &str) -> Result<Vec<Item>> {
    match place(path, &request.facts.default_fs) {
        Place::Local(path) => match request.local.iter().find(|tree| tree.path == path) {
            Some(tree) => Ok(Item::of_tree(tree)),
            None => Err(Error::not_found(format!("'{}' of {key} does not exist on this machine", path.display()))),
        },
        Place::Remote(path) => {
            request.version.require(&format!("a path of the cluster's file system in {key}"), 1, 19)?;
            let name = base_name(&path);
            if let Some(file) = request.facts.file(&path) {
                return Ok(vec![Item::in_place(name, file)]);
            }
            let files = below(request.facts, &path, key)?;
            let relative = |file: &RemoteFile| file.path.get(path.len() + 1..).unwrap_or_default().to_owned();
            Ok(files.into_iter().map(|file| Item::in_place(format!("{name}/{}", relative(file)), file)).collect())
        }
    }
}

/// The known files below a folder of the cluster.
pub(super) fn below<'a>(facts: &'a ClusterFacts, dir: &str, key: &str) -> Result<Vec<&'a RemoteFile>> {
    let inside = |file: &&RemoteFile| file.path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
    let mut files: Vec<&RemoteFile> = facts.files.iter().filter(inside).collect();
    if files.is_empty() {
        return Err(Error::not_found(format!(
            "'{dir}' of {key} is empty or does not exist on the cluster's file system"
        )));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}
