//! Bank details: where a participant is paid, and from where it pays; the house's own account, that all are paid by.
//!
//! Owns: what details say, the commitment that stands for them in the log, and the two steps by which they come to count.
//! Promises: details count only once two approvers signed them and an analyst confirmed them by calling the participant
//! back, and then from the next cycle on: nobody redirects money that is under way. Nothing of them stands in the log but
//! a salted hash.
//! Refuses to know: where the plain details are kept.

use super::bank::{Bic, Iban};
use super::cycle::{now, participants};
use super::people::{analyst, two_people};
use crate::book::{
    Closing, Details, DetailsVersion, Draft, Instruction, Name, PartKey, Principal, Record, Stop,
};
use crate::network::{Asked, operators_own, person, signer, spoken_for, two_approvers, unspoken};
use crate::sign::Purpose;
use crate::types::{
    Currency, Date, Hash, Ident, InstructionId, Malformed, ParticipantId, Refusal, Refused, b64_decode,
    encode,
};
use serde::{Deserialize, Serialize};

/// Most characters of a name at a bank.
const MOST_NAME: usize = 70;

/// Whose rules direct debits under a mandate follow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DebitScheme {
    /// May be returned for eight weeks without a reason.
    Core,
    /// Between businesses: no refund of an authorised debit.
    B2b,
}

/// The permission to collect by direct debit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DebitMandate {
    /// Its reference: at most 35 characters.
    #[schema(max_length = 35)]
    pub id: Ident,
    /// When it was signed.
    pub signed: Date,
    /// Whose rules.
    pub scheme: DebitScheme,
}

/// An account of a participant at a bank.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BankDetails {
    /// Whose.
    pub participant: ParticipantId,
    /// In which currency.
    pub currency: Currency,
    /// Its holder, as the bank knows it.
    #[schema(example = "Harvest AG", max_length = 70)]
    pub name: String,
    /// Its number.
    pub iban: Iban,
    /// Its bank; not needed within SEPA.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bic: Option<Bic>,
    /// Under which pay-ins are collected; without one the participant pays by itself.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mandate: Option<DebitMandate>,
}

/// Bank details with the salt of their commitment: whoever has this can show what the log means.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SaltedDetails {
    /// 32 random bytes in base64url: account numbers can be guessed, these cannot.
    #[schema(example = "RRX1hWbXLpS9pRPg5jVtKhjV3sEqkPXH3Zz9Z8nLz8M")]
    pub salt: String,
    /// The details.
    pub details: BankDetails,
}

impl SaltedDetails {
    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), Malformed> {
        let wrong = |what: &str| Err(Malformed(what.into()));
        if !b64_decode(&self.salt).is_ok_and(|salt| salt.len() == 32) {
            return wrong("salt: 32 random bytes in base64url");
        }
        let name = &self.details.name;
        if name.trim().is_empty() || name.chars().count() > MOST_NAME || name.chars().any(char::is_control) {
            return wrong("name: 1 to 70 characters");
        }
        match &self.details.mandate {
            Some(mandate) if mandate.id.as_str().len() > 35 || mandate.id.as_str().contains('_') => {
                wrong("mandate.id: at most 35 of A-Z a-z 0-9 . -")
            }
            _ => Ok(()),
        }
    }

    /// What stands for them in the log: BLAKE3 of their canonical JSON, `{"salt":…,"details":{…}}`.
    pub fn commitment(&self) -> Hash {
        Hash::blake3(&encode(self))
    }
}

/// `details.set`, signed by the root of the brand that speaks for the participant and approved by two of its approvers. For a
/// participant without a brand, a franchisee say, and for the house's own settlement account, by an analyst and two of the
/// operator's approvers.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetDetails {
    /// Whose.
    pub participant: ParticipantId,
    /// In which currency.
    pub currency: Currency,
    /// One more than the newest version; 1 at first.
    pub version: u64,
    /// BLAKE3 of the canonical JSON of salt and details.
    pub commitment: Hash,
    /// It is the house's settlement account, to which payers pay, and not where a participant is paid; `participant` is the
    /// operator's then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settlement: bool,
}

