//! Values that a file's types can hold and PostgreSQL's cannot.

use arrow::array::{
    Array, ArrayAccessor, ArrayIter, AsArray, MAX_INLINE_VIEW_LEN, OffsetSizeTrait, PrimitiveArray, StringViewArray,
};
use arrow::compute::{max, min};
use arrow::datatypes::{
    ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Date32Type, Date64Type, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use atoll_connector_api::{ConnectorError, Result};
use memchr::memchr;

/// 4713-01-01 BC, where PostgreSQL's dates begin: Julian day 0, as days since 1970.
pub(super) const FIRST_DAY: i32 = -2_440_588;
/// Buffers that hold so many times what the values take are not searched whole.
const BUFFERED_RATIO_MAX: usize = 4;
const SECONDS_A_DAY: i64 = 86_400;
const FIRST_SECOND: i64 = FIRST_DAY as i64 * SECONDS_A_DAY;
/// The first moment in microseconds.
pub(super) const FIRST_MICROSECOND: i64 = FIRST_SECOND * 1_000_000;

/// Checks the values of an array and of all arrays within it.
///
/// # Errors
/// `22021` for text with a zero byte, if `text` says that text is looked at; `22008` for times beyond a day, and for
/// dates and timestamps before PostgreSQL's first.
pub(super) fn check_values(array: &dyn Array, text: bool) -> Result<()> {
    match array.data_type() {
        DataType::Utf8 if text => no_zero_byte(array.as_string::<i32>()),
        DataType::LargeUtf8 if text => no_zero_byte(array.as_string::<i64>()),
        DataType::Utf8View if text => no_zero_byte_in_views(array.as_string_view()),
        DataType::Dictionary(_, _) => {
            array.as_any_dictionary_opt().map_or(Ok(()), |found| check_values(found.values().as_ref(), text))
        }
        DataType::List(_) => check_list::<i32>(array, text),
        DataType::LargeList(_) => check_list::<i64>(array, text),
        DataType::ListView(_) => check_values(array.as_list_view::<i32>().values().as_ref(), text),
        DataType::LargeListView(_) => check_values(array.as_list_view::<i64>().values().as_ref(), text),
        DataType::FixedSizeList(_, _) => check_values(array.as_fixed_size_list().values().as_ref(), text),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().try_for_each(|column| check_values(column.as_ref(), text))
        }
        DataType::Map(_, _) => check_values(array.as_map().entries(), text),
        DataType::Time32(TimeUnit::Second) => within_a_day::<Time32SecondType>(array, 86_400),
        DataType::Time32(_) => within_a_day::<Time32MillisecondType>(array, 86_400_000),
        DataType::Time64(TimeUnit::Microsecond) => within_a_day::<Time64MicrosecondType>(array, 86_400_000_000),
        DataType::Time64(_) => within_a_day::<Time64NanosecondType>(array, 86_400_000_000_000),
        DataType::Date32 => not_before::<Date32Type>(array, FIRST_DAY, i32::MIN, "date"),
        DataType::Date64 => not_before::<Date64Type>(array, FIRST_SECOND * 1000, FIRST_SECOND * 1000, "date"),
        DataType::Timestamp(TimeUnit::Second, _) => {
            not_before::<TimestampSecondType>(array, FIRST_SECOND, FIRST_SECOND, "timestamp")
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            let first = FIRST_SECOND * 1000;
            not_before::<TimestampMillisecondType>(array, first, first, "timestamp")
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            not_before::<TimestampMicrosecondType>(array, FIRST_MICROSECOND, i64::MIN, "timestamp")
        }
        // Nanoseconds begin in 1677.
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            not_before::<TimestampNanosecondType>(array, i64::MIN, i64::MIN, "timestamp")
        }
        _ => Ok(()),
    }
}

fn no_zero_byte<'a>(values: impl ArrayAccessor<Item = &'a str>) -> Result<()> {
    if ArrayIter::new(values).flatten().any(|value| value.as_bytes().contains(&0)) {
        return Err(ConnectorError::value("22021", "invalid byte sequence for encoding \"UTF8\": 0x00"));
    }
    Ok(())
}

/// The same, several values at a time: short ones are in the views, and the long ones' buffers are searched whole where
/// that is not much more than the values themselves.
fn no_zero_byte_in_views(values: &StringViewArray) -> Result<()> {
    let (mut inline, mut outside) = (0_u128, 0_usize);
    for view in values.views() {
        let length = *view & u128::from(u32::MAX);
        match u32::try_from(length) {
            Ok(length) if length <= MAX_INLINE_VIEW_LEN => inline |= zero_bytes(view >> 32, length),
            _ => outside = outside.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)),
        }
    }
    let buffered: usize = values.data_buffers().iter().map(|buffer| buffer.len()).sum();
    let clear = inline == 0
        && (outside == 0
            || buffered / BUFFERED_RATIO_MAX <= outside
                && values.data_buffers().iter().all(|buffer| memchr(0, buffer).is_none()));
    // What was found may belong to no value, or to NULL.
    if clear { Ok(()) } else { no_zero_byte(values) }
}

/// Marks among the first `length` bytes of a short text; 0 where none of them is zero. See "Hacker's Delight", 6-1.
const fn zero_bytes(text: u128, length: u32) -> u128 {
    const LOW: u128 = u128::MAX / 0xFF;
    const HIGH: u128 = LOW << 7;
    let text = text | u128::MAX << (length * 8);
    text.wrapping_sub(LOW) & !text & HIGH
}

/// Only the elements that the rows refer to.
fn check_list<O: OffsetSizeTrait>(array: &dyn Array, text: bool) -> Result<()> {
    let list = array.as_list::<O>();
    let (Some(first), Some(last)) = (list.offsets().first(), list.offsets().last()) else { return Ok(()) };
    let (first, last) = (first.as_usize(), last.as_usize());
    check_values(list.values().slice(first, last - first).as_ref(), text)
}

fn within_a_day<T: ArrowPrimitiveType>(array: &dyn Array, day: T::Native) -> Result<()> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    let beyond = min(values).is_some_and(|least| least.is_lt(T::Native::ZERO))
        || max(values).is_some_and(|greatest| greatest.is_gt(day));
    if beyond { Err(ConnectorError::value("22008", "time out of range")) } else { Ok(()) }
}

fn not_before<T: ArrowPrimitiveType>(
    array: &dyn Array,
    first: T::Native,
    infinity: T::Native,
    what: &str,
) -> Result<()> {
    let values: &PrimitiveArray<T> = array.as_primitive();
    // The smallest value clears nearly every batch at once.
    let before = min(values).is_some_and(|least| least.is_lt(first))
        && values.iter().flatten().any(|value| value.is_lt(first) && !value.is_eq(infinity));
    if before { Err(ConnectorError::value("22008", format!("{what} out of range"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn finds_every_zero_byte(
            texts in prop::collection::vec(prop::option::of("[a-c\u{1}\u{80}\u{0}]{0,20}"), 0..20),
            first in 0_usize..5,
        ) {
            let values: StringViewArray = texts.iter().map(Option::as_deref).collect();
            let values = values.slice(first.min(texts.len()), texts.len().saturating_sub(first));
            let expected = texts.iter().skip(first).flatten().any(|text| text.contains('\0'));
            prop_assert_eq!(check_values(&values, true).is_err(), expected);
        }
    }

    #[test]
    fn clear_text_of_any_length_is_clear() {
        for length in 0..=12 {
            assert_eq!(zero_bytes(u128::MAX >> (128 - 8 * length.max(1)), length), 0);
            assert_eq!(zero_bytes(0, length) == 0, length == 0);
        }
    }
}
