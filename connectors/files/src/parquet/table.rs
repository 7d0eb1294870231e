//! A foreign table over Parquet files: every file is compared with the declared columns before anything is planned.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use atoll_connector_api::types::PgType;
use atoll_connector_api::{ColumnDefinition, ConnectorError, Result};
use datafusion::common::Statistics;

use super::convert::Conversion;
use super::filter::FilterColumn;
use super::footer::{Footer, FooterCache};
use super::statistics;
use crate::error::Owner;
use crate::listing::{FileEntry, REQUESTS_MAX, at_once};

/// A declared column and how the files hold it.
#[derive(Debug, Clone)]
pub(crate) struct ParquetColumn {
    pub(crate) declared: PgType,
    pub(crate) seen: PgType,
    pub(crate) conversion: Conversion,
    /// The SQL name.
    pub(crate) name: String,
}

/// Files that hold the declared columns.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    pub(crate) owner: Owner,
    pub(crate) files: Arc<Vec<FileEntry>>,
    pub(crate) footers: Arc<Vec<Arc<Footer>>>,
    /// The declared columns by their names and types in the files.
    pub(crate) file_schema: SchemaRef,
    pub(crate) columns: Vec<ParquetColumn>,
    /// One for each file: the declared columns in their declared types.
    pub(crate) statistics: Vec<Statistics>,
}

/// Reads the footers of all files.
///
/// # Errors
/// The first one that cannot be read.
pub(crate) async fn read_footers(cache: &FooterCache, owner: &Owner, files: &[FileEntry]) -> Result<Vec<Arc<Footer>>> {
    at_once(REQUESTS_MAX, files.iter().map(|file| cache.read(owner, file)).collect()).await
}

/// The columns of files for which none are declared. All files must agree: a column that is wider in one of them is the
/// user's to declare.
///
/// # Errors
/// Reading errors; files that differ.
pub(crate) fn describe(owner: &Owner, files: &[FileEntry], footers: &[Arc<Footer>]) -> Result<Vec<ColumnDefinition>> {
    let Some((first, first_file)) = footers.first().zip(files.first()) else { return Ok(Vec::new()) };
    let mut names: Vec<_> = first.schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let reason = format!("it has the column \"{}\" twice", pair[0]);
        return Err(owner.format(&first_file.display(), "Parquet", reason));
    }
    for (footer, file) in footers.iter().zip(files).skip(1) {
        compare(owner, (first, first_file), (footer, file))?;
    }
    let columns = first.schema.fields().iter().zip(&first.types).map(|(field, data_type)| ColumnDefinition {
        not_null: footers
            .iter()
            .all(|footer| footer.column(field.name()).is_some_and(|index| !footer.schema.field(index).is_nullable())),
        ..ColumnDefinition::new(field.name(), data_type.clone())
    });
    Ok(columns.collect())
}

type Described<'a> = (&'a Footer, &'a FileEntry);

fn compare(owner: &Owner, (first, first_file): Described<'_>, (other, file): Described<'_>) -> Result<()> {
    let differs = |what: String| Err(owner.unreadable(&file.display(), what));
    for (index, field) in first.schema.fields().iter().enumerate() {
        let Ok(found) = other.schema.index_of(field.name()) else {
            return differs(format!("it lacks the column \"{}\" of \"{}\"", field.name(), first_file.display()));
        };
        let same_storage = other.schema.field(found).data_type().equals_datatype(field.data_type());
        if !same_storage || first.types[index] != other.types[found] {
            return differs(format!(
                "its column \"{}\" is {}, but {} in \"{}\"; declare the columns to read both",
                field.name(),
                other.types[found].sql_name(),
                first.types[index].sql_name(),
                first_file.display()
            ));
        }
    }
    if let Some(extra) = other.schema.fields().iter().find(|field| first.schema.index_of(field.name()).is_err()) {
        return differs(format!("its column \"{}\" is not in \"{}\"", extra.name(), first_file.display()));
    }
    Ok(())
}

impl ParquetTable {
    /// Compares every file with the declared columns, given with their names in the files.
    ///
    /// # Errors
    /// [`ConnectorError::ColumnChanged`] where a file lacks a column or holds it in a type that is not read as the
    /// declared one.
    pub(crate) fn new(
        owner: Owner,
        table: &str,
        declared: &[(&ColumnDefinition, &str)],
        files: Arc<Vec<FileEntry>>,
        footers: Vec<Arc<Footer>>,
    ) -> Result<Self> {
        let changed = |column: &ColumnDefinition, problem: String| ConnectorError::ColumnChanged {
            server: owner.server.clone(),
            table: table.to_owned(),
            column: column.name.clone(),
            problem,
        };
        let (mut fields, mut columns): (Vec<Field>, Vec<ParquetColumn>) = (Vec::new(), Vec::new());
        for (definition, remote) in declared {
            let mut expected: Option<(Field, Conversion, PgType)> = None;
            for (footer, file) in footers.iter().zip(files.iter()) {
                let path = file.display();
                let Some(index) = footer.column(remote) else {
                    return Err(changed(definition, format!("is not in the file \"{path}\"")));
                };
                let (field, seen) = (footer.schema.field(index), &footer.types[index]);
                match &expected {
                    Some((first, _, _))
                        if first.name() != field.name() || !first.data_type().equals_datatype(field.data_type()) =>
                    {
                        let problem =
                            format!("is {} in the file \"{path}\" and differs in other files", seen.sql_name());
                        return Err(changed(definition, problem));
                    }
                    Some(_) => {}
                    None => {
                        let found = Conversion::find(field.data_type(), seen, &definition.data_type);
                        let Some(conversion) = found else {
                            let (holds, wanted) = (seen.sql_name(), definition.data_type.sql_name());
                            let problem = format!("is {holds} in the file \"{path}\", which is not read as {wanted},");
                            return Err(changed(definition, problem));
                        };
                        let field = Field::new(field.name(), field.data_type().clone(), true);
                        expected = Some((field, conversion, seen.clone()));
                    }
                }
            }
            let Some((field, conversion, seen)) = expected else { continue };
            if fields.iter().any(|known| known.name() == field.name()) {
                return Err(ConnectorError::Unsupported {
                    message: format!("two columns of foreign table \"{table}\" read the column \"{}\"", field.name()),
                    hint: Some("Drop one of them; a view can show a column twice.".into()),
                });
            }
            fields.push(field);
            let (declared, name) = (definition.data_type.clone(), definition.name.clone());
            columns.push(ParquetColumn { declared, seen, conversion, name });
        }
        let file_schema = Arc::new(Schema::new(fields));
        let targets: Vec<_> = columns.iter().map(|column| (column.conversion, &column.declared)).collect();
        let statistics = footers.iter().map(|footer| statistics::of_file(footer, &file_schema, &targets)).collect();
        Ok(Self { owner, files, footers: Arc::new(footers), file_schema, columns, statistics })
    }

    /// The columns as filters see them.
    pub(crate) fn filter_columns(&self) -> Vec<FilterColumn> {
        self.columns
            .iter()
            .zip(self.file_schema.fields())
            .map(|(column, field)| FilterColumn {
                name: column.name.clone(),
                data_type: column.declared.clone(),
                file_name: field.name().clone(),
                file_type: field.data_type().clone(),
                conversion: column.conversion,
            })
            .collect()
    }
}
