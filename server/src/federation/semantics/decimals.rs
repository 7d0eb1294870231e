//! Sums of products of decimals, computed in a machine's integers.
//!
//! An operation's result is a `numeric` of any size, which is stored as text: to print it for the operation or the sum
//! around it, which reads it again, costs ten times as much as to compute it. How many digits after the point it has is
//! known from the columns. So what is only added up stays a decimal on its way, as long as it fits; a batch in which it
//! does not is computed as all others are.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, FieldRef, Schema};
use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::{DECIMAL128_NAN, PgType, ShortNumeric, ShortNumerics, oids};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateInputMode};
use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, ReplaceChildrenOptions};

use super::aggregates::adds_numerics;
use super::arithmetic::{Arithmetic, numeric_operation, operation_of};
use crate::error::{SqlError, SqlState};

/// Two words, each times this, add up to less than [`UNSCALED_MAX`].
const WORD_UNIT_MAX: i128 = 1 << 60;
/// Results are less than this, as those of all decimals of 38 digits are.
const UNSCALED_MAX: u128 = 10_u128.pow(DIGITS_MAX);
/// [`DECIMAL128_MAX_PRECISION`].
const DIGITS_MAX: u32 = 38;

/// A plan whose sums of computed decimals are fused.
///
/// # Errors
/// None that a plan which DataFusion made could meet.
pub(crate) fn fused(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(node).data()
}

fn node(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let Some(aggregate) = node.downcast_ref::<AggregateExec>() else { return Ok(Transformed::no(node)) };
    // What is merged was added up before.
    if aggregate.mode().input_mode() != AggregateInputMode::Raw {
        return Ok(Transformed::no(node));
    }
    let computed = decimals_below(aggregate)?;
    let input = computed.as_ref().unwrap_or_else(|| aggregate.input());
    let schema = input.schema();
    let mut changed = false;
    let mut sums = Vec::with_capacity(aggregate.aggr_expr().len());
    for sum in aggregate.aggr_expr() {
        let fused = match (adds_numerics(sum), sum.expressions().as_slice()) {
            (true, [argument]) => Fused::of(argument, &schema),
            _ => None,
        };
        let fused = fused.filter(Fused::computes).and_then(|fused| {
            let order = sum.order_bys().iter().map(|by| Arc::clone(&by.expr)).collect();
            sum.with_new_expressions(vec![Arc::new(fused)], order)
        });
        changed |= fused.is_some();
        sums.push(fused.map_or_else(|| Arc::clone(sum), Arc::new));
    }
    if !changed && computed.is_none() {
        return Ok(Transformed::no(node));
    }
    let aggregate: Arc<dyn ExecutionPlan> = Arc::new(aggregate.with_new_aggr_exprs(sums));
    let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
    Ok(Transformed::yes(match computed {
        Some(input) => aggregate.replace_children(vec![input], options)?,
        None => aggregate,
    }))
}

/// The projection below an aggregate that computes what several of its sums have in common, with decimals in the place
/// of numerics that only sums read.
fn decimals_below(aggregate: &AggregateExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(projection) = aggregate.input().downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let mut others: Vec<Arc<dyn PhysicalExpr>> = aggregate.group_expr().input_exprs();
    others.extend(aggregate.filter_expr().iter().flatten().cloned());
    let mut summed = Vec::new();
    for call in aggregate.aggr_expr() {
        others.extend(call.order_bys().iter().map(|by| Arc::clone(&by.expr)));
        let to = if adds_numerics(call) { &mut summed } else { &mut others };
        to.extend(call.expressions());
    }
    let schema = projection.input().schema();
    let mut changed = false;
    let mut exprs = Vec::with_capacity(projection.expr().len());
    for (index, ProjectionExpr { expr, alias }) in projection.expr().iter().enumerate() {
        let reads = |other: &Arc<dyn PhysicalExpr>| collect_columns(other).iter().any(|column| column.index() == index);
        // Every sum that reads it must be one of decimals, or the column itself.
        let only_summed = !others.iter().any(reads) && summed.iter().filter(|sum| reads(sum)).all(is_arithmetic);
        let fused = Fused::of(expr, &schema).filter(|fused| only_summed && fused.computes() && fused.always_fits());
        changed |= fused.is_some();
        let expr = fused.map_or_else(|| Arc::clone(expr), |fused| Arc::new(fused) as Arc<dyn PhysicalExpr>);
        exprs.push(ProjectionExpr { expr, alias: alias.clone() });
    }
    if !changed {
        return Ok(None);
    }
    Ok(Some(Arc::new(ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?)))
}

