//! `stddev`, `variance`, `corr` and their kin: PostgreSQL's formulas, so that the last digit agrees, and `numeric` results
//! for exact arguments.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use atoll_connector_api::types::text::{OutputStyle, TextWriter};
use atoll_connector_api::types::{Arithmetic, Numeric, PgType, oids, parse_scalar};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, AggregateFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::arithmetic::narrow_literal;
use super::operators::take_type;
use super::{Operand, Settings, cast, external, float_sums, functions, operand};
use crate::error::SqlError;

const ONE: &[&str] = &["stddev", "stddev_samp", "stddev_pop", "variance", "var_samp", "var_pop"];
const TWO: &[&str] = &[
    "corr",
    "covar_pop",
    "covar_samp",
    "regr_slope",
    "regr_intercept",
    "regr_r2",
    "regr_count",
    "regr_avgx",
    "regr_avgy",
    "regr_sxx",
    "regr_sxy",
    "regr_syy",
];

/// Our name for an aggregate; `None` where it is none of these.
pub(super) fn named(name: &str) -> Option<String> {
    (ONE.contains(&name) || TWO.contains(&name)).then(|| format!("atoll_{name}"))
}

/// The aggregates of this module.
pub(super) fn aggregates(settings: &Settings) -> Vec<AggregateUDF> {
    ONE.iter().chain(TWO).map(|name| AggregateUDF::from(Statistic::new(name, settings, None))).collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Statistic {
    public: &'static str,
    name: String,
    settings: Settings,
    /// Whether it is computed over numerics; `None` until that is known.
    exact: Option<bool>,
    signature: Signature,
}

impl Statistic {
    fn new(public: &'static str, settings: &Settings, exact: Option<bool>) -> Self {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self { public, name: format!("atoll_{public}"), settings: settings.clone(), exact, signature }
    }

    fn is_exact(&self, args: &[Operand]) -> std::result::Result<bool, SqlError> {
        let missing = || functions::undefined(self.public, args);
        let oid = |arg: &Operand| match arg {
            Operand::Typed(data_type) if data_type.user.is_none() => data_type.oid,
            Operand::Typed(_) => 0,
            Operand::Unknown => oids::FLOAT8,
        };
        let number = [oids::INT2, oids::INT4, oids::INT8, oids::NUMERIC, oids::FLOAT4, oids::FLOAT8];
        let wanted = if ONE.contains(&self.public) { 1 } else { 2 };
        if args.len() != wanted || args.iter().any(|arg| !number.contains(&oid(arg))) {
            return Err(missing());
        }
        Ok(wanted == 1 && args.iter().all(|arg| !matches!(oid(arg), oids::FLOAT4 | oids::FLOAT8)))
    }

    fn returns(&self, exact: bool) -> PgType {
        PgType::new(match (self.public, exact) {
            ("regr_count", _) => oids::INT8,
            (_, true) => oids::NUMERIC,
            (_, false) => oids::FLOAT8,
        })
    }
}

/// Casts the arguments of a call of ours.
///
/// # Errors
/// `42883`.
pub(super) fn bind(
    settings: &Settings,
    call: AggregateFunction,
    schema: &DFSchema,
) -> Result<Transformed<AggregateFunction>> {
    let Some(own) = call.func.inner().downcast_ref::<Statistic>().filter(|own| own.exact.is_none()) else {
        return Ok(Transformed::no(call));
    };
    let args = call.params.args.iter().cloned().map(|arg| cast::fold(settings, arg)).collect::<Result<Vec<_>>>()?;
    let operands: Vec<Operand> = args.iter().map(|arg| operand(arg, schema).unwrap_or(Operand::Unknown)).collect();
    let exact = own.is_exact(&operands)?;
    if call.params.distinct {
        return Err(SqlError::unsupported(format!("{}(DISTINCT …) is not supported", own.public)).into());
    }
    let target = PgType::new(if exact { oids::NUMERIC } else { oids::FLOAT8 });
    let mut bound = Vec::with_capacity(args.len());
    for (arg, operand) in args.into_iter().zip(operands) {
        bound.push(match operand {
            Operand::Unknown => take_type(settings, arg, &target)?,
            Operand::Typed(own) if own.oid == target.oid => arg,
            Operand::Typed(_) => cast::cast_to(settings, narrow_literal(arg), &target),
        });
    }
    let func = Arc::new(AggregateUDF::from(Statistic::new(own.public, settings, Some(exact))));
    let params = AggregateFunctionParams { args: bound, order_by: Vec::new(), ..call.params };
    Ok(Transformed::yes(AggregateFunction { func, params }))
}

impl AggregateUDFImpl for Statistic {
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
        let exact = match self.exact {
            Some(exact) => exact,
            None => {
                let operands: Vec<Operand> = arguments
                    .iter()
                    .map(|field| match field.data_type() {
                        DataType::Null => Operand::Unknown,
                        _ => Operand::Typed(PgType::of_field(field)),
                    })
                    .collect();
                self.is_exact(&operands)?
            }
        };
        Ok(Arc::new(self.returns(exact).field(self.name(), true)))
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match self.exact {
            Some(true) => {
                let data_type = args.expr_fields.first().map_or(PgType::new(oids::NUMERIC), |f| PgType::of_field(f));
                Ok(Box::new(Exact { public: self.public, data_type, count: 0, sum: zero()?, squares: zero()? }))
            }
            Some(false) => Ok(Box::new(Sums { public: self.public, ..Sums::default() })),
            None => Err(SqlError::unsupported(format!("{} is not supported here", self.public)).into()),
        }
    }

    fn state_fields(&self, _: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field = |name: &str, data_type: DataType| Arc::new(Field::new(name, data_type, true));
        Ok(if self.exact == Some(true) {
            ["count", "sum", "squares"].map(|name| field(name, DataType::Utf8)).to_vec()
        } else {
            ["n", "sx", "sxx", "sy", "syy", "sxy"].map(|name| field(name, DataType::Float64)).to_vec()
        })
    }
}

