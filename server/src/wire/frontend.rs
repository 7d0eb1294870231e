//! What clients send: frames and the messages in them, every length checked.
//!
//! pgwire's own decoder panics on short bodies and reads past a frame's end (DESIGN.md), so frames are cut and decoded here.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::{SqlError, SqlResult, SqlState};

/// `PG_MAX_AUTH_TOKEN_LENGTH`, and PostgreSQL's bound of messages that carry a name only.
pub(super) const SMALL_MESSAGE_BYTES_MAX: usize = 10_000;

/// A message as it came, cut at its length.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) tag: u8,
    pub(super) body: Bytes,
}

/// What Describe and Close are about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Statement(String),
    Portal(String),
}

/// Bind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) portal: String,
    pub(super) statement: String,
    pub(super) parameter_formats: Vec<i16>,
    pub(super) parameters: Vec<Option<Bytes>>,
    pub(super) result_formats: Vec<i16>,
}

/// A message after authentication.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FrontendMessage {
    Query(String),
    Parse {
        name: String,
        query: String,
        types: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Close(Target),
    Execute {
        portal: String,
        rows_max: i32,
    },
    Flush,
    Sync,
    Terminate,
    /// CopyData, CopyDone and CopyFail: ignored outside of COPY FROM, which Atoll does not have.
    Copy,
    FunctionCall,
}

/// Whether an error in a message with this tag makes the server skip to the next Sync.
pub(super) fn is_extended(tag: u8) -> bool {
    matches!(tag, b'P' | b'B' | b'D' | b'C' | b'E' | b'H')
}

/// Cuts the next whole frame off `buffer`; `None`: more bytes are needed.
///
/// # Errors
/// An unknown type or an impossible length: the stream is out of step, so the connection has to end.
pub(super) fn cut_frame(buffer: &mut BytesMut, message_bytes_max: usize) -> SqlResult<Option<Frame>> {
    let Some(&tag) = buffer.first() else { return Ok(None) };
    let bytes_max = match tag {
        b'Q' | b'P' | b'B' | b'd' | b'F' => message_bytes_max,
        b'p' | b'D' | b'C' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => SMALL_MESSAGE_BYTES_MAX.min(message_bytes_max),
        _ => return Err(violation(format!("invalid frontend message type {tag}"))),
    };
    let Some(length) = buffer.get(1..5) else { return Ok(None) };
    let length = usize::try_from((&mut &*length).get_u32()).unwrap_or(usize::MAX);
    if length < 4 || length > bytes_max {
        return Err(violation("invalid message length"));
    }
    if buffer.len() <= length {
        return Ok(None);
    }
    let mut frame = buffer.split_to(length + 1);
    frame.advance(5);
    Ok(Some(Frame { tag, body: frame.freeze() }))
}

/// Decodes a frame.
///
/// # Errors
/// `08P01` or `22021`: this message is wrong, the next one can be read.
pub(super) fn decode(frame: Frame) -> SqlResult<FrontendMessage> {
    let mut body = Body(frame.body);
    let message = match frame.tag {
        b'Q' => FrontendMessage::Query(body.string()?),
        b'P' => {
            let (name, query) = (body.string()?, body.string()?);
            let count = body.count(4)?;
            let types = (0..count).map(|_| body.u32()).collect::<SqlResult<_>>()?;
            FrontendMessage::Parse { name, query, types }
        }
        b'B' => FrontendMessage::Bind(decode_bind(&mut body)?),
        b'D' => FrontendMessage::Describe(decode_target(&mut body, "DESCRIBE")?),
        b'C' => FrontendMessage::Close(decode_target(&mut body, "CLOSE")?),
        b'E' => FrontendMessage::Execute { portal: body.string()?, rows_max: body.i32()? },
        b'H' => FrontendMessage::Flush,
        b'S' => FrontendMessage::Sync,
        b'X' => FrontendMessage::Terminate,
        b'd' | b'c' | b'f' => return Ok(FrontendMessage::Copy),
        b'F' => return Ok(FrontendMessage::FunctionCall),
        other => return Err(violation(format!("invalid frontend message type {other}"))),
    };
    body.end()?;
    Ok(message)
}

