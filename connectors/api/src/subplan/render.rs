//! A query as SQL text. What a dialect does not declare makes no text at all.

use std::collections::HashMap;

use datafusion::common::ScalarValue;

use super::{Aggregate, From, Query, QueryDialect, RelationId, Scalar, SortKey, Written, output_name};
use crate::pushdown::{Fidelity, Pushed, literal};
use crate::types::{PgType, oids};

/// Conditions in one query beyond which it is not sent: remote parsers have limits of their own.
const CONDITIONS_MAX: usize = 200;

/// A query's text as the source is asked, with its columns as they travel.
pub fn render(dialect: &dyn QueryDialect, query: &Query) -> Option<String> {
    let mut renderer = Renderer::new(dialect);
    renderer.query(query, Columns::Transferred)
}

/// A query whose rows can be narrowed by further conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenQuery {
    /// The text before `WHERE`.
    pub head: String,
    /// Conditions, each complete in itself.
    pub conditions: Vec<String>,
    /// What a further condition says for each of the query's columns; `None`: its values mean something else there.
    pub columns: Vec<Option<String>>,
}

/// The same in parts, where nothing follows the conditions.
pub fn render_open(dialect: &dyn QueryDialect, query: &Query) -> Option<OpenQuery> {
    if !query.is_open() || query.outputs.is_empty() {
        return None;
    }
    let mut renderer = Renderer::new(dialect);
    let all = Query { filter: Vec::new(), ..query.clone() };
    let head = renderer.query(&all, Columns::Transferred)?;
    let conditions = query.filter.iter().map(|condition| renderer.predicate(condition)).collect::<Option<_>>()?;
    let column = |scalar: &Scalar| match scalar {
        Scalar::Column(column) if column.plain => renderer.value(scalar),
        _ => None,
    };
    let columns = query.outputs.iter().map(column).collect();
    Some(OpenQuery { head, conditions, columns })
}

/// Whether a condition over relations that some query around it reads can be written.
pub fn predicate(dialect: &dyn QueryDialect, scalar: &Scalar) -> bool {
    Renderer::new(dialect).predicate(scalar).is_some()
}

/// Whether an expression can be a column of a query or an argument.
pub fn select(dialect: &dyn QueryDialect, scalar: &Scalar) -> bool {
    Renderer::new(dialect).value(scalar).is_some()
}

/// What a query's columns are for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    /// The answer.
    Transferred,
    /// A query around it.
    Named,
    /// Whether there are rows.
    None,
}

struct Renderer<'a> {
    dialect: &'a dyn QueryDialect,
    /// Relations in the order in which FROM has them.
    names: HashMap<RelationId, String>,
    conditions: usize,
}

impl<'a> Renderer<'a> {
    fn new(dialect: &'a dyn QueryDialect) -> Self {
        Self { dialect, names: HashMap::new(), conditions: 0 }
    }

    fn query(&mut self, query: &Query, columns: Columns) -> Option<String> {
        let mut sql = String::new();
        let from = self.from(&query.from)?;
        let mut outputs = Vec::with_capacity(query.outputs.len());
        for (index, scalar) in query.outputs.iter().enumerate() {
            let text = match columns {
                Columns::None => break,
                Columns::Named => {
                    format!("{} AS {}", self.value(scalar)?, self.dialect.identifier(&output_name(index)))
                }
                Columns::Transferred => {
                    let text = self.value(scalar)?;
                    match scalar {
                        Scalar::Column(column) => self.dialect.transfer(&text, column.transfer)?,
                        _ => text,
                    }
                }
            };
            outputs.push(text);
        }
        if outputs.is_empty() {
            outputs.push("1".to_owned());
        }
        sql.push_str(&format!("SELECT {} FROM {from}", outputs.join(", ")));
        self.clause(&mut sql, " WHERE ", &query.filter)?;
        if let Some(groups) = query.groups.as_ref().filter(|groups| !groups.is_empty()) {
            let keys = groups.iter().map(|key| self.group(key)).collect::<Option<Vec<_>>>()?;
            sql.push_str(&format!(" GROUP BY {}", keys.join(", ")));
        }
        self.clause(&mut sql, " HAVING ", &query.having)?;
        if !query.order.is_empty() {
            let keys = query.order.iter().map(|key| self.sort_key(key)).collect::<Option<Vec<_>>>()?;
            sql.push_str(&format!(" ORDER BY {}", keys.join(", ")));
        }
        if let Some(limit) = query.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        Some(sql)
    }

