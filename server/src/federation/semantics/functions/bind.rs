//! Calls of our functions as DataFusion sees them: first by name, then bound to an overload.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use atoll_connector_api::types::{ColumnBuilder, Numeric, PgType, TextWriter, cast, oids};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::super::arithmetic::narrow_literal;
use super::super::cast::{cast_to, fold};
use super::super::float_sums::one_nan;
use super::super::operators::{is_text, take_type};
use super::super::{Operand, Settings, external, operand, parameters};
use super::resolve::{Resolved, resolve};
use super::{Call, Datum};
use crate::error::SqlError;
use crate::interrupt;

/// Characters or copies beyond which a constant is not worked out while planning.
const CONSTANT_MAX: i32 = 100_000;
/// Before the names of our functions, so that they hide none of DataFusion's.
const PREFIX: &str = "atoll_";

/// Our name for a function; `None` where we have none of that name.
pub(in crate::federation::semantics) fn named(name: &str) -> Option<String> {
    super::all().any(|function| function.name == name).then(|| format!("{PREFIX}{name}"))
}

/// All functions by name.
pub(in crate::federation::semantics) fn functions(settings: &Settings) -> Vec<ScalarUDF> {
    let mut names: Vec<&'static str> = super::all().map(|function| function.name).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| ScalarUDF::from(PgFunction::new(name, settings, None))).collect()
}

/// A function of ours by PostgreSQL's name, not yet bound.
pub(in crate::federation::semantics) fn function(settings: &Settings, name: &'static str) -> Option<ScalarUDF> {
    named(name).map(|_| ScalarUDF::from(PgFunction::new(name, settings, None)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgFunction {
    public: &'static str,
    name: String,
    settings: Settings,
    bound: Option<Bound>,
    signature: Signature,
}

/// A call's overload.
#[derive(Debug, Clone)]
struct Bound {
    resolved: Arc<Resolved>,
    types: Vec<PgType>,
}

impl PartialEq for Bound {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.resolved.function, other.resolved.function)
            && self.types == other.types
            && self.resolved.returns == other.resolved.returns
    }
}

impl Eq for Bound {}

impl std::hash::Hash for Bound {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.types.hash(state);
        self.resolved.returns.hash(state);
    }
}

impl PgFunction {
    fn new(public: &'static str, settings: &Settings, bound: Option<Bound>) -> Self {
        Self {
            public,
            name: format!("{PREFIX}{public}"),
            settings: settings.clone(),
            bound,
            signature: Signature::one_of(
                vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
                Volatility::Immutable,
            ),
        }
    }

    /// Not evaluated while planning: the constant would be copied and printed by every rule that it passes.
    fn evaluated_late(mut self) -> Self {
        self.signature.volatility = Volatility::Volatile;
        self
    }

    fn resolved(&self, operands: &[Operand]) -> Result<Resolved> {
        Ok(resolve(self.public, operands)?)
    }
}

/// Binds a call of ours: finds the overload and casts the arguments.
///
/// # Errors
/// `42883`, `42725`, and what a literal is not.
pub(in crate::federation::semantics) fn bind(
    settings: &Settings,
    call: ScalarFunction,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let ScalarFunction { func, args } = call;
    let Some(function) = func.inner().downcast_ref::<PgFunction>().filter(|function| function.bound.is_none()) else {
        return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })));
    };
    let args = args.into_iter().map(|arg| fold(settings, arg)).collect::<Result<Vec<_>>>()?;
    let operands: Vec<Option<Operand>> = args.iter().map(|arg| operand(arg, schema)).collect();
    let Some(operands) = operands.into_iter().collect::<Option<Vec<_>>>() else {
        // A column that another rule resolves later.
        return Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })));
    };
    let resolved = function.resolved(&operands)?;
    let collated = |arg: &&Operand| matches!(arg, Operand::Typed(own) if own.is_collated());
    if let Some(Operand::Typed(own)) = operands.iter().find(collated)
        && is_text(&resolved.returns)
    {
        // The result has the collation, too.
        let message = format!("{} of values of type {} is not supported", function.public, own.sql_name());
        return Err(SqlError::unsupported(message).into());
    }
    let mut types = Vec::with_capacity(args.len());
    let mut cast_args = Vec::with_capacity(args.len());
    for ((arg, own), target) in args.into_iter().zip(operands).zip(&resolved.targets) {
        let unknown = own == Operand::Unknown;
        let (arg, data_type) = match (own, target) {
            (Operand::Unknown, Some(target)) => (take_type(settings, arg, target)?, target.clone()),
            (Operand::Typed(_), Some(target)) => {
                (fold(settings, cast_to(settings, narrow_literal(arg), target))?, target.clone())
            }
            (Operand::Typed(own), None) => (narrow_literal(arg), own),
            // An element of an array.
            (Operand::Unknown, None) if parameters::is_untyped(&arg) => {
                let element = resolved.returns.element().unwrap_or(PgType::new(oids::TEXT));
                (parameters::typed(arg, &element), element)
            }
            (Operand::Unknown, None) => (arg, PgType::new(oids::TEXT)),
        };
        let data_type = if function.public == "pg_typeof" && unknown { PgType::new(oids::UNKNOWN) } else { data_type };
        types.push(data_type);
        cast_args.push(arg);
    }
    let bound = Bound { resolved: Arc::new(resolved), types };
    let mut function = PgFunction::new(function.public, settings, Some(bound));
    if makes_long_text(function.public, &cast_args) {
        function = function.evaluated_late();
    }
    let func = Arc::new(ScalarUDF::from(function));
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: cast_args })))
}

