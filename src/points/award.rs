//! One award, and the key's budget that it draws on.

use super::sponsor::Sponsorship;
use crate::book::{
    Account, Asserted, Bucket, Budget, Draft, KeyRecord, Limit, Lot, Measure, Name, Of, Origin, PartKey,
    Principal, Record, Shared, Stop, Unit, Used,
};
use crate::network::{Asked, signer};
use crate::prices::Backing;
use crate::sign::{Award, HeldCaps, PointToken, Purpose};
use crate::types::{
    AccountId, Asset, BrandId, Date, Fingerprint, Ident, Kid, Malformed, Money, Points, Refusal, Refused,
    Time, UnitCode,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// How far back `occurred_at` is believed, in seconds: 30 days.
const BELIEVED: u64 = 30 * 86_400;
/// How far ahead a till's clock may be, in seconds.
const AHEAD: u64 = 300;

/// An award with the fingerprint of the bytes that ask for it.
#[derive(Clone, Debug)]
pub struct AwardLine {
    /// What is asked for.
    pub award: Award,
    /// Of the line's bytes, or the token's signing input.
    pub fingerprint: Fingerprint,
}

/// What became of an award.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The points are there.
    Ok,
    /// The same line gave points for this receipt before: nothing more happens.
    AlreadyDone,
    /// Nothing happened.
    Refused(Refusal),
}

impl utoipa::PartialSchema for Verdict {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        let codes = ["ok", "already_done"].into_iter().chain(Refusal::ALL.iter().map(|code| code.code()));
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::Type::String)
            .enum_values(Some(codes))
            .description(Some("What became of an award: `ok`, `already_done`, or why it was refused."))
            .build()
            .into()
    }
}

impl utoipa::ToSchema for Verdict {}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(match self {
            Self::Ok => "ok",
            Self::AlreadyDone => "already_done",
            Self::Refused(code) => code.code(),
        })
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match &*Cow::<'de, str>::deserialize(d)? {
            "ok" => Ok(Self::Ok),
            "already_done" => Ok(Self::AlreadyDone),
            code => code.parse().map(Self::Refused).map_err(|e: Malformed| serde::de::Error::custom(e)),
        }
    }
}

/// The issuing side of an entry: the unit, the budget, and what has been drawn so far. It is read once
/// an entry and written once, however many lines draw on it.
pub(super) struct Issuer {
    pub brand: BrandId,
    pub code: UnitCode,
    pub unit: Of<Unit>,
    budget: Of<Budget>,
    subject: Ident,
    /// The only store and till that this key awards for, if it is a till's.
    place: Option<(Ident, Ident)>,
    drawn: Drawn,
    /// The caps of a key that the network holds.
    held: Option<HeldCaps>,
    /// What must stand behind the unit's points, if anything must.
    backing: Option<Backing>,
    /// What another participant owes for them, if the key is another brand's.
    sponsorship: Option<Sponsorship>,
}

/// What has been drawn, award by award.
#[derive(Clone, Copy)]
struct Drawn {
    issued: Limit,
    hour: Limit,
    /// By the brand's held keys in this unit's day.
    asserted: Limit,
    /// What the unit's cap still allows; `None` without a cap.
    room: Option<u64>,
}

impl Issuer {
    /// Checks that the key may issue this unit now, and puts the brand's part first in the entry's
    /// draft.
    pub(super) fn open(draft: &mut Draft, kid: Kid, iss: &BrandId, code: UnitCode) -> Result<Self, Stop> {
        let key = signer(draft, kid, &[Purpose::Issuing, Purpose::Till])?;
        own_key(draft, kid, iss)?;
        let unit = draft.unit(code)?;
        let sponsorship = match unit.brand == *iss {
            true => None,
            false => Some(Sponsorship::open(draft, kid, iss, &unit, code)?),
        };
        if draft.network()?.frozen {
            return Err(Refusal::NetworkFrozen.into());
        }
        for brand in [iss, &unit.brand] {
            if draft.brand(brand)?.frozen {
                return Err(Refused::about(Refusal::BrandFrozen, brand).into());
            }
        }
        if unit.frozen {
            return Err(Refused::about(Refusal::UnitFrozen, code).into());
        }
        let budget = draft.budget(kid)?;
        if budget.unit != code {
            return Err(
                Refused::about(Refusal::BudgetMissing, format!("the budget is for {}", budget.unit)).into()
            );
        }
        if budget.until <= draft.at.seconds() {
            return Err(Refused::about(Refusal::BudgetExpired, kid).into());
        }
        let subject: Ident = kid.to_string().parse().map_err(|_| Stop::Bug("a key's id is an id".into()))?;
        let mut drawn = |subject: &Ident, measure| {
            let record = draft.get(&Name::Limit(iss.clone(), subject.clone(), measure))?;
            Ok::<Limit, Stop>(record.as_deref().and_then(Record::limit).copied().unwrap_or_default())
        };
        let (issued, hour) = (drawn(&subject, Measure::Issued)?, drawn(&subject, Measure::IssuedHour)?);
        let asserted = match asserted(iss, code, &unit, key.held) {
            Some(held) => drawn(&held.subject()?, Measure::AssertedDay)?,
            None => Limit::default(),
        };
        let out = draft.total(&Name::Shared(code, Shared::Issuance))?.unsigned_abs();
        let room = unit.issue_cap.map(|cap| cap.get().saturating_sub(out));
        let place = key.till.as_ref().map(|terms| (terms.store.clone(), terms.till.clone()));
        let drawn = Drawn { issued, hour, asserted, room };
        let (held, backing) = (key.held, Backing::of(draft, code)?);
        Ok(Self { brand: iss.clone(), code, unit, budget, subject, place, drawn, held, backing, sponsorship })
    }

