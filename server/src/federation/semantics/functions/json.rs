//! Functions and operators of `json` and `jsonb`.

use std::fmt::Write;

use atoll_connector_api::types::{ArrayText, PgType, cast, oids};

use super::lenient;
use super::node::{Node, Shape, quoted};
use super::{
    BOOL, Call, Datum, Function, INT4, JSON, JSONB, Kind, TEXT, TEXTS, invalid, of_type, optional, strict, text,
    variadic,
};
use crate::error::{SqlError, SqlResult, SqlState};

pub(super) const FUNCTIONS: &[Function] = &[
    strict("json_get", &[JSON, TEXT], JSON, get_raw),
    strict("json_get", &[JSON, INT4], JSON, get_raw),
    strict("json_get", &[JSONB, TEXT], JSONB, get_raw),
    strict("json_get", &[JSONB, INT4], JSONB, get_raw),
    strict("json_get_text", &[JSON, TEXT], TEXT, get_text),
    strict("json_get_text", &[JSON, INT4], TEXT, get_text),
    strict("json_get_text", &[JSONB, TEXT], TEXT, get_text),
    strict("json_get_text", &[JSONB, INT4], TEXT, get_text),
    strict("json_path", &[JSON, TEXTS], JSON, |call| at_path(call, &path(call, 1)?, false)),
    strict("json_path", &[JSONB, TEXTS], JSONB, |call| at_path(call, &path(call, 1)?, false)),
    strict("json_path_text", &[JSON, TEXTS], TEXT, |call| at_path(call, &path(call, 1)?, true)),
    strict("json_path_text", &[JSONB, TEXTS], TEXT, |call| at_path(call, &path(call, 1)?, true)),
    variadic("json_extract_path", &[JSON, TEXT], JSON, |call| along(call, false)),
    variadic("jsonb_extract_path", &[JSONB, TEXT], JSONB, |call| along(call, false)),
    variadic("json_extract_path_text", &[JSON, TEXT], TEXT, |call| along(call, true)),
    variadic("jsonb_extract_path_text", &[JSONB, TEXT], TEXT, |call| along(call, true)),
    strict("jsonb_contains", &[JSONB, JSONB], BOOL, |call| {
        Ok(Datum::Bool(contains(&Node::parse(call.text(0))?, &Node::parse(call.text(1))?, true)?))
    }),
    strict("jsonb_contained", &[JSONB, JSONB], BOOL, |call| {
        Ok(Datum::Bool(contains(&Node::parse(call.text(1))?, &Node::parse(call.text(0))?, true)?))
    }),
    strict("jsonb_exists", &[JSONB, TEXT], BOOL, |call| {
        Ok(Datum::Bool(exists(&Node::parse(call.text(0))?, call.text(1))))
    }),
    strict("jsonb_exists_any", &[JSONB, TEXTS], BOOL, |call| {
        let node = Node::parse(call.text(0))?;
        Ok(Datum::Bool(path(call, 1)?.iter().flatten().any(|name| exists(&node, name))))
    }),
    strict("jsonb_exists_all", &[JSONB, TEXTS], BOOL, |call| {
        let node = Node::parse(call.text(0))?;
        Ok(Datum::Bool(path(call, 1)?.iter().flatten().all(|name| exists(&node, name))))
    }),
    strict("jsonb_concat", &[JSONB, JSONB], JSONB, concatenated),
    strict("jsonb_delete", &[JSONB, TEXT], JSONB, |call| without(call, &[call.text(1).to_owned()])),
    strict("jsonb_delete", &[JSONB, TEXTS], JSONB, |call| {
        without(call, &path(call, 1)?.into_iter().flatten().collect::<Vec<_>>())
    }),
    strict("jsonb_delete", &[JSONB, INT4], JSONB, without_index),
    strict("jsonb_delete_path", &[JSONB, TEXTS], JSONB, |call| {
        let steps: Vec<String> = path(call, 1)?.into_iter().flatten().collect();
        normal(&changed(&Node::parse(call.text(0))?, &steps, &Change::Delete)?)
    }),
    strict("json_typeof", &[JSON], TEXT, |call| text(Node::parse(call.text(0))?.type_name())),
    strict("jsonb_typeof", &[JSONB], TEXT, |call| text(Node::parse(call.text(0))?.type_name())),
    strict("json_array_length", &[JSON], INT4, array_length),
    strict("jsonb_array_length", &[JSONB], INT4, array_length),
    variadic("json_build_object", &[Kind::Any], JSON, |call| object(call, " : ", ", ").and_then(text)),
    variadic("jsonb_build_object", &[Kind::Any], JSONB, |call| normal(&object(call, ": ", ", ")?)),
    strict("json_object", &[TEXTS], JSON, |call| text(of_pairs(call)?)),
    strict("jsonb_object", &[TEXTS], JSONB, |call| normal(&of_pairs(call)?)),
    strict("json_object", &[TEXTS, TEXTS], JSON, |call| text(of_lists(call)?)),
    strict("jsonb_object", &[TEXTS, TEXTS], JSONB, |call| normal(&of_lists(call)?)),
    // `value['name'][1]`
    variadic("array_subscript", &[JSONB, Kind::Any], JSONB, subscripted),
    variadic("record_json", &[Kind::Any], JSON, |call| object(call, ":", ",").and_then(text)),
    variadic("json_build_array", &[Kind::Any], JSON, |call| array(call).and_then(text)),
    variadic("jsonb_build_array", &[Kind::Any], JSONB, |call| normal(&array(call)?)),
    strict("to_json", &[Kind::Any], JSON, |call| argument(call, 0).and_then(text)),
    strict("to_jsonb", &[Kind::Any], JSONB, |call| normal(&argument(call, 0)?)),
    // For its name alone: what it is made of is seen to before it is planned.
    strict("row_to_json", &[Kind::Any], JSON, |_| {
        Err(SqlError::unsupported("row_to_json of anything but the name of a FROM item is not supported"))
    }),
    strict("array_to_json", &[Kind::Array], JSON, |call| argument(call, 0).and_then(text)),
    super::lenient("json_item", &[Kind::Any], TEXT, |call| argument(call, 0).and_then(text)),
    super::lenient("json_member", &[Kind::Any, Kind::Any], TEXT, |call| {
        if call.is_null(0) {
            return Err(invalid("field name must not be null"));
        }
        text(format!("{} : {}", quoted(&super::strings::shown(call, 0)?), argument(call, 1)?))
    }),
    strict("json_items", &[TEXTS], JSON, |call| text(format!("[{}]", items(call)?))),
    strict("jsonb_items", &[TEXTS], JSONB, |call| normal(&format!("[{}]", items(call)?))),
    strict("json_members", &[TEXTS], JSON, |call| text(format!("{{ {} }}", items(call)?))),
    strict("jsonb_members", &[TEXTS], JSONB, |call| normal(&format!("{{{}}}", items(call)?))),
    strict("jsonb_pretty", &[JSONB], TEXT, |call| {
        let mut out = String::new();
        pretty(&Node::parse(call.text(0))?, 0, &mut out);
        text(out)
    }),
    strict("jsonb_set", &[JSONB, TEXTS, JSONB], JSONB, |call| set(call, true)),
    strict("jsonb_set", &[JSONB, TEXTS, JSONB, BOOL], JSONB, |call| set(call, call.bool(3))),
    lenient("jsonb_set_lax", &[JSONB, TEXTS, JSONB], JSONB, |call| set_lax(call, true, "use_json_null")),
    lenient("jsonb_set_lax", &[JSONB, TEXTS, JSONB, BOOL], JSONB, |call| set_lax(call, call.bool(3), "use_json_null")),
    lenient("jsonb_set_lax", &[JSONB, TEXTS, JSONB, BOOL, TEXT], JSONB, |call| {
        set_lax(call, call.bool(3), if call.is_null(4) { "" } else { call.text(4) })
    }),
    strict("jsonb_insert", &[JSONB, TEXTS, JSONB], JSONB, |call| insert(call, false)),
    strict("jsonb_insert", &[JSONB, TEXTS, JSONB, BOOL], JSONB, |call| insert(call, call.bool(3))),
    strict("json_strip_nulls", &[JSON], JSON, |call| text(stripped(&Node::parse(call.text(0))?))),
    strict("jsonb_strip_nulls", &[JSONB], JSONB, |call| normal(&stripped(&Node::parse(call.text(0))?))),
];

