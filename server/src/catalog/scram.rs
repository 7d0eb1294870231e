//! SCRAM-SHA-256 verifiers as PostgreSQL stores them in `pg_authid.rolpassword` (RFC 5802, RFC 7677).

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::rand::{SecureRandom, SystemRandom};
use ring::{digest, hmac, pbkdf2};

use super::model::ScramVerifier;

/// `SCRAM_SHA_256_DEFAULT_ITERATIONS` in PostgreSQL's `common/scram-common.h`.
pub const ITERATIONS: u32 = 4_096;
/// `SCRAM_DEFAULT_SALT_LEN`, bytes.
pub const SALT_BYTES: usize = 16;
/// SHA-256's output, bytes.
const KEY_BYTES: usize = digest::SHA256_OUTPUT_LEN;
/// Beyond this many, one login attempt would keep a core busy for seconds; a verifier that asks for more is refused.
const ITERATIONS_MAX: u32 = 1_000_000;
const PREFIX: &str = "SCRAM-SHA-256$";

/// Why a password cannot be stored.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says it")]
pub enum ScramError {
    #[error("MD5 password hashes are not supported")]
    Md5,
    #[error("invalid SCRAM-SHA-256 verifier")]
    Verifier,
    #[error("could not generate a random salt")]
    Random,
}

/// The parts of a verifier, for the exchange on the wire. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierParts {
    /// PBKDF2 rounds.
    pub iterations: u32,
    /// The salt, decoded.
    pub salt: Vec<u8>,
    /// `H(ClientKey)`.
    pub stored_key: [u8; KEY_BYTES],
    /// For the server's signature.
    pub server_key: [u8; KEY_BYTES],
}

impl std::fmt::Debug for VerifierParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VerifierParts").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramVerifier {
    /// What is stored for the password of CREATE and ALTER ROLE: a verifier with a fresh salt, or, where the password is
    /// such a verifier already, itself, as PostgreSQL does it.
    ///
    /// # Errors
    /// [`ScramError::Md5`] for an `md5…` hash, [`ScramError::Random`] without randomness.
    pub fn from_password(password: &str) -> Result<Self, ScramError> {
        if is_md5_hash(password) {
            return Err(ScramError::Md5);
        }
        if parse(password).is_some() {
            return Ok(Self(password.to_owned()));
        }
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).map_err(|_| ScramError::Random)?;
        Ok(Self::derive(password, &salt, NonZeroU32::new(ITERATIONS).unwrap_or(NonZeroU32::MIN)))
    }

    fn derive(password: &str, salt: &[u8], iterations: NonZeroU32) -> Self {
        let salted = salted_password(password, salt, iterations);
        let client_key = sign(&salted, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = sign(&salted, b"Server Key");
        Self(format!(
            "{PREFIX}{iterations}:{}${}:{}",
            BASE64.encode(salt),
            BASE64.encode(stored_key),
            BASE64.encode(server_key)
        ))
    }

    /// The verifier's parts.
    ///
    /// # Errors
    /// [`ScramError::Verifier`] where the stored text is none.
    pub fn parts(&self) -> Result<VerifierParts, ScramError> {
        parse(&self.0).ok_or(ScramError::Verifier)
    }

    /// Whether a password in the clear is the one behind this verifier, in time that does not depend on where they differ.
    pub fn verify_password(&self, password: &str) -> bool {
        let Some(parts) = parse(&self.0) else { return false };
        let Some(iterations) = NonZeroU32::new(parts.iterations) else { return false };
        let server_key = sign(&salted_password(password, &parts.salt, iterations), b"Server Key");
        // Comparing two MACs under one random key tells nothing of where the keys differ.
        hmac::verify(
            &hmac::Key::new(hmac::HMAC_SHA256, &parts.stored_key),
            server_key.as_ref(),
            sign(&parts.stored_key, &parts.server_key).as_ref(),
        )
        .is_ok()
    }
}

impl VerifierParts {
    /// Checks a client's proof over `AuthMessage` (RFC 5802, section 3) in constant time.
    pub fn verify_proof(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        if proof.len() != KEY_BYTES {
            return false;
        }
        let signature = sign(&self.stored_key, auth_message);
        let client_key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(proof, byte)| proof ^ byte).collect();
        let claimed = digest::digest(&digest::SHA256, &client_key);
        let key = hmac::Key::new(hmac::HMAC_SHA256, auth_message);
        hmac::verify(&key, claimed.as_ref(), hmac::sign(&key, &self.stored_key).as_ref()).is_ok()
    }

    /// The server's signature over `AuthMessage`, which proves that it knows the verifier.
    pub fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        sign(&self.server_key, auth_message).as_ref().to_vec()
    }
}

