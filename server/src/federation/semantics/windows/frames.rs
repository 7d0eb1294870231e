//! The function that computes a window's frames itself, over a whole partition: an aggregate or `first_value` and its like
//! over frames of any unit, by any offsets.
//!
//! DataFusion's own frames add offsets to the stored values, which are texts or keys for many types, and its aggregates
//! must take values back. Here the bounds of RANGE are columns that expressions of the plan compute, by PostgreSQL's
//! arithmetic, and an aggregate that cannot take values back is computed anew, as PostgreSQL does.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt64Array, UInt64Builder};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, filter, partition, prep_null_mask_filter, take};
use arrow::datatypes::{DataType, FieldRef, Int64Type, Schema};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, PartitionEvaluator, Signature, Volatility, WindowUDFImpl};
use datafusion::physical_expr::PhysicalExpr;

use super::spec::{Bound, Exclusion, Pick, Spec, Units};
use crate::error::{SqlError, SqlState};
use crate::interrupt;

/// What the results of one partition may take: they are in memory at once.
const RESULT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Rows that an aggregate which cannot take values back may see in one partition, where nothing can stop it.
const SEEN_ROWS_MAX: usize = 1_000_000_000;

/// The function whose frames these are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Inner {
    Aggregate(Arc<AggregateUDF>),
    Pick(Pick),
}

/// How a bound call's arguments are read: the function's own, FILTER's condition, the keys that make rows peers, and what
/// the offsets are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Plan {
    pub(super) arguments: usize,
    pub(super) filter: bool,
    pub(super) peers: usize,
    /// Of RANGE with offsets; the offsets are then the key, and for each a bound and whether it is invalid.
    pub(super) descending: bool,
    pub(super) returns: FieldRef,
}

/// A function over a frame.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Framed {
    name: String,
    pub(super) spec: Spec,
    pub(super) inner: Inner,
    /// `None` until its arguments' types are known.
    pub(super) plan: Option<Plan>,
    signature: Signature,
}

impl Framed {
    pub(super) fn unbound(name: &str, spec: Spec, inner: Inner) -> Self {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self { name: name.to_owned(), spec, inner, plan: None, signature }
    }

    pub(super) fn bound(&self, inner: Inner, plan: Plan) -> Self {
        let signature = Signature::variadic_any(Volatility::Immutable);
        Self { name: self.name.clone(), spec: self.spec.clone(), inner, plan: Some(plan), signature }
    }
}

impl WindowUDFImpl for Framed {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        let field = match (&self.plan, &self.inner) {
            (Some(plan), _) => Arc::clone(&plan.returns),
            (None, inner) => inner.returns(args.input_fields().get(..self.spec.arguments).unwrap_or_default())?,
        };
        Ok(Arc::new(field.as_ref().clone().with_name(args.name()).with_nullable(true)))
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let Some(plan) = &self.plan else {
            return Err(SqlError::unsupported(format!("{} is not supported here", self.spec.function)).into());
        };
        let exprs = args.input_exprs().get(..plan.arguments).unwrap_or_default().to_vec();
        let fields = args.input_fields().get(..plan.arguments).unwrap_or_default().to_vec();
        Ok(Box::new(Evaluator {
            spec: self.spec.clone(),
            inner: self.inner.clone(),
            plan: plan.clone(),
            schema: Arc::new(Schema::new(args.input_fields().to_vec())),
            exprs,
            fields,
        }))
    }
}

impl Inner {
    /// The result's type.
    pub(super) fn returns(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        match self {
            Self::Aggregate(function) => function.return_field(fields),
            Self::Pick(_) => match fields.first() {
                Some(field) => Ok(Arc::clone(field)),
                None => exec_err!("a value of a frame has an argument"),
            },
        }
    }
}

#[derive(Debug)]
struct Evaluator {
    spec: Spec,
    inner: Inner,
    plan: Plan,
    schema: Arc<Schema>,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    fields: Vec<FieldRef>,
}

