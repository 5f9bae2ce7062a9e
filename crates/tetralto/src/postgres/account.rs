//! The operating system account of PostgreSQL, which refuses to run as root.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, lchown},
    path::Path,
    process::Command,
};

use super::{
    environment::sudo_caller,
    error::{PostgresError, io_error},
};

/// A user and its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OsAccount {
    /// Never 0 (root).
    pub uid: u32,
    pub gid: u32,
}

impl OsAccount {
    /// The account to switch to for the cluster of a folder. `None` if this process is not root.
    /// Otherwise the first of: the owner of the folder, the caller of `sudo`, `postgres`, `nobody`.
    pub fn for_cluster(data_dir: &Path) -> Result<Option<Self>, PostgresError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let owner = fs::metadata(data_dir).ok().map(|found| Self {
            uid: found.uid(),
            gid: found.gid(),
        });
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        owner
            .filter(|owner| owner.uid != 0)
            .or_else(Self::from_sudo)
            .or_else(|| Self::from_passwd("postgres", &passwd))
            .or_else(|| Self::from_passwd("nobody", &passwd))
            .map(Some)
            .ok_or(PostgresError::NoAccount)
    }

    fn from_sudo() -> Option<Self> {
        let (uid, gid) = sudo_caller()?;
        (uid != 0).then_some(Self { uid, gid })
    }

    /// Finds a user in the contents of `/etc/passwd` (passwd(5)).
    fn from_passwd(name: &str, passwd: &str) -> Option<Self> {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(|field| {
            // macOS lists `nobody` as -2, which the kernel reads as an unsigned number.
            let signed = field.parse::<i32>().ok().map(i32::cast_unsigned);
            field.parse::<u32>().ok().or(signed)
        });
        let account = Self {
            uid: numbers.next()??,
            gid: numbers.next()??,
        };
        (account.uid != 0).then_some(account)
    }

    /// Whether this account can enter a folder and all its parents.
    pub fn can_reach(self, folder: &Path) -> bool {
        folder.ancestors().all(|folder| {
            fs::metadata(folder).is_ok_and(|found| {
                let bit = if found.uid() == self.uid {
                    0o100
                } else if found.gid() == self.gid {
                    0o010
                } else {
                    0o001
                };
                found.mode() & bit != 0
            })
        })
    }

    /// Runs a command as this account, without the groups of root.
    pub fn apply(self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        // The standard library clears the supplementary groups when root changes the user.
        command.uid(self.uid).gid(self.gid);
    }
}

/// Makes the account of the cluster the owner of a folder or file.
pub fn change_owner(path: &Path, account: Option<OsAccount>) -> Result<(), PostgresError> {
    let Some(OsAccount { uid, gid }) = account else {
        return Ok(());
    };
    lchown(path, Some(uid), Some(gid)).map_err(io_error("change the owner of", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn users_are_found_by_name() {
        let passwd = "root:x:0:0::/root:/bin/sh\nnobody:*:-2:-2::/:/usr/bin/false\n\
                      postgres:x:101:104::/var/lib/postgresql:/bin/bash\n";
        let account = |uid, gid| Some(OsAccount { uid, gid });
        assert_eq!(
            OsAccount::from_passwd("postgres", passwd),
            account(101, 104)
        );
        assert_eq!(
            OsAccount::from_passwd("nobody", passwd),
            account(4_294_967_294, 4_294_967_294)
        );
        assert_eq!(OsAccount::from_passwd("root", passwd), None);
        assert_eq!(OsAccount::from_passwd("post", passwd), None);
    }

    #[test]
    fn every_folder_above_must_be_passable() {
        let base = tempfile::tempdir().unwrap();
        let inner = base.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let found = fs::metadata(&inner).unwrap();
        let owner = OsAccount {
            uid: found.uid(),
            gid: found.gid(),
        };
        let stranger = OsAccount {
            uid: owner.uid + 1,
            gid: owner.gid + 1,
        };
        assert!(owner.can_reach(&inner));
        assert!(!stranger.can_reach(&inner));
    }
}
