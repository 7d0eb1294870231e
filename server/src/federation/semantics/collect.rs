//! Aggregates that see their values in an order, or each value once: `array_agg`, `string_agg`, `json_agg`, percentiles,
//! `sum(DISTINCT …)`.
//!
//! They keep their rows and sort them by keys at the end, each by its own ORDER BY, so that several in one statement do
//! not hinder each other. The memory that they hold counts against the query's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use atoll_connector_api::types::text::{OutputStyle, TextWriter};
use atoll_connector_api::types::{
    Arithmetic, ArrayText, Dimension, Numeric, PgType, cast as types, oids, parse_scalar,
};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Expr, Signature, Volatility};
use serde::{Deserialize, Serialize};

use super::arithmetic::narrow_literal;
use super::float_sums::add_single;
use super::operators::take_type;
use super::{Operand, Settings, cast, compare, datetime, external, functions, grouping, operand, type_of};
use crate::error::{SqlError, SqlState};
use crate::interrupt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Array,
    String,
    Json,
    /// Of records, which stand on lines of their own.
    JsonRecords,
    Jsonb,
    JsonObject,
    JsonbObject,
    Sum,
    Average,
    Continuous,
    Discrete,
    Mode,
}

const KINDS: [(Kind, &str); 12] = [
    (Kind::Array, "array_agg"),
    (Kind::String, "string_agg"),
    (Kind::Json, "json_agg"),
    (Kind::JsonRecords, "json_records_agg"),
    (Kind::Jsonb, "jsonb_agg"),
    (Kind::JsonObject, "json_object_agg"),
    (Kind::JsonbObject, "jsonb_object_agg"),
    (Kind::Sum, "sum"),
    (Kind::Average, "avg"),
    (Kind::Continuous, "percentile_cont"),
    (Kind::Discrete, "percentile_disc"),
    (Kind::Mode, "mode"),
];

/// Our name for an aggregate; `None` where another does its work.
pub(super) fn named(name: &str, distinct: bool) -> Option<String> {
    let (kind, _) = KINDS.iter().find(|(_, known)| *known == name)?;
    // Plain sums are added up as they come.
    (distinct || !matches!(kind, Kind::Sum | Kind::Average)).then(|| format!("atoll_{name}"))
}

/// Whether a function collects its values in the order in which they come, which no ORDER BY of its own has changed yet.
pub(super) fn keeps_order(func: &AggregateUDF) -> bool {
    let collect = func.inner().downcast_ref::<Collect>();
    collect.is_some_and(|own| {
        let collected = matches!(
            own.kind,
            Kind::Array
                | Kind::String
                | Kind::Json
                | Kind::JsonRecords
                | Kind::Jsonb
                | Kind::JsonObject
                | Kind::JsonbObject
        );
        own.plan.is_none() && collected
    })
}

/// The aggregates of this module.
pub(super) fn aggregates(settings: &Settings) -> Vec<AggregateUDF> {
    KINDS
        .iter()
        .map(|(kind, name)| {
            AggregateUDF::from(Collect {
                kind: *kind,
                public: name,
                name: format!("atoll_{name}"),
                settings: settings.clone(),
                plan: None,
                signature: Signature::variadic_any(Volatility::Immutable),
            })
        })
        .collect()
}

/// How a bound call's columns are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Plan {
    types: Vec<PgType>,
    /// Of each key behind the values: ascending, NULLs first.
    order: Vec<(bool, bool)>,
    distinct: bool,
    returns: PgType,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Collect {
    kind: Kind,
    public: &'static str,
    name: String,
    settings: Settings,
    plan: Option<Plan>,
    signature: Signature,
}

impl Kind {
    const fn within_group(self) -> bool {
        matches!(self, Self::Continuous | Self::Discrete | Self::Mode)
    }

    const fn values(self) -> usize {
        match self {
            Self::String | Self::JsonObject | Self::JsonbObject | Self::Continuous | Self::Discrete => 2,
            _ => 1,
        }
    }

