//! SQL text to typed statements, SQL/MED included.

pub mod ast;

pub use ast::{ParsedStatement, Statement};
