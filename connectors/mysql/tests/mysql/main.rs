//! The connector against a real server, through DataFusion. `ATOLL_TEST_MYSQL_URL` names it:
//! `mysql://user:password@host:port/`, a user who may create databases and users.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod connections;
mod errors;
mod filters;
mod metadata;
mod support;
mod types;
