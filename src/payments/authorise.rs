//! Authorise: points of one or several units are held for a bill, each under its holder's consent.

use super::capture::{Step, step};
use super::consent::{Agreed, Consent, Under, by_code, by_signature, draw};
use super::limits::{Way, draw_held, draw_till};
use super::till;
use crate::book::{Draft, Name, Of, PartKey, Payment, Record, Share, ShareTerms, Stop, TillTerms, Unit};
use crate::network::Asked;
use crate::prices::{accept, price_now};
use crate::sign::{Sale, optional_objects};
use crate::types::{
    AccountId, BrandId, Currency, Ident, Money, ParticipantId, PaymentId, Points, Rate, Refusal, Refused,
    Time, UnitCode,
};
use serde::{Deserialize, Serialize};

/// How long points may be held, in seconds: 30 days.
const LONGEST_HOLD: u64 = 30 * 86_400;
/// Most units in one payment.
const MOST_SHARES: usize = 16;

/// `payment.authorise`, signed by a till.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Authorise {
    /// X: what is to be paid with points, in all.
    pub amount: Money,
    /// Its currency.
    pub currency: Currency,
    /// Until when it can be captured, in Unix seconds.
    pub deadline: u64,
    /// The shop's receipt number.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none", default)]
    pub reference: Option<Ident>,
    /// Capture all of it at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capture: bool,
    /// Shares under consents that were opened at this till before; a share under a signed consent stands in that.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "optional_objects")]
    pub under: Option<Vec<Under>>,
}

/// Where the bill is: the shop's side of every share.
pub(super) struct Bill<'a> {
    pub brand: &'a BrandId,
    pub till: &'a TillTerms,
    pub id: PaymentId,
    pub deadline: Time,
}

/// Holds the points, and takes them at once if so asked.
pub fn authorise(
    draft: &mut Draft,
    asked: &Asked,
    args: &Authorise,
    consents: &[Consent],
) -> Result<PaymentId, Stop> {
    let (key, brand) = till(draft, asked)?;
    let terms = key.till.as_ref().ok_or_else(|| Stop::Bug("a till without terms".into()))?;
    if draft.network()?.frozen {
        return Err(Refusal::NetworkFrozen.into());
    }
    if draft.brand(&brand)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &brand).into());
    }
    check_bill(draft, args, consents)?;
    let sale = Sale { amount: args.amount, currency: args.currency };
    draw_till(draft, asked.kid, &brand, terms, Way::Take, &sale)?;
    let deadline = Time::from_seconds(args.deadline).ok_or(Refusal::AmountTooLarge)?;
    let bill = Bill { brand: &brand, till: terms, id: PaymentId { seq: draft.seq, part: 0 }, deadline };
    let mut agreed = Vec::with_capacity(consents.len());
    for consent in consents {
        agreed.push(by_signature(draft, asked, &bill, args, consent)?);
    }
    for under in args.under.iter().flatten() {
        agreed.push(by_code(draft, asked, &bill, args, under)?);
    }
    draw_held(draft, &brand, &key, &sale, agreed.iter().map(|one| (one.account, one.amount)))?;
    let mut shares = Vec::with_capacity(agreed.len());
    for one in agreed {
        let share = hold_share(draft, &bill, args.currency, one)?;
        if shares.iter().any(|have: &ShareTerms| have.unit == share.unit) {
            return Err(
                Refused::about(Refusal::SharesMismatch, format!("{} stands twice", share.unit)).into()
            );
        }
        shares.push(share);
    }
    let mut payment = Payment {
        brand: brand.clone(),
        participant: terms.participant.clone(),
        store: terms.store.clone(),
        till: terms.till.clone(),
        by: asked.kid,
        reference: args.reference.clone(),
        currency: args.currency,
        amount: args.amount,
        shares,
        captured: Money::ZERO,
        refunded: Money::ZERO,
        deadline,
        closed: false,
    };
    if args.capture {
        step(draft, bill.id, &mut payment, Step::Capture { amount: args.amount, last: true })?;
    }
    let id = bill.id;
    draft.put(PartKey::Brand(brand), Name::Payment(id), Some(Record::Payment(payment)))?;
    Ok(id)
}

