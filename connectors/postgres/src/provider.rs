//! One foreign table for DataFusion: what is selected, what is pushed down, how the scan is cut.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result as DfResult, Statistics};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use atoll_connector_api::estimate::{ColumnEstimate, TableEstimate, equated_columns};
use atoll_connector_api::keys::KeyFilters;
use atoll_connector_api::pushdown::{Fidelity, FilterTranslator};
use atoll_connector_api::scan::{ForeignScanExec, RemoteQuery};
use atoll_connector_api::statement::SourceId;
use atoll_connector_api::subplan::{
    FederatedTable, OpenQuery, Query as SubQuery, QueryDialect, Relation, RelationColumn, RemoteRelation, Scalar,
    Transfer, reading_type, render, render_open, unwritten,
};
use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ColumnDefinition, ConnectorError, Result, TableSpec};

use crate::copy::Field;
use crate::dialect::{PostgresDialect, WrittenColumns, is_text_storage, quote_identifier, transferred};
use crate::known::Known;
use crate::metadata::{RemoteColumn, RemoteTable};
use crate::pool::Pool;
use crate::scan::{Answer, PostgresScan};
use crate::statistics::ColumnCounts;

/// A part of a scan has at least this many blocks (8 MB of 8 kB): below that a connection costs more than it saves.
const PART_BLOCKS_MIN: u64 = 1024;
/// So few rows, where an index finds them, are read as one part.
const LOOK_UP_ROWS_MAX: usize = 10_000;
/// Ranges of `ctid` are read as ranges, rather than by reading the whole table and filtering it, since this version.
const RANGE_SCAN_VERSION: u32 = 14;

#[derive(Debug)]
struct Column {
    /// As it is at the remote.
    name: String,
    /// The same, quoted.
    remote: String,
    reading: Transfer,
    field: Field,
    /// Filters over it mean the same at the remote.
    pushable: bool,
    /// Its numbers have the digits there that they have here.
    same_scale: bool,
    /// The collation's OID; 0 for what has none.
    collation: u32,
    /// Rows with one value of it are found without reading the others.
    indexed: bool,
}

/// A foreign table.
#[derive(Debug)]
pub(crate) struct PostgresTable {
    pool: Arc<Pool>,
    spec: TableSpec,
    schema: SchemaRef,
    relation: String,
    /// The relation's schema and name, as they are.
    names: [String; 2],
    /// Each one, or what is said where it is read.
    columns: Vec<Result<Column>>,
    estimate: TableEstimate,
    dialect: PostgresDialect,
    keys: KeyFilters,
    batch_rows: usize,
    /// Where the parts of a scan begin, in blocks, the first left out.
    cuts: Vec<u64>,
    known: Known,
}

/// What the remote session that answered said about itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RemoteTraits {
    pub(crate) major_version: u32,
    pub(crate) utf8: bool,
}

impl PostgresTable {
    /// A provider for `spec`, which is `known` now.
    ///
    /// # Errors
    /// Option errors.
    pub(crate) fn new(pool: Arc<Pool>, spec: TableSpec, remote_schema: &str, known: Known) -> Result<Self> {
        let (remote, traits) = (Arc::clone(&known.table), known.traits);
        let columns: Vec<_> =
            spec.columns.iter().map(|column| plan_column(pool.server(), &spec, column, &remote)).collect();
        let config = &pool.remote().config;
        let parts = config.partitions_of(&spec.options)?.min(config.connections_max);
        let cuts = if traits.major_version >= RANGE_SCAN_VERSION { cuts(remote.blocks, parts) } else { Vec::new() };
        let dialect = PostgresDialect { utf8: traits.utf8 };
        let pushable =
            spec.columns.iter().zip(&columns).filter(|(_, column)| column.as_ref().is_ok_and(|column| column.pushable));
        let pushable = pushable.map(|(column, _)| column.clone()).collect();
        Ok(Self {
            keys: KeyFilters::new(Arc::new(dialect), TableSpec { columns: pushable, ..spec.clone() }),
            batch_rows: config.batch_rows_of(&spec.options)?,
            schema: spec.schema(),
            relation: format!("{}.{}", quote_identifier(remote_schema), quote_identifier(&remote.name)),
            names: [remote_schema.to_owned(), remote.name.clone()],
            estimate: TableEstimate { rows: remote.rows, columns: Vec::new() },
            dialect,
            cuts,
            columns,
            known,
            spec,
            pool,
        })
    }

