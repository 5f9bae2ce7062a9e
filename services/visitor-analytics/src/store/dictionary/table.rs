//! A table of values that visits share, and the keys of its rows.

use aws_lc_rs::digest::{Context, SHA256};
use chassis::database::StoreError;
use sqlx::PgConnection;
use uuid::Uuid;

pub(super) trait DimensionTable {
    type Value: ?Sized;

    /// A key that is the same on every replica; `None` if there is no value to store.
    fn key(value: &Self::Value) -> Option<Uuid>;

    /// Inserts values that are missing. Returns the ids of all values that are visible.
    async fn insert_missing(
        connection: &mut PgConnection,
        keys: &[Uuid],
        values: &[&Self::Value],
    ) -> Result<Vec<DimensionId>, StoreError>;
}

pub(super) struct DimensionId {
    pub(super) key: Uuid,
    pub(super) id: i32,
}

/// The first half of the SHA-256 of a value's parts. The terminators 254 and 255 do not occur in
/// UTF-8.
pub(in crate::store) fn key<const N: usize>(parts: [Option<&[u8]>; N]) -> Uuid {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        match part {
            Some(bytes) => {
                hash.update(bytes);
                hash.update(&[254]);
            }
            None => hash.update(&[255]),
        }
    }
    let hash = hash.finish();
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_ref()[..16]);
    Uuid::from_bytes(half)
}

pub(super) fn bytes(text: Option<&String>) -> Option<&[u8]> {
    text.map(String::as_bytes)
}

/// Collects a field of all values.
pub(super) fn column<'a, V: ?Sized, T>(values: &[&'a V], field: impl Fn(&'a V) -> T) -> Vec<T> {
    values.iter().map(|value| field(value)).collect()
}
