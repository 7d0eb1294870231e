//! Keeping the stored text of views true when what they read is renamed, moved, or gets other columns.
//!
//! A view's text names its relations in full. Where such a name changes, the text is parsed, changed and printed again.
//! References to columns stay as they are: a renamed relation gets its old name as an alias (`FROM s.new AS old`), and
//! renamed columns get their old names in the alias's column list (`FROM s.t AS t (old_a, b)`).

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, SelectItemQualifiedWildcardKind, Statement,
    TableAlias, TableAliasColumnDef, TableFactor, VisitMut as _, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::super::model::{Object, Oid, ViewedRelation};
use super::Ddl;
use super::names::quote_identifier;
use crate::error::{SqlError, SqlResult};

/// What changes.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    target: Target,
    change: NameChange,
}

#[derive(Debug, Clone)]
enum Target {
    Relation { schema: String, name: String },
    Schema(String),
    Server(String),
}

#[derive(Debug, Clone)]
enum NameChange {
    /// The target's own name.
    Name(String),
    /// The schema of a relation.
    Schema(String),
    /// A column got another name: the names until now.
    ColumnRenamed(Vec<String>),
    /// A column came last: how many there were, and its name.
    ColumnAdded(usize, String),
    /// The column at this index went.
    ColumnDropped(usize),
}

impl Edit {
    pub(super) fn server(old: &str, new: &str) -> Self {
        Self { target: Target::Server(old.to_owned()), change: NameChange::Name(new.to_owned()) }
    }

    pub(super) fn schema(old: &str, new: &str) -> Self {
        Self { target: Target::Schema(old.to_owned()), change: NameChange::Name(new.to_owned()) }
    }

    fn relation(schema: &str, name: &str, change: NameChange) -> Self {
        Self { target: Target::Relation { schema: schema.to_owned(), name: name.to_owned() }, change }
    }

    pub(super) fn rename(schema: &str, name: &str, new: &str) -> Self {
        Self::relation(schema, name, NameChange::Name(new.to_owned()))
    }

    pub(super) fn set_schema(schema: &str, name: &str, new: &str) -> Self {
        Self::relation(schema, name, NameChange::Schema(new.to_owned()))
    }

    pub(super) fn column_renamed(schema: &str, name: &str, old_columns: Vec<String>) -> Self {
        Self::relation(schema, name, NameChange::ColumnRenamed(old_columns))
    }

    pub(super) fn column_added(schema: &str, name: &str, before: usize, column: &str) -> Self {
        Self::relation(schema, name, NameChange::ColumnAdded(before, column.to_owned()))
    }

    pub(super) fn column_dropped(schema: &str, name: &str, index: usize) -> Self {
        Self::relation(schema, name, NameChange::ColumnDropped(index))
    }

    fn is_of_columns(&self) -> bool {
        !matches!(self.change, NameChange::Name(_) | NameChange::Schema(_))
    }

    /// The edit of a view that knows which columns the relation had: those are what a list of names in its text names,
    /// and they stand at the beginning of the relation's columns.
    fn within(&self, relation: &mut ViewedRelation) -> Option<Self> {
        let change = match &self.change {
            NameChange::ColumnRenamed(_) => {
                NameChange::ColumnRenamed(relation.columns.iter().map(|column| column.name.clone()).collect())
            }
            NameChange::ColumnAdded(..) => return None,
            NameChange::ColumnDropped(index) => {
                if *index >= relation.columns.len() {
                    return None;
                }
                relation.columns.remove(*index);
                self.change.clone()
            }
            NameChange::Name(_) | NameChange::Schema(_) => self.change.clone(),
        };
        Some(Self { target: self.target.clone(), change })
    }

