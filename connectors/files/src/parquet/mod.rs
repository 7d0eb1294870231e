//! Parquet files: footers are read while a query is planned, pages while it runs, through DataFusion's Parquet source.

mod check;
pub(crate) mod convert;
pub(crate) mod filter;
pub(crate) mod footer;
mod interval;
pub(crate) mod joined;
mod nested;
mod reader;
pub(crate) mod scan;
mod skim;
pub(crate) mod statistics;
pub(crate) mod table;
