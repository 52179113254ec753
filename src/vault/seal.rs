//! Sealing: what makes a record unreadable without its keys, and findable without being readable.
//!
//! Owns: the vault's own key and what is derived from it, the keys of persons, the sealed form.
//! Promises: a sealed record opens under its own key, at its own place, or not at all. The form is a nonce
//! of 24 random bytes, then XChaCha20-Poly1305 of the record; the place (what it is and its blind index)
//! is authenticated with it.
//! A blind index is a keyed hash: whoever lacks the key can neither compute nor reverse it, and who has it
//! finds a record by its exact name.
//! Refuses to know: what the records are, and where they are kept.

use crate::clock::Salts;
use crate::types::hex;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

/// 32 secret bytes.
pub(super) type Key = [u8; 32];
/// Stands for a name where the name itself must not stand.
pub(super) type Blind = [u8; 16];

const NONCE: usize = 24;

/// What a record is. Each has an index of its own, and none opens in the place of another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// The key of a person.
    PersonKey,
    /// A wallet's id.
    Wallet,
    /// An alias.
    Alias,
    /// The account of a wallet for a unit.
    Slot,
    /// An account's id.
    Account,
    /// An alias that holds at one brand only.
    BrandAlias,
    /// An API key.
    ApiKey,
    /// A key that the network holds for somebody.
    HeldKey,
    /// A brand's application to join.
    Application,
    /// Bank details of a participant.
    Details,
    /// A document that was brought as evidence.
    Document,
    /// What somebody presents to be known by; an index only, as the two below.
    Secret,
    /// Whose a record is.
    Owner,
    /// How a record stands.
    State,
    /// A nonce of a key; an index only, too.
    Nonce,
}

impl What {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::PersonKey => "the key of a person",
            Self::Wallet => "a wallet",
            Self::Alias => "an alias",
            Self::Slot => "an account",
            Self::Account => "an account's id",
            Self::BrandAlias => "a brand's alias",
            Self::ApiKey => "an API key",
            Self::HeldKey => "a held key",
            Self::Application => "an application",
            Self::Details => "bank details",
            Self::Document => "a document",
            Self::Secret => "a presented secret",
            Self::Owner => "an owner",
            Self::State => "a state",
            Self::Nonce => "a nonce",
        }
    }

    /// Part of the format.
    pub(super) fn code(self) -> u8 {
        match self {
            Self::PersonKey => b'k',
            Self::Wallet => b'w',
            Self::Alias => b'l',
            Self::Slot => b's',
            Self::Account => b'a',
            Self::BrandAlias => b'b',
            Self::ApiKey => b'p',
            Self::HeldKey => b'h',
            Self::Application => b'q',
            Self::Details => b'd',
            Self::Document => b'e',
            Self::Secret => b'x',
            Self::Owner => b'o',
            Self::State => b't',
            Self::Nonce => b'n',
        }
    }
}

/// The vault's key, as what is derived from it. The key itself is never kept.
pub(super) struct Master {
    wrap: Key,
    index: Key,
    records: Key,
    fingerprint: Blind,
}

impl Master {
    pub(super) fn of(key: &Key) -> Self {
        let derive = |context| blake3::derive_key(context, key);
        let [fingerprint, _] = halves(derive("tallyhouse 2026 vault key fingerprint"));
        Self {
            wrap: derive("tallyhouse 2026 vault key wrapping"),
            index: derive("tallyhouse 2026 vault blind index"),
            records: derive("tallyhouse 2026 vault record sealing"),
            fingerprint,
        }
    }

    /// Tells keys apart and says nothing else about them.
    pub(super) fn fingerprint(&self) -> &Blind {
        &self.fingerprint
    }

    /// The index of a name.
    pub(super) fn blind(&self, what: What, name: &[u8]) -> Blind {
        let mut hasher = blake3::Hasher::new_keyed(&self.index);
        hasher.update(&[what.code()]).update(name);
        let [blind, _] = halves(*hasher.finalize().as_bytes());
        blind
    }

    /// The key of records that are no person's.
    pub(super) fn records(&self) -> &Key {
        &self.records
    }

    /// Wraps the key of the person who owns a wallet.
    pub(super) fn wrap(&self, salts: &mut Salts, wallet: &Blind, key: &Key) -> Vec<u8> {
        seal(salts, &self.wrap, What::PersonKey, wallet, key)
    }

