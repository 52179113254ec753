//! A bounded memory of recent answers.

use hashbrown::HashMap;
use std::hash::Hash;

/// Keeps about the most recently used entries, in two generations: what is found in the old one moves to
/// the young one; when that is full, the old one is forgotten.
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    half: usize,
}

impl<K: Eq + Hash, V: Copy> Recent<K, V> {
    /// A memory for at most `rows` entries, and 2 at least.
    pub(super) fn new(rows: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), half: (rows / 2).max(1) }
    }

    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.young.get(key) {
            return Some(*value);
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.put(key, value);
        Some(value)
    }

    pub(super) fn put(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let mut recent = Recent::new(100);
        recent.put(0, 0);
        for i in 1..1_000 {
            recent.put(i, i);
            assert_eq!(recent.get(&0), Some(0), "used all the time");
            assert!(recent.young.len() + recent.old.len() <= 100);
        }
        assert_eq!((recent.get(&999), recent.get(&1)), (Some(999), None));
        recent.put(999, 5);
        assert_eq!(recent.get(&999), Some(5), "the newer value counts");
        recent.clear();
        assert_eq!(recent.get(&0), None);
    }
}
