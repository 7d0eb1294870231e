//! The data directory: private to its owner, and locked by one server.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::StoreError;

const LOCK_FILE: &str = "atoll.lock";

/// The data directory, locked until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(super) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let failed = |action| move |source| StoreError::Directory { action, path: path.to_owned(), source };
        if !path.exists() {
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create data directory"))?;
        }
        let metadata = std::fs::metadata(path).map_err(failed("read data directory"))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            // Like initdb: an empty directory is taken over, a used one is not changed behind its owner's back.
            let mut entries = std::fs::read_dir(path).map_err(failed("read data directory"))?;
            if entries.next().is_some() {
                return Err(StoreError::Permissions { path: path.to_owned() });
            }
            std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(failed("change the mode of"))?;
        }
        let path = std::fs::canonicalize(path).map_err(failed("read data directory"))?;
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_FILE);
    let failed = |source| StoreError::Directory { action: "lock", path: path.clone(), source };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let _ = file.read_to_string(&mut pid);
            return Err(StoreError::Locked { path: directory.to_owned(), pid: pid.trim().parse().ok() });
        }
        Err(error) => return Err(failed(error.into())),
    }
    // The kernel's lock counts; the number is for whoever is refused.
    file.set_len(0).map_err(failed)?;
    file.rewind().map_err(failed)?;
    writeln!(file, "{}", std::process::id()).map_err(failed)?;
    Ok(file)
}
