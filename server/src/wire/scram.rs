//! The server's half of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677, RFC 5929) as a small state machine:
//! no socket, no catalog.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::{digest, hmac};

use crate::catalog::scram::{ITERATIONS, SALT_BYTES};
use crate::error::{SqlError, SqlState};

/// The mechanism without channel binding.
pub(super) const SCRAM_SHA_256: &str = "SCRAM-SHA-256";
/// The mechanism that binds the exchange to the TLS channel.
pub(super) const SCRAM_SHA_256_PLUS: &str = "SCRAM-SHA-256-PLUS";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 18;

/// What the server keeps of a password.
#[derive(Clone)]
pub(super) struct Verifier {
    iterations: u32,
    salt: Vec<u8>,
    stored_key: [u8; KEY_BYTES],
    server_key: [u8; KEY_BYTES],
}

impl Verifier {
    /// Reads `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (parameters, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let (iterations, salt) = parameters.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let key = |text| BASE64.decode(text).ok()?.try_into().ok();
        let iterations = iterations.parse().ok().filter(|count| *count > 0)?;
        Some(Self {
            iterations,
            salt: BASE64.decode(salt).ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        })
    }

    /// A verifier that no password fits, the same for the same name each time: whoever asks cannot tell it from a real one.
    pub(super) fn mock(nonce: &[u8; KEY_BYTES], user: &str) -> Self {
        let salt = hmac(nonce, &[b"salt:", user.as_bytes()]);
        Self {
            iterations: ITERATIONS,
            salt: salt[..SALT_BYTES].to_vec(),
            stored_key: hmac(nonce, &[b"stored:", user.as_bytes()]),
            server_key: hmac(nonce, &[b"server:", user.as_bytes()]),
        }
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; KEY_BYTES] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut bytes = [0; KEY_BYTES];
    bytes.copy_from_slice(context.sign().as_ref());
    bytes
}

/// What the channel offers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Channel<'a> {
    /// Not encrypted, or a certificate that `tls-server-end-point` is not defined for.
    Plain,
    /// The hash of the server's certificate.
    EndPoint(&'a [u8]),
}

/// Why an exchange failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ScramError {
    /// The client broke the protocol.
    Violation(SqlError),
    /// The proof is not of this password.
    Mismatch,
}

fn malformed(detail: &str) -> ScramError {
    ScramError::Violation(SqlError::new(SqlState::PROTOCOL_VIOLATION, "malformed SCRAM message").detail(detail))
}

/// An exchange that waits for the client's final message.
pub(super) struct Exchange {
    verifier: Verifier,
    client_first_bare: String,
    server_first: String,
    nonce: String,
    channel_binding: String,
}

/// A server's nonce.
pub(super) fn random_nonce() -> Result<String, ring::error::Unspecified> {
    let mut bytes = [0; NONCE_BYTES];
    ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes)?;
    Ok(BASE64.encode(bytes))
}

impl Exchange {
    /// Takes the client's first message; [`Self::server_first`] is the answer.
    pub(super) fn start(
        mechanism: &str,
        client_first: &str,
        channel: Channel<'_>,
        verifier: Verifier,
        server_nonce: &str,
    ) -> Result<Self, ScramError> {
        let (flag, rest) = client_first.split_once(',').ok_or_else(|| malformed("The message is too short."))?;
        let (authorization, bare) = rest.split_once(',').ok_or_else(|| malformed("The message is too short."))?;
        if !authorization.is_empty() {
            let error = SqlError::unsupported("client uses authorization identity, but it is not supported");
            return Err(ScramError::Violation(error));
        }
        let binding_data = check_binding(flag, mechanism, channel)?;
        if bare.starts_with("m=") {
            let error = SqlError::unsupported("client requires an unsupported SCRAM extension");
            return Err(ScramError::Violation(error));
        }
        let mut attributes = bare.split(',');
        // The name that counts is the startup packet's, as in PostgreSQL.
        attribute(attributes.next(), "n")?;
        let client_nonce = attribute(attributes.next(), "r")?;
        if client_nonce.is_empty() || !client_nonce.bytes().all(|byte| (0x21..=0x7e).contains(&byte)) {
            return Err(malformed("Non-printable characters in SCRAM nonce."));
        }
        let nonce = format!("{client_nonce}{server_nonce}");
        let salt = BASE64.encode(&verifier.salt);
        let server_first = format!("r={nonce},s={salt},i={}", verifier.iterations);
        let mut binding = format!("{flag},,").into_bytes();
        binding.extend_from_slice(binding_data);
        Ok(Self {
            verifier,
            client_first_bare: bare.to_owned(),
            server_first,
            nonce,
            channel_binding: BASE64.encode(binding),
        })
    }

