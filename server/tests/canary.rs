//! Canary secrets: known texts are given to the server wherever it takes a secret, everything is driven that might show one,
//! and then every log line, message, view and file is searched for them: plain, in base64, in hexadecimal, URL-encoded.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use support::{TestServer, simple_value};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// Secrets with the names that a failure is reported by.
struct Canaries(Vec<(String, String)>);

impl Canaries {
    fn add(&mut self, name: &str) -> String {
        // Characters that a URL has to encode, none that SQL has to.
        let secret = format!("Kn4r/{:016x}+{:08x}=é", rand::random::<u64>(), rand::random::<u32>());
        self.0.push((name.to_owned(), secret.clone()));
        secret
    }

    /// The name and the spelling of a canary in `bytes`.
    fn find(&self, bytes: &[u8]) -> Option<String> {
        self.0.iter().find_map(|(name, secret)| {
            spellings(secret)
                .into_iter()
                .find(|(_, spelled)| bytes.windows(spelled.len()).any(|window| window == spelled.as_bytes()))
                .map(|(spelling, _)| format!("{name} ({spelling})"))
        })
    }

    #[track_caller]
    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        if let Some(found) = self.find(bytes) {
            panic!("{place} holds {found}: {}", around(bytes, self));
        }
    }
}

/// The lines of a text that hold a canary: for the report of a failure.
fn around(bytes: &[u8], canaries: &Canaries) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.lines().filter(|line| canaries.find(line.as_bytes()).is_some()).take(3).collect::<Vec<_>>().join("\n")
}

fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut all = vec![("plain", secret.to_owned()), ("HEX", hex.to_uppercase()), ("hex", hex)];
    // Within a longer text, base64 depends on where the secret begins: the characters that its neighbours share are cut off.
    for (before, name) in ["", "a", "ab"].iter().zip(["base64", "base64, shifted by 1", "base64, shifted by 2"]) {
        let encoded = BASE64.encode(format!("{before}{secret}"));
        let begin = (before.len() * 8).div_ceil(6);
        let end = (before.len() + secret.len()) * 8 / 6;
        all.push((name, encoded[begin..end].to_owned()));
        all.push((name, encoded[begin..end].replace('+', "-").replace('/', "_")));
    }
    let encode = |keep: &dyn Fn(u8) -> bool| {
        secret.bytes().fold(String::new(), |mut text, byte| {
            if keep(byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
            text
        })
    };
    all.push(("URL-encoded", encode(&|byte| byte.is_ascii_alphanumeric())));
    all.push(("URL-encoded but for slashes", encode(&|byte| byte.is_ascii_alphanumeric() || b"/+=".contains(&byte))));
    all.push(("debug", format!("{secret:?}").trim_matches('"').to_owned()));
    all
}

#[test]
fn the_search_finds_every_spelling() {
    let mut canaries = Canaries(Vec::new());
    let secret = canaries.add("a secret");
    for prefix in ["", "x", "xy", "xyz"] {
        let text = format!("{prefix}{secret} and more");
        assert!(canaries.find(text.as_bytes()).is_some());
        assert!(canaries.find(BASE64.encode(&text).as_bytes()).is_some(), "{prefix}");
    }
    assert!(canaries.find(b"nothing of the kind, Kn4r/ neither").is_none());
}

/// Everything that a client is told: rows, notices are out of reach, errors in full.
async fn told(client: &Client, sql: &str) -> String {
    let mut text = String::new();
    match client.simple_query(sql).await {
        Ok(messages) => {
            for message in messages {
                if let SimpleQueryMessage::Row(row) = message {
                    for column in 0..row.len() {
                        let _ = write!(text, "{}\t", row.get(column).unwrap_or_default());
                    }
                    text.push('\n');
                }
            }
        }
        Err(error) => {
            let _ = write!(text, "{error:?}");
        }
    }
    text
}