    /// What the arguments are cast to, and the result.
    fn types(self, name: &str, args: &[Operand]) -> std::result::Result<(Vec<PgType>, PgType), SqlError> {
        let missing = || functions::undefined(name, args);
        if args.len() != self.values() {
            return Err(missing());
        }
        let text = PgType::new(oids::TEXT);
        let own = |index: usize| match args.get(index) {
            Some(Operand::Typed(data_type)) => PgType { modifier: -1, ..data_type.clone() },
            _ => text.clone(),
        };
        // As it is read: the length of a char(n) is its padding.
        let read = |index: usize| match args.get(index) {
            Some(Operand::Typed(data_type)) if data_type.user.is_none() && data_type.oid == oids::BPCHAR => {
                data_type.clone()
            }
            _ => own(index),
        };
        let float = PgType::new(oids::FLOAT8);
        let number = |data_type: &PgType| {
            data_type.user.is_none()
                && matches!(
                    data_type.oid,
                    oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC | oids::FLOAT4 | oids::FLOAT8
                )
        };
        Ok(match self {
            Self::Array if own(0).is_array() => (vec![own(0)], own(0)),
            Self::Array => {
                let array = read(0).array().ok_or_else(|| {
                    let shown = own(0).sql_name();
                    SqlError::new(
                        SqlState::UNDEFINED_OBJECT,
                        format!("could not find array type for data type {shown}"),
                    )
                })?;
                (vec![read(0)], array)
            }
            Self::String => {
                let strings = |data_type: &PgType| {
                    matches!(data_type.oid, oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::CHAR)
                };
                if !strings(&own(0)) || !strings(&own(1)) {
                    return Err(missing());
                }
                (vec![text.clone(), text.clone()], text)
            }
            Self::Json | Self::JsonRecords => (vec![read(0)], PgType::new(oids::JSON)),
            Self::Jsonb => (vec![read(0)], PgType::new(oids::JSONB)),
            Self::JsonObject => (vec![read(0), read(1)], PgType::new(oids::JSON)),
            Self::JsonbObject => (vec![read(0), read(1)], PgType::new(oids::JSONB)),
            Self::Sum | Self::Average => {
                let argument = own(0);
                if !number(&argument) {
                    return Err(missing());
                }
                let oid = match (self, argument.oid) {
                    (Self::Sum, oids::INT2 | oids::INT4) => oids::INT8,
                    (Self::Sum, oids::FLOAT4) => oids::FLOAT4,
                    (_, oids::FLOAT4 | oids::FLOAT8) => oids::FLOAT8,
                    _ => oids::NUMERIC,
                };
                (vec![argument], PgType::new(oid))
            }
            Self::Continuous if own(0).user.is_none() && own(0).oid == oids::INTERVAL => {
                let (fraction, returns) = percentiles(args.get(1), &own(0), &number);
                (vec![own(0), fraction], returns.ok_or_else(missing)?)
            }
            Self::Continuous => {
                if !number(&own(0)) {
                    let shown = own(0).sql_name();
                    return Err(SqlError::unsupported(format!("percentile_cont of {shown} is not supported")));
                }
                let (fraction, returns) = percentiles(args.get(1), &float, &number);
                (vec![float, fraction], returns.ok_or_else(missing)?)
            }
            Self::Discrete => {
                let (fraction, returns) = percentiles(args.get(1), &own(0), &number);
                (vec![own(0), fraction], returns.ok_or_else(missing)?)
            }
            Self::Mode => (vec![read(0)], read(0)),
        })
    }
}

/// The types of what says how far to go, one fraction or several, and of the result over values of a type.
fn percentiles(
    fraction: Option<&Operand>,
    value: &PgType,
    is_number: &dyn Fn(&PgType) -> bool,
) -> (PgType, Option<PgType>) {
    let float = PgType::new(oids::FLOAT8);
    match (fraction, float.array()) {
        (Some(Operand::Typed(own)), Some(several)) if own.is_array() => {
            let numbers = own.element().is_some_and(|element| is_number(&element));
            (several, value.array().filter(|_| numbers))
        }
        _ => (float, Some(value.clone())),
    }
}

