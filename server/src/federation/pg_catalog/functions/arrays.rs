//! Arrays as PostgreSQL has them, whichever way they are stored: Arrow lists, `{…}` text, `int2vector` text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, StringArray, StringViewArray, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::udf::{Call, Definition, Returns, Value, lenient, strict};
use crate::error::{SqlError, SqlResult, SqlState};

/// `information_schema._pg_expandarray`.
pub(super) const EXPAND_ARRAY: &str = "_pg_expandarray";

/// The functions of this file.
pub(super) static FUNCTIONS: &[Definition] = &[
    lenient("array_to_string", (2, 3), Returns::Text, to_string),
    strict("array_upper", (2, 2), Returns::Int4, upper),
    strict("array_lower", (2, 2), Returns::Int4, lower),
    strict("array_length", (1, 2), Returns::Int4, length),
    strict("text_array", (1, 1), Returns::Texts, text_array),
    lenient("array_any_equal", (2, 2), Returns::Bool, any_equal),
    strict("array_subscript", (2, 2), Returns::Element, subscript),
    strict("vector_subscript", (2, 2), Returns::Int8, vector_subscript),
    strict("name_subscript", (2, 2), Returns::Text, name_subscript),
];

/// `NAMEDATALEN`.
const NAME_BYTES: usize = 64;

/// The elements of an array argument; NULL elements are `None`.
fn elements(value: &Value) -> SqlResult<Vec<Option<String>>> {
    match value {
        Value::List(items) => Ok(items.clone()),
        Value::Text(text) => parse(text),
        _ => Ok(Vec::new()),
    }
}

/// Reads `{a,"b c",NULL}`, or the blank-separated numbers of `int2vector` and `oidvector`.
pub(super) fn parse(text: &str) -> SqlResult<Vec<Option<String>>> {
    let malformed = || {
        let message = format!("malformed array literal: \"{text}\"");
        SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message)
    };
    let trimmed = text.trim();
    if !trimmed.starts_with('{') {
        if trimmed.split_whitespace().all(|word| word.parse::<i64>().is_ok()) {
            return Ok(trimmed.split_whitespace().map(|word| Some(word.to_owned())).collect());
        }
        return Err(malformed().detail("Array value must start with \"{\" or dimension information."));
    }
    let inner = trimmed.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(malformed)?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    let mut characters = inner.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut item = String::new();
        let mut quoted = false;
        if characters.next_if_eq(&'"').is_some() {
            quoted = true;
            loop {
                match characters.next().ok_or_else(malformed)? {
                    '"' => break,
                    '\\' => item.push(characters.next().ok_or_else(malformed)?),
                    other => item.push(other),
                }
            }
            while characters.next_if(|c| c.is_whitespace()).is_some() {}
        } else {
            while let Some(character) = characters.next_if(|c| *c != ',') {
                match character {
                    '\\' => item.push(characters.next().ok_or_else(malformed)?),
                    '"' | '{' | '}' => return Err(malformed()),
                    other => item.push(other),
                }
            }
            item.truncate(item.trim_end().len());
            if item.is_empty() {
                return Err(malformed());
            }
        }
        let null = !quoted && item.eq_ignore_ascii_case("null");
        items.push((!null).then_some(item));
        match characters.next() {
            None => return Ok(items),
            Some(',') => {}
            Some(_) => return Err(malformed()),
        }
    }
}

fn to_string(call: &Call<'_>) -> SqlResult<Value> {
    if call.is_null(0) || call.is_null(1) {
        return Ok(Value::Null);
    }
    let null = (call.len() == 3 && !call.is_null(2)).then(|| call.text(2));
    let texts: Vec<String> =
        elements(&call.arguments[0])?.into_iter().filter_map(|item| item.or_else(|| null.clone())).collect();
    Ok(texts.join(&call.text(1)).into())
}

