//! `x = ANY (array)` and `x <> ALL (array)` over arrays of every storage.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder};
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::{PgType, cast, elements, key, oids};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr as AstExpr};
use std::sync::Arc;

use super::array_subquery::array_of;
use super::operators::{check_operator, take_type};
use super::{Operand, Settings, choice, external, operand, parameters, typed_literal};
use crate::error::{SqlError, SqlState};

/// The function in `ANY`'s place.
pub(super) const ANY: &str = "pg_any";
/// The function in `ALL`'s place.
pub(super) const ALL: &str = "pg_all";

/// What stands for the operator where the function is `IS DISTINCT FROM` beside a literal, …
pub(super) const DISTINCT: &str = "IS DISTINCT FROM";
/// … and `IS NOT DISTINCT FROM`.
pub(super) const NOT_DISTINCT: &str = "IS NOT DISTINCT FROM";

/// The operator of a call that compares with a literal.
pub(super) fn distinct(call: &ScalarFunction) -> Option<Operator> {
    let operator = match call.args.get(1) {
        Some(Expr::Literal(operator, _)) if call.func.name() == ANY => operator.try_as_str().flatten()?,
        _ => return None,
    };
    match operator {
        DISTINCT => Some(Operator::IsDistinctFrom),
        NOT_DISTINCT => Some(Operator::IsNotDistinctFrom),
        _ => None,
    }
}

/// Whether an operator compares text with a pattern.
pub(super) fn is_pattern(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::PGLikeMatch
            | BinaryOperator::PGNotLikeMatch
            | BinaryOperator::PGILikeMatch
            | BinaryOperator::PGNotILikeMatch
            | BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch
    )
}

/// `x ~ ANY (SELECT …)` as one over the array of the rows.
pub(super) fn collect_patterns(expr: &mut AstExpr) {
    let (AstExpr::AnyOp { compare_op, right, .. } | AstExpr::AllOp { compare_op, right, .. }) = expr else { return };
    if let (true, AstExpr::Subquery(query)) = (is_pattern(compare_op), right.as_ref()) {
        **right = array_of(query.clone());
    }
}

/// The functions of this module.
pub(super) fn functions(settings: &Settings) -> Vec<ScalarUDF> {
    [false, true]
        .map(|all| {
            let signature = Signature::any(3, Volatility::Immutable);
            ScalarUDF::from(Quantified { all, settings: settings.clone(), signature })
        })
        .into()
}

/// Types an untyped array by the other side, and turns `= ANY` of a constant into `IN`, which connectors can send.
pub(super) fn plan(
    settings: &Settings,
    func: Arc<ScalarUDF>,
    mut args: Vec<Expr>,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let mut changed = false;
    if let [value, _, array] = args.as_mut_slice()
        && parameters::is_untyped(array)
        && operand(value, schema) == Some(Operand::Unknown)
    {
        *value = take_type(settings, value.clone(), &PgType::new(oids::TEXT))?;
        *array = take_type(settings, array.clone(), &PgType::new(oids::TEXT_ARRAY))?;
        changed = true;
    }
    if let [value, _, array] = args.as_mut_slice()
        && operand(array, schema) == Some(Operand::Unknown)
        && let Some(Operand::Typed(data_type)) = operand(value, schema)
        && let Some(array_type) = data_type.array()
    {
        *array = take_type(settings, array.clone(), &array_type)?;
        changed = true;
    }
    if let [value, _, array] = args.as_mut_slice()
        && operand(value, schema) == Some(Operand::Unknown)
        && let Some(Operand::Typed(array_type)) = operand(array, schema)
        && let Some(element) = array_type.element()
    {
        *value = take_type(settings, value.clone(), &element)?;
        changed = true;
    }
    check_elements(&args, schema)?;
    if let Some(list) = in_list(func.name(), &args, schema)? {
        return Ok(Transformed::yes(list));
    }
    let call = Expr::ScalarFunction(ScalarFunction { func, args });
    Ok(if changed { Transformed::yes(call) } else { Transformed::no(call) })
}

/// Refuses an operator that there is not for the value and the elements.
fn check_elements(args: &[Expr], schema: &DFSchema) -> Result<()> {
    let [value, Expr::Literal(operator, _), array] = args else { return Ok(()) };
    let operator = match operator.try_as_str().flatten() {
        Some("=") => Operator::Eq,
        Some("<>" | "!=") => Operator::NotEq,
        Some("<") => Operator::Lt,
        Some("<=") => Operator::LtEq,
        Some(">") => Operator::Gt,
        Some(">=") => Operator::GtEq,
        _ => return Ok(()),
    };
    let Some(Operand::Typed(array)) = operand(array, schema) else { return Ok(()) };
    match (array.element(), operand(value, schema)) {
        (Some(element), Some(Operand::Typed(value))) => check_operator(&value, operator, &element),
        (None, _) if array.user.is_none() && is_plain(array.oid) => Err(no_array().into()),
        _ => Ok(()),
    }
}

