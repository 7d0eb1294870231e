//! Plans binary operators by the PostgreSQL types of their sides.

mod known;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field};
use atoll_connector_api::types::key::{Comparison, comparison};
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{BuiltinType, PgType, format_scalar, oids, parse_scalar, parse_scalar_with};
use datafusion::common::{DFSchema, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions::string::expr_fn::rtrim;
use datafusion::logical_expr::expr::{BinaryExpr, Placeholder};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

use super::arithmetic::{self, Arithmetic, constant, narrow_literal, planned_operand};
use super::cast::{self, cast_to, fold};
use super::float::{self, Comparable};
use super::{
    Operand, Settings, choice, compare, datetime, external, fields, functions, operand, parameters, type_of,
    typed_literal,
};
use crate::error::{SqlError, SqlState};

pub(super) use known::no_operator_named;
use known::*;

/// The planner of binary operators.
#[derive(Debug)]
pub(super) struct PostgresOperators {
    settings: Settings,
}

impl PostgresOperators {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl ExprPlanner for PostgresOperators {
    /// `a.b` where `a` is a column, and none that has fields: then it is meant for a table.
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        if let ([name], false) = (nested, field.data_type().is_nested()) {
            return Ok(PlannerResult::Planned(fields::missing(field, qualifier, name)));
        }
        // Another planner's.
        Ok(PlannerResult::Original(Vec::new()))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let sides = (planned_operand(&left, schema), planned_operand(&right, schema));
        if is_overloaded(&op) && sides == (Some(Operand::Unknown), Some(Operand::Unknown)) {
            let message = format!("operator is not unique: unknown {op} unknown");
            return Err(SqlError::new(SqlState::AMBIGUOUS_FUNCTION, message)
                .hint("Could not choose a best candidate operator. You might need to add explicit type casts.")
                .into());
        }
        if matches!(op, BinaryOperator::PGBitwiseXor) && is_bits(sides.0.as_ref()) && is_all_ones(&right) {
            let function = functions::function(&self.settings, "bits_not");
            if let Some(function) = function {
                return Ok(PlannerResult::Planned(function.call(vec![left])));
            }
        }
        let is_range =
            |side: &Option<Operand>| matches!(side, Some(Operand::Typed(own)) if own.range_bound().is_some());
        let of_ranges = (is_range(&sides.0) || is_range(&sides.1)) && range_function(&op).is_some();
        if let (BinaryOperator::Custom(_), false, (Some(left), Some(right))) = (&op, of_ranges, &sides) {
            return Err(no_operator(left, &op, right).into());
        }
        check_ranges(&op, sides.0.as_ref(), sides.1.as_ref())?;
        if op == BinaryOperator::PGBitwiseXor
            && is_all_ones(&right)
            && let Some(Operand::Typed(own)) = &sides.0
            && own.user.is_none()
            && matches!(own.oid, oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8 | oids::TEXT | oids::BOOL | oids::DATE)
        {
            return Err(no_sign("~", own).into());
        }
        if matches!(op, BinaryOperator::StringConcat | BinaryOperator::PGExp) {
            check_sides(&op, sides.0.as_ref(), sides.1.as_ref())?;
        }
        check_rows(&op, (&left, sides.0.as_ref()), (&right, sides.1.as_ref()), schema)?;
        let name = function_of(&op, sides.0.as_ref(), sides.1.as_ref())
            .or_else(|| money_function(&op, sides.0.as_ref(), sides.1.as_ref()));
        if let Some(name) = name
            && let Some(function) = functions::function(&self.settings, name)
        {
            // What is contained stands on the left.
            let swapped = name.starts_with("range_") && op == BinaryOperator::ArrowAt;
            let (left, right, sides) = if swapped { (right, left, (sides.1, sides.0)) } else { (left, right, sides) };
            // An untyped literal is of the other side's type where the operator has such a side; `*` has none.
            let money = PgType::new(oids::MONEY);
            let typed = |expr: Expr, own: &Option<Operand>| match own {
                Some(Operand::Unknown) if name.starts_with("money_") && op != BinaryOperator::Multiply => {
                    take_type(&self.settings, expr, &money)
                }
                _ => Ok(expr),
            };
            let args = vec![typed(left, &sides.0)?, typed(right, &sides.1)?];
            return Ok(PlannerResult::Planned(function.call(args)));
        }
        if let Some(operator) = comparison_operator(&op) {
            return plan_comparison(&self.settings, left, operator, right, schema).map(PlannerResult::Planned);
        }
        check_sides(&op, sides.0.as_ref(), sides.1.as_ref())?;
        let (left, right) = match (is_bitwise(&op), &sides) {
            // An untyped literal beside an integer is one; a shift is by an `integer`.
            (true, (Some(Operand::Typed(own)), Some(Operand::Unknown))) => {
                let shift = matches!(op, BinaryOperator::PGBitwiseShiftLeft | BinaryOperator::PGBitwiseShiftRight);
                let own = if shift { PgType::new(oids::INT4) } else { own.clone() };
                (left, take_type(&self.settings, right, &own)?)
            }
            (true, (Some(Operand::Unknown), Some(Operand::Typed(own)))) => {
                (take_type(&self.settings, left, own)?, right)
            }
            _ => (left, right),
        };
        let planned = match arithmetic_operator(&op) {
            Some(operation) => match datetime::plan_operator(&self.settings, &left, &op.to_string(), &right, schema)? {
                Some(planned) => Some(planned),
                None => arithmetic::plan(&self.settings, &left, operation, &right, schema)?,
            },
            None if op == BinaryOperator::StringConcat => {
                let (left, right) = plan_concatenation(&self.settings, left, right, schema)?;
                let is_bits =
                    |side: &Expr| type_of(side, schema).is_some_and(|own| matches!(own.oid, oids::BIT | oids::VARBIT));
                if is_bits(&left) && is_bits(&right) {
                    let bits = binary(left, Operator::StringConcat, right);
                    return choice::typed(bits, &PgType::new(oids::VARBIT)).map(PlannerResult::Planned);
                }
                return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
            }
            None => None,
        };
        Ok(match planned {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(RawBinaryExpr { op, left, right }),
        })
    }
}

fn comparison_operator(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

fn arithmetic_operator(op: &BinaryOperator) -> Option<Arithmetic> {
    Some(match op {
        BinaryOperator::Plus => Arithmetic::Add,
        BinaryOperator::Minus => Arithmetic::Subtract,
        BinaryOperator::Multiply => Arithmetic::Multiply,
        BinaryOperator::Divide => Arithmetic::Divide,
        BinaryOperator::Modulo => Arithmetic::Remainder,
        _ => return None,
    })
}

/// Types between which PostgreSQL has comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Bool,
    Bytes,
    Moment,
    Time,
    Interval,
    Uuid,
    Network,
    Bits,
    /// Compares with its own type only.
    Own(u32),
}

/// Whether a type is a string's, or becomes text implicitly.
pub(super) fn is_text(data_type: &PgType) -> bool {
    family(data_type) == Family::Text
}

fn family(data_type: &PgType) -> Family {
    if data_type.user.is_some() {
        return Family::Own(data_type.oid);
    }
    match data_type.oid {
        oids::INT2 | oids::INT4 | oids::INT8 | oids::FLOAT4 | oids::FLOAT8 | oids::NUMERIC => Family::Number,
        oids::OID | oids::XID | oids::CID | oids::REGPROC | oids::REGCLASS | oids::REGTYPE => Family::Number,
        oids::REGNAMESPACE | oids::REGROLE | 2202..=2204 => Family::Number,
        oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::CHAR | oids::UNKNOWN => Family::Text,
        oids::BOOL => Family::Bool,
        oids::BYTEA => Family::Bytes,
        oids::DATE | oids::TIMESTAMP | oids::TIMESTAMPTZ => Family::Moment,
        oids::TIME | oids::TIMETZ => Family::Time,
        oids::INTERVAL => Family::Interval,
        oids::UUID => Family::Uuid,
        oids::INET | oids::CIDR => Family::Network,
        oids::BIT | oids::VARBIT => Family::Bits,
        oid => Family::Own(oid),
    }
}

/// Plans `left operator right`.
pub(super) fn plan_comparison(
    settings: &Settings,
    left: Expr,
    operator: Operator,
    right: Expr,
    schema: &DFSchema,
) -> Result<Expr> {
    let (left, right) = (constant(fold(settings, left)?), constant(fold(settings, right)?));
    let (Some(left_type), Some(right_type)) = (operand(&left, schema), operand(&right, schema)) else {
        return Ok(binary(left, operator, right));
    };
    let (left, right, left_type, right_type) = match (left_type, right_type) {
        (Operand::Unknown, Operand::Unknown) => return Ok(binary(left, operator, right)),
        (Operand::Typed(known), Operand::Unknown) => {
            (left, take_type(settings, right, &known)?, known.clone(), literal_type(known))
        }
        (Operand::Unknown, Operand::Typed(known)) => {
            (take_type(settings, left, &known)?, right, literal_type(known.clone()), known)
        }
        (Operand::Typed(left_type), Operand::Typed(right_type)) => (left, right, left_type, right_type),
    };
    let (left, left_type) = spanned(settings, left, left_type, &right_type);
    let (right, right_type) = spanned(settings, right, right_type, &left_type);
    check_operator(&left_type, operator, &right_type)?;
    let ((left, left_type), (right, right_type)) = common_sides(settings, (left, left_type), (right, right_type))?;
    let ((left, left_type), (right, right_type)) = (unpadded(left, left_type), unpadded(right, right_type));
    if needs_key(&left_type) || needs_key(&right_type) || is_upscaled(&left, &right, schema) {
        let (left, right, float) = numeric_pair(settings, left, &left_type, right, &right_type);
        if float {
            return Ok(float_comparison(left, operator, right));
        }
        let (left, right) = (literal_as(left, &right_type)?, literal_as(right, &left_type)?);
        // An equality of columns must stay one for joins; everything else stays readable for connectors.
        if operator == Operator::Eq && !is_literal(&left) && !is_literal(&right) {
            let numeric = left_type.oid == oids::NUMERIC || right_type.oid == oids::NUMERIC;
            let (left, right) =
                (compare::key_of(left, &left_type, numeric), compare::key_of(right, &right_type, numeric));
            return Ok(binary(left, operator, right));
        }
        return Ok(compare::comparison(left, operator, right));
    }
    if float::is_float(&left_type) || float::is_float(&right_type) {
        let (left, right) = if left_type.oid == oids::FLOAT4 && right_type.oid == oids::FLOAT4 {
            (left, right)
        } else {
            (as_double(settings, left, &left_type)?, as_double(settings, right, &right_type)?)
        };
        return Ok(float_comparison(left, operator, right));
    }
    Ok(binary(left, operator, right))
}

/// Both sides of a comparison as PostgreSQL casts them for it; what is left differs in storage only.
pub(super) fn common_sides(
    settings: &Settings,
    (left, left_type): (Expr, PgType),
    (right, right_type): (Expr, PgType),
) -> Result<((Expr, PgType), (Expr, PgType))> {
    let (left, left_type) = spanned(settings, left, left_type, &right_type);
    let (right, right_type) = spanned(settings, right, right_type, &left_type);
    let (left, left_type) = oid_side(settings, left, left_type, &right_type)?;
    let (right, right_type) = oid_side(settings, right, right_type, &left_type)?;
    let (left, right, moment) = datetime::common_type(settings, left, &left_type, right, &right_type)?;
    let (left_type, right_type) = match moment {
        Some(common) => (common.clone(), common),
        None => (left_type, right_type),
    };
    let (left, right) = (trimmed(left, &left_type, &right_type), trimmed(right, &right_type, &left_type));
    Ok(((left, left_type), (right, right_type)))
}

/// A time of day beside an interval is one.
fn spanned(settings: &Settings, expr: Expr, own: PgType, other: &PgType) -> (Expr, PgType) {
    let is = |data_type: &PgType, oid: u32| data_type.user.is_none() && data_type.oid == oid;
    if is(&own, oids::TIME) && is(other, oids::INTERVAL) {
        let interval = PgType::new(oids::INTERVAL);
        return (cast_to(settings, expr, &interval), interval);
    }
    (expr, own)
}

/// An integer beside an OID becomes one: -1 is the highest of them.
fn oid_side(settings: &Settings, expr: Expr, own: PgType, other: &PgType) -> Result<(Expr, PgType)> {
    let is_oid = |data_type: &PgType| data_type.user.is_none() && (data_type.oid == oids::OID || is_reg(data_type));
    let is_integer = own.user.is_none() && matches!(own.oid, oids::INT2 | oids::INT4 | oids::INT8);
    if !is_oid(other) || !is_integer {
        return Ok((expr, own));
    }
    let in_range = match &expr {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Int64) {
            Ok(ScalarValue::Int64(Some(value))) => u32::try_from(value).is_ok(),
            _ => false,
        },
        _ => false,
    };
    if in_range {
        return Ok((expr, own));
    }
    let oid = PgType::new(oids::OID);
    Ok((fold(settings, cast_to(settings, narrow_literal(expr), &oid))?, oid))
}

