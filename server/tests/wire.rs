//! The wire protocol against a running server: what a well-behaved client sees, and what a hostile one is answered.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod raw;
mod support;

use std::time::{Duration, Instant};

use raw::{Raw, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::Type;

/// A query that runs for hours, and whose rows need all of it first.
const ENDLESS: &str = "select count(*) from generate_series(1, 1000000000) a, generate_series(1, 1000000000) b";

fn code(error: &tokio_postgres::Error) -> String {
    error.code().map_or_else(|| format!("no code: {error}"), |code| code.code().to_owned())
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_refused_alike() {
    let target = Target::start().await;
    for (user, password) in [("atoll", "not the password"), ("nobody at all", "x")] {
        let error = target.server.connect_as(user, password, "atoll").await.err().unwrap();
        let shown = error.as_db_error().unwrap();
        assert_eq!((shown.code().code(), shown.severity()), ("28P01", "FATAL"));
        assert_eq!(shown.message(), format!("password authentication failed for user \"{user}\""));
    }
}

#[tokio::test]
async fn garbage_instead_of_a_startup_packet_is_closed() {
    let target = Target::start().await;
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0\0\0\x04", b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\0"]
    {
        let mut socket = target.socket().await;
        socket.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        // A reset is as good as an end.
        let read = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await.unwrap();
        assert!(read.is_err() || answer.is_empty(), "{answer:?}");
    }
    assert_eq!(target.server.connect().await.query("select 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_startup_that_does_not_go_on_is_closed() {
    let target = Target::start().await;
    let mut socket = target.socket().await;
    socket.write_all(b"\0\0\0\x20\0\x03").await.unwrap();
    let mut answer = Vec::new();
    // The server's default is 30 seconds.
    tokio::time::timeout(Duration::from_secs(45), socket.read_to_end(&mut answer)).await.unwrap().unwrap();
    assert!(answer.is_empty());
}

#[tokio::test]
async fn impossible_lengths_end_the_connection_and_no_other() {
    let target = Target::start().await;
    for (bytes, message) in [
        (&b"Q\xff\xff\xff\xff"[..], "invalid message length"),
        (b"Q\0\0\0\x03", "invalid message length"),
        (b"P\x7f\xff\xff\xff", "invalid message length"),
        (b"S\0\0\x7f\xff", "invalid message length"),
        (b"\x01\0\0\0\x04", "invalid frontend message type 1"),
    ] {
        let mut client = Raw::connect(&target).await;
        client.send_bytes(bytes).await;
        let (tag, body) = client.message().await.unwrap();
        assert_eq!((tag, raw::field(&body, b'S'), raw::field(&body, b'C')), (b'E', "FATAL".into(), "08P01".into()));
        assert_eq!(raw::field(&body, b'M'), message);
        assert!(client.message().await.is_none());
    }
    assert_eq!(target.server.connect().await.query("select 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn broken_bodies_are_errors_of_one_message() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    for (tag, body) in [
        (b'P', &b"\0\0\xff\xff"[..]),
        (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        (b'B', b"\0\0\xff\xff"),
        (b'D', b"X\0"),
        (b'E', b"\0"),
    ] {
        client.send(tag, body).await;
        client.send(b'S', b"").await;
        let answers = client.until_ready().await;
        assert_eq!(raw::shape(&answers), "E(08P01) Z", "{}", char::from(tag));
    }
    client.send(b'Q', b"select 1\0").await;
    assert_eq!(raw::shape(&client.until_ready().await), "T D C(SELECT 1) Z");
}

#[tokio::test]
async fn only_the_right_key_cancels() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    client.send(b'Q', format!("{ENDLESS}\0").as_bytes()).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut wrong = client.key.clone();
    wrong[0] ^= 1;
    target.cancel(client.pid, &wrong).await;
    target.cancel(client.pid.wrapping_add(1), &client.key).await;
    assert!(tokio::time::timeout(Duration::from_millis(700), client.message()).await.is_err_or_not_an_error());
    let before = Instant::now();
    target.cancel(client.pid, &client.key).await;
    let answers = client.until_ready().await;
    assert!(raw::shape(&answers).ends_with("E(57014) Z"), "{}", raw::shape(&answers));
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    client.send(b'Q', b"select 1\0").await;
    assert_eq!(raw::shape(&client.until_ready().await), "T D C(SELECT 1) Z");
}

/// What was read while nothing was expected, if anything, may be the row description but no error.
trait NotAnError {
    fn is_err_or_not_an_error(&self) -> bool;
}

impl NotAnError for Result<Option<(u8, Vec<u8>)>, tokio::time::error::Elapsed> {
    fn is_err_or_not_an_error(&self) -> bool {
        matches!(self, Err(_) | Ok(Some((b'T', _))))
    }
}

#[tokio::test]
async fn a_simple_query_stops_at_its_first_error() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    for (sql, shape) in [
        ("select 1; select 2 / 0; select 3", "T D C(SELECT 1) T E(22012) Z"),
        ("", "I Z"),
        (" ; ;", "I Z"),
        ("selec 1", "E(42601) Z"),
        ("select 1; selec 1", "E(42601) Z"),
        ("select nosuch", "E(42703) Z"),
        ("select $1", "E(42P02) Z"),
    ] {
        client.send(b'Q', format!("{sql}\0").as_bytes()).await;
        let answers = raw::shape(&client.until_ready().await);
        // An error may come before the columns are known, or after.
        assert_eq!(answers.replace("T E(", "E("), shape.replace("T E(", "E("), "{sql}");
    }
}

#[tokio::test]
async fn the_extended_protocol_skips_to_sync_after_an_error() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    client.parse("a", "select 1 / 0").await;
    client.bind("", "a").await;
    client.execute("", 0).await;
    client.bind("", "a").await;
    client.parse("b", "select 1").await;
    client.send(b'S', b"").await;
    let answers = raw::shape(&client.until_ready().await);
    // Division by zero of constants may be found while planning.
    assert!(["1 2 E(22012) Z", "E(22012) Z"].contains(&answers.as_str()), "{answers}");
    client.bind("", "b").await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "E(26000) Z", "b was skipped");
}

#[tokio::test]
async fn portals_go_on_where_they_were() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    client.parse("", "select x from (values (1), (2), (3), (4), (5)) v(x)").await;
    client.bind("p", "").await;
    client.send(b'D', b"Pp\0").await;
    for rows_max in [2, 2, 2, 2] {
        client.execute("p", rows_max).await;
    }
    client.send(b'S', b"").await;
    let answers = client.until_ready().await;
    assert_eq!(raw::shape(&answers), "1 2 T D D s D D s D C(SELECT 1) C(SELECT 0) Z");
    // The transaction that the portal lived in is over.
    client.execute("p", 0).await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "E(34000) Z");
}

