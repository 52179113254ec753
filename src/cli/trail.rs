//! One account's trail through the log: what happened to it, entry by entry.
//!
//! Every part that concerns an account records the account's values after it, so the account at any
//! instant can be put together from its own parts, without the rest of the state. Parts of others are
//! passed over unread.

use super::context::CliError;
use crate::book::{Account, Apply, Done, Name, Record};
use crate::engine::open_entry;
use crate::log::{Envelope, Slot, open};
use crate::machine::PartBody;
use crate::store::Read;
use crate::types::{AccountId, decode};
use std::ops::Range;
use std::sync::Arc;

/// Entries and bytes read at a time.
const PAGE: usize = 2_048;
const PAGE_BYTES: usize = 8 << 20;

/// Gets an envelope and what its parts record about the account (often nothing); says whether to go on.
pub(super) type Each<'a> = &'a mut dyn FnMut(&Envelope, Vec<Done>) -> Result<bool, CliError>;

/// Walks the entries of a range in order.
pub(super) fn walk(
    read: &dyn Read,
    account: AccountId,
    range: Range<u64>,
    each: Each<'_>,
) -> Result<(), CliError> {
    let wanted = account.to_string();
    let mut next = range.start;
    while next < range.end {
        let left = usize::try_from(range.end.saturating_sub(next)).unwrap_or(usize::MAX);
        let page = read.read(next, left.min(PAGE), PAGE_BYTES)?;
        if page.is_empty() {
            return Err(CliError::Refused(format!("entry {next} is missing from the log")));
        }
        for entry in &page {
            let (envelope, slots) = open_entry(entry).map_err(CliError::fault)?;
            let mut dones = vec![];
            for slot in &slots {
                dones.extend(concerning(slot, account, &wanted, entry.seq)?);
            }
            if !each(&envelope, dones)? {
                return Ok(());
            }
            next = entry.seq.saturating_add(1);
        }
    }
    Ok(())
}

/// What a part records about the account. The text is looked for first: that is a hundred times faster
/// than reading every part.
fn concerning(slot: &Slot, account: AccountId, wanted: &str, seq: u64) -> Result<Option<Done>, CliError> {
    let Slot::Whole(bytes) = slot else { return Ok(None) };
    if !std::str::from_utf8(bytes).is_ok_and(|text| text.contains(wanted)) {
        return Ok(None);
    }
    let unreadable = |e| CliError::Refused(format!("entry {seq}: {e}"));
    let (_, body) = open(bytes).map_err(unreadable)?;
    let body: PartBody = decode(&body).map_err(unreadable)?;
    let Some(done) = body.done else { return Ok(None) };
    let concerned = done.names(None).contains(&Name::Account(account))
        || done.legs.iter().any(|leg| leg.place == crate::book::Place::Holder(account));
    Ok(concerned.then_some(done))
}

/// One account, as its parts leave it.
#[derive(Default)]
pub(super) struct Trace {
    account: Option<Arc<Record>>,
    name: Option<Name>,
}

impl Trace {
    /// From what is known of it, perhaps nothing.
    pub(super) fn from(account: AccountId, known: Option<Account>) -> Self {
        let record = known.map(|account| Arc::new(Record::Account(account)));
        Self { account: record, name: Some(Name::Account(account)) }
    }

    /// Takes the effects of parts over.
    pub(super) fn take(&mut self, account: AccountId, dones: &[Done], seq: u64) -> Result<(), CliError> {
        for done in dones {
            // Only what stands on the account itself; the other records belong to others.
            let own = Done {
                heads: done.heads.iter().filter(|(id, _)| *id == account).cloned().collect(),
                lots: done.lots.iter().filter(|(id, ..)| *id == account).copied().collect(),
                holds: done.holds.iter().filter(|(id, ..)| *id == account).cloned().collect(),
                ..Done::default()
            };
            own.apply(None, self).map_err(|e| CliError::Refused(format!("entry {seq}: {e}")))?;
        }
        Ok(())
    }

    /// The account now; `None` if it was never opened.
    pub(super) fn account(&self) -> Option<&Account> {
        self.account.as_deref().and_then(Record::account)
    }
}

impl Apply for Trace {
    fn record(&mut self, name: &Name) -> Option<Arc<Record>> {
        self.account.clone().filter(|_| self.name.as_ref() == Some(name))
    }

    fn store(&mut self, name: Name, record: Option<Arc<Record>>) {
        if self.name.as_ref() == Some(&name) {
            self.account = record;
        }
    }
}
