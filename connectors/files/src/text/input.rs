//! The bytes of one file as UTF-8 text: fetched in ranges, decompressed and decoded on the way, never whole in memory.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;

use atoll_connector_api::{ConnectorError, Result};
use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use encoding_rs::{Decoder, DecoderResult, UTF_8};
use flate2::write::GzDecoder;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

use crate::error::Owner;
use crate::listing::FileEntry;
use crate::options::{Compression, TableOptions};
use crate::store::Store;

/// Bytes that one request asks for: local files and remote ones.
const LOCAL_CHUNK_BYTES: u64 = 1 << 20;
const REMOTE_CHUNK_BYTES: u64 = 4 << 20;
/// Remote chunks that are fetched before they are needed.
const CHUNKS_AHEAD: usize = 2;
/// Bytes of compressed data that are looked at in one step.
const STEP_BYTES: usize = 64 << 10;
/// Bytes that one step of decompression yields.
const OUTPUT_BYTES: usize = 128 << 10;
/// A file may grow by this factor, once its text is longer than [`RATIO_FREE_BYTES`].
const RATIO_MAX: u64 = 1000;
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// The window that a zstd frame may ask for, as a power of two.
const ZSTD_WINDOW_LOG_MAX: u32 = 26;

/// The conditions under which a range of a file is read: it must still be the file that was listed.
pub(crate) fn unchanged(meta: &ObjectMeta) -> GetOptions {
    // If-Match compares strongly (RFC 9110, 13.1.1): a weak tag would never match.
    let strong = meta.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
    GetOptions { if_match: strong, ..GetOptions::default() }
}

/// The chunks of one file, in order.
struct Chunks {
    store: Arc<Store>,
    meta: ObjectMeta,
    offset: u64,
    ahead: VecDeque<SpawnedTask<object_store::Result<Bytes>>>,
}

impl Chunks {
    async fn next(&mut self) -> object_store::Result<Option<Bytes>> {
        if self.store.local {
            return match self.range(LOCAL_CHUNK_BYTES) {
                Some(options) => fetch(Arc::clone(&self.store.store), self.meta.clone(), options).await.map(Some),
                None => Ok(None),
            };
        }
        while self.ahead.len() < CHUNKS_AHEAD {
            let Some(options) = self.range(REMOTE_CHUNK_BYTES) else { break };
            self.ahead.push_back(SpawnedTask::spawn(fetch(Arc::clone(&self.store.store), self.meta.clone(), options)));
        }
        match self.ahead.pop_front() {
            None => Ok(None),
            Some(task) => task.await?.map(Some),
        }
    }

    fn range(&mut self, length: u64) -> Option<GetOptions> {
        let start = self.offset;
        let end = self.meta.size.min(start.saturating_add(length));
        self.offset = end;
        (start < end).then(|| GetOptions { range: Some(GetRange::Bounded(start..end)), ..unchanged(&self.meta) })
    }
}

async fn fetch(store: Arc<dyn ObjectStore>, meta: ObjectMeta, options: GetOptions) -> object_store::Result<Bytes> {
    store.get_opts(&meta.location, options).await?.bytes().await
}

/// Where in a gzip file a decoder is. One member may follow another, and zero bytes may follow the last, as `tar` pads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GzipPlace {
    Within,
    Between,
    Padding,
}

fn step_gzip(
    decoder: &mut GzDecoder<Vec<u8>>,
    place: &mut GzipPlace,
    input: &[u8],
    out: &mut Vec<u8>,
) -> std::io::Result<usize> {
    if *place == GzipPlace::Within {
        let taken = decoder.write(input)?;
        out.append(decoder.get_mut());
        // The decoder takes nothing where its member has ended.
        if taken > 0 || input.is_empty() {
            return Ok(taken);
        }
        decoder.try_finish()?;
        out.append(decoder.get_mut());
        *place = GzipPlace::Between;
    }
    let zeros = input.iter().take_while(|byte| **byte == 0).count();
    if zeros > 0 {
        *place = GzipPlace::Padding;
        return Ok(zeros);
    }
    if *place == GzipPlace::Padding {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "data follow the zero bytes at its end"));
    }
    *decoder = GzDecoder::new(Vec::new());
    *place = GzipPlace::Within;
    let taken = decoder.write(input)?;
    out.append(decoder.get_mut());
    Ok(taken)
}