#[tokio::test]
async fn portals_live_as_long_as_their_transaction_block() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    client.send(b'Q', b"begin\0").await;
    client.until_ready().await;
    client.parse("", "select x from (values (1), (2), (3)) v(x)").await;
    client.bind("p", "").await;
    client.execute("p", 1).await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "1 2 D s Z");
    client.execute("p", 0).await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "D D C(SELECT 2) Z");
    client.send(b'Q', b"commit\0").await;
    client.until_ready().await;
    client.execute("p", 0).await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "E(34000) Z");
}

#[tokio::test]
async fn names_are_checked() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    client.parse("a", "select 1").await;
    client.parse("", "select 1").await;
    client.parse("", "select 2").await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "1 1 1 Z");
    for (what, expected) in [
        ("parse a", "E(42P05)"),
        ("bind p to a, twice", "2 E(42P03)"),
        ("bind to nosuch", "E(26000)"),
        ("execute nosuch", "E(34000)"),
        ("close nosuch", "3"),
        ("two statements", "E(42601)"),
        ("empty", "1 t n 2 n I"),
    ] {
        match what {
            "parse a" => client.parse("a", "select 3").await,
            "bind p to a, twice" => {
                client.bind("p", "a").await;
                client.bind("p", "a").await;
            }
            "bind to nosuch" => client.bind("", "nosuch").await,
            "execute nosuch" => client.execute("nosuch", 0).await,
            "close nosuch" => client.send(b'C', b"Snosuch\0").await,
            "two statements" => client.parse("", "select 1; select 2").await,
            _ => {
                client.parse("", "").await;
                client.send(b'D', b"S\0").await;
                client.bind("", "").await;
                client.send(b'D', b"P\0").await;
                client.execute("", 0).await;
            }
        }
        client.send(b'S', b"").await;
        assert_eq!(raw::shape(&client.until_ready().await), format!("{expected} Z"), "{what}");
    }
}

