//! What a join learns of its keys, as remote SQL: the values of the side that was read first, or their bounds.
//!
//! DataFusion's joins publish a filter over the columns of the side that is read second. Whatever shape it has, it is
//! reduced to what it says of single columns, and that is sent by the table's dialect. The result keeps every row that
//! the filter keeps, and perhaps more: the join still runs.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, StructArray};
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::physical_expr::expressions::{
    self, BinaryExpr, CaseExpr, CastExpr, DynamicFilterPhysicalExpr, InListExpr, IsNullExpr, Literal,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

use crate::TableSpec;
use crate::pushdown::{Dialect, FilterTranslator, IN_LIST_MAX};

/// Depth of a filter below which nothing is looked for.
const FILTER_DEPTH_MAX: usize = 64;
/// The function by which DataFusion makes one value of several keys.
const STRUCT_FUNCTION: &str = "struct";

/// Translates what a join learned for one table.
#[derive(Clone)]
pub struct KeyFilters {
    dialect: Arc<dyn Dialect + Send + Sync>,
    /// The table with the columns whose filters mean the same at the remote.
    table: Arc<TableSpec>,
}

impl fmt::Debug for KeyFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyFilters").field("table", &self.table.name).finish_non_exhaustive()
    }
}

/// What is sent of a filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyCondition {
    /// Predicates, each complete in itself; all of them hold for every row that is wanted.
    pub conditions: Vec<String>,
    /// No row is wanted.
    pub nothing: bool,
    /// Values in the lists that are sent.
    pub values: usize,
    /// What is sent, without the values: for EXPLAIN.
    pub shown: Vec<String>,
}

impl KeyFilters {
    /// A translator for `table` by `dialect`. Columns that are not among the table's are not sent.
    pub fn new(dialect: Arc<dyn Dialect + Send + Sync>, table: TableSpec) -> Self {
        Self { dialect, table: Arc::new(table) }
    }

    /// The name of a column of `schema` that a key reads, if filters over it are sent.
    pub fn column_of(&self, key: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Option<String> {
        let key = Key::of(key, schema)?;
        self.table.columns.iter().any(|column| column.name == key.name).then(|| key.name.to_owned())
    }

    /// What can be sent of `filter`, whose columns are those of `schema`.
    pub fn condition(&self, filter: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> KeyCondition {
        let Known::Columns(columns) = known(filter, schema, 0) else {
            return KeyCondition { nothing: true, ..KeyCondition::default() };
        };
        let translator = FilterTranslator::new(self.dialect.as_ref(), &self.table);
        let mut condition = KeyCondition::default();
        for (index, domain) in columns {
            let name = schema.field(index).name();
            for (expr, values) in domain.filters(name) {
                if let Some(pushed) = translator.translate(&expr) {
                    condition.conditions.push(pushed.sql);
                    condition.values += values;
                    condition.shown.push(match values {
                        0 => format!("{name}: range"),
                        1 => format!("{name}: 1 key"),
                        values => format!("{name}: {values} keys"),
                    });
                    break;
                }
            }
        }
        condition
    }
}

/// What a filter says of the rows that it keeps.
#[derive(Debug, Clone, PartialEq)]
enum Known {
    /// It keeps none.
    Nothing,
    /// By the columns' positions; of others it says nothing.
    Columns(BTreeMap<usize, Domain>),
}

/// A column's values in the rows that a filter keeps.
#[derive(Debug, Clone, PartialEq, Default)]
struct Domain {
    /// All of them, where they are known.
    values: Option<HashSet<ScalarValue>>,
    low: Option<ScalarValue>,
    high: Option<ScalarValue>,
    /// NULL is among them.
    nulls: bool,
}

/// A key: a column, or a column in a wider type.
struct Key<'a> {
    index: usize,
    name: &'a str,
    column_type: &'a DataType,
}

impl<'a> Key<'a> {
    fn of(expr: &Arc<dyn PhysicalExpr>, schema: &'a SchemaRef) -> Option<Self> {
        if let Some(column) = expr.downcast_ref::<expressions::Column>() {
            let field = schema.fields().get(column.index()).filter(|field| field.name() == column.name())?;
            return Some(Self { index: column.index(), name: field.name(), column_type: field.data_type() });
        }
        let cast = expr.downcast_ref::<CastExpr>()?;
        let column = cast.expr().downcast_ref::<expressions::Column>()?;
        let field = schema.fields().get(column.index()).filter(|field| field.name() == column.name())?;
        is_widening(field.data_type(), cast.cast_type()).then_some(Self {
            index: column.index(),
            name: field.name(),
            column_type: field.data_type(),
        })
    }

