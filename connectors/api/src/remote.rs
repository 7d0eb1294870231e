//! What a remote server says, made fit to be passed on: without the secrets of the mapping that it was told, of bounded
//! length, and without characters that steer a terminal. A remote is not trusted to be the server that was meant.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::{ConnectorError, OptionSpec, ServerSpec};

/// Bytes of one text of a remote that are passed on.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// Bytes of one text that are looked at. What is hidden is longer than what stands for it.
const SCANNED_BYTES_MAX: usize = 8 * TEXT_BYTES_MAX;
/// Shorter secrets are not looked for: they occur in every text, and are guessed sooner than read.
const SECRET_BYTES_MIN: usize = 4;
/// Longest chain of causes that is walked.
const CAUSES_MAX: usize = 32;
const HIDDEN: &str = "***";
const CUT: &str = "… (cut)";
/// SQLSTATE of a remote's error that has none.
const NO_STATE: &str = "HV000";

/// Passes on what the remote behind one server and mapping says.
#[derive(Clone, Default)]
pub struct RemoteText {
    secrets: Arc<[Secret]>,
}

/// Prints nothing of the secrets.
impl fmt::Debug for RemoteText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteText").finish_non_exhaustive()
    }
}

impl RemoteText {
    /// Knows the secret options among those of a server and its user mapping, as the wrapper's `specs` mark them.
    pub fn new(specs: &[OptionSpec], server: &ServerSpec) -> Self {
        let is_secret = |name: &str| specs.iter().any(|spec| spec.secret && spec.name == name);
        let given = server.options.iter().chain(server.user_options.iter());
        let secrets = given.filter(|(name, value)| is_secret(name) && value.len() >= SECRET_BYTES_MIN);
        Self { secrets: secrets.map(|(_, value)| Secret::new(value)).collect() }
    }

    /// A text without secrets, steering characters and excess.
    pub fn clean(&self, text: &str) -> String {
        let mut cleaned = self.hide(text, SCANNED_BYTES_MAX, TEXT_BYTES_MAX);
        if cleaned.chars().any(is_steering) {
            cleaned = cleaned.chars().map(|c| if is_steering(c) { ' ' } else { c }).collect();
        }
        cleaned
    }

    /// An error whose texts came from the remote, without secrets, steering characters and excess. Causes become one text:
    /// what else they hold would show where an error is printed for debugging.
    #[must_use]
    pub fn error(&self, error: ConnectorError) -> ConnectorError {
        match error {
            ConnectorError::Connect { server, source } => {
                ConnectorError::Connect { server, source: self.cause(source.as_ref()) }
            }
            ConnectorError::ConnectionLost { server, source } => {
                ConnectorError::ConnectionLost { server, source: self.cause(source.as_ref()) }
            }
            ConnectorError::Login { server, message } => {
                let cleaned = self.clean(&message);
                // The word decides on the SQLSTATE. Who knows the usual text would read a hidden word from its gap.
                let hidden = message.contains("password") && !cleaned.contains("password");
                let message = if hidden { "the password was not accepted".into() } else { cleaned };
                ConnectorError::Login { server, message }
            }
            ConnectorError::Remote { server, sqlstate, message, detail, hint, remote_sql } => {
                let valid =
                    sqlstate.len() == NO_STATE.len() && sqlstate.bytes().all(|byte| byte.is_ascii_alphanumeric());
                ConnectorError::Remote {
                    server,
                    sqlstate: if valid && self.clean(&sqlstate) == sqlstate { sqlstate } else { NO_STATE.into() },
                    message: self.clean(&message),
                    detail: detail.map(|text| self.clean(&text)),
                    hint: hint.map(|text| self.clean(&text)),
                    // Ours, but its names are the remote's.
                    remote_sql: remote_sql.map(|sql| self.hide(&sql, usize::MAX, usize::MAX)),
                }
            }
            other => other,
        }
    }

