//! A file's footer: read once, checked before it is believed, and kept.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ConnectorError, Result};
use datafusion::parquet::arrow::parquet_to_arrow_schema;
use datafusion::parquet::basic::{ConvertedType, LogicalType, Type as PhysicalType};
use datafusion::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader};
use object_store::{GetOptions, GetRange};

use super::{interval, skim};
use crate::error::{Owner, one_line, panic_text};
use crate::listing::FileEntry;
use crate::text::COLUMNS_MAX;
use crate::text::input::unchanged;

/// The file's last bytes: the footer's length and the magic number (Parquet format, "File format").
const TRAILER_BYTES: usize = 8;
/// Bytes at a file's end that the first request asks for: nearly all footers are within.
const FIRST_READ_BYTES: u64 = 64 << 10;
/// Bytes of one footer.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of footers that one source keeps in memory.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// What a footer says.
#[derive(Debug)]
pub(crate) struct Footer {
    pub(crate) metadata: Arc<ParquetMetaData>,
    /// The columns as they are read: strings and bytes as views, INT96 as microseconds, intervals as bytes.
    pub(crate) schema: SchemaRef,
    /// The types of the columns once what is read as bytes is made intervals.
    pub(crate) restored: Vec<DataType>,
    /// The type under which each column is seen.
    pub(crate) types: Vec<PgType>,
}

impl Footer {
    /// The index of a column: the same name, else one that differs in case only.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let fields = self.schema.fields();
        fields
            .iter()
            .position(|field| field.name() == name)
            .or_else(|| fields.iter().position(|field| field.name().eq_ignore_ascii_case(name)))
    }
}

/// Footers by file, so that a query over files that did not change reads none.
#[derive(Debug, Default)]
pub(crate) struct FooterCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    footers: HashMap<String, Arc<Footer>>,
    bytes: usize,
}

impl FooterCache {
    /// The footer of a file.
    ///
    /// # Errors
    /// Reading errors; a file that is no Parquet file, is encrypted, or claims what cannot be.
    pub(crate) async fn read(&self, owner: &Owner, file: &FileEntry) -> Result<Arc<Footer>> {
        // Without a tag of its contents a file is known by its size and time.
        let meta = &file.meta;
        let key = format!("{}\n{}\n{:?}\n{:?}", file.display(), meta.size, meta.last_modified, meta.e_tag);
        if let Some(footer) = self.lock().footers.get(&key) {
            return Ok(Arc::clone(footer));
        }
        let footer = Arc::new(read(owner, file).await?);
        let bytes = footer.metadata.memory_size();
        let mut kept = self.lock();
        if kept.bytes.saturating_add(bytes) > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        if bytes <= KEPT_BYTES_MAX && kept.footers.insert(key, Arc::clone(&footer)).is_none() {
            kept.bytes += bytes;
        }
        Ok(footer)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(owner: &Owner, file: &FileEntry) -> Result<Footer> {
    let path = file.display();
    let bad = |reason: &str| owner.format(&path, "Parquet", reason);
    let size = file.meta.size;
    if size < 12 {
        return Err(bad("it is too short"));
    }
    let tail = fetch(owner, file, size.saturating_sub(FIRST_READ_BYTES), size).await?;
    let trailer = tail.len().checked_sub(TRAILER_BYTES).and_then(|at| tail.get(at..)).unwrap_or_default();
    let (Some(length), Some(magic)) = (trailer.first_chunk::<4>(), trailer.get(4..)) else {
        return Err(bad("it is too short"));
    };
    match magic {
        b"PAR1" => {}
        b"PARE" => return Err(ConnectorError::unsupported(format!("\"{path}\" is encrypted, which is not supported"))),
        _ => return Err(bad("the magic number at its end is not PAR1")),
    }
    let length = u64::from(u32::from_le_bytes(*length));
    let end = size - TRAILER_BYTES as u64;
    if length > end.saturating_sub(4) {
        return Err(bad("its footer claims to be longer than the file"));
    }
    if length > FOOTER_BYTES_MAX {
        return Err(owner.limit(&path, format!("has a footer of more than {} MB", FOOTER_BYTES_MAX >> 20)));
    }
    let start = end - length;
    let footer = match start.checked_sub(size - tail.len() as u64).and_then(|at| usize::try_from(at).ok()) {
        Some(at) => tail.slice(at..tail.len() - TRAILER_BYTES),
        None => fetch(owner, file, start, end).await?,
    };
    skim::check_footer(&footer).map_err(bad)?;
    // The decoder is known to panic on some broken footers.
    let decoded = std::panic::catch_unwind(AssertUnwindSafe(|| decode(&footer)));
    let decoded = decoded.unwrap_or_else(|payload| Err(panic_text(payload.as_ref()))).map_err(|reason| bad(&reason))?;
    check_ranges(&decoded.metadata, start).map_err(bad)?;
    if decoded.schema.fields().len() > COLUMNS_MAX {
        return Err(owner.limit(&path, format!("has more than {COLUMNS_MAX} columns")));
    }
    Ok(decoded)
}

async fn fetch(owner: &Owner, file: &FileEntry, start: u64, end: u64) -> Result<bytes::Bytes> {
    let options = GetOptions { range: Some(GetRange::Bounded(start..end)), ..unchanged(&file.meta) };
    let fetched = async { file.store.store.get_opts(&file.meta.location, options).await?.bytes().await }.await;
    let bytes = fetched.map_err(|error| owner.store(&file.display(), &error))?;
    if bytes.len() as u64 != end - start {
        return Err(owner.unreadable(&file.display(), "the file changed while it was read"));
    }
    Ok(bytes)
}

fn decode(bytes: &[u8]) -> Result<Footer, String> {
    let text = |error: datafusion::parquet::errors::ParquetError| one_line(&error.to_string());
    let mut metadata = ParquetMetaDataReader::decode_metadata(bytes).map_err(text)?;
    let leaves = metadata.file_metadata().schema_descr().columns().to_vec();
    if let Some(schema) = interval::without_mark(metadata.file_metadata().schema_descr()).map_err(text)? {
        let options = ParquetMetaDataOptions::new().with_schema(schema);
        metadata = ParquetMetaDataReader::decode_metadata_with_options(bytes, Some(&options)).map_err(text)?;
    }
    let mut marks = leaves.iter().map(|leaf| leaf.converted_type() == ConvertedType::INTERVAL);
    let mut first_leaf = 0;
    let file = metadata.file_metadata();
    let schema = parquet_to_arrow_schema(file.schema_descr(), file.key_value_metadata()).map_err(text)?;
    let roots = file.schema_descr().root_schema().get_fields();
    if roots.len() != schema.fields().len() {
        return Err("its two schemas differ".into());
    }
    let (mut fields, mut types, mut restored) = (Vec::new(), Vec::new(), Vec::new());
    for (field, root) in schema.fields().iter().zip(roots) {
        // A list of values has one leaf, which says what they are.
        let logical = leaves.get(first_leaf).and_then(|leaf| leaf.logical_type_ref().cloned());
        first_leaf += leaf_count(field.data_type());
        let int96 = root.is_primitive() && root.get_physical_type() == PhysicalType::INT96;
        let data_type = read_type(field.data_type(), int96);
        let seen = interval::marked_type(&data_type, &mut marks);
        types.push(pg_type(&seen, logical.as_ref()));
        restored.push(seen);
        fields.push(Field::new(field.name(), data_type, field.is_nullable()));
    }
    Ok(Footer { metadata: Arc::new(metadata), schema: Arc::new(Schema::new(fields)), restored, types })
}

/// The Arrow type in which a column is read: views for text and bytes, and INT96 in microseconds, because nanoseconds end
/// in 2262.
fn read_type(data_type: &DataType, int96: bool) -> DataType {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Timestamp(TimeUnit::Nanosecond, zone) if int96 => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
        }
        other => other.clone(),
    }
}

