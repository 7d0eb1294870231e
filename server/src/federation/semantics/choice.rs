//! `CASE`, `coalesce`, `nullif`: one type for all branches, as PostgreSQL finds it.
//!
//! DataFusion's `CASE` loses the PostgreSQL type of its branches. The syntax tree's becomes a call of `pg_case`, which has
//! a type, and which the optimizer turns into DataFusion's lazy `CASE` under `pg_typed`, which only says the type.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, new_null_array};
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::key::{Comparison, comparison, keys};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, Case, ScalarFunction};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::operators::{plan_comparison, take_type};
use super::{Operand, Settings, cast, external, operand, parameters};
use crate::error::{SqlError, SqlState};

/// The function in `CASE`'s place: conditions and results in turn, the `ELSE` last.
pub(super) const CASE: &str = "pg_case";

/// The function that says a type.
const TYPED: &str = "pg_typed";

/// The functions of this module.
pub(super) fn functions(settings: &Settings) -> Vec<ScalarUDF> {
    let kinds = [Kind::Case, Kind::Coalesce, Kind::NullIf, Kind::Greatest, Kind::Least];
    let choices = kinds.map(|kind| {
        ScalarUDF::from(Choice {
            kind,
            settings: settings.clone(),
            signature: Signature::variadic_any(Volatility::Immutable),
        })
    });
    choices.into_iter().chain([pg_typed()]).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Case,
    Coalesce,
    NullIf,
    Greatest,
    Least,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Choice {
    kind: Kind,
    settings: Settings,
    signature: Signature,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Case => CASE,
            Self::Coalesce => "coalesce",
            Self::NullIf => "nullif",
            Self::Greatest => "greatest",
            Self::Least => "least",
        }
    }

    const fn shown(self) -> &'static str {
        match self {
            Self::Case => "CASE",
            Self::Coalesce => "COALESCE",
            Self::NullIf => "NULLIF",
            Self::Greatest => "GREATEST",
            Self::Least => "LEAST",
        }
    }

    /// Whether an argument is a possible result.
    fn is_result(self, index: usize, count: usize) -> bool {
        match self {
            Self::Case => index % 2 == 1 || (index + 1 == count && count % 2 == 1),
            Self::Coalesce | Self::Greatest | Self::Least => true,
            Self::NullIf => index == 0,
        }
    }

    /// The type of the results and how it is stored.
    fn result(self, fields: &[FieldRef], literals: &[bool]) -> Result<(PgType, DataType)> {
        let results: Vec<(&FieldRef, bool)> = fields
            .iter()
            .zip(literals)
            .enumerate()
            .filter(|(index, _)| self.is_result(*index, fields.len()))
            .map(|(_, (field, literal))| (field, *literal))
            .collect();
        let mut common: Option<(PgType, DataType)> = None;
        // Of CASE, ELSE counts as the first.
        let otherwise = usize::from(self == Self::Case && fields.len() % 2 == 1);
        let (branches, last) = results.split_at(results.len() - otherwise);
        for (field, literal) in last.iter().chain(branches) {
            if is_unknown(field, *literal) {
                continue;
            }
            let own = (PgType::of_field(field), field.data_type().clone());
            common = Some(match common {
                None => own,
                Some(common) if common == own => common,
                Some(common) => {
                    let data_type = unify(&common.0, &own.0).ok_or_else(|| self.mismatch(&common.0, &own.0))?;
                    let storage = data_type.storage();
                    (data_type, storage)
                }
            });
        }
        let mut common = common.unwrap_or_else(|| (PgType::new(oids::TEXT), DataType::Utf8View));
        if let (Self::NullIf, [_, right]) = (self, fields) {
            let right =
                literals.get(1).is_some_and(|literal| !is_unknown(right, *literal)).then(|| PgType::of_field(right));
            if let Some(compared) = compared_as(&common.0, right.as_ref()) {
                common = (PgType::new(compared), PgType::new(compared).storage());
            }
        }
        let literal = |(field, literal): &(&FieldRef, bool)| {
            is_unknown(field, *literal) || (*literal && field.data_type().is_numeric() && field.metadata().is_empty())
        };
        // CASE without ELSE has the literal NULL there.
        let untyped = (self == Self::Case && otherwise == 0) || results.iter().any(literal);
        if common.0.modifier != -1 && common.0.user.is_none() && untyped {
            // A literal has no modifier, and must not be cut to the others'.
            let bare = PgType { modifier: -1, ..common.0 };
            let storage = bare.storage();
            return Ok((bare, storage));
        }
        Ok(common)
    }

    fn mismatch(self, left: &PgType, right: &PgType) -> SqlError {
        let shown = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
        SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!("{} types {} and {} cannot be matched", self.shown(), shown(left), shown(right)),
        )
    }
}

