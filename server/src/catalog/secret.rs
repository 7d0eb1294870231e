//! Secrets in options: encrypted at rest, or references to an environment variable or a file.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atoll_connector_api::Options;
use atoll_connector_api::paths::FilesRoots;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};

use super::model::{Oid, SealedSecret, StoredOption, StoredValue};

/// AES-256.
pub const KEY_BYTES: usize = 32;
/// The key file in the data directory.
pub const KEY_FILE: &str = "master.key";
/// A secret file holds a token or a password, not more.
const REFERENCED_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Variables that no reference may name, whatever the configuration lists.
const REFUSED_VARIABLES: [&str; 2] = ["ATOLL_MASTER_KEY", "ATOLL_PASSWORD"];
const SEALED_PREFIX: &str = "v1:";

/// Why a secret could not be stored or read. No message holds one.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum SecretError {
    /// The key is not 32 bytes in base64 or hexadecimal.
    #[error("the master key must be {KEY_BYTES} bytes in base64 or hexadecimal")]
    KeyText,
    #[error("could not read or create the key file \"{}\"", path.display())]
    KeyFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the key file \"{}\" {problem}", path.display())]
    KeyFileInvalid { path: PathBuf, problem: &'static str },
    #[error("the operating system gave no random bytes")]
    Random,
    /// Another key, another object, or damage.
    #[error("the stored value of option \"{option}\" cannot be decrypted with this master key")]
    Open { option: String },
    #[error("option \"{option}\" could not be encrypted")]
    Seal { option: String },
    /// Not on the configured list.
    #[error("the reference \"{reference}\" is not allowed")]
    ReferenceDenied { reference: String },
    #[error("the reference \"{reference}\" has no value: {reason}")]
    ReferenceMissing { reference: String, reason: String },
}

/// The catalog's master key. `Debug` shows nothing; clones share it.
#[derive(Clone)]
pub struct SecretKey(Arc<KeyMaterial>);

struct KeyMaterial {
    sealing: LessSafeKey,
    deriving: Prk,
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

impl SecretKey {
    /// A key of exactly these bytes.
    pub fn from_bytes(bytes: &[u8; KEY_BYTES]) -> Self {
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("AES-256-GCM takes every key of 32 bytes");
        let deriving = Salt::new(HKDF_SHA256, b"atoll:v1").extract(bytes);
        Self(Arc::new(KeyMaterial { sealing: LessSafeKey::new(key), deriving }))
    }

    /// 32 bytes for another purpose, which tell nothing about the key (HKDF, RFC 5869). They are the same for all servers
    /// of one catalog, and after each restart.
    pub fn derive(&self, purpose: &str) -> [u8; KEY_BYTES] {
        let mut derived = [0; KEY_BYTES];
        let info = [purpose.as_bytes()];
        let output =
            self.0.deriving.expand(&info, HKDF_SHA256).expect("HKDF yields up to 255 hashes, one is asked for");
        output.fill(&mut derived).expect("a hash of SHA-256 has 32 bytes");
        derived
    }