    /// The reverse of [`Master::wrap`].
    pub(super) fn unwrap(&self, wallet: &Blind, wrapped: &[u8]) -> Option<Key> {
        open(&self.wrap, What::PersonKey, wallet, wrapped)?.try_into().ok()
    }
}

/// A fingerprint as people compare it.
pub(super) fn readable(fingerprint: &[u8]) -> String {
    hex(fingerprint.get(..4).unwrap_or_default())
}

/// Seals a record.
pub(super) fn seal(salts: &mut Salts, key: &Key, what: What, place: &Blind, record: &[u8]) -> Vec<u8> {
    let nonce: [u8; NONCE] = salts.bytes();
    let msg = Payload { msg: record, aad: &aad(what, place) };
    match XChaCha20Poly1305::new(key.into()).encrypt(XNonce::from_slice(&nonce), msg) {
        Ok(text) => [&nonce[..], &text].concat(),
        // The cipher fails beyond 256 GiB only.
        Err(_) => unreachable!("a record of the vault is small"),
    }
}

/// Opens a record; `None` if it is not what was sealed, or not here, or not under this key.
pub(super) fn open(key: &Key, what: What, place: &Blind, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, text) = sealed.split_at_checked(NONCE)?;
    let msg = Payload { msg: text, aad: &aad(what, place) };
    XChaCha20Poly1305::new(key.into()).decrypt(XNonce::from_slice(nonce), msg).ok()
}

fn aad(what: What, place: &Blind) -> [u8; 17] {
    let mut aad = [what.code(); 17];
    for (to, from) in aad.iter_mut().skip(1).zip(place) {
        *to = *from;
    }
    aad
}

fn halves(bytes: [u8; 32]) -> [Blind; 2] {
    let mut halves = [[0; 16]; 2];
    for (to, from) in halves.iter_mut().flatten().zip(bytes) {
        *to = from;
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn indexes_differ_by_what_and_by_key() {
        let (one, two) = (Master::of(&[1; 32]), Master::of(&[2; 32]));
        assert_eq!(one.blind(What::Alias, b"4711"), one.blind(What::Alias, b"4711"));
        assert_ne!(one.blind(What::Alias, b"4711"), one.blind(What::Alias, b"4712"));
        assert_ne!(one.blind(What::Alias, b"4711"), one.blind(What::Account, b"4711"));
        assert_ne!(one.blind(What::Alias, b"4711"), two.blind(What::Alias, b"4711"));
        assert_ne!(one.fingerprint(), two.fingerprint());
        assert_eq!(readable(one.fingerprint()).len(), 8);
    }

    #[test]
    fn a_person_key_opens_under_its_master_for_its_wallet() {
        let (master, other) = (Master::of(&[1; 32]), Master::of(&[2; 32]));
        let wrapped = master.wrap(&mut Salts::seeded([0; 32]), &[5; 16], &[9; 32]);
        assert_eq!(master.unwrap(&[5; 16], &wrapped), Some([9; 32]));
        assert_eq!(master.unwrap(&[6; 16], &wrapped), None);
        assert_eq!(other.unwrap(&[5; 16], &wrapped), None);
    }

    proptest! {
        #[test]
        fn a_record_opens_at_its_place_and_unchanged_or_not_at_all(
            key: Key, place: Blind, record in prop::collection::vec(any::<u8>(), 0..100),
            at: prop::sample::Index, bit in 0u8..8,
        ) {
            let mut salts = Salts::seeded(key);
            let sealed = seal(&mut salts, &key, What::Alias, &place, &record);
            prop_assert_ne!(&seal(&mut salts, &key, What::Alias, &place, &record), &sealed, "nonces differ");
            prop_assert_eq!(open(&key, What::Alias, &place, &sealed), Some(record));
            prop_assert_eq!(open(&key, What::Slot, &place, &sealed), None);
            let mut elsewhere = place;
            elsewhere[0] ^= 1;
            prop_assert_eq!(open(&key, What::Alias, &elsewhere, &sealed), None);
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= 1 << bit;
            prop_assert_eq!(open(&key, What::Alias, &place, &changed), None);
            prop_assert_eq!(open(&key, What::Alias, &place, &sealed[..at.index(sealed.len())]), None);
        }
    }
}
