//! The first bytes of a connection: encryption, startup packet, cancel request.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use super::frontend::Body;
use super::stream::BoxedStream;
use super::tls::ServerTls;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::session::TlsInfo;

/// `MAX_STARTUP_PACKET_LENGTH`.
const STARTUP_BYTES_MAX: usize = 10_000;
const CANCEL_REQUEST_CODE: u32 = 80_877_102;
const SSL_REQUEST_CODE: u32 = 80_877_103;
const GSSENC_REQUEST_CODE: u32 = 80_877_104;
/// The newest minor version of protocol 3 that Atoll speaks.
const MINOR_VERSION_MAX: u16 = 2;
/// Keys longer than four bytes came with protocol 3.2.
const LONG_KEY_MINOR_VERSION: u16 = 2;

/// What the client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    Session(ClientStartup),
    Cancel { pid: i32, key: Bytes },
}

/// A startup packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientStartup {
    pub(super) user: String,
    pub(super) database: Option<String>,
    /// In the packet's order, those in `options` first: what is said last wins, and PostgreSQL lets the packet win.
    pub(super) settings: Vec<(String, String)>,
    /// Of protocol 3, as the client asked for.
    pub(super) minor_version: u16,
    /// `_pq_.` options that Atoll does not know.
    pub(super) unknown_options: Vec<String>,
}

impl ClientStartup {
    /// Whether the client has to be told what is spoken here, and the version to tell.
    pub(super) fn negotiated_version(&self) -> Option<i32> {
        let newest = (3 << 16) | i32::from(self.minor_version.min(MINOR_VERSION_MAX));
        (self.minor_version > MINOR_VERSION_MAX || !self.unknown_options.is_empty()).then_some(newest)
    }

    /// How many bytes a cancel key has.
    pub(super) fn key_bytes(&self) -> usize {
        if self.minor_version >= LONG_KEY_MINOR_VERSION { 32 } else { 4 }
    }
}

/// A connection that has said what it wants.
pub(super) struct Opened {
    pub(super) stream: BoxedStream,
    /// How, where it is encrypted.
    pub(super) encrypted: Option<TlsInfo>,
    /// For channel binding.
    pub(super) end_point: Option<Arc<[u8]>>,
    pub(super) opening: Opening,
}

/// A connection that has not.
pub(super) enum Refused {
    /// To be closed without a word, as PostgreSQL does with what is no startup packet.
    Silently,
    /// To be told.
    With(BoxedStream, SqlError),
}

/// Reads up to the startup packet, encryption included. `direct`: the client begins with TLS.
///
/// Nothing is read beyond a request for encryption, so plain text that somebody put behind it becomes part of the handshake,
/// which fails.
pub(super) async fn open(stream: BoxedStream, tls: Option<&ServerTls>, direct: bool) -> Result<Opened, Refused> {
    let mut opened =
        Opened { stream, encrypted: None, end_point: None, opening: Opening::Cancel { pid: 0, key: Bytes::new() } };
    if direct {
        let Some(tls) = tls else { return Err(Refused::Silently) };
        encrypt(&mut opened, tls, true).await?;
    }
    // Each may be asked for once.
    let (mut tls_asked, mut gss_asked) = (direct, false);
    loop {
        let mut packet = Body(read_packet(&mut opened.stream).await.ok_or(Refused::Silently)?);
        let Ok(code) = packet.u32() else { return Err(Refused::Silently) };
        match code {
            SSL_REQUEST_CODE if !tls_asked && packet.0.is_empty() => {
                tls_asked = true;
                answer(&mut opened.stream, if tls.is_some() { b'S' } else { b'N' }).await?;
                if let Some(tls) = tls {
                    encrypt(&mut opened, tls, false).await?;
                }
            }
            GSSENC_REQUEST_CODE if !gss_asked && packet.0.is_empty() => {
                gss_asked = true;
                answer(&mut opened.stream, b'N').await?;
            }
            CANCEL_REQUEST_CODE => {
                opened.opening = cancel_request(packet).ok_or(Refused::Silently)?;
                return Ok(opened);
            }
            version => return finish(opened, version, packet),
        }
    }
}

fn finish(mut opened: Opened, version: u32, packet: Body) -> Result<Opened, Refused> {
    match startup_packet(version, packet) {
        Ok(startup) => {
            opened.opening = Opening::Session(startup);
            Ok(opened)
        }
        Err(error) => Err(Refused::With(opened.stream, error)),
    }
}

async fn read_packet(stream: &mut BoxedStream) -> Option<Bytes> {
    let length = usize::try_from(stream.read_u32().await.ok()?).ok()?.checked_sub(4)?;
    if !(4..STARTUP_BYTES_MAX).contains(&length) {
        return None;
    }
    let mut packet = vec![0; length];
    stream.read_exact(&mut packet).await.ok()?;
    Some(packet.into())
}

async fn answer(stream: &mut BoxedStream, byte: u8) -> Result<(), Refused> {
    stream.write_all(&[byte]).await.map_err(|_| Refused::Silently)?;
    stream.flush().await.map_err(|_| Refused::Silently)
}

