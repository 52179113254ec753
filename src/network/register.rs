//! Participants, brands and accounts come into the network.

use super::signer::{Asked, operator, signer, unless_refused};
use super::speaking::speakers_root;
use crate::book::{
    Account, Brand, Draft, KeyRecord, KeyState, Name, Network, PartKey, Participant, Principal, Record, Roll,
    Root, Stop,
};
use crate::sign::{PublicKey, Purpose};
use crate::types::{AccountId, BrandId, Currency, ParticipantId, Refusal, Refused, UnitCode};
use serde::{Deserialize, Serialize};

/// `participant.register`, signed by the operator.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterParticipant {
    /// Its id.
    pub participant: ParticipantId,
    /// The currency it settles in.
    pub currency: Currency,
    /// It is the operator's own: it bears what is written off and the operator's part of a shortfall, and holds reserves.
    /// At most one is, and stays so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub operator: bool,
}

/// Registers a legal entity.
pub fn register_participant(
    draft: &mut Draft,
    asked: &Asked,
    args: &RegisterParticipant,
) -> Result<(), Stop> {
    operator(draft, asked)?;
    if !draft.network()?.currencies.contains(&args.currency) {
        return Err(Refused::about(Refusal::SettingInvalid, format!("currency {}", args.currency)).into());
    }
    absent(draft, Name::Participant(args.participant.clone()))?;
    let number =
        draft.get(&Name::Roll)?.as_deref().and_then(Record::roll).map_or(0, |roll| roll.participants);
    let participants = number.checked_add(1).ok_or_else(|| Stop::Bug("participants overflow".into()))?;
    draft.put(PartKey::Public, Name::Roll, Some(Record::Roll(Roll { participants })))?;
    let enrolled = Record::Enrolled(args.participant.clone());
    draft.put(PartKey::Public, Name::Enrolled(number), Some(enrolled))?;
    if args.operator {
        let network = (*draft.network()?).clone();
        if let Some(have) = &network.operator {
            let about = format!("operator: {have} is the operator's participant, and stays so");
            return Err(Refused::about(Refusal::AlreadyExists, about).into());
        }
        let network = Network { operator: Some(args.participant.clone()), ..network };
        draft.put(PartKey::Public, Name::Network, Some(Record::from(network)))?;
    }
    let record = Record::Participant(Participant { currency: args.currency, speaker: None });
    draft.put(PartKey::Public, Name::Participant(args.participant.clone()), Some(record))
}

/// `brand.register`, signed by the brand's own root, approved by the operator. The first brand that is registered for a
/// participant speaks for it; a further one needs an approval by the root of that brand, and does not.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RegisterBrand {
    /// Its id.
    pub brand: BrandId,
    /// The legal entity that answers for its points.
    pub participant: ParticipantId,
    /// Its root key, which signs this.
    pub root: PublicKey,
    /// A key that may replace a lost root; it signs an approval.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub recovery: Option<PublicKey>,
}

/// Registers a brand with its root key.
pub fn register_brand(draft: &mut Draft, asked: &Asked, args: &RegisterBrand) -> Result<(), Stop> {
    let root = args.root.kid();
    if asked.kid != root {
        return Err(
            Refused::about(Refusal::EvidenceMismatch, "the brand's own root signs its registration").into()
        );
    }
    operator(draft, asked)?;
    draft.participant(&args.participant)?;
    absent(draft, Name::Brand(args.brand.clone()))?;
    let recovery = args.recovery.map(|key| key.kid());
    if recovery.is_some_and(|kid| !asked.approvals.contains(&kid)) {
        return Err(Refused::about(Refusal::EvidenceMissing, "the recovery key signs an approval").into());
    }
    if speakers_root(draft, asked, &args.participant)?.is_none() {
        let before = (*draft.participant(&args.participant)?).clone();
        let spoken = Participant { speaker: Some(args.brand.clone()), ..before };
        let name = Name::Participant(args.participant.clone());
        draft.put(PartKey::Public, name, Some(Record::Participant(spoken)))?;
    }
    let brand = Brand { participant: args.participant.clone(), root: Root { root, recovery }, frozen: false };
    draft.put(PartKey::Public, Name::Brand(args.brand.clone()), Some(Record::Brand(brand)))?;
    let owner = Principal::Brand(args.brand.clone());
    put_key(
        draft,
        PartKey::Public,
        new_key(args.root, Purpose::BrandRoot, owner.clone(), draft.at.seconds()),
    )?;
    match args.recovery {
        Some(key) => {
            put_key(draft, PartKey::Public, new_key(key, Purpose::Recovery, owner, draft.at.seconds()))
        }
        None => Ok(()),
    }
}

