//! Projects: where the code of jobs comes from.

mod source;

pub use source::{Checkout, CheckoutOptions, Revision, Source, SyncReport};