/// The type under which a column is seen.
fn pg_type(data_type: &DataType, logical: Option<&LogicalType>) -> PgType {
    match (data_type, logical) {
        (DataType::FixedSizeBinary(16), Some(LogicalType::Uuid)) => PgType::new(oids::UUID),
        _ if element_of(data_type) == Some(&DataType::FixedSizeBinary(16)) && logical == Some(&LogicalType::Uuid) => {
            let uuid = PgType::new(oids::UUID);
            uuid.array().unwrap_or_else(|| PgType::of_arrow(data_type))
        }
        (_, Some(LogicalType::Json)) if data_type.is_string() || data_type.is_binary() => PgType::new(oids::JSON),
        // Lists of lists and of objects: no PostgreSQL array holds all of them.
        _ if is_list(data_type) && !is_plain_list(data_type) => PgType::new(oids::JSONB),
        _ => PgType::of_arrow(data_type),
    }
}

/// The number of a column's leaves.
fn leaf_count(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| leaf_count(field.data_type())).sum(),
        DataType::Map(field, _) => leaf_count(field.data_type()),
        other => element_of(other).map_or(1, leaf_count),
    }
}

fn is_list(data_type: &DataType) -> bool {
    element_of(data_type).is_some()
}

fn element_of(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => Some(field.data_type()),
        _ => None,
    }
}

/// A list of values that are not nested themselves. A list of lists may be ragged, which no PostgreSQL array is.
fn is_plain_list(data_type: &DataType) -> bool {
    element_of(data_type).is_some_and(|element| !element.is_nested())
}

/// Every column chunk must lie before the footer: readers allocate by these numbers.
fn check_ranges(metadata: &ParquetMetaData, end: u64) -> Result<(), &'static str> {
    let leaves = metadata.file_metadata().schema_descr().num_columns();
    for group in metadata.row_groups() {
        if group.num_rows() < 0 || group.total_byte_size() < 0 {
            return Err("a row group has a negative size");
        }
        if group.columns().len() != leaves {
            return Err("a row group has another number of columns than the schema");
        }
        for column in group.columns() {
            if column.file_path().is_some() {
                return Err("a column lies in another file");
            }
            let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
            let first = start.min(column.data_page_offset());
            let range = u64::try_from(first).ok().zip(u64::try_from(column.compressed_size()).ok());
            let inside = range.and_then(|(first, size)| first.checked_add(size)).is_some_and(|last| last <= end);
            if !inside || column.num_values() < 0 || column.uncompressed_size() < 0 {
                return Err("a column lies outside of the file");
            }
        }
    }
    Ok(())
}
