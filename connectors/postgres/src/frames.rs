//! The lengths of a server's messages, checked before tokio-postgres believes them: it makes room for a whole message.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The longest message before the server is ready for queries: errors, notices, SASL.
const LOGIN_MESSAGE_BYTES_MAX: u32 = 1 << 20;
/// The longest message after it, and so the longest row. PostgreSQL itself stops at 1 GB.
const MESSAGE_BYTES_MAX: u32 = 256 << 20;
/// A message's type and length.
const HEADER_BYTES: usize = 5;
/// `ReadyForQuery`.
const READY: u8 = b'Z';

/// A stream of a server's messages.
#[derive(Debug)]
pub(crate) struct Frames<S> {
    stream: S,
    watch: Watch,
}

impl<S> Frames<S> {
    /// Messages from the first byte on.
    pub(crate) const fn new(stream: S) -> Self {
        Self { stream, watch: Watch::messages() }
    }

    /// First the one byte that answers a request for TLS; where that agrees, what follows is not for these eyes.
    pub(crate) const fn after_request(stream: S) -> Self {
        Self { stream, watch: Watch::Answer }
    }
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
            // The length counts itself.
            *body = length.checked_sub(4).filter(|_| length <= most).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("the server sent a message of {length} bytes, where {most} are allowed"),
                )
            })?;
            *ready |= kind == READY;
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = polled {
            let read = buf.filled().get(before..).unwrap_or_default();
            return Poll::Ready(self.watch.see(read));
        }
        polled
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
