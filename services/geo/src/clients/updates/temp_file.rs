//! Unfinished files in the directory of downloads.

use std::path::Path;
use std::{fs, io};

use tempfile::NamedTempFile;

const NAME_PREFIX: &str = ".download-";

/// Creates a file that is deleted when it is dropped.
pub(super) fn create(folder: &Path) -> io::Result<NamedTempFile> {
    NamedTempFile::with_prefix_in(NAME_PREFIX, folder)
}

/// Removes the files that a killed process has left behind.
pub(super) fn remove_all(folder: &Path) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(NAME_PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
