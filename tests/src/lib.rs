//! Servers, jobs and suites that the tests share.

pub mod blobs;
pub mod certificates;
pub mod fleet;
pub mod flink;
pub mod gateway;
pub mod git_host;
pub mod git_server;
pub mod hadoop;
pub mod kerberos;
pub mod output;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod s3;
pub mod sources;
pub mod webhook;
