//! Runs sqllogictest suites against any PostgreSQL endpoint, and compares the answers of two of them.

mod decode;
pub mod differential;
mod engine;
mod suite;

pub use engine::{Endpoint, Mode};
pub use suite::{Outcome, expand, run_file, substitute};
