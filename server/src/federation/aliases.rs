//! Tables that have the name of a column.

use std::ops::ControlFlow;

use datafusion::common::ExprSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, ObjectNamePart, Query,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, VisitMut, VisitorMut,
};

use super::naming::folded;
use super::semantics;

/// Ends a table's name where no column's name ends.
const MARK: char = '\u{2}';

/// Names every table of a query so that no column has its name, and every reference after it.
///
/// DataFusion takes `a.b`, where a column `a` is near and a table `a` further out, for the field `b` of the column;
/// PostgreSQL writes fields as `(a).b`, and means the table.
pub(super) fn tell_tables_from_columns(query: &mut Query) {
    let _ = query.visit(&mut Renamer);
}

/// Writes `(t).a` as `t.a`: no column holds a row here.
pub(super) fn plain_fields(query: &mut Query) {
    struct Fields;
    impl VisitorMut for Fields {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::CompoundFieldAccess { root, access_chain } = &*expr
                && let (Expr::Nested(inner), [AccessExpr::Dot(Expr::Identifier(field))]) =
                    (root.as_ref(), access_chain.as_slice())
                && let Expr::Identifier(item) = inner.as_ref()
            {
                *expr = Expr::CompoundIdentifier(vec![item.clone(), field.clone()]);
            }
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Fields);
}

/// Gives `t.*` the whole name of `t` where FROM has that without an alias, as DataFusion wants it: `s.t.*`.
pub(super) fn whole_wildcards(query: &mut Query) {
    let _ = query.visit(&mut Wildcards { tables: Vec::new() });
}

struct Wildcards {
    /// The qualified tables of the queries around, innermost last.
    tables: Vec<Vec<ObjectName>>,
}

impl Wildcards {
    fn complete(&self, name: &mut ObjectName) {
        let [ObjectNamePart::Identifier(own)] = name.0.as_slice() else { return };
        let own = folded(own);
        let is_own = |table: &&ObjectName| {
            table.0.last().and_then(ObjectNamePart::as_ident).is_some_and(|last| folded(last) == own)
        };
        if let Some(table) = self.tables.iter().rev().find_map(|tables| tables.iter().find(is_own)) {
            name.clone_from(table);
        }
    }
}

impl VisitorMut for Wildcards {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let mut tables = Vec::new();
        qualified_tables(&query.body, &mut tables);
        self.tables.push(tables);
        complete_wildcards(self, &mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.tables.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let FunctionArguments::List(list) = &mut function.args
        {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) = arg {
                    self.complete(name);
                }
            }
        }
        ControlFlow::Continue(())
    }
}

fn complete_wildcards(wildcards: &Wildcards, body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                    wildcards.complete(name);
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            complete_wildcards(wildcards, left);
            complete_wildcards(wildcards, right);
        }
        _ => {}
    }
}

/// The tables of a FROM clause that have no alias, and more than one part in their name.
fn qualified_tables(body: &SetExpr, tables: &mut Vec<ObjectName>) {
    fn add(factor: &TableFactor, tables: &mut Vec<ObjectName>) {
        match factor {
            TableFactor::Table { name, alias: None, args: None, .. } if name.0.len() > 1 => tables.push(name.clone()),
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                add(&table_with_joins.relation, tables);
                table_with_joins.joins.iter().for_each(|join| add(&join.relation, tables));
            }
            _ => {}
        }
    }
    match body {
        SetExpr::Select(select) => {
            for from in &select.from {
                add(&from.relation, tables);
                from.joins.iter().for_each(|join| add(&join.relation, tables));
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            qualified_tables(left, tables);
            qualified_tables(right, tables);
        }
        _ => {}
    }
}

/// Whether a plan takes a field of a column that has none: a table's name was taken for the column's.
pub(super) fn reads_fields_of_plain_columns(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let PlannedExpr::ScalarFunction(call) = expr
                    && matches!(call.func.name(), "get_field" | semantics::FIELD)
                    && let Some(PlannedExpr::Column(column)) = call.args.first()
                {
                    let field = schema.field_from_column(column);
                    found |= field.is_ok_and(|field| !field.data_type().is_nested());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    found && visited.is_ok()
}

struct Renamer;

impl VisitorMut for Renamer {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        wildcards(&mut query.body);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { alias: Some(alias), .. }
            | TableFactor::Derived { alias: Some(alias), .. }
            | TableFactor::Function { alias: Some(alias), .. }
            | TableFactor::UNNEST { alias: Some(alias), .. }
            | TableFactor::NestedJoin { alias: Some(alias), .. } => mark(&mut alias.name),
            TableFactor::Table { alias, name, .. } => {
                if let Some(own) = name.0.last().and_then(ObjectNamePart::as_ident) {
                    let mut name = own.clone();
                    mark(&mut name);
                    *alias = Some(TableAlias { explicit: true, name, columns: Vec::new(), at: None });
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some(table) = parts.len().checked_sub(2)
        {
            parts.drain(..table);
            parts.iter_mut().take(1).for_each(mark);
        }
        ControlFlow::Continue(())
    }
}

fn wildcards(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            for item in &mut select.projection {
                if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                    && let Some(own) = name.0.last().and_then(ObjectNamePart::as_ident)
                {
                    let mut own = own.clone();
                    mark(&mut own);
                    *name = ObjectName::from(vec![own]);
                }
            }
        }
        SetExpr::SetOperation { left, right, .. } => {
            wildcards(left);
            wildcards(right);
        }
        _ => {}
    }
}

fn mark(name: &mut Ident) {
    if name.quote_style.is_none() {
        name.value = name.value.to_lowercase();
        name.quote_style = Some('"');
    }
    name.value.push(MARK);
}

/// An error's text with the names that the query has.
pub(super) fn unmarked(text: &str) -> String {
    text.replace(MARK, "")
}
