//! Set-returning functions, as functions that return the array of their rows.
//!
//! `FROM f(x) AS t(c)` becomes `unnest` of that array; what has several columns gives one array for each.

use atoll_connector_api::types::{Arithmetic, Numeric, PgType, oids};

use super::arrays::Elements;
use super::node::{Node, Shape};
use super::strings::string_to_array;
use super::{
    BOOL, Call, Datum, Function, INT4, INT8, JSON, JSONB, Kind, NUMERIC, TEXT, invalid, lenient, of_type, strict,
};
use crate::error::{SqlError, SqlResult};
use crate::federation::semantics::datetime::series_texts;
use crate::wire::sqlstate;

/// The function that counts from one value to another.
pub(in crate::federation::semantics) const SERIES: &str = "series";
/// The function whose elements are arrays.
pub(in crate::federation::semantics) const MATCHES: &str = "regexp_matches";

/// `json[]` and `jsonb[]`.
const JSONS: Kind = Kind::Of(199);
const JSONBS: Kind = Kind::Of(3807);
const TEXTS: Kind = Kind::Of(oids::TEXT_ARRAY);
const NUMERICS: Kind = Kind::Of(1231);
const TIMESTAMP: Kind = Kind::Of(oids::TIMESTAMP);
const TIMESTAMPTZ: Kind = Kind::Of(oids::TIMESTAMPTZ);
const INTERVAL: Kind = Kind::Of(oids::INTERVAL);

pub(super) const FUNCTIONS: &[Function] = &[
    strict("json_array_elements", &[JSON], JSONS, |call| elements(call, "json_array_elements", false)),
    strict("jsonb_array_elements", &[JSONB], JSONBS, |call| elements(call, "jsonb_array_elements", false)),
    strict("json_array_elements_text", &[JSON], TEXTS, |call| elements(call, "json_array_elements_text", true)),
    strict("jsonb_array_elements_text", &[JSONB], TEXTS, |call| elements(call, "jsonb_array_elements_text", true)),
    strict("json_object_keys", &[JSON], TEXTS, |call| keys(call, "json_object_keys")),
    strict("jsonb_object_keys", &[JSONB], TEXTS, |call| keys(call, "jsonb_object_keys")),
    strict("json_each_key", &[JSON], TEXTS, |call| keys(call, "json_each")),
    strict("jsonb_each_key", &[JSONB], TEXTS, |call| keys(call, "jsonb_each")),
    strict("jsonb_each_text_key", &[JSONB], TEXTS, |call| keys(call, "jsonb_each_text")),
    strict("json_each_value", &[JSON], JSONS, |call| values(call, "json_each", false)),
    strict("jsonb_each_value", &[JSONB], JSONBS, |call| values(call, "jsonb_each", false)),
    strict("json_each_text_value", &[JSON], TEXTS, |call| values(call, "json_each_text", true)),
    strict("jsonb_each_text_value", &[JSONB], TEXTS, |call| values(call, "jsonb_each_text", true)),
    lenient("string_to_table", &[TEXT, TEXT], TEXTS, |call| string_to_array(call, None)),
    lenient("string_to_table", &[TEXT, TEXT, TEXT], TEXTS, |call| {
        string_to_array(call, if call.is_null(2) { None } else { Some(call.text(2)) })
    }),
    strict(SERIES, &[INT4, INT4], Kind::Of(oids::INT4_ARRAY), |call| series(call, 1)),
    strict(SERIES, &[INT4, INT4, INT4], Kind::Of(oids::INT4_ARRAY), |call| series(call, call.int(2))),
    strict(SERIES, &[INT8, INT8], Kind::Of(1016), |call| series(call, 1)),
    strict(SERIES, &[INT8, INT8, INT8], Kind::Of(1016), |call| series(call, call.int(2))),
    strict(SERIES, &[NUMERIC, NUMERIC], NUMERICS, |call| numeric_series(call, &one()?)),
    strict(SERIES, &[NUMERIC, NUMERIC, NUMERIC], NUMERICS, |call| numeric_series(call, &call.numeric(2))),
    strict(SERIES, &[TIMESTAMP, TIMESTAMP, INTERVAL], Kind::Of(1115), |call| moments(call, oids::TIMESTAMP)),
    strict(SERIES, &[TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL], Kind::Of(1185), |call| moments(call, oids::TIMESTAMPTZ)),
    strict(MATCHES, &[TEXT, TEXT], TEXTS, |call| super::regex::all_matched(call, "")),
    strict(MATCHES, &[TEXT, TEXT, TEXT], TEXTS, |call| super::regex::all_matched(call, call.text(2))),
    strict("generate_subscripts", &[Kind::Array, INT4], Kind::Of(oids::INT4_ARRAY), |call| subscripts(call, false)),
    strict("generate_subscripts", &[Kind::Array, INT4, BOOL], Kind::Of(oids::INT4_ARRAY), |call| {
        subscripts(call, call.bool(2))
    }),
];

fn subscripts(call: &Call<'_>, reverse: bool) -> SqlResult<Datum> {
    let array = super::arrays::parsed(call, 0)?;
    let index = usize::try_from(call.int(1)).ok().and_then(|number| number.checked_sub(1));
    let Some(d) = index.and_then(|index| array.dimensions.get(index)) else {
        return super::arrays::flat(Vec::new());
    };
    let mut subscripts = Elements::default();
    for offset in 0..d.length {
        let offset = if reverse { d.length - 1 - offset } else { offset };
        subscripts.push(Some((d.lower + offset).to_string()))?;
    }
    subscripts.finish()
}

