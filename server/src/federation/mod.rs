//! What DataFusion sees of Atoll: catalogs, system catalogs, optimizer rules, foreign scans.

pub mod pg_catalog;
