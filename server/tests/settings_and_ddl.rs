//! What outlives a statement: stored settings, DDL that meets other DDL, the salts of roles that do not exist.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod raw;
mod support;

use raw::Target;
use support::{PASSWORD, TestServer, code, simple_value};

#[tokio::test]
async fn stored_settings_are_checked_and_applied_at_the_next_connection() {
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client.batch_execute("CREATE ROLE ann LOGIN PASSWORD 'ann'; CREATE ROLE bob LOGIN PASSWORD 'bob'").await.unwrap();
    for (statement, expected) in [
        ("ALTER ROLE ann SET nosuch = 1", "42704"),
        ("ALTER ROLE ann RESET nosuch", "42704"),
        ("ALTER ROLE ann SET statement_timeout = 'soon'", "22023"),
        ("ALTER ROLE ann SET server_version = '9'", "55P02"),
        ("ALTER ROLE nobody SET nosuch = 1", "42704"),
        ("ALTER DATABASE atoll SET extra_float_digits = 99", "22023"),
        ("ALTER DATABASE atoll SET nosuch = 1", "42704"),
        ("ALTER DATABASE elsewhere SET statement_timeout = 1", "3D000"),
    ] {
        assert_eq!(code(&client.batch_execute(statement).await.unwrap_err()), expected, "{statement}");
    }
    let error = client.batch_execute("ALTER ROLE nobody SET nosuch = 1").await.unwrap_err();
    assert_eq!(error.as_db_error().unwrap().message(), "role \"nobody\" does not exist");
    for statement in [
        "ALTER DATABASE atoll SET statement_timeout = '90s'",
        "ALTER DATABASE atoll SET timezone = 'europe/berlin'",
        "ALTER DATABASE atoll SET search_path = \"A b\", public",
        "ALTER ROLE ann SET statement_timeout = '2min'",
        "ALTER ROLE ann SET my.own = 'x'",
    ] {
        client.batch_execute(statement).await.unwrap();
    }
    assert_eq!(simple_value(&client, "SHOW statement_timeout").await, "0", "it is for later sessions");
    let ann = server.connect_as("ann", "ann", "atoll").await.unwrap();
    assert_eq!(simple_value(&ann, "SHOW statement_timeout").await, "2min");
    assert_eq!(simple_value(&ann, "SHOW my.own").await, "x");
    assert_eq!(simple_value(&ann, "SHOW timezone").await, "Europe/Berlin");
    assert_eq!(simple_value(&ann, "SHOW search_path").await, "\"A b\", public");
    ann.batch_execute("SET statement_timeout = 5; RESET statement_timeout").await.unwrap();
    assert_eq!(simple_value(&ann, "SHOW statement_timeout").await, "2min");
    let denied = ann.batch_execute("ALTER DATABASE atoll SET timezone = 'UTC'").await.unwrap_err();
    assert_eq!(denied.as_db_error().unwrap().message(), "must be owner of database atoll");
    let bob = server.connect_as("bob", "bob", "atoll").await.unwrap();
    assert_eq!(simple_value(&bob, "SHOW statement_timeout").await, "90s");
    let stored = "SELECT setdatabase::text || ' ' || setrole::text || ' ' || array_to_string(setconfig, ';') \
                  FROM pg_db_role_setting WHERE setrole = 0";
    assert_eq!(
        simple_value(&client, stored).await,
        "5 0 statement_timeout=90s;TimeZone=europe/berlin;search_path=\"A b\", public"
    );
    client.batch_execute("ALTER DATABASE atoll RESET ALL; ALTER ROLE ann RESET statement_timeout").await.unwrap();
    let ann = server.connect_as("ann", "ann", "atoll").await.unwrap();
    assert_eq!(simple_value(&ann, "SHOW statement_timeout").await, "0");
}

/// Statements that all touch one object, from several sessions at once.
#[tokio::test]
async fn ddl_outside_a_block_gives_way_and_comes_back() {
    const SESSIONS: usize = 6;
    const STATEMENTS: usize = 15;
    let server = TestServer::start(&[]).await;
    let client = server.connect().await;
    client.batch_execute("CREATE SCHEMA busy").await.unwrap();
    let mut running = Vec::new();
    for session in 0..SESSIONS {
        let client = server.connect().await;
        running.push(tokio::spawn(async move {
            for round in 0..STATEMENTS {
                let role = format!("role_{session}_{round}");
                client.batch_execute(&format!("CREATE ROLE {role}")).await.unwrap();
                // The schema's list of grants is one object: each of these conflicts with the others.
                client.batch_execute(&format!("GRANT USAGE ON SCHEMA busy TO {role}")).await.unwrap();
            }
        }));
    }
    for session in running {
        session.await.unwrap();
    }
    let granted = "SELECT cardinality(nspacl)::text FROM pg_namespace WHERE nspname = 'busy'";
    // The owner's own entry stands beside them.
    assert_eq!(simple_value(&client, granted).await, (SESSIONS * STATEMENTS + 1).to_string());
}

