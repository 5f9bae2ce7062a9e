//! The ids of imports, and of visits whose file has none.

use aws_lc_rs::digest::{SHA256, digest};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::format::ImportFormat;

/// Derives the id of an import from the format, the site and the first lines, so that the same file
/// has the same id, even after it has grown.
#[must_use]
pub fn derive_import_id(format: ImportFormat, site: Option<&str>, beginning: &[String]) -> Uuid {
    let beginning = beginning.join("\n");
    let text = format!(
        "{}\n{}\n{beginning}",
        format.name(),
        site.unwrap_or_default()
    );
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    let builder = uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Custom);
    builder.with_variant(uuid::Variant::RFC4122).into_uuid()
}

/// Derives the id of a visit without one: a `UUIDv7` with the visit's time that is the same
/// whenever the same line of the same import is read.
#[must_use]
pub fn derive_visit_id(import: Uuid, number: u64, line: &str, moment: DateTime<Utc>) -> Uuid {
    let text = format!("{import}\n{number}\n{line}");
    let hash = digest(&SHA256, text.as_bytes());
    let mut bytes = [0; 10];
    bytes.copy_from_slice(&hash.as_ref()[..10]);
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}