/// `jsonb`'s normal form.
pub(super) fn normal(json: &str) -> SqlResult<Datum> {
    cast::jsonb(json).map(Datum::Text).map_err(|error| of_type(&error))
}

fn found<'n, 'a>(call: &Call<'_>, node: &'n Node<'a>) -> Option<&'n Node<'a>> {
    match call.args.get(1) {
        // A scalar of jsonb is an array of itself.
        Some(Datum::Int(0 | -1))
            if node.is_scalar() && call.types.first().is_some_and(|own| own.oid == oids::JSONB) =>
        {
            Some(node)
        }
        Some(Datum::Int(index)) => node.element(*index),
        _ => node.member(call.text(1)),
    }
}

fn get_raw(call: &Call<'_>) -> SqlResult<Datum> {
    let node = Node::parse(call.text(0))?;
    optional(found(call, &node).map(|node| node.raw.to_owned()))
}

fn get_text(call: &Call<'_>) -> SqlResult<Datum> {
    let node = Node::parse(call.text(0))?;
    optional(found(call, &node).and_then(Node::as_text))
}

fn subscripted(call: &Call<'_>) -> SqlResult<Datum> {
    let mut steps = Vec::with_capacity(call.args.len());
    for (index, data_type) in call.types.iter().enumerate().skip(1) {
        steps.push(match call.args.get(index) {
            None | Some(Datum::Null) => return Ok(Datum::Null),
            Some(Datum::Int(number)) if matches!(data_type.oid, oids::INT2 | oids::INT4) => Some(number.to_string()),
            Some(Datum::Text(step)) if matches!(data_type.oid, oids::TEXT | oids::VARCHAR | oids::UNKNOWN) => {
                Some(step.clone())
            }
            _ => {
                let message = format!("subscript type {} is not supported", data_type.sql_name());
                return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message));
            }
        });
    }
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    at_path(call, &steps, false)
}

