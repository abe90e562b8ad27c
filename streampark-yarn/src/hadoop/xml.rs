//! One configuration file: its properties, in the order in which they stand.

use std::path::{Path, PathBuf};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use streampark_core::{Error, ErrorKind, Result};

/// How deep includes may nest.
const MAX_DEPTH: usize = 16;

/// A configuration file may be this long.
const MAX_BYTES: u64 = 16 << 20;

/// One `<property>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: Option<String>,
    pub(super) last: bool,
}

/// Reads a file and what it includes (`org.apache.hadoop.conf.Configuration.Parser`).
pub(super) fn read(path: &Path) -> Result<Vec<Property>> {
    let mut all = Vec::new();
    read_into(path, 0, &mut all)?;
    Ok(all)
}

fn read_into(path: &Path, depth: usize, all: &mut Vec<Property>) -> Result<()> {
    let told = |error: Error| error.with_operation("yarn.hadoop_conf").with_context("file", path.display());
    if depth > MAX_DEPTH {
        return Err(told(Error::invalid("the file includes itself, or includes nest deeper than 16")));
    }
    let length = std::fs::metadata(path).map_err(|source| told(source.into()))?.len();
    if length > MAX_BYTES {
        return Err(told(Error::invalid("the file is larger than 16 MiB; is it a Hadoop configuration?")));
    }
    let text = std::fs::read_to_string(path).map_err(|source| told(source.into()))?;
    let mut parser = Parser { path, depth, all, open: None, field: None, fallback: None };
    parser.parse(&text).map_err(told)
}

/// Where the text that is read belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    Value,
    Final,
    Other,
}

struct Parser<'a> {
    path: &'a Path,
    depth: usize,
    all: &'a mut Vec<Property>,
    open: Option<Property>,
    field: Option<(Field, String)>,
    /// Inside an include: whether its fallback is wanted.
    fallback: Option<bool>,
}

impl Parser<'_> {
    fn parse(&mut self, text: &str) -> Result<()> {
        let mut reader = Reader::from_str(text);
        let mut root = false;
        loop {
            let place = reader.buffer_position();
            let broken = |reason: &dyn std::fmt::Display| {
                let line = text.get(..usize::try_from(place).unwrap_or(0)).unwrap_or(text).matches('\n').count() + 1;
                Error::invalid(format!("the file is no well-formed XML near line {line}: {reason}"))
            };
            match reader.read_event().map_err(|reason| broken(&reason))? {
                Event::Start(tag) => {
                    if !root && tag.local_name().into_inner() != "configuration" {
                        return Err(Error::invalid(format!(
                            "the file is no Hadoop configuration: it begins with <{}>, not with <configuration>",
                            tag.local_name().into_inner()
                        )));
                    }
                    root = true;
                    self.start(&tag)?;
                }
                Event::Empty(tag) => {
                    root = root || tag.local_name().into_inner() == "configuration";
                    self.start(&tag)?;
                    self.end(tag.local_name().into_inner());
                }
                Event::End(tag) => self.end(tag.local_name().into_inner()),
                Event::Text(piece) => self.text(&piece.xml_content(XmlVersion::Implicit1_0)),
                Event::CData(piece) => self.text(&piece.xml_content(XmlVersion::Implicit1_0)),
                Event::GeneralRef(entity) => {
                    if let Some(char) = entity.resolve_char_ref().map_err(|reason| broken(&reason))? {
                        self.text(&char.to_string());
                    } else {
                        let name = entity.xml_content(XmlVersion::Implicit1_0);
                        let text = quick_xml::escape::resolve_predefined_entity(&name)
                            .ok_or_else(|| broken(&format!("the entity &{name}; is unknown")))?;
                        self.text(text);
                    }
                }
                Event::Eof if root => return Ok(()),
                Event::Eof => return Err(Error::invalid("the file is no Hadoop configuration: it is empty")),
                _ => {}
            }
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>) -> Result<()> {
        match tag.local_name().into_inner() {
            "property" if self.fallback != Some(false) => {
                let mut property = Property::default();
                for attribute in tag.attributes().flatten() {
                    let value = attribute.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default().into_owned();
                    match attribute.key.into_inner() {
                        "name" => property.name = value,
                        "value" => property.value = Some(value),
                        "final" => property.last = value == "true",
                        _ => {}
                    }
                }
                self.open = Some(property);
            }
            "name" => self.field = Some((Field::Name, String::new())),
            "value" => self.field = Some((Field::Value, String::new())),
            "final" => self.field = Some((Field::Final, String::new())),
            "include" => self.include(tag)?,
            "fallback" | "configuration" | "property" => {}
            _ => self.field = Some((Field::Other, String::new())),
        }
        Ok(())
    }

    fn include(&mut self, tag: &BytesStart<'_>) -> Result<()> {
        let href = tag.attributes().flatten().find(|attribute| attribute.key.into_inner() == "href");
        let href = href.map(|href| href.normalized_value(XmlVersion::Implicit1_0).unwrap_or_default().into_owned());
        let Some(href) = href else {
            return Err(Error::invalid("an <xi:include> has no href"));
        };
        let target = target(self.path, &href)?;
        match read_into(&target, self.depth + 1, self.all) {
            Ok(()) => self.fallback = Some(false),
            // Absent and unreadable files are what a fallback is for.
            Err(error) if error.kind() == ErrorKind::Io => self.fallback = Some(true),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn text(&mut self, piece: &str) {
        if let Some((_, text)) = &mut self.field {
            text.push_str(piece);
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "property" => self.all.extend(self.open.take().filter(|property| !property.name.is_empty())),
            "include" => self.fallback = None,
            "name" | "value" | "final" => {
                let (Some((field, text)), Some(property)) = (self.field.take(), &mut self.open) else { return };
                match field {
                    Field::Name => property.name = text.trim().to_owned(),
                    Field::Value => property.value = Some(text),
                    Field::Final => property.last = text.trim() == "true",
                    Field::Other => {}
                }
            }
            _ => self.field = None,
        }
    }
}

/// The file that an include names, from the folder of the one that includes.
fn target(from: &Path, href: &str) -> Result<PathBuf> {
    let path = href.strip_prefix("file:").map(|path| format!("/{}", path.trim_start_matches('/')));
    let path = path.unwrap_or_else(|| href.to_owned());
    if path.contains("://") {
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("'{href}' is included from another machine; copy it beside the file and include it by its name"),
        ));
    }
    Ok(from.parent().unwrap_or(Path::new(".")).join(path))
}
