//! Grows queries from scans upwards, operator by operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use atoll_connector_api::subplan::{
    ColumnRef, FederatedTable, From, Query, RelationId, RemoteRelation, Scalar, SortKey, nested_columns, predicate,
    reading_type, render, select,
};
use datafusion::catalog::TableProvider;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{
    Aggregate, Expr, Extension, FetchType, Filter, Limit, LogicalPlan, Projection, SkipType, Sort, TableScan, Union,
};

use super::Switches;
use super::aggregates::aggregate;
use super::node::RemoteQuery;
use super::scalars::{key_argument, scalar};

/// The share of rows that a condition is taken to keep, as one part in so many: DataFusion's own guess.
const FILTER_KEEPS_ONE_IN: usize = 5;
/// Rows of a group, by guess.
const ROWS_OF_GROUP: usize = 10;

/// What has grown up to an operator. The query's columns are the operator's.
#[derive(Clone)]
pub(super) struct Grown {
    pub(super) query: Query,
    /// Any table of the source.
    pub(super) relation: Arc<dyn RemoteRelation>,
    /// The SQL names of what is read.
    pub(super) tables: BTreeSet<String>,
    /// More than what a scan does by itself.
    pub(super) worthwhile: bool,
    pub(super) rows: Option<usize>,
}

impl Grown {
    pub(super) fn is_of_source_of(&self, other: &Self) -> bool {
        self.relation.source() == other.relation.source()
    }

    /// What a column of the operator stands for.
    pub(super) fn resolve(&self, schema: &DFSchema, column: &Column) -> Option<Scalar> {
        self.query.outputs.get(place(schema, column)?).cloned()
    }

    fn conditions(&self, exprs: &[&Expr], schema: &DFSchema) -> Vec<Option<Scalar>> {
        let resolve = |column: &Column| self.resolve(schema, column);
        let written = |condition: &Scalar| predicate(self.relation.dialect(), condition);
        exprs.iter().map(|expr| scalar(expr, &resolve).filter(written)).collect()
    }

    /// Keeps the rows, or groups, for which all conditions hold.
    fn filter(mut self, conditions: Vec<Scalar>) -> Self {
        if conditions.is_empty() {
            return self;
        }
        let place = if self.query.groups.is_some() { &mut self.query.having } else { &mut self.query.filter };
        place.extend(conditions);
        self.rows = self.rows.map(|rows| rows.div_ceil(FILTER_KEEPS_ONE_IN));
        self
    }
}

/// One run over one plan.
pub(super) struct Grower {
    pub(super) switches: Switches,
    relations: usize,
}

impl Grower {
    pub(super) const fn new(switches: Switches) -> Self {
        Self { switches, relations: 0 }
    }

    /// A plan with queries in the places of the parts that they replace.
    pub(super) fn plan(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let (plan, grown) = self.visit(plan)?;
        Ok(placed(plan, grown))
    }

    pub(super) fn relation(&mut self) -> RelationId {
        self.relations += 1;
        RelationId(self.relations)
    }

    /// The plan, queries in it below what stays, and the query that is all of it, if there is one.
    fn visit(&mut self, plan: LogicalPlan) -> Result<(LogicalPlan, Option<Grown>)> {
        if let LogicalPlan::TableScan(scan) = &plan {
            let grown = self.scan(scan);
            return Ok((plan, grown));
        }
        let plan = self.subqueries(plan)?;
        let mut inputs = Vec::new();
        for input in plan.inputs() {
            inputs.push(self.visit(input.clone())?);
        }
        if let Some(grown) = self.absorb(&plan, &inputs) {
            return Ok((plan, Some(grown)));
        }
        if let Some(plan) = self.last(&plan, &inputs)? {
            return Ok((plan, None));
        }
        let inputs = inputs.into_iter().map(|(input, grown)| placed(input, grown)).collect();
        Ok((with_inputs(plan, inputs)?, None))
    }

    /// Queries within expressions.
    fn subqueries(&mut self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let mapped = plan.map_subqueries(|subquery| match subquery {
            LogicalPlan::Subquery(mut subquery) => {
                subquery.subquery = Arc::new(self.plan(Arc::unwrap_or_clone(subquery.subquery))?);
                Ok(Transformed::yes(LogicalPlan::Subquery(subquery)))
            }
            plan => Ok(Transformed::yes(self.plan(plan)?)),
        })?;
        Ok(mapped.data)
    }