/// `json_object('{a,1,b,2}')` or `'{{a,1},{b,2}}'`.
fn of_pairs(call: &Call<'_>) -> SqlResult<String> {
    let array = ArrayText::parse(call.text(0), b',').map_err(|error| of_type(&error))?;
    let wrong = |message: &str| Err(SqlError::new(SqlState(*b"2202E"), message));
    match array.dimensions.as_slice() {
        [] => return Ok("{}".to_owned()),
        [_] if array.elements.len() % 2 != 0 => return wrong("array must have even number of elements"),
        [_] => {}
        [_, columns] if columns.length != 2 => return wrong("array must have two columns"),
        [_, _] => {}
        _ => return wrong("wrong number of array subscripts"),
    }
    let pairs = array.elements.chunks(2).map(|pair| (pair.first().cloned().flatten(), pair.get(1).cloned().flatten()));
    members(pairs)
}

/// `json_object('{a,b}', '{1,2}')`.
fn of_lists(call: &Call<'_>) -> SqlResult<String> {
    let read = |index: usize| ArrayText::parse(call.text(index), b',').map_err(|error| of_type(&error));
    let (names, values) = (read(0)?, read(1)?);
    let wrong = |message: &str| Err(SqlError::new(SqlState(*b"2202E"), message));
    if names.dimensions.len() > 1 || values.dimensions.len() > 1 {
        return wrong("wrong number of array subscripts");
    }
    if names.elements.len() != values.elements.len() {
        return wrong("mismatched array dimensions");
    }
    members(names.elements.into_iter().zip(values.elements))
}

fn members(pairs: impl Iterator<Item = (Option<String>, Option<String>)>) -> SqlResult<String> {
    let mut all = Vec::new();
    for (name, value) in pairs {
        let name = name
            .ok_or_else(|| SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "null value not allowed for object key"))?;
        let value = value.map_or_else(|| "null".to_owned(), |value| quoted(&value));
        all.push(format!("{} : {value}", quoted(&name)));
    }
    Ok(format!("{{{}}}", all.join(", ")))
}

fn path(call: &Call<'_>, index: usize) -> SqlResult<Vec<Option<String>>> {
    Ok(ArrayText::parse(call.text(index), b',').map_err(|error| of_type(&error))?.elements)
}