/// The same by the extended protocol, where Parse, Describe and Execute fail at other places.
async fn told_extended(client: &Client, sql: &str) -> String {
    match client.query(sql, &[]).await {
        Ok(rows) => format!("{} rows", rows.len()),
        Err(error) => format!("{error:?}"),
    }
}

/// Statements with a secret in them, most of them wrong: near the secret, before it, behind it.
fn statements(secret: &str) -> Vec<String> {
    let mapping = "CREATE USER MAPPING FOR ann SERVER";
    [
        // Roles.
        format!("CREATE ROLE carl LOGIN PASSWORD '{secret}'"),
        format!("CREATE ROLE carl LOGIN PASSWORD '{secret}'"),
        format!("ALTER ROLE carl PASSWORD '{secret}'"),
        format!("ALTER USER carl ENCRYPTED PASSWORD '{secret}' VALID UNTIL 'never ever'"),
        format!("ALTER ROLE nobody PASSWORD '{secret}'"),
        format!("CREATE ROLE dora PASSWORD '{secret}' garbage"),
        format!("CREATE ROLE dora garbage PASSWORD '{secret}'"),
        format!("CREATE ROLE dora PASSWORD '{secret}' PASSWORD 'x'"),
        format!("CREATE ROLE dora PASSWORD '{secret}' CONNECTION LIMIT -5"),
        format!("CREATE ROLE pg_dora PASSWORD '{secret}'"),
        format!("CREATE ROLE dora PASSWORD '{secret}' IN ROLE nobody"),
        // Mappings.
        format!("{mapping} pg OPTIONS (user 'u', password '{secret}')"),
        format!("{mapping} pg OPTIONS (user 'u', password '{secret}')"),
        format!("{mapping} my OPTIONS (username 'u', password '{secret}')"),
        format!("{mapping} s3 OPTIONS (access_key_id 'AKIA', secret_access_key '{secret}', session_token '{secret}')"),
        format!("{mapping} alien OPTIONS (who '{secret}', what '{secret}')"),
        format!("{mapping} nowhere OPTIONS (user 'u', password '{secret}')"),
        format!("CREATE USER MAPPING FOR nobody SERVER pg OPTIONS (password '{secret}')"),
        format!("CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS (user 'u', password '{secret}') garbage"),
        format!("CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS (user 'u', password '{secret}'"),
        format!("CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS (user 'u', password '{secret}' 'x')"),
        format!("CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS (user 'u', password '{secret}', nosuch 'x')"),
        format!(
            "CREATE USER MAPPING FOR PUBLIC SERVER pg OPTIONS (user 'u', password '{secret}', password '{secret}')"
        ),
        format!(
            "CREATE USER MAPPING FOR PUBLIC SERVER s3 OPTIONS (access_key_id 'x', secret_access_key '{secret}', a 'b')"
        ),
        format!("ALTER USER MAPPING FOR ann SERVER pg OPTIONS (SET password '{secret}')"),
        format!("ALTER USER MAPPING FOR ann SERVER pg OPTIONS (ADD password '{secret}')"),
        format!("ALTER USER MAPPING FOR ann SERVER nowhere OPTIONS (SET password '{secret}')"),
        format!("ALTER USER MAPPING FOR ann SERVER pg OPTIONS (SET password '{secret}') garbage"),
        // Secrets where none belongs: refused without being repeated, since the option is a secret elsewhere.
        format!("CREATE SERVER wrong FOREIGN DATA WRAPPER postgres OPTIONS (host 'h', password '{secret}')"),
        format!("CREATE SERVER wrong FOREIGN DATA WRAPPER mysql OPTIONS (host 'h', password '{secret}')"),
        format!("CREATE FOREIGN TABLE wrong (a int) SERVER pg OPTIONS (password '{secret}')"),
        // Statements around statements.
        format!("EXPLAIN {mapping} pg OPTIONS (user 'u', password '{secret}')"),
        format!("PREPARE p AS {mapping} pg OPTIONS (user 'u', password '{secret}')"),
        format!("BEGIN; SELECT 1/0; {mapping} pg OPTIONS (password '{secret}')"),
        format!("ROLLBACK; BEGIN; ALTER ROLE ann PASSWORD '{secret}'; ROLLBACK"),
        format!("SELECT 1; ALTER ROLE ann PASSWORD '{secret}'; SELECT nosuch"),
    ]
    .into()
}