    fn clause(&mut self, sql: &mut String, word: &str, conditions: &[Scalar]) -> Option<()> {
        if !conditions.is_empty() {
            sql.push_str(word);
            sql.push_str(&self.conjunction(conditions)?);
        }
        Some(())
    }

    fn conjunction(&mut self, conditions: &[Scalar]) -> Option<String> {
        let texts = conditions.iter().map(|condition| self.predicate(condition)).collect::<Option<Vec<_>>>()?;
        Some(texts.join(" AND "))
    }

    fn from(&mut self, from: &From) -> Option<String> {
        let alone = self.dialect.is_of_one_table();
        Some(match from {
            From::Table { id, name } => {
                let parts: Vec<_> = name.iter().map(|part| self.dialect.identifier(part)).collect();
                let text = parts.join(".");
                if alone { text } else { format!("{text} {}", self.name(*id)) }
            }
            _ if alone => return None,
            From::Query { id, query } => {
                let text = self.query(query, Columns::Named)?;
                format!("({text}) {}", self.name(*id))
            }
            From::Union { id, queries } => {
                let texts =
                    queries.iter().map(|query| self.query(query, Columns::Named)).collect::<Option<Vec<_>>>()?;
                // Parentheses keep a branch's ORDER BY and LIMIT its own.
                let texts: Vec<_> = texts.into_iter().map(|text| format!("({text})")).collect();
                format!("({}) {}", texts.join(" UNION ALL "), self.name(*id))
            }
            From::Join { left, right, outer, on } => {
                let left = self.from(left)?;
                let nested = matches!(right.as_ref(), From::Join { .. });
                let right = self.from(right)?;
                let right = if nested { format!("({right})") } else { right };
                let word = if *outer { "LEFT JOIN" } else { "JOIN" };
                format!("{left} {word} {right} ON {}", self.conjunction(on)?)
            }
        })
    }

    /// A relation's name. Conditions may be asked about before the query around them is written.
    fn name(&mut self, id: RelationId) -> String {
        let next = self.names.len() + 1;
        self.names.entry(id).or_insert_with(|| format!("r{next}")).clone()
    }

    fn group(&mut self, key: &Scalar) -> Option<String> {
        let Scalar::Column(column) = key else { return None };
        (column.plain && self.dialect.groups(&column.data_type)).then(|| self.value(key))?
    }

    fn sort_key(&mut self, key: &SortKey) -> Option<String> {
        if matches!(&key.scalar, Scalar::Column(column) if !column.plain) || !key.scalar.is_output() {
            return None;
        }
        let data_type = key.scalar.data_type()?;
        let written = self.written(&key.scalar, &data_type)?;
        self.dialect.sort_key(&written, key.descending, key.nulls_first)
    }