/// `details.confirm`, signed by an analyst who called the participant back, at a number known from before.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmDetails {
    /// Whose.
    pub participant: ParticipantId,
    /// In which currency.
    pub currency: Currency,
    /// The newest version.
    pub version: u64,
    /// Of the house's settlement account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub settlement: bool,
}

/// Whose account it is.
#[derive(Clone, Copy)]
enum Of<'a> {
    /// Where a participant is paid.
    Participant(&'a ParticipantId),
    /// Where all are paid by: the house's.
    House,
}

impl<'a> Of<'a> {
    fn new(who: &'a ParticipantId, settlement: bool) -> Self {
        if settlement { Self::House } else { Self::Participant(who) }
    }

    fn head(self, currency: Currency) -> Name {
        match self {
            Self::Participant(who) => Name::Details(who.clone(), currency),
            Self::House => Name::House(currency),
        }
    }

    fn version(self, currency: Currency, version: u64) -> Name {
        match self {
            Self::Participant(who) => Name::DetailsVersion(who.clone(), currency, version),
            Self::House => Name::HouseVersion(currency, version),
        }
    }

    fn part(self) -> PartKey {
        match self {
            Self::Participant(who) => PartKey::Participant(who.clone()),
            Self::House => PartKey::Public,
        }
    }
}

fn head(draft: &mut Draft, of: Of<'_>, currency: Currency) -> Result<Details, Stop> {
    let record = draft.get(&of.head(currency))?;
    Ok(record.as_deref().and_then(Record::details).copied().unwrap_or_default())
}

fn version(draft: &mut Draft, of: Of<'_>, currency: Currency, version: u64) -> Result<DetailsVersion, Stop> {
    let name = of.version(currency, version);
    let record = draft.get(&name)?;
    let found = record.as_deref().and_then(Record::details_version).cloned();
    found.ok_or_else(|| Stop::Bug(format!("no {name}")))
}

fn put(
    draft: &mut Draft,
    of: Of<'_>,
    currency: Currency,
    head: Details,
    number: u64,
    one: DetailsVersion,
) -> Result<(), Stop> {
    draft.put(of.part(), of.head(currency), Some(Record::Details(head)))?;
    draft.put(of.part(), of.version(currency, number), Some(Record::from(one)))
}

