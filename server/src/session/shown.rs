//! Prepared statements and cursors, as `pg_prepared_statements` and `pg_cursors` show them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use super::{Prepared, Session, system};
use crate::federation::pg_catalog::{CursorInfo, PreparedInfo};

/// What the protocol holds beside what SQL made.
#[derive(Debug, Default)]
pub struct ProtocolObjects {
    cursors: Vec<CursorInfo>,
}

impl ProtocolObjects {
    /// Adds a portal.
    pub fn portal(&mut self, name: &str, prepared: &Prepared) {
        let Some(statement) = &prepared.statement else { return };
        self.cursors.push(CursorInfo {
            name: name.to_owned(),
            statement: statement.text.clone(),
            is_holdable: false,
            is_binary: false,
            creation_time: system::microseconds(SystemTime::now()),
        });
    }
}

fn prepared_info(name: &str, prepared: &Prepared, text: Option<&str>) -> PreparedInfo {
    let own = prepared.statement.as_ref().map_or("", |statement| statement.text.as_str());
    PreparedInfo {
        name: name.to_owned(),
        statement: text.unwrap_or(own).to_owned(),
        prepare_time: system::microseconds(prepared.made),
        parameter_types: prepared.parameters.clone(),
        from_sql: text.is_some(),
        runs: prepared.runs.load(Ordering::Relaxed),
    }
}

/// Whether a text reads what [`ProtocolObjects`] are for.
pub fn reads_protocol_objects(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    text.contains("pg_prepared_statement") || text.contains("pg_cursor")
}

impl Session {
    /// Says what the protocol holds now.
    pub fn show_protocol_objects(&mut self, objects: ProtocolObjects) {
        self.protocol = objects;
    }

    pub(super) fn prepared_shown(&self) -> Vec<PreparedInfo> {
        let info = |(name, (prepared, text)): (&String, &(Arc<Prepared>, Option<String>))| {
            prepared_info(name, prepared, text.as_deref())
        };
        self.prepared.iter().map(info).collect()
    }

    pub(super) fn cursors_shown(&self) -> Vec<CursorInfo> {
        let open = self.cursors.iter().map(|(name, cursor)| CursorInfo {
            name: name.clone(),
            statement: cursor.text.to_string(),
            is_holdable: cursor.hold,
            is_binary: cursor.binary,
            creation_time: system::microseconds(cursor.made),
        });
        // A portal that FETCH has read from is a cursor by now.
        let portals = self.protocol.cursors.iter().filter(|portal| !self.cursors.contains_key(&portal.name));
        open.chain(portals.cloned()).collect()
    }
}
