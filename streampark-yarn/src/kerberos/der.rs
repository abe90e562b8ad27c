//! As much DER as Kerberos' messages need (ITU-T X.690): written by length, read without recursion.

use streampark_core::{Error, ErrorKind, Result};

/// `[n]`, constructed: Kerberos tags every field explicitly.
pub(super) const fn context(number: u8) -> u8 {
    0xA0 | number
}

/// `[APPLICATION n]`, constructed: the kind of a message.
pub(super) const fn application(number: u8) -> u8 {
    0x60 | number
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const GENERAL_STRING: u8 = 0x1B;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// One element.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    match content.len() {
        short @ 0..=0x7F => bytes.push(u8::try_from(short).unwrap_or_default()),
        long => {
            let length = long.to_be_bytes();
            let skipped = length.iter().take_while(|byte| **byte == 0).count();
            let length = length.get(skipped..).unwrap_or_default();
            bytes.push(0x80 | u8::try_from(length.len()).unwrap_or_default());
            bytes.extend_from_slice(length);
        }
    }
    bytes.extend_from_slice(content);
    bytes
}

/// A sequence of elements that are encoded already.
pub(super) fn sequence<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Vec<u8> {
    let mut content = Vec::new();
    parts.into_iter().for_each(|part| content.extend_from_slice(part.as_ref()));
    element(SEQUENCE, &content)
}

/// `[n]` around an element.
pub(super) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    element(context(number), content)
}

pub(super) fn integer(value: i64) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    // As short as the sign allows.
    let spare = |at: usize| match (bytes.get(at), bytes.get(at + 1)) {
        (Some(0), Some(next)) => next & 0x80 == 0,
        (Some(0xFF), Some(next)) => next & 0x80 != 0,
        _ => false,
    };
    let start = (0..7).take_while(|at| spare(*at)).count();
    element(INTEGER, bytes.get(start..).unwrap_or_default())
}

pub(super) fn octets(bytes: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, bytes)
}

pub(super) fn text(text: &str) -> Vec<u8> {
    element(GENERAL_STRING, text.as_bytes())
}

/// 32 flags; bit 0 is the highest.
pub(super) fn flags(bits: &[u8]) -> Vec<u8> {
    let value = bits.iter().fold(0_u32, |value, bit| value | (0x8000_0000 >> bit));
    let mut content = vec![0];
    content.extend_from_slice(&value.to_be_bytes());
    element(BIT_STRING, &content)
}

/// `YYYYMMDDHHMMSSZ`; Kerberos knows no fractions here.
pub(super) fn time(seconds: i64) -> Vec<u8> {
    let at = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    element(GENERALIZED_TIME, at.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
}

/// Reads one element after the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(&'a [u8]);

/// An element as it was read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With tag and length.
    pub(super) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>> {
        let bytes = self.0;
        let Some((tag, rest)) = bytes.split_first() else { return Ok(None) };
        let (first, rest) = rest.split_first().ok_or_else(broken)?;
        let (length, rest) = if *first < 0x80 {
            (usize::from(*first), rest)
        } else {
            let count = usize::from(first & 0x7F);
            if count == 0 || count > 4 || count > rest.len() {
                return Err(broken());
            }
            let (digits, rest) = rest.split_at(count);
            (digits.iter().fold(0_usize, |length, digit| (length << 8) | usize::from(*digit)), rest)
        };
        if length > rest.len() {
            return Err(broken());
        }
        let (content, rest) = rest.split_at(length);
        let whole = bytes.get(..bytes.len() - rest.len()).unwrap_or_default();
        self.0 = rest;
        Ok(Some(Element { tag: *tag, content, whole }))
    }

    fn expect(&mut self, tag: u8) -> Result<Element<'a>> {
        self.next()?.filter(|element| element.tag == tag).ok_or_else(broken)
    }
}

