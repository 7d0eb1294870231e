//! The same transcripts on a real PostgreSQL.

use futures::StreamExt as _;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage, error::DbError};

use super::POSTGRES_TRANSCRIPTS;
use super::harness::compare;

/// Roles are the cluster's: what transcripts make, and leave when they fail.
const CLEAN_UP: &str = "do $$ declare r text; begin
    for r in select rolname from pg_roles where rolname like 'tr\\_%' loop
        execute format('drop owned by %I cascade', r);
        execute format('drop role %I', r);
    end loop;
end $$";

struct Server {
    client: Client,
    notices: futures::channel::mpsc::UnboundedReceiver<DbError>,
    superuser: String,
}

async fn connect(url: &str, database: Option<&str>) -> Server {
    let mut config: tokio_postgres::Config = url.parse().unwrap();
    if let Some(database) = database {
        config.dbname(database);
    }
    let (client, mut connection) = config.connect(NoTls).await.unwrap();
    let (sender, notices) = futures::channel::mpsc::unbounded();
    tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notice(notice) = message {
                let _ = sender.unbounded_send(notice);
            }
        }
    });
    let row = client.query_one("select current_user::text", &[]).await.unwrap();
    Server { superuser: row.get(0), client, notices }
}

fn text(severity: &str, error: &DbError) -> String {
    let mut text = format!("{severity} {}: {}\n", error.code().code(), error.message());
    for (label, part) in [("DETAIL", error.detail()), ("HINT", error.hint())] {
        if let Some(part) = part {
            text.push_str(&format!("{label}: {part}\n"));
        }
    }
    if let Some(tokio_postgres::error::ErrorPosition::Original(position)) = error.position() {
        text.push_str(&format!("POSITION: {position}\n"));
    }
    text
}

impl Server {
    async fn run(&mut self, sql: &str) -> String {
        if let Some(object) = sql.strip_prefix("acl of ") {
            return self.acl(object).await;
        }
        let result = self.client.simple_query(sql).await;
        // Notices come before the answer, on the same connection.
        let mut answer = String::new();
        while let Ok(notice) = self.notices.try_recv() {
            answer.push_str(&text(notice.severity(), &notice));
        }
        match result {
            Ok(messages) => {
                let done = messages.iter().any(|message| matches!(message, SimpleQueryMessage::CommandComplete(_)));
                assert!(done, "{sql}");
                answer.push_str(&tag(sql));
                answer.push('\n');
            }
            Err(error) => answer.push_str(&text("ERROR", error.as_db_error().unwrap())),
        }
        let answer = answer.replace(&format!("role {}", self.superuser), "role atoll");
        answer.replace(&format!("\"{}\"", self.superuser), "\"atoll\"")
    }

    async fn acl(&self, what: &str) -> String {
        let (kind, name) = what.split_once(' ').unwrap();
        let sql = match kind {
            "table" => {
                "select coalesce(relacl::text, '-') || coalesce((select string_agg(e'\n' || attname || ': ' || attacl::text, '' \
                 order by attnum) from pg_attribute where attrelid = c.oid and attacl is not null), '') \
                 from pg_class c where relname = $1"
            }
            "schema" => "select coalesce(nspacl::text, '-') from pg_namespace where nspname = $1",
            "server" => "select coalesce(srvacl::text, '-') from pg_foreign_server where srvname = $1",
            _ => "select coalesce(fdwacl::text, '-') from pg_foreign_data_wrapper where fdwname = $1",
        };
        let row = self.client.query_one(sql, &[&name]).await.unwrap();
        let text: String = row.get(0);
        format!("{}\n", text.replace(&self.superuser, "atoll"))
    }
}

/// The tag, which tokio-postgres does not show, as the documentation of the protocol has it: the statement's words.
fn tag(sql: &str) -> String {
    let upper = sql.to_uppercase();
    const TAGS: &[&str] = &[
        "CREATE FOREIGN DATA WRAPPER",
        "ALTER FOREIGN DATA WRAPPER",
        "DROP FOREIGN DATA WRAPPER",
        "CREATE SERVER",
        "ALTER SERVER",
        "DROP SERVER",
        "CREATE USER MAPPING",
        "ALTER USER MAPPING",
        "DROP USER MAPPING",
        "CREATE FOREIGN TABLE",
        "ALTER FOREIGN TABLE",
        "DROP FOREIGN TABLE",
        "DROP TABLE",
        "CREATE SCHEMA",
        "ALTER SCHEMA",
        "DROP SCHEMA",
        "CREATE VIEW",
        "ALTER VIEW",
        "DROP VIEW",
        "CREATE ROLE",
        "ALTER ROLE",
        "DROP ROLE",
        "COMMENT",
        "REASSIGN OWNED",
        "DROP OWNED",
        "CREATE EXTENSION",
        "DROP EXTENSION",
        "SET",
        "RESET",
    ];
    for (other, tag) in [("CREATE OR REPLACE VIEW", "CREATE VIEW"), ("CREATE USER TR_", "CREATE ROLE")] {
        if upper.starts_with(other) {
            return tag.to_owned();
        }
    }
    for word in ["GRANT", "REVOKE"] {
        if upper.starts_with(word) {
            return if upper.contains(" ON ") { word.to_owned() } else { format!("{word} ROLE") };
        }
    }
    (*TAGS.iter().find(|tag| upper.starts_with(**tag)).unwrap()).to_owned()
}

#[tokio::test]
async fn postgresql_gives_the_same_answers() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        println!("SKIPPED DDL transcripts on PostgreSQL: ATOLL_TEST_POSTGRES_URL is not set");
        return;
    };
    let admin = connect(&url, None).await;
    let version = admin.client.query_one("show server_version_num", &[]).await.unwrap();
    if !version.get::<_, String>(0).starts_with("15") {
        println!("SKIPPED DDL transcripts on PostgreSQL: the answers are those of version 15");
        return;
    }
    // What a run that failed has left.
    let left = "select datname::text from pg_database where datname like 'atoll\\_ddl\\_%'";
    for row in admin.client.query(left, &[]).await.unwrap() {
        let sql = format!("drop database {} with (force)", row.get::<_, String>(0));
        admin.client.batch_execute(&sql).await.unwrap();
    }
    admin.client.batch_execute(CLEAN_UP).await.unwrap();
    let mut statements = 0;
    for (name, transcript) in POSTGRES_TRANSCRIPTS {
        let database = format!("atoll_ddl_{}_{name}", std::process::id());
        admin.client.batch_execute(&format!("create database {database}")).await.unwrap();
        let mut server = connect(&url, Some(&database)).await;
        server.client.batch_execute("alter schema public owner to current_user").await.unwrap();
        let mut answers = String::new();
        for line in transcript.lines() {
            match line.strip_prefix("> ") {
                Some(sql) => {
                    statements += 1;
                    answers.push_str(&format!("> {sql}\n{}", server.run(sql).await));
                }
                None if line.starts_with("--") || line.is_empty() => answers.push_str(&format!("{line}\n")),
                None => {}
            }
        }
        server.client.batch_execute("reset role").await.unwrap();
        server.client.batch_execute(CLEAN_UP).await.unwrap();
        drop(server);
        admin.client.batch_execute(&format!("drop database {database} with (force)")).await.unwrap();
        let answers = answers.replace(&format!("database {database}"), "database atoll");
        compare(&format!("postgres_{name}"), &answers.replace(&database, "atoll"), transcript);
    }
    println!("{statements} statements were answered as PostgreSQL answers them");
}