fn decode_bind(body: &mut Body) -> SqlResult<Bind> {
    let (portal, statement) = (body.string()?, body.string()?);
    let count = body.count(2)?;
    let parameter_formats = (0..count).map(|_| body.i16()).collect::<SqlResult<_>>()?;
    let count = body.count(4)?;
    let parameters = (0..count).map(|_| body.value()).collect::<SqlResult<_>>()?;
    let count = body.count(2)?;
    let result_formats = (0..count).map(|_| body.i16()).collect::<SqlResult<_>>()?;
    Ok(Bind { portal, statement, parameter_formats, parameters, result_formats })
}

fn decode_target(body: &mut Body, message: &str) -> SqlResult<Target> {
    match body.u8()? {
        b'S' => Ok(Target::Statement(body.string()?)),
        b'P' => Ok(Target::Portal(body.string()?)),
        other => Err(violation(format!("invalid {message} message subtype {other}"))),
    }
}

fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// `22021`, naming the first wrong byte as PostgreSQL does.
pub(super) fn not_utf8(bytes: &[u8]) -> SqlError {
    let at = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |text| text.find('\0').unwrap_or(0));
    let byte = bytes.get(at).copied().unwrap_or_default();
    let message = format!("invalid byte sequence for encoding \"UTF8\": 0x{byte:02x}");
    SqlError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
}

/// What is left of a frame's body.
pub(super) struct Body(pub(super) Bytes);

impl Body {
    fn need(&self, bytes: usize) -> SqlResult<()> {
        if self.0.len() < bytes { Err(violation("insufficient data left in message")) } else { Ok(()) }
    }

    pub(super) fn u8(&mut self) -> SqlResult<u8> {
        self.need(1)?;
        Ok(self.0.get_u8())
    }

    fn i16(&mut self) -> SqlResult<i16> {
        self.need(2)?;
        Ok(self.0.get_i16())
    }

    pub(super) fn i32(&mut self) -> SqlResult<i32> {
        self.need(4)?;
        Ok(self.0.get_i32())
    }

    pub(super) fn u32(&mut self) -> SqlResult<u32> {
        self.need(4)?;
        Ok(self.0.get_u32())
    }

    /// A number of elements, each of which takes `bytes_min` at least: nothing is reserved for elements that cannot be there.
    fn count(&mut self, bytes_min: usize) -> SqlResult<usize> {
        self.need(2)?;
        let count = usize::from(self.0.get_u16());
        self.need(count * bytes_min)?;
        Ok(count)
    }