#[tokio::test]
async fn ddl_in_a_block_that_met_other_ddl_fails_and_is_not_repeated() {
    let server = TestServer::start(&[]).await;
    let (one, other) = (server.connect().await, server.connect().await);
    one.batch_execute("CREATE SCHEMA busy; CREATE ROLE a; CREATE ROLE b").await.unwrap();
    one.batch_execute("BEGIN; GRANT USAGE ON SCHEMA busy TO a").await.unwrap();
    other.batch_execute("GRANT USAGE ON SCHEMA busy TO b").await.unwrap();
    assert_eq!(code(&one.batch_execute("COMMIT").await.unwrap_err()), "40001");
    // As in PostgreSQL, a COMMIT that failed has ended the block.
    assert_eq!(simple_value(&one, "SELECT 1").await, "1");
    one.batch_execute("BEGIN; GRANT USAGE ON SCHEMA busy TO a").await.unwrap();
    other.batch_execute("REVOKE USAGE ON SCHEMA busy FROM b; GRANT USAGE ON SCHEMA busy TO b").await.unwrap();
    one.batch_execute("ROLLBACK").await.unwrap();
    let granted = "SELECT cardinality(nspacl)::text FROM pg_namespace WHERE nspname = 'busy'";
    assert_eq!(simple_value(&one, granted).await, "2");
    // What cannot be applied any more is the error that it would be now.
    let creating = (0..8).map(|_| async {
        let client = server.connect().await;
        client.batch_execute("CREATE ROLE only_once").await.err().map(|error| code(&error))
    });
    let mut outcomes = futures::future::join_all(creating).await;
    outcomes.sort();
    assert_eq!(outcomes[0], None);
    assert!(outcomes[1..].iter().all(|outcome| outcome.as_deref() == Some("42710")), "{outcomes:?}");
}

#[tokio::test]
async fn nobody_learns_by_its_salt_whether_a_role_exists() {
    let mut target = Target::start().await;
    let client = target.server.connect().await;
    client.batch_execute("CREATE ROLE real LOGIN PASSWORD 'x'; CREATE ROLE bare LOGIN").await.unwrap();
    let mut before = Vec::new();
    for user in ["real", "bare", "nobody", "no\u{e4}body"] {
        let (salt, iterations) = raw::salt_of(&target, user).await;
        assert_eq!((salt.len(), iterations.as_str()), (24, "4096"), "{user}");
        assert_eq!(raw::salt_of(&target, user).await.0, salt, "{user}: the same at each question");
        before.push((user, salt));
    }
    assert!(before.windows(2).all(|pair| pair[0].1 != pair[1].1));
    target.server.terminate().await;
    let directory = std::mem::replace(&mut target.server.directory, tempfile::tempdir().unwrap());
    let target = Target { server: TestServer::start_in(directory, &[]).await };
    for (user, salt) in before {
        assert_eq!(raw::salt_of(&target, user).await.0, salt, "{user}: the same after a restart");
    }
    // The superuser's password is that of the first start.
    target.server.connect_as("atoll", PASSWORD, "atoll").await.unwrap();
}

#[tokio::test]
async fn settings_are_printed_and_refused_without_their_secrets() {
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_atoll"));
        command.arg("serve").args(arguments).envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (done, printed, _) = run(
        &["--print-config", "--startup-timeout", "5s", "--tls-required", "false", "--portals-max", "7"],
        &[
            ("ATOLL_CATALOG_URL", "postgres://u:canary@h/d"),
            ("ATOLL_PASSWORD", "canary"),
            ("ATOLL_MESSAGE_BYTES_MAX", "1MB"),
        ],
    );
    assert!(done);
    for line in [
        "startup_timeout = \"5s\"",
        "tls_required = false",
        "portals_max = 7",
        "message_bytes_max = \"1MB\"",
        "catalog_url = \"postgres://u:***@h/d\"",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} is missing:\n{printed}");
    }
    assert!(!printed.contains("canary"));
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data").display().to_string();
    for (url, told) in [
        ("postgres://u:canary@127.0.0.1:1/d", "could not connect to the catalog database"),
        ("postgres://u:canary@127.0.0.1:1/d?sslmode=allow", "sslmode=allow is not supported"),
        ("postgres://u:canary@127.0.0.1:1/d?passwrod=canary", "it has an unknown parameter"),
        ("postgres://u:can#ary@127.0.0.1:1/d?password=canary", "the catalog's URL is not valid"),
    ] {
        let (done, printed, told_instead) =
            run(&["--data-dir", &data, "--log", "trace", "--listen", "127.0.0.1:0"], &[("ATOLL_CATALOG_URL", url)]);
        assert!(!done && told_instead.contains(told), "{told_instead}");
        assert!(!printed.contains("canary") && !told_instead.contains("canary"), "{told_instead}");
    }
}
