//! Functions of arrays, taken as their text, so that every storage and every number of dimensions is the same here.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, AsArray, StringViewArray};
use atoll_connector_api::types::{ArrayText, Dimension, PgType, cast, key};

use super::{
    BOOL, Call, Datum, Function, INT4, Kind, TEXT, invalid, lenient, of_type, optional, strict, text, variadic,
};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::interrupt::{self, Pace};

const ARRAY: Kind = Kind::Array;
const ELEMENT: Kind = Kind::Element;
const INTEGERS: Kind = Kind::Of(atoll_connector_api::types::oids::INT4_ARRAY);
/// `2202E`.
const SUBSCRIPT_ERROR: SqlState = SqlState(*b"2202E");
/// PostgreSQL's `MaxArraySize`, roughly.
const ELEMENTS_MAX: i64 = 134_217_727;

pub(super) const FUNCTIONS: &[Function] = &[
    strict("cardinality", &[ARRAY], INT4, |call| int(parsed(call, 0)?.elements.len())),
    strict("array_ndims", &[ARRAY], INT4, |call| match parsed(call, 0)?.dimensions.len() {
        0 => Ok(Datum::Null),
        count => int(count),
    }),
    strict("array_dims", &[ARRAY], TEXT, |call| {
        let array = parsed(call, 0)?;
        let shown: Vec<String> = array.dimensions.iter().map(|d| format!("[{}:{}]", d.lower, upper(*d))).collect();
        optional((!shown.is_empty()).then(|| shown.concat()))
    }),
    strict("array_length", &[ARRAY, INT4], INT4, |call| dimension(call, |d| i64::from(d.length))),
    strict("array_lower", &[ARRAY, INT4], INT4, |call| dimension(call, |d| i64::from(d.lower))),
    strict("array_upper", &[ARRAY, INT4], INT4, |call| dimension(call, upper)),
    lenient("array_append", &[ARRAY, ELEMENT], ARRAY, |call| extended(call, 0, 1, false)),
    lenient("array_prepend", &[ELEMENT, ARRAY], ARRAY, |call| extended(call, 1, 0, true)),
    lenient("array_cat", &[ARRAY, ARRAY], ARRAY, concatenated),
    lenient("array_remove", &[ARRAY, ELEMENT], ARRAY, |call| {
        if call.is_null(0) {
            return Ok(Datum::Null);
        }
        let array = parsed(call, 0)?;
        if array.dimensions.len() > 1 {
            return Err(SqlError::unsupported("removing elements from multidimensional arrays is not supported"));
        }
        let wanted = key_at(call, 1)?;
        let keys = keys(&array.elements, &element_type(call, 0)?)?;
        let kept = array.elements.into_iter().zip(keys).filter(|(_, key)| *key != wanted).map(|(value, _)| value);
        flat(kept.collect())
    }),
    lenient("array_replace", &[ARRAY, ELEMENT, ELEMENT], ARRAY, |call| {
        if call.is_null(0) {
            return Ok(Datum::Null);
        }
        let mut array = parsed(call, 0)?;
        let wanted = key_at(call, 1)?;
        let by = printed(call, 2)?;
        let keys = keys(&array.elements, &element_type(call, 0)?)?;
        for (value, key) in array.elements.iter_mut().zip(keys) {
            if key == wanted {
                value.clone_from(&by);
            }
        }
        written(&array)
    }),
    lenient("array_position", &[ARRAY, ELEMENT], INT4, |call| position(call, 1)),
    lenient("array_position", &[ARRAY, ELEMENT, INT4], INT4, |call| {
        if call.is_null(2) {
            return Err(SqlError::new(SqlState(*b"22004"), "initial position must not be null"));
        }
        position(call, call.int(2))
    }),
    lenient("array_positions", &[ARRAY, ELEMENT], Kind::Of(atoll_connector_api::types::oids::INT4_ARRAY), |call| {
        if call.is_null(0) {
            return Ok(Datum::Null);
        }
        let array = one_dimension(call, 0)?;
        let wanted = key_at(call, 1)?;
        let keys = keys(&array.elements, &element_type(call, 0)?)?;
        let lower = array.dimensions.first().map_or(1, |d| i64::from(d.lower));
        let found = keys.iter().zip(lower..).filter(|(key, _)| **key == wanted).map(|(_, at)| Some(at.to_string()));
        flat(found.collect())
    }),
    strict("array_to_string", &[ARRAY, TEXT], TEXT, |call| joined(call, None)),
    lenient("array_to_string", &[ARRAY, TEXT, TEXT], TEXT, |call| {
        if call.is_null(0) || call.is_null(1) {
            return Ok(Datum::Null);
        }
        joined(call, (!call.is_null(2)).then(|| call.text(2)))
    }),
    strict("array_contains", &[ARRAY, ARRAY], BOOL, |call| contains(call, 0, 1)),
    strict("array_contained", &[ARRAY, ARRAY], BOOL, |call| contains(call, 1, 0)),
    strict("array_overlaps", &[ARRAY, ARRAY], BOOL, |call| {
        let element = element_type(call, 0)?;
        let (left, right) = (keys_of(call, 0, &element)?, keys_of(call, 1, &element)?);
        let right: HashSet<&Vec<u8>> = right.iter().flatten().collect();
        Ok(Datum::Bool(left.iter().flatten().any(|key| right.contains(key))))
    }),
    strict("trim_array", &[ARRAY, INT4], ARRAY, |call| {
        let array = parsed(call, 0)?;
        let length = array.dimensions.first().map_or(0, |d| i64::from(d.length));
        let count = call.int(1);
        if count < 0 || count > length {
            return Err(SqlError::new(
                SUBSCRIPT_ERROR,
                format!("number of elements to trim must be between 0 and {length}"),
            ));
        }
        let keep = usize::try_from(length - count).unwrap_or(0);
        if array.dimensions.len() > 1 {
            return Err(SqlError::unsupported("trimming multidimensional arrays is not supported"));
        }
        flat(array.elements.into_iter().take(keep).collect())
    }),
    lenient("array_fill", &[ELEMENT, INTEGERS], ARRAY, |call| filled(call, false)),
    lenient("array_fill", &[ELEMENT, INTEGERS, INTEGERS], ARRAY, |call| filled(call, true)),
    variadic("array_subscript", &[ARRAY, INT4], ELEMENT, |call| {
        if call.is_null(0) || (1..call.args.len()).any(|index| call.is_null(index)) {
            return Ok(Datum::Null);
        }
        let array = parsed(call, 0)?;
        if array.dimensions.len() != call.args.len() - 1 {
            return Ok(Datum::Null);
        }
        let mut at: i64 = 0;
        for (index, d) in array.dimensions.iter().enumerate() {
            let offset = call.int(index + 1) - i64::from(d.lower);
            if offset < 0 || offset >= i64::from(d.length) {
                return Ok(Datum::Null);
            }
            at = at * i64::from(d.length) + offset;
        }
        match usize::try_from(at).ok().and_then(|at| array.elements.get(at)).cloned().flatten() {
            Some(value) => datum(&value, call.returns),
            None => Ok(Datum::Null),
        }
    }),
    strict("width_bucket", &[ELEMENT, ARRAY], INT4, bucket),
    // ARRAY[…]
    variadic("array_of", &[ELEMENT], ARRAY, constructed),
    // array[lower:upper][…]: for each dimension the bounds, NULL for one that is left out, and whether each is there.
    variadic("array_slice", &[ARRAY, INT4], ARRAY, slice),
];