/// The type of an untyped literal beside a type: a number has as many digits as are written.
fn literal_type(beside: PgType) -> PgType {
    if matches!(beside.oid, oids::NUMERIC | oids::BPCHAR) { PgType { modifier: -1, ..beside } } else { beside }
}

/// `varchar` beside `char(n)`, whose trailing blanks say nothing, loses its own; so does a literal that became one.
pub(super) fn trimmed(expr: Expr, own: &PgType, other: &PgType) -> Expr {
    let literal =
        own.oid == oids::BPCHAR && own.user.is_none() && matches!(expr, Expr::Literal(..) | Expr::Placeholder(_));
    if literal || (own.oid == oids::VARCHAR && other.oid == oids::BPCHAR) { without_blanks(expr) } else { expr }
}

/// A value of `bpchar`, which is stored with the blanks at its end, as the text that it compares as.
fn unpadded(expr: Expr, own: PgType) -> (Expr, PgType) {
    if own.oid == oids::BPCHAR && own.modifier == -1 && own.user.is_none() {
        (without_blanks(expr), PgType::new(oids::TEXT))
    } else {
        (expr, own)
    }
}

fn without_blanks(expr: Expr) -> Expr {
    match expr {
        Expr::Literal(value, metadata) => match value.try_as_str().flatten() {
            Some(text) => Expr::Literal(ScalarValue::Utf8View(Some(text.trim_end_matches(' ').to_owned())), metadata),
            None => Expr::Literal(value, metadata),
        },
        expr => rtrim(vec![expr]),
    }
}

