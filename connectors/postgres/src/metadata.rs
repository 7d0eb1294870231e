//! What the remote's catalogs say, in one query a question.

use atoll_connector_api::types::{BuiltinType, PgType, oids};
use atoll_connector_api::{ConnectorError, Result, TableKind, TableSummary};

use crate::dialect::quote_text;
use crate::pool::TextRow;

/// The first version whose catalogs have what these queries ask for.
pub(crate) const MAJOR_VERSION_MIN: u32 = 12;
/// Names in one query: a schema of more tables is described in several round trips.
pub(crate) const NAMES_PER_QUERY: usize = 1000;
/// Domains over domains beyond this depth are not followed.
const DOMAIN_DEPTH_MAX: u32 = 64;

/// Schemas that the user may look into, without the system's.
pub(crate) const SCHEMAS_SQL: &str = "SELECT nspname FROM pg_namespace \
     WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND has_schema_privilege(oid, 'USAGE') \
     ORDER BY nspname COLLATE \"C\"";

/// A relation at the remote.
#[derive(Debug, Clone)]
pub(crate) struct RemoteTable {
    pub(crate) name: String,
    pub(crate) comment: Option<String>,
    /// In the remote's order.
    pub(crate) columns: Vec<RemoteColumn>,
    /// Estimated rows, where the remote has counted.
    pub(crate) rows: Option<usize>,
    /// Blocks of a relation whose rows lie in them by `ctid`; 0 for all others.
    pub(crate) blocks: u64,
}

/// A column at the remote.
#[derive(Debug, Clone)]
pub(crate) struct RemoteColumn {
    pub(crate) name: String,
    /// A domain is its base type.
    pub(crate) data_type: PgType,
    pub(crate) not_null: bool,
    pub(crate) comment: Option<String>,
    /// The user may select it.
    pub(crate) readable: bool,
    /// Equality and NULL tests mean what they mean here: no composite, no collation that equates different texts.
    pub(crate) plain: bool,
    /// Its place in the primary key, from 1.
    pub(crate) key_position: Option<u32>,
    /// The collation's OID; 0 for what has none.
    pub(crate) collation: u32,
    /// It is the first one of an index over all rows.
    pub(crate) indexed: bool,
}

/// The query for [`table_summaries`].
///
/// # Errors
/// A schema name that no remote can have.
pub(crate) fn tables_sql(schema: &str) -> Result<String> {
    Ok(format!(
        "SELECT c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relkind IN ('r', 'v', 'm', 'f', 'p') \
         AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT')) \
         ORDER BY c.relname COLLATE \"C\"",
        quoted(schema)?
    ))
}

/// Reads the answer to [`tables_sql`].
pub(crate) fn table_summaries(rows: Vec<TextRow>) -> Vec<TableSummary> {
    let summary = |row: TextRow| {
        let mut row = row.into_iter();
        let name = row.next()??;
        let kind = match row.next()??.as_str() {
            "v" | "m" => TableKind::View,
            _ => TableKind::Table,
        };
        Some(TableSummary { name, kind })
    };
    rows.into_iter().filter_map(summary).collect()
}

/// The query whether a schema exists.
///
/// # Errors
/// A schema name that no remote can have.
pub(crate) fn schema_exists_sql(schema: &str) -> Result<String> {
    Ok(format!("SELECT 1 FROM pg_namespace WHERE nspname = {}", quoted(schema)?))
}

