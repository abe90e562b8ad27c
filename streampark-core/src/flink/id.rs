//! The 128-bit identities that Flink prints as 32 hexadecimal digits.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Result};

macro_rules! flink_id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// The identity made of these bytes, in the order in which they are printed.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The identity made of the first 16 bytes of a hash; a shorter input is filled with zeros.
            ///
            /// The hash is the caller's choice (SHA-256 and the like), so that one input always gives
            /// one identity.
            pub fn from_hash(hash: &[u8]) -> Self {
                let mut bytes = [0; 16];
                for (to, from) in bytes.iter_mut().zip(hash) {
                    *to = *from;
                }
                Self(bytes)
            }

            /// The 16 bytes, in the order in which they are printed.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; 32];
                hex::encode_to_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
                f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                let mut bytes = [0; 16];
                match hex::decode_to_slice(text, &mut bytes) {
                    Ok(()) => Ok(Self(bytes)),
                    Err(_) => Err(Error::invalid(format!(
                        concat!("'{}' is no ", $noun, ": it is 32 hexadecimal digits, {}"),
                        shorten(text),
                        complaint(text),
                    ))),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a ", $noun, " of 32 hexadecimal digits"))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(|error: Error| E::custom(error.message()))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

flink_id! {
    /// Flink's identity of one submitted job (`org.apache.flink.api.common.JobID`).
    ///
    /// ```
    /// use streampark_core::flink::FlinkJobId;
    ///
    /// let id: FlinkJobId = "a7c1e1f0000000000000000000000001".parse()?;
    /// assert_eq!(id.to_string(), "a7c1e1f0000000000000000000000001");
    /// # Ok::<(), streampark_core::Error>(())
    /// ```
    FlinkJobId, "Flink job id"
}

flink_id! {
    /// The identity of one asynchronous operation of Flink's REST interface, such as a savepoint
    /// (`org.apache.flink.runtime.rest.messages.TriggerId`). Chosen by the caller, so that the same
    /// operation sent twice is started once.
    TriggerId, "trigger id"
}

fn shorten(text: &str) -> String {
    const SHOWN: usize = 40;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn complaint(text: &str) -> String {
    match text.chars().find(|c| !c.is_ascii_hexdigit()) {
        Some(wrong) => format!("and '{wrong}' is none"),
        None => format!("and this has {}", text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_lower_case_and_reads_both_cases() {
        let id: FlinkJobId = "A7C1E1F00000000000000000000000FF".parse().unwrap();
        assert_eq!(id.to_string(), "a7c1e1f00000000000000000000000ff");
        assert_eq!(format!("{id:?}"), "FlinkJobId(a7c1e1f00000000000000000000000ff)");
        assert_eq!(serde_json::from_str::<FlinkJobId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    }

    #[test]
    fn errors_say_what_is_wrong_with_the_text() {
        let message = |text: &str| text.parse::<FlinkJobId>().unwrap_err().to_string();
        assert_eq!(message("abc"), "'abc' is no Flink job id: it is 32 hexadecimal digits, and this has 3");
        assert_eq!(
            message("application_17000000000000_00001"),
            "'application_17000000000000_00001' is no Flink job id: it is 32 hexadecimal digits, and 'p' is none"
        );
        assert!(message(&"0".repeat(500)).len() < 120);
        assert!("ü".repeat(16).parse::<TriggerId>().is_err());
    }

    #[test]
    fn from_hash_takes_the_first_bytes() {
        let long: Vec<u8> = (0..32).collect();
        assert_eq!(FlinkJobId::from_hash(&long).as_bytes()[15], 15);
        assert_eq!(FlinkJobId::from_hash(&[1]).to_string(), format!("01{}", "0".repeat(30)));
    }
}
