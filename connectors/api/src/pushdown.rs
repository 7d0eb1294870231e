//! Filters as remote SQL, by declared identity: what a dialect does not declare is not sent.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::{BinaryExpr, InList};
use datafusion::logical_expr::{Between, Expr, Operator, TableProviderFilterPushDown};

use crate::TableSpec;
use crate::types::{PgType, oids};

/// Literals in one `IN` list beyond which it is not sent: remote parsers have limits of their own.
pub const IN_LIST_MAX: usize = 1000;

/// The function that compares values whose storage does not compare as PostgreSQL does: `(operator, left, right)`.
pub const COMPARE_FUNCTION: &str = "pg_compare";

/// How well a remote predicate does the work of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fidelity {
    /// It keeps every row that ours keeps, and perhaps more: ours is evaluated again above the scan.
    Superset,
    /// It answers identically: true, false and NULL alike.
    Identical,
}

/// A remote predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// SQL text, complete in itself: it can be joined with `AND` as it stands.
    pub sql: String,
    /// Whether our own filter may go.
    pub fidelity: Fidelity,
}

/// What one kind of remote database evaluates as Atoll does.
pub trait Dialect {
    /// Quotes an identifier.
    fn identifier(&self, name: &str) -> String;

    /// A literal of a column's type, typed so that the remote cannot read it otherwise; `None`: not to be sent.
    fn literal(&self, value: &ScalarValue, column_type: &PgType) -> Option<String>;

    /// `column operator literal` (one of `=`, `<>`, `<`, `<=`, `>`, `>=`), both already SQL text; `None`: not to be sent.
    /// `<>` and everything under NOT needs [`Fidelity::Identical`] to be of use.
    fn comparison(&self, column: &str, column_type: &PgType, operator: Operator, literal: &str) -> Option<Pushed>;

    /// `column IN (literals)`, or `NOT IN`, of literals that [`Self::literal`] made, at least one; `None`: not to be sent.
    /// Unless a dialect has a better form, it is a chain of comparisons.
    fn in_list(&self, column: &str, column_type: &PgType, literals: &[String], negated: bool) -> Option<Pushed> {
        let (word, op) = if negated { (" AND ", Operator::NotEq) } else { (" OR ", Operator::Eq) };
        let parts = literals
            .iter()
            .map(|literal| self.comparison(column, column_type, op, literal))
            .collect::<Option<Vec<_>>>()?;
        let fidelity = parts.iter().map(|part| part.fidelity).min()?;
        let texts: Vec<_> = parts.into_iter().map(|part| part.sql).collect();
        Some(Pushed { sql: format!("({})", texts.join(word)), fidelity })
    }

    /// `column IS NULL`, or `IS NOT NULL`. To be narrowed where a connector reads values of the remote as NULL.
    fn is_null(&self, column: &str, _column_type: &PgType, negated: bool) -> Option<Pushed> {
        Some(identical(format!("({column} IS {}NULL)", if negated { "NOT " } else { "" })))
    }

    /// Numbers of different exact types (integers, `numeric`) compare by their values, whatever their scales are.
    fn compares_numbers(&self) -> bool {
        false
    }

    /// A boolean column standing alone as a predicate.
    fn boolean_column(&self, _column: &str) -> Option<Pushed> {
        None
    }

    /// `column LIKE pattern` without an escape clause of its own; the pattern is the plain text.
    fn like(&self, _column: &str, _column_type: &PgType, _pattern: &str, _negated: bool) -> Option<Pushed> {
        None
    }
}

/// Translates filters for the columns of one table.
pub struct FilterTranslator<'a> {
    dialect: &'a dyn Dialect,
    table: &'a TableSpec,
}

impl std::fmt::Debug for FilterTranslator<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilterTranslator").field("table", &self.table.name).finish_non_exhaustive()
    }
}

impl<'a> FilterTranslator<'a> {
    /// A translator for filters over `table`.
    pub fn new(dialect: &'a dyn Dialect, table: &'a TableSpec) -> Self {
        Self { dialect, table }
    }

    /// What DataFusion asks of a provider about each filter.
    pub fn supports(&self, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        filters
            .iter()
            .map(|filter| match self.translate(filter) {
                Some(Pushed { fidelity: Fidelity::Identical, .. }) => TableProviderFilterPushDown::Exact,
                Some(_) => TableProviderFilterPushDown::Inexact,
                None => TableProviderFilterPushDown::Unsupported,
            })
            .collect()
    }

    /// A `WHERE` clause's text for the filters that translate, without the keyword; `None` where none does.
    pub fn conjunction(&self, filters: &[Expr]) -> Option<String> {
        let parts: Vec<_> = filters.iter().filter_map(|filter| Some(self.translate(filter)?.sql)).collect();
        (!parts.is_empty()).then(|| parts.join(" AND "))
    }

