//! A scalar function over rows of plain values, with the session's context.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBuilder, Int16Builder, Int32Builder, Int64Builder, ListBuilder, StringBuilder,
    StringViewBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use atoll_connector_api::types::{PgType, oids};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::context::PgCatalogContext;
use super::super::current::CurrentContext;
use crate::catalog::Oid;
use crate::error::{SqlError, SqlResult, SqlState};

/// A value that goes in or comes out.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Option<String>>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<Oid> for Value {
    fn from(value: Oid) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One call: a row's arguments.
pub(super) struct Call<'a> {
    pub(super) context: &'a PgCatalogContext,
    pub(super) arguments: &'a [Value],
    /// The arguments' fields, as planned.
    pub(super) fields: &'a [FieldRef],
}

impl Call<'_> {
    pub(super) fn len(&self) -> usize {
        self.arguments.len()
    }

    pub(super) fn is_null(&self, index: usize) -> bool {
        matches!(self.arguments.get(index), None | Some(Value::Null))
    }

    /// Text, or a number's digits.
    pub(super) fn text(&self, index: usize) -> String {
        match self.arguments.get(index) {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Int(number)) => number.to_string(),
            Some(Value::Float(number)) => number.to_string(),
            Some(Value::Bool(value)) => (if *value { "t" } else { "f" }).to_owned(),
            _ => String::new(),
        }
    }

    /// A number, or text that is one.
    pub(super) fn number(&self, index: usize) -> Option<i64> {
        match self.arguments.get(index) {
            Some(Value::Int(number)) => Some(*number),
            #[expect(clippy::cast_possible_truncation, reason = "saturates; sizes and counts are far smaller")]
            Some(Value::Float(number)) => Some(*number as i64),
            Some(Value::Text(text)) => text.trim().parse().ok(),
            Some(Value::Bool(value)) => Some(i64::from(*value)),
            _ => None,
        }
    }

    /// An OID, or 0 where the argument is none.
    pub(super) fn oid(&self, index: usize) -> Oid {
        self.number(index).and_then(|number| Oid::try_from(number).ok()).unwrap_or(0)
    }

    /// A truth value: a boolean, or text that PostgreSQL reads as one.
    pub(super) fn truth(&self, index: usize) -> bool {
        match self.arguments.get(index) {
            Some(Value::Bool(value)) => *value,
            Some(Value::Text(text)) => matches!(text.to_lowercase().as_str(), "t" | "true" | "on" | "yes" | "1"),
            _ => false,
        }
    }
}

/// What a function returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Returns {
    Bool,
    Int4,
    Int8,
    Oid,
    Text,
    Name,
    Timestamp,
    Texts,
    Names,
    Int4s,
    Inet,
    Void,
    /// The element type of the first argument, an array.
    Element,
}

/// A function, before it is bound to a context.
pub(super) struct Definition {
    pub(super) name: &'static str,
    /// How many arguments: at least and at most.
    pub(super) arity: (usize, usize),
    pub(super) returns: Returns,
    /// NULL in, NULL out, without a call.
    pub(super) strict: bool,
    pub(super) volatility: Volatility,
    pub(super) call: fn(&Call<'_>) -> SqlResult<Value>,
}

/// A stable, strict function.
pub(super) const fn strict(
    name: &'static str,
    arity: (usize, usize),
    returns: Returns,
    call: fn(&Call<'_>) -> SqlResult<Value>,
) -> Definition {
    Definition { name, arity, returns, strict: true, volatility: Volatility::Stable, call }
}

/// A stable function that sees NULLs.
pub(super) const fn lenient(
    name: &'static str,
    arity: (usize, usize),
    returns: Returns,
    call: fn(&Call<'_>) -> SqlResult<Value>,
) -> Definition {
    Definition { name, arity, returns, strict: false, volatility: Volatility::Stable, call }
}

/// A function with an effect: called once for each row, never folded.
pub(super) const fn volatile(
    name: &'static str,
    arity: (usize, usize),
    returns: Returns,
    call: fn(&Call<'_>) -> SqlResult<Value>,
) -> Definition {
    Definition { name, arity, returns, strict: true, volatility: Volatility::Volatile, call }
}

/// The function that says what type its argument has.
const TYPE_OF: &str = "pg_typeof";

/// A function bound to a context.
pub(super) struct CatalogFunction {
    definition: &'static Definition,
    signature: Signature,
    context: Arc<CurrentContext>,
}

impl std::fmt::Debug for CatalogFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CatalogFunction").field(&self.definition.name).finish()
    }
}

impl PartialEq for CatalogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name && Arc::ptr_eq(&self.context, &other.context)
    }
}

