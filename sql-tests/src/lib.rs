//! Runs sqllogictest suites against any PostgreSQL endpoint.

mod decode;
mod engine;
mod suite;

pub use engine::{Endpoint, Mode};
pub use suite::{Outcome, expand, run_file, substitute};
