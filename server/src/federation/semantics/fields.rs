//! `(row).field`: of rows whose fields are known it is DataFusion's; of others the error names the type.

use arrow::datatypes::{DataType, FieldRef};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::functions::core::get_field;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
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
    ScalarUDF::from(PgField { signature: Signature::any(2, Volatility::Immutable) })
}

/// The field itself.
pub(super) fn plan(call: ScalarFunction) -> Expr {
    Expr::ScalarFunction(ScalarFunction { func: get_field(), args: call.args })
}

/// `0A000` for rows whose fields only their source knows, else `42809`.
pub(super) fn no_field(own: &PgType) -> SqlError {
    let shown = PgType { modifier: -1, ..own.clone() }.sql_name();
    if own.is_composite() || own.is_extension() || (own.user.is_none() && own.oid == oids::RECORD) {
        return SqlError::unsupported(format!("a field of a value of type {shown} is not supported"));
    }
    let message = format!("column notation applied to type {shown}, which is not a composite type");
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
        match args.arg_fields.first() {
            Some(row) if !row.data_type().is_nested() => Err(no_field(&PgType::of_field(row)).into()),
            _ => get_field().return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        get_field().invoke_with_args(args)
    }
}