/// Gives a call of ours its types and its keys.
///
/// # Errors
/// `42883`; what a literal is not.
pub(super) fn bind(
    settings: &Settings,
    call: AggregateFunction,
    schema: &DFSchema,
) -> Result<Transformed<AggregateFunction>> {
    let Some(own) = call.func.inner().downcast_ref::<Collect>().filter(|own| own.plan.is_none()) else {
        return Ok(Transformed::no(call));
    };
    let args = call.params.args.iter().cloned().map(|arg| cast::fold(settings, arg)).collect::<Result<Vec<_>>>()?;
    let operands: Vec<Operand> = args.iter().map(|arg| operand(arg, schema).unwrap_or(Operand::Unknown)).collect();
    let (targets, returns) = own.kind.types(own.public, &operands)?;
    let mut bound = Vec::with_capacity(args.len() * 2);
    for ((arg, operand), target) in args.into_iter().zip(operands).zip(&targets) {
        bound.push(match operand {
            Operand::Unknown => take_type(settings, arg, target)?,
            Operand::Typed(own) if own.oid == target.oid => narrow_literal(arg),
            Operand::Typed(_) => cast::cast_to(settings, narrow_literal(arg), target),
        });
    }
    let mut order = Vec::new();
    for sort in &call.params.order_by {
        grouping::check_order(&sort.expr, schema)?;
        let own = type_of(&sort.expr, schema).unwrap_or(PgType::new(oids::TEXT));
        bound.push(compare::key_of(sort.expr.clone(), &own, false));
        order.push((sort.asc, sort.nulls_first));
    }
    if call.params.distinct {
        let values: Vec<Expr> = bound.iter().take(targets.len()).cloned().collect();
        for (value, own) in values.into_iter().zip(&targets) {
            grouping::check_equality(&value, schema)?;
            bound.push(compare::key_of(value, own, false));
            order.push((true, false));
        }
    }
    let plan = Plan { types: targets, order, distinct: call.params.distinct, returns };
    let func = AggregateUDF::from(Collect {
        kind: own.kind,
        public: own.public,
        name: own.name.clone(),
        settings: settings.clone(),
        plan: Some(plan),
        signature: Signature::variadic_any(Volatility::Immutable),
    });
    let params = AggregateFunctionParams { args: bound, distinct: false, order_by: Vec::new(), ..call.params };
    Ok(Transformed::yes(AggregateFunction { func: Arc::new(func), params }))
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        exec_err!("{} has a field, not a type", self.public)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let returns = match &self.plan {
            Some(plan) => plan.returns.clone(),
            None => {
                let operands: Vec<Operand> = arguments
                    .iter()
                    .map(|field| match field.data_type() {
                        DataType::Null => Operand::Unknown,
                        _ => Operand::Typed(PgType::of_field(field)),
                    })
                    .collect();
                self.kind.types(self.public, &operands)?.1
            }
        };
        Ok(Arc::new(returns.field(self.name(), true)))
    }

    fn supports_within_group_clause(&self) -> bool {
        self.kind.within_group()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(plan) = &self.plan else {
            return Err(SqlError::unsupported(format!("{} is not supported here", self.public)).into());
        };
        let _ = args;
        Ok(Box::new(Rows {
            kind: self.kind,
            plan: plan.clone(),
            settings: self.settings.clone(),
            rows: Vec::new(),
            bytes: 0,
        }))
    }

    fn state_fields(&self, _: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new("rows", DataType::LargeUtf8, true))])
    }
}

/// One row: its values as text, and its keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    values: Vec<Option<String>>,
    keys: Vec<Option<Vec<u8>>>,
}

#[derive(Debug)]
struct Rows {
    kind: Kind,
    plan: Plan,
    settings: Settings,
    rows: Vec<Row>,
    bytes: usize,
}

impl Rows {
    fn push(&mut self, row: Row) -> Result<()> {
        interrupt::check()?;
        let texts: usize = row.values.iter().flatten().map(String::len).sum();
        let keys: usize = row.keys.iter().flatten().map(Vec::len).sum();
        let bytes = texts + keys + size_of::<Row>() + 24 * (row.values.len() + row.keys.len());
        // The pool is asked after each batch only.
        if self.bytes + bytes > self.settings.memory() {
            return Err(interrupt::out_of_memory(bytes).into());
        }
        self.bytes += bytes;
        self.rows.push(row);
        Ok(())
    }

