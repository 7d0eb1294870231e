//! A table of the suite: its columns, its rows, and the source that Atoll reads it from.

use std::fmt;
use std::sync::Arc;

/// The values of a row, in PostgreSQL's text format.
pub type Row = Vec<Option<String>>;

/// Makes the rows anew whenever they are asked for, so that no table has to be held in memory.
pub type MakeRows = Arc<dyn Fn() -> Box<dyn Iterator<Item = Row> + Send> + Send + Sync>;

/// Where Atoll reads a table from. The oracle has it too, wherever it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Source {
    Postgres,
    MariaDb,
    Sqlite,
    Parquet,
    Csv,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Postgres, Self::MariaDb, Self::Sqlite, Self::Parquet, Self::Csv];

    /// A short name: that of the schema which holds the random generator's tables of this source.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Postgres => "pg",
            Self::MariaDb => "my",
            Self::Sqlite => "lite",
            Self::Parquet => "parq",
            Self::Csv => "csv",
        }
    }

    /// Whether it is a database, which can be asked to filter.
    #[must_use]
    pub const fn is_database(self) -> bool {
        matches!(self, Self::Postgres | Self::MariaDb | Self::Sqlite)
    }
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as PostgreSQL writes it: `numeric(12,2)`, `character varying(10)` as `varchar(10)`.
    pub ty: String,
}

impl Column {
    /// A column of a name and a type.
    #[must_use]
    pub fn new(name: &str, ty: &str) -> Self {
        Self { name: name.to_owned(), ty: ty.to_owned() }
    }

    /// The type without what stands in parentheses.
    #[must_use]
    pub fn base(&self) -> &str {
        self.ty.split('(').next().unwrap_or_default()
    }

    /// What stands in the type's parentheses: `(12,2)`, or nothing.
    #[must_use]
    pub fn modifier(&self) -> &str {
        self.ty.find('(').and_then(|at| self.ty.get(at..)).unwrap_or_default()
    }
}

/// A table.
#[derive(Clone)]
pub struct Table {
    /// The schema, in the oracle and in Atoll.
    pub schema: String,
    /// The name.
    pub name: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// Where Atoll reads it from.
    pub source: Source,
    /// The rows.
    pub rows: MakeRows,
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} in {:?}", self.schema, self.name, self.source)
    }
}

impl Table {
    /// The columns as CREATE TABLE lists them, each type passed through `translate`.
    #[must_use]
    pub fn definition(&self, quote: char, translate: impl Fn(&Column) -> String) -> String {
        let columns: Vec<_> =
            self.columns.iter().map(|column| format!("{quote}{}{quote} {}", column.name, translate(column))).collect();
        columns.join(", ")
    }

    /// The name that no other table of the suite has, for sources that have no schemas.
    #[must_use]
    pub fn flat_name(&self) -> String {
        format!("{}_{}", self.schema, self.name)
    }
}
