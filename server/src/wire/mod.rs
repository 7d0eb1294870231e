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

/// Cuts and decodes messages until the first that ends the connection: for fuzzers.
pub(crate) fn fuzz_frontend(bytes: &[u8]) {
    let mut buffer = bytes::BytesMut::from(bytes);
    while let Ok(Some(frame)) = frontend::cut_frame(&mut buffer, 1 << 20) {
        let _ = frontend::decode(frame);
    }
}

/// Decodes a startup packet's body, and takes the text for either message of a SCRAM exchange: for fuzzers.
pub(crate) fn fuzz_startup(bytes: &[u8]) {
    startup::fuzz(bytes);
    scram::fuzz(&String::from_utf8_lossy(bytes));
}