    fn scan(&mut self, scan: &TableScan) -> Option<Grown> {
        let provider = source_as_provider(&scan.source).ok()?;
        let provider: &dyn TableProvider = provider.as_ref();
        let FederatedTable(relation) = provider.downcast_ref::<FederatedTable>()?;
        let relation = Arc::clone(relation);
        let described = relation.relation();
        let id = self.relation();
        let columns = described.columns.into_iter().map(|column| {
            Scalar::Column(ColumnRef {
                relation: id,
                name: column.name,
                data_type: column.data_type,
                plain: column.plain,
                collation: column.collation,
                transfer: column.transfer,
            })
        });
        let columns: Vec<Scalar> = columns.collect();
        let table_schema = scan.source.schema();
        let all = |column: &Column| columns.get(table_schema.index_of(&column.name).ok()?).cloned();
        let mut filters = Vec::with_capacity(scan.filters.len());
        for filter in &scan.filters {
            let condition = scalar(filter, &all)?;
            if !predicate(relation.dialect(), &condition) {
                return None;
            }
            filters.push(condition);
        }
        let outputs = match &scan.projection {
            Some(indices) => indices.iter().map(|index| columns.get(*index).cloned()).collect::<Option<_>>()?,
            None => columns,
        };
        let query = Query::over(From::Table { id, name: described.name }, outputs);
        let tables = BTreeSet::from([described.table]);
        let mut grown = Grown { query, relation, tables, worthwhile: false, rows: described.rows }.filter(filters);
        if let Some(fetch) = scan.fetch {
            grown = limited(grown, fetch)?;
        }
        Some(grown)
    }

    fn absorb(&mut self, plan: &LogicalPlan, inputs: &[(LogicalPlan, Option<Grown>)]) -> Option<Grown> {
        let inputs = inputs.iter().map(|(_, grown)| grown.as_ref()).collect::<Option<Vec<_>>>()?;
        let grown = match plan {
            LogicalPlan::SubqueryAlias(_) => inputs.first().map(|grown| Grown::clone(grown)),
            LogicalPlan::Projection(projection) => project(projection, inputs.first()?),
            LogicalPlan::Filter(filter) => self.filter(filter, inputs.first()?),
            LogicalPlan::Aggregate(aggregate) if self.switches.aggregates => self.group(aggregate, inputs.first()?),
            LogicalPlan::Join(join) if self.switches.joins => {
                let [left, right] = inputs.as_slice() else { return None };
                self.join(join, left, right)
            }
            LogicalPlan::Union(union) => self.union(union, &inputs),
            _ => None,
        }?;
        // What the dialect writes at every step need not be what it writes as a whole.
        let text = render(grown.relation.dialect(), &grown.query);
        (text.is_some() && fits(&grown, plan)).then_some(grown)
    }

    fn filter(&mut self, filter: &Filter, input: &Grown) -> Option<Grown> {
        let schema = filter.input.schema();
        let grown = self.filterable(input);
        let conditions = grown.conditions(&split_conjunction(&filter.predicate), schema);
        let conditions = conditions.into_iter().collect::<Option<Vec<_>>>()?;
        Some(grown.filter(conditions))
    }

    /// The same with a query to which conditions can be added.
    fn filterable(&mut self, input: &Grown) -> Grown {
        if input.query.is_unlimited() { input.clone() } else { self.nested(input.clone()) }
    }

    pub(super) fn open(&mut self, input: &Grown) -> Grown {
        if input.query.is_open() { input.clone() } else { self.nested(input.clone()) }
    }

    /// The same with a query of which nothing is computed.
    pub(super) fn columns(&mut self, grown: Grown) -> Grown {
        if grown.query.outputs.iter().all(is_column) { grown } else { self.nested(grown) }
    }

    pub(super) fn nested(&mut self, grown: Grown) -> Grown {
        let id = self.relation();
        Grown { query: grown.query.nested(id), ..grown }
    }

