//! The extended query protocol: prepared statements and portals.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use futures::StreamExt;

use super::backend;
use super::connection::{Connection, Failure};
use super::encode::{Formats, decode_parameters, parameter_types};
use super::frontend::{Bind, Target};
use super::rows::{Cursor, changed_result_type, send_copy};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::session::shown::{ProtocolObjects, reads_protocol_objects};
use crate::session::{Outcome, Prepared, Rows, RowsTag, TransactionStatus, same_row_type};
use crate::statement::ast::{DiscardTarget, Transaction};
use crate::statement::{ParsedStatement, Statement};

/// A statement with its parameters, and how far its rows were sent.
pub(super) struct Portal {
    prepared: Arc<Prepared>,
    formats: Formats,
    state: PortalState,
}

enum PortalState {
    /// Not begun.
    Bound(Vec<ScalarValue>),
    /// Suspended by a row limit.
    Suspended(Box<Cursor>),
    /// Its rows were all sent.
    Exhausted(RowsTag),
    /// FETCH or MOVE has read from it: the session holds it as a cursor.
    Adopted,
    /// It had no rows to return, and cannot run again.
    Done,
}

impl Connection {
    /// Parse.
    pub(super) async fn parse(&mut self, name: String, query: &str, types: &[u32]) -> Result<(), Failure> {
        if name.is_empty() {
            self.unnamed = None;
        } else {
            self.session.check_new_prepared(&name)?;
        }
        let types = parameter_types(types)?;
        let mut statements = self.session.parse(query)?;
        statements.retain(|statement| !matches!(statement.statement, Statement::Empty));
        if statements.len() > 1 {
            return Err(SqlError::syntax("cannot insert multiple commands into a prepared statement").into());
        }
        let statement = statements.pop();
        if let Some(statement) = &statement {
            self.meet_portals(statement).await?;
        }
        let prepared = self.link.attend(self.session.prepare(statement, &types)).await??;
        if name.is_empty() {
            self.unnamed = Some(prepared);
        } else {
            self.session.keep_prepared(name, prepared);
        }
        self.push_notices()?;
        Ok(self.push(&backend::parse_complete())?)
    }

    fn find_statement(&self, name: &str) -> SqlResult<Arc<Prepared>> {
        if !name.is_empty() {
            return self.session.find_prepared(name);
        }
        self.unnamed.clone().ok_or_else(|| {
            let message = "unnamed prepared statement does not exist";
            SqlError::new(SqlState::INVALID_SQL_STATEMENT_NAME, message)
        })
    }

