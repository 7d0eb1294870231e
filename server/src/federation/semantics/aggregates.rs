//! `sum`, `avg`, `min`, `max` with PostgreSQL's result types and orders.
//!
//! Where DataFusion's own function answers as PostgreSQL does, the optimizer puts it in the place of ours, so that the
//! common cases keep their speed.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::key::{Comparison, comparison, keys};
use atoll_connector_api::types::{PgType, oids};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::{average, min_max, sum};
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Expr, ExprSchemable, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::datetime::IntervalSum;
use super::float_extremes::FloatExtremes;
use super::float_sums::{FloatSum, FloatSums, SingleSum};
use super::numeric_sum::NumericSum;
use super::numeric_sums::NumericSums;
use super::sum_states;
use super::{external, sliding};
use crate::error::{SqlError, SqlState};

/// The aggregates of ours.
pub(super) fn functions() -> Vec<AggregateUDF> {
    [Kind::Sum, Kind::Average, Kind::Minimum, Kind::Maximum]
        .into_iter()
        .map(|kind| AggregateUDF::from(Aggregate { kind, signature: Signature::any(1, Volatility::Immutable) }))
        .collect()
}

/// Types that have a least and a greatest value, besides arrays and those of users.
const EXTREMES: &[u32] = &[
    oids::INT2,
    oids::INT4,
    oids::INT8,
    oids::FLOAT4,
    oids::FLOAT8,
    oids::NUMERIC,
    oids::MONEY,
    oids::OID,
    oids::REGPROC,
    oids::REGCLASS,
    oids::REGTYPE,
    oids::REGNAMESPACE,
    oids::REGROLE,
    oids::TEXT,
    oids::VARCHAR,
    oids::BPCHAR,
    oids::NAME,
    oids::CHAR,
    oids::UNKNOWN,
    oids::DATE,
    oids::TIME,
    oids::TIMETZ,
    oids::TIMESTAMP,
    oids::TIMESTAMPTZ,
    oids::INTERVAL,
    oids::INET,
    oids::CIDR,
    PG_LSN,
];

const PG_LSN: u32 = 3220;

/// Whether an aggregate adds up numbers of any size, however they are stored.
pub(super) fn adds_numerics(aggregate: &AggregateFunctionExpr) -> bool {
    let Some(own) = aggregate.fun().inner().downcast_ref::<Aggregate>() else { return false };
    let field = aggregate.field();
    matches!(own.kind, Kind::Sum | Kind::Average)
        && !aggregate.is_distinct()
        && PgType::of_field(&field) == PgType::new(oids::NUMERIC)
        && field.data_type() == &DataType::Utf8View
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Sum,
    Average,
    Minimum,
    Maximum,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Aggregate {
    kind: Kind,
    signature: Signature,
}

/// How an aggregate of a type is computed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Plan {
    /// By DataFusion's function over the argument cast to a type.
    Native(DataType),
    /// By adding up numerics.
    Numeric,
    /// By comparing keys.
    Keys,
    /// By adding up intervals.
    Intervals,
}

impl Kind {
    /// Whether this adds up to a float, whose type is stored as double precision.
    fn sums_floats(self, storage: &DataType) -> bool {
        matches!(self, Self::Sum | Self::Average) && storage == &DataType::Float64
    }

    /// Whether this adds up numbers exactly, and the result is kept as text.
    fn sums_numerics(self, result: &PgType, plan: &Plan) -> bool {
        matches!(self, Self::Sum | Self::Average) && *plan == Plan::Numeric && result.oid == oids::NUMERIC
    }

    /// Whether this looks for the least or greatest float.
    fn compares_floats(self, storage: &DataType) -> bool {
        matches!(self, Self::Minimum | Self::Maximum) && matches!(storage, DataType::Float32 | DataType::Float64)
    }