    /// A key as `ATOLL_MASTER_KEY` holds it: 32 bytes in base64 or hexadecimal.
    ///
    /// # Errors
    /// [`SecretError::KeyText`].
    pub fn from_text(text: &str) -> Result<Self, SecretError> {
        let text = text.trim();
        let bytes = decode_hex(text).or_else(|| BASE64.decode(text).ok()).ok_or(SecretError::KeyText)?;
        let bytes: [u8; KEY_BYTES] = bytes.try_into().map_err(|_| SecretError::KeyText)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Reads the key file; `None` where there is none.
    ///
    /// # Errors
    /// [`SecretError::KeyFile`] and [`SecretError::KeyFileInvalid`], also where others than the owner may read it.
    pub fn load(path: &Path) -> Result<Option<Self>, SecretError> {
        let failed = |source| SecretError::KeyFile { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let invalid = |problem| Err(SecretError::KeyFileInvalid { path: path.to_owned(), problem });
        if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
            return invalid("may be read by others than its owner: set its mode to 0600");
        }
        let mut bytes = [0; KEY_BYTES];
        let mut rest = [0; 1];
        if file.read_exact(&mut bytes).is_err() || file.read(&mut rest).map_err(failed)? != 0 {
            return invalid("does not hold exactly 32 bytes");
        }
        Ok(Some(Self::from_bytes(&bytes)))
    }

    /// Creates the key file with mode 0600 and a random key. A crash leaves no file or the whole one.
    ///
    /// # Errors
    /// [`SecretError::KeyFile`], also where the file exists; [`SecretError::Random`].
    pub fn create(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::KeyFile { path: path.to_owned(), source };
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
        write_private_file(path, &bytes).map_err(failed)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Encrypts the value of an object's option. The ciphertext opens for this object and option only, so that a row
    /// copied by hand in the catalog database yields nothing.
    ///
    /// # Errors
    /// [`SecretError::Random`] and [`SecretError::Seal`].
    pub fn seal(&self, object: Oid, option: &str, plain: &str) -> Result<SealedSecret, SecretError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SecretError::Random)?;
        let mut sealed = plain.as_bytes().to_vec();
        self.0
            .sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(associated_data(object, option)),
                &mut sealed,
            )
            .map_err(|_| SecretError::Seal { option: option.to_owned() })?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(SealedSecret(format!("{SEALED_PREFIX}{}", BASE64.encode(bytes))))
    }

    /// Decrypts what [`Self::seal`] made for the same object and option.
    ///
    /// # Errors
    /// [`SecretError::Open`].
    pub fn open(&self, object: Oid, option: &str, sealed: &SealedSecret) -> Result<String, SecretError> {
        self.try_open(object, option, sealed).ok_or_else(|| SecretError::Open { option: option.to_owned() })
    }

    fn try_open(&self, object: Oid, option: &str, sealed: &SealedSecret) -> Option<String> {
        let bytes = BASE64.decode(sealed.0.strip_prefix(SEALED_PREFIX)?).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_LEN>()?;
        let mut sealed = sealed.to_vec();
        let plain = self
            .0
            .sealing
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(associated_data(object, option)),
                &mut sealed,
            )
            .ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }

    /// An object's options in the clear, for the connector: secrets decrypted; where `is_secret` says that an option is
    /// one, a reference is resolved.
    ///
    /// # Errors
    /// [`SecretError::Open`] and what [`resolve_reference`] finds.
    pub fn reveal(
        &self,
        object: Oid,
        options: &[StoredOption],
        is_secret: impl Fn(&str) -> bool,
        policy: &ReferencePolicy,
    ) -> Result<Options, SecretError> {
        let mut revealed = Options::default();
        for option in options {
            let value = match &option.value {
                StoredValue::Secret(sealed) => self.open(object, &option.name, sealed)?,
                StoredValue::Plain(text) if is_secret(&option.name) => resolve_reference(text, policy)?,
                StoredValue::Plain(text) => text.clone(),
            };
            revealed.set(&option.name, value);
        }
        Ok(revealed)
    }
}

fn associated_data(object: Oid, option: &str) -> Vec<u8> {
    format!("atoll:v1:{object}:{option}").into_bytes()
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return None;
    }
    (0..KEY_BYTES).map(|index| u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()).collect()
}

/// Writes a file of mode 0600 that must not exist yet: under another name first, then linked, so that it is whole.
pub(super) fn write_private_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let _ = std::fs::remove_file(&temporary);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
        // Unlike rename, a link never replaces what another process has put there meanwhile.
        std::fs::hard_link(&temporary, path)
    });
    let _ = std::fs::remove_file(&temporary);
    written?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

/// What references may name: nothing by default.
#[derive(Debug, Clone, Default)]
pub struct ReferencePolicy {
    /// Environment variables.
    pub variables: Vec<String>,
    /// Files, and directories whose files are meant.
    pub files: Vec<PathBuf>,
    /// Directories that stay closed even so: the data directory with the key file.
    pub refused: Vec<PathBuf>,
}

/// Whether a secret's value refers to one instead of being one.
pub fn is_reference(value: &str) -> bool {
    value.starts_with("env:") || value.starts_with("file:")
}

