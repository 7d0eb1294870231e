//! Ranges: made of bounds and of each other, taken apart, compared with values and with each other.

use atoll_connector_api::types::{
    RangeMerge, RangeParts, RangeTest, oids, range_contains_value, range_from, range_merge, range_parts, range_test,
};

use super::{BOOL, Call, Datum, Function, Kind, TEXT, lenient, of_type, optional, strict, text};
use crate::error::{SqlError, SqlResult, SqlState};

/// The functions of each range type with its bounds' type.
macro_rules! of_each {
    ($($name:literal $range:literal $element:expr;)*) => {
        pub(super) const FUNCTIONS: &[Function] = &[
            $(
                lenient($name, &[Kind::Of($element), Kind::Of($element)], Kind::Of($range), make),
                lenient($name, &[Kind::Of($element), Kind::Of($element), TEXT], Kind::Of($range), make),
                strict("isempty", &[Kind::Of($range)], BOOL, |call| part(call, |parts| parts.empty)),
                strict("lower_inc", &[Kind::Of($range)], BOOL, |call| part(call, |parts| parts.lower_inclusive)),
                strict("upper_inc", &[Kind::Of($range)], BOOL, |call| part(call, |parts| parts.upper_inclusive)),
                strict("lower_inf", &[Kind::Of($range)], BOOL, |call| {
                    part(call, |parts| !parts.empty && parts.lower.is_none())
                }),
                strict("upper_inf", &[Kind::Of($range)], BOOL, |call| {
                    part(call, |parts| !parts.empty && parts.upper.is_none())
                }),
                strict("lower", &[Kind::Of($range)], Kind::Of($element), |call| optional(parts(call)?.lower)),
                strict("upper", &[Kind::Of($range)], Kind::Of($element), |call| optional(parts(call)?.upper)),
                strict("range_contains", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::Contains)
                }),
                strict("range_overlaps", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::Overlaps)
                }),
                strict("range_before", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::Before)
                }),
                strict("range_after", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::After)
                }),
                strict("range_adjacent", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::Adjacent)
                }),
                strict("range_overleft", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::NotRight)
                }),
                strict("range_overright", &[Kind::Of($range), Kind::Of($range)], BOOL, |call| {
                    test(call, RangeTest::NotLeft)
                }),
                strict("range_union", &[Kind::Of($range), Kind::Of($range)], Kind::Of($range), |call| {
                    merge(call, RangeMerge::Union)
                }),
                strict("range_intersect", &[Kind::Of($range), Kind::Of($range)], Kind::Of($range), |call| {
                    merge(call, RangeMerge::Intersection)
                }),
                strict("range_minus", &[Kind::Of($range), Kind::Of($range)], Kind::Of($range), |call| {
                    merge(call, RangeMerge::Difference)
                }),
                strict("range_merge", &[Kind::Of($range), Kind::Of($range)], Kind::Of($range), |call| {
                    merge(call, RangeMerge::Hull)
                }),
                strict("range_contains_elem", &[Kind::Of($range), Kind::Of($element)], BOOL, contains_element),
            )*
        ];
    };
}

of_each! {
    "int4range" 3904 oids::INT4;
    "numrange" 3906 oids::NUMERIC;
    "tsrange" 3908 oids::TIMESTAMP;
    "tstzrange" 3910 oids::TIMESTAMPTZ;
    "daterange" 3912 oids::DATE;
    "int8range" 3926 oids::INT8;
}

/// A bound as it prints; `None`: NULL, which is no bound.
fn bound(call: &Call<'_>, index: usize) -> Option<String> {
    match call.args.get(index)? {
        Datum::Int(value) => Some(value.to_string()),
        Datum::Numeric(value) => {
            let mut printed = String::new();
            value.write(&mut printed);
            Some(printed)
        }
        Datum::Text(value) => Some(value.clone()),
        _ => None,
    }
}

fn make(call: &Call<'_>) -> SqlResult<Datum> {
    let flags = match call.args.get(2) {
        None => "[)",
        Some(Datum::Text(flags)) => flags,
        Some(_) => {
            let message = "range constructor flags argument must not be null";
            return Err(SqlError::new(SqlState::DATA_EXCEPTION, message));
        }
    };
    let (lower, upper) = (bound(call, 0), bound(call, 1));
    let made = range_from(call.returns, lower.as_deref(), upper.as_deref(), flags, call.style);
    text(made.map_err(|error| of_type(&error))?)
}

fn parts(call: &Call<'_>) -> SqlResult<RangeParts> {
    let Some(data_type) = call.types.first() else { return Err(SqlError::internal("a range without a type")) };
    range_parts(data_type, call.text(0), call.style).map_err(|error| of_type(&error))
}

fn part(call: &Call<'_>, of: fn(&RangeParts) -> bool) -> SqlResult<Datum> {
    Ok(Datum::Bool(of(&parts(call)?)))
}

fn test(call: &Call<'_>, test: RangeTest) -> SqlResult<Datum> {
    let Some(data_type) = call.types.first() else { return Err(SqlError::internal("a range without a type")) };
    let holds = range_test(data_type, test, call.text(0), call.text(1), call.style);
    Ok(Datum::Bool(holds.map_err(|error| of_type(&error))?))
}

fn merge(call: &Call<'_>, merge: RangeMerge) -> SqlResult<Datum> {
    let merged = range_merge(call.returns, merge, call.text(0), call.text(1), call.style);
    text(merged.map_err(|error| of_type(&error))?)
}

fn contains_element(call: &Call<'_>) -> SqlResult<Datum> {
    let Some(data_type) = call.types.first() else { return Err(SqlError::internal("a range without a type")) };
    let value = bound(call, 1).unwrap_or_default();
    let holds = range_contains_value(data_type, call.text(0), &value, call.style);
    Ok(Datum::Bool(holds.map_err(|error| of_type(&error))?))
}
