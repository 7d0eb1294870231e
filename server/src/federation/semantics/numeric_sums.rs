//! `sum` and `avg` of many groups of numbers: of those with few digits, which is nearly all, in machine integers.

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringBuilder, StringViewBuilder, UInt8Array,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;
use atoll_connector_api::types::text::{OutputStyle, TextWriter};
use atoll_connector_api::types::{Arithmetic, DECIMAL128_NAN, Numeric, PgType, ShortNumeric, ShortNumerics};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::external;
use super::numeric_sum::NumericSum;
use super::sum_states::{SHORT, SumState, SumStates};

/// Memory of one long sum, about: most have some fifty digits.
const LONG_BYTES: usize = size_of::<NumericSum>() + 128;
/// Decimals are less than this.
const DECIMALS_END: u128 = 10_u128.pow(38);

/// The sums of groups, by their numbers.
pub(super) struct NumericSums {
    data_type: PgType,
    average: bool,
    result: PgType,
    /// Of each group the sum of its short numbers, but for what is in `long`: its digits.
    sums: Vec<i128>,
    scales: Scales,
    /// Of each group how many numbers were added, of any kind.
    counts: Vec<i64>,
    /// Of groups that have longer numbers, or NaN, or infinity.
    long: HashMap<usize, Box<NumericSum>>,
}

/// How many digits after the point the short sums have.
enum Scales {
    /// All of them, where a number has been added. Of long ones there are only sums of such numbers, and NaN.
    All(u32),
    /// Each its own; 0 where none was added yet.
    Each(Vec<u32>),
}

impl NumericSums {
    /// Sums of `data_type`, or averages, as `result`, which is stored as text.
    pub(super) fn new(data_type: PgType, average: bool, result: PgType) -> Self {
        let (sums, counts) = (Vec::new(), Vec::new());
        Self { data_type, average, result, sums, scales: Scales::All(0), counts, long: HashMap::new() }
    }

    /// The accumulator of a group by itself.
    fn one(&self) -> NumericSum {
        NumericSum::new(self.data_type.clone(), self.average, self.result.clone(), DataType::Utf8View)
    }

    fn long(&mut self, group: usize) -> &mut NumericSum {
        let (data_type, result, average) = (&self.data_type, &self.result, self.average);
        let one = || NumericSum::new(data_type.clone(), average, result.clone(), DataType::Utf8View);
        self.long.entry(group).or_insert_with(|| Box::new(one()))
    }

    fn resize(&mut self, total_groups: usize) {
        let groups = total_groups.max(self.sums.len());
        self.sums.resize(groups, 0);
        self.counts.resize(groups, 0);
        if let Scales::Each(scales) = &mut self.scales {
            scales.resize(groups, 0);
        }
    }

    /// From now on each group has a scale of its own.
    fn each_scale(&mut self) {
        if let Scales::All(scale) = self.scales {
            // What was counted so far was short, or NaN, whose scale does not matter.
            let scales = self.counts.iter().map(|count| if *count > 0 { scale } else { 0 });
            self.scales = Scales::Each(scales.collect());
        }
    }

    /// Whether all sums have this scale, or can: nothing was added yet.
    fn has_scale(&mut self, scale: u32) -> bool {
        match self.scales {
            Scales::All(own) if own == scale => true,
            Scales::All(_) if self.counts.iter().all(|count| *count == 0) => {
                self.scales = Scales::All(scale);
                true
            }
            _ => false,
        }
    }

    fn scale(&self, group: usize) -> u32 {
        match &self.scales {
            Scales::All(scale) => *scale,
            Scales::Each(scales) => scales.get(group).copied().unwrap_or(0),
        }
    }

    /// The sum of a group's short numbers, if there were any; 0 may stand for none.
    fn short(&self, group: usize) -> Option<ShortNumeric> {
        let counted = self.counts.get(group).is_some_and(|count| *count > 0);
        counted.then(|| ShortNumeric::new(*self.sums.get(group)?, self.scale(group)))?
    }

    /// Adds a number of the scale of all sums, and counts it.
    #[inline]
    fn add_scaled(&mut self, group: usize, value: i128) {
        let (Some(sum), Some(count)) = (self.sums.get_mut(group), self.counts.get_mut(group)) else { return };
        *count += 1;
        match sum.checked_add(value) {
            Some(more) => *sum = more,
            None => self.settle(group, value),
        }
    }

    /// A sum is too great for the short ones: it becomes a long one, and `next` the begin of another.
    #[cold]
    fn settle(&mut self, group: usize, next: i128) {
        let full = self.short(group);
        let long = self.long(group);
        if let Some(full) = full {
            long.add(full.to_numeric());
        }
        if let Some(sum) = self.sums.get_mut(group) {
            *sum = next;
        }
    }