/// Parameters among the possible results take the type of the others, and conditions are truth values.
///
/// # Errors
/// `42804`.
pub(super) fn typed_parameters(mut call: ScalarFunction, schema: &DFSchema) -> Result<ScalarFunction> {
    let Some(kind) = call.func.inner().downcast_ref::<Choice>().map(|choice| choice.kind) else { return Ok(call) };
    let fields =
        call.args.iter().map(|arg| arg.to_field(schema).map(|(_, field)| field)).collect::<Result<Vec<_>>>()?;
    let literals: Vec<bool> =
        call.args.iter().map(|arg| matches!(arg, Expr::Literal(..)) || parameters::is_untyped(arg)).collect();
    let (mut data_type, _) = kind.result(&fields, &literals)?;
    let known = call.args.iter().find(|arg| !parameters::is_untyped(arg)).and_then(|arg| operand(arg, schema));
    if kind == Kind::NullIf
        && let Some(Operand::Typed(other)) = known
    {
        data_type = other;
    }
    let count = call.args.len();
    let boolean = PgType::new(oids::BOOL);
    call.args = call
        .args
        .into_iter()
        .enumerate()
        .map(|(index, arg)| {
            let condition = kind == Kind::Case && !kind.is_result(index, count);
            parameters::typed(arg, if condition { &boolean } else { &data_type })
        })
        .collect();
    Ok(call)
}

/// The type of `nullif`'s value where the equality that compares it casts it.
fn compared_as(left: &PgType, right: Option<&PgType>) -> Option<u32> {
    let is_integer = |oid: u32| matches!(oid, oids::INT2 | oids::INT4 | oids::INT8);
    let right = right.filter(|right| right.user.is_none());
    match (left.oid, right.map(|right| right.oid)) {
        _ if left.user.is_some() => None,
        // There is one equality of strings, text's, which varchar is cast to.
        (oids::VARCHAR, Some(oids::BPCHAR)) => Some(oids::BPCHAR),
        (oids::VARCHAR, _) | (oids::BPCHAR, Some(oids::TEXT)) => Some(oids::TEXT),
        (own, Some(oids::NUMERIC)) if is_integer(own) => Some(oids::NUMERIC),
        (own, Some(oids::FLOAT4 | oids::FLOAT8)) if is_integer(own) || own == oids::NUMERIC => Some(oids::FLOAT8),
        _ => None,
    }
}

/// A literal that takes the type of the others.
fn is_unknown(field: &Field, literal: bool) -> bool {
    field.data_type() == &DataType::Null || (literal && field.data_type().is_string() && field.metadata().is_empty())
}

/// The type that two types have in common; modifiers survive only where they agree.
///
/// Of two types that can each be cast to the other implicitly, as all strings can, the first counts: PostgreSQL's
/// `select_common_type`.
pub(super) fn unify(left: &PgType, right: &PgType) -> Option<PgType> {
    const NUMBERS: &[u32] = &[oids::INT2, oids::INT4, oids::INT8, oids::NUMERIC, oids::FLOAT4, oids::FLOAT8];
    const STRINGS: &[u32] = &[oids::NAME, oids::BPCHAR, oids::VARCHAR, oids::TEXT];
    const MOMENTS: &[u32] = &[oids::DATE, oids::TIMESTAMP, oids::TIMESTAMPTZ];
    if left == right {
        return Some(left.clone());
    }
    if left.oid == right.oid {
        return Some(PgType { modifier: -1, ..left.clone() });
    }
    if STRINGS.contains(&left.oid) && STRINGS.contains(&right.oid) {
        return Some(PgType::new(left.oid));
    }
    if let (Some(left), Some(right)) = (left.element(), right.element()) {
        return unify(&left, &right)?.array();
    }
    // An integer becomes an OID implicitly, not the other way round; so does "char" a string.
    const INTEGERS: &[u32] = &[oids::INT2, oids::INT4, oids::INT8];
    for (one, other) in [(left, right), (right, left)] {
        if one.oid == oids::OID && INTEGERS.contains(&other.oid) {
            return Some(PgType::new(oids::OID));
        }
        if one.oid == oids::CHAR && other.oid == oids::TEXT {
            return Some(PgType::new(oids::TEXT));
        }
    }
    for ladder in [NUMBERS, MOMENTS] {
        let rung = |data_type: &PgType| ladder.iter().position(|oid| *oid == data_type.oid);
        if let (Some(left), Some(right)) = (rung(left), rung(right)) {
            return ladder.get(left.max(right)).map(|oid| PgType::new(*oid));
        }
    }
    None
}

