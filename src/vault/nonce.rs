//! Nonces of signed changes, and of reads signed ahead of time: what must count once although a node ends, another takes
//! its place, or what nodes share elsewhere is lost.
//!
//! Owns: which of them were taken, for as long as their signatures could count.
//! Promises: a nonce is taken once by all nodes of a network together; what was taken is on disk. If that cannot be
//! told, it is an error. What cannot count any more is forgotten.
//! Refuses to know: who signed, and what.

use super::seal::What;
use super::{Fault, Inner, Vault};
use crate::types::Kid;

impl Vault {
    /// Takes a nonce of a key, if nobody did before. No node may take the signature for good at `until` or later; both
    /// in Unix seconds.
    pub fn take_nonce(&self, kid: Kid, nonce: &str, until: u64, now: u64) -> Result<bool, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let name = master.blind(What::Nonce, &[&kid.0.0, nonce.as_bytes()].concat());
        let seconds = |time: u64| i64::try_from(time).unwrap_or(i64::MAX);
        file.write("remember a signature", |tables| {
            tables.forget_nonces(seconds(now))?;
            tables.add_nonce(&name, seconds(until))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_each, vault};
    use crate::types::{Hash, Kid};

    #[test]
    fn a_nonce_is_taken_once_by_all_who_have_the_vault_open_until_it_is_over() {
        on_each(|home| {
            let key = |n| Kid(Hash([n; 32]));
            let (one, other) = (vault(home), vault(home));
            let take = |kid, nonce, now| one.take_nonce(kid, nonce, 400, now).expect("an answer");
            assert!(take(key(1), "a", 100) && take(key(2), "a", 100) && take(key(1), "b", 100));
            assert!(!take(key(1), "a", 101));
            assert!(!other.take_nonce(key(1), "a", 400, 102).expect("an answer"), "another node");
            drop((one, other));
            let later = vault(home);
            assert!(!later.take_nonce(key(1), "a", 400, 399).expect("an answer"), "it is on disk");
            assert!(later.take_nonce(key(1), "a", 700, 400).expect("an answer"), "over, and forgotten");
        });
    }
}