    /// What joins above a query may say of its columns. A name that two of them have is nobody's.
    fn keys_of(&self, open: &OpenQuery, query: &SubQuery, tables: &str, schema: &SchemaRef) -> KeyFilters {
        let is_only = |name: &str| schema.fields().iter().filter(|field| field.name() == name).count() == 1;
        let columns = open.columns.iter().zip(&query.outputs).zip(schema.fields());
        let columns = columns.filter(|(_, field)| is_only(field.name())).filter_map(|((sql, output), field)| {
            let mut column = ColumnDefinition::new(field.name(), output.data_type()?);
            column.options.set("column_name", sql.clone()?);
            Some(column)
        });
        let spec =
            TableSpec { name: tables.to_owned(), options: self.spec.options.clone(), columns: columns.collect() };
        KeyFilters::new(Arc::new(WrittenColumns(self.dialect)), spec)
    }

    fn is_pushable(&self, filter: &Expr) -> bool {
        filter.column_refs().iter().all(|reference| {
            let index = self.spec.columns.iter().position(|column| column.name == reference.name);
            let column = index.and_then(|index| self.columns.get(index));
            column.and_then(|column| column.as_ref().ok()).is_some_and(|column| column.pushable)
        })
    }

    /// The table for the planner: whole queries go to the source only where all of its columns are readable.
    pub(crate) fn into_provider(self) -> Arc<dyn TableProvider> {
        if self.columns.iter().all(Result::is_ok) {
            return Arc::new(FederatedTable(Arc::new(self)));
        }
        Arc::new(self)
    }

    /// The same of a live table, which has no columns but those that are there.
    ///
    /// # Errors
    /// [`ConnectorError::ColumnChanged`].
    pub(crate) fn into_live_provider(self) -> Result<Arc<dyn TableProvider>> {
        match self.columns.iter().find_map(|column| column.as_ref().err()) {
            Some(changed) => Err(changed.clone()),
            None => Ok(self.into_provider()),
        }
    }

    /// Adds what the remote has counted of its columns.
    pub(crate) fn with_counts(mut self, counts: &ColumnCounts) -> Self {
        let rows = self.estimate.rows;
        let known = |column: &ColumnDefinition| counts.get(self.spec.remote_column(column));
        let estimate = |column| known(column).map_or_else(ColumnEstimate::default, |count| count.estimate(rows));
        self.estimate.columns = self.spec.columns.iter().map(estimate).collect();
        self
    }

    /// Whether the remote finds the few rows that filters leave by an index: parts would only ask it several times.
    fn is_look_up(&self, filters: &[Expr], statistics: &Statistics) -> bool {
        let few = statistics.num_rows.get_value().is_some_and(|rows| *rows <= LOOK_UP_ROWS_MAX);
        let indexed = |name: &str| {
            let column = self.place(name).and_then(|index| self.columns.get(index));
            column.is_some_and(|column| column.as_ref().is_ok_and(|column| column.indexed))
        };
        few && filters.iter().any(|filter| equated_columns(filter).into_iter().any(indexed))
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.spec.columns.iter().position(|column| column.name == name)
    }
}

/// Blocks at which to cut a relation of `blocks` blocks into at most `parts` parts.
fn cuts(blocks: u64, parts: usize) -> Vec<u64> {
    let parts = (blocks / PART_BLOCKS_MIN).min(parts as u64);
    (1..parts).map(|part| blocks * part / parts).collect()
}

/// The ranges between cuts. The last one is open: the relation may have grown since it was measured.
fn ctid_ranges(cuts: &[u64]) -> Vec<String> {
    let bound = |operator: &str, block: &u64| format!("ctid {operator} '({block},0)'::tid");
    let first = cuts.first().map(|end| bound("<", end));
    let inner = cuts.iter().zip(cuts.iter().skip(1));
    let inner = inner.map(|(begin, end)| format!("{} AND {}", bound(">=", begin), bound("<", end)));
    let last = cuts.last().map(|begin| bound(">=", begin));
    first.into_iter().chain(inner).chain(last).collect()
}

