//! Atoll: one PostgreSQL endpoint over many sources.

pub mod catalog;
pub mod config;
pub mod error;
pub mod federation;
#[doc(hidden)]
pub mod fuzzing;
pub mod host;
pub mod interrupt;
pub mod program;
pub mod session;
pub mod statement;
pub mod wire;