/// Whether two numbers have no common storage that holds both: a side that may hold NaN would get more digits after the
/// point, and what stands for NaN is no number to multiply; or the digits before and after the point are too many.
pub(super) fn is_upscaled(left: &Expr, right: &Expr, schema: &DFSchema) -> bool {
    let storage = |expr: &Expr| match expr {
        // As many digits as it has.
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => match value.unsigned_abs() {
            ..10_000 => Ok(DataType::Int16),
            10_000..1_000_000_000 => Ok(DataType::Int32),
            _ => Ok(DataType::Int64),
        },
        expr => expr.get_type(schema),
    };
    let (Ok(own), Ok(other)) = (storage(left), storage(right)) else { return false };
    have_no_common_storage((&own, is_literal(left)), (&other, is_literal(right)))
}

/// [`is_upscaled`] of types, and of whether the values are literals, which are not NaN.
pub(super) fn have_no_common_storage(left: (&DataType, bool), right: (&DataType, bool)) -> bool {
    let digits = |data_type: &DataType| match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some((i16::from(*precision) - i16::from(*scale), i16::from(*scale)))
        }
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        _ => None,
    };
    let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..));
    if !is_decimal(left.0) && !is_decimal(right.0) {
        return false;
    }
    let (Some(own), Some(other)) = (digits(left.0), digits(right.0)) else { return false };
    let wide = matches!(left.0, DataType::Decimal256(..)) || matches!(right.0, DataType::Decimal256(..));
    let room = if wide { DECIMAL256_MAX_PRECISION } else { DECIMAL128_MAX_PRECISION };
    let upscaled = |(data_type, literal): (&DataType, bool)| is_decimal(data_type) && !literal;
    (own.1 < other.1 && upscaled(left))
        || (own.1 > other.1 && upscaled(right))
        || own.0.max(other.0) + own.1.max(other.1) > i16::from(room)
}

