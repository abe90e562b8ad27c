//! Kerberos without the system's library: tickets from a keytab or a credential cache, shown to Hadoop's web
//! interfaces by SPNEGO.

mod conf;
mod credential;
mod der;
mod files;
mod kdc;
mod keys;
mod messages;
mod principal;
mod spnego;
mod tickets;

pub use spnego::Kerberos;
