//! A part of a plan that one source answers whole: a query over its relations, as data.
//!
//! The server builds a [`Query`] operator by operator and asks after each one whether the source's [`QueryDialect`] still
//! writes it: what a dialect does not write is not declared identical, and stays with the server.

mod render;
mod table;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;

use crate::pushdown::Dialect;
use crate::types::{Arithmetic, PgType, oids};

pub use render::{predicate, render, select};
pub use table::{FederatedTable, Relation, RelationColumn, RemoteRelation, reading_type, unwritten};

/// A relation's number within one query. It has a name in the SQL text only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RelationId(pub usize);

/// One `SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The result's columns.
    pub outputs: Vec<Scalar>,
    /// What is read.
    pub from: From,
    /// Conditions that all hold of a row that counts.
    pub filter: Vec<Scalar>,
    /// The keys of `GROUP BY`; with none of them everything is one group. `None`: rows are not grouped.
    pub groups: Option<Vec<Scalar>>,
    /// Conditions that all hold of a group that counts.
    pub having: Vec<Scalar>,
    /// The order of the result, which is of use with a limit.
    pub order: Vec<SortKey>,
    /// Rows of the result at most.
    pub limit: Option<u64>,
}

/// What a query reads.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// A relation of the source, by the parts of its name.
    Table {
        /// How columns refer to it.
        id: RelationId,
        /// For example schema and table.
        name: Vec<String>,
    },
    /// Another query, whose columns are named by [`output_name`].
    Query {
        /// How columns refer to it.
        id: RelationId,
        /// The query.
        query: Box<Query>,
    },
    /// The rows of several queries of the same columns, one after the other, named as those of one.
    Union {
        /// How columns refer to it.
        id: RelationId,
        /// The queries, at least one.
        queries: Vec<Query>,
    },
    /// Two of them, joined.
    Join {
        /// The left side.
        left: Box<From>,
        /// The right side.
        right: Box<From>,
        /// Whether rows of the left side stay that match none of the right.
        outer: bool,
        /// What a pair has to fulfil.
        on: Vec<Scalar>,
    },
}

/// The name of a column of a query that another query reads, by its place.
#[must_use]
pub fn output_name(index: usize) -> String {
    format!("c{}", index + 1)
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// A column of something in `FROM`.
    Column(ColumnRef),
    /// A constant. Its type is that of what it is compared with.
    Literal(ScalarValue),
    /// One of `=`, `<>`, `<`, `<=`, `>`, `>=`.
    Compare(Operator, Box<Scalar>, Box<Scalar>),
    /// All of them.
    And(Vec<Scalar>),
    /// Any of them.
    Or(Vec<Scalar>),
    /// `NOT`.
    Not(Box<Scalar>),
    /// `IS NULL`; negated `IS NOT NULL`.
    IsNull(Box<Scalar>, bool),
    /// `IN` a list of constants; negated `NOT IN`.
    InList(Box<Scalar>, Vec<ScalarValue>, bool),
    /// `LIKE` a pattern without an escape clause of its own; negated `NOT LIKE`.
    Like(Box<Scalar>, String, bool),
    /// A sum, difference or product of two numbers, one of them `numeric`, as which the other is taken.
    Arithmetic(Arithmetic, Box<Scalar>, Box<Scalar>),
    /// An aggregate over the rows of a group.
    Aggregate(Box<Aggregate>),
    /// Whether a query, which may refer to relations around it, has a row; negated: has none.
    Exists(Box<Query>, bool),
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRef {
    /// What it belongs to.
    pub relation: RelationId,
    /// Its name there.
    pub name: String,
    /// Its type, as the server sees it.
    pub data_type: PgType,
    /// Its values mean at the source what they mean here; of others only the values themselves are of use.
    pub plain: bool,
    /// How the source compares its texts; `None`: it is not known, or these are no texts.
    pub collation: Option<u32>,
    /// How it is asked for.
    pub transfer: Transfer,
}

/// How a column's values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// As they are.
    Native,
    /// As text, by a cast.
    Text,
    /// As text, by a function of the source.
    Function(&'static str),
}

/// An aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub function: AggregateFunction,
    /// Its argument; `None`: `count(*)`.
    pub argument: Option<Scalar>,
    /// Equal arguments count once.
    pub distinct: bool,
    /// Rows for which this is not true do not count.
    pub filter: Option<Scalar>,
    /// The result's type.
    pub data_type: PgType,
}

/// The aggregates that a source may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in SQL")]
pub enum AggregateFunction {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    BoolAnd,
    BoolOr,
}

/// A key of `ORDER BY`.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// What is ordered by.
    pub scalar: Scalar,
    /// From the greatest down.
    pub descending: bool,
    /// Where NULL stands.
    pub nulls_first: bool,
}

/// An expression as SQL text, for a dialect to build on.
#[derive(Debug, Clone, PartialEq)]
pub struct Written<'a> {
    /// Complete in itself.
    pub sql: String,
    /// Its type.
    pub data_type: &'a PgType,
    /// As [`ColumnRef::collation`].
    pub collation: Option<u32>,
}

