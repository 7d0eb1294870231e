//! PostgreSQL's binary formats: values out of Arrow arrays. Reading them is [`super::ColumnBuilder::append_binary`].

use std::sync::LazyLock;

use arrow::array::{Array, ArrayRef};
use bytes::{BufMut, BytesMut};

use super::array::Dimension;
use super::codec::{Codec, JSONB_VERSION, Kind, put_array_header, put_counted, put_date, put_interval, put_timestamp};
use super::numeric::write_binary_128;
use super::source::{Decimals, Source, Spans, moment};
use super::text::{OutputStyle, TextWriter};
use super::{PgType, calendar, source};
use crate::{ConnectorError, Result};

/// The style in which values are printed on their way to a binary format.
static PLAIN: LazyLock<OutputStyle> = LazyLock::new(OutputStyle::default);

/// Whether values of a type can be sent in binary.
pub fn has_binary(data_type: &PgType) -> bool {
    codec_has_binary(&Codec::of(data_type))
}

fn codec_has_binary(codec: &Codec) -> bool {
    match codec.kind {
        Kind::Opaque => false,
        Kind::Array => codec.element.as_deref().is_some_and(codec_has_binary),
        _ => true,
    }
}

/// Appends the binary form of one value, which is not NULL, without a length before it. For more than a few rows of one
/// array use [`BinaryWriter`].
///
/// # Errors
/// A storage that cannot hold the type; text that is not a value of the type.
pub fn write_binary(array: &dyn Array, row: usize, data_type: &PgType, out: &mut BytesMut) -> Result<()> {
    BinaryWriter::new(array, data_type)?.write(row, out)
}

/// Writes the values of one array in PostgreSQL's binary format.
#[derive(Debug)]
pub struct BinaryWriter<'a> {
    text: TextWriter<'a>,
    list: Option<List<'a>>,
}

/// A list's elements: the innermost ones of nested lists.
struct List<'a> {
    /// The lists from the outermost inwards, without the outermost itself.
    levels: Vec<(&'a dyn Array, Spans<'a>)>,
    leaves: &'a dyn Array,
    leaf: Box<BinaryWriter<'a>>,
    element_oid: u32,
}

impl std::fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("List").field("levels", &self.levels.len()).finish_non_exhaustive()
    }
}

impl<'a> BinaryWriter<'a> {
    /// A writer for an array that holds values of `data_type`.
    ///
    /// # Errors
    /// [`ConnectorError::Unsupported`] for a storage that cannot hold the type. A type without a known binary format is
    /// refused with its first value: NULL needs none.
    pub fn new(array: &'a dyn Array, data_type: &PgType) -> Result<Self> {
        let text = TextWriter::new(array, data_type, &PLAIN)?;
        let list = match (&text.source, text.codec.kind) {
            (Source::List(_, values), Kind::Array) => {
                let values: &'a ArrayRef = values;
                Some(List::of(values.as_ref(), data_type)?)
            }
            _ => None,
        };
        Ok(Self { text, list })
    }

    /// Appends the binary form of a row that is not NULL, without a length before it.
    ///
    /// # Errors
    /// A value beyond the type; stored text that is not of the type.
    pub fn write(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        self.write_source(&self.text.source, row, out)
    }

