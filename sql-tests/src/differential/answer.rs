//! What an endpoint answers to a statement, and how two answers differ.

use std::fmt;

use anyhow::{Context, Result};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, SimpleQueryMessage};

use super::table::Row;
use crate::decode;
use crate::engine::{Endpoint, Raw};

/// OIDs from which on types are the database's own, which differ from server to server.
const FIRST_OWN_OID: u32 = 16_384;
/// Rows of a difference that are shown.
const SHOWN_ROWS_MAX: usize = 3;
/// Characters of a row that are shown.
const SHOWN_CHARS_MAX: usize = 600;

/// Name, type and type modifier of each column.
pub type Columns = Vec<(String, Type, i32)>;

/// An answer.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Rows.
    Rows {
        /// Their columns.
        columns: Columns,
        /// Their values as text.
        rows: Vec<Row>,
    },
    /// An error.
    Failure {
        /// Its SQLSTATE, or `connection` where the connection broke.
        sqlstate: String,
        /// Its message.
        message: String,
    },
}

impl Answer {
    /// How many rows it has; `None`: it failed.
    #[must_use]
    pub fn row_count(&self) -> Option<usize> {
        match self {
            Self::Rows { rows, .. } => Some(rows.len()),
            Self::Failure { .. } => None,
        }
    }

    /// The SQLSTATE of a failure.
    #[must_use]
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Rows { .. } => None,
            Self::Failure { sqlstate, .. } => Some(sqlstate),
        }
    }
}

/// In which format values travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The simple protocol.
    Text,
    /// The extended protocol.
    Binary,
}

/// A connection that is made again where it broke.
pub struct Asker {
    endpoint: Endpoint,
    client: Client,
    settings: String,
}

impl Asker {
    /// Connects.
    ///
    /// # Errors
    /// The endpoint does not accept the connection.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let client =
            endpoint.connect().await.with_context(|| format!("could not connect to port {}", endpoint.port))?;
        Ok(Self { endpoint: endpoint.clone(), client, settings: String::new() })
    }

    /// Runs statements whose answers do not matter.
    ///
    /// # Errors
    /// One of them fails.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).await.with_context(|| format!("failed: {sql}"))
    }

    /// Runs SET statements, which hold after a reconnect too until others are set.
    ///
    /// # Errors
    /// One of them fails.
    pub async fn set(&mut self, statements: &str) -> Result<()> {
        if self.settings != statements {
            statements.clone_into(&mut self.settings);
            if self.client.batch_execute(statements).await.is_err() {
                self.reconnect().await?;
            }
        }
        Ok(())
    }

    /// The first column of a query's rows.
    ///
    /// # Errors
    /// The query fails.
    pub async fn list(&self, sql: &str) -> Result<Vec<String>> {
        let messages = self.client.simple_query(sql).await.with_context(|| format!("failed: {sql}"))?;
        Ok(messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
            .collect())
    }

    /// The client, for COPY.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn reconnect(&mut self) -> Result<()> {
        self.client = self.endpoint.connect().await.context("the endpoint is gone")?;
        self.client.batch_execute(&self.settings).await.context("the settings do not hold any more")
    }

    /// Asks.
    ///
    /// # Errors
    /// The connection broke and could not be made again.
    pub async fn ask(&mut self, sql: &str, format: Format) -> Result<Answer> {
        match self.try_ask(sql, format).await {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let sqlstate = error.code().map_or("connection", |code| code.code()).to_owned();
                let message = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
                if self.client.is_closed() || error.is_closed() {
                    self.reconnect().await?;
                }
                Ok(Answer::Failure { sqlstate, message })
            }
        }
    }

    async fn try_ask(&self, sql: &str, format: Format) -> Result<Answer, tokio_postgres::Error> {
        let statement = self.client.prepare(sql).await?;
        let columns: Columns = statement
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_().clone(), column.type_modifier()))
            .collect();
        let mut rows = Vec::new();
        match format {
            Format::Binary => {
                for row in self.client.query(&statement, &[]).await? {
                    let mut values = Vec::with_capacity(columns.len());
                    for (index, (_, ty, _)) in columns.iter().enumerate() {
                        let value: Option<Raw> = row.try_get(index)?;
                        values.push(value.map(|raw| decode::text(ty, &raw.0)));
                    }
                    rows.push(values);
                }
            }
            Format::Text => {
                for message in self.client.simple_query(sql).await? {
                    if let SimpleQueryMessage::Row(row) = message {
                        rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
                    }
                }
            }
        }
        Ok(Answer::Rows { columns, rows })
    }
}

