//! The data directory of a cluster and its lock.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf, absolute},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{
    account::{OsAccount, change_owner},
    error::{PostgresError, io_error},
};

/// Parent of the data directory if this process is root and the account of the cluster cannot reach
/// the requested folder.
const FALLBACK_DATA_DIR: &str = "/var/lib/tetralto";

pub struct ClusterLocation {
    /// Absolute path. The folder may not exist yet; its parent does.
    pub data_dir: PathBuf,
    /// The account to switch to, if this process is root.
    pub account: Option<OsAccount>,
}

impl ClusterLocation {
    /// Resolves the requested folder. Creates its parent.
    pub fn find(wanted: &Path) -> Result<Self, PostgresError> {
        let wanted = absolute(wanted).map_err(io_error("find", wanted))?;
        let (Some(parent), Some(name)) = (wanted.parent(), wanted.file_name()) else {
            let root = std::io::ErrorKind::InvalidInput.into();
            return Err(io_error("use", &wanted)(root));
        };
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        let parent = fs::canonicalize(parent).map_err(io_error("find", parent))?;
        let data_dir = parent.join(name);

        match OsAccount::for_cluster(&data_dir)? {
            Some(account) if !account.can_reach(&parent) => Self::fallback(&data_dir),
            account => Ok(Self { data_dir, account }),
        }
    }

    fn fallback(unreachable: &Path) -> Result<Self, PostgresError> {
        let parent = Path::new(FALLBACK_DATA_DIR);
        fs::create_dir_all(parent).map_err(io_error("create", parent))?;
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755))
            .map_err(io_error("change the mode of", parent))?;
        let data_dir = parent.join(path_hash(unreachable));
        let account = OsAccount::for_cluster(&data_dir)?;
        Ok(Self { data_dir, account })
    }
}

/// A sibling of the data directory with an added extension.
pub fn sibling(data_dir: &Path, extension: &str) -> PathBuf {
    data_dir.with_added_extension(extension)
}

/// Lock of a cluster. The kernel releases it when the file is closed, also after kill -9.
pub struct ClusterLock(pub(super) File);

impl Drop for ClusterLock {
    /// Unlocks explicitly: a child process between fork and exec still has the file open.
    fn drop(&mut self) {
        // If this fails, closing the file releases the lock.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the lock. Fails if another process holds it.
pub fn lock(data_dir: &Path, account: Option<OsAccount>) -> Result<ClusterLock, PostgresError> {
    let path = sibling(data_dir, "lock");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    change_owner(&path, account)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(ClusterLock(file)),
        Err(Errno::WOULDBLOCK) => Err(PostgresError::AlreadyRunning(data_dir.to_path_buf())),
        Err(error) => Err(io_error("lock", &path)(error.into())),
    }
}

/// A short, stable name for a path (FNV-1a hash).
pub fn path_hash(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}
