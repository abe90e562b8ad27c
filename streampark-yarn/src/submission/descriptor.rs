//! How the client tells the JobManager about files (`YarnLocalResourceDescriptor.toString`).

use serde_json::Value;
use streampark_core::flink::FlinkVersion;

use super::context::LocalResource;

/// One file, in the notation of this version: since 1.19 JSON in single quotes, before that Java's
/// own, whose reader (`YarnLocalResourceDescriptor.LOCAL_RESOURCE_DESC_FORMAT`) takes no blanks.
pub(super) fn descriptor(file: &LocalResource, version: &FlinkVersion) -> String {
    let (visibility, kind) = (file.visibility.as_str(), file.resource_type.as_str());
    if version.at_least(1, 19) {
        return format!(
            "{{'resourceKey':{},'path':{},'size':{},'modificationTime':{},'visibility':'{visibility}','resourceType':'{kind}'}}",
            quoted(&file.key),
            quoted(&file.path),
            file.size,
            file.modified_ms
        );
    }
    format!(
        "YarnLocalResourceDescriptor{{key={}, path={}, size={}, modificationTime={}, visibility={visibility}, type={kind}}}",
        file.key, file.path, file.size, file.modified_ms
    )
}

/// Several files, for `_CLIENT_SHIP_FILES`.
pub(super) fn descriptors<'a>(files: impl Iterator<Item = &'a LocalResource>, version: &FlinkVersion) -> String {
    files.map(|file| descriptor(file, version)).collect::<Vec<_>>().join(";")
}

/// A JSON text with `'` in place of `"`, as Jackson writes it with that quote character.
fn quoted(text: &str) -> String {
    let json = Value::String(text.replace('\'', "\u{0}")).to_string();
    let inner = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    format!("'{}'", inner.replace("\\\"", "\"").replace("\\u0000", "\\'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ResourceType, Visibility};

    fn file(key: &str) -> LocalResource {
        LocalResource {
            key: key.to_owned(),
            path: format!("hdfs://nn/{key}"),
            size: 7,
            modified_ms: 1_795_248_513_662,
            visibility: Visibility::Public,
            resource_type: ResourceType::Archive,
        }
    }

    #[test]
    fn both_notations() {
        assert_eq!(
            descriptor(&file("a.zip"), &FlinkVersion::new(1, 18)),
            "YarnLocalResourceDescriptor{key=a.zip, path=hdfs://nn/a.zip, size=7, modificationTime=1795248513662, \
             visibility=PUBLIC, type=ARCHIVE}"
        );
        assert_eq!(
            descriptor(&file("a\\b.zip"), &FlinkVersion::new(1, 19)),
            "{'resourceKey':'a\\\\b.zip','path':'hdfs://nn/a\\\\b.zip','size':7,'modificationTime':1795248513662,\
             'visibility':'PUBLIC','resourceType':'ARCHIVE'}"
        );
    }
}
