//! One jar for session clusters, with the other jars of a program inside it.

use std::io::{Read, Write};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::job::{Launch, Location, Resource};
use crate::{Error, ErrorKind, Result};

/// A jar that holds the program's jar and the others under `lib/`; None where there are no others.
///
/// Flink unpacks `lib/*.jar` of a job's jar and ships them with the job
/// (`PackagedProgram.extractContainedLibraries`), so no shared file system is needed. The same parts
/// give the same bytes.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a jar that is not on this machine; those of reading and writing.
pub(super) async fn with_libraries(launch: &Launch) -> Result<Option<Resource>> {
    let (Some(jar), false) = (&launch.jar, launch.jars.is_empty()) else { return Ok(None) };
    let (jar, jars) = (jar.clone(), launch.jars.clone());
    let packed = tokio::task::spawn_blocking(move || pack(&jar, &jars)).await;
    packed
        .map_err(|source| Error::new(ErrorKind::Internal, "the packing of a jar ended early").with_source(source))?
        .map(Some)
}

fn open(resource: &Resource) -> Result<Box<dyn ReadSeek>> {
    match &resource.location {
        Location::Bytes(bytes) => Ok(Box::new(std::io::Cursor::new(bytes.clone()))),
        Location::Path(path) => Ok(Box::new(std::io::BufReader::new(std::fs::File::open(path)?))),
        Location::Remote(url) => Err(Error::new(
            ErrorKind::Unsupported,
            format!("a session cluster takes jars from this machine only, and '{url}' is not on it; download it first"),
        )),
    }
}

trait ReadSeek: Read + std::io::Seek {}

impl<T: Read + std::io::Seek> ReadSeek for T {}

fn broken(source: zip::result::ZipError) -> Error {
    Error::invalid("a jar of the program cannot be packed: it is not a zip archive").with_source(source)
}

fn pack(jar: &Resource, jars: &[Resource]) -> Result<Resource> {
    let mut out = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let plain = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    let mut archive = ZipArchive::new(open(jar)?).map_err(broken)?;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(broken)?;
        out.raw_copy_file(entry).map_err(broken)?;
    }
    for library in jars {
        out.start_file(format!("lib/{}", library.name), plain).map_err(broken)?;
        let mut input = open(library)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = input.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            out.write_all(buffer.get(..read).unwrap_or_default())?;
        }
    }
    let bytes = Bytes::from(out.finish().map_err(broken)?.into_inner());
    let hash = hex::encode(Sha256::digest(&bytes));
    Ok(Resource::new(&jar.name, Location::Bytes(bytes)).with_sha256(hash))
}