    /// Bind.
    pub(super) fn bind(&mut self, bind: Bind) -> Result<(), Failure> {
        let prepared = self.find_statement(&bind.statement)?;
        self.refuse_in_failed_transaction(&prepared)?;
        if bind.portal.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&bind.portal) || self.session.cursor_columns(&bind.portal).is_some() {
            return Err(duplicate_cursor(&bind.portal).into());
        } else {
            check_room(self.portals.len(), self.shared.config.portals_max, "portals")?;
        }
        let values = decode_parameters(
            &bind.statement,
            &prepared.parameters,
            &bind.parameter_formats,
            &bind.parameters,
            &self.session.output_style(),
        )?;
        let formats = Formats::from_codes(&bind.result_formats)?;
        if let (Some(count), Some(columns)) = (formats.exact_count(), &prepared.columns)
            && count != columns.len()
        {
            let message = format!("bind message has {count} result formats but query has {} columns", columns.len());
            return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message).into());
        }
        self.portals.insert(bind.portal, Portal { prepared, formats, state: PortalState::Bound(values) });
        Ok(self.push(&backend::bind_complete())?)
    }

    /// Describe.
    pub(super) fn describe(&mut self, target: &Target) -> Result<(), Failure> {
        let text = Formats::from_codes(&[])?;
        let (prepared, formats) = match target {
            Target::Statement(name) => {
                let prepared = self.find_statement(name)?;
                self.refuse_rows_in_failed_transaction(&prepared)?;
                self.push(&backend::parameter_description(&prepared.parameters))?;
                (prepared, text)
            }
            Target::Portal(name) => match (self.portals.get(name), self.session.cursor_columns(name)) {
                (Some(portal), _) => {
                    self.refuse_rows_in_failed_transaction(&portal.prepared)?;
                    (Arc::clone(&portal.prepared), portal.formats.clone())
                }
                (None, Some(columns)) => {
                    let formats = (0..columns.len()).map(|column| text.of(column));
                    let message = backend::row_description(columns, formats);
                    return Ok(self.push(&message)?);
                }
                (None, None) => return Err(no_portal(name).into()),
            },
        };
        let message = match &prepared.columns {
            Some(columns) => backend::row_description(columns, (0..columns.len()).map(|column| formats.of(column))),
            None => backend::no_data(),
        };
        Ok(self.push(&message)?)
    }

    /// Close; what does not exist is closed already.
    pub(super) fn close(&mut self, target: &Target) -> Result<(), Failure> {
        match target {
            Target::Statement(name) if name.is_empty() => self.unnamed = None,
            Target::Statement(name) => self.session.forget_prepared(name),
            Target::Portal(name) => {
                let portal = self.portals.remove(name);
                if portal.is_none_or(|portal| matches!(portal.state, PortalState::Adopted)) {
                    self.session.drop_cursor(name);
                }
            }
        }
        Ok(self.push(&backend::close_complete())?)
    }

    /// Execute. A portal that fails is gone.
    pub(super) async fn execute(&mut self, name: String, rows_max: i32) -> Result<(), Failure> {
        let adopted = match self.portals.get(&name) {
            None => Some(Formats::from_codes(&[])?),
            Some(Portal { state: PortalState::Adopted, formats, .. }) => Some(formats.clone()),
            Some(_) => None,
        };
        if let Some(formats) = adopted
            && self.session.cursor_columns(&name).is_some()
        {
            return self.execute_cursor(&name, &formats, rows_max).await;
        }
        let portal = self.portals.get(&name).ok_or_else(|| no_portal(&name))?;
        let prepared = Arc::clone(&portal.prepared);
        self.refuse_in_failed_transaction(&prepared)?;
        let Some(mut portal) = self.portals.remove(&name) else { return Err(no_portal(&name).into()) };
        let rows_max = u64::try_from(rows_max).ok().filter(|rows| *rows > 0);
        portal.state = match portal.state {
            PortalState::Bound(parameters) => {
                let outcome = self.run_prepared(&prepared, parameters).await?;
                self.begin_portal(&prepared, &portal.formats, outcome, rows_max).await?
            }
            PortalState::Suspended(cursor) => self.send_portal(cursor, rows_max).await?,
            PortalState::Exhausted(tag) => {
                self.push(&backend::command_complete(tag.text(0)))?;
                PortalState::Exhausted(tag)
            }
            PortalState::Done | PortalState::Adopted => {
                let message = format!("portal \"{name}\" cannot be run");
                return Err(SqlError::new(SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE, message).into());
            }
        };
        self.forget_after(&prepared);
        if !matches!(portal.state, PortalState::Suspended(_)) {
            self.link.canceller.disarm();
        }
        self.portals.insert(name, portal);
        Ok(())
    }

    /// Execute of a cursor that DECLARE opened: it is fetched from, and stays.
    async fn execute_cursor(&mut self, name: &str, formats: &Formats, rows_max: i32) -> Result<(), Failure> {
        let rows_max = u64::try_from(rows_max).ok().filter(|rows| *rows > 0);
        let count = rows_max.map_or_else(|| "ALL".to_owned(), |rows| rows.to_string());
        let fetch = self.session.parse(&format!("FETCH {count} FROM \"{}\"", name.replace('"', "\"\"")))?.pop();
        let prepared = self.link.attend(self.session.prepare(fetch, &[])).await??;
        let Outcome::Rows(rows) = self.run_prepared(&prepared, Vec::new()).await? else {
            return Err(SqlError::internal("a cursor yielded no rows").into());
        };
        let mut cursor = Cursor::new(rows, formats, self.session.output_style())?;
        let progress = cursor.send(&mut self.link, None).await?;
        self.push_notices()?;
        self.link.canceller.disarm();
        // Only the next Execute finds the end behind a full count.
        if rows_max == Some(progress.rows) {
            return Ok(self.push(&backend::portal_suspended())?);
        }
        Ok(self.push(&backend::command_complete(RowsTag::Select.text(progress.rows)))?)
    }

    async fn begin_portal(
        &mut self,
        prepared: &Prepared,
        formats: &Formats,
        outcome: Outcome,
        rows_max: Option<u64>,
    ) -> Result<PortalState, Failure> {
        let style = self.session.output_style();
        let message = match outcome {
            Outcome::Rows(rows) => {
                // The client reads the rows as they were described to it, perhaps long ago.
                if !prepared.columns.as_ref().is_some_and(|described| same_row_type(described, &rows.columns)) {
                    return Err(changed_result_type().into());
                }
                let cursor = Cursor::new(rows, formats, style)?;
                return self.send_portal(Box::new(cursor), rows_max).await;
            }
            Outcome::Copy(rows, options) => {
                backend::command_complete(send_copy(&mut self.link, rows, options, style).await?)
            }
            Outcome::Command(tag) => backend::command_complete(tag),
            Outcome::Empty => backend::empty_query(),
        };
        self.push_notices()?;
        self.push(&message)?;
        Ok(PortalState::Done)
    }

    async fn send_portal(&mut self, mut cursor: Box<Cursor>, rows_max: Option<u64>) -> Result<PortalState, Failure> {
        let progress = cursor.send(&mut self.link, rows_max).await?;
        self.push_notices()?;
        if !progress.complete {
            self.push(&backend::portal_suspended())?;
            return Ok(PortalState::Suspended(cursor));
        }
        self.push(&backend::command_complete(cursor.tag().text(progress.rows)))?;
        Ok(PortalState::Exhausted(cursor.tag()))
    }

    /// Runs a statement, watched.
    pub(super) async fn run_prepared(
        &mut self,
        prepared: &Prepared,
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome, Failure> {
        let failed = self.session.transaction_status() == TransactionStatus::Failed;
        if let Some(statement) = &prepared.statement {
            self.meet_portals(statement).await?;
        }
        if let Some(Statement::CloseCursor { name }) = statement_of(prepared)
            && !failed
        {
            match name {
                // The session closes what it holds.
                None => self.portals.clear(),
                Some(name) => {
                    let portal = self.portals.remove(name);
                    if portal.is_some_and(|portal| !matches!(portal.state, PortalState::Adopted)) {
                        return Ok(Outcome::Command("CLOSE CURSOR".to_owned()));
                    }
                }
            }
        }
        // Cursors and portals are one space too.
        if let Some(Statement::DeclareCursor(declare)) = statement_of(prepared)
            && !failed
            && self.portals.contains_key(&declare.name)
        {
            return Err(duplicate_cursor(&declare.name).into());
        }
        let outcome = self.link.attend(self.session.run(prepared, parameters)).await??;
        self.push_notices()?;
        Ok(outcome)
    }

    /// What a statement needs of the portals: FETCH and MOVE read from them as from cursors, and system tables show them.
    pub(super) async fn meet_portals(&mut self, statement: &ParsedStatement) -> Result<(), Failure> {
        if reads_protocol_objects(&statement.text) {
            let mut objects = ProtocolObjects::default();
            for (name, portal) in &self.portals {
                objects.portal(name, &portal.prepared);
            }
            self.session.show_protocol_objects(objects);
        }
        match &statement.statement {
            Statement::Fetch(fetch) if self.session.transaction_status() != TransactionStatus::Failed => {
                Box::pin(self.adopt(&fetch.cursor)).await
            }
            _ => Ok(()),
        }
    }

    /// Hands a portal's rows to the session, as a cursor of its name. The portal stays, with its formats.
    async fn adopt(&mut self, name: &str) -> Result<(), Failure> {
        let Some(portal) = self.portals.remove(name) else { return Ok(()) };
        let Portal { prepared, formats, state } = portal;
        let text = prepared.statement.as_ref().map_or(String::new(), |statement| statement.text.clone());
        let state = match state {
            PortalState::Bound(parameters) => match self.run_prepared(&prepared, parameters).await? {
                Outcome::Rows(rows) => {
                    self.session.adopt_portal(name, rows, 0, &text);
                    PortalState::Adopted
                }
                // As in PostgreSQL, such a portal is not there for FETCH.
                _ => PortalState::Done,
            },
            PortalState::Suspended(cursor) => {
                let (rows, sent) = cursor.into_rest();
                self.session.adopt_portal(name, rows, sent, &text);
                PortalState::Adopted
            }
            PortalState::Exhausted(tag) => {
                let columns = prepared.columns.clone().unwrap_or_default().into();
                let rows = Rows { columns, batches: futures::stream::empty().boxed(), tag };
                self.session.adopt_portal(name, rows, 0, &text);
                PortalState::Adopted
            }
            state @ (PortalState::Adopted | PortalState::Done) => state,
        };
        self.portals.insert(name.to_owned(), Portal { prepared, formats, state });
        Ok(())
    }

    /// Drops portals that a statement which succeeded has ended.
    pub(super) fn forget_after(&mut self, prepared: &Prepared) {
        let ends_portals = matches!(
            statement_of(prepared),
            Some(
                Statement::Transaction(Transaction::Commit { .. } | Transaction::Rollback { .. })
                    | Statement::Discard(DiscardTarget::All)
            )
        );
        if ends_portals {
            self.portals.clear();
        }
    }

    /// In a failed transaction only its end may be bound or executed.
    fn refuse_in_failed_transaction(&self, prepared: &Prepared) -> SqlResult<()> {
        let ends = matches!(
            statement_of(prepared),
            None | Some(Statement::Transaction(
                Transaction::Commit { .. } | Transaction::Rollback { .. } | Transaction::RollbackTo(_)
            ))
        );
        if ends || self.session.transaction_status() != TransactionStatus::Failed {
            return Ok(());
        }
        Err(in_failed_transaction())
    }

    /// Nor may what returns rows be described.
    fn refuse_rows_in_failed_transaction(&self, prepared: &Prepared) -> SqlResult<()> {
        let failed = self.session.transaction_status() == TransactionStatus::Failed;
        if failed && prepared.columns.is_some() { Err(in_failed_transaction()) } else { Ok(()) }
    }
}

fn statement_of(prepared: &Prepared) -> Option<&Statement> {
    prepared.statement.as_ref().map(|parsed| &parsed.statement)
}

fn in_failed_transaction() -> SqlError {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    SqlError::new(SqlState::IN_FAILED_SQL_TRANSACTION, message)
}

fn duplicate_cursor(name: &str) -> SqlError {
    SqlError::new(SqlState::DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists"))
}

fn no_portal(name: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_CURSOR_NAME, format!("portal \"{name}\" does not exist"))
}

fn check_room(count: usize, count_max: usize, what: &str) -> SqlResult<()> {
    if count < count_max {
        return Ok(());
    }
    let message = format!("too many {what}: a session may have {count_max}");
    Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message))
}
