//! What went wrong with a file, in words that name the server, the table and the file, and never a credential.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;

use atoll_connector_api::{ConnectorError, RemoteText};
use datafusion::error::DataFusionError;
use object_store::client::{HttpError, HttpErrorKind};

/// Longest chain of causes that is walked; a cycle would otherwise never end.
const CAUSES_MAX: usize = 32;
/// Bytes of the code in an S3 error document that are shown.
const CODE_BYTES_MAX: usize = 64;
/// Codes of S3 that speak of the credentials rather than of their rights.
const CREDENTIAL_CODES: [&str; 5] =
    ["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "NotSignedUp"];

/// Whose file it is, for messages.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// The server's SQL name.
    pub(crate) server: String,
    /// `foreign table "s.t"` or `server "s"`.
    pub(crate) object: String,
    /// Passes on what the object store says.
    texts: RemoteText,
}

impl Owner {
    pub(crate) fn server(server: &str, texts: &RemoteText) -> Self {
        Self { server: server.to_owned(), object: format!("server \"{server}\""), texts: texts.clone() }
    }

    pub(crate) fn table(server: &str, table: &str, texts: &RemoteText) -> Self {
        Self { server: server.to_owned(), object: format!("foreign table \"{table}\""), texts: texts.clone() }
    }

    /// A file that is not what its format says.
    pub(crate) fn format(&self, path: &str, format: &'static str, reason: impl Into<String>) -> ConnectorError {
        ConnectorError::Format {
            path: path.to_owned(),
            object: self.object.clone(),
            format,
            reason: one_line(&reason.into()),
        }
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(&self, path: &str, reason: impl Into<String>) -> ConnectorError {
        ConnectorError::File {
            path: path.to_owned(),
            object: self.object.clone(),
            reason: reason.into(),
            missing: false,
            hint: None,
        }
    }

    /// A file or directory that does not exist.
    pub(crate) fn missing(&self, path: &str, reason: impl Into<String>) -> ConnectorError {
        ConnectorError::File {
            path: path.to_owned(),
            object: self.object.clone(),
            reason: reason.into(),
            missing: true,
            hint: None,
        }
    }

    /// A bound that a file breaks.
    pub(crate) fn limit(&self, path: &str, problem: impl std::fmt::Display) -> ConnectorError {
        ConnectorError::Limit { message: format!("{}: \"{path}\" {problem}", self.object), hint: None }
    }

    /// What an object store said about one path.
    pub(crate) fn store(&self, path: &str, error: &object_store::Error) -> ConnectorError {
        if let Some(own) = find::<ConnectorError>(error) {
            return own.clone();
        }
        // A connection's errors come from the operating system too.
        if find::<HttpError>(error).is_none()
            && let Some(error) = find::<io::Error>(error)
            && error.raw_os_error().is_some()
        {
            return self.io(path, error);
        }
        match error {
            object_store::Error::NotFound { .. } => match self.code(error) {
                Some(code) if code == "NoSuchBucket" => self.missing(path, code),
                _ => self.missing(path, "no such file"),
            },
            object_store::Error::Unauthenticated { .. } => self.login(path, error),
            object_store::Error::PermissionDenied { .. } => self.refused(path, error),
            object_store::Error::Precondition { .. } => self.unreadable(path, "the file changed while it was read"),
            object_store::Error::Generic { store: crate::store::LOCAL_STORE, source } => {
                self.unreadable(path, one_line(&innermost(source.as_ref())))
            }
            _ => self.transport(path, error),
        }
    }

    /// The code of a store's answer, which may be a secret that it was sent.
    fn code(&self, error: &object_store::Error) -> Option<String> {
        remote_code(error).map(|code| self.texts.clean(&code))
    }

    fn login(&self, path: &str, error: &object_store::Error) -> ConnectorError {
        let code = self.code(error).map_or(String::new(), |code| format!(" ({code})"));
        ConnectorError::Login {
            server: self.server.clone(),
            message: format!("the credentials for \"{path}\" were not accepted{code}"),
        }
    }

    fn refused(&self, path: &str, error: &object_store::Error) -> ConnectorError {
        let code = self.code(error).unwrap_or_else(|| "AccessDenied".into());
        // S3 answers 403 both to a wrong key and to a right one without the permission.
        if CREDENTIAL_CODES.contains(&code.as_str()) {
            return self.login(path, error);
        }
        ConnectorError::Denied {
            message: format!("server \"{}\" refused access to \"{path}\" ({code})", self.server),
            hint: Some("Check the user mapping's access key and its permissions at the object store.".into()),
        }
    }

    fn transport(&self, path: &str, error: &object_store::Error) -> ConnectorError {
        if let Some(kind) = find::<HttpError>(error).map(HttpError::kind) {
            let (server, source) = (self.server.clone(), io_cause(error));
            let source = self.texts.cause(source.as_ref());
            return match kind {
                HttpErrorKind::Connect | HttpErrorKind::Timeout => ConnectorError::Connect { server, source },
                _ => ConnectorError::ConnectionLost { server, source },
            };
        }
        // Listings have no error of their own for what was refused.
        match (self.code(error), remote_status(error)) {
            (Some(code), _) if code == "NoSuchBucket" || code == "NoSuchKey" => self.missing(path, code),
            (Some(code), _) if code == "AccessDenied" || CREDENTIAL_CODES.contains(&code.as_str()) => {
                self.refused(path, error)
            }
            (_, Some(401)) => self.login(path, error),
            (_, Some(403)) => self.refused(path, error),
            (Some(code), _) => self.unreadable(path, format!("the object store answered {code}")),
            (None, Some(status)) => {
                self.unreadable(path, format!("the object store answered with HTTP status {status}"))
            }
            // An answer's body may be that of any service behind the address: nothing of it is shown.
            (None, None) => self.unreadable(path, "the object store's answer is not understood"),
        }
    }

    /// What the operating system said about a local path.
    pub(crate) fn io(&self, path: &str, error: &io::Error) -> ConnectorError {
        let number = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
        match number {
            Some(rustix::io::Errno::XDEV) => ConnectorError::Denied {
                message: format!("reading the file \"{path}\" is not allowed"),
                hint: Some("A symbolic link in it leads out of the directory that --files-root names.".into()),
            },
            Some(rustix::io::Errno::NOENT) => self.missing(path, "no such file or directory"),
            Some(rustix::io::Errno::NOTDIR) => self.missing(path, "not a directory"),
            Some(rustix::io::Errno::LOOP) => self.unreadable(path, "too many levels of symbolic links"),
            Some(rustix::io::Errno::ACCESS | rustix::io::Errno::PERM) => self.unreadable(path, "permission denied"),
            _ => self.unreadable(path, one_line(&error.to_string())),
        }
    }

    /// An error out of DataFusion or Arrow while `path` was read as `format`.
    pub(crate) fn reading(&self, path: &str, format: &'static str, error: &DataFusionError) -> ConnectorError {
        if let Some(own) = find::<ConnectorError>(error) {
            return own.clone();
        }
        if let Some(store) = find::<object_store::Error>(error) {
            return self.store(path, store);
        }
        if let DataFusionError::ResourcesExhausted(message) = error.find_root() {
            return ConnectorError::Limit { message: one_line(message), hint: None };
        }
        self.format(path, format, innermost(error))
    }
}

/// The first error of a type in a chain of causes.
pub(crate) fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut current = Some(error);
    for _ in 0..CAUSES_MAX {
        let error = current?;
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // Shared errors hide what they hold behind an Arc, and `io::Error` behind its custom payload.
        if let Some(DataFusionError::Shared(shared)) = error.downcast_ref::<DataFusionError>() {
            current = Some(shared.as_ref());
            continue;
        }
        current = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

/// The text of the last cause: it names the problem, while those above it name requests and addresses.
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut current = error;
    for _ in 0..CAUSES_MAX {
        match current.source() {
            Some(source) => current = source,
            None => break,
        }
    }
    current.to_string()
}

fn io_cause(error: &(dyn StdError + 'static)) -> Arc<dyn StdError + Send + Sync> {
    Arc::new(io::Error::other(one_line(&innermost(error))))
}

/// The code of an S3 error document, when the text holds one.
fn remote_code(error: &(dyn StdError + 'static)) -> Option<String> {
    in_texts(error, |text| {
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code)?;
        let is_code =
            !code.is_empty() && code.len() <= CODE_BYTES_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_code.then(|| code.to_owned())
    })
}

/// The HTTP status of an answer that was an error. The client's own type for it is private.
fn remote_status(error: &(dyn StdError + 'static)) -> Option<u16> {
    in_texts(error, |text| {
        let (_, rest) = text.split_once("non-2xx status code: ")?;
        rest.get(..3)?.parse().ok().filter(|status| (100..600).contains(status))
    })
}

/// The first thing that is found in the texts of a chain of causes.
fn in_texts<T>(error: &(dyn StdError + 'static), find: impl Fn(&str) -> Option<T>) -> Option<T> {
    let mut current = Some(error);
    for _ in 0..CAUSES_MAX {
        let error = current?;
        if let Some(found) = find(&error.to_string()) {
            return Some(found);
        }
        current = error.source();
    }
    None
}

/// Text from elsewhere, made fit for a message: one line, of bounded length.
pub(crate) fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 300;
    text.chars().take(CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// Text of a panic that a decoder raised on hostile input.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    if text.is_empty() { "the decoder gave up".into() } else { format!("the decoder gave up: {}", one_line(&text)) }
}