    /// Adds a number of any scale, but does not count it.
    fn add_short(&mut self, group: usize, value: ShortNumeric) {
        self.each_scale();
        let own = self.scale(group);
        let sum = self.sums.get(group).and_then(|sum| ShortNumeric::new(*sum, own));
        let next = match sum.and_then(|sum| sum.compute(Arithmetic::Add, value)) {
            Some(next) => next,
            None => {
                let long = self.long(group);
                if let Some(sum) = sum {
                    long.add(sum.to_numeric());
                }
                value
            }
        };
        if let (Some(sum), Scales::Each(scales)) = (self.sums.get_mut(group), &mut self.scales) {
            *sum = next.unscaled();
            if let Some(scale) = scales.get_mut(group) {
                *scale = next.scale();
            }
        }
    }

    fn count(&mut self, group: usize, by: i64) {
        if let Some(count) = self.counts.get_mut(group) {
            *count += by;
        }
    }

    /// The groups that leave.
    fn taken(&mut self, emit_to: EmitTo) -> Self {
        let mut leaving = Self::new(self.data_type.clone(), self.average, self.result.clone());
        let groups = match emit_to {
            EmitTo::All => self.sums.len(),
            EmitTo::First(groups) => groups.min(self.sums.len()),
        };
        leaving.sums = emit_to.take_needed(&mut self.sums);
        leaving.counts = emit_to.take_needed(&mut self.counts);
        leaving.scales = match &mut self.scales {
            Scales::All(scale) => Scales::All(*scale),
            Scales::Each(scales) => Scales::Each(emit_to.take_needed(scales)),
        };
        for (group, sum) in take(&mut self.long) {
            match group.checked_sub(groups) {
                Some(later) => drop(self.long.insert(later, sum)),
                None => drop(leaving.long.insert(group, sum)),
            }
        }
        leaving
    }

    /// A group's sum whole, where it is not just its short numbers'.
    fn whole(&mut self, group: usize) -> Option<NumericSum> {
        let mut sum = *self.long.remove(&group)?;
        if let Some(short) = self.short(group) {
            sum.add(short.to_numeric());
        }
        Some(sum.counted(self.counts.get(group).copied().unwrap_or(0)))
    }

    /// Adds the rows that count of decimals, all of the scale of all sums.
    fn add_decimals(&mut self, values: &[i128], group_indices: &[usize], counted: Option<&NullBuffer>) {
        let Some(counted) = counted else {
            for (value, group) in values.iter().zip(group_indices) {
                self.add_decimal(*group, *value);
            }
            return;
        };
        for row in counted.valid_indices() {
            if let (Some(value), Some(group)) = (values.get(row), group_indices.get(row)) {
                self.add_decimal(*group, *value);
            }
        }
    }

    #[inline]
    fn add_decimal(&mut self, group: usize, value: i128) {
        if value == DECIMAL128_NAN {
            self.long(group).add(Numeric::NaN);
            self.count(group, 1);
        } else {
            self.add_scaled(group, value);
        }
    }

    /// Adds a number as it is printed, and counts it.
    #[cold]
    fn add_text(&mut self, group: usize, text: &mut String) -> Result<()> {
        self.each_scale();
        let sum = self.long(group);
        let value = sum.read(text)?;
        sum.add(value);
        self.count(group, 1);
        Ok(())
    }
}