fn plan_column(server: &str, spec: &TableSpec, column: &ColumnDefinition, remote: &RemoteTable) -> Result<Column> {
    let changed = |problem: String| ConnectorError::ColumnChanged {
        server: server.to_owned(),
        table: spec.name.clone(),
        column: column.name.clone(),
        problem,
    };
    let name = spec.remote_column(column);
    let found = remote.columns.iter().find(|found| found.name == name);
    let found = found.ok_or_else(|| changed("no longer exists".to_owned()))?;
    let reading = reading(found, &column.data_type).ok_or_else(|| {
        let (is, was) = (found.data_type.sql_name(), column.data_type.sql_name());
        changed(if is == was { format!("has other labels of type {is}") } else { format!("has type {is}, not {was},") })
    })?;
    Ok(Column {
        name: name.to_owned(),
        remote: quote_identifier(name),
        reading,
        field: Field {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            text: reading != Transfer::Native,
            nullable: !column.not_null,
        },
        pushable: found.plain && same_type(&found.data_type, &column.data_type),
        same_scale: column.data_type.oid != oids::NUMERIC
            || column.data_type.modifier == -1
            || column.data_type.modifier == found.data_type.modifier,
        collation: found.collation,
        indexed: found.indexed,
    })
}

fn same_type(remote: &PgType, declared: &PgType) -> bool {
    remote.oid == declared.oid && remote.user == declared.user
}

/// How a remote column is read into a declared type; `None` where a value could be lost or misread.
fn reading(remote: &RemoteColumn, declared: &PgType) -> Option<Transfer> {
    let is = &remote.data_type;
    if same_type(is, declared) && modifier_fits(is, declared) {
        return Some(natural_reading(is));
    }
    let text = [oids::TEXT, oids::VARCHAR];
    let widened = match (is.oid, declared.oid) {
        // Everything prints; a length of the declared type must hold it.
        (_, to) if text.contains(&to) && declared.modifier == -1 => return Some(text_reading(is)),
        (from, oids::VARCHAR) if [oids::VARCHAR, oids::BPCHAR].contains(&from) => {
            is.modifier >= 4 && is.modifier <= declared.modifier
        }
        // An enum declared by name only, in a hand-written table.
        _ if is.user.is_some() && declared.user.is_some() => {
            declared.labels().is_empty() && is.sql_name() == declared.sql_name()
        }
        (oids::INT2, oids::INT4 | oids::INT8) | (oids::INT4, oids::INT8) | (oids::FLOAT4, oids::FLOAT8) => true,
        (oids::INT2 | oids::INT4 | oids::INT8, oids::NUMERIC) => declared.modifier == -1,
        (oids::JSONB, oids::JSON) => true,
        _ => false,
    };
    widened.then(|| text_reading(is))
}

/// Whether every value with the remote's modifier is one with the declared modifier.
fn modifier_fits(remote: &PgType, declared: &PgType) -> bool {
    if declared.modifier == remote.modifier || declared.modifier == -1 {
        return true;
    }
    match declared.oid {
        oids::NUMERIC => match (remote.numeric_bounds(), declared.numeric_bounds()) {
            (Some((from, from_scale)), Some((to, to_scale))) => {
                let digits = |precision: u16, scale: i16| i32::from(precision) - i32::from(scale);
                to_scale >= from_scale && digits(to, to_scale) >= digits(from, from_scale)
            }
            _ => false,
        },
        oids::VARCHAR | oids::VARBIT | oids::TIME | oids::TIMETZ | oids::TIMESTAMP | oids::TIMESTAMPTZ => {
            remote.modifier >= 0 && remote.modifier <= declared.modifier
        }
        // A declared length changes nothing in how these are read.
        oids::INTERVAL => true,
        _ => false,
    }
}

/// The reading of a column whose type is the declared one.
fn natural_reading(data_type: &PgType) -> Transfer {
    if let Some(user) = &data_type.user {
        // An enum's binary form is its label.
        return if user.labels.is_empty() || user.array { Transfer::Text } else { Transfer::Native };
    }
    match data_type.oid {
        oids::TEXT | oids::VARCHAR | oids::BPCHAR | oids::NAME | oids::JSON | oids::JSONB | oids::NUMERIC => {
            Transfer::Native
        }
        _ if !is_text_storage(data_type) => Transfer::Native,
        _ => text_reading(data_type),
    }
}