fn check_bill(draft: &mut Draft, args: &Authorise, consents: &[Consent]) -> Result<(), Stop> {
    if args.amount.is_zero() {
        return Err(Refused::about(Refusal::AmountTooSmall, "amount: at least 1").into());
    }
    let now = draft.at.seconds();
    if args.deadline <= now || args.deadline > now.saturating_add(LONGEST_HOLD) {
        return Err(Refused::about(Refusal::SettingInvalid, "deadline: ahead, by 30 days at the most").into());
    }
    let under = args.under.as_deref().unwrap_or_default();
    let shares = consents.len().saturating_add(under.len());
    if shares == 0 {
        return Err(Refused::about(Refusal::EvidenceMissing, "a consent for each unit").into());
    }
    let amounts = consents.iter().map(|consent| consent.claims.amount);
    let mut amounts = amounts.chain(under.iter().map(|one| one.amount));
    let sum = amounts.try_fold(Money::ZERO, |sum, amount| sum.plus(amount));
    if sum != Some(args.amount) || shares > MOST_SHARES {
        return Err(Refused::about(Refusal::SharesMismatch, format!("the bill is {}", args.amount)).into());
    }
    Ok(())
}

/// The unit of an account whose points may be spent at all: neither it, nor they, nor their issuer is frozen.
pub(super) fn spendable(draft: &mut Draft, id: AccountId) -> Result<(UnitCode, Of<Unit>), Stop> {
    let account = draft.account(id)?;
    let code = account.head.unit;
    let unit = draft.unit(code)?;
    if draft.brand(&unit.brand)?.frozen {
        return Err(Refused::about(Refusal::BrandFrozen, &unit.brand).into());
    }
    if unit.frozen {
        return Err(Refused::about(Refusal::UnitFrozen, code).into());
    }
    if account.head.frozen {
        // Without the account's name: the shop may know a code only.
        return Err(Refusal::AccountFrozen.into());
    }
    Ok((code, unit))
}

/// Holds the points of one share: P = ceil(X / rate) at the home price in the issuer's own
/// shops and at the till price elsewhere; O = floor(X · settle / rate).
fn hold_share(
    draft: &mut Draft,
    bill: &Bill,
    currency: Currency,
    agreed: Agreed,
) -> Result<ShareTerms, Stop> {
    let Agreed { account, amount, .. } = agreed;
    let (code, unit) = spendable(draft, account)?;
    let at_home = unit.brand == *bill.brand;
    let price = price_now(draft, code, currency)?;
    if !at_home {
        accept(draft, bill.brand, code, unit.offset, &Sale { amount, currency })?;
    }
    let rate = if at_home { price.home } else { price.till };
    let points = rate.points_ceil(amount).ok_or(Refusal::AmountTooLarge)?;
    if points.is_zero() || unit.min_spend.is_some_and(|least| points < least) {
        let least = unit.min_spend.unwrap_or(Points::new(1).unwrap_or_default());
        return Err(Refused::about(Refusal::AmountTooSmall, format!("at least {least} {code}")).into());
    }
    if points > agreed.points {
        return Err(Refused::about(Refusal::ConsentExceeded, format!("{points} {code} are needed")).into());
    }
    if let Some(id) = agreed.open {
        draw(draft, bill.brand, id, points)?;
    }
    let issuer = draft.brand(&unit.brand)?.participant.clone();
    let obligation = owed(&issuer, &bill.till.participant, amount, price.settle, rate)?;
    draft.hold(account, bill.id, bill.deadline, points)?;
    let share = Record::Share(Share { account, taken: vec![] });
    draft.put(PartKey::Holder(account), Name::Share(bill.id, code), Some(share))?;
    let (consent, price) = (agreed.consent, price.version);
    Ok(ShareTerms { unit: code, consent, amount, points, obligation, issuer, price })
}

fn owed(
    issuer: &ParticipantId,
    shop: &ParticipantId,
    amount: Money,
    settle: Rate,
    rate: Rate,
) -> Result<Money, Stop> {
    if issuer == shop {
        return Ok(Money::ZERO);
    }
    Ok(amount.reprice_floor(settle, rate).ok_or(Refusal::AmountTooLarge)?)
}