/// PostgreSQL compares a float with any other number as double precision; DataFusion would with decimals.
fn as_double(settings: &Settings, expr: Expr, data_type: &PgType) -> Result<Expr> {
    if data_type.oid == oids::FLOAT8 {
        return Ok(expr);
    }
    fold(settings, cast_to(settings, expr, &PgType::new(oids::FLOAT8)))
}

fn float_comparison(left: Expr, operator: Operator, right: Expr) -> Expr {
    match float::comparable(left, operator, right) {
        Comparable::Plain(left, right) => binary(left, operator, right),
        Comparable::Planned(predicate) => predicate,
    }
}

/// A literal number against a numeric becomes one in the numeric's own storage, which connectors can send.
fn literal_as(expr: Expr, data_type: &PgType) -> Result<Expr> {
    match &expr {
        Expr::Literal(value, _)
            if data_type.oid == oids::NUMERIC && !value.is_null() && !value.data_type().is_string() =>
        {
            let own = PgType::of_arrow(&value.data_type());
            let text = format_scalar(value, &own, &OutputStyle::default()).map_err(external)?.unwrap_or_default();
            let numeric = PgType::new(oids::NUMERIC);
            Ok(typed_literal(parse_scalar(&text, &numeric).map_err(external)?, &numeric))
        }
        _ => Ok(expr),
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..) | Expr::Placeholder(_))
}

