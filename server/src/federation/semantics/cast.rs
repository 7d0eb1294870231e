//! `pg_cast(value, 'type name')`: PostgreSQL's explicit casts.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, cast, oids};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::{Settings, external, typed_literal};
use crate::error::{SqlError, SqlState};
use crate::interrupt;

/// The function's name, which users do not write.
pub(super) const NAME: &str = "pg_cast";

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgCast {
    settings: Settings,
    signature: Signature,
}

/// The cast function of a session.
pub(super) fn pg_cast(settings: &Settings) -> ScalarUDF {
    ScalarUDF::from(PgCast { settings: settings.clone(), signature: Signature::any(2, Volatility::Immutable) })
}

/// A cast of an expression to a built-in type.
pub(super) fn cast_to(settings: &Settings, expr: Expr, data_type: &PgType) -> Expr {
    let name = Expr::Literal(ScalarValue::Utf8(Some(full_name(data_type))), None);
    pg_cast(settings).call(vec![expr, name])
}

/// What stands for bit strings of any length, which `bit` does not: it is `bit(1)`.
pub(super) const ANY_BIT: &str = "\"bit\"";

/// A type's name that says all of it.
pub(super) fn full_name(data_type: &PgType) -> String {
    if data_type.user.is_none() && data_type.oid == oids::BIT && data_type.modifier == -1 {
        ANY_BIT.to_owned()
    } else {
        data_type.sql_name()
    }
}

/// A cast of a constant becomes the constant, so that connectors see a literal; everything else stays.
///
/// # Errors
/// What the cast says, as PostgreSQL does while it plans.
pub(super) fn fold(settings: &Settings, expr: Expr) -> Result<Expr> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else { return Ok(expr) };
    let ([Expr::Literal(value, metadata), Expr::Literal(name, _)], NAME) = (args.as_slice(), func.name()) else {
        return Ok(expr);
    };
    let target = settings.resolve(name.try_as_str().flatten().unwrap_or_default())?;
    let field = Field::new("value", value.data_type(), true);
    let field = match metadata {
        Some(metadata) => metadata.add_to_field(field),
        None => field,
    };
    if !value.is_null() {
        check_parsed(&PgType::of_field(&field), &target)?;
    }
    let array = value.to_array_of_size(1)?;
    // A literal is read as it was when its statement was parsed; what is made of a value, as it is now.
    let is_literal = metadata.is_none() && value.data_type().is_string();
    let style = if is_literal { settings.literal_style() } else { settings.style() };
    let cast = cast::cast(array.as_ref(), &PgType::of_field(&field), &target, &style).map_err(external)?;
    Ok(typed_literal(ScalarValue::try_from_array(&cast, 0)?, &target))
}