/// The type in which values of two types are compared: strings of different types as text.
pub(super) fn comparable(left: &PgType, right: &PgType) -> Option<PgType> {
    let common = unify(left, right)?;
    let strings = [oids::NAME, oids::BPCHAR, oids::VARCHAR];
    let is_float = |oid: u32| matches!(oid, oids::FLOAT4 | oids::FLOAT8);
    Some(match (left.oid, right.oid) {
        // `real` compares with `double precision` only, and other numbers with that, too.
        (left, right) if left != right && (is_float(left) || is_float(right)) => PgType::new(oids::FLOAT8),
        // There is no operator of varchar: char's takes it, and trailing blanks say nothing.
        (oids::BPCHAR, oids::VARCHAR) | (oids::VARCHAR, oids::BPCHAR) => PgType::new(oids::BPCHAR),
        (left, right) if left != right && strings.contains(&common.oid) => PgType::new(oids::TEXT),
        _ => common,
    })
}

impl Choice {
    /// Two sides of a comparison in their common type: types are no longer coerced once functions are simplified.
    fn same_type(&self, left: &Expr, right: &Expr, schema: &DFSchema) -> Result<(Expr, Expr)> {
        let (left_type, right_type) = (operand(left, schema), operand(right, schema));
        let (Some(Operand::Typed(left_type)), Some(Operand::Typed(right_type))) = (left_type, right_type) else {
            return Ok((left.clone(), right.clone()));
        };
        match comparable(&left_type, &right_type) {
            Some(common) if common.oid != oids::NUMERIC => {
                let converted = |expr: &Expr| -> Result<Expr> {
                    let same = expr.get_type(schema)? == common.storage();
                    Ok(if same { expr.clone() } else { cast::cast_to(&self.settings, expr.clone(), &common) })
                };
                Ok((converted(left)?, converted(right)?))
            }
            _ => Ok((left.clone(), right.clone())),
        }
    }
}

