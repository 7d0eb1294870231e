//! Runs SQL against a catalog of its own, with a planner that knows as much as the transcripts need.

use std::ops::ControlFlow;
use std::sync::Arc;

use atoll_connector_api::options::{check_bool, check_port, check_positive};
use atoll_connector_api::types::text::OutputStyle;
use datafusion::sql::sqlparser::ast::{
    self as sql, Expr, Ident, ObjectName, ObjectNamePart, SelectItem, SetExpr, Value, VisitMut as _, VisitorMut,
};

use super::super::super::model::{
    AclItem, BOOTSTRAP_SUPERUSER_OID, DATABASE_OID, Database, ForeignDataWrapper, ForeignTable, Header, PUBLIC_ROLE,
    PUBLIC_SCHEMA_OID, Privilege, Role, Schema, SettingList, ViewedColumn, ViewedRelation,
};
use super::super::super::store::OidRange;
use super::*;
use crate::error::NoticeSeverity;

const SPECS: &[OptionSpec] = &[
    OptionSpec::text("host", OptionScope::Server),
    OptionSpec::checked("port", OptionScope::Server, check_port),
    OptionSpec::text("dbname", OptionScope::Server),
    OptionSpec::checked("fetch_size", OptionScope::Server, check_positive),
    OptionSpec::ignored("use_remote_estimate", OptionScope::Server),
    OptionSpec::text("user", OptionScope::UserMapping),
    OptionSpec::secret("password", OptionScope::UserMapping),
    OptionSpec::text("schema_name", OptionScope::Table),
    OptionSpec::text("table_name", OptionScope::Table),
    OptionSpec::text("column_name", OptionScope::Column),
    OptionSpec::checked("import_not_null", OptionScope::Import, check_bool),
];

struct Registry;

impl WrapperRegistry for Registry {
    fn options(&self, connector: &str) -> Option<&'static [OptionSpec]> {
        matches!(connector, "postgres" | "csv").then_some(SPECS)
    }

    fn check(&self, _: &str, scope: OptionScope, options: &Options) -> Result<(), ConnectorError> {
        if scope == OptionScope::Server && options.get("host").is_some_and(str::is_empty) {
            return Err(ConnectorError::OptionMissing { option: "host", object: "server".to_owned() });
        }
        Ok(())
    }
}

pub(super) struct Harness {
    pub(super) working: Working,
    pub(super) key: SecretKey,
    pub(super) session_user: Oid,
    pub(super) current_user: Oid,
}

fn header(oid: Oid, name: &str) -> Header {
    Header { oid, name: name.to_owned(), owner: BOOTSTRAP_SUPERUSER_OID, acl: None, comment: None }
}

/// As the store makes it.
fn bootstrap() -> Catalog {
    let role = Role {
        header: header(BOOTSTRAP_SUPERUSER_OID, "atoll"),
        superuser: true,
        create_db: true,
        create_role: true,
        inherit: true,
        login: true,
        replication: true,
        bypass_rls: true,
        connection_limit: -1,
        password: None,
        valid_until: None,
        member_of: vec![],
        settings: SettingList::default(),
        database_settings: SettingList::default(),
        default_acls: Vec::new(),
    };
    let item = |grantee, privileges: &[Privilege]| AclItem {
        grantee,
        grantor: BOOTSTRAP_SUPERUSER_OID,
        privileges: privileges.iter().map(|privilege| (*privilege, false)).collect(),
    };
    let schema = |oid, name: &str| {
        let acl = Some(vec![
            item(BOOTSTRAP_SUPERUSER_OID, &[Privilege::Usage, Privilege::Create]),
            item(PUBLIC_ROLE, &[Privilege::Usage]),
        ]);
        Object::Schema(Schema { header: Header { acl, ..header(oid, name) } })
    };
    let wrapper = |oid, name: &str| {
        let connector = Some(name.to_owned());
        Object::Wrapper(ForeignDataWrapper { header: header(oid, name), connector, options: vec![] })
    };
    let objects = [
        Object::Role(role),
        Object::Database(Database {
            header: header(DATABASE_OID, "atoll"),
            settings: SettingList::default(),
            global_settings: SettingList::default(),
        }),
        schema(PUBLIC_SCHEMA_OID, "public"),
        schema(super::super::super::model::PG_CATALOG_OID, "pg_catalog"),
        schema(super::super::super::model::INFORMATION_SCHEMA_OID, "information_schema"),
        wrapper(16_001, "postgres"),
        wrapper(16_005, "csv"),
    ];
    Catalog::new(1, 0, objects.into_iter().map(Arc::new))
}

