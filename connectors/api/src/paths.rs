//! Local paths in options: opened beneath the configured roots, by file descriptor, and nowhere else.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags};

use crate::{ConnectorError, Result};

/// The directories that `--files-root` names, held open. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct FilesRoots {
    roots: Arc<Vec<Root>>,
    refused: Arc<Vec<PathBuf>>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    directory: OwnedFd,
}

/// A path of an option, found to lie under a root.
#[derive(Debug, Clone)]
pub struct BeneathPath {
    roots: Arc<Vec<Root>>,
    refused: Arc<Vec<PathBuf>>,
    index: usize,
    relative: PathBuf,
}

impl FilesRoots {
    /// Opens the roots. `refused` are directories that stay closed even where a root contains them: the data directory.
    ///
    /// # Errors
    /// A root that cannot be opened as a directory.
    pub fn open(roots: &[PathBuf], refused: &[PathBuf]) -> std::io::Result<Self> {
        let mut opened = Vec::with_capacity(roots.len());
        for root in roots {
            let path = std::fs::canonicalize(root)?;
            let directory =
                rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            opened.push(Root { path, directory });
        }
        let refused = refused.iter().filter_map(|path| std::fs::canonicalize(path).ok()).collect();
        Ok(Self { roots: Arc::new(opened), refused: Arc::new(refused) })
    }

    /// Whether no root is configured.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Finds the root for a path. An absolute path must lie under a root; a relative one is taken beneath the first root.
    /// Nothing is opened: a symbolic link that leads out is refused by [`BeneathPath::open`].
    ///
    /// # Errors
    /// [`ConnectorError::Denied`] with a hint that names `--files-root`.
    pub fn resolve(&self, path: &str) -> Result<BeneathPath> {
        let given = Path::new(path);
        if given.components().any(|part| matches!(part, Component::ParentDir)) {
            return Err(denied(path, "a path may not contain \"..\""));
        }
        let found = if given.is_absolute() {
            self.roots.iter().enumerate().find_map(|(index, root)| {
                given.strip_prefix(&root.path).ok().map(|relative| (index, relative.to_path_buf()))
            })
        } else {
            (!self.roots.is_empty()).then(|| (0, given.to_path_buf()))
        };
        let (index, relative) = found
            .ok_or_else(|| denied(path, "start the server with --files-root DIR for a directory that holds it"))?;
        let beneath =
            BeneathPath { roots: Arc::clone(&self.roots), refused: Arc::clone(&self.refused), index, relative };
        let whole = beneath.display();
        if self.refused.iter().any(|refused| whole.starts_with(refused)) {
            return Err(denied(path, "the data directory is never readable"));
        }
        Ok(beneath)
    }
}

impl BeneathPath {
    /// The absolute path, for messages and for a caller that lists names; open through [`Self::open`] only.
    pub fn display(&self) -> PathBuf {
        self.roots[self.index].path.join(&self.relative)
    }

    /// The root that holds this path.
    pub fn root(&self) -> Self {
        Self { relative: PathBuf::new(), ..self.clone() }
    }

    /// This path, seen from its root.
    pub fn relative(&self) -> &Path {
        &self.relative
    }

    /// A path beneath this one.
    ///
    /// # Errors
    /// [`ConnectorError::Denied`] where `name` is absolute or contains `..`.
    pub fn join(&self, name: &Path) -> Result<Self> {
        if name.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(denied(&name.to_string_lossy(), "a path may not leave its directory"));
        }
        Ok(Self { relative: self.relative.join(name), ..self.clone() })
    }

    /// Opens a file for reading. The kernel refuses every way out of the root, symbolic links included.
    ///
    /// # Errors
    /// The operating system's; `EXDEV` where a link leads out of the root.
    pub fn open(&self) -> std::io::Result<File> {
        let file = File::from(self.open_with(OFlags::RDONLY | OFlags::NONBLOCK)?);
        // A FIFO or device under a root must not block or act: only regular files are read.
        if !file.metadata()?.is_file() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        Ok(file)
    }

    /// Opens a regular file as a bare location (`O_PATH`): what it names can be asked, its bytes cannot be read. Closing
    /// it never drops the POSIX locks that this process holds on the file, as closing any other descriptor of it would.
    ///
    /// # Errors
    /// The operating system's; `EXDEV` where a link leads out of the root.
    pub fn pin(&self) -> std::io::Result<File> {
        let file = File::from(self.open_with(OFlags::PATH)?);
        if !file.metadata()?.is_file() {
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        Ok(file)
    }

    /// Names in a directory with whether each is a directory (links followed within the root), unsorted.
    ///
    /// # Errors
    /// The operating system's.
    pub fn list(&self) -> std::io::Result<Vec<(String, bool)>> {
        let directory = self.open_with(OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(directory.as_fd())? {
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if name == "." || name == ".." {
                continue;
            }
            let is_directory = match entry.file_type() {
                rustix::fs::FileType::Directory => true,
                rustix::fs::FileType::RegularFile => false,
                _ => Self { relative: self.relative.join(name), ..self.clone() }.is_directory(),
            };
            names.push((name.to_owned(), is_directory));
        }
        Ok(names)
    }

    /// Whether it is a directory that can be reached beneath the root.
    pub fn is_directory(&self) -> bool {
        self.open_with(OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    fn open_with(&self, flags: OFlags) -> std::io::Result<OwnedFd> {
        let relative = if self.relative.as_os_str().is_empty() { Path::new(".") } else { &self.relative };
        let opened = rustix::fs::openat2(
            &self.roots[self.index].directory,
            relative,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        )?;
        // A refused directory within a root can be reached through a symbolic link, or by joining names to a path above
        // it: what counts is where the kernel says that the descriptor leads.
        if !self.refused.is_empty() {
            let link = rustix::fs::readlink(format!("/proc/self/fd/{}", opened.as_raw_fd()), Vec::new())?;
            let real = PathBuf::from(std::ffi::OsString::from_vec(link.into_bytes()));
            if self.refused.iter().any(|refused| real.starts_with(refused)) {
                return Err(std::io::Error::from(rustix::io::Errno::ACCESS));
            }
        }
        Ok(opened)
    }
}

fn denied(path: &str, hint: &str) -> ConnectorError {
    ConnectorError::Denied {
        message: format!("reading the file \"{path}\" is not allowed"),
        hint: Some(format!("{}{}.", hint[..1].to_uppercase(), &hint[1..])),
    }
}
