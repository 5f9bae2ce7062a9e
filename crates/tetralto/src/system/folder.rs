//! The data folder and the secrets in it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Makes the data folder, which others may pass through but not read: PostgreSQL runs as
/// somebody else where this process is root.
pub fn make(folder: &Path) -> anyhow::Result<()> {
    let problem = || format!("the data folder {} cannot be made", folder.display());
    fs::create_dir_all(folder).with_context(problem)
}

/// Writes a file that only its owner may read, in one step.
pub fn write_secret(file: &Path, text: &str) -> anyhow::Result<()> {
    let problem = || format!("{} cannot be written", file.display());
    let new = file.with_extension("new");
    // One that a killed start left behind keeps its mode, and is ours.
    let _ = fs::remove_file(&new);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut open = options.open(&new).with_context(problem)?;
    writeln!(open, "{text}").with_context(problem)?;
    open.sync_all().with_context(problem)?;
    fs::rename(&new, file).with_context(problem)
}
