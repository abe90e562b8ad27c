//! Programs that come as a script of Flink SQL statements.

mod failure;
mod lexer;
mod mask;
mod program;
mod runner;
mod script;

pub use failure::SqlFailure;
pub use program::SqlProgram;
pub use script::{SqlScript, SqlStatement, StatementKind};

pub(super) use runner::shown_script;