    /// A value of the key's type as one of the column's; `None`: no value of the column becomes this one.
    fn narrowed(&self, value: &ScalarValue) -> Option<ScalarValue> {
        if &value.data_type() == self.column_type {
            return Some(value.clone());
        }
        let narrow = value.cast_to(self.column_type).ok().filter(|narrow| !narrow.is_null())?;
        (narrow.cast_to(&value.data_type()).ok().as_ref() == Some(value)).then_some(narrow)
    }
}

/// Whether a cast keeps every value, and different values different.
fn is_widening(from: &DataType, to: &DataType) -> bool {
    let signed = |data_type: &DataType| match data_type {
        DataType::Int8 => Some(8),
        DataType::Int16 => Some(16),
        DataType::Int32 => Some(32),
        DataType::Int64 => Some(64),
        _ => None,
    };
    match (from, to) {
        _ if from == to => true,
        (DataType::Decimal128(from_digits, from_scale), DataType::Decimal128(to_digits, to_scale)) => {
            let whole = |digits: u8, scale: i8| i16::from(digits) - i16::from(scale);
            to_scale >= from_scale && whole(*to_digits, *to_scale) >= whole(*from_digits, *from_scale)
        }
        (_, DataType::Decimal128(digits, scale)) => signed(from).is_some_and(|bits| {
            let needed = if bits > 32 { 19 } else { 10 };
            *scale >= 0 && i16::from(*digits) - i16::from(*scale) >= needed
        }),
        _ if from.is_string() && to.is_string() => true,
        _ => matches!((signed(from), signed(to)), (Some(from), Some(to)) if from < to),
    }
}

/// Bounds of floats are not used: NaN and the sign of zero order differently here and there.
fn has_order(data_type: &DataType) -> bool {
    !data_type.is_floating()
}

fn known(filter: &Arc<dyn PhysicalExpr>, schema: &SchemaRef, depth: usize) -> Known {
    if depth > FILTER_DEPTH_MAX {
        return Known::anything();
    }
    let part = |part: &Arc<dyn PhysicalExpr>| known(part, schema, depth + 1);
    if let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() {
        return dynamic.current().map_or_else(|_| Known::anything(), |current| part(&current));
    }
    if let Some(literal) = filter.downcast_ref::<Literal>() {
        return match literal.value() {
            ScalarValue::Boolean(Some(true)) => Known::anything(),
            // NULL keeps no row, either.
            ScalarValue::Boolean(_) => Known::Nothing,
            _ => Known::anything(),
        };
    }
    if let Some(binary) = filter.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::And => part(binary.left()).and(part(binary.right())),
            Operator::Or => part(binary.left()).or(part(binary.right())),
            operator => comparison(binary.left(), *operator, binary.right(), schema),
        };
    }
    if let Some(list) = filter.downcast_ref::<InListExpr>() {
        return if list.negated() { Known::anything() } else { members(list, schema) };
    }
    if let Some(is_null) = filter.downcast_ref::<IsNullExpr>() {
        let domain = Domain { values: Some(HashSet::new()), nulls: true, ..Domain::default() };
        return Key::of(is_null.arg(), schema).map_or_else(Known::anything, |key| Known::column(key.index, domain));
    }
    if let Some(case) = filter.downcast_ref::<CaseExpr>() {
        // Whichever branch a row takes, one of them keeps it.
        let branches = case.when_then_expr().iter().map(|(_, then)| then).chain(case.else_expr());
        return branches.map(part).reduce(Known::or).unwrap_or(Known::Nothing);
    }
    Known::anything()
}

