//! CREATE FOREIGN TABLE, and the columns of foreign tables.

use std::collections::HashSet;

use atoll_connector_api::{ColumnDefinition, OptionScope, TableDefinition};

use super::super::model::{Column, ForeignServer, ForeignTable, Object, Oid, Privilege};
use super::options::Site;
use super::types::column_type;
use super::{Ddl, Facts, Need};
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{ColumnClause, CreateForeignTable, QualifiedName};

/// `MaxHeapAttributeNumber` in PostgreSQL's `access/htup_details.h`.
const COLUMNS_MAX: i16 = 1_600;
/// `NAMEDATALEN - 1`: PostgreSQL's names are at most this many bytes long.
const NAME_BYTES_MAX: usize = 63;
const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "cmin", "xmax", "cmax", "tableoid"];

/// A table to be made.
pub(super) struct NewTable<'a> {
    pub(super) name: &'a str,
    pub(super) schema: Oid,
    pub(super) server: &'a ForeignServer,
}

impl Ddl<'_> {
    pub(super) fn table_site(&self, server: &ForeignServer, object: Oid, scope: OptionScope) -> Site {
        Site { connector: self.connector_of_server(server), scope, object }
    }

    /// The schema of a new relation; `None` where IF NOT EXISTS skips it.
    pub(super) fn new_relation(&mut self, name: &QualifiedName, if_not_exists: bool) -> SqlResult<Option<Oid>> {
        let schema = self.creation_schema(name)?;
        if self.catalog().relation(schema, name.name()).is_none() {
            return Ok(Some(schema));
        }
        let message = format!("relation \"{}\" already exists", name.name());
        if !if_not_exists {
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        self.notices.push(Notice::skipping(SqlState::DUPLICATE_TABLE, message));
        Ok(None)
    }

    pub(super) fn needs_of_table<'a>(&mut self, create: &'a CreateForeignTable) -> SqlResult<Need<'a>> {
        if self.new_relation(&create.name, create.if_not_exists)?.is_none() {
            return Ok(Need::Nothing);
        }
        let server = self.usable_server(&create.server)?;
        let site = self.table_site(&server, 0, OptionScope::Table);
        let options = self.checked_options(&site, &create.options)?;
        Ok(Need::Table { server: server.header.oid, options })
    }

    pub(super) fn create_foreign_table(
        &mut self,
        create: &CreateForeignTable,
        facts: &Facts,
    ) -> SqlResult<&'static str> {
        const TAG: &str = "CREATE FOREIGN TABLE";
        let Some(schema) = self.new_relation(&create.name, create.if_not_exists)? else { return Ok(TAG) };
        if let Some(columns) = &create.columns {
            check_names(columns.iter().map(|column| column.name.as_str()))?;
            for clause in columns {
                column_type(&clause.name, &clause.data_type, clause.type_position)?;
            }
        }
        let server = self.usable_server(&create.server)?;
        let oid = self.working.take_oid()?;
        let table = NewTable { name: create.name.name(), schema, server: &server };
        let mut made = match (&create.columns, facts) {
            (Some(clauses), _) => {
                let mut columns = Vec::with_capacity(clauses.len());
                for (clause, number) in clauses.iter().zip(1..) {
                    columns.push(self.column(&server, oid, clause, number)?);
                }
                self.empty_table(&table, oid, columns)
            }
            (None, Facts::Table(definition)) => self.described_table(&table, oid, definition)?,
            (None, _) => return Err(SqlError::internal("the table was not described")),
        };
        let site = self.table_site(&server, oid, OptionScope::Table);
        made.options = self.new_options(&site, &create.options)?;
        self.working.put(Object::ForeignTable(made));
        Ok(TAG)
    }

    fn empty_table(&self, table: &NewTable<'_>, oid: Oid, columns: Vec<Column>) -> ForeignTable {
        let mut made = ForeignTable {
            header: self.new_header(oid, table.name),
            schema: table.schema,
            server: table.server.header.oid,
            next_number: columns.last().map_or(1, |column| column.number + 1),
            columns,
            options: Vec::new(),
            primary_key: Vec::new(),
        };
        made.header.acl = self.initial_acl(&Object::ForeignTable(made.clone()));
        made
    }

    /// A table as its source declares it, without the table's options.
    pub(super) fn described_table(
        &mut self,
        table: &NewTable<'_>,
        oid: Oid,
        definition: &TableDefinition,
    ) -> SqlResult<ForeignTable> {
        let local: Vec<String> = definition.columns.iter().map(|column| truncated(&column.name)).collect();
        check_names(local.iter().map(String::as_str))?;
        let mut columns = Vec::with_capacity(local.len());
        for ((source, name), number) in definition.columns.iter().zip(local).zip(1..) {
            columns.push(self.described_column(table.server, oid, source, name, number)?);
        }
        let mut made = self.empty_table(table, oid, columns);
        made.header.comment.clone_from(&definition.comment);
        made.primary_key = definition.primary_key.iter().map(|name| truncated(name)).collect();
        Ok(made)
    }

    fn described_column(
        &mut self,
        server: &ForeignServer,
        table: Oid,
        source: &ColumnDefinition,
        name: String,
        number: i16,
    ) -> SqlResult<Column> {
        let mut options = source.options.clone();
        if name != source.name && options.get("column_name").is_none() {
            options.set("column_name", &source.name);
        }
        let site = self.table_site(server, table, OptionScope::Column);
        Ok(Column {
            data_type: source.data_type.clone(),
            number,
            not_null: source.not_null,
            options: self.trusted_options(&site, &options)?,
            comment: source.comment.clone(),
            acl: None,
            name,
        })
    }

    /// A column as DDL declares it.
    pub(super) fn column(
        &mut self,
        server: &ForeignServer,
        table: Oid,
        clause: &ColumnClause,
        number: i16,
    ) -> SqlResult<Column> {
        if number > COLUMNS_MAX {
            return Err(too_many_columns());
        }
        let data_type = column_type(&clause.name, &clause.data_type, clause.type_position)?;
        let site = self.table_site(server, table, OptionScope::Column);
        Ok(Column {
            name: clause.name.clone(),
            data_type,
            number,
            not_null: clause.not_null,
            options: self.new_options(&site, &clause.options)?,
            comment: None,
            acl: None,
        })
    }

    /// Whether relations may be made in a schema that IMPORT names.
    pub(super) fn import_schema(&self, name: &str) -> SqlResult<Oid> {
        let schema = self.schema(name)?.header.oid;
        self.check_privilege(schema, Privilege::Create)?;
        self.refuse_system_schema(schema)?;
        Ok(schema)
    }
}

fn too_many_columns() -> SqlError {
    SqlError::new(SqlState::TOO_MANY_COLUMNS, format!("tables can have at most {COLUMNS_MAX} columns"))
}

/// Refuses names that no column can have.
pub(super) fn check_column_name(name: &str) -> SqlResult<()> {
    if SYSTEM_COLUMNS.contains(&name) {
        let message = format!("column name \"{name}\" conflicts with a system column name");
        return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
    }
    Ok(())
}

/// Refuses repeated and impossible names, and too many.
pub(super) fn check_names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> SqlResult<()> {
    if names.len() > usize::from(COLUMNS_MAX.unsigned_abs()) {
        return Err(too_many_columns());
    }
    let mut seen = HashSet::with_capacity(names.len());
    for name in names {
        check_column_name(name)?;
        if !seen.insert(name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
    }
    Ok(())
}

/// A source's name as PostgreSQL would cut it off.
pub(super) fn truncated(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}