/// The columns of a partition by what they are for.
struct Columns<'a> {
    arguments: &'a [ArrayRef],
    filter: Option<&'a ArrayRef>,
    peers: &'a [ArrayRef],
    offsets: &'a [ArrayRef],
}

impl PartitionEvaluator for Evaluator {
    fn evaluate_all(&mut self, values: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        let columns = self.columns(values)?;
        if let Inner::Pick(pick @ (Pick::Lag | Pick::Lead)) = self.inner {
            return neighbours(pick, columns.arguments, rows);
        }
        let frames = self.frames(&columns, rows)?;
        match &self.inner {
            Inner::Pick(pick) => picked(*pick, columns.arguments, &frames),
            Inner::Aggregate(function) => self.aggregated(function, &columns, &frames),
        }
    }
}

/// The rows of one frame, which an exclusion may have cut in pieces.
type Frame = Vec<Range<usize>>;

/// The frames of a partition's rows.
struct Frames {
    whole: Vec<Range<usize>>,
    peers: Vec<Range<usize>>,
    exclusion: Exclusion,
}

impl Frames {
    fn len(&self) -> usize {
        self.whole.len()
    }

    /// Each row's frame.
    fn each(&self) -> impl Iterator<Item = Frame> {
        let rows = self.peers.iter().flat_map(|group| group.clone().map(move |row| (row, group)));
        rows.zip(&self.whole).map(|((row, group), frame)| without(frame.clone(), self.exclusion, row, group))
    }
}

