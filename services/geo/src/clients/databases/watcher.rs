//! Reloads changed database files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::{DatabaseLocation, FileStamp};
use super::{DatabaseSet, LocalDatabases, OpenError};
use crate::clients::mmdb::MmdbDatabase;

/// Watches the files of [`LocalDatabases`]. A changed file is loaded if two polls in a row see the
/// same change, so that a file is not read while it is written. An invalid file is reported in
/// `/health`; the version that was loaded before stays in use.
pub struct DatabaseWatcher {
    databases: Arc<LocalDatabases>,
    roots: Vec<(DatabaseLocation, Vec<WatchedFile>)>,
}

impl LocalDatabases {
    /// Opens and verifies the databases. A directory stands for the .mmdb files in it, sorted by
    /// name. Downloaded databases come after those of the settings; invalid ones are skipped. The
    /// second value reloads files that change later.
    pub fn open(
        paths: &[PathBuf],
        downloads: &Path,
    ) -> Result<(Arc<Self>, DatabaseWatcher), OpenError> {
        let databases = Arc::new(Self::default());
        let watch = DatabaseWatcher::open(paths, downloads, databases.clone())?;
        Ok((databases, watch))
    }
}

struct WatchedFile {
    path: PathBuf,
    /// The stamp at the last attempt to load.
    loaded_stamp: Option<FileStamp>,
    /// The stamp at the last poll.
    last_stamp: Option<FileStamp>,
    database: Option<Arc<MmdbDatabase>>,
    error: Option<String>,
}

impl DatabaseWatcher {
    pub(super) fn open(
        paths: &[PathBuf],
        downloads: &Path,
        databases: Arc<LocalDatabases>,
    ) -> Result<Self, OpenError> {
        let mut roots = vec![];
        for path in paths {
            let root = DatabaseLocation::Configured(path.clone());
            let files = root.files();
            let files = files.map_err(|error| OpenError::Unreadable(path.clone(), error))?;
            if files.is_empty() {
                return Err(OpenError::Empty(path.clone()));
            }
            let watched = files.into_iter().map(WatchedFile::open);
            roots.push((root, watched.collect::<Result<_, _>>()?));
        }
        roots.push((DatabaseLocation::Downloads(downloads.to_owned()), vec![]));
        let mut watch = Self { databases, roots };
        watch.publish();
        // The first poll finds the downloads, the second one loads them.
        watch.poll();
        watch.poll();
        Ok(watch)
    }

    /// Polls once. Loading a database can take seconds.
    pub fn poll(&mut self) {
        for index in 0..self.roots.len() {
            self.refresh_list(index);
            for file in 0..self.roots[index].1.len() {
                if self.roots[index].1[file].poll() {
                    // Published after each file, so that at most one database is in memory twice.
                    self.publish();
                }
            }
        }
    }

    /// Adds new files of a directory and drops removed ones. An empty directory is ignored: it may
    /// be a volume that is not mounted.
    fn refresh_list(&mut self, index: usize) {
        let (root, watched) = &mut self.roots[index];
        let Ok(paths) = root.files() else { return };
        if paths.is_empty() {
            return;
        }
        let before = watched.len();
        let mut old = std::mem::take(watched);
        let mut is_same = paths.len() == before;
        for path in paths {
            let known = old.iter().position(|file| file.path == path);
            is_same &= known.is_some();
            watched.push(known.map_or_else(|| WatchedFile::new(path), |at| old.swap_remove(at)));
        }
        if !is_same {
            self.publish();
        }
    }

    fn publish(&self) {
        let files = || self.roots.iter().flat_map(|(_, files)| files);
        self.databases.replace(DatabaseSet {
            databases: files().filter_map(|file| file.database.clone()).collect(),
            errors: files().filter_map(|file| file.error.clone()).collect(),
            ..DatabaseSet::default()
        });
    }
}

impl WatchedFile {
    fn new(path: PathBuf) -> Self {
        Self {
            path,
            loaded_stamp: None,
            last_stamp: None,
            database: None,
            error: None,
        }
    }

    fn open(path: PathBuf) -> Result<Self, OpenError> {
        let read = FileStamp::read(&path).ok();
        match MmdbDatabase::open(&path) {
            Ok(database) => Ok(Self {
                loaded_stamp: read,
                database: Some(Arc::new(database)),
                ..Self::new(path)
            }),
            Err(error) => Err(OpenError::Invalid(path, error)),
        }
    }

    /// Loads the file if it has changed and the change is complete. Returns whether to publish.
    fn poll(&mut self) -> bool {
        let now = match FileStamp::read(&self.path) {
            Ok(stamp) => stamp,
            Err(error) => {
                (self.loaded_stamp, self.last_stamp) = (None, None);
                return self.report_invalid(&format!("cannot be read: {error}"));
            }
        };
        let is_read = self.loaded_stamp == Some(now);
        let rests = self.last_stamp.replace(now) == Some(now);
        if is_read || !rests {
            return false;
        }
        let opened = MmdbDatabase::open(&self.path);
        if FileStamp::read(&self.path).ok() != Some(now) {
            // The file changed while it was loaded.
            return false;
        }
        self.loaded_stamp = Some(now);
        match opened {
            Ok(database) => {
                count_read("read");
                tracing::info!(
                    database = database.name(),
                    built = %database.built_at(),
                    "a database was loaded"
                );
                self.database = Some(Arc::new(database));
                self.error = None;
                true
            }
            Err(error) => {
                count_read("refused");
                self.report_invalid(&error.to_string())
            }
        }
    }

    fn report_invalid(&mut self, what: &str) -> bool {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        let kept = match self.database {
            Some(_) => "the previous version stays in use",
            None => "the file is not used",
        };
        let trouble = Some(format!("{name}: {what}; {kept}"));
        if self.error == trouble {
            return false;
        }
        self.error = trouble;
        tracing::warn!(file = %name, "a database was not loaded: {what}; {kept}");
        true
    }
}

fn count_read(outcome: &'static str) {
    metrics::counter!("geo_database_loads_total", "outcome" => outcome).increment(1);
}
