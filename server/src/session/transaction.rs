//! A session's transaction: blocks, implicit transactions, savepoints, and the DDL that waits for COMMIT.

use atoll_connector_api::options::parse_bool;

use super::outcome::TransactionStatus;
use super::settings::Settings;
use crate::catalog::ddl::Working;
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ParsedStatement;

/// Savepoints in one transaction.
const SAVEPOINTS_MAX: usize = 10_000;

/// How a transaction began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Block {
    #[default]
    None,
    /// One message's statements.
    Implicit,
    /// BEGIN … COMMIT.
    Explicit,
}

#[derive(Debug, Clone)]
struct Savepoint {
    name: String,
    working: Option<Working>,
    settings: Settings,
    /// The number of the cursor that was opened last before it.
    cursors: u64,
}

/// The state of a session's transaction.
#[derive(Debug, Default)]
pub(super) struct TransactionState {
    block: Block,
    failed: bool,
    /// Uncommitted DDL.
    pub working: Option<Working>,
    /// The one statement of an implicit transaction that made [`Self::working`]: it can be applied again.
    pub repeatable: Option<Box<ParsedStatement>>,
    savepoints: Vec<Savepoint>,
    /// A statement has read rows.
    has_read: bool,
}

impl TransactionState {
    /// For ReadyForQuery.
    pub(super) fn status(&self) -> TransactionStatus {
        match (self.block, self.failed) {
            (Block::Explicit, true) => TransactionStatus::Failed,
            (Block::Explicit, false) => TransactionStatus::InBlock,
            _ => TransactionStatus::Idle,
        }
    }

    /// Whether BEGIN was given.
    pub(super) fn in_block(&self) -> bool {
        self.block == Block::Explicit
    }

    /// Whether it has failed.
    pub(super) fn failed(&self) -> bool {
        self.failed
    }

    /// Whether no transaction is open at all.
    pub(super) fn idle(&self) -> bool {
        self.block == Block::None
    }

    /// A statement begins: opens the implicit transaction.
    pub(super) fn enter(&mut self, settings: &mut Settings) {
        if self.block == Block::None {
            self.block = Block::Implicit;
            settings.begin();
        }
    }

    /// BEGIN. Statements of the same message before it belong to the block.
    pub(super) fn begin(&mut self) {
        self.block = Block::Explicit;
        self.repeatable = None;
    }

    /// A statement reads rows.
    pub(super) fn read(&mut self) {
        self.has_read = true;
    }

    /// Whether the transaction may become what a setting of it says.
    ///
    /// # Errors
    /// `25001`.
    pub(super) fn check_setting(&self, settings: &Settings, name: &str, value: &str) -> SqlResult<()> {
        let (nested, value) = (!self.savepoints.is_empty(), value.to_lowercase());
        let problem = match name.to_ascii_lowercase().as_str() {
            "transaction_isolation" if settings.get(name) == Some(value.as_str()) => None,
            "transaction_isolation" if self.has_read => {
                Some("SET TRANSACTION ISOLATION LEVEL must be called before any query")
            }
            "transaction_isolation" if nested => {
                Some("SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
            }
            "transaction_read_only" if !settings.on(name) || parse_bool(&value) != Some(false) => None,
            "transaction_read_only" if nested => {
                Some("cannot set transaction read-write mode inside a read-only transaction")
            }
            "transaction_read_only" if self.has_read => {
                Some("transaction read-write mode must be set before any query")
            }
            "transaction_deferrable" if nested => {
                Some("SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction")
            }
            "transaction_deferrable" if self.has_read => {
                Some("SET TRANSACTION [NOT] DEFERRABLE must be called before any query")
            }
            _ => None,
        };
        problem.map_or(Ok(()), |problem| Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, problem)))
    }

    /// A statement failed.
    pub(super) fn fail(&mut self) {
        self.failed = self.block != Block::None;
    }

    /// Takes the transaction apart: what DDL to commit, if it is to be committed.
    pub(super) fn take(
        &mut self,
        commit: bool,
        settings: &mut Settings,
    ) -> Option<(Working, Option<Box<ParsedStatement>>)> {
        let commit = commit && !self.failed;
        let (working, repeatable) = (self.working.take(), self.repeatable.take());
        self.block = Block::None;
        self.failed = false;
        self.savepoints.clear();
        self.has_read = false;
        settings.end(commit);
        working.filter(|_| commit).map(|working| (working, repeatable))
    }

    /// SAVEPOINT.
    ///
    /// # Errors
    /// `25P01` outside a block.
    pub(super) fn savepoint(&mut self, name: &str, settings: &Settings, cursors: u64) -> SqlResult<()> {
        self.require_block("SAVEPOINT")?;
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            return Err(SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, "too many savepoints"));
        }
        self.savepoints.push(Savepoint {
            name: name.to_owned(),
            working: self.working.clone(),
            settings: settings.clone(),
            cursors,
        });
        Ok(())
    }

    /// RELEASE SAVEPOINT.
    ///
    /// # Errors
    /// `25P01` outside a block, `3B001` no such savepoint.
    pub(super) fn release(&mut self, name: &str) -> SqlResult<()> {
        self.require_block("RELEASE SAVEPOINT")?;
        let index = self.find(name)?;
        self.savepoints.truncate(index);
        Ok(())
    }

    /// ROLLBACK TO SAVEPOINT: also what brings a failed block back. Yields the number of the last cursor that stays.
    ///
    /// # Errors
    /// `25P01` outside a block, `3B001` no such savepoint.
    pub(super) fn rollback_to(&mut self, name: &str, settings: &mut Settings) -> SqlResult<u64> {
        self.require_block("ROLLBACK TO SAVEPOINT")?;
        let index = self.find(name)?;
        self.savepoints.truncate(index + 1);
        let savepoint = self.savepoints[index].clone();
        match (&mut self.working, savepoint.working) {
            (Some(working), Some(saved)) => working.roll_back_to(&saved),
            (working, saved) => *working = saved,
        }
        *settings = savepoint.settings;
        self.failed = false;
        Ok(savepoint.cursors)
    }

    fn find(&self, name: &str) -> SqlResult<usize> {
        self.savepoints.iter().rposition(|savepoint| savepoint.name == name).ok_or_else(|| {
            SqlError::new(SqlState::INVALID_SAVEPOINT_SPECIFICATION, format!("savepoint \"{name}\" does not exist"))
        })
    }

    fn require_block(&self, command: &str) -> SqlResult<()> {
        if self.in_block() {
            return Ok(());
        }
        Err(SqlError::new(
            SqlState::NO_ACTIVE_SQL_TRANSACTION,
            format!("{command} can only be used in transaction blocks"),
        ))
    }
}