impl Eq for CatalogFunction {}

impl Hash for CatalogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.definition.name.hash(state);
    }
}

impl CatalogFunction {
    pub(super) fn new(definition: &'static Definition, context: Arc<CurrentContext>) -> Self {
        Self { definition, signature: Signature::user_defined(definition.volatility), context }
    }

    fn call(&self, call: &Call<'_>) -> Result<Value> {
        if self.definition.strict && call.arguments.contains(&Value::Null) {
            return Ok(Value::Null);
        }
        Ok((self.definition.call)(call)?)
    }
}

impl ScalarUDFImpl for CatalogFunction {
    fn name(&self) -> &str {
        self.definition.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, argument_types: &[DataType]) -> Result<DataType> {
        Ok(return_field(self.definition.name, self.definition.returns, argument_types.first()).data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let first = args.arg_fields.first().map(|field| field.data_type());
        Ok(Arc::new(return_field(self.definition.name, self.definition.returns, first)))
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (least, most) = self.definition.arity;
        if types.len() < least || types.len() > most {
            return Err(undefined(self.definition.name, types));
        }
        // Only the type of its argument counts, and not every value has an Arrow text.
        if self.definition.name == TYPE_OF {
            return Ok(types.to_vec());
        }
        Ok(types.iter().map(coerced).collect())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        // A volatile function without arguments still runs once for each row.
        let once = all_scalar && (self.definition.volatility != Volatility::Volatile || !args.args.is_empty());
        let rows = if once { 1 } else { args.number_rows };
        let unread = self.definition.name == TYPE_OF;
        let values = if unread { &[][..] } else { args.args.as_slice() };
        let arrays = values.iter().map(|argument| argument.to_array(rows)).collect::<Result<Vec<ArrayRef>>>()?;
        let mut output = Output::new(args.return_field.data_type(), rows);
        let mut arguments = Vec::with_capacity(arrays.len());
        let context = self.context.get();
        for row in 0..rows {
            arguments.clear();
            for array in &arrays {
                arguments.push(value_at(array.as_ref(), row)?);
            }
            output.append(self.call(&Call { context: &context, arguments: &arguments, fields: &args.arg_fields })?);
        }
        let array = output.finish();
        if once {
            let scalar = datafusion::common::ScalarValue::try_from_array(&array, 0)?;
            return Ok(ColumnarValue::Scalar(scalar));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The OID of what a function returns, for `pg_proc`.
pub(super) fn return_oid(returns: Returns) -> Oid {
    PgType::of_field(&return_field("", returns, None)).oid
}

/// `42883`, as PostgreSQL says it.
fn undefined(name: &str, types: &[DataType]) -> DataFusionError {
    let names: Vec<String> = types.iter().map(|data_type| PgType::of_arrow(data_type).sql_name()).collect();
    let message = format!("function {name}({}) does not exist", names.join(", "));
    let error = SqlError::new(SqlState::UNDEFINED_FUNCTION, message);
    let hint = "No function matches the given name and argument types. You might need to add explicit type casts.";
    error.hint(hint).into()
}

/// Few storages suffice here: text, 64-bit numbers, truth values, lists of text.
fn coerced(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Float64
        }
        DataType::Boolean => DataType::Boolean,
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => text_list(),
        // Everything else has a text form.
        _ => DataType::Utf8View,
    }
}

fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

fn return_field(name: &str, returns: Returns, first: Option<&DataType>) -> Field {
    let list = |item: DataType| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let (oid, storage) = match returns {
        Returns::Bool => (oids::BOOL, DataType::Boolean),
        Returns::Int4 => (oids::INT4, DataType::Int32),
        Returns::Int8 => (oids::INT8, DataType::Int64),
        Returns::Oid => (oids::OID, DataType::Int64),
        Returns::Text => (oids::TEXT, DataType::Utf8View),
        Returns::Name => (oids::NAME, DataType::Utf8View),
        Returns::Timestamp => (oids::TIMESTAMPTZ, PgType::new(oids::TIMESTAMPTZ).storage()),
        Returns::Texts => (oids::TEXT_ARRAY, text_list()),
        Returns::Names => (PgType::new(oids::NAME).array().map_or(oids::TEXT_ARRAY, |a| a.oid), text_list()),
        Returns::Int4s => (oids::INT4_ARRAY, list(DataType::Int32)),
        Returns::Inet => (oids::INET, DataType::Utf8View),
        Returns::Void => (oids::VOID, DataType::Utf8View),
        Returns::Element => match first {
            Some(DataType::List(item)) => return Field::new(name, storage_of_element(item.data_type()), true),
            // int2vector and oidvector travel as text.
            _ => (oids::INT8, DataType::Int64),
        },
    };
    PgType::new(oid).tag(Field::new(name, storage, true))
}

fn storage_of_element(item: &DataType) -> DataType {
    match item {
        DataType::Int16 | DataType::Int32 | DataType::Int64 => DataType::Int64,
        _ => DataType::Utf8View,
    }
}

/// One value of a coerced argument.
pub(super) fn value_at(array: &dyn Array, row: usize) -> Result<Value> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int64 => Value::Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => Value::Float(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8View => Value::Text(array.as_string_view().value(row).to_owned()),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            let items = arrow::compute::cast(&items, &DataType::Utf8)?;
            Value::List(items.as_string::<i32>().iter().map(|item| item.map(str::to_owned)).collect())
        }
        DataType::Null => Value::Null,
        other => return Err(SqlError::internal(format!("no catalog function takes {other}")).into()),
    })
}

