//! Tables that have the name of a column.

use std::ops::ControlFlow;

use datafusion::common::ExprSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, VisitMut, VisitorMut,
};

/// Ends a table's name where no column's name ends.
const MARK: char = '\u{2}';

/// Names every table of a query so that no column has its name, and every reference after it.
///
/// DataFusion takes `a.b`, where a column `a` is near and a table `a` further out, for the field `b` of the column;
/// PostgreSQL writes fields as `(a).b`, and means the table.
pub(super) fn tell_tables_from_columns(query: &mut Query) {
    let _ = query.visit(&mut Renamer);
}

/// Whether a plan takes a field of a column that has none: a table's name was taken for the column's.
pub(super) fn reads_fields_of_plain_columns(plan: &LogicalPlan) -> bool {
    let mut found = false;
    let visited = plan.apply_with_subqueries(|node| {
        let schema = merge_schema(&node.inputs());
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let PlannedExpr::ScalarFunction(call) = expr
                    && call.func.name() == "get_field"
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