    /// What the draws would be after this award; nothing changes yet.
    fn draw(&self, points: u64, backfill: bool, at: Time) -> Result<Drawn, Refused> {
        let Drawn { issued, hour, asserted, room } = self.drawn;
        let issued = issued.draw(0, points, self.budget.ceiling.get()).ok_or(Refusal::BudgetExceeded)?;
        let hour = if backfill {
            hour
        } else {
            let window = Measure::IssuedHour.window(at, 0);
            hour.draw(window, points, self.budget.hourly.get())
                .ok_or_else(|| self.above_the_hour(points, at))?
        };
        let room = match room {
            Some(room) => Some(room.checked_sub(points).ok_or(Refusal::IssueCapExceeded)?),
            None => None,
        };
        let asserted = match self.held {
            Some(caps) => {
                let window = Measure::AssertedDay.window(at, self.unit.offset);
                asserted.draw(window, points, caps.per_day).ok_or(Refusal::AssertedLimitExceeded)?
            }
            None => asserted,
        };
        Ok(Drawn { issued, hour, asserted, room })
    }

    /// That an award is above what is left of the key's hour, or above any hour's.
    fn above_the_hour(&self, points: u64, at: Time) -> Refused {
        let (hourly, window) = (self.budget.hourly.get(), Measure::IssuedHour.window(at, 0));
        let issued = if self.drawn.hour.window == window { self.drawn.hour.used } else { 0 };
        let about = if points > hourly {
            format!(
                "{points} of the unit's smallest, and the key may issue {hourly} in an hour: no hour is long enough, the \
                 brand's root signs a budget with a higher hourly ceiling"
            )
        } else {
            format!("{points} of the unit's smallest, and {issued} of {hourly} were issued in this hour")
        };
        Refused::about(Refusal::HourlyCeilingExceeded, about)
    }

    /// Books the award, in the current line's part or the holder's.
    pub(super) fn award(&mut self, draft: &mut Draft, line: &AwardLine, part: u16) -> Result<Verdict, Stop> {
        let award = &line.award;
        self.check_place(award)?;
        check_amounts(award)?;
        let used = award.reference.as_ref().map(|reference| {
            let own = self.place.as_ref().map(|(_, till)| till.clone());
            let till = award.till.clone().or(own).unwrap_or_default();
            Name::UsedRef(self.brand.clone(), till, reference.clone())
        });
        if let Some(name) = &used
            && let Some(before) = draft.get(name)?.as_deref().and_then(Record::used)
        {
            let same = before.2 == line.fingerprint;
            return if same {
                Ok(Verdict::AlreadyDone)
            } else {
                Err(Refused::about(Refusal::RefConflict, name).into())
            };
        }
        let (happened, backfill) = self.happened(award, draft.at)?;
        self.account(draft, award.sub)?;
        let after = self.draw(award.amount.get(), backfill, draft.at)?;
        let paid = match &self.sponsorship {
            Some(sponsorship) => Some(sponsorship.with(draft, award.amount)?),
            None => None,
        };
        if let Some(held) = asserted(&self.brand, self.code, &self.unit, self.held) {
            draft.assert_for(&held, award.sub, award.amount.get())?;
        }
        let lot = Lot(self.bucket(award, happened, draft.at)?, award.amount);
        self.give(draft, award.sub, lot)?;
        if let Some(name) = used {
            let key = draft.line_key().unwrap_or(PartKey::Holder(award.sub));
            draft.put(key, name, Some(Record::Used(Used(draft.seq, part, line.fingerprint))))?;
        }
        (self.drawn, self.sponsorship) = (after, paid);
        Ok(Verdict::Ok)
    }

