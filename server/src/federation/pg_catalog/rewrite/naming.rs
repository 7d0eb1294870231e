//! The names that PostgreSQL gives to output columns (`FigureColname`, parser/parse_target.c).

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, FunctionArguments, Query, SelectItem, SetExpr, TrimWhereField, Visit, Visitor,
};

use super::build::{folded, ident, parts};

/// Set between a name and a number where DataFusion needs repeated names apart. A control character, since every printable
/// one may be part of a quoted alias; an alias that holds this one only loses its end in a result's heading.
const MARK: char = '\u{1}';

/// The name of an output column as the client is to see it: without what keeps repeated names apart.
pub fn output_name(field: &str) -> &str {
    field.split(MARK).next().unwrap_or(field)
}

/// The name of each unnamed, computed item of a select list.
pub(super) fn output_names(projection: &[SelectItem]) -> Vec<Option<String>> {
    projection
        .iter()
        .map(|item| match item {
            SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
            _ => None,
        })
        .collect()
}

/// Names of input columns that expressions of ORDER BY use: an output column of such a name would hide them.
pub(super) fn reserved_by(order: &[&mut Expr]) -> HashSet<String> {
    struct Collector(HashSet<String>);
    impl Visitor for Collector {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            self.0.extend(bare_name(expr));
            ControlFlow::Continue(())
        }
    }
    let mut collector = Collector(HashSet::new());
    for by in order.iter().filter(|by| !matches!(by, Expr::Identifier(_))) {
        let _ = by.visit(&mut collector);
    }
    collector.0
}

/// Gives the names to the items.
pub(super) fn apply(projection: &mut [SelectItem], names: Vec<Option<String>>, reserved: &HashSet<String>) {
    let mut seen: HashSet<String> = HashSet::new();
    for item in projection.iter() {
        if let SelectItem::ExprWithAlias { alias, .. } = item {
            seen.insert(folded(alias));
        }
    }
    for (position, (item, name)) in projection.iter_mut().zip(names).enumerate() {
        let marked = |name: &str| ident(format!("{name}{MARK}{position}"));
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let Some(name) = name else { continue };
                let first = seen.insert(name.clone());
                // A plain column keeps its qualifier, which ORDER BY may use.
                if is_column(expr, &name) && first {
                    continue;
                }
                let alias = if first && !reserved.contains(&name) { ident(name) } else { marked(&name) };
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = folded(alias);
                if reserved.contains(&name) && !is_column(expr, &name) {
                    *alias = marked(&name);
                }
            }
            _ => {}
        }
    }
}

fn is_column(expr: &Expr, name: &str) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        && bare_name(expr).is_some_and(|bare| bare == name)
}

/// A bare name in ORDER BY is an output column's: it follows the column's new name.
pub(super) fn follow(order: Vec<&mut Expr>, projection: &[SelectItem]) {
    for by in order {
        let Expr::Identifier(name) = by else { continue };
        let wanted = folded(name);
        let found = projection.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { alias, .. } if output_name(&alias.value) == wanted => Some(alias.clone()),
            _ => None,
        });
        if let Some(alias) = found {
            *name = alias;
        }
    }
}

fn bare_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(names) => names.last().map(folded),
        _ => None,
    }
}

/// The name of an unnamed output column.
pub(super) fn column_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| "?column?".to_owned(), |(name, _)| name)
}

/// A name, and whether it is better than a type's.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let strong = |name: &str| Some((name.to_owned(), true));
    match expr {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => bare_name(expr).map(|name| (name, true)),
        Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(name)) => Some((folded(name), true)),
                _ => None,
            })
            .or_else(|| figure(root)),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => match &function.args {
            FunctionArguments::Subquery(_) => strong("array"),
            _ => parts(&function.name).pop().map(|name| (name, true)),
        },
        Expr::Cast { expr, data_type, .. } => match figure(expr) {
            Some((name, true)) => Some((name, true)),
            other => type_name(data_type).or(other.map(|(name, _)| name)).map(|name| (name, false)),
        },
        Expr::TypedString(typed) => type_name(&typed.data_type).map(|name| (name, false)),
        Expr::Subquery(query) => subquery_name(query).map(|name| (name, true)),
        Expr::Exists { .. } => strong("exists"),
        Expr::Array(_) => strong("array"),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        },
        Expr::Extract { .. } => strong("extract"),
        Expr::Position { .. } => strong("position"),
        Expr::Substring { .. } => strong("substring"),
        Expr::Overlay { .. } => strong("overlay"),
        Expr::Trim { trim_where, .. } => strong(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::Ceil { .. } => strong("ceil"),
        Expr::Floor { .. } => strong("floor"),
        Expr::AtTimeZone { .. } => strong("timezone"),
        Expr::Tuple(_) => strong("row"),
        _ => None,
    }
}

fn subquery_name(query: &Query) -> Option<String> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    match select.projection.first()? {
        SelectItem::UnnamedExpr(expr) => Some(column_name(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    }
}

/// A type's internal name, as a cast of a constant is named after it.
fn type_name(data_type: &DataType) -> Option<String> {
    Some(
        match data_type {
            DataType::Custom(name, _) => return parts(name).pop(),
            DataType::Text => "text",
            DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => "varchar",
            DataType::Char(_) | DataType::Character(_) => "bpchar",
            DataType::Boolean | DataType::Bool => "bool",
            DataType::SmallInt(_) | DataType::Int2(_) => "int2",
            DataType::Integer(_) | DataType::Int(_) | DataType::Int4(_) => "int4",
            DataType::BigInt(_) | DataType::Int8(_) => "int8",
            DataType::Real | DataType::Float4 => "float4",
            DataType::DoublePrecision | DataType::Float8 | DataType::Double(_) | DataType::Float(_) => "float8",
            DataType::Numeric(_) | DataType::Decimal(_) | DataType::Dec(_) => "numeric",
            DataType::Date => "date",
            DataType::Regclass => "regclass",
            DataType::Uuid => "uuid",
            DataType::JSON => "json",
            DataType::JSONB => "jsonb",
            DataType::Bytea => "bytea",
            DataType::Array(element) => match element {
                datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket(inner, _) => {
                    return type_name(inner);
                }
                _ => return None,
            },
            other => {
                let text = other.to_string().to_lowercase();
                return match text.as_str() {
                    t if t.starts_with("timestamp") && t.contains("with time zone") => Some("timestamptz".to_owned()),
                    t if t.starts_with("timestamptz") => Some("timestamptz".to_owned()),
                    t if t.starts_with("timestamp") => Some("timestamp".to_owned()),
                    t if t.starts_with("interval") => Some("interval".to_owned()),
                    t => t.split(['(', ' ']).next().map(str::to_owned),
                };
            }
        }
        .to_owned(),
    )
}
