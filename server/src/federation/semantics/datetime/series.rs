//! `generate_series` of timestamps, in FROM.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use atoll_connector_api::types::oids::{INT2, INT4, INT8, INTERVAL, NUMERIC, OID, TIMESTAMP, TIMESTAMPTZ};
use atoll_connector_api::types::temporal::Interval;
use atoll_connector_api::types::text::OutputStyle;
use atoll_connector_api::types::{ColumnBuilder, PgType, format_scalar, parse_scalar, parse_scalar_with};
use chrono_tz::Tz;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;

use super::arithmetic::is_temporal;
use super::moment::{add, add_zoned};
use super::overload::{Overload, Resolution, function, resolve, unresolved};
use super::udf::bind;
use super::value::{Reader, Value, append};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::federation::semantics::cast::fold;
use crate::federation::semantics::{Operand, Settings, external, operand};
use crate::wire::sqlstate::connector_error;
use datafusion::logical_expr::expr::ScalarFunction;

const NAME: &str = "generate_series";
/// Rows made at a time.
const BATCH_ROWS: usize = 8192;

/// What the arguments may be; the bodies are never called.
static OVERLOADS: &[Overload] = &[
    function(NAME, &[TIMESTAMP, TIMESTAMP, INTERVAL], TIMESTAMP, |_| Ok(Value::Null)),
    function(NAME, &[TIMESTAMPTZ, TIMESTAMPTZ, INTERVAL], TIMESTAMPTZ, |_| Ok(Value::Null)),
];

/// The function, which leaves series of numbers to the one that was there before.
#[derive(Debug)]
struct Series {
    settings: Settings,
    numbers: Option<Arc<TableFunction>>,
}

/// The function for a session.
pub(in crate::federation::semantics) fn generate_series(
    settings: &Settings,
    numbers: Option<Arc<TableFunction>>,
) -> Arc<dyn TableFunctionImpl> {
    Arc::new(Series { settings: settings.clone(), numbers })
}

/// Refuses what is no series of numbers.
fn check_numbers(operands: &[Operand], args: &[Expr]) -> SqlResult<()> {
    let is_number = |own: &PgType| matches!(own.oid, INT2 | INT4 | INT8 | NUMERIC | OID);
    let wrong = |operand: &Operand| matches!(operand, Operand::Typed(own) if own.user.is_some() || !is_number(own));
    if operands.iter().any(wrong) {
        return Err(unresolved(NAME, operands, false));
    }
    // Of untyped arguments alone it cannot be told which series is meant, which is said elsewhere.
    if operands.iter().all(|operand| *operand == Operand::Unknown) {
        return Ok(());
    }
    for arg in args {
        if let Expr::Literal(value, None) = arg
            && let Some(text) = value.try_as_str().flatten()
        {
            parse_scalar(text, &PgType::new(INT4)).map_err(|error| connector_error(&error))?;
            return Err(SqlError::unsupported("an untyped argument of generate_series is not supported")
                .hint("Write the number without quotes."));
        }
    }
    Ok(())
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let schema = DFSchema::empty();
        let operands: Vec<_> = args.exprs().iter().filter_map(|arg| operand(arg, &schema)).collect();
        if !matches!(args.exprs().len(), 2 | 3) && operands.len() == args.exprs().len() {
            return Err(unresolved(NAME, &operands, false).into());
        }
        if operands.len() != args.exprs().len() || !operands.iter().any(is_temporal) {
            check_numbers(&operands, args.exprs())?;
            return match &self.numbers {
                Some(numbers) => numbers.create_table_provider_with_args(args),
                None => Err(unresolved(NAME, &operands, false).into()),
            };
        }
        let candidates: Vec<_> = OVERLOADS.iter().collect();
        let overload = match resolve(&candidates, &operands) {
            Resolution::One(overload) => overload,
            Resolution::None => return Err(unresolved(NAME, &operands, false).into()),
            Resolution::Ambiguous => return Err(unresolved(NAME, &operands, true).into()),
        };
        let Expr::ScalarFunction(ScalarFunction { args, .. }) =
            bind(&self.settings, overload, args.exprs().to_vec(), &operands)?
        else {
            return Err(unresolved(NAME, &operands, false).into());
        };
        let result = PgType::new(overload.result);
        let schema: SchemaRef = Arc::new(Schema::new(vec![result.field(NAME, false)]));
        let bounds = self.bounds(args, overload)?;
        let zone = (overload.result == TIMESTAMPTZ).then(|| self.settings.style().time_zone);
        let series = Rows { schema: Arc::clone(&schema), result, bounds, zone };
        Ok(Arc::new(StreamingTable::try_new(schema, vec![Arc::new(series)])?))
    }
}