    /// Whether this adds up `real`, as which PostgreSQL adds it, each sum rounded.
    fn adds_singles(self, data_type: &PgType) -> bool {
        self == Self::Sum && data_type.user.is_none() && data_type.oid == oids::FLOAT4
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Sum => "sum",
            Self::Average => "avg",
            Self::Minimum => "min",
            Self::Maximum => "max",
        }
    }

    /// The result's type and the way to it.
    fn plan(self, argument: &Field) -> Result<(PgType, DataType, Plan)> {
        let data_type = PgType::of_field(argument);
        let storage = argument.data_type().clone();
        match self {
            Self::Minimum | Self::Maximum => self.extreme(&data_type, storage),
            Self::Sum => self.sum(&data_type, storage),
            Self::Average => match data_type.oid {
                oids::FLOAT4 | oids::FLOAT8 => {
                    Ok((PgType::new(oids::FLOAT8), DataType::Float64, Plan::Native(DataType::Float64)))
                }
                oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC | oids::UNKNOWN => Ok(numeric()),
                _ if storage == DataType::Null => Ok(numeric()),
                oids::INTERVAL | oids::TIME => Ok((PgType::new(oids::INTERVAL), interval_storage(), Plan::Intervals)),
                _ => Err(self.missing(&data_type)),
            },
        }
    }

    fn sum(self, data_type: &PgType, storage: DataType) -> Result<(PgType, DataType, Plan)> {
        Ok(match (data_type.oid, &storage) {
            (oids::INT2 | oids::INT4, _) => (PgType::new(oids::INT8), DataType::Int64, Plan::Native(DataType::Int64)),
            // 19 digits, and as many rows as 28 digits leave room for.
            (oids::INT8, _) => {
                (PgType::new(oids::NUMERIC), DataType::Decimal128(38, 0), Plan::Native(DataType::Decimal128(28, 0)))
            }
            (oids::FLOAT8, _) => (PgType::new(oids::FLOAT8), DataType::Float64, Plan::Native(DataType::Float64)),
            // Added up as real, kept as double precision.
            (oids::FLOAT4, _) => (PgType::new(oids::FLOAT4), DataType::Float64, Plan::Native(DataType::Float64)),
            (oids::NUMERIC, _) => numeric(),
            (_, DataType::Null) => numeric(),
            (oids::INTERVAL | oids::TIME, _) => (PgType::new(oids::INTERVAL), interval_storage(), Plan::Intervals),
            (oids::MONEY, _) => (PgType::new(oids::MONEY), PgType::new(oids::MONEY).storage(), Plan::Numeric),
            _ => return Err(self.missing(data_type)),
        })
    }

    fn extreme(self, data_type: &PgType, storage: DataType) -> Result<(PgType, DataType, Plan)> {
        if data_type.user.is_none() && !data_type.is_array() && !EXTREMES.contains(&data_type.oid) {
            return Err(self.missing(data_type));
        }
        // There is one of text, which varchar, name and "char" are cast to, and one of inet.
        let data_type = match data_type.oid {
            oids::VARCHAR | oids::NAME | oids::CHAR if data_type.user.is_none() => &PgType::new(oids::TEXT),
            oids::CIDR if data_type.user.is_none() => &PgType::new(oids::INET),
            _ => data_type,
        };
        // A function's result has no modifier, but the length of a char(n) is its padding.
        let result = match data_type.oid {
            oids::BPCHAR => data_type.clone(),
            _ => PgType { modifier: -1, ..data_type.clone() },
        };
        Ok(match comparison(data_type) {
            Comparison::Storage => (result, storage.clone(), Plan::Native(storage)),
            Comparison::Key => (result, storage, Plan::Keys),
            _ => return Err(self.unsupported(data_type)),
        })
    }

    fn missing(self, data_type: &PgType) -> DataFusionError {
        let shown = PgType { modifier: -1, ..data_type.clone() }.sql_name();
        SqlError::new(SqlState::UNDEFINED_FUNCTION, format!("function {}({shown}) does not exist", self.name()))
            .hint("No function matches the given name and argument types. You might need to add explicit type casts.")
            .into()
    }

    fn unsupported(self, data_type: &PgType) -> DataFusionError {
        SqlError::unsupported(format!("{}({}) is not supported", self.name(), data_type.sql_name())).into()
    }

    fn native(self) -> Arc<AggregateUDF> {
        match self {
            Self::Sum => sum::sum_udaf(),
            Self::Average => average::avg_udaf(),
            Self::Minimum => min_max::min_udaf(),
            Self::Maximum => min_max::max_udaf(),
        }
    }
}

