//! TLS: certificate and key, and what they say about channel binding.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest;
use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The protocol name that direct TLS has to negotiate (IANA's ALPN registry).
const ALPN: &[u8] = b"postgresql";
/// A PEM file is not longer than this.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum TlsError {
    /// A file cannot be read.
    #[error("could not read TLS file \"{}\"", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate, or no key.
    #[error("\"{}\" holds no {what} in PEM format", path.display())]
    Pem { path: PathBuf, what: &'static str },
    /// Others may read the key.
    #[error("private key file \"{}\" has group or world access (chmod 600)", path.display())]
    KeyIsPublic { path: PathBuf },
    /// Certificate and key do not fit, or cannot be used.
    #[error("certificate and private key cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// The server's identity.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    end_point: Option<Arc<[u8]>>,
}

impl ServerTls {
    /// Reads a certificate chain and its private key from PEM files. TLS 1.2 or newer, no client certificates.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn load(certificates: &Path, key: &Path) -> Result<Self, TlsError> {
        let pem = read(certificates)?;
        let no_certificate = || TlsError::Pem { path: certificates.to_owned(), what: "certificate" };
        let chain: Vec<CertificateDer<'static>> =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| no_certificate())?;
        if chain.is_empty() {
            return Err(no_certificate());
        }
        refuse_public(key)?;
        let key_der = PrivateKeyDer::from_pem_slice(&read(key)?)
            .map_err(|_| TlsError::Pem { path: key.to_owned(), what: "private key" })?;
        Self::new(chain, key_der)
    }

    /// The same from what such files hold.
    ///
    /// # Errors
    /// [`TlsError::Unusable`].
    pub fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let end_point = chain.first().and_then(|certificate| end_point_hash(certificate)).map(Arc::from);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(TlsError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(TlsError::Unusable)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { config: Arc::new(config), end_point })
    }

    /// For the handshake.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// `tls-server-end-point` (RFC 5929, 4), or `None` where it is not defined for the certificate.
    pub(super) fn end_point(&self) -> Option<Arc<[u8]>> {
        self.end_point.clone()
    }

    /// Whether direct TLS was negotiated by its name, without which it could be another protocol's traffic.
    pub(super) fn is_our_protocol(alpn: Option<&[u8]>) -> bool {
        alpn == Some(ALPN)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > PEM_BYTES_MAX {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    std::fs::read(path).map_err(failed)
}

/// PostgreSQL's rule: nobody else may read the key, but root's keys may be readable to a group.
fn refuse_public(path: &Path) -> Result<(), TlsError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })?;
    let forbidden = if metadata.uid() == 0 && !rustix::process::geteuid().is_root() { 0o027 } else { 0o077 };
    if metadata.mode() & forbidden != 0 {
        return Err(TlsError::KeyIsPublic { path: path.to_owned() });
    }
    Ok(())
}

/// The certificate's hash with the function of its signature, SHA-256 in place of MD5 and SHA-1.
fn end_point_hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_algorithm(certificate)?;
    // RFC 8017 and RFC 5758: the object identifiers' encoded bytes.
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
    const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
    let hash = match algorithm.split_last() {
        Some((4 | 5 | 11, prefix)) if prefix == RSA => &digest::SHA256,
        Some((12, prefix)) if prefix == RSA => &digest::SHA384,
        Some((13, prefix)) if prefix == RSA => &digest::SHA512,
        Some((2, prefix)) if prefix == ECDSA_SHA2 => &digest::SHA256,
        Some((3, prefix)) if prefix == ECDSA_SHA2 => &digest::SHA384,
        Some((4, prefix)) if prefix == ECDSA_SHA2 => &digest::SHA512,
        _ if algorithm == ECDSA_SHA1 => &digest::SHA256,
        // Ed25519 and RSASSA-PSS name no single hash: no channel binding is offered.
        _ => return None,
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// The object identifier in `Certificate.signatureAlgorithm` (RFC 5280, 4.1).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(certificate, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    Some(element(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// The content of a DER element with this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
        (length.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?, rest)
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap()
    }

    #[test]
    fn loads_pem_files_and_refuses_what_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let made = certificate();
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(ServerTls::load(&cert, &key), Err(TlsError::KeyIsPublic { .. })));
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        // rcgen signs with ECDSA and SHA-256.
        assert_eq!(ServerTls::load(&cert, &key).unwrap().end_point().unwrap().len(), 32);
        assert!(matches!(ServerTls::load(&key, &key), Err(TlsError::Pem { what: "certificate", .. })));
        assert!(matches!(ServerTls::load(&folder.path().join("x"), &key), Err(TlsError::Read { .. })));
        std::fs::write(&key, certificate().signing_key.serialize_pem()).unwrap();
        assert!(matches!(ServerTls::load(&cert, &key), Err(TlsError::Unusable(_))));
    }

    #[test]
    fn the_end_point_hash_survives_broken_certificates() {
        let der = certificate().cert.der().to_vec();
        assert_eq!(end_point_hash(&der).unwrap(), digest::digest(&digest::SHA256, &der).as_ref());
        for end in 0..der.len() {
            let _ = end_point_hash(&der[..end]);
        }
        assert_eq!(end_point_hash(&[0x30, 0xff, 0xff]), None);
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&ed25519).unwrap();
        assert_eq!(end_point_hash(certificate.der()), None);
    }
}