/// The reading of a column as text.
fn text_reading(data_type: &PgType) -> Transfer {
    match data_type.oid {
        // Their casts to text cut blanks, add a netmask, spell out booleans, keep an encoding declaration.
        oids::BPCHAR => Transfer::Function("bpcharout"),
        oids::INET => Transfer::Function("inet_out"),
        oids::BOOL => Transfer::Function("boolout"),
        oids::XML => Transfer::Function("xml_out"),
        oids::CHAR => Transfer::Function("charout"),
        _ => Transfer::Text,
    }
}

impl Column {
    fn select(&self) -> String {
        transferred(&self.remote, self.reading)
    }
}

#[async_trait]
impl TableProvider for PostgresTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn statistics(&self) -> Option<Statistics> {
        let all: Vec<usize> = (0..self.columns.len()).collect();
        self.estimate.rows.map(|_| self.estimate.of_scan(&self.schema, &all, &[], |name| self.place(name), None))
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let translator = FilterTranslator::new(&self.dialect, &self.spec);
        let mut answers = translator.supports(filters);
        for (answer, filter) in answers.iter_mut().zip(filters) {
            if !self.is_pushable(filter) {
                *answer = TableProviderFilterPushDown::Unsupported;
            }
        }
        Ok(answers)
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let schema = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => Arc::clone(&self.schema),
        };
        let projection = projection.cloned().unwrap_or_else(|| (0..self.columns.len()).collect());
        let columns = projection.iter().filter_map(|index| self.columns.get(*index));
        let columns = columns.map(|column| column.as_ref().map_err(Clone::clone)).collect::<Result<Vec<&Column>>>()?;
        let translator = FilterTranslator::new(&self.dialect, &self.spec);
        let sent: Vec<Expr> = filters.iter().filter(|filter| self.is_pushable(filter)).cloned().collect();
        let condition = translator.conjunction(&sent);
        // A limit is right only where the remote's filters keep no row that ours drop.
        let exact = sent.len() == filters.len()
            && sent.iter().all(|filter| {
                translator.translate(filter).is_some_and(|pushed| pushed.fidelity == Fidelity::Identical)
            });
        let limit = limit.filter(|_| exact);
        let query = Query { relation: &self.relation, columns: &columns, condition: condition.as_deref(), limit };
        let statistics = self.estimate.of_scan(&schema, &projection, &sent, |name| self.place(name), limit);
        let whole = limit.is_some() || columns.is_empty() || self.is_look_up(&sent, &statistics);
        let parts = query.parts(if whole { &[] } else { &self.cuts });
        let scan = PostgresScan {
            pool: Arc::clone(&self.pool),
            table: self.spec.name.clone(),
            answer: if columns.is_empty() {
                Answer::Count
            } else {
                Answer::Rows(columns.iter().map(|column| column.field.clone()).collect())
            },
            batch_rows: self.batch_rows,
        };
        let exec = ForeignScanExec::new(Arc::new(scan), &self.spec.name, parts, schema)
            .with_statistics(statistics)
            .with_keys(self.keys.clone());
        Ok(Arc::new(exec))
    }
}

#[async_trait]
impl RemoteRelation for PostgresTable {
    fn source(&self) -> SourceId {
        self.pool.source()
    }

    fn relation(&self) -> Relation {
        let columns = self.columns.iter().flatten().map(|column| RelationColumn {
            name: column.name.clone(),
            data_type: column.field.data_type.clone(),
            // A sum has the digits of what is added up.
            plain: column.pushable && column.same_scale,
            collation: (column.collation != 0).then_some(column.collation),
            transfer: column.reading,
        });
        Relation {
            table: self.spec.name.clone(),
            name: self.names.to_vec(),
            columns: columns.collect(),
            rows: self.estimate.rows,
        }
    }

    fn dialect(&self) -> &dyn QueryDialect {
        &self.dialect
    }

    fn has_one_moment(&self) -> bool {
        true
    }