    /// The server's first message.
    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Checks the client's final message and yields the server's, which proves that it knew the verifier.
    pub(super) fn finish(self, client_final: &str) -> Result<String, ScramError> {
        let (without_proof, proof) =
            client_final.rsplit_once(",p=").ok_or_else(|| malformed("The proof is missing."))?;
        let mut attributes = without_proof.split(',');
        let binding = attribute(attributes.next(), "c")?;
        let nonce = attribute(attributes.next(), "r")?;
        if binding != self.channel_binding {
            let error =
                SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, "SCRAM channel binding check failed");
            return Err(ScramError::Violation(error));
        }
        if nonce != self.nonce {
            return Err(malformed("Nonce does not match."));
        }
        let proof: [u8; KEY_BYTES] = BASE64
            .decode(proof)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| malformed("Malformed proof in client-final-message."))?;
        let message: [&[u8]; 5] =
            [self.client_first_bare.as_bytes(), b",", self.server_first.as_bytes(), b",", without_proof.as_bytes()];
        let signature = hmac(&self.verifier.stored_key, &message);
        let mut client_key = [0; KEY_BYTES];
        for ((byte, proof), signature) in client_key.iter_mut().zip(proof).zip(signature) {
            *byte = proof ^ signature;
        }
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        if !same(stored_key.as_ref(), &self.verifier.stored_key) {
            return Err(ScramError::Mismatch);
        }
        Ok(format!("v={}", BASE64.encode(hmac(&self.verifier.server_key, &message))))
    }
}

/// Takes a text for either message of an exchange, which must not succeed: for fuzzers.
pub(super) fn fuzz(text: &str) {
    let verifier = || Verifier::mock(&[0; KEY_BYTES], "x");
    for channel in [Channel::Plain, Channel::EndPoint(b"hash")] {
        for mechanism in [SCRAM_SHA_256, SCRAM_SHA_256_PLUS] {
            let _ = Exchange::start(mechanism, text, channel, verifier(), "n");
        }
    }
    if let Ok(exchange) = Exchange::start(SCRAM_SHA_256, "n,,n=,r=abc", Channel::Plain, verifier(), "n") {
        assert!(exchange.finish(text).is_err(), "a proof fits a verifier that no password has");
    }
}

fn attribute<'a>(text: Option<&'a str>, name: &str) -> Result<&'a str, ScramError> {
    text.and_then(|text| text.strip_prefix(name)?.strip_prefix('='))
        .ok_or_else(|| malformed(&format!("Attribute \"{name}\" is missing.")))
}

/// RFC 5802, 6: which data the client must have bound, or why its choice is refused.
fn check_binding<'a>(flag: &str, mechanism: &str, channel: Channel<'a>) -> Result<&'a [u8], ScramError> {
    let refused =
        |message: &str| ScramError::Violation(SqlError::new(SqlState::INVALID_AUTHORIZATION_SPECIFICATION, message));
    match (flag, mechanism, channel) {
        ("p=tls-server-end-point", SCRAM_SHA_256_PLUS, Channel::EndPoint(hash)) => Ok(hash),
        ("n", SCRAM_SHA_256, _) | ("y", SCRAM_SHA_256, Channel::Plain) => Ok(&[]),
        // Somebody in between has taken the mechanism with channel binding out of our list.
        ("y", SCRAM_SHA_256, Channel::EndPoint(_)) => Err(refused("SCRAM channel binding negotiation error")),
        (flag, SCRAM_SHA_256_PLUS, Channel::EndPoint(_)) if flag.starts_with("p=") => {
            Err(malformed("Unsupported SCRAM channel-binding type."))
        }
        _ => Err(malformed("The channel-binding flag does not fit the SASL mechanism.")),
    }
}

/// Compares in a time that does not depend on where the first difference is.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    let difference = left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right));
    std::hint::black_box(difference) == 0 && left.len() == right.len()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