    /// The new name in full, where a name is the target's: with as many parts as it has.
    fn renamed(&self, database: &str, parts: &[String]) -> Option<Vec<String>> {
        let (catalog, schema, name) = match parts {
            [schema, name] => (None, schema, name),
            [catalog, schema, name] => (Some(catalog), schema, name),
            _ => return None,
        };
        let here = catalog.is_none_or(|catalog| catalog == database);
        let mut renamed = parts.to_vec();
        let last = renamed.len() - 1;
        match (&self.target, &self.change) {
            (Target::Server(old), NameChange::Name(new)) if catalog == Some(old) => renamed[0].clone_from(new),
            (Target::Schema(old), NameChange::Name(new)) if here && schema == old => {
                renamed[last - 1].clone_from(new);
            }
            (Target::Relation { schema: old, name: old_name }, change) if here && schema == old && name == old_name => {
                match change {
                    NameChange::Name(new) => renamed[last].clone_from(new),
                    NameChange::Schema(new) => renamed[last - 1].clone_from(new),
                    _ => {}
                }
            }
            _ => return None,
        }
        Some(renamed)
    }

    /// Whether the relation is to be known by its old bare name, as an alias.
    fn needs_alias(&self) -> bool {
        matches!(
            (&self.target, &self.change),
            (Target::Relation { .. }, NameChange::Name(_) | NameChange::ColumnRenamed(_))
        )
    }

    fn edit_alias(&self, alias: &mut Option<TableAlias>, old_name: &str) {
        if alias.is_none() && self.needs_alias() {
            *alias = Some(TableAlias { explicit: true, name: identifier(old_name), columns: Vec::new(), at: None });
        }
        let Some(alias) = alias else { return };
        let column = |name: &String| TableAliasColumnDef { name: identifier(name), data_type: None };
        match &self.change {
            NameChange::Name(_) | NameChange::Schema(_) => {}
            NameChange::ColumnRenamed(old) => {
                // Names in the list are positional; the list may have been shorter than the columns.
                let missing = old.iter().skip(alias.columns.len()).map(column);
                alias.columns.extend(missing);
            }
            NameChange::ColumnAdded(before, name) if alias.columns.len() == *before && *before > 0 => {
                alias.columns.push(column(name));
            }
            NameChange::ColumnDropped(index) if *index < alias.columns.len() => {
                alias.columns.remove(*index);
            }
            NameChange::ColumnAdded(..) | NameChange::ColumnDropped(..) => {}
        }
    }
}

fn identifier(name: &str) -> Ident {
    if quote_identifier(name) == name { Ident::new(name) } else { Ident::with_quote('"', name) }
}

fn folded(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

fn parts_of(name: &ObjectName) -> Option<Vec<String>> {
    name.0.iter().map(|part| part.as_ident().map(folded)).collect()
}

/// First pass: the relations in FROM.
struct Relations<'a> {
    edit: &'a Edit,
    database: &'a str,
    /// Full names, until now, of the relations that no alias hid: columns may be qualified with them.
    visible: BTreeSet<Vec<String>>,
}

impl VisitorMut for Relations<'_> {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, alias, args: None, .. } = factor else { return ControlFlow::Continue(()) };
        let Some(parts) = parts_of(name) else { return ControlFlow::Continue(()) };
        let Some(renamed) = self.edit.renamed(self.database, &parts) else { return ControlFlow::Continue(()) };
        if alias.is_none() {
            self.visible.insert(parts.clone());
        }
        if renamed != parts {
            *name = ObjectName(renamed.iter().map(|part| ObjectNamePart::Identifier(identifier(part))).collect());
        }
        self.edit.edit_alias(alias, parts.last().map_or("", String::as_str));
        ControlFlow::Continue(())
    }
}

/// Second pass: columns that are qualified with a relation's full name.
struct Columns<'a> {
    edit: &'a Edit,
    database: &'a str,
    visible: &'a BTreeSet<Vec<String>>,
}

impl Columns<'_> {
    /// `prefix` is the qualification, from its beginning.
    fn replacement(&self, prefix: &[String]) -> Option<(usize, Vec<Ident>)> {
        // The longer name first: the database may have the name of a schema.
        [3, 2].into_iter().filter(|length| *length <= prefix.len()).find_map(|length| {
            let name = &prefix[..length];
            // A column may be qualified with fewer parts than FROM has.
            let known = self.visible.iter().any(|visible| visible.ends_with(name));
            let renamed = known.then(|| self.edit.renamed(self.database, name)).flatten()?;
            let new = if self.edit.needs_alias() { vec![name[length - 1].clone()] } else { renamed };
            Some((length, new.iter().map(|part| identifier(part)).collect()))
        })
    }
}

