//! What DataFusion sees of a foreign table over files.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use async_trait::async_trait;
use atoll_connector_api::estimate::value_bytes;
use atoll_connector_api::{ConnectorError, TableSpec};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Result as DfResult, ScalarValue, Statistics};
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Operator, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::exec::{Description, FileScanExec, TextOutput, TextWork, Work};
use crate::listing::FileEntry;
use crate::options::Format;
use crate::parquet::filter::{FilterColumn, translate};
use crate::parquet::scan::{ParquetScan, ScanRequest};
use crate::parquet::table::{FileShape, ParquetTable};
use crate::text::TextTable;

/// Where a declared column comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnSource {
    /// The files' column of this index.
    File(usize),
    /// The partition column of this index.
    Partition(usize),
}

/// What reads the files.
#[derive(Debug)]
pub(crate) enum Reader {
    Text(Arc<TextTable>),
    /// For each shape of the table's files, its columns as filters see them.
    Parquet {
        table: Arc<ParquetTable>,
        filter_columns: Vec<Vec<FilterColumn>>,
    },
}

/// A foreign table over files that were listed when it was made.
#[derive(Debug)]
pub(crate) struct FilesTable {
    pub(crate) server: String,
    pub(crate) format: Format,
    pub(crate) spec: TableSpec,
    pub(crate) schema: SchemaRef,
    pub(crate) files: Arc<Vec<FileEntry>>,
    /// For each declared column.
    pub(crate) sources: Vec<ColumnSource>,
    /// Partition columns: fields and values, one row for each file.
    pub(crate) partition_schema: SchemaRef,
    pub(crate) partition_values: Vec<ArrayRef>,
    pub(crate) reader: Reader,
}

/// Quotes, colon and comma around a JSON object's key.
const JSON_KEY_BYTES: usize = 4;
/// Bytes that a value of a file's is taken to have at most.
const TEXT_VALUE_BYTES_MAX: usize = 12;

impl FilesTable {
    /// Whether a filter speaks of partition columns only, so that whole files answer it.
    fn is_partition_filter(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty()
            && !filter.is_volatile()
            && columns.iter().all(|column| self.partition_schema.index_of(&column.name).is_ok())
    }