/// Whether an expression is made of columns, constants and operations only.
fn is_arithmetic(expr: &Arc<dyn PhysicalExpr>) -> bool {
    match operation_of(expr.as_ref()) {
        Some((_, arguments)) => arguments.iter().all(is_arithmetic),
        None => expr.is::<Column>() || expr.is::<Literal>(),
    }
}

/// One step of a computation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    /// A column, by its place among the expression's children.
    Column(usize),
    /// A constant.
    Constant(i128),
    Operation(Arithmetic, Box<Node>, Box<Node>),
}

/// A step, and what is known of its result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Node {
    step: Step,
    /// Digits at most, whatever the columns hold.
    digits: u32,
    /// Digits after the point, as PostgreSQL gives them to the result.
    scale: u32,
}

/// Sums, differences and products of decimals and integers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Fused {
    root: Node,
    columns: Vec<Arc<dyn PhysicalExpr>>,
}

/// Digits after the point at most: what short numerics have.
const SCALE_MAX: u32 = 36;

impl Fused {
    /// An expression as one; `None` for one that computes anything else, or of what is no decimal.
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Self> {
        let mut columns = Vec::new();
        let root = read(expr, schema, &mut columns)?;
        Some(Self { root, columns })
    }

    const fn computes(&self) -> bool {
        matches!(self.root.step, Step::Operation(..))
    }

    /// Whether no value of the columns' types makes the result too long.
    const fn always_fits(&self) -> bool {
        self.root.digits <= DIGITS_MAX
    }

    /// Numerics of any size as decimals. A source that keeps to what it declares has none that are too long.
    fn stored(&self, numerics: &ArrayRef) -> Result<ArrayRef> {
        let too_long = || SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric field overflow");
        let mut values = Vec::with_capacity(numerics.len());
        for text in numerics.as_string_view() {
            values.push(match text {
                Some("NaN") => Some(DECIMAL128_NAN),
                Some(text) => Some(ShortNumeric::parse(text).ok_or_else(too_long)?.unscaled()),
                None => None,
            });
        }
        Ok(Arc::new(Decimal128Array::from(values).with_data_type(self.storage())))
    }

    fn storage(&self) -> DataType {
        let digits = self.root.digits.clamp(1, DIGITS_MAX);
        let digits = u8::try_from(digits).unwrap_or(DECIMAL128_MAX_PRECISION);
        DataType::Decimal128(digits, i8::try_from(self.root.scale).unwrap_or(0))
    }
}

fn read(expr: &Arc<dyn PhysicalExpr>, schema: &Schema, columns: &mut Vec<Arc<dyn PhysicalExpr>>) -> Option<Node> {
    if let Some((operation, [left, right])) = operation_of(expr.as_ref()) {
        let (left, right) = (read(left, schema, columns)?, read(right, schema, columns)?);
        let (digits, scale) = match operation {
            Arithmetic::Add | Arithmetic::Subtract => {
                let scale = left.scale.max(right.scale);
                let whole = |node: &Node| node.digits.saturating_sub(node.scale);
                (whole(&left).max(whole(&right)) + 1 + scale, scale)
            }
            Arithmetic::Multiply => (left.digits + right.digits, left.scale + right.scale),
            Arithmetic::Divide | Arithmetic::Remainder => return None,
        };
        let step = Step::Operation(operation, Box::new(left), Box::new(right));
        return (scale <= SCALE_MAX).then_some(Node { step, digits, scale });
    }
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return constant(literal.value());
    }
    expr.downcast_ref::<Column>()?;
    let field = expr.return_field(schema).ok()?;
    let own = PgType::of_field(&field);
    let (digits, scale) = match (own.oid, field.data_type()) {
        (oids::INT2, DataType::Int16) => (5, 0),
        (oids::INT4, DataType::Int32) => (10, 0),
        (oids::INT8, DataType::Int64) => (19, 0),
        (oids::NUMERIC, DataType::Decimal128(digits, scale)) => (u32::from(*digits), u32::try_from(*scale).ok()?),
        _ => return None,
    };
    let index = columns.iter().position(|column| column == expr).unwrap_or_else(|| {
        columns.push(Arc::clone(expr));
        columns.len() - 1
    });
    (scale <= SCALE_MAX).then_some(Node { step: Step::Column(index), digits, scale })
}