/// One statement's answer as transcripts have it.
pub(super) fn answer(result: &SqlResult<DdlOutcome>) -> String {
    let mut text = String::new();
    let mut add = |severity: &str, error: &SqlError| {
        text.push_str(&format!("{severity} {}: {}\n", error.sqlstate.as_str(), error.message));
        let parts = [("DETAIL", &error.detail), ("HINT", &error.hint), ("CONTEXT", &error.context)];
        for (label, part) in parts.iter().filter_map(|(label, part)| part.as_ref().map(|part| (label, part))) {
            text.push_str(&format!("{label}: {part}\n"));
        }
        if let Some(position) = error.position {
            text.push_str(&format!("POSITION: {position}\n"));
        }
    };
    match result {
        Ok(outcome) => {
            for notice in &outcome.notices {
                let severity = match notice.severity {
                    NoticeSeverity::Notice => "NOTICE",
                    NoticeSeverity::Warning => "WARNING",
                };
                add(severity, &notice.message);
            }
            text.push_str(outcome.tag);
            text.push('\n');
        }
        Err(error) => add("ERROR", error),
    }
    text
}

impl Harness {
    pub(super) fn new() -> Self {
        let mut working = Working::new(Arc::new(bootstrap()));
        working.supply_oids(OidRange::new(16_384, 20_000));
        Self {
            working,
            key: SecretKey::from_bytes(&[7; 32]),
            session_user: BOOTSTRAP_SUPERUSER_OID,
            current_user: BOOTSTRAP_SUPERUSER_OID,
        }
    }

    pub(super) fn catalog(&self) -> &Catalog {
        self.working.current()
    }

    pub(super) fn table(&self, name: &str) -> ForeignTable {
        match self.catalog().relation(PUBLIC_SCHEMA_OID, name).map(AsRef::as_ref) {
            Some(Object::ForeignTable(table)) => table.clone(),
            _ => panic!("no table {name}"),
        }
    }

    fn with_context<T>(&mut self, f: impl FnOnce(&DdlContext<'_>, &mut Working) -> T) -> T {
        let path = ["public".to_owned()];
        let style = OutputStyle::default();
        let cx = DdlContext {
            session_user: self.session_user,
            current_user: self.current_user,
            search_path: &path,
            wrappers: &Registry,
            key: &self.key,
            style: &style,
            is_system_relation: |_, name| name == "pg_class",
        };
        f(&cx, &mut self.working)
    }

    /// The need of a statement, printed.
    pub(super) fn needs(&mut self, statement: &Statement) -> SqlResult<String> {
        self.with_context(|cx, working| needs(cx, working, statement).map(|need| format!("{need:?}")))
    }

    pub(super) fn run(&mut self, text: &str) -> String {
        let lower = text.to_lowercase();
        if let Some(role) = lower.strip_prefix("set role ") {
            self.current_user = self.catalog().role(role).unwrap().header.oid;
            return "SET\n".to_owned();
        }
        if lower == "reset role" {
            self.current_user = self.session_user;
            return "RESET\n".to_owned();
        }
        if let Some(object) = lower.strip_prefix("acl of ") {
            return self.acl(object);
        }
        self.run_with(text, &Facts::None)
    }

    pub(super) fn run_with(&mut self, text: &str, facts: &Facts) -> String {
        let result = self.execute(text, facts);
        answer(&result)
    }

    fn execute(&mut self, text: &str, facts: &Facts) -> SqlResult<DdlOutcome> {
        let parsed = crate::statement::parse(text)?;
        let [parsed] = parsed.as_slice() else { panic!("one statement a line: {text}") };
        let statement = &parsed.statement;
        if let Statement::Unsupported { message, hint, .. } = statement {
            let error = SqlError::unsupported(message.clone());
            return Err(if let Some(hint) = hint { error.hint(hint.clone()) } else { error });
        }
        if let Statement::CreateView(view) = statement {
            let view = view.clone();
            self.with_context(|cx, working| needs(cx, working, statement).map(|_| ()))?;
            let facts = Facts::View(plan(self.catalog(), &view.query));
            return self.with_context(|cx, working| apply(cx, working, statement, &facts));
        }
        self.with_context(|cx, working| {
            needs(cx, working, statement)?;
            apply(cx, working, statement, facts)
        })
    }

    /// `acl of table t`: the privileges as PostgreSQL prints them, columns' after them.
    fn acl(&self, what: &str) -> String {
        let (kind, name) = what.split_once(' ').unwrap();
        let catalog = self.catalog();
        let oid = match kind {
            "table" => catalog.relation(PUBLIC_SCHEMA_OID, name).unwrap().header().oid,
            "schema" => catalog.schema(name).unwrap().header.oid,
            "server" => catalog.server(name).unwrap().header.oid,
            "wrapper" => catalog.wrapper(name).unwrap().header.oid,
            other => panic!("{other}"),
        };
        let object = catalog.get(oid).unwrap();
        let text = |acl: &Option<Vec<AclItem>>| {
            acl.as_ref().map_or("-".to_owned(), |acl| super::super::super::privilege::acl_text(catalog, acl))
        };
        let mut lines = text(&object.header().acl);
        for column in object.columns().iter().filter(|column| column.acl.is_some()) {
            lines.push_str(&format!("\n{}: {}", column.name, text(&column.acl)));
        }
        lines.push('\n');
        lines
    }
}

/// Runs a transcript: lines after `> ` are SQL, the lines up to the next one its answer.
pub(super) fn check(name: &str, transcript: &str) {
    let mut harness = Harness::new();
    let mut answers = String::new();
    for line in transcript.lines() {
        match line.strip_prefix("> ") {
            Some(sql) => answers.push_str(&format!("> {sql}\n{}", harness.run(sql))),
            None if line.starts_with("--") || line.is_empty() => answers.push_str(&format!("{line}\n")),
            None => {}
        }
    }
    compare(name, &answers, transcript);
}

/// Fails at the first line that differs, with what stands before it.
pub(super) fn compare(name: &str, actual: &str, expected: &str) {
    if let Ok(directory) = std::env::var("ATOLL_TEST_WRITE_TRANSCRIPTS") {
        // For whoever adds statements: the answers to look through.
        std::fs::write(std::path::Path::new(&directory).join(name), actual).unwrap();
        return;
    }
    let (actual, expected): (Vec<_>, Vec<_>) = (actual.lines().collect(), expected.lines().collect());
    for (index, line) in actual.iter().enumerate() {
        if expected.get(index) != Some(line) {
            let context = &actual[index.saturating_sub(5)..=index];
            panic!(
                "{name}, line {}: expected {:?} at the end of\n{}",
                index + 1,
                expected.get(index),
                context.join("\n")
            );
        }
    }
    assert_eq!(actual.len(), expected.len(), "{name} is longer than its answers");
}

/// A planner for `SELECT … FROM names`: enough for transcripts.
fn plan(catalog: &Catalog, query: &sql::Query) -> ViewFacts {
    struct Names<'a> {
        catalog: &'a Catalog,
        found: Vec<Oid>,
        idents: Vec<String>,
    }
    impl VisitorMut for Names<'_> {
        type Break = ();

        fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
            let parts: Vec<_> = name.0.iter().filter_map(|part| part.as_ident()).map(|i| i.value.clone()).collect();
            let (schema, name_) = match parts.as_slice() {
                [name] => ("public", name),
                [schema, name] => (schema.as_str(), name),
                _ => panic!("{parts:?}"),
            };
            let oid = self.catalog.schema(schema).unwrap().header.oid;
            self.found.push(self.catalog.relation(oid, name_).unwrap().header().oid);
            let schema = if schema.contains(' ') { Ident::with_quote('"', schema) } else { Ident::new(schema) };
            let last = name.0.last().unwrap().clone();
            *name = ObjectName(vec![ObjectNamePart::Identifier(schema), last]);
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(ident) => self.idents.push(ident.value.clone()),
                Expr::CompoundIdentifier(idents) => self.idents.push(idents.last().unwrap().value.clone()),
                _ => {}
            }
            ControlFlow::Continue(())
        }
    }
    let mut query = query.clone();
    let mut names = Names { catalog, found: vec![], idents: vec![] };
    let _ = query.visit(&mut names);
    let relations: Vec<_> = names.found.iter().map(|oid| catalog.get(*oid).unwrap()).collect();
    let column = |name: &str| {
        relations.iter().find_map(|relation| {
            let column = relation.columns().iter().find(|column| column.name == name)?;
            Some((relation.header().oid, column.number, column.data_type.clone()))
        })
    };
    let SetExpr::Select(select) = query.body.as_ref() else { panic!("a select") };
    let mut columns = vec![];
    for item in &select.projection {
        let (expr, alias) = match item {
            SelectItem::UnnamedExpr(expr) => (expr, None),
            SelectItem::ExprWithAlias { expr, alias } => (expr, Some(alias.value.clone())),
            SelectItem::Wildcard(_) => {
                for relation in &relations {
                    columns.extend(relation.columns().iter().map(|c| (c.name.clone(), c.data_type.clone())));
                    names.idents.extend(relation.columns().iter().map(|column| column.name.clone()));
                }
                continue;
            }
            other => panic!("{other}"),
        };
        let of = |name: &str| column(name).map_or(PgType::new(oids::TEXT), |(_, _, data_type)| data_type);
        let (name, data_type) = match expr {
            Expr::Identifier(ident) => (ident.value.clone(), of(&ident.value)),
            Expr::CompoundIdentifier(idents) => {
                let name = idents.last().unwrap().value.clone();
                (name.clone(), of(&name))
            }
            Expr::Cast { expr, data_type, .. } => {
                (expr.to_string(), atoll_connector_api::types::from_sql(data_type).unwrap())
            }
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
                ("?column?".to_owned(), PgType::new(oids::INT4))
            }
            other => panic!("{other}"),
        };
        columns.push((alias.unwrap_or(name), data_type));
    }
    let used = names.idents.iter().filter_map(|name| column(name)).map(|(oid, number, _)| (oid, number)).collect();
    let reads = relations.iter().map(|relation| ViewedRelation {
        oid: relation.header().oid,
        live: None,
        columns: relation
            .columns()
            .iter()
            .map(|column| ViewedColumn {
                name: column.name.clone(),
                number: column.number,
                data_type: column.data_type.clone(),
                read: true,
            })
            .collect(),
    });
    let reads = reads.collect();
    ViewFacts { query: query.to_string(), columns, depends_on: names.found, depends_on_columns: used, reads }
}