/// How Atoll's answer differs from the oracle's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In what, in a word.
    pub kind: Kind,
    /// What the two said.
    pub detail: String,
}

/// In what two answers differ. A shrunk statement must differ in the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Other rows.
    Rows,
    /// The same in another order.
    Order,
    /// Other names of columns.
    Names,
    /// Other types of columns, or type modifiers.
    Types,
    /// The oracle answers, Atoll fails with this.
    Fails(String),
    /// The oracle fails with this, Atoll answers.
    Answers(String),
    /// Both fail: the oracle with the first.
    Sqlstate(String, String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Rows => f.write_str("other rows"),
            Kind::Order => f.write_str("other order"),
            Kind::Names => f.write_str("other names"),
            Kind::Types => f.write_str("other types"),
            Kind::Fails(state) => write!(f, "fails with {state}"),
            Kind::Answers(state) => write!(f, "answers where PostgreSQL fails with {state}"),
            Kind::Sqlstate(oracle, atoll) => write!(f, "fails with {atoll} where PostgreSQL fails with {oracle}"),
        }?;
        write!(f, ": {}", self.detail)
    }
}

/// Compares. `ordered`: the order of the rows is decided by the statement; else they are compared as multisets.
#[must_use]
pub fn compare(oracle: &Answer, atoll: &Answer, ordered: bool) -> Option<Difference> {
    let (kind, detail) = match (oracle, atoll) {
        (Answer::Rows { columns: left, rows: left_rows }, Answer::Rows { columns: right, rows: right_rows }) => {
            return compare_columns(left, right).or_else(|| compare_rows(left_rows, right_rows, ordered));
        }
        (Answer::Rows { .. }, Answer::Failure { sqlstate, message }) => {
            (Kind::Fails(sqlstate.clone()), message.clone())
        }
        (Answer::Failure { sqlstate, message }, Answer::Rows { rows, .. }) => {
            (Kind::Answers(sqlstate.clone()), format!("{message}; {} rows here", rows.len()))
        }
        (Answer::Failure { sqlstate: left, message: said }, Answer::Failure { sqlstate: right, message: says }) => {
            if left == right {
                return None;
            }
            (Kind::Sqlstate(left.clone(), right.clone()), format!("PostgreSQL: {said}; Atoll: {says}"))
        }
    };
    Some(Difference { kind, detail })
}

fn compare_columns(oracle: &Columns, atoll: &Columns) -> Option<Difference> {
    let names = |columns: &Columns| columns.iter().map(|(name, ..)| name.clone()).collect::<Vec<_>>();
    if names(oracle) != names(atoll) {
        let detail = format!("PostgreSQL {:?}, Atoll {:?}", names(oracle), names(atoll));
        return Some(Difference { kind: Kind::Names, detail });
    }
    let types = |columns: &Columns| {
        columns
            .iter()
            .map(|(name, ty, modifier)| {
                let ty = if ty.oid() < FIRST_OWN_OID { ty.name() } else { "own" };
                format!("{name} {ty}({modifier})")
            })
            .collect::<Vec<_>>()
    };
    let (left, right) = (types(oracle), types(atoll));
    if left == right {
        return None;
    }
    let differing: Vec<_> =
        left.iter().zip(&right).filter(|(l, r)| l != r).map(|(l, r)| format!("PostgreSQL {l}, Atoll {r}")).collect();
    Some(Difference { kind: Kind::Types, detail: differing.join("; ") })
}

