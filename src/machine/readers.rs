//! Who may read which part of an entry: one function from a part's content to whom it concerns.
//!
//! Owns: that function, the sorts of readers, and the comparison of the two.
//! Promises: a part is shown to whom it concerns and to nobody else. A part that names a holder's account is
//! for that holder and for the brand of the account's unit, whatever else it says, such as that a sponsor's receipt was used;
//! evidence is for the owner of the key that signed
//! it, save a consent, which is the holder's and not the shop's, and a code, which is the holder's alone: it may say
//! where somebody shops who pays nothing there.
//! Refuses to know: how readers prove who they are. Public entries have no parts: they are everybody's.

use super::entry::PartBody;
use crate::book::{Done, KeyRecord, Measure, Name, Place, Principal, Record};
use crate::points::Verdict;
use crate::sign::{
    Award, AwardOrder, HttpMessage, HttpSigned, Jws, PaymentConsent, PointToken, Typ, read_body, read_object,
};
use crate::types::{AccountId, Asset, BrandId, Kid, Malformed, ParticipantId, UnitCode};

/// Whom a part concerns.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Concerned {
    /// This brand.
    Brand(BrandId),
    /// The brand of this unit.
    Unit(UnitCode),
    /// The holder of this account, and the brand of its unit.
    Account(AccountId),
    /// The brand that speaks for this participant.
    Participant(ParticipantId),
    /// The owner of this key.
    Key(Kid),
    /// The holder whose key this is; not the brand of the account's unit.
    Phone(Kid),
    /// The operator alone.
    Operator,
}

/// Somebody who reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reader {
    /// The operator, or an auditor under contract: everything.
    Operator,
    /// A brand: what concerns it, its units or the participant that it speaks for.
    Brand {
        /// The brand.
        brand: BrandId,
        /// Its units.
        units: Vec<UnitCode>,
        /// The participant that it speaks for, if it does for one.
        participants: Vec<ParticipantId>,
    },
    /// The holder of these accounts.
    Accounts(Vec<AccountId>),
}

/// What is looked up to tell who a reader is. Neither answer ever changes once there is one.
pub trait Resolve {
    /// Why a look-up failed.
    type Fault;
    /// The unit of an account; `None` if nobody opened it.
    fn unit_of(&self, account: AccountId) -> Result<Option<UnitCode>, Self::Fault>;
    /// The owner of a key; `None` if it is not registered.
    fn owner_of(&self, key: Kid) -> Result<Option<Principal>, Self::Fault>;
}

/// Whom a part concerns, sorted, each once. `issuer` is the brand of the entry's batch, see [`issuer`].
pub fn concerned(part: &PartBody, issuer: Option<&BrandId>) -> Result<Vec<Concerned>, Malformed> {
    let mut all = vec![];
    if let Some(jws) = &part.jws {
        statement(jws, &mut all)?;
    }
    if let Some(message) = &part.http {
        signed(message, &mut all)?;
    }
    match (&part.line, &part.verdict) {
        // What a refused line says of an account is the issuer's word alone.
        (Some(_), None | Some(Verdict::Refused(_))) => all.extend(issuer.cloned().map(Concerned::Brand)),
        // What became of the account is no sponsor's business.
        (Some(line), _) => {
            let award: Award = read_object(line.as_bytes()).map_err(|e| Malformed(e.to_string()))?;
            all.push(Concerned::Account(award.sub));
        }
        (None, _) => {}
    }
    if let Some(done) = &part.done {
        effects(done, &mut all);
    }
    Ok(set(all))
}

/// Whom the effects of a part concern, sorted, each once.
pub fn concerned_by(done: &Done) -> Vec<Concerned> {
    let mut all = vec![];
    effects(done, &mut all);
    set(all)
}

/// The brand that issued a batch, from the opened parts of its entry: a refused line does not say so itself.
/// The part that says it is never erased.
pub fn issuer<'a>(parts: impl DoubleEndedIterator<Item = &'a PartBody>) -> Option<BrandId> {
    let puts = parts.rev().filter_map(|part| part.done.as_ref()).flat_map(Done::puts);
    puts.into_iter().find_map(|(name, _)| match name {
        Name::UsedToken(brand, _) => Some(brand.clone()),
        _ => None,
    })
}