fn constant(value: &ScalarValue) -> Option<Node> {
    let (unscaled, scale) = match value {
        ScalarValue::Int16(Some(value)) => (i128::from(*value), 0),
        ScalarValue::Int32(Some(value)) => (i128::from(*value), 0),
        ScalarValue::Int64(Some(value)) => (i128::from(*value), 0),
        ScalarValue::Decimal128(Some(value), _, scale) if *value != DECIMAL128_NAN => {
            (*value, u32::try_from(*scale).ok()?)
        }
        ScalarValue::Utf8View(Some(text)) => {
            let value = ShortNumeric::parse(text)?;
            (value.unscaled(), value.scale())
        }
        _ => return None,
    };
    let digits = u32::try_from(unscaled.unsigned_abs().to_string().len()).ok()?.max(scale);
    (scale <= SCALE_MAX).then_some(Node { step: Step::Constant(unscaled), digits, scale })
}

/// Numbers of a scale that is known: as many as there are rows, or one for all of them.
enum Lane {
    All(i128),
    /// Each fits a machine word; nearly all do, and are computed several times as fast.
    Words(Vec<i64>),
    Each(Vec<i128>),
}

impl Lane {
    /// The numbers of all rows, as words if all of them fit; NaN does not.
    fn of(values: Cow<'_, [i128]>) -> Self {
        let bits = values.iter().fold(0, |bits, value| bits | (value ^ (value >> 127)));
        match i64::try_from(bits) {
            Ok(_) => Self::Words(values.iter().map(|value| word(*value)).collect()),
            Err(_) => Self::Each(values.into_owned()),
        }
    }

    /// The same for an operation: what it reads is looked at once, what it yields only if another reads it.
    fn narrowed(self) -> Self {
        match self {
            Self::Each(values) => Self::of(Cow::Owned(values)),
            lane => lane,
        }
    }

    fn get(&self, row: usize) -> i128 {
        match self {
            Self::All(value) => *value,
            Self::Words(values) => values.get(row).copied().unwrap_or(0).into(),
            Self::Each(values) => values.get(row).copied().unwrap_or(0),
        }
    }

