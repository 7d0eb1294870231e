//! `sum` and `avg` of numbers of any kind, exact.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, i256};
use atoll_connector_api::ConnectorError;
use atoll_connector_api::types::text::{OutputStyle, TextWriter};
use atoll_connector_api::types::{Arithmetic, Numeric, PgType, ShortNumeric, ShortNumerics, oids, parse_scalar};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;

use super::external;
use super::sum_states::{self, SumState, SumStates};

/// What stands for a sum that has too many digits, in a partial state.
const OVERFLOW: &str = "overflow";

/// The sum.
#[derive(Debug)]
pub(super) struct NumericSum {
    data_type: PgType,
    average: bool,
    result: PgType,
    storage: DataType,
    /// Of the numbers, without those in `short`.
    sum: Option<Numeric>,
    /// Of numbers of a few digits.
    short: Option<ShortNumeric>,
    /// What is no number, counted: a window's frame leaves it behind, and a sum could not.
    specials: Specials,
    count: i64,
    /// Of a moving frame how many numbers have how many digits after the point: the sum has as many as the one with most.
    scales: Option<BTreeMap<i16, u64>>,
    /// The sum of the numbers has too many digits, which is an error unless there is NaN or infinity.
    overflown: bool,
}

/// How many of each there are.
#[derive(Debug, Default)]
struct Specials {
    nan: i64,
    infinity: i64,
    minus_infinity: i64,
}

impl Specials {
    /// Adds to the count of a value; false for a number.
    fn count(&mut self, value: &Numeric, by: i64) -> bool {
        match value {
            Numeric::NaN => self.nan += by,
            Numeric::Infinity => self.infinity += by,
            Numeric::MinusInfinity => self.minus_infinity += by,
            Numeric::Finite(_) => return false,
        }
        true
    }

    /// Their sum, whatever numbers there are besides.
    const fn sum(&self) -> Option<Numeric> {
        match (self.nan > 0, self.infinity > 0, self.minus_infinity > 0) {
            (false, false, false) => None,
            (false, true, false) => Some(Numeric::Infinity),
            (false, false, true) => Some(Numeric::MinusInfinity),
            _ => Some(Numeric::NaN),
        }
    }
}

impl NumericSum {
    pub(super) fn new(data_type: PgType, average: bool, result: PgType, storage: DataType) -> Self {
        Self {
            data_type,
            average,
            result,
            storage,
            sum: None,
            short: None,
            specials: Specials::default(),
            count: 0,
            scales: None,
            overflown: false,
        }
    }

    /// The same for a moving frame.
    pub(super) fn moving(self) -> Self {
        Self { scales: Some(BTreeMap::new()), ..self }
    }

    fn total(&self) -> Result<Option<Numeric>> {
        if let Some(special) = self.specials.sum() {
            return Ok(Some(special));
        }
        if self.overflown {
            return Err(external(ConnectorError::value("22003", "numeric value out of range")));
        }
        let most = self.scales.as_ref().and_then(|scales| scales.last_key_value());
        match (&self.sum, most) {
            (Some(sum), Some((scale, _))) => sum.clone().bounded(u16::MAX, *scale).map(Some).map_err(external),
            (sum, _) => Ok(sum.clone()),
        }
    }

    /// A number as it is printed; of `money` without its sign and commas.
    pub(super) fn read(&self, text: &mut String) -> Result<Numeric> {
        if self.data_type.oid == oids::MONEY {
            text.retain(|character| !matches!(character, '$' | ','));
        }
        Numeric::parse(text).map_err(external)
    }

    /// Adds a value, but does not count it.
    pub(super) fn add(&mut self, value: Numeric) {
        if !self.specials.count(&value, 1) {
            self.combine(Arithmetic::Add, value);
        }
    }

    /// Adds a number of a few digits to others of its kind.
    fn add_short(&mut self, value: ShortNumeric) {
        match self.short.map(|sum| sum.compute(Arithmetic::Add, value)) {
            None => self.short = Some(value),
            Some(Some(sum)) => self.short = Some(sum),
            Some(None) => {
                self.settle();
                self.short = Some(value);
            }
        }
    }

    /// Adds the sum of short numbers to that of the others.
    fn settle(&mut self) {
        if let Some(short) = self.short.take() {
            self.combine(Arithmetic::Add, short.to_numeric());
        }
    }