#[tokio::test]
async fn a_pipeline_is_answered_in_order() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    const QUERIES: usize = 200;
    let mut bytes = Vec::new();
    for number in 0..QUERIES {
        raw::append(&mut bytes, b'Q', format!("select {number}\0").as_bytes());
    }
    client.send_bytes(&bytes).await;
    for number in 0..QUERIES {
        let answers = client.until_ready().await;
        let row = answers.iter().find(|(tag, _)| *tag == b'D').unwrap();
        assert!(row.1.ends_with(number.to_string().as_bytes()), "{number}");
    }
}

#[tokio::test]
async fn messages_of_copy_outside_of_copy_are_ignored() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    for (tag, body) in [(b'd', &b"1\t2\n"[..]), (b'c', b""), (b'f', b"no\0")] {
        client.send(tag, body).await;
    }
    client.send(b'Q', b"select 1\0").await;
    assert_eq!(raw::shape(&client.until_ready().await), "T D C(SELECT 1) Z");
    client.send(b'F', b"\0\0\0\x01\0\0\0\0\0\0").await;
    assert_eq!(raw::shape(&client.until_ready().await), "E(0A000) Z");
}

#[tokio::test]
async fn copy_out_streams_its_formats() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    for (options, expected) in
        [("", &b"1\ta\\\\,b\n2\t\\N\n"[..]), ("with (format csv, header)", b"x,y\n1,\"a\\,b\"\n2,\n")]
    {
        let sql = format!("copy (select x, y from (values (1, 'a\\,b'), (2, null)) v(x, y)) to stdout {options}\0");
        client.send(b'Q', sql.as_bytes()).await;
        let answers = client.until_ready().await;
        let data: Vec<u8> = answers.iter().filter(|(tag, _)| *tag == b'd').flat_map(|(_, body)| body.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&data), String::from_utf8_lossy(expected));
        let others: Vec<_> = answers.into_iter().filter(|(tag, _)| *tag != b'd').collect();
        assert_eq!(raw::shape(&others), "H c C(COPY 2) Z");
    }
}

