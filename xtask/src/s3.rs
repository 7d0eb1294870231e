//! An S3 server for tests: `s3s-fs` over a directory whose folders are the buckets.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves the buckets in `root` to one access key, on `listen`; port 0 takes a free one. Aborting the task stops the
/// server; connections that are open end by themselves.
///
/// # Errors
/// A directory that cannot be served; an address that is taken.
pub(crate) async fn serve(
    root: &Path,
    access_key: &str,
    secret_key: &str,
    listen: SocketAddr,
) -> anyhow::Result<(SocketAddr, JoinHandle<()>)> {
    let files = s3s_fs::FileSystem::new(root)
        .map_err(|error| anyhow::anyhow!("{error:?}"))
        .with_context(|| format!("could not serve {}", root.display()))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(access_key, secret_key));
    let service = builder.build();
    let listener = TcpListener::bind(listen).await.with_context(|| format!("could not listen on {listen}"))?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let http = Builder::new(TokioExecutor::new());
        // A failed accept is the client's: it went away before it was served.
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            let connection = http.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
            tokio::spawn(async move {
                // What a client breaks off is no error of the server.
                let _ = connection.await;
            });
        }
    });
    Ok((address, server))
}
