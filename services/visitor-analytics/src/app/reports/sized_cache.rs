//! Caches that are bounded in bytes.

use std::hash::Hash;

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};

/// Creates a cache of at most `capacity` bytes, which `weighter` counts.
///
/// It has a single shard, because an entry larger than the capacity of its shard is not stored.
pub(super) fn sized_cache<K, V, W>(
    estimated_items: usize,
    capacity: u64,
    weighter: W,
) -> Cache<K, V, W>
where
    K: Eq + Hash,
    V: Clone,
    W: Weighter<K, V> + Clone,
{
    let options = OptionsBuilder::new()
        .estimated_items_capacity(estimated_items)
        .weight_capacity(capacity)
        .shards(1)
        .build()
        .expect("the required options are set");
    let hasher = DefaultHashBuilder::default();
    Cache::with_options(options, weighter, hasher, DefaultLifecycle::default())
}

#[cfg(test)]
mod tests {
    use quick_cache::Weighter;
    use quick_cache::sync::Cache;

    use super::sized_cache;

    const CAPACITY: u64 = 100;

    #[derive(Clone)]
    struct ByteWeighter;

    impl Weighter<usize, Vec<u8>> for ByteWeighter {
        fn weight(&self, _: &usize, bytes: &Vec<u8>) -> u64 {
            bytes.len() as u64
        }
    }

    fn cache() -> Cache<usize, Vec<u8>, ByteWeighter> {
        sized_cache(10, CAPACITY, ByteWeighter)
    }

    #[test]
    fn the_size_never_exceeds_the_capacity_and_the_last_entry_is_kept() {
        let cache = cache();
        for (key, size) in [10, 40, 45, 5, 96, 30, 101, 1, 60, 60]
            .into_iter()
            .enumerate()
        {
            cache.insert(key % 7, vec![0; size]);
            assert!(cache.weight() <= CAPACITY);
            assert_eq!(cache.get(&(key % 7)).is_some(), size <= 100, "{size}");
        }
    }

    #[test]
    fn an_entry_that_is_used_outlasts_others() {
        let cache = cache();
        for key in 0..9 {
            cache.insert(key, vec![0; 10]);
        }
        for new in 10..100 {
            assert!(cache.get(&0).is_some());
            cache.insert(new, vec![0; 10]);
        }
    }

    #[test]
    fn a_larger_value_replaces_the_previous_one() {
        let cache = cache();
        cache.insert(0, vec![0; 25]);
        cache.insert(0, vec![0; 50]);
        assert_eq!((cache.len(), cache.weight()), (1, 50));
        cache.insert(0, vec![0; 200]);
        assert_eq!(cache.get(&0), None);
    }
}
