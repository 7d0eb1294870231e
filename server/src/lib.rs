//! Atoll: one PostgreSQL endpoint over many sources.

pub mod catalog;
pub mod config;
pub mod error;
pub mod federation;
pub mod host;
pub mod program;
pub mod session;
pub mod statement;
pub mod wire;
