//! Servers, jobs and suites that the tests share.

pub mod git_server;
