//! One jar for session clusters, with the other jars of a program inside it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::job::{Launch, Location, Resource};
use crate::{Error, ErrorKind, Result};

/// A jar with others inside it, in a temporary file that goes with this value.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) jar: Resource,
    _file: TempPath,
}

/// A jar that holds the program's jar and the others under `lib/`; None where there are no others.
///
/// Flink unpacks `lib/*.jar` of a job's jar and ships them with the job
/// (`PackagedProgram.extractContainedLibraries`), so no shared file system is needed. The same parts
/// give the same bytes.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a jar that is not on this machine; those of reading and writing.
pub(super) async fn with_libraries(launch: &Launch) -> Result<Option<Packed>> {
    let (Some(jar), false) = (&launch.jar, launch.jars.is_empty()) else { return Ok(None) };
    let (jar, jars) = (jar.clone(), launch.jars.clone());
    let packed = tokio::task::spawn_blocking(move || pack(&jar, &jars)).await;
    packed
        .map_err(|source| Error::new(ErrorKind::Internal, "the packing of a jar ended early").with_source(source))?
        .map_err(|error| error.with_operation("cluster.pack"))
        .map(Some)
}

fn open(resource: &Resource) -> Result<Box<dyn ReadSeek>> {
    match &resource.location {
        Location::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
        Location::Path(path) => {
            let file = File::open(path).map_err(|source| Error::from(source).with_context("jar", path.display()))?;
            Ok(Box::new(BufReader::new(file)))
        }
        Location::Remote(url) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("a session cluster takes jars from this machine only, and '{url}' is not on it; download it first"),
        )),
    }
}

trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

fn pack(jar: &Resource, jars: &[Resource]) -> Result<Packed> {
    let broken = |source: zip::result::ZipError| match source {
        zip::result::ZipError::Io(source) => source.into(),
        source => Error::invalid(format!("other jars cannot be packed into '{}'; build it again", jar.name))
            .with_source(source),
    };
    let mut out = ZipWriter::new(NamedTempFile::new()?);
    let plain = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default())
        .large_file(true);
    let mut archive = ZipArchive::new(open(jar)?).map_err(broken)?;
    let mut names = HashSet::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(broken)?;
        names.extend(entry.name().ok().map(|name| name.into_owned()));
        out.raw_copy_file(entry).map_err(broken)?;
    }
    for (number, library) in jars.iter().enumerate() {
        let mut name = format!("lib/{}", library.name);
        if !names.insert(name.clone()) {
            // Two jars of one name: Flink goes by what is in them.
            name = format!("lib/{number}-{}", library.name);
            names.insert(name.clone());
        }
        out.start_file(name, plain).map_err(broken)?;
        std::io::copy(&mut open(library)?, &mut out)?;
    }
    let mut file = out.finish().map_err(broken)?;
    file.as_file_mut().seek(SeekFrom::Start(0))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = file.as_file_mut().read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
    let file = file.into_temp_path();
    let jar = Resource::new(&jar.name, Location::Path(file.to_path_buf())).with_sha256(hex::encode(hash.finalize()));
    Ok(Packed { jar, _file: file })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use bytes::Bytes;

    use super::*;

    fn jar(name: &str, entries: &[(&str, &str)]) -> Resource {
        let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (entry, content) in entries {
            out.start_file(*entry, SimpleFileOptions::default()).unwrap();
            out.write_all(content.as_bytes()).unwrap();
        }
        Resource::new(name, Location::Bytes(Bytes::from(out.finish().unwrap().into_inner())))
    }

    fn names(packed: &Packed) -> Vec<String> {
        let Location::Path(path) = &packed.jar.location else { panic!("{packed:?}") };
        let archive = ZipArchive::new(File::open(path).unwrap()).unwrap();
        archive.file_names().map(|name| name.unwrap().into_owned()).collect()
    }

    #[test]
    fn the_same_parts_give_the_same_bytes_and_no_name_is_lost() {
        let main = jar("job.jar", &[("Main.class", "x"), ("lib/a.jar", "inner")]);
        let others = [jar("a.jar", &[("A", "1")]), jar("b.jar", &[("B", "2")])];
        let (first, second) = (pack(&main, &others).unwrap(), pack(&main, &others).unwrap());
        assert_eq!(first.jar.sha256, second.jar.sha256);
        assert_eq!(first.jar.name, "job.jar");
        assert_eq!(names(&first), ["Main.class", "lib/a.jar", "lib/0-a.jar", "lib/b.jar"]);
        let Location::Path(path) = first.jar.location.clone() else { panic!() };
        drop(first);
        assert!(!path.exists(), "the temporary file is gone");
    }

    #[test]
    fn what_cannot_be_packed_is_named() {
        let text = Resource::new("job.jar", Location::Bytes(Bytes::from_static(b"no zip")));
        let error = pack(&text, &[jar("a.jar", &[("A", "1")])]).unwrap_err();
        assert_eq!(error.message(), "other jars cannot be packed into 'job.jar'; build it again");
        let remote = Resource::new("a.jar", Location::Remote("hdfs://nn/a.jar".parse().unwrap()));
        let error = pack(&jar("job.jar", &[("Main.class", "x")]), &[remote]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}
