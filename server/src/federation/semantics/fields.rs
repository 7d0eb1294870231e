//! `(row).field`: of rows whose fields are known it is DataFusion's; of others the error names the type.

use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{Column, ScalarValue, TableReference, exec_err};
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
    ScalarUDF::from(PgField { signature: Signature::variadic_any(Volatility::Immutable) })
}

/// The field itself.
///
/// # Errors
/// What is wrong with a name that is no field.
pub(super) fn plan(call: ScalarFunction) -> Result<Expr> {
    let texts: Vec<Option<&str>> = call.args.iter().map(text_of).collect();
    if let [_, Some(name), Some(relation), Some(kind)] = texts.as_slice() {
        return Err(no_name(name, relation, kind).into());
    }
    Ok(Expr::ScalarFunction(ScalarFunction { func: get_field(), args: call.args }))
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// `a.b` where `a` is a column without fields: PostgreSQL takes `a` for a table. It stands for an error until it is known
/// that no query around has such a table.
pub(super) fn missing(field: &Field, qualifier: Option<&TableReference>, name: &str) -> Expr {
    let relation = field.name();
    let own = qualifier.is_some_and(|qualifier| qualifier.table() == relation);
    let data_type = PgType::of_field(field);
    let kind = if own {
        "column".to_owned()
    } else if data_type.is_composite() {
        data_type.sql_name()
    } else {
        "table".to_owned()
    };
    let column = Expr::Column(Column::new(qualifier.cloned(), relation));
    let text = |text: &str| Expr::Literal(ScalarValue::Utf8(Some(text.to_owned())), None);
    function().call(vec![column, text(name), text(relation), text(&kind)])
}

fn no_name(name: &str, relation: &str, kind: &str) -> SqlError {
    match kind {
        "column" => SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column {relation}.{name} does not exist")),
        "table" => {
            let message = format!("missing FROM-clause entry for table \"{relation}\"");
            SqlError::new(SqlState::UNDEFINED_TABLE, message)
        }
        composite => SqlError::unsupported(format!("a field of a value of type {composite} is not supported")),
    }
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
        let text = |index: usize| {
            args.scalar_arguments.get(index).copied().flatten().and_then(|value| value.try_as_str().flatten())
        };
        if let (Some(name), Some(relation), Some(kind)) = (text(1), text(2), text(3)) {
            return Err(no_name(name, relation, kind).into());
        }
        match args.arg_fields.first() {
            Some(row) if !row.data_type().is_nested() => Err(no_field(&PgType::of_field(row)).into()),
            _ => get_field().return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        get_field().invoke_with_args(args)
    }
}
