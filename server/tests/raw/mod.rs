//! A client that can misbehave: frames by hand, with just enough of the protocol to get in.

#![allow(dead_code, reason = "not every test file uses every helper")]

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac, pbkdf2};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{PASSWORD, TestServer};

/// A server of the test's own.
pub(crate) struct Target {
    pub(crate) server: TestServer,
}

impl Target {
    /// Starts it.
    pub(crate) async fn start() -> Self {
        Self { server: TestServer::start(&[]).await }
    }

    /// Starts it with further arguments.
    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self { server: TestServer::start(arguments).await }
    }

    /// A bare socket.
    pub(crate) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.server.address).await.unwrap()
    }

    /// A cancel request; waits until the server has closed it.
    pub(crate) async fn cancel(&self, pid: i32, key: &[u8]) {
        let mut socket = self.socket().await;
        let body = [&80_877_102_u32.to_be_bytes()[..], &pid.to_be_bytes(), key].concat();
        let length = u32::try_from(body.len() + 4).unwrap();
        socket.write_all(&[&length.to_be_bytes()[..], &body].concat()).await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        assert!(answer.is_empty());
    }
}

/// The salt and the iterations that a role is offered.
pub(crate) async fn salt_of(target: &Target, user: &str) -> (String, String) {
    let mut raw = Raw { socket: target.socket().await, pid: 0, key: Vec::new() };
    raw.start_up(user).await;
    raw.message().await.unwrap();
    let first = "n,,n=,r=rawclient";
    let length = u32::try_from(first.len()).unwrap().to_be_bytes();
    raw.send(b'p', &[b"SCRAM-SHA-256\0", &length[..], first.as_bytes()].concat()).await;
    let (_, body) = raw.message().await.unwrap();
    let server_first = String::from_utf8(body[4..].to_vec()).unwrap();
    let (salt, iterations) = server_first.split_once(",s=").unwrap().1.split_once(",i=").unwrap();
    (salt.to_owned(), iterations.to_owned())
}

/// A connection, logged in.
pub(crate) struct Raw {
    socket: TcpStream,
    pub(crate) pid: i32,
    pub(crate) key: Vec<u8>,
}

/// Appends a message.
pub(crate) fn append(bytes: &mut Vec<u8>, tag: u8, body: &[u8]) {
    bytes.push(tag);
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend_from_slice(body);
}

impl Raw {
    /// Logs in with SCRAM-SHA-256.
    pub(crate) async fn connect(target: &Target) -> Self {
        let mut raw = Self { socket: target.socket().await, pid: 0, key: Vec::new() };
        raw.start_up("atoll").await;
        raw.authenticate(PASSWORD).await;
        for (tag, body) in raw.until_ready().await {
            if tag == b'K' {
                raw.pid = i32::from_be_bytes(body[..4].try_into().unwrap());
                raw.key = body[4..].to_vec();
            }
        }
        assert_eq!(raw.key.len(), 4, "protocol 3.0 has short keys");
        raw
    }

    /// Sends a startup packet.
    pub(crate) async fn start_up(&mut self, user: &str) {
        let startup = format!("\0\x03\0\0user\0{user}\0database\0atoll\0\0");
        let length = u32::try_from(startup.len() + 4).unwrap();
        self.send_bytes(&[&length.to_be_bytes()[..], startup.as_bytes()].concat()).await;
    }

    async fn authenticate(&mut self, password: &str) {
        let (tag, offer) = self.message().await.unwrap();
        assert_eq!((tag, &offer[..4]), (b'R', &10_u32.to_be_bytes()[..]));
        let (first, bare) = ("n,,n=,r=rawclient", "n=,r=rawclient");
        let length = u32::try_from(first.len()).unwrap().to_be_bytes();
        self.send(b'p', &[b"SCRAM-SHA-256\0", &length[..], first.as_bytes()].concat()).await;
        let (_, body) = self.message().await.unwrap();
        let server_first = String::from_utf8(body[4..].to_vec()).unwrap();
        self.send(b'p', client_final(password, bare, &server_first).as_bytes()).await;
        let (tag, body) = self.message().await.unwrap();
        assert_eq!(tag, b'R', "{}", String::from_utf8_lossy(&body));
    }

