//! A foreign table over Parquet files: every file is compared with the declared columns before anything is planned.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use atoll_connector_api::types::PgType;
use atoll_connector_api::{ColumnDefinition, ConnectorError, Result};
use datafusion::common::Statistics;

use super::convert::Conversion;
use super::filter::FilterColumn;
use super::footer::{Footer, FooterCache};
use super::statistics;
use crate::error::Owner;
use crate::listing::{FileEntry, REQUESTS_MAX, at_once};

/// A declared column and how a file holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ParquetColumn {
    pub(crate) declared: PgType,
    pub(crate) seen: PgType,
    /// The type of its values, once what is read as bytes is made intervals.
    pub(crate) restored: DataType,
    pub(crate) conversion: Conversion,
    /// The SQL name.
    pub(crate) name: String,
}

/// How some of the files hold the declared columns: the same names and types.
#[derive(Debug, PartialEq)]
pub(crate) struct FileShape {
    /// The declared columns by their names and types in the files.
    pub(crate) file_schema: SchemaRef,
    pub(crate) columns: Vec<ParquetColumn>,
}

impl FileShape {
    /// The columns as filters see them.
    pub(crate) fn filter_columns(&self) -> Vec<FilterColumn> {
        let columns = self.columns.iter().zip(self.file_schema.fields()).map(|(column, field)| FilterColumn {
            name: column.name.clone(),
            data_type: column.declared.clone(),
            file_name: field.name().clone(),
            file_type: field.data_type().clone(),
            conversion: column.conversion,
        });
        columns.collect()
    }
}

/// Files that hold the declared columns.
#[derive(Debug)]
pub(crate) struct ParquetTable {
    pub(crate) owner: Owner,
    pub(crate) files: Arc<Vec<FileEntry>>,
    pub(crate) footers: Arc<Vec<Arc<Footer>>>,
    /// The number of declared columns that the files hold.
    pub(crate) width: usize,
    /// One where all files are alike.
    pub(crate) shapes: Vec<FileShape>,
    /// For each file, its shape.
    pub(crate) shape_of: Vec<usize>,
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

/// The columns of files for which none are declared. All files must agree in the types that are seen: a column that is
/// wider in one of them is the user's to declare. Nothing but NULL agrees with every type.
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
    let mut types: Vec<Seen<'_>> = (0..first.types.len()).map(|index| Seen::new(first, index, first_file)).collect();
    for (footer, file) in footers.iter().zip(files).skip(1) {
        compare(owner, (first, first_file), &mut types, (footer, file))?;
    }
    let columns = first.schema.fields().iter().zip(&types).map(|(field, seen)| ColumnDefinition {
        not_null: footers
            .iter()
            .all(|footer| footer.column(field.name()).is_some_and(|index| !footer.schema.field(index).is_nullable())),
        ..ColumnDefinition::new(field.name(), seen.data_type.clone())
    });
    Ok(columns.collect())
}

type Described<'a> = (&'a Footer, &'a FileEntry);

/// The type of a column, and the file that it is known from.
struct Seen<'a> {
    data_type: &'a PgType,
    only_nulls: bool,
    file: &'a FileEntry,
}

impl<'a> Seen<'a> {
    fn new(footer: &'a Footer, index: usize, file: &'a FileEntry) -> Self {
        let only_nulls = *footer.schema.field(index).data_type() == DataType::Null;
        Self { data_type: &footer.types[index], only_nulls, file }
    }
}

/// Compares a file with the first one, and with the types that were seen so far.
fn compare<'a>(
    owner: &Owner,
    (first, first_file): Described<'_>,
    types: &mut [Seen<'a>],
    (other, file): Described<'a>,
) -> Result<()> {
    let differs = |what: String| Err(owner.unreadable(&file.display(), what));
    for (field, known) in first.schema.fields().iter().zip(types) {
        let Some(index) = other.column(field.name()) else {
            return differs(format!("it lacks the column \"{}\" of \"{}\"", field.name(), first_file.display()));
        };
        let found = Seen::new(other, index, file);
        if known.only_nulls {
            *known = found;
        } else if !found.only_nulls && found.data_type != known.data_type {
            return differs(format!(
                "its column \"{}\" is {}, but {} in \"{}\"; declare it in CREATE FOREIGN TABLE with a type that holds \
                 both",
                field.name(),
                found.data_type.sql_name(),
                known.data_type.sql_name(),
                known.file.display()
            ));
        }
    }
    if let Some(extra) = other.schema.fields().iter().find(|field| first.column(field.name()).is_none()) {
        return differs(format!("its column \"{}\" is not in \"{}\"", extra.name(), first_file.display()));
    }
    Ok(())
}

/// What errors of a table name.
struct Named<'a> {
    server: &'a str,
    table: &'a str,
}

impl Named<'_> {
    fn changed(&self, column: &ColumnDefinition, problem: String) -> ConnectorError {
        ConnectorError::ColumnChanged {
            server: self.server.to_owned(),
            table: self.table.to_owned(),
            column: column.name.clone(),
            problem,
        }
    }

    /// How one file holds the declared columns.
    fn shape(&self, declared: &[(&ColumnDefinition, &str)], footer: &Footer, file: &FileEntry) -> Result<FileShape> {
        let (mut fields, mut columns): (Vec<Field>, Vec<ParquetColumn>) = (Vec::new(), Vec::new());
        for (definition, remote) in declared {
            let Some(index) = footer.column(remote) else {
                return Err(self.changed(definition, format!("is not in the file \"{}\"", file.display())));
            };
            let (field, seen, restored) = (footer.schema.field(index), &footer.types[index], &footer.restored[index]);
            let Some(conversion) = Conversion::find(restored, seen, &definition.data_type) else {
                let (holds, wanted) = (seen.sql_name(), definition.data_type.sql_name());
                let problem = format!("is {holds} in the file \"{}\", which is not read as {wanted},", file.display());
                return Err(self.changed(definition, problem));
            };
            if fields.iter().any(|known| known.name() == field.name()) {
                return Err(ConnectorError::Unsupported {
                    message: format!(
                        "two columns of foreign table \"{}\" read the column \"{}\"",
                        self.table,
                        field.name()
                    ),
                    hint: Some("Drop one of them; a view can show a column twice.".into()),
                });
            }
            fields.push(Field::new(field.name(), field.data_type().clone(), true));
            columns.push(ParquetColumn {
                declared: definition.data_type.clone(),
                seen: seen.clone(),
                restored: restored.clone(),
                conversion,
                name: definition.name.clone(),
            });
        }
        Ok(FileShape { file_schema: Arc::new(Schema::new(fields)), columns })
    }
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
        let named = Named { server: &owner.server, table };
        let (mut shapes, mut shape_of): (Vec<FileShape>, Vec<usize>) = (Vec::new(), Vec::new());
        for (footer, file) in footers.iter().zip(files.iter()) {
            let shape = named.shape(declared, footer, file)?;
            let known = shapes.iter().position(|known| *known == shape);
            shape_of.push(known.unwrap_or(shapes.len()));
            if known.is_none() {
                shapes.push(shape);
            }
        }
        let statistics = footers.iter().zip(&shape_of).map(|(footer, shape)| {
            let shape = &shapes[*shape];
            let targets: Vec<_> = shape.columns.iter().map(|column| (column.conversion, &column.declared)).collect();
            statistics::of_file(footer, &shape.file_schema, &targets)
        });
        let statistics = statistics.collect();
        Ok(Self { owner, files, footers: Arc::new(footers), width: declared.len(), shapes, shape_of, statistics })
    }
}