impl GroupsAccumulator for NumericSums {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) -> Result<()> {
        self.resize(total_groups);
        let Some(values) = values.first() else { return Ok(()) };
        let data_type = self.data_type.clone();
        let filtered = filter.map(|filter| NullBuffer::new(filter.values().clone()));
        let filtered = NullBuffer::union(filtered.as_ref(), filter.and_then(Array::nulls));
        let counted = NullBuffer::union(values.nulls(), filtered.as_ref());
        let counted = counted.filter(|counted| counted.null_count() > 0);
        let short = ShortNumerics::of(values.as_ref(), &data_type);
        match short {
            Some(ShortNumerics::Decimals(values, scale)) if self.has_scale(scale) => {
                self.add_decimals(values, group_indices, counted.as_ref());
                return Ok(());
            }
            _ => {}
        }
        let style = OutputStyle::default();
        let writer = TextWriter::new(values.as_ref(), &data_type, &style).map_err(external)?;
        let mut text = String::new();
        for (row, group) in group_indices.iter().copied().enumerate().take(values.len()) {
            if counted.as_ref().is_some_and(|counted| counted.is_null(row)) {
                continue;
            }
            if let Some(value) = short.and_then(|values| values.get(row)) {
                if self.has_scale(value.scale()) {
                    self.add_scaled(group, value.unscaled());
                } else {
                    self.add_short(group, value);
                    self.count(group, 1);
                }
                continue;
            }
            text.clear();
            writer.write(row, &mut text).map_err(external)?;
            self.add_text(group, &mut text)?;
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.taken(emit_to);
        let mut texts = StringViewBuilder::with_capacity(groups.sums.len());
        let mut text = String::new();
        for group in 0..groups.sums.len() {
            let count = groups.counts.get(group).copied().unwrap_or(0);
            let short = groups.short(group);
            let mut whole = match (groups.whole(group), short) {
                (None, None) => {
                    texts.append_null();
                    continue;
                }
                (None, Some(sum)) => {
                    let divisor = ShortNumeric::new(i128::from(count), 0).filter(|_| groups.average);
                    let short = divisor.map_or(Some(sum), |count| sum.compute(Arithmetic::Divide, count));
                    match short {
                        Some(short) => {
                            text.clear();
                            short.write(&mut text);
                            texts.append_value(&text);
                            continue;
                        }
                        None => {
                            let mut whole = groups.one();
                            whole.add(sum.to_numeric());
                            whole.counted(count)
                        }
                    }
                }
                (Some(whole), _) => whole,
            };
            texts.append_option(whole.evaluate()?.try_as_str().flatten());
        }
        Ok(Arc::new(texts.finish()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let mut groups = self.taken(emit_to);
        let count = groups.sums.len();
        for group in 0..count {
            if groups.sums.get(group).is_some_and(|sum| sum.unsigned_abs() >= DECIMALS_END) {
                groups.settle(group, 0);
            }
        }
        let mut long = StringBuilder::new();
        if groups.long.is_empty() {
            long.append_nulls(count);
        } else {
            for group in 0..count {
                let state = groups.whole(group).map(|mut whole| whole.printed_sum()).transpose()?;
                long.append_option(state.flatten());
            }
        }
        let long = long.finish();
        let scales = (0..count).map(|group| u8::try_from(groups.scale(group)).unwrap_or(u8::MAX)).collect::<Vec<_>>();
        let short = groups.counts.iter().enumerate().map(|(group, count)| *count > 0 && long.is_null(group));
        let short = NullBuffer::from_iter(short);
        Ok(vec![
            Arc::new(long),
            Arc::new(Decimal128Array::new(groups.sums.into(), Some(short)).with_data_type(SHORT)),
            Arc::new(UInt8Array::from(scales)),
            Arc::new(Int64Array::from(groups.counts)),
        ])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_groups: usize) -> Result<()> {
        self.resize(total_groups);
        let states = SumStates::of(values)?;
        for (row, group) in group_indices.iter().copied().enumerate() {
            match states.get(row) {
                Some(SumState::Short(short)) => {
                    if self.has_scale(short.scale()) {
                        self.add_scaled(group, short.unscaled());
                        // One sum is that of many.
                        self.count(group, -1);
                    } else {
                        self.add_short(group, short);
                    }
                }
                Some(SumState::Long(sum)) => {
                    self.each_scale();
                    self.long(group).merge(sum)?;
                }
                None => {}
            }
            self.count(group, states.count(row));
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(values) = values.first() else { return exec_err!("a sum takes one argument") };
        let groups: Vec<usize> = (0..values.len()).collect();
        let mut alone = Self::new(self.data_type.clone(), self.average, self.result.clone());
        alone.update_batch(&[Arc::clone(values)], &groups, filter, groups.len())?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let long = self.long.capacity() * (LONG_BYTES + size_of::<usize>());
        let scales = match &self.scales {
            Scales::All(_) => 0,
            Scales::Each(scales) => scales.capacity() * size_of::<u32>(),
        };
        self.sums.capacity() * size_of::<i128>() + scales + self.counts.capacity() * size_of::<i64>() + long
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use arrow::array::{AsArray, StringViewArray};
    use atoll_connector_api::types::oids;
    use proptest::prelude::*;

    use super::*;

    fn numeric() -> PgType {
        PgType::new(oids::NUMERIC)
    }

    fn sums(average: bool) -> NumericSums {
        NumericSums::new(numeric(), average, numeric())
    }

    fn texts(array: &ArrayRef) -> Vec<Option<String>> {
        array.as_string_view().iter().map(|text| text.map(str::to_owned)).collect()
    }

    /// What one group's accumulator says of each group.
    fn one_by_one(values: &StringViewArray, groups: &[usize], count: usize, average: bool) -> Vec<Option<String>> {
        let of_group = |group: usize| {
            let own = values.iter().zip(groups).filter(|(_, own)| **own == group).map(|(value, _)| value);
            let own: ArrayRef = Arc::new(own.collect::<StringViewArray>());
            let mut sum = NumericSum::new(numeric(), average, numeric(), DataType::Utf8View);
            sum.update_batch(&[own]).unwrap();
            sum.evaluate().unwrap().try_as_str().flatten().map(str::to_owned)
        };
        (0..count).map(of_group).collect()
    }

    fn value() -> impl Strategy<Value = Option<String>> {
        prop_oneof![
            6 => "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,6})?".prop_map(Some),
            1 => "-?[1-9][0-9]{33}(\\.[0-9]{1,2})?".prop_map(Some),
            1 => "[1-9][0-9]{50}\\.[0-9]{3}".prop_map(Some),
            1 => prop_oneof![Just("NaN"), Just("Infinity"), Just("-Infinity")].prop_map(|text| Some(text.to_owned())),
            1 => Just(None),
        ]
    }

    proptest! {
        #[test]
        fn groups_add_up_as_each_does_alone(
            rows in prop::collection::vec((value(), 0_usize..4), 0..60),
            average in any::<bool>(),
            leaving in 0_usize..4,
        ) {
            let values: StringViewArray = rows.iter().map(|(value, _)| value.as_deref()).collect();
            let groups: Vec<usize> = rows.iter().map(|(_, group)| *group).collect();
            let expected = one_by_one(&values, &groups, 4, average);
            let column: ArrayRef = Arc::new(values);
            let mut whole = sums(average);
            whole.update_batch(&[Arc::clone(&column)], &groups, None, 4).unwrap();
            let mut first = texts(&whole.evaluate(EmitTo::First(leaving)).unwrap());
            first.extend(texts(&whole.evaluate(EmitTo::All).unwrap()));
            prop_assert_eq!(&first, &expected);
            // In parts, some of which are rows as they are.
            let (mut one, mut merged) = (sums(average), sums(average));
            one.update_batch(&[Arc::clone(&column)], &groups, None, 4).unwrap();
            let state = one.state(EmitTo::All).unwrap();
            merged.merge_batch(&state, &[0, 1, 2, 3], 4).unwrap();
            prop_assert_eq!(&texts(&merged.evaluate(EmitTo::All).unwrap()), &expected);
            let converted = sums(average).convert_to_state(&[column], None).unwrap();
            let mut merged = sums(average);
            merged.merge_batch(&converted, &groups, 4).unwrap();
            prop_assert_eq!(&texts(&merged.evaluate(EmitTo::All).unwrap()), &expected);
        }
    }

    proptest! {
        /// Decimals of one scale, sums of which overflow a machine's integers, with NaN among them.
        #[test]
        fn decimals_add_up_as_their_texts_do(
            rows in prop::collection::vec((prop::option::of(prop_oneof![
                6 => -10_000_000_i128..10_000_000,
                3 => 10_i128.pow(37)..10_i128.pow(38),
                1 => Just(DECIMAL128_NAN),
            ]), 0_usize..3), 0..40),
            average in any::<bool>(),
        ) {
            let sized = PgType::numeric(38, 2);
            let values = Decimal128Array::from_iter(rows.iter().map(|(value, _)| *value));
            let values: ArrayRef = Arc::new(values.with_precision_and_scale(38, 2).unwrap());
            let print = |value: i128| match value {
                DECIMAL128_NAN => "NaN".to_owned(),
                value => {
                    let mut text = String::new();
                    ShortNumeric::new(value, 2).unwrap().write(&mut text);
                    text
                }
            };
            let printed: StringViewArray = rows.iter().map(|(value, _)| value.map(print)).collect();
            let groups: Vec<usize> = rows.iter().map(|(_, group)| *group).collect();
            let expected = one_by_one(&printed, &groups, 3, average);
            let sums = || NumericSums::new(sized.clone(), average, numeric());
            let mut whole = sums();
            whole.update_batch(&[Arc::clone(&values)], &groups, None, 3).unwrap();
            prop_assert_eq!(&texts(&whole.evaluate(EmitTo::All).unwrap()), &expected);
            let (mut one, mut merged) = (sums(), sums());
            one.update_batch(&[values], &groups, None, 3).unwrap();
            let state = one.state(EmitTo::All).unwrap();
            merged.merge_batch(&state, &[0, 1, 2], 3).unwrap();
            prop_assert_eq!(&texts(&merged.evaluate(EmitTo::All).unwrap()), &expected);
        }
    }

    #[test]
    fn filtered_rows_do_not_count() {
        let values: ArrayRef = Arc::new(StringViewArray::from(vec!["1.5", "2.50", "4"]));
        for dropped in [None, Some(false)] {
            let filter = BooleanArray::from(vec![Some(true), dropped, Some(true)]);
            let mut average = sums(true);
            average.update_batch(&[Arc::clone(&values)], &[0, 0, 1], Some(&filter), 3).unwrap();
            let expected = [Some("1.50000000000000000000".to_owned()), Some("4.0000000000000000".to_owned()), None];
            assert_eq!(texts(&average.evaluate(EmitTo::All).unwrap()), expected);
        }
    }
}
