//! Who a client is: SCRAM over TCP, the kernel's word over the unix socket.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::backend;
use super::frontend::Body;
use super::scram::{Channel, Exchange, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramError, Verifier, random_nonce};
use super::stream::{Inbox, Outbox, ReadError};
use crate::catalog::Catalog;
use crate::error::{SqlError, SqlState};

/// How long a wrong password waits for its answer: enough to make guessing slow, too little to be felt.
const FAILED_LOGIN_DELAY: Duration = Duration::from_millis(300);

/// Why a client was not let in.
#[derive(Debug)]
pub(super) enum AuthError {
    /// It went away, for example to ask for a password.
    Gone,
    /// To be told.
    Refused(SqlError),
}

impl From<SqlError> for AuthError {
    fn from(error: SqlError) -> Self {
        Self::Refused(error)
    }
}

/// `28P01`, the same for an unknown role, a role without a password and a wrong one.
pub(super) fn password_failed(user: &str) -> SqlError {
    SqlError::new(SqlState::INVALID_PASSWORD, format!("password authentication failed for user \"{user}\""))
}

/// What a role's password is checked against. A role that has none, or that does not exist, gets a verifier that nothing
/// fits, so that the exchange tells nobody which it is.
pub(super) fn verifier_of(catalog: &Catalog, user: &str, mock_nonce: &[u8; 32]) -> Verifier {
    catalog
        .role(user)
        .filter(|role| role.valid_until.is_none_or(|until| now_micros() < until))
        .and_then(|role| Verifier::parse(&role.password.as_ref()?.0))
        .unwrap_or_else(|| Verifier::mock(mock_nonce, user))
}

fn now_micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Runs the SCRAM exchange.
pub(super) async fn scram(
    inbox: &mut Inbox,
    outbox: &mut Outbox,
    user: &str,
    verifier: Verifier,
    end_point: Option<&[u8]>,
) -> Result<(), AuthError> {
    let mut mechanisms = vec![SCRAM_SHA_256.to_owned()];
    if end_point.is_some() {
        mechanisms.insert(0, SCRAM_SHA_256_PLUS.to_owned());
    }
    outbox.push(&backend::sasl(mechanisms))?;
    let mut initial = Body(response(inbox, outbox).await?);
    let mechanism = initial.string()?;
    let channel = end_point.map_or(Channel::Plain, Channel::EndPoint);
    let offered = mechanism == SCRAM_SHA_256 || (mechanism == SCRAM_SHA_256_PLUS && end_point.is_some());
    if !offered {
        let message = "client selected an invalid SASL authentication mechanism";
        return Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message).into());
    }
    let client_first = text(initial.value()?.unwrap_or_default())?;
    initial.end()?;
    let nonce = random_nonce().map_err(|_| SqlError::internal("could not generate random nonce"))?;
    let exchange =
        Exchange::start(&mechanism, &client_first, channel, verifier, &nonce).map_err(|error| refusal(error, user))?;
    outbox.push(&backend::sasl_continue(exchange.server_first().to_owned()))?;
    let client_final = text(response(inbox, outbox).await?)?;
    match exchange.finish(&client_final) {
        Ok(server_final) => Ok(outbox.push(&backend::sasl_final(server_final))?),
        Err(error) => {
            tokio::time::sleep(FAILED_LOGIN_DELAY).await;
            Err(refusal(error, user).into())
        }
    }
}

fn refusal(error: ScramError, user: &str) -> SqlError {
    match error {
        ScramError::Violation(error) => error,
        ScramError::Mismatch => password_failed(user),
    }
}

