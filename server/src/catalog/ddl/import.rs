//! IMPORT FOREIGN SCHEMA.

use std::collections::HashSet;

use atoll_connector_api::OptionScope;
use atoll_connector_api::options::parse_bool;

use super::super::model::{ForeignServer, Object, Oid};
use super::table::{NewTable, truncated};
use super::{Ddl, Facts, ImportedTable, Need};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::{ImportFilter, ImportForeignSchema};

impl Ddl<'_> {
    pub(super) fn needs_of_import<'a>(&mut self, import: &'a ImportForeignSchema) -> SqlResult<Need<'a>> {
        let (server, _, _) = self.import_target(import)?;
        Ok(Need::Import { server: server.header.oid, schema: &import.remote_schema, filter: &import.filter })
    }

    /// The server, the local schema, and whether NOT NULL is imported.
    fn import_target(&self, import: &ImportForeignSchema) -> SqlResult<(ForeignServer, Oid, bool)> {
        let server = self.usable_server(&import.server)?;
        let schema = self.import_schema(&import.into)?;
        let site = self.table_site(&server, 0, OptionScope::Import);
        let options = self.checked_options(&site, &import.options)?;
        let not_null = options.get("import_not_null").and_then(parse_bool).unwrap_or(true);
        Ok((server, schema, not_null))
    }

    pub(super) fn import_foreign_schema(
        &mut self,
        import: &ImportForeignSchema,
        facts: &Facts,
    ) -> SqlResult<&'static str> {
        let (server, schema, not_null) = self.import_target(import)?;
        let Facts::Import(tables) = facts else { return Err(SqlError::internal("the schema was not listed")) };
        self.notice_missing(import, tables);
        let (wanted, listed): (fn(bool) -> bool, &[String]) = match &import.filter {
            ImportFilter::All => (|_| true, &[]),
            ImportFilter::LimitTo(names) => (|listed| listed, names),
            ImportFilter::Except(names) => (|listed| !listed, names),
        };
        let listed: HashSet<&str> = listed.iter().map(String::as_str).collect();
        for table in tables.iter().filter(|table| wanted(listed.contains(table.name.as_str()))) {
            self.import_table(table, &server, schema, not_null).map_err(|mut error| {
                error.context = Some(format!("importing foreign table \"{}\"", table.name));
                error
            })?;
        }
        Ok("IMPORT FOREIGN SCHEMA")
    }

    /// PostgreSQL passes over a name of LIMIT TO that the source does not have without a word; here it says so.
    fn notice_missing(&mut self, import: &ImportForeignSchema, tables: &[ImportedTable]) {
        let ImportFilter::LimitTo(names) = &import.filter else { return };
        let found: HashSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
        for name in names.iter().filter(|name| !found.contains(name.as_str())) {
            let (schema, server) = (&import.remote_schema, &import.server);
            self.notice(format!(
                "table \"{name}\" is not present in schema \"{schema}\" of foreign server \"{server}\", skipping"
            ));
        }
    }

    fn import_table(
        &mut self,
        table: &ImportedTable,
        server: &ForeignServer,
        schema: Oid,
        not_null: bool,
    ) -> SqlResult<()> {
        let name = truncated(&table.name);
        if self.catalog().relation(schema, &name).is_some() {
            let message = format!("relation \"{name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        let oid = self.working.take_oid()?;
        let mut made = self.described_table(&NewTable { name: &name, schema, server }, oid, &table.definition)?;
        if !not_null {
            made.columns.iter_mut().for_each(|column| column.not_null = false);
        }
        let site = self.table_site(server, oid, OptionScope::Table);
        made.options = self.trusted_options(&site, &table.options)?;
        self.working.put(Object::ForeignTable(made));
        Ok(())
    }
}