impl VisitorMut for Columns<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(idents) = expr
            && let Some(qualification) = idents.len().checked_sub(1)
        {
            let prefix: Vec<_> = idents[..qualification].iter().map(folded).collect();
            if let Some((length, new)) = self.replacement(&prefix) {
                idents.splice(..length, new);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let Some((length, new)) = parts_of(name).and_then(|parts| self.replacement(&parts))
            {
                name.0.splice(..length, new.into_iter().map(ObjectNamePart::Identifier));
            }
        }
        ControlFlow::Continue(())
    }
}

/// The text of a query after an edit; the same text where it does not name the target.
pub(super) fn rewrite_query(text: &str, database: &str, edit: &Edit) -> SqlResult<String> {
    let broken = |_| SqlError::internal("the stored text of a view cannot be parsed");
    let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, text).map_err(broken)?;
    let before = statements.clone();
    let [statement @ Statement::Query(_)] = statements.as_mut_slice() else {
        return Err(SqlError::internal("the stored text of a view is no query"));
    };
    let mut relations = Relations { edit, database, visible: BTreeSet::new() };
    let _ = statement.visit(&mut relations);
    let visible = relations.visible;
    if !visible.is_empty() {
        let _ = statement.visit(&mut Columns { edit, database, visible: &visible });
    }
    Ok(if *statement == before[0] { text.to_owned() } else { statement.to_string() })
}