pub(super) fn binary(left: Expr, operator: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), operator, Box::new(right)))
}

pub(super) fn needs_key(data_type: &PgType) -> bool {
    comparison(data_type) == Comparison::Key
}

/// A numeric kept as text against a float compares as floats do.
fn numeric_pair(
    settings: &Settings,
    left: Expr,
    left_type: &PgType,
    right: Expr,
    right_type: &PgType,
) -> (Expr, Expr, bool) {
    let is_float = |data_type: &PgType| matches!(data_type.oid, oids::FLOAT4 | oids::FLOAT8);
    let float = PgType::new(oids::FLOAT8);
    if is_float(left_type) {
        (left, cast_to(settings, right, &float), true)
    } else if is_float(right_type) {
        (cast_to(settings, left, &float), right, true)
    } else {
        (left, right, false)
    }
}

const MACADDRS: [u32; 2] = [oids::MACADDR, oids::MACADDR8];
/// `pg_lsn`.
const LSN: u32 = 3220;

fn is_mac(data_type: &PgType) -> bool {
    data_type.user.is_none() && MACADDRS.contains(&data_type.oid)
}

/// Whether a type is what it says: of records, vectors and what catalogs make up DataFusion knows more than we.
fn is_settled(data_type: &PgType) -> bool {
    if data_type.user.is_some() || data_type.is_array() {
        return true;
    }
    if BuiltinType::by_oid(data_type.oid).is_some_and(|builtin| builtin.category == 'R') {
        return true;
    }
    match family(data_type) {
        Family::Own(oids::JSONB | oids::MONEY | oids::MACADDR | oids::MACADDR8 | LSN | 3614 | 3615) => true,
        Family::Own(_) => false,
        _ => true,
    }
}

const fn is_equality(operator: Operator) -> bool {
    matches!(operator, Operator::Eq | Operator::NotEq | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom)
}

