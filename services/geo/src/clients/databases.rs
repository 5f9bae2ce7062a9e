//! The local databases of `GEOIP_DATABASES` together.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use common::geo::Location;

use super::count;
use super::mmdb::{Database, DatabaseError};

/// Local databases, in the order to ask.
pub struct Databases(Vec<Database>);

/// `GEOIP_DATABASES` names something that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A folder or file cannot be read.
    #[error("GEOIP_DATABASES: {path} cannot be read: {error}", path = .0.display(), error = .1)]
    Unreadable(PathBuf, std::io::Error),
    /// A folder holds no database.
    #[error("GEOIP_DATABASES: the folder {path} holds no .mmdb file", path = .0.display())]
    Empty(PathBuf),
    /// A file is no sound database.
    #[error("GEOIP_DATABASES: {path}: {error}", path = .0.display(), error = .1)]
    Unsound(PathBuf, DatabaseError),
}

impl Databases {
    /// Opens and verifies the databases; folders stand for the .mmdb files in them, by name.
    pub fn open(paths: &[PathBuf]) -> Result<Self, OpenError> {
        let mut databases = vec![];
        for path in paths {
            for file in files(path)? {
                let database =
                    Database::open(&file).map_err(|error| OpenError::Unsound(file, error))?;
                databases.push(database);
            }
        }
        Ok(Self(databases))
    }

    /// Each database fills what those before it left open.
    pub(super) fn fill(&self, ip: IpAddr, location: &mut Location) {
        if self.0.is_empty() {
            return;
        }
        for database in &self.0 {
            database.fill(ip, location);
        }
        let found = !location.sources.is_empty();
        count("mmdb", if found { "found" } else { "not_found" });
    }

    /// What each is, for people.
    pub(super) fn descriptions(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(Database::description)
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let unreadable = |error| OpenError::Unreadable(path.to_owned(), error);
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = vec![];
    for entry in path.read_dir().map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|ending| ending == "mmdb") {
            found.push(file);
        }
    }
    if found.is_empty() {
        return Err(OpenError::Empty(path.to_owned()));
    }
    found.sort();
    Ok(found)
}
