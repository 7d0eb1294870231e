//! An object store over one `--files-root`: every path is opened beneath it, by descriptor, and nothing is ever written.

use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path as FsPath;

use async_trait::async_trait;
use atoll_connector_api::paths::BeneathPath;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use crate::listing::LISTED_MAX;

/// Under which name errors of local files travel.
pub(crate) const STORE: &str = "files";
/// Bytes that one read of a stream asks the kernel for.
const READ_BYTES_MAX: u64 = 1 << 20;
/// Directories below the one that is listed.
const DEPTH_MAX: usize = 32;

/// Reads files beneath one root.
#[derive(Debug)]
pub(crate) struct BeneathStore {
    root: BeneathPath,
}

impl std::fmt::Display for BeneathStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "files beneath {}", self.root.display().display())
    }
}

impl BeneathStore {
    /// A store whose paths are relative to `root`.
    pub(crate) fn new(root: BeneathPath) -> Self {
        Self { root }
    }

    fn beneath(&self, location: &Path) -> Result<BeneathPath> {
        self.root
            .join(FsPath::new(location.as_ref()))
            .map_err(|error| Error::PermissionDenied { path: location.to_string(), source: Box::new(error) })
    }

    /// The entries of a directory: files with their metadata, and the names of directories. What is neither (a FIFO, a
    /// device, a dangling link) is left out.
    fn entries(&self, directory: &Path) -> Result<(Vec<ObjectMeta>, Vec<Path>)> {
        let beneath = self.beneath(directory)?;
        let names = match beneath.list() {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(error) => return Err(io_error(directory, error)),
        };
        let (mut files, mut directories) = (Vec::new(), Vec::new());
        for (name, is_directory) in names {
            // A name that no path of an object store can hold (a control character) cannot be asked for either.
            let Ok(path) = Path::parse(if directory.is_root() { name.clone() } else { format!("{directory}/{name}") })
            else {
                continue;
            };
            if is_directory {
                // Atoll's own directory within a root, or a link out of it, is not there for a listing.
                if self.beneath(&path)?.is_directory() {
                    directories.push(path);
                }
                continue;
            }
            match self.beneath(&path)?.open().and_then(|file| file.metadata()) {
                Ok(metadata) => files.push(object_meta(path, &metadata)),
                Err(error) if ignorable(&error) => {}
                Err(error) => return Err(io_error(&path, error)),
            }
        }
        files.sort_by(|a, b| a.location.cmp(&b.location));
        directories.sort();
        Ok((files, directories))
    }

    fn walk(&self, directory: &Path, depth: usize, found: &mut Vec<ObjectMeta>) -> Result<()> {
        let (files, directories) = self.entries(directory)?;
        found.extend(files);
        // The lister reports what goes past its bound; the walk need not go on.
        if depth < DEPTH_MAX && found.len() <= LISTED_MAX {
            for directory in directories {
                self.walk(&directory, depth + 1, found)?;
            }
        }
        Ok(())
    }
}

/// What a listing passes over: entries that are no files, and links that lead nowhere or out of the root. A table made
/// of named files still reports them, because those are opened.
fn ignorable(error: &io::Error) -> bool {
    use rustix::io::Errno;
    error.kind() == io::ErrorKind::InvalidInput
        || matches!(
            error.raw_os_error().map(Errno::from_raw_os_error),
            Some(Errno::NOENT | Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::NODEV)
        )
}

fn io_error(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound => Error::NotFound { path: path.to_string(), source: Box::new(error) },
        io::ErrorKind::PermissionDenied => Error::PermissionDenied { path: path.to_string(), source: Box::new(error) },
        // The file has become shorter since it was measured.
        io::ErrorKind::UnexpectedEof => Error::Precondition { path: path.to_string(), source: Box::new(error) },
        _ => Error::Generic { store: STORE, source: Box::new(error) },
    }
}

