//! The data folder and its secret files.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Creates the data folder. It keeps the default mode, because PostgreSQL runs as another account
/// when this process is root and must be able to enter the folder.
pub fn create(folder: &Path) -> anyhow::Result<()> {
    let problem = || format!("cannot create the data folder {}", folder.display());
    fs::create_dir_all(folder).with_context(problem)
}

/// Writes a file that only its owner may read. The file is replaced atomically.
pub fn write_secret(file: &Path, text: &str) -> anyhow::Result<()> {
    let problem = || format!("cannot write {}", file.display());
    let new = file.with_extension("new");
    // A start that was killed may have left the temporary file behind.
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut open = options.open(&new).with_context(problem)?;
    writeln!(open, "{text}").with_context(problem)?;
    open.sync_all().with_context(problem)?;
    fs::rename(&new, file).with_context(problem)
}
