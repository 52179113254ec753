//! What a sponsor agreed to: price and sums, who may lower them, how long before a dearer price it is told, and tax.

use super::*;
use crate::common::node::award_text;
use crate::common::world::points;
use tallyhouse::book::{Notice, Place, PriceFor, Service, Tax, TaxCategory};
use tallyhouse::log::open;
use tallyhouse::machine::{PartBody, Request};
use tallyhouse::network::DefineUnit;
use tallyhouse::points::ClawBack;
use tallyhouse::prices::PublishTax;
use tallyhouse::sign::{PointToken, Window};
use tallyhouse::types::{Asset, Date, MAX_INT, ParticipantId, decode};

const DAY: u64 = 86_400;

/// Terms at 21 for a point, which is what one costs, and no more than this in all.
fn terms(most: Option<u64>) -> Option<SponsorTerms> {
    Some(SponsorTerms { currency: eur(), issue: rate(21, 1), ceiling: most.map(money) })
}

/// A budget with something in every member.
fn budget(house: &House, key: &Key, serial: u64) -> KeyBudget {
    let (now, all) = (house.now.seconds(), points(1_000));
    KeyBudget {
        ceiling: all,
        hourly: all,
        until: now + 90 * DAY,
        backfill: Some(Window { from: now - 90 * DAY, until: now - DAY }),
        sponsored: terms(Some(20_000)),
        ..house.world.budget(key.kid, id(UNIT), serial)
    }
}

#[test]
fn each_of_both_lowers_it_alone_and_neither_raises_it() {
    let (mut house, key, holders) = scene(11);
    let first = budget(&house, &key, 1);
    for by in [0, 1, 2] {
        let alone = house.grant(1, &key, by, &first, &[]);
        assert!(matches!(code(alone), Refusal::EvidenceMissing | Refusal::KeyOwner), "{by} alone");
    }
    house.grant(1, &key, 0, &first, &[1]).expect("granted");
    type Change = fn(&mut KeyBudget);
    let raised: [Change; 9] = [
        |one| one.ceiling = points(1_001),
        |one| one.hourly = points(1_001),
        |one| one.until += 1,
        |one| one.backfill = one.backfill.map(|window| Window { from: window.from - 1, ..window }),
        |one| one.backfill = one.backfill.map(|window| Window { until: window.until + 1, ..window }),
        |one| one.sponsored = terms(Some(20_001)),
        |one| one.sponsored = terms(None),
        |one| one.sponsored = one.sponsored.map(|terms| SponsorTerms { issue: rate(43, 2), ..terms }),
        // One thing less does not pay for another that is more.
        |one| (one.ceiling, one.hourly) = (points(1), points(1_001)),
    ];
    let mut next = first.clone();
    next.serial = 2;
    // A serial that leaves none for others is nobody's to take.
    for serial in [3, MAX_INT] {
        let skipped = KeyBudget { serial, ..next.clone() };
        for by in [0, 1] {
            assert_eq!(
                code(house.grant(1, &key, by, &skipped, &[])),
                Refusal::SerialStale,
                "{serial} by {by}"
            );
        }
    }
    for (at, change) in raised.into_iter().enumerate() {
        let mut wanted = next.clone();
        change(&mut wanted);
        for by in [0, 1, 2] {
            let said = code(house.grant(1, &key, by, &wanted, &[]));
            let expected = if by == 0 { Refusal::EvidenceMissing } else { Refusal::KeyOwner };
            assert_eq!(said, expected, "{at} by {by}");
        }
    }
    let lowered: [Change; 8] = [
        |_| (),
        |one| one.ceiling = points(999),
        |one| one.hourly = points(999),
        |one| one.until -= 1,
        |one| one.backfill = None,
        |one| one.sponsored = terms(Some(19_999)),
        |one| one.sponsored = terms(Some(1_050)),
        |one| one.ceiling = points(60),
    ];
    for (at, change) in lowered.into_iter().enumerate() {
        change(&mut next);
        assert_eq!(code(house.grant(1, &key, 2, &next, &[])), Refusal::KeyOwner, "{at} by another");
        house.grant(1, &key, at % 2, &next, &[]).unwrap_or_else(|no| panic!("{at}: {no}"));
        next.serial += 1;
    }
    // Fifty points for 1,050, then nothing more.
    award(&mut house, &key, holders[0], 50).expect("awarded");
    assert_eq!(code(award(&mut house, &key, holders[0], 1)), Refusal::BudgetExceeded);
    // What was paid counts on when both raise it; the sponsor closes it, and it takes both to open it again.
    house
        .grant(1, &key, 0, &KeyBudget { sponsored: terms(Some(1_071)), ..next.clone() }, &[1])
        .expect("raised");
    assert_eq!(code(award(&mut house, &key, holders[0], 2)), Refusal::BudgetExceeded);
    award(&mut house, &key, holders[0], 1).expect("awarded");
    next.serial += 1;
    let closed = KeyBudget { ceiling: points(0), sponsored: terms(Some(0)), ..next.clone() };
    house.grant(1, &key, 1, &closed, &[]).expect("closed");
    assert_eq!(code(award(&mut house, &key, holders[0], 1)), Refusal::BudgetExceeded);
    let reopened = KeyBudget { serial: closed.serial + 1, ..next };
    assert_eq!(code(house.grant(1, &key, 1, &reopened, &[])), Refusal::KeyOwner);
    assert_eq!(code(house.grant(1, &key, 0, &reopened, &[])), Refusal::EvidenceMissing);
    house.grant(1, &key, 0, &reopened, &[1]).expect("opened again");
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), 51 * 21);
    verified(&house);
}