/// The query for [`remote_tables`]: one row a column, and one for a table without columns.
///
/// # Errors
/// A name that no remote can have.
pub(crate) fn describe_sql(schema: &str, tables: &[&str]) -> Result<String> {
    let names = tables.iter().map(|name| quoted(name)).collect::<Result<Vec<_>>>()?.join(", ");
    let schema = quoted(schema)?;
    // `base` follows domains to what they are made of, `element` the same for an array's elements.
    Ok(format!(
        "WITH RECURSIVE rel AS ( \
           SELECT c.oid, c.relname, c.relkind, c.reltuples, c.relpages, a.amname, \
                  obj_description(c.oid, 'pg_class') AS comment \
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_am a ON a.oid = c.relam \
           WHERE n.nspname = {schema} AND c.relname IN ({names}) AND c.relkind IN ('r', 'v', 'm', 'f', 'p') \
         ), base AS ( \
           SELECT a.attrelid, a.attnum, a.atttypid AS typid, a.atttypmod AS typmod, 0 AS depth \
           FROM pg_attribute a JOIN rel ON rel.oid = a.attrelid WHERE a.attnum > 0 AND NOT a.attisdropped \
           UNION ALL \
           SELECT b.attrelid, b.attnum, t.typbasetype, t.typtypmod, b.depth + 1 \
           FROM base b JOIN pg_type t ON t.oid = b.typid \
           WHERE t.typtype = 'd' AND b.depth < {DOMAIN_DEPTH_MAX} \
         ) \
         SELECT rel.relname, rel.relkind, rel.reltuples, rel.relpages, rel.amname, rel.comment, \
                a.attname, t.oid, b.typmod, format_type(t.oid, b.typmod), t.typtype, \
                e.typid, e.typmod, format_type(e.typid, e.typmod), \
                (SELECT json_agg(l.enumlabel ORDER BY l.enumsortorder) FROM pg_enum l \
                 WHERE l.enumtypid = coalesce(e.typid, t.oid)), \
                a.attnotnull, col_description(a.attrelid, a.attnum), \
                has_column_privilege(a.attrelid, a.attnum, 'SELECT'), coalesce(o.collisdeterministic, true), \
                (SELECT k.position FROM pg_index i, \
                        unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position) \
                 WHERE i.indrelid = rel.oid AND i.indisprimary AND k.attnum = a.attnum \
                       AND k.position <= i.indnkeyatts), \
                a.attcollation, quote_ident(o.collname), \
                EXISTS (SELECT FROM pg_index i WHERE i.indrelid = rel.oid AND i.indisvalid AND i.indpred IS NULL \
                        AND i.indkey[0] = a.attnum) \
         FROM rel \
         LEFT JOIN (base b JOIN pg_type t ON t.oid = b.typid AND t.typtype <> 'd' \
                    JOIN pg_attribute a ON a.attrelid = b.attrelid AND a.attnum = b.attnum) ON b.attrelid = rel.oid \
         LEFT JOIN pg_collation o ON o.oid = a.attcollation \
         LEFT JOIN LATERAL ( \
           WITH RECURSIVE element AS ( \
             SELECT t.typelem AS typid, b.typmod, 0 AS depth WHERE t.typelem <> 0 AND t.typlen = -1 AND t.typcategory = 'A' \
             UNION ALL \
             SELECT d.typbasetype, d.typtypmod, s.depth + 1 FROM element s JOIN pg_type d ON d.oid = s.typid \
             WHERE d.typtype = 'd' AND s.depth < {DOMAIN_DEPTH_MAX} \
           ) \
           SELECT s.typid, s.typmod FROM element s JOIN pg_type d ON d.oid = s.typid WHERE d.typtype <> 'd' \
         ) e ON true \
         ORDER BY rel.relname COLLATE \"C\", a.attnum"
    ))
}

