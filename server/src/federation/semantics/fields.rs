//! `(row).field`: of rows whose fields are known it is DataFusion's; of others the error names the type.

use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference, exec_err};
use datafusion::error::Result;
use datafusion::functions::core::get_field;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::error::{SqlError, SqlState};

/// The function that stands for a field, until it is analyzed.
pub const FIELD: &str = "pg_field";

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgField {
    signature: Signature,
}

/// The function.
pub(super) fn function() -> ScalarUDF {
    ScalarUDF::from(PgField { signature: Signature::variadic_any(Volatility::Immutable) })
}

/// The field itself. What has no fields stays, for its error to be met where its type is asked for.
pub(super) fn plan(call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let nested = call
        .args
        .first()
        .and_then(|row| row.to_field(schema).ok())
        .is_some_and(|(_, field)| field.data_type().is_nested() && !PgType::of_field(&field).is_array());
    if !nested || call.args.len() != 2 {
        return Transformed::no(Expr::ScalarFunction(call));
    }
    Transformed::yes(Expr::ScalarFunction(ScalarFunction { func: get_field(), args: call.args }))
}

/// A field of a column without fields. It stands for an error until it is known that no query around has a table of the
/// column's name, which PostgreSQL means by `a.b`.
pub(super) fn missing(field: &Field, qualifier: Option<&TableReference>, name: &str) -> Expr {
    let relation = field.name();
    // The one column of a function in FROM has the function's name.
    let own = qualifier.is_some_and(|qualifier| qualifier.table() == relation);
    let column = Expr::Column(Column::new(qualifier.cloned(), relation));
    let text = |text: &str| Expr::Literal(ScalarValue::Utf8(Some(text.to_owned())), None);
    let mut args = vec![column, text(name)];
    if own {
        args.push(text(relation));
    }
    function().call(args)
}

fn no_column(relation: &str, name: &str) -> SqlError {
    SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column {relation}.{name} does not exist"))
}

/// `0A000` for rows whose fields only their source knows, else `42809`.
fn no_field(own: &PgType, name: &str) -> SqlError {
    let shown = PgType { modifier: -1, ..own.clone() }.sql_name();
    if own.is_composite() || own.is_extension() || (own.user.is_none() && own.oid == oids::RECORD) {
        return SqlError::unsupported(format!("a field of a value of type {shown} is not supported"));
    }
    let message = format!("column notation .{name} applied to type {shown}, which is not a composite type");
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
}

impl ScalarUDFImpl for PgField {
    fn name(&self) -> &str {
        FIELD
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{FIELD} has a field, not a type")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let text = |index: usize| {
            args.scalar_arguments.get(index).copied().flatten().and_then(|value| value.try_as_str().flatten())
        };
        if let (Some(name), Some(relation)) = (text(1), text(2)) {
            return Err(no_column(relation, name).into());
        }
        match args.arg_fields.first() {
            Some(row) if !row.data_type().is_nested() || PgType::of_field(row).is_array() => {
                let name = text(1).unwrap_or_default();
                let untyped = args.scalar_arguments.first().copied().flatten().is_some() && row.metadata().is_empty();
                let is_text = row.data_type().is_string() || row.data_type().is_null();
                let own = match args.scalar_arguments.first().copied().flatten() {
                    _ if untyped && is_text => PgType::new(oids::UNKNOWN),
                    Some(ScalarValue::Int64(Some(value))) if untyped && i32::try_from(*value).is_ok() => {
                        PgType::new(oids::INT4)
                    }
                    _ => PgType::of_field(row),
                };
                Err(no_field(&own, name).into())
            }
            _ => get_field().return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        get_field().invoke_with_args(args)
    }
}
