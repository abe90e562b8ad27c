//! A class file (Java Virtual Machine Specification, chapter 4), as far as it tells what a class is.

use super::code;

const UTF8: u8 = 1;
const CLASS: u8 = 7;
const STRING: u8 = 8;

/// Public, static and abstract (table 4.1-B and 4.6-A).
const ACC_PUBLIC: u16 = 0x0001;
const ACC_STATIC: u16 = 0x0008;
const ACC_ABSTRACT: u16 = 0x0400;

/// Where each constant begins in the bytes of its class; used again from class to class.
#[derive(Debug, Default)]
pub(super) struct Pool(Vec<u32>);

/// A class, in the bytes that it was read from.
#[derive(Debug)]
pub(super) struct Class<'a> {
    bytes: &'a [u8],
    pool: &'a Pool,
    /// The version of the class file: 52 is Java 8, 61 is Java 17.
    pub(super) major: u16,
    access: u16,
    this: u16,
    parent: u16,
    after_interfaces: usize,
}

/// A method, and its code where it has some.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method<'a> {
    pub(super) name: &'a str,
    pub(super) descriptor: &'a str,
    access: u16,
    pub(super) code: Option<&'a [u8]>,
}

impl Method<'_> {
    /// `public static void main(String[])`.
    pub(super) fn is_main(&self) -> bool {
        self.name == "main"
            && self.descriptor == "([Ljava/lang/String;)V"
            && self.access & (ACC_PUBLIC | ACC_STATIC) == ACC_PUBLIC | ACC_STATIC
    }
}

impl<'a> Class<'a> {
    /// None where the bytes are no whole class file.
    pub(super) fn parse(bytes: &'a [u8], pool: &'a mut Pool) -> Option<Self> {
        if bytes.get(..4)? != [0xca, 0xfe, 0xba, 0xbe] {
            return None;
        }
        let major = short(bytes, 6)?;
        let count = short(bytes, 8)?;
        pool.0.clear();
        pool.0.push(0);
        let mut at = 10;
        while pool.0.len() < usize::from(count) {
            pool.0.push(u32::try_from(at).ok()?);
            let kind = *bytes.get(at)?;
            at += match kind {
                UTF8 => 3 + usize::from(short(bytes, at + 1)?),
                3 | 4 | 9..=12 | 17 | 18 => 5,
                5 | 6 => {
                    // A long or double takes two places (4.4.5).
                    pool.0.push(0);
                    9
                }
                CLASS | STRING | 16 | 19 | 20 => 3,
                15 => 4,
                _ => return None,
            };
        }
        let interfaces = usize::from(short(bytes, at + 6)?);
        Some(Self {
            bytes,
            pool,
            major,
            access: short(bytes, at)?,
            this: short(bytes, at + 2)?,
            parent: short(bytes, at + 4)?,
            after_interfaces: at + 8 + interfaces * 2,
        })
    }

    /// The class's own name, with `/`.
    pub(super) fn name(&self) -> Option<&'a str> {
        self.class_name(self.this)
    }

    /// The name of the class that it extends.
    pub(super) fn parent(&self) -> Option<&'a str> {
        self.class_name(self.parent)
    }

    pub(super) fn is_abstract(&self) -> bool {
        self.access & ACC_ABSTRACT != 0
    }

    /// The names of all classes that it mentions.
    pub(super) fn mentions(&self) -> impl Iterator<Item = &'a str> {
        let bytes = self.bytes;
        self.pool.0.iter().skip(1).filter_map(move |at| {
            let at = *at as usize;
            (at != 0 && bytes.get(at) == Some(&CLASS)).then_some(())?;
            self.text(short(bytes, at + 1)?)
        })
    }

    /// Its methods; fewer where the bytes end too soon.
    pub(super) fn methods(&self) -> Vec<Method<'a>> {
        self.read_methods().unwrap_or_default()
    }

    fn read_methods(&self) -> Option<Vec<Method<'a>>> {
        let bytes = self.bytes;
        let mut at = self.after_interfaces + 2;
        for _ in 0..short(bytes, self.after_interfaces)? {
            at = self.after_attributes(at + 6)?;
        }
        let count = short(bytes, at)?;
        at += 2;
        let mut methods = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (name, descriptor) = (self.text(short(bytes, at + 2)?), self.text(short(bytes, at + 4)?));
            let code = self.code(at + 6);
            if let (Some(name), Some(descriptor)) = (name, descriptor) {
                methods.push(Method { name, descriptor, access: short(bytes, at)?, code });
            }
            at = self.after_attributes(at + 6)?;
        }
        Some(methods)
    }

    /// The bytes of the attribute `Code` among the attributes at a place (4.7.3).
    fn code(&self, mut at: usize) -> Option<&'a [u8]> {
        let count = short(self.bytes, at)?;
        at += 2;
        for _ in 0..count {
            if self.text(short(self.bytes, at)?) == Some("Code") {
                let length = int(self.bytes, at + 10)? as usize;
                return self.bytes.get(at + 14..at + 14 + length);
            }
            at += 6 + int(self.bytes, at + 2)? as usize;
        }
        None
    }

    fn after_attributes(&self, mut at: usize) -> Option<usize> {
        let count = short(self.bytes, at)?;
        at += 2;
        for _ in 0..count {
            at = at.checked_add(6)?.checked_add(int(self.bytes, at + 2)? as usize)?;
        }
        Some(at)
    }

    fn text(&self, index: u16) -> Option<&'a str> {
        let at = self.place(index, UTF8)?;
        let length = usize::from(short(self.bytes, at + 1)?);
        // Names that use Java's own form of UTF-8 for other than plain characters are none that is looked for.
        std::str::from_utf8(self.bytes.get(at + 3..at + 3 + length)?).ok()
    }

    pub(super) fn class_name(&self, index: u16) -> Option<&'a str> {
        let at = self.place(index, CLASS)?;
        self.text(short(self.bytes, at + 1)?)
    }

    /// A constant of the kind String.
    pub(super) fn string(&self, index: u16) -> Option<&'a str> {
        let at = self.place(index, STRING)?;
        self.text(short(self.bytes, at + 1)?)
    }

    /// The class, name and descriptor of a field or method that the code uses.
    pub(super) fn member(&self, index: u16) -> Option<(&'a str, &'a str, &'a str)> {
        let at = *self.pool.0.get(usize::from(index))? as usize;
        if !matches!(self.bytes.get(at), Some(9..=11)) {
            return None;
        }
        let class = self.class_name(short(self.bytes, at + 1)?)?;
        let pair = self.place(short(self.bytes, at + 3)?, 12)?;
        Some((class, self.text(short(self.bytes, pair + 1)?)?, self.text(short(self.bytes, pair + 3)?)?))
    }

    fn place(&self, index: u16, kind: u8) -> Option<usize> {
        let at = *self.pool.0.get(usize::from(index))? as usize;
        (at != 0 && self.bytes.get(at) == Some(&kind)).then_some(at)
    }

    /// The text that a method without branches returns: `return "kafka";`.
    pub(super) fn returned_text(&self, method: &str) -> Option<&'a str> {
        let code = self.methods().into_iter().find(|found| found.name == method)?.code?;
        let mut text = None;
        for instruction in code::instructions(code) {
            match instruction {
                code::Instruction::Constant(index) => text = self.string(index),
                code::Instruction::Return => return text,
                _ => return None,
            }
        }
        None
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn int(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
