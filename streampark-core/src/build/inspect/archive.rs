//! A zip archive, read from its table of contents, entry by entry and in constant memory.
//!
//! The layout is that of PKWARE's APPNOTE.TXT, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 and
//! 4.3.15 (zip64), 4.3.16 (end of central directory).

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::{Decompress, FlushDecompress, Status};

use crate::{Error, ErrorKind, Result};

/// An archive with more entries than this is no jar that a job runs.
const MAX_ENTRIES: u64 = 1_000_000;
/// The end record and the longest comment.
const END: u64 = 22 + 65_535;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Box<str>,
    pub(super) offset: u64,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) method: u16,
}

/// An open archive; reads are positioned, so several threads may share it.
#[derive(Debug)]
pub(super) struct Archive {
    file: File,
    pub(super) size: u64,
}

/// What is used again from one entry to the next.
pub(super) struct Buffers {
    packed: Vec<u8>,
    inflate: Decompress,
    pub(super) content: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { packed: Vec::new(), inflate: Decompress::new(false), content: Vec::new() }
    }
}

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size })
    }

    /// Every entry of the central directory, in its order; those for which `keep` says no are not kept.
    pub(super) fn entries(&self, mut keep: impl FnMut(&str, u64) -> bool) -> Result<Vec<Entry>> {
        let (start, length, count) = self.directory()?;
        if count > MAX_ENTRIES {
            return Err(Error::invalid(format!("the jar has {count} entries; at most {MAX_ENTRIES} are looked at")));
        }
        let mut reader = BufReader::with_capacity(256 * 1024, &self.file);
        reader.seek(SeekFrom::Start(start))?;
        let mut reader = reader.take(length);
        let mut entries = Vec::new();
        let mut head = [0; 46];
        let mut name = Vec::new();
        let mut extra = Vec::new();
        for _ in 0..count {
            reader.read_exact(&mut head).map_err(cut)?;
            if number::<4>(&head, 0) != 0x0201_4b50 {
                return Err(damaged());
            }
            let sizes = [28, 30, 32].map(|at| number::<2>(&head, at) as usize);
            let [name_length, extra_length, comment] = sizes;
            name.resize(name_length, 0);
            reader.read_exact(&mut name).map_err(cut)?;
            extra.resize(extra_length, 0);
            reader.read_exact(&mut extra).map_err(cut)?;
            std::io::copy(&mut (&mut reader).take(comment as u64), &mut std::io::sink())?;
            let mut entry = Entry {
                name: "".into(),
                offset: number::<4>(&head, 42),
                packed: number::<4>(&head, 20),
                size: number::<4>(&head, 24),
                method: number::<2>(&head, 10) as u16,
            };
            zip64(&extra, &mut entry);
            let text = String::from_utf8_lossy(&name);
            if keep(&text, entry.size) {
                entry.name = text.into();
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// Where the central directory begins, its length, the number of its entries.
    fn directory(&self) -> Result<(u64, u64, u64)> {
        let length = self.size.min(END);
        let mut tail = vec![0; length as usize];
        self.file.read_exact_at(&mut tail, self.size - length)?;
        let end = tail.windows(4).rposition(|four| four == b"PK\x05\x06").ok_or_else(damaged)?;
        let record = tail.get(end..).filter(|record| record.len() >= 22).ok_or_else(damaged)?;
        let (count, length, start) = (number::<2>(record, 10), number::<4>(record, 12), number::<4>(record, 16));
        if count != 0xffff && length != 0xffff_ffff && start != 0xffff_ffff {
            return self.checked(start, length, count);
        }
        let locator = end.checked_sub(20).and_then(|at| tail.get(at..end)).ok_or_else(damaged)?;
        if number::<4>(locator, 0) != 0x0706_4b50 {
            return self.checked(start, length, count);
        }
        let mut record = [0; 56];
        self.file.read_exact_at(&mut record, number::<8>(locator, 8)).map_err(cut)?;
        if number::<4>(&record, 0) != 0x0606_4b50 {
            return Err(damaged());
        }
        self.checked(number::<8>(&record, 48), number::<8>(&record, 40), number::<8>(&record, 32))
    }

    fn checked(&self, start: u64, length: u64, count: u64) -> Result<(u64, u64, u64)> {
        match start.checked_add(length) {
            Some(end) if end <= self.size && count.saturating_mul(46) <= length => Ok((start, length, count)),
            _ => Err(damaged()),
        }
    }

    /// The content of an entry, in the buffers; at most `limit` bytes of it.
    pub(super) fn read<'a>(&self, entry: &Entry, limit: usize, buffers: &'a mut Buffers) -> Result<&'a [u8]> {
        let mut head = [0; 30];
        self.file.read_exact_at(&mut head, entry.offset).map_err(cut)?;
        if number::<4>(&head, 0) != 0x0403_4b50 {
            return Err(damaged());
        }
        let start = entry.offset + 30 + number::<2>(&head, 26) + number::<2>(&head, 28);
        let packed = usize::try_from(entry.packed.min(self.size)).unwrap_or(usize::MAX);
        buffers.content.clear();
        match entry.method {
            0 => {
                buffers.content.resize(packed.min(limit), 0);
                self.file.read_exact_at(&mut buffers.content, start).map_err(cut)?;
            }
            8 => {
                // What is packed cannot be much longer than what is wanted of it.
                buffers.packed.resize(packed.min(limit + limit / 8 + 1024), 0);
                self.file.read_exact_at(&mut buffers.packed, start).map_err(cut)?;
                buffers.inflate.reset(false);
                let size = usize::try_from(entry.size).unwrap_or(usize::MAX).min(limit);
                buffers.content.reserve(size.max(1));
                loop {
                    let before = buffers.inflate.total_in() as usize;
                    let rest = buffers.packed.get(before..).unwrap_or_default();
                    let status = buffers
                        .inflate
                        .decompress_vec(rest, &mut buffers.content, FlushDecompress::None)
                        .map_err(|source| damaged().with_source(source))?;
                    let full = buffers.content.len() >= size;
                    if status == Status::StreamEnd || full || buffers.inflate.total_in() as usize == before {
                        break;
                    }
                }
            }
            method => {
                return Err(Error::new(
                    ErrorKind::Program,
                    format!("an entry of the jar is packed by the method {method}, which no JVM reads"),
                ));
            }
        }
        Ok(&buffers.content)
    }
}

/// The sizes that did not fit into 32 bits stand in an extra field of the kind 1.
fn zip64(extra: &[u8], entry: &mut Entry) {
    let mut rest = extra;
    while let (Some(kind), Some(length)) = (rest.get(..2), rest.get(2..4)) {
        let length = number::<2>(length, 0) as usize;
        let field = rest.get(4..4 + length).unwrap_or_default();
        if number::<2>(kind, 0) == 1 {
            let mut at = 0;
            for value in [&mut entry.size, &mut entry.packed, &mut entry.offset] {
                if *value == 0xffff_ffff && field.len() >= at + 8 {
                    *value = number::<8>(field, at);
                    at += 8;
                }
            }
            return;
        }
        rest = rest.get(4 + length..).unwrap_or_default();
    }
}

/// `N` bytes at a place, the lowest first; what is not there counts as zero.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let taken = bytes.get(at..at + N).unwrap_or_default();
    taken.iter().rev().fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn damaged() -> Error {
    Error::new(ErrorKind::Program, "the jar is cut off or damaged; build or copy it again")
}

fn cut(source: std::io::Error) -> Error {
    damaged().with_source(source)
}
