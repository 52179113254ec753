//! Published: what readers are told of committed entries, and the file that the newest checkpoint stands in.
//!
//! Owns: the order in which a commit becomes visible. Promises: accounts and keys first, then that the entry is proved; the
//! file never names a smaller log than it did. Refuses to know: who commits, this node's writer or another's.

use super::Commit;
use super::pace::Pace;
use super::run::Shared;
use crate::book::{Name, Record};
use crate::sign::PublicKey;
use crate::types::Kid;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Public keys kept at hand; they can be loaded again.
const KEYS: usize = 200_000;

impl Shared {
    pub(super) fn learn(&self, kid: Kid, key: PublicKey) {
        let mut keys = self.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if keys.len() >= KEYS {
            keys.clear();
        }
        keys.insert(kid, key);
    }

    fn key_changed(&self, kid: Kid, seq: u64, record: &Arc<Record>) {
        let shown = self.followed.first().map_or(0, |size| size.load(Ordering::Acquire));
        let mut changed = self.changed_keys.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Now and then, what state shows by now is forgotten.
        if changed.len() % 1_024 == 1_023 {
            changed.retain(|_, (seq, _)| *seq >= shown);
        }
        changed.insert(kid, (seq, record.clone()));
    }

    /// Makes committed entries visible to readers.
    pub(super) fn publish(&self, commits: &[Arc<Commit>]) {
        for commit in commits {
            for (name, record) in commit.records.iter() {
                match (name, record.as_deref()) {
                    (Name::Account(id), _) => self.balances.put(*id, commit.event.seq, record.clone()),
                    (Name::Key(kid), Some(Record::Key(key))) => {
                        self.learn(*kid, key.key);
                        if let Some(record) = record {
                            self.key_changed(*kid, commit.event.seq, record);
                        }
                    }
                    _ => {}
                }
            }
        }
        if let Some(last) = commits.last() {
            self.last_at.store(last.event.at.micros(), Ordering::Release);
            self.balances.prove(last.event.seq + 1);
        }
        self.feed(commits);
    }
}

/// Keeps the newest checkpoint outside the database too: a copy that was restored too old is noticed by it. So the file
/// stays as it is where the log is shorter than it says, or has another root there.
pub(super) fn checkpoint(pace: &Pace, checkpoint: &str) {
    let kept = std::fs::read_to_string(&pace.checkpoint).ok();
    if kept.as_deref().and_then(size) > size(checkpoint) {
        return;
    }
    if let (Some(guard), Some(kept)) = (&pace.guard, &kept)
        && let Err(why) = guard.gives_way(kept, checkpoint)
    {
        tracing::error!("the checkpoint is not replaced: {why}");
        return;
    }
    let temporary = pace.checkpoint.with_extension("new");
    let written =
        std::fs::write(&temporary, checkpoint).and_then(|()| std::fs::rename(&temporary, &pace.checkpoint));
    if let Err(e) = written {
        eprintln!("warning: the checkpoint could not be written to {}: {e}", pace.checkpoint.display());
    }
}

/// The second line of a checkpoint: how many entries it is over.
fn size(checkpoint: &str) -> Option<u64> {
    checkpoint.lines().nth(1)?.parse().ok()
}