fn at_path(call: &Call<'_>, path: &[Option<String>], as_text: bool) -> SqlResult<Datum> {
    let root = Node::parse(call.text(0))?;
    let mut node = Some(&root);
    for step in path {
        let Some(step) = step else { return Ok(Datum::Null) };
        node = node.and_then(|node| node.step(step));
    }
    optional(node.and_then(|node| if as_text { node.as_text() } else { Some(node.raw.to_owned()) }))
}

fn along(call: &Call<'_>, as_text: bool) -> SqlResult<Datum> {
    if call.is_null(0) {
        return Ok(Datum::Null);
    }
    let steps: Vec<Option<String>> =
        (1..call.args.len()).map(|index| (!call.is_null(index)).then(|| call.text(index).to_owned())).collect();
    at_path(call, &steps, as_text)
}

fn same_scalar(left: &Node<'_>, right: &Node<'_>) -> bool {
    match (&left.shape, &right.shape) {
        (Shape::Number, Shape::Number) => {
            let number = |node: &Node<'_>| atoll_connector_api::types::Numeric::parse(node.raw).ok();
            match (number(left), number(right)) {
                (Some(left), Some(right)) => left.compare(&right).is_eq(),
                _ => false,
            }
        }
        (Shape::String(left), Shape::String(right)) => left == right,
        (Shape::Bool(left), Shape::Bool(right)) => left == right,
        (Shape::Null, Shape::Null) => true,
        _ => false,
    }
}

/// `@>`.
fn contains(whole: &Node<'_>, part: &Node<'_>, top: bool) -> SqlResult<bool> {
    Ok(match (&whole.shape, &part.shape) {
        (Shape::Object(_), Shape::Object(members)) => {
            for (name, value) in members {
                crate::interrupt::check()?;
                match whole.member(name) {
                    Some(found) if contains(found, value, false)? => {}
                    _ => return Ok(false),
                }
            }
            true
        }
        (Shape::Array(values), Shape::Array(parts)) => {
            for part in parts {
                let mut any = false;
                for value in values {
                    crate::interrupt::check()?;
                    any |= contains(value, part, false)?;
                }
                if !any {
                    return Ok(false);
                }
            }
            true
        }
        // An array may contain a primitive value, at the top only.
        (Shape::Array(values), Shape::Null | Shape::Bool(_) | Shape::Number | Shape::String(_)) if top => {
            values.iter().any(|value| same_scalar(value, part))
        }
        _ => same_scalar(whole, part),
    })
}

fn exists(node: &Node<'_>, name: &str) -> bool {
    match &node.shape {
        Shape::Object(members) => members.iter().any(|(key, _)| key == name),
        Shape::Array(values) => values.iter().any(|value| matches!(&value.shape, Shape::String(text) if text == name)),
        Shape::String(text) => text == name,
        _ => false,
    }
}

fn concatenated(call: &Call<'_>) -> SqlResult<Datum> {
    let (left, right) = (Node::parse(call.text(0))?, Node::parse(call.text(1))?);
    if let (Shape::Object(left), Shape::Object(right)) = (&left.shape, &right.shape) {
        let members: Vec<String> =
            left.iter().chain(right).map(|(name, value)| format!("{}: {}", quoted(name), value.raw)).collect();
        return normal(&format!("{{{}}}", members.join(", ")));
    }
    let part = |node: &Node<'_>| match &node.shape {
        Shape::Array(values) => values.iter().map(|value| value.raw.to_owned()).collect(),
        _ => vec![node.raw.to_owned()],
    };
    let all: Vec<String> = [part(&left), part(&right)].concat();
    normal(&format!("[{}]", all.join(", ")))
}

fn without(call: &Call<'_>, names: &[String]) -> SqlResult<Datum> {
    let node = Node::parse(call.text(0))?;
    match &node.shape {
        Shape::Object(members) => {
            let kept: Vec<String> = members
                .iter()
                .filter(|(name, _)| !names.contains(name))
                .map(|(name, value)| format!("{}: {}", quoted(name), value.raw))
                .collect();
            normal(&format!("{{{}}}", kept.join(", ")))
        }
        Shape::Array(values) => {
            let kept: Vec<&str> = values
                .iter()
                .filter(|value| !matches!(&value.shape, Shape::String(text) if names.contains(text)))
                .map(|value| value.raw)
                .collect();
            normal(&format!("[{}]", kept.join(", ")))
        }
        _ => Err(invalid("cannot delete from scalar")),
    }
}