/// Reads the answer to [`describe_sql`].
///
/// # Errors
/// [`ConnectorError::Internal`] where the answer has another shape.
pub(crate) fn remote_tables(server: &str, rows: Vec<TextRow>, major_version: u32) -> Result<Vec<RemoteTable>> {
    let mut tables: Vec<RemoteTable> = Vec::new();
    for row in rows {
        let malformed = || ConnectorError::Internal {
            message: format!("server \"{server}\" describes a table in an unknown form"),
        };
        let mut cells = Cells(row.into_iter());
        let name = cells.next().ok_or_else(malformed)?;
        let (kind, tuples, pages, method, comment) =
            (cells.next(), cells.number::<f64>(), cells.number::<u64>(), cells.next(), cells.next());
        if tables.last().is_none_or(|last| last.name != name) {
            let stored = matches!(kind.as_deref(), Some("r" | "m")) && method.as_deref() == Some("heap");
            tables.push(RemoteTable {
                name,
                comment,
                columns: Vec::new(),
                rows: estimate(kind.as_deref(), tuples, pages, major_version),
                blocks: if stored { pages.unwrap_or(0) } else { 0 },
            });
        }
        if let (Some(column), Some(table)) = (cells.next(), tables.last_mut()) {
            table.columns.push(cells.column(column).ok_or_else(malformed)?);
        }
    }
    Ok(tables)
}

/// `reltuples` as a row count. Until version 14 a table that was never counted says 0.
fn estimate(kind: Option<&str>, tuples: Option<f64>, pages: Option<u64>, major_version: u32) -> Option<usize> {
    let tuples = tuples.filter(|tuples| matches!(kind, Some("r" | "m" | "p" | "f")) && *tuples >= 0.0)?;
    if tuples == 0.0 && major_version < 14 && pages.unwrap_or(0) == 0 {
        return None;
    }
    // A float goes through text: `as` would cut silently what no table has.
    format!("{tuples:.0}").parse().ok()
}

/// The cells of one row of [`describe_sql`], in order.
struct Cells(std::vec::IntoIter<Option<String>>);

impl Cells {
    fn next(&mut self) -> Option<String> {
        self.0.next().flatten()
    }

    fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.next().and_then(|text| text.parse().ok())
    }

    fn flag(&mut self) -> bool {
        self.next().as_deref() == Some("t")
    }

    fn column(&mut self, name: String) -> Option<RemoteColumn> {
        let base = TypeName { oid: self.number()?, modifier: self.number()?, name: self.next()? };
        let composite = self.next().as_deref() == Some("c");
        let (element_oid, element_modifier, element_name) = (self.number(), self.number(), self.next());
        let element = match (element_oid, element_modifier, element_name) {
            (Some(oid), Some(modifier), Some(name)) => Some(TypeName { oid, modifier, name }),
            _ => None,
        };
        let labels = self.next().and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        let (not_null, comment, readable, deterministic) = (self.flag(), self.next(), self.flag(), self.flag());
        let data_type = if composite { composite_type(&base) } else { pg_type(base, element, labels) };
        let (key_position, collation, collation_name, indexed) =
            (self.number(), self.number().unwrap_or(0), self.next().unwrap_or_default(), self.flag());
        let data_type = if deterministic { data_type } else { PgType::collated(data_type.sql_name(), &collation_name) };
        Some(RemoteColumn {
            name,
            data_type,
            not_null,
            comment,
            readable,
            plain: deterministic && !composite,
            key_position,
            collation,
            indexed,
        })
    }
}

/// A remote type, and as `format_type` prints it.
struct TypeName {
    oid: u32,
    modifier: i32,
    name: String,
}

/// The type that a remote type is seen as.
fn pg_type(base: TypeName, element: Option<TypeName>, labels: Vec<String>) -> PgType {
    // Built-in first: int2vector has elements too, but is no array to its users.
    if let Some(builtin) = BuiltinType::by_oid(base.oid) {
        let modified = if builtin.element == 0 { base.oid } else { builtin.element };
        return PgType::with_modifier(base.oid, kept_modifier(modified, base.modifier));
    }
    match element {
        Some(element) => match BuiltinType::by_oid(element.oid).filter(|builtin| builtin.array != 0) {
            Some(builtin) => PgType::with_modifier(builtin.array, kept_modifier(element.oid, element.modifier)),
            None => PgType::user(format!("{}[]", local_name(&element.name)), labels, true),
        },
        None => PgType::user(local_name(&base.name), labels, false),
    }
}

