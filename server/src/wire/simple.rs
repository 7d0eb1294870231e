//! The simple query protocol.

use super::backend;
use super::connection::{Connection, Failure};
use super::encode::Formats;
use super::rows::{Cursor, send_copy};
use crate::error::{SqlError, SqlState};
use crate::session::{Outcome, RowsTag, TransactionStatus};
use crate::statement::{ParsedStatement, Statement, WrittenKind, WrittenToken, written_tokens};

impl Connection {
    /// Runs all statements of a text; the first that fails is the last.
    pub(super) async fn simple_query(&mut self, sql: &str) -> Result<(), Failure> {
        // As in PostgreSQL, a simple query takes the unnamed statement and portal away.
        self.unnamed = None;
        self.portals.remove("");
        let mut statements = self.session.parse(sql)?;
        statements.retain(|statement| !matches!(statement.statement, Statement::Empty));
        if statements.is_empty() {
            self.push(&backend::empty_query())?;
        }
        let count = statements.len();
        for (index, statement) in statements.into_iter().enumerate() {
            self.run_statement(statement, index + 1 == count).await?;
        }
        Ok(self.finish_simple().await?)
    }

    async fn run_statement(&mut self, statement: ParsedStatement, last: bool) -> Result<(), Failure> {
        self.meet_portals(&statement).await?;
        let prepared = self.link.attend(self.session.prepare(Some(statement), &[])).await??;
        self.push_notices()?;
        if !prepared.parameters.is_empty() {
            return Err(no_parameter(prepared.statement.as_ref()).into());
        }
        let outcome = self.run_prepared(&prepared, Vec::new()).await?;
        let style = self.session.output_style();
        let message = match outcome {
            Outcome::Rows(rows) => {
                // A cursor that was declared BINARY: nobody else says so in this protocol.
                let codes: &[i16] = if rows.tag == RowsTag::FetchBinary { &[1] } else { &[] };
                let formats = Formats::from_codes(codes)?;
                let mut cursor = Cursor::new(rows, &formats, style)?;
                let each = (0..cursor.columns().len()).map(|column| formats.of(column));
                let description = backend::row_description(cursor.columns(), each);
                self.push(&description)?;
                let progress = cursor.send(&mut self.link, None).await?;
                backend::command_complete(cursor.tag().text(progress.rows))
            }
            Outcome::Copy(rows, options) => {
                backend::command_complete(send_copy(&mut self.link, rows, options, style).await?)
            }
            Outcome::Command(tag) => backend::command_complete(tag),
            Outcome::Empty => backend::empty_query(),
        };
        self.push_notices()?;
        if last {
            // The client is told that a statement is done only when its transaction is.
            self.end_implicit().await?;
        }
        self.push(&message)?;
        self.forget_after(&prepared);
        // Each statement has its own time.
        self.link.canceller.disarm();
        if self.link.outbox.is_full() {
            self.link.flush_running().await?;
        }
        Ok(())
    }

    async fn finish_simple(&mut self) -> Result<(), super::connection::End> {
        if self.session.transaction_status() == TransactionStatus::Idle {
            self.portals.clear();
        }
        self.ready().await
    }
}

/// The simple protocol has no parameters.
fn no_parameter(statement: Option<&ParsedStatement>) -> SqlError {
    let (text, offset) = statement.map_or(("", 0), |statement| (statement.text.as_str(), statement.offset));
    let is_parameter = |token: &WrittenToken| token.kind == WrittenKind::Constant && token.text.starts_with('$');
    let is_numbered = |token: &WrittenToken| token.text.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    let first = written_tokens(text).into_iter().find(|token| is_parameter(token) && is_numbered(token));
    let (name, position) = first.map_or(("$1".to_owned(), None), |token| (token.text, Some(offset + token.position)));
    SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}")).at(position)
}
