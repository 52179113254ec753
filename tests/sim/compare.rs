//! Compares what is stored with what the model believes: every account, total, pair and payment.

use super::model::{Books, Model};
use super::offer::Fate;
use super::purse::{From, NEVER, Pile, Purse};
use std::collections::BTreeMap;
use tallyhouse::book::{Account, Bucket, Lot, Name, OfferState, Origin, Record, Shared};
use tallyhouse::types::{AccountId, Date, Points, Time, UnitCode};

type Piles = Vec<((Option<u64>, Option<u64>, String, u8), u128)>;

fn day(date: chrono::NaiveDate) -> u64 {
    u64::try_from(date.to_epoch_days()).expect("after 1970")
}

fn ours(pile: &Pile) -> (Option<u64>, Option<u64>, String, u8) {
    let until = (pile.until != NEVER).then(|| day(pile.until));
    let origin = match pile.origin {
        From::Earned => 0,
        From::Goodwill => 1,
        From::Reinstated => 2,
        From::Exchanged => 3,
    };
    (until, pile.from.map(day), format!("{:04}-{:02}", pile.month.0, pile.month.1), origin)
}

fn theirs(bucket: &Bucket) -> (Option<u64>, Option<u64>, String, u8) {
    let origin = match bucket.3 {
        Origin::Earned => 0,
        Origin::Goodwill => 1,
        Origin::Reinstated => 2,
        Origin::Exchanged => 3,
        Origin::Sponsored(_) => 9,
    };
    (bucket.0.map(Date::number), bucket.1.map(Date::number), bucket.2.to_string(), origin)
}

fn lots(lots: &[Lot]) -> Piles {
    lots.iter().map(|Lot(bucket, points)| (theirs(bucket), u128::from(points.get()))).collect()
}

fn same_account(purse: &Purse, account: &Account, at: Time) -> Result<(), String> {
    let balance = |points: Points| u128::from(points.get());
    let has = (balance(account.available(at)), balance(account.pending(at)), balance(account.held()));
    let expected = (purse.available(at.micros()), purse.pending(at.micros()), purse.held());
    if has != expected {
        return Err(format!("available, pending, held are {has:?}, the model says {expected:?}"));
    }
    let expected: Piles = purse.piles.iter().map(|(pile, n)| (ours(pile), *n)).collect();
    let has = lots(&account.lots);
    if has != expected {
        return Err(format!("lots are {has:?}, the model says {expected:?}"));
    }
    let head = (account.head.unit, account.head.offset, account.head.key, account.head.frozen);
    if head != (purse.unit, purse.offset, purse.key, purse.frozen) {
        return Err(format!("head is {head:?}"));
    }
    let holds: Vec<_> = account.holds.iter().map(|h| (h.of, h.until.micros(), lots(&h.lots))).collect();
    let piles = |piles: &[(Pile, u128)]| piles.iter().map(|(pile, n)| (ours(pile), *n)).collect::<Piles>();
    let expected: Vec<_> = purse.holds.iter().map(|(id, h)| (*id, h.deadline, piles(&h.piles))).collect();
    if holds == expected { Ok(()) } else { Err(format!("holds are {holds:?}, the model says {expected:?}")) }
}

