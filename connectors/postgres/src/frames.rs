//! The lengths of a server's messages, checked before tokio-postgres believes them: it makes room for a whole message.
//! Here the data of COPY leave the other messages, too.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::tap::{Course, Tap};

/// The longest message before the server is ready for queries: errors, notices, SASL.
const LOGIN_MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// The longest message after it, and so the longest row. PostgreSQL itself stops at 1 GB.
const MESSAGE_BYTES_MAX: u32 = 256 << 20;
/// A message's type and length.
pub(crate) const HEADER_BYTES: usize = 5;
/// `ReadyForQuery`.
const READY: u8 = b'Z';

/// What is read at once after login.
const READ_BYTES: usize = 64 << 10;
/// Rows that are too few to wake their reader wait this long for more: a server writes 8 kB at a time.
const FLUSH_DELAY: Duration = Duration::from_millis(1);

/// A stream of a server's messages.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    watch: Watch,
    tap: Arc<Tap>,
    /// What was read and not passed on.
    raw: BytesMut,
    /// The message that stands at the beginning of `raw`, and how many bytes of it are to come.
    message: Option<(Course, usize)>,
    /// When rows that wait are passed on.
    flush: Option<Pin<Box<Sleep>>>,
}

impl<S> Frames<S> {
    /// Messages from the first byte on.
    pub(crate) fn new(stream: S, tap: Arc<Tap>) -> Self {
        Self { stream, watch: Watch::messages(), tap, raw: BytesMut::new(), message: None, flush: None }
    }

    /// First the one byte that answers a request for TLS; where that agrees, what follows is not for these eyes.
    pub(crate) fn after_request(stream: S, tap: Arc<Tap>) -> Self {
        Self { stream, watch: Watch::Answer, tap, raw: BytesMut::new(), message: None, flush: None }
    }

    /// Moves what was read to where it goes, until there is no more, or no more room.
    fn distribute(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> io::Result<Moved> {
        loop {
            let (course, left) = match self.message {
                Some(message) => message,
                None => {
                    let taken = self.tap.put_messages(&self.raw);
                    self.raw.advance(taken);
                    match self.next_message()? {
                        Some(message) => message,
                        None => return Ok(Moved::All),
                    }
                }
            };
            let mut count = left.min(self.raw.len());
            match course {
                Course::On => {
                    count = count.min(buf.remaining());
                    buf.put_slice(self.raw.get(..count).unwrap_or_default());
                }
                Course::Tapped => {
                    if self.tap.poll_room(cx).is_pending() {
                        return Ok(Moved::UntilThereIsRoom);
                    }
                    self.tap.put(self.raw.get(..count).unwrap_or_default(), count == left);
                }
                Course::Dropped => {}
            }
            self.raw.advance(count);
            self.message = (count < left).then_some((course, left - count));
            if count < left {
                return Ok(Moved::All);
            }
        }
    }

    /// Looks at the next message: its course and length, which with data of COPY is that of the data.
    fn next_message(&mut self) -> io::Result<Option<(Course, usize)>> {
        let Some(&[kind, length @ ..]) = self.raw.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let body = body_length(u32::from_be_bytes(length), MESSAGE_BYTES_MAX)?;
        let body = usize::try_from(body).unwrap_or(usize::MAX);
        let course = self.tap.course(kind);
        let message = match course {
            Course::Tapped => {
                self.raw.advance(HEADER_BYTES);
                (course, body)
            }
            Course::On | Course::Dropped => (course, HEADER_BYTES + body),
        };
        self.message = Some(message);
        Ok(Some(message))
    }
}

impl<S> Drop for Frames<S> {
    fn drop(&mut self) {
        self.tap.end();
    }
}

/// How far [`Frames::distribute`] came.
enum Moved {
    /// To the end of what was read, or of the room for tokio-postgres.
    All,
    /// The tap is full.
    UntilThereIsRoom,
}

#[derive(Debug)]
enum Watch {
    Answer,
    Encrypted,
    Messages {
        header: [u8; HEADER_BYTES],
        /// Bytes of the header that have come.
        filled: usize,
        /// Bytes of the body that are still to come.
        body: u32,
        ready: bool,
    },
}

impl Watch {
    const fn messages() -> Self {
        Self::Messages { header: [0; HEADER_BYTES], filled: 0, body: 0, ready: false }
    }

