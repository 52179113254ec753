//! Erasing: a part that holds evidence goes, on request; its hash stays, and the log says by whose word.
//!
//! Owns: who may have it done, and the record that a part which is missing is held against.
//! Promises: of one part it is said once, and by an entry that comes later.
//! Refuses to know: what the part says. Whoever has the log looks at it before it asks.

use super::signer::{Asked, operator};
use crate::book::{Draft, Erased, Name, PartKey, Record, Stop};
use crate::types::{Hash, Ident, Refusal, Refused};
use serde::{Deserialize, Serialize};

/// `evidence.erase`: by the operator.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseEvidence {
    /// The entry; one that is in the log.
    pub entry: u64,
    /// Which of its parts, from 0.
    pub part: u16,
    /// The part's RFC 6962 leaf hash, hexadecimal: what stays of it.
    pub leaf: Hash,
    /// Why: a code, nobody's name.
    pub reason: Ident,
}

/// Records that a part is erased.
pub fn erase(draft: &mut Draft, asked: &Asked, args: &EraseEvidence) -> Result<(), Stop> {
    operator(draft, asked)?;
    if args.entry >= draft.seq {
        return Err(Refused::about(Refusal::SettingInvalid, "entry: one that is in the log").into());
    }
    let name = Name::Erased(args.entry, args.part);
    if draft.get(&name)?.is_some() {
        return Err(Refused::about(Refusal::AlreadyExists, name).into());
    }
    let record = Record::Erased(Erased { leaf: args.leaf, seq: draft.seq });
    draft.put(PartKey::Public, name, Some(record))
}
