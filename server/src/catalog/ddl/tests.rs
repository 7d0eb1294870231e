#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

//! Transcripts of SQL and its answers. Those in `tests/postgres_*.txt` are also run on a real PostgreSQL, which must answer
//! the same word for word.

mod harness;
mod postgres;

use std::sync::Arc;

use atoll_connector_api::types::{PgType, oids};
use atoll_connector_api::{ColumnDefinition, Options, TableDefinition};

use super::super::model::{BOOTSTRAP_SUPERUSER_OID, Object, StoredValue};
use super::*;
use harness::{Harness, answer};

/// Transcripts whose answers are PostgreSQL 15's.
pub(super) const POSTGRES_TRANSCRIPTS: &[(&str, &str)] = &[
    ("objects", include_str!("tests/postgres_objects.txt")),
    ("relations", include_str!("tests/postgres_relations.txt")),
    ("views", include_str!("tests/postgres_views.txt")),
    ("drop", include_str!("tests/postgres_drop.txt")),
    ("roles", include_str!("tests/postgres_roles.txt")),
    ("grant", include_str!("tests/postgres_grant.txt")),
    ("rights", include_str!("tests/postgres_rights.txt")),
    ("owned", include_str!("tests/postgres_owned.txt")),
];

#[test]
fn transcripts_that_postgresql_answers_too() {
    for (name, transcript) in POSTGRES_TRANSCRIPTS {
        harness::check(name, transcript);
    }
}

#[test]
fn transcript_of_what_is_atolls_own() {
    harness::check("atoll", include_str!("tests/atoll.txt"));
}

#[test]
fn a_statement_that_fails_changes_nothing() {
    let mut harness = Harness::new();
    harness.run("create foreign data wrapper w");
    harness.run("create server s foreign data wrapper w");
    let before = harness.working.clone();
    // The first action would have succeeded.
    assert_eq!(harness.run("create foreign table t (a int) server s"), "CREATE FOREIGN TABLE\n");
    let made = harness.working.clone();
    let answer = harness.run("alter foreign table t add column b int, drop column nope");
    assert!(answer.contains("42703"), "{answer}");
    assert_eq!(harness.working.changes(), made.changes());
    harness.working.roll_back_to(&before);
    assert!(harness.run("drop foreign table t").contains("42704"));
    assert_eq!(harness.working.changes(), before.changes());
}

#[test]
fn an_object_made_and_dropped_is_no_change() {
    let mut harness = Harness::new();
    harness.run("create schema s");
    harness.run("drop schema s");
    assert!(harness.working.changes().is_empty() && !harness.working.is_empty());
    harness.run("drop schema public");
    assert_eq!(harness.working.changes().len(), 1);
}

#[test]
fn a_transaction_moves_over_what_others_commit() {
    let mut ours = Harness::new();
    let mut theirs = Harness { working: ours.working.clone(), ..Harness::new() };
    theirs.working.supply_oids(super::super::store::OidRange::new(30_000, 31_000));
    ours.run("create schema ours");
    theirs.run("create schema theirs");
    let newer = Arc::new(theirs.working.base().with(&theirs.working.changes()));
    ours.working.rebase(&newer).unwrap();
    assert!(ours.catalog().schema("theirs").is_some() && ours.catalog().schema("ours").is_some());
    assert_eq!(ours.working.changes().len(), 1);
    // The same object, and the same name.
    theirs.run("comment on schema public is 'theirs'");
    ours.run("comment on schema public is 'ours'");
    let newer = Arc::new(theirs.working.base().with(&theirs.working.changes()));
    assert_eq!(ours.working.rebase(&newer).unwrap_err().sqlstate.as_str(), "40001");
    let mut ours = Harness { working: Working::new(Arc::clone(theirs.working.base())), ..Harness::new() };
    ours.working.supply_oids(super::super::store::OidRange::new(40_000, 41_000));
    ours.run("create schema theirs");
    assert_eq!(ours.working.rebase(&newer).unwrap_err().sqlstate.as_str(), "40001");
}

