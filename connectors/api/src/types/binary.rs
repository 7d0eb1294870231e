//! PostgreSQL's binary formats: values out of Arrow arrays. Reading them is [`super::ColumnBuilder::append_binary`].

use arrow::array::Array;
use bytes::BytesMut;

use super::PgType;
use crate::Result;

/// Appends the binary form of one value, which is not NULL, without a length before it.
///
/// # Errors
/// A storage that cannot hold the type; text that is not a value of the type.
pub fn write_binary(_array: &dyn Array, _row: usize, _data_type: &PgType, _out: &mut BytesMut) -> Result<()> {
    Err(crate::ConnectorError::unsupported("binary output is not built yet"))
}