    fn into_values(self, rows: usize) -> Vec<i128> {
        match self {
            Self::All(value) => vec![value; rows],
            Self::Words(values) => values.into_iter().map(i128::from).collect(),
            Self::Each(values) => values,
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the caller knows that it fits")]
const fn word(value: i128) -> i64 {
    value as i64
}

/// Both sides in words; `None` where one has more.
fn in_words(left: &Lane, right: &Lane, compute: impl Fn(i128, i128) -> i128) -> Option<Vec<i128>> {
    let one = |left: i64, right: i64| compute(left.into(), right.into());
    let constant = |value: &i128| i64::try_from(*value).ok();
    Some(match (left, right) {
        (Lane::Words(left), Lane::Words(right)) => {
            left.iter().zip(right).map(|(left, right)| one(*left, *right)).collect()
        }
        (Lane::Words(left), Lane::All(right)) => {
            let right = constant(right)?;
            left.iter().map(|left| one(*left, right)).collect()
        }
        (Lane::All(left), Lane::Words(right)) => {
            let left = constant(left)?;
            right.iter().map(|right| one(left, *right)).collect()
        }
        _ => return None,
    })
}

/// What [`computed`] computes, where both sides are words and no result can be too long: a product of two words has 127
/// bits, and decimals go up to somewhat more.
fn of_words(
    operation: Arithmetic,
    (left, left_unit): (&Lane, i128),
    (right, right_unit): (&Lane, i128),
) -> Option<Vec<i128>> {
    let fits = left_unit <= WORD_UNIT_MAX && right_unit <= WORD_UNIT_MAX;
    match operation {
        Arithmetic::Multiply => in_words(left, right, |left, right| left * right),
        Arithmetic::Add if fits => in_words(left, right, |left, right| left * left_unit + right * right_unit),
        Arithmetic::Subtract if fits => in_words(left, right, |left, right| left * left_unit - right * right_unit),
        _ => None,
    }
}

/// `None` for what is too long. NaN stays NaN, whatever it is computed with.
fn computed(operation: Arithmetic, left: i128, left_unit: i128, right: i128, right_unit: i128) -> Option<i128> {
    if left == DECIMAL128_NAN || right == DECIMAL128_NAN {
        return Some(DECIMAL128_NAN);
    }
    let result = match operation {
        Arithmetic::Multiply => product(left, right)?,
        Arithmetic::Subtract => product(left, left_unit)?.checked_sub(product(right, right_unit)?)?,
        _ => product(left, left_unit)?.checked_add(product(right, right_unit)?)?,
    };
    (result.unsigned_abs() < UNSCALED_MAX).then_some(result)
}

/// Two machine words multiply much faster than four, and never overflow.
fn product(left: i128, right: i128) -> Option<i128> {
    match (i64::try_from(left), i64::try_from(right)) {
        (Ok(left), Ok(right)) => Some(i128::from(left) * i128::from(right)),
        _ => left.checked_mul(right),
    }
}

impl Node {
    /// The numbers of all rows; those of rows with NULL mean nothing. `None` where one is too long.
    fn lane(&self, columns: &[ShortNumerics<'_>], rows: usize) -> Option<Lane> {
        match &self.step {
            Step::Constant(value) => Some(Lane::All(*value)),
            Step::Column(index) => Some(match columns.get(*index)? {
                ShortNumerics::Decimals(values, _) => Lane::of(Cow::Borrowed(values)),
                ShortNumerics::Int2(values) => Lane::Words(values.iter().copied().map(i64::from).collect()),
                ShortNumerics::Int4(values) => Lane::Words(values.iter().copied().map(i64::from).collect()),
                ShortNumerics::Int8(values) => Lane::Words(values.to_vec()),
                ShortNumerics::Text(_) => return None,
            }),
            Step::Operation(operation, left, right) => {
                let unit = |side: &Self| 10_i128.checked_pow(self.scale.checked_sub(side.scale)?);
                let (left_unit, right_unit) =
                    if *operation == Arithmetic::Multiply { (1, 1) } else { (unit(left)?, unit(right)?) };
                let (left, right) = (left.lane(columns, rows)?.narrowed(), right.lane(columns, rows)?.narrowed());
                if let Some(values) = of_words(*operation, (&left, left_unit), (&right, right_unit)) {
                    return Some(Lane::Each(values));
                }
                let one = |row| computed(*operation, left.get(row), left_unit, right.get(row), right_unit);
                if let (Lane::All(_), Lane::All(_)) = (&left, &right) {
                    return one(0).map(Lane::All);
                }
                (0..rows).map(one).collect::<Option<Vec<_>>>().map(Lane::Each)
            }
        }
    }

    /// The same of numbers of any size.
    fn any_size(&self, columns: &[(ArrayRef, PgType)], rows: usize) -> Result<(ArrayRef, PgType)> {
        match &self.step {
            Step::Constant(value) => {
                let scale = i8::try_from(self.scale).unwrap_or(0);
                let value = ScalarValue::Decimal128(Some(*value), DECIMAL128_MAX_PRECISION, scale);
                Ok((value.to_array_of_size(rows)?, PgType::new(oids::NUMERIC)))
            }
            Step::Column(index) => match columns.get(*index) {
                Some(column) => Ok(column.clone()),
                None => exec_err!("a column of a sum is missing"),
            },
            Step::Operation(operation, left, right) => {
                let (left, right) = (left.any_size(columns, rows)?, right.any_size(columns, rows)?);
                let result = numeric_operation(*operation, (&left.0, &left.1), (&right.0, &right.1))?;
                Ok((result, PgType::new(oids::NUMERIC)))
            }
        }
    }
}

impl fmt::Display for Fused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn write(node: &Node, columns: &[Arc<dyn PhysicalExpr>], f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match &node.step {
                Step::Constant(value) => {
                    let mut text = String::new();
                    if let Some(value) = ShortNumeric::new(*value, node.scale) {
                        value.write(&mut text);
                    }
                    f.write_str(&text)
                }
                Step::Column(index) => columns.get(*index).map_or(Ok(()), |column| write!(f, "{column}")),
                Step::Operation(operation, left, right) => {
                    f.write_str("(")?;
                    write(left, columns, f)?;
                    f.write_str(match operation {
                        Arithmetic::Subtract => " - ",
                        Arithmetic::Multiply => " * ",
                        _ => " + ",
                    })?;
                    write(right, columns, f)?;
                    f.write_str(")")
                }
            }
        }
        write(&self.root, &self.columns, f)
    }
}

impl PhysicalExpr for Fused {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        Ok(self.storage())
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn return_field(&self, _: &Schema) -> Result<FieldRef> {
        Ok(Arc::new(PgType::new(oids::NUMERIC).tag(Field::new("numeric", self.storage(), true))))
    }

    /// Decimals; where they do not fit and may not fit, numerics as they are stored elsewhere.
    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let rows = batch.num_rows();
        let schema = batch.schema();
        let mut columns = Vec::with_capacity(self.columns.len());
        for column in &self.columns {
            let field = column.return_field(&schema)?;
            let own = PgType::of_field(&field);
            columns.push((column.evaluate(batch)?.into_array(rows)?, own));
        }
        let short: Option<Vec<_>> = columns.iter().map(|(array, own)| ShortNumerics::of(array.as_ref(), own)).collect();
        let lane = short.and_then(|short| self.root.lane(&short, rows));
        let values = match lane {
            Some(lane) => lane.into_values(rows),
            None => {
                let (array, _) = self.root.any_size(&columns, rows)?;
                return Ok(ColumnarValue::Array(if self.always_fits() { self.stored(&array)? } else { array }));
            }
        };
        let nulls = columns.iter().fold(None, |nulls, (array, _)| NullBuffer::union(nulls.as_ref(), array.nulls()));
        let array = Decimal128Array::new(values.into(), nulls).with_data_type(self.storage());
        Ok(ColumnarValue::Array(Arc::new(array)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        self.columns.iter().collect()
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self { root: self.root.clone(), columns: children }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use arrow::array::Int32Array;
    use arrow::datatypes::{Int32Type, SchemaRef};
    use proptest::prelude::*;

    use super::*;

    /// `a numeric(15,2)`, `b numeric(12,4)`, `c integer`.
    fn batch(rows: &[(Option<i128>, Option<i128>, Option<i32>)]) -> RecordBatch {
        let decimals = |values: Vec<Option<i128>>, digits, scale| -> ArrayRef {
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(digits, scale).unwrap())
        };
        let a = decimals(rows.iter().map(|row| row.0).collect(), 15, 2);
        let b = decimals(rows.iter().map(|row| row.1).collect(), 12, 4);
        let c: ArrayRef = Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.2)));
        let fields = [
            PgType::numeric(15, 2).field("a", true),
            PgType::numeric(12, 4).field("b", true),
            PgType::new(oids::INT4).field("c", true),
        ];
        let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
        RecordBatch::try_new(schema, vec![a, b, c]).unwrap()
    }

