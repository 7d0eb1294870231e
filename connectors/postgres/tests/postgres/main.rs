//! The connector against a real PostgreSQL server, whose address `ATOLL_TEST_POSTGRES_URL` gives as
//! `postgres://superuser:password@host:port/database`. The password must be asked for (no `trust`).

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod connections;
mod errors;
mod filters;
mod joins;
mod metadata;
mod scans;
mod support;
mod tls;
mod types;