    /// The files whose partition values pass all of the filters.
    fn prune(&self, state: &dyn Session, filters: &[&Expr]) -> DfResult<Vec<usize>> {
        let mut kept: Vec<usize> = (0..self.files.len()).collect();
        if filters.is_empty() {
            return Ok(kept);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(self.files.len()));
        let values = self.partition_values.clone();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.partition_schema), values, &options)?;
        let schema = DFSchema::try_from(self.partition_schema.as_ref().clone())?;
        for filter in filters {
            let expr = state.create_physical_expr(unqualified((*filter).clone())?, &schema)?;
            let keeps = |batch: &RecordBatch| -> DfResult<BooleanArray> {
                let mask = expr.evaluate(batch)?.into_array(batch.num_rows())?;
                let Some(mask) = mask.as_any().downcast_ref::<BooleanArray>() else {
                    return Err(ConnectorError::Internal { message: "a filter is not boolean".into() }.into());
                };
                // NULL keeps a row no more than false does.
                Ok(if mask.null_count() > 0 { prep_null_mask_filter(mask) } else { mask.clone() })
            };
            match keeps(&batch) {
                Ok(mask) => kept.retain(|index| mask.value(*index)),
                Err(error) if cannot_fail(filter) => return Err(error),
                // Where it fails for one file, the filter above the scan tells so, if a row ever gets there.
                Err(_) => kept.retain(|index| keeps(&batch.slice(*index, 1)).map_or(true, |mask| mask.value(0))),
            }
        }
        Ok(kept)
    }

    /// Bytes of a row as text, roughly. Compressed files are taken as they are: a guess is not worth opening them.
    fn text_row_bytes(&self) -> usize {
        let bytes = |field: &FieldRef| {
            let name = if self.format == Format::Csv { 0 } else { field.name().len() + JSON_KEY_BYTES };
            name + value_bytes(field.data_type()).min(TEXT_VALUE_BYTES_MAX) + 1
        };
        self.schema.fields().iter().map(bytes).sum::<usize>().max(1)
    }

    fn statistics_of(&self, files: &[usize], projection: &[usize]) -> Statistics {
        let schema = Arc::new(Schema::new(self.projected(projection)));
        let mut statistics = Statistics::new_unknown(&schema);
        let row_bytes: usize = schema.fields().iter().map(|field| value_bytes(field.data_type())).sum();
        let Reader::Parquet { table, .. } = &self.reader else {
            let sizes = files.iter().filter_map(|index| usize::try_from(self.files[*index].meta.size).ok());
            let rows = sizes.sum::<usize>().div_ceil(self.text_row_bytes());
            statistics.num_rows = Precision::Inexact(rows);
            statistics.total_byte_size = Precision::Inexact(rows.saturating_mul(row_bytes));
            return statistics;
        };
        let merged = Statistics::try_merge_iter(
            files.iter().map(|index| &table.statistics[*index]),
            &Schema::new(self.file_fields()),
        );
        let Ok(merged) = merged else { return statistics };
        statistics.num_rows = if files.is_empty() { Precision::Exact(0) } else { merged.num_rows };
        if let Some(rows) = statistics.num_rows.get_value() {
            statistics.total_byte_size = Precision::Inexact(rows.saturating_mul(row_bytes));
        }
        for (column, index) in statistics.column_statistics.iter_mut().zip(projection) {
            if let ColumnSource::File(file) = self.sources[*index]
                && let Some(found) = merged.column_statistics.get(file)
            {
                *column = found.clone();
            }
        }
        statistics
    }

    fn projected(&self, projection: &[usize]) -> Vec<FieldRef> {
        projection.iter().map(|index| Arc::clone(&self.schema.fields()[*index])).collect()
    }

    /// The declared fields of the columns that the files hold, in the files' order of them.
    fn file_fields(&self) -> Vec<FieldRef> {
        let fields = self.schema.fields().iter().zip(&self.sources);
        fields
            .filter(|(_, source)| matches!(source, ColumnSource::File(_)))
            .map(|(field, _)| Arc::clone(field))
            .collect()
    }

    fn text_work(
        &self,
        table: &Arc<TextTable>,
        files: &[usize],
        projection: &[usize],
        limit: Option<usize>,
        partitions: usize,
    ) -> Work {
        let mut wanted = Vec::new();
        let outputs = projection
            .iter()
            .map(|index| match self.sources[*index] {
                ColumnSource::File(file) => {
                    wanted.push(file);
                    TextOutput::File(wanted.len() - 1)
                }
                ColumnSource::Partition(column) => TextOutput::Partition(Arc::clone(&self.partition_values[column])),
            })
            .collect();
        let parts = divide(files, &self.files, partitions);
        let (table, files) = (Arc::clone(table), Arc::clone(&self.files));
        Work::Text(Arc::new(TextWork { table, files, parts, wanted, outputs, limit }))
    }

    fn parquet_work(
        &self,
        state: &dyn Session,
        table: &Arc<ParquetTable>,
        pushed: Vec<Option<Expr>>,
        request: Request<'_>,
    ) -> DfResult<Work> {
        let file_columns = table.width;
        let projection = request.projection.iter().map(|index| match self.sources[*index] {
            ColumnSource::File(file) => file,
            ColumnSource::Partition(column) => file_columns + column,
        });
        let predicate = |(pushed, shape): (Option<Expr>, &FileShape)| {
            let expr = pushed.map(|expr| {
                // The files' columns are the first ones of what the source sees, so their places are the same.
                let schema = DFSchema::try_from(shape.file_schema.as_ref().clone())?;
                state.create_physical_expr(expr, &schema)
            });
            expr.transpose()
        };
        let predicates = pushed.into_iter().zip(&table.shapes).map(predicate).collect::<DfResult<_>>()?;
        let values = |row: usize| {
            self.partition_values
                .iter()
                .map(|column| ScalarValue::try_from_array(column, row))
                .collect::<DfResult<Vec<_>>>()
        };
        let scan = ParquetScan::new(
            table,
            &ScanRequest {
                files: request.files.to_vec(),
                // Under names of our own: a file may hold a column of a partition's name.
                partition_fields: self
                    .partition_schema
                    .fields()
                    .iter()
                    .enumerate()
                    .map(|(index, field)| Arc::new(field.as_ref().clone().with_name(format!("partition {index}"))))
                    .collect(),
                partition_values: (0..self.files.len()).map(values).collect::<DfResult<_>>()?,
                projection: projection.collect(),
                limit: request.limit,
                predicates,
                target_partitions: request.partitions,
            },
        )?;
        Ok(Work::Parquet(Arc::new(scan)))
    }
}

/// What a scan asks for, as far as all formats share it.
struct Request<'a> {
    files: &'a [usize],
    projection: &'a [usize],
    limit: Option<usize>,
    partitions: usize,
}

/// Whether a filter has an answer for every row: comparisons of columns and literals, and what is made of such.
fn cannot_fail(filter: &Expr) -> bool {
    let plain = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Literal(_, _));
    match filter {
        Expr::Column(_) | Expr::Literal(_, _) => true,
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And | Operator::Or, right }) => {
            cannot_fail(left) && cannot_fail(right)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let compares = matches!(
                op,
                Operator::Eq
                    | Operator::NotEq
                    | Operator::Lt
                    | Operator::LtEq
                    | Operator::Gt
                    | Operator::GtEq
                    | Operator::IsDistinctFrom
                    | Operator::IsNotDistinctFrom
            );
            compares && plain(left) && plain(right)
        }
        Expr::Not(inner)
        | Expr::IsTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsNotUnknown(inner) => cannot_fail(inner),
        Expr::IsNull(inner) | Expr::IsNotNull(inner) => plain(inner),
        Expr::Between(between) => plain(&between.expr) && plain(&between.low) && plain(&between.high),
        Expr::InList(list) => plain(&list.expr) && list.list.iter().all(plain),
        // A pattern may end in its escape character, which is an error.
        Expr::Like(like) => {
            let fixed = matches!(like.pattern.as_ref(), Expr::Literal(pattern, _)
                if pattern.try_as_str().flatten().is_some_and(|pattern| !pattern.contains('\\')));
            fixed && like.escape_char.is_none() && plain(&like.expr)
        }
        _ => false,
    }
}

