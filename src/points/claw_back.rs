//! Claw-back: points of an award are taken back from what its account has not spent of them.
//!
//! Owns: how an award is named once nothing but a fingerprint is kept of it, and which points are its own.
//! Promises: no more is taken back of an award than it gave, in however many steps; what is spent, held or past its date
//! stays so, and no account is brought below nothing; a key takes back no more in an hour than it may issue; who paid for
//! the points gets that back.
//! Refuses to know: why; the reason is a code that the holder reads.
//!
//! Points of one month and one origin cannot be told apart, so those of an award are any of its account's, up to what it
//! gave; the last to be spent are taken first. What a sponsor's key awarded is of an origin of its own, so nobody gets money
//! back for what another paid for.

use super::sponsor;
use crate::book::{Bucket, ClawedBack, Draft, Draw, Measure, Name, Origin, PartKey, Principal, Record, Stop};
use crate::network::{Asked, signer};
use crate::sign::{Award, AwardOrder, Jws, PointToken, Purpose, Typ, read_object};
use crate::types::{
    AwardId, BrandId, Date, Fingerprint, Hash, Ident, Kid, MAX_INT, Month, Points, Refusal, Refused, Time,
};
use serde::{Deserialize, Serialize};

/// `points.claw_back`, signed by an issuing key of the brand whose key awarded them: they were awarded in error, or for what
/// was returned.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClawBack {
    /// The award as it was taken in, to the byte: the line of a batch, the token, or the body of the signed request. It has
    /// a receipt's number, or is a token.
    pub award: String,
    /// The till, if that text names none but a till awarded the points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub till: Option<Ident>,
    /// The month in which they were earned, as the account's lots say it; needed if the award says neither its business date
    /// nor when it happened and is of the brand's own points, the same each time, and of no other effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub month: Option<Month>,
    /// How many, at most; all of them if absent. If fewer are unspent, those are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// A code for why, such as `returned` or `error`.
    pub reason: Ident,
}

/// An award as its text says it.
struct Said {
    award: Award,
    fingerprint: Fingerprint,
    /// The token's id, if it is one.
    jti: Option<Ident>,
}

fn unknown(why: &str) -> Refused {
    Refused::about(Refusal::AwardUnknown, why)
}

impl Said {
    /// Reads the text in each form that an award comes in.
    fn read(text: &str) -> Result<Self, Refused> {
        if let Ok(award) = read_object::<Award>(text.as_bytes()) {
            return Ok(Self { award, fingerprint: Fingerprint::of(text.as_bytes()), jti: None });
        }
        if let Ok(order) = read_object::<AwardOrder>(text.as_bytes()) {
            // As a signed request is told from another.
            let fingerprint = Fingerprint::of_all(&[b"POST", b" ", b"/v1/awards", b"\n", text.as_bytes()]);
            let award = order.token(Hash::default(), Ident::default(), MAX_INT).award();
            return Ok(Self { award, fingerprint, jti: None });
        }
        let jws = Jws::parse(text).ok().filter(|jws| jws.typ() == Typ::PointToken);
        let jws = jws.ok_or_else(|| unknown("no line of a batch, token or body of a request"))?;
        let token: PointToken = jws.payload()?;
        let fingerprint = Fingerprint::of(&jws.identity().0);
        Ok(Self { award: token.award(), fingerprint, jti: Some(token.jti) })
    }

    /// Under which name it is known that it was taken in.
    fn name(&self, brand: &BrandId, till: Option<&Ident>) -> Result<Name, Refused> {
        match (&self.award.reference, &self.jti) {
            (Some(reference), _) => {
                let till = self.award.till.as_ref().or(till).cloned().unwrap_or_default();
                Ok(Name::UsedRef(brand.clone(), till, reference.clone()))
            }
            (None, Some(jti)) => Ok(Name::UsedToken(brand.clone(), jti.clone())),
            (None, None) => Err(unknown("it has no receipt's number, and is no token")),
        }
    }

    /// The month of its lot, if its text says it.
    fn month(&self, offset: i16) -> Option<Month> {
        let happened = || self.award.occurred_at.and_then(Time::from_seconds).map(|at| at.date(offset));
        self.award.business_date.or_else(happened).map(Date::month)
    }
}