/// Whether constant arguments ask for a long result.
fn makes_long_text(function: &str, args: &[Expr]) -> bool {
    matches!(function, "repeat" | "lpad" | "rpad")
        && matches!(args.get(1), Some(Expr::Literal(ScalarValue::Int32(Some(count)), _)) if *count > CONSTANT_MAX)
}

/// What is known of an argument by its field.
fn operand_of(field: &Field, literal: Option<&ScalarValue>) -> Operand {
    let untagged = field.metadata().is_empty();
    match literal {
        _ if field.data_type() == &DataType::Null => Operand::Unknown,
        Some(_) if untagged && field.data_type().is_string() => Operand::Unknown,
        Some(ScalarValue::Int64(Some(value))) if untagged && i32::try_from(*value).is_ok() => {
            Operand::Typed(PgType::new(oids::INT4))
        }
        _ => Operand::Typed(PgType::of_field(field)),
    }
}

impl ScalarUDFImpl for PgFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.public)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let returns = match &self.bound {
            Some(bound) => bound.resolved.returns.clone(),
            None => {
                let operands: Vec<Operand> = args
                    .arg_fields
                    .iter()
                    .zip(args.scalar_arguments)
                    .map(|(field, literal)| operand_of(field, *literal))
                    .collect();
                self.resolved(&operands)?.returns
            }
        };
        Ok(Arc::new(returns.field(self.name(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let bound = match &self.bound {
            Some(bound) => bound.clone(),
            None => self.bound_by_fields(&args)?,
        };
        let style = &self.settings.style();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(args.args.len());
        for ((value, field), target) in args.args.iter().zip(&args.arg_fields).zip(&bound.types) {
            let array = value.to_array(rows)?;
            let own = PgType::of_field(field);
            let untyped = array.data_type() == &DataType::Null || (own.oid != target.oid && own.oid != oids::UNKNOWN);
            arrays.push(if untyped {
                cast::cast(array.as_ref(), &own, target, style).map_err(external)?
            } else {
                array
            });
        }
        let readers = arrays
            .iter()
            .zip(&bound.types)
            .map(|(array, data_type)| Reader::new(array, data_type, style))
            .collect::<Result<Vec<_>>>()?;
        let function = bound.resolved.function;
        let returns = &bound.resolved.returns;
        let mut builder = ColumnBuilder::with_style(returns, rows, style);
        let mut memory = self.settings.memory();
        let mut values = Vec::with_capacity(readers.len());
        for row in 0..rows {
            interrupt::check()?;
            values.clear();
            for reader in &readers {
                values.push(reader.read(row)?);
            }
            if function.strict && values.contains(&Datum::Null) {
                builder.append_null();
                continue;
            }
            // The value is there twice while it is put with the others.
            let room = memory / 2;
            let call = Call { args: &values, types: &bound.types, returns, style, memory: room };
            let value = interrupt::within(memory, || (function.run)(&call))?;
            let bytes = match &value {
                Datum::Text(text) => text.len(),
                Datum::Bytes(bytes) => bytes.len(),
                _ => 0,
            };
            if bytes > room {
                return Err(interrupt::out_of_memory(bytes).into());
            }
            memory -= bytes;
            append(&mut builder, value)?;
        }
        let result = builder.finish();
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

impl PgFunction {
    /// For calls that no analyzer has seen.
    fn bound_by_fields(&self, args: &ScalarFunctionArgs) -> Result<Bound> {
        let operands: Vec<Operand> = args
            .arg_fields
            .iter()
            .zip(&args.args)
            .map(|(field, value)| match value {
                ColumnarValue::Scalar(scalar) => operand_of(field, Some(scalar)),
                ColumnarValue::Array(_) => operand_of(field, None),
            })
            .collect();
        let resolved = self.resolved(&operands)?;
        let types = operands
            .into_iter()
            .zip(&resolved.targets)
            .map(|(own, target)| match (own, target) {
                (_, Some(target)) => target.clone(),
                (Operand::Typed(own), None) => own,
                (Operand::Unknown, None) => PgType::new(oids::TEXT),
            })
            .collect();
        Ok(Bound { resolved: Arc::new(resolved), types })
    }
}

fn append(builder: &mut ColumnBuilder, value: Datum) -> Result<()> {
    match value {
        Datum::Null => {
            builder.append_null();
            Ok(())
        }
        Datum::Bool(value) => builder.append_bool(value),
        Datum::Int(value) => builder.append_i64(value),
        // One NaN: the sign that the machine may give it would sort it below all numbers.
        Datum::Float(value) => builder.append_f64(one_nan(value)),
        Datum::Numeric(value) => {
            let mut text = String::new();
            value.write(&mut text);
            builder.append_text(&text)
        }
        Datum::Text(value) => builder.append_text(&value),
        Datum::Bytes(value) => builder.append_bytes(&value),
    }
    .map_err(external)
}

/// A column of arguments.
enum Reader<'a> {
    Int(Int64Array),
    Float(Float64Array),
    Bool(BooleanArray),
    Bytes(BinaryViewArray),
    Numeric(&'a ArrayRef, TextWriter<'a>),
    Text(&'a ArrayRef, TextWriter<'a>),
}

impl<'a> Reader<'a> {
    fn new(
        array: &'a ArrayRef,
        data_type: &PgType,
        style: &'a atoll_connector_api::types::text::OutputStyle,
    ) -> Result<Self> {
        let as_type = |data_type: &DataType| arrow::compute::cast(array, data_type);
        let oid = if data_type.user.is_some() { 0 } else { data_type.oid };
        Ok(match oid {
            oids::INT2 | oids::INT4 | oids::INT8 => {
                Self::Int(as_type(&DataType::Int64)?.as_primitive::<Int64Type>().clone())
            }
            oids::FLOAT4 | oids::FLOAT8 => {
                Self::Float(as_type(&DataType::Float64)?.as_primitive::<Float64Type>().clone())
            }
            oids::BOOL => Self::Bool(as_type(&DataType::Boolean)?.as_boolean().clone()),
            oids::BYTEA => Self::Bytes(as_type(&DataType::BinaryView)?.as_binary_view().clone()),
            oids::NUMERIC => Self::Numeric(array, TextWriter::new(array.as_ref(), data_type, style).map_err(external)?),
            _ => Self::Text(array, TextWriter::new(array.as_ref(), data_type, style).map_err(external)?),
        })
    }

    fn read(&self, row: usize) -> Result<Datum> {
        let written = |array: &ArrayRef, writer: &TextWriter<'_>| -> Result<Option<String>> {
            if array.is_null(row) {
                return Ok(None);
            }
            let mut text = String::new();
            writer.write(row, &mut text).map_err(external)?;
            Ok(Some(text))
        };
        Ok(match self {
            Self::Int(values) if values.is_valid(row) => Datum::Int(values.value(row)),
            Self::Float(values) if values.is_valid(row) => Datum::Float(values.value(row)),
            Self::Bool(values) if values.is_valid(row) => Datum::Bool(values.value(row)),
            Self::Bytes(values) if values.is_valid(row) => Datum::Bytes(values.value(row).to_vec()),
            Self::Numeric(array, writer) => match written(array, writer)? {
                Some(text) => Datum::Numeric(Numeric::parse(&text).map_err(external)?),
                None => Datum::Null,
            },
            Self::Text(array, writer) => written(array, writer)?.map_or(Datum::Null, Datum::Text),
            _ => Datum::Null,
        })
    }
}
