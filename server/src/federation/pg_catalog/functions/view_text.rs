//! A view's query as `pg_get_viewdef` prints it: names as short as they may be, one clause a line.

use std::ops::ControlFlow;

use atoll_connector_api::types::from_sql;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, GroupByExpr, Ident, ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, SetQuantifier,
    TableFactor, TableWithJoins, VisitMut, VisitorMut,
};

use super::super::context::PgCatalogContext;
use super::super::names::quote_ident;
use crate::catalog::model::View;
use crate::federation::relations::{cte_names, folded_parts};
use crate::statement::parse_query;

/// Indented by one and ended by a semicolon.
pub(in super::super) fn view_definition(context: &PgCatalogContext, view: &View) -> String {
    let stored = view.query.trim().trim_end_matches(';');
    let Ok(mut query) = parse_query(stored) else { return format!(" {stored};") };
    name_items(&mut query.body, view);
    let complete = query.to_string();
    shorten(&mut query, context);
    let short = plain_names(&query_text(&query).unwrap_or_else(|| query.to_string()));
    // What is printed is what was shortened: a dump is made of it.
    let bare = |text: &str| parse_query(text).ok().map(|query| query.to_string().replace('"', ""));
    let is_same = bare(&short).is_some_and(|read| read.eq_ignore_ascii_case(&query.to_string().replace('"', "")));
    format!(" {};", if is_same { short } else { complete })
}

/// Gives the select list the names that the view's columns have.
fn name_items(body: &mut SetExpr, view: &View) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return name_items(left, view),
        _ => return,
    };
    if select.projection.len() != view.columns.len() {
        return;
    }
    for (item, column) in select.projection.iter_mut().zip(&view.columns) {
        let (expr, own) = match item {
            SelectItem::UnnamedExpr(expr) => (expr.clone(), crate::federation::naming::name_of(expr)),
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), crate::federation::naming::folded(alias)),
            _ => return,
        };
        if own != column.name {
            *item = SelectItem::ExprWithAlias { expr, alias: Ident::new(quote_ident(&column.name)) };
        }
    }
}

/// Takes away schemas in which a relation is found anyway, and aliases that repeat a relation's name; types get the names
/// that `format_type` gives them.
fn shorten(query: &mut Query, context: &PgCatalogContext) {
    struct Shortening<'a>(&'a PgCatalogContext, Vec<String>);
    impl VisitorMut for Shortening<'_> {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if let Expr::Cast { data_type, .. } = expr
                && let Some(known) = from_sql(data_type)
            {
                let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(known.sql_name()))]);
                *data_type = DataType::Custom(name, Vec::new());
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
            let parts = folded_parts(name);
            let [schema, relation] = &parts[..] else { return ControlFlow::Continue(()) };
            if alias.as_ref().is_some_and(|alias| {
                alias.columns.is_empty() && crate::federation::naming::folded(&alias.name) == *relation
            }) {
                *alias = None;
            }
            let complete = format!("{}.{}", quote_ident(schema), quote_ident(relation));
            let visible = match self.0.find_relation(&complete) {
                Ok(Some(found)) => self.0.relation_is_visible(&found),
                _ => false,
            };
            if visible && !self.1.contains(relation) {
                let ident = Ident::with_quote('"', relation.clone());
                *name = ObjectName(vec![ObjectNamePart::Identifier(ident)]);
            }
            ControlFlow::Continue(())
        }
    }
    let ctes = cte_names(query);
    let _ = query.visit(&mut Shortening(context, ctes));
}

/// Names without quotes where they need none.
fn plain_names(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '\'']) {
        let (before, quoted) = rest.split_at(start);
        plain.push_str(before);
        let quote = if quoted.starts_with('"') { '"' } else { '\'' };
        let end = closing(quoted, quote);
        let (word, after) = quoted.split_at(end);
        let name =
            word.strip_prefix('"').and_then(|word| word.strip_suffix('"')).map(|name| name.replace("\"\"", "\""));
        // `U&"…"` has escapes.
        let escaped = before.ends_with('&');
        match name {
            Some(name) if !escaped => plain.push_str(&quote_ident(&name)),
            _ => plain.push_str(word),
        }
        rest = after;
    }
    plain.push_str(rest);
    plain
}