impl Evaluator {
    fn columns<'a>(&self, values: &'a [ArrayRef]) -> Result<Columns<'a>> {
        let (arguments, rest) = values.split_at_checked(self.plan.arguments).unwrap_or((values, &[]));
        let (filter, rest) = rest.split_at_checked(usize::from(self.plan.filter)).unwrap_or((rest, &[]));
        let Some((peers, offsets)) = rest.split_at_checked(self.plan.peers) else {
            return exec_err!("a frame's columns are missing");
        };
        Ok(Columns { arguments, filter: filter.first(), peers, offsets })
    }

    fn frames(&self, columns: &Columns<'_>, rows: usize) -> Result<Frames> {
        let exclusion = self.spec.exclusion;
        if rows == 0 {
            return Ok(Frames { whole: Vec::new(), peers: Vec::new(), exclusion });
        }
        let peers: Vec<Range<usize>> = match columns.peers {
            [] => std::iter::once(0..rows).collect(),
            keys => partition(keys)?.ranges(),
        };
        let whole = match (self.spec.units, self.spec.offsets()) {
            (Units::Range, 1..) => self.by_values(columns.offsets, &peers, rows)?,
            _ => self.by_counts(columns.offsets, &peers, rows)?,
        };
        Ok(Frames { whole, peers, exclusion })
    }

    /// Frames of ROWS and GROUPS, and of RANGE without offsets.
    fn by_counts(&self, offsets: &[ArrayRef], peers: &[Range<usize>], rows: usize) -> Result<Vec<Range<usize>>> {
        let mut offsets = offsets.iter();
        let mut offset = |bound: Bound, which: &str| {
            if bound.is_offset() { count(offsets.next(), which) } else { Ok(0) }
        };
        let (before, after) = (offset(self.spec.start, "starting")?, offset(self.spec.end, "ending")?);
        let by_rows = self.spec.units == Units::Rows;
        let mut frames = Vec::with_capacity(rows);
        for (index, group) in peers.iter().enumerate() {
            for row in group.clone() {
                // The place of the current row, or of its group, and how to come from places to rows.
                let (place, places) = if by_rows { (row, rows) } else { (index, peers.len()) };
                let first =
                    |place: usize| if by_rows { place } else { peers.get(place).map_or(rows, |group| group.start) };
                let start = match self.spec.start {
                    Bound::UnboundedPreceding => 0,
                    Bound::Preceding => first(place.saturating_sub(before)),
                    Bound::CurrentRow => first(place),
                    Bound::Following => first(place.saturating_add(before).min(places)),
                    Bound::UnboundedFollowing => rows,
                };
                let end = match self.spec.end {
                    Bound::UnboundedPreceding => 0,
                    Bound::Preceding => first((place + 1).saturating_sub(after)),
                    Bound::CurrentRow => first(place + 1),
                    Bound::Following => first((place + 1).saturating_add(after).min(places)),
                    Bound::UnboundedFollowing => rows,
                };
                frames.push(start..end.max(start));
            }
        }
        Ok(frames)
    }

    /// Frames of RANGE with offsets: each row has a key, and each bound a key too.
    fn by_values(&self, offsets: &[ArrayRef], peers: &[Range<usize>], rows: usize) -> Result<Vec<Range<usize>>> {
        let Some((key, bounds)) = offsets.split_first() else { return exec_err!("a frame's key is missing") };
        let key = key.as_binary::<i32>();
        let mut bounds = bounds.chunks_exact(2);
        let mut bound = |bound: Bound, which: &str| {
            if !bound.is_offset() {
                return Ok(None);
            }
            let Some([values, invalid]) = bounds.next() else { return exec_err!("a frame's bound is missing") };
            check_offset(invalid.as_boolean(), which)?;
            Ok(Some(values.as_binary::<i32>().clone()))
        };
        let (starts, ends) = (bound(self.spec.start, "starting")?, bound(self.spec.end, "ending")?);
        // NULLs are together at one end.
        let known = {
            let first = (0..rows).find(|row| key.is_valid(*row)).unwrap_or(rows);
            first..first + rows - key.null_count()
        };
        // The first row whose key is not before a bound, or is behind it.
        let search = |bound: &[u8], behind: bool| {
            let (mut low, mut high) = (known.start, known.end);
            while low < high {
                let middle = low + (high - low) / 2;
                let order =
                    if self.plan.descending { bound.cmp(key.value(middle)) } else { key.value(middle).cmp(bound) };
                if order.is_lt() || (behind && order.is_eq()) { low = middle + 1 } else { high = middle }
            }
            low
        };
        let mut frames = Vec::with_capacity(rows);
        for group in peers {
            for row in group.clone() {
                let start = match (self.spec.start, &starts) {
                    (Bound::UnboundedPreceding, _) => 0,
                    (Bound::Preceding | Bound::Following, Some(starts)) if starts.is_valid(row) => {
                        search(starts.value(row), false)
                    }
                    // A NULL is as far from itself as it can be.
                    _ => group.start,
                };
                let end = match (self.spec.end, &ends) {
                    (Bound::UnboundedFollowing, _) => rows,
                    (Bound::Preceding | Bound::Following, Some(ends)) if ends.is_valid(row) => {
                        search(ends.value(row), true)
                    }
                    _ => group.end,
                };
                frames.push(start..end.max(start));
            }
        }
        Ok(frames)
    }

    fn aggregated(&self, function: &Arc<AggregateUDF>, columns: &Columns<'_>, frames: &Frames) -> Result<ArrayRef> {
        let kept = columns.filter.map(|filter| match filter.as_boolean() {
            kept if kept.null_count() > 0 => prep_null_mask_filter(kept),
            kept => kept.clone(),
        });
        let part = |range: &Range<usize>| -> Result<Vec<ArrayRef>> {
            let slices = columns.arguments.iter().map(|array| array.slice(range.start, range.len()));
            match &kept {
                None => Ok(slices.collect()),
                Some(kept) => {
                    let kept = kept.slice(range.start, range.len());
                    slices.map(|array| Ok(filter(&array, &kept)?)).collect()
                }
            }
        };
        let mut state: Option<(Box<dyn Accumulator>, Range<usize>)> = None;
        let mut results = Vec::with_capacity(frames.len());
        let mut bytes = 0;
        let mut seen = 0;
        for frame in frames.each() {
            interrupt::check()?;
            let [only] = frame.as_slice() else {
                let mut accumulator = self.accumulator(function)?;
                for piece in &frame {
                    see(&mut seen, piece.len())?;
                    accumulator.update_batch(&part(piece)?)?;
                }
                push(&mut results, &mut bytes, accumulator.evaluate()?)?;
                continue;
            };
            let (mut accumulator, mut covered) = match state.take() {
                Some((accumulator, covered))
                    if covered.start <= only.start
                        && covered.end <= only.end
                        && only.start <= covered.end
                        && (covered.start == only.start || accumulator.supports_retract_batch()) =>
                {
                    (accumulator, covered)
                }
                _ => (self.accumulator(function)?, only.start..only.start),
            };
            if covered.start < only.start {
                accumulator.retract_batch(&part(&(covered.start..only.start))?)?;
                covered.start = only.start;
            }
            if covered.end < only.end {
                see(&mut seen, only.end - covered.end)?;
                accumulator.update_batch(&part(&(covered.end..only.end))?)?;
                covered.end = only.end;
            }
            push(&mut results, &mut bytes, accumulator.evaluate()?)?;
            state = Some((accumulator, covered));
        }
        if results.is_empty() {
            return Ok(arrow::array::new_empty_array(self.plan.returns.data_type()));
        }
        ScalarValue::iter_to_array(results)
    }

    fn accumulator(&self, function: &Arc<AggregateUDF>) -> Result<Box<dyn Accumulator>> {
        let args = AccumulatorArgs {
            return_field: Arc::clone(&self.plan.returns),
            schema: &self.schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: &self.spec.function,
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.fields,
        };
        let moves = self.spec.start != Bound::UnboundedPreceding && self.spec.exclusion == Exclusion::NoOthers;
        if moves { function.create_sliding_accumulator(args) } else { function.accumulator(args) }
    }
}

