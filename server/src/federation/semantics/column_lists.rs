//! Aliases that name fewer columns than there are: `FROM t AS a(x)`, `WITH w(x) AS …`.
//!
//! DataFusion wants a name for each column. The columns that are not named keep their names, so the rest of the list is
//! filled with these.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Ident, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, VisitMut, VisitorMut, WildcardAdditionalOptions, With,
};

use super::around::{Around, merged};
use super::join_using::Describe;
use super::rewrite::parsed;

/// Completes the column lists of a query. Where the columns cannot be told, because an item reads those before it, the list
/// stays.
pub fn complete_column_lists(query: &mut Query, describe: &Describe<'_>) {
    let _ = query.visit(&mut Lists { describe, around: Around::default() });
}

struct Lists<'a> {
    describe: &'a Describe<'a>,
    around: Around,
}

impl Lists<'_> {
    fn complete(&self, alias: &mut TableAlias, columns: Option<Vec<String>>) {
        for name in columns.into_iter().flatten().skip(alias.columns.len()) {
            alias.columns.push(TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None });
        }
    }

    fn columns(&self, mut query: Query) -> Option<Vec<String>> {
        query.with = self.around.clause(&query.body, None).or(query.with);
        let columns = (self.describe)(query).ok()?;
        Some(columns.into_iter().map(|column| column.name).collect())
    }

    fn columns_of(&self, factor: &TableFactor) -> Option<Vec<String>> {
        let mut item = factor.clone();
        let alias = alias_of(&mut item)?;
        alias.columns.clear();
        let name = alias.name.clone();
        let mut query = parsed("SELECT 1 FROM x").ok()?;
        let SetExpr::Select(body) = query.body.as_mut() else { return None };
        body.from = vec![TableWithJoins { relation: item, joins: Vec::new() }];
        let name = SelectItemQualifiedWildcardKind::ObjectName(vec![name].into());
        body.projection = vec![SelectItem::QualifiedWildcard(name, WildcardAdditionalOptions::default())];
        self.columns(query)
    }
}

fn alias_of(factor: &mut TableFactor) -> Option<&mut TableAlias> {
    match factor {
        TableFactor::Table { alias, args: None, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::NestedJoin { alias, .. } => alias.as_mut().filter(|alias| !alias.columns.is_empty()),
        _ => None,
    }
}

impl VisitorMut for Lists<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = &mut query.with {
            for index in 0..with.cte_tables.len() {
                let before = With { cte_tables: with.cte_tables.iter().take(index).cloned().collect(), ..with.clone() };
                let Some(table) = with.cte_tables.get_mut(index).filter(|table| !table.alias.columns.is_empty()) else {
                    continue;
                };
                let mut inner = table.query.as_ref().clone();
                if let (true, SetExpr::SetOperation { left, .. }) = (with.recursive, inner.body.as_ref()) {
                    // What comes first does not read itself.
                    inner.body = left.clone();
                }
                let clauses = self.around.clause(&inner, None).into_iter().chain([before]).chain(inner.with.take());
                inner.with = merged(&clauses.collect::<Vec<_>>());
                let columns = (self.describe)(inner).ok();
                let names = columns.map(|columns| columns.into_iter().map(|column| column.name).collect());
                self.complete(&mut table.alias, names);
            }
        }
        self.around.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.around.leave(query);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if alias_of(factor).is_some() {
            let columns = self.columns_of(factor);
            if let Some(alias) = alias_of(factor) {
                self.complete(alias, columns);
            }
        }
        ControlFlow::Continue(())
    }
}