/// The house's own account: an analyst asks, and two of the operator's approvers agree.
fn houses_own(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<(), Stop> {
    analyst(draft, asked.kid)?;
    let own = operators_own(draft)?;
    if own != *who {
        let about = format!("settlement: the house's account is {own}'s, not {who}'s");
        return Err(Refused::about(Refusal::SettingInvalid, about).into());
    }
    two_people(draft, asked)
}

/// Whether the brand that speaks for the participant asks; else it is the house, for one that has no brand.
pub(super) fn own_brand(draft: &mut Draft, asked: &Asked, who: &ParticipantId) -> Result<bool, Stop> {
    let purposes = [Purpose::BrandRoot, Purpose::Operations];
    let key = signer(draft, asked.kid, &purposes)?;
    if key.owner == Principal::Operator {
        unspoken(draft, who)?;
        two_people(draft, asked)?;
        return Ok(false);
    }
    let own = spoken_for(draft, &key)?;
    if own != *who {
        return Err(Refused::about(Refusal::KeyOwner, format!("{own} is not {who}")).into());
    }
    two_approvers(draft, asked, &key.owner)?;
    Ok(true)
}

/// Takes the commitment to a new version of bank details; it does not count yet.
pub fn set_details(draft: &mut Draft, asked: &Asked, args: &SetDetails) -> Result<(), Stop> {
    let (who, currency) = (&args.participant, args.currency);
    draft.participant(who)?;
    let of = Of::new(who, args.settlement);
    let own = if args.settlement {
        houses_own(draft, asked, who)?;
        false
    } else {
        own_brand(draft, asked, who)?
    };
    if draft.network()?.bank_unit(currency).is_none() {
        return Err(Refused::about(Refusal::SettingInvalid, format!("currency {currency}")).into());
    }
    let mut have = head(draft, of, currency)?;
    let next = have.newest.saturating_add(1);
    if args.version != next {
        return Err(Refused::about(Refusal::SerialStale, format!("the next version is {next}")).into());
    }
    have.newest = next;
    let one = DetailsVersion {
        commitment: args.commitment,
        by: asked.kid,
        set: now(draft),
        house: !own,
        confirmed: None,
        from: None,
        before: None,
    };
    put(draft, of, currency, have, next, one)
}

/// Confirms the newest version: it counts from the next cycle on; a participant's first, for whatever is computed from
/// now on, since there is nothing yet that it would redirect.
pub fn confirm_details(draft: &mut Draft, asked: &Asked, args: &ConfirmDetails) -> Result<(), Stop> {
    let analyst = analyst(draft, asked.kid)?;
    let (who, currency) = (&args.participant, args.currency);
    let of = Of::new(who, args.settlement);
    let mut have = head(draft, of, currency)?;
    if have.newest == 0 {
        return Err(Refused::about(Refusal::DetailsUnknown, format!("{who} {currency}")).into());
    }
    if args.version != have.newest {
        let about = format!("the newest version is {}", have.newest);
        return Err(Refused::about(Refusal::SerialStale, about).into());
    }
    let mut one = version(draft, of, currency, have.newest)?;
    if one.confirmed.is_some() {
        return Err(Refused::about(Refusal::AlreadyExists, "it is confirmed").into());
    }
    if person(&*draft.key(one.by)?)? == person(&analyst)? {
        return Err(Refused::about(Refusal::PeopleMissing, "who set them does not confirm them").into());
    }
    let open = draft.cycle()?.open;
    one.confirmed = Some(now(draft));
    one.from = Some(have.confirmed.map_or(1, |_| open.saturating_add(1)));
    one.before = have.confirmed.replace(have.newest);
    put(draft, of, currency, have, have.newest, one)
}

/// Whether a participant ever said where it is to be paid.
pub(super) fn is_known(draft: &mut Draft, who: &ParticipantId, currency: Currency) -> Result<bool, Stop> {
    Ok(head(draft, Of::Participant(who), currency)?.confirmed.is_some())
}

/// The version that counts for a cycle, if there is one.
pub(super) fn in_force(
    draft: &mut Draft,
    who: &ParticipantId,
    currency: Currency,
    cycle: u64,
) -> Result<Option<u64>, Stop> {
    let of = Of::Participant(who);
    let mut at = head(draft, of, currency)?.confirmed;
    while let Some(number) = at {
        let one = version(draft, of, currency, number)?;
        if one.from.is_some_and(|from| from <= cycle) {
            break;
        }
        at = one.before;
    }
    Ok(at)
}

/// Who is to be paid in a cycle, and with it the version of bank details that counts: the one that was pinned, else the one
/// that counts now.
fn receivers(
    draft: &mut Draft,
    cycle: u64,
    closing: &Closing,
) -> Result<Vec<(InstructionId, Instruction, Option<u64>)>, Stop> {
    let who = participants(draft)?;
    let each = |currency: Currency| who.iter().map(move |who| (who, currency));
    let all: Vec<_> = closing.sums.iter().flat_map(|sums| each(sums.currency)).collect();
    draft.want(all.iter().map(|(who, currency)| Name::Line(cycle, (*who).clone(), *currency)))?;
    let mut ids = vec![];
    for (who, currency) in all {
        let line = draft.get(&Name::Line(cycle, who.clone(), currency))?;
        let line = line.as_deref().and_then(Record::line).filter(|line| line.amount > 0);
        ids.extend(line.and_then(|line| line.instruction));
    }
    draft.want(ids.iter().copied().map(Name::Instruction))?;
    let mut found = vec![];
    for id in ids {
        let one = (*draft.instruction(id)?).clone();
        let version = match one.details {
            Some(version) => Some(version),
            None => in_force(draft, &one.participant, one.currency, cycle)?,
        };
        found.push((id, one, version));
    }
    Ok(found)
}

/// Everybody who is to be paid can be: bank details that were confirmed since it was computed are pinned now; who has none
/// is named, as long as the cycle can wait for them.
pub(super) fn payable(draft: &mut Draft, cycle: u64, closing: &Closing) -> Result<(), Stop> {
    let mut lacking = vec![];
    for (id, mut one, version) in receivers(draft, cycle, closing)? {
        if one.details.is_some() {
            continue;
        }
        if version.is_none() {
            lacking.push(format!("{} in {}", one.participant, one.currency));
            continue;
        }
        one.details = version;
        let part = PartKey::Participant(one.participant.clone());
        draft.put(part, Name::Instruction(id), Some(Record::from(one)))?;
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Refused::about(Refusal::DetailsUnknown, lacking.join(", ")).into())
}

/// A version of bank details, and what stands for it in the log.
pub struct Counting {
    /// Whose.
    pub participant: ParticipantId,
    /// In which currency.
    pub currency: Currency,
    /// Which version.
    pub version: u64,
    /// What it is the commitment of.
    pub commitment: Hash,
}

/// The bank details that a cycle pays out by, once it is approved. Who has none is left out.
pub fn paid_by(draft: &mut Draft, cycle: u64) -> Result<Vec<Counting>, Stop> {
    let closing = draft.closing(cycle)?;
    let mut all = vec![];
    for (_, one, number) in receivers(draft, cycle, &closing)? {
        let Some(number) = number else { continue };
        let Instruction { participant, currency, .. } = one;
        let commitment = version(draft, Of::Participant(&participant), currency, number)?.commitment;
        all.push(Counting { participant, currency, version: number, commitment });
    }
    Ok(all)
}

/// The bank details that a confirmation is about, if they are there.
pub fn confirmed_by(draft: &mut Draft, args: &ConfirmDetails) -> Result<Option<Counting>, Stop> {
    let of = Of::new(&args.participant, args.settlement);
    let record = draft.get(&of.version(args.currency, args.version))?;
    Ok(record.as_deref().and_then(Record::details_version).map(|one| Counting {
        participant: args.participant.clone(),
        currency: args.currency,
        version: args.version,
        commitment: one.commitment,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salted(name: &str, salt: &[u8]) -> SaltedDetails {
        let details = BankDetails {
            participant: "pa_harvest".parse().expect("an id"),
            currency: "EUR".parse().expect("EUR"),
            name: name.into(),
            iban: "DE89370400440532013000".parse().expect("an IBAN"),
            bic: None,
            mandate: None,
        };
        SaltedDetails { salt: crate::types::b64(salt), details }
    }

    #[test]
    fn a_commitment_is_of_salt_and_details() {
        let one = salted("Harvest AG", &[7; 32]);
        assert_eq!(one.check(), Ok(()));
        let text = format!(
            "{{\"salt\":\"{}\",\"details\":{{\"participant\":\"pa_harvest\",\"currency\":\"EUR\",\"name\":\"Harvest AG\",\"iban\":\"DE89370400440532013000\"}}}}",
            one.salt
        );
        assert_eq!(one.commitment(), Hash::blake3(text.as_bytes()), "b3sum of this text");
        assert_ne!(one.commitment(), salted("Harvest AG", &[8; 32]).commitment());
        assert_ne!(one.commitment(), salted("Harvest A", &[7; 32]).commitment());
        assert!(salted("Harvest AG", &[7; 16]).check().is_err());
        assert!(salted("  ", &[7; 32]).check().is_err());
        assert!(salted(&"x".repeat(71), &[7; 32]).check().is_err());
    }
}