/// A filter as EXPLAIN shows it: what literals carry besides their values is none of the reader's business.
fn shown(filter: &Expr) -> String {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let plain = filter.clone().transform(|expr| {
        Ok(match expr {
            Expr::Literal(value, Some(_)) => Transformed::yes(Expr::Literal(value, None)),
            other => Transformed::no(other),
        })
    });
    plain.map_or_else(|_| filter.to_string(), |plain| plain.data.to_string())
}

/// The filters' columns without the table's name, which the schemas here do not have.
fn unqualified(expr: Expr) -> DfResult<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let renamed = expr.transform(|expr| {
        Ok(match expr {
            Expr::Column(column) if column.relation.is_some() => {
                Transformed::yes(Expr::Column(datafusion::common::Column::new_unqualified(column.name)))
            }
            other => Transformed::no(other),
        })
    })?;
    Ok(renamed.data)
}

/// Spreads files over partitions, the largest first to the emptiest; each keeps the table's order.
fn divide(files: &[usize], entries: &[FileEntry], partitions: usize) -> Vec<Vec<usize>> {
    let count = partitions.max(1).min(files.len().max(1));
    let mut parts = vec![(0_u64, Vec::new()); count];
    let mut by_size = files.to_vec();
    by_size.sort_by_key(|index| std::cmp::Reverse(entries[*index].meta.size));
    for index in by_size {
        if let Some(part) = parts.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            // Opening a file has its price too.
            part.0 += entries[index].meta.size + 1;
            part.1.push(index);
        }
    }
    let mut parts: Vec<Vec<usize>> = parts.into_iter().map(|(_, part)| part).collect();
    parts.iter_mut().for_each(|part| part.sort_unstable());
    parts.sort();
    parts
}

#[async_trait]
impl TableProvider for FilesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let support = |filter: &&Expr| {
            if self.is_partition_filter(filter) {
                // Evaluated on each file's values by DataFusion itself: the same answer as above the scan. A filter
                // that may fail is asked again above it, where another one may keep the failing rows away.
                return if cannot_fail(filter) {
                    TableProviderFilterPushDown::Exact
                } else {
                    TableProviderFilterPushDown::Inexact
                };
            }
            match &self.reader {
                Reader::Parquet { filter_columns, .. }
                    if filter_columns.iter().any(|columns| translate(filter, columns).is_some()) =>
                {
                    TableProviderFilterPushDown::Inexact
                }
                _ => TableProviderFilterPushDown::Unsupported,
            }
        };
        Ok(filters.iter().map(support).collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let (files, columns): (Vec<_>, Vec<_>) = ((0..self.files.len()).collect(), (0..self.sources.len()).collect());
        Some(self.statistics_of(&files, &columns))
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let (of_partitions, of_rows): (Vec<&Expr>, Vec<&Expr>) =
            filters.iter().partition(|filter| self.is_partition_filter(filter));
        let files = self.prune(state, &of_partitions)?;
        let projection = projection.cloned().unwrap_or_else(|| (0..self.sources.len()).collect());
        let partitions = state.config().target_partitions();
        let mut texts: Vec<String> = of_partitions.iter().map(|filter| shown(filter)).collect();
        let work = match &self.reader {
            Reader::Text(table) => self.text_work(table, &files, &projection, limit, partitions),
            Reader::Parquet { table, filter_columns } => {
                let mut pushed = Vec::with_capacity(filter_columns.len());
                for columns in filter_columns {
                    let filters: Vec<Expr> = of_rows.iter().filter_map(|filter| translate(filter, columns)).collect();
                    for text in filters.iter().map(Expr::to_string) {
                        if !texts.contains(&text) {
                            texts.push(text);
                        }
                    }
                    pushed.push(conjunction(filters));
                }
                let request = Request { files: &files, projection: &projection, limit, partitions };
                self.parquet_work(state, table, pushed, request)?
            }
        };
        let mut statistics = self.statistics_of(&files, &projection);
        if limit.is_some() || !of_rows.is_empty() {
            statistics = statistics.to_inexact();
        }
        let description = Description {
            server: self.server.clone(),
            table: self.spec.name.clone(),
            format: self.format.name(),
            files: files.len(),
            files_in_all: self.files.len(),
            filters: texts,
            limit,
        };
        let schema = Arc::new(Schema::new(self.projected(&projection)));
        Ok(Arc::new(FileScanExec::new(work, description, statistics, schema)))
    }
}
