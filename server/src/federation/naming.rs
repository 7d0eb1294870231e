//! Names of result columns, as PostgreSQL derives them from a select list.
//!
//! DataFusion would call `count(*)` `count(*)` and refuses two columns of one name. Every unnamed expression gets the alias
//! that PostgreSQL's `FigureColname` would give it; a repeated name gets a suffix that [`shown`] takes off again.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Expr, FunctionArguments, GroupByExpr, Ident, ObjectNamePart, OrderByKind, Query, Select, SelectItem,
    SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TrimWhereField, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::HashSet;
use std::ops::ControlFlow;

use crate::error::{SqlError, SqlState};

/// Separates a name from the number that makes it unique. No client can type it by accident.
const SUFFIX: char = '\u{1}';
/// What PostgreSQL calls a column that has no name.
const UNNAMED: &str = "?column?";

/// Names that more than one column of a subquery in FROM or WITH has: outside of it no column can be called by them.
#[derive(Debug, Default)]
pub struct Repeated(HashSet<String>);

/// Names every select list of a query, subqueries included.
pub fn name_columns(query: &mut Query) -> Repeated {
    struct Namer(Repeated, bool);
    impl VisitorMut for Namer {
        type Break = ();

        fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
            for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
                if table.alias.columns.is_empty() {
                    hide_repeats(&mut table.query.body, &mut self.0);
                }
            }
            name_body(&mut query.body);
            if std::mem::replace(&mut self.1, true) {
                set_apart(query);
            }
            ControlFlow::Continue(())
        }

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let TableFactor::Derived { subquery, alias, .. } = factor
                && alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
            {
                hide_repeats(&mut subquery.body, &mut self.0);
            }
            name_series(factor);
            ControlFlow::Continue(())
        }
    }
    // The second says whether the walk has left the outermost query's own names.
    let mut namer = Namer(Repeated::default(), false);
    let _ = query.visit(&mut namer);
    make_way_for_columns(query);
    namer.0
}

/// What the keys of an ORDER BY call by name.
#[derive(Default)]
struct KeyNames {
    /// Alone: columns of the result, if it has them.
    alone: HashSet<String>,
    /// Within expressions, where a name is a column of what is read.
    within: HashSet<String>,
    /// With a table's name.
    qualified: HashSet<String>,
}

impl KeyNames {
    fn of(query: &Query) -> Self {
        struct Names<'a>(&'a mut KeyNames);
        impl Visitor for Names<'_> {
            type Break = ();

            fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
                match expr {
                    Expr::Identifier(ident) => self.0.within.insert(folded(ident)),
                    Expr::CompoundIdentifier(parts) => {
                        parts.last().is_some_and(|last| self.0.qualified.insert(folded(last)))
                    }
                    _ => false,
                };
                ControlFlow::Continue(())
            }
        }
        let mut names = Self::default();
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind) else {
            return names;
        };
        for key in keys {
            match &key.expr {
                Expr::Identifier(ident) => {
                    names.alone.insert(folded(ident));
                }
                key => {
                    let _ = key.visit(&mut Names(&mut names));
                }
            }
        }
        names
    }

    /// Whether a result's column of this name stands in the way of another one's.
    fn hide(&self, name: &str, expr: &Expr) -> bool {
        let (is_column, is_same) = match expr {
            Expr::Identifier(ident) => (true, folded(ident) == name),
            Expr::CompoundIdentifier(parts) => (true, parts.last().is_some_and(|last| folded(last) == name)),
            _ => (false, false),
        };
        (self.within.contains(name) && !is_same) || (self.qualified.contains(name) && !is_column)
    }
}