    fn written<'t>(&mut self, scalar: &Scalar, data_type: &'t PgType) -> Option<Written<'t>> {
        let collation = match scalar {
            Scalar::Column(column) => column.collation,
            _ => None,
        };
        Some(Written { sql: self.value(scalar)?, data_type, collation })
    }

    /// A column, or what is computed of columns.
    fn value(&mut self, scalar: &Scalar) -> Option<String> {
        match scalar {
            Scalar::Column(column) if self.dialect.is_of_one_table() => Some(self.dialect.identifier(&column.name)),
            Scalar::Column(column) => {
                Some(format!("{}.{}", self.name(column.relation), self.dialect.identifier(&column.name)))
            }
            Scalar::Aggregate(aggregate) => self.aggregate(aggregate),
            Scalar::Arithmetic(operation, left, right) => {
                let (left, right) = (self.number(left)?, self.number(right)?);
                self.dialect.arithmetic(&left, *operation, &right)
            }
            _ => None,
        }
    }

    fn number(&mut self, scalar: &Scalar) -> Option<String> {
        match scalar {
            Scalar::Literal(value) => self.literal(value, &PgType::of_arrow(&value.data_type())),
            Scalar::Column(column) if !column.plain => None,
            Scalar::Column(_) | Scalar::Arithmetic(..) => self.value(scalar),
            _ => None,
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Option<String> {
        let data_type = aggregate.argument.as_ref().and_then(Scalar::data_type);
        let argument = match (&aggregate.argument, &data_type) {
            (Some(argument), Some(data_type)) => Some(self.comparable(argument, data_type)?),
            (None, _) => None,
            _ => return None,
        };
        if aggregate.distinct && !data_type.as_ref().is_some_and(|data_type| self.dialect.groups(data_type)) {
            return None;
        }
        let call = self.dialect.aggregate(aggregate, argument.as_ref())?;
        let distinct = if aggregate.distinct { "DISTINCT " } else { "" };
        let mut sql = format!("{}({distinct}{})", call.function, call.argument);
        if let Some(filter) = &aggregate.filter {
            sql.push_str(&format!(" FILTER (WHERE {})", self.predicate(filter)?));
        }
        Some(match call.cast {
            Some(name) => format!("CAST({sql} AS {name})"),
            None => sql,
        })
    }

    /// An expression whose values mean the same on both sides.
    fn comparable<'t>(&mut self, scalar: &Scalar, data_type: &'t PgType) -> Option<Written<'t>> {
        if matches!(scalar, Scalar::Column(column) if !column.plain) {
            return None;
        }
        self.written(scalar, data_type)
    }

    fn predicate(&mut self, scalar: &Scalar) -> Option<String> {
        self.conditions += 1;
        if self.conditions > CONDITIONS_MAX {
            return None;
        }
        match scalar {
            Scalar::Compare(operator, left, right) => match (left.as_ref(), right.as_ref()) {
                (Scalar::Literal(_), Scalar::Literal(_)) => None,
                (value, Scalar::Literal(literal)) => self.compared(value, *operator, literal),
                (Scalar::Literal(literal), value) => self.compared(value, operator.swap()?, literal),
                (left, right) => {
                    let types = (left.data_type()?, right.data_type()?);
                    let left = self.comparable(left, &types.0)?;
                    let right = self.comparable(right, &types.1)?;
                    self.dialect.compare(&left, *operator, &right)
                }
            },
            Scalar::And(parts) => self.connected(parts, " AND "),
            Scalar::Or(parts) => self.connected(parts, " OR "),
            Scalar::Not(inner) => Some(format!("(NOT {})", self.predicate(inner)?)),
            Scalar::IsNull(value, negated) => {
                let data_type = value.data_type()?;
                let written = self.comparable(value, &data_type)?;
                identical(self.dialect.is_null(&written.sql, &data_type, *negated))
            }
            Scalar::InList(value, list, negated) => {
                let data_type = value.data_type()?;
                let written = self.comparable(value, &data_type)?;
                let list = list.iter().map(|item| self.literal(item, &data_type)).collect::<Option<Vec<_>>>()?;
                identical(self.dialect.in_list(&written.sql, &data_type, &list, *negated))
            }
            Scalar::Like(value, pattern, negated) => {
                let data_type = value.data_type()?;
                let written = self.comparable(value, &data_type)?;
                identical(self.dialect.like(&written.sql, &data_type, pattern, *negated))
            }
            Scalar::Column(column) if column.data_type.oid == oids::BOOL && column.plain => {
                let text = self.value(scalar)?;
                identical(self.dialect.boolean_column(&text))
            }
            Scalar::Exists(..) if self.dialect.is_of_one_table() => None,
            Scalar::Exists(query, negated) => {
                let word = if *negated { "NOT EXISTS" } else { "EXISTS" };
                Some(format!("({word} ({}))", self.query(query, Columns::None)?))
            }
            Scalar::Column(_) | Scalar::Literal(_) | Scalar::Aggregate(_) | Scalar::Arithmetic(..) => None,
        }
    }

    fn compared(
        &mut self,
        value: &Scalar,
        operator: datafusion::logical_expr::Operator,
        literal: &ScalarValue,
    ) -> Option<String> {
        let data_type = value.data_type()?;
        let written = self.comparable(value, &data_type)?;
        let literal = self.literal(literal, &data_type)?;
        identical(self.dialect.comparison(&written.sql, &data_type, operator, &literal))
    }

    fn literal(&self, value: &ScalarValue, data_type: &PgType) -> Option<String> {
        literal(self.dialect, value, data_type)
    }

    fn connected(&mut self, parts: &[Scalar], word: &str) -> Option<String> {
        let texts = parts.iter().map(|part| self.predicate(part)).collect::<Option<Vec<_>>>()?;
        (!texts.is_empty()).then(|| format!("({})", texts.join(word)))
    }
}

fn identical(pushed: Option<Pushed>) -> Option<String> {
    pushed.filter(|pushed| pushed.fidelity == Fidelity::Identical).map(|pushed| pushed.sql)
}