fn set(mut all: Vec<Concerned>) -> Vec<Concerned> {
    // What is named beside somebody else is not the operator's alone.
    if all.iter().any(|one| *one != Concerned::Operator) {
        all.retain(|one| *one != Concerned::Operator);
    }
    if all.is_empty() {
        all.push(Concerned::Operator);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// A consent is its holder's, a code its phone's; all else is whoever's key signed it, and a token its account's too.
fn statement(jws: &Jws, all: &mut Vec<Concerned>) -> Result<(), Malformed> {
    let read = |e: crate::types::Refused| Malformed(e.to_string());
    match jws.typ() {
        Typ::PaymentConsent => {
            let consent: PaymentConsent = jws.payload().map_err(read)?;
            all.push(Concerned::Account(consent.account));
        }
        Typ::SpendCode => all.push(Concerned::Phone(jws.kid())),
        Typ::PointToken => {
            let token: PointToken = jws.payload().map_err(read)?;
            all.extend([Concerned::Key(jws.kid()), Concerned::Account(token.sub)]);
        }
        _ => all.push(Concerned::Key(jws.kid())),
    }
    Ok(())
}

/// A signed request is whoever's key signed it, and an award's account's too.
fn signed(message: &HttpMessage, all: &mut Vec<Concerned>) -> Result<(), Malformed> {
    let read = |e: crate::types::Refused| Malformed(e.to_string());
    let request = HttpSigned::parse(message.clone()).map_err(read)?;
    all.push(Concerned::Key(request.kid()));
    let order = message.body.as_deref().map(read_body::<AwardOrder>);
    all.extend(order.and_then(Result::ok).map(|order| Concerned::Account(order.sub)));
    Ok(())
}

fn effects(done: &Done, to: &mut Vec<Concerned>) {
    let mut all = vec![];
    touched(done, &mut all);
    // A balance is its holder's and its unit's brand's. What else is written down beside it opens it to nobody.
    if all.iter().any(|one| matches!(one, Concerned::Account(_))) {
        all.retain(|one| matches!(one, Concerned::Account(_) | Concerned::Unit(_) | Concerned::Operator));
    }
    to.append(&mut all);
}

fn touched(done: &Done, all: &mut Vec<Concerned>) {
    for leg in &done.legs {
        match &leg.place {
            Place::Holder(account) => all.push(Concerned::Account(*account)),
            Place::Shared(unit, _) => all.push(Concerned::Unit(*unit)),
            Place::Pair(a, b) => {
                all.extend([a, b].map(|participant| Concerned::Participant(participant.clone())));
            }
        }
        if let Asset::Unit(unit) = leg.asset {
            all.push(Concerned::Unit(unit));
        }
    }
    for (account, head) in &done.heads {
        all.extend([Concerned::Account(*account), Concerned::Unit(head.unit)]);
    }
    all.extend(done.lots.iter().map(|(account, ..)| Concerned::Account(*account)));
    all.extend(done.holds.iter().map(|(account, ..)| Concerned::Account(*account)));
    for (name, record) in done.puts() {
        put(name, record, all);
    }
}

fn put(name: &Name, record: Option<&Record>, all: &mut Vec<Concerned>) {
    match name {
        // What a held key did to an account is counted under the account's id, which is not the shop's to know.
        Name::Limit(_, subject, Measure::AssertedAccountDay) => {
            let account = subject.as_str().split('.').next().and_then(|id| id.parse().ok());
            all.push(account.map_or(Concerned::Operator, Concerned::Account));
        }
        Name::Acceptance(brand)
        | Name::Brand(brand)
        | Name::Limit(brand, ..)
        | Name::UsedToken(brand, _)
        | Name::UsedRef(brand, ..) => all.push(Concerned::Brand(brand.clone())),
        Name::Account(account) | Name::UsedConsent(account, _) => all.push(Concerned::Account(*account)),
        Name::Consent(_) => {
            let consent = record.and_then(Record::consent);
            all.extend(consent.map(|consent| Concerned::Brand(consent.brand.clone())));
        }
        Name::Shown(_) => {
            let shown = record.and_then(Record::shown);
            let whom = shown.map(|shown| [Concerned::Account(shown.account), Concerned::Unit(shown.unit)]);
            all.extend(whom.into_iter().flatten());
        }
        Name::Command(principal, _) => all.push(owned(principal)),
        Name::Key(kid) => {
            let owner = record.and_then(Record::key).map(|key: &KeyRecord| owned(&key.owner));
            all.push(owner.unwrap_or(Concerned::Key(*kid)));
        }
        Name::Budget(kid) => all.push(Concerned::Key(*kid)),
        Name::Offer(_) => {
            let offer = record.and_then(Record::offer);
            all.extend(offer.map(|offer| owned(&offer.by)));
        }
        Name::Exchange(_) => {
            let exchange = record.and_then(Record::exchange);
            all.extend(exchange.map(|exchange| Concerned::Account(exchange.account)));
        }
        Name::Payment(_) => {
            let payment = record.and_then(Record::payment);
            all.extend(payment.map(|payment| Concerned::Brand(payment.brand.clone())));
        }
        Name::Share(_, unit) => {
            all.push(Concerned::Unit(*unit));
            all.extend(record.and_then(Record::share).map(|share| Concerned::Account(share.account)));
        }
        Name::Breakage(unit)
        | Name::Prices(unit)
        | Name::Published(unit, _)
        | Name::Reserve(unit)
        | Name::Sponsors(unit)
        | Name::Unit(unit)
        | Name::Shared(unit, _) => all.push(Concerned::Unit(*unit)),
        Name::Due(a, b, _) | Name::UsedDue(a, b, _) | Name::Pair(_, a, b, _) => {
            all.extend([a, b].map(|participant| Concerned::Participant(participant.clone())));
        }
        Name::Participant(participant)
        | Name::Disputed(participant, _)
        | Name::Tax(participant)
        | Name::CoverStep(participant, ..)
        | Name::Details(participant, _)
        | Name::DetailsVersion(participant, ..)
        | Name::Funding(participant, _)
        | Name::Line(_, participant, _)
        | Name::Net(_, participant, _)
        | Name::PutOff(_, _, participant)
        | Name::Objecting(_, participant) => all.push(Concerned::Participant(participant.clone())),
        Name::Dispute(_) => {
            let both = record.and_then(Record::dispute).map(|one| [&one.filer, &one.target]);
            all.extend(both.into_iter().flatten().map(|one| Concerned::Participant(one.clone())));
        }
        Name::ClawedBack(_) => {
            let back = record.and_then(Record::clawed_back);
            all.extend(back.map(|one| Concerned::Account(one.account)));
        }
        Name::Complaint(_) => {
            let complaint = record.and_then(Record::complaint);
            all.extend(complaint.map(|one| Concerned::Account(one.account)));
        }
        Name::Instruction(_) => {
            let instruction = record.and_then(Record::instruction);
            all.extend(instruction.map(|one| Concerned::Participant(one.participant.clone())));
        }
        Name::Sponsored(_) => {
            let both = record.and_then(Record::sponsored).map(|one| [&one.debtor, &one.creditor]);
            all.extend(both.into_iter().flatten().map(|one| Concerned::Participant(one.clone())));
        }
        Name::Objection(_) => {
            let both = record.and_then(Record::objection).map(|one| [&one.debtor, &one.creditor]);
            all.extend(both.into_iter().flatten().map(|one| Concerned::Participant(one.clone())));
        }
        Name::Bank(_)
        | Name::Borne(_)
        | Name::Closing(_)
        | Name::Cycle
        | Name::Enrolled(_)
        | Name::Erased(..)
        | Name::Fees
        | Name::House(_)
        | Name::HouseVersion(..)
        | Name::Netting
        | Name::Network
        | Name::Period
        | Name::PublishedFees(_)
        | Name::Roll
        | Name::Schedule
        | Name::Statement(..)
        | Name::Term
        | Name::Tick
        | Name::Told(..)
        | Name::UsedEntry(..)
        | Name::UsedOrder(..) => all.push(Concerned::Operator),
    }
}

fn owned(principal: &Principal) -> Concerned {
    match principal {
        Principal::Operator => Concerned::Operator,
        Principal::Brand(brand) => Concerned::Brand(brand.clone()),
        Principal::Account(account) => Concerned::Account(*account),
    }
}

/// Whether a part that concerns these may be shown to this reader.
pub fn may_read<R: Resolve>(concerned: &[Concerned], reader: &Reader, resolve: &R) -> Result<bool, R::Fault> {
    if *reader == Reader::Operator {
        return Ok(true);
    }
    for one in concerned {
        if is_for(one, reader, resolve)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_for<R: Resolve>(one: &Concerned, reader: &Reader, resolve: &R) -> Result<bool, R::Fault> {
    Ok(match (one, reader) {
        (_, Reader::Operator) => true,
        (Concerned::Operator, _) => false,
        (Concerned::Key(kid), _) => match resolve.owner_of(*kid)? {
            Some(owner) => is_for(&owned(&owner), reader, resolve)?,
            None => false,
        },
        (Concerned::Phone(kid), Reader::Accounts(own)) => match resolve.owner_of(*kid)? {
            Some(Principal::Account(account)) => own.contains(&account),
            _ => false,
        },
        (Concerned::Phone(_), Reader::Brand { .. }) => false,
        (Concerned::Brand(of), Reader::Brand { brand, .. }) => of == brand,
        (Concerned::Unit(unit), Reader::Brand { units, .. }) => units.contains(unit),
        (Concerned::Participant(of), Reader::Brand { participants, .. }) => participants.contains(of),
        (Concerned::Account(account), Reader::Brand { units, .. }) => {
            resolve.unit_of(*account)?.is_some_and(|unit| units.contains(&unit))
        }
        (Concerned::Account(account), Reader::Accounts(own)) => own.contains(account),
        (Concerned::Brand(_) | Concerned::Unit(_) | Concerned::Participant(_), Reader::Accounts(_)) => false,
    })
}
