//! The data of `COPY … TO STDOUT`, taken off a connection before tokio-postgres cuts it into one message a row and passes
//! these on in pieces of 8 kB: for a big scan that costs more than decoding the rows.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Bytes, BytesMut};
use futures::Stream;
use tokio_postgres::{Client, Error, SimpleQueryStream};

use crate::frames::HEADER_BYTES;

/// Rows are passed on in pieces of about this size; one that begins in a piece ends in it, however long it is.
const PIECE_BYTES: usize = 32 << 10;
/// Beyond so many bytes that nobody has taken the connection is not read: the server waits.
const WAITING_BYTES_MAX: usize = 256 << 10;

/// What stands between a connection's messages and whoever reads its COPY data.
#[derive(Debug, Default)]
pub(crate) struct Tap(Mutex<Pipe>);

#[derive(Debug, Default)]
struct Pipe {
    mode: Mode,
    /// Tells one statement's data from the next one's.
    statement: u64,
    /// Whole messages' data.
    pieces: VecDeque<Bytes>,
    /// Bytes of `pieces`.
    waiting: usize,
    /// The piece that grows.
    growing: BytesMut,
    /// As many of its bytes are whole messages.
    whole: usize,
    /// The reader was told of data.
    has_begun: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Messages pass.
    #[default]
    Idle,
    /// The statement was sent.
    Armed,
    /// Data come.
    Copying,
    /// Nobody wants them any more.
    Discarding,
    /// No more will come.
    Ended,
}

/// What is to become of a message of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// It goes to tokio-postgres.
    On,
    /// It is for [`Tap::put`].
    Tapped,
    /// It ends here.
    Dropped,
}

impl Tap {
    fn pipe(&self) -> MutexGuard<'_, Pipe> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a message of this kind goes.
    pub(crate) fn course(&self, kind: u8) -> Course {
        let mut pipe = self.pipe();
        match (pipe.mode, kind) {
            (Mode::Armed, b'H') => {
                pipe.mode = Mode::Copying;
                pipe.wake_reader();
                Course::Dropped
            }
            (Mode::Copying, b'd') => Course::Tapped,
            (Mode::Discarding, b'H' | b'd' | b'c') => Course::Dropped,
            (Mode::Copying, b'c') => {
                pipe.end();
                Course::Dropped
            }
            // An error, or what should not come here. Notices and parameters may come at any time.
            (Mode::Copying, b'E' | b'C' | b'Z') => {
                pipe.end();
                Course::On
            }
            _ => Course::On,
        }
    }

    /// Whether there is room; else the task is woken when there is.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        let mut pipe = self.pipe();
        // One message may be longer than all the room there is.
        if pipe.mode != Mode::Copying || pipe.waiting + pipe.whole < WAITING_BYTES_MAX {
            return Poll::Ready(());
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Takes data; `last`: the message ends with them.
    pub(crate) fn put(&self, data: &[u8], last: bool) {
        let mut pipe = self.pipe();
        if pipe.mode != Mode::Copying {
            return;
        }
        pipe.grow(data);
        if last {
            pipe.end_message();
        }
    }

    /// Takes the data of the whole messages of COPY at the beginning of `raw`, as many as there is room for; says how many
    /// bytes of `raw` these are. One lock for all of them: a row alone costs less than a lock.
    pub(crate) fn put_messages(&self, raw: &[u8]) -> usize {
        let mut pipe = self.pipe();
        if pipe.mode != Mode::Copying {
            return 0;
        }
        let mut taken = 0;
        while pipe.waiting + pipe.whole < WAITING_BYTES_MAX
            && let Some(data) = raw.get(taken..).and_then(whole_data)
        {
            pipe.grow(data);
            pipe.end_message();
            taken += HEADER_BYTES + data.len();
        }
        taken
    }

    /// Tells the reader what has come, before the connection waits for more. A little that came behind more is kept back:
    /// the reader is worth waking for a piece. Says whether that is so, and somebody has to ask again soon.
    pub(crate) fn flush(&self, all: bool) -> bool {
        let mut pipe = self.pipe();
        let bytes = pipe.waiting + pipe.whole;
        if bytes == 0 {
            return false;
        }
        if !all && pipe.has_begun && bytes < PIECE_BYTES {
            return true;
        }
        pipe.has_begun = true;
        pipe.wake_reader();
        false
    }

    /// The connection has ended.
    pub(crate) fn end(&self) {
        self.pipe().end();
    }
}

/// The data of the message of COPY at the beginning of `raw`, where all of it is there. What is wrong with one, and all
/// other messages, is left to whoever looks at them one by one.
fn whole_data(raw: &[u8]) -> Option<&[u8]> {
    let &[b'd', length @ ..] = raw.first_chunk::<HEADER_BYTES>()? else { return None };
    let end = usize::try_from(u32::from_be_bytes(length)).ok()?.checked_add(1)?;
    raw.get(HEADER_BYTES..end)
}

impl Pipe {
    fn grow(&mut self, data: &[u8]) {
        if self.growing.capacity() - self.growing.len() < data.len() {
            self.growing.reserve(data.len().max(2 * PIECE_BYTES));
        }
        self.growing.extend_from_slice(data);
    }