    /// The rows in order, each once where that is asked for.
    fn sorted(&self) -> Vec<&Row> {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        if self.plan.order.is_empty() {
            return rows;
        }
        rows.sort_by(|left, right| {
            for ((a, b), (ascending, nulls_first)) in left.keys.iter().zip(&right.keys).zip(&self.plan.order) {
                let order = match (a, b) {
                    (None, None) => std::cmp::Ordering::Equal,
                    (None, Some(_)) if *nulls_first => std::cmp::Ordering::Less,
                    (None, Some(_)) => std::cmp::Ordering::Greater,
                    (Some(_), None) if *nulls_first => std::cmp::Ordering::Greater,
                    (Some(_), None) => std::cmp::Ordering::Less,
                    (Some(a), Some(b)) if *ascending => a.cmp(b),
                    (Some(a), Some(b)) => b.cmp(a),
                };
                if order.is_ne() {
                    return order;
                }
            }
            std::cmp::Ordering::Equal
        });
        if self.plan.distinct {
            let values = self.plan.types.len();
            let own = |row: &Row| row.keys.iter().rev().take(values).cloned().collect::<Vec<_>>();
            rows.dedup_by(|left, right| own(left) == own(right));
        }
        rows
    }

    fn finish(&self) -> std::result::Result<Option<String>, SqlError> {
        let rows = self.sorted();
        let internal = |error: atoll_connector_api::ConnectorError| crate::wire::sqlstate::connector_error(&error);
        let value = |row: &Row, index: usize| row.values.get(index).cloned().flatten();
        let own = |index: usize| self.plan.types.get(index).cloned().unwrap_or(PgType::new(oids::TEXT));
        if rows.is_empty() {
            return Ok(None);
        }
        let json = |row: &Row, index: usize| {
            interrupt::check()?;
            match value(row, index) {
                Some(text) => functions::to_json_text(&text, &own(index)),
                None => Ok("null".to_owned()),
            }
        };
        Ok(match self.kind {
            Kind::Array if own(0).is_array() => Some(nested_arrays(&rows)?),
            Kind::Array => {
                let length = i32::try_from(rows.len())
                    .map_err(|_| SqlError::new(SqlState(*b"54000"), "array size exceeds the maximum allowed"))?;
                let array = ArrayText {
                    dimensions: vec![Dimension { lower: 1, length }],
                    elements: rows.iter().map(|row| value(row, 0)).collect(),
                };
                let mut out = String::new();
                array.write_within(b',', &mut out).map_err(internal)?;
                Some(out)
            }
            Kind::String => {
                let mut out: Option<String> = None;
                for row in rows {
                    interrupt::check()?;
                    let Some(text) = value(row, 0) else { continue };
                    interrupt::reserve(out.as_ref().map_or(0, String::len) + text.len())?;
                    out = Some(match out {
                        None => text,
                        Some(before) => before + value(row, 1).as_deref().unwrap_or_default() + &text,
                    });
                }
                out
            }
            Kind::Json | Kind::JsonRecords | Kind::Jsonb => {
                let items = rows.iter().map(|row| json(row, 0)).collect::<std::result::Result<Vec<_>, _>>()?;
                let separator = if self.kind == Kind::JsonRecords { ", \n " } else { ", " };
                let list = format!("[{}]", items.join(separator));
                Some(if self.kind == Kind::Jsonb { types::jsonb(&list).map_err(internal)? } else { list })
            }
            Kind::JsonObject | Kind::JsonbObject => {
                let mut members = Vec::with_capacity(rows.len());
                for row in rows {
                    let name = value(row, 0).ok_or_else(|| {
                        SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "field name must not be null")
                    })?;
                    let name = functions::to_json_text(&name, &PgType::new(oids::TEXT))?;
                    members.push(format!("{name} : {}", json(row, 1)?));
                }
                let object = format!("{{ {} }}", members.join(", "));
                Some(if self.kind == Kind::JsonbObject { types::jsonb(&object).map_err(internal)? } else { object })
            }
            Kind::Sum | Kind::Average => self.total(&rows)?,
            Kind::Continuous | Kind::Discrete => self.percentile(&rows)?,
            Kind::Mode => {
                let mut best: (usize, Option<String>) = (0, None);
                let rows: Vec<&&Row> = rows.iter().filter(|row| value(row, 0).is_some()).collect();
                for group in rows.chunk_by(|left, right| left.keys == right.keys) {
                    if group.len() > best.0 {
                        best = (group.len(), group.first().and_then(|row| value(row, 0)));
                    }
                }
                best.1
            }
        })
    }

    fn total(&self, rows: &[&Row]) -> std::result::Result<Option<String>, SqlError> {
        let internal = |error: atoll_connector_api::ConnectorError| crate::wire::sqlstate::connector_error(&error);
        let values: Vec<&String> = rows.iter().filter_map(|row| row.values.first()).flatten().collect();
        if values.is_empty() {
            return Ok(None);
        }
        if self.plan.returns.oid == oids::FLOAT4 {
            let singles = values.iter().filter_map(|value| value.parse::<f32>().ok());
            let sum = singles.map(Ok).reduce(|sum, value| add_single(Some(sum?), value?)).transpose()?;
            return Ok(sum.map(|sum| sum.to_string()));
        }
        if self.plan.returns.oid == oids::FLOAT8 {
            let sum: f64 = values.iter().filter_map(|value| value.parse::<f64>().ok()).sum();
            #[expect(clippy::cast_precision_loss, reason = "a count of rows")]
            let result = if self.kind == Kind::Average { sum / values.len() as f64 } else { sum };
            return Ok(Some(result.to_string()));
        }
        let mut sum: Option<Numeric> = None;
        for value in &values {
            let value = Numeric::parse(value).map_err(internal)?;
            sum = Some(match sum {
                None => value,
                Some(sum) => sum.compute(Arithmetic::Add, &value).map_err(internal)?,
            });
        }
        let Some(mut sum) = sum else { return Ok(None) };
        if self.kind == Kind::Average {
            let count = Numeric::parse(&values.len().to_string()).map_err(internal)?;
            sum = sum.compute(Arithmetic::Divide, &count).map_err(internal)?;
        }
        let mut out = String::new();
        sum.write(&mut out);
        Ok(Some(out))
    }

    fn percentile(&self, rows: &[&Row]) -> std::result::Result<Option<String>, SqlError> {
        let values: Vec<&str> =
            rows.iter().filter_map(|row| row.values.first()).flatten().map(String::as_str).collect();
        let fraction = rows.first().and_then(|row| row.values.get(1)).cloned().flatten();
        let Some(fraction) = fraction else { return Ok(None) };
        if !self.plan.types.get(1).is_some_and(PgType::is_array) {
            return self.percentile_at(&values, &fraction);
        }
        let mut array =
            ArrayText::parse(&fraction, b',').map_err(|error| crate::wire::sqlstate::connector_error(&error))?;
        for element in &mut array.elements {
            *element = match element.take() {
                Some(fraction) => self.percentile_at(&values, &fraction)?,
                None => None,
            };
        }
        let mut out = String::new();
        array.write(b',', &mut out);
        Ok(Some(out))
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "places in a list that is in memory"
    )]
    fn percentile_at(&self, values: &[&str], fraction: &str) -> std::result::Result<Option<String>, SqlError> {
        let Ok(fraction) = fraction.parse::<f64>() else { return Ok(None) };
        if !(0.0..=1.0).contains(&fraction) {
            return Err(SqlError::new(
                SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                format!("percentile value {fraction} is not between 0 and 1"),
            ));
        }
        if values.is_empty() {
            return Ok(None);
        }
        if self.kind == Kind::Discrete {
            let place = (fraction * values.len() as f64).ceil() as usize;
            return Ok(values.get(place.saturating_sub(1)).map(|value| (*value).to_owned()));
        }
        let place = fraction * (values.len() - 1) as f64;
        if self.plan.types.first().is_some_and(|own| own.oid == oids::INTERVAL) {
            let at = |place: f64| values.get(place as usize).copied().unwrap_or_default();
            let between = datetime::interval_between(at(place.floor()), at(place.ceil()), place - place.floor());
            return between.map(Some).map_err(|error| crate::wire::sqlstate::sql_error(&error));
        }
        let at =
            |place: f64| values.get(place as usize).and_then(|value| value.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let (low, high) = (at(place.floor()), at(place.ceil()));
        let result = if place.floor() == place.ceil() { low } else { low + (place - place.floor()) * (high - low) };
        Ok(Some(result.to_string()))
    }
}