#[test]
fn secrets_are_sealed_and_printed_nowhere() {
    let canary = "k4n4ri3-s3cr3t";
    let mut harness = Harness::new();
    harness.run("create server p foreign data wrapper postgres options (host 'h')");
    harness.run("create foreign data wrapper w");
    harness.run("create server other foreign data wrapper w");
    for server in ["p", "other"] {
        let sql =
            format!("create user mapping for current_user server {server} options (user 'u', password '{canary}')");
        assert_eq!(harness.run(&sql), "CREATE USER MAPPING\n");
        let sql = format!("alter user mapping for current_user server {server} options (set password '{canary}2')");
        assert_eq!(harness.run(&sql), "ALTER USER MAPPING\n");
        let oid = harness.catalog().server(server).unwrap().header.oid;
        let mapping = harness.catalog().user_mapping(oid, BOOTSTRAP_SUPERUSER_OID).unwrap().clone();
        let shown: Vec<_> = mapping.options.iter().map(|option| option.value.shown()).collect();
        assert_eq!(shown, [Some("u"), None]);
        let object = Object::UserMapping(mapping.clone());
        let text = format!("{object:?} {}", serde_json::to_string(&object).unwrap());
        assert!(!text.contains(canary), "{text}");
        let policy = super::super::secret::ReferencePolicy::default();
        let revealed = harness.key.reveal(mapping.header.oid, &mapping.options, |_| true, &policy).unwrap();
        assert_eq!(revealed.get("password"), Some(format!("{canary}2").as_str()));
    }
    // An error about an option does not repeat its value, nor does the statement's Debug.
    let sql = format!("create user mapping for public server p options (pasword '{canary}')");
    assert!(!harness.run(&sql).contains(canary));
    let parsed = crate::statement::parse(&sql).unwrap();
    assert!(!format!("{:?}", parsed[0].statement).contains(canary));
    // A reference is kept as it is.
    harness.run("create user mapping for public server p options (password 'env:PGPASSWORD')");
    let oid = harness.catalog().server("p").unwrap().header.oid;
    let mapping = harness.catalog().user_mapping(oid, super::super::model::PUBLIC_ROLE).unwrap();
    assert_eq!(mapping.options[0].value, StoredValue::Plain("env:PGPASSWORD".to_owned()));
}

#[test]
fn credentials_of_the_environment_are_for_superusers() {
    let mut harness = Harness::new();
    let denied = "ERROR 42501: credentials=ambient is superuser-only\n";
    harness.run("create foreign data wrapper w");
    assert_eq!(
        harness.run("create server s foreign data wrapper w options (credentials 'ambient')"),
        "CREATE SERVER\n"
    );
    for sql in
        ["create role r", "grant usage on foreign data wrapper w to r", "alter server s owner to r", "set role r"]
    {
        assert!(!harness.run(sql).contains("ERROR"), "{sql}");
    }
    let said = harness.run("create server t foreign data wrapper w options (credentials 'ambient')");
    assert!(said.starts_with(denied), "{said}");
    assert_eq!(
        harness.run("create server t foreign data wrapper w options (credentials 'mapping')"),
        "CREATE SERVER\n"
    );
    for sql in [
        "alter server t options (set credentials 'ambient')",
        "alter server t version '2' options (set credentials 'ambient')",
        "alter server s options (add region 'x')",
    ] {
        let said = harness.run(sql);
        assert!(said.starts_with(denied), "{sql}: {said}");
    }
    assert_eq!(harness.run("alter server s options (set credentials 'mapping')"), "ALTER SERVER\n");
}

#[test]
fn passwords_become_verifiers() {
    let mut harness = Harness::new();
    harness.run("create role r login password 'geheim'");
    let verifier = |harness: &Harness| harness.catalog().role("r").unwrap().password.clone();
    assert!(verifier(&harness).unwrap().verify_password("geheim"));
    harness.run("alter role r password 'anders'");
    assert!(verifier(&harness).unwrap().verify_password("anders"));
    let given = verifier(&harness).unwrap().0;
    harness.run(&format!("alter role r password '{given}'"));
    assert_eq!(verifier(&harness).unwrap().0, given);
    harness.run("alter role r password null");
    assert!(verifier(&harness).is_none());
    harness.run("create role u valid until '2030-01-01 00:00:00+00'");
    assert_eq!(harness.catalog().role("u").unwrap().valid_until, Some(1_893_456_000_000_000));
}

