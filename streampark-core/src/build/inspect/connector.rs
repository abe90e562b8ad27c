//! Factories of connectors: their names and options, read from what their methods mention.

use std::collections::HashMap;

use super::archive::{Archive, Buffers, Entry};
use super::class_file::{Class, Pool};
use super::code::{Instruction, instructions};
use super::{Connector, ConnectorOption};
use crate::Result;

const OPTION: &str = "Lorg/apache/flink/configuration/ConfigOption;";
/// How many classes up the identifier of a factory is looked for.
const MAX_PARENTS: usize = 6;
/// A class file is never so large.
const MAX_CLASS: usize = 4 << 20;

/// The options that Flink itself defines (`FactoryUtil`), which are in no jar of a connector.
const KNOWN: [(&str, &str); 7] = [
    ("FactoryUtil.CONNECTOR", "connector"),
    ("FactoryUtil.FORMAT", "format"),
    ("FactoryUtil.PROPERTY_VERSION", "property-version"),
    ("FactoryUtil.SINK_PARALLELISM", "sink.parallelism"),
    ("FactoryUtil.SOURCE_PARALLELISM", "scan.parallelism"),
    ("FactoryUtil.WATERMARK_EMIT_STRATEGY", "scan.watermark.emit.strategy"),
    ("FactoryUtil.SOURCE_IDLE_TIMEOUT", "scan.watermark.idle-timeout"),
];

/// Reads single classes of a jar by their names.
pub(super) struct Connectors<'a> {
    pub(super) archive: &'a Archive,
    pub(super) entries: &'a HashMap<&'a str, &'a Entry>,
    /// Constant of a class, and the key of the option that it holds.
    keys: HashMap<String, HashMap<String, String>>,
    buffers: Buffers,
}

impl<'a> Connectors<'a> {
    pub(super) fn new(archive: &'a Archive, entries: &'a HashMap<&'a str, &'a Entry>) -> Self {
        Self { archive, entries, keys: HashMap::new(), buffers: Buffers::default() }
    }

    /// The factory `class`, named with `.`.
    pub(super) fn read(&mut self, class: &str) -> Result<Option<Connector>> {
        let mut connector =
            Connector { class: class.to_owned(), identifier: None, required: Vec::new(), optional: Vec::new() };
        let (mut required, mut optional) = (None, None);
        let mut next = Some(class.replace('.', "/"));
        for depth in 0..MAX_PARENTS {
            let Some(name) = next.take() else { break };
            let Some(bytes) = self.bytes(&name)? else {
                if depth == 0 {
                    return Ok(None);
                }
                break;
            };
            let mut pool = Pool::default();
            let Some(read) = Class::parse(&bytes, &mut pool) else { break };
            if connector.identifier.is_none() {
                connector.identifier = read.returned_text("factoryIdentifier").map(str::to_owned);
            }
            for (method, found) in [("requiredOptions", &mut required), ("optionalOptions", &mut optional)] {
                if found.is_none() {
                    *found = mentioned(&read, method);
                }
            }
            next = read.parent().map(str::to_owned);
        }
        connector.required = self.options(required.unwrap_or_default())?;
        connector.optional = self.options(optional.unwrap_or_default())?;
        Ok(Some(connector))
    }

    fn options(&mut self, constants: Vec<(String, String)>) -> Result<Vec<ConnectorOption>> {
        let mut options = Vec::new();
        for (class, field) in constants {
            let constant = format!("{}.{field}", class.rsplit('/').next().unwrap_or_default());
            let known = KNOWN.iter().find(|(name, _)| *name == constant).map(|(_, key)| (*key).to_owned());
            let key = match self.key(&class, &field)? {
                Some(key) => Some(key),
                None => known,
            };
            options.push(ConnectorOption { key, constant });
        }
        Ok(options)
    }

    fn key(&mut self, class: &str, field: &str) -> Result<Option<String>> {
        if !self.keys.contains_key(class) {
            let keys = match self.bytes(class)? {
                Some(bytes) => {
                    let mut pool = Pool::default();
                    Class::parse(&bytes, &mut pool).map(|read| keys(&read)).unwrap_or_default()
                }
                None => HashMap::new(),
            };
            self.keys.insert(class.to_owned(), keys);
        }
        Ok(self.keys.get(class).and_then(|keys| keys.get(field)).cloned())
    }

    fn bytes(&mut self, class: &str) -> Result<Option<Vec<u8>>> {
        match self.entries.get(format!("{class}.class").as_str()) {
            Some(entry) => Ok(Some(self.archive.read(entry, MAX_CLASS, &mut self.buffers)?.to_vec())),
            None => Ok(None),
        }
    }
}

/// The constants of options that a method takes, class and field; None where the class has no such method.
fn mentioned(class: &Class<'_>, method: &str) -> Option<Vec<(String, String)>> {
    let code = class
        .methods()
        .into_iter()
        .find(|found| found.name == method && found.descriptor == "()Ljava/util/Set;")?
        .code?;
    let mut found: Vec<(String, String)> = Vec::new();
    for instruction in instructions(code) {
        let Instruction::GetStatic(index) = instruction else { continue };
        let Some((owner, field, OPTION)) = class.member(index) else { continue };
        let option = (owner.to_owned(), field.to_owned());
        if !found.contains(&option) {
            found.push(option);
        }
    }
    Some(found)
}

/// What a class's initializer gives its constants: `ConfigOptions.key("topic")…` up to the constant that it is put into.
fn keys(class: &Class<'_>) -> HashMap<String, String> {
    let mut keys = HashMap::new();
    let code = class.methods().into_iter().find(|method| method.name == "<clinit>").and_then(|method| method.code);
    let (mut text, mut key) = (None, None);
    for instruction in instructions(code.unwrap_or_default()) {
        match instruction {
            Instruction::Constant(index) => text = class.string(index).or(text),
            Instruction::InvokeStatic(index) if is_key(class, index) => key = text,
            Instruction::PutStatic(index) => {
                if let (Some((_, field, OPTION)), Some(key)) = (class.member(index), key.take()) {
                    keys.insert(field.to_owned(), key.to_owned());
                }
            }
            _ => {}
        }
    }
    keys
}

/// Whether the method is `ConfigOptions.key`.
fn is_key(class: &Class<'_>, method: u16) -> bool {
    class.member(method).is_some_and(|(owner, name, _)| owner.ends_with("/ConfigOptions") && name == "key")
}