/// The length of a quoted word, its quotes included.
fn closing(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((index, c)) = chars.next() {
        if c == quote {
            if chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
            } else {
                return index + 1;
            }
        }
    }
    text.len()
}

/// `None` where a clause has no place here.
fn query_text(query: &Query) -> Option<String> {
    let Query { with: None, body, order_by, limit_clause, fetch: None, .. } = query else { return None };
    let mut text = body_text(body)?;
    if let Some(order) = order_by {
        text.push_str(&format!("\n  {order}"));
    }
    if let Some(limit) = limit_clause {
        text.push_str(&format!("\n {}", limit.to_string().trim()));
    }
    Some(text)
}

fn body_text(body: &SetExpr) -> Option<String> {
    match body {
        SetExpr::Select(select) => select_text(select),
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            let quantifier = match set_quantifier {
                SetQuantifier::None => String::new(),
                quantifier => format!(" {quantifier}"),
            };
            let SetExpr::Select(right) = right.as_ref() else { return None };
            Some(format!("{}\n{op}{quantifier}\n {}", body_text(left)?, select_text(right)?))
        }
        _ => None,
    }
}

fn select_text(select: &Select) -> Option<String> {
    if !select.named_window.is_empty() || select.into.is_some() || select.qualify.is_some() {
        return None;
    }
    let items: Vec<String> = select.projection.iter().map(ToString::to_string).collect();
    let distinct = select.distinct.as_ref().map(|distinct| format!("{distinct} ")).unwrap_or_default();
    let mut text = format!("SELECT {distinct}{}", items.join(",\n    "));
    if !select.from.is_empty() {
        let from: Vec<String> = select.from.iter().map(from_text).collect();
        text.push_str(&format!("\n   FROM {}", from.join(",\n    ")));
    }
    if let Some(condition) = &select.selection {
        text.push_str(&format!("\n  WHERE {condition}"));
    }
    match &select.group_by {
        GroupByExpr::Expressions(keys, modifiers) if keys.is_empty() && modifiers.is_empty() => {}
        keys => text.push_str(&format!("\n  {keys}")),
    }
    if let Some(condition) = &select.having {
        text.push_str(&format!("\n HAVING {condition}"));
    }
    Some(text)
}

fn from_text(from: &TableWithJoins) -> String {
    let mut text = from.relation.to_string();
    for join in &from.joins {
        text.push_str(&format!("\n     {}", join.to_string().trim()));
    }
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn quotes_stay_where_they_are_needed() {
        let text = "SELECT \"a\".\"B c\", 'it''s \"x\"', \"select\", \"d\"\"e\" FROM \"t\"";
        assert_eq!(plain_names(text), "SELECT a.\"B c\", 'it''s \"x\"', \"select\", \"d\"\"e\" FROM t");
        assert_eq!(plain_names("SELECT 'open"), "SELECT 'open");
    }

    #[test]
    fn types_are_named_as_format_type_names_them() {
        let mut query = parse_query("SELECT a::NUMERIC(10,2), CAST(b AS timestamptz), c::text[] FROM t").unwrap();
        let catalog = std::sync::Arc::new(crate::catalog::Catalog::new(1, 20_000, Vec::new()));
        shorten(&mut query, &PgCatalogContext::new(catalog, "atoll", 10));
        let expected = "SELECT a::numeric(10,2), CAST(b AS timestamp with time zone), c::text[] FROM t";
        assert_eq!(query.to_string(), expected);
    }

    #[test]
    fn each_clause_has_a_line() {
        let text =
            "SELECT a, b AS c FROM t JOIN u ON t.x = u.x WHERE a > 1 GROUP BY a HAVING count(*) > 1 ORDER BY a LIMIT 2";
        let query = parse_query(text).map(|query| query_text(&query));
        let expected = "SELECT a,\n    b AS c\n   FROM t\n     JOIN u ON t.x = u.x\n  WHERE a > 1\n  GROUP BY a\n HAVING \
                        count(*) > 1\n  ORDER BY a\n LIMIT 2";
        assert_eq!(query.ok().flatten().as_deref(), Some(expected));
    }
}