pub(super) mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    /// A verifier for a password, as the catalog stores it.
    pub(in crate::wire) fn verifier(password: &str, salt: &[u8]) -> Verifier {
        let salted = salted_password(password, salt);
        let client_key = hmac(&salted, &[b"Client Key"]);
        let stored_key = digest::digest(&digest::SHA256, &client_key).as_ref().try_into().unwrap();
        let server_key = hmac(&salted, &[b"Server Key"]);
        Verifier { iterations: 4096, salt: salt.to_vec(), stored_key, server_key }
    }

    fn salted_password(password: &str, salt: &[u8]) -> [u8; KEY_BYTES] {
        let mut salted = [0; KEY_BYTES];
        let iterations = NonZeroU32::new(4096).unwrap();
        ring::pbkdf2::derive(ring::pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, password.as_bytes(), &mut salted);
        salted
    }

    /// What a client answers, computed as RFC 5802 says and apart from the code under test's own steps.
    pub(in crate::wire) fn client_final(
        password: &str,
        first_bare: &str,
        server_first: &str,
        binding: &[u8],
    ) -> String {
        let (nonce, rest) = server_first.strip_prefix("r=").unwrap().split_once(",s=").unwrap();
        let (salt, _) = rest.split_once(",i=").unwrap();
        let salted = salted_password(password, &BASE64.decode(salt).unwrap());
        let client_key = hmac(&salted, &[b"Client Key"]);
        let stored_key = digest::digest(&digest::SHA256, &client_key);
        let without_proof = format!("c={},r={nonce}", BASE64.encode(binding));
        let message = format!("{first_bare},{server_first},{without_proof}");
        let signature = hmac(stored_key.as_ref(), &[message.as_bytes()]);
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, signature)| key ^ signature).collect();
        format!("{without_proof},p={}", BASE64.encode(proof))
    }

    #[test]
    fn follows_the_exchange_of_rfc_7677() {
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let exchange = Exchange::start(
            SCRAM_SHA_256,
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            Channel::Plain,
            verifier("pencil", &salt),
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .unwrap();
        assert_eq!(
            exchange.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let client_final = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(exchange.finish(client_final).unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    fn attempt(
        password: &str,
        binding: &[u8],
        flag: &str,
        mechanism: &str,
        channel: Channel<'_>,
    ) -> Result<(), ScramError> {
        let bare = "n=,r=abc";
        let first = format!("{flag},,{bare}");
        let exchange = Exchange::start(mechanism, &first, channel, verifier("right", b"salt"), "def")?;
        let answer = client_final(password, bare, exchange.server_first(), binding);
        exchange.finish(&answer).map(|_| ())
    }

    #[test]
    fn a_wrong_password_is_a_mismatch() {
        assert_eq!(attempt("right", b"n,,", "n", SCRAM_SHA_256, Channel::Plain), Ok(()));
        assert_eq!(attempt("wrong", b"n,,", "n", SCRAM_SHA_256, Channel::Plain), Err(ScramError::Mismatch));
    }

    #[test]
    fn channel_binding_binds() {
        let channel = Channel::EndPoint(b"hash");
        let flag = "p=tls-server-end-point";
        assert_eq!(attempt("right", b"p=tls-server-end-point,,hash", flag, SCRAM_SHA_256_PLUS, channel), Ok(()));
        assert_eq!(attempt("right", b"n,,", "n", SCRAM_SHA_256, channel), Ok(()));
        for (binding, flag, mechanism, channel) in [
            (&b"p=tls-server-end-point,,other"[..], flag, SCRAM_SHA_256_PLUS, channel),
            (b"y,,", "y", SCRAM_SHA_256, channel),
            (b"n,,", "n", SCRAM_SHA_256_PLUS, channel),
            (b"p=tls-unique,,hash", "p=tls-unique", SCRAM_SHA_256_PLUS, channel),
            (b"p=tls-server-end-point,,hash", flag, SCRAM_SHA_256, channel),
            (b"p=tls-server-end-point,,hash", flag, SCRAM_SHA_256_PLUS, Channel::Plain),
        ] {
            let result = attempt("right", binding, flag, mechanism, channel);
            assert!(matches!(result, Err(ScramError::Violation(_))), "{flag} {mechanism} {result:?}");
        }
        assert_eq!(attempt("right", b"y,,", "y", SCRAM_SHA_256, Channel::Plain), Ok(()));
    }

    #[test]
    fn reads_stored_verifiers_and_nothing_else() {
        let text = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let parsed = Verifier::parse(text).unwrap();
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let expected = verifier("pencil", &salt);
        assert_eq!(
            (parsed.iterations, parsed.salt, parsed.stored_key, parsed.server_key),
            (4096, salt, expected.stored_key, expected.server_key)
        );
        for text in ["", "md5abc", "SCRAM-SHA-256$0:YQ==$YQ==:YQ==", "SCRAM-SHA-256$4096:YQ==$YQ==:YQ=="] {
            assert!(Verifier::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_mock_is_stable_and_differs_by_name() {
        let salt = |user| Verifier::mock(&[7; 32], user).salt;
        assert_eq!(salt("a"), salt("a"));
        assert_ne!(salt("a"), salt("b"));
        assert_eq!(salt("a").len(), SALT_BYTES);
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(first in ".{0,40}", last in "(c=biws,)?.{0,40}(,p=.{0,10})?") {
            let _ = Exchange::start(SCRAM_SHA_256, &first, Channel::Plain, Verifier::mock(&[0; 32], "x"), "n");
            let exchange = Exchange::start(SCRAM_SHA_256, "n,,n=,r=a", Channel::Plain, Verifier::mock(&[0; 32], "x"), "n");
            prop_assert!(exchange.unwrap().finish(&last).is_err());
        }
    }
}
