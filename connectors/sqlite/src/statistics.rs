//! How many rows a table may have: what ANALYZE has counted, a short count, or the span of its row ids.

use rusqlite::Connection;

use crate::dialect::identifier;

/// Rows up to which a table is counted.
const COUNTED_MAX: i64 = 2000;
/// Bytes of a row in its page, at the least.
const ROW_BYTES_MIN: i64 = 8;

/// The rows of a stored table, roughly; `None` where nothing says.
pub(crate) fn rows(connection: &Connection, table: &str) -> Option<usize> {
    let name = identifier(table);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).ok().flatten();
    let counted = number(&format!("SELECT count(*) FROM (SELECT 1 FROM main.{name} LIMIT {})", COUNTED_MAX + 1))?;
    if counted <= COUNTED_MAX {
        return usize::try_from(counted).ok();
    }
    let analyzed = analyzed(connection, table).filter(|rows| *rows > COUNTED_MAX);
    let spanned = || {
        let span = format!("SELECT (SELECT max(rowid) FROM main.{name}) - (SELECT min(rowid) FROM main.{name})");
        let bytes = number("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")?;
        // Row ids may lie far apart.
        Some(number(&span)?.min(bytes / ROW_BYTES_MIN))
    };
    analyzed.or_else(spanned).map(|rows| rows.max(COUNTED_MAX)).and_then(|rows| usize::try_from(rows).ok())
}

/// What the last ANALYZE counted: the first number that stands with any of the table's indexes.
fn analyzed(connection: &Connection, table: &str) -> Option<i64> {
    let sql = "SELECT stat FROM main.sqlite_stat1 WHERE tbl = ?1 AND stat IS NOT NULL LIMIT 1";
    let stat: String = connection.query_row(sql, [table], |row| row.get(0)).ok()?;
    stat.split(' ').next()?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;

    #[test]
    fn small_tables_are_counted_and_big_ones_estimated() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE far (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO far VALUES (1, 'a'), (9000000, 'b'); \
                 CREATE TABLE big (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX i ON big (v); \
                 CREATE TABLE bare (v TEXT PRIMARY KEY) WITHOUT ROWID; \
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) \
                 INSERT INTO big SELECT i, i % 7 FROM n; INSERT INTO bare SELECT id FROM big",
            )
            .unwrap();
        assert_eq!(rows(&connection, "far"), Some(2));
        assert_eq!(rows(&connection, "big"), Some(49_999));
        assert_eq!(rows(&connection, "bare"), None);
        assert_eq!(rows(&connection, "nothing"), None);
        connection.execute_batch("ANALYZE").unwrap();
        assert_eq!(rows(&connection, "big"), Some(50_000));
        assert_eq!(rows(&connection, "bare"), Some(50_000));
    }
}