    fn node(step: Step, digits: u32, scale: u32) -> Box<Node> {
        Box::new(Node { step, digits, scale })
    }

    /// `(a - b) * (1 + c) * a`, as often as wanted.
    fn expression(times: usize) -> Fused {
        let column = |index| match index {
            0 => node(Step::Column(0), 15, 2),
            1 => node(Step::Column(1), 12, 4),
            _ => node(Step::Column(2), 10, 0),
        };
        let difference = node(Step::Operation(Arithmetic::Subtract, column(0), column(1)), 18, 4);
        let sum = node(Step::Operation(Arithmetic::Add, node(Step::Constant(1), 1, 0), column(2)), 11, 0);
        let mut root = node(Step::Operation(Arithmetic::Multiply, difference, sum), 29, 4);
        for _ in 0..times {
            let (digits, scale) = (root.digits + 15, root.scale + 2);
            root = node(Step::Operation(Arithmetic::Multiply, root, column(0)), digits, scale);
        }
        let columns = ["a", "b", "c"].iter().enumerate();
        Fused { root: *root, columns: columns.map(|(index, name)| Arc::new(Column::new(name, index)) as _).collect() }
    }

    fn printed(array: &ArrayRef) -> Vec<Option<String>> {
        let own = PgType::new(oids::NUMERIC);
        let short = ShortNumerics::of(array.as_ref(), &own).unwrap();
        let text = |row: usize| {
            if array.data_type() == &DataType::Utf8View {
                return array.as_string_view().value(row).to_owned();
            }
            short.get(row).map_or("NaN".to_owned(), |value| {
                let mut text = String::new();
                value.write(&mut text);
                text
            })
        };
        (0..array.len()).map(|row| array.is_valid(row).then(|| text(row))).collect()
    }