async fn relations(client: &Client) -> Vec<String> {
    let rows = client
        .simple_query(
            "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ('pg_catalog', 'information_schema', 'atoll') AND c.relkind IN ('r', 'v')",
        )
        .await
        .unwrap();
    let names = rows.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    names.collect()
}

/// Reads all that the system catalogs show to somebody.
async fn search_views(client: &Client, who: &str, canaries: &Canaries) {
    let relations = relations(client).await;
    assert!(relations.len() > 60, "{relations:?}");
    for relation in relations {
        let shown = told(client, &format!("SELECT * FROM {relation}")).await;
        canaries.assert_absent(&format!("{relation}, read by {who},"), shown.as_bytes());
    }
    for query in [
        "SHOW ALL",
        "SELECT * FROM pg_settings",
        "SELECT rolpassword FROM pg_authid",
        "SELECT passwd FROM pg_shadow",
        "SELECT srvoptions, umoptions FROM pg_user_mappings JOIN pg_foreign_server ON srvid = pg_foreign_server.oid",
        "SELECT * FROM pg_options_to_table((SELECT umoptions FROM pg_user_mappings LIMIT 1))",
        "EXPLAIN (VERBOSE) SELECT * FROM remote.t",
        "EXPLAIN (ANALYZE, VERBOSE) SELECT * FROM remote.t",
        "SELECT * FROM remote.t",
        "SELECT * FROM remote.m",
        "SELECT * FROM remote.p",
        "SELECT * FROM pg.public.t",
        "IMPORT FOREIGN SCHEMA public FROM SERVER pg INTO remote",
        "SELECT current_setting('atoll.password')",
        "SELECT pg_read_file('/proc/self/environ')",
    ] {
        canaries.assert_absent(&format!("{query}, asked by {who},"), told(client, query).await.as_bytes());
        canaries.assert_absent(&format!("{query}, asked by {who},"), told_extended(client, query).await.as_bytes());
    }
}

/// What psql shows of mappings, servers and roles.
fn search_psql(server: &TestServer, password: &str, canaries: &Canaries) {
    for command in ["\\deu+", "\\des+", "\\dew+", "\\det+", "\\du+", "\\drds", "\\l+", "\\dconfig+ *"] {
        let output = Command::new("psql")
            .args(["-X", "-h", "127.0.0.1", "-p", &server.address.port().to_string(), "-U", "atoll", "-d", "atoll"])
            .args(["-c", command])
            .env("PGPASSWORD", password)
            .stdin(Stdio::null())
            .output();
        let Ok(output) = output else { return println!("SKIPPED psql's commands: psql is not installed") };
        canaries.assert_absent(command, &output.stdout);
        canaries.assert_absent(command, &output.stderr);
    }
}

fn search_files(directory: &Path, canaries: &Canaries) -> usize {
    let mut files = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files += search_files(&path, canaries);
        } else if path.is_file() {
            canaries.assert_absent(&path.display().to_string(), &std::fs::read(&path).unwrap());
            files += 1;
        }
    }
    files
}

/// Watches what another session sees of the statements of the first.
async fn watch(server: &TestServer, password: &str, stop: Arc<AtomicBool>) -> tokio::task::JoinHandle<String> {
    let client = server.connect_as("atoll", password, "atoll").await.unwrap();
    tokio::spawn(async move {
        let mut seen = String::new();
        while !stop.load(Ordering::Relaxed) {
            seen.push_str(
                &told(&client, "SELECT query, state FROM pg_stat_activity WHERE pid <> pg_backend_pid()").await,
            );
        }
        seen
    })
}

