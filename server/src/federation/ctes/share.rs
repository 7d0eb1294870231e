//! Takes marked `WITH` queries out of a plan, and puts tables in their places.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use atoll_connector_api::subplan::FederatedTable;
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion, TreeNodeRewriter};
use datafusion::common::{Column, DFSchema, TableReference};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery, SubqueryAlias, TableScan};

use super::mark::{Mark, Wish, is_view};
use super::table::{CteTable, StatementMemory};
use crate::error::SqlError;

/// The `WITH` queries that a plan reads as tables, each after those that it reads itself.
#[derive(Debug, Default)]
pub struct Ctes(Vec<Arc<CteTable>>);

impl Ctes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says what is to be computed, and optimizes it. `plan` is the statement's own, optimized.
    ///
    /// # Errors
    /// What optimizing finds.
    pub fn optimize(
        self,
        plan: &LogicalPlan,
        optimize: &mut dyn FnMut(LogicalPlan) -> Result<LogicalPlan>,
    ) -> Result<()> {
        let mut read = Columns::default();
        read.of(plan)?;
        // Those that read others come first: what they do not read of them is not computed.
        for table in self.0.iter().rev() {
            let Some(columns) = read.take(table) else { continue };
            let input = optimize(table.reading(&columns)?)?;
            read.of(&input)?;
            table.compute(input, columns);
        }
        Ok(())
    }
}

/// The columns that are read of each table.
#[derive(Default)]
struct Columns(HashMap<*const CteTable, BTreeSet<usize>>);

impl Columns {
    fn of(&mut self, plan: &LogicalPlan) -> Result<()> {
        plan.apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node {
                let provider = source_as_provider(&scan.source)?;
                if let Some(table) = provider.downcast_ref::<CteTable>() {
                    let read = self.0.entry(std::ptr::from_ref(table)).or_default();
                    match &scan.projection {
                        Some(columns) => read.extend(columns),
                        None => read.extend(0..table.width()),
                    }
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    fn take(&mut self, table: &Arc<CteTable>) -> Option<Vec<usize>> {
        let mut columns = self.0.remove(&Arc::as_ptr(table))?;
        // Rows without columns would lose their number on the disk.
        if columns.is_empty() {
            columns.insert(0);
        }
        Some(columns.into_iter().collect())
    }
}

/// The plan, with tables in the places of the `WITH` queries that are computed once. `analyze` types a plan.
///
/// # Errors
/// `0A000` for a query that has other rows each time, and reads what its surroundings compute; what analyzing finds.
pub fn share(
    plan: LogicalPlan,
    analyze: &mut dyn FnMut(LogicalPlan) -> Result<LogicalPlan>,
) -> Result<(LogicalPlan, Ctes)> {
    let mut reads: HashMap<String, usize> = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::SubqueryAlias(alias) = node
            && Mark::read(&alias.alias).is_some()
        {
            *reads.entry(alias.alias.table().to_owned()).or_default() += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if reads.is_empty() {
        return Ok((plan, Ctes::default()));
    }
    let mut sharing = Sharing {
        reads,
        known: vec![HashMap::new()],
        tables: Vec::new(),
        memory: Arc::default(),
        retyped: false,
        analyze,
    };
    let mut plan = plan.rewrite_with_subqueries(&mut sharing)?.data;
    if sharing.retyped {
        plan = plan.transform_up_with_subqueries(|node| node.recompute_schema().map(Transformed::yes))?.data;
    }
    Ok((plan, Ctes(sharing.tables)))
}

struct Sharing<'a> {
    /// How often each marked query is read.
    reads: HashMap<String, usize>,
    /// What stands for each marked query that was met: of the statement, and of each view around the present place.
    known: Vec<HashMap<String, LogicalPlan>>,
    tables: Vec<Arc<CteTable>>,
    memory: Arc<StatementMemory>,
    /// A table has other types than the plan that it stands for.
    retyped: bool,
    analyze: &'a mut dyn FnMut(LogicalPlan) -> Result<LogicalPlan>,
}

impl TreeNodeRewriter for Sharing<'_> {
    type Node = LogicalPlan;

    fn f_down(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::SubqueryAlias(alias) = &node else { return Ok(Transformed::no(node)) };
        if is_view(alias) {
            self.known.push(HashMap::new());
            return Ok(Transformed::no(node));
        }
        let known = self.known.last().and_then(|known| known.get(alias.alias.table()));
        Ok(match known {
            Some(known) => Transformed::new(known.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    }

    fn f_up(&mut self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::SubqueryAlias(alias) = &node else { return Ok(Transformed::no(node)) };
        if is_view(alias) {
            self.known.pop();
            return Ok(Transformed::no(node));
        }
        let Some(mark) = Mark::read(&alias.alias) else { return Ok(Transformed::no(node)) };
        if self.known.last().is_some_and(|known| known.contains_key(alias.alias.table())) {
            return Ok(Transformed::no(node));
        }
        let reads = self.reads.get(alias.alias.table()).copied().unwrap_or(1);
        let replaced = match verdict(&alias.input, mark.wish, reads)? {
            Verdict::Copied => None,
            Verdict::Once => Some(self.table(alias, &mark.name)?),
        };
        let name = alias.alias.table().to_owned();
        let (plan, replaced) = replaced.map_or((node, false), |plan| (plan, true));
        if let Some(known) = self.known.last_mut() {
            known.insert(name, plan.clone());
        }
        Ok(Transformed::new(plan, replaced, TreeNodeRecursion::Continue))
    }
}

impl Sharing<'_> {
    fn table(&mut self, alias: &SubqueryAlias, name: &str) -> Result<LogicalPlan> {
        let analyzed = (self.analyze)(alias.input.as_ref().clone())?;
        let table = Arc::new(CteTable::new(name, analyzed, Arc::clone(&self.memory)));
        let provider = Arc::clone(&table) as Arc<dyn datafusion::catalog::TableProvider>;
        // No two tables of a statement have one name: plans are compared by it.
        let unique = TableReference::bare(format!("{name} {}", self.tables.len() + 1));
        let scan = LogicalPlanBuilder::scan(unique, provider_as_source(provider), None)?.build()?;
        let plan = SubqueryAlias::try_new(Arc::new(scan), alias.alias.clone())?;
        self.retyped |= plan.schema.fields() != alias.schema.fields();
        self.tables.push(table);
        Ok(LogicalPlan::SubqueryAlias(plan))
    }
}

enum Verdict {
    /// Computed once, and kept.
    Once,
    /// Each reference computes it.
    Copied,
}

/// PostgreSQL's rule, but that what has the same rows each time is copied where a source can do more with it then.
fn verdict(plan: &LogicalPlan, wish: Wish, reads: usize) -> Result<Verdict> {
    let facts = Facts::of(plan)?;
    let once = match wish {
        Wish::Materialized => true,
        _ if reads < 2 => false,
        Wish::NotMaterialized => facts.volatile || facts.recursive,
        Wish::Unsaid => facts.volatile || !facts.plain,
    };
    if !once {
        return Ok(Verdict::Copied);
    }
    if !facts.free {
        return Ok(Verdict::Once);
    }
    if facts.volatile && reads > 1 {
        let message = "a WITH query that calls a volatile function, is read more than once and reads the query around it \
                       is not supported";
        return Err(SqlError::unsupported(message).into());
    }
    Ok(Verdict::Copied)
}

/// What counts of a `WITH` query's plan.
#[derive(Debug, Default)]
struct Facts {
    /// It calls a function whose results differ from call to call.
    volatile: bool,
    recursive: bool,
    /// Rows of tables that are the same however often they are read, chosen and computed one by one.
    plain: bool,
    /// It reads columns of the query around it, or the rows of a recursive query around it.
    free: bool,
}

impl Facts {
    fn of(plan: &LogicalPlan) -> Result<Self> {
        let mut facts = Self { plain: true, ..Self::default() };
        plan.apply_with_subqueries(|node| {
            facts.volatile |= node.expressions().iter().any(Expr::is_volatile);
            facts.recursive |= matches!(node, LogicalPlan::RecursiveQuery(_));
            facts.plain &= is_plain(node) && !node.expressions().iter().any(has_subquery);
            Ok(TreeNodeRecursion::Continue)
        })?;
        facts.free = is_free(plan, &mut Vec::new(), &mut Vec::new())?;
        Ok(facts)
    }
}

fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|expr| {
        Ok(matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::Unnest(_)
        ))
    })
    .unwrap_or(true)
}

fn is_plain(node: &LogicalPlan) -> bool {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::EmptyRelation(_) => true,
        LogicalPlan::TableScan(scan) => {
            let provider = source_as_provider(&scan.source).ok();
            provider.is_some_and(|provider| {
                let one_moment = provider.downcast_ref::<FederatedTable>().map(|table| table.0.has_one_moment());
                one_moment.unwrap_or_else(|| provider.is::<CteTable>())
            })
        }
        _ => false,
    }
}

