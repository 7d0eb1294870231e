//! Marks `WITH` queries in the syntax tree, so that what is planned of them is found in the plan.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, SubqueryAlias};
use datafusion::sql::sqlparser::ast::{
    Cte, CteAsMaterialized, Ident, ObjectName, ObjectNamePart, Query, SetExpr, TableFactor, Visit, VisitMut, Visitor,
    VisitorMut,
};

use crate::error::{SqlError, SqlResult};
use crate::federation::relations::folded_parts;

/// What the aliases begin with. No client can write it: names have no control characters here.
const PREFIX: &str = "\u{1}with";
/// The alias of a view's plan: each reference to the view has `WITH` queries of its own.
const VIEW: &str = "\u{1}view";

/// Two plannings of one statement, and a statement and its views, have different marks.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What the statement says of a `WITH` query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// `MATERIALIZED`.
    Materialized,
    /// `NOT MATERIALIZED`.
    NotMaterialized,
    /// Nothing.
    Unsaid,
}

impl Wish {
    fn of(cte: &Cte) -> Self {
        match cte.materialized {
            Some(CteAsMaterialized::Materialized) => Self::Materialized,
            Some(CteAsMaterialized::NotMaterialized) => Self::NotMaterialized,
            None => Self::Unsaid,
        }
    }

    fn letter(self) -> &'static str {
        match self {
            Self::Materialized => "m",
            Self::NotMaterialized => "n",
            Self::Unsaid => "u",
        }
    }
}

/// The mark of a `WITH` query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) wish: Wish,
    /// As the statement names it.
    pub(super) name: String,
}

impl Mark {
    fn alias(&self) -> String {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{PREFIX}:{}:{number}:{}", self.wish.letter(), self.name)
    }

    /// The mark that an alias is.
    pub(super) fn read(alias: &TableReference) -> Option<Self> {
        let rest = alias.table().strip_prefix(PREFIX)?.strip_prefix(':')?;
        let mut parts = rest.splitn(3, ':');
        let wish = match parts.next()? {
            "m" => Wish::Materialized,
            "n" => Wish::NotMaterialized,
            _ => Wish::Unsaid,
        };
        let name = parts.nth(1)?.to_owned();
        Some(Self { wish, name })
    }
}

/// Whether an alias is that of a view's plan.
pub(super) fn is_view(alias: &SubqueryAlias) -> bool {
    alias.alias.table() == VIEW
}

/// A view's plan, told apart from others of the same view where it has marks.
///
/// # Errors
/// Bugs only.
pub fn enter_view(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut marked = false;
    plan.apply_with_subqueries(|node| {
        marked |= matches!(node, LogicalPlan::SubqueryAlias(alias) if Mark::read(&alias.alias).is_some());
        Ok(if marked { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    if marked { LogicalPlanBuilder::from(plan).alias(VIEW)?.build() } else { Ok(plan) }
}

/// Marks the `WITH` queries of a query that may have to be computed once; `false`: it has none.
///
/// # Errors
/// Bugs only.
pub fn mark(query: &mut Query) -> SqlResult<bool> {
    let mut marking = Marking(false);
    match query.visit(&mut marking) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(marking.0),
    }
}

struct Marking(bool);

impl VisitorMut for Marking {
    type Break = SqlError;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<SqlError> {
        let Some(with) = &query.with else { return ControlFlow::Continue(()) };
        let wanted: Vec<Option<bool>> = with
            .cte_tables
            .iter()
            .map(|cte| {
                let name = folded(&cte.alias.name);
                let own = references(cte.query.as_ref(), &name);
                // More than there are where an inner query has the name, too: then the plan says how many.
                let read = references(&*query, &name).saturating_sub(own);
                let wanted = read > 1 || (read == 1 && Wish::of(cte) == Wish::Materialized);
                wanted.then_some(with.recursive && own > 0)
            })
            .collect();
        let ctes = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
        for (cte, recursive) in ctes.zip(wanted) {
            let Some(recursive) = recursive else { continue };
            let wrapped = if recursive { wrap_recursive(cte) } else { wrap(cte) };
            match wrapped {
                Ok(()) => self.0 = true,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// How often a part of a query reads a relation of this name alone.
fn references(part: &impl Visit, name: &str) -> usize {
    struct Counter<'a>(&'a str, usize);
    impl Visitor for Counter<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            if let TableFactor::Table { name, args: None, .. } = factor
                && matches!(&folded_parts(name)[..], [only] if only == self.0)
            {
                self.1 += 1;
            }
            ControlFlow::Continue(())
        }
    }
    let mut counter = Counter(name, 0);
    let _ = part.visit(&mut counter);
    counter.1
}

fn mark_of(cte: &Cte) -> Ident {
    let mark = Mark { wish: Wish::of(cte), name: folded(&cte.alias.name) };
    Ident::with_quote('"', mark.alias())
}

/// `SELECT * FROM (…) AS mark`.
fn wrap(cte: &mut Cte) -> SqlResult<()> {
    let mark = mark_of(cte);
    let mut outer = crate::statement::parse_query("SELECT * FROM (SELECT NULL) AS x")?;
    let Some(TableFactor::Derived { subquery, alias: Some(alias), .. }) = first_table(&mut outer) else {
        return Err(SqlError::internal("a query of ours is no query"));
    };
    alias.name = mark;
    // Columns of one name, which a list of names tells apart.
    alias.columns.clone_from(&cte.alias.columns);
    std::mem::swap(subquery, &mut cte.query);
    *cte.query = outer;
    Ok(())
}

/// The same for a query that reads itself, which has to stay as it is: it becomes the `WITH` query of its own body.
fn wrap_recursive(cte: &mut Cte) -> SqlResult<()> {
    let mark = mark_of(cte);
    let name = Ident::with_quote('"', folded(&cte.alias.name));
    let mut inner = crate::statement::parse_query("WITH RECURSIVE x AS (SELECT NULL) SELECT * FROM x AS x")?;
    if let Some(TableFactor::Table { name: table, alias: Some(alias), .. }) = first_table(&mut inner) {
        *table = ObjectName(vec![ObjectNamePart::Identifier(name.clone())]);
        alias.name = name;
    }
    let Some(own) = inner.with.as_mut().and_then(|with| with.cte_tables.first_mut()) else {
        return Err(SqlError::internal("a query of ours has no query in it"));
    };
    *own = Cte { materialized: None, ..cte.clone() };
    cte.alias.columns.clear();
    *cte.query = inner;
    wrap(cte)?;
    if let Some(TableFactor::Derived { alias: Some(alias), .. }) = first_table(&mut cte.query) {
        alias.name = mark;
    }
    Ok(())
}

fn first_table(query: &mut Query) -> Option<&mut TableFactor> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    select.from.first_mut().map(|from| &mut from.relation)
}