/// Builds a result column.
enum Output {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Text(StringViewBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Texts(ListBuilder<StringBuilder>),
    Int32s(ListBuilder<Int32Builder>),
}

impl Output {
    fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool(BooleanBuilder::with_capacity(rows)),
            DataType::Int16 => Self::Int16(Int16Builder::with_capacity(rows)),
            DataType::Int32 => Self::Int32(Int32Builder::with_capacity(rows)),
            DataType::Int64 => Self::Int64(Int64Builder::with_capacity(rows)),
            DataType::Timestamp(_, zone) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::List(item) if item.data_type() == &DataType::Int32 => {
                Self::Int32s(ListBuilder::new(Int32Builder::new()).with_field(Arc::clone(item)))
            }
            DataType::List(item) => Self::Texts(ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item))),
            _ => Self::Text(StringViewBuilder::new()),
        }
    }

    fn append(&mut self, value: Value) {
        let number = match &value {
            Value::Int(number) => Some(*number),
            Value::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        match self {
            Self::Bool(builder) => match value {
                Value::Bool(value) => builder.append_value(value),
                _ => builder.append_null(),
            },
            Self::Int16(builder) => builder.append_option(number.and_then(|number| i16::try_from(number).ok())),
            Self::Int32(builder) => builder.append_option(number.and_then(|number| i32::try_from(number).ok())),
            Self::Int64(builder) => builder.append_option(number),
            Self::Timestamp(builder) => builder.append_option(number),
            Self::Text(builder) => match value {
                Value::Text(text) => builder.append_value(text),
                Value::Int(number) => builder.append_value(number.to_string()),
                _ => builder.append_null(),
            },
            Self::Texts(builder) => match value {
                Value::List(items) => builder.append_value(items),
                _ => builder.append_null(),
            },
            Self::Int32s(builder) => match value {
                Value::List(items) => {
                    builder.append_value(items.into_iter().map(|item| item.and_then(|item| item.parse::<i32>().ok())));
                }
                _ => builder.append_null(),
            },
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(builder) => Arc::new(builder.finish()),
            Self::Int16(builder) => Arc::new(builder.finish()),
            Self::Int32(builder) => Arc::new(builder.finish()),
            Self::Int64(builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Timestamp(builder) => Arc::new(builder.finish()),
            Self::Texts(builder) => Arc::new(builder.finish()),
            Self::Int32s(builder) => Arc::new(builder.finish()),
        }
    }
}