/// The names of the result's columns make way for those of the columns that are read, where DataFusion would not know
/// which are meant: `SELECT t.a::text FROM t ORDER BY t.a`, `SELECT -a AS a FROM t ORDER BY a + 1`, and
/// `SELECT *, 1 AS a FROM t`. Only the outermost result's names are nobody's business but the client's.
fn make_way_for_columns(query: &mut Query) {
    let names = KeyNames::of(query);
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    if select.distinct.is_some() {
        return;
    }
    // A name that another clause may use for the column stays.
    let wildcard =
        has_wildcard(select) && matches!(&select.group_by, GroupByExpr::Expressions(keys, _) if keys.is_empty());
    let mut renamed = Vec::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::ExprWithAlias { alias, expr } = item else { continue };
        let name = folded(alias);
        if name.contains(SUFFIX) || !(names.hide(&name, expr) || (wildcard && !names.alone.contains(&name))) {
            continue;
        }
        *alias = Ident::with_quote('"', numbered(&name, index));
        renamed.push((name, alias.clone()));
    }
    rename_keys(query, &renamed);
}

/// Calls the result's columns in ORDER BY by their new names.
fn rename_keys(query: &mut Query, renamed: &[(String, Ident)]) {
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind) else { return };
    for key in keys {
        if let Expr::Identifier(ident) = &mut key.expr
            && let Some((_, new)) = renamed.iter().find(|(name, _)| *name == folded(ident))
        {
            *ident = Ident { span: ident.span, ..new.clone() };
        }
    }
}

fn has_wildcard(select: &Select) -> bool {
    select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(_, _)))
}

/// The name of the relation around a query whose columns have to make way.
const ORDERED: &str = "\u{1}ordered";

/// The same within another query, which calls the columns by their names: `SELECT -a AS a FROM t ORDER BY a + 1` becomes
/// `SELECT c0 AS a FROM (SELECT -a AS c0 FROM t ORDER BY a + 1)`.
fn set_apart(query: &mut Query) {
    let names = KeyNames::of(query);
    if names.within.is_empty() && names.qualified.is_empty() {
        return;
    }
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    let hides = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, expr } => {
            let name = folded(alias);
            !name.contains(SUFFIX) && names.hide(&name, expr)
        }
        _ => false,
    };
    if select.distinct.is_some() || has_wildcard(select) || !select.projection.iter().any(hides) {
        return;
    }
    let Ok(mut outer) = crate::statement::parse_query("SELECT NULL FROM (SELECT NULL) AS x") else { return };
    let mut inner = query.clone();
    let SetExpr::Select(select) = inner.body.as_mut() else { return };
    let (mut renamed, mut items) = (Vec::new(), Vec::new());
    for (index, item) in select.projection.iter_mut().enumerate() {
        let (expr, alias) = match item {
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), alias.clone()),
            SelectItem::UnnamedExpr(expr) => (expr.clone(), Ident::with_quote('"', name_of(expr))),
            _ => return,
        };
        let new = Ident::with_quote('"', format!("{ORDERED}{index}"));
        renamed.push((folded(&alias), new.clone()));
        items.push(SelectItem::ExprWithAlias { expr: Expr::Identifier(new.clone()), alias });
        *item = SelectItem::ExprWithAlias { expr, alias: new };
    }
    rename_keys(&mut inner, &renamed);
    let SetExpr::Select(select) = outer.body.as_mut() else { return };
    let Some(TableFactor::Derived { subquery, alias: Some(alias), .. }) =
        select.from.first_mut().map(|from| &mut from.relation)
    else {
        return;
    };
    **subquery = inner;
    alias.name = Ident::with_quote('"', ORDERED);
    select.projection = items;
    *query = outer;
}

/// Gives all columns of one name names of their own.
fn hide_repeats(body: &mut SetExpr, repeated: &mut Repeated) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return hide_repeats(left, repeated),
        _ => return,
    };
    let names: Vec<Option<String>> = select
        .projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some(name_of(expr)),
            SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
            _ => None,
        })
        .collect();
    for (index, (item, name)) in select.projection.iter_mut().zip(&names).enumerate() {
        let Some(name) = name else { continue };
        if names.iter().filter(|other| other.as_ref() == Some(name)).count() < 2 {
            continue;
        }
        repeated.0.insert(name.clone());
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let alias = Ident::with_quote('"', numbered(name, index));
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
    }
}