/// An array of one value many times: its lengths, and where each dimension begins.
fn filled(call: &Call<'_>, bounded: bool) -> SqlResult<Datum> {
    let null = || SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension array or low bound array cannot be null");
    let numbers = |index: usize| -> SqlResult<Vec<i32>> {
        if call.is_null(index) {
            return Err(null());
        }
        let numbers = parsed(call, index)?;
        let wrong = |detail: &str| SqlError::new(SUBSCRIPT_ERROR, "wrong number of array subscripts").detail(detail);
        if numbers.dimensions.len() > 1 {
            return Err(wrong("Dimension array must be one dimensional."));
        }
        let missing = || SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null");
        let number = |value: &Option<String>| {
            value.as_ref().ok_or_else(missing)?.parse::<i32>().map_err(|_| invalid("wrong dimension"))
        };
        numbers.elements.iter().map(number).collect()
    };
    let lengths = numbers(1)?;
    let lowers = if bounded { numbers(2)? } else { vec![1; lengths.len()] };
    if lengths.len() > 6 {
        let message = format!("number of array dimensions ({}) exceeds the maximum allowed (6)", lengths.len());
        return Err(SqlError::new(SqlState(*b"54000"), message));
    }
    if lowers.len() != lengths.len() {
        return Err(SqlError::new(SUBSCRIPT_ERROR, "wrong number of array subscripts")
            .detail("Low bound array has different size than dimensions array."));
    }
    let total = lengths.iter().fold(1_i64, |total, length| total.saturating_mul(i64::from(*length)));
    let ends = lengths.iter().zip(&lowers).all(|(length, lower)| lower.checked_add(*length).is_some());
    if lengths.iter().any(|length| *length < 0) || total > ELEMENTS_MAX || !ends {
        return Err(SqlError::new(SqlState(*b"54000"), "array size exceeds the maximum allowed (134217727)"));
    }
    if total == 0 || lengths.is_empty() {
        return flat(Vec::new());
    }
    let value = printed(call, 0)?;
    let each = size_of::<Option<String>>() + value.as_ref().map_or(0, String::len);
    let count = usize::try_from(total).unwrap_or(usize::MAX);
    interrupt::reserve(each.saturating_mul(count))?;
    let dimensions = lowers.into_iter().zip(lengths).map(|(lower, length)| Dimension { lower, length }).collect();
    written(&ArrayText { dimensions, elements: vec![value; count] })
}

