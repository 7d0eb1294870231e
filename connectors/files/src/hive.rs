//! Partition columns out of directory names, `year=2024/month=01/`, as Hive writes them.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use atoll_connector_api::Result;
use atoll_connector_api::types::{ColumnBuilder, PgType, oids};

use crate::location::percent_decode;

/// The directory name that stands for NULL.
const NULL_NAME: &str = "__HIVE_DEFAULT_PARTITION__";

/// Key and value of one directory, in order from the root; `None` is NULL.
pub(crate) type PartitionValue = (String, Option<String>);

/// Key and value of a directory's name; `None` where it is no partition.
pub(crate) fn parse_directory(name: &str) -> Option<PartitionValue> {
    let (key, value) = name.split_once('=')?;
    if key.is_empty() {
        return None;
    }
    let key = percent_decode(key)?;
    let value = if value == NULL_NAME { None } else { Some(percent_decode(value)?) };
    Some((key, value))
}

/// The type under which a partition column is seen when none is declared.
pub(crate) fn infer_type<'a>(values: impl Iterator<Item = Option<&'a str>>) -> PgType {
    let (mut whole, mut date, mut any) = (true, true, false);
    for value in values.flatten() {
        any = true;
        whole &= is_whole(value);
        date &= crate::text::infer::is_date(value);
    }
    PgType::new(match (any, whole, date) {
        (true, true, _) => oids::INT8,
        (true, false, true) => oids::DATE,
        _ => oids::TEXT,
    })
}

/// A number as directory names hold it, `01` included: months and days are padded there.
fn is_whole(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    (1..=18).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// One column's values, one row for each file, in the declared type.
///
/// # Errors
/// A value that is not of the type.
pub(crate) fn column<'a>(
    data_type: &PgType,
    values: impl ExactSizeIterator<Item = Option<&'a str>>,
) -> Result<ArrayRef> {
    let mut builder = ColumnBuilder::new(data_type, values.len());
    for value in values {
        match value {
            Some(value) => builder.append_text(value)?,
            None => builder.append_null(),
        }
    }
    Ok(builder.finish())
}

/// A column that repeats one row of `values`.
///
/// # Errors
/// Arrow's, where the row does not exist.
pub(crate) fn repeat(values: &ArrayRef, row: u32, rows: usize) -> arrow::error::Result<ArrayRef> {
    take(values, &UInt32Array::from(vec![row; rows]), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_keys_values_and_null() {
        assert_eq!(parse_directory("year=2024"), Some(("year".into(), Some("2024".into()))));
        assert_eq!(parse_directory("city=S%C3%A3o"), Some(("city".into(), Some("São".into()))));
        assert_eq!(parse_directory("x=__HIVE_DEFAULT_PARTITION__"), Some(("x".into(), None)));
        assert_eq!(parse_directory("x="), Some(("x".into(), Some(String::new()))));
        assert_eq!(parse_directory("=1"), None);
        assert_eq!(parse_directory("plain"), None);
    }

    #[test]
    fn infers_the_type_from_all_values() {
        let of = |values: &[Option<&str>]| infer_type(values.iter().copied()).oid;
        assert_eq!(of(&[Some("01"), Some("12"), None]), oids::INT8);
        assert_eq!(of(&[Some("2024-01-31"), Some("2024-02-01")]), oids::DATE);
        assert_eq!(of(&[Some("2024"), Some("unknown")]), oids::TEXT);
        assert_eq!(of(&[None]), oids::TEXT);
        assert_eq!(of(&[Some("1234567890123456789")]), oids::TEXT);
    }
}
