//! Which relation a column belongs to.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, FunctionArguments, Ident, Query, Visit, VisitMut, Visitor, VisitorMut};

use super::super::facts::{ColumnFact, Relation};
use super::build::{folded, ident, parts};

/// An item of a FROM list.
#[derive(Debug, Clone)]
pub(super) struct FromItem {
    pub(super) alias: String,
    pub(super) kind: ItemKind,
    /// It is joined so that each result row has a row of it.
    pub(super) inner: bool,
}

/// What is known of an item.
#[derive(Debug, Clone)]
pub(super) enum ItemKind {
    System(&'static Relation),
    /// A derived table with these columns; with the fact where one is a system catalog's column passed through.
    Columns(Vec<(String, Option<&'static ColumnFact>)>),
    /// A table of the user, a common table expression, a wildcard …: its columns are not known here.
    Unknown,
    /// A set-returning function that was folded into another item: its columns are now that item's, by name.
    Folded {
        columns: Vec<(String, Expr)>,
    },
}

/// The items of one FROM list.
#[derive(Debug, Clone, Default)]
pub(super) struct Relations {
    pub(super) items: Vec<FromItem>,
}

/// A FROM list within those around it.
#[derive(Debug)]
pub(super) struct Scope<'a> {
    pub(super) relations: Relations,
    parent: Option<&'a Scope<'a>>,
    hidden: HashSet<String>,
}

/// Where a column was found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Found<'a> {
    /// In this many scopes outwards: 0 is the scope itself.
    At(usize, Option<&'static ColumnFact>, &'a FromItem),
    /// In none whose columns are known.
    Nowhere,
}

impl<'a> Scope<'a> {
    pub(super) fn root() -> Self {
        Scope { relations: Relations::default(), parent: None, hidden: HashSet::new() }
    }

    pub(super) fn child(&'a self, relations: Relations) -> Scope<'a> {
        Scope { relations, parent: Some(self), hidden: HashSet::new() }
    }

    /// A common table expression of this name hides a system catalog.
    pub(super) fn hide(&mut self, name: &Ident) {
        self.hidden.insert(folded(name));
    }

    pub(super) fn hides(&self, name: &str) -> bool {
        self.hidden.contains(name) || self.parent.is_some_and(|parent| parent.hides(name))
    }

    /// Finds the item that a column reference belongs to.
    pub(super) fn find(&self, reference: &[Ident]) -> Found<'_> {
        let (table, column) = match reference {
            [column] => (None, folded(column)),
            [.., table, column] => (Some(folded(table)), folded(column)),
            [] => return Found::Nowhere,
        };
        let mut scope = Some(self);
        let mut depth = 0;
        while let Some(current) = scope {
            let found = match &table {
                Some(table) => current.relations.items.iter().find(|item| item.alias == *table),
                None => current.relations.item_with(&column),
            };
            if let Some(item) = found {
                let fact = match &item.kind {
                    ItemKind::System(relation) => relation.column(&column),
                    ItemKind::Columns(columns) => {
                        columns.iter().find(|(name, _)| *name == column).and_then(|(_, fact)| *fact)
                    }
                    _ => None,
                };
                return Found::At(depth, fact, item);
            }
            scope = current.parent;
            depth += 1;
        }
        Found::Nowhere
    }

    /// The column of a system catalog that an expression is, if it is one.
    pub(super) fn system_column(&self, expr: &Expr) -> Option<&'static ColumnFact> {
        let found = match expr {
            Expr::Identifier(name) => self.find(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.find(names),
            Expr::Nested(inner) => return self.system_column(inner),
            _ => return None,
        };
        match found {
            Found::At(_, fact, _) => fact,
            Found::Nowhere => None,
        }
    }
}

impl Relations {
    /// The item that has a column: one that is known to, else the only one whose columns are not known.
    fn item_with(&self, column: &str) -> Option<&FromItem> {
        let knows = |item: &&FromItem| match &item.kind {
            ItemKind::System(relation) => relation.column(column).is_some() || column == "tableoid",
            ItemKind::Columns(columns) => columns.iter().any(|(name, _)| name == column),
            ItemKind::Folded { columns } => columns.iter().any(|(name, _)| name == column),
            ItemKind::Unknown => false,
        };
        self.items.iter().find(knows).or_else(|| self.items.iter().find(|item| matches!(item.kind, ItemKind::Unknown)))
    }
}

/// Qualifies the columns of system catalogs in an expression of ORDER BY. PostgreSQL takes a bare name there for an output
/// column and any other expression for one over the input columns; DataFusion would look among the output first.
pub(super) fn qualify(expr: &mut Expr, scope: &Scope<'_>) {
    struct Qualifier<'a, 'b>(&'a Scope<'b>);
    impl VisitorMut for Qualifier<'_, '_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Identifier(name) = expr
                && let Found::At(0, Some(_), item) = self.0.find(std::slice::from_ref(name))
            {
                *expr = Expr::CompoundIdentifier(vec![ident(item.alias.clone()), name.clone()]);
            }
            ControlFlow::Continue(())
        }
    }
    if !matches!(expr, Expr::Identifier(_)) {
        let _ = expr.visit(&mut Qualifier(scope));
    }
}

/// Which scopes an expression refers to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct References {
    pub(super) inner: bool,
    pub(super) outer: bool,
    /// There is a subquery or an unknown name in it.
    pub(super) unclear: bool,
}

/// Which scopes `expr`, an expression within `scope`, refers to.
pub(super) fn references(expr: &Expr, scope: &Scope<'_>) -> References {
    struct Collector<'a, 'b> {
        scope: &'a Scope<'b>,
        found: References,
    }
    impl Visitor for Collector<'_, '_> {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.found.unclear = true;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let found = match expr {
                Expr::Identifier(name) => self.scope.find(std::slice::from_ref(name)),
                Expr::CompoundIdentifier(names) => self.scope.find(names),
                _ => return ControlFlow::Continue(()),
            };
            match found {
                Found::At(0, ..) => self.found.inner = true,
                Found::At(..) => self.found.outer = true,
                Found::Nowhere => self.found.unclear = true,
            }
            ControlFlow::Continue(())
        }
    }
    let mut collector = Collector { scope, found: References::default() };
    let _ = expr.visit(&mut collector);
    collector.found
}

/// Aggregate functions that queries over the system catalogs use.
const AGGREGATES: [&str; 16] = [
    "count",
    "sum",
    "min",
    "max",
    "avg",
    "string_agg",
    "array_agg",
    "bool_or",
    "bool_and",
    "every",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "bit_or",
    "bit_and",
    "first_value",
];

/// Whether an expression holds an aggregate function of its own query.
pub(super) fn has_aggregate(expr: &Expr) -> bool {
    struct Finder {
        depth: usize,
    }
    impl Visitor for Finder {
        type Break = ();

        fn pre_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth += 1;
            ControlFlow::Continue(())
        }

        fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
            self.depth -= 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            if let Expr::Function(function) = expr
                && self.depth == 0
                && function.over.is_none()
                && !matches!(function.args, FunctionArguments::Subquery(_))
                && parts(&function.name).last().is_some_and(|name| AGGREGATES.contains(&name.as_str()))
            {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    expr.visit(&mut Finder { depth: 0 }).is_break()
}