/// Takes points of an award back.
pub fn claw_back(draft: &mut Draft, asked: &Asked, args: &ClawBack) -> Result<(), Stop> {
    let key = signer(draft, asked.kid, &[Purpose::Issuing])?;
    if key.held.is_some() {
        let about = "a key that the network holds takes nothing back: sign with one of the brand's own";
        return Err(Refused::about(Refusal::KeyPurpose, about).into());
    }
    let Principal::Brand(brand) = &key.owner else {
        return Err(Refused::about(Refusal::KeyOwner, asked.kid).into());
    };
    let said = Said::read(&args.award)?;
    let record = draft.get(&said.name(brand, args.till.as_ref())?)?;
    let used = record.as_deref().and_then(Record::used).filter(|used| used.2 == said.fingerprint);
    let used = *used.ok_or_else(|| unknown("no award with this text was taken in for a key of the brand"))?;
    let id = AwardId { seq: used.0, part: used.1 };
    let unit = draft.account(said.award.sub)?.head.unit;
    let unit = draft.unit(unit)?;
    let before = draft.get(&Name::ClawedBack(id))?.as_deref().and_then(Record::clawed_back).cloned();
    let goodwill = said.award.reason.as_ref().is_some_and(|reason| reason.as_str() == "goodwill");
    let (origin, known) = match goodwill {
        _ if unit.brand != *brand => {
            // By which of the sponsor's keys and when is on record, so nothing of that is its word.
            let paid = sponsor::of(draft, id)?;
            (Origin::Sponsored(paid.key), Some(paid.at.date(unit.offset).month()))
        }
        true => (Origin::Goodwill, None),
        false => (Origin::Earned, None),
    };
    let month = said.month(unit.offset).or(known).or(before.as_ref().map(|before| before.month));
    let month = month.or(args.month).ok_or_else(|| {
        Refused::about(Refusal::TokenPayload, "month: the award does not say when it happened")
    })?;
    let back = ClawedBack {
        account: said.award.sub,
        awarded: said.award.amount,
        taken: before.map_or(Points::ZERO, |before| before.taken),
        month,
        origin,
        until: said.award.until,
        reason: args.reason.clone(),
    };
    let left = back.awarded.minus(back.taken).unwrap_or_default();
    let points = args.points.unwrap_or(left);
    if points.is_zero() || points > left {
        let about = format!("{left} of {} are left to be taken back", back.awarded);
        return Err(Refused::about(Refusal::ClawBackExceeded, about).into());
    }
    take_back(draft, (asked.kid, brand), id, back, points)
}

/// Takes so many points back, or as many as are unspent; `back` says what was taken before.
pub fn take_back(
    draft: &mut Draft,
    (kid, brand): (Kid, &BrandId),
    id: AwardId,
    back: ClawedBack,
    points: Points,
) -> Result<(), Stop> {
    let unit = draft.account(back.account)?.head.unit;
    let budget = draft.budget(kid)?;
    if budget.unit != unit {
        let about = format!("the budget is for {}", budget.unit);
        return Err(Refused::about(Refusal::BudgetMissing, about).into());
    }
    let own = |bucket: &Bucket| {
        let Bucket(until, _, month, origin) = *bucket;
        let day = back.until.is_none_or(|day| until == Some(day));
        month == back.month && origin == back.origin && day
    };
    let now = draft.claw_back(back.account, unit, points, own)?;
    if now.is_zero() {
        let about = "none of the award's points are there any more: spent, held or past their date";
        return Err(Refused::about(Refusal::InsufficientPoints, about).into());
    }
    let sponsored = matches!(back.origin, Origin::Sponsored(_));
    let taken = back.taken.plus(now).ok_or(Refusal::AmountTooLarge)?;
    let part = PartKey::Holder(back.account);
    let record = Record::ClawedBack(ClawedBack { taken, ..back });
    draft.put(part, Name::ClawedBack(id), Some(record))?;
    if sponsored {
        sponsor::take_back(draft, id, now)?;
    }
    let subject: Ident = kid.to_string().parse().map_err(|_| Stop::Bug("a key's id is an id".into()))?;
    let draw = Draw {
        brand,
        subject,
        measure: Measure::ClawedBackHour,
        offset: 0,
        amount: now.get(),
        ceiling: budget.hourly.get(),
    };
    draft.draw(draw, Refusal::HourlyCeilingExceeded)
}
