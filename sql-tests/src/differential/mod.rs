//! The differential suite: the same statement at Atoll and at one PostgreSQL that holds all the tables, and nothing may differ.
//!
//! `DESIGN.md` says what is compared and why so.

mod answer;
mod benchmarks;
mod by_design;
mod place;
mod random;
mod switches;
mod table;

pub use answer::{Answer, Asker, Columns, Difference, Format, Kind, compare};
pub use benchmarks::{Benchmark, Report, Run, run_benchmark};
pub use place::{Places, mysql_address};
pub use random::{RandomRun, run_random};
pub use switches::{Combination, SWITCHES, Switch, known};
pub use table::{Column, MakeRows, Row, Source, Table};