/// Counts rows that an aggregate has seen again and again.
fn see(seen: &mut usize, rows: usize) -> Result<()> {
    *seen = seen.saturating_add(rows);
    if *seen > SEEN_ROWS_MAX {
        let message = format!("the frames of a window over one partition have more than {SEEN_ROWS_MAX} rows");
        return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message).into());
    }
    Ok(())
}

fn push(results: &mut Vec<ScalarValue>, bytes: &mut usize, value: ScalarValue) -> Result<()> {
    *bytes += value.size();
    if *bytes > RESULT_BYTES_MAX {
        let message = format!("the results of a window over one partition exceed {RESULT_BYTES_MAX} bytes");
        return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message).into());
    }
    results.push(value);
    Ok(())
}

/// A frame without what its exclusion leaves out.
fn without(frame: Range<usize>, exclusion: Exclusion, row: usize, group: &Range<usize>) -> Frame {
    let cut = |frame: Range<usize>, out: &Range<usize>| {
        let before = frame.start..out.start.clamp(frame.start, frame.end);
        let behind = out.end.clamp(frame.start, frame.end)..frame.end;
        [before, behind]
    };
    match exclusion {
        Exclusion::NoOthers => vec![frame],
        Exclusion::CurrentRow => cut(frame, &(row..row + 1)).into(),
        Exclusion::Group => cut(frame, group).into(),
        Exclusion::Ties => {
            let own = if frame.contains(&row) { row..row + 1 } else { row..row };
            let [before, behind] = cut(frame, group);
            vec![before, own, behind]
        }
    }
}

/// The offset of ROWS or GROUPS: the same in every row.
fn count(offset: Option<&ArrayRef>, which: &str) -> Result<usize> {
    let Some(offset) = offset else { return exec_err!("a frame's offset is missing") };
    let offset = cast(offset, &DataType::Int64)?;
    let offset = offset.as_primitive::<Int64Type>();
    if offset.is_empty() || offset.is_null(0) {
        return Err(null_offset(which));
    }
    usize::try_from(offset.value(0)).map_err(|_| {
        let message = format!("frame {which} offset must not be negative");
        SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message).into()
    })
}