fn comparison(
    left: &Arc<dyn PhysicalExpr>,
    operator: Operator,
    right: &Arc<dyn PhysicalExpr>,
    schema: &SchemaRef,
) -> Known {
    let (Some(key), Some(literal)) = (Key::of(left, schema), right.downcast_ref::<Literal>()) else {
        return Known::anything();
    };
    let value = literal.value();
    if value.is_null() {
        return match operator {
            Operator::Eq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => Known::Nothing,
            _ => Known::anything(),
        };
    }
    let narrowed = key.narrowed(value);
    let bounded = |low, high| match has_order(key.column_type) {
        true => Known::column(key.index, Domain { low, high, ..Domain::default() }),
        false => Known::anything(),
    };
    match (operator, narrowed) {
        (Operator::Eq, Some(value)) => {
            Known::column(key.index, Domain { values: Some(HashSet::from([value])), ..Domain::default() })
        }
        (Operator::Eq, None) => Known::Nothing,
        // A bound that the column's type does not have is none.
        (Operator::Lt | Operator::LtEq, Some(value)) => bounded(None, Some(value)),
        (Operator::Gt | Operator::GtEq, Some(value)) => bounded(Some(value), None),
        _ => Known::anything(),
    }
}

/// A list of values of one key, or of structs of several.
fn members(list: &InListExpr, schema: &SchemaRef) -> Known {
    let literals: Option<Vec<&ScalarValue>> =
        list.list().iter().map(|item| Some(item.downcast_ref::<Literal>()?.value())).collect();
    let Some(literals) = literals else { return Known::anything() };
    if let Some(key) = Key::of(list.expr(), schema) {
        let values = literals.into_iter().filter(|value| !value.is_null()).filter_map(|value| key.narrowed(value));
        return Known::values(&key, values.collect());
    }
    let Some(call) = list.expr().downcast_ref::<ScalarFunctionExpr>().filter(|call| call.name() == STRUCT_FUNCTION)
    else {
        return Known::anything();
    };
    let rows: Option<Vec<&StructArray>> = literals
        .into_iter()
        .map(|value| match value {
            ScalarValue::Struct(row) => Some(row.as_ref()),
            _ => None,
        })
        .collect();
    let Some(rows) = rows else { return Known::anything() };
    let keys = call.args().iter().enumerate().filter_map(|(place, arg)| Some((place, Key::of(arg, schema)?)));
    keys.map(|(place, key)| {
        let mut values = HashSet::new();
        for row in &rows {
            let value = row.columns().get(place).filter(|column| !column.is_empty());
            let Some(Ok(value)) = value.map(|column| ScalarValue::try_from_array(column, 0)) else {
                return Known::anything();
            };
            if !value.is_null() {
                values.extend(key.narrowed(&value));
            }
        }
        Known::values(&key, values)
    })
    .reduce(Known::and)
    .unwrap_or_else(Known::anything)
}

impl Known {
    fn anything() -> Self {
        Self::Columns(BTreeMap::new())
    }

    fn column(index: usize, domain: Domain) -> Self {
        Self::Columns(BTreeMap::from([(index, domain)]))
    }

    fn values(key: &Key<'_>, values: HashSet<ScalarValue>) -> Self {
        if values.is_empty() {
            return Self::Nothing;
        }
        Self::column(key.index, Domain { values: Some(values), ..Domain::default() })
    }

    fn and(self, other: Self) -> Self {
        let (Self::Columns(mut columns), Self::Columns(others)) = (self, other) else { return Self::Nothing };
        for (index, domain) in others {
            let both = match columns.remove(&index) {
                Some(known) => known.and(domain),
                None => domain,
            };
            if both.is_empty() {
                return Self::Nothing;
            }
            columns.insert(index, both);
        }
        Self::Columns(columns)
    }

    fn or(self, other: Self) -> Self {
        let (columns, mut others) = match (self, other) {
            (Self::Nothing, other) => return other,
            (known, Self::Nothing) => return known,
            (Self::Columns(columns), Self::Columns(others)) => (columns, others),
        };
        let both = columns
            .into_iter()
            .filter_map(|(index, domain)| Some((index, domain.or(others.remove(&index)?)?)))
            .collect();
        Self::Columns(both)
    }
}

