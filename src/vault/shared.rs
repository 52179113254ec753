//! A vault that several nodes have open: what one of them revokes, forgets or erases, the others must not go on to
//! remember.
//!
//! Owns: how old what a node keeps at hand may be.
//! Promises: a look-up rests on nothing that another node took back more than [`FRESH`] before it began; whoever takes
//! something back waits that long, so that it is taken back everywhere when they are answered.
//! Refuses to know: what is kept.

use super::{Fault, Vault};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long what was compared with the database is taken for good.
const FRESH: Duration = Duration::from_millis(200);

/// See the module.
#[derive(Default)]
pub(super) struct Shared {
    /// Whether other nodes have it open.
    on: bool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Option<Instant>,
    changes: i64,
}

impl Vault {
    /// Other nodes have it open too, from here on.
    pub fn share(&mut self) {
        self.shared.on = true;
    }

    /// Forgets what is at hand, if another node took something back.
    pub(super) fn refresh(&self) -> Result<(), Fault> {
        if !self.shared.on {
            return Ok(());
        }
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let asked = Instant::now();
        let mut inner = self.inner();
        let changes = inner.file.changes()?;
        if changes != seen.changes {
            self.forget_all(&mut inner);
        }
        *seen = Seen { at: Some(asked), changes };
        Ok(())
    }

    /// Waits until no other node remembers what was taken back.
    pub(super) fn settle(&self) {
        if self.shared.on {
            std::thread::sleep(FRESH + FRESH / 4);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{NewApiKey, Presented, Vault, Whom};
    use crate::clock::Salts;
    use crate::store::{Home, cluster};
    use crate::types::Time;

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("an instant")
    }

    #[test]
    fn what_one_node_takes_back_the_others_do_not_remember() {
        let dir = tempfile::tempdir().expect("a folder");
        let address = cluster::shared().database();
        let open = || {
            let home = Home::new(dir.path(), Some(address.parse().expect("an address")));
            let mut vault = Vault::open_with(home, 1_000, Salts::new()).expect("a vault");
            vault.share();
            vault
        };
        let (one, other) = (open(), open());
        let new = |whom| NewApiKey {
            whom,
            role: "till".into(),
            scopes: vec![],
            name: String::new(),
            expires: at(1_000),
            live: false,
        };
        let (key, secret) = one.create_api_key(new(Whom::Operator), at(10)).expect("a key");
        for _ in 0..2 {
            assert!(matches!(other.present(&secret, at(11)), Ok(Presented::Valid(_))), "at hand from now on");
        }
        one.revoke_api_key(key.id, at(12)).expect("revoked");
        assert!(matches!(other.present(&secret, at(13)), Ok(Presented::Revoked(_))));
        // A person: the wallet, and a key that goes with it.
        let wallet = one.create_wallets(&["M-1"]).expect("a wallet")[0];
        let (_, secret) = one.create_api_key(new(Whom::Wallet(wallet)), at(10)).expect("a key");
        assert_eq!(other.wallet_of("M-1").expect("there"), Some(wallet));
        assert!(matches!(other.present(&secret, at(11)), Ok(Presented::Valid(_))));
        one.erase(wallet).expect("erased");
        assert_eq!(other.wallet_of("M-1").expect("an answer"), None);
        assert!(matches!(other.present(&secret, at(11)), Ok(Presented::Unknown)));
    }
}