/// Decompresses what it is fed, a bounded step at a time.
enum Decompressor {
    None,
    Gzip { decoder: Box<GzDecoder<Vec<u8>>>, place: GzipPlace },
    Zstd { decoder: zstd::stream::raw::Decoder<'static>, inside_frame: bool },
}

impl Decompressor {
    fn new(compression: Compression) -> std::io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Gzip => Self::Gzip { decoder: Box::new(GzDecoder::new(Vec::new())), place: GzipPlace::Within },
            Compression::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Self::Zstd { decoder, inside_frame: false }
            }
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::None => "text",
            Self::Gzip { .. } => "gzip",
            Self::Zstd { .. } => "zstd",
        }
    }

    /// Takes some of `input`, appends what it became to `out`, and says how much was taken.
    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> std::io::Result<usize> {
        match self {
            Self::None => {
                out.extend_from_slice(input);
                Ok(input.len())
            }
            Self::Gzip { decoder, place } => step_gzip(decoder, place, input, out),
            Self::Zstd { decoder, inside_frame } => {
                let start = out.len();
                out.resize(start + OUTPUT_BYTES, 0);
                let mut source = InBuffer::around(input);
                let mut target = OutBuffer::around_pos(out.as_mut_slice(), start);
                let result = decoder.run(&mut source, &mut target);
                let (taken, end) = (source.pos(), target.pos());
                out.truncate(end);
                *inside_frame = result? != 0;
                Ok(taken)
            }
        }
    }

    /// The end of the input: an error where the compressed data are cut off.
    fn finish(&mut self, out: &mut Vec<u8>) -> std::io::Result<()> {
        let cut = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the compressed data end too early");
        match self {
            Self::None => Ok(()),
            Self::Gzip { place: GzipPlace::Between | GzipPlace::Padding, .. } => Ok(()),
            Self::Gzip { decoder, .. } => {
                decoder.try_finish().map_err(|error| match error.kind() {
                    std::io::ErrorKind::UnexpectedEof => cut(),
                    _ => error,
                })?;
                out.append(decoder.get_mut());
                Ok(())
            }
            Self::Zstd { decoder, inside_frame } => {
                // The decoder may still hold output that found no room.
                while *inside_frame {
                    let before = out.len();
                    out.resize(before + OUTPUT_BYTES, 0);
                    let mut target = OutBuffer::around_pos(out.as_mut_slice(), before);
                    let result = decoder.run(&mut InBuffer::around(&[]), &mut target);
                    let end = target.pos();
                    out.truncate(end);
                    *inside_frame = result? != 0;
                    if *inside_frame && end == before {
                        return Err(cut());
                    }
                }
                Ok(())
            }
        }
    }
}