/// A type whose values are rows.
fn composite_type(base: &TypeName) -> PgType {
    match BuiltinType::by_oid(base.oid) {
        Some(_) => PgType::with_modifier(base.oid, -1),
        None => PgType::composite(local_name(&base.name)),
    }
}

/// The sessions here have `search_path = pg_catalog`, so that `format_type` qualifies every type of a user; the schema
/// that everybody has in the path is left away, as psql would.
fn local_name(name: &str) -> &str {
    name.strip_prefix("public.").unwrap_or(name)
}

/// Types whose modifier is known here.
fn kept_modifier(oid: u32, modifier: i32) -> i32 {
    match oid {
        oids::NUMERIC
        | oids::VARCHAR
        | oids::BPCHAR
        | oids::BIT
        | oids::VARBIT
        | oids::TIME
        | oids::TIMETZ
        | oids::TIMESTAMP
        | oids::TIMESTAMPTZ
        | oids::INTERVAL => modifier,
        _ => -1,
    }
}

fn quoted(name: &str) -> Result<String> {
    quote_text(name).ok_or_else(|| ConnectorError::OptionValue {
        option: "table_name".into(),
        reason: "may not contain a zero byte".into(),
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]
mod tests {
    use super::*;

    fn named(oid: u32, modifier: i32, name: &str) -> TypeName {
        TypeName { oid, modifier, name: name.into() }
    }

    #[test]
    fn types_are_seen_as_what_they_are() {
        assert_eq!(pg_type(named(oids::INT4, -1, "integer"), None, vec![]), PgType::new(oids::INT4));
        let numeric = pg_type(named(oids::NUMERIC, 655_366, "numeric(10,2)"), None, vec![]);
        assert_eq!(numeric.sql_name(), "numeric(10,2)");
        let array = pg_type(named(1007, -1, "integer[]"), Some(named(oids::INT4, -1, "integer")), vec![]);
        assert_eq!(array, PgType::new(oids::INT4_ARRAY));
        let mood = pg_type(named(16_400, -1, "public.mood"), None, vec!["a".into()]);
        assert_eq!((mood.sql_name().as_str(), mood.labels().len()), ("mood", 1));
        let moods = pg_type(named(16_401, -1, "app.mood[]"), Some(named(16_400, -1, "app.mood")), vec!["a".into()]);
        assert_eq!((moods.sql_name().as_str(), moods.is_array()), ("app.mood[]", true));
        assert_eq!(pg_type(named(5038, -1, "pg_snapshot"), None, vec![]).sql_name(), "pg_snapshot");
    }

    #[test]
    fn estimates_are_taken_where_the_remote_has_counted() {
        assert_eq!(estimate(Some("r"), Some(2e6), Some(1), 15), Some(2_000_000));
        assert_eq!(estimate(Some("r"), Some(-1.0), Some(0), 15), None);
        assert_eq!(estimate(Some("r"), Some(0.0), Some(0), 15), Some(0));
        assert_eq!(estimate(Some("r"), Some(0.0), Some(0), 13), None);
        assert_eq!(estimate(Some("v"), Some(0.0), Some(0), 15), None);
    }

    #[test]
    fn an_answer_of_another_shape_is_an_error() {
        let row = vec![Some("t".into()), Some("r".into()), None, None, None, None, Some("a".into())];
        assert!(remote_tables("s", vec![row], 15).is_err());
        assert!(remote_tables("s", vec![vec![]], 15).is_err());
        let bare = vec![Some("t".into()), Some("r".into())];
        assert_eq!(remote_tables("s", vec![bare], 15).unwrap().len(), 1);
    }

    #[test]
    fn names_are_quoted_in_queries() {
        assert!(describe_sql("a'b", &["c\\'d"]).unwrap().contains("= 'a''b' AND c.relname IN (E'c\\\\''d')"));
        assert!(tables_sql("a\0").is_err());
    }
}