impl Domain {
    fn is_empty(&self) -> bool {
        !self.nulls && self.values.as_ref().is_some_and(HashSet::is_empty)
    }

    fn and(self, other: Self) -> Self {
        let values = match (self.values, other.values) {
            (Some(values), Some(others)) => Some(values.intersection(&others).cloned().collect()),
            (one, other) => one.or(other),
        };
        Self {
            values,
            low: further(self.low, other.low, Ordering::Greater),
            high: further(self.high, other.high, Ordering::Less),
            nulls: self.nulls && other.nulls,
        }
    }

    /// `None`: any value.
    fn or(self, other: Self) -> Option<Self> {
        let nulls = self.nulls || other.nulls;
        let (low, high) = (hull(self.least(), other.least()), hull(self.greatest(), other.greatest()));
        if let (Some(mut values), Some(others)) = (self.values, other.values) {
            values.extend(others);
            return Some(Self { values: Some(values), nulls, ..Self::default() });
        }
        let low = low.and_then(|(one, other)| further(one, other, Ordering::Less));
        let high = high.and_then(|(one, other)| further(one, other, Ordering::Greater));
        (low.is_some() || high.is_some()).then_some(Self { values: None, low, high, nulls })
    }

    /// The least value, `Ok(None)` where there is no value at all; an error where it is unknown.
    fn least(&self) -> Result<Option<ScalarValue>, ()> {
        self.extreme(self.low.as_ref(), Ordering::Less)
    }

    fn greatest(&self) -> Result<Option<ScalarValue>, ()> {
        self.extreme(self.high.as_ref(), Ordering::Greater)
    }

    fn extreme(&self, bound: Option<&ScalarValue>, wanted: Ordering) -> Result<Option<ScalarValue>, ()> {
        let Some(values) = &self.values else { return bound.cloned().map(Some).ok_or(()) };
        let mut extreme: Option<&ScalarValue> = None;
        for value in values {
            if !has_order(&value.data_type()) {
                return Err(());
            }
            extreme = match extreme {
                None => Some(value),
                Some(known) => match value.partial_cmp(known) {
                    Some(order) if order == wanted => Some(value),
                    Some(_) => Some(known),
                    None => return Err(()),
                },
            };
        }
        Ok(extreme.cloned())
    }

    /// Filters of which the first that can be sent is to be sent, with the number of values in it.
    fn filters(&self, name: &str) -> Vec<(Expr, usize)> {
        let column = || Expr::Column(Column::from_name(name));
        let with_nulls = |expr: Expr| if self.nulls { expr.or(column().is_null()) } else { expr };
        let mut filters = Vec::new();
        if let Some(values) = self.values.as_ref().filter(|values| values.len() <= IN_LIST_MAX) {
            if values.is_empty() {
                return vec![(column().is_null(), 0)];
            }
            let mut sorted: Vec<_> = values.iter().collect();
            sorted.sort_by(|one, other| one.partial_cmp(other).unwrap_or(Ordering::Equal));
            let list = sorted.into_iter().map(|value| Expr::Literal(value.clone(), None)).collect();
            let list = Expr::InList(InList::new(Box::new(column()), list, false));
            filters.push((with_nulls(list), values.len()));
        }
        let bound = |value: Result<Option<ScalarValue>, ()>| Some(Expr::Literal(value.ok()??, None));
        let low = bound(self.least()).map(|low| column().gt_eq(low));
        let high = bound(self.greatest()).map(|high| column().lt_eq(high));
        if let Some(range) = low.into_iter().chain(high).reduce(Expr::and) {
            filters.push((with_nulls(range), 0));
        }
        filters
    }
}

/// The one of two bounds that lies on the `wanted` side, or the only one.
fn further(one: Option<ScalarValue>, other: Option<ScalarValue>, wanted: Ordering) -> Option<ScalarValue> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.partial_cmp(&one) == Some(wanted) { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// Two ends that are both known; an end of no values at all does not count.
type Ends = (Option<ScalarValue>, Option<ScalarValue>);

fn hull(one: Result<Option<ScalarValue>, ()>, other: Result<Option<ScalarValue>, ()>) -> Option<Ends> {
    Some((one.ok()?, other.ok()?))
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