/// A column that is not found because several have its name is ambiguous.
pub fn ambiguous(error: SqlError, repeated: &Repeated) -> SqlError {
    if error.sqlstate != SqlState::UNDEFINED_COLUMN {
        return error;
    }
    let named = error.message.strip_prefix("column ").and_then(|rest| rest.strip_suffix(" does not exist"));
    let name = named.map(|name| name.trim_matches('"')).map(|name| name.rsplit('.').next().unwrap_or(name));
    match name {
        Some(name) if repeated.0.contains(name) => {
            SqlError::new(SqlState::AMBIGUOUS_COLUMN, format!("column reference \"{name}\" is ambiguous"))
        }
        _ => error,
    }
}

/// `generate_series(…)` in FROM is a table of its own name, or of its alias's, with one column of that name.
fn name_series(factor: &mut TableFactor) {
    const SERIES: &str = "generate_series";
    let TableFactor::Table { name, args: Some(_), alias, .. } = factor else { return };
    let function = name.0.last().and_then(ObjectNamePart::as_ident).map(folded);
    if function.as_deref() != Some(SERIES) {
        return;
    }
    let alias = alias.get_or_insert_with(|| TableAlias {
        explicit: true,
        name: Ident::new(SERIES),
        columns: Vec::new(),
        at: None,
    });
    if alias.columns.is_empty() {
        alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
    }
}

/// A column's name with a number that makes it unique.
pub fn numbered(name: &str, number: usize) -> String {
    format!("{name}{SUFFIX}{number}")
}

/// A result column's name without the suffix that made it unique.
pub fn shown(name: &str) -> &str {
    name.split_once(SUFFIX).map_or(name, |(shown, _)| shown)
}

fn name_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => name_select(select),
        SetExpr::SetOperation { left, right, .. } => {
            name_body(left);
            name_body(right);
        }
        _ => {}
    }
}

fn name_select(select: &mut Select) {
    let wildcard = has_wildcard(select);
    let mut seen: HashSet<String> = HashSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = name_of(expr);
                let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                let repeated = !seen.insert(name.clone());
                // A plain column keeps its qualifier, by which an ORDER BY may still call it.
                if is_column && !repeated && !wildcard {
                    continue;
                }
                let unique = if repeated || wildcard { numbered(&name, index) } else { name };
                let expr = expr.clone();
                *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', unique) };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                let name = folded(alias);
                if !seen.insert(name.clone()) {
                    *alias = Ident::with_quote('"', numbered(&name, index));
                }
            }
            _ => {}
        }
    }
}

/// What PostgreSQL calls a column of a select list that is given no name.
pub fn name_of(expr: &Expr) -> String {
    figure_name(expr).unwrap_or_else(|| UNNAMED.to_owned())
}

/// A name as it is looked up.
pub fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// The name that PostgreSQL gives an expression; `None`: `?column?`.
fn figure_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure_name(inner),
        Expr::Cast { expr, data_type, .. } => strong_name(expr).or_else(|| Some(type_name(&data_type.to_string()))),
        Expr::TypedString(typed) => Some(type_name(&typed.data_type.to_string())),
        Expr::Interval(_) => Some("interval".to_owned()),
        Expr::Case { else_result, .. } => {
            Some(else_result.as_deref().and_then(strong_name).unwrap_or_else(|| "case".to_owned()))
        }
        expr => strong_name(expr),
    }
}

