//! Places for requests that take long: a bounded number, of which nobody gets more than half (rounded up).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Places of a kind, such as those of exports that are under way.
#[derive(Debug)]
pub struct RequestSlots {
    max: usize,
    held: Mutex<SlotCounts>,
}

#[derive(Debug, Default)]
struct SlotCounts {
    total: usize,
    by_subject: HashMap<String, usize>,
}

/// A place, which is free again when this is dropped.
#[derive(Debug)]
pub struct RequestSlot {
    places: Arc<RequestSlots>,
    subject: String,
}

/// No place is free, at least not for this subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every place is taken")]
pub struct NoFreeSlot;

impl RequestSlots {
    /// So many places.
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        let held = Mutex::default();
        Arc::new(Self { max, held })
    }

    /// A place for a token's subject, so that who holds one token cannot shut out the others.
    pub fn take(self: &Arc<Self>, subject: &str) -> Result<RequestSlot, NoFreeSlot> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.by_subject.get(subject).copied().unwrap_or_default();
        if held.total >= self.max || own >= self.max.div_ceil(2) {
            return Err(NoFreeSlot);
        }
        held.total += 1;
        held.by_subject.insert(subject.to_owned(), own + 1);
        Ok(RequestSlot {
            places: self.clone(),
            subject: subject.to_owned(),
        })
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let held = &self.places.held;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        held.total -= 1;
        if let Some(own) = held.by_subject.get_mut(&self.subject) {
            *own -= 1;
            if *own == 0 {
                held.by_subject.remove(&self.subject);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_gets_more_than_half() {
        let places = RequestSlots::new(4);
        let first = places.take("a").unwrap();
        let _second = places.take("a").unwrap();
        assert_eq!(places.take("a").unwrap_err(), NoFreeSlot);
        let _third = places.take("b").unwrap();
        let fourth = places.take("b").unwrap();
        assert_eq!(places.take("c").unwrap_err(), NoFreeSlot);
        drop(fourth);
        let _other = places.take("c").unwrap();
        drop(first);
        let _again = places.take("a").unwrap();
    }
}