/// What a source declares to compute as Atoll does, beyond filters. Whatever is not declared is `None` or `false`.
pub trait QueryDialect: Dialect {
    /// Values of the type that are equal are equal here too, and look alike: `GROUP BY`, `DISTINCT`.
    fn groups(&self, _data_type: &PgType) -> bool {
        false
    }

    /// A query reads one relation, whose columns are written by their names alone.
    fn is_of_one_table(&self) -> bool {
        false
    }

    /// What to write for a key of `ORDER BY`, without direction.
    fn order(&self, _key: &Written<'_>) -> Option<String> {
        None
    }

    /// A key of `ORDER BY` with direction and the place of NULLs.
    fn sort_key(&self, key: &Written<'_>, descending: bool, nulls_first: bool) -> Option<String> {
        let direction = if descending { "DESC" } else { "ASC" };
        let nulls = if nulls_first { "FIRST" } else { "LAST" };
        Some(format!("{} {direction} NULLS {nulls}", self.order(key)?))
    }

    /// A comparison of two expressions.
    fn compare(&self, _left: &Written<'_>, _operator: Operator, _right: &Written<'_>) -> Option<String> {
        None
    }

    /// An aggregate's call, without DISTINCT and FILTER; no argument is `count(*)`.
    fn aggregate(&self, _aggregate: &Aggregate, _argument: Option<&Written<'_>>) -> Option<AggregateCall> {
        None
    }

    /// What [`Scalar::Arithmetic`] says, complete in itself.
    fn arithmetic(&self, _left: &str, _operation: Arithmetic, _right: &str) -> Option<String> {
        None
    }

    /// A column of the result, as it is asked for.
    fn transfer(&self, sql: &str, transfer: Transfer) -> Option<String> {
        (transfer == Transfer::Native).then(|| sql.to_owned())
    }
}

/// An aggregate's call in a dialect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateCall {
    /// The function's name.
    pub function: &'static str,
    /// Its argument.
    pub argument: String,
    /// The type to which the source casts the result.
    pub cast: Option<&'static str>,
}

impl Query {
    /// Whether conditions, groups and joins can be added to it as it stands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.groups.is_none() && self.is_unlimited()
    }

    /// Whether it has all the rows that it can have, in no order.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.order.is_empty() && self.limit.is_none()
    }

    /// The same rows, read from it as from a relation.
    #[must_use]
    pub fn nested(self, id: RelationId) -> Self {
        let outputs = nested_columns(&self.outputs, id);
        Self::over(From::Query { id, query: Box::new(self) }, outputs)
    }

    /// The number of its rows: what is asked of a query without columns.
    #[must_use]
    pub fn counted(self) -> Self {
        let open = self.is_open();
        let mut query = if open { self } else { self.nested(RelationId(usize::MAX)) };
        let count = Aggregate {
            function: AggregateFunction::Count,
            argument: None,
            distinct: false,
            filter: None,
            data_type: PgType::new(oids::INT8),
        };
        query.outputs = vec![Scalar::Aggregate(Box::new(count))];
        query.groups = Some(Vec::new());
        query
    }

    /// All rows of what is read.
    #[must_use]
    pub fn over(from: From, outputs: Vec<Scalar>) -> Self {
        Self { outputs, from, filter: Vec::new(), groups: None, having: Vec::new(), order: Vec::new(), limit: None }
    }
}

/// The columns of a query as the query around it sees them.
pub fn nested_columns(outputs: &[Scalar], id: RelationId) -> Vec<Scalar> {
    let column = |(index, scalar): (usize, &Scalar)| {
        let (data_type, plain, collation, transfer) = match scalar {
            Scalar::Column(column) => (column.data_type.clone(), column.plain, column.collation, column.transfer),
            Scalar::Aggregate(aggregate) => (aggregate.data_type.clone(), true, None, Transfer::Native),
            Scalar::Arithmetic(..) => (PgType::new(oids::NUMERIC), true, None, Transfer::Native),
            _ => (PgType::new(oids::BOOL), false, None, Transfer::Native),
        };
        Scalar::Column(ColumnRef { relation: id, name: output_name(index), data_type, plain, collation, transfer })
    };
    outputs.iter().enumerate().map(column).collect()
}

impl Scalar {
    /// Its type; `None` for a constant.
    #[must_use]
    pub fn data_type(&self) -> Option<PgType> {
        match self {
            Self::Column(column) => Some(column.data_type.clone()),
            Self::Aggregate(aggregate) => Some(aggregate.data_type.clone()),
            Self::Literal(_) => None,
            Self::Arithmetic(..) => Some(PgType::new(oids::NUMERIC)),
            _ => Some(PgType::new(oids::BOOL)),
        }
    }

    /// Whether a query can have it as a column.
    #[must_use]
    pub const fn is_output(&self) -> bool {
        matches!(self, Self::Column(_) | Self::Aggregate(_) | Self::Arithmetic(..))
    }
}