    async fn is_current(&self) -> bool {
        let [schema, name] = &self.names;
        let known = self.known.mark.as_ref().filter(|_| self.known.is_young());
        let Some(mark) = known else { return false };
        self.pool.mark(schema, name).await.is_ok_and(|now| now.as_ref() == Some(mark))
    }

    fn scan_query(
        &self,
        query: &SubQuery,
        tables: &str,
        schema: SchemaRef,
        rows: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let failed = || unwritten(self.pool.server());
        let counted = query.outputs.is_empty().then(|| query.clone().counted());
        let sql = render(&self.dialect, counted.as_ref().unwrap_or(query)).ok_or_else(failed)?;
        let field = |(output, field): (&Scalar, &Arc<arrow::datatypes::Field>)| {
            Some(Field {
                name: field.name().clone(),
                data_type: output
                    .data_type()
                    .filter(|sent| sent.storage() == *field.data_type())
                    .or_else(|| reading_type(field))?,
                text: matches!(output, Scalar::Column(column) if column.transfer != Transfer::Native),
                nullable: field.is_nullable(),
            })
        };
        let fields = query.outputs.iter().zip(schema.fields()).map(field).collect::<Option<Vec<_>>>();
        let fields = fields.filter(|fields| fields.len() == schema.fields().len()).ok_or_else(failed)?;
        let scan = PostgresScan {
            pool: Arc::clone(&self.pool),
            table: tables.to_owned(),
            answer: if counted.is_some() { Answer::Count } else { Answer::Rows(fields) },
            batch_rows: self.batch_rows,
        };
        let Some(open) = render_open(&self.dialect, query) else {
            let exec = ForeignScanExec::new(Arc::new(scan), tables, vec![sql], schema);
            return Ok(Arc::new(exec.with_estimated_rows(rows)));
        };
        let keys = self.keys_of(&open, query, tables, &schema);
        let parts = vec![RemoteQuery::new(open.head, open.conditions)];
        let exec = ForeignScanExec::new(Arc::new(scan), tables, parts, schema);
        Ok(Arc::new(exec.with_estimated_rows(rows).with_keys(keys)))
    }
}

/// One scan's SQL.
#[derive(Clone, Copy)]
struct Query<'a> {
    relation: &'a str,
    columns: &'a [&'a Column],
    condition: Option<&'a str>,
    limit: Option<usize>,
}