    /// A till awards for its own receipts only: a stolen one cannot use up the numbers of others.
    fn check_place(&self, award: &Award) -> Result<(), Refused> {
        let Some((store, till)) = &self.place else {
            return Ok(());
        };
        let own =
            award.store.as_ref().is_none_or(|s| s == store) && award.till.as_ref().is_none_or(|t| t == till);
        if own {
            Ok(())
        } else {
            Err(Refused::about(Refusal::KeyOwner, format!("till {till} in store {store}")))
        }
    }

    fn happened(&self, award: &Award, at: Time) -> Result<(Time, bool), Refusal> {
        let Some(seconds) = award.occurred_at else {
            return Ok((at, false));
        };
        let happened = Time::from_seconds(seconds).ok_or(Refusal::OccurredAtOutOfWindow)?;
        let now = at.seconds();
        let backfill = self.budget.backfill.is_some_and(|(from, until)| from <= seconds && seconds < until);
        let believed = seconds >= now.saturating_sub(BELIEVED);
        // A window for old receipts opens none for receipts to come.
        let come = seconds <= now.saturating_add(AHEAD);
        if come && (backfill || believed) {
            Ok((happened, backfill))
        } else {
            Err(Refusal::OccurredAtOutOfWindow)
        }
    }

    fn account(&self, draft: &mut Draft, id: AccountId) -> Result<(), Stop> {
        match draft.get(&Name::Account(id))?.as_deref().and_then(Record::account) {
            // Its holders' accounts are the issuer's to open.
            None if self.sponsorship.is_some() => Err(Refused::about(Refusal::AccountUnknown, id).into()),
            None => draft.open(id, Account::new(self.code, self.unit.offset, None)),
            Some(account) if account.head.unit != self.code => {
                Err(Refused::about(Refusal::AccountUnknown, format!("{id} holds no {}", self.code)).into())
            }
            Some(account) if account.head.frozen => Err(Refused::about(Refusal::AccountFrozen, id).into()),
            Some(_) => Ok(()),
        }
    }

    fn bucket(&self, award: &Award, happened: Time, at: Time) -> Result<Bucket, Refused> {
        let offset = self.unit.offset;
        let day = award.business_date.unwrap_or_else(|| happened.date(offset));
        // East of Greenwich the last hours of 9999 belong to a year that no date can be written in.
        let last = Time::default().plus_seconds(u64::MAX).date(0);
        if day < Time::default().date(0) || day > last {
            return Err(Refusal::OccurredAtOutOfWindow.into());
        }
        let policy = self.unit.expiry.until(day);
        if self.sponsorship.is_some() {
            // Of others' points a sponsor says neither that they are of a day to come nor that they live longer.
            let latest = latest_day(at, offset);
            if day > latest {
                return Err(out_of_window(format!("business_date: {latest} at the latest")));
            }
            if let (Some(until), Some(policy)) = (award.until, policy)
                && until > policy
            {
                return Err(out_of_window(format!(
                    "until: {policy} at the latest, as the unit's expiry has it"
                )));
            }
        }
        let until = award.until.or(policy);
        let pending = self.unit.pending_days;
        let from = award.from.or_else(|| (pending > 0).then(|| day.plus_days(pending)));
        let from = from.filter(|from| *from > at.date(offset));
        let goodwill = award.reason.as_ref().is_some_and(|reason| reason.as_str() == "goodwill");
        let origin = match &self.sponsorship {
            Some(sponsorship) => Origin::Sponsored(sponsorship.key()),
            None if goodwill => Origin::Goodwill,
            None => Origin::Earned,
        };
        Ok(Bucket(until, from, day.month(), origin))
    }

    /// Gives points that were got by exchange: they draw on the budget like all that come into being, and begin today.
    fn exchange(&mut self, draft: &mut Draft, account: AccountId, points: Points) -> Result<(), Stop> {
        // The key does not sign here, so what it signs for the network has no part in it.
        self.held = None;
        let after = self.draw(points.get(), false, draft.at)?;
        let day = draft.at.date(self.unit.offset);
        let bucket = Bucket(self.unit.expiry.until(day), None, day.month(), Origin::Exchanged);
        self.give(draft, account, Lot(bucket, points))?;
        self.drawn = after;
        Ok(())
    }

    /// Points come into being, if the unit's reserve stands for those that are outstanding then.
    fn give(&self, draft: &mut Draft, account: AccountId, lot: Lot) -> Result<(), Stop> {
        let Some(backing) = &self.backing else { return draft.give(account, self.code, lot) };
        let before = backing.outstanding(draft)?;
        draft.give(account, self.code, lot)?;
        backing.check(draft, before)
    }

