//! Events: a reader's own entries, in order.

use super::{Entries, Fault, Seen};
use crate::machine::Reader;
use crate::views;

/// Bytes of entries on a page: one entry may go beyond.
const BYTES: usize = 8 << 20;

/// A page of a reader's entries.
#[derive(Clone, Debug)]
pub struct Events {
    /// The entries, in order.
    pub events: Vec<Seen>,
    /// Ask again after this entry. It may be past the last event: what lies between says nothing to the reader.
    pub after: Option<u64>,
    /// Whether there may be more already.
    pub more: bool,
}

impl Entries {
    /// Up to `limit` of a reader's entries after `after` (`None`: from the first). A brand's and the
    /// operator's have the public entries among them; a holder's are those that moved points on the account.
    /// A brand's and a holder's go as far as the views do, the operator's as far as the log.
    pub fn events(
        &self,
        views: &views::Reader,
        reader: &Reader,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Events, Fault> {
        let seqs = match reader {
            Reader::Operator => return self.all(after, limit),
            Reader::Brand { brand, .. } => views.concerning(brand, after, limit)?.what,
            Reader::Accounts(accounts) => {
                let mut seqs = vec![];
                for account in accounts {
                    seqs.extend(views.moving(*account, after, limit)?.what);
                }
                seqs.sort_unstable();
                seqs.dedup();
                seqs.truncate(limit);
                seqs
            }
        };
        let mut page = Events { events: vec![], after, more: !seqs.is_empty() && seqs.len() >= limit };
        let mut bytes = 0;
        for seq in seqs {
            if bytes > BYTES {
                page.more = true;
                break;
            }
            let seen = self.entry(seq, reader)?.filter(Seen::is_own);
            bytes += seen.as_ref().map_or(0, Seen::size);
            page.events.extend(seen);
            page.after = Some(seq);
        }
        Ok(page)
    }

    fn all(&self, after: Option<u64>, limit: usize) -> Result<Events, Fault> {
        let from = after.map_or(0, |after| after.saturating_add(1));
        let events = self.entries(from, limit, BYTES, &Reader::Operator)?;
        let last = events.last().map(|seen| seen.seq);
        Ok(Events { after: last.or(after), more: last.is_some(), events })
    }
}