/// Refuses operators that PostgreSQL does not have.
pub(super) fn check_operator(left: &PgType, operator: Operator, right: &PgType) -> Result<()> {
    let shown = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
    let missing = |left: &PgType, right: &PgType| {
        let operator = match operator {
            Operator::NotEq => "<>".to_owned(),
            Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => "=".to_owned(),
            operator => operator.to_string(),
        };
        SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {} {operator} {}", shown(left), shown(right)),
        )
        .hint("No operator matches the given name and argument types. You might need to add explicit type casts.")
    };
    let differ = family(left) != family(right);
    let fraction = |own: &PgType| matches!(own.oid, oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8);
    let is_oid = |own: &PgType| own.user.is_none() && own.oid == oids::OID;
    if (is_oid(left) && fraction(right)) || (fraction(left) && is_oid(right)) {
        return Err(missing(left, right).into());
    }
    if differ && (left.is_extension() || right.is_extension()) {
        // An extension has casts and operators of its own.
        let own = if left.is_extension() { left } else { right };
        return Err(SqlError::unsupported(format!("comparing values of type {} is not supported", shown(own))).into());
    }
    if is_mac(left) && is_mac(right) && left.oid != right.oid {
        return Err(SqlError::unsupported("comparing macaddr with macaddr8 is not supported").into());
    }
    if differ && is_settled(left) && is_settled(right) {
        return Err(missing(left, right).into());
    }
    // Arrays compare with arrays of what their elements compare with.
    if let (Some(left_element), Some(right_element)) = (left.element(), right.element())
        && is_settled(&left_element)
        && is_settled(&right_element)
        && family(&left_element) != family(&right_element)
    {
        return Err(missing(left, right).into());
    }
    // Arrays of numbers compare with arrays of the same numbers only.
    let number = |data_type: &PgType| data_type.element().filter(|element| family(element) == Family::Number);
    if let (Some(left_element), Some(right_element)) = (number(left), number(right))
        && left_element.oid != right_element.oid
    {
        return Err(missing(left, right).into());
    }
    match comparison(left) {
        Comparison::None => Err(missing(left, right).into()),
        Comparison::EqualityOnly if !is_equality(operator) => {
            Err(SqlError::unsupported(format!("ordering values of type {} is not supported", shown(left))).into())
        }
        Comparison::Unknown => {
            Err(SqlError::unsupported(format!("comparing values of type {} is not supported", shown(left))).into())
        }
        _ => Ok(()),
    }
}

/// An untyped literal or parameter with the type of the other side.
pub(super) fn take_type(settings: &Settings, expr: Expr, data_type: &PgType) -> Result<Expr> {
    // A modifier is of the column, not of what is compared with it.
    let data_type = PgType { modifier: -1, ..data_type.clone() };
    let text = match &expr {
        Expr::Literal(value, None) => value.try_as_str().flatten(),
        Expr::Placeholder(placeholder) => {
            let field = Arc::new(data_type.field(&placeholder.id, true));
            return Ok(Expr::Placeholder(Placeholder::new_with_field(placeholder.id.clone(), Some(field))));
        }
        _ => None,
    };
    let Some(text) = text else {
        let null = ScalarValue::try_from(&data_type.storage())?;
        return Ok(typed_literal(null, &data_type));
    };
    if matches!(data_type.oid, oids::TEXT | oids::VARCHAR | oids::NAME | oids::UNKNOWN) {
        return Ok(expr);
    }
    if is_reg(&data_type) {
        return Ok(expr);
    }
    cast::check_literal(&data_type)?;
    let value = parse_scalar_with(text, &data_type, &settings.literal_style()).map_err(external)?;
    Ok(typed_literal(value, &data_type))
}

/// `regclass` and its like are the catalog's business.
fn is_reg(data_type: &PgType) -> bool {
    matches!(
        data_type.oid,
        oids::REGPROC | oids::REGCLASS | oids::REGTYPE | oids::REGNAMESPACE | oids::REGROLE | 2202..=2204
    )
}