    /// An error and its causes as one text.
    pub fn cause(&self, error: &(dyn StdError + 'static)) -> Arc<dyn StdError + Send + Sync> {
        let mut text = self.clean(&error.to_string());
        let mut next = error.source();
        for _ in 0..CAUSES_MAX {
            let Some(cause) = next else { break };
            let said = self.clean(&cause.to_string());
            if !text.contains(&said) && text.len() < TEXT_BYTES_MAX {
                text.push_str(": ");
                text.push_str(&said);
            }
            next = cause.source();
        }
        Arc::new(RemoteCause(text))
    }

    /// Puts a mark in place of every secret within the first bytes, as far as the result has room.
    fn hide(&self, text: &str, scanned_max: usize, kept_max: usize) -> String {
        let mut kept = String::with_capacity(text.len().min(kept_max));
        // The end of the secret that was found last; another may begin within it and reach further.
        let mut hidden_to = 0;
        for (at, c) in text.char_indices() {
            if at >= scanned_max || kept.len() >= kept_max {
                kept.truncate(floor_char_boundary(&kept, kept_max));
                kept.push_str(CUT);
                break;
            }
            let rest = text.as_bytes().get(at..).unwrap_or_default();
            let found = self.secrets.iter().filter_map(|secret| secret.at(rest)).max();
            if let Some(length) = found {
                if at >= hidden_to {
                    kept.push_str(HIDDEN);
                }
                hidden_to = hidden_to.max(at + length);
            }
            if at >= hidden_to {
                kept.push(c);
            }
        }
        kept
    }
}

fn floor_char_boundary(text: &str, most: usize) -> usize {
    (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Escape sequences begin with one; lines and columns are harmless.
fn is_steering(c: char) -> bool {
    c.is_control() && c != '\n' && c != '\t'
}

/// What remains of an error of a remote's connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct RemoteCause(String);

/// One secret, and the spellings of it that are not found by walking along.
struct Secret {
    bytes: Box<[u8]>,
    /// Within a longer text, base64 depends on where the secret begins: the characters that it shares with its neighbours
    /// are not here.
    base64: [Box<[u8]>; 3],
    /// With escapes, as programs quote a text.
    escaped: [Box<[u8]>; 2],
}

impl Secret {
    fn new(secret: &str) -> Self {
        let shifted = |before: usize| {
            let encoded = BASE64.encode([&[0; 2][..before.min(2)], secret.as_bytes()].concat());
            let (begin, end) = ((before * 8).div_ceil(6), (before + secret.len()) * 8 / 6);
            encoded.get(begin..end).unwrap_or_default().as_bytes().into()
        };
        let escaped = format!("{secret:?}");
        Self {
            bytes: secret.as_bytes().into(),
            base64: [shifted(0), shifted(1), shifted(2)],
            escaped: [
                escaped.get(1..escaped.len() - 1).unwrap_or(secret).as_bytes().into(),
                secret.replace('\'', "''").into_bytes().into(),
            ],
        }
    }

    /// How much of the beginning of `text` is this secret, in its longest spelling.
    fn at(&self, text: &[u8]) -> Option<usize> {
        let base64 = self.base64.iter().filter_map(|core| in_base64(text, core));
        let escaped = self.escaped.iter().filter(|spelled| text.starts_with(spelled)).map(|spelled| spelled.len());
        base64.chain(escaped).chain(self.in_url(text)).chain(self.in_hex(text)).max()
    }

    /// Plain, or with any of its bytes encoded for a URL.
    fn in_url(&self, text: &[u8]) -> Option<usize> {
        let mut rest = text;
        for wanted in &self.bytes {
            rest = match rest {
                [b'%', high, low, after @ ..] if hex(*high, *low) == Some(*wanted) => after,
                [b'+', after @ ..] if *wanted == b' ' => after,
                [byte, after @ ..] if byte == wanted => after,
                _ => return None,
            };
        }
        Some(text.len() - rest.len())
    }

    fn in_hex(&self, text: &[u8]) -> Option<usize> {
        let mut pairs = text.chunks_exact(2);
        let same = |wanted: &u8| matches!(pairs.next(), Some([high, low]) if hex(*high, *low) == Some(*wanted));
        self.bytes.iter().all(same).then_some(2 * self.bytes.len())
    }
}

/// How much of the beginning of a text is `core`, in the common alphabet or in that of URLs, with the character that ends
/// its last byte and the padding.
fn in_base64(text: &[u8], core: &[u8]) -> Option<usize> {
    let common = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let (head, rest) = text.split_at_checked(core.len())?;
    if !head.iter().zip(core).all(|(byte, wanted)| common(*byte) == *wanted) {
        return None;
    }
    let is_digit = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(common(**byte), b'+' | b'/');
    let shared = rest.iter().take(1).take_while(is_digit).count();
    let padding = rest.iter().skip(shared).take(2).take_while(|byte| **byte == b'=').count();
    Some(core.len() + shared + padding)
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