impl Ddl<'_> {
    /// Rewrites the views that read an object.
    pub(super) fn rewrite_dependents(&mut self, object: Oid, edit: &Edit) -> SqlResult<()> {
        self.rewrite_dependents_of(&[object], edit)
    }

    /// Rewrites the views that read any of some objects.
    pub(super) fn rewrite_dependents_of(&mut self, objects: &[Oid], edit: &Edit) -> SqlResult<()> {
        let database = self.catalog().database_name().to_owned();
        let views: Vec<_> = self
            .catalog()
            .objects()
            .filter_map(|object| match object.as_ref() {
                Object::View(view) if view.depends_on.iter().any(|on| objects.contains(on)) => Some(view.clone()),
                _ => None,
            })
            .collect();
        for mut view in views {
            let before = view.clone();
            let pinned = view.reads.is_some();
            let relation = view.reads.as_mut().and_then(|reads| {
                reads.iter_mut().find(|relation| relation.live.is_none() && objects.contains(&relation.oid))
            });
            let edit = match relation {
                Some(relation) => edit.within(relation),
                None => Some(edit.clone()).filter(|edit| !pinned || !edit.is_of_columns()),
            };
            if let Some(edit) = edit {
                view.query = rewrite_query(&view.query, &database, &edit)?;
            }
            if view != before {
                self.working.put(Object::View(view));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use atoll_connector_api::types::{PgType, oids};

    use super::super::super::model::ViewedColumn;
    use super::*;

    #[track_caller]
    fn check(edit: &Edit, before: &str, after: &str) {
        assert_eq!(rewrite_query(before, "atoll", edit).unwrap(), after);
    }

    #[test]
    fn a_renamed_relation_keeps_its_old_name_as_alias() {
        let edit = Edit::rename("public", "t", "New T");
        check(&edit, "SELECT a FROM public.t", "SELECT a FROM public.\"New T\" AS t");
        check(&edit, "SELECT x.a FROM atoll.public.t x", "SELECT x.a FROM atoll.public.\"New T\" x");
        check(
            &edit,
            "SELECT public.t.a, t.b, atoll.public.t.c FROM atoll.public.t JOIN s.t AS u ON t.a = u.a",
            "SELECT t.a, t.b, t.c FROM atoll.public.\"New T\" AS t JOIN s.t AS u ON t.a = u.a",
        );
        // In subqueries, set operations and common table expressions too; a CTE of the same name is not the relation.
        check(
            &edit,
            "WITH t AS (SELECT a FROM PUBLIC.T) SELECT a FROM t UNION ALL SELECT a FROM o.x WHERE a IN (SELECT a FROM public.t)",
            "WITH t AS (SELECT a FROM PUBLIC.\"New T\" AS t) SELECT a FROM t UNION ALL SELECT a FROM o.x WHERE a IN (SELECT a FROM public.\"New T\" AS t)"
                .replace("PUBLIC.", "public.")
                .as_str(),
        );
        check(&edit, "SELECT t.*, a  FROM s.t", "SELECT t.*, a  FROM s.t");
    }

    #[test]
    fn moved_relations_schemas_and_servers_change_their_qualification() {
        check(
            &Edit::set_schema("public", "t", "s2"),
            "SELECT public.t.a, t.b FROM public.t",
            "SELECT s2.t.a, t.b FROM s2.t",
        );
        check(
            &Edit::schema("s", "select"),
            "SELECT s.t.a, s.b.c FROM s.t, atoll.s.u, x.s, srv.s.t",
            "SELECT \"select\".t.a, s.b.c FROM \"select\".t, atoll.\"select\".u, x.s, srv.s.t",
        );
        check(
            &Edit::server("sales", "crm"),
            "SELECT sales.public.orders.id, o.x FROM sales.public.orders, sales.public.t o, sales.t",
            "SELECT crm.public.orders.id, o.x FROM crm.public.orders, crm.public.t o, sales.t",
        );
    }

    #[test]
    fn columns_keep_their_names_for_the_view() {
        let columns = vec!["a".to_owned(), "Old B".to_owned()];
        let edit = Edit::column_renamed("public", "t", columns);
        check(
            &edit,
            "SELECT public.t.a, \"Old B\" FROM public.t",
            "SELECT t.a, \"Old B\" FROM public.t AS t (a, \"Old B\")",
        );
        check(&edit, "SELECT x.a FROM public.t x (a)", "SELECT x.a FROM public.t x (a, \"Old B\")");
        check(
            &Edit::column_added("public", "t", 2, "c"),
            "SELECT t.a FROM public.t AS t (a, b), public.t AS u, public.t AS v (a)",
            "SELECT t.a FROM public.t AS t (a, b, c), public.t AS u, public.t AS v (a)",
        );
        check(
            &Edit::column_dropped("public", "t", 0),
            "SELECT t.b FROM public.t AS t (a, b)",
            "SELECT t.b FROM public.t AS t (b)",
        );
    }

    #[test]
    fn a_view_that_knows_its_columns_lists_these() {
        let column = |name: &str, number| ViewedColumn {
            name: name.to_owned(),
            number,
            data_type: PgType::new(oids::INT4),
            read: true,
        };
        let columns = vec![column("a", 1), column("b", 2)];
        let mut relation = ViewedRelation { oid: 1, live: None, columns };
        assert!(Edit::column_added("public", "t", 2, "c").within(&mut relation).is_none());
        // The table's third column came after the view.
        let names = ["a", "b", "c"].map(str::to_owned).to_vec();
        let edit = Edit::column_renamed("public", "t", names).within(&mut relation).unwrap();
        check(&edit, "SELECT b FROM public.t", "SELECT b FROM public.t AS t (a, b)");
        assert!(Edit::column_dropped("public", "t", 2).within(&mut relation).is_none());
        let edit = Edit::column_dropped("public", "t", 0).within(&mut relation).unwrap();
        check(&edit, "SELECT b FROM public.t AS t (a, b)", "SELECT b FROM public.t AS t (b)");
        assert_eq!(relation.columns, [column("b", 2)]);
    }

    #[test]
    fn a_text_that_is_no_query_is_our_error() {
        for text in ["", "DROP TABLE x", "SELECT 1; SELECT 2", "SELEC"] {
            assert!(rewrite_query(text, "atoll", &Edit::server("a", "b")).is_err(), "{text}");
        }
    }
}
