//! The PostgreSQL wire protocol: listening, TLS, authentication, simple and extended queries, COPY, cancel, errors.
//!
//! pgwire gives the messages that the server sends; the connection loop is our own (why: DESIGN.md, "Wire").

mod auth;
mod backend;
mod connection;
mod copy;
mod encode;
mod extended;
mod frontend;
mod handshake;
mod listener;
mod registry;
mod rows;
mod scram;
mod settings;
mod simple;
pub mod sqlstate;
mod startup;
mod stream;
mod tls;
mod unix_socket;

pub use listener::{WireServer, serve};
pub use settings::{AuthMode, WireConfig, WireError, check_exposure};
pub use tls::{ServerTls, TlsError};