fn without_index(call: &Call<'_>) -> SqlResult<Datum> {
    let node = Node::parse(call.text(0))?;
    match &node.shape {
        Shape::Array(values) => {
            let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
            let index = if call.int(1) < 0 { count + call.int(1) } else { call.int(1) };
            let kept: Vec<&str> =
                values.iter().zip(0_i64..).filter(|(_, at)| *at != index).map(|(value, _)| value.raw).collect();
            normal(&format!("[{}]", kept.join(", ")))
        }
        Shape::Object(_) => Err(invalid("cannot delete from object using integer index")),
        _ => Err(invalid("cannot delete from scalar")),
    }
}

fn array_length(call: &Call<'_>) -> SqlResult<Datum> {
    match Node::parse(call.text(0))?.shape {
        Shape::Array(values) => Ok(Datum::Int(i64::try_from(values.len()).unwrap_or(i64::MAX))),
        Shape::Object(_) => Err(invalid("cannot get array length of a non-array")),
        _ => Err(invalid("cannot get array length of a scalar")),
    }
}

/// An argument as JSON text.
fn argument(call: &Call<'_>, index: usize) -> SqlResult<String> {
    if call.is_null(index) {
        return Ok("null".to_owned());
    }
    let data_type = call.types.get(index).cloned().unwrap_or(PgType::new(oids::TEXT));
    let shown = super::strings::shown(call, index)?;
    to_json_text(&shown, &data_type)
}

/// A value's text as JSON.
pub(in crate::federation::semantics) fn to_json_text(shown: &str, data_type: &PgType) -> SqlResult<String> {
    if let Some(element) = data_type.element() {
        let array = ArrayText::parse(shown, b',').map_err(|error| of_type(&error))?;
        let mut elements = array.elements.iter();
        let mut out = String::new();
        nested(&array.dimensions.iter().map(|d| d.length).collect::<Vec<_>>(), &mut out, &mut |out| {
            match elements.next().and_then(Option::as_deref) {
                Some(value) => out.push_str(&to_json_text(value, &element)?),
                None => out.push_str("null"),
            }
            Ok(())
        })?;
        return Ok(out);
    }
    if data_type.user.is_some() {
        let is_string = data_type.is_collated() || data_type.is_citext();
        if data_type.is_composite() || (data_type.is_extension() && !is_string) {
            return Err(no_json(data_type));
        }
        return Ok(quoted(shown));
    }
    Ok(match data_type.oid {
        oids::RECORD => return Err(no_json(data_type)),
        oids::INT2VECTOR => format!("[{}]", shown.split_ascii_whitespace().collect::<Vec<_>>().join(",")),
        oids::OIDVECTOR => {
            let elements: Vec<String> = shown.split_ascii_whitespace().map(quoted).collect();
            format!("[{}]", elements.join(","))
        }
        oids::JSON | oids::JSONB => shown.to_owned(),
        oids::BOOL => (if shown == "t" || shown == "true" { "true" } else { "false" }).to_owned(),
        oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8 => {
            if shown.ends_with(['N', 'y']) { quoted(shown) } else { shown.to_owned() }
        }
        oids::TIMESTAMP | oids::TIMESTAMPTZ => {
            let (moment, era) = match shown.strip_suffix(" BC") {
                Some(moment) => (moment, " BC"),
                None => (shown, ""),
            };
            let mut moment = moment.replacen(' ', "T", 1);
            // JSON's zones have minutes.
            if data_type.oid == oids::TIMESTAMPTZ
                && moment.contains('T')
                && let Some(sign) = moment.rfind(['+', '-'])
                && moment.len() - sign == 3
            {
                moment.push_str(":00");
            }
            moment.push_str(era);
            quoted(&moment)
        }
        _ => quoted(shown),
    })
}

/// What becomes an object or an array in PostgreSQL, by casts and names that are not known here.
fn no_json(data_type: &PgType) -> SqlError {
    SqlError::unsupported(format!("a value of type {} as JSON is not supported", data_type.sql_name()))
}

