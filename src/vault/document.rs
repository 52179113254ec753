//! Documents: what was brought as evidence in a dispute or a complaint. The log has their hashes.
//!
//! Owns: their bytes, sealed; of which matter each is, what it is, who brought it.
//! Promises: what is kept under a hash has that hash. A document of a person who has a wallet here is sealed under the
//! key of that person and goes with it. An erased one is gone; its name stays, so that it does not come back, and so does
//! who had it erased and when.
//! Refuses to know: who may bring or read one; the log says whose a matter is.

use super::file::Stop;
use super::record::holder_of;
use super::room::{self, Kept};
use super::seal::What;
use super::{Fault, Inner, Vault};
use crate::types::{AccountId, Hash, Ident, Kid, Time, b64, b64_decode};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Most bytes of a document.
pub const MAX_DOCUMENT: usize = 1 << 20;

/// Of what type a document may be.
pub const DOCUMENT_TYPES: [&str; 4] = ["application/pdf", "image/jpeg", "image/png", "text/plain"];

/// A document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// The dispute or complaint that it is about.
    pub matter: String,
    /// Its media type, one of [`DOCUMENT_TYPES`].
    pub media_type: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// Who brought it.
    pub by: String,
    /// When.
    pub added: Time,
}

/// What became of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// It is there.
    Whole(Document),
    /// It was erased.
    Erased(Erased),
}

/// How a document was erased.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Erasure)]
pub struct Erased {
    /// When.
    pub at: Time,
    /// The key that signed for it: a root of the operator; absent if that was before such keys were remembered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Kid>,
    /// Why, as whoever signed said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "holder-asked")]
    pub reason: Option<Ident>,
}

impl fmt::Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it was erased at {}", self.at)?;
        if let Some(by) = self.by {
            write!(f, ", signed by the operator's key {by}")?;
        }
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, ", reason: {reason}"))
    }
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptDocument {
    matter: String,
    sha256: Hash,
    media_type: String,
    /// base64url; nothing of one that was erased.
    content: String,
    by: String,
    added: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    erased_by: Option<Kid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Ident>,
}

impl KeptDocument {
    fn erasure(&self) -> Option<Erased> {
        self.erased.map(|at| Erased { at, by: self.erased_by, reason: self.reason.clone() })
    }
}

impl Kept for KeptDocument {
    const WHAT: What = What::Document;
    fn name(&self) -> String {
        name(&self.matter, self.sha256)
    }
    fn owner(&self) -> String {
        self.matter.clone()
    }
}

fn name(matter: &str, sha256: Hash) -> String {
    format!("{matter}/{sha256}")
}

impl Vault {
    /// Keeps a document; `of`: the account of the person that it is about, if it is about one. The same one again changes
    /// nothing; one that was erased is not taken again.
    pub fn keep_document(&self, document: &Document, of: Option<AccountId>) -> Result<Hash, Fault> {
        if document.content.is_empty() || document.content.len() > MAX_DOCUMENT {
            return Err(Fault::TooMuch("a document has 1 byte to 1 MiB"));
        }
        let sha256 = Hash::sha256(&document.content);
        let Inner { file, master, salts, .. } = &mut *self.inner();
        let kept = KeptDocument {
            matter: document.matter.clone(),
            sha256,
            media_type: document.media_type.clone(),
            content: b64(&document.content),
            by: document.by.clone(),
            added: document.added,
            erased: None,
            erased_by: None,
            reason: None,
        };
        file.write("keep a document", |tables| {
            let by = room::by_name::<KeptDocument>(master, &kept.name());
            match room::one::<KeptDocument>(tables, master, by)? {
                Some(before) => match before.record.erasure() {
                    Some(erased) => Err(Stop::Fault(Fault::DocumentErased(erased))),
                    None => Ok(()),
                },
                None => {
                    let holder = of.map(|account| holder_of(tables, master, account)).transpose()?.flatten();
                    let person = holder.as_ref().map(|(_, person)| person);
                    room::add(tables, master, salts, &kept, person)
                }
            }
        })?;
        Ok(sha256)
    }

