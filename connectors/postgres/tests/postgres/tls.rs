//! TLS, through a front end that speaks it and passes everything on to the real server.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use atoll_connector_api::paths::FilesRoots;
use atoll_connector_api::{ConnectorError, Result};
use atoll_connector_postgres::connector;

use crate::support::{Remote, remote};

struct Certificates {
    root_pem: String,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A certificate for `name`, of an authority of its own.
fn issued(name: &str) -> Certificates {
    let root_key = KeyPair::generate().unwrap();
    let mut root = CertificateParams::new(Vec::new()).unwrap();
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key).unwrap();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    Certificates {
        root_pem: root_certificate.pem(),
        chain: vec![certificate.der().clone()],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

/// A certificate that is its own authority, as `openssl req -x509` makes it.
fn self_signed(name: &str) -> Certificates {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    Certificates {
        root_pem: certificate.pem(),
        chain: vec![certificate.der().clone()],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

/// Accepts TLS after PostgreSQL's request for it and passes the rest on; without certificates it refuses TLS.
async fn front(remote: &Remote, certificates: Option<&Certificates>) -> u16 {
    let acceptor = certificates.map(|certificates| {
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(certificates.chain.clone(), certificates.key.clone_key())
            .unwrap();
        tokio_rustls::TlsAcceptor::from(Arc::new(config))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let behind = (remote.host.clone(), remote.port);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, behind) = (acceptor.clone(), behind.clone());
            tokio::spawn(async move {
                let mut server = TcpStream::connect(behind).await.unwrap();
                let mut head = [0; 8];
                let Ok(_) = client.read_exact(&mut head).await else { return };
                let wants_tls = head == [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
                match acceptor {
                    Some(acceptor) if wants_tls => {
                        client.write_all(b"S").await.unwrap();
                        if let Ok(mut encrypted) = acceptor.accept(client).await {
                            let _ = tokio::io::copy_bidirectional(&mut encrypted, &mut server).await;
                        }
                    }
                    _ => {
                        if wants_tls {
                            client.write_all(b"N").await.unwrap();
                        } else {
                            server.write_all(&head).await.unwrap();
                        }
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                }
            });
        }
    });
    port
}

async fn try_mode(remote: &Remote, port: u16, host: &str, mode: &str, root: Option<&str>) -> Result<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    let port = port.to_string();
    let mut server = vec![("host", host), ("hostaddr", "127.0.0.1"), ("port", port.as_str()), ("sslmode", mode)];
    if let Some(root) = root {
        std::fs::write(directory.path().join("root.crt"), root).unwrap();
        server.push(("sslrootcert", "root.crt"));
    }
    let mut spec = remote.spec(&server);
    spec.context.files = FilesRoots::open(&[directory.path().to_owned()], &[]).unwrap();
    connector().open(spec)?.schemas().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mode_trusts_whom_it_should() {
    let Some(remote) = remote("every_mode_trusts_whom_it_should").await else { return };
    let good = issued("db.example");
    let other = issued("db.example");
    let port = front(&remote, Some(&good)).await;
    let cases: &[(&str, &str, Option<&str>, bool)] = &[
        ("disable", "db.example", None, true),
        ("allow", "db.example", None, true),
        ("prefer", "db.example", None, true),
        ("require", "db.example", None, true),
        ("require", "db.example", Some(&good.root_pem), true),
        ("require", "db.example", Some(&other.root_pem), false),
        ("verify-ca", "db.example", Some(&good.root_pem), true),
        ("verify-ca", "elsewhere.example", Some(&good.root_pem), true),
        ("verify-ca", "db.example", Some(&other.root_pem), false),
        ("verify-full", "db.example", Some(&good.root_pem), true),
        ("verify-full", "elsewhere.example", Some(&good.root_pem), false),
        ("verify-full", "db.example", Some(&other.root_pem), false),
        ("verify-full", "db.example", None, false),
    ];
    for (mode, host, root, accepted) in cases {
        let answer = try_mode(&remote, port, host, mode, *root).await;
        assert_eq!(answer.is_ok(), *accepted, "{mode} {host} {answer:?}");
    }
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trusted_self_signed_certificate_is_good() {
    let Some(remote) = remote("a_trusted_self_signed_certificate_is_good").await else { return };
    let own = self_signed("db.example");
    let port = front(&remote, Some(&own)).await;
    try_mode(&remote, port, "db.example", "verify-full", Some(&own.root_pem)).await.unwrap();
    try_mode(&remote, port, "other.example", "verify-ca", Some(&own.root_pem)).await.unwrap();
    let error = try_mode(&remote, port, "other.example", "verify-full", Some(&own.root_pem)).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error}");
    let foreign = self_signed("db.example");
    let error = try_mode(&remote, port, "db.example", "verify-full", Some(&foreign.root_pem)).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Connect { .. }), "{error}");
    remote.drop_schema().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_tls_serves_only_those_who_do_not_insist() {
    let Some(remote) = remote("a_server_without_tls_serves_only_those_who_do_not_insist").await else { return };
    let port = front(&remote, None).await;
    for (mode, accepted) in [("disable", true), ("allow", true), ("prefer", true), ("require", false)] {
        assert_eq!(try_mode(&remote, port, "db.example", mode, None).await.is_ok(), accepted, "{mode}");
    }
    let error = try_mode(&remote, port, "db.example", "verify-full", Some("no certificate")).await.unwrap_err();
    assert!(matches!(error, ConnectorError::File { .. }), "{error}");
    remote.drop_schema().await;
}