fn interval_storage() -> DataType {
    PgType::new(oids::INTERVAL).storage()
}

fn numeric() -> (PgType, DataType, Plan) {
    (PgType::new(oids::NUMERIC), DataType::Utf8View, Plan::Numeric)
}

impl AggregateUDFImpl for Aggregate {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.name())
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let [argument] = arguments else { return exec_err!("{} takes one argument", self.name()) };
        let (result, storage, _) = self.kind.plan(argument)?;
        Ok(Arc::new(result.tag(Field::new(self.name(), storage, true))))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(field) = args.expr_fields.first() else { return exec_err!("{} takes one argument", self.name()) };
        let data_type = PgType::of_field(field);
        let (_, storage, plan) = self.kind.plan(field)?;
        if args.is_distinct && plan != Plan::Keys && matches!(self.kind, Kind::Sum | Kind::Average) {
            return Err(SqlError::unsupported(format!(
                "{}(DISTINCT {}) is not supported",
                self.name(),
                data_type.sql_name()
            ))
            .into());
        }
        match plan {
            Plan::Intervals => Ok(Box::new(IntervalSum::new(data_type, self.kind == Kind::Average))),
            Plan::Keys => Ok(Box::new(Extreme { data_type, maximum: self.kind == Kind::Maximum, best: None, storage })),
            // A window over a native plan comes here, too: it is computed as numerics and cast at the end.
            _ if matches!(self.kind, Kind::Sum | Kind::Average) && storage != DataType::Float64 => {
                let result = PgType::of_field(&args.return_field);
                Ok(Box::new(NumericSum::new(data_type, self.kind == Kind::Average, result, storage)))
            }
            _ if self.kind.adds_singles(&data_type) => Ok(Box::new(SingleSum::default())),
            _ if self.kind.sums_floats(&storage) => {
                let fields = [Arc::new(Field::new(field.name(), DataType::Float64, true))];
                let inner = self.kind.native().accumulator(AccumulatorArgs { expr_fields: &fields, ..args })?;
                Ok(Box::new(FloatSum::new(inner)))
            }
            _ => self.kind.native().accumulator(args),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        let Some(field) = args.expr_fields.first() else { return false };
        let Ok((result, storage, plan)) = self.kind.plan(field) else { return false };
        !args.is_distinct
            && !self.kind.adds_singles(&PgType::of_field(field))
            && (self.kind.sums_floats(&storage)
                || self.kind.compares_floats(&storage)
                || self.kind.sums_numerics(&result, &plan))
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let Some(field) = args.expr_fields.first() else { return exec_err!("{} takes one argument", self.name()) };
        let (result, storage, plan) = self.kind.plan(field)?;
        if self.kind.sums_numerics(&result, &plan) {
            let result = PgType::of_field(&args.return_field);
            return Ok(Box::new(NumericSums::new(PgType::of_field(field), self.kind == Kind::Average, result)));
        }
        if self.kind.compares_floats(&storage) {
            return Ok(Box::new(FloatExtremes::new(self.kind == Kind::Maximum, storage)));
        }
        let fields = [Arc::new(Field::new(field.name(), DataType::Float64, true))];
        let inner = self.kind.native().create_groups_accumulator(AccumulatorArgs { expr_fields: &fields, ..args })?;
        Ok(Box::new(FloatSums::new(inner)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(field) = args.expr_fields.first() else { return exec_err!("{} takes one argument", self.name()) };
        let (_, storage, plan) = self.kind.plan(field)?;
        let extreme = matches!(self.kind, Kind::Minimum | Kind::Maximum);
        match plan {
            Plan::Native(_) if extreme => self.kind.native().create_sliding_accumulator(args),
            Plan::Keys => {
                Ok(Box::new(sliding::Extreme::new(PgType::of_field(field), self.kind == Kind::Maximum, storage)))
            }
            _ if self.kind.adds_singles(&PgType::of_field(field)) => Ok(Box::new(sliding::Singles::default())),
            _ if storage == DataType::Float64 => Ok(Box::new(sliding::Floats::new(self.kind == Kind::Average))),
            Plan::Intervals => self.accumulator(args),
            _ => {
                let result = PgType::of_field(&args.return_field);
                let average = self.kind == Kind::Average;
                Ok(Box::new(NumericSum::new(PgType::of_field(field), average, result, storage).moving()))
            }
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(field) = args.input_fields.first() else { return exec_err!("{} takes one argument", self.name()) };
        let (_, storage, plan) = self.kind.plan(field)?;
        match plan {
            Plan::Intervals => Ok(IntervalSum::state_fields()),
            Plan::Keys => Ok(vec![
                Arc::new(Field::new("key", DataType::Binary, true)),
                Arc::new(Field::new("value", storage, true)),
            ]),
            _ if matches!(self.kind, Kind::Sum | Kind::Average) && storage != DataType::Float64 => {
                Ok(sum_states::fields())
            }
            _ if self.kind.adds_singles(&PgType::of_field(field)) => {
                Ok(vec![Arc::new(Field::new("sum", DataType::Float32, true))])
            }
            _ if self.kind.sums_floats(&storage) => {
                let fields = [Arc::new(Field::new(field.name(), DataType::Float64, true))];
                self.kind.native().state_fields(StateFieldsArgs { input_fields: &fields, ..args })
            }
            _ => self.kind.native().state_fields(args),
        }
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        let kind = self.kind;
        Some(Box::new(move |call: AggregateFunction, context| {
            let AggregateFunction { func, params } = call;
            let original = |func, params| Ok(Expr::AggregateFunction(AggregateFunction { func, params }));
            let [argument] = params.args.as_slice() else { return original(func, params) };
            let (_, field) = argument.to_field(context.schema().as_ref())?;
            let (_, storage, Plan::Native(argument_type)) = kind.plan(&field)? else { return original(func, params) };
            if kind.sums_floats(&storage) || kind.compares_floats(&storage) {
                return original(func, params);
            }
            let argument = if field.data_type() == &argument_type {
                argument.clone()
            } else {
                argument.clone().cast_to(&argument_type, context.schema().as_ref())?
            };
            let params = AggregateFunctionParams { args: vec![argument], ..params };
            Ok(Expr::AggregateFunction(AggregateFunction { func: kind.native(), params }))
        }))
    }
}

/// The least or greatest value by its key.
#[derive(Debug)]
struct Extreme {
    data_type: PgType,
    maximum: bool,
    best: Option<(Vec<u8>, ScalarValue)>,
    storage: DataType,
}

impl Extreme {
    fn offer(&mut self, keys: &ArrayRef, values: &ArrayRef) -> Result<()> {
        let keys = keys.as_binary::<i32>();
        let mut best_row = None;
        for row in (0..keys.len()).filter(|row| keys.is_valid(*row)) {
            let key = keys.value(row);
            let current = match best_row {
                Some(best) => Some(keys.value(best)),
                None => self.best.as_ref().map(|(key, _)| key.as_slice()),
            };
            // Of equal values that are stored differently PostgreSQL keeps the later one.
            let better = current.is_none_or(|current| if self.maximum { key >= current } else { key <= current });
            if better {
                best_row = Some(row);
            }
        }
        if let Some(row) = best_row {
            self.best = Some((keys.value(row).to_vec(), ScalarValue::try_from_array(values, row)?));
        }
        Ok(())
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let keys = keys(values.as_ref(), &self.data_type).map_err(external)?;
        self.offer(&keys, values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        match &self.best {
            Some((_, value)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.storage),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.best.as_ref().map_or(0, |(key, value)| key.len() + value.size())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let key = self.best.as_ref().map(|(key, _)| key.clone());
        Ok(vec![ScalarValue::Binary(key), self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [keys, values] = states else { return exec_err!("an extreme's state has two columns") };
        self.offer(keys, values)
    }
}
