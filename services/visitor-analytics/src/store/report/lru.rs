//! A least-recently-used cache that is bounded in bytes.

use std::collections::HashMap;
use std::hash::Hash;

/// Evicts the least recently used entries when the total size exceeds the capacity.
#[derive(Debug)]
pub(super) struct SizedLru<K, V> {
    entries: HashMap<K, LruEntry<V>>,
    capacity: usize,
    size: usize,
    use_count: u64,
}

#[derive(Debug)]
struct LruEntry<V> {
    value: V,
    size: usize,
    last_use: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> SizedLru<K, V> {
    /// `capacity` is in bytes.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            capacity,
            size: 0,
            use_count: 0,
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        self.use_count += 1;
        let entry = self.entries.get_mut(key)?;
        entry.last_use = self.use_count;
        Some(entry.value.clone())
    }

    /// Inserts a value of `size` bytes and evicts old entries as needed. A value that exceeds the
    /// capacity is not stored.
    pub(super) fn insert(&mut self, key: K, value: V, size: usize) {
        self.remove(&key);
        if size > self.capacity {
            return;
        }
        while self.size + size > self.capacity {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.remove(&oldest);
        }
        self.use_count += 1;
        self.size += size;
        let used = self.use_count;
        self.entries.insert(
            key,
            LruEntry {
                value,
                size,
                last_use: used,
            },
        );
    }

    fn remove(&mut self, key: &K) {
        self.size -= self.entries.remove(key).map_or(0, |entry| entry.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_never_exceeded() {
        let mut recent = SizedLru::new(100);
        for (key, size) in (0..1_000).map(|n| (n % 37, n * 7 % 120)) {
            recent.insert(key, n_bytes(size), size);
            let held: usize = recent.entries.values().map(|entry| entry.value.len()).sum();
            assert_eq!(held, recent.size);
            assert!(held <= 100);
            assert_eq!(recent.get(&key).is_some(), size <= 100);
        }
    }

    #[test]
    fn what_is_used_stays() {
        let mut recent = SizedLru::new(30);
        for key in 0..3 {
            recent.insert(key, n_bytes(10), 10);
        }
        assert!(recent.get(&0).is_some());
        recent.insert(3, n_bytes(10), 10);
        assert_eq!(recent.get(&1), None);
        assert!(recent.get(&0).is_some());
        recent.insert(0, n_bytes(25), 25);
        assert_eq!(recent.entries.len(), 1);
    }

    fn n_bytes(n: usize) -> Vec<u8> {
        vec![0; n]
    }
}