    fn write_source(&self, source: &Source<'_>, row: usize, out: &mut BytesMut) -> Result<()> {
        let codec = &self.text.codec;
        match (source, codec.kind) {
            (Source::Dictionary(values, keys), _) => {
                return self.write_source(values, keys.get(row).copied().unwrap_or(0), out);
            }
            (Source::Bool(array), Kind::Bool) => out.put_u8(u8::from(array.value(row))),
            (Source::Int(values), Kind::Int2) => out.put_i16(narrow(values.get(row), codec)?),
            (Source::Int(values), Kind::Int4) => out.put_i32(narrow(values.get(row), codec)?),
            (Source::Int(values), Kind::Int8 | Kind::Money) => out.put_i64(values.get(row)),
            (Source::Int(values), Kind::Oid | Kind::Reg) => out.put_u32(narrow(values.get(row), codec)?),
            (Source::Float32(values), Kind::Float4) => out.put_f32(values.get(row).copied().unwrap_or(0.0)),
            (Source::Float64(values), Kind::Float8) => out.put_f64(values.get(row).copied().unwrap_or(0.0)),
            (Source::Decimal(Decimals::D128(values), scale), Kind::Numeric) => {
                write_binary_128(values.get(row).copied().unwrap_or(0), *scale, out);
            }
            (Source::Text(values), _) => codec.text_to_binary(values.get(row), out)?,
            (Source::Bytes(values), Kind::Bytea | Kind::Text | Kind::VarChar | Kind::Name | Kind::Json) => {
                out.put_slice(values.get(row));
            }
            (Source::Bytes(values), Kind::Uuid) => out.put_slice(&codec.fixed::<16>(values.get(row))?),
            (Source::Days(values), Kind::Date) => put_date(values.get(row).copied().unwrap_or(0), out),
            (Source::Clock(values, unit), Kind::Time) => {
                let usecs = source::microseconds(values.get(row), *unit)
                    .filter(|usecs| (0..=calendar::USECS_PER_DAY).contains(usecs))
                    .ok_or_else(|| ConnectorError::value("22008", "time out of range"))?;
                out.put_i64(usecs);
            }
            (Source::Moment(values, unit, _), Kind::Timestamp | Kind::TimestampTz) => {
                put_timestamp(moment(values.get(row).copied().unwrap_or(0), *unit)?, out)?;
            }
            (Source::Interval(values), Kind::Interval) => put_interval(&values.get(row)?, out),
            (Source::List(spans, _), Kind::Array) => match &self.list {
                Some(list) => list.write(spans, row, out)?,
                None => self.write_printed(row, out)?,
            },
            (_, Kind::Jsonb) => {
                out.put_u8(JSONB_VERSION);
                let mut text = String::new();
                self.text.write(row, &mut text)?;
                out.put_slice(text.as_bytes());
            }
            _ => self.write_printed(row, out)?,
        }
        Ok(())
    }

    /// The way of a storage without a short cut: through text.
    fn write_printed(&self, row: usize, out: &mut BytesMut) -> Result<()> {
        let mut text = String::new();
        self.text.write(row, &mut text)?;
        self.text.codec.text_to_binary(&text, out)
    }
}

fn narrow<T: TryFrom<i64>>(value: i64, codec: &Codec) -> Result<T> {
    T::try_from(value).map_err(|_| ConnectorError::value("22003", format!("{} out of range", codec.name)))
}

impl<'a> List<'a> {
    fn of(values: &'a dyn Array, data_type: &PgType) -> Result<Self> {
        let mut levels = Vec::new();
        let mut leaves = values;
        while let Source::List(spans, inner) = Source::of(leaves)? {
            levels.push((leaves, spans));
            leaves = inner.as_ref();
        }
        let element = data_type.element().unwrap_or_else(|| PgType::of_arrow(leaves.data_type()));
        let leaf = Box::new(BinaryWriter::new(leaves, &element)?);
        Ok(Self { levels, leaves, leaf, element_oid: element.oid })
    }

    fn write(&self, spans: &Spans<'_>, row: usize, out: &mut BytesMut) -> Result<()> {
        let mut rows = vec![spans.get(row)];
        let mut dimensions = vec![dimension(rows.first().map_or(0, ExactSizeIterator::len))];
        for (array, spans) in &self.levels {
            let mut inner = Vec::new();
            for row in rows.into_iter().flatten() {
                // A NULL in place of an inner array has no form in PostgreSQL.
                if array.is_null(row) {
                    return Err(ragged());
                }
                inner.push(spans.get(row));
            }
            let length = inner.first().map_or(0, ExactSizeIterator::len);
            if inner.iter().any(|span| span.len() != length) {
                return Err(ragged());
            }
            dimensions.push(dimension(length));
            rows = inner;
        }
        let count: usize = rows.iter().map(ExactSizeIterator::len).sum();
        if count == 0 {
            dimensions.clear();
        }
        let has_nulls = rows.iter().cloned().flatten().any(|row| self.leaves.is_null(row));
        put_array_header(&dimensions, has_nulls, self.element_oid, out);
        for row in rows.into_iter().flatten() {
            if self.leaves.is_null(row) {
                out.put_i32(-1);
            } else {
                put_counted(out, |out| self.leaf.write(row, out))?;
            }
        }
        Ok(())
    }
}

fn dimension(length: usize) -> Dimension {
    Dimension { lower: 1, length: i32::try_from(length).unwrap_or(i32::MAX) }
}

fn ragged() -> ConnectorError {
    ConnectorError::value("2202E", "multidimensional arrays must have array expressions with matching dimensions")
}