    /// Adds what [`Accumulator::state`] said of other values, but for their count.
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn merge(&mut self, sum: &str) -> Result<()> {
        match sum {
            OVERFLOW => (self.sum, self.overflown) = (None, true),
            sum => self.add(Numeric::parse(sum).map_err(external)?),
        }
        Ok(())
    }

    /// The sum as a state holds it.
    ///
    /// # Errors
    /// Bugs only.
    pub(super) fn printed_sum(&mut self) -> Result<Option<String>> {
        self.settle();
        if self.overflown && self.specials.sum().is_none() {
            return Ok(Some(OVERFLOW.to_owned()));
        }
        Ok(self.total()?.as_ref().map(printed))
    }

    /// The same over so many values.
    pub(super) fn counted(self, count: i64) -> Self {
        Self { count, ..self }
    }

    fn combine(&mut self, operation: Arithmetic, value: Numeric) {
        self.sum = match self.sum.take() {
            None if !self.overflown => Some(value),
            Some(sum) => sum.compute(operation, &value).inspect_err(|_| self.overflown = true).ok(),
            None => None,
        };
    }
}

/// Digits after the point of a number as it is printed.
fn scale(text: &str) -> i16 {
    let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    i16::try_from(digits).unwrap_or(i16::MAX)
}

fn printed(numeric: &Numeric) -> String {
    let mut text = String::new();
    numeric.write(&mut text);
    text
}

impl Accumulator for NumericSum {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        let style = OutputStyle::default();
        let writer = TextWriter::new(values.as_ref(), &self.data_type, &style).map_err(external)?;
        // A moving frame takes numbers away again, and knows their scales.
        let short = ShortNumerics::of(values.as_ref(), &self.data_type).filter(|_| self.scales.is_none());
        let nulls = values.nulls();
        let mut text = String::new();
        for row in (0..values.len()).filter(|row| nulls.is_none_or(|nulls| nulls.is_valid(*row))) {
            if let Some(value) = short.and_then(|values| values.get(row)) {
                self.add_short(value);
                self.count += 1;
                continue;
            }
            text.clear();
            writer.write(row, &mut text).map_err(external)?;
            let value = self.read(&mut text)?;
            if let (Some(scales), Numeric::Finite(_)) = (&mut self.scales, &value) {
                *scales.entry(scale(&text)).or_default() += 1;
            }
            self.add(value);
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let Some(values) = values.first() else { return Ok(()) };
        self.settle();
        let style = OutputStyle::default();
        let writer = TextWriter::new(values.as_ref(), &self.data_type, &style).map_err(external)?;
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let mut text = String::new();
            writer.write(row, &mut text).map_err(external)?;
            let value = self.read(&mut text)?;
            self.count -= 1;
            if self.specials.count(&value, -1) {
                continue;
            }
            if let Some(scales) = &mut self.scales {
                let scale = scale(&text);
                match scales.get_mut(&scale) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(scales.remove(&scale)),
                }
                if scales.is_empty() {
                    // No number is left, and nothing that was too much.
                    (self.sum, self.overflown) = (None, false);
                    continue;
                }
            }
            self.combine(Arithmetic::Subtract, value);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.settle();
        let Some(sum) = self.total()? else { return ScalarValue::try_from(&self.storage) };
        let value = if self.average {
            let count = Numeric::from_i256(i256::from_i128(i128::from(self.count)), 0);
            sum.compute(Arithmetic::Divide, &count).map_err(external)?
        } else {
            sum
        };
        match &self.storage {
            DataType::Decimal128(precision, scale) => {
                let sized = PgType::numeric(u16::from(*precision), i16::from(*scale));
                parse_scalar(&printed(&value), &sized).map_err(external)
            }
            _ => parse_scalar(&printed(&value), &self.result).map_err(external),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.as_ref().map_or(0, |sum| printed(sum).len())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sum = self.printed_sum()?;
        let short = ScalarValue::try_from(&sum_states::SHORT)?;
        Ok(vec![ScalarValue::Utf8(sum), short, ScalarValue::UInt8(Some(0)), ScalarValue::Int64(Some(self.count))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = SumStates::of(states)?;
        for row in 0..states.len() {
            match states.get(row) {
                Some(SumState::Long(sum)) => self.merge(sum)?,
                Some(SumState::Short(sum)) => self.add_short(sum),
                None => {}
            }
            self.count += states.count(row);
        }
        Ok(())
    }
}