/// `22023` for a length or a precision that a type does not take: `varchar(0)`.
pub fn wrong_modifier(name: &str) -> Option<SqlError> {
    let lower = name.trim_end_matches("[]").to_lowercase();
    let (base, rest) = lower.split_once('(')?;
    let (arguments, more) = rest.split_once(')')?;
    let arguments: Vec<i64> = arguments.split(',').map(|part| part.trim().parse().ok()).collect::<Option<_>>()?;
    let error = |message: String| Some(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
    let length = |name: &str, max: i64| match arguments.as_slice() {
        [length] if *length < 1 => error(format!("length for type {name} must be at least 1")),
        [length] if *length > max => error(format!("length for type {name} cannot exceed {max}")),
        _ => None,
    };
    match format!("{} {}", base.trim(), more.trim()).trim() {
        "varchar" | "character varying" | "char varying" => length("varchar", cast::CHARACTERS_MAX),
        "char" | "character" | "bpchar" => length("char", cast::CHARACTERS_MAX),
        "bit" => length("bit", cast::BITS_MAX),
        "varbit" | "bit varying" => length("varbit", cast::BITS_MAX),
        "numeric" | "decimal" | "dec" => match arguments.as_slice() {
            [precision, ..] if !(1..=1000).contains(precision) => {
                error(format!("NUMERIC precision {precision} must be between 1 and 1000"))
            }
            [_, scale] if !(-1000..=1000).contains(scale) => {
                error(format!("NUMERIC scale {scale} must be between -1000 and 1000"))
            }
            _ => None,
        },
        plain if !TAKING_MODIFIERS.contains(&plain) && PgType::parse_name(plain).is_some() => {
            let shown = plain.strip_prefix("pg_catalog.").unwrap_or(plain);
            Some(SqlError::syntax(format!("type modifier is not allowed for type \"{shown}\"")))
        }
        _ => None,
    }
}

/// Types whose modifiers are read elsewhere.
const TAKING_MODIFIERS: [&str; 10] = [
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "time with time zone",
    "time without time zone",
    "timestamp with time zone",
    "timestamp without time zone",
    "interval",
    "float",
];

/// `tsvector`, `tsquery` and `jsonpath`.
const PARSED: [u32; 3] = [3614, 3615, oids::JSONPATH];

/// Some types have values that are not kept as they are written, and that nothing here parses.
fn check_parsed(source: &PgType, target: &PgType) -> Result<()> {
    if source.oid == target.oid { Ok(()) } else { check_literal(target) }
}

/// Refuses to read literals of such types.
///
/// # Errors
/// `0A000`.
pub(super) fn check_literal(target: &PgType) -> Result<()> {
    let unread = match &target.user {
        // A string of any collation is what it is.
        Some(user) if target.is_collated() => !user.name.starts_with("text "),
        Some(_) => target.is_composite() || (target.is_extension() && !target.is_citext()),
        None => PARSED.contains(&target.oid),
    };
    if unread {
        return Err(SqlError::unsupported(format!("a cast to {} is not supported", target.sql_name())).into());
    }
    Ok(())
}

impl ScalarUDFImpl for PgCast {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("pg_cast has a field, not a type")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let ([value, _], [_, Some(name)]) = (args.arg_fields, args.scalar_arguments) else {
            return exec_err!("pg_cast takes a value and a type's name");
        };
        let name = name.try_as_str().flatten().unwrap_or_default();
        let target = self.settings.resolve(name)?;
        let source = PgType::of_field(value);
        if value.data_type() != &DataType::Null {
            check_parsed(&source, &target)?;
        }
        if source.is_collated() && !target.is_collated() {
            // Its text would compare by its bytes.
            return Err(SqlError::unsupported(format!(
                "a cast of values of type {} is not supported",
                source.sql_name()
            ))
            .into());
        }
        if value.data_type() != &DataType::Null && !cast::castable(&source, &target) {
            let bare = |data_type: &PgType| {
                let name = PgType { modifier: -1, ..data_type.clone() }.sql_name();
                if data_type.oid == oids::BPCHAR { "character".to_owned() } else { name }
            };
            return Err(SqlError::new(
                SqlState::CANNOT_COERCE,
                format!("cannot cast type {} to {}", bare(&source), bare(&target)),
            )
            .into());
        }
        Ok(Arc::new(target.field(value.name(), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value, _], [field, _]) = (args.args.as_slice(), args.arg_fields.as_slice()) else {
            return exec_err!("pg_cast takes a value and a type's name");
        };
        let (source, target) = (PgType::of_field(field), PgType::of_field(&args.return_field));
        let (style, memory) = (&self.settings.style(), self.settings.memory());
        match value {
            ColumnarValue::Array(array) => {
                interrupt::within(memory, || cast::cast(array.as_ref(), &source, &target, style))
                    .map(ColumnarValue::Array)
                    .map_err(external)
            }
            ColumnarValue::Scalar(scalar) => {
                let array = scalar.to_array_of_size(1)?;
                let cast = interrupt::within(memory, || cast::cast(array.as_ref(), &source, &target, style));
                let cast = cast.map_err(external)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&cast, 0)?))
            }
        }
    }
}
