//! LOCK, ANALYZE, VACUUM and CHECKPOINT: what they name must be there, and the rest is nothing.

use super::{Outcome, Session};
use crate::catalog::model::Object;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::federation::relations::Resolved;
use crate::statement::ast::{Maintenance, MaintenanceKind, QualifiedName};

impl Session {
    /// # Errors
    /// `42P01`; `25001` and `25P01` where a transaction block is in the way or missing; `42809` for what cannot be locked.
    pub(super) fn maintain(&mut self, maintenance: &Maintenance) -> SqlResult<Outcome> {
        let in_block = self.transaction.in_block();
        let tag = match maintenance.kind {
            MaintenanceKind::Lock if !in_block => {
                let message = "LOCK TABLE can only be used in transaction blocks";
                return Err(SqlError::new(SqlState::NO_ACTIVE_SQL_TRANSACTION, message));
            }
            MaintenanceKind::Vacuum if in_block => {
                let message = "VACUUM cannot run inside a transaction block";
                return Err(SqlError::new(SqlState::ACTIVE_SQL_TRANSACTION, message));
            }
            MaintenanceKind::Lock => "LOCK TABLE",
            MaintenanceKind::Vacuum => "VACUUM",
            MaintenanceKind::Analyze => "ANALYZE",
            MaintenanceKind::Checkpoint => "CHECKPOINT",
        };
        for name in &maintenance.relations {
            self.maintain_one(maintenance.kind, name)?;
        }
        Ok(Outcome::Command(tag.to_owned()))
    }

    fn maintain_one(&mut self, kind: MaintenanceKind, name: &QualifiedName) -> SqlResult<()> {
        let found = self.name_scope().resolve(&self.catalog(), &name.parts);
        let relation =
            match found.map_err(|error| if kind == MaintenanceKind::Lock { error.at(name.position) } else { error })? {
                Resolved::Stored(object) => object,
                Resolved::System(..) | Resolved::Live { .. } => return Ok(()),
            };
        let is_view = matches!(*relation, Object::View(_));
        let shown = name.name();
        let skipped = match kind {
            MaintenanceKind::Lock if is_view => return Ok(()),
            MaintenanceKind::Lock => {
                return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("cannot lock relation \"{shown}\""))
                    .detail("This operation is not supported for foreign tables."));
            }
            MaintenanceKind::Analyze if !is_view => {
                format!("skipping \"{shown}\" --- cannot analyze this foreign table")
            }
            MaintenanceKind::Analyze => {
                format!("skipping \"{shown}\" --- cannot analyze non-tables or special system tables")
            }
            _ => format!("skipping \"{shown}\" --- cannot vacuum non-tables or special system tables"),
        };
        self.notices.push(Notice::warning(SqlState::WARNING, skipped));
        Ok(())
    }
}
