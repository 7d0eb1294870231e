//! What exactly is wrong with a text that no value could be read from: PostgreSQL's DETAIL.
//!
//! The readers only find that a text is wrong; these walk it once more, after that, by PostgreSQL's own rules.

mod array;
mod json;
mod range;

pub(super) use array::array;
pub(super) use json::{json, jsonb};
pub(super) use range::range;