fn nested(lengths: &[i32], out: &mut String, element: &mut dyn FnMut(&mut String) -> SqlResult<()>) -> SqlResult<()> {
    out.push('[');
    if let Some((first, rest)) = lengths.split_first() {
        for index in 0..*first {
            if index > 0 {
                out.push(',');
            }
            if rest.is_empty() { element(out)? } else { nested(rest, out, element)? }
        }
    }
    out.push(']');
    Ok(())
}

fn object(call: &Call<'_>, colon: &str, comma: &str) -> SqlResult<String> {
    if !call.args.len().is_multiple_of(2) {
        let name = if colon == " : " { "json" } else { "jsonb" };
        let hint = format!("The arguments of {name}_build_object() must consist of alternating keys and values.");
        return Err(invalid("argument list must have even number of elements").hint(hint));
    }
    let mut members = Vec::with_capacity(call.args.len() / 2);
    let mut held = 0;
    for index in (0..call.args.len()).step_by(2) {
        if call.is_null(index) {
            let number = index + 1;
            return Err(if colon == " : " {
                invalid(format!("argument {number} cannot be null")).hint("Object keys should be text.")
            } else {
                invalid(format!("argument {number}: key must not be null"))
            });
        }
        crate::interrupt::check()?;
        let name = super::strings::shown(call, index)?;
        let member = format!("{}{colon}{}", quoted(&name), argument(call, index + 1)?);
        held += member.len() + comma.len();
        call.reserve(held)?;
        members.push(member);
    }
    Ok(format!("{{{}}}", members.join(comma)))
}

fn array(call: &Call<'_>) -> SqlResult<String> {
    let mut values = Vec::with_capacity(call.args.len());
    let mut held = 0;
    for index in 0..call.args.len() {
        crate::interrupt::check()?;
        let value = argument(call, index)?;
        held += value.len() + 2;
        call.reserve(held)?;
        values.push(value);
    }
    Ok(format!("[{}]", values.join(", ")))
}

/// What an aggregate collected: JSON texts, with a comma between.
fn items(call: &Call<'_>) -> SqlResult<String> {
    let values: Vec<String> = path(call, 0)?.into_iter().flatten().collect();
    call.reserve(values.iter().map(|value| value.len() + 2).sum())?;
    Ok(values.join(", "))
}

fn pretty(node: &Node<'_>, depth: usize, out: &mut String) {
    let indent = |depth: usize| "    ".repeat(depth);
    match &node.shape {
        Shape::Array(values) => {
            out.push_str("[\n");
            for (index, value) in values.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                out.push_str(&indent(depth + 1));
                pretty(value, depth + 1, out);
            }
            let _ = write!(out, "{}{}]", if values.is_empty() { "" } else { "\n" }, indent(depth));
        }
        Shape::Object(members) => {
            out.push_str("{\n");
            for (index, (name, value)) in members.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "" });
                let _ = write!(out, "{}{}: ", indent(depth + 1), quoted(name));
                pretty(value, depth + 1, out);
            }
            let _ = write!(out, "{}{}}}", if members.is_empty() { "" } else { "\n" }, indent(depth));
        }
        _ => out.push_str(node.raw),
    }
}

/// What happens at the end of a path.
enum Change<'v> {
    Delete,
    Set { value: &'v str, create: bool },
    Insert { value: &'v str, after: bool },
}

fn set(call: &Call<'_>, create: bool) -> SqlResult<Datum> {
    change(call, &Change::Set { value: call.text(2), create })
}

/// `jsonb_set` that is told what a NULL does.
fn set_lax(call: &Call<'_>, create: bool, treatment: &str) -> SqlResult<Datum> {
    if call.is_null(0) || call.is_null(1) || (call.args.len() > 3 && call.is_null(3)) {
        return Ok(Datum::Null);
    }
    if !call.is_null(2) {
        return set(call, create);
    }
    match treatment {
        "raise_exception" => {
            let message = "JSON value must not be null";
            Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message)
                .detail("Exception was raised because null_value_treatment is \"raise_exception\".")
                .hint("To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed."))
        }
        "use_json_null" => change(call, &Change::Set { value: "null", create }),
        "return_target" => text(call.text(0)),
        "delete_key" => change(call, &Change::Delete),
        _ => Err(invalid(
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"",
        )),
    }
}

