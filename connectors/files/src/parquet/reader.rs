//! The bytes of a Parquet file for DataFusion's source: the footer that planning read, ranges of a file that must not
//! have changed since, and pages whose headers were looked at before a decoder allocates what they claim.

use std::io::Read;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use atoll_connector_api::{ConnectorError, Result};
use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::ParquetMetaData;
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder};
use flate2::bufread::MultiGzDecoder;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::{GetOptions, GetRange};

use super::footer::Footer;
use super::skim::{PageHeader, page_header};
use crate::error::Owner;
use crate::listing::FileEntry;
use crate::text::input::unchanged;

/// Bytes of one page, decompressed.
const PAGE_BYTES_MAX: i64 = 1 << 30;
/// A page may grow by this factor, once it is longer than [`RATIO_FREE_BYTES`].
const RATIO_MAX: i64 = 1000;
const RATIO_FREE_BYTES: i64 = 64 << 20;
/// Ranges of one file that are fetched at a time.
const RANGES_AT_ONCE: usize = 4;

/// What went wrong, kept beside the stream: errors of readers become text on their way through Arrow.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    seen: Mutex<Option<ConnectorError>>,
}

impl Witness {
    fn note(&self, error: ConnectorError) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The error that reading the file met, if it was one.
    pub(crate) fn take(&self) -> Option<ConnectorError> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes readers for the files of one table. A file goes by its number, which is its path to DataFusion: files of one
/// table may lie in several stores.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) owner: Owner,
    pub(crate) files: Arc<Vec<FileEntry>>,
    pub(crate) footers: Arc<Vec<Arc<Footer>>>,
    pub(crate) witness: Arc<Witness>,
}

impl ParquetFileReaderFactory for Readers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        _metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::common::Result<Box<dyn AsyncFileReader + Send>> {
        let found = file.object_meta.location.as_ref().parse::<usize>().ok();
        let found = found.and_then(|index| self.files.get(index).zip(self.footers.get(index)));
        let Some((entry, footer)) = found else {
            return Err(ConnectorError::Internal { message: "a scan names a file that its table lacks".into() }.into());
        };
        Ok(Box::new(Reader {
            fetcher: Fetcher {
                owner: self.owner.clone(),
                file: entry.clone(),
                footer: Arc::clone(footer),
                bytes: MetricBuilder::new(metrics).counter("bytes_scanned", partition_index),
            },
            witness: Arc::clone(&self.witness),
        }))
    }
}

struct Reader {
    fetcher: Fetcher,
    witness: Arc<Witness>,
}

impl Reader {
    fn noted(&self, error: ConnectorError) -> ParquetError {
        self.witness.note(error.clone());
        ParquetError::External(Box::new(error))
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        async move { self.fetcher.fetch(range).await.map_err(|error| self.noted(error)) }.boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        async move {
            let fetcher = &self.fetcher;
            let fetched: Result<Vec<Bytes>> =
                stream::iter(ranges).map(|range| fetcher.fetch(range)).buffered(RANGES_AT_ONCE).try_collect().await;
            fetched.map_err(|error| self.noted(error))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let metadata = Arc::clone(&self.fetcher.footer.metadata);
        async move { Ok(metadata) }.boxed()
    }
}

struct Fetcher {
    owner: Owner,
    file: FileEntry,
    footer: Arc<Footer>,
    bytes: Count,
}

impl Fetcher {
    async fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        let path = self.file.display();
        if range.start >= range.end || range.end > self.file.meta.size {
            return Err(self.owner.format(&path, "Parquet", "it refers to bytes beyond its end"));
        }
        let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..unchanged(&self.file.meta) };
        let store = &self.file.store.store;
        let fetched = async { store.get_opts(&self.file.meta.location, options).await?.bytes().await }.await;
        let bytes = fetched.map_err(|error| self.owner.store(&path, &error))?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(self.owner.unreadable(&path, "the file changed while it was read"));
        }
        self.bytes.add(bytes.len());
        if let Some((codec, values)) = self.chunk_of(&range) {
            self.check_pages(&path, &bytes, codec, values)?;
        }
        Ok(bytes)
    }

    /// The codec and the number of values of the column chunk that holds a range; none for indexes.
    fn chunk_of(&self, range: &Range<u64>) -> Option<(Compression, i64)> {
        self.footer.metadata.row_groups().iter().flat_map(|group| group.columns()).find_map(|column| {
            let (start, length) = column.byte_range();
            (start <= range.start && range.start < start + length).then(|| (column.compression(), column.num_values()))
        })
    }

    fn check_pages(&self, path: &str, bytes: &[u8], codec: Compression, values: i64) -> Result<()> {
        if matches!(codec, Compression::BROTLI(_) | Compression::LZO) {
            return Err(ConnectorError::unsupported(format!(
                "reading Parquet columns compressed with {codec} is not supported (file \"{path}\")"
            )));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let header = page_header(rest).map_err(|reason| self.owner.format(path, "Parquet", reason))?;
            let body = &rest[header.header_bytes..];
            let length = usize::try_from(header.compressed_bytes).ok().filter(|length| *length <= body.len());
            let Some(length) = length else {
                return Err(self.owner.format(path, "Parquet", "a page claims to be longer than its column"));
            };
            self.check_page(path, &header, &body[..length], codec, values)?;
            rest = &body[length..];
        }
        Ok(())
    }

    fn check_page(&self, path: &str, header: &PageHeader, body: &[u8], codec: Compression, values: i64) -> Result<()> {
        let impossible = |reason: &str| self.owner.format(path, "Parquet", reason);
        if header.checksum.is_some_and(|checksum| crc32fast::hash(body) != checksum) {
            return Err(impossible("the checksum of a page does not match its contents"));
        }
        if header.uncompressed_bytes < 0 || header.plain_bytes < 0 || header.values < -1 {
            return Err(impossible("a page has a negative size"));
        }
        // Every entry of a dictionary takes a byte at least; other pages may repeat one value at no cost.
        let values_max = if header.dictionary { header.uncompressed_bytes } else { values };
        if header.values > values_max {
            return Err(impossible("a page claims more values than its column has"));
        }
        let grows = header.uncompressed_bytes > RATIO_FREE_BYTES
            && header.uncompressed_bytes / RATIO_MAX > header.compressed_bytes;
        if header.uncompressed_bytes > PAGE_BYTES_MAX || grows {
            let megabytes = header.uncompressed_bytes >> 20;
            return Err(self.owner.limit(path, format!("holds a page that would take {megabytes} MB")));
        }
        if matches!(codec, Compression::GZIP(_)) && header.compressed {
            self.check_gzip(path, header, body)?;
        }
        Ok(())
    }

    /// The decoder of gzip pages reads to their end, whatever the header claims: the end is looked for here first, in
    /// bounded memory.
    fn check_gzip(&self, path: &str, header: &PageHeader, body: &[u8]) -> Result<()> {
        let plain = usize::try_from(header.plain_bytes).unwrap_or(usize::MAX);
        let claimed = u64::try_from(header.uncompressed_bytes.saturating_sub(header.plain_bytes)).unwrap_or(0);
        let Some(compressed) = body.get(plain..) else {
            return Err(self.owner.format(path, "Parquet", "a page claims to be longer than its column"));
        };
        let mut limited = MultiGzDecoder::new(compressed).take(claimed + 1);
        match std::io::copy(&mut limited, &mut std::io::sink()) {
            Ok(length) if length > claimed => {
                Err(self.owner.format(path, "Parquet", "a page is longer than its header claims"))
            }
            // Other damage is the decoder's to report.
            _ => Ok(()),
        }
    }
}