/// The columns of a set-returning function in FROM: for each the function of its array and its name.
pub(in crate::federation::semantics) fn series_of(name: &str) -> Option<Vec<(&'static str, &'static str)>> {
    Some(match name {
        "json_array_elements" => vec![("json_array_elements", "value")],
        "jsonb_array_elements" => vec![("jsonb_array_elements", "value")],
        "json_array_elements_text" => vec![("json_array_elements_text", "value")],
        "jsonb_array_elements_text" => vec![("jsonb_array_elements_text", "value")],
        "json_object_keys" => vec![("json_object_keys", "json_object_keys")],
        "jsonb_object_keys" => vec![("jsonb_object_keys", "jsonb_object_keys")],
        "json_each" => vec![("json_each_key", "key"), ("json_each_value", "value")],
        "jsonb_each" => vec![("jsonb_each_key", "key"), ("jsonb_each_value", "value")],
        "json_each_text" => vec![("json_each_key", "key"), ("json_each_text_value", "value")],
        "jsonb_each_text" => vec![("jsonb_each_text_key", "key"), ("jsonb_each_text_value", "value")],
        "string_to_table" => vec![("string_to_table", "string_to_table")],
        "regexp_split_to_table" => vec![("regexp_split_to_array", "regexp_split_to_table")],
        "generate_subscripts" => vec![("generate_subscripts", "generate_subscripts")],
        MATCHES => vec![(MATCHES, MATCHES)],
        _ => return None,
    })
}

/// Rows of one series that is built in memory.
const SERIES_MAX: usize = 10_000_000;

fn series(call: &super::Call<'_>, step: i64) -> SqlResult<super::Datum> {
    if step == 0 {
        return Err(invalid("step size cannot equal zero"));
    }
    let (mut at, end) = (call.int(0), call.int(1));
    let mut numbers = Elements::default();
    while if step > 0 { at <= end } else { at >= end } {
        check_length(numbers.len())?;
        numbers.push(Some(at.to_string()))?;
        match at.checked_add(step) {
            Some(next) => at = next,
            None => break,
        }
    }
    numbers.finish()
}

fn check_length(rows: usize) -> SqlResult<()> {
    if rows < SERIES_MAX {
        return crate::interrupt::check();
    }
    let message = format!("a series of more than {SERIES_MAX} rows is not supported here");
    Err(SqlError::unsupported(message).hint("Use it in FROM, with constants."))
}

fn one() -> SqlResult<Numeric> {
    Numeric::parse("1").map_err(|error| of_type(&error))
}

fn numeric_series(call: &super::Call<'_>, step: &Numeric) -> SqlResult<super::Datum> {
    let (mut at, end) = (call.numeric(0), call.numeric(1));
    for (value, name) in [(&at, "start value"), (&end, "stop value"), (step, "step size")] {
        match value {
            Numeric::NaN => return Err(invalid(format!("{name} cannot be NaN"))),
            Numeric::Infinity | Numeric::MinusInfinity => {
                return Err(invalid(format!("{name} cannot be infinity")));
            }
            Numeric::Finite(_) => {}
        }
    }
    let direction = step.compare(&Numeric::parse("0").map_err(|error| of_type(&error))?);
    if direction.is_eq() {
        return Err(invalid("step size cannot equal zero"));
    }
    let mut numbers = Elements::default();
    while at.compare(&end) != direction {
        check_length(numbers.len())?;
        let mut text = String::new();
        at.write(&mut text);
        numbers.push(Some(text))?;
        at = at.compute(Arithmetic::Add, step).map_err(|error| of_type(&error))?;
    }
    numbers.finish()
}

fn moments(call: &super::Call<'_>, oid: u32) -> SqlResult<super::Datum> {
    let texts = series_texts([call.text(0), call.text(1), call.text(2)], &PgType::new(oid), call.style, check_length)
        .map_err(|error| sqlstate::sql_error(&error))?;
    super::arrays::flat(texts.into_iter().map(Some).collect())
}

fn elements(call: &super::Call<'_>, name: &str, as_text: bool) -> SqlResult<super::Datum> {
    match Node::parse(call.text(0))?.shape {
        Shape::Array(values) => listed(&values, as_text),
        Shape::Object(_) if name.starts_with("jsonb") => Err(invalid("cannot extract elements from an object")),
        Shape::Object(_) => Err(invalid(format!("cannot call {name} on a non-array"))),
        _ if name.starts_with("jsonb") => Err(invalid("cannot extract elements from a scalar")),
        _ => Err(invalid(format!("cannot call {name} on a scalar"))),
    }
}

fn keys(call: &super::Call<'_>, name: &str) -> SqlResult<super::Datum> {
    let node = Node::parse(call.text(0))?;
    let mut keys = Elements::default();
    node.members(name)?.iter().try_for_each(|(key, _)| keys.push(Some(key.clone())))?;
    keys.finish()
}

fn values(call: &super::Call<'_>, name: &str, as_text: bool) -> SqlResult<super::Datum> {
    debug_assert!(PgType::new(3807).is_array());
    let node = Node::parse(call.text(0))?;
    listed(node.members(name)?.iter().map(|(_, value)| value), as_text)
}

fn listed<'n, 'a: 'n>(values: impl IntoIterator<Item = &'n Node<'a>>, as_text: bool) -> SqlResult<super::Datum> {
    let mut list = Elements::default();
    for value in values {
        list.push(if as_text { value.as_text() } else { Some(value.raw.to_owned()) })?;
    }
    list.finish()
}