/// The value that `env:NAME` or `file:PATH` refers to, or the text itself where it is no reference. A file's value ends
/// before its last line break.
///
/// # Errors
/// [`SecretError::ReferenceDenied`] and [`SecretError::ReferenceMissing`], which name the reference.
pub fn resolve_reference(value: &str, policy: &ReferencePolicy) -> Result<String, SecretError> {
    if let Some(name) = value.strip_prefix("env:") {
        return resolve_variable(value, name, policy);
    }
    match value.strip_prefix("file:") {
        Some(path) => resolve_file(value, Path::new(path), policy),
        None => Ok(value.to_owned()),
    }
}

fn resolve_variable(reference: &str, name: &str, policy: &ReferencePolicy) -> Result<String, SecretError> {
    let refused = REFUSED_VARIABLES.contains(&name);
    if refused || !policy.variables.iter().any(|allowed| allowed == name) {
        return Err(SecretError::ReferenceDenied { reference: reference.to_owned() });
    }
    std::env::var(name).map_err(|_| SecretError::ReferenceMissing {
        reference: reference.to_owned(),
        reason: "the environment variable is not set".to_owned(),
    })
}

fn resolve_file(reference: &str, path: &Path, policy: &ReferencePolicy) -> Result<String, SecretError> {
    let denied = || SecretError::ReferenceDenied { reference: reference.to_owned() };
    let missing = |reason: String| SecretError::ReferenceMissing { reference: reference.to_owned(), reason };
    let allowed = policy.files.iter().find(|allowed| path == **allowed || path.starts_with(allowed));
    let allowed = allowed.filter(|_| path.is_absolute()).ok_or_else(denied)?;
    // The file is opened beneath its directory with RESOLVE_BENEATH: a link out of it, or into the data directory, is
    // refused by the kernel.
    let root = if allowed == path { path.parent().ok_or_else(denied)? } else { allowed };
    let canonical = std::fs::canonicalize(root).map_err(|error| missing(error.to_string()))?;
    let relative = path.strip_prefix(root).map_err(|_| denied())?;
    let roots = FilesRoots::open(&[canonical], &policy.refused).map_err(|error| missing(error.to_string()))?;
    let beneath = relative.to_str().ok_or_else(denied).and_then(|text| roots.resolve(text).map_err(|_| denied()))?;
    let file = beneath.open().map_err(|error| missing(error.to_string()))?;
    let mut text = String::new();
    file.take(REFERENCED_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| missing(error.to_string()))?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > REFERENCED_FILE_BYTES_MAX {
        return Err(missing(format!("the file is longer than {REFERENCED_FILE_BYTES_MAX} bytes")));
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    Ok(value.strip_suffix('\r').unwrap_or(value).to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    const CANARY: &str = "k4n4ri3nv0g3l";

    #[test]
    fn a_sealed_secret_opens_for_its_object_and_option_only() {
        let key = SecretKey::from_bytes(&[7; KEY_BYTES]);
        let sealed = key.seal(20_000, "password", CANARY).unwrap();
        assert_eq!(key.open(20_000, "password", &sealed).unwrap(), CANARY);
        assert!(key.open(20_001, "password", &sealed).is_err());
        assert!(key.open(20_000, "token", &sealed).is_err());
        assert!(SecretKey::from_bytes(&[8; KEY_BYTES]).open(20_000, "password", &sealed).is_err());
        assert_ne!(key.seal(20_000, "password", CANARY).unwrap(), sealed, "nonces differ");
    }

    #[test]
    fn what_is_derived_depends_on_key_and_purpose_alone() {
        let key = SecretKey::from_bytes(&[7; KEY_BYTES]);
        assert_eq!(key.derive("a"), SecretKey::from_bytes(&[7; KEY_BYTES]).derive("a"));
        assert_ne!(key.derive("a"), key.derive("b"));
        assert_ne!(key.derive("a"), SecretKey::from_bytes(&[8; KEY_BYTES]).derive("a"));
        assert_ne!(key.derive("a"), [7; KEY_BYTES]);
    }

    #[test]
    fn damaged_secrets_are_errors() {
        let key = SecretKey::from_bytes(&[7; KEY_BYTES]);
        for text in ["", "v1:", "v1:AAAA", "v2:AAAA", "v1:%%%"] {
            let error = key.open(1, "password", &SealedSecret(text.to_owned())).unwrap_err();
            assert!(matches!(error, SecretError::Open { .. }), "{text}");
        }
        let sealed = key.seal(1, "password", CANARY).unwrap().0;
        let flipped = SealedSecret(format!("{}A", &sealed[..sealed.len() - 1]));
        assert!(key.open(1, "password", &flipped).is_err() || flipped.0 == sealed);
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key = SecretKey::from_bytes(&[7; KEY_BYTES]);
        let sealed = key.seal(1, "password", CANARY).unwrap();
        let json = serde_json::to_string(&sealed).unwrap();
        let text = format!("{key:?} {sealed:?} {json}");
        let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
        for canary in [CANARY, &BASE64.encode(CANARY), &hex] {
            assert!(!text.contains(canary), "{text}");
        }
    }

    #[test]
    fn keys_are_read_from_base64_and_hexadecimal() {
        let bytes = [9; KEY_BYTES];
        let sealed = SecretKey::from_bytes(&bytes).seal(1, "o", "x").unwrap();
        let hex = "09".repeat(KEY_BYTES);
        for text in [BASE64.encode(bytes), hex.clone(), format!(" {hex}\n")] {
            assert_eq!(SecretKey::from_text(&text).unwrap().open(1, "o", &sealed).unwrap(), "x");
        }
        for text in ["", "short", &hex[1..], "é".repeat(32).as_str()] {
            assert!(matches!(SecretKey::from_text(text), Err(SecretError::KeyText)), "{text}");
        }
    }

    #[test]
    fn the_key_file_is_private_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(KEY_FILE);
        assert!(SecretKey::load(&path).unwrap().is_none());
        let sealed = SecretKey::create(&path).unwrap().seal(1, "o", "x").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(SecretKey::load(&path).unwrap().unwrap().open(1, "o", &sealed).unwrap(), "x");
        assert!(SecretKey::create(&path).is_err(), "it is never replaced");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(SecretKey::load(&path), Err(SecretError::KeyFileInvalid { .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, [0; KEY_BYTES + 1]).unwrap();
        assert!(matches!(SecretKey::load(&path), Err(SecretError::KeyFileInvalid { .. })));
    }

    #[test]
    fn references_resolve_only_from_the_list() {
        let directory = tempfile::tempdir().unwrap();
        let data = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, format!("{CANARY}\n")).unwrap();
        std::fs::write(data.path().join(KEY_FILE), "key").unwrap();
        std::os::unix::fs::symlink(data.path().join(KEY_FILE), directory.path().join("link")).unwrap();
        let reference = format!("file:{}", file.display());
        let none = ReferencePolicy::default();
        assert!(matches!(resolve_reference(&reference, &none), Err(SecretError::ReferenceDenied { .. })));
        assert!(matches!(resolve_reference("env:PATH", &none), Err(SecretError::ReferenceDenied { .. })));
        assert_eq!(resolve_reference("plain", &none).unwrap(), "plain");

        let exact = ReferencePolicy { files: vec![file.clone()], ..ReferencePolicy::default() };
        assert_eq!(resolve_reference(&reference, &exact).unwrap(), CANARY);
        let policy = ReferencePolicy {
            variables: vec!["PATH".into(), "ATOLL_MASTER_KEY".into(), "ATOLL_NO_SUCH".into()],
            files: vec![directory.path().to_owned(), data.path().to_owned()],
            refused: vec![data.path().to_owned()],
        };
        assert_eq!(resolve_reference(&reference, &policy).unwrap(), CANARY);
        assert_eq!(resolve_reference("env:PATH", &policy).unwrap(), std::env::var("PATH").unwrap());
        assert!(matches!(resolve_reference("env:ATOLL_MASTER_KEY", &policy), Err(SecretError::ReferenceDenied { .. })));
        assert!(matches!(resolve_reference("env:ATOLL_NO_SUCH", &policy), Err(SecretError::ReferenceMissing { .. })));
        for path in [
            data.path().join(KEY_FILE),
            directory.path().join("link"),
            directory.path().join("..").join("etc/passwd"),
            directory.path().join("none"),
            directory.path().to_owned(),
        ] {
            let error = resolve_reference(&format!("file:{}", path.display()), &policy).unwrap_err();
            assert!(error.to_string().contains("file:"), "{error}");
        }
    }
}
