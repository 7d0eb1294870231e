//! Finding files: single ones, patterns, directories with and without Hive partitions, and the live tables of a server.

use std::collections::BTreeMap;
use std::sync::Arc;

use atoll_connector_api::{ConnectorError, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, ObjectStoreExt};

use crate::error::Owner;
use crate::hive::{PartitionValue, parse_directory};
use crate::location::{MATCHING, is_pattern, pattern};
use crate::names;
use crate::options::Format;
use crate::store::Store;

/// Files of one table.
pub(crate) const FILES_MAX: usize = 10_000;
/// Objects that one listing looks at, those that do not match included.
pub(crate) const LISTED_MAX: usize = 100_000;
/// Directories that one pattern may lead into.
const DIRECTORIES_MAX: usize = 10_000;
/// Requests that run at a time for one listing.
pub(crate) const REQUESTS_MAX: usize = 16;
/// Directories beside the files of a location that are looked into for live tables.
const LIVE_DIRECTORIES_MAX: usize = 1000;
/// Levels of directories followed to see whether a live table is partitioned.
const LIVE_DEPTH_MAX: usize = 16;

/// Awaits futures, a bounded number at a time; the results are in the futures' order.
///
/// # Errors
/// The first error; the futures that are not done are dropped.
pub(crate) async fn at_once<T, F: Future<Output = Result<T>>>(bound: usize, futures: Vec<F>) -> Result<Vec<T>> {
    stream::iter(futures).buffered(bound).try_collect().await
}

/// One file of a table.
#[derive(Debug, Clone)]
pub(crate) struct FileEntry {
    pub(crate) store: Arc<Store>,
    pub(crate) meta: ObjectMeta,
    /// From the names of its directories.
    pub(crate) partitions: Vec<PartitionValue>,
}

impl FileEntry {
    /// The path as a user would write it.
    pub(crate) fn display(&self) -> String {
        self.store.display(&self.meta.location)
    }

    /// Its name without directories.
    pub(crate) fn name(&self) -> &str {
        self.meta.location.filename().unwrap_or_default()
    }
}

/// What one path of an option stands for.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) store: Arc<Store>,
    /// Names and patterns from the store's root.
    pub(crate) segments: Vec<String>,
    /// The number of leading segments that are names whatever they hold: the server's location.
    pub(crate) literal: usize,
    /// A directory is meant.
    pub(crate) directory: bool,
}

/// Finds files for one table.
#[derive(Debug)]
pub(crate) struct Lister<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) format: Format,
}