fn int(value: usize) -> SqlResult<Datum> {
    Ok(Datum::Int(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn upper(d: Dimension) -> i64 {
    i64::from(d.lower) + i64::from(d.length) - 1
}

pub(super) fn parsed(call: &Call<'_>, index: usize) -> SqlResult<ArrayText> {
    ArrayText::parse(call.text(index), b',').map_err(|error| of_type(&error))
}

fn one_dimension(call: &Call<'_>, index: usize) -> SqlResult<ArrayText> {
    let array = parsed(call, index)?;
    if array.dimensions.len() > 1 {
        return Err(SqlError::unsupported("searching for elements in multidimensional arrays is not supported"));
    }
    Ok(array)
}

/// The elements of an array that is made one by one.
#[derive(Debug, Default)]
pub(super) struct Elements {
    all: Vec<Option<String>>,
    /// Bytes that they take.
    held: usize,
    pace: Pace,
}

impl Elements {
    pub(super) fn push(&mut self, element: Option<String>) -> SqlResult<()> {
        let bytes = size_of::<Option<String>>() + element.as_ref().map_or(0, String::len);
        self.held = self.held.saturating_add(bytes);
        self.pace.step(bytes)?;
        interrupt::reserve(self.held)?;
        self.all.push(element);
        Ok(())
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn finish(self) -> SqlResult<Datum> {
        flat(self.all)
    }
}

/// An array of one dimension.
pub(super) fn flat(elements: Vec<Option<String>>) -> SqlResult<Datum> {
    let length = i32::try_from(elements.len()).map_err(|_| invalid("array size exceeds the maximum allowed"))?;
    let dimensions = if elements.is_empty() { Vec::new() } else { vec![Dimension { lower: 1, length }] };
    written(&ArrayText { dimensions, elements })
}

fn written(array: &ArrayText) -> SqlResult<Datum> {
    let mut out = String::new();
    array.write_within(b',', &mut out).map_err(|error| of_type(&error))?;
    text(out)
}

fn dimension(call: &Call<'_>, of: fn(Dimension) -> i64) -> SqlResult<Datum> {
    let array = parsed(call, 0)?;
    let index = usize::try_from(call.int(1)).ok().and_then(|number| number.checked_sub(1));
    Ok(index.and_then(|index| array.dimensions.get(index)).map_or(Datum::Null, |d| Datum::Int(of(*d))))
}

/// Between which of the thresholds, which are in order, a value lies.
fn bucket(call: &Call<'_>) -> SqlResult<Datum> {
    let thresholds = parsed(call, 1)?;
    if thresholds.dimensions.len() > 1 {
        return Err(SqlError::new(SUBSCRIPT_ERROR, "thresholds must be one-dimensional array"));
    }
    if thresholds.elements.iter().any(Option::is_none) {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs"));
    }
    let thresholds = keys(&thresholds.elements, &element_type(call, 1)?)?;
    let value = key_at(call, 0)?;
    let (mut low, mut high) = (0, thresholds.len());
    while low < high {
        let middle = low.midpoint(high);
        if thresholds.get(middle).is_some_and(|threshold| value < *threshold) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    int(low)
}

fn element_type(call: &Call<'_>, index: usize) -> SqlResult<PgType> {
    call.types.get(index).and_then(PgType::element).ok_or_else(|| SqlError::internal("no array type"))
}

/// The text of a value, as it stands in an array.
fn printed(call: &Call<'_>, index: usize) -> SqlResult<Option<String>> {
    if call.is_null(index) {
        return Ok(None);
    }
    super::strings::shown(call, index).map(Some)
}

/// A value of a type from its text.
pub(super) fn datum(value: &str, data_type: &PgType) -> SqlResult<Datum> {
    use atoll_connector_api::types::oids;
    let number = || value.parse::<i64>().map_err(|_| SqlError::internal("an integer that is none"));
    Ok(match (&data_type.user, data_type.oid) {
        (None, oids::INT2 | oids::INT4 | oids::INT8) => Datum::Int(number()?),
        (None, oids::BOOL) => Datum::Bool(value == "t"),
        // The builder reads everything else from its text.
        _ => Datum::Text(value.to_owned()),
    })
}

type Key = Option<Vec<u8>>;

fn keys(elements: &[Option<String>], data_type: &PgType) -> SqlResult<Vec<Key>> {
    if key::comparison(data_type) == key::Comparison::None {
        let shown = data_type.sql_name();
        return Err(SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("could not identify an equality operator for type {shown}"),
        ));
    }
    let texts: StringViewArray = elements.iter().map(Option::as_deref).collect();
    let plain = PgType::new(atoll_connector_api::types::oids::TEXT);
    let typed = cast::cast(&texts, &plain, data_type, &atoll_connector_api::types::text::OutputStyle::default())
        .map_err(|error| of_type(&error))?;
    let keys: ArrayRef = key::keys(typed.as_ref(), data_type).map_err(|error| of_type(&error))?;
    let keys = keys.as_binary::<i32>();
    Ok((0..keys.len()).map(|row| keys.is_valid(row).then(|| keys.value(row).to_vec())).collect())
}

fn keys_of(call: &Call<'_>, index: usize, element: &PgType) -> SqlResult<Vec<Key>> {
    keys(&parsed(call, index)?.elements, element)
}

fn key_at(call: &Call<'_>, index: usize) -> SqlResult<Key> {
    let value = printed(call, index)?;
    let data_type = call.types.get(index).cloned().unwrap_or(PgType::new(atoll_connector_api::types::oids::TEXT));
    Ok(keys(&[value], &data_type)?.pop().flatten())
}

fn extended(call: &Call<'_>, array: usize, value: usize, front: bool) -> SqlResult<Datum> {
    let mut parsed_array = if call.is_null(array) { ArrayText::default() } else { parsed(call, array)? };
    if parsed_array.dimensions.len() > 1 {
        return Err(SqlError::new(SqlState(*b"22000"), "argument must be empty or one-dimensional array"));
    }
    let value = printed(call, value)?;
    let lower = parsed_array.dimensions.first().map_or(1, |d| d.lower);
    if front {
        parsed_array.elements.insert(0, value);
    } else {
        parsed_array.elements.push(value);
    }
    let length = i32::try_from(parsed_array.elements.len()).map_err(|_| invalid("array size exceeds the maximum"))?;
    parsed_array.dimensions = vec![Dimension { lower, length }];
    written(&parsed_array)
}

fn concatenated(call: &Call<'_>) -> SqlResult<Datum> {
    if call.is_null(0) || call.is_null(1) {
        return Ok(call.args.iter().find(|value| **value != Datum::Null).cloned().unwrap_or(Datum::Null));
    }
    let (mut left, right) = (parsed(call, 0)?, parsed(call, 1)?);
    if left.dimensions.is_empty() || right.dimensions.is_empty() {
        return written(if left.dimensions.is_empty() { &right } else { &left });
    }
    let mismatch = || SqlError::new(SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
    let grown = |dimension: &mut Dimension, by: i32| -> SqlResult<()> {
        dimension.length = dimension.length.checked_add(by).ok_or_else(mismatch)?;
        Ok(())
    };
    let inner = |array: &ArrayText| array.dimensions.iter().skip(1).map(|d| d.length).collect::<Vec<_>>();
    let outer = |array: &ArrayText| array.dimensions.iter().map(|d| d.length).collect::<Vec<_>>();
    let dimensions = if left.dimensions.len() == right.dimensions.len() && inner(&left) == inner(&right) {
        let mut dimensions = left.dimensions.clone();
        if let (Some(first), Some(other)) = (dimensions.first_mut(), right.dimensions.first()) {
            grown(first, other.length)?;
        }
        dimensions
    } else if left.dimensions.len() == right.dimensions.len() + 1 && inner(&left) == outer(&right) {
        let mut dimensions = left.dimensions.clone();
        if let Some(first) = dimensions.first_mut() {
            grown(first, 1)?;
        }
        dimensions
    } else if left.dimensions.len() + 1 == right.dimensions.len() && outer(&left) == inner(&right) {
        let mut dimensions = right.dimensions.clone();
        if let Some(first) = dimensions.first_mut() {
            grown(first, 1)?;
        }
        dimensions
    } else {
        return Err(mismatch());
    };
    left.elements.extend(right.elements);
    written(&ArrayText { dimensions, elements: left.elements })
}

fn position(call: &Call<'_>, from: i64) -> SqlResult<Datum> {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let array = one_dimension(call, 0)?;
    let wanted = key_at(call, 1)?;
    let lower = array.dimensions.first().map_or(1, |d| i64::from(d.lower));
    let keys = keys(&array.elements, &element_type(call, 0)?)?;
    let found = keys.iter().zip(lower..).find(|(key, at)| *at >= from && **key == wanted);
    Ok(found.map_or(Datum::Null, |(_, at)| Datum::Int(at)))
}

fn joined(call: &Call<'_>, null: Option<&str>) -> SqlResult<Datum> {
    let array = parsed(call, 0)?;
    let mut pace = Pace::default();
    let mut out: Option<String> = None;
    for part in array.elements.iter().filter_map(|value| value.as_deref().or(null)) {
        pace.step(1 + part.len() + call.text(1).len())?;
        out = Some(match out {
            None => part.to_owned(),
            Some(mut before) => {
                call.reserve(before.len() + call.text(1).len() + part.len())?;
                before.push_str(call.text(1));
                before + part
            }
        });
    }
    text(out.unwrap_or_default())
}

fn contains(call: &Call<'_>, whole: usize, part: usize) -> SqlResult<Datum> {
    let element = element_type(call, whole)?;
    let (whole, part) = (keys_of(call, whole, &element)?, keys_of(call, part, &element)?);
    // NULL is in no array.
    let whole: HashSet<Key> = whole.into_iter().collect();
    Ok(Datum::Bool(part.iter().all(|key| key.is_some() && whole.contains(key))))
}

fn constructed(call: &Call<'_>) -> SqlResult<Datum> {
    let nested = call.types.first().is_some_and(PgType::is_array);
    if !nested {
        let elements = (0..call.args.len()).map(|index| printed(call, index)).collect::<SqlResult<Vec<_>>>()?;
        return flat(elements);
    }
    let mismatch = || {
        SqlError::new(SUBSCRIPT_ERROR, "multidimensional arrays must have array expressions with matching dimensions")
    };
    let mut dimensions: Option<Vec<Dimension>> = None;
    let mut elements = Vec::new();
    for index in 0..call.args.len() {
        let array = if call.is_null(index) { ArrayText::default() } else { parsed(call, index)? };
        let lengths = |dimensions: &[Dimension]| dimensions.iter().map(|d| d.length).collect::<Vec<_>>();
        match &dimensions {
            None => dimensions = Some(array.dimensions),
            Some(first) if lengths(first) == lengths(&array.dimensions) => {}
            Some(_) => return Err(mismatch()),
        }
        elements.extend(array.elements);
    }
    let inner = dimensions.unwrap_or_default();
    if inner.is_empty() {
        return flat(Vec::new());
    }
    let length = i32::try_from(call.args.len()).map_err(|_| mismatch())?;
    let inner = inner.into_iter().map(|d| Dimension { lower: 1, ..d });
    let dimensions = std::iter::once(Dimension { lower: 1, length }).chain(inner).collect();
    written(&ArrayText { dimensions, elements })
}

fn slice(call: &Call<'_>) -> SqlResult<Datum> {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let array = parsed(call, 0)?;
    let mut kept = Vec::with_capacity(array.dimensions.len());
    let bounds = (1..call.args.len()).step_by(4);
    if bounds
        .clone()
        .any(|at| (call.int(at + 2) == 1 && call.is_null(at)) || (call.int(at + 3) == 1 && call.is_null(at + 1)))
    {
        return Ok(Datum::Null);
    }
    if bounds.len() > array.dimensions.len() {
        return flat(Vec::new());
    }
    for (index, d) in array.dimensions.iter().enumerate() {
        let at = 1 + index * 4;
        let (first, last) = (i64::from(d.lower), upper(*d));
        let from = if call.int(at + 2) == 1 { call.int(at).max(first) } else { first };
        let to = if call.int(at + 3) == 1 { call.int(at + 1).min(last) } else { last };
        if from > to {
            return flat(Vec::new());
        }
        let place = |subscript: i64| usize::try_from(subscript - first).unwrap_or(0);
        kept.push((usize::try_from(d.length).unwrap_or(0), place(from), place(to)));
    }
    let inside = |index: usize| {
        let mut rest = index;
        kept.iter().rev().all(|(length, from, to)| {
            let place = rest % length.max(&1);
            rest /= length.max(&1);
            (*from..=*to).contains(&place)
        })
    };
    let elements: Vec<Option<String>> =
        array.elements.into_iter().enumerate().filter(|(index, _)| inside(*index)).map(|(_, value)| value).collect();
    let dimensions = kept.iter().map(|(_, from, to)| {
        let length = i32::try_from(to - from + 1).unwrap_or(i32::MAX);
        Dimension { lower: 1, length }
    });
    written(&ArrayText { dimensions: dimensions.collect(), elements })
}
