//! Nonces: a signed request that changes nothing in the log counts once.
//!
//! Owns: which nonces were seen, for as long as their signatures count.
//! Promises: none is taken twice; if there is no room to remember one, it is not taken at all (it fails
//! closed, since for these requests nothing else would notice the repeat).
//! Refuses to know: writes to the log: their command id recognises them, for ever.

use super::problem::{Code, Problem};
use crate::types::{Fingerprint, Kid};
use hashbrown::HashMap;
use std::sync::{Mutex, PoisonError};

/// Nonces that are remembered at the most: 300 seconds of 3,000 signed reads a second.
const MOST: usize = 1_000_000;

/// See the module.
#[derive(Default)]
pub struct Nonces(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    until: HashMap<Fingerprint, u64>,
    pruned: u64,
}

impl Nonces {
    /// Takes a nonce of a key until `expires`, in Unix seconds.
    pub fn first(&self, kid: Kid, nonce: &str, expires: u64, now: u64) -> Result<(), Problem> {
        let name = Fingerprint::of_all(&[&kid.0.0, nonce.as_bytes()]);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.until.get(&name).is_some_and(|until| *until > now) {
            return Err(Code::SignatureReplayed.into());
        }
        if seen.until.len() >= MOST && seen.pruned != now {
            seen.until.retain(|_, until| *until > now);
            seen.pruned = now;
        }
        if seen.until.len() >= MOST {
            return Err(Problem::about(Code::Busy, "too many signed requests at once"));
        }
        seen.until.insert(name, expires);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_counts_once_for_each_key_while_its_signature_counts() {
        let nonces = Nonces::default();
        let key = |n| Kid(crate::types::Hash([n; 32]));
        assert!(nonces.first(key(1), "a", 300, 100).is_ok());
        assert_eq!(nonces.first(key(1), "a", 300, 101).expect_err("again").code(), "signature_replayed");
        assert!(nonces.first(key(2), "a", 300, 101).is_ok() && nonces.first(key(1), "b", 300, 101).is_ok());
        assert!(nonces.first(key(1), "a", 700, 300).is_ok(), "the first one does not count any more");
    }
}
