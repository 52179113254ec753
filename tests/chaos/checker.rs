//! The checker: what the log says, read without the machine that wrote it.
//!
//! Owns: a fold over the evidence in the log: who was awarded what under which id, by which entry.
//! Promises: nothing of how the network books is used here; evidence is JSON, and points add up.
//! Refuses to know: nodes.

use serde_json::Value;
use std::collections::BTreeMap;
use tallyhouse::store::{Read, StoredPart};

/// An award as a client knows it.
#[derive(Clone, Debug)]
pub struct Award {
    pub which: usize,
    pub amount: u64,
    /// The entry that was told.
    pub seq: Option<u64>,
}

/// A balance that somebody was told.
#[derive(Clone, Debug)]
pub struct Balance {
    pub which: usize,
    pub total: u64,
    /// The entry that the answer names.
    pub seq: u64,
    /// The entry that was asked for.
    pub least: Option<u64>,
}

/// What the log says.
pub struct Ledger {
    /// By id: the account's number, the amount, the entry.
    awards: BTreeMap<String, (usize, u64, u64)>,
    /// By account: what it holds after each entry that changed it.
    held: Vec<BTreeMap<u64, u64>>,
    pub entries: u64,
}

impl Ledger {
    pub fn read(log: &dyn Read, accounts: &[String]) -> Self {
        let mut ledger =
            Self { awards: BTreeMap::new(), held: vec![BTreeMap::new(); accounts.len()], entries: 0 };
        loop {
            let entries = log.read(ledger.entries, 1_000, 8 << 20).expect("the log");
            if entries.is_empty() {
                return ledger;
            }
            for entry in entries {
                assert_eq!(entry.seq, ledger.entries, "a gap");
                ledger.entries += 1;
                let envelope: Value = serde_json::from_slice(&entry.envelope).expect("JSON");
                if envelope["kind"] == "points.issued" {
                    ledger.issued(entry.seq, &entry.parts, accounts);
                }
            }
        }
    }

    fn issued(&mut self, seq: u64, parts: &[StoredPart], accounts: &[String]) {
        let parts = parts.iter().filter_map(|part| match part {
            StoredPart::Whole(bytes) => serde_json::from_slice::<Value>(bytes).ok(),
            StoredPart::Erased(_) => None,
        });
        let said: Vec<Value> = parts.filter(|part| part["http"].is_object()).collect();
        assert_eq!(said.len(), 1, "entry {seq}: one signed request");
        let http = &said[0]["http"];
        let id = http["idempotency_key"].as_str().unwrap_or_else(|| panic!("entry {seq}: {http}")).to_owned();
        let body: Value = serde_json::from_str(http["body"].as_str().expect("a body")).expect("JSON");
        let account = body["sub"].as_str().expect("an account");
        let which = accounts.iter().position(|own| own == account).expect("one of ours");
        let amount = body["amount"].as_u64().expect("an amount");
        let twice = self.awards.insert(id.clone(), (which, amount, seq));
        assert!(
            twice.is_none(),
            "{id} took effect in entries {} and {seq}",
            twice.map_or(0, |(.., seq)| seq)
        );
        let before = self.held[which].last_key_value().map_or(0, |(_, held)| *held);
        self.held[which].insert(seq, before + amount);
    }

    /// Every award that was told is there, once, where it was told, and nothing else is.
    pub fn holds_each_once(&self, told: &BTreeMap<String, Award>) {
        for (name, award) in told {
            let there = self.awards.get(name);
            let wanted = (award.which, award.amount, award.seq.expect("told in the end"));
            assert_eq!(there, Some(&wanted), "{name}: what the log has, and what was told");
        }
        assert_eq!(self.awards.len(), told.len(), "awards that nobody asked for");
    }

    /// Holds a balance against the log: what the account held at the entry that the answer names, or later. Whether it
    /// was exactly that.
    pub fn agrees(&self, one: &Balance) -> bool {
        let Balance { which, total, seq, least } = one;
        assert!(least.is_none_or(|least| *seq >= least), "asked for {least:?}, told {seq}");
        assert!(*seq < self.entries, "entry {seq} is not in the log");
        let held = &self.held[*which];
        let at = held.range(..=*seq).next_back().map_or(0, |(_, held)| *held);
        let after = held.range(seq + 1..).any(|(_, held)| held == total);
        assert!(at == *total || after, "{one:?}: the log says {at} there, and never that later");
        at == *total
    }
}
