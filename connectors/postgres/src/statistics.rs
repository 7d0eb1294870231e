//! What the remote has counted of its columns: `pg_stats`, remembered for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atoll_connector_api::estimate::ColumnEstimate;
use atoll_connector_api::{ConnectorError, Result};

use crate::dialect::quote_text;
use crate::pool::Pool;

/// How long an answer is believed. The remote counts anew much more seldom.
const AGE_MAX: Duration = Duration::from_secs(60);
/// Tables remembered.
const TABLES_MAX: usize = 10_000;

/// By the columns' names.
pub(crate) type ColumnCounts = HashMap<String, ColumnCount>;

/// What was counted of one column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColumnCount {
    /// As `pg_stats.n_distinct`: a number, or with a minus a share of the rows.
    distinct: f64,
    nulls: f64,
    bytes: Option<usize>,
}

impl ColumnCount {
    pub(crate) fn estimate(self, rows: Option<usize>) -> ColumnEstimate {
        let rows = rows.and_then(|rows| u32::try_from(rows).ok()).map(f64::from);
        let distinct = if self.distinct < 0.0 { rows.map(|rows| -self.distinct * rows) } else { Some(self.distinct) };
        ColumnEstimate {
            distinct: distinct.filter(|distinct| *distinct >= 1.0),
            nulls: Some(self.nulls.clamp(0.0, 1.0)),
            bytes: self.bytes,
        }
    }
}

/// The answers of one source.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    known: Mutex<HashMap<(String, String), (Instant, Arc<ColumnCounts>)>>,
}

impl Counts {
    /// What is known of a table's columns, asked for where it is too old. A remote without such figures has none.
    ///
    /// # Errors
    /// Connection errors.
    pub(crate) async fn of_table(&self, pool: &Arc<Pool>, schema: &str, table: &str) -> Result<Arc<ColumnCounts>> {
        let key = (schema.to_owned(), table.to_owned());
        let known = self.lock().get(&key).filter(|(since, _)| since.elapsed() < AGE_MAX).cloned();
        if let Some((_, counts)) = known {
            return Ok(counts);
        }
        let counts = Arc::new(ask(pool, schema, table).await?);
        let mut known = self.lock();
        if known.len() >= TABLES_MAX {
            known.retain(|_, (since, _)| since.elapsed() < AGE_MAX);
        }
        if known.len() < TABLES_MAX {
            known.insert(key, (Instant::now(), Arc::clone(&counts)));
        }
        Ok(counts)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), (Instant, Arc<ColumnCounts>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask(pool: &Arc<Pool>, schema: &str, table: &str) -> Result<ColumnCounts> {
    let (Some(schema), Some(table)) = (quote_text(schema), quote_text(table)) else {
        return Ok(ColumnCounts::new());
    };
    // Of a partitioned table only the figures with its partitions exist; of others those without come last, and win.
    let sql = format!(
        "SELECT attname, n_distinct, null_frac, avg_width FROM pg_stats \
         WHERE schemaname = {schema} AND tablename = {table} ORDER BY inherited DESC"
    );
    let rows = match pool.query(&sql).await {
        Ok((_, rows)) => rows,
        Err(ConnectorError::Remote { .. }) => return Ok(ColumnCounts::new()),
        Err(error) => return Err(error),
    };
    let count = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().flatten();
        let name = cells.next()?;
        let (distinct, nulls) = (cells.next()?.parse().ok()?, cells.next()?.parse().ok()?);
        let bytes = cells.next().and_then(|bytes| bytes.parse().ok());
        Some((name, ColumnCount { distinct, nulls, bytes }))
    };
    Ok(rows.into_iter().filter_map(count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_a_number_or_a_share_of_the_rows() {
        let count = |distinct| ColumnCount { distinct, nulls: 0.25, bytes: Some(4) };
        assert_eq!(count(7.0).estimate(Some(100)).distinct, Some(7.0));
        assert_eq!(count(-0.5).estimate(Some(100)).distinct, Some(50.0));
        assert_eq!(count(-0.5).estimate(None).distinct, None);
        // 0 is "unknown".
        assert_eq!(count(0.0).estimate(Some(100)).distinct, None);
    }
}