/// Whether a plan reads what is computed outside of it. `around` are the columns that its subqueries may read, `names` the
/// recursive queries within it.
fn is_free(plan: &LogicalPlan, around: &mut Vec<Arc<DFSchema>>, names: &mut Vec<String>) -> Result<bool> {
    if let LogicalPlan::TableScan(scan) = plan
        && let Some(name) = work_table(scan)
        && !names.contains(&name)
    {
        return Ok(true);
    }
    let here = around.len();
    let mut free = false;
    for expr in plan.expressions() {
        expr.apply(|expr| {
            if let Expr::OuterReferenceColumn(_, column) = expr {
                free |= !reads_any(around, column);
            }
            Ok(if free { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
    }
    if free {
        return Ok(true);
    }
    // The subqueries of its expressions read its inputs.
    around.extend(plan.inputs().iter().map(|input| Arc::clone(input.schema())));
    plan.apply_subqueries(|subquery| {
        free |= is_free(inner_plan(subquery), around, names)?;
        Ok(if free { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    around.truncate(here);
    if free {
        return Ok(true);
    }
    if let LogicalPlan::RecursiveQuery(recursive) = plan {
        names.push(recursive.name.clone());
    }
    for (index, input) in plan.inputs().into_iter().enumerate() {
        // A lateral side reads the side before it.
        if let (1, LogicalPlan::Join(join)) = (index, plan) {
            around.push(Arc::clone(join.left.schema()));
        }
        free |= is_free(input, around, names)?;
        around.truncate(here);
    }
    if matches!(plan, LogicalPlan::RecursiveQuery(_)) {
        names.pop();
    }
    Ok(free)
}

fn inner_plan(plan: &LogicalPlan) -> &LogicalPlan {
    match plan {
        LogicalPlan::Subquery(Subquery { subquery, .. }) => subquery,
        plan => plan,
    }
}

fn reads_any(around: &[Arc<DFSchema>], column: &Column) -> bool {
    around.iter().any(|schema| schema.has_column(column))
}

/// The recursive query whose rows a scan reads.
fn work_table(scan: &TableScan) -> Option<String> {
    let provider = source_as_provider(&scan.source).ok()?;
    provider.downcast_ref::<CteWorkTable>().map(|table| table.name().to_owned())
}

/// An error of this module, for places that have none of their own.
pub(super) fn internal(message: &str) -> DataFusionError {
    SqlError::internal(message).into()
}
