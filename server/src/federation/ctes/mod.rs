//! `WITH` queries that are computed once, however often they are read.
//!
//! DataFusion puts a copy of a `WITH` query's plan in the place of each of its names. Copies that call `random()`, take the
//! first rows of an order with ties, or read a source that has no moment of its own do not have the same rows. So such a
//! query becomes a table of the statement:
//!
//! | step | where |
//! |---|---|
//! | its body gets an alias that tells it from others, in the syntax tree | [`mark`] |
//! | of the plan, each part under such an alias is taken out, if PostgreSQL would compute it once | [`share`] |
//! | a table stands in its place, which knows the plan and which columns of it are read | [`table`] |
//! | its scans read what the first of them has made to be computed | [`scan`], [`rows`] |

mod mark;
mod rows;
mod scan;
mod share;
mod table;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
mod tests;

pub use mark::{enter_view, mark};
pub use rows::SharedRows;
pub use scan::shared_rows;
pub use share::{Ctes, share};