    /// A string up to its terminator.
    pub(super) fn string(&mut self) -> SqlResult<String> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(|| violation("invalid string in message"))?;
        let bytes = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(bytes.into()).map_err(|error| not_utf8(error.as_bytes()))
    }

    /// A length and that many bytes; -1 is NULL.
    pub(super) fn value(&mut self) -> SqlResult<Option<Bytes>> {
        match self.i32()? {
            -1 => Ok(None),
            length => {
                let length = usize::try_from(length).map_err(|_| violation("insufficient data left in message"))?;
                self.need(length)?;
                Ok(Some(self.0.split_to(length)))
            }
        }
    }

    pub(super) fn end(&self) -> SqlResult<()> {
        if self.0.is_empty() { Ok(()) } else { Err(violation("invalid message format")) }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;
    use bytes::BufMut;
    use proptest::prelude::*;

    fn frame(tag: u8, body: &[u8]) -> BytesMut {
        let mut buffer = BytesMut::new();
        buffer.put_u8(tag);
        buffer.put_u32(u32::try_from(body.len() + 4).unwrap());
        buffer.put_slice(body);
        buffer
    }

    fn decoded(tag: u8, body: &[u8]) -> SqlResult<FrontendMessage> {
        decode(cut_frame(&mut frame(tag, body), 1 << 20)?.unwrap())
    }

    #[test]
    fn cuts_frames_only_when_they_are_whole() {
        let whole = frame(b'Q', b"select 1\0");
        for end in 0..whole.len() {
            assert_eq!(cut_frame(&mut BytesMut::from(&whole[..end]), 100), Ok(None), "{end}");
        }
        let mut two = whole.clone();
        two.extend_from_slice(&frame(b'S', b""));
        assert_eq!(
            decode(cut_frame(&mut two, 100).unwrap().unwrap()),
            Ok(FrontendMessage::Query("select 1".to_owned()))
        );
        assert_eq!(decode(cut_frame(&mut two, 100).unwrap().unwrap()), Ok(FrontendMessage::Sync));
        assert!(two.is_empty());
    }

    #[test]
    fn refuses_impossible_lengths_and_types_before_the_body_arrives() {
        for (bytes, message) in [
            (&b"Q\xff\xff\xff\xff"[..], "invalid message length"),
            (b"Q\x00\x00\x00\x03", "invalid message length"),
            (b"Q\x7f\xff\xff\xff", "invalid message length"),
            (b"S\x00\x00\x27\x11", "invalid message length"),
            (b"GET / HTTP/1.1", "invalid frontend message type 71"),
            (b"\x00", "invalid frontend message type 0"),
        ] {
            let error = cut_frame(&mut BytesMut::from(bytes), 1 << 20).unwrap_err();
            assert_eq!((error.sqlstate, error.message.as_str()), (SqlState::PROTOCOL_VIOLATION, message));
        }
    }

    #[test]
    fn decodes_the_extended_protocol() {
        assert_eq!(
            decoded(b'P', b"s\0select $1\0\x00\x01\x00\x00\x00\x17"),
            Ok(FrontendMessage::Parse { name: "s".into(), query: "select $1".into(), types: vec![23] })
        );
        assert_eq!(
            decoded(b'B', b"p\0s\0\x00\x01\x00\x01\x00\x02\x00\x00\x00\x02ab\xff\xff\xff\xff\x00\x01\x00\x00"),
            Ok(FrontendMessage::Bind(Bind {
                portal: "p".into(),
                statement: "s".into(),
                parameter_formats: vec![1],
                parameters: vec![Some(Bytes::from_static(b"ab")), None],
                result_formats: vec![0],
            }))
        );
        assert_eq!(decoded(b'D', b"S\0"), Ok(FrontendMessage::Describe(Target::Statement(String::new()))));
        assert_eq!(
            decoded(b'E', b"\0\x00\x00\x00\x05"),
            Ok(FrontendMessage::Execute { portal: String::new(), rows_max: 5 })
        );
    }

    #[test]
    fn a_wrong_body_is_an_error_of_that_message() {
        for (tag, body, state, message) in [
            (b'Q', &b"select 1"[..], SqlState::PROTOCOL_VIOLATION, "invalid string in message"),
            (b'Q', b"a\0b", SqlState::PROTOCOL_VIOLATION, "invalid message format"),
            (
                b'Q',
                b"\xff\0",
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                "invalid byte sequence for encoding \"UTF8\": 0xff",
            ),
            (b'P', b"\0\0\xff\xff", SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"),
            (b'B', b"\0\0\x00\x00\xff\xff", SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"),
            (
                b'B',
                b"\0\0\x00\x00\x00\x01\x7f\xff\xff\xff\x00\x00",
                SqlState::PROTOCOL_VIOLATION,
                "insufficient data left in message",
            ),
            (
                b'B',
                b"\0\0\x00\x00\x00\x01\x80\x00\x00\x00\x00\x00",
                SqlState::PROTOCOL_VIOLATION,
                "insufficient data left in message",
            ),
            (b'C', b"X\0", SqlState::PROTOCOL_VIOLATION, "invalid CLOSE message subtype 88"),
            (b'E', b"\0\x00", SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"),
        ] {
            let error = decoded(tag, body).unwrap_err();
            assert_eq!((error.sqlstate, error.message.as_str()), (state, message));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(frame)) = cut_frame(&mut buffer, 1000) {
                let _ = decode(frame);
            }
        }

        #[test]
        fn no_body_makes_it_panic(tag in prop::sample::select(b"QPBDCEHSXdcfFp".to_vec()), body in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(Frame { tag, body: body.into() });
        }
    }
}
