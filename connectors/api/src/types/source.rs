//! Arrow arrays by how their values are got at, downcast once for a whole array.

use std::ops::Range;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, BooleanArray, FixedSizeBinaryArray, Float16Array,
    IntervalDayTimeArray, IntervalMonthDayNanoArray, LargeBinaryArray, LargeStringArray, StringArray, StringViewArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type,
    DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType,
    IntervalUnit, IntervalYearMonthType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

use super::calendar::USECS_PER_SEC;
use super::interval::Interval;
use crate::{ConnectorError, Result};

/// Values of an array. Rows are those of the array it was made from; NULL rows must not be asked for.
pub(crate) enum Source<'a> {
    Null,
    Bool(&'a BooleanArray),
    Int(Ints<'a>),
    UInt64(&'a [u64]),
    Float16(&'a Float16Array),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(Decimals<'a>, i8),
    Text(Strings<'a>),
    Bytes(Blobs<'a>),
    /// Days since 1970.
    Days(&'a [i32]),
    /// Milliseconds since 1970, whole days.
    DayMillis(&'a [i64]),
    /// Time of day in a unit.
    Clock(Ints<'a>, TimeUnit),
    /// A moment in a unit, and whether the array has a time zone.
    Moment(&'a [i64], TimeUnit, bool),
    Interval(Intervals<'a>),
    Dictionary(Box<Source<'a>>, Vec<usize>),
    List(Spans<'a>, &'a ArrayRef),
    /// Structs, maps: whatever prints as JSON.
    Nested(&'a dyn Array),
}

/// Whole numbers that fit into 64 bits with sign.
pub(crate) enum Ints<'a> {
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
}

/// Unscaled decimals.
pub(crate) enum Decimals<'a> {
    D32(&'a [i32]),
    D64(&'a [i64]),
    D128(&'a [i128]),
    D256(&'a [i256]),
}

/// Strings.
pub(crate) enum Strings<'a> {
    Small(&'a StringArray),
    Large(&'a LargeStringArray),
    View(&'a StringViewArray),
}

/// Byte strings.
pub(crate) enum Blobs<'a> {
    Small(&'a BinaryArray),
    Large(&'a LargeBinaryArray),
    View(&'a BinaryViewArray),
    Fixed(&'a FixedSizeBinaryArray),
}

/// Intervals and durations.
pub(crate) enum Intervals<'a> {
    YearMonth(&'a [i32]),
    DayTime(&'a IntervalDayTimeArray),
    MonthDayNano(&'a IntervalMonthDayNanoArray),
    Duration(&'a [i64], TimeUnit),
}

/// Where each row's elements lie among a list's values.
pub(crate) enum Spans<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
    Fixed(usize),
    SmallView(&'a [i32], &'a [i32]),
    LargeView(&'a [i64], &'a [i64]),
}

impl<'a> Source<'a> {
    /// Downcasts an array.
    pub(crate) fn of(array: &'a dyn Array) -> Result<Self> {
        macro_rules! values {
            ($type:ty) => {
                array.as_primitive::<$type>().values().as_ref()
            };
        }
        Ok(match array.data_type() {
            DataType::Null => Self::Null,
            DataType::Boolean => Self::Bool(array.as_boolean()),
            DataType::Int8 => Self::Int(Ints::I8(values!(Int8Type))),
            DataType::Int16 => Self::Int(Ints::I16(values!(Int16Type))),
            DataType::Int32 => Self::Int(Ints::I32(values!(Int32Type))),
            DataType::Int64 => Self::Int(Ints::I64(values!(Int64Type))),
            DataType::UInt8 => Self::Int(Ints::U8(values!(UInt8Type))),
            DataType::UInt16 => Self::Int(Ints::U16(values!(UInt16Type))),
            DataType::UInt32 => Self::Int(Ints::U32(values!(UInt32Type))),
            DataType::UInt64 => Self::UInt64(values!(UInt64Type)),
            DataType::Float16 => Self::Float16(array.as_primitive::<Float16Type>()),
            DataType::Float32 => Self::Float32(values!(Float32Type)),
            DataType::Float64 => Self::Float64(values!(Float64Type)),
            DataType::Decimal32(_, scale) => Self::Decimal(Decimals::D32(values!(Decimal32Type)), *scale),
            DataType::Decimal64(_, scale) => Self::Decimal(Decimals::D64(values!(Decimal64Type)), *scale),
            DataType::Decimal128(_, scale) => Self::Decimal(Decimals::D128(values!(Decimal128Type)), *scale),
            DataType::Decimal256(_, scale) => Self::Decimal(Decimals::D256(values!(Decimal256Type)), *scale),
            DataType::Utf8 => Self::Text(Strings::Small(array.as_string())),
            DataType::LargeUtf8 => Self::Text(Strings::Large(array.as_string())),
            DataType::Utf8View => Self::Text(Strings::View(array.as_string_view())),
            DataType::Binary => Self::Bytes(Blobs::Small(array.as_binary())),
            DataType::LargeBinary => Self::Bytes(Blobs::Large(array.as_binary())),
            DataType::BinaryView => Self::Bytes(Blobs::View(array.as_binary_view())),
            DataType::FixedSizeBinary(_) => Self::Bytes(Blobs::Fixed(array.as_fixed_size_binary())),
            DataType::Date32 => Self::Days(values!(Date32Type)),
            DataType::Date64 => Self::DayMillis(values!(Date64Type)),
            DataType::Time32(unit @ TimeUnit::Second) => Self::Clock(Ints::I32(values!(Time32SecondType)), *unit),
            DataType::Time32(unit) => Self::Clock(Ints::I32(values!(Time32MillisecondType)), *unit),
            DataType::Time64(unit @ TimeUnit::Nanosecond) => {
                Self::Clock(Ints::I64(values!(Time64NanosecondType)), *unit)
            }
            DataType::Time64(unit) => Self::Clock(Ints::I64(values!(Time64MicrosecondType)), *unit),
            DataType::Timestamp(unit, zone) => {
                let values = match unit {
                    TimeUnit::Second => values!(TimestampSecondType),
                    TimeUnit::Millisecond => values!(TimestampMillisecondType),
                    TimeUnit::Microsecond => values!(TimestampMicrosecondType),
                    TimeUnit::Nanosecond => values!(TimestampNanosecondType),
                };
                Self::Moment(values, *unit, zone.is_some())
            }
            DataType::Duration(unit) => {
                let values = match unit {
                    TimeUnit::Second => values!(DurationSecondType),
                    TimeUnit::Millisecond => values!(DurationMillisecondType),
                    TimeUnit::Microsecond => values!(DurationMicrosecondType),
                    TimeUnit::Nanosecond => values!(DurationNanosecondType),
                };
                Self::Interval(Intervals::Duration(values, *unit))
            }
            DataType::Interval(IntervalUnit::YearMonth) => {
                Self::Interval(Intervals::YearMonth(values!(IntervalYearMonthType)))
            }
            DataType::Interval(IntervalUnit::DayTime) => {
                Self::Interval(Intervals::DayTime(array.as_primitive::<IntervalDayTimeType>()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => {
                Self::Interval(Intervals::MonthDayNano(array.as_primitive::<IntervalMonthDayNanoType>()))
            }
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                Self::Dictionary(Box::new(Self::of(dictionary.values().as_ref())?), dictionary.normalized_keys())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::List(Spans::Small(list.value_offsets()), list.values())
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                Self::List(Spans::Large(list.value_offsets()), list.values())
            }
            DataType::FixedSizeList(_, length) => {
                let list = array.as_fixed_size_list();
                Self::List(Spans::Fixed(usize::try_from(*length).unwrap_or(0)), list.values())
            }
            DataType::ListView(_) => {
                let list = array.as_list_view::<i32>();
                Self::List(Spans::SmallView(list.offsets(), list.sizes()), list.values())
            }
            DataType::LargeListView(_) => {
                let list = array.as_list_view::<i64>();
                Self::List(Spans::LargeView(list.offsets(), list.sizes()), list.values())
            }
            DataType::Struct(_) | DataType::Map(_, _) => Self::Nested(array),
            other => {
                return Err(ConnectorError::unsupported(format!("values of Arrow type {other} cannot be printed")));
            }
        })
    }
}

/// Indexing that a row beyond the array turns into a zero, not a panic.
fn at<T: Copy + Default>(values: &[T], row: usize) -> T {
    values.get(row).copied().unwrap_or_default()
}

impl Ints<'_> {
    pub(crate) fn get(&self, row: usize) -> i64 {
        match self {
            Self::I8(values) => i64::from(at(values, row)),
            Self::I16(values) => i64::from(at(values, row)),
            Self::I32(values) => i64::from(at(values, row)),
            Self::I64(values) => at(values, row),
            Self::U8(values) => i64::from(at(values, row)),
            Self::U16(values) => i64::from(at(values, row)),
            Self::U32(values) => i64::from(at(values, row)),
        }
    }
}

impl<'a> Strings<'a> {
    pub(crate) fn get(&self, row: usize) -> &'a str {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }
}

impl<'a> Blobs<'a> {
    pub(crate) fn get(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
            Self::Fixed(array) => array.value(row),
        }
    }
}

impl Intervals<'_> {
    pub(crate) fn get(&self, row: usize) -> Result<Interval> {
        let usecs = |usecs: Option<i64>| usecs.ok_or_else(|| ConnectorError::value("22008", "interval out of range"));
        Ok(match self {
            Self::YearMonth(values) => Interval { months: at(values, row), ..Interval::default() },
            Self::DayTime(array) => {
                let value = array.value(row);
                Interval { months: 0, days: value.days, usecs: i64::from(value.milliseconds) * 1000 }
            }
            Self::MonthDayNano(array) => {
                let value = array.value(row);
                Interval { months: value.months, days: value.days, usecs: value.nanoseconds / 1000 }
            }
            Self::Duration(values, unit) => {
                Interval { usecs: usecs(microseconds(at(values, row), *unit))?, ..Interval::default() }
            }
        })
    }
}

impl Spans<'_> {
    pub(crate) fn get(&self, row: usize) -> Range<usize> {
        let index = |value: i64| usize::try_from(value).unwrap_or(0);
        match self {
            Self::Small(offsets) => index(i64::from(at(offsets, row)))..index(i64::from(at(offsets, row + 1))),
            Self::Large(offsets) => index(at(offsets, row))..index(at(offsets, row + 1)),
            Self::Fixed(length) => row * length..(row + 1) * length,
            Self::SmallView(offsets, sizes) => {
                let start = index(i64::from(at(offsets, row)));
                start..start + index(i64::from(at(sizes, row)))
            }
            Self::LargeView(offsets, sizes) => {
                let start = index(at(offsets, row));
                start..start + index(at(sizes, row))
            }
        }
    }
}

/// A count of a unit in microseconds, rounded down; `None` beyond 64 bits.
pub(crate) fn microseconds(value: i64, unit: TimeUnit) -> Option<i64> {
    match unit {
        TimeUnit::Second => value.checked_mul(USECS_PER_SEC),
        TimeUnit::Millisecond => value.checked_mul(1000),
        TimeUnit::Microsecond => Some(value),
        TimeUnit::Nanosecond => Some(value.div_euclid(1000)),
    }
}

/// A moment in microseconds since 1970.
pub(crate) fn moment(value: i64, unit: TimeUnit) -> Result<i64> {
    microseconds(value, unit).ok_or_else(|| ConnectorError::value("22008", "timestamp out of range"))
}