    fn check(rows: &[(Option<i128>, Option<i128>, Option<i32>)], times: usize) -> DataType {
        let (batch, fused) = (batch(rows), expression(times));
        let ColumnarValue::Array(ours) = fused.evaluate(&batch).unwrap() else { panic!("an array") };
        let columns: Vec<_> = batch
            .columns()
            .iter()
            .zip(batch.schema().fields())
            .map(|(array, field)| (Arc::clone(array), PgType::of_field(field)))
            .collect();
        let (expected, _) = fused.root.any_size(&columns, rows.len()).unwrap();
        assert_eq!(printed(&ours), printed(&expected));
        ours.data_type().clone()
    }

    #[test]
    fn what_does_not_fit_is_computed_as_elsewhere() {
        let longest = 10_i128.pow(15) - 1;
        let rows = [(Some(longest), Some(-1), Some(i32::MAX)), (Some(DECIMAL128_NAN), Some(0), Some(1))];
        assert!(expression(0).always_fits() && !expression(1).always_fits());
        assert_eq!(check(&rows, 0), DataType::Decimal128(29, 4));
        assert_eq!(check(&rows, 1), DataType::Utf8View);
        assert_eq!(check(&rows[1..], 1), DataType::Decimal128(38, 6));
        assert_eq!(check(&[], 2), DataType::Decimal128(38, 8));
    }

    /// A source that lies: `numeric(15,2)` with more digits than it has.
    #[test]
    fn more_digits_than_declared_are_exact_or_an_error() {
        let lie = 10_i128.pow(30);
        assert_eq!(check(&[(Some(lie), Some(0), Some(1))], 0), DataType::Decimal128(29, 4));
        let error = expression(0).evaluate(&batch(&[(Some(lie * 1000), Some(0), Some(i32::MAX))])).unwrap_err();
        assert!(error.to_string().contains("numeric field overflow"), "{error}");
    }

    proptest! {
        #[test]
        fn machine_integers_and_numerics_agree(
            rows in prop::collection::vec(
                (
                    prop::option::weighted(0.8, prop_oneof![
                        4 => -10_i128.pow(15) + 1..10_i128.pow(15),
                        1 => Just(DECIMAL128_NAN),
                    ]),
                    prop::option::weighted(0.8, -10_i128.pow(12) + 1..10_i128.pow(12)),
                    prop::option::weighted(0.8, any::<i32>()),
                ),
                0..30,
            ),
            times in 0_usize..4,
        ) {
            check(&rows, times);
        }
    }

    #[test]
    fn columns_of_integers_are_read() {
        let batch = batch(&[(None, None, Some(-7)), (None, None, None)]);
        assert_eq!(batch.column(2).as_primitive::<Int32Type>().value(0), -7);
        let fused = Fused { columns: vec![Arc::new(Column::new("c", 2))], root: *node(Step::Column(0), 10, 0) };
        let ColumnarValue::Array(array) = fused.evaluate(&batch).unwrap() else { panic!("an array") };
        assert_eq!(printed(&array), [Some("-7".to_owned()), None]);
    }
}