/// How many elements the one dimension has; `None` where the array is empty, or the dimension is another.
fn dimension(call: &Call<'_>) -> SqlResult<Option<i64>> {
    let count = elements(&call.arguments[0])?.len();
    let first = call.len() == 1 || call.number(1) == Some(1);
    Ok((first && count > 0).then(|| i64::try_from(count).unwrap_or(i64::MAX)))
}

fn length(call: &Call<'_>) -> SqlResult<Value> {
    Ok(dimension(call)?.into())
}

/// `int2vector` and `oidvector`, which travel as text without braces, count from 0.
fn counts_from_zero(call: &Call<'_>) -> bool {
    matches!(&call.arguments[0], Value::Text(text) if !text.trim_start().starts_with('{'))
}

fn upper(call: &Call<'_>) -> SqlResult<Value> {
    Ok(dimension(call)?.map(|count| count - i64::from(counts_from_zero(call))).into())
}

fn lower(call: &Call<'_>) -> SqlResult<Value> {
    Ok(dimension(call)?.map(|_| i64::from(!counts_from_zero(call))).into())
}

fn text_array(call: &Call<'_>) -> SqlResult<Value> {
    Ok(Value::List(elements(&call.arguments[0])?))
}

/// `needle = ANY (array)`, with SQL's NULLs.
fn any_equal(call: &Call<'_>) -> SqlResult<Value> {
    if call.is_null(0) {
        return Ok(Value::Null);
    }
    let items = elements(&call.arguments[0])?;
    if items.is_empty() {
        return Ok(false.into());
    }
    if call.is_null(1) {
        return Ok(Value::Null);
    }
    let needle = call.text(1);
    let number = call.number(1);
    let equal = |item: &str| item == needle || (number.is_some() && item.parse::<i64>().ok() == number);
    if items.iter().flatten().any(|item| equal(item)) {
        return Ok(true.into());
    }
    Ok(if items.iter().any(Option::is_none) { Value::Null } else { false.into() })
}

fn element_at(call: &Call<'_>, first: i64) -> SqlResult<Option<String>> {
    let index = call.number(1).and_then(|number| number.checked_sub(first));
    let index = index.and_then(|index| usize::try_from(index).ok());
    let items = elements(&call.arguments[0])?;
    Ok(index.and_then(|index| items.into_iter().nth(index)).flatten())
}

fn subscript(call: &Call<'_>) -> SqlResult<Value> {
    Ok(element_at(call, i64::from(!counts_from_zero(call)))?.into())
}

/// A name is an array of characters that counts from zero, and has zeros after its last one.
fn name_subscript(call: &Call<'_>) -> SqlResult<Value> {
    let Some(index) = call.number(1).and_then(|index| usize::try_from(index).ok()).filter(|index| *index < NAME_BYTES)
    else {
        return Ok(None::<String>.into());
    };
    match call.text(0).as_bytes().get(index) {
        Some(byte) if byte.is_ascii() => Ok(Some(char::from(*byte).to_string()).into()),
        Some(_) => Err(SqlError::unsupported("a part of a character of a name is not supported")),
        None => Ok(Some(String::new()).into()),
    }
}

fn vector_subscript(call: &Call<'_>) -> SqlResult<Value> {
    Ok(element_at(call, 0)?.into())
}

/// `array_or_empty(array)`: NULL becomes the empty array, as the value of `ARRAY(SELECT …)` is where there is no row.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ArrayOrEmpty {
    signature: Signature,
}

