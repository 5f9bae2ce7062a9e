//! Finds the PostgreSQL installations of this machine.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    environment::{postgres_bin_override, search_path},
    error::PostgresError,
};

/// A folder with PostgreSQL's programs, at least `initdb` and `postgres`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PostgresBinaries {
    major: u32,
    minor: u32,
    /// The version as `postgres --version` prints it.
    pub version: String,
    pub folder: PathBuf,
}

impl PostgresBinaries {
    /// Finds the newest installation, or the newest with the major version of an existing cluster.
    pub fn find(data_dir: &Path) -> Result<Self, PostgresError> {
        let found = find_installations()?;
        let Some(needed) = read_cluster_major(data_dir) else {
            return found.last().cloned().ok_or(PostgresError::NotInstalled);
        };
        if found.is_empty() {
            return Err(PostgresError::NotInstalled);
        }
        let same = found.iter().rfind(|binaries| binaries.major == needed);
        same.cloned().ok_or_else(|| PostgresError::VersionMismatch {
            data_dir: data_dir.to_path_buf(),
            needed,
            found: join_versions(&found),
        })
    }

    /// Path of a program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn from_folder(folder: &Path) -> Option<Self> {
        // The server finds its libraries relative to the real path, so resolve links.
        let initdb = fs::canonicalize(folder.join("initdb")).ok()?;
        let folder = initdb.parent()?.to_path_buf();
        let said = Command::new(folder.join("postgres"))
            .arg("--version")
            .output()
            .ok()?;
        let (major, minor, version) = parse_version(&String::from_utf8_lossy(&said.stdout))?;
        Some(Self {
            major,
            minor,
            version,
            folder,
        })
    }
}

/// Finds all installations. The newest is last.
fn find_installations() -> Result<BTreeSet<PostgresBinaries>, PostgresError> {
    if let Some(folder) = postgres_bin_override() {
        return match PostgresBinaries::from_folder(&folder) {
            Some(binaries) => Ok(BTreeSet::from([binaries])),
            None => Err(PostgresError::MissingPrograms(folder)),
        };
    }
    let path = search_path();
    let folders = env::split_paths(&path)
        .chain(pg_config_folder())
        .chain(subfolders("/usr/lib/postgresql", "", "bin"))
        .chain(subfolders("/usr", "pgsql-", "bin"))
        .chain(subfolders("/opt/homebrew/opt", "postgresql", "bin"))
        .chain(subfolders("/usr/local/opt", "postgresql", "bin"))
        .chain(subfolders(
            "/Applications/Postgres.app/Contents/Versions",
            "",
            "bin",
        ));
    Ok(folders
        .filter_map(|folder| PostgresBinaries::from_folder(&folder))
        .collect())
}

fn pg_config_folder() -> Option<PathBuf> {
    let said = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(said.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// `{parent}/{prefix}*/{inner}`.
fn subfolders(parent: &str, prefix: &'static str, inner: &'static str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path().join(inner))
        .collect()
}

fn read_cluster_major(data_dir: &Path) -> Option<u32> {
    let text = fs::read_to_string(data_dir.join("PG_VERSION")).ok()?;
    text.trim().parse().ok()
}

fn join_versions(found: &BTreeSet<PostgresBinaries>) -> String {
    let versions: Vec<&str> = found.iter().map(|b| b.version.as_str()).collect();
    versions.join(", ")
}

/// Parses `postgres (PostgreSQL) 17.5 (Debian 17.5-1)`. Betas have versions such as `18beta1`.
fn parse_version(said: &str) -> Option<(u32, u32, String)> {
    let version = said.split_whitespace().nth(2)?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Some((major, minor, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let read = |said| parse_version(said).map(|(major, minor, _)| (major, minor));
        assert_eq!(
            read("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some((15, 18))
        );
        assert_eq!(read("postgres (PostgreSQL) 18beta1\n"), Some((18, 0)));
        assert_eq!(read("something else"), None);
    }

    #[test]
    fn another_major_version_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("PG_VERSION"), "8\n").unwrap();
        let error = PostgresBinaries::find(folder.path())
            .unwrap_err()
            .to_string();
        assert!(error.contains("was created by PostgreSQL 8"), "{error}");
    }
}
