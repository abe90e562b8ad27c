//! Servers, jobs and suites that the tests share.

pub mod fleet;
pub mod process;
pub mod webhook;
pub mod git_server;