/// The name that stands whatever is around it; a type's name gives way to a cast's and to `case`.
fn strong_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(folded(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().map(folded),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => strong_name(inner),
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(field))) => Some(folded(field)),
            _ => figure_name(root),
        },
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(ObjectNamePart::as_ident).map(folded)?;
            // `current_user` and its kin are parsed as functions without arguments: the name stands either way.
            debug_assert!(!matches!(function.args, FunctionArguments::Subquery(_)) || name == "array");
            // `(VALUES (1))` is parsed as a function, too.
            Some(if name == "values" { "column1".to_owned() } else { name })
        }
        Expr::Cast { expr, .. } => strong_name(expr),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(strong_name),
        Expr::Extract { .. } => Some("extract".to_owned()),
        Expr::Position { .. } => Some("position".to_owned()),
        Expr::Substring { .. } => Some("substring".to_owned()),
        Expr::Trim { trim_where, .. } => Some(
            match trim_where {
                Some(TrimWhereField::Leading) => "ltrim",
                Some(TrimWhereField::Trailing) => "rtrim",
                _ => "btrim",
            }
            .to_owned(),
        ),
        Expr::Overlay { .. } => Some("overlay".to_owned()),
        Expr::Ceil { .. } => Some("ceil".to_owned()),
        Expr::Floor { .. } => Some("floor".to_owned()),
        Expr::AtTimeZone { .. } => Some("timezone".to_owned()),
        Expr::IsNormalized { negated: false, .. } => Some("is_normalized".to_owned()),
        Expr::Exists { negated: false, .. } => Some("exists".to_owned()),
        Expr::Array(_) => Some("array".to_owned()),
        Expr::Tuple(_) => Some("row".to_owned()),
        Expr::Subquery(query) => subquery_name(query),
        _ => None,
    }
}

fn subquery_name(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    match select.projection.first()? {
        SelectItem::UnnamedExpr(expr) => figure_name(expr),
        SelectItem::ExprWithAlias { alias, .. } => Some(shown(&folded(alias)).to_owned()),
        _ => None,
    }
}

/// The internal name of a type, as PostgreSQL names a cast of a constant: `int4`, `varchar`.
fn type_name(text: &str) -> String {
    let single = text.to_ascii_lowercase().strip_prefix("float(").and_then(|rest| rest.strip_suffix(')')?.parse().ok());
    if single.is_some_and(|digits: u8| digits <= 24) {
        return "float4".to_owned();
    }
    let base = text.split('(').next().unwrap_or(text).trim().to_ascii_lowercase();
    // "char" in quotes is another type than char.
    let base = if base == "\"char\"" { return "char".to_owned() } else { base.trim_matches('"') };
    let base = base.rsplit('.').next().unwrap_or(base);
    let base = base.trim_end_matches("[]");
    atoll_connector_api::types::BuiltinType::by_name(base)
        .map_or_else(|| base.to_owned(), |builtin| builtin.name.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use datafusion::sql::sqlparser::{ast::Statement, dialect::PostgreSqlDialect, parser::Parser};

    use super::*;

    fn names(sql: &str) -> Vec<String> {
        let Statement::Query(mut query) = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0) else {
            panic!("not a query")
        };
        name_columns(&mut query);
        let SetExpr::Select(select) = query.body.as_ref() else { panic!("not a select") };
        select
            .projection
            .iter()
            .map(|item| match item {
                SelectItem::UnnamedExpr(expr) => expr.to_string(),
                SelectItem::ExprWithAlias { alias, .. } => shown(&alias.value).to_owned(),
                other => other.to_string(),
            })
            .collect()
    }

    #[test]
    fn names_columns_as_postgresql_does() {
        assert_eq!(
            names(
                "select 1, count(*), Count(x), a.B, \"Q\", x::int, '1'::int, case when a then b end, \
                 coalesce(a, b), exists (select 1), (select max(y) from t), date '2020-01-01', true, a || b, \
                 extract(year from d), substring(a, 1, 2), array[1]"
            ),
            [
                "?column?",
                "count",
                "count",
                "a.B",
                "\"Q\"",
                "x",
                "int4",
                "case",
                "coalesce",
                "exists",
                "max",
                "date",
                "?column?",
                "?column?",
                "extract",
                "substring",
                "array"
            ]
        );
    }

    #[test]
    fn repeats_stay_apart_inside_and_equal_outside() {
        assert_eq!(names("select 1, 2, id, t.id, a as id from t"), ["?column?", "?column?", "id", "id", "id"]);
    }
}