fn sign(key: &[u8], message: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message)
}

fn salted_password(password: &str, salt: &[u8], iterations: NonZeroU32) -> [u8; KEY_BYTES] {
    // PostgreSQL takes a password that SASLprep refuses as it is.
    let prepared = stringprep::saslprep(password).unwrap_or(std::borrow::Cow::Borrowed(password));
    let mut salted = [0; KEY_BYTES];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, prepared.as_bytes(), &mut salted);
    salted
}

/// `get_password_type` in PostgreSQL: `md5` and 32 lower-case hexadecimal digits.
fn is_md5_hash(password: &str) -> bool {
    password
        .strip_prefix("md5")
        .is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

fn parse(text: &str) -> Option<VerifierParts> {
    let (parameters, keys) = text.strip_prefix(PREFIX)?.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored_key, server_key) = keys.split_once(':')?;
    let iterations = iterations.parse().ok().filter(|count| (1..=ITERATIONS_MAX).contains(count))?;
    Some(VerifierParts {
        iterations,
        salt: BASE64.decode(salt).ok()?,
        stored_key: BASE64.decode(stored_key).ok()?.try_into().ok()?,
        server_key: BASE64.decode(server_key).ok()?.try_into().ok()?,
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn derives_what_postgresql_derives() {
        // From PostgreSQL 15: the verifier that CREATE ROLE … PASSWORD 'pencil' stored.
        let verifier = ScramVerifier(PG15_PENCIL.to_owned());
        let parts = verifier.parts().unwrap();
        assert_eq!(ScramVerifier::derive("pencil", &parts.salt, NonZeroU32::new(4096).unwrap()), verifier);
        assert!(verifier.verify_password("pencil"));
        assert!(!verifier.verify_password("pencil "));
    }

    const PG15_PENCIL: &str = "SCRAM-SHA-256$4096:K+7M3pnCBbQ5VpWiUcOXsQ==$IYD1ZSEmtrBC+ADP3Z6G8/bf1K5HWgdOy9cxtXt8Z7o=:pvSOfmctciwgAIq90uXWP0JkeIMn2iOtTSIvfclgM2M=";

    #[test]
    fn a_fresh_verifier_fits_its_password_only_and_is_salted() {
        let one = ScramVerifier::from_password("geheim").unwrap();
        let two = ScramVerifier::from_password("geheim").unwrap();
        assert_ne!(one, two);
        assert!(one.verify_password("geheim") && !one.verify_password("Geheim"));
        assert_eq!(one.parts().unwrap().iterations, ITERATIONS);
        assert!(!format!("{one:?} {:?}", one.parts().unwrap()).contains("SCRAM-SHA-256$"));
    }

    #[test]
    fn a_verifier_is_taken_as_it_is_and_md5_is_refused() {
        let verifier = ScramVerifier::from_password(PG15_PENCIL).unwrap();
        assert_eq!(verifier.0, PG15_PENCIL);
        assert!(matches!(ScramVerifier::from_password("md50123456789abcdef0123456789abcdef"), Err(ScramError::Md5)));
        assert!(ScramVerifier::from_password("md5-is-no-hash").unwrap().0.starts_with(PREFIX));
        assert!(ScramVerifier("SCRAM-SHA-256$0:AA==$AA==:AA==".into()).parts().is_err());
        assert!(!ScramVerifier("nonsense".into()).verify_password("nonsense"));
    }

    #[test]
    fn proofs_are_checked_as_rfc_7677_has_them() {
        // The exchange of RFC 7677, section 3.
        let salt = BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let parts = ScramVerifier::derive("pencil", &salt, NonZeroU32::new(4096).unwrap()).parts().unwrap();
        let message = b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
            s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = BASE64.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        assert!(parts.verify_proof(message, &proof));
        assert!(!parts.verify_proof(b"another message", &proof));
        assert!(!parts.verify_proof(message, &proof[1..]));
        assert_eq!(BASE64.encode(parts.server_signature(message)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }
}