/// A handshake that fails ends the connection: there is no way back to plain text.
async fn encrypt(opened: &mut Opened, tls: &ServerTls, direct: bool) -> Result<(), Refused> {
    let plain = std::mem::replace(&mut opened.stream, Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink())));
    let encrypted = TlsAcceptor::from(tls.config()).accept(plain).await.map_err(|error| {
        tracing::debug!(%error, "TLS handshake failed");
        Refused::Silently
    })?;
    if direct && !ServerTls::is_our_protocol(encrypted.get_ref().1.alpn_protocol()) {
        return Err(Refused::Silently);
    }
    let connection = &encrypted.get_ref().1;
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLSv1.3",
    };
    let suite = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
    opened.encrypted = Some(TlsInfo { version, cipher: suite.replace("TLS13_", "TLS_") });
    opened.stream = Box::new(encrypted);
    opened.end_point = tls.end_point();
    Ok(())
}

fn cancel_request(mut packet: Body) -> Option<Opening> {
    let pid = packet.i32().ok()?;
    // Protocol 3.2: between 4 and 256 bytes.
    (4..=256).contains(&packet.0.len()).then_some(Opening::Cancel { pid, key: packet.0 })
}

fn startup_packet(version: u32, mut packet: Body) -> SqlResult<ClientStartup> {
    let (major, minor) = (version >> 16, u16::try_from(version & 0xffff).unwrap_or(u16::MAX));
    if major != 3 {
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2");
        return Err(SqlError::unsupported(message));
    }
    let mut parameters = Vec::new();
    loop {
        let name = packet.string()?;
        if name.is_empty() {
            break;
        }
        parameters.push((name, packet.string()?));
    }
    if !packet.0.is_empty() {
        let message = "invalid startup packet layout: expected terminator as last byte";
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message));
    }
    let (mut special, mut settings, mut unknown_options) = (HashMap::new(), Vec::new(), Vec::new());
    for (name, value) in parameters {
        match name.as_str() {
            "user" | "database" | "options" | "replication" => {
                special.insert(name, value);
            }
            _ if name.starts_with("_pq_.") => unknown_options.push(name),
            _ => settings.push((name, value)),
        }
    }
    if special.get("replication").is_some_and(|value| !matches!(value.as_str(), "false" | "off" | "no" | "0" | "")) {
        return Err(SqlError::unsupported("replication connections are not supported"));
    }
    let user = special.remove("user").filter(|user| !user.is_empty()).ok_or_else(|| {
        let message = "no PostgreSQL user name specified in startup packet";
        SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message)
    })?;
    if let Some(options) = special.remove("options") {
        let mut first = command_line(&options)?;
        first.append(&mut settings);
        settings = first;
    }
    let database = special.remove("database").filter(|database| !database.is_empty());
    Ok(ClientStartup { user, database, settings, minor_version: minor, unknown_options })
}

/// Decodes what may follow a packet's length: for fuzzers.
pub(super) fn fuzz(bytes: &[u8]) {
    let mut packet = Body(Bytes::copy_from_slice(bytes));
    let Ok(code) = packet.u32() else { return };
    if code == CANCEL_REQUEST_CODE {
        let _ = cancel_request(packet);
    } else if let Ok(startup) = startup_packet(code, packet) {
        let _ = (startup.negotiated_version(), startup.key_bytes());
    }
}

