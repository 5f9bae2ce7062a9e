//! A bounded number of slots for long requests. One subject gets at most half of them, rounded up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Slots for requests of one kind, such as exports.
#[derive(Debug)]
pub struct RequestSlots {
    max: usize,
    used: Mutex<SlotCounts>,
}

#[derive(Debug, Default)]
struct SlotCounts {
    total: usize,
    by_subject: HashMap<String, usize>,
}

/// A slot. Dropping it frees the slot.
#[derive(Debug)]
pub struct RequestSlot {
    slots: Arc<RequestSlots>,
    subject: String,
}

/// No slot is free, or the subject uses its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no request slot is free")]
pub struct NoFreeSlot;

impl RequestSlots {
    #[must_use]
    pub fn new(max: usize) -> Arc<Self> {
        let held = Mutex::default();
        Arc::new(Self { max, used: held })
    }

    /// Takes a slot for the subject of a token. The share per subject keeps one client from
    /// blocking the others.
    pub fn acquire(self: &Arc<Self>, subject: &str) -> Result<RequestSlot, NoFreeSlot> {
        let mut held = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let own = held.by_subject.get(subject).copied().unwrap_or_default();
        if held.total >= self.max || own >= self.max.div_ceil(2) {
            return Err(NoFreeSlot);
        }
        held.total += 1;
        held.by_subject.insert(subject.to_owned(), own + 1);
        Ok(RequestSlot {
            slots: self.clone(),
            subject: subject.to_owned(),
        })
    }
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        let held = &self.slots.used;
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
        let first = places.acquire("a").unwrap();
        let _second = places.acquire("a").unwrap();
        assert_eq!(places.acquire("a").unwrap_err(), NoFreeSlot);
        let _third = places.acquire("b").unwrap();
        let fourth = places.acquire("b").unwrap();
        assert_eq!(places.acquire("c").unwrap_err(), NoFreeSlot);
        drop(fourth);
        let _other = places.acquire("c").unwrap();
        drop(first);
        let _again = places.acquire("a").unwrap();
    }
}