    fn end_message(&mut self) {
        self.whole = self.growing.len();
        if self.whole >= PIECE_BYTES {
            self.close_piece();
        }
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    fn close_piece(&mut self) {
        let piece = self.growing.split_to(self.whole).freeze();
        self.waiting += piece.len();
        self.whole = 0;
        self.pieces.push_back(piece);
        self.wake_reader();
    }

    fn end(&mut self) {
        // Data that did not even begin have not ended: the responses say why, and the statement may be sent once more.
        if matches!(self.mode, Mode::Copying | Mode::Discarding) {
            self.mode = Mode::Ended;
        }
        self.wake_reader();
    }

    /// The next piece: all whole rows that there are, up to [`PIECE_BYTES`] or so.
    fn take(&mut self) -> Option<Bytes> {
        if self.pieces.is_empty() && self.whole > 0 {
            self.close_piece();
        }
        let piece = self.pieces.pop_front()?;
        self.waiting -= piece.len();
        if self.waiting + self.whole < WAITING_BYTES_MAX
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
        Some(piece)
    }
}

/// The data of one `COPY`: pieces of whole messages. Dropped before its end, it leaves the connection unfit for use.
pub(crate) struct CopyData {
    tap: Arc<Tap>,
    statement: u64,
    /// What else the server says of the statement.
    responses: Pin<Box<SimpleQueryStream>>,
}

impl CopyData {
    /// Runs `COPY … TO STDOUT` in one round trip, and waits until its data begin.
    ///
    /// # Errors
    /// The server's, where it refuses the statement; of the connection.
    pub(crate) async fn start(client: &Client, tap: &Arc<Tap>, statement: &str) -> Result<Self, Error> {
        let number = {
            let mut pipe = tap.pipe();
            *pipe = Pipe { mode: Mode::Armed, statement: pipe.statement.wrapping_add(1), ..Pipe::default() };
            pipe.statement
        };
        let responses = client.simple_query_raw(statement).await?;
        let mut copy = Self { tap: Arc::clone(tap), statement: number, responses: Box::pin(responses) };
        std::future::poll_fn(|cx| copy.poll_started(cx)).await?;
        Ok(copy)
    }

    fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        {
            let mut pipe = self.tap.pipe();
            if pipe.mode != Mode::Armed {
                return Poll::Ready(Ok(()));
            }
            pipe.reader = Some(cx.waker().clone());
        }
        // Data may have begun, and even ended, since: then they are what comes next.
        Poll::Ready(match ready!(self.responses.as_mut().poll_next(cx)) {
            Some(Err(error)) => Err(error),
            Some(Ok(_)) | None => Ok(()),
        })
    }
}

impl Stream for CopyData {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        {
            let mut pipe = self.tap.pipe();
            if let Some(piece) = pipe.take() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if pipe.mode == Mode::Copying {
                pipe.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
        }
        // The statement's end, or the error that ended it.
        loop {
            match ready!(self.responses.as_mut().poll_next(cx)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for CopyData {
    fn drop(&mut self) {
        let mut pipe = self.tap.pipe();
        // The connection was given back when the data had ended, and may be in use.
        if pipe.statement != self.statement {
            return;
        }
        let mode = match pipe.mode {
            Mode::Ended | Mode::Idle => Mode::Idle,
            Mode::Armed | Mode::Copying | Mode::Discarding => Mode::Discarding,
        };
        let writer = pipe.writer.take();
        *pipe = Pipe { mode, statement: self.statement, ..Pipe::default() };
        drop(pipe);
        if let Some(writer) = writer {
            writer.wake();
        }
    }
}

#[cfg(test)]
impl Tap {
    /// A tap whose statement was sent.
    pub(crate) fn armed() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Pipe { mode: Mode::Armed, ..Pipe::default() })))
    }

    /// What has come so far.
    pub(crate) fn taken(&self) -> Vec<u8> {
        std::iter::from_fn(|| self.pipe().take()).flatten().collect()
    }

    /// What its reader gets next.
    pub(crate) async fn next(&self) -> Bytes {
        std::future::poll_fn(|cx| {
            let mut pipe = self.pipe();
            if let Some(piece) = pipe.take() {
                return Poll::Ready(piece);
            }
            pipe.reader = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Whether no more will come.
    pub(crate) fn has_ended(&self) -> bool {
        self.pipe().mode == Mode::Ended
    }
}