/// `-c name=value --name=value`, as PGOPTIONS has it. Backslashes escape.
fn command_line(options: &str) -> SqlResult<Vec<(String, String)>> {
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    let invalid = |word: &str| SqlError::syntax(format!("invalid command-line argument for server process: {word}"));
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next().ok_or_else(|| invalid(&word))?,
            Some(rest) => rest.to_owned(),
            None => return Err(invalid(&word)),
        };
        let (name, value) = assignment.split_once('=').ok_or_else(|| invalid(&assignment))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => word.get_or_insert_default().extend(chars.next()),
            char if char.is_ascii_whitespace() => words.extend(word.take()),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn opened(bytes: &[u8], tls: Option<&ServerTls>) -> (Result<Opened, Refused>, Vec<u8>) {
        let (mut client, server) = tokio::io::duplex(20_000);
        client.write_all(bytes).await.unwrap();
        client.shutdown().await.unwrap();
        let result = open(Box::new(server), tls, false).await;
        let result = result.map(|opened| Opened {
            stream: Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink())),
            ..opened
        });
        let mut answer = Vec::new();
        if !matches!(result, Err(Refused::With(..))) {
            client.read_to_end(&mut answer).await.unwrap();
        }
        (result, answer)
    }

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap();
        [&length.to_be_bytes(), &code.to_be_bytes(), body].concat()
    }

    fn session(result: Result<Opened, Refused>) -> ClientStartup {
        match result {
            Ok(Opened { opening: Opening::Session(startup), .. }) => startup,
            Ok(_) => panic!("a cancel request"),
            Err(Refused::Silently) => panic!("refused silently"),
            Err(Refused::With(_, error)) => panic!("{error}"),
        }
    }

    fn refusal(result: Result<Opened, Refused>) -> Option<SqlError> {
        match result {
            Ok(_) => panic!("accepted"),
            Err(Refused::Silently) => None,
            Err(Refused::With(_, error)) => Some(error),
        }
    }

    #[tokio::test]
    async fn reads_a_startup_packet_after_refused_encryption() {
        let body = b"user\0ann\0database\0sales\0options\0-c datestyle=SQL\\ x --search-path=a\0application_name\0psql\0_pq_.x\x001\0\0";
        let bytes = [packet(SSL_REQUEST_CODE, b""), packet(GSSENC_REQUEST_CODE, b""), packet(196_610, body)].concat();
        let (result, answer) = opened(&bytes, None).await;
        let startup = session(result);
        assert_eq!(answer, b"NN");
        assert_eq!((startup.user.as_str(), startup.database.as_deref()), ("ann", Some("sales")));
        let settings: Vec<_> = startup.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(settings, [("datestyle", "SQL x"), ("search_path", "a"), ("application_name", "psql")]);
        assert_eq!(startup.unknown_options, ["_pq_.x"]);
        assert_eq!((startup.negotiated_version(), startup.key_bytes()), (Some(196_610), 32));
    }

    #[tokio::test]
    async fn negotiates_versions() {
        for (version, negotiated, key_bytes) in
            [(196_608, None, 4), (196_610, None, 32), (196_608 + 9999, Some(196_610), 32)]
        {
            let startup = session(opened(&packet(version, b"user\0a\0\0"), None).await.0);
            assert_eq!((startup.negotiated_version(), startup.key_bytes()), (negotiated, key_bytes));
        }
        let error = refusal(opened(&packet(131_072, b"user\0a\0\0"), None).await.0).unwrap();
        assert_eq!(error.message, "unsupported frontend protocol 2.0: server supports 3.0 to 3.2");
    }

    #[tokio::test]
    async fn closes_on_garbage_without_a_word() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\0\0\0\x04",
            b"\0\0\0\0",
            b"\xff\xff\xff\xff",
            b"\0\0\x27\x15\0\x03\0\0",
            b"\0\0\0\x09\0\x03",
        ] {
            let (result, answer) = opened(bytes, None).await;
            assert_eq!((refusal(result), answer), (None, Vec::new()), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn says_what_is_wrong_with_a_packet() {
        for (body, message) in [
            (&b"\0"[..], "no PostgreSQL user name specified in startup packet"),
            (b"user\0a\0\0x", "invalid startup packet layout: expected terminator as last byte"),
            (b"user\0a\0", "invalid string in message"),
            (b"user\0a\0replication\0true\0\0", "replication connections are not supported"),
            (b"user\0a\0options\0-x\0\0", "invalid command-line argument for server process: -x"),
            (b"user\0\xff\0\0", "invalid byte sequence for encoding \"UTF8\": 0xff"),
        ] {
            let error = refusal(opened(&packet(196_608, body), None).await.0).unwrap();
            assert_eq!(error.message, message);
        }
        let twice = [packet(SSL_REQUEST_CODE, b""), packet(SSL_REQUEST_CODE, b"")].concat();
        assert_eq!(
            refusal(opened(&twice, None).await.0).unwrap().message,
            "unsupported frontend protocol 1234.5679: server supports 3.0 to 3.2"
        );
    }

    #[tokio::test]
    async fn plain_text_behind_a_request_for_tls_is_not_obeyed() {
        let made = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
        let key = rustls_pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let tls = ServerTls::new(vec![made.cert.der().clone()], key).unwrap();
        let bytes = [packet(SSL_REQUEST_CODE, b""), packet(196_608, b"user\0a\0\0")].concat();
        let (result, answer) = opened(&bytes, Some(&tls)).await;
        assert_eq!(refusal(result), None);
        assert_eq!(answer[0], b'S');
    }

    #[tokio::test]
    async fn reads_cancel_requests_with_short_and_long_keys() {
        for length in [4, 32, 256] {
            let body = [&7_i32.to_be_bytes()[..], &vec![9; length]].concat();
            let Ok(opened) = opened(&packet(CANCEL_REQUEST_CODE, &body), None).await.0 else { panic!("refused") };
            assert_eq!(opened.opening, Opening::Cancel { pid: 7, key: vec![9; length].into() });
        }
        for length in [0, 3, 257] {
            let body = [&7_i32.to_be_bytes()[..], &vec![9; length]].concat();
            assert_eq!(refusal(opened(&packet(CANCEL_REQUEST_CODE, &body), None).await.0), None);
        }
    }

    proptest! {
        #[test]
        fn no_packet_makes_it_panic(code in prop_oneof![Just(196_608_u32), any::<u32>()], body in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = startup_packet(code, Body(body.into()));
        }

        #[test]
        fn no_options_make_it_panic(options in ".{0,40}") {
            let _ = command_line(&options);
        }
    }
}