/// `account.open`: by the holder's own key for the account that is named after it, or by the brand's issuing key, then
/// with an approval by the holder's key. With one of the brand's root or an approver key too, this gives a key to an
/// account that has none, or whose key does not count any more.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAccount {
    /// Its id: opened by the holder's own key, the first 16 bytes of that key's thumbprint; else 128 random bits.
    pub account: AccountId,
    /// Its unit.
    pub unit: UnitCode,
    /// The holder's key.
    pub key: PublicKey,
}

/// Opens an account with a key, or gives a key to an account that has none that counts.
pub fn open_account(draft: &mut Draft, asked: &Asked, args: &OpenAccount) -> Result<(), Stop> {
    let unit = draft.unit(args.unit)?;
    let kid = args.key.kid();
    let own = asked.kid == kid;
    if own {
        if args.account != AccountId::of(kid) {
            let about = format!(
                "account: a key opens its own, {}; another is opened by its brand",
                AccountId::of(kid)
            );
            return Err(Refused::about(Refusal::KeyOwner, about).into());
        }
    } else {
        let key = signer(draft, asked.kid, &[Purpose::Issuing])?;
        if key.owner != Principal::Brand(unit.brand.clone()) {
            return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
        }
        if !asked.approvals.contains(&kid) {
            return Err(Refused::about(Refusal::EvidenceMissing, "the holder's key signs an approval").into());
        }
    }
    if keyless(draft, args, own)? {
        // It may hold points: an issuing key alone, perhaps a stolen one, hands them to nobody.
        vouched(draft, asked, &unit.brand)?;
    }
    give_key(draft, args)
}

/// Whether the account is there and has no key that counts; one that is there otherwise is refused, and the holder
/// alone (`own`) gets none that is there.
pub fn keyless(draft: &mut Draft, args: &OpenAccount, own: bool) -> Result<bool, Stop> {
    let Some(record) = draft.get(&Name::Account(args.account))? else { return Ok(false) };
    let head = record.account().map(|account| &account.head).filter(|head| head.unit == args.unit);
    let keyless = match head.map(|head| head.key) {
        Some(Some(old)) => draft.key(old)?.state != KeyState::Active,
        Some(None) => true,
        None => false,
    };
    if own || !keyless {
        return Err(Refused::about(Refusal::AlreadyExists, args.account).into());
    }
    Ok(true)
}

/// What opening an account does, whoever asks.
pub fn give_key(draft: &mut Draft, args: &OpenAccount) -> Result<(), Stop> {
    let (kid, part) = (args.key.kid(), PartKey::Holder(args.account));
    match draft.get(&Name::Account(args.account))? {
        None => {
            let offset = draft.unit(args.unit)?.offset;
            draft.open(args.account, Account::new(args.unit, offset, Some(kid)))?;
        }
        Some(_) => {
            draft.change(args.account, |account| {
                account.head.key = Some(kid);
                Ok(())
            })?;
        }
    }
    let from = draft.at.seconds();
    put_key(draft, part, new_key(args.key, Purpose::Account, Principal::Account(args.account), from))
}

/// Requires that the brand's root or one of its approver keys signed too.
fn vouched(draft: &mut Draft, asked: &Asked, brand: &BrandId) -> Result<(), Stop> {
    for kid in &asked.approvals {
        let key = unless_refused(signer(draft, *kid, &[Purpose::BrandRoot, Purpose::Approver]))?;
        if key.is_some_and(|key| key.owner == Principal::Brand(brand.clone())) {
            return Ok(());
        }
    }
    let about = "the account is there already: the brand's root or an approver key of it signs an approval";
    Err(Refused::about(Refusal::EvidenceMissing, about).into())
}

pub(super) fn new_key(key: PublicKey, purpose: Purpose, owner: Principal, from: u64) -> KeyRecord {
    KeyRecord {
        key,
        purpose,
        owner,
        state: KeyState::Active,
        from,
        until: None,
        till: None,
        held: None,
        person: None,
    }
}

/// One key, one purpose, one owner, for ever: a key that is registered is never registered again.
pub(super) fn put_key(draft: &mut Draft, part: PartKey, record: KeyRecord) -> Result<(), Stop> {
    let name = Name::Key(record.key.kid());
    absent(draft, name.clone())?;
    draft.put(part, name, Some(Record::from(record)))
}

fn absent(draft: &mut Draft, name: Name) -> Result<(), Stop> {
    match draft.get(&name)? {
        None => Ok(()),
        Some(_) => Err(Refused::about(Refusal::AlreadyExists, name).into()),
    }
}