    /// The exchange with its first or its last message changed; what was sent, if the server took it for right.
    pub(crate) async fn authenticate_mutated(
        &mut self,
        first_message: bool,
        mut change: impl FnMut(&mut Vec<u8>),
    ) -> Option<Vec<u8>> {
        self.message().await?;
        let bare = "n=,r=rawclient";
        let mut first = format!("n,,{bare}").into_bytes();
        if first_message {
            change(&mut first);
        }
        let length = u32::try_from(first.len()).unwrap().to_be_bytes();
        self.send(b'p', &[b"SCRAM-SHA-256\0", &length[..], &first].concat()).await;
        let (tag, body) = self.message().await?;
        if tag != b'R' {
            return None;
        }
        let server_first = String::from_utf8(body[4..].to_vec()).unwrap();
        // A first message that was changed and taken has another name or nonce in it: the proof is over what we meant.
        if !server_first.starts_with("r=rawclient") {
            return None;
        }
        let mut last = client_final(PASSWORD, bare, &server_first).into_bytes();
        if !first_message {
            change(&mut last);
        }
        self.send(b'p', &last).await;
        match self.message().await {
            Some((b'R', _)) => Some(if first_message { first } else { last }),
            _ => None,
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, tag: u8, body: &[u8]) {
        let mut bytes = Vec::new();
        append(&mut bytes, tag, body);
        self.send_bytes(&bytes).await;
    }

    /// Sends anything.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    /// Parse without types.
    pub(crate) async fn parse(&mut self, name: &str, sql: &str) {
        self.send(b'P', format!("{name}\0{sql}\0\0\0").as_bytes()).await;
    }

    /// Bind without parameters.
    pub(crate) async fn bind(&mut self, portal: &str, statement: &str) {
        self.send(b'B', format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes()).await;
    }

    /// Execute.
    pub(crate) async fn execute(&mut self, portal: &str, rows_max: u8) {
        self.send(b'E', &[portal.as_bytes(), b"\0\0\0\0", &[rows_max]].concat()).await;
    }

    /// The next message; `None`: the server has closed the connection.
    pub(crate) async fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let tag = self.socket.read_u8().await.ok()?;
        let length = usize::try_from(self.socket.read_u32().await.unwrap()).unwrap();
        let mut body = vec![0; length - 4];
        self.socket.read_exact(&mut body).await.unwrap();
        Some((tag, body))
    }

    /// What the server says until it closes the connection, which it has to do soon.
    pub(crate) async fn until_closed(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let reading = self.socket.read_to_end(&mut bytes);
        // A reset is as good as an end.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await.expect("it stays open");
        bytes
    }

    /// Reads and forgets what there is for a moment; whether the connection is still open.
    pub(crate) async fn drained(&mut self) -> bool {
        let mut bytes = [0; 65536];
        loop {
            let reading = self.socket.read(&mut bytes);
            match tokio::time::timeout(std::time::Duration::from_millis(200), reading).await {
                Err(_) => return true,
                Ok(Ok(1..)) => {}
                Ok(_) => return false,
            }
        }
    }

    /// Writes as long as the server reads; how many bytes it took. It may close.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let writing = self.socket.write(&bytes[sent..]);
            match tokio::time::timeout(std::time::Duration::from_secs(2), writing).await {
                Ok(Ok(written)) => sent += written,
                _ => break,
            }
        }
        sent
    }

    /// A connection that has said nothing yet.
    pub(crate) async fn silent(target: &Target) -> Self {
        Self { socket: target.socket().await, pid: 0, key: Vec::new() }
    }

    /// All messages up to ReadyForQuery, notices and parameters left out.
    pub(crate) async fn until_ready(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut messages = Vec::new();
        loop {
            let message = self.message().await.expect("the connection lives");
            match message.0 {
                b'N' | b'S' => {}
                b'Z' => {
                    messages.push(message);
                    return messages;
                }
                _ => messages.push(message),
            }
        }
    }
}

fn client_final(password: &str, bare: &str, server_first: &str) -> String {
    let (nonce, rest) = server_first.strip_prefix("r=").unwrap().split_once(",s=").unwrap();
    let (salt, iterations) = rest.split_once(",i=").unwrap();
    let mut salted = [0; 32];
    let iterations = iterations.parse::<NonZeroU32>().unwrap();
    let salt = BASE64.decode(salt).unwrap();
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, &salt, password.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let client_key = sign(&salted, "Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let without_proof = format!("c=biws,r={nonce}");
    let signature = sign(stored_key.as_ref(), &format!("{bare},{server_first},{without_proof}"));
    let pairs = client_key.as_ref().iter().zip(signature.as_ref());
    let proof: Vec<u8> = pairs.map(|(key, signature)| key ^ signature).collect();
    format!("{without_proof},p={}", BASE64.encode(proof))
}

/// A field of an ErrorResponse.
pub(crate) fn field(body: &[u8], code: u8) -> String {
    let fields = body.split(|byte| *byte == 0);
    fields
        .filter_map(|field| field.split_first())
        .find(|(first, _)| **first == code)
        .map_or_else(String::new, |(_, value)| String::from_utf8_lossy(value).into_owned())
}

/// Messages as their letters, with the code of an error and the tag of a command.
pub(crate) fn shape(messages: &[(u8, Vec<u8>)]) -> String {
    let letter = |(tag, body): &(u8, Vec<u8>)| match tag {
        b'E' => format!("E({})", field(body, b'C')),
        b'C' => format!("C({})", String::from_utf8_lossy(body).trim_end_matches('\0')),
        other => char::from(*other).to_string(),
    };
    messages.iter().map(letter).collect::<Vec<_>>().join(" ")
}