#[test]
fn views_follow_what_they_read() {
    let mut harness = Harness::new();
    for sql in [
        "create foreign data wrapper w",
        "create server s foreign data wrapper w",
        "create schema sc",
        "create foreign table t (a int, b text) server s",
        "create view v as select a, b from t",
        "create view vv as select v.a from v",
    ] {
        harness.run(sql);
    }
    let query = |harness: &Harness, name: &str| {
        let public = harness.catalog().schema("public").unwrap().header.oid;
        let Some(Object::View(view)) = harness.catalog().relation(public, name).map(AsRef::as_ref).cloned() else {
            panic!("no view {name}");
        };
        view
    };
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM public.t");
    harness.run("alter foreign table t rename to t2");
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM public.t2 AS t");
    harness.run("alter foreign table t2 rename column b to \"B b\"");
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM public.t2 AS t (a, b)");
    harness.run("alter foreign table t2 add column c int");
    // The view does not know the new column.
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM public.t2 AS t (a, b)");
    harness.run("alter foreign table t2 drop column c");
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM public.t2 AS t (a, b)");
    harness.run("alter foreign table t2 set schema sc");
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM sc.t2 AS t (a, b)");
    harness.run("alter schema sc rename to \"S c\"");
    assert_eq!(query(&harness, "v").query, "SELECT a, b FROM \"S c\".t2 AS t (a, b)");
    harness.run("alter view v rename column a to x");
    assert_eq!(query(&harness, "vv").query, "SELECT v.a FROM public.v AS v (a, b)");
    assert_eq!(query(&harness, "v").columns[0].name, "x");
    harness.run("create or replace view v (x, b, more) as select a, \"B b\", a from \"S c\".t2");
    assert_eq!(query(&harness, "vv").query, "SELECT v.a FROM public.v AS v (a, b)");
    assert_eq!(query(&harness, "v").columns.len(), 3);
}

#[test]
fn a_renamed_column_keeps_its_name_at_the_source() {
    let mut harness = Harness::new();
    harness.run("create server p foreign data wrapper postgres");
    harness.run("create foreign table t (a int, b int options (column_name 'B')) server p");
    harness.run("alter foreign table t rename column a to x");
    harness.run("alter foreign table t rename column b to y");
    harness.run("alter foreign table t rename column x to z");
    let table = harness.table("t");
    let names: Vec<_> = table
        .columns
        .iter()
        .map(|column| (column.name.as_str(), column.options[0].value.shown().unwrap_or_default()))
        .collect();
    assert_eq!(names, [("z", "a"), ("y", "B")]);
}

fn definition(columns: &[&str]) -> TableDefinition {
    let mut columns: Vec<_> =
        columns.iter().map(|name| ColumnDefinition::new(*name, PgType::new(oids::INT4))).collect();
    columns[0].not_null = true;
    columns[0].comment = Some("the key".to_owned());
    TableDefinition { primary_key: vec![columns[0].name.clone()], columns, comment: Some("from the source".to_owned()) }
}

#[test]
fn columns_are_read_from_the_source() {
    let mut harness = Harness::new();
    harness.run("create server p foreign data wrapper postgres");
    let long = "ü".repeat(40);
    let sql = "create foreign table t server p options (table_name 'T')";
    let parsed = crate::statement::parse(sql).unwrap();
    let need = harness.needs(&parsed[0].statement).unwrap();
    assert!(need.contains("Table") && need.contains("table_name"), "{need}");
    let facts = Facts::Table(definition(&["Id", &long]));
    assert_eq!(harness.run_with(sql, &facts), "CREATE FOREIGN TABLE\n");
    let table = harness.table("t");
    assert_eq!(table.columns[0].name, "Id");
    assert!(table.columns[0].not_null && table.columns[0].options.is_empty());
    assert_eq!(table.columns[0].comment.as_deref(), Some("the key"));
    assert_eq!(table.header.comment.as_deref(), Some("from the source"));
    assert_eq!(table.primary_key, ["Id"]);
    // Names are cut off at 63 bytes, between characters.
    assert_eq!(table.columns[1].name, "ü".repeat(31));
    assert_eq!(table.columns[1].options[0].value.shown(), Some(long.as_str()));
    assert_eq!(table.next_number, 3);
    // What is wrong is found before anything is fetched.
    for (sql, code) in [
        (sql, "42P07"),
        ("create foreign table t9 server nope", "42704"),
        ("create foreign table nope.t9 server p", "3F000"),
        ("create foreign table t9 server p options (nope 'x')", "HV00D"),
        ("import foreign schema s from server p into nope", "3F000"),
        ("import foreign schema s from server p into public options (nope 'x')", "HV00D"),
    ] {
        let parsed = crate::statement::parse(sql).unwrap();
        assert_eq!(harness.needs(&parsed[0].statement).unwrap_err().sqlstate.as_str(), code, "{sql}");
    }
    let skipped = crate::statement::parse("create foreign table if not exists t server p").unwrap();
    assert!(harness.needs(&skipped[0].statement).unwrap().contains("Nothing"));
}

