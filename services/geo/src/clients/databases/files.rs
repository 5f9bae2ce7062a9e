//! Lists database files and detects changed ones.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Changes when a file is modified or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

impl FileStamp {
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let metadata = path.metadata()?;
        Ok(Self {
            modified: metadata.modified()?,
            size: metadata.len(),
            inode: metadata.ino(),
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum DatabaseLocation {
    /// A file or directory in `GEOIP_DATABASES`.
    Configured(PathBuf),
    /// The directory of downloads, which may not exist.
    Downloads(PathBuf),
}

impl DatabaseLocation {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Configured(path) | Self::Downloads(path) => path,
        }
    }

    /// The .mmdb files, sorted by name.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let path = self.path();
        if !path.is_dir() {
            return match self {
                Self::Configured(_) => Ok(vec![path.to_owned()]),
                Self::Downloads(_) => Ok(vec![]),
            };
        }
        let mut found = vec![];
        for entry in path.read_dir()? {
            let file = entry?.path();
            if file.extension().is_some_and(|ending| ending == "mmdb") {
                found.push(file);
            }
        }
        found.sort();
        Ok(found)
    }
}
