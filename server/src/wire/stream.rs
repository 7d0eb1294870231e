//! The two directions of a connection's socket: reading frames, writing messages, both bounded.

use std::io;

use bytes::BytesMut;
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::frontend::{Frame, cut_frame};
use crate::error::{SqlError, SqlState};

/// What a client may send ahead while a statement runs. Beyond it the socket is not read, so TCP slows the client down.
pub(super) const READ_AHEAD_BYTES_MAX: usize = 256 * 1024;
/// Messages are handed to the socket as soon as there are this many bytes of them.
pub(super) const FLUSH_BYTES: usize = 64 * 1024;
/// A buffer that one big message has blown up is given back when it is empty.
const KEPT_BUFFER_BYTES_MAX: usize = 256 * 1024;
const READ_BYTES: usize = 8 * 1024;

/// A socket: TCP, TLS or unix.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}
/// Some socket.
pub(super) type BoxedStream = Box<dyn Stream>;

/// Why nothing more can be read.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The client is gone, with or without saying so.
    Closed,
    /// What it sends cannot be cut into messages: report and close.
    Violation(SqlError),
}

/// The frames that a client sends.
pub(super) struct Inbox {
    read: ReadHalf<BoxedStream>,
    buffer: BytesMut,
    message_bytes_max: usize,
    closed: bool,
}

impl Inbox {
    pub(super) fn new(read: ReadHalf<BoxedStream>, message_bytes_max: usize) -> Self {
        Self { read, buffer: BytesMut::with_capacity(READ_BYTES), message_bytes_max, closed: false }
    }

    /// Admits messages up to this length from now on.
    pub(super) fn admit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    /// A frame that was read already.
    pub(super) fn ready(&mut self) -> Result<Option<Frame>, ReadError> {
        let frame = cut_frame(&mut self.buffer, self.message_bytes_max).map_err(ReadError::Violation)?;
        if self.buffer.is_empty() && self.buffer.capacity() > KEPT_BUFFER_BYTES_MAX {
            self.buffer = BytesMut::with_capacity(READ_BYTES);
        }
        Ok(frame)
    }

    /// The next frame.
    ///
    /// # Cancel safety
    /// Nothing read is lost.
    pub(super) async fn next(&mut self) -> Result<Frame, ReadError> {
        loop {
            if let Some(frame) = self.ready()? {
                return Ok(frame);
            }
            if !self.fill().await {
                return Err(ReadError::Closed);
            }
        }
    }

    /// Reads ahead, up to the bound, and completes only when the client is gone.
    ///
    /// # Cancel safety
    /// Nothing read is lost.
    pub(super) async fn gone(&mut self) {
        while self.buffer.len() < READ_AHEAD_BYTES_MAX {
            if !self.fill().await {
                return;
            }
        }
        std::future::pending().await
    }

    async fn fill(&mut self) -> bool {
        if self.closed {
            return false;
        }
        self.buffer.reserve(READ_BYTES);
        // A reset and an orderly end are the same to us: nobody is there to be told.
        self.closed = !matches!(self.read.read_buf(&mut self.buffer).await, Ok(bytes) if bytes > 0);
        !self.closed
    }
}

/// The messages that the client is sent.
pub(super) struct Outbox {
    write: WriteHalf<BoxedStream>,
    buffer: BytesMut,
}

impl Outbox {
    pub(super) fn new(write: WriteHalf<BoxedStream>) -> Self {
        Self { write, buffer: BytesMut::with_capacity(READ_BYTES) }
    }

    /// Adds a message.
    ///
    /// # Errors
    /// One that is too big for the protocol; nothing of it was added.
    pub(super) fn push(&mut self, message: &PgWireBackendMessage) -> Result<(), SqlError> {
        let before = self.buffer.len();
        message.encode(&mut self.buffer).map_err(|error| {
            // The encoder has written the type already when it finds the length too big.
            self.buffer.truncate(before);
            SqlError::new(SqlState(*b"54000"), format!("message to the client is too large: {error}"))
        })
    }

    /// Where rows are encoded: whole messages only.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether there is enough to hand to the socket.
    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FLUSH_BYTES
    }

    /// Hands everything to the socket, and waits while the client does not read.
    ///
    /// # Cancel safety
    /// What was not written yet stays, and a message is never torn.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            if self.write.write_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        if self.buffer.capacity() > KEPT_BUFFER_BYTES_MAX {
            self.buffer = BytesMut::with_capacity(READ_BYTES);
        }
        self.write.flush().await
    }

    /// Ends our direction.
    pub(super) async fn close(&mut self) {
        let _ = self.write.shutdown().await;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::time::Duration;

    use pgwire::messages::response::{CommandComplete, ReadyForQuery, TransactionStatus};

    use super::*;

    fn pair() -> (Inbox, Outbox, tokio::io::DuplexStream) {
        let (client, server) = tokio::io::duplex(1000);
        let (read, write) = tokio::io::split(Box::new(server) as BoxedStream);
        (Inbox::new(read, 1000), Outbox::new(write), client)
    }

    #[tokio::test]
    async fn reads_ahead_while_it_watches_and_sees_the_end() {
        let (mut inbox, _outbox, mut client) = pair();
        client.write_all(b"S\0\0\0\x04H\0\0\0\x04").await.unwrap();
        assert!(tokio::time::timeout(Duration::from_millis(20), inbox.gone()).await.is_err());
        drop(client);
        inbox.gone().await;
        assert_eq!(inbox.next().await.unwrap().tag, b'S');
        assert_eq!(inbox.next().await.unwrap().tag, b'H');
        assert!(matches!(inbox.next().await, Err(ReadError::Closed)));
    }

    #[tokio::test]
    async fn stops_reading_at_the_bound() {
        let (mut inbox, _outbox, mut client) = pair();
        let flood = tokio::spawn(async move {
            let mut sent = 0_usize;
            while tokio::time::timeout(Duration::from_millis(200), client.write_all(&[b'S'; 500])).await.is_ok() {
                sent += 500;
            }
            sent
        });
        assert!(tokio::time::timeout(Duration::from_secs(2), inbox.gone()).await.is_err());
        assert!(flood.await.unwrap() < 3 * READ_AHEAD_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_message_that_is_too_big_leaves_no_trace() {
        let (_inbox, mut outbox, mut client) = pair();
        let message = PgWireBackendMessage::CommandComplete(CommandComplete::new("x".repeat(40_000)));
        assert_eq!(outbox.push(&message).unwrap_err().sqlstate, SqlState(*b"54000"));
        outbox.push(&PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(TransactionStatus::Idle))).unwrap();
        outbox.flush().await.unwrap();
        let mut bytes = [0; 6];
        client.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"Z\0\0\0\x05I");
    }

    #[tokio::test]
    async fn an_interrupted_flush_continues_where_it_was() {
        let (_inbox, mut outbox, mut client) = pair();
        let data: Vec<u8> = (0..5000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
        outbox.buffer().extend_from_slice(&data);
        assert!(tokio::time::timeout(Duration::from_millis(20), outbox.flush()).await.is_err());
        let reader = tokio::spawn(async move {
            let mut received = vec![0; 5000];
            client.read_exact(&mut received).await.unwrap();
            received
        });
        outbox.flush().await.unwrap();
        assert_eq!(reader.await.unwrap(), data);
    }
}
