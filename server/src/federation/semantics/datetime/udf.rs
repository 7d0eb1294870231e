//! The functions as DataFusion sees them: by name until the analyzer has chosen an overload, then that one.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, FieldRef};
use atoll_connector_api::types::{ColumnBuilder, PgType};
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::compare::days_before;
use super::overload::{Call, Overload, Resolution, resolve, unresolved};
use super::value::{Reader, Value, append};
use crate::federation::semantics::cast::cast_to;
use crate::federation::semantics::operators::take_type;
use crate::federation::semantics::{Operand, Settings, operand};

/// A name with all its overloads.
pub(super) struct Named {
    name: &'static str,
    overloads: Vec<&'static Overload>,
    settings: Settings,
    signature: Signature,
}

impl std::fmt::Debug for Named {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.settings == other.settings
    }
}

impl Eq for Named {}

impl Hash for Named {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.settings.hash(state);
    }
}

fn any_arguments(volatile: bool) -> Signature {
    let volatility = if volatile { Volatility::Volatile } else { Volatility::Immutable };
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], volatility)
}

impl Named {
    pub(super) fn new(name: &'static str, overloads: Vec<&'static Overload>, settings: &Settings) -> Self {
        let volatile = overloads.iter().any(|overload| overload.volatile);
        Self { name, overloads, settings: settings.clone(), signature: any_arguments(volatile) }
    }

    fn choose(&self, operands: &[Operand]) -> Result<&'static Overload> {
        match resolve(&self.overloads, operands) {
            Resolution::One(overload) => Ok(overload),
            Resolution::None => Err(unresolved(self.name, operands, false).into()),
            Resolution::Ambiguous => Err(unresolved(self.name, operands, true).into()),
        }
    }

    /// The call with its overload chosen and its arguments in the types that it takes.
    pub(super) fn planned(&self, args: Vec<Expr>, schema: &DFSchema) -> Result<Expr> {
        // Of a type that cannot be told DataFusion says more.
        let mut operands = Vec::with_capacity(args.len());
        for arg in &args {
            match operand(arg, schema) {
                Some(own) => operands.push(own),
                None => return Err(unresolved(self.name, &operands, false).into()),
            }
        }
        bind(&self.settings, self.choose(&operands)?, args, &operands)
    }
}

/// A call of an overload.
pub(super) fn bind(
    settings: &Settings,
    overload: &'static Overload,
    args: Vec<Expr>,
    operands: &[Operand],
) -> Result<Expr> {
    let args = args
        .into_iter()
        .zip(overload.parameters)
        .zip(operands)
        .map(|((arg, parameter), own)| {
            let wanted = PgType::new(*parameter);
            match own {
                Operand::Unknown => take_type(settings, arg, &wanted),
                Operand::Typed(own) if own.oid == *parameter && !is_plain_number(&arg) => Ok(arg),
                Operand::Typed(_) => Ok(cast_to(settings, arg, &wanted)),
            }
        })
        .collect::<Result<Vec<_>>>()?;
    let signature = any_arguments(overload.volatile);
    Ok(ScalarUDF::from(Resolved { overload, settings: settings.clone(), signature }).call(args))
}

/// DataFusion's integer literals are `bigint` whatever they hold.
fn is_plain_number(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Int64(_), None))
}

impl ScalarUDFImpl for Named {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.name)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let operands: Vec<Operand> = args
            .arg_fields
            .iter()
            .zip(args.scalar_arguments)
            .map(|(field, literal)| {
                let bare = field.metadata().is_empty();
                let text = field.data_type().is_string() || field.data_type() == &DataType::Null;
                match literal {
                    _ if field.data_type() == &DataType::Null => Operand::Unknown,
                    Some(_) if bare && text => Operand::Unknown,
                    Some(ScalarValue::Int64(Some(value))) if bare && i32::try_from(*value).is_ok() => {
                        Operand::Typed(PgType::new(atoll_connector_api::types::oids::INT4))
                    }
                    _ => Operand::Typed(PgType::of_field(field)),
                }
            })
            .collect();
        let overload = self.choose(&operands)?;
        Ok(Arc::new(PgType::new(overload.result).field(self.name, true)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} is run by one of its overloads", self.name)
    }
}

/// One overload.
struct Resolved {
    overload: &'static Overload,
    settings: Settings,
    signature: Signature,
}

impl std::fmt::Debug for Resolved {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Resolved").field(&self.overload.name).field(&self.overload.parameters).finish()
    }
}

impl PartialEq for Resolved {
    fn eq(&self, other: &Self) -> bool {
        (self.overload.name, self.overload.parameters) == (other.overload.name, other.overload.parameters)
            && self.settings == other.settings
    }
}

impl Eq for Resolved {}

impl Hash for Resolved {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.overload.name.hash(state);
        self.overload.parameters.hash(state);
        self.settings.hash(state);
    }
}

impl Resolved {
    fn compute(&self, arrays: Vec<ArrayRef>, fields: &[FieldRef], rows: usize) -> Result<ArrayRef> {
        let readers = arrays
            .into_iter()
            .zip(fields)
            .map(|(array, field)| Reader::new(array, &PgType::of_field(field)))
            .collect::<Result<Vec<_>>>()?;
        let mut builder = ColumnBuilder::new(&PgType::new(self.overload.result), rows);
        let mut arguments = Vec::with_capacity(readers.len());
        for row in 0..rows {
            arguments.clear();
            for reader in &readers {
                arguments.push(reader.get(row)?);
            }
            if self.overload.strict && arguments.contains(&Value::Null) {
                builder.append_null();
                continue;
            }
            let call = Call { arguments: &arguments, settings: &self.settings };
            append(&mut builder, &(self.overload.body)(&call)?)?;
        }
        Ok(builder.finish())
    }
}

impl ScalarUDFImpl for Resolved {
    fn name(&self) -> &str {
        self.overload.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.overload.name)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(PgType::new(self.overload.result).field(self.overload.name, true)))
    }

    fn preimage(&self, args: &[Expr], constant: &Expr, _: &SimplifyContext) -> Result<PreimageResult> {
        let ([expr], Some(interval)) = (args, days_before(self.overload, constant)) else {
            return Ok(PreimageResult::None);
        };
        Ok(PreimageResult::Range { expr: expr.clone(), interval: Box::new(interval) })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let once = scalar && !self.overload.volatile;
        let rows = if once { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = self.compute(arrays, &args.arg_fields, rows)?;
        if once {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}
