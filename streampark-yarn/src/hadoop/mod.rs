//! Hadoop's configuration: the XML files of a client, and what follows from them.

mod conf;
mod places;
mod xml;

pub use conf::HadoopConf;