fn zero() -> Result<Numeric> {
    Numeric::parse("0").map_err(external)
}

fn printed(value: &Numeric) -> String {
    let mut text = String::new();
    value.write(&mut text);
    text
}

/// Count, sum and sum of squares.
#[derive(Debug)]
struct Exact {
    public: &'static str,
    data_type: PgType,
    count: i64,
    sum: Numeric,
    squares: Numeric,
}

impl Exact {
    fn add(&mut self, count: i64, sum: &Numeric, squares: &Numeric) -> Result<()> {
        self.count += count;
        self.sum = self.sum.compute(Arithmetic::Add, sum).map_err(external)?;
        self.squares = self.squares.compute(Arithmetic::Add, squares).map_err(external)?;
        Ok(())
    }

    fn result(&self) -> Result<Option<Numeric>> {
        let sample = !self.public.ends_with("_pop");
        if self.count == 0 || (sample && self.count == 1) {
            return Ok(None);
        }
        let number = |value: i64| Numeric::parse(&value.to_string()).map_err(external);
        let (n, less) = (number(self.count)?, number(if sample { self.count - 1 } else { self.count })?);
        let product = |a: &Numeric, b: &Numeric| a.compute(Arithmetic::Multiply, b).map_err(external);
        let spread = product(&n, &self.squares)?
            .compute(Arithmetic::Subtract, &product(&self.sum, &self.sum)?)
            .map_err(external)?;
        if spread != Numeric::NaN && spread.compare(&zero()?).is_le() {
            return zero().map(Some);
        }
        let variance = spread.compute(Arithmetic::Divide, &product(&n, &less)?).map_err(external)?;
        if self.public.starts_with("var") {
            return Ok(Some(variance));
        }
        let scale = variance.scale();
        Ok(Some(functions::sqrt_to_scale(&variance, scale)?))
    }
}

