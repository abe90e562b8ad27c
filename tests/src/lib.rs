//! Servers, jobs and suites that the tests share.

pub mod fleet;
pub mod process;
pub mod webhook;