    fn group(&mut self, plan: &Aggregate, input: &Grown) -> Option<Grown> {
        if plan.group_expr.is_empty() && plan.aggr_expr.is_empty() {
            return None;
        }
        let mut grown = self.open(input);
        let schema = plan.input.schema();
        let resolve = |column: &Column| grown.resolve(schema, column);
        let mut groups = Vec::with_capacity(plan.group_expr.len());
        for expr in &plan.group_expr {
            match scalar(expr, &resolve)? {
                column @ Scalar::Column(_) => groups.push(column),
                _ => return None,
            }
        }
        let mut outputs = groups.clone();
        let fields = plan.schema.fields().iter().skip(groups.len());
        for (expr, field) in plan.aggr_expr.iter().zip(fields) {
            outputs.push(aggregate(expr, field, &resolve).filter(|call| select(grown.relation.dialect(), call))?);
        }
        // Equal keys make one group, which has one row.
        grown.rows = if groups.is_empty() { Some(1) } else { grown.rows.map(|rows| rows.div_ceil(ROWS_OF_GROUP)) };
        groups.dedup();
        grown.query.outputs = outputs;
        grown.query.groups = Some(groups);
        grown.worthwhile = true;
        Some(grown)
    }

    fn union(&mut self, plan: &Union, inputs: &[&Grown]) -> Option<Grown> {
        let inputs: Vec<Grown> = inputs.iter().map(|grown| self.columns(Grown::clone(grown))).collect();
        let (first, rest) = inputs.split_first()?;
        let alike = |grown: &Grown| {
            grown.is_of_source_of(first)
                && grown.query.outputs.len() == first.query.outputs.len()
                && grown.query.outputs.iter().zip(&first.query.outputs).all(|(own, other)| is_alike(own, other))
        };
        if !rest.iter().all(alike) || first.query.outputs.len() != plan.schema.fields().len() {
            return None;
        }
        let id = self.relation();
        let mut outputs = nested_columns(&first.query.outputs, id);
        for (index, output) in outputs.iter_mut().enumerate() {
            let is_plain = |grown: &Grown| !matches!(grown.query.outputs.get(index), Some(Scalar::Column(column)) if !column.plain);
            if let Scalar::Column(column) = output {
                column.plain = inputs.iter().all(is_plain);
            }
        }
        let queries = inputs.iter().map(|grown| grown.query.clone()).collect();
        Some(Grown {
            query: Query::over(From::Union { id, queries }, outputs),
            relation: Arc::clone(&first.relation),
            tables: inputs.iter().flat_map(|grown| grown.tables.iter().cloned()).collect(),
            worthwhile: inputs.iter().any(|grown| grown.worthwhile),
            rows: inputs.iter().map(|grown| grown.rows).sum(),
        })
    }

    /// What stays itself, but leaves a part of its work to the source: a limit, a sort with one, half of a condition.
    fn last(&mut self, plan: &LogicalPlan, inputs: &[(LogicalPlan, Option<Grown>)]) -> Result<Option<LogicalPlan>> {
        let [(input, Some(grown))] = inputs else { return Ok(None) };
        let below = match plan {
            LogicalPlan::Sort(sort) => self.top(sort, grown),
            LogicalPlan::Limit(limit) if grown.worthwhile => first_rows(limit, grown)?,
            LogicalPlan::Filter(filter) if grown.worthwhile => return self.part(filter, input, grown),
            _ => None,
        };
        let below = below.filter(|below| fits(below, input));
        below.map(|below| with_inputs(plan.clone(), vec![placed(input.clone(), Some(below))])).transpose()
    }

    /// The first rows in an order. They are put in that order here: it is the remote's choice which rows come first of
    /// those that are equal, and nothing else.
    fn top(&mut self, sort: &Sort, input: &Grown) -> Option<Grown> {
        let fetch = sort.fetch?;
        let mut grown = self.filterable(input);
        let schema = sort.input.schema();
        let resolve = |column: &Column| grown.resolve(schema, column);
        let key = |key: &datafusion::logical_expr::SortExpr| {
            // Keys are in the order of what they are keys of.
            let expr = key_argument(&key.expr).map_or(&key.expr, |(_, inner)| inner);
            let scalar = scalar(expr, &resolve).filter(Scalar::is_output)?;
            Some(SortKey { scalar, descending: !key.asc, nulls_first: key.nulls_first })
        };
        grown.query.order = sort.expr.iter().map(key).collect::<Option<Vec<_>>>()?;
        grown.worthwhile = true;
        let grown = limited(grown, fetch)?;
        render(grown.relation.dialect(), &grown.query).is_some().then_some(grown)
    }