impl Default for ArrayOrEmpty {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ArrayOrEmpty {
    fn name(&self) -> &str {
        "array_or_empty"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, argument_types: &[DataType]) -> Result<DataType> {
        Ok(argument_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else { return Err(SqlError::internal("no argument").into()) };
        // Some arrays of the catalogs are text.
        if let Some(texts) = array.as_string_view_opt() {
            let filled: StringViewArray = texts.iter().map(|text| Some(text.unwrap_or("{}"))).collect();
            return Ok(ColumnarValue::Array(Arc::new(filled)));
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            let filled: StringArray = texts.iter().map(|text| Some(text.unwrap_or("{}"))).collect();
            return Ok(ColumnarValue::Array(Arc::new(filled)));
        }
        let Some(list) = array.as_list_opt::<i32>().filter(|list| list.null_count() > 0) else {
            return Ok(ColumnarValue::Array(Arc::clone(array)));
        };
        let DataType::List(item) = list.data_type() else { return Ok(ColumnarValue::Array(Arc::clone(array))) };
        // Rows that are NULL may still span values: they are left out.
        let lengths = (0..list.len()).map(|row| if list.is_null(row) { 0 } else { list.value(row).len() });
        let offsets = OffsetBuffer::from_lengths(lengths);
        let kept: Vec<ArrayRef> =
            (0..list.len()).filter(|row| list.is_valid(*row)).map(|row| list.value(row)).collect();
        let kept: Vec<&dyn Array> = kept.iter().map(AsRef::as_ref).collect();
        let values = if kept.is_empty() {
            arrow::array::new_empty_array(item.data_type())
        } else {
            arrow::compute::concat(&kept)?
        };
        Ok(ColumnarValue::Array(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, None)?)))
    }
}

/// `_pg_expandarray(array)`: a list of (x, n), element and position, to be unnested.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct ExpandArray {
    signature: Signature,
}

impl Default for ExpandArray {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

fn pair_fields() -> Fields {
    Fields::from(vec![Field::new("x", DataType::Int64, true), Field::new("n", DataType::Int32, true)])
}

fn pair_item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(pair_fields()), true))
}

impl ScalarUDFImpl for ExpandArray {
    fn name(&self) -> &str {
        EXPAND_ARRAY
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _argument_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(pair_item()))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let Some(array) = arrays.first() else { return Err(SqlError::internal("no argument").into()) };
        let mut numbers: Vec<Option<i64>> = Vec::new();
        let mut positions: Vec<i32> = Vec::new();
        let mut lengths = Vec::with_capacity(array.len());
        let mut valid = Vec::with_capacity(array.len());
        for row in 0..array.len() {
            valid.push(!array.is_null(row));
            let items = if array.is_null(row) { Vec::new() } else { items_at(array, row)? };
            lengths.push(items.len());
            for (position, item) in (1..).zip(items) {
                numbers.push(item.and_then(|item| item.parse().ok()));
                positions.push(position);
            }
        }
        let columns: Vec<ArrayRef> =
            vec![Arc::new(arrow::array::Int64Array::from(numbers)), Arc::new(Int32Array::from(positions))];
        let pairs = StructArray::try_new(pair_fields(), columns, None)?;
        let list = ListArray::try_new(
            pair_item(),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(pairs),
            Some(NullBuffer::from(valid)),
        )?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

fn items_at(array: &ArrayRef, row: usize) -> Result<Vec<Option<String>>> {
    let texts = match array.data_type() {
        DataType::List(_) => {
            let items = arrow::compute::cast(&array.as_list::<i32>().value(row), &DataType::Utf8)?;
            items.as_string::<i32>().iter().map(|item| item.map(str::to_owned)).collect()
        }
        _ => {
            let text = arrow::compute::cast(&array.slice(row, 1), &DataType::Utf8)?;
            parse(text.as_string::<i32>().value(0))?
        }
    };
    Ok(texts)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn reads_array_literals() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(parse("{}").unwrap(), []);
        assert_eq!(parse("{a, b ,NULL,\"NULL\"}").unwrap(), [some("a"), some("b"), None, some("NULL")]);
        assert_eq!(parse(r#"{"a\"b","c,d"}"#).unwrap(), [some("a\"b"), some("c,d")]);
        assert_eq!(parse("1 2 3").unwrap(), [some("1"), some("2"), some("3")]);
        for bad in ["a", "{a", "{a,}", "{\"a}", "{a}b}", "{\\"] {
            assert_eq!(parse(bad).unwrap_err().sqlstate, SqlState::INVALID_TEXT_REPRESENTATION, "{bad}");
        }
    }
}