impl Lister<'_> {
    /// The files of all targets, sorted by path within each.
    ///
    /// # Errors
    /// A named file that does not exist; a pattern or directory that holds no file; too many of them.
    pub(crate) async fn files(&self, targets: &[Target]) -> Result<Vec<FileEntry>> {
        let expansions = targets.iter().map(|target| self.expand(target)).collect();
        let files: Vec<FileEntry> = at_once(REQUESTS_MAX, expansions).await?.into_iter().flatten().collect();
        if files.len() > FILES_MAX {
            return Err(self.too_many(&format!("more than {FILES_MAX} files")));
        }
        self.check_keys(&files)?;
        Ok(files)
    }

    async fn expand(&self, target: &Target) -> Result<Vec<FileEntry>> {
        let store = &target.store;
        let mut prefixes = vec![Path::default()];
        let last = target.segments.len();
        for (index, segment) in target.segments.iter().enumerate() {
            let at_end = index + 1 == last && !target.directory;
            if index < target.literal || !is_pattern(segment) {
                if at_end {
                    return self.named(store, &prefixes, segment, target).await;
                }
                prefixes = prefixes.iter().map(|prefix| self.child(prefix, segment)).collect::<Result<_>>()?;
            } else if segment == "**" {
                return self.recursive(store, &prefixes, &target.segments[index..], target).await;
            } else {
                if !store.lists {
                    return Err(self.no_listing(store));
                }
                let pattern = pattern(segment).map_err(|reason| self.bad_pattern(reason))?;
                let matches = |path: &Path| path.filename().is_some_and(|name| pattern.matches_with(name, MATCHING));
                let listings = self.list_all(store, &prefixes).await?;
                let directories = listings.iter().flat_map(|listing| &listing.common_prefixes);
                let directories: Vec<Path> = directories.filter(|path| matches(path)).cloned().collect();
                if at_end {
                    let objects = listings.into_iter().flat_map(|listing| listing.objects);
                    let mut files: Vec<_> =
                        objects.filter(|meta| matches(&meta.location)).map(|meta| self.entry(store, meta)).collect();
                    let partitions: Vec<_> = directories.into_iter().filter(is_partition).collect();
                    files.append(&mut self.directories(store, &partitions).await?);
                    return self.some(files, target);
                }
                if directories.len() > DIRECTORIES_MAX {
                    return Err(self.too_many(&format!("more than {DIRECTORIES_MAX} directories")));
                }
                prefixes = directories;
            }
        }
        let files = self.directories(store, &prefixes).await?;
        self.some(files, target)
    }

    /// A last part that is a name: a file, or a directory.
    async fn named(
        &self,
        store: &Arc<Store>,
        prefixes: &[Path],
        name: &str,
        target: &Target,
    ) -> Result<Vec<FileEntry>> {
        let paths = prefixes.iter().map(|prefix| self.child(prefix, name)).collect::<Result<Vec<_>>>()?;
        let one = paths.len() == 1;
        // A name without an extension is likelier a directory, which an object store is not asked for as an object: some
        // answer that with an error of their own.
        let directory_first = store.lists && !store.local && !self.format.has_extension(name);
        let lookups = paths.into_iter().map(|path| async move {
            if directory_first {
                let files = self.directories(store, std::slice::from_ref(&path)).await?;
                if !files.is_empty() {
                    return Ok(files);
                }
            }
            match store.store.head(&path).await {
                Ok(meta) => Ok(vec![self.entry(store, meta)]),
                Err(object_store::Error::NotFound { .. }) if store.lists => {
                    self.directories(store, std::slice::from_ref(&path)).await
                }
                // Behind a pattern, a directory without the file is no error.
                Err(object_store::Error::NotFound { .. }) if !one => Ok(Vec::new()),
                Err(error) => Err(self.owner.store(&store.display(&path), &error)),
            }
        });
        let files: Vec<_> = at_once(REQUESTS_MAX, lookups.collect()).await?.into_iter().flatten().collect();
        if files.is_empty() && one {
            return Err(self.owner.missing(&self.shown(target), "no such file or directory"));
        }
        self.some(files, target)
    }

    /// Everything below `**` that matches the rest of the pattern.
    async fn recursive(
        &self,
        store: &Arc<Store>,
        prefixes: &[Path],
        rest: &[String],
        target: &Target,
    ) -> Result<Vec<FileEntry>> {
        if !store.lists {
            return Err(self.no_listing(store));
        }
        // `**` alone means every file of the format below.
        let everything = rest.iter().all(|segment| segment == "**");
        let pattern = glob::Pattern::new(&rest.join("/")).map_err(|error| self.bad_pattern(error.msg.to_owned()))?;
        let mut files = Vec::new();
        for prefix in prefixes {
            let skip = prefix.parts_count();
            for meta in self.list_below(store, prefix).await? {
                let names: Vec<_> = meta.location.as_ref().split('/').skip(skip).collect();
                let hidden = names.iter().any(|name| is_hidden(name));
                let matches = if everything {
                    self.format.has_extension(names.last().copied().unwrap_or_default())
                } else {
                    pattern.matches_with(&names.join("/"), MATCHING)
                };
                if matches && !hidden {
                    files.push(self.entry(store, meta));
                }
            }
        }
        self.some(files, target)
    }

    /// The files of the format in directories and in the Hive partitions below them.
    async fn directories(&self, store: &Arc<Store>, directories: &[Path]) -> Result<Vec<FileEntry>> {
        if !store.lists {
            return if directories.is_empty() { Ok(Vec::new()) } else { Err(self.no_listing(store)) };
        }
        let mut files = Vec::new();
        for directory in directories {
            let skip = directory.parts_count();
            for meta in self.list_below(store, directory).await? {
                let names: Vec<_> = meta.location.as_ref().split('/').skip(skip).collect();
                let Some((name, parents)) = names.split_last() else { continue };
                let partitioned = parents.iter().all(|parent| parse_directory(parent).is_some());
                if partitioned && !is_hidden(name) && self.format.has_extension(name) {
                    files.push(self.entry(store, meta));
                }
            }
        }
        Ok(files)
    }

    async fn list_below(&self, store: &Arc<Store>, prefix: &Path) -> Result<Vec<ObjectMeta>> {
        let mut listed = store.store.list((!prefix.is_root()).then_some(prefix));
        let mut found = Vec::new();
        while let Some(meta) =
            listed.try_next().await.map_err(|error| self.owner.store(&store.display(prefix), &error))?
        {
            found.push(meta);
            if found.len() > LISTED_MAX {
                return Err(self.too_many(&format!("more than {LISTED_MAX} files to look at")));
            }
        }
        found.sort_by(|a, b| a.location.cmp(&b.location));
        Ok(found)
    }

    async fn list_all(&self, store: &Arc<Store>, prefixes: &[Path]) -> Result<Vec<ListResult>> {
        let listings = prefixes.iter().map(|prefix| self.list_one(store, prefix)).collect();
        let listings = at_once(REQUESTS_MAX, listings).await?;
        let listed: usize = listings.iter().map(|listing| listing.objects.len()).sum();
        if listed > LISTED_MAX {
            return Err(self.too_many(&format!("more than {LISTED_MAX} files to look at")));
        }
        Ok(listings)
    }

    async fn list_one(&self, store: &Arc<Store>, prefix: &Path) -> Result<ListResult> {
        let listed = store.store.list_with_delimiter((!prefix.is_root()).then_some(prefix)).await;
        let mut listing = listed.map_err(|error| self.owner.store(&store.display(prefix), &error))?;
        listing.objects.sort_by(|a, b| a.location.cmp(&b.location));
        listing.common_prefixes.sort();
        Ok(listing)
    }

    fn entry(&self, store: &Arc<Store>, meta: ObjectMeta) -> FileEntry {
        let mut names: Vec<_> = meta.location.as_ref().split('/').collect();
        names.pop();
        let partitions = names.into_iter().filter_map(parse_directory).collect();
        FileEntry { store: Arc::clone(store), meta, partitions }
    }

    fn child(&self, prefix: &Path, name: &str) -> Result<Path> {
        let text = if prefix.is_root() { name.to_owned() } else { format!("{prefix}/{name}") };
        Path::parse(&text)
            .map_err(|_| self.owner.missing(&text, "the path holds characters that no file's name may hold"))
    }

    /// Every file must have the same keys: a row without one of them would have no value for its column.
    fn check_keys(&self, files: &[FileEntry]) -> Result<()> {
        let Some(first) = files.first() else { return Ok(()) };
        let keys = |file: &FileEntry| file.partitions.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        let expected = keys(first);
        match files.iter().find(|file| keys(file) != expected) {
            None => Ok(()),
            Some(odd) => Err(self.owner.unreadable(
                &odd.display(),
                format!(
                    "its directories name the partition columns ({}), but those of \"{}\" name ({})",
                    keys(odd).join(", "),
                    first.display(),
                    expected.join(", ")
                ),
            )),
        }
    }

    fn some(&self, files: Vec<FileEntry>, target: &Target) -> Result<Vec<FileEntry>> {
        if files.is_empty() {
            let reason = format!("no {} file is found there", self.format.name());
            return Err(self.owner.missing(&self.shown(target), reason));
        }
        Ok(files)
    }

    fn shown(&self, target: &Target) -> String {
        format!("{}/{}", target.store.display(&Path::default()).trim_end_matches('/'), target.segments.join("/"))
    }

    fn too_many(&self, what: &str) -> ConnectorError {
        ConnectorError::Limit {
            message: format!("{}: {what}", self.owner.object),
            hint: Some("Name a smaller part of the files.".into()),
        }
    }

    fn no_listing(&self, store: &Store) -> ConnectorError {
        ConnectorError::Unsupported {
            message: format!("\"{}\" cannot be listed", store.display(&Path::default())),
            hint: Some("Over HTTP, name each file in full.".into()),
        }
    }

    fn bad_pattern(&self, reason: String) -> ConnectorError {
        ConnectorError::OptionValue { option: "filename".into(), reason }
    }

    /// The live tables right under a location: names, each with the segment that it stands for.
    ///
    /// # Errors
    /// A location that cannot be listed.
    pub(crate) async fn live(&self, target: &Target) -> Result<BTreeMap<String, String>> {
        let store = &target.store;
        if !store.lists {
            return Ok(BTreeMap::new());
        }
        let mut base = Path::default();
        for segment in &target.segments {
            base = self.child(&base, segment)?;
        }
        let listing = self.list_one(store, &base).await?;
        let mut tables = BTreeMap::new();
        for meta in &listing.objects {
            let name = meta.location.filename().unwrap_or_default();
            if let Some(stem) = self.format.stem(name).filter(|_| !is_hidden(name)) {
                // Two files of one stem: the second goes by its whole name.
                let taken = tables.contains_key(stem);
                tables.insert(if taken { name.to_owned() } else { stem.to_owned() }, name.to_owned());
            }
        }
        let directories: Vec<_> = listing
            .common_prefixes
            .into_iter()
            .filter(|path| path.filename().is_some_and(|name| !is_hidden(name) && parse_directory(name).is_none()))
            .take(LIVE_DIRECTORIES_MAX)
            .collect();
        let checks = directories.into_iter().map(|path| async move {
            // A directory that may not be read, Atoll's own within a root, is no table.
            let holds = match self.holds_files(store, path.clone()).await {
                Err(ConnectorError::File { .. } | ConnectorError::Denied { .. }) => false,
                answer => answer?,
            };
            Ok((path, holds))
        });
        let checked: Vec<(Path, bool)> = at_once(REQUESTS_MAX, checks.collect()).await?;
        for (path, _) in checked.iter().filter(|(_, holds)| *holds) {
            let name = path.filename().unwrap_or_default();
            let taken = tables.contains_key(name);
            tables.insert(if taken { format!("{name}/") } else { name.to_owned() }, format!("{name}/"));
        }
        Ok(names::shortened(tables.keys().map(String::as_str)).into_iter().zip(tables.into_values()).collect())
    }

    /// Whether a directory holds files of the format, directly or in Hive partitions.
    async fn holds_files(&self, store: &Arc<Store>, mut directory: Path) -> Result<bool> {
        for _ in 0..LIVE_DEPTH_MAX {
            let listing = self.list_one(store, &directory).await?;
            let here = |meta: &ObjectMeta| {
                meta.location.filename().is_some_and(|name| !is_hidden(name) && self.format.has_extension(name))
            };
            if listing.objects.iter().any(here) {
                return Ok(true);
            }
            // All partitions look alike, so the first is enough.
            match listing.common_prefixes.into_iter().find(is_partition) {
                Some(partition) => directory = partition,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}

fn is_partition(path: &Path) -> bool {
    path.filename().is_some_and(|name| parse_directory(name).is_some())
}

/// Names that writers use for what is not data: `_SUCCESS`, `.part.crc`.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || (name.starts_with('_') && !name.contains('='))
}