    /// A document of a matter, by its hash; `None` if nobody brought it yet, or its person was erased.
    pub fn document(&self, matter: &str, sha256: Hash) -> Result<Option<Found>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_name::<KeptDocument>(master, &name(matter, sha256));
        let found = file.read("read a document", |tables| room::one::<KeptDocument>(tables, master, by))?;
        let Some(kept) = found.map(|found| found.record) else { return Ok(None) };
        if let Some(erased) = kept.erasure() {
            return Ok(Some(Found::Erased(erased)));
        }
        let damaged = || Fault::Damaged { path: file.path.clone(), what: What::Document.text() };
        let content = b64_decode(&kept.content).map_err(|_| damaged())?;
        if Hash::sha256(&content) != sha256 {
            return Err(damaged());
        }
        let KeptDocument { matter, media_type, by, added, .. } = kept;
        Ok(Some(Found::Whole(Document { matter, media_type, content, by, added })))
    }

    /// Erases a document; how it was erased, `None` if there was none. Erasing again changes nothing.
    ///
    /// An error that says that a reader is in the way means that it is gone, but old bytes of it may still stand in the
    /// write-ahead file: erase it again.
    pub fn erase_document(&self, matter: &str, sha256: Hash, how: &Erased) -> Result<Option<Erased>, Fault> {
        let mut inner = self.inner();
        let Inner { file, master, salts, .. } = &mut *inner;
        let there = file.write("erase a document", |tables| {
            let by = room::by_name::<KeptDocument>(master, &name(matter, sha256));
            let Some(mut found) = room::one::<KeptDocument>(tables, master, by)? else { return Ok(None) };
            if found.record.erased.is_none() {
                let Erased { at, by, reason } = how.clone();
                let record = &mut found.record;
                record.content.clear();
                (record.erased, record.erased_by, record.reason) = (Some(at), by, reason);
                room::replace(tables, master, salts, &found)?;
            }
            Ok(found.record.erasure())
        })?;
        file.flush()?;
        Ok(there)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, holds, on_each};
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("an instant")
    }

    fn letter(matter: &str, text: &str) -> Document {
        Document {
            matter: matter.into(),
            media_type: "text/plain".into(),
            content: text.as_bytes().to_vec(),
            by: "pa_harvest".into(),
            added: at(1),
        }
    }

    #[test]
    fn a_document_is_found_by_its_hash_until_it_is_erased() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let one = letter("dsp_7.0", "what was agreed");
            let hash = vault.keep_document(&one, None).expect("kept");
            assert_eq!(hash, Hash::sha256(b"what was agreed"));
            assert_eq!(vault.keep_document(&one, None).expect("the same"), hash);
            assert_eq!(vault.document("dsp_7.0", hash).expect("read"), Some(Found::Whole(one.clone())));
            assert_eq!(vault.document("dsp_8.0", hash).expect("read"), None, "of another matter");
            let reason = Some("asked".parse().expect("an id"));
            let how = Erased { at: at(5), by: Some(Kid(hash)), reason };
            assert_eq!(vault.erase_document("dsp_8.0", hash, &how).expect("nothing"), None);
            for later in [how.clone(), Erased { at: at(6), by: None, reason: None }] {
                assert_eq!(vault.erase_document("dsp_7.0", hash, &later).expect("erased"), Some(how.clone()));
            }
            // The same is told of it for ever, by whoever opens the vault.
            let again = Vault::open(home).expect("opened again");
            assert_eq!(again.document("dsp_7.0", hash).expect("read"), Some(Found::Erased(how.clone())));
            let no = vault.keep_document(&one, None);
            assert!(matches!(no, Err(Fault::DocumentErased(said)) if said == how));
            for size in [0, MAX_DOCUMENT + 1] {
                let content = vec![b'x'; size];
                let no = vault.keep_document(&Document { content, ..one.clone() }, None);
                assert!(matches!(no, Err(Fault::TooMuch(_))), "{size}");
            }
        });
    }

    #[test]
    fn what_it_says_stands_nowhere_and_goes_with_its_person() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let wallet = vault.create_wallet().expect("a wallet");
        let account = vault.ensure_accounts(&[(wallet, "HARVEST".parse().expect("a unit"))]);
        let account = account.expect("an account")[0];
        let one = letter("cmp_9.0", "it was not me who bought that");
        let hash = vault.keep_document(&one, Some(account)).expect("kept");
        for hidden in [&one.content[..], b64(&one.content).as_bytes(), b"cmp_9.0", &hash.0] {
            assert!(!holds(&bytes(dir.path()), hidden));
        }
        assert_eq!(vault.document("cmp_9.0", hash).expect("read"), Some(Found::Whole(one)));
        vault.erase(wallet).expect("erased");
        assert_eq!(vault.document("cmp_9.0", hash).expect("read"), None);
    }
}