/// The offset of RANGE: `invalid` is NULL for NULL.
fn check_offset(invalid: &BooleanArray, which: &str) -> Result<()> {
    if invalid.is_empty() || invalid.is_null(0) {
        return Err(null_offset(which));
    }
    if invalid.value(0) {
        let message = "invalid preceding or following size in window function";
        return Err(SqlError::new(SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE, message).into());
    }
    Ok(())
}

fn null_offset(which: &str) -> datafusion::error::DataFusionError {
    let message = format!("frame {which} offset must not be null");
    SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, message).into()
}

/// `first_value`, `last_value`, `nth_value`.
fn picked(pick: Pick, arguments: &[ArrayRef], frames: &Frames) -> Result<ArrayRef> {
    let Some((values, rest)) = arguments.split_first() else { return exec_err!("a value of a frame has an argument") };
    let places = match (pick, rest.first()) {
        (Pick::Nth, Some(places)) => Some(cast(places, &DataType::Int64)?),
        _ => None,
    };
    let mut indices = UInt64Builder::with_capacity(frames.len());
    for (row, frame) in frames.each().enumerate() {
        let index = match (pick, &places) {
            (Pick::First, _) => frame.iter().find(|piece| !piece.is_empty()).map(|piece| piece.start),
            (Pick::Last, _) => frame.iter().rev().find(|piece| !piece.is_empty()).map(|piece| piece.end - 1),
            (Pick::Nth, Some(places)) => {
                let places = places.as_primitive::<Int64Type>();
                if places.is_null(row) {
                    None
                } else {
                    let place =
                        usize::try_from(places.value(row)).ok().filter(|place| *place > 0).ok_or_else(|| {
                            let message = "argument of nth_value must be greater than zero";
                            SqlError::new(SqlState::INVALID_ARGUMENT_FOR_NTH_VALUE, message)
                        })?;
                    frame.iter().cloned().flatten().nth(place - 1)
                }
            }
            (Pick::Nth | Pick::Lag | Pick::Lead, _) => None,
        };
        indices.append_option(index.and_then(|index| u64::try_from(index).ok()));
    }
    let indices: UInt64Array = indices.finish();
    Ok(take(values, &indices, None)?)
}

/// `lag` and `lead`: the value some rows before or behind, or what is there instead.
fn neighbours(pick: Pick, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let Some((values, rest)) = arguments.split_first() else { return exec_err!("a value beside has an argument") };
    let distances = rest.first().map(|distances| cast(distances, &DataType::Int64)).transpose()?;
    let distances = distances.as_ref().map(|distances| distances.as_primitive::<Int64Type>());
    let mut indices = UInt64Builder::with_capacity(rows);
    let mut outside = Vec::with_capacity(rows);
    for row in 0..rows {
        let distance = match distances {
            None => Some(1),
            Some(distances) => distances.is_valid(row).then(|| distances.value(row)),
        };
        let index = distance.and_then(|distance| {
            let row = i64::try_from(row).ok()?;
            let index = if pick == Pick::Lag { row.checked_sub(distance)? } else { row.checked_add(distance)? };
            u64::try_from(index).ok().filter(|index| usize::try_from(*index).is_ok_and(|index| index < rows))
        });
        outside.push(index.is_none() && distance.is_some());
        indices.append_option(index);
    }
    let taken = take(values, &indices.finish(), None)?;
    match rest.get(1) {
        // Of one type, texts may still be stored in two ways.
        Some(instead) => Ok(zip(&BooleanArray::from(outside), &cast(instead, taken.data_type())?, &taken)?),
        None => Ok(taken),
    }
}
