//! The unix socket: its file, and who is at its other end.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

use super::settings::WireError;

/// A unix socket that is removed again when dropped.
pub(super) struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl UnixSocket {
    /// Listens on `.s.PGSQL.PORT` in a directory; a socket that a dead server left there is replaced.
    ///
    /// # Errors
    /// See [`WireError`].
    pub(super) fn bind(directory: &Path, port: u16) -> Result<Self, WireError> {
        let path = directory.join(format!(".s.PGSQL.{port}"));
        refuse_used(&path)?;
        // Made under another name and renamed, so that nobody finds it before its mode is 0600.
        let fresh = directory.join(format!(".s.PGSQL.{port}.new"));
        let failed = |source| WireError::UnixSocket { path: path.clone(), source };
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        std::fs::rename(&fresh, &path).map_err(failed)?;
        Ok(Self { listener, path })
    }

    /// Its file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn refuse_used(path: &Path) -> Result<(), WireError> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(WireError::UnixSocket { path: path.to_owned(), source }),
    };
    if !metadata.file_type().is_socket() {
        return Err(WireError::UnixSocketInUse { path: path.to_owned(), reason: "something else has that name" });
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(WireError::UnixSocketInUse { path: path.to_owned(), reason: "another server answers there" }),
        Err(_) => Ok(()),
    }
}

/// Whether the kernel says that the other end runs as this server's user, or as root.
pub(super) fn is_own_user(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == rustix::process::geteuid().as_raw())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn takes_the_place_of_a_dead_server_but_not_of_a_living_one() {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixSocket::bind(folder.path(), 5).unwrap();
        let path = socket.path().to_owned();
        assert_eq!(path.file_name().unwrap(), ".s.PGSQL.5");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let client = UnixStream::connect(&path).await.unwrap();
        assert!(is_own_user(&client));
        assert!(matches!(UnixSocket::bind(folder.path(), 5), Err(WireError::UnixSocketInUse { .. })));
        drop(socket);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(UnixSocket::bind(folder.path(), 5).unwrap());
        std::fs::write(&path, "x").unwrap();
        assert!(matches!(UnixSocket::bind(folder.path(), 5), Err(WireError::UnixSocketInUse { .. })));
        let long = folder.path().join("x".repeat(120));
        std::fs::create_dir(&long).unwrap();
        assert!(matches!(UnixSocket::bind(&long, 5), Err(WireError::UnixSocket { .. })));
    }
}
