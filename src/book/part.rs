//! Parts: what of an entry stands together, for whom, and what its obligations belong to.
//!
//! Owns: the keys of parts, the tags of obligations, and what a finished draft hands over.
//! Promises: obligations of different supplies never stand in one part, so each part's tax can be told.
//! Refuses to know: how parts come about.

use super::change::Done;
use super::fees::Supply;
use super::name::Name;
use super::record::Record;
use crate::types::{AccountId, BrandId, CauseId, ParticipantId};
use std::sync::Arc;

/// Which part of the entry an effect stands in: this decides who can read it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PartKey {
    /// Line i of a batch (from 1).
    Line(u16),
    /// The holder of an account, and the account's brand.
    Holder(AccountId),
    /// Both sides of an obligation, smaller id first.
    Pair(ParticipantId, ParticipantId),
    /// One brand.
    Brand(BrandId),
    /// One participant.
    Participant(ParticipantId),
    /// Everybody.
    Public,
}

/// What an obligation belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tag {
    /// What it is for.
    pub cause: CauseId,
    /// The cycle that it falls into.
    pub cycle: u64,
    /// What is supplied for it, if more is to be said than that points were: a fee, a tax.
    pub supply: Option<Supply>,
}

impl Tag {
    /// Whether obligations of both stand in one part.
    pub(super) fn joins(&self, other: &Self) -> bool {
        let terms = |tag: &Self| tag.supply.map(Supply::of_nothing);
        self.cause == other.cause && self.cycle == other.cycle && terms(self) == terms(other)
    }
}

/// A finished part.
#[derive(Debug)]
pub struct PartOut {
    /// Who it is for.
    pub key: PartKey,
    /// What an obligation belongs to.
    pub tag: Option<Tag>,
    /// What it records.
    pub done: Done,
}

/// What a decided command leaves: parts for the log, and the records as they are now.
#[derive(Debug)]
pub struct Effects {
    /// In the order of the entry.
    pub parts: Vec<PartOut>,
    /// Every record that changed, with its value after.
    pub records: Vec<(Name, Option<Arc<Record>>)>,
}
