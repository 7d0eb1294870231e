//! The two ways to run a statement: the simple and the extended protocol.

use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio_postgres::error::ErrorPosition;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Column, NoTls, SimpleQueryMessage};

use crate::decode;

/// Where to connect.
#[derive(Clone)]
#[expect(missing_docs, reason = "the parts of a connection string")]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<String>,
    pub dbname: String,
}

impl Endpoint {
    /// Connects. Instants are shown in UTC: results must not depend on where they are made.
    pub(crate) async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).user(&self.user).dbname(&self.dbname);
        if let Some(password) = &self.password {
            config.password(password);
        }
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("SET TimeZone = 'UTC'").await?;
        Ok(client)
    }
}

/// Which protocol runs the statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The simple protocol: values come as text.
    Simple,
    /// The extended protocol: statements are prepared and described, values come in binary.
    Extended,
}

/// What a statement failed with.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct EngineError {
    /// `message (SQLSTATE) DETAIL: … HINT: … POSITION: n`, as far as the server said them.
    text: String,
    sqlstate: Option<String>,
}

impl From<tokio_postgres::Error> for EngineError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(server) = error.as_db_error() else {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            return Self { text: format!("{error}{cause}"), sqlstate: None };
        };
        let mut text = format!("{} ({})", server.message(), server.code().code());
        for (label, part) in [("DETAIL", server.detail()), ("HINT", server.hint())] {
            if let Some(part) = part {
                text.push_str(&format!(" {label}: {part}"));
            }
        }
        if let Some(ErrorPosition::Original(position)) = server.position() {
            text.push_str(&format!(" POSITION: {position}"));
        }
        Self { text, sqlstate: Some(server.code().code().to_owned()) }
    }
}

/// One connection of a suite.
pub(crate) struct Engine {
    client: Client,
    mode: Mode,
}

impl Engine {
    pub(crate) async fn connect(endpoint: &Endpoint, mode: Mode, settings: &str) -> Result<Self, EngineError> {
        let client = endpoint.connect().await?;
        if !settings.is_empty() {
            client.batch_execute(settings).await?;
        }
        Ok(Self { client, mode })
    }

    async fn simple(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        let mut rows = Vec::new();
        let mut columns = None;
        let mut count = 0;
        for message in self.client.simple_query(sql).await? {
            match message {
                SimpleQueryMessage::RowDescription(description) => columns = Some(description.len()),
                SimpleQueryMessage::Row(row) => {
                    columns = Some(row.len());
                    rows.push((0..row.len()).map(|index| shown(row.get(index))).collect());
                }
                SimpleQueryMessage::CommandComplete(affected) => count = affected,
                _ => {}
            }
        }
        Ok(match columns {
            Some(columns) => DBOutput::Rows { types: vec![DefaultColumnType::Any; columns], rows },
            None => DBOutput::StatementComplete(count),
        })
    }

    async fn extended(&self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        let statement = self.client.prepare(sql).await?;
        if statement.columns().is_empty() {
            return Ok(DBOutput::StatementComplete(self.client.execute(&statement, &[]).await?));
        }
        let types = vec![DefaultColumnType::Any; statement.columns().len()];
        let rows = self
            .client
            .query(&statement, &[])
            .await?
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|index| {
                        let value: Option<Raw> = row.try_get(index)?;
                        let ty = row.columns().get(index).map_or(&Type::UNKNOWN, Column::type_);
                        Ok(shown(value.map(|raw| decode::text(ty, &raw.0)).as_deref()))
                    })
                    .collect::<Result<Vec<_>, EngineError>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(DBOutput::Rows { types, rows })
    }
}

#[async_trait]
impl AsyncDB for Engine {
    type Error = EngineError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, EngineError> {
        match self.mode {
            Mode::Simple => self.simple(sql).await,
            Mode::Extended => self.extended(sql).await,
        }
    }

    async fn shutdown(&mut self) {}

    fn engine_name(&self) -> &'static str {
        match self.mode {
            Mode::Simple => "simple",
            Mode::Extended => "extended",
        }
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &EngineError) -> Option<String> {
        error.sqlstate.clone()
    }
}

/// A value as suites write it: NULL and the empty string can be told apart from words by their own signs.
fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        // A row is a line.
        Some(text) => text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t"),
    }
}

/// The bytes of a value of any type.
pub(crate) struct Raw(pub(crate) Vec<u8>);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