impl Accumulator for Exact {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let style = OutputStyle::default();
        let writer = TextWriter::new(values.as_ref(), &self.data_type, &style).map_err(external)?;
        let mut text = String::new();
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            text.clear();
            writer.write(row, &mut text).map_err(external)?;
            let value = Numeric::parse(&text).map_err(external)?;
            let square = value.compute(Arithmetic::Multiply, &value).map_err(external)?;
            self.add(1, &value, &square)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let numeric = PgType::new(oids::NUMERIC);
        match self.result()? {
            Some(value) => parse_scalar(&printed(&value), &numeric).map_err(external),
            None => ScalarValue::try_from(&numeric.storage()),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + printed(&self.squares).len() * 2
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let text = |value: String| ScalarValue::Utf8(Some(value));
        Ok(vec![text(self.count.to_string()), text(printed(&self.sum)), text(printed(&self.squares))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [counts, sums, squares] = states else { return exec_err!("a variance's state has three columns") };
        let (counts, sums, squares) = (counts.as_string::<i32>(), sums.as_string::<i32>(), squares.as_string::<i32>());
        for row in (0..counts.len()).filter(|row| counts.is_valid(*row)) {
            let number = |text: &str| Numeric::parse(text).map_err(external);
            let count = counts.value(row).parse().unwrap_or(0);
            self.add(count, &number(sums.value(row))?, &number(squares.value(row))?)?;
        }
        Ok(())
    }
}

/// The sums of Youngs and Cramer, as PostgreSQL keeps them: `y` for one argument's functions stays empty.
#[derive(Debug, Default)]
struct Sums {
    public: &'static str,
    n: f64,
    sx: f64,
    sxx: f64,
    sy: f64,
    syy: f64,
    sxy: f64,
}

impl Sums {
    fn add_one(&mut self, x: f64) -> std::result::Result<(), SqlError> {
        let before = (self.n, self.sx);
        self.n += 1.0;
        self.sx += x;
        if before.0 > 0.0 {
            let gap = x * self.n - self.sx;
            self.sxx += gap * gap / (self.n * before.0);
            if self.sx.is_infinite() || self.sxx.is_infinite() {
                if !before.1.is_infinite() && !x.is_infinite() {
                    return Err(float_sums::overflow());
                }
                self.sxx = f64::NAN;
            }
        } else if !x.is_finite() {
            self.sxx = f64::NAN;
        }
        Ok(())
    }

    fn add_pair(&mut self, y: f64, x: f64) -> std::result::Result<(), SqlError> {
        let known = (!self.sx.is_infinite() && !x.is_infinite(), !self.sy.is_infinite() && !y.is_infinite());
        self.n += 1.0;
        self.sx += x;
        self.sy += y;
        if self.n > 1.0 {
            let (gap_x, gap_y) = (x * self.n - self.sx, y * self.n - self.sy);
            let scale = 1.0 / (self.n * (self.n - 1.0));
            self.sxx += gap_x * gap_x * scale;
            self.syy += gap_y * gap_y * scale;
            self.sxy += gap_x * gap_y * scale;
            let (x_is, y_is) =
                (self.sx.is_infinite() || self.sxx.is_infinite(), self.sy.is_infinite() || self.syy.is_infinite());
            if (x_is && known.0) || (y_is && known.1) || (self.sxy.is_infinite() && known.0 && known.1) {
                return Err(float_sums::overflow());
            }
            for sum in [&mut self.sxx, &mut self.syy, &mut self.sxy] {
                if sum.is_infinite() {
                    *sum = f64::NAN;
                }
            }
        } else if !x.is_finite() || !y.is_finite() {
            (self.sxx, self.syy, self.sxy) = (f64::NAN, f64::NAN, f64::NAN);
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        if self.n == 0.0 {
            let public = self.public;
            *self = Self { public, ..*other };
            return;
        }
        let n = self.n + other.n;
        let gap_x = self.sx / self.n - other.sx / other.n;
        let gap_y = self.sy / self.n - other.sy / other.n;
        let weight = self.n * other.n;
        self.sxx += other.sxx + weight * gap_x * gap_x / n;
        self.syy += other.syy + weight * gap_y * gap_y / n;
        self.sxy += other.sxy + weight * gap_x * gap_y / n;
        self.sx += other.sx;
        self.sy += other.sy;
        self.n = n;
    }

    fn result(&self) -> Option<f64> {
        let Self { n, sx, sxx, sy, syy, sxy, .. } = *self;
        if n < 1.0 {
            return None;
        }
        let sample = (n > 1.0).then_some(n - 1.0);
        match self.public {
            "var_pop" => Some(sxx / n),
            "stddev_pop" => Some((sxx / n).sqrt()),
            "variance" | "var_samp" => Some(sxx / sample?),
            "stddev" | "stddev_samp" => Some((sxx / sample?).sqrt()),
            "covar_pop" => Some(sxy / n),
            "covar_samp" => Some(sxy / sample?),
            "corr" if sxx == 0.0 || syy == 0.0 => None,
            "corr" => Some(sxy / (sxx * syy).sqrt()),
            "regr_r2" if sxx == 0.0 => None,
            "regr_r2" if syy == 0.0 => Some(1.0),
            "regr_r2" => Some((sxy * sxy) / (sxx * syy)),
            "regr_slope" | "regr_intercept" if sxx == 0.0 => None,
            "regr_slope" => Some(sxy / sxx),
            "regr_intercept" => Some((sy - sx * sxy / sxx) / n),
            "regr_avgx" => Some(sx / n),
            "regr_avgy" => Some(sy / n),
            "regr_sxx" => Some(sxx),
            "regr_sxy" => Some(sxy),
            "regr_syy" => Some(syy),
            _ => None,
        }
    }
}

impl Accumulator for Sums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        match values {
            [xs] => {
                for x in xs.as_primitive::<Float64Type>().iter().flatten() {
                    self.add_one(x)?;
                }
            }
            [ys, xs] => {
                let (ys, xs) = (ys.as_primitive::<Float64Type>(), xs.as_primitive::<Float64Type>());
                for (y, x) in ys.iter().zip(xs.iter()) {
                    if let (Some(y), Some(x)) = (y, x) {
                        self.add_pair(y, x)?;
                    }
                }
            }
            _ => return exec_err!("{} takes one or two numbers", self.public),
        }
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "a count of rows")]
    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.public == "regr_count" {
            return Ok(ScalarValue::Int64(Some(self.n as i64)));
        }
        Ok(ScalarValue::Float64(self.result()))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let state = [self.n, self.sx, self.sxx, self.sy, self.syy, self.sxy];
        Ok(state.iter().map(|value| ScalarValue::Float64(Some(*value))).collect())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> = states.iter().map(|state| state.as_primitive::<Float64Type>()).collect();
        let [n, sx, sxx, sy, syy, sxy] = columns.as_slice() else {
            return exec_err!("the state of {} has six columns", self.public);
        };
        for row in (0..n.len()).filter(|row| n.is_valid(*row)) {
            let other = Self {
                public: self.public,
                n: n.value(row),
                sx: sx.value(row),
                sxx: sxx.value(row),
                sy: sy.value(row),
                syy: syy.value(row),
                sxy: sxy.value(row),
            };
            self.merge(&other);
        }
        Ok(())
    }
}