#[test]
fn import_makes_the_tables_that_pass_the_filter() {
    let import = |harness: &mut Harness, sql: &str| {
        let tables = ["orders", "Items", "odd"].map(|name| ImportedTable {
            name: name.to_owned(),
            options: Options::from_iter([("table_name".to_owned(), name.to_owned())]),
            definition: definition(&["id", "n"]),
        });
        harness.run_with(sql, &Facts::Import(tables.to_vec()))
    };
    let names = |harness: &Harness, schema: &str| {
        let schema = harness.catalog().schema(schema).unwrap().header.oid;
        let mut names: Vec<_> =
            harness.catalog().relations_in(schema).map(|relation| relation.header().name.clone()).collect();
        names.sort();
        names
    };
    let mut harness = Harness::new();
    harness.run("create server p foreign data wrapper postgres");
    for schema in ["a", "b", "c"] {
        harness.run(&format!("create schema {schema}"));
    }
    assert_eq!(import(&mut harness, "import foreign schema r from server p into a"), "IMPORT FOREIGN SCHEMA\n");
    assert_eq!(names(&harness, "a"), ["Items", "odd", "orders"]);
    let answer_ = import(&mut harness, "import foreign schema r limit to (orders, items, nope) from server p into b");
    assert_eq!(
        answer_,
        "NOTICE 00000: table \"items\" is not present in schema \"r\" of foreign server \"p\", skipping\n\
         NOTICE 00000: table \"nope\" is not present in schema \"r\" of foreign server \"p\", skipping\n\
         IMPORT FOREIGN SCHEMA\n"
    );
    assert_eq!(names(&harness, "b"), ["orders"]);
    let sql = "import foreign schema r except (orders) from server p into c options (import_not_null 'false')";
    assert_eq!(import(&mut harness, sql), "IMPORT FOREIGN SCHEMA\n");
    assert_eq!(names(&harness, "c"), ["Items", "odd"]);
    let c = harness.catalog().schema("c").unwrap().header.oid;
    let Some(Object::ForeignTable(table)) = harness.catalog().relation(c, "Items").map(AsRef::as_ref) else {
        panic!("no table")
    };
    assert!(!table.columns[0].not_null);
    assert_eq!(table.options[0].value.shown(), Some("Items"));
    // All or nothing.
    let again = import(&mut harness, "import foreign schema r from server p into c");
    assert!(again.starts_with("ERROR 42P07: relation \"Items\" already exists\nCONTEXT: importing"), "{again}");
    assert_eq!(names(&harness, "c"), ["Items", "odd"]);
}

#[test]
fn oids_that_were_not_supplied_are_our_error() {
    let mut harness = Harness::new();
    harness.working.supply_oids(super::super::store::OidRange::default());
    assert_eq!(harness.working.oids_left(), 0);
    assert!(harness.run("create schema s").starts_with("ERROR XX000"));
    let statement = &crate::statement::parse("create schema s").unwrap()[0].statement;
    assert!(is_ddl(statement) && oids_needed(statement, &Facts::None) == 1);
    let query = &crate::statement::parse("select 1").unwrap()[0].statement;
    assert!(!is_ddl(query));
    let error = answer(&Err(SqlError::syntax("x").detail("d").hint("h").at(3)));
    assert_eq!(error, "ERROR 42601: x\nDETAIL: d\nHINT: h\nPOSITION: 3\n");
}
