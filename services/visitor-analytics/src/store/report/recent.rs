//! A least-recently-used cache that is bounded in bytes.

use std::collections::HashMap;
use std::hash::Hash;

/// Evicts the least recently used entries when the total size exceeds the capacity.
#[derive(Debug)]
pub(super) struct SizedLru<K, V> {
    known: HashMap<K, LruEntry<V>>,
    room: usize,
    size: usize,
    uses: u64,
}

#[derive(Debug)]
struct LruEntry<V> {
    value: V,
    size: usize,
    used: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> SizedLru<K, V> {
    /// `room` is the capacity in bytes.
    pub(super) fn new(room: usize) -> Self {
        Self {
            known: HashMap::new(),
            room,
            size: 0,
            uses: 0,
        }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        self.uses += 1;
        let entry = self.known.get_mut(key)?;
        entry.used = self.uses;
        Some(entry.value.clone())
    }

    /// Inserts a value of `size` bytes and evicts old entries as needed. A value that exceeds the
    /// capacity is not stored.
    pub(super) fn insert(&mut self, key: K, value: V, size: usize) {
        self.forget(&key);
        if size > self.room {
            return;
        }
        while self.size + size > self.room {
            let oldest = self.known.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                break;
            };
            self.forget(&oldest);
        }
        self.uses += 1;
        self.size += size;
        let used = self.uses;
        self.known.insert(key, LruEntry { value, size, used });
    }

    fn forget(&mut self, key: &K) {
        self.size -= self.known.remove(key).map_or(0, |entry| entry.size);
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
            let held: usize = recent.known.values().map(|entry| entry.value.len()).sum();
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
        assert_eq!(recent.known.len(), 1);
    }

    fn n_bytes(n: usize) -> Vec<u8> {
        vec![0; n]
    }
}