    /// One filter, if all of it may be sent.
    pub fn translate(&self, filter: &Expr) -> Option<Pushed> {
        match filter {
            Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
                self.connective(left, *op, right)
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.comparison(left, *op, right),
            Expr::ScalarFunction(call) if call.func.name() == COMPARE_FUNCTION => {
                let [operator, left, right] = call.args.as_slice() else { return None };
                self.comparison(left, operator_named(text_of(operator)?)?, right)
            }
            Expr::Not(inner) => {
                let inner = self.translate(inner).filter(|pushed| pushed.fidelity == Fidelity::Identical)?;
                Some(identical(format!("(NOT {})", inner.sql)))
            }
            Expr::IsNull(inner) => self.is_null(inner, false),
            Expr::IsNotNull(inner) => self.is_null(inner, true),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) if like.escape_char.is_none() && !like.case_insensitive => {
                let (sql, data_type) = self.column(&like.expr)?;
                let pattern = text_of(&like.pattern)?;
                self.dialect.like(&sql, data_type, pattern, like.negated)
            }
            Expr::Column(_) => {
                let (sql, data_type) = self.column(filter)?;
                (data_type.storage() == DataType::Boolean).then(|| self.dialect.boolean_column(&sql))?
            }
            _ => None,
        }
    }

    fn is_null(&self, inner: &Expr, negated: bool) -> Option<Pushed> {
        let (sql, data_type) = self.column(inner)?;
        self.dialect.is_null(&sql, data_type, negated)
    }

    fn connective(&self, left: &Expr, op: Operator, right: &Expr) -> Option<Pushed> {
        let (left, right) = (self.translate(left), self.translate(right));
        if op == Operator::And {
            // Half of a conjunction keeps a superset of the rows.
            return match (left, right) {
                (Some(left), Some(right)) => Some(join(&left, "AND", &right)),
                (Some(one), None) | (None, Some(one)) => Some(Pushed { fidelity: Fidelity::Superset, ..one }),
                (None, None) => None,
            };
        }
        Some(join(&left?, "OR", &right?))
    }

    fn comparison(&self, left: &Expr, op: Operator, right: &Expr) -> Option<Pushed> {
        let (column, op, value) = match (literal_of(left), literal_of(right)) {
            (None, Some(value)) => (left, op, value),
            (Some(value), None) => (right, op.swap()?, value),
            _ => return None,
        };
        self.column_to_literal(column, op, value)
    }

    fn column_to_literal(&self, column: &Expr, op: Operator, value: &ScalarValue) -> Option<Pushed> {
        if !matches!(op, Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq)
        {
            return None;
        }
        let (sql, data_type) = self.column(column)?;
        self.dialect.comparison(&sql, data_type, op, &self.literal(value, data_type)?)
    }

    fn literal(&self, value: &ScalarValue, data_type: &PgType) -> Option<String> {
        literal(self.dialect, value, data_type)
    }

    fn between(&self, between: &Between) -> Option<Pushed> {
        if between.negated {
            return None;
        }
        let low = self.comparison(&between.expr, Operator::GtEq, &between.low)?;
        let high = self.comparison(&between.expr, Operator::LtEq, &between.high)?;
        Some(join(&low, "AND", &high))
    }

    fn in_list(&self, list: &InList) -> Option<Pushed> {
        if list.list.is_empty() || list.list.len() > IN_LIST_MAX {
            return None;
        }
        let (sql, data_type) = self.column(&list.expr)?;
        let literals =
            list.list.iter().map(|item| self.literal(literal_of(item)?, data_type)).collect::<Option<Vec<_>>>()?;
        let pushed = self.dialect.in_list(&sql, data_type, &literals, list.negated)?;
        (!list.negated || pushed.fidelity == Fidelity::Identical).then_some(pushed)
    }

    fn column(&self, expr: &Expr) -> Option<(String, &'a PgType)> {
        let Expr::Column(Column { name, .. }) = expr else { return None };
        let column = self.table.columns.iter().find(|column| &column.name == name)?;
        Some((self.dialect.identifier(self.table.remote_column(column)), &column.data_type))
    }
}

/// A literal that is not NULL and of the storage of what it is compared with, or a number that is compared with one: other
/// comparisons across types are ours.
pub(crate) fn literal(dialect: &(impl Dialect + ?Sized), value: &ScalarValue, data_type: &PgType) -> Option<String> {
    if value.is_null() {
        return None;
    }
    if same_storage(&value.data_type(), &data_type.storage()) {
        return dialect.literal(value, data_type);
    }
    let own = PgType::of_arrow(&value.data_type());
    let are_numbers = dialect.compares_numbers() && is_exact_number(data_type) && is_exact_number(&own);
    if are_numbers { dialect.literal(value, &own) } else { None }
}

fn is_exact_number(data_type: &PgType) -> bool {
    data_type.user.is_none() && matches!(data_type.oid, oids::INT2 | oids::INT4 | oids::INT8 | oids::NUMERIC)
}

fn identical(sql: String) -> Pushed {
    Pushed { sql, fidelity: Fidelity::Identical }
}

fn join(left: &Pushed, word: &str, right: &Pushed) -> Pushed {
    Pushed { sql: format!("({} {word} {})", left.sql, right.sql), fidelity: left.fidelity.min(right.fidelity) }
}

/// The comparison that a name stands for in a call of [`COMPARE_FUNCTION`].
pub fn operator_named(name: &str) -> Option<Operator> {
    Some(match name {
        "=" => Operator::Eq,
        "!=" => Operator::NotEq,
        "<" => Operator::Lt,
        "<=" => Operator::LtEq,
        ">" => Operator::Gt,
        ">=" => Operator::GtEq,
        _ => return None,
    })
}

fn literal_of(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    literal_of(expr).and_then(|value| value.try_as_str().flatten())
}

/// Whether a literal's Arrow type is the column's storage, string and binary layouts counting as one.
pub(crate) fn same_storage(literal: &DataType, column: &DataType) -> bool {
    literal == column
        || (literal.is_string() && column.is_string())
        || (literal.is_binary() && column.is_binary() && !matches!(column, DataType::FixedSizeBinary(_)))
}
