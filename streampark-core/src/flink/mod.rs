//! Flink's own REST interface, configuration, memory and version rules: usable alone.
mod stub;
pub use stub::*;