/// First and last value, and the step between two.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    first: i64,
    last: i64,
    step: Interval,
    backwards: bool,
}

impl Series {
    /// The arguments' values; `None` where one is NULL.
    fn bounds(&self, args: Vec<Expr>, overload: &Overload) -> Result<Option<Bounds>> {
        let mut values = Vec::with_capacity(args.len());
        for (arg, parameter) in args.into_iter().zip(overload.parameters) {
            let Expr::Literal(value, _) = fold(&self.settings, arg)? else {
                let message = "generate_series over timestamps takes constants only";
                return Err(SqlError::unsupported(message).into());
            };
            values.push(Reader::new(value.to_array_of_size(1)?, &PgType::new(*parameter))?.get(0)?);
        }
        bounds_of(&values)
    }
}

/// `None` where a value is NULL.
fn bounds_of(values: &[Value]) -> Result<Option<Bounds>> {
    let (first, last, step) = match values {
        [
            Value::Timestamp(first) | Value::TimestampTz(first),
            Value::Timestamp(last) | Value::TimestampTz(last),
            Value::Interval(step),
        ] => (*first, *last, *step),
        _ => return Ok(None),
    };
    let length = i128::from(step.months) * 30 + i128::from(step.days);
    let length = length * 86_400_000_000 + i128::from(step.usecs);
    if length == 0 {
        return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "step size cannot equal zero").into());
    }
    Ok(Some(Bounds { first, last, step, backwards: length < 0 }))
}

impl Bounds {
    fn hold(&self, value: i64) -> bool {
        if self.backwards { value >= self.last } else { value <= self.last }
    }

    fn next(&self, value: i64, zone: Option<Tz>) -> Result<i64> {
        match zone {
            Some(zone) => add_zoned(value, &self.step, zone),
            None => add(value, &self.step),
        }
    }
}

/// The texts of a series of values of a type, from and to values that are written in a style. They are written in ISO
/// format, which every style reads.
pub(in crate::federation::semantics) fn series_texts(
    texts: [&str; 3],
    data_type: &PgType,
    style: &OutputStyle,
    check_length: fn(usize) -> SqlResult<()>,
) -> Result<Vec<String>> {
    let mut values = Vec::with_capacity(texts.len());
    for (text, data_type) in texts.into_iter().zip([data_type, data_type, &PgType::new(INTERVAL)]) {
        let value = parse_scalar_with(text, data_type, style).map_err(external)?;
        values.push(Reader::new(value.to_array_of_size(1)?, data_type)?.get(0)?);
    }
    let zone = (data_type.oid == TIMESTAMPTZ).then_some(style.time_zone);
    let mut shown = Vec::new();
    if let Some(bounds) = bounds_of(&values)? {
        let mut current = bounds.first;
        while bounds.hold(current) {
            check_length(shown.len())?;
            let mut builder = ColumnBuilder::new(data_type, 1);
            append(&mut builder, &Value::Timestamp(current))?;
            let value = ScalarValue::try_from_array(&builder.finish(), 0)?;
            shown.extend(format_scalar(&value, data_type, &OutputStyle::default()).map_err(external)?);
            current = bounds.next(current, zone)?;
        }
    }
    Ok(shown)
}

#[derive(Debug)]
struct Rows {
    schema: SchemaRef,
    result: PgType,
    bounds: Option<Bounds>,
    zone: Option<Tz>,
}

impl PartitionStream for Rows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        let (result, zone) = (self.result.clone(), self.zone);
        let mut next = self.bounds.map(|bounds| (bounds.first, bounds));
        let batches = std::iter::from_fn(move || {
            let (first, bounds) = next.take()?;
            match batch(&schema, &result, zone, first, &bounds) {
                Ok((batch, following)) => {
                    next = following.map(|following| (following, bounds));
                    Some(Ok(batch))
                }
                Err(error) => Some(Err(error)),
            }
        });
        let stream = futures::stream::iter(batches);
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), stream))
    }
}

/// Rows from a value on, and with what the next batch begins.
fn batch(
    schema: &SchemaRef,
    result: &PgType,
    zone: Option<Tz>,
    mut current: i64,
    bounds: &Bounds,
) -> Result<(RecordBatch, Option<i64>)> {
    let mut builder = ColumnBuilder::new(result, BATCH_ROWS);
    while bounds.hold(current) && builder.len() < BATCH_ROWS {
        append(&mut builder, &Value::Timestamp(current))?;
        current = bounds.next(current, zone)?;
    }
    let batch = RecordBatch::try_new(Arc::clone(schema), vec![builder.finish()])?;
    Ok((batch, bounds.hold(current).then_some(current)))
}