#[test]
fn what_it_sponsors_lives_as_long_as_the_unit_says() {
    let (mut house, key, holders) = scene(14);
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    let policy = house.world.brands[0].units[0].expiry.clone();
    let today = house.now.date(60);
    let last = policy.until(today).expect("they expire");
    let give = |house: &mut House, until: Option<Date>, day: Option<Date>| {
        let (cid, now) = (house.cid(), house.now);
        let token = house.world.token(&house.world.brands[1], id(UNIT), &cid, holders[0], 5, now);
        let token = PointToken { until, business_date: day, ..token };
        house.send(house.world.issue(&key, &token)).map(drop).map_err(|no| no.code)
    };
    let never: Date = "9999-12-31".parse().expect("a day");
    for (until, day) in [
        (Some(never), None),
        (Some(last.plus_days(1)), None),
        (None, Some(today.plus_days(1))),
        (None, Some(never)),
        (Some(last), Some(never)),
    ] {
        assert_eq!(give(&mut house, until, day), Err(Refusal::OccurredAtOutOfWindow), "{until:?} {day:?}");
    }
    let before = today.plus_months(1);
    for (until, day) in
        [(Some(last), None), (Some(before), None), (None, Some(today)), (Some(last), Some(today))]
    {
        assert_eq!(give(&mut house, until, day), Ok(()), "{until:?} {day:?}");
    }
    // Of its own points a brand says what it likes.
    let (cid, now) = (house.cid(), house.now);
    let own = house.world.token(&house.world.brands[0], id(UNIT), &cid, holders[0], 5, now);
    let own = PointToken { until: Some(never), ..own };
    house.send(house.world.issue(&house.world.brands[0].issuing[0], &own)).expect("awarded");
    verified(&house);
}

/// Prices of harvest's points that begin in so many days; `issue` for all, and for kino if it differs.
fn prices(house: &House, version: u64, days: u64, issue: u64, kino: Option<u64>) -> PublishPrices {
    let from = house.now.seconds() + days * DAY + 2;
    let some = |n| vec![PriceFor { participant: id("pa_kino"), rate: rate(n, 1) }];
    PublishPrices {
        issue: rate(issue, 1),
        issue_for: kino.map(some),
        ..house.world.prices(id(UNIT), version, eur(), from)
    }
}

#[test]
fn a_dearer_price_is_announced_to_a_sponsor_as_a_cut_is_to_holders() {
    let (mut house, key, holders) = scene(12);
    let notice = Some(Notice { change_days: 2, cut_days: 9 });
    let unit = DefineUnit { version: 2, notice, ..house.world.brands[0].units[0].clone() };
    assert_eq!(unit.unit, id(UNIT));
    let cid = house.cid();
    let request = house.world.define_unit(&house.world.brands[0].root, &cid, &unit);
    house.send(request).expect("defined");
    let publish = |house: &mut House, price: &PublishPrices| {
        house.agreed_by_brand(0, "prices.publish", price).map(drop).map_err(|no| no.code)
    };
    // Without a sponsor a dearer issue price is a change.
    let price = prices(&house, 2, 2, 22, None);
    publish(&mut house, &price).expect("published");
    house.now = house.now.plus_seconds(3 * DAY);
    let granted = KeyBudget { sponsored: terms(None), ..budget(&house, &key, 1) };
    house.grant(1, &key, 0, &granted, &[1]).expect("granted");
    // It agreed to 21.
    assert_eq!(code(award(&mut house, &key, holders[0], 5)), Refusal::SponsorPriceExceeded);
    let price = prices(&house, 3, 2, 22, Some(21));
    publish(&mut house, &price).expect("cheaper for kino");
    house.now = house.now.plus_seconds(3 * DAY);
    award(&mut house, &key, holders[0], 5).expect("awarded");
    // Dearer for it, by its own price or because that goes: nine days. For others two.
    for (issue, kino) in [(22, Some(22)), (22, None), (40, Some(22))] {
        let soon = prices(&house, 4, 8, issue, kino);
        assert_eq!(publish(&mut house, &soon), Err(Refusal::NoticeTooShort), "{issue} {kino:?}");
    }
    let soon = prices(&house, 4, 2, 40, Some(21));
    publish(&mut house, &soon).expect("dearer for others");
    // In another currency it is nobody's, and after its budget too.
    let late = KeyBudget { until: house.now.seconds() + 3 * DAY, serial: 2, ..granted };
    house.grant(1, &key, 1, &late, &[]).expect("shorter");
    let soon = prices(&house, 5, 2, 40, Some(22));
    assert_eq!(publish(&mut house, &soon), Err(Refusal::NoticeTooShort));
    let soon = prices(&house, 5, 3, 40, Some(22));
    publish(&mut house, &soon).expect("when the budget has ended");
    // Closed, it is told of nothing any more.
    let closed = KeyBudget { ceiling: points(0), serial: 3, ..late };
    house.grant(1, &key, 0, &closed, &[]).expect("closed");
    let soon = prices(&house, 6, 2, 41, Some(41));
    publish(&mut house, &soon).expect("nobody agreed to anything");
    verified(&house);
}

