//! Tables as they were described, believed while the remote says in one word that nothing has changed: that word costs a
//! fiftieth of the description.
//!
//! A binary value does not say of what type it is, so no table is scanned whose columns were not looked at since.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metadata::RemoteTable;
use crate::provider::RemoteTraits;

/// How long a description is believed at most: its comments and statistics are not in the word.
const AGE_MAX: Duration = Duration::from_secs(30);
/// Tables that are remembered.
const TABLES_MAX: usize = 1000;

/// The word: everything of a relation that its description depends on. NULL where a column has a type that users define,
/// whose name, labels or base are not in it. `$1`: the schema, `$2`: the relation.
pub(crate) const MARK_SQL: &str = "SELECT (SELECT CASE WHEN bool_and(a.atttypid < 16384) THEN \
       'relation ' || concat_ws(' ', c.oid, c.relkind, c.relam, c.reltuples, c.relpages, '(', \
         string_agg(concat_ws(' ', a.attnum, quote_literal(a.attname), a.atttypid, a.atttypmod, a.attnotnull, \
           a.attcollation), ', ' ORDER BY a.attnum), ')', \
         (SELECT i.indkey::text FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary)) END \
       FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'v', 'm', 'f', 'p')";

/// What a mark begins with; another answer is not one.
pub(crate) const MARK_START: &str = "relation ";

/// A table and when it was described.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) table: Arc<RemoteTable>,
    pub(crate) traits: RemoteTraits,
    /// The word then; `None`: there is none, so it need not be asked for.
    pub(crate) mark: Option<String>,
    described: Instant,
}

impl Known {
    /// Whether it may be believed still, if its mark is the same.
    pub(crate) fn is_young(&self) -> bool {
        self.described.elapsed() < AGE_MAX
    }

    pub(crate) fn new(table: Arc<RemoteTable>, traits: RemoteTraits, mark: Option<String>) -> Self {
        Self { table, traits, mark, described: Instant::now() }
    }
}

/// The tables of one source by schema and name.
#[derive(Debug, Default)]
pub(crate) struct KnownTables(Mutex<HashMap<(String, String), Known>>);

impl KnownTables {
    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table that was described not too long ago.
    pub(crate) fn get(&self, schema: &str, name: &str) -> Option<Known> {
        let key = (schema.to_owned(), name.to_owned());
        self.lock().get(&key).filter(|known| known.is_young()).cloned()
    }

    /// Remembers a table in place of what was known of it.
    pub(crate) fn put(&self, schema: &str, name: &str, known: Known) {
        let mut tables = self.lock();
        if tables.len() >= TABLES_MAX {
            tables.retain(|_, known| known.is_young());
        }
        if tables.len() >= TABLES_MAX
            && let Some(oldest) = tables.iter().min_by_key(|(_, known)| known.described).map(|(key, _)| key.clone())
        {
            tables.remove(&oldest);
        }
        tables.insert((schema.to_owned(), name.to_owned()), known);
    }

    /// Forgets a table.
    pub(crate) fn forget(&self, schema: &str, name: &str) {
        self.lock().remove(&(schema.to_owned(), name.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        let table = RemoteTable { name: "t".into(), comment: None, columns: Vec::new(), rows: None, blocks: 0 };
        Known::new(Arc::new(table), RemoteTraits { major_version: 15, utf8: true }, None)
    }

    #[test]
    fn tables_are_remembered_up_to_a_number_and_an_age() {
        let tables = KnownTables::default();
        for number in 0..TABLES_MAX + 10 {
            tables.put("s", &number.to_string(), known());
        }
        assert_eq!(tables.lock().len(), TABLES_MAX);
        assert!(tables.get("s", "0").is_none() && tables.get("s", &TABLES_MAX.to_string()).is_some());
        tables.forget("s", "20");
        assert!(tables.get("s", "20").is_none());
        let old = Instant::now().checked_sub(AGE_MAX);
        if let Some(described) = old {
            tables.put("s", "old", Known { described, ..known() });
            assert!(tables.get("s", "old").is_none());
        }
    }
}
