//! `sum` and `avg` of many groups of numbers: of those with few digits, which is nearly all, in machine integers.

use std::collections::HashMap;
use std::mem::take;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringBuilder, StringViewBuilder};
use arrow::datatypes::{DataType, Int64Type};
use atoll_connector_api::types::text::{OutputStyle, TextWriter};
use atoll_connector_api::types::{Arithmetic, PgType, ShortNumeric, ShortNumerics};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::external;
use super::numeric_sum::NumericSum;

/// Memory of one long sum, about: most have some fifty digits.
const LONG_BYTES: usize = size_of::<NumericSum>() + 128;

/// The sums of groups, by their numbers.
pub(super) struct NumericSums {
    data_type: PgType,
    average: bool,
    result: PgType,
    /// Of each group the sum of its short numbers, but for what is in `long`.
    short: Vec<Option<ShortNumeric>>,
    counts: Vec<i64>,
    /// Of groups that have longer numbers, or NaN, or infinity.
    long: HashMap<usize, Box<NumericSum>>,
}

impl NumericSums {
    /// Sums of `data_type`, or averages, as `result`, which is stored as text.
    pub(super) fn new(data_type: PgType, average: bool, result: PgType) -> Self {
        Self { data_type, average, result, short: Vec::new(), counts: Vec::new(), long: HashMap::new() }
    }

    fn one(&self) -> NumericSum {
        NumericSum::new(self.data_type.clone(), self.average, self.result.clone(), DataType::Utf8View)
    }

    fn long(&mut self, group: usize) -> &mut NumericSum {
        let (data_type, result, average) = (&self.data_type, &self.result, self.average);
        let one = || NumericSum::new(data_type.clone(), average, result.clone(), DataType::Utf8View);
        self.long.entry(group).or_insert_with(|| Box::new(one()))
    }

    fn resize(&mut self, total_groups: usize) {
        let groups = total_groups.max(self.short.len());
        self.short.resize(groups, None);
        self.counts.resize(groups, 0);
    }

    fn add_short(&mut self, group: usize, value: ShortNumeric) {
        let Some(sum) = self.short.get_mut(group) else { return };
        match sum.map(|sum| sum.compute(Arithmetic::Add, value)) {
            None => *sum = Some(value),
            Some(Some(more)) => *sum = Some(more),
            Some(None) => {
                let full = sum.replace(value);
                if let Some(full) = full {
                    self.long(group).add(full.to_numeric());
                }
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
        match emit_to {
            EmitTo::All => {
                (leaving.short, leaving.counts) = (take(&mut self.short), take(&mut self.counts));
                leaving.long = take(&mut self.long);
            }
            EmitTo::First(groups) => {
                let groups = groups.min(self.short.len());
                leaving.short = self.short.drain(..groups).collect();
                leaving.counts = self.counts.drain(..groups).collect();
                for (group, sum) in take(&mut self.long) {
                    match group.checked_sub(groups) {
                        Some(later) => drop(self.long.insert(later, sum)),
                        None => drop(leaving.long.insert(group, sum)),
                    }
                }
            }
        }
        leaving
    }

    /// A group's sum whole, where it is not just its short numbers'.
    fn whole(&mut self, group: usize) -> Option<NumericSum> {
        let mut sum = *self.long.remove(&group)?;
        if let Some(short) = self.short.get(group).copied().flatten() {
            sum.add(short.to_numeric());
        }
        Some(sum.counted(self.counts.get(group).copied().unwrap_or(0)))
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
        let short = ShortNumerics::of(values.as_ref(), &data_type);
        let style = OutputStyle::default();
        let writer = TextWriter::new(values.as_ref(), &data_type, &style).map_err(external)?;
        let nulls = values.nulls();
        let mut text = String::new();
        for (row, group) in group_indices.iter().copied().enumerate().take(values.len()) {
            let counts = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if !counts || nulls.is_some_and(|nulls| nulls.is_null(row)) {
                continue;
            }
            self.count(group, 1);
            if let Some(value) = short.and_then(|values| values.get(row)) {
                self.add_short(group, value);
                continue;
            }
            text.clear();
            writer.write(row, &mut text).map_err(external)?;
            let sum = self.long(group);
            let value = sum.read(&mut text)?;
            sum.add(value);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let mut groups = self.taken(emit_to);
        let mut texts = StringViewBuilder::with_capacity(groups.short.len());
        let mut text = String::new();
        for group in 0..groups.short.len() {
            let short = groups.short.get(group).copied().flatten();
            let mut whole = match (groups.whole(group), short) {
                (None, None) => {
                    texts.append_null();
                    continue;
                }
                (None, Some(short)) if !groups.average => {
                    text.clear();
                    short.write(&mut text);
                    texts.append_value(&text);
                    continue;
                }
                (None, Some(short)) => {
                    let mut sum = groups.one();
                    sum.add(short.to_numeric());
                    sum.counted(groups.counts.get(group).copied().unwrap_or(0))
                }
                (Some(whole), _) => whole,
            };
            texts.append_option(whole.evaluate()?.try_as_str().flatten());
        }
        Ok(Arc::new(texts.finish()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let mut groups = self.taken(emit_to);
        let mut sums = StringBuilder::new();
        let mut text = String::new();
        for group in 0..groups.short.len() {
            let short = groups.short.get(group).copied().flatten();
            match (groups.whole(group), short) {
                (Some(mut whole), _) => {
                    let state = whole.state()?;
                    sums.append_option(state.first().and_then(|sum| sum.try_as_str().flatten()));
                }
                (None, Some(short)) => {
                    text.clear();
                    short.write(&mut text);
                    sums.append_value(&text);
                }
                (None, None) => sums.append_null(),
            }
        }
        Ok(vec![Arc::new(sums.finish()), Arc::new(Int64Array::from(groups.counts))])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_groups: usize) -> Result<()> {
        self.resize(total_groups);
        let [sums, counts] = values else { return exec_err!("a sum's state has two columns") };
        let (sums, counts) = (sums.as_string::<i32>(), counts.as_primitive::<Int64Type>());
        for ((sum, count), group) in sums.iter().zip(counts.iter()).zip(group_indices) {
            match sum.map(|sum| (sum, ShortNumeric::parse(sum))) {
                Some((_, Some(short))) => self.add_short(*group, short),
                Some((sum, None)) => self.long(*group).merge(sum)?,
                None => {}
            }
            self.count(*group, count.unwrap_or(0));
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
        self.short.capacity() * size_of::<Option<ShortNumeric>>() + self.counts.capacity() * size_of::<i64>() + long
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use arrow::array::StringViewArray;
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

    #[test]
    fn filtered_rows_do_not_count() {
        let values: ArrayRef = Arc::new(StringViewArray::from(vec!["1.5", "2.50", "4"]));
        let filter = BooleanArray::from(vec![Some(true), None, Some(true)]);
        let mut average = sums(true);
        average.update_batch(&[values], &[0, 0, 1], Some(&filter), 3).unwrap();
        let expected = [Some("1.50000000000000000000".to_owned()), Some("4.0000000000000000".to_owned()), None];
        assert_eq!(texts(&average.evaluate(EmitTo::All).unwrap()), expected);
    }
}
