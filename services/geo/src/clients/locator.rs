//! The databases together.

use std::path::{Path, PathBuf};

use common::geo::Location;

use super::embedded::Embedded;
use super::mmdb::{Database, DatabaseError};
use crate::domain::{LocateError, parse};

/// Every source of locations, the best first.
pub struct Locator {
    databases: Vec<Database>,
    embedded: Embedded,
}

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

impl Locator {
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
        Ok(Self {
            databases,
            embedded: Embedded::new(),
        })
    }

    /// Where an address is: each database fills what those before it left open; the embedded one
    /// is asked only when no other knew the country.
    pub fn locate(&self, text: &str) -> Result<Location, LocateError> {
        let ip = parse(text)?;
        let mut location = Location::of(ip);
        for database in &self.databases {
            database.fill(ip, &mut location);
        }
        if location.country_code.is_none() {
            self.embedded.fill(ip, &mut location);
        }
        if location.sources.is_empty() {
            return Err(LocateError::NotFound);
        }
        Ok(location)
    }

    /// What is asked, for people.
    #[must_use]
    pub fn description(&self) -> String {
        let names = self.databases.iter().map(Database::description);
        let all: Vec<_> = names.chain([Embedded::description()]).collect();
        all.join(", ")
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