/// Servers that take the secrets: nothing listens there, or, where real ones are at hand, they refuse.
async fn set_up(client: &Client) {
    let refused = "127.0.0.1', port '1";
    let (mut pg, mut my) = (refused.to_owned(), refused.to_owned());
    for (variable, target) in [("ATOLL_TEST_POSTGRES_URL", &mut pg), ("ATOLL_TEST_MYSQL_URL", &mut my)] {
        if let Ok(url) = std::env::var(variable) {
            let address = url.rsplit_once('@').unwrap().1.split('/').next().unwrap().to_owned();
            *target = address.replace(':', "', port '");
        } else {
            println!("SKIPPED refused passwords at a real server: {variable} is not set");
        }
    }
    for statement in [
        format!("CREATE SERVER pg FOREIGN DATA WRAPPER postgres OPTIONS (host '{pg}', dbname 'postgres')"),
        format!("CREATE SERVER my FOREIGN DATA WRAPPER mysql OPTIONS (host '{my}', dbname 'test')"),
        "CREATE SERVER s3 FOREIGN DATA WRAPPER parquet OPTIONS (location 's3://bucket/', endpoint 'http://127.0.0.1:1', \
         region 'x')"
            .to_owned(),
        "CREATE FOREIGN DATA WRAPPER alien".to_owned(),
        "CREATE SERVER alien FOREIGN DATA WRAPPER alien".to_owned(),
        "CREATE ROLE ann LOGIN PASSWORD 'ann'; CREATE ROLE bob LOGIN PASSWORD 'bob'".to_owned(),
        "GRANT USAGE ON FOREIGN SERVER pg, my, s3 TO ann, bob".to_owned(),
        "CREATE SCHEMA remote; GRANT USAGE ON SCHEMA remote TO PUBLIC".to_owned(),
        "CREATE FOREIGN TABLE remote.t (a int) SERVER pg".to_owned(),
        "CREATE FOREIGN TABLE remote.m (a int) SERVER my".to_owned(),
        "CREATE FOREIGN TABLE remote.p (a int) SERVER s3 OPTIONS (location 's3://bucket/x.parquet')".to_owned(),
        "GRANT SELECT ON remote.t, remote.m, remote.p TO PUBLIC".to_owned(),
    ] {
        client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
}

#[tokio::test]
async fn no_secret_shows_anywhere() {
    let mut canaries = Canaries(Vec::new());
    let password = canaries.add("the superuser's password");
    let variable = canaries.add("a referenced variable's value");
    let master_key = BASE64.encode(rand::random::<[u8; 32]>());
    // It is base64 already: as it is, and the bytes in hexadecimal.
    canaries.0.push(("the master key".to_owned(), master_key.clone()));
    let server = TestServer::start_with(
        tempfile::tempdir().unwrap(),
        &["--log", "trace", "--secret-env", "CANARY_VARIABLE"],
        &[("ATOLL_PASSWORD", &password), ("ATOLL_MASTER_KEY", &master_key), ("CANARY_VARIABLE", &variable)],
    )
    .await;
    let client = server.connect_as("atoll", &password, "atoll").await.unwrap();
    set_up(&client).await;
    client
        .batch_execute("CREATE USER MAPPING FOR bob SERVER pg OPTIONS (user 'u', password 'env:CANARY_VARIABLE')")
        .await
        .unwrap();

    right_passwords(&client, &mut canaries).await;

    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(&server, &password, Arc::clone(&stop)).await;
    let secret = canaries.add("a secret in a statement");
    for statement in statements(&secret) {
        // Whoever typed a syntax error is told where it is; anything else repeats nothing.
        canaries.assert_absent(&statement, told(&client, &statement).await.as_bytes());
        canaries.assert_absent(&statement, told_extended(&client, &statement).await.as_bytes());
    }
    client.batch_execute("ROLLBACK").await.unwrap();
    // One that is repeated to its own author, as PostgreSQL does, and to nobody else.
    let _ = told(&client, &format!("ALTER ROLE ann PASSWORD '{secret}' '{secret}'")).await;
    let _ = told(&client, &format!("ALTER ROLE ann PASSWORD \"{secret}\"")).await;
    for round in 0..20 {
        let statement =
            format!("ALTER USER MAPPING FOR ann SERVER pg OPTIONS (SET password '{secret}{round}', SET user 'u')");
        client.batch_execute(&statement).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let seen = watching.await.unwrap();
    assert!(seen.contains("ALTER USER MAPPING …"), "the watcher saw nothing:\n{seen}");
    canaries.assert_absent("pg_stat_activity", seen.as_bytes());

    let ann = server.connect_as("ann", "ann", "atoll").await;
    let ann = match ann {
        Ok(client) => client,
        // Her password is a canary by now.
        Err(_) => server.connect_as("ann", &secret, "atoll").await.unwrap(),
    };
    let bob = server.connect_as("bob", "bob", "atoll").await.unwrap();
    for (client, who) in [(&client, "the superuser"), (&ann, "ann"), (&bob, "bob")] {
        search_views(client, who, &canaries).await;
    }
    for database in ["pg", "my", "nowhere"] {
        if let Err(error) = server.connect_as("ann", &secret, database).await {
            canaries.assert_absent("a refused connection", format!("{error:?}").as_bytes());
        }
    }
    let wrong = canaries.add("a wrong password");
    let error = server.connect_as("atoll", &wrong, "atoll").await.unwrap_err();
    canaries.assert_absent("a refused password", format!("{error:?}").as_bytes());
    search_psql(&server, &password, &canaries);
    finish(server, canaries).await;
}

/// Mappings that let the superuser in at real servers, where there are some: a password that fits takes other paths.
async fn right_passwords(client: &Client, canaries: &mut Canaries) {
    for (variable, server, user_option, query) in [
        ("ATOLL_TEST_POSTGRES_URL", "pg", "user", "SELECT count(*) FROM pg.pg_catalog.pg_database"),
        ("ATOLL_TEST_MYSQL_URL", "my", "username", "IMPORT FOREIGN SCHEMA test FROM SERVER my INTO remote"),
    ] {
        let Ok(url) = std::env::var(variable) else { continue };
        let (user, password) = url.split_once("://").unwrap().1.rsplit_once('@').unwrap().0.split_once(':').unwrap();
        let password = password.replace("%20", " ");
        canaries.0.push((format!("the right password of {server}"), password.clone()));
        client
            .batch_execute(&format!(
                "CREATE USER MAPPING FOR atoll SERVER {server} OPTIONS ({user_option} '{user}', password '{password}')"
            ))
            .await
            .unwrap();
        // It lets us in.
        client.batch_execute(query).await.unwrap();
        canaries.assert_absent(query, told_extended(client, query).await.as_bytes());
    }
}

/// Searches the process, the files, and, when it has stopped, the log.
async fn finish(mut server: TestServer, canaries: Canaries) {
    let process = format!("/proc/{}", server.pid());
    canaries.assert_absent("the command line", &std::fs::read(format!("{process}/cmdline")).unwrap());
    let limits = std::fs::read_to_string(format!("{process}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    // While it runs the write-ahead log holds what was written last; afterwards the database does.
    assert!(search_files(server.directory.path(), &canaries) >= 2);
    assert!(server.terminate().await.success());
    assert!(search_files(server.directory.path(), &canaries) >= 1);
    let log = server.log.lock().unwrap();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "nothing was logged at these levels");
    canaries.assert_absent("the log", log.as_bytes());
}

/// The process of a server that does not run as root must belong to root for /proc: that is how the kernel shows that it is
/// not dumpable, so that its user's other programs read neither its memory nor its environment.
#[tokio::test]
async fn others_of_the_same_user_cannot_read_the_process() {
    use std::os::unix::fs::MetadataExt as _;
    let server = TestServer::start(&[]).await;
    let owner = |pid: u32| std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
    if !rustix::process::geteuid().is_root() {
        assert_eq!(owner(server.pid()), 0);
        assert!(std::fs::read(format!("/proc/{}/environ", server.pid())).is_err());
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(65534), Some(65534)).unwrap();
    let as_nobody = |program: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    };
    let mut other = as_nobody("sleep").arg("60").spawn().unwrap();
    let mut command = as_nobody(env!("CARGO_BIN_EXE_atoll"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path().join("data"));
    let mut nobody = command.env("ATOLL_PASSWORD", "x").spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(nobody.stderr.take().unwrap()));
    let started = lines.any(|line| line.unwrap().contains("listening on"));
    let owners = (owner(other.id()), owner(nobody.id()));
    for child in [&mut other, &mut nobody] {
        let _ = child.kill();
        let _ = child.wait();
    }
    if !started {
        return println!("SKIPPED a server that is not root: the program cannot be started by another user here");
    }
    assert_eq!(owners, (65534, 0));
}

/// A catalog on PostgreSQL: the URL's password, and what is stored there.
#[tokio::test]
async fn a_shared_catalog_shows_neither_its_password_nor_others() {
    let Ok(url) = std::env::var("ATOLL_TEST_POSTGRES_URL") else {
        println!("SKIPPED a_shared_catalog_shows_neither_its_password_nor_others: ATOLL_TEST_POSTGRES_URL is not set");
        return;
    };
    let mut canaries = Canaries(Vec::new());
    let secret = canaries.add("the password in the catalog's URL");
    let (admin, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    let name = format!("canary_{:08x}", rand::random::<u32>());
    admin.batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{secret}'")).await.unwrap();
    admin.batch_execute(&format!("CREATE DATABASE {name} OWNER {name}")).await.unwrap();
    let address = url.rsplit_once('@').unwrap().1.split('/').next().unwrap();
    let encoded = spellings(&secret).into_iter().find(|(name, _)| *name == "URL-encoded").unwrap().1;
    let catalog = format!("postgres://{name}:{encoded}@{address}/{name}");
    let server =
        TestServer::start_with(tempfile::tempdir().unwrap(), &["--log", "trace"], &[("ATOLL_CATALOG_URL", &catalog)])
            .await;
    let client = server.connect().await;
    set_up(&client).await;
    let inner = canaries.add("a mapping's password in a shared catalog");
    for statement in statements(&inner) {
        let _ = told(&client, &statement).await;
    }
    client.batch_execute("ROLLBACK").await.unwrap();
    search_views(&client, "the superuser", &canaries).await;
    // The database goes away under the server: what it logs then names no secret either.
    let stored = stored_text(&url, &name).await;
    assert!(stored.contains("user_mapping") || stored.contains("UserMapping"), "{stored}");
    canaries.assert_absent("the catalog's tables", stored.as_bytes());
    admin.batch_execute(&format!("ALTER ROLE {name} NOLOGIN")).await.unwrap();
    admin
        .batch_execute(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"))
        .await
        .unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    canaries.assert_absent("a failed commit", told(&client, "CREATE SCHEMA late").await.as_bytes());
    assert_eq!(simple_value(&client, "SELECT 1").await, "1", "queries go on without the catalog's database");
    finish(server, canaries).await;
    admin.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.unwrap();
    admin.batch_execute(&format!("DROP ROLE {name}")).await.unwrap();
}

async fn stored_text(url: &str, database: &str) -> String {
    let url = format!("{}/{database}", url.rsplit_once('/').unwrap().0);
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
    tokio::spawn(connection);
    told(&client, "SELECT * FROM atoll_object; SELECT * FROM atoll_meta").await
}
