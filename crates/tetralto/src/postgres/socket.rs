//! The folder of the cluster's socket. Its path is short, because the path of a socket is limited
//! to about 100 bytes (unix(7)). The folder is private, because the server asks for no password.

use std::{
    env,
    fmt::Write as _,
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{
    account::{OsAccount, change_owner},
    data_dir::path_hash,
    error::{PostgresError, io_error},
};

/// Leaves room for `/.s.PGSQL.5432` in the limit of macOS, 104 bytes.
const MAX_SOCKET_DIR_BYTES: usize = 88;

/// The folder. Dropping it deletes the folder and its contents.
pub struct SocketDir(pub PathBuf);

impl SocketDir {
    /// Creates the folder and deletes the socket files of an earlier server.
    pub fn create(data_dir: &Path, account: Option<OsAccount>) -> Result<Self, PostgresError> {
        let folder = folder_for(data_dir, account, &env::temp_dir());
        create_private_dir(&folder, account)?;
        for name in [".s.PGSQL.5432", ".s.PGSQL.5432.lock"] {
            let left = folder.join(name);
            match fs::remove_file(&left) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_error("delete", &left)(error));
                }
                _ => {}
            }
        }
        Ok(Self(folder))
    }
}

impl Drop for SocketDir {
    fn drop(&mut self) {
        // The next start deletes the socket files that are left.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn folder_for(data_dir: &Path, account: Option<OsAccount>, temp_dir: &Path) -> PathBuf {
    let name = format!("tetralto-{}", path_hash(data_dir));
    let folder = temp_dir.join(&name);
    let reachable = account.is_none_or(|account| account.can_reach(temp_dir));
    if reachable && folder.as_os_str().len() <= MAX_SOCKET_DIR_BYTES {
        folder
    } else {
        Path::new("/tmp").join(name)
    }
}

/// Creates a folder that only the account can enter. An existing folder must be private already:
/// another user could have created it, or a link, to get access.
pub fn create_private_dir(folder: &Path, account: Option<OsAccount>) -> Result<(), PostgresError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(io_error("create", folder)(error));
        }
        _ => {}
    }
    let found = fs::symlink_metadata(folder).map_err(io_error("read the metadata of", folder))?;
    let owned = found.uid() == rustix::process::geteuid().as_raw()
        || account.is_some_and(|account| account.uid == found.uid());
    if !(found.is_dir() && owned && found.mode().trailing_zeros() >= 6) {
        return Err(PostgresError::NotPrivate(folder.to_path_buf()));
    }
    change_owner(folder, account)
}

/// Percent-encodes a path for a URL parameter. Unreserved characters (RFC 3986) and `/` are kept.
pub fn percent_encode(path: &Path) -> String {
    let mut text = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String never fails");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_folder_that_is_not_private_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("socket");
        create_private_dir(&folder, None).unwrap();
        create_private_dir(&folder, None).unwrap();

        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let open = create_private_dir(&folder, None);
        assert!(matches!(open, Err(PostgresError::NotPrivate(_))));

        let link = base.path().join("link");
        symlink(base.path(), &link).unwrap();
        let linked = create_private_dir(&link, None);
        assert!(matches!(linked, Err(PostgresError::NotPrivate(_))));
    }

    #[test]
    fn a_long_temporary_folder_is_avoided() {
        let data_dir = Path::new("/data/postgres");
        let short = folder_for(data_dir, None, Path::new("/var/tmp"));
        assert!(short.starts_with("/var/tmp"));
        let long = format!("/{}", "x".repeat(80));
        let long = folder_for(data_dir, None, Path::new(&long));
        assert!(long.starts_with("/tmp"));
    }

    #[test]
    fn paths_survive_in_a_url() {
        let encoded = percent_encode(Path::new("/a b/c+d/é&x"));
        assert_eq!(encoded, "/a%20b/c%2Bd/%C3%A9%26x");
    }
}