fn nested_arrays(rows: &[&Row]) -> std::result::Result<String, SqlError> {
    let mismatch = || SqlError::new(SqlState(*b"2202E"), "cannot accumulate arrays of different dimensionality");
    let mut dimensions: Option<Vec<Dimension>> = None;
    let mut elements = Vec::new();
    for row in rows {
        let Some(text) = row.values.first().and_then(Option::as_deref) else {
            return Err(SqlError::new(SqlState(*b"22004"), "cannot accumulate null arrays"));
        };
        let array = ArrayText::parse(text, b',').map_err(|error| crate::wire::sqlstate::connector_error(&error))?;
        if array.dimensions.is_empty() {
            return Err(SqlError::new(SqlState(*b"2202E"), "cannot accumulate empty arrays"));
        }
        match &dimensions {
            None => dimensions = Some(array.dimensions),
            Some(first) if *first == array.dimensions => {}
            Some(_) => return Err(mismatch()),
        }
        elements.extend(array.elements);
    }
    let length = i32::try_from(rows.len()).map_err(|_| mismatch())?;
    let all = std::iter::once(Dimension { lower: 1, length }).chain(dimensions.unwrap_or_default()).collect();
    let mut out = String::new();
    ArrayText { dimensions: all, elements }.write(b',', &mut out);
    Ok(out)
}