fn object_meta(location: Path, metadata: &Metadata) -> ObjectMeta {
    let modified = DateTime::<Utc>::from_timestamp(metadata.mtime(), u32::try_from(metadata.mtime_nsec()).unwrap_or(0));
    // A writer may set the time of modification; that of the last change of the inode is the kernel's.
    let e_tag = format!(
        "\"{:x}-{:x}.{:x}-{:x}.{:x}-{:x}\"",
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
        metadata.len()
    );
    ObjectMeta {
        location,
        last_modified: modified.unwrap_or_default(),
        size: metadata.len(),
        e_tag: Some(e_tag),
        version: None,
    }
}

/// Reads a range; a file that has become shorter since it was measured is an error, not a short answer.
fn read_range(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut buffer = vec![0; length];
    file.read_exact_at(&mut buffer, range.start)?;
    Ok(buffer.into())
}

/// Runs file system calls on the runtime's threads for blocking work.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

fn read_only(operation: &str) -> Error {
    Error::NotSupported { source: format!("{operation}: files are read only").into() }
}

/// The bytes of a range, one read for each piece.
fn pieces(file: File, location: Path, range: Range<u64>) -> BoxStream<'static, Result<Bytes>> {
    let state = (std::sync::Arc::new(file), range.start);
    stream::try_unfold(state, move |(file, at)| {
        let location = location.clone();
        async move {
            if at >= range.end {
                return Ok(None);
            }
            let end = range.end.min(at.saturating_add(READ_BYTES_MAX));
            let reading = std::sync::Arc::clone(&file);
            let bytes =
                blocking(move || read_range(&reading, at..end).map_err(|error| io_error(&location, error))).await?;
            Ok(Some((bytes, (file, end))))
        }
    })
    .boxed()
}

#[async_trait]
impl ObjectStore for BeneathStore {
    async fn put_opts(&self, _location: &Path, _payload: PutPayload, _opts: PutOptions) -> Result<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(read_only("put"))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let beneath = self.beneath(location)?;
        let path = location.clone();
        let (file, meta) = blocking(move || {
            let opened = beneath.open().and_then(|file| file.metadata().map(|metadata| (file, metadata)));
            match opened {
                Ok((file, metadata)) => Ok((file, object_meta(path, &metadata))),
                // An object store has no directories: what is one is not an object.
                Err(_) if beneath.is_directory() => Err(Error::NotFound {
                    path: path.to_string(),
                    source: Box::new(io::Error::from(io::ErrorKind::IsADirectory)),
                }),
                Err(error) => Err(io_error(&path, error)),
            }
        })
        .await?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => {
                range.as_range(meta.size).map_err(|error| Error::Generic { store: STORE, source: Box::new(error) })?
            }
            None => 0..meta.size,
        };
        let payload = if options.head {
            GetResultPayload::Stream(stream::empty().boxed())
        } else {
            GetResultPayload::Stream(pieces(file, location.clone(), range.clone()))
        };
        Ok(GetResult { payload, meta, range, attributes: object_store::Attributes::default() })
    }

    fn delete_stream(&self, _locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        stream::once(async { Err(read_only("delete")) }).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let store = Self::new(self.root.clone());
        let directory = prefix.cloned().unwrap_or_default();
        stream::once(blocking(move || {
            let mut found = Vec::new();
            store.walk(&directory, 0, &mut found)?;
            Ok(stream::iter(found.into_iter().map(Ok)))
        }))
        .try_flatten()
        .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let store = Self::new(self.root.clone());
        let directory = prefix.cloned().unwrap_or_default();
        blocking(move || {
            let (objects, common_prefixes) = store.entries(&directory)?;
            Ok(ListResult { common_prefixes, objects })
        })
        .await
    }

    async fn copy_opts(&self, _from: &Path, _to: &Path, _options: CopyOptions) -> Result<()> {
        Err(read_only("copy"))
    }
}
