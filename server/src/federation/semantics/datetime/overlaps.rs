//! `OVERLAPS`: each side a period of two ends, or of a beginning and a length.

use atoll_connector_api::types::oids::{BOOL, INTERVAL, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ};
use atoll_connector_api::types::temporal::{USECS_PER_DAY, USECS_PER_SEC};
use datafusion::error::Result;

use super::moment::{add, add_zoned};
use super::overload::{Call, Overload};
use super::value::Value;

/// The functions of this module.
pub(super) static FUNCTIONS: &[Overload] = &[
    overlaps(&[TIMESTAMP, TIMESTAMP, TIMESTAMP, TIMESTAMP]),
    overlaps(&[TIMESTAMP, INTERVAL, TIMESTAMP, INTERVAL]),
    overlaps(&[TIMESTAMP, TIMESTAMP, TIMESTAMP, INTERVAL]),
    overlaps(&[TIMESTAMP, INTERVAL, TIMESTAMP, TIMESTAMP]),
    overlaps(&[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ]),
    overlaps(&[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, INTERVAL]),
    overlaps(&[TIMESTAMPTZ, TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL]),
    overlaps(&[TIMESTAMPTZ, INTERVAL, TIMESTAMPTZ, TIMESTAMPTZ]),
    overlaps(&[TIME, TIME, TIME, TIME]),
    overlaps(&[TIME, INTERVAL, TIME, INTERVAL]),
    overlaps(&[TIME, TIME, TIME, INTERVAL]),
    overlaps(&[TIME, INTERVAL, TIME, TIME]),
    overlaps(&[TIMETZ, TIMETZ, TIMETZ, TIMETZ]),
];

const fn overlaps(parameters: &'static [u32]) -> Overload {
    // NULL at one end of a period does not always leave the answer open.
    Overload { name: "overlaps", parameters, result: BOOL, body: run, strict: false, volatile: false }
}

/// A point that can be compared: microseconds, and for times with zone the zone westwards.
type Point = Option<(i64, i64)>;

fn point(value: &Value) -> Point {
    match value {
        Value::Timestamp(usecs) | Value::TimestampTz(usecs) | Value::Time(usecs) => Some((*usecs, 0)),
        Value::TimeTz(usecs, offset) => Some((usecs - offset * USECS_PER_SEC, -offset)),
        _ => None,
    }
}

/// The end of a period that begins with a value and is so long.
fn end(call: &Call<'_>, start: usize, end: usize) -> Result<Point> {
    let (Some(start), Some(end)) = (call.arguments.get(start), call.arguments.get(end)) else { return Ok(None) };
    Ok(match (start, end) {
        (Value::Timestamp(start), Value::Interval(span)) => Some((add(*start, span)?, 0)),
        (Value::TimestampTz(start), Value::Interval(span)) => Some((add_zoned(*start, span, call.zone())?, 0)),
        (Value::Time(start), Value::Interval(span)) => {
            Some(((start + span.usecs % USECS_PER_DAY).rem_euclid(USECS_PER_DAY), 0))
        }
        (Value::Null, Value::Interval(_)) => None,
        (_, end) => point(end),
    })
}

/// Both ends in order; a known one first.
fn ordered(start: Point, end: Point) -> Option<((i64, i64), Point)> {
    match (start, end) {
        (Some(start), Some(end)) if start > end => Some((end, Some(start))),
        (Some(start), end) => Some((start, end)),
        (None, Some(end)) => Some((end, None)),
        (None, None) => None,
    }
}

fn run(call: &Call<'_>) -> Result<Value> {
    let first = call.arguments.first().and_then(point);
    let second = call.arguments.get(2).and_then(point);
    let (Some(left), Some(right)) = (ordered(first, end(call, 0, 1)?), ordered(second, end(call, 2, 3)?)) else {
        return Ok(Value::Null);
    };
    Ok(answer(left, right).map_or(Value::Null, Value::Bool))
}

fn answer((start, end): ((i64, i64), Point), (other_start, other_end): ((i64, i64), Point)) -> Option<bool> {
    if start == other_start {
        // Two periods that begin together overlap, if both are known.
        return (end.is_some() && other_end.is_some()).then_some(true);
    }
    // The earlier one must reach into the later one.
    let (later, earlier_end, later_end) =
        if start > other_start { (start, other_end, end) } else { (other_start, end, other_end) };
    if later < earlier_end? {
        return Some(true);
    }
    later_end.map(|_| false)
}