fn text(bytes: Bytes) -> Result<String, SqlError> {
    String::from_utf8(bytes.into()).map_err(|_| SqlError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message"))
}

async fn response(inbox: &mut Inbox, outbox: &mut Outbox) -> Result<Bytes, AuthError> {
    outbox.flush().await.map_err(|_| AuthError::Gone)?;
    match inbox.next().await {
        Ok(frame) if frame.tag == b'p' => Ok(frame.body),
        Ok(frame) => {
            let message = format!("expected SASL response, got message type {}", frame.tag);
            Err(SqlError::new(SqlState::PROTOCOL_VIOLATION, message).into())
        }
        Err(ReadError::Closed) => Err(AuthError::Gone),
        Err(ReadError::Violation(error)) => Err(error.into()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    use super::super::frontend::SMALL_MESSAGE_BYTES_MAX;
    use super::super::scram::tests::{client_final, verifier};
    use super::super::stream::BoxedStream;
    use super::*;

    /// Plays the client's part over a byte stream; yields the server's last word to it.
    async fn login(client: &mut DuplexStream, password: &str, mechanism: &str, first: &str) -> Vec<u8> {
        let offer = message(client).await;
        assert!(offer.ends_with(b"SCRAM-SHA-256\0\0"));
        let initial =
            [mechanism.as_bytes(), b"\0", &u32::try_from(first.len()).unwrap().to_be_bytes(), first.as_bytes()]
                .concat();
        send(client, &initial).await;
        let challenge = message(client).await;
        if challenge.len() < 8 {
            return challenge;
        }
        let server_first = String::from_utf8(challenge[4..].to_vec()).unwrap();
        send(client, client_final(password, "n=,r=abc", &server_first, b"n,,").as_bytes()).await;
        message(client).await
    }

    async fn message(client: &mut DuplexStream) -> Vec<u8> {
        let Ok(_tag) = client.read_u8().await else { return Vec::new() };
        let mut body = vec![0; usize::try_from(client.read_u32().await.unwrap()).unwrap() - 4];
        client.read_exact(&mut body).await.unwrap();
        body
    }

    async fn send(client: &mut DuplexStream, body: &[u8]) {
        client.write_u8(b'p').await.unwrap();
        client.write_u32(u32::try_from(body.len() + 4).unwrap()).await.unwrap();
        client.write_all(body).await.unwrap();
    }

    async fn attempt(password: &'static str, verifier: Verifier, first: &'static str) -> Result<(), AuthError> {
        let (mut client, server) = tokio::io::duplex(10_000);
        let (read, write) = tokio::io::split(Box::new(server) as BoxedStream);
        let playing = tokio::spawn(async move { login(&mut client, password, "SCRAM-SHA-256", first).await });
        let (mut inbox, mut outbox) = (Inbox::new(read, SMALL_MESSAGE_BYTES_MAX), Outbox::new(write));
        let result = scram(&mut inbox, &mut outbox, "ann", verifier, None).await;
        let _ = outbox.flush().await;
        drop((inbox, outbox));
        let last = playing.await.unwrap();
        assert_eq!(result.is_ok(), last.starts_with(b"\0\0\0\x0cv="));
        result
    }

    #[tokio::test]
    async fn lets_in_who_knows_the_password() {
        attempt("right", verifier("right", b"salt"), "n,,n=,r=abc").await.unwrap();
    }

    #[tokio::test]
    async fn refuses_wrong_passwords_and_unknown_roles_alike() {
        let unknown = verifier_of(&Catalog::default(), "ann", &[1; 32]);
        for verifier in [verifier("right", b"salt"), unknown] {
            let before = tokio::time::Instant::now();
            let Err(AuthError::Refused(error)) = attempt("wrong", verifier, "n,,n=,r=abc").await else {
                panic!("was let in")
            };
            assert_eq!(error, password_failed("ann"));
            assert!(before.elapsed() >= FAILED_LOGIN_DELAY);
        }
    }

    #[tokio::test]
    async fn refuses_a_broken_exchange() {
        let result = attempt("right", verifier("right", b"salt"), "x").await;
        assert!(matches!(result, Err(AuthError::Refused(error)) if error.sqlstate == SqlState::PROTOCOL_VIOLATION));
    }

    #[test]
    fn an_expired_password_fits_nothing() {
        use crate::catalog::Object;
        let role = |valid_until: Option<i64>| {
            let json = serde_json::json!({
                "kind": "Role", "oid": 20000, "name": "ann", "owner": 20000, "superuser": false, "create_db": false,
                "create_role": false, "inherit": true, "login": true, "replication": false, "bypass_rls": false,
                "connection_limit": -1, "valid_until": valid_until,
                "password": "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
            });
            let object: Object = serde_json::from_value(json).unwrap();
            Catalog::new(1, 0, [Arc::new(object)])
        };
        let salt_shown = |catalog: &Catalog| {
            let exchange = Exchange::start(
                "SCRAM-SHA-256",
                "n,,n=,r=a",
                Channel::Plain,
                verifier_of(catalog, "ann", &[1; 32]),
                "b",
            );
            exchange.ok().unwrap().server_first().contains("s=W22ZaJ0SNY7soEsUEjb6gQ==")
        };
        assert!(salt_shown(&role(None)));
        assert!(salt_shown(&role(Some(i64::MAX))));
        assert!(!salt_shown(&role(Some(1))));
    }
}