impl Accumulator for Rows {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let style = self.settings.style();
        let json = OutputStyle::default();
        // What becomes JSON or part of an array is in ISO form whatever the session's style.
        let style = if matches!(self.kind, Kind::String) { &style } else { &json };
        let count = values.first().map_or(0, |array| array.len());
        let types = self.plan.types.clone();
        let writers = values
            .iter()
            .zip(&types)
            .map(|(array, data_type)| TextWriter::new(array.as_ref(), data_type, style).map_err(external))
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<_> = values.iter().skip(types.len()).map(|array| array.as_binary::<i32>()).collect();
        let keeps = matches!(self.kind, Kind::Array | Kind::Json | Kind::JsonRecords | Kind::Jsonb);
        let skips = !keeps && !matches!(self.kind, Kind::JsonObject | Kind::JsonbObject);
        for row in 0..count {
            if skips && values.first().is_some_and(|array| array.is_null(row)) {
                continue;
            }
            let mut texts = Vec::with_capacity(types.len());
            for (array, writer) in values.iter().zip(&writers) {
                texts.push(if array.is_null(row) {
                    None
                } else {
                    let mut text = String::new();
                    writer.write(row, &mut text).map_err(external)?;
                    Some(text)
                });
            }
            let keys = keys.iter().map(|keys| keys.is_valid(row).then(|| keys.value(row).to_vec())).collect();
            self.push(Row { values: texts, keys })?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let memory = self.settings.memory();
        match interrupt::within(memory, || self.finish())? {
            Some(text) => parse_scalar(&text, &self.plan.returns).map_err(external),
            None => ScalarValue::try_from(&self.plan.returns.storage()),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let text = serde_json::to_string(&self.rows)
            .map_err(|error| SqlError::internal(format!("rows could not be written: {error}")))?;
        Ok(vec![ScalarValue::LargeUtf8(Some(text))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [rows] = states else { return exec_err!("the state of {:?} has one column", self.kind) };
        for text in rows.as_string::<i64>().iter().flatten() {
            let rows: Vec<Row> = serde_json::from_str(text)
                .map_err(|error| SqlError::internal(format!("rows could not be read: {error}")))?;
            rows.into_iter().try_for_each(|row| self.push(row))?;
        }
        Ok(())
    }
}