/// The text of one file, of which a window is in memory.
pub(crate) struct Input {
    pub(crate) owner: Owner,
    pub(crate) path: String,
    chunks: Chunks,
    decompressor: Decompressor,
    /// `None` for UTF-8, which is checked record by record, where the line is known.
    decoder: Option<Decoder>,
    encoding: &'static str,
    pending: Bytes,
    /// Decompressed and not yet decoded.
    raw: Vec<u8>,
    buffer: Vec<u8>,
    start: usize,
    at_beginning: bool,
    ended: bool,
    bytes_in: u64,
    bytes_out: u64,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Input {
    /// The text of a file. Nothing is fetched yet.
    ///
    /// # Errors
    /// A compression that is not built.
    pub(crate) fn open(owner: &Owner, file: &FileEntry, options: &TableOptions) -> Result<Self> {
        let compression = match options.compression {
            Some(compression) => compression,
            None => Compression::of_name(file.name())?,
        };
        let path = file.display();
        let decompressor =
            Decompressor::new(compression).map_err(|error| owner.unreadable(&path, error.to_string()))?;
        let decoder = (options.encoding != UTF_8).then(|| options.encoding.new_decoder_with_bom_removal());
        Ok(Self {
            owner: owner.clone(),
            path,
            chunks: Chunks {
                store: Arc::clone(&file.store),
                meta: file.meta.clone(),
                offset: 0,
                ahead: VecDeque::new(),
            },
            decompressor,
            decoder,
            encoding: options.encoding.name(),
            pending: Bytes::new(),
            raw: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            at_beginning: true,
            ended: false,
            bytes_in: 0,
            bytes_out: 0,
        })
    }

    /// What is in memory and not consumed.
    pub(crate) fn data(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    /// Whether nothing follows [`Self::data`].
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes of the file fetched so far, compressed as they are.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Gives up the first bytes of [`Self::data`].
    pub(crate) fn consume(&mut self, bytes: usize) {
        self.start = (self.start + bytes).min(self.buffer.len());
    }

    /// Reads on until at least `wanted` bytes are in memory, or all that is left.
    ///
    /// # Errors
    /// Reading, decompression and decoding errors; a compression ratio beyond the bound.
    pub(crate) async fn fill(&mut self, wanted: usize) -> Result<()> {
        self.buffer.drain(..self.start);
        self.start = 0;
        while self.buffer.len() < wanted && !self.ended {
            if self.pending.is_empty() {
                match self.chunks.next().await.map_err(|error| self.owner.store(&self.path, &error))? {
                    Some(chunk) => {
                        self.bytes_in += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                        self.pending = chunk;
                    }
                    None => self.end()?,
                }
            } else {
                self.advance()?;
            }
        }
        Ok(())
    }

    fn advance(&mut self) -> Result<()> {
        let step = self.pending.slice(..self.pending.len().min(STEP_BYTES));
        let before = self.raw.len();
        let taken = self
            .decompressor
            .step(&step, &mut self.raw)
            .map_err(|error| self.owner.format(&self.path, self.decompressor.name(), error.to_string()))?;
        if taken == 0 && self.raw.len() == before {
            return Err(self.owner.format(&self.path, self.decompressor.name(), "the data cannot be decompressed"));
        }
        let _ = self.pending.split_to(taken);
        self.count(before)?;
        self.decode(false)
    }

    fn end(&mut self) -> Result<()> {
        let before = self.raw.len();
        // An empty file is an empty table, whatever its compression.
        if self.bytes_in > 0 {
            self.decompressor
                .finish(&mut self.raw)
                .map_err(|error| self.owner.format(&self.path, self.decompressor.name(), error.to_string()))?;
        }
        self.count(before)?;
        self.decode(true)?;
        self.ended = true;
        Ok(())
    }

    fn count(&mut self, before: usize) -> Result<()> {
        self.bytes_out += u64::try_from(self.raw.len() - before).unwrap_or(u64::MAX);
        if self.bytes_out > RATIO_FREE_BYTES && self.bytes_out / RATIO_MAX > self.bytes_in {
            return Err(ConnectorError::Limit {
                message: format!(
                    "{}: \"{}\" grows more than {RATIO_MAX} times when it is decompressed",
                    self.owner.object, self.path
                ),
                hint: None,
            });
        }
        Ok(())
    }

    fn decode(&mut self, last: bool) -> Result<()> {
        let Some(decoder) = &mut self.decoder else {
            // A byte order mark may come in two pieces only when the file is read byte by byte; it is not.
            let skip = if self.at_beginning && self.raw.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
            self.at_beginning &= self.raw.is_empty();
            self.buffer.extend_from_slice(&self.raw[skip..]);
            self.raw.clear();
            return Ok(());
        };
        let mut rest = self.raw.as_slice();
        loop {
            let room = decoder.max_utf8_buffer_length_without_replacement(rest.len()).unwrap_or(OUTPUT_BYTES);
            let start = self.buffer.len();
            self.buffer.resize(start + room.min(rest.len().saturating_mul(4) + 16), 0);
            let (result, read, written) =
                decoder.decode_to_utf8_without_replacement(rest, &mut self.buffer[start..], last);
            self.buffer.truncate(start + written);
            rest = &rest[read..];
            match result {
                DecoderResult::InputEmpty => break,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    return Err(ConnectorError::value(
                        "22021",
                        format!(
                            "invalid byte sequence for encoding \"{}\" ({}, file \"{}\")",
                            self.encoding, self.owner.object, self.path
                        ),
                    ));
                }
            }
        }
        self.raw.clear();
        Ok(())
    }
}
