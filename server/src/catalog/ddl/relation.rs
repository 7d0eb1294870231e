//! ALTER FOREIGN TABLE and ALTER VIEW.

use atoll_connector_api::OptionScope;

use super::super::model::{Column, ForeignTable, Object, Oid, Privilege, StoredOption};
use super::super::privilege;
use super::Ddl;
use super::dependency::{column_dependents, column_readers};
use super::drop::is_missing;
use super::names::quote_identifier;
use super::rewrite::Edit;
use super::table::check_column_name;
use super::types::column_type;
use crate::error::{Notice, SqlError, SqlResult, SqlState};
use crate::statement::ast::{AlterForeignTable, AlterTableAction, ColumnClause};

impl Ddl<'_> {
    pub(super) fn alter_relation(&mut self, alter: &AlterForeignTable, view: bool) -> SqlResult<&'static str> {
        let (tag, kind) = match (view, alter.plain) {
            (true, _) => ("ALTER VIEW", "view"),
            (false, true) => ("ALTER TABLE", "foreign table"),
            (false, false) => ("ALTER FOREIGN TABLE", "foreign table"),
        };
        let name = alter.name.name();
        let relation = match self.relation(&alter.name) {
            Ok(relation) => relation,
            Err(error) if alter.if_exists && is_missing(&error) => {
                let message = format!("relation \"{name}\" does not exist");
                self.notices.push(Notice::skipping(SqlState::SUCCESSFUL_COMPLETION, message));
                return Ok(tag);
            }
            Err(error) => return Err(error),
        };
        let is_view = matches!(*relation, Object::View(_));
        let for_any = alter.plain && alter.actions.iter().all(AlterTableAction::is_for_any_relation);
        if is_view != view && !for_any {
            let message = format!("\"{name}\" is not a {kind}");
            return Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message));
        }
        let oid = relation.header().oid;
        drop(relation);
        self.check_owner(oid)?;
        for action in &alter.actions {
            self.alter_one(oid, action)?;
        }
        Ok(tag)
    }

    fn alter_one(&mut self, oid: Oid, action: &AlterTableAction) -> SqlResult<()> {
        match action {
            AlterTableAction::RenameTo(name) => self.rename_relation(oid, name),
            AlterTableAction::SetSchema(schema) => self.set_relation_schema(oid, schema),
            AlterTableAction::OwnerTo(role) => {
                let owner = self.role_spec(role)?;
                self.set_relation_owner(oid, owner)
            }
            AlterTableAction::RenameColumn { name, new_name } => self.rename_column(oid, name, new_name),
            AlterTableAction::AddColumn { column, if_not_exists } => self.add_column(oid, column, *if_not_exists),
            AlterTableAction::DropColumn { name, if_exists, cascade } => {
                self.drop_column(oid, name, *if_exists, *cascade)
            }
            AlterTableAction::AlterType { name, data_type, type_position } => {
                let mut table = self.table(oid)?;
                let column = column_mut(&mut table, name)?;
                self.refuse_read_column(oid, column)?;
                // PostgreSQL has no position here.
                column.data_type =
                    column_type(name, data_type, *type_position).map_err(|e| SqlError { position: None, ..e })?;
                self.working.put(Object::ForeignTable(table));
                Ok(())
            }
            AlterTableAction::SetNotNull { name, not_null } => {
                let mut table = self.table(oid)?;
                column_mut(&mut table, name)?.not_null = *not_null;
                self.working.put(Object::ForeignTable(table));
                Ok(())
            }
            AlterTableAction::ColumnOptions { name, options } => {
                let mut table = self.table(oid)?;
                let server = self.server_by_oid(table.server)?;
                let site = self.table_site(&server, oid, OptionScope::Column);
                let column = column_mut(&mut table, name)?;
                column.options = self.changed_options(&site, &column.options, options)?;
                self.working.put(Object::ForeignTable(table));
                Ok(())
            }
            AlterTableAction::ViewOptions(changes) => {
                let Object::View(mut view) = Object::clone(&*self.object(oid)?) else {
                    return Err(SqlError::internal("the relation is no view"));
                };
                let mut options = view.options.clone();
                if options.is_empty() && view.security_invoker {
                    options.push(("security_invoker".to_owned(), "true".to_owned()));
                }
                for (name, value) in changes {
                    options.retain(|(other, _)| other != name);
                    options.extend(value.iter().map(|value| (name.clone(), value.clone())));
                }
                view.set_options(options);
                self.working.put(Object::View(view));
                Ok(())
            }
            AlterTableAction::Options(options) => {
                let mut table = self.table(oid)?;
                let server = self.server_by_oid(table.server)?;
                let site = self.table_site(&server, oid, OptionScope::Table);
                table.options = self.changed_options(&site, &table.options, options)?;
                self.working.put(Object::ForeignTable(table));
                Ok(())
            }
        }
    }

    fn table(&self, oid: Oid) -> SqlResult<ForeignTable> {
        match &*self.object(oid)? {
            Object::ForeignTable(table) => Ok(table.clone()),
            other => {
                let message = format!("\"{}\" is not a foreign table", other.header().name);
                Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message))
            }
        }
    }

    /// The names of a relation's schema and of itself.
    fn full_name(&self, relation: &Object) -> (String, String) {
        let schema = relation.schema().and_then(|schema| self.catalog().schema_by_oid(schema));
        (schema.map_or_else(String::new, |schema| schema.header.name.clone()), relation.header().name.clone())
    }

    fn rename_relation(&mut self, oid: Oid, new_name: &str) -> SqlResult<()> {
        let mut relation = Object::clone(&*self.object(oid)?);
        let schema = relation.schema().unwrap_or_default();
        // Making a name in a schema needs CREATE there, whoever owns the relation.
        self.check_privilege(schema, Privilege::Create)?;
        if self.catalog().relation(schema, new_name).is_some() {
            let message = format!("relation \"{new_name}\" already exists");
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        let (schema, name) = self.full_name(&relation);
        self.rewrite_dependents(oid, &Edit::rename(&schema, &name, new_name))?;
        new_name.clone_into(&mut relation.header_mut().name);
        self.working.put(relation);
        Ok(())
    }

    fn set_relation_schema(&mut self, oid: Oid, new_schema: &str) -> SqlResult<()> {
        let mut relation = Object::clone(&*self.object(oid)?);
        let target = self.schema(new_schema)?.header.oid;
        let (old_schema, name) = self.full_name(&relation);
        self.check_creation(target, &name)?;
        if relation.schema() == Some(target) {
            return Ok(());
        }
        if self.catalog().relation(target, &name).is_some() {
            let message = format!("relation \"{name}\" already exists in schema \"{new_schema}\"");
            return Err(SqlError::new(SqlState::DUPLICATE_TABLE, message));
        }
        self.rewrite_dependents(oid, &Edit::set_schema(&old_schema, &name, new_schema))?;
        match &mut relation {
            Object::ForeignTable(table) => table.schema = target,
            Object::View(view) => view.schema = target,
            _ => return Err(SqlError::internal("the object has no schema")),
        }
        self.working.put(relation);
        Ok(())
    }

    fn set_relation_owner(&mut self, oid: Oid, owner: Oid) -> SqlResult<()> {
        let relation = self.object(oid)?;
        if relation.header().owner != owner && !self.is_superuser() {
            self.check_member(owner)?;
            let schema = self.object(relation.schema().unwrap_or_default())?;
            privilege::check_privilege(self.catalog(), owner, &schema, Privilege::Create)?;
        }
        drop(relation);
        self.set_owner(oid, owner)
    }

    fn rename_column(&mut self, oid: Oid, name: &str, new_name: &str) -> SqlResult<()> {
        let mut relation = Object::clone(&*self.object(oid)?);
        let (schema, relation_name) = self.full_name(&relation);
        let names: Vec<String> = relation.columns().iter().map(|column| column.name.clone()).collect();
        if !names.iter().any(|other| other == name) {
            return Err(SqlError::new(SqlState::UNDEFINED_COLUMN, format!("column \"{name}\" does not exist")));
        }
        check_column_name(new_name)?;
        if names.iter().any(|other| other == new_name) {
            return Err(column_exists(&relation_name, new_name));
        }
        self.rewrite_dependents(oid, &Edit::column_renamed(&schema, &relation_name, names))?;
        let columns = match &mut relation {
            Object::ForeignTable(table) => {
                for key in table.primary_key.iter_mut().filter(|key| *key == name) {
                    new_name.clone_into(key);
                }
                // Without a name of its own at the source it had the local one: that must not change with it.
                self.keep_remote_name(table, name)?;
                &mut table.columns
            }
            Object::View(view) => &mut view.columns,
            _ => return Err(SqlError::internal("the object has no columns")),
        };
        for column in columns.iter_mut().filter(|column| column.name == name) {
            new_name.clone_into(&mut column.name);
        }
        self.working.put(relation);
        Ok(())
    }

    fn add_column(&mut self, oid: Oid, clause: &ColumnClause, if_not_exists: bool) -> SqlResult<()> {
        let mut table = self.table(oid)?;
        check_column_name(&clause.name)?;
        if table.columns.iter().any(|column| column.name == clause.name) {
            let error = column_exists(&table.header.name, &clause.name);
            if !if_not_exists {
                return Err(error);
            }
            self.notices.push(Notice::skipping(error.sqlstate, error.message));
            return Ok(());
        }
        let server = self.server_by_oid(table.server)?;
        let column = self.column(&server, oid, clause, table.next_number)?;
        let (schema, name) = self.full_name(&*self.object(oid)?);
        self.rewrite_dependents(oid, &Edit::column_added(&schema, &name, table.columns.len(), &clause.name))?;
        table.columns.push(column);
        table.next_number += 1;
        self.working.put(Object::ForeignTable(table));
        Ok(())
    }

    fn drop_column(&mut self, oid: Oid, name: &str, if_exists: bool, cascade: bool) -> SqlResult<()> {
        let mut table = self.table(oid)?;
        let Some(index) = table.columns.iter().position(|column| column.name == name) else {
            let error = no_column(&table.header.name, name);
            if !if_exists {
                return Err(error);
            }
            self.notices.push(Notice::skipping(SqlState::SUCCESSFUL_COMPLETION, error.message));
            return Ok(());
        };
        let description = format!("column {} of {}", quote_identifier(name), self.describe_oid(oid));
        let dependents = column_dependents(self.catalog(), oid, table.columns[index].number, &description);
        self.cascade_or_refuse(&dependents, Some(&description), cascade)?;
        for dependent in &dependents {
            self.working.remove(dependent.oid);
        }
        let (schema, relation_name) = self.full_name(&*self.object(oid)?);
        let edit = Edit::column_dropped(&schema, &relation_name, index);
        self.rewrite_dependents(oid, &edit)?;
        table.columns.remove(index);
        if table.primary_key.iter().any(|key| key == name) {
            table.primary_key.clear();
        }
        self.working.put(Object::ForeignTable(table));
        Ok(())
    }

    fn keep_remote_name(&mut self, table: &mut ForeignTable, name: &str) -> SqlResult<()> {
        let server = self.server_by_oid(table.server)?;
        let site = self.table_site(&server, table.header.oid, OptionScope::Column);
        let known = site.connector.as_deref().and_then(|connector| self.cx.wrappers.options(connector));
        let known = known.unwrap_or_default();
        let option = known.iter().any(|spec| spec.scope == OptionScope::Column && spec.name == "column_name");
        let column = column_mut(table, name)?;
        if option && !column.options.iter().any(|option| option.name == "column_name") {
            let mut options = atoll_connector_api::Options::default();
            options.set("column_name", name);
            let kept = self.trusted_options(&site, &options)?;
            column.options.extend(kept.into_iter().map(|option| StoredOption { implicit: true, ..option }));
        }
        Ok(())
    }

    fn refuse_read_column(&self, relation: Oid, column: &Column) -> SqlResult<()> {
        let Some(view) = column_readers(self.catalog(), relation, column.number).first().copied() else {
            return Ok(());
        };
        let detail = format!("rule _RETURN on {} depends on column \"{}\"", self.describe_oid(view), column.name);
        Err(SqlError::unsupported("cannot alter type of a column used by a view or rule").detail(detail))
    }
}

fn column_mut<'a>(table: &'a mut ForeignTable, name: &str) -> SqlResult<&'a mut Column> {
    let missing = no_column(&table.header.name, name);
    table.columns.iter_mut().find(|column| column.name == name).ok_or(missing)
}

pub(super) fn no_column(relation: &str, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{relation}\" does not exist");
    SqlError::new(SqlState::UNDEFINED_COLUMN, message)
}

fn column_exists(relation: &str, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{relation}\" already exists");
    SqlError::new(SqlState::DUPLICATE_COLUMN, message)
}