    /// A condition of which the source can see to a part.
    fn part(&mut self, filter: &Filter, input: &LogicalPlan, grown: &Grown) -> Result<Option<LogicalPlan>> {
        let grown = self.filterable(grown);
        let parts = split_conjunction(&filter.predicate);
        let conditions = grown.conditions(&parts, filter.input.schema());
        let kept = parts.iter().zip(&conditions).filter(|(_, sent)| sent.is_none()).map(|(part, _)| (*part).clone());
        let Some(kept) = conjunction(kept) else { return Ok(None) };
        let below = grown.filter(conditions.into_iter().flatten().collect());
        if !fits(&below, input) {
            return Ok(None);
        }
        let below = placed(input.clone(), Some(below));
        Ok(Some(LogicalPlan::Filter(Filter::try_new(kept, Arc::new(below))?)))
    }
}

/// A column's place: a name that several tables have is nobody's unless it says whose it is.
fn place(schema: &DFSchema, column: &Column) -> Option<usize> {
    let is_named = |name: &str| name == column.name;
    let exact =
        schema.iter().position(|(qualifier, field)| qualifier == column.relation.as_ref() && is_named(field.name()));
    exact.or_else(|| {
        let known = schema.iter().filter(|(_, field)| is_named(field.name())).count();
        schema.maybe_index_of_column(column).filter(|_| known == 1)
    })
}

/// Columns, in any order and number. What computes stays here.
fn project(projection: &Projection, input: &Grown) -> Option<Grown> {
    let schema = projection.input.schema();
    let resolve = |column: &Column| input.resolve(schema, column);
    let outputs = projection.expr.iter().map(|expr| scalar(expr, &resolve).filter(Scalar::is_output));
    let outputs = outputs.collect::<Option<Vec<_>>>()?;
    Some(Grown { query: Query { outputs, ..input.query.clone() }, ..input.clone() })
}

/// The first of the rows that there are, whichever these are.
fn first_rows(limit: &Limit, input: &Grown) -> Result<Option<Grown>> {
    let (SkipType::Literal(skip), FetchType::Literal(Some(fetch))) = (limit.get_skip_type()?, limit.get_fetch_type()?)
    else {
        return Ok(None);
    };
    Ok(skip.checked_add(fetch).and_then(|rows| limited(input.clone(), rows)))
}

fn limited(mut grown: Grown, rows: usize) -> Option<Grown> {
    let limit = u64::try_from(rows).ok()?;
    grown.query.limit = Some(grown.query.limit.map_or(limit, |other| other.min(limit)));
    grown.rows = Some(grown.rows.map_or(rows, |known| known.min(rows)));
    Some(grown)
}

/// Whether two queries' columns are of one type, ask for it in one way and compare alike.
fn is_alike(left: &Scalar, right: &Scalar) -> bool {
    let facts = |scalar: &Scalar| match scalar {
        Scalar::Column(column) => Some((column.data_type.clone(), column.collation, column.transfer)),
        _ => None,
    };
    facts(left).is_some_and(|own| Some(own) == facts(right))
}

/// Whether the answer can be read as what the plan yields.
fn fits(grown: &Grown, plan: &LogicalPlan) -> bool {
    let fields = plan.schema().fields();
    grown.query.outputs.len() == fields.len()
        && grown.query.outputs.iter().zip(fields).all(|(output, field)| {
            let storage = output.data_type().map(|data_type| data_type.storage());
            let is_sum = matches!(output, Scalar::Aggregate(_));
            reading_type(field).is_some() && (storage.as_ref() == Some(field.data_type()) || is_sum)
        })
}

const fn is_column(scalar: &Scalar) -> bool {
    matches!(scalar, Scalar::Column(_))
}

/// A query in the place of the plan that it was grown from, if that is worth its while.
fn placed(plan: LogicalPlan, grown: Option<Grown>) -> LogicalPlan {
    let Some(grown) = grown.filter(|grown| grown.worthwhile) else { return plan };
    let tables: Vec<String> = grown.tables.into_iter().collect();
    let node = RemoteQuery {
        relation: grown.relation,
        query: Arc::new(grown.query),
        tables: tables.join(", "),
        schema: Arc::clone(plan.schema()),
        rows: grown.rows,
    };
    LogicalPlan::Extension(Extension { node: Arc::new(node) })
}

/// The operator over other inputs of the same schemas.
fn with_inputs(plan: LogicalPlan, inputs: Vec<LogicalPlan>) -> Result<LogicalPlan> {
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().ok_or_else(|| DataFusionError::Internal("an input is missing".to_owned()));
    use datafusion::common::tree_node::TreeNode;
    Ok(plan.map_children(|_| Ok(Transformed::yes(next()?)))?.data)
}