impl ScalarUDFImpl for Choice {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.name())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if args.arg_fields.is_empty() || (self.kind == Kind::NullIf && args.arg_fields.len() != 2) {
            return Err(SqlError::syntax(format!("wrong number of arguments for {}", self.kind.shown())).into());
        }
        let literals: Vec<bool> = args.scalar_arguments.iter().map(Option::is_some).collect();
        let (data_type, storage) = self.kind.result(args.arg_fields, &literals)?;
        if matches!(self.kind, Kind::Greatest | Kind::Least) {
            Extreme::check(&data_type)?;
        }
        Ok(Arc::new(data_type.tag(Field::new(self.name(), storage, true))))
    }

    fn short_circuits(&self) -> bool {
        true
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let schema = info.schema();
        let fields =
            args.iter().map(|arg| arg.to_field(schema.as_ref()).map(|(_, field)| field)).collect::<Result<Vec<_>>>()?;
        let literals: Vec<bool> = args.iter().map(|arg| matches!(arg, Expr::Literal(..))).collect();
        let (data_type, storage) = self.kind.result(&fields, &literals)?;
        let result = |index: usize, expr: &Expr| -> Result<Expr> {
            let (Some(field), Some(literal)) = (fields.get(index), literals.get(index)) else {
                return Ok(expr.clone());
            };
            if is_unknown(field, *literal) {
                return match take_type(&self.settings, expr.clone(), &data_type)? {
                    Expr::Literal(value, metadata) if value.is_null() => {
                        Ok(Expr::Literal(ScalarValue::try_from(&storage)?, metadata))
                    }
                    Expr::Literal(value, _)
                        if matches!(storage, DataType::List(_)) && value.try_as_str().flatten() == Some("{}") =>
                    {
                        Ok(Expr::Literal(ScalarValue::new_default(&storage)?, None))
                    }
                    // A cast of Arrow's would make a list of the text.
                    Expr::Literal(..) if matches!(storage, DataType::List(_)) => {
                        let message = "an array literal beside an array of a system table is not supported";
                        Err(SqlError::unsupported(message).hint("Cast the literal to its type.").into())
                    }
                    Expr::Literal(value, metadata) if value.data_type() != storage => {
                        Ok(Expr::Literal(value.cast_to(&storage)?, metadata))
                    }
                    typed => Ok(typed),
                };
            }
            let own = PgType::of_field(field);
            // Blanks that a length stood for are the value's own where there is none.
            let padded = own.oid == oids::BPCHAR && own.modifier != data_type.modifier;
            if field.data_type() == &storage && !padded {
                return Ok(bare_case(expr).clone());
            }
            Ok(cast::cast_to(&self.settings, expr.clone(), &data_type))
        };
        let when = |condition: Expr, result: Expr| (Box::new(condition), Box::new(result));
        let (branches, otherwise) = match self.kind {
            Kind::Case => {
                let mut branches = Vec::new();
                let pairs = args.len() / 2;
                for pair in 0..pairs {
                    if let (Some(condition), Some(value)) = (args.get(pair * 2), args.get(pair * 2 + 1)) {
                        branches.push(when(condition.clone(), result(pair * 2 + 1, value)?));
                    }
                }
                let otherwise = match args.get(pairs * 2) {
                    Some(value) => Some(result(pairs * 2, value)?),
                    None => None,
                };
                (branches, otherwise)
            }
            Kind::Coalesce => {
                let mut branches = Vec::new();
                let last = args.len().saturating_sub(1);
                for (index, value) in args.iter().enumerate().take(last) {
                    let value = result(index, value)?;
                    branches.push(when(value.clone().is_not_null(), value));
                }
                let otherwise = args.get(last).map(|value| result(last, value)).transpose()?;
                match (branches.is_empty(), otherwise) {
                    (true, Some(only)) => return Ok(ExprSimplifyResult::Simplified(typed(only, &data_type)?)),
                    (_, otherwise) => (branches, otherwise),
                }
            }
            Kind::Greatest | Kind::Least => {
                let values = args.iter().enumerate().map(|(index, arg)| result(index, arg));
                let values = values.collect::<Result<Vec<_>>>()?;
                let extreme = Extreme::of(self.kind == Kind::Greatest, &data_type, storage)?;
                return Ok(ExprSimplifyResult::Simplified(typed(extreme.call(values), &data_type)?));
            }
            Kind::NullIf => {
                let [value, right] = args.as_slice() else { return exec_err!("nullif takes two arguments") };
                let (left, right) = self.same_type(value, right, schema)?;
                let equal = plan_comparison(&self.settings, left.clone(), Operator::Eq, right, schema.as_ref())?;
                let equal = coerced(equal, schema.as_ref())?;
                let null = Expr::Literal(ScalarValue::try_from(&storage)?, None);
                (vec![when(equal, null)], Some(result(0, value)?))
            }
        };
        let case = Expr::Case(Case::new(None, branches, otherwise.map(Box::new)));
        Ok(ExprSimplifyResult::Simplified(typed(case, &data_type)?))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("{} is planned as CASE", self.name())
    }
}

/// Comparisons with both sides in one storage type: the rule that sees to it has run before a choice becomes `CASE`.
fn coerced(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let coerced = expr.transform_up(|expr| {
        let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return Ok(Transformed::no(expr)) };
        let types = (left.get_type(schema)?, right.get_type(schema)?);
        let common = match op.supports_propagation() && types.0 != types.1 {
            true => comparison_coercion(&types.0, &types.1),
            false => None,
        };
        let Some(common) = common else {
            return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
        };
        let (left, right) = (left.cast_to(&common, schema)?, right.cast_to(&common, schema)?);
        Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) })))
    })?;
    Ok(coerced.data)
}

/// The greatest or least of several values of one type that are not NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    greatest: bool,
    data_type: PgType,
    storage: DataType,
    signature: Signature,
}

impl Extreme {
    fn of(greatest: bool, data_type: &PgType, storage: DataType) -> Result<ScalarUDF> {
        Self::check(data_type)?;
        let signature = Signature::variadic_any(Volatility::Immutable);
        Ok(ScalarUDF::from(Self { greatest, data_type: data_type.clone(), storage, signature }))
    }

