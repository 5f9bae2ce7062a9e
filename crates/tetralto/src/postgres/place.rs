//! Where a cluster lies, and that only one launcher uses it.

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
    account::{OsAccount, give},
    error::{PostgresError, at},
};

/// Where root's clusters lie when the account they run as cannot reach the folder asked for.
const FALLBACK_DATA_DIR: &str = "/var/lib/tetralto";

/// A cluster's folder and who runs it.
pub struct ClusterLocation {
    /// The absolute folder. It may not exist yet; the one above does.
    pub data_dir: PathBuf,
    /// Whom to become, if anybody else.
    pub account: Option<OsAccount>,
}

impl ClusterLocation {
    /// Finds the place for a cluster that was asked for in `wanted`.
    pub fn find(wanted: &Path) -> Result<Self, PostgresError> {
        let wanted = absolute(wanted).map_err(at("find", wanted))?;
        let (Some(parent), Some(name)) = (wanted.parent(), wanted.file_name()) else {
            let root = std::io::ErrorKind::InvalidInput.into();
            return Err(at("use", &wanted)(root));
        };
        fs::create_dir_all(parent).map_err(at("make", parent))?;
        let parent = fs::canonicalize(parent).map_err(at("find", parent))?;
        let data_dir = parent.join(name);

        match OsAccount::for_cluster(&data_dir)? {
            Some(account) if !account.can_reach(&parent) => Self::elsewhere(&data_dir),
            account => Ok(Self { data_dir, account }),
        }
    }

    fn elsewhere(unreachable: &Path) -> Result<Self, PostgresError> {
        let parent = Path::new(FALLBACK_DATA_DIR);
        fs::create_dir_all(parent).map_err(at("make", parent))?;
        fs::set_permissions(parent, fs::Permissions::from_mode(0o755))
            .map_err(at("open", parent))?;
        let data_dir = parent.join(short_name(unreachable));
        let account = OsAccount::for_cluster(&data_dir)?;
        Ok(Self { data_dir, account })
    }
}

/// A file or folder that belongs to a cluster and lies beside it.
pub fn beside(data_dir: &Path, extension: &str) -> PathBuf {
    data_dir.with_added_extension(extension)
}

/// A cluster's lock, which lasts as long as the file is open, so kill -9 frees it too.
pub struct ClusterLock(pub(super) File);

impl Drop for ClusterLock {
    /// A program that is just being started has the file open as well, until it is another program.
    fn drop(&mut self) {
        // What fails here is over when the file is closed.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Takes the cluster's lock.
pub fn lock(data_dir: &Path, account: Option<OsAccount>) -> Result<ClusterLock, PostgresError> {
    let path = beside(data_dir, "lock");
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(at("open", &path))?;
    give(&path, account)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(ClusterLock(file)),
        Err(Errno::WOULDBLOCK) => Err(PostgresError::InUse(data_dir.to_path_buf())),
        Err(error) => Err(at("lock", &path)(error.into())),
    }
}

/// A short name for a long path, always the same (FNV-1a).
pub fn short_name(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{hash:016x}")
}