/// Compares all of state, as of `at`, with the model settled at the same instant.
pub fn same(model: &Model, records: &[(Name, Record)], at: Time) -> Result<(), String> {
    let mut books = model.books.clone();
    books.settle(at.micros());
    let mut expired: BTreeMap<UnitCode, i128> = BTreeMap::new();
    let (mut accounts, mut payments, mut consents, mut offers) = (0, 0, 0, 0);
    let mut backs: Vec<(AccountId, u128, u128)> = vec![];
    let mut totals: BTreeMap<(UnitCode, Shared), i128> = BTreeMap::new();
    let (mut pairs, mut nets) = (BTreeMap::new(), BTreeMap::new());
    for (name, record) in records {
        let wrong = |what: String| format!("{name}: {what}");
        match (name, record) {
            (Name::Account(id), Record::Account(account)) => {
                accounts += 1;
                let mut purse = books.purses.get(id).ok_or(wrong("the model has none".into()))?.clone();
                let mut account = account.clone();
                // Both as they would be if they were touched now.
                *expired.entry(account.head.unit).or_default() += i128::from(account.settle(at).get());
                ripen(&mut account, at)?;
                purse.mature(at.micros());
                same_account(&purse, &account, at).map_err(wrong)?;
            }
            (Name::Shared(unit, shared), Record::Total(total)) => {
                totals.insert((*unit, *shared), i128::from(*total));
            }
            (Name::Pair(cycle, a, b, currency), Record::Total(total)) => {
                pairs.insert((*cycle, a.clone(), b.clone(), *currency), i128::from(*total));
            }
            (Name::Net(cycle, of, currency), Record::Total(total)) => {
                nets.insert((*cycle, of.clone(), *currency), i128::from(*total));
            }
            (Name::Payment(id), Record::Payment(payment)) => {
                payments += 1;
                let expected = model.payments.get(id).ok_or(wrong("the model has none".into()))?;
                let n = |money: tallyhouse::types::Money| u128::from(money.get());
                let shares: Vec<_> = payment
                    .shares
                    .iter()
                    .map(|s| (s.unit, u128::from(s.points.get()), n(s.obligation)))
                    .collect();
                let theirs: Vec<_> =
                    expected.shares.iter().map(|s| (s.unit, s.points, s.obligation)).collect();
                let has =
                    (n(payment.amount), n(payment.captured), n(payment.refunded), payment.closed, shares);
                let says = (expected.amount, expected.captured, expected.refunded, expected.closed, theirs);
                if has != says {
                    return Err(wrong(format!("is {has:?}, the model says {says:?}")));
                }
            }
            (Name::Consent(id), Record::Consent(open)) => {
                consents += 1;
                let expected = model.open.get(id).ok_or(wrong("the model has none".into()))?;
                let n = |money: tallyhouse::types::Money| u128::from(money.get());
                let count = |points: Points| u128::from(points.get());
                let drawn = (n(open.used), count(open.points), count(open.spent));
                let has = (&open.brand, open.till, n(open.most), drawn, open.until.micros());
                let drawn = (expected.used, expected.points, expected.spent);
                let says = (&expected.brand, expected.till, expected.most, drawn, expected.until);
                if has != says {
                    return Err(wrong(format!("is {has:?}, the model says {says:?}")));
                }
            }
            (Name::Offer(id), Record::Offer(offer)) => {
                offers += 1;
                let expected = model.offers.get(id).ok_or(wrong("the model has none".into()))?;
                let fate = match expected.fate {
                    Fate::Open => OfferState::Open,
                    Fate::Taken => OfferState::Taken,
                    Fate::Cancelled => OfferState::Cancelled,
                };
                let has = (&offer.terms, offer.key, offer.until.micros(), offer.state);
                let says = (&expected.terms, expected.key, expected.until, fate);
                if has != says {
                    return Err(wrong(format!("is {has:?}, the model says {says:?}")));
                }
            }
            (Name::ClawedBack(_), Record::ClawedBack(back)) => {
                let n = |points: Points| u128::from(points.get());
                backs.push((back.account, n(back.awarded), n(back.taken)));
            }
            (Name::Shown(id), Record::Shown(shown)) => {
                let expected = model.open.get(id).map(|open| (open.account, open.key));
                if expected != Some((shown.account, shown.key)) {
                    return Err(wrong(format!("is {shown:?}, the model says {expected:?}")));
                }
            }
            (Name::Share(id, unit), Record::Share(share)) => {
                let taken: u128 = share.taken.iter().map(|lot| u128::from(lot.1.get())).sum();
                let expected = model.payments[id].shares.iter().find(|s| s.unit == *unit);
                let says: u128 = expected.map_or(0, |s| s.taken.iter().map(|(_, n)| n).sum());
                if taken != says {
                    return Err(wrong(format!("took {taken}, the model says {says}")));
                }
            }
            _ => {}
        }
    }
    let of = model.awards.values().filter(|one| one.taken > 0);
    let mut expected: Vec<_> = of.map(|one| (one.account, one.awarded, one.taken)).collect();
    backs.sort_unstable();
    expected.sort_unstable();
    if backs != expected {
        return Err(format!("taken back are {backs:?}, the model says {expected:?}"));
    }
    for (unit, n) in expired {
        *totals.entry((unit, Shared::Expired)).or_default() += n;
    }
    totals.retain(|_, n| *n != 0);
    let mut expected = books.shared.clone();
    expected.retain(|_, n| *n != 0);
    if totals != expected {
        return Err(format!("totals are {totals:?}, the model says {expected:?}"));
    }
    pairs.retain(|_, n| *n != 0);
    let mut expected = books.pairs.clone();
    expected.retain(|_, n| *n != 0);
    if pairs != expected {
        return Err(format!("pairs are {pairs:?}, the model says {expected:?}"));
    }
    let mut expected = BTreeMap::new();
    for ((cycle, a, b, currency), n) in &books.pairs {
        *expected.entry((*cycle, a.clone(), *currency)).or_default() += n;
        *expected.entry((*cycle, b.clone(), *currency)).or_default() -= n;
    }
    expected.retain(|_, n| *n != 0);
    nets.retain(|_, n| *n != 0);
    if nets != expected {
        return Err(format!("nets are {nets:?}, the model says {expected:?}"));
    }
    let (purses, known) = (books.purses.len(), model.payments.len());
    if (accounts, payments) != (purses, known) {
        return Err(format!(
            "{accounts} accounts and {payments} payments, the model has {purses} and {known}"
        ));
    }
    if consents != model.open.len() {
        return Err(format!("{consents} open consents, the model has {}", model.open.len()));
    }
    if offers != model.offers.len() {
        return Err(format!("{offers} offers, the model has {}", model.offers.len()));
    }
    conserved(&books)
}

/// Drawing nothing changes nothing, but lets pending lots whose day has come join the others.
fn ripen(account: &mut Account, at: Time) -> Result<(), String> {
    account.draw(Points::ZERO, at).map(drop).map_err(|code| format!("drawing nothing: {code}"))
}

/// issued − redeemed − expired = what accounts have, unit by unit.
fn conserved(books: &Books) -> Result<(), String> {
    let mut left: BTreeMap<UnitCode, i128> = BTreeMap::new();
    for ((unit, _), n) in &books.shared {
        *left.entry(*unit).or_default() += n;
    }
    for purse in books.purses.values() {
        *left.entry(purse.unit).or_default() += purse.total() as i128;
    }
    match left.iter().find(|(_, n)| **n != 0) {
        None => Ok(()),
        Some((unit, n)) => Err(format!("{unit} does not add up: {n}")),
    }
}
