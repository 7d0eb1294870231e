//! Property tests: what is generated is read back as it was meant, and what is garbage is refused in order.

use proptest::prelude::*;

use super::ast::*;
use super::parse;

fn identifier() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_$]{0,12}",
        "[A-Za-z0-9 '\"\\\\;.$é😀\n-]{1,15}",
        Just("select".to_owned()),
        Just("options".to_owned()),
        Just("add".to_owned()),
        "\\PC{1,12}",
    ]
    .prop_filter("names hold no NUL", |name| !name.contains('\0'))
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[a-z'\\\\\n\t\"$]{0,20}", "\\PC{0,12}"]
        .prop_filter("no NUL", |text| !text.contains('\0'))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// One of the ways to write a string.
fn literal(text: &str, style: u8) -> String {
    match style % 4 {
        0 => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n")),
        1 if !text.contains("$q$") && !text.ends_with("$q") => format!("$q${text}$q$"),
        2 => {
            let escaped: String = text
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\+{:06X}", u32::from(c)) })
                .collect();
            format!("U&'{escaped}'")
        }
        _ => format!("'{}'", text.replace('\'', "''")),
    }
}

fn truncated(name: &str) -> String {
    let mut name = name.to_owned();
    super::lexer::truncate_identifier(&mut name);
    name
}

type GeneratedOptions = Vec<(String, String, u8)>;

fn options() -> impl Strategy<Value = GeneratedOptions> {
    prop::collection::vec((identifier(), value(), any::<u8>()), 1..5)
}

fn options_text(options: &GeneratedOptions) -> String {
    let options: Vec<String> =
        options.iter().map(|(name, value, style)| format!("{} {}", quoted(name), literal(value, *style))).collect();
    format!("OPTIONS ({})", options.join(", "))
}

fn read_options(options: &[OptionClause]) -> Vec<(String, String)> {
    options.iter().map(|option| (option.name.clone(), option.value.0.clone())).collect()
}

fn meant_options(options: &GeneratedOptions) -> Vec<(String, String)> {
    options.iter().map(|(name, value, _)| (truncated(name), value.clone())).collect()
}

/// Each option's position must be where its name stands.
fn check_positions(sql: &str, options: &[OptionClause]) {
    for option in options {
        assert_eq!(sql.chars().nth(option.position - 1), Some('"'), "{sql}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn create_server_reads_what_was_written(name in identifier(), wrapper in identifier(), options in options()) {
        let sql = format!(
            "/* é */ CREATE SERVER {} FOREIGN DATA WRAPPER {} {}",
            quoted(&name), quoted(&wrapper), options_text(&options)
        );
        let parsed = parse(&sql).unwrap();
        prop_assert_eq!(parsed.len(), 1);
        let Statement::CreateServer(server) = &parsed[0].statement else { panic!("{sql}") };
        prop_assert_eq!(&server.name, &truncated(&name));
        prop_assert_eq!(&server.wrapper, &truncated(&wrapper));
        prop_assert_eq!(read_options(&server.options), meant_options(&options));
        check_positions(&sql, &server.options);
        prop_assert_eq!(parsed[0].offset, 8);
    }

    #[test]
    fn create_foreign_table_reads_what_was_written(
        names in prop::collection::vec(identifier(), 1..4),
        columns in prop::collection::vec((identifier(), 0_usize..6, any::<bool>(), prop::option::of(options())), 1..6),
        options in options(),
    ) {
        const TYPES: [&str; 6] =
            ["int4", "varchar(10)", "numeric(10, 2)", "timestamp(3) with time zone", "text[]", "double precision"];
        let name: Vec<String> = names.iter().map(|name| quoted(name)).collect();
        let columns_text: Vec<String> = columns
            .iter()
            .map(|(name, kind, not_null, options)| format!(
                "{} {} {} {}",
                quoted(name),
                TYPES[*kind],
                options.as_ref().map(options_text).unwrap_or_default(),
                if *not_null { "NOT NULL" } else { "" },
            ))
            .collect();
        let sql = format!(
            "CREATE FOREIGN TABLE {} ({}) SERVER s {}",
            name.join("."), columns_text.join(", "), options_text(&options)
        );
        let parsed = parse(&sql).unwrap();
        let Statement::CreateForeignTable(table) = &parsed[0].statement else { panic!("{sql}") };
        prop_assert_eq!(&table.name.parts, &names.iter().map(|name| truncated(name)).collect::<Vec<_>>());
        prop_assert_eq!(read_options(&table.options), meant_options(&options));
        let read = table.columns.as_ref().unwrap();
        prop_assert_eq!(read.len(), columns.len());
        for (read, (name, kind, not_null, options)) in read.iter().zip(&columns) {
            prop_assert_eq!(&read.name, &truncated(name));
            prop_assert_eq!(read.not_null, *not_null);
            let place: String = sql.chars().skip(read.type_position - 1).take(TYPES[*kind].len()).collect();
            prop_assert_eq!(place.as_str(), TYPES[*kind]);
            let meant = options.as_ref().map(meant_options).unwrap_or_default();
            prop_assert_eq!(read_options(&read.options), meant);
        }
    }

    #[test]
    fn alter_options_reads_what_was_written(actions in prop::collection::vec((0_u8..4, identifier(), value(), any::<u8>()), 1..6)) {
        let text: Vec<String> = actions
            .iter()
            .map(|(kind, name, value, style)| match kind {
                0 => format!("ADD {} {}", quoted(name), literal(value, *style)),
                1 => format!("SET {} {}", quoted(name), literal(value, *style)),
                2 => format!("DROP {}", quoted(name)),
                _ => format!("{} {}", quoted(name), literal(value, *style)),
            })
            .collect();
        let sql = format!("ALTER USER MAPPING FOR PUBLIC SERVER s OPTIONS ({})", text.join(","));
        let parsed = parse(&sql).unwrap();
        let Statement::AlterUserMapping(mapping) = &parsed[0].statement else { panic!("{sql}") };
        prop_assert_eq!(mapping.options.len(), actions.len());
        for (read, (kind, name, value, _)) in mapping.options.iter().zip(&actions) {
            let (read_kind, read_name, read_value) = match read {
                OptionAction::Add(option) => (0, &option.name, Some(&option.value.0)),
                OptionAction::Set(option) => (1, &option.name, Some(&option.value.0)),
                OptionAction::Drop { name, .. } => (2, name, None),
            };
            prop_assert_eq!(read_kind, kind % 3);
            prop_assert_eq!(read_name, &truncated(name));
            prop_assert!(read_value.is_none_or(|read| read == value));
        }
        // A mapping's options are secrets.
        let shown = format!("{:?}", parsed[0].statement);
        for (_, name, value, _) in actions.iter().filter(|(kind, ..)| *kind != 2) {
            prop_assert!(value.len() < 6 || name.contains(value.as_str()) || !shown.contains(value.as_str()));
        }
    }

    #[test]
    fn names_fold_unless_quoted(name in "[A-Za-z_][A-Za-z0-9_]{0,20}x") {
        let parsed = parse(&format!("CREATE SCHEMA {name}_; CREATE SCHEMA \"{name}\"")).unwrap();
        let schema = |index: usize| match &parsed[index].statement {
            Statement::CreateSchema(schema) => schema.name.clone().unwrap(),
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(schema(0), format!("{}_", name.to_ascii_lowercase()));
        prop_assert_eq!(schema(1), name);
    }

    #[test]
    fn token_soup_is_refused_in_order(words in prop::collection::vec(prop::sample::select(SOUP), 0..40)) {
        check_refusal(&words.join(" "));
    }

    #[test]
    fn damaged_statements_are_refused_in_order(
        statement in prop::sample::select(STATEMENTS), at in any::<prop::sample::Index>(),
        what in 0_u8..4, word in prop::sample::select(SOUP),
    ) {
        let mut words: Vec<&str> = statement.split(' ').collect();
        let index = at.index(words.len());
        match what {
            0 => { words.remove(index); }
            1 => words.insert(index, word),
            2 => words[index] = word,
            _ => words.truncate(index),
        }
        check_refusal(&words.join(" "));
    }

    #[test]
    fn random_text_is_refused_in_order(text in "\\PC{0,60}") {
        check_refusal(&text);
    }
}

/// Parses, or fails with a code of the parser's and a position within the text.
fn check_refusal(sql: &str) {
    let chars = sql.chars().count();
    match parse(sql) {
        Ok(parsed) => {
            for statement in parsed {
                let text: String = sql.chars().skip(statement.offset).take(statement.text.chars().count()).collect();
                assert_eq!(text, statement.text, "{sql}");
            }
        }
        Err(error) => {
            let code = error.sqlstate.as_str();
            assert!(
                matches!(code, "42601" | "22023" | "22021" | "42939" | "42P11" | "54001" | "42602" | "42P02"),
                "{sql}: {error}"
            );
            if let Some(position) = error.position {
                assert!((1..=chars + 1).contains(&position), "{sql}: {error} at {position}");
            }
            assert!(error.position.is_some() || code != "42601" || !error.message.starts_with("syntax"), "{sql}");
        }
    }
}

const SOUP: &[&str] = &[
    "SELECT",
    "FROM",
    "WHERE",
    "(",
    ")",
    ",",
    ";",
    ".",
    "::",
    "[",
    "]",
    "*",
    "+",
    "=",
    "'a'",
    "E'\\''",
    "\"b\"",
    "$1",
    "$$x$$",
    "1",
    "2.5",
    "a",
    "b",
    "AS",
    "JOIN",
    "ON",
    "LEFT",
    "UNION",
    "ALL",
    "CASE",
    "WHEN",
    "THEN",
    "END",
    "CAST",
    "int",
    "CREATE",
    "ALTER",
    "DROP",
    "SERVER",
    "FOREIGN",
    "DATA",
    "WRAPPER",
    "TABLE",
    "USER",
    "MAPPING",
    "FOR",
    "OPTIONS",
    "ADD",
    "SET",
    "IF",
    "NOT",
    "EXISTS",
    "IMPORT",
    "SCHEMA",
    "LIMIT",
    "TO",
    "EXCEPT",
    "INTO",
    "VIEW",
    "OR",
    "REPLACE",
    "ROLE",
    "GRANT",
    "REVOKE",
    "USAGE",
    "PUBLIC",
    "CURRENT_USER",
    "COMMENT",
    "IS",
    "NULL",
    "COPY",
    "STDOUT",
    "WITH",
    "CSV",
    "EXPLAIN",
    "ANALYZE",
    "PREPARE",
    "EXECUTE",
    "DECLARE",
    "CURSOR",
    "FETCH",
    "BEGIN",
    "ROLLBACK",
    "SHOW",
    "TIME",
    "ZONE",
    "INTERVAL",
    "ARRAY",
    "ROW",
    "IN",
    "BETWEEN",
    "LIKE",
    "COLLATE",
    "OVER",
    "VALUES",
    "BY",
    "GROUP",
    "ORDER",
    "LATERAL",
    "é",
    "--x\n",
    "/*",
    "*/",
    "'",
    "\"",
    "{",
    "?",
    "@>",
    "->",
    ":=",
    "=>",
];

const STATEMENTS: &[&str] = &[
    "CREATE FOREIGN DATA WRAPPER w HANDLER h NO VALIDATOR OPTIONS ( a 'x' , b 'y' )",
    "CREATE SERVER IF NOT EXISTS s TYPE 't' VERSION '1' FOREIGN DATA WRAPPER w OPTIONS ( a 'x' )",
    "ALTER SERVER s VERSION '2' OPTIONS ( ADD a 'x' , SET b 'y' , DROP c )",
    "CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS ( user 'u' , password 'p' )",
    "CREATE FOREIGN TABLE s . t ( a int NOT NULL , b numeric ( 10 , 2 ) OPTIONS ( c 'd' ) ) SERVER s OPTIONS ( e 'f' )",
    "ALTER FOREIGN TABLE IF EXISTS t ADD COLUMN a int , DROP COLUMN b CASCADE , ALTER c TYPE text",
    "IMPORT FOREIGN SCHEMA a LIMIT TO ( b , c ) FROM SERVER s INTO d OPTIONS ( e 'f' )",
    "CREATE OR REPLACE VIEW v ( a , b ) AS SELECT a , b FROM t WHERE a = 1",
    "CREATE ROLE r WITH LOGIN PASSWORD 'x' CONNECTION LIMIT 3 IN ROLE a , b",
    "GRANT SELECT ( a , b ) , INSERT ON TABLE s . t , u TO r , PUBLIC WITH GRANT OPTION",
    "REVOKE GRANT OPTION FOR USAGE ON FOREIGN SERVER a , b FROM c CASCADE",
    "COMMENT ON FOREIGN TABLE t IS 'x'",
    "DROP FOREIGN TABLE IF EXISTS a . b , c RESTRICT",
    "COPY ( SELECT 1 ) TO STDOUT WITH ( FORMAT csv , HEADER true , DELIMITER ';' )",
    "EXPLAIN ( ANALYZE , FORMAT JSON ) SELECT a FROM t",
    "DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT 1",
    "FETCH BACKWARD 10 FROM c",
    "PREPARE p ( int , text ) AS SELECT $1 , $2",
    "BEGIN ISOLATION LEVEL REPEATABLE READ , READ ONLY",
    "SET LOCAL search_path TO a , 'b'",
    "SELECT a , count ( * ) FILTER ( WHERE b ) AS n FROM t JOIN u USING ( id ) WHERE c IN ( 1 , 2 ) GROUP BY a ORDER BY n DESC LIMIT 3",
    "WITH x AS ( SELECT 1 AS a ) SELECT CASE WHEN a > 1 THEN 'b' ELSE cast ( a AS text ) END FROM x UNION ALL SELECT 'c'",
    "SELECT * FROM a LEFT JOIN LATERAL ( SELECT b FROM c WHERE c . d = a . d ) e ON true WHERE NOT EXISTS ( SELECT 1 )",
];

/// A generator that needs no seed to be repeatable.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// What PostgreSQL's parser says: message and position of a 42601. Only Parse is sent, so nothing is run.
async fn theirs(client: &tokio_postgres::Client, sql: &str) -> Option<(String, usize)> {
    let error = client.prepare(sql).await.err()?;
    let error = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}"));
    let position = match error.position() {
        Some(tokio_postgres::error::ErrorPosition::Original(position)) => usize::try_from(*position).unwrap(),
        _ => 0,
    };
    (error.code().code() == "42601").then(|| (error.message().to_owned(), position))
}

fn ours(sql: &str) -> Option<(String, usize)> {
    let error = parse(sql).err().filter(|error| error.sqlstate.as_str() == "42601")?;
    Some((error.message, error.position.unwrap_or(0)))
}

/// Against PostgreSQL itself: the pinned errors are its own, and damaged statements fail alike.
#[tokio::test]
async fn syntax_errors_agree_with_postgresql() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        println!("SKIPPED syntax_errors_agree_with_postgresql: ATOLL_TEST_POSTGRES_URL is not set");
        return;
    };
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    for (sql, ..) in super::tests::SYNTAX_ERRORS {
        assert_eq!(ours(sql), theirs(&client, sql).await, "{sql}");
    }
    let mut random = Random(7);
    let (mut asked, mut agreed) = (0_u32, 0_u32);
    while asked < 1000 {
        let mut words: Vec<&str> = STATEMENTS[random.below(STATEMENTS.len())].split(' ').collect();
        let index = random.below(words.len());
        let word = SOUP[random.below(SOUP.len())];
        match random.below(4) {
            0 => drop(words.remove(index)),
            1 => words.insert(index, word),
            2 => words[index] = word,
            _ => words.truncate(index),
        }
        let sql = words.join(" ");
        if !sql.contains(';') {
            asked += 1;
            agreed += u32::from(ours(&sql) == theirs(&client, &sql).await);
        }
    }
    // What is left are options that PostgreSQL checks only when it runs a statement, and sqlparser's laxness in queries.
    assert!(agreed * 100 >= asked * 95, "{agreed} of {asked} agree");
    drop(client);
    connection.await.unwrap().unwrap();
}
