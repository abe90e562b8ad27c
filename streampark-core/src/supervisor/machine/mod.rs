//! What follows from what: every decision of the supervisor, without I/O and without a clock.

mod knowledge;
mod rules;

pub use knowledge::Knowledge;
pub use rules::Rules;