fn compare_rows(oracle: &[Row], atoll: &[Row], ordered: bool) -> Option<Difference> {
    if oracle == atoll {
        return None;
    }
    let sorted = |rows: &[Row]| {
        let mut rows: Vec<Row> = rows.to_vec();
        rows.sort();
        rows
    };
    let (left, right) = (sorted(oracle), sorted(atoll));
    if left == right {
        if !ordered {
            return None;
        }
        let at = oracle.iter().zip(atoll).position(|(l, r)| l != r).unwrap_or_default();
        let detail = format!("row {}: PostgreSQL {}, Atoll {}", at + 1, shown(oracle.get(at)), shown(atoll.get(at)));
        return Some(Difference { kind: Kind::Order, detail });
    }
    let (missing, extra) = multiset_differences(&left, &right);
    let list =
        |rows: &[&Row]| rows.iter().take(SHOWN_ROWS_MAX).map(|row| shown(Some(row))).collect::<Vec<_>>().join(" ");
    let detail = format!(
        "PostgreSQL {} rows, {} only there: {}; Atoll {} rows, {} only here: {}",
        left.len(),
        missing.len(),
        list(&missing),
        right.len(),
        extra.len(),
        list(&extra)
    );
    Some(Difference { kind: Kind::Rows, detail })
}

/// What is only in the first, and only in the second, of two sorted lists.
fn multiset_differences<'a>(left: &'a [Row], right: &'a [Row]) -> (Vec<&'a Row>, Vec<&'a Row>) {
    let (mut only_left, mut only_right) = (Vec::new(), Vec::new());
    let (mut lefts, mut rights) = (left.iter().peekable(), right.iter().peekable());
    loop {
        match (lefts.peek(), rights.peek()) {
            (Some(l), Some(r)) if l == r => {
                lefts.next();
                rights.next();
            }
            (Some(l), Some(r)) if l < r => only_left.extend(lefts.next()),
            (_, Some(_)) => only_right.extend(rights.next()),
            (Some(_), None) => only_left.extend(lefts.next()),
            (None, None) => return (only_left, only_right),
        }
    }
}

fn shown(row: Option<&Row>) -> String {
    let Some(row) = row else { return "(no row)".to_owned() };
    let values: Vec<_> =
        row.iter().map(|value| value.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("{text:?}"))).collect();
    let text = format!("({})", values.join(", "));
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Answer {
        let rows = rows.iter().map(|row| row.iter().map(|value| Some((*value).to_owned())).collect()).collect();
        Answer::Rows { columns: vec![("a".to_owned(), Type::INT4, -1)], rows }
    }

    fn kind(oracle: &Answer, atoll: &Answer, ordered: bool) -> Option<Kind> {
        compare(oracle, atoll, ordered).map(|difference| difference.kind)
    }

    #[test]
    fn rows_are_multisets_unless_their_order_is_decided() {
        let (there, here) = (rows(&[&["1"], &["2"]]), rows(&[&["2"], &["1"]]));
        assert_eq!((kind(&there, &here, false), kind(&there, &here, true)), (None, Some(Kind::Order)));
        assert_eq!(kind(&there, &rows(&[&["1"], &["1"], &["2"]]), false), Some(Kind::Rows));
        assert_eq!(kind(&rows(&[&["1"], &["1"]]), &rows(&[&["1"]]), false), Some(Kind::Rows));
    }

    #[test]
    fn errors_are_compared_by_their_state() {
        let failure = |state: &str| Answer::Failure { sqlstate: state.to_owned(), message: String::new() };
        assert_eq!(kind(&failure("22003"), &failure("22003"), false), None);
        assert_eq!(
            kind(&failure("22003"), &failure("22012"), false),
            Some(Kind::Sqlstate("22003".to_owned(), "22012".to_owned()))
        );
        assert_eq!(kind(&failure("22003"), &rows(&[]), false), Some(Kind::Answers("22003".to_owned())));
        assert_eq!(kind(&rows(&[]), &failure("0A000"), false), Some(Kind::Fails("0A000".to_owned())));
    }
}
