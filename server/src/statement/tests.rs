//! What each statement reads as, and how what is wrong with it is reported.

use super::ast::*;
use super::parse;
use crate::error::SqlError;

fn one(sql: &str) -> Statement {
    let mut statements = parse(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(statements.len(), 1, "{sql}");
    statements.remove(0).statement
}

fn fails(sql: &str) -> SqlError {
    match parse(sql) {
        Ok(parsed) => panic!("{sql} parsed as {parsed:?}"),
        Err(error) => error,
    }
}

/// Message and position of a syntax error.
fn syntax(sql: &str) -> (String, usize) {
    let error = fails(sql);
    assert_eq!(error.sqlstate.as_str(), "42601", "{sql}: {error}");
    (error.message, error.position.unwrap_or(0))
}

fn unsupported(sql: &str) -> String {
    match one(sql) {
        Statement::Unsupported { message, .. } => message,
        other => panic!("{sql} parsed as {other:?}"),
    }
}

fn option(name: &str, value: &str, position: usize) -> OptionClause {
    OptionClause { name: name.into(), value: OptionValue(value.into()), position }
}

fn name(parts: &[&str], position: usize) -> QualifiedName {
    QualifiedName { parts: parts.iter().map(|part| (*part).to_owned()).collect(), position }
}

#[test]
fn splits_a_text_and_keeps_each_statements_place() {
    let parsed = parse(" ;; SELECT 'é;' ; -- c ;\n  SHOW x;").unwrap();
    let places: Vec<_> = parsed.iter().map(|parsed| (parsed.text.as_str(), parsed.offset)).collect();
    assert_eq!(places, [("SELECT 'é;'", 4), ("SHOW x", 27)]);
    assert!(parse("").unwrap().is_empty() && parse(" ; /* */ ; ").unwrap().is_empty());
}

#[test]
fn wrappers() {
    assert_eq!(
        one("CREATE FOREIGN DATA WRAPPER W NO HANDLER VALIDATOR a.b OPTIONS (image 'x', \"Q\" E'a\\nb')"),
        Statement::CreateWrapper(CreateWrapper {
            name: "w".into(),
            if_not_exists: false,
            handler: None,
            validator: Some(name(&["a", "b"], 52)),
            options: vec![option("image", "x", 65), option("Q", "a\nb", 76)],
        })
    );
    assert_eq!(
        one("ALTER FOREIGN DATA WRAPPER w OPTIONS (ADD a '1', SET b '2', DROP c, set '3', d '4')"),
        Statement::AlterWrapper(AlterWrapper {
            name: "w".into(),
            action: AlterAction::Options(vec![
                OptionAction::Add(option("a", "1", 43)),
                OptionAction::Set(option("b", "2", 54)),
                OptionAction::Drop { name: "c".into(), position: 66 },
                OptionAction::Add(option("set", "3", 69)),
                OptionAction::Add(option("d", "4", 78)),
            ]),
        })
    );
    assert!(matches!(
        one("ALTER FOREIGN DATA WRAPPER w RENAME TO v"),
        Statement::AlterWrapper(AlterWrapper { action: AlterAction::RenameTo(to), .. }) if to == "v"
    ));
    assert!(matches!(
        one("DROP FOREIGN DATA WRAPPER IF EXISTS a, b CASCADE"),
        Statement::Drop(Drop { kind: DropKind::Wrapper, names, if_exists: true, cascade: true }) if names.len() == 2
    ));
    assert_eq!(syntax("CREATE FOREIGN DATA WRAPPER w OPTIONS (a 1)").0, "syntax error at or near \"1\"");
    assert_eq!(syntax("CREATE FOREIGN DATA WRAPPER w OPTIONS ()").0, "syntax error at or near \")\"");
}

#[test]
fn servers() {
    assert_eq!(
        one("CREATE SERVER IF NOT EXISTS s TYPE 't' VERSION '1' FOREIGN DATA WRAPPER postgres OPTIONS (host 'h')"),
        Statement::CreateServer(CreateServer {
            name: "s".into(),
            if_not_exists: true,
            server_type: Some("t".into()),
            version: Some("1".into()),
            wrapper: "postgres".into(),
            options: vec![option("host", "h", 91)],
        })
    );
    assert_eq!(
        one("ALTER SERVER s VERSION '2' OPTIONS (DROP host)"),
        Statement::AlterServer(AlterServer {
            name: "s".into(),
            action: AlterAction::Version {
                version: Some("2".into()),
                options: vec![OptionAction::Drop { name: "host".into(), position: 42 }],
            },
        })
    );
    assert!(matches!(
        one("ALTER SERVER s OWNER TO CURRENT_USER"),
        Statement::AlterServer(AlterServer { action: AlterAction::OwnerTo(RoleSpec::CurrentUser), .. })
    ));
    assert_eq!(syntax("CREATE SERVER s").0, "syntax error at end of input");
    assert_eq!(syntax("ALTER SERVER s").0, "syntax error at end of input");
    assert_eq!(
        syntax("CREATE SERVER s FOREIGN DATA WRAPPER select"),
        ("syntax error at or near \"select\"".into(), 38)
    );
}

#[test]
fn user_mappings() {
    for (user, role) in [
        ("CURRENT_USER", RoleSpec::CurrentUser),
        ("USER", RoleSpec::CurrentUser),
        ("SESSION_USER", RoleSpec::SessionUser),
        ("PUBLIC", RoleSpec::Public),
        ("\"Bob\"", RoleSpec::Name("Bob".into())),
    ] {
        match one(&format!("CREATE USER MAPPING IF NOT EXISTS FOR {user} SERVER s OPTIONS (user 'u', password 'p')")) {
            Statement::CreateUserMapping(mapping) => {
                assert_eq!((mapping.user, mapping.if_not_exists, mapping.options.len()), (role.clone(), true, 2));
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            one(&format!("DROP USER MAPPING IF EXISTS FOR {user} SERVER s")),
            Statement::DropUserMapping(mapping) if mapping.user == role && mapping.if_exists
        ));
    }
    assert!(matches!(
        one("ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET password 'x')"),
        Statement::AlterUserMapping(AlterUserMapping { user: RoleSpec::Name(user), .. }) if user == "bob"
    ));
    // A user may be named like the word.
    assert!(matches!(one("CREATE USER mapping LOGIN"), Statement::CreateRole(role) if role.name == "mapping"));
    assert!(!format!("{:?}", one("CREATE USER MAPPING FOR a SERVER s OPTIONS (password 'canary')")).contains("canary"));
}

#[test]
fn foreign_tables() {
    let table = |sql: &str| match one(sql) {
        Statement::CreateForeignTable(table) => table,
        other => panic!("{other:?}"),
    };
    let created = table(
        "CREATE FOREIGN TABLE IF NOT EXISTS s.t (id int8 OPTIONS (column_name 'ID') NOT NULL, \"N\" varchar(10) \
         COLLATE pg_catalog.\"C\" DEFAULT 'x, y)' NULL, ts timestamp(3) with time zone, a text[][]) \
         SERVER x OPTIONS (table_name 'T')",
    );
    let columns = created.columns.unwrap();
    assert_eq!(created.name, name(&["s", "t"], 36));
    assert_eq!(columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>(), ["id", "N", "ts", "a"]);
    assert_eq!((columns[0].not_null, columns[1].not_null, columns[0].type_position), (true, false, 44));
    assert_eq!(columns[0].options, [option("column_name", "ID", 58)]);
    assert_eq!(columns[2].data_type.to_string().to_lowercase(), "timestamp(3) with time zone");
    assert_eq!(table("CREATE FOREIGN TABLE t SERVER s").columns, None);
    assert_eq!(table("CREATE FOREIGN TABLE t () SERVER s").columns, None);
    assert_eq!(
        unsupported("CREATE FOREIGN TABLE t (a int PRIMARY KEY) SERVER s"),
        "primary key constraints are not supported on foreign tables"
    );
    assert_eq!(syntax("CREATE FOREIGN TABLE t (a) SERVER s"), ("syntax error at or near \")\"".into(), 26));
    assert_eq!(syntax("CREATE FOREIGN TABLE t (a int,) SERVER s"), ("syntax error at or near \")\"".into(), 31));
    assert_eq!(
        syntax("CREATE FOREIGN TABLE t (a int NULL NOT NULL) SERVER s").0,
        "conflicting NULL/NOT NULL declarations for column \"a\" of table \"t\""
    );
}

#[test]
fn alter_foreign_tables() {
    let actions = |sql: &str| match one(sql) {
        Statement::AlterForeignTable(alter) => alter.actions,
        other => panic!("{other:?}"),
    };
    let altered = actions(
        "ALTER FOREIGN TABLE IF EXISTS ONLY a.t ADD COLUMN IF NOT EXISTS x int, ADD y text, DROP COLUMN IF EXISTS z \
         CASCADE, ALTER COLUMN x TYPE bigint, ALTER x SET NOT NULL, ALTER x DROP NOT NULL, ALTER x OPTIONS (SET a 'b'), \
         OPTIONS (DROP c), OWNER TO r",
    );
    assert_eq!(altered.len(), 9);
    assert!(matches!(&altered[2], AlterTableAction::DropColumn { if_exists: true, cascade: true, .. }));
    assert_eq!(
        actions("ALTER FOREIGN TABLE t RENAME a TO b"),
        [AlterTableAction::RenameColumn { name: "a".into(), new_name: "b".into() }]
    );
    assert_eq!(actions("ALTER TABLE t RENAME TO b"), [AlterTableAction::RenameTo("b".into())]);
    assert_eq!(actions("ALTER FOREIGN TABLE t SET SCHEMA b"), [AlterTableAction::SetSchema("b".into())]);
    assert!(matches!(one("ALTER VIEW v RENAME COLUMN a TO b"), Statement::AlterView(_)));
    assert!(matches!(one("ALTER VIEW IF EXISTS v OWNER TO r"), Statement::AlterView(v) if v.if_exists));
}

#[test]
fn import_foreign_schema() {
    assert_eq!(
        one("IMPORT FOREIGN SCHEMA \"Pub\" LIMIT TO (a, \"B\") FROM SERVER s INTO l OPTIONS (k 'v')"),
        Statement::ImportForeignSchema(ImportForeignSchema {
            remote_schema: "Pub".into(),
            filter: ImportFilter::LimitTo(vec!["a".into(), "B".into()]),
            server: "s".into(),
            into: "l".into(),
            options: vec![option("k", "v", 77)],
        })
    );
    assert!(matches!(
        one("IMPORT FOREIGN SCHEMA p EXCEPT (a) FROM SERVER s INTO l"),
        Statement::ImportForeignSchema(ImportForeignSchema { filter: ImportFilter::Except(_), .. })
    ));
    assert_eq!(syntax("IMPORT FOREIGN SCHEMA p FROM SERVER s"), ("syntax error at end of input".into(), 38));
}

#[test]
fn schemas_views_extensions() {
    assert!(matches!(
        one("CREATE SCHEMA AUTHORIZATION joe"),
        Statement::CreateSchema(CreateSchema { name: None, authorization: Some(RoleSpec::Name(_)), .. })
    ));
    match one("create or replace view A.v (x, \"Y\") with (security_invoker) as /* c */ select 1, 'é' ;") {
        Statement::CreateView(view) => {
            assert_eq!(view.query_text, "select 1, 'é'");
            assert_eq!(view.query_offset, 71);
            assert_eq!(view.columns, ["x", "Y"]);
            assert!(view.or_replace);
            assert_eq!(view.options, [("security_invoker".to_owned(), "true".to_owned())]);
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        one("CREATE EXTENSION IF NOT EXISTS postgres_fdw WITH SCHEMA public CASCADE"),
        Statement::CreateExtension { if_not_exists: true, .. }
    ));
    assert_eq!(unsupported("CREATE VIEW v AS SELECT 1 WITH CHECK OPTION"), "WITH CHECK OPTION is not supported");
    assert_eq!(unsupported("CREATE TEMP VIEW v AS SELECT 1"), "temporary views are not supported");
    assert_eq!(syntax("CREATE VIEW v AS SELECT 1 foo bar"), ("syntax error at or near \"bar\"".into(), 31));
}

#[test]
fn roles() {
    match one(
        "CREATE USER bob WITH SUPERUSER NOLOGIN CONNECTION LIMIT 5 PASSWORD 'canary' VALID UNTIL 'x' IN ROLE a, b ADMIN c",
    ) {
        Statement::CreateRole(role) => {
            assert!(!format!("{role:?}").contains("canary"));
            let attributes = role.attributes;
            assert_eq!(
                (attributes.superuser, attributes.login, attributes.connection_limit),
                (Some(true), Some(false), Some(5))
            );
            assert_eq!((attributes.in_roles.len(), attributes.admin_members.len(), role.user), (2, 1, true));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        one("ALTER ROLE CURRENT_USER PASSWORD NULL"),
        Statement::AlterRole(AlterRole { role: RoleSpec::CurrentUser, attributes }) if attributes.password == Some(None)
    ));
    assert!(matches!(one("ALTER USER a RENAME TO b"), Statement::RenameRole { .. }));
    assert_eq!(
        one("ALTER ROLE a SET search_path TO x, \"Y z\""),
        Statement::AlterRoleSetting(AlterRoleSetting {
            role: Some(RoleSpec::Name("a".into())),
            database: None,
            name: Some("search_path".into()),
            value: Some("x, \"Y z\"".into()),
        })
    );
    for (sql, value) in [("\"Y, z\"", "\"Y, z\""), ("'a, b'", "\"a, b\""), ("x", "x")] {
        let statement = one(&format!("ALTER ROLE a SET search_path = {sql}"));
        assert!(matches!(&statement, Statement::AlterRoleSetting(alter) if alter.value.as_deref() == Some(value)));
    }
    assert!(matches!(
        one("ALTER DATABASE d SET datestyle TO sql, dmy"),
        Statement::AlterDatabaseSetting(alter) if alter.database == "d" && alter.value.as_deref() == Some("sql, dmy")
    ));
    assert!(matches!(
        one("ALTER DATABASE \"D\" RESET ALL"),
        Statement::AlterDatabaseSetting(alter) if alter.database == "D" && alter.name.is_none()
    ));
    assert!(matches!(one("ALTER DATABASE d SET TABLESPACE t"), Statement::Unsupported { .. }));
    assert!(matches!(
        one("ALTER ROLE ALL RESET ALL"),
        Statement::AlterRoleSetting(AlterRoleSetting { role: None, database: None, name: None, value: None })
    ));
    assert_eq!(syntax("CREATE ROLE a FOO"), ("unrecognized role option \"foo\"".into(), 15));
    assert_eq!(syntax("CREATE ROLE a LOGIN NOLOGIN"), ("conflicting or redundant options".into(), 21));
    assert_eq!(fails("CREATE ROLE public").sqlstate.as_str(), "42939");
    assert_eq!(fails("CREATE ROLE \"none\"").message, "role name \"none\" is reserved");
}

#[test]
fn grants() {
    let granted = |sql: &str| match one(sql) {
        Statement::Grant(grant) => grant,
        other => panic!("{other:?}"),
    };
    let grant = granted("GRANT SELECT (a, b), UPDATE ON TABLE s.t, u TO bob, PUBLIC WITH GRANT OPTION");
    assert_eq!(grant.privileges[0], PrivilegeClause { name: "select".into(), columns: vec!["a".into(), "b".into()] });
    assert_eq!(grant.objects, GrantObjects::Tables(vec![name(&["s", "t"], 38), name(&["u"], 43)]));
    assert!(grant.grant && grant.grant_option && grant.grantees.len() == 2);
    assert_eq!(
        granted("GRANT USAGE ON FOREIGN SERVER a, b TO c").objects,
        GrantObjects::Servers(vec!["a".into(), "b".into()])
    );
    assert_eq!(
        granted("GRANT ALL PRIVILEGES ON FOREIGN DATA WRAPPER w TO c"),
        Grant {
            grant: true,
            privileges: vec![],
            objects: GrantObjects::Wrappers(vec!["w".into()]),
            grantees: vec![RoleSpec::Name("c".into())],
            grant_option: false,
            granted_by: None,
            cascade: false,
        }
    );
    let revoke = granted(
        "REVOKE GRANT OPTION FOR SELECT ON ALL TABLES IN SCHEMA s FROM GROUP g GRANTED BY CURRENT_USER CASCADE",
    );
    assert!(!revoke.grant && revoke.grant_option && revoke.cascade);
    assert_eq!(
        one("GRANT a, b TO c, CURRENT_USER WITH ADMIN OPTION"),
        Statement::GrantRole(GrantRole {
            grant: true,
            roles: vec!["a".into(), "b".into()],
            members: vec![RoleSpec::Name("c".into()), RoleSpec::CurrentUser],
            admin_option: true,
            granted_by: None,
            cascade: false,
        })
    );
    assert!(
        matches!(one("REVOKE ADMIN OPTION FOR a FROM b CASCADE"), Statement::GrantRole(g) if g.admin_option && g.cascade)
    );
    // Whether there is such a privilege is asked after whether there is such a table.
    assert!(matches!(one("GRANT foo ON t TO a"), Statement::Grant(_)));
    assert_eq!(unsupported("GRANT EXECUTE ON FUNCTION f(int) TO a"), "GRANT ON FUNCTION is not supported");
}

#[test]
fn drops_and_comments() {
    assert!(matches!(one("DROP TABLE IF EXISTS a.b"), Statement::Drop(Drop { kind: DropKind::Table, .. })));
    assert!(matches!(one("DROP ROLE a, b"), Statement::Drop(Drop { kind: DropKind::Role, .. })));
    assert!(matches!(one("DROP OWNED BY a CASCADE"), Statement::DropOwned { cascade: true, .. }));
    assert!(matches!(one("REASSIGN OWNED BY a, b TO CURRENT_USER"), Statement::ReassignOwned { .. }));
    let kind = |sql: &str| match one(sql) {
        Statement::Drop(drop) => drop.kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind("DROP MATERIALIZED VIEW x"), DropKind::MaterializedView);
    assert_eq!(kind("DROP INDEX CONCURRENTLY IF EXISTS x, y CASCADE"), DropKind::Index);
    assert_eq!(unsupported("DROP FUNCTION f"), "DROP FUNCTION is not supported");
    for (sql, target) in [
        ("COMMENT ON SERVER s IS 'x'", CommentTarget::Server("s".into())),
        ("COMMENT ON FOREIGN DATA WRAPPER s IS 'x'", CommentTarget::Wrapper("s".into())),
        ("COMMENT ON FOREIGN TABLE a.s IS 'x'", CommentTarget::ForeignTable(name(&["a", "s"], 26))),
        ("COMMENT ON COLUMN a.s.c IS 'x'", CommentTarget::Column(name(&["a", "s"], 19), "c".into())),
        ("COMMENT ON SCHEMA s IS 'x'", CommentTarget::Schema("s".into())),
        ("COMMENT ON ROLE s IS 'x'", CommentTarget::Role("s".into())),
        ("COMMENT ON DATABASE s IS 'x'", CommentTarget::Database("s".into())),
    ] {
        assert_eq!(one(sql), Statement::Comment(Comment { target, comment: Some("x".into()) }));
    }
    assert!(matches!(one("COMMENT ON VIEW v IS NULL"), Statement::Comment(Comment { comment: None, .. })));
}

#[test]
fn settings() {
    let set = |sql: &str| match one(sql) {
        Statement::Set(set) => (set.local, set.name, set.values),
        other => panic!("{other:?}"),
    };
    let values = |values: &[&str]| Some(values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
    assert_eq!(set("SET search_path = a, \"B\", 'c'"), (false, "search_path".into(), values(&["a", "B", "c"])));
    assert_eq!(set("SET LOCAL atoll.pushdown TO off"), (true, "atoll.pushdown".into(), values(&["off"])));
    assert_eq!(set("SET SESSION x TO DEFAULT"), (false, "x".into(), None));
    assert_eq!(set("SET TIME ZONE 'UTC'"), (false, "timezone".into(), values(&["UTC"])));
    assert_eq!(set("SET TIME ZONE -3.5"), (false, "timezone".into(), values(&["-3.5"])));
    assert_eq!(set("SET TIME ZONE LOCAL"), (false, "timezone".into(), None));
    assert_eq!(set("SET NAMES 'UTF8'"), (false, "client_encoding".into(), values(&["UTF8"])));
    assert_eq!(set("SET ROLE NONE"), (false, "role".into(), values(&["none"])));
    assert_eq!(set("SET SESSION AUTHORIZATION 'x'"), (false, "session_authorization".into(), values(&["x"])));
    assert_eq!(set("SET DateStyle = ISO, MDY"), (false, "datestyle".into(), values(&["iso", "mdy"])));
    assert_eq!(set("SET extra_float_digits = 3"), (false, "extra_float_digits".into(), values(&["3"])));
    assert!(matches!(one("SHOW TIME ZONE"), Statement::Show { name } if name == "timezone"));
    assert!(
        matches!(one("SHOW TRANSACTION ISOLATION LEVEL"), Statement::Show { name } if name == "transaction_isolation")
    );
    assert!(matches!(one("SHOW ALL"), Statement::Show { name } if name == "all"));
    assert!(matches!(one("RESET ALL"), Statement::Reset { name: None }));
    assert!(matches!(one("DISCARD TEMP"), Statement::Discard(DiscardTarget::Temp)));
    assert_eq!(syntax("SET x"), ("syntax error at end of input".into(), 6));
    assert_eq!(syntax("SET x = "), ("syntax error at end of input".into(), 9));
}

#[test]
fn transactions() {
    let transaction = |sql: &str| match one(sql) {
        Statement::Transaction(transaction) => transaction,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        transaction("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"),
        Transaction::Begin {
            start: false,
            modes: TransactionModes {
                isolation: Some("repeatable read".into()),
                read_only: Some(true),
                deferrable: None
            }
        }
    );
    assert_eq!(
        transaction("START TRANSACTION"),
        Transaction::Begin { start: true, modes: TransactionModes::default() }
    );
    assert_eq!(transaction("END WORK AND CHAIN"), Transaction::Commit { chain: true });
    assert_eq!(transaction("ABORT"), Transaction::Rollback { chain: false });
    assert_eq!(transaction("ROLLBACK TO SAVEPOINT \"S\""), Transaction::RollbackTo("S".into()));
    assert_eq!(transaction("RELEASE s"), Transaction::Release("s".into()));
    assert_eq!(transaction("PREPARE TRANSACTION 'x'"), Transaction::TwoPhase);
    assert_eq!(
        transaction("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE"),
        Transaction::Characteristics {
            modes: TransactionModes { read_only: Some(false), ..TransactionModes::default() },
            session: true
        }
    );
    assert_eq!(
        transaction("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, NOT DEFERRABLE"),
        Transaction::Characteristics {
            modes: TransactionModes {
                isolation: Some("serializable".into()),
                read_only: None,
                deferrable: Some(false)
            },
            session: false
        }
    );
}

#[test]
fn prepared_statements_cursors_explain() {
    match one("PREPARE p (int, text) AS SELECT $1, $2") {
        Statement::Prepare { name, types, statement } => {
            assert_eq!(
                (name.as_str(), types.len(), statement.text.as_str(), statement.offset),
                ("p", 2, "SELECT $1, $2", 25)
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(one("EXECUTE p (1 + 2, 'a')"), Statement::Execute { arguments, .. } if arguments.len() == 2));
    assert!(matches!(one("DEALLOCATE PREPARE ALL"), Statement::Deallocate { name: None }));
    assert!(matches!(
        one("DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1"),
        Statement::DeclareCursor(DeclareCursor { binary: true, scroll: Some(false), hold: true, .. })
    ));
    for (sql, direction) in [
        ("FETCH c", FetchDirection::Forward(1)),
        ("FETCH next", FetchDirection::Forward(1)),
        ("FETCH ALL FROM c", FetchDirection::Forward(i64::MAX)),
        ("FETCH 10 IN c", FetchDirection::Forward(10)),
        ("FETCH -2 c", FetchDirection::Forward(-2)),
        ("FETCH BACKWARD ALL FROM c", FetchDirection::Backward(i64::MAX)),
        ("FETCH FORWARD c", FetchDirection::Forward(1)),
        ("FETCH ABSOLUTE -1 FROM c", FetchDirection::Absolute(-1)),
        ("FETCH PRIOR FROM c", FetchDirection::Backward(1)),
        ("FETCH FIRST c", FetchDirection::First),
        ("FETCH RELATIVE 0 c", FetchDirection::Relative(0)),
    ] {
        assert!(matches!(one(sql), Statement::Fetch(fetch) if fetch.direction == direction), "{sql}");
    }
    assert!(matches!(one("MOVE LAST IN c"), Statement::Fetch(Fetch { is_move: true, .. })));
    match one("EXPLAIN (ANALYZE, VERBOSE off, COSTS false, FORMAT JSON) SELECT 1") {
        Statement::Explain(explain) => {
            assert!(explain.analyze && !explain.verbose && !explain.costs && explain.format == ExplainFormat::Json);
            assert_eq!((explain.statement.text.as_str(), explain.statement.offset), ("SELECT 1", 57));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(one("EXPLAIN ANALYZE VERBOSE (SELECT 1)"), Statement::Explain(e) if e.analyze && e.verbose));
    assert!(matches!(one("EXPLAIN (SELECT 1)"), Statement::Explain(e) if !e.analyze));
    assert_eq!(syntax("EXPLAIN (FOO) SELECT 1"), ("unrecognized EXPLAIN option \"foo\"".into(), 10));
}

#[test]
fn copy() {
    let copy = |sql: &str| match one(sql) {
        Statement::CopyTo(copy) => copy,
        other => panic!("{other:?}"),
    };
    let csv = copy("COPY (SELECT 1) TO STDOUT WITH (FORMAT csv, HEADER, DELIMITER ';', FORCE_QUOTE (a), NULL 'n')");
    assert_eq!((csv.format, csv.header, csv.delimiter, csv.null.as_str()), (CopyFormat::Csv, true, ';', "n"));
    assert_eq!(csv.force_quote, ["a"]);
    assert_eq!(copy("COPY s.\"T\" (a, \"B\") TO STDOUT").query.to_string(), "SELECT \"a\", \"B\" FROM \"s\".\"T\"");
    let old = copy("COPY t TO STDOUT WITH DELIMITER AS '|' NULL AS '' CSV HEADER QUOTE '''' FORCE QUOTE *");
    assert_eq!((old.format, old.quote, old.escape, old.force_quote_all), (CopyFormat::Csv, '\'', '\'', true));
    assert_eq!(copy("COPY BINARY t TO STDOUT").format, CopyFormat::Binary);
    assert_eq!(syntax("COPY binary TO STDOUT").1, 6);
    assert_eq!(unsupported("COPY t FROM STDIN"), "cannot copy to relation \"t\"");
    assert_eq!(unsupported("COPY t TO '/etc/passwd'"), "COPY TO a file or program on the server is not supported");
    assert_eq!(fails("COPY t TO STDOUT (FORMAT xml)").message, "COPY format \"xml\" not recognized");
    assert_eq!(syntax("COPY t TO STDOUT (FOO 1)").0, "option \"foo\" not recognized");
    assert_eq!(fails("COPY t TO STDOUT (DELIMITER 'a')").message, "COPY delimiter cannot be \"a\"");
}

#[test]
fn queries() {
    for sql in [
        "SELECT 1",
        "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 1 OFFSET 2",
        "VALUES (1, 'a'), (2, E'\\t')",
        "TABLE pg_class",
        "WITH RECURSIVE t(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT sum(n) FROM t",
        "SELECT c.relname FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default",
        "SELECT a.b, count(*) FILTER (WHERE x) OVER (PARTITION BY y ORDER BY z ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM a",
        "SELECT x::int[], ARRAY[1,2][1], '{}'::text[], CAST(a AS numeric(10,2)), extract(epoch FROM ts), a AT TIME ZONE 'UTC' FROM t",
        "SELECT * FROM a JOIN b USING (id) LEFT JOIN LATERAL (SELECT 1) c ON true CROSS JOIN d NATURAL JOIN e",
        "SELECT DISTINCT ON (a) a, b FROM t GROUP BY GROUPING SETS ((a), (b), ()) HAVING count(*) > 1",
        "SELECT CASE WHEN a THEN 1 ELSE 2 END, CASE a WHEN 1 THEN 2 END, EXISTS (SELECT 1), NOT a, a IS NOT DISTINCT FROM b FROM t",
        "SELECT interval '1 day', date '2020-01-01', timestamp with time zone '2020-01-01 00:00+00', $1::int4, B'101', X'ff'",
        "SELECT a AS qualify, b AS top, sample.format FROM t AS sample, u minus",
        "SELECT ceil(1.5), floor(x), convert(a, 'b', 'c'), substr('a', 1), position('a' in 'b'), trim(both 'x' from y)",
        "SELECT a -> 'b' ->> 'c' #>> '{d}' @> '{}' || 'e' FROM t WHERE a ~* 'x' AND b !~ 'y' AND c BETWEEN 1 AND 2 AND d ILIKE '%'",
        "SELECT FROM t",
        "SELECT generate_series(1, 3) AS n, row_number() OVER w FROM t WINDOW w AS (ORDER BY a)",
        "SELECT * FROM unnest(ARRAY[1,2]) WITH ORDINALITY AS t(a, b), generate_series(1, 2) g(x)",
    ] {
        assert!(matches!(one(sql), Statement::Query(_)), "{sql}");
    }
    for (sql, limited) in [
        ("SELECT 1 FETCH FIRST ROW ONLY", "SELECT 1 LIMIT 1"),
        ("SELECT 1 OFFSET 2 FETCH NEXT 3 ROWS ONLY", "SELECT 1 LIMIT 3 OFFSET 2"),
    ] {
        assert!(matches!(one(sql), Statement::Query(query) if query.to_string() == limited), "{sql}");
    }
    assert_eq!(syntax("SELECT 1 LIMIT 1 FETCH FIRST ROW ONLY").0, "multiple LIMIT clauses not allowed");
    let twice = fails("SELECT 1 FROM a AS x JOIN b AS x ON true");
    assert_eq!(
        (twice.message.as_str(), twice.sqlstate.as_str()),
        ("table name \"x\" specified more than once", "42712")
    );
    assert_eq!(unsupported("SELECT * INTO x FROM t"), "SELECT INTO is not supported");
    assert_eq!(unsupported("SELECT * FROM t FOR UPDATE"), "SELECT FOR UPDATE/SHARE is not supported");
    assert!(unsupported("WITH x AS (INSERT INTO t VALUES (1) RETURNING a) SELECT * FROM x").contains("WITH"));
}

/// Text, the token that PostgreSQL names (none at the end of the text) and its place.
pub(super) const SYNTAX_ERRORS: &[(&str, &str, usize)] = &[
    ("SELEC 1", "SELEC", 1),
    ("SELECT * FORM t", "FORM", 10),
    ("SELECT 1 +", "", 11),
    ("SELECT 'é', a b c", "c", 17),
    ("SELECT a, FROM t", "FROM", 11),
    ("SELECT * FROM", "", 14),
    ("SELECT * FROM t WHERE", "", 22),
    ("SELECT * FROM (SELECT 1", "", 24),
    ("SELECT cast(1 as )", ")", 18),
    ("SELECT CASE WHEN 1 THEN 2", "", 26),
    ("SELECT * FROM t GROUP 1", "1", 23),
    ("SELECT * FROM t ORDER a", "a", 23),
    ("SELECT 1 'a'", "'a'", 10),
    ("SELECT a TO b", "TO", 10),
    ("SELECT * FROM a JOIN b", "", 23),
    ("SELECT * FROM a, WHERE b", "WHERE", 18),
    ("123", "123", 1),
    ("\"create\" server x", "\"create\"", 1),
    ("CREATE SERVER s FOREIGN DATA x", "x", 30),
    ("CREATE FOREIGN x", "x", 16),
    ("DROP SERVER", "", 12),
    ("DROP SERVER a b", "b", 15),
    ("INSERT INTO t VALUES (1", "", 24),
    ("INSERT INTO t VALEUS (1)", "VALEUS", 15),
    ("SELECT * FROM select", "select", 15),
    ("GRANT SELECT ON t", "", 18),
    ("GRANT SELECT (a) INSERT ON t TO b", "INSERT", 18),
    ("CREATE USER MAPPING FOR a SERVER s OPTIONS (a)", ")", 46),
    ("ALTER SERVER s OPTIONS (ADD)", ")", 28),
    ("IMPORT FOREIGN SCHEMA a LIMIT (b) FROM SERVER s INTO c", "(", 31),
    ("DECLARE c NO CURSOR FOR SELECT 1", "CURSOR", 14),
    ("SET x 1", "1", 7),
    ("BEGIN ISOLATION LEVEL foo", "foo", 23),
    ("COPY t TO", "", 10),
];

#[test]
fn syntax_errors_name_the_token_and_its_place() {
    let in_several =
        [("SELECT 1 + ;", ";", 12), ("SELECT 1; SELECT )", ")", 18), ("SELECT 1;\nSELECT 'é' +;", ";", 23)];
    for (sql, near, position) in SYNTAX_ERRORS.iter().copied().chain(in_several) {
        let message = if near.is_empty() {
            "syntax error at end of input".to_owned()
        } else {
            format!("syntax error at or near \"{near}\"")
        };
        assert_eq!(syntax(sql), (message, position), "{sql}");
    }
    assert_eq!(syntax("SELECT * FROM (SELECT 1)"), ("subquery in FROM must have an alias".into(), 15));
}

#[test]
fn what_is_not_built_says_so_and_lets_the_rest_run() {
    assert_eq!(unsupported("INSERT INTO a.b VALUES (1)"), "cannot insert into relation \"a.b\"");
    assert_eq!(unsupported("UPDATE t SET a = 1 WHERE b"), "cannot update relation \"t\"");
    assert_eq!(unsupported("DELETE FROM t"), "cannot delete from relation \"t\"");
    assert_eq!(unsupported("TRUNCATE TABLE t"), "cannot truncate relation \"t\"");
    assert_eq!(unsupported("CREATE TABLE t (a int)"), "local tables are not supported");
    assert_eq!(unsupported("CREATE MATERIALIZED VIEW v AS SELECT 1"), "CREATE MATERIALIZED VIEW is not supported");
    assert_eq!(
        unsupported("CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS $$ select 1; $$"),
        "CREATE OR REPLACE FUNCTION is not supported"
    );
    assert_eq!(unsupported("DO $$ begin end $$"), "DO is not supported");
    assert_eq!(unsupported("CALL p()"), "CALL is not supported");
    assert_eq!(unsupported("REFRESH MATERIALIZED VIEW v"), "REFRESH MATERIALIZED VIEW is not supported");
    assert_eq!(unsupported("NOTIFY a, 'b'"), "NOTIFY is not supported");
    assert_eq!(parse("SELECT 1; TRUNCATE t; SELECT 2").unwrap().len(), 3);
    assert_eq!(syntax("INSERT INTO t VALEUS (1)"), ("syntax error at or near \"VALEUS\"".into(), 15));
}

#[test]
fn maintenance() {
    let read = |sql: &str| match one(sql) {
        Statement::Maintenance(Maintenance { kind, relations }) => {
            (kind, relations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        read("LOCK TABLE ONLY a, s.b * IN SHARE ROW EXCLUSIVE MODE NOWAIT"),
        (MaintenanceKind::Lock, "a s.b".into())
    );
    assert_eq!(
        read("VACUUM (ANALYZE, VERBOSE false, PARALLEL 2) t (a, b), u"),
        (MaintenanceKind::Vacuum, "t u".into())
    );
    assert_eq!(read("VACUUM FULL FREEZE VERBOSE ANALYZE"), (MaintenanceKind::Vacuum, String::new()));
    assert_eq!(read("ANALYZE VERBOSE t"), (MaintenanceKind::Analyze, "t".into()));
    assert_eq!(syntax("VACUUM (nosuch)"), ("unrecognized VACUUM option \"nosuch\"".into(), 9));
    assert_eq!(syntax("LOCK t IN NO MODE"), ("syntax error at or near \"NO\"".into(), 11));
}

mod depth {
    use super::*;

    fn sqlstate(sql: &str) -> String {
        match parse(sql) {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.sqlstate.as_str().to_owned(),
        }
    }

    #[test]
    fn nesting_is_bounded() {
        for (open, close) in [
            ("(", ")"),
            ("f(", ")"),
            ("(SELECT ", ")"),
            ("NOT ", ""),
            ("- ", ""),
            ("ARRAY[", "]"),
            ("CASE WHEN ", " THEN 1 END"),
            ("CAST(", " AS int)"),
            ("a[", "]"),
        ] {
            for times in [400, 30_000] {
                let sql = format!("SELECT {}1{}", open.repeat(times), close.repeat(times));
                assert_eq!(sqlstate(&sql), "54001", "{open} {times}");
                let unclosed = format!("SELECT {}", open.repeat(times));
                assert_eq!(sqlstate(&unclosed), "54001", "{open} {times}");
            }
            let sql = format!("SELECT {}1{}", open.repeat(20), close.repeat(20));
            assert_eq!(sqlstate(&sql), "ok", "{open}");
        }
        assert_eq!(sqlstate(&"(".repeat(100_000)), "54001");
        assert_eq!(sqlstate(&format!("SELECT * FROM {}", "(".repeat(100_000))), "54001");
        assert_eq!(sqlstate(&format!("SELECT 1::int{}", "[]".repeat(100_000))), "54001");
    }

    #[test]
    fn long_chains_are_balanced_or_refused() {
        let long = format!("SELECT * FROM t WHERE a = 0{}", " OR a = 1".repeat(5_000));
        let parsed = parse(&long).unwrap();
        let copy = parsed.clone();
        assert_eq!(parsed, copy);
        assert_eq!(sqlstate(&format!("SELECT 1{}", " + 1".repeat(150))), "ok");
        let unions = format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3000));
        assert_eq!(parse(&unions).unwrap(), parse(&unions).unwrap());
        for link in [" + 1", " || 'a'", "::int", " IS NULL", " EXCEPT SELECT 1", " AT TIME ZONE 'x'", " -> 'a'"] {
            assert_eq!(sqlstate(&format!("SELECT a{}", link.repeat(5_000))), "54001", "{link}");
            assert_eq!(sqlstate(&format!("SELECT a{}", link.repeat(110_000))), "54001", "{link}");
            // The error comes at the end, when the tree is already there.
            assert_ne!(sqlstate(&format!("SELECT a{} )", link.repeat(5_000))), "ok", "{link}");
        }
    }

    #[test]
    fn wide_lists_are_no_depth() {
        let list = "1, ".repeat(100_000);
        assert_eq!(sqlstate(&format!("SELECT a IN ({list}1)")), "ok");
        let columns = "\"a b\" int OPTIONS (x 'y'), ".repeat(1600);
        assert_eq!(sqlstate(&format!("CREATE FOREIGN TABLE t ({columns} z int) SERVER s")), "ok");
    }

    /// What leaves the parser is cloned, compared, printed and dropped on the stacks of runtime threads.
    #[test]
    fn the_deepest_tree_stands_a_runtime_threads_stack() {
        for (open, close) in [
            ("(1 + ", ")"),
            ("1 + ", ""),
            ("", " + 1"),
            ("f(", ")"),
            ("(SELECT ", ")"),
            ("EXISTS (SELECT ", ")"),
            ("* FROM (SELECT ", ") x"),
            ("", " UNION SELECT 1"),
            ("", " EXCEPT SELECT 1"),
            ("CASE WHEN ", " THEN 1 END"),
            ("ARRAY[", "]"),
        ] {
            let sql = |depth: usize| format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
            let depths: Vec<usize> = (1..400).collect();
            let deepest = depths.partition_point(|depth| parse(&sql(*depth)).is_ok());
            assert!(deepest >= 20, "{open} {close}: {deepest}");
            let deepest = sql(deepest);
            let work = move || {
                let parsed = parse(&deepest).unwrap();
                let copy = parsed.clone();
                assert!(parsed == copy);
                assert_eq!(format!("{parsed:?}"), format!("{copy:?}"));
                if let Statement::Query(query) = &copy[0].statement {
                    assert!(!query.to_string().is_empty());
                }
            };
            std::thread::Builder::new().stack_size(2 * 1024 * 1024).spawn(work).unwrap().join().unwrap();
        }
    }

    #[test]
    fn backtracking_has_an_end() {
        for open in [
            "f(",
            "CAST(",
            "extract(x from ",
            "substring(",
            "trim(",
            "interval(",
            "exists(",
            "position(",
            "ceil(",
            "overlay(",
            "convert(",
            "(",
            "a.b(",
            "point(",
            "array(",
            "row(",
        ] {
            let sql = format!("SELECT {} $", open.repeat(45));
            let begin = std::time::Instant::now();
            assert_ne!(sqlstate(&sql), "ok");
            assert!(begin.elapsed().as_secs() < 5, "{open} took {:?}", begin.elapsed());
        }
    }

    #[test]
    fn huge_texts_are_refused() {
        assert_eq!(sqlstate(&",".repeat(2_000_000)), "54001");
        assert_eq!(sqlstate(&" ".repeat(65 * 1024 * 1024)), "54001");
    }
}