fn insert(call: &Call<'_>, after: bool) -> SqlResult<Datum> {
    change(call, &Change::Insert { value: call.text(2), after })
}

fn change(call: &Call<'_>, change: &Change<'_>) -> SqlResult<Datum> {
    let node = Node::parse(call.text(0))?;
    if !matches!(node.shape, Shape::Array(_) | Shape::Object(_)) {
        return Err(invalid("cannot set path in scalar"));
    }
    let steps: Vec<Option<String>> = path(call, 1)?;
    let mut names = Vec::with_capacity(steps.len());
    for (index, step) in steps.into_iter().enumerate() {
        names.push(step.ok_or_else(|| {
            SqlError::new(SqlState(*b"22004"), format!("path element at position {} is null", index + 1))
        })?);
    }
    if names.is_empty() {
        return Ok(Datum::Text(call.text(0).to_owned()));
    }
    normal(&changed(&node, &names, change)?)
}

/// The JSON text of a value with something else at a path.
fn changed(node: &Node<'_>, steps: &[String], change: &Change<'_>) -> SqlResult<String> {
    let Some((step, rest)) = steps.split_first() else { return Ok(node.raw.to_owned()) };
    let last = rest.is_empty();
    match &node.shape {
        Shape::Object(members) => {
            let mut out: Vec<String> = Vec::with_capacity(members.len() + 1);
            let mut there = false;
            for (name, value) in members {
                let here = name == step;
                there |= here;
                let shown = match (here, last, change) {
                    (false, _, _) => value.raw.to_owned(),
                    (true, true, Change::Delete) => continue,
                    (true, true, Change::Set { value, .. }) => (*value).to_owned(),
                    (true, true, Change::Insert { .. }) => {
                        return Err(invalid("cannot replace existing key")
                            .hint("Try using the function jsonb_set to replace key value."));
                    }
                    (true, false, _) => changed(value, rest, change)?,
                };
                out.push(format!("{}: {shown}", quoted(name)));
            }
            if let (false, true, Change::Set { value, create: true } | Change::Insert { value, .. }) =
                (there, last, change)
            {
                out.push(format!("{}: {value}", quoted(step)));
            }
            Ok(format!("{{{}}}", out.join(", ")))
        }
        Shape::Array(values) => {
            let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
            let index: i64 = step.trim().parse().map_err(|_| {
                let at = SqlState::INVALID_TEXT_REPRESENTATION;
                SqlError::new(at, format!("path element at position 1 is not an integer: \"{step}\""))
            })?;
            let at = if index < 0 { count + index } else { index };
            let mut out: Vec<String> = Vec::with_capacity(values.len() + 1);
            for (value, position) in values.iter().zip(0_i64..) {
                match (position == at, last, change) {
                    (false, _, _) => out.push(value.raw.to_owned()),
                    (true, true, Change::Delete) => {}
                    (true, true, Change::Set { value, .. }) => out.push((*value).to_owned()),
                    (true, true, Change::Insert { value: new, after }) => {
                        let mut pair = [(*new).to_owned(), value.raw.to_owned()];
                        if *after {
                            pair.reverse();
                        }
                        out.extend(pair);
                    }
                    (true, false, _) => out.push(changed(value, rest, change)?),
                }
            }
            if let (true, Change::Set { value, create: true } | Change::Insert { value, .. }) = (last, change) {
                if at >= count {
                    out.push((*value).to_owned());
                } else if at < 0 {
                    out.insert(0, (*value).to_owned());
                }
            }
            Ok(format!("[{}]", out.join(", ")))
        }
        _ if matches!(change, Change::Delete) || !last => Ok(node.raw.to_owned()),
        _ => Ok(node.raw.to_owned()),
    }
}

fn stripped(node: &Node<'_>) -> String {
    match &node.shape {
        Shape::Object(members) => {
            let kept: Vec<String> = members
                .iter()
                .filter(|(_, value)| value.shape != Shape::Null)
                .map(|(name, value)| format!("{}:{}", quoted(name), stripped(value)))
                .collect();
            format!("{{{}}}", kept.join(","))
        }
        Shape::Array(values) => format!("[{}]", values.iter().map(stripped).collect::<Vec<_>>().join(",")),
        _ => node.raw.to_owned(),
    }
}
