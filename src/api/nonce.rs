//! Nonces: a signed request that changes nothing in the log counts once.
//!
//! Owns: which nonces were seen, for as long as their signatures count anywhere.
//! Promises: none is taken twice; if there is no room to remember one, it is not taken at all (it fails
//! closed, since for these requests nothing else would notice the repeat). Where nodes share a Redis it must be first
//! there, too: if it cannot be asked the answer is 503, with Retry-After. No key takes the room of the others, and
//! the keys of accounts, which anybody opens, have a room of their own.
//! Changes of the vault are remembered in it as well, whatever became of Redis and of the nodes before.
//! Refuses to know: writes to the log: their command id recognises them, for ever. Reads that were signed before this
//! node began: the gate does not let them come here.

use super::problem::{Code, Problem};
use super::service::Service;
use crate::book::Principal;
use crate::cache::remote::Remote;
use crate::sign::HttpSigned;
use crate::types::{Fingerprint, Kid};
use actix_web::web;
use hashbrown::HashMap;
use std::sync::{Mutex, PoisonError};

/// Nonces of a room that are remembered at the most: 300 seconds of 3,000 signed reads a second.
const MOST: usize = 1_000_000;
/// How far the clocks of two nodes may be apart, in seconds: for so long after a signature expired here, another node may
/// take it for good.
const APART: u64 = 60;
/// Of them, of one key.
const SHARE: usize = MOST / 20;

/// See the module.
#[derive(Default)]
pub struct Nonces {
    /// Of the operator and of brands.
    known: Room,
    /// Of the holders of accounts.
    holders: Room,
}

#[derive(Default)]
struct Room(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    of: HashMap<Kid, Own>,
    count: usize,
    pruned: u64,
}

/// Those of one key.
#[derive(Default)]
struct Own {
    until: HashMap<Fingerprint, u64>,
    pruned: u64,
}

impl Own {
    /// Forgets what does not count any more; how many that were.
    fn prune(&mut self, now: u64) -> usize {
        let before = self.until.len();
        self.until.retain(|_, until| *until > now);
        self.pruned = now;
        before.saturating_sub(self.until.len())
    }
}

impl Nonces {
    /// Takes a nonce of somebody's key until `expires`, in Unix seconds, on this node and on all that share `remote`.
    pub async fn first(
        &self,
        remote: Option<&Remote>,
        owner: &Principal,
        kid: Kid,
        nonce: &str,
        expires: u64,
        now: u64,
    ) -> Result<(), Problem> {
        let room = if matches!(owner, Principal::Account(_)) { &self.holders } else { &self.known };
        let name = Fingerprint::of_all(&[&kid.0.0, nonce.as_bytes()]);
        room.0.lock().unwrap_or_else(PoisonError::into_inner).take(kid, name, expires, now)?;
        let Some(remote) = remote else { return Ok(()) };
        let seconds = expires.saturating_sub(now).saturating_add(APART);
        match remote.is_first(&crate::types::hex(&name.0), seconds).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Code::SignatureReplayed.into()),
            Err(_) => {
                let why =
                    "whether this signature was used before cannot be told now; sign anew and try again";
                Err(Problem::about(Code::Busy, why))
            }
        }
    }
}

/// Takes a nonce in the vault, too, which all nodes have, and which outlasts them.
pub async fn once(service: &web::Data<Service>, signed: &HttpSigned) -> Result<(), Problem> {
    let (service, now) = (service.clone(), service.clock.now().seconds());
    let (kid, nonce, until) =
        (signed.kid(), signed.nonce().to_owned(), signed.expires().saturating_add(APART));
    let taken = web::block(move || service.vault.take_nonce(kid, &nonce, until, now));
    match taken.await.map_err(Problem::fault)?.map_err(Problem::fault)? {
        true => Ok(()),
        false => Err(Code::SignatureReplayed.into()),
    }
}

impl Seen {
    fn take(&mut self, kid: Kid, name: Fingerprint, expires: u64, now: u64) -> Result<(), Problem> {
        if self.count >= MOST && self.pruned != now {
            self.of.retain(|_, own| {
                own.prune(now);
                !own.until.is_empty()
            });
            self.count = self.of.values().map(|own| own.until.len()).sum();
            self.pruned = now;
        }
        let own = self.of.entry(kid).or_default();
        if own.until.get(&name).is_some_and(|until| *until > now) {
            return Err(Code::SignatureReplayed.into());
        }
        if own.until.len() >= SHARE && own.pruned != now {
            self.count = self.count.saturating_sub(own.prune(now));
        }
        if own.until.len() >= SHARE {
            let about = "too many signed requests of one key count at the same time; let them expire sooner";
            return Err(Problem::about(Code::RateLimited, about).after(1));
        }
        if self.count >= MOST {
            return Err(Problem::about(Code::Busy, "too many signed requests at once"));
        }
        if own.until.insert(name, expires).is_none() {
            self.count = self.count.saturating_add(1);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn key(n: u8) -> Kid {
        Kid(crate::types::Hash([n; 32]))
    }

    fn account() -> Principal {
        Principal::Account("ac_00000000000000000000000000".parse().expect("an account"))
    }

    /// Nothing is waited for where there is no Redis.
    fn alone<T>(asked: impl Future<Output = T>) -> T {
        asked.now_or_never().expect("at once")
    }

    #[test]
    fn a_nonce_counts_once_for_each_key_while_its_signature_counts() {
        let nonces = Nonces::default();
        let first = |key, nonce, expires, now| {
            alone(nonces.first(None, &Principal::Operator, key, nonce, expires, now))
        };
        assert!(first(key(1), "a", 300, 100).is_ok());
        assert_eq!(first(key(1), "a", 300, 101).expect_err("again").code(), "signature_replayed");
        assert!(first(key(2), "a", 300, 101).is_ok() && first(key(1), "b", 300, 101).is_ok());
        assert!(first(key(1), "a", 700, 300).is_ok(), "the first one does not count any more");
    }

    #[test]
    fn a_key_has_its_share_and_accounts_a_room_of_their_own() {
        let (nonces, own) = (Nonces::default(), account());
        let first = |key, n: usize, now| alone(nonces.first(None, &own, key, &n.to_string(), now + 300, now));
        let code = |no: Result<(), Problem>| no.expect_err("no room").code();
        for n in 0..SHARE {
            first(key(0), n, 100).expect("room");
        }
        assert_eq!(code(first(key(0), SHARE, 100)), "rate_limited");
        assert_eq!(code(first(key(0), 0, 100)), "signature_replayed");
        for other in 1..20 {
            for n in 0..SHARE {
                first(key(other), n, 100).expect("room");
            }
        }
        assert_eq!(code(first(key(20), 0, 100)), "busy");
        // Whoever is registered is not in their way.
        for (owner, n) in
            [Principal::Operator, Principal::Brand("br_a".parse().expect("a brand"))].iter().zip(21..)
        {
            assert!(alone(nonces.first(None, owner, key(n), "x", 400, 100)).is_ok());
        }
        // What does not count any more is forgotten: of one key, and of all.
        for n in 0..SHARE {
            first(key(0), n, 401).expect("room again");
        }
        assert!(first(key(20), 0, 401).is_ok());
        let seen = nonces.holders.0.lock().expect("no panic");
        assert_eq!(seen.count, seen.of.values().map(|own| own.until.len()).sum::<usize>());
    }
}