impl<'a> Element<'a> {
    /// The first element of `bytes`, which must have this tag.
    pub(super) fn of(bytes: &'a [u8], tag: u8) -> Result<Self> {
        Reader::new(bytes).expect(tag)
    }

    /// The fields of a sequence.
    pub(super) fn fields(&self) -> Result<Fields<'a>> {
        let mut reader = Reader::new(self.content);
        let mut all = Vec::new();
        while let Some(element) = reader.next()? {
            all.push(element);
        }
        Ok(Fields(all))
    }
}

/// The fields of a sequence, found by their numbers.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<Element<'a>>);

impl<'a> Fields<'a> {
    /// What `[number]` holds; None where it is left out.
    pub(super) fn get(&self, number: u8) -> Option<Element<'a>> {
        let field = self.0.iter().find(|element| element.tag == context(number))?;
        Reader::new(field.content).next().ok().flatten()
    }

    pub(super) fn require(&self, number: u8, tag: u8) -> Result<Element<'a>> {
        self.get(number).filter(|element| element.tag == tag).ok_or_else(broken)
    }

    pub(super) fn integer(&self, number: u8) -> Result<i64> {
        as_integer(self.require(number, INTEGER)?.content)
    }

    pub(super) fn text(&self, number: u8) -> Result<String> {
        Ok(String::from_utf8_lossy(self.require(number, GENERAL_STRING)?.content).into_owned())
    }

    /// Seconds since 1970.
    pub(super) fn time(&self, number: u8) -> Result<i64> {
        as_time(self.require(number, GENERALIZED_TIME)?.content)
    }
}

fn as_integer(bytes: &[u8]) -> Result<i64> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    if bytes.is_empty() || bytes.len() > 8 {
        return Err(broken());
    }
    Ok(bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| (value << 8) | i64::from(*byte)))
}

fn as_time(bytes: &[u8]) -> Result<i64> {
    let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
    let civil = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", text).map_err(|_| broken())?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(civil).map_err(|_| broken())?;
    Ok(at.as_second())
}

/// The parts of a sequence of texts.
pub(super) fn texts(element: Element<'_>) -> Result<Vec<String>> {
    let mut reader = Reader::new(element.content);
    let mut all = Vec::new();
    while let Some(part) = reader.next()? {
        all.push(String::from_utf8_lossy(part.content).into_owned());
    }
    Ok(all)
}

pub(super) fn broken() -> Error {
    Error::new(ErrorKind::UnexpectedResponse, "the KDC answers with something that is no Kerberos message")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_as_short_as_their_sign_allows() {
        for (value, bytes) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 127]),
            (128, &[2, 2, 0, 128]),
            (-1, &[2, 1, 255]),
            (-129, &[2, 2, 255, 127]),
            (0x7FFF_FFFF, &[2, 4, 127, 255, 255, 255]),
        ] {
            assert_eq!(integer(value), bytes, "{value}");
            assert_eq!(as_integer(Element::of(bytes, INTEGER).unwrap().content).unwrap(), value);
        }
    }

    #[test]
    fn times_and_flags() {
        let text = time(1_000_000_000);
        assert_eq!(text, b"\x18\x0f20010909014640Z");
        assert_eq!(as_time(Element::of(&text, GENERALIZED_TIME).unwrap().content).unwrap(), 1_000_000_000);
        assert_eq!(flags(&[0, 31]), [3, 5, 0, 0x80, 0, 0, 1]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content in proptest::collection::vec(any::<u8>(), 0..70_000)) {
            let bytes = element(OCTET_STRING, &content);
            let read = Element::of(&bytes, OCTET_STRING).unwrap();
            prop_assert_eq!(read.content, &content[..]);
            prop_assert_eq!(read.whole, &bytes[..]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(element) = Element::of(&bytes, SEQUENCE) && let Ok(fields) = element.fields() {
                let _ = (fields.integer(0), fields.text(1), fields.time(2));
            }
        }
    }
}
