//! Random statements over every common type at every source: each of a seed, shrunk where it fails.

mod choices;
mod data;
mod floors;
mod generate;
mod kinds;
mod operators;
mod run;
mod shrink;

pub use run::{RandomRun, run_random};