    /// Writes what was drawn into the brand's part.
    pub(super) fn close(self, draft: &mut Draft) -> Result<(), Stop> {
        let Drawn { issued, hour, asserted: today, .. } = self.drawn;
        let own = |measure, limit| (self.subject.clone(), measure, limit);
        let mut limits = vec![own(Measure::Issued, issued), own(Measure::IssuedHour, hour)];
        if let Some(held) = asserted(&self.brand, self.code, &self.unit, self.held) {
            limits.push((held.subject()?, Measure::AssertedDay, today));
        }
        for (subject, measure, limit) in limits {
            let name = Name::Limit(self.brand.clone(), subject, measure);
            draft.put(PartKey::Brand(self.brand.clone()), name, Some(Record::Limit(limit)))?;
        }
        match self.sponsorship {
            Some(sponsorship) => sponsorship.close(draft, &self.brand),
            None => Ok(()),
        }
    }
}

/// The last day of which a sponsor's award may be at this instant: a till's clock may be ahead.
pub fn latest_day(at: Time, offset: i16) -> Date {
    at.plus_seconds(AHEAD).date(offset)
}

fn out_of_window(about: String) -> Refused {
    Refused::about(Refusal::OccurredAtOutOfWindow, about)
}

/// What the awards of a held key are counted as.
fn asserted<'a>(
    brand: &'a BrandId,
    code: UnitCode,
    unit: &Unit,
    caps: Option<HeldCaps>,
) -> Option<Asserted<'a>> {
    Some(Asserted { brand, caps: caps?, asset: Asset::Unit(code), offset: unit.offset })
}

fn check_amounts(award: &Award) -> Result<(), Refused> {
    if award.amount.is_zero() {
        return Err(Refused::about(Refusal::AmountTooSmall, "at least 1"));
    }
    if let Some(lines) = &award.lines {
        let sum = lines.iter().try_fold(Points::ZERO, |sum, line| sum.plus(line.points));
        if sum != Some(award.amount) {
            return Err(Refused::about(Refusal::SharesMismatch, "lines: their points sum to the amount"));
        }
        if let Some(sale) = &award.sale
            && lines.iter().try_fold(Money::ZERO, |sum, line| sum.plus(line.amount)) != Some(sale.amount)
        {
            return Err(Refused::about(Refusal::SharesMismatch, "lines: their amounts sum to the sale"));
        }
    }
    Ok(())
}

/// The key that signed is the issuer's own: otherwise its ids are none of the signer's business.
pub(super) fn own_key(draft: &mut Draft, kid: Kid, iss: &BrandId) -> Result<Of<KeyRecord>, Stop> {
    let key = draft.key(kid)?;
    if key.owner == Principal::Brand(iss.clone()) {
        Ok(key)
    } else {
        Err(Refused::about(Refusal::KeyOwner, iss).into())
    }
}

/// Marks a token's or batch's id as used; the same one again is known, another content is a conflict.
pub fn use_token(draft: &mut Draft, iss: &BrandId, jti: &Ident, asked: &Asked) -> Result<(), Stop> {
    let name = Name::UsedToken(iss.clone(), jti.clone());
    match draft.get(&name)?.as_deref().and_then(Record::used) {
        Some(used) if used.2 == asked.fingerprint => Err(Stop::Known(used.0)),
        Some(_) => Err(Refused::about(Refusal::TokenConflict, jti).into()),
        None => {
            let used = Record::Used(Used(draft.seq, 0, asked.fingerprint));
            draft.put(PartKey::Brand(iss.clone()), name, Some(used))
        }
    }
}

/// Gives an account points that were got by exchange, within the budget of a key of their brand.
pub fn issue_exchanged(
    draft: &mut Draft,
    budget: Kid,
    code: UnitCode,
    account: AccountId,
    points: Points,
) -> Result<(), Stop> {
    let brand = draft.unit(code)?.brand.clone();
    let mut issuer = Issuer::open(draft, budget, &brand, code)?;
    issuer.exchange(draft, account, points)?;
    issuer.close(draft)
}

/// Takes a token in.
pub fn issue(draft: &mut Draft, asked: &Asked, token: &PointToken) -> Result<(), Stop> {
    own_key(draft, asked.kid, &token.iss)?;
    use_token(draft, &token.iss, &token.jti, asked)?;
    if token.exp <= draft.at.seconds() {
        return Err(Refused::about(Refusal::TokenExpired, &token.jti).into());
    }
    let mut issuer = Issuer::open(draft, asked.kid, &token.iss, token.unit)?;
    let line = AwardLine { award: token.award(), fingerprint: asked.fingerprint };
    match issuer.award(draft, &line, 0)? {
        Verdict::Ok | Verdict::AlreadyDone => issuer.close(draft),
        Verdict::Refused(code) => Err(code.into()),
    }
}