/// Net and tax that harvest supplied kino by awards, in all.
fn supplied(house: &House) -> (i64, i64) {
    let mut sum = (0, 0);
    for part in house.node.entries.iter().flat_map(|entry| &entry.parts) {
        let body: PartBody = decode(&open(part).expect("a part").1).expect("a body");
        let Some(line) = body.supply.filter(|line| line.service == Service::Award) else { continue };
        let sides = (id::<ParticipantId>("pa_harvest"), id::<ParticipantId>("pa_kino"));
        assert_eq!((&line.supplier, &line.customer), (&sides.0, &sides.1));
        let done = body.done.expect("effects");
        let leg = done.legs.first().expect("a leg");
        assert_eq!(leg.place, Place::Pair(sides.0, sides.1));
        assert_eq!((leg.amount, leg.asset), (line.gross, Asset::Money(eur())));
        assert_eq!(line.net + line.tax, line.gross);
        sum = (sum.0 + line.net, sum.1 + line.tax);
    }
    sum
}

#[test]
fn tax_is_within_what_awards_cost_and_comes_back_with_them() {
    let (mut house, key, holders) = scene(13);
    house.sponsor(1, UNIT, &key, &[1]).expect("granted");
    let tax = Tax { category: TaxCategory::Standard, rate: 190_000 };
    let untaxed = award(&mut house, &key, holders[0], 10).expect("awarded");
    assert_eq!((sponsored(&house, untaxed).tax, supplied(&house)), (None, (0, 0)));
    let args =
        PublishTax { participant: id("pa_harvest"), version: 1, service: Service::Award, from: None, tax };
    let cid = house.cid();
    let first = house.world.command(&house.world.brands[0].root, &cid, "tax.publish", &args);
    house.send(Request::of(vec![first])).expect("published");
    let seq = award(&mut house, &key, holders[0], 101).expect("awarded");
    let gross = 101 * 21;
    let within = |gross: u64| i64::try_from(tax.within(money(gross)).expect("fits").get()).expect("fits");
    assert_eq!(sponsored(&house, seq).tax, Some(tax));
    assert_eq!(supplied(&house), (gross as i64 - within(gross), within(gross)));
    assert_eq!(has(&house, "pa_harvest", "pa_kino"), (gross + 210) as i64, "it costs what it cost before");
    // In odd parts, by disputes and with the points: what is taken back takes its tax with it, in full to nothing.
    let stands = |house: &House, back: u64| {
        let (net, of_tax) = supplied(house);
        let wanted = (within(gross) - within(back), (gross - back) as i64);
        assert_eq!((of_tax, net + of_tax), wanted, "after {back}");
    };
    let text = award_text(&house.node.entries[seq as usize], None);
    let take = |house: &mut House, points| {
        let month = Some(house.now.date(60).month());
        let args = ClawBack { award: text.clone(), till: None, month, points, reason: id("error") };
        house.by(&key, "points.claw_back", &args).expect("taken back");
    };
    let mut back = 0;
    for (amount, reason) in [(701, "wrong_amount"), (2, "fraud")] {
        let args = FileDispute { award: Some(AwardId { seq, part: 0 }), ..about(amount, reason) };
        let dispute = house.dispute(1, &args).expect("filed");
        house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
        house.argue(Some(0), dispute, DisputeStep::Accept).expect("accepted");
        back += amount;
        stands(&house, back);
        take(&mut house, Some(points(17)));
        back += 17 * 21;
        stands(&house, back);
    }
    take(&mut house, None);
    stands(&house, gross);
    assert_eq!((supplied(&house), has(&house, "pa_harvest", "pa_kino")), ((0, 0), 210));
    verified(&house);
}