/// `||`: what is no string is printed as PostgreSQL prints it.
fn plan_concatenation(settings: &Settings, left: Expr, right: Expr, schema: &DFSchema) -> Result<(Expr, Expr)> {
    let types = (operand(&left, schema), operand(&right, schema));
    check_concatenation(types.0.as_ref(), types.1.as_ref())?;
    if types == (Some(Operand::Unknown), Some(Operand::Unknown)) {
        let typed = |expr: Expr| take_type(settings, expr, &PgType::new(oids::TEXT));
        return Ok((typed(left)?, typed(right)?));
    }
    let text = |operand: &Option<Operand>| match operand {
        Some(Operand::Typed(data_type)) => is_text(data_type),
        Some(Operand::Unknown) => true,
        None => false,
    };
    let printed = |expr: Expr, own: &Option<Operand>| match own {
        Some(Operand::Unknown) => parameters::typed(expr, &PgType::new(oids::TEXT)),
        Some(Operand::Typed(data_type))
            if !data_type.is_array()
                && (!text(own) || data_type.oid == oids::BPCHAR)
                && data_type.oid != oids::JSONB =>
        {
            cast_to(settings, expr, &PgType::new(oids::TEXT))
        }
        _ => expr,
    };
    // A literal beside bytes or bits is of their type.
    let typed = |expr: Expr, own: &Option<Operand>, other: &Option<Operand>| match (own, other) {
        (Some(Operand::Unknown), Some(Operand::Typed(other)))
            if matches!(other.oid, oids::BYTEA | oids::BIT | oids::VARBIT) =>
        {
            take_type(settings, expr, &PgType { modifier: -1, ..other.clone() }).map(Some)
        }
        _ => Ok(None),
    };
    if let Some(left) = typed(left.clone(), &types.0, &types.1)? {
        return Ok((left, right));
    }
    if let Some(right) = typed(right.clone(), &types.1, &types.0)? {
        return Ok((left, right));
    }
    Ok(if text(&types.0) || text(&types.1) {
        (printed(left, &types.0), printed(right, &types.1))
    } else {
        (left, right)
    })
}

/// `tsvector` and `tsquery`.
const SEARCH: [u32; 2] = [3614, 3615];

/// Refuses `||` that PostgreSQL does not have, and that of types which are text here only: one side must be a string, but
/// for types that have an operator of their own.
fn check_concatenation(left: Option<&Operand>, right: Option<&Operand>) -> Result<()> {
    let (Some(left), Some(right)) = (left, right) else { return Ok(()) };
    let is_string = |side: &Operand| matches!(side, Operand::Typed(own) if is_text(own));
    let collated = |side: &&&Operand| matches!(side, Operand::Typed(own) if own.is_collated());
    if let Some(Operand::Typed(own)) = [left, right].iter().find(collated) {
        return Err(SqlError::unsupported(format!("|| of values of type {} is not supported", own.sql_name())).into());
    }
    if is_string(left) || is_string(right) || (left == &Operand::Unknown && right == &Operand::Unknown) {
        return Ok(());
    }
    let of_its_own = |side: &Operand| match side {
        Operand::Typed(own) => own.is_extension() || (own.user.is_none() && SEARCH.contains(&own.oid)),
        Operand::Unknown => false,
    };
    if let Some(Operand::Typed(own)) = [left, right].into_iter().find(|side| of_its_own(side)) {
        return Err(SqlError::unsupported(format!("|| of values of type {} is not supported", own.sql_name())).into());
    }
    if left == &Operand::Unknown || right == &Operand::Unknown {
        return Ok(());
    }
    let alike = |oids: &[u32]| {
        let is = |side: &Operand| matches!(side, Operand::Typed(own) if own.user.is_none() && oids.contains(&own.oid));
        is(left) && is(right)
    };
    if alike(&[oids::BYTEA]) || alike(&[oids::BIT, oids::VARBIT]) || alike(&[oids::JSONB]) {
        return Ok(());
    }
    Err(no_operator_named(left, "||", right).into())
}