/// Types that are no vector and no other list.
const fn is_plain(oid: u32) -> bool {
    matches!(oid, oids::BOOL | oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC | oids::TEXT | oids::DATE)
}

fn no_array() -> SqlError {
    SqlError::new(SqlState::WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side")
}

fn in_list(function: &str, args: &[Expr], schema: &DFSchema) -> Result<Option<Expr>> {
    let [value, Expr::Literal(operator, _), Expr::Literal(array, Some(_))] = args else { return Ok(None) };
    let negated = match (function, operator.try_as_str().flatten()) {
        (ANY, Some("=")) => false,
        (ALL, Some("<>" | "!=")) => true,
        _ => return Ok(None),
    };
    let (Some(Operand::Typed(array_type)), Some(Operand::Typed(value_type))) =
        (args.get(2).and_then(|array| operand(array, schema)), operand(value, schema))
    else {
        return Ok(None);
    };
    let Some(element) = array_type.element() else { return Ok(None) };
    if array.is_null() || element.oid != value_type.oid {
        return Ok(None);
    }
    let (values, _) = elements(array.to_array_of_size(1)?.as_ref(), &array_type).map_err(external)?;
    let list = (0..values.len())
        .map(|row| Ok(typed_literal(ScalarValue::try_from_array(&values, row)?, &element)))
        .collect::<Result<Vec<_>>>()?;
    if list.is_empty() {
        return Ok(Some(Expr::Literal(ScalarValue::Boolean(Some(negated)), None)));
    }
    Ok(Some(Expr::InList(InList { expr: Box::new(value.clone()), list, negated })))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantified {
    all: bool,
    settings: Settings,
    signature: Signature,
}

impl ScalarUDFImpl for Quantified {
    fn name(&self) -> &str {
        if self.all { ALL } else { ANY }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), DataType::Boolean, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ([value, ColumnarValue::Scalar(operator), array], [value_field, _, array_field]) =
            (args.args.as_slice(), args.arg_fields.as_slice())
        else {
            return exec_err!("{} takes a value, an operator and an array", self.name());
        };
        let array_type = PgType::of_field(array_field);
        let Some(element_type) = array_type.element() else {
            return Err(no_array().into());
        };
        let value_type = PgType::of_field(value_field);
        let common = choice::comparable(&value_type, &element_type).ok_or_else(|| {
            let name = |data_type: &PgType| PgType { modifier: -1, ..data_type.clone() }.sql_name();
            SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("operator does not exist: {} = {}", name(&value_type), name(&element_type)),
            )
        })?;
        let (value, array) = (value.to_array(args.number_rows)?, array.to_array(args.number_rows)?);
        let (members, rows) = elements(array.as_ref(), &array_type).map_err(external)?;
        let value_keys = self.keys(&value, &value_type, &common)?;
        let member_keys = self.keys(&members, &element_type, &common)?;
        let (value_keys, member_keys) = (value_keys.as_binary::<i32>(), member_keys.as_binary::<i32>());
        let operator = operator.try_as_str().flatten().unwrap_or_default();
        let mut result = BooleanBuilder::with_capacity(value.len());
        for (row, range) in rows.into_iter().enumerate() {
            let Some(range) = range else {
                result.append_null();
                continue;
            };
            let mut unknown = false;
            let mut decided = false;
            for member in range {
                if value_keys.is_null(row) || member_keys.is_null(member) {
                    unknown = true;
                    continue;
                }
                if holds(operator, value_keys.value(row).cmp(member_keys.value(member)))? != self.all {
                    decided = true;
                    break;
                }
            }
            result.append_option(match (decided, unknown) {
                (true, _) => Some(!self.all),
                (false, true) => None,
                (false, false) => Some(self.all),
            });
        }
        let result: ArrayRef = Arc::new(result.finish());
        Ok(ColumnarValue::Array(result))
    }
}

impl Quantified {
    fn keys(&self, array: &ArrayRef, own: &PgType, common: &PgType) -> Result<ArrayRef> {
        let array = if own.oid == common.oid {
            Arc::clone(array)
        } else {
            cast::cast(array.as_ref(), own, common, &self.settings.style()).map_err(external)?
        };
        key::keys(array.as_ref(), common).map_err(external)
    }
}

fn holds(operator: &str, order: Ordering) -> Result<bool> {
    Ok(match operator {
        "=" => order.is_eq(),
        "<>" | "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        other => return Err(SqlError::unsupported(format!("operator {other} ANY (array) is not supported")).into()),
    })
}
