//! CREATE VIEW.

use std::collections::BTreeSet;

use atoll_connector_api::types::PgType;

use super::super::model::{Catalog, Column, Object, Oid, View};
use super::rewrite::Edit;
use super::table::check_names;
use super::{Ddl, Facts, Need, ViewFacts};
use crate::error::{SqlError, SqlResult, SqlState};
use crate::statement::ast::CreateView;

impl Ddl<'_> {
    pub(super) fn needs_of_view<'a>(&mut self, create: &'a CreateView) -> SqlResult<Need<'a>> {
        match self.view_target(create)? {
            Some(_) => Ok(Need::View(create)),
            None => Ok(Need::Nothing),
        }
    }

    /// The view's schema and what it replaces; `None` where IF NOT EXISTS skips it.
    fn view_target(&mut self, create: &CreateView) -> SqlResult<Option<(Oid, Option<View>)>> {
        // PostgreSQL gives a position for tables only.
        self.replaced_view(create).map_err(|error| SqlError { position: None, ..error })
    }

    fn replaced_view(&mut self, create: &CreateView) -> SqlResult<Option<(Oid, Option<View>)>> {
        if !create.or_replace {
            return Ok(self.new_relation(&create.name, create.if_not_exists)?.map(|schema| (schema, None)));
        }
        let schema = self.creation_schema(&create.name)?;
        let name = create.name.name();
        match self.catalog().relation(schema, name).map(AsRef::as_ref) {
            None => Ok(Some((schema, None))),
            Some(Object::View(view)) => {
                self.check_owner(view.header.oid)?;
                Ok(Some((schema, Some(view.clone()))))
            }
            Some(_) => Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, format!("\"{name}\" is not a view"))),
        }
    }

    pub(super) fn create_view(&mut self, create: &CreateView, facts: &Facts) -> SqlResult<&'static str> {
        const TAG: &str = "CREATE VIEW";
        let Some((schema, replaced)) = self.view_target(create)? else { return Ok(TAG) };
        let Facts::View(facts) = facts else { return Err(SqlError::internal("the view was not planned")) };
        let columns = named_columns(create, facts)?;
        self.check_reads(facts)?;
        let is_new = replaced.is_none();
        let mut view = match replaced {
            None => {
                let oid = self.working.take_oid()?;
                View {
                    header: self.new_header(oid, create.name.name()),
                    schema,
                    query: facts.query.clone(),
                    columns: columns.into_iter().zip(1..).map(|(column, number)| new_column(column, number)).collect(),
                    depends_on: distinct(&facts.depends_on),
                    depends_on_columns: distinct(&facts.depends_on_columns),
                    security_invoker: false,
                    options: Vec::new(),
                    reads: Some(facts.reads.clone()),
                }
            }
            Some(old) => {
                refuse_cycle(self.catalog(), &old, facts)?;
                let replaced = replaced_columns(&old, columns)?;
                self.extend_dependents(&old, &replaced)?;
                View {
                    columns: replaced,
                    query: facts.query.clone(),
                    depends_on: distinct(&facts.depends_on),
                    depends_on_columns: distinct(&facts.depends_on_columns),
                    reads: Some(facts.reads.clone()),
                    ..old
                }
            }
        };
        view.set_options(create.options.clone());
        let mut view = Object::View(view);
        if is_new {
            view.header_mut().acl = self.initial_acl(&view);
        }
        self.working.put(view);
        Ok(TAG)
    }

    /// The plan may have been made over an older snapshot.
    fn check_reads(&self, facts: &ViewFacts) -> SqlResult<()> {
        let gone = |oid: &Oid| self.catalog().get(*oid).is_none();
        if facts.depends_on.iter().any(gone) {
            let message = "could not serialize access due to concurrent update";
            return Err(SqlError::new(SqlState::SERIALIZATION_FAILURE, message));
        }
        Ok(())
    }

    /// Columns that OR REPLACE added, for views that list the columns of this one.
    fn extend_dependents(&mut self, old: &View, columns: &[Column]) -> SqlResult<()> {
        let schema = self.catalog().schema_by_oid(old.schema).map_or_else(String::new, |s| s.header.name.clone());
        for (index, column) in columns.iter().enumerate().skip(old.columns.len()) {
            let edit = Edit::column_added(&schema, &old.header.name, index, &column.name);
            self.rewrite_dependents(old.header.oid, &edit)?;
        }
        Ok(())
    }
}

fn distinct<T: Ord + Copy>(items: &[T]) -> Vec<T> {
    items.iter().copied().collect::<BTreeSet<T>>().into_iter().collect()
}

fn new_column((name, data_type): (String, PgType), number: i16) -> Column {
    Column { name, data_type, number, not_null: false, options: Vec::new(), comment: None, acl: None }
}

/// The query's columns under the names that CREATE VIEW gives them.
fn named_columns(create: &CreateView, facts: &ViewFacts) -> SqlResult<Vec<(String, PgType)>> {
    if create.columns.len() > facts.columns.len() {
        return Err(SqlError::syntax("CREATE VIEW specifies more column names than columns"));
    }
    let mut columns = facts.columns.clone();
    for ((column, _), name) in columns.iter_mut().zip(&create.columns) {
        column.clone_from(name);
    }
    check_names(columns.iter().map(|(name, _)| name.as_str()))?;
    Ok(columns)
}

/// PostgreSQL's rules for OR REPLACE: the old columns stay first, with their names and types (`checkViewTupleDesc`).
fn replaced_columns(old: &View, columns: Vec<(String, PgType)>) -> SqlResult<Vec<Column>> {
    let refused = |message: String| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
    if columns.len() < old.columns.len() {
        return Err(refused("cannot drop columns from view".to_owned()));
    }
    for (column, (name, data_type)) in old.columns.iter().zip(&columns) {
        let old_name = &column.name;
        if old_name != name {
            return Err(refused(format!("cannot change name of view column \"{old_name}\" to \"{name}\""))
                .hint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead."));
        }
        if column.data_type != *data_type {
            let (from, to) = (column.data_type.sql_name(), data_type.sql_name());
            return Err(refused(format!("cannot change data type of view column \"{name}\" from {from} to {to}")));
        }
    }
    let mut replaced = old.columns.clone();
    let next = replaced.last().map_or(1, |column| column.number + 1);
    replaced.extend(columns.into_iter().skip(old.columns.len()).zip(next..).map(|(c, number)| new_column(c, number)));
    Ok(replaced)
}

/// PostgreSQL accepts a view that reads itself and fails when it is read; here it is refused at once.
fn refuse_cycle(catalog: &Catalog, view: &View, facts: &ViewFacts) -> SqlResult<()> {
    let mut pending = facts.depends_on.clone();
    let mut seen = BTreeSet::new();
    while let Some(next) = pending.pop() {
        if next == view.header.oid {
            let message = format!("infinite recursion detected in rules for relation \"{}\"", view.header.name);
            return Err(SqlError::new(SqlState::INVALID_OBJECT_DEFINITION, message));
        }
        if let Some(Object::View(read)) = catalog.get(next).map(AsRef::as_ref)
            && seen.insert(next)
        {
            pending.extend(&read.depends_on);
        }
    }
    Ok(())
}