    fn see(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        if let (Self::Answer, Some(answer)) = (&*self, bytes.first()) {
            *self = match answer {
                b'S' => Self::Encrypted,
                b'N' => {
                    bytes = bytes.get(1..).unwrap_or_default();
                    Self::messages()
                }
                // An error, which is a message.
                _ => Self::messages(),
            };
        }
        let Self::Messages { header, filled, body, ready } = self else { return Ok(()) };
        while !bytes.is_empty() {
            if *body > 0 {
                let skipped = bytes.len().min(usize::try_from(*body).unwrap_or(usize::MAX));
                *body -= u32::try_from(skipped).unwrap_or(*body);
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let taken = bytes.len().min(HEADER_BYTES - *filled);
            let (head, rest) = bytes.split_at(taken);
            if let Some(place) = header.get_mut(*filled..*filled + taken) {
                place.copy_from_slice(head);
            }
            *filled += taken;
            bytes = rest;
            if *filled < HEADER_BYTES {
                continue;
            }
            *filled = 0;
            let [kind, length @ ..] = *header;
            let length = u32::from_be_bytes(length);
            let most = if *ready { MESSAGE_BYTES_MAX } else { LOGIN_MESSAGE_BYTES_MAX };
            *body = body_length(length, most)?;
            *ready |= kind == READY;
        }
        Ok(())
    }

    /// Whether the login is over and the next byte begins a message.
    const fn is_between_messages(&self) -> bool {
        matches!(self, Self::Messages { filled: 0, body: 0, ready: true, .. })
    }
}

/// What follows a header. The length in it counts itself.
fn body_length(length: u32, most: u32) -> io::Result<u32> {
    length.checked_sub(4).filter(|_| length <= most).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("the server sent a message of {length} bytes, where {most} are allowed"),
        )
    })
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        if !this.watch.is_between_messages() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
            let read = buf.filled().get(before..).unwrap_or_default();
            return Poll::Ready(this.watch.see(read));
        }
        loop {
            let moved = this.distribute(cx, buf)?;
            if buf.filled().len() > before || buf.remaining() == 0 {
                this.tap.flush(true);
                return Poll::Ready(Ok(()));
            }
            if let Moved::UntilThereIsRoom = moved {
                return Poll::Pending;
            }
            match this.poll_fill(cx) {
                Poll::Ready(Ok(0)) => {
                    this.tap.end();
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    this.flush_soon(cx);
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Frames<S> {
    /// Passes on what has come, a little of it not at once.
    fn flush_soon(&mut self, cx: &mut Context<'_>) {
        if !self.tap.flush(false) {
            self.flush = None;
            return;
        }
        let flush = self.flush.get_or_insert_with(|| Box::pin(tokio::time::sleep(FLUSH_DELAY)));
        if flush.as_mut().poll(cx).is_ready() {
            self.flush = None;
            self.tap.flush(true);
        }
    }

    /// Reads more; 0: there is no more.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.raw.reserve(READ_BYTES);
        std::pin::pin!(self.stream.read_buf(&mut self.raw)).poll(cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    fn seen(watch: &mut Watch, bytes: &[u8], piece: usize) -> io::Result<()> {
        bytes.chunks(piece).try_for_each(|chunk| watch.see(chunk))
    }

    #[test]
    fn lengths_are_checked_however_the_bytes_come() {
        let login = [message(b'R', &[0; 4]), message(b'S', b"server_version\x0015\0"), message(READY, b"I")].concat();
        let row = message(b'D', &vec![7; 3 << 20]);
        for piece in [1, 2, 3, 7, 4096, usize::MAX] {
            let mut watch = Watch::messages();
            seen(&mut watch, &login, piece).unwrap();
            seen(&mut watch, &row, piece).unwrap();
            // The same row before the login is over is too long.
            assert!(seen(&mut Watch::messages(), &row, piece).is_err());
            assert!(seen(&mut watch, b"D\x7f\xff\xff\xf0", piece).is_err());
        }
        // A length does not even count itself.
        assert!(Watch::messages().see(b"R\0\0\0\x03").is_err());
    }

    /// Reads all that `Frames` passes on of what a server sends in pieces, and what the tap takes.
    async fn passed(server: &[u8], piece: usize, room: usize, tap: Arc<Tap>) -> (Vec<u8>, Vec<u8>) {
        let (client, mut remote) = tokio::io::duplex(piece);
        let server = server.to_vec();
        let sending = tokio::spawn(async move {
            tokio::io::AsyncWriteExt::write_all(&mut remote, &server).await.unwrap();
        });
        let mut frames = Frames::new(client, Arc::clone(&tap));
        frames.watch.see(&message(READY, b"I")).unwrap();
        let (mut on, mut tapped, mut buffer) = (Vec::new(), Vec::new(), vec![0; room]);
        loop {
            let read = tokio::time::timeout(std::time::Duration::from_millis(50), frames.read(&mut buffer)).await;
            tapped.extend(tap.taken());
            match read {
                Ok(Ok(0)) => break,
                Ok(read) => on.extend_from_slice(&buffer[..read.unwrap()]),
                // The tap was full: now it is not.
                Err(_) => {}
            }
        }
        sending.await.unwrap();
        (on, tapped)
    }

    #[tokio::test]
    async fn copy_data_leave_the_other_messages() {
        for (piece, room, width) in [(1, 8192, 1), (7, 5, 1), (4096, 1, 4), (1 << 20, 8192, 40)] {
            check_copy(piece, room, width).await;
        }
    }

    /// Two hundred rows of up to two hundred times so many bytes, among other messages.
    async fn check_copy(piece: usize, room: usize, width: usize) {
        let rows: Vec<Vec<u8>> = (0..200_u8).map(|row| vec![row; usize::from(row) * width]).collect();
        let notice = message(b'N', b"SNOTICE\0\0");
        let mut server = [message(b'C', b"BEGIN\0"), message(b'H', &[1, 0, 0])].concat();
        for (number, row) in rows.iter().enumerate() {
            server.extend(message(b'd', row));
            if number == 100 {
                server.extend(&notice);
            }
        }
        let rest = [message(b'C', b"COPY 200\0"), message(READY, b"I"), message(b'd', b"not of a copy")].concat();
        server.extend(message(b'c', b""));
        server.extend(&rest);
        let expected = [message(b'C', b"BEGIN\0"), notice, rest].concat();
        let tap = Tap::armed();
        let (on, tapped) = passed(&server, piece, room, Arc::clone(&tap)).await;
        assert!(on == expected && tapped == rows.concat() && tap.has_ended(), "{piece} {room}");
        // A connection that copies nothing keeps all its messages.
        let (on, tapped) = passed(&server, piece, room, Arc::default()).await;
        assert!(on == server && tapped.is_empty(), "{piece} {room}");
    }

    #[tokio::test]
    async fn an_error_or_the_end_of_the_stream_ends_the_data() {
        let begun = [message(b'H', &[1, 0, 0]), message(b'd', b"row")].concat();
        let error = message(b'E', b"SERROR\0\0");
        for (server, expected) in [([begun.clone(), error.clone()].concat(), error), (begun, Vec::new())] {
            let tap = Tap::armed();
            assert_eq!(passed(&server, 64, 64, Arc::clone(&tap)).await, (expected, b"row".to_vec()));
            assert!(tap.has_ended());
        }
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_holds_the_server_up() {
        let (client, mut remote) = tokio::io::duplex(1024);
        let tap = Tap::armed();
        let mut frames = Frames::new(client, Arc::clone(&tap));
        frames.watch.see(&message(READY, b"I")).unwrap();
        let reading = tokio::spawn(async move { frames.read(&mut [0; 64]).await });
        let sent = async {
            let mut sent = 0_usize;
            tokio::io::AsyncWriteExt::write_all(&mut remote, &message(b'H', &[1, 0, 0])).await.unwrap();
            loop {
                let row = message(b'd', &[0; 1000]);
                let writing = tokio::io::AsyncWriteExt::write_all(&mut remote, &row);
                if tokio::time::timeout(std::time::Duration::from_millis(200), writing).await.is_err() {
                    return sent;
                }
                sent += row.len();
            }
        }
        .await;
        assert!(sent < 600_000, "{sent}");
        reading.abort();
    }

    #[tokio::test]
    async fn a_row_that_comes_alone_does_not_wait_for_others() {
        let (client, mut remote) = tokio::io::duplex(1024);
        let tap = Tap::armed();
        let mut frames = Frames::new(client, Arc::clone(&tap));
        frames.watch.see(&message(READY, b"I")).unwrap();
        let reading = tokio::spawn(async move { frames.read(&mut [0; 64]).await });
        tokio::io::AsyncWriteExt::write_all(&mut remote, &message(b'H', &[1, 0, 0])).await.unwrap();
        for row in 0..3_u8 {
            let next = tokio::spawn({
                let tap = Arc::clone(&tap);
                async move { tap.next().await }
            });
            // It waits for the row before that comes.
            tokio::time::sleep(Duration::from_millis(20)).await;
            tokio::io::AsyncWriteExt::write_all(&mut remote, &message(b'd', &[row; 9])).await.unwrap();
            assert_eq!(tokio::time::timeout(Duration::from_secs(5), next).await.unwrap().unwrap(), [row; 9][..]);
        }
        reading.abort();
    }

    #[test]
    fn what_follows_an_agreement_on_tls_is_not_read() {
        let mut watch = Watch::Answer;
        watch.see(b"S").unwrap();
        watch.see(b"D\x7f\xff\xff\xf0").unwrap();
        let mut watch = Watch::Answer;
        watch.see(b"N").unwrap();
        assert!(watch.see(b"R\x7f\xff\xff\xf0").is_err());
        assert!(Watch::Answer.see(b"E\x7f\xff\xff\xf0").is_err());
    }
}