#[tokio::test]
async fn a_client_library_prepares_binds_and_reads_binary() {
    let target = Target::start().await;
    let client = target.server.connect().await;
    let statement =
        client.prepare_typed("select $1::int as n, $2::text as t, null::int8 as x", &[Type::INT4, Type::TEXT]);
    let statement = statement.await.unwrap();
    let names: Vec<_> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    assert_eq!(names, ["n", "t", "x"]);
    let row = client.query_one(&statement, &[&7_i32, &"é"]).await.unwrap();
    assert_eq!((row.get::<_, i32>(0), row.get::<_, &str>(1), row.get::<_, Option<i64>>(2)), (7, "é", None));
    let error = client.query_one(&statement, &[&None::<i32>, &None::<&str>]).await.unwrap();
    assert_eq!(error.get::<_, Option<i32>>(0), None);
    assert_eq!(code(&client.query("select nosuch", &[]).await.unwrap_err()), "42703");
    assert_eq!(client.query("select 1", &[]).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_failed_transaction_refuses_until_its_end() {
    let target = Target::start().await;
    let client = target.server.connect().await;
    client.batch_execute("begin").await.unwrap();
    assert_eq!(code(&client.batch_execute("select 1 / 0").await.unwrap_err()), "22012");
    assert_eq!(code(&client.batch_execute("select 1").await.unwrap_err()), "25P02");
    assert_eq!(code(&client.query("select 1", &[]).await.unwrap_err()), "25P02");
    let messages = client.simple_query("commit").await.unwrap();
    assert!(matches!(messages.as_slice(), [SimpleQueryMessage::CommandComplete(_)]));
    client.batch_execute("select 1").await.unwrap();
}

#[tokio::test]
async fn the_first_row_comes_before_the_last() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    let before = Instant::now();
    client.send(b'Q', b"select * from generate_series(1, 50000000)\0").await;
    let (tag, _) = client.message().await.unwrap();
    assert_eq!(tag, b'T');
    let (tag, _) = client.message().await.unwrap();
    assert_eq!(tag, b'D');
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
    // A client that stops reading can still be cancelled.
    tokio::time::sleep(Duration::from_millis(500)).await;
    target.cancel(client.pid, &client.key).await;
    let answers = client.until_ready().await;
    assert!(raw::shape(&answers[answers.len() - 2..]).ends_with("E(57014) Z"));
}

#[tokio::test]
async fn a_client_that_vanishes_takes_its_statement_along() {
    let target = Target::start().await;
    let watcher = target.server.connect().await;
    let others = "select count(*) from pg_stat_activity where state = 'active' and query like '%generate_series%'
        and query not like '%pg_stat_activity%'";
    let mut client = Raw::connect(&target).await;
    client.send(b'Q', format!("{ENDLESS}\0").as_bytes()).await;
    let running = |expected: i64| {
        let watcher = &watcher;
        async move {
            while watcher.query_one(others, &[]).await.unwrap().get::<_, i64>(0) != expected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), running(1)).await.expect("the statement begins");
    drop(client);
    tokio::time::timeout(Duration::from_secs(1), running(0)).await.expect("the statement ends with its client");
}

#[tokio::test]
async fn a_declared_cursor_is_a_portal() {
    let target = Target::start().await;
    let mut client = Raw::connect(&target).await;
    client
        .send(b'Q', b"begin; declare \"C c\" cursor for select n from generate_series(1, 5) as g(n) order by n\0")
        .await;
    assert_eq!(raw::shape(&client.until_ready().await), "C(BEGIN) C(DECLARE CURSOR) Z");
    client.send(b'D', b"PC c\0").await;
    client.execute("C c", 2).await;
    client.execute("C c", 0).await;
    client.execute("C c", 0).await;
    client.send(b'S', b"").await;
    let answers = client.until_ready().await;
    assert_eq!(raw::shape(&answers), "T D D s D D D C(SELECT 3) C(SELECT 0) Z");
    assert!(answers[0].1.windows(2).any(|name| name == b"n\0"), "the column's name");
    // One space of names for both.
    client.parse("", "select 1").await;
    client.bind("C c", "").await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "1 E(42P03) Z");
    client.send(b'Q', b"rollback; begin; declare c cursor for select 1\0").await;
    client.until_ready().await;
    client.send(b'C', b"Pc\0").await;
    client.send(b'D', b"Pc\0").await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "3 E(34000) Z");
    client.send(b'Q', b"rollback; begin\0").await;
    client.until_ready().await;
    client.parse("", "select 1").await;
    client.bind("p", "").await;
    client.parse("d", "declare p cursor for select 2").await;
    client.bind("", "d").await;
    client.execute("", 0).await;
    client.send(b'S', b"").await;
    assert_eq!(raw::shape(&client.until_ready().await), "1 2 1 2 E(42P03) Z");
}

#[tokio::test]
async fn a_cursor_takes_the_parameters_of_its_query() {
    let target = Target::start().await;
    let client = target.server.connect().await;
    client.batch_execute("begin").await.unwrap();
    let declare =
        "declare c cursor for select n::int4 from generate_series(1, 9) as g(n) where n > $1::int4 order by n";
    assert_eq!(client.execute(declare, &[&6_i32]).await.unwrap(), 0);
    let rows = client.query("fetch all from c", &[]).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.get::<_, i32>(0)).collect::<Vec<_>>(), [7, 8, 9]);
    client.batch_execute("rollback; begin").await.unwrap();
    let error = client.simple_query("declare c cursor for select $1::int4").await.unwrap_err();
    assert_eq!(code(&error), "42P02");
}