impl Query<'_> {
    /// The statement, or one for each range between `cuts`.
    fn parts(&self, cuts: &[u64]) -> Vec<RemoteQuery> {
        let ranges = ctid_ranges(cuts);
        if ranges.is_empty() {
            return vec![self.part(None)];
        }
        ranges.into_iter().map(|range| self.part(Some(range))).collect()
    }

    fn part(&self, range: Option<String>) -> RemoteQuery {
        let conditions = range.into_iter().chain(self.condition.map(str::to_owned)).collect();
        let selected: Vec<String> = self.columns.iter().map(|column| column.select()).collect();
        // Rows without columns are a number: the remote counts them rather than sends them.
        let selected = match (self.columns, self.limit) {
            ([], None) => "count(*)".to_owned(),
            ([], Some(_)) => "count(*) FROM (SELECT".to_owned(),
            _ => selected.join(", "),
        };
        let query = RemoteQuery::new(format!("SELECT {selected} FROM {}", self.relation), conditions);
        match (self.columns, self.limit) {
            ([], Some(limit)) => query.closed(&format!(" LIMIT {limit}) AS counted")),
            (_, Some(limit)) => query.closed(&format!(" LIMIT {limit}")),
            _ => query,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(data_type: PgType) -> RemoteColumn {
        RemoteColumn {
            name: "c".into(),
            data_type,
            not_null: false,
            comment: None,
            readable: true,
            plain: true,
            key_position: None,
            collation: 0,
            indexed: false,
        }
    }

    #[test]
    fn a_type_is_read_where_no_value_can_be_lost() {
        let enumeration =
            |labels: &[&str]| PgType::user("mood", labels.iter().map(|l| (*l).to_owned()).collect(), false);
        let kept = [
            (PgType::new(oids::INT4), PgType::new(oids::INT4), Transfer::Native),
            (PgType::new(oids::INT4), PgType::new(oids::INT8), Transfer::Text),
            (PgType::new(oids::INET), PgType::new(oids::INET), Transfer::Function("inet_out")),
            (PgType::new(oids::BOOL), PgType::new(oids::TEXT), Transfer::Function("boolout")),
            (PgType::bpchar(3), PgType::new(oids::TEXT), Transfer::Function("bpcharout")),
            (PgType::numeric(10, 2), PgType::numeric(12, 3), Transfer::Native),
            (PgType::numeric(10, 2), PgType::new(oids::NUMERIC), Transfer::Native),
            (PgType::varchar(3), PgType::varchar(5), Transfer::Native),
            (PgType::bpchar(3), PgType::varchar(5), Transfer::Function("bpcharout")),
            (enumeration(&["a"]), enumeration(&["a"]), Transfer::Native),
            (enumeration(&["a"]), enumeration(&[]), Transfer::Text),
            (PgType::new(oids::TEXT_ARRAY), PgType::new(oids::TEXT_ARRAY), Transfer::Text),
        ];
        for (is, declared, expected) in kept {
            assert_eq!(reading(&remote(is.clone()), &declared), Some(expected), "{is:?} {declared:?}");
        }
        let refused = [
            (PgType::new(oids::INT8), PgType::new(oids::INT4)),
            (PgType::new(oids::TEXT), PgType::new(oids::INT4)),
            (PgType::numeric(12, 3), PgType::numeric(10, 2)),
            (PgType::new(oids::NUMERIC), PgType::numeric(10, 2)),
            (PgType::varchar(5), PgType::varchar(3)),
            (PgType::new(oids::TEXT), PgType::varchar(3)),
            (PgType::bpchar(3), PgType::bpchar(4)),
            (enumeration(&["a", "b"]), enumeration(&["a"])),
            (PgType::new(oids::TIMESTAMP), PgType::new(oids::TIMESTAMPTZ)),
        ];
        for (is, declared) in refused {
            assert_eq!(reading(&remote(is.clone()), &declared), None, "{is:?} {declared:?}");
        }
    }

    #[test]
    fn ranges_cover_every_block_once() {
        assert!(cuts(PART_BLOCKS_MIN * 2 - 1, 8).is_empty());
        assert!(cuts(1_000_000, 1).is_empty());
        let blocks = PART_BLOCKS_MIN * 3 + 5;
        assert_eq!(cuts(blocks, 8), [1025, 2051]);
        assert_eq!(
            ctid_ranges(&[1025, 2051]),
            ["ctid < '(1025,0)'::tid", "ctid >= '(1025,0)'::tid AND ctid < '(2051,0)'::tid", "ctid >= '(2051,0)'::tid",]
        );
        assert!(ctid_ranges(&[]).is_empty());
    }

    #[test]
    fn a_query_says_what_is_needed_and_no_more() {
        let column = Column {
            name: "a".into(),
            remote: "\"a\"".into(),
            reading: Transfer::Text,
            field: Field { name: "a".into(), data_type: PgType::new(oids::MONEY), text: true, nullable: true },
            pushable: true,
            same_scale: true,
            collation: 0,
            indexed: false,
        };
        let columns = [&column];
        let query =
            Query { relation: "\"s\".\"t\"", columns: &columns, condition: Some("(\"a\" IS NULL)"), limit: Some(3) };
        let sql = |query: Query<'_>, cuts: &[u64]| query.parts(cuts).iter().map(RemoteQuery::sql).collect::<Vec<_>>();
        assert_eq!(sql(query, &[]), ["SELECT \"a\"::text FROM \"s\".\"t\" WHERE (\"a\" IS NULL) LIMIT 3"]);
        let count = Query { columns: &[], ..query };
        assert_eq!(
            sql(count, &[]),
            ["SELECT count(*) FROM (SELECT FROM \"s\".\"t\" WHERE (\"a\" IS NULL) LIMIT 3) AS counted"]
        );
        let all = Query { condition: None, limit: None, ..count };
        assert_eq!(sql(all, &[]), ["SELECT count(*) FROM \"s\".\"t\""]);
        let parts = sql(Query { columns: &columns, ..all }, &[7]);
        assert_eq!(parts[1], "SELECT \"a\"::text FROM \"s\".\"t\" WHERE ctid >= '(7,0)'::tid");
    }
}