    /// Refuses types without an order.
    fn check(data_type: &PgType) -> Result<()> {
        let shown = PgType { modifier: -1, ..data_type.clone() }.sql_name();
        match comparison(data_type) {
            Comparison::Storage | Comparison::Key => Ok(()),
            Comparison::None => Err(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("could not identify a comparison function for type {shown}"),
            )
            .into()),
            Comparison::EqualityOnly | Comparison::Unknown => {
                Err(SqlError::unsupported(format!("ordering values of type {shown} is not supported")).into())
            }
        }
    }
}

impl ScalarUDFImpl for Extreme {
    fn name(&self) -> &str {
        if self.greatest { "pg_greatest" } else { "pg_least" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.storage.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let keys = arrays.iter().map(|array| keys(array.as_ref(), &self.data_type));
        let keys = keys.collect::<std::result::Result<Vec<_>, _>>().map_err(external)?;
        let keys: Vec<&BinaryArray> = keys.iter().map(|keys| keys.as_binary::<i32>()).collect();
        let null = new_null_array(&self.storage, 1);
        let chosen: Vec<(usize, usize)> = (0..rows)
            .map(|row| {
                let mut best: Option<(usize, &[u8])> = None;
                for (index, keys) in keys.iter().enumerate().filter(|(_, keys)| keys.is_valid(row)) {
                    let key = keys.value(row);
                    // Of equal values the first stays.
                    let better = best.is_none_or(|(_, best)| if self.greatest { key > best } else { key < best });
                    if better {
                        best = Some((index, key));
                    }
                }
                best.map_or((arrays.len(), 0), |(index, _)| (index, row))
            })
            .collect();
        let sources: Vec<&dyn Array> = arrays.iter().chain([&null]).map(AsRef::as_ref).collect();
        let result = arrow::compute::interleave(&sources, &chosen)?;
        if scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgTyped {
    signature: Signature,
}

fn pg_typed() -> ScalarUDF {
    ScalarUDF::from(PgTyped { signature: Signature::any(2, Volatility::Immutable) })
}

/// An expression said to be of a type that its storage already is.
pub(super) fn typed(expr: Expr, data_type: &PgType) -> Result<Expr> {
    let text = serde_json::to_string(data_type)
        .map_err(|error| SqlError::internal(format!("a type could not be written: {error}")))?;
    let args = vec![expr, Expr::Literal(ScalarValue::Utf8(Some(text)), None)];
    Ok(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(pg_typed()), args)))
}

/// A `CASE` within a branch of another, which says the type of both. DataFusion asks a function between them for its type
/// twice, each time down to the innermost: 2 ^ depth times.
fn bare_case(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(call) if call.func.name() == TYPED => match call.args.first() {
            Some(case @ Expr::Case(_)) => case,
            _ => expr,
        },
        expr => expr,
    }
}

/// Whether a call says the type of an expression that says it itself.
pub(super) fn is_typed_twice(call: &ScalarFunction) -> bool {
    let inner = match (call.func.name(), call.args.as_slice()) {
        (TYPED, [Expr::ScalarFunction(inner), _]) => inner,
        _ => return false,
    };
    inner.func.name() == TYPED && inner.args.get(1) == call.args.get(1)
}

/// Whether a call says the type of a `CASE`.
pub(super) fn is_typed_case(call: &ScalarFunction) -> bool {
    call.func.name() == TYPED && matches!(call.args.first(), Some(Expr::Case(_)))
}

impl ScalarUDFImpl for PgTyped {
    fn name(&self) -> &str {
        TYPED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("pg_typed has a field, not a type")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let ([value, _], [_, Some(text)]) = (args.arg_fields, args.scalar_arguments) else {
            return exec_err!("pg_typed takes a value and a type");
        };
        let data_type: PgType = serde_json::from_str(text.try_as_str().flatten().unwrap_or_default())
            .map_err(|error| SqlError::internal(format!("a type could not be read: {error}")))?;
        Ok(Arc::new(data_type.tag(Field::new(value.name(), value.data_type().clone(), true))))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if args.args.is_empty() {
            return exec_err!("pg_typed takes a value and a type");
        }
        Ok(args.args.swap_remove(0))
    }
}
