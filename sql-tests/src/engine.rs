//! The two ways to run a statement: the simple and the extended protocol.

use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

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

/// Which protocol runs the statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// The simple protocol: values come as text.
    Simple,
    /// The extended protocol: statements are prepared and described, values come in binary.
    Extended,
}

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The server's answer, with its SQLSTATE, which suites pin.
    #[error("{message} ({code})")]
    Database { message: String, code: String },
    /// The connection broke, or a value cannot be read.
    #[error("{0}")]
    Other(String),
}

impl From<tokio_postgres::Error> for EngineError {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(database) => {
                Self::Database { message: database.message().to_owned(), code: database.code().code().to_owned() }
            }
            None => Self::Other(error.to_string()),
        }
    }
}

/// One connection of a suite.
pub(crate) struct Engine {
    client: Client,
    mode: Mode,
}

impl Engine {
    pub(crate) async fn connect(endpoint: &Endpoint, mode: Mode) -> Result<Self, EngineError> {
        let mut config = tokio_postgres::Config::new();
        config.host(&endpoint.host).port(endpoint.port).user(&endpoint.user).dbname(&endpoint.dbname);
        if let Some(password) = &endpoint.password {
            config.password(password);
        }
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
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
                        Ok(shown(value.as_ref().map(|value| value.0.as_str())))
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
        match error {
            EngineError::Database { code, .. } => Some(code.clone()),
            EngineError::Other(_) => None,
        }
    }
}

/// A value as suites write it: NULL and the empty string can be told apart from words by their own signs.
fn shown(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) => text.to_owned(),
    }
}

/// A binary value as the text that the simple protocol would send.
struct Raw(String);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(data_type: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let text = match *data_type {
            Type::BOOL => if bool::from_sql(data_type, raw)? { "t" } else { "f" }.to_owned(),
            Type::INT2 => i16::from_sql(data_type, raw)?.to_string(),
            Type::INT4 => i32::from_sql(data_type, raw)?.to_string(),
            Type::INT8 => i64::from_sql(data_type, raw)?.to_string(),
            Type::OID => u32::from_sql(data_type, raw)?.to_string(),
            Type::FLOAT4 => {
                float(f64::from(f32::from_sql(data_type, raw)?), &f32::from_sql(data_type, raw)?.to_string())
            }
            Type::FLOAT8 => float(f64::from_sql(data_type, raw)?, &f64::from_sql(data_type, raw)?.to_string()),
            Type::NUMERIC => numeric(raw).ok_or("not a numeric")?,
            Type::UUID => uuid(raw),
            Type::DATE => date(raw).ok_or("not a date")?,
            Type::JSONB => String::from_utf8(raw.get(1..).unwrap_or_default().to_vec())?,
            // Text and everything that is sent as its text.
            _ => String::from_utf8(raw.to_vec())
                .map_err(|_| format!("suites in extended mode cannot show values of type {data_type}"))?,
        };
        Ok(Self(text))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn float(value: f64, shortest: &str) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    shortest.to_owned()
}

/// `numeric`'s send format: counts and digits in base 10,000 (PostgreSQL's numeric_send).
fn numeric(raw: &[u8]) -> Option<String> {
    let word = |index: usize| Some(u16::from_be_bytes(raw.get(2 * index..2 * index + 2)?.try_into().ok()?));
    let (digits, sign, scale) = (usize::from(word(0)?), word(2)?, usize::from(word(3)?));
    let weight = i32::from(i16::from_be_bytes(raw.get(2..4)?.try_into().ok()?));
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => {}
    }
    let digit = |position: i32| -> Option<u16> {
        match usize::try_from(position) {
            Ok(index) if index < digits => word(4 + index),
            _ => Some(0),
        }
    };
    let mut whole = String::new();
    for position in 0..=weight.max(0) {
        whole.push_str(&format!("{:04}", if weight < 0 { 0 } else { digit(position)? }));
    }
    let whole = whole.trim_start_matches('0');
    let mut fraction = String::new();
    let mut position = weight + 1;
    // Groups between the point and the first digit are zeros.
    while fraction.len() < scale {
        let group = if weight < -1 && position - (weight + 1) < -(weight + 1) {
            0
        } else {
            digit(position + (weight + 1).min(0))?
        };
        fraction.push_str(&format!("{group:04}"));
        position += 1;
    }
    fraction.truncate(scale);
    let sign = if sign == 0x4000 { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn uuid(raw: &[u8]) -> String {
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    match (hex.get(..8), hex.get(8..12), hex.get(12..16), hex.get(16..20), hex.get(20..)) {
        (Some(a), Some(b), Some(c), Some(d), Some(e)) => format!("{a}-{b}-{c}-{d}-{e}"),
        _ => hex,
    }
}

/// Days since 2000-01-01 as an ISO date, by Howard Hinnant's civil_from_days.
fn date(raw: &[u8]) -> Option<String> {
    let days = i64::from(i32::from_be_bytes(raw.try_into().ok()?)) + 10_957 + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_read_as_postgresql_prints_them() {
        let send = |digits: &[u16], weight: i16, sign: u16, scale: u16| {
            let mut raw = Vec::new();
            raw.extend(u16::try_from(digits.len()).unwrap_or(0).to_be_bytes());
            raw.extend(weight.to_be_bytes());
            raw.extend(sign.to_be_bytes());
            raw.extend(scale.to_be_bytes());
            raw.extend(digits.iter().flat_map(|digit| digit.to_be_bytes()));
            numeric(&raw)
        };
        assert_eq!(send(&[1, 2345, 6700], 1, 0, 2).as_deref(), Some("12345.67"));
        assert_eq!(send(&[5000], -1, 0x4000, 1).as_deref(), Some("-0.5"));
        assert_eq!(send(&[12], -2, 0, 8).as_deref(), Some("0.00000012"));
        assert_eq!(send(&[], 0, 0, 2).as_deref(), Some("0.00"));
        assert_eq!(send(&[1], 2, 0, 0).as_deref(), Some("100000000"));
    }

    #[test]
    fn dates_are_iso() {
        assert_eq!(date(&0_i32.to_be_bytes()).as_deref(), Some("2000-01-01"));
        assert_eq!(date(&8_825_i32.to_be_bytes()).as_deref(), Some("2024-02-29"));
        assert_eq!(date(&(-10_958_i32).to_be_bytes()).as_deref(), Some("1969-12-31"));
    }
}
