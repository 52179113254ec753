//! Reserves that are filled when points are issued: what is held is what outstanding points need, whatever happens.
//!
//! Owns: random histories of awards, payments, refunds, disputes, expiry and prices, with a model that counts for itself,
//! entry by entry; what the reserve's holder owes and is owed; the same movements in another order.
//! Promises: after every entry the reserve stands at the outstanding points' price, rounded up once; shops are owed by its
//! holder what captures and refunds come to; whatever is refunded and ends, nothing is left over.
//! Refuses to know: disks and HTTP.

mod common;
#[path = "issuance/limits.rs"]
mod limits;
#[path = "issuance/scene.rs"]
mod scene;

use common::dispute::about;
use common::house::{House, code, eur, funding};
use common::rng::Rng;
use common::world::{id, money, points};
use scene::{
    ISSUER, UNIT, Watch, award, batch, breakage, capture, disputed, has, left, need, nets, on_accounts,
    owed_for_payments, refund, reprice, reserve, scene, scene_of, total, unit, verified, void,
};
use std::collections::BTreeMap;
use tallyhouse::book::{BreakageTo, Kept, Name, Notice, Record, Shared};
use tallyhouse::clearing::{DisputeStep, FileDispute, PairCap, SetFunding};
use tallyhouse::formats::{Cut, Ledger};
use tallyhouse::log::{Envelope, Slot};
use tallyhouse::machine::Event;
use tallyhouse::network::DefineUnit;
use tallyhouse::payments::{AgreeExchange, MakeOffer, WantedExchange};
use tallyhouse::points::Verdict;
use tallyhouse::types::{ExchangeId, Hash, MAX_INT, ParticipantId, PaymentId, Refusal, Refused};

#[test]
fn a_reserve_stands_at_what_is_outstanding_whatever_happens() {
    let mut seen = BTreeMap::<&str, u32>::new();
    for seed in 0..9 {
        let mut rng = Rng::new(seed);
        let to = [BreakageTo::Issuer, BreakageTo::Operator, BreakageTo::Fund][seed as usize % 3];
        // Held by somebody beside the trade, or by one of the shops.
        let keeper = if rng.chance(50) { "pa_franchise" } else { "pa_polar" };
        let ratio = if rng.chance(50) { 1_000_000 } else { 1_000_000 + rng.below(700_000) as u32 };
        let mut house = scene_of(900 + seed, keeper);
        house.fill_at_issuance(UNIT, ratio, to).expect("set");
        let mut watch = Watch::new(&house, unit(), ratio, to);
        let (mut version, mut cap) = (1, None);
        let mut bills: Vec<(usize, PaymentId)> = vec![];
        for _ in 0..90 {
            let pick = (!bills.is_empty()).then(|| bills[rng.index(bills.len())]);
            match rng.below(12) {
                0 | 1 => {
                    let n = rng.index(3);
                    let _ = award(&mut house, n, 1 + rng.below(4_000));
                }
                2 => {
                    house.now = house.now.plus_seconds(60);
                    house.node.tick(house.now);
                    let at = house.now.seconds() + 1;
                    let mut outstanding = on_accounts(&house.node.state, unit());
                    let held = reserve(&house.node.state, unit()).expect("set").held.get();
                    let owes = -nets(&house).get(&id(ISSUER)).copied().unwrap_or(0);
                    let amounts: Vec<u64> = (0..1 + rng.below(5)).map(|_| 1 + rng.below(900)).collect();
                    for (amount, verdict) in amounts.iter().zip(batch(&mut house, &amounts)) {
                        let more = need(outstanding + amount, watch.price(at), ratio) as i64 - held as i64;
                        let fits = more <= 0 || cap.is_none_or(|cap: u64| owes + more <= cap as i64);
                        let wanted = match fits {
                            true => Verdict::Ok,
                            false => Verdict::Refused(Refusal::ExposureExceeded),
                        };
                        assert_eq!(verdict, wanted, "{amount} to {outstanding}, {owes} owed of {cap:?}");
                        outstanding += if fits { *amount } else { 0 };
                        *seen.entry(if fits { "line taken" } else { "line refused" }).or_default() += 1;
                    }
                }
                3..=5 => {
                    let shop = rng.index(3);
                    let paid = house.pay(shop, UNIT, rng.index(3), 20 + rng.below(9_000), rng.chance(50));
                    bills.extend(paid.ok().map(|payment| (shop, payment)));
                }
                6 => {
                    if let Some((shop, payment)) = pick {
                        let last = rng.chance(30);
                        let done = capture(&mut house, shop, payment, 1 + rng.below(2_000), last);
                        *seen.entry("captured").or_default() += u32::from(done.is_ok());
                    }
                }
                7 => {
                    if let Some((shop, payment)) = pick {
                        let _ = void(&mut house, shop, payment);
                    }
                }
                8 => {
                    if let Some((shop, payment)) = pick {
                        let amount = 1 + rng.below(left(&house, payment).max(1));
                        let done = refund(&mut house, shop, payment, amount);
                        *seen.entry("refunded").or_default() += u32::from(done.is_ok());
                    }
                }
                9 => {
                    if let Some((shop, payment)) = pick {
                        let amount = 1 + rng.below(2_000);
                        let back = rng.chance(60);
                        let done = disputed(&mut house, shop, payment, amount, back);
                        *seen.entry("charged back").or_default() += u32::from(done.is_ok());
                    }
                }
                10 => {
                    version += 1;
                    let settle = 15 + rng.below(12);
                    let from = reprice(&mut house, version, settle);
                    watch.prices.push((from, settle));
                    *seen.entry("repriced").or_default() += 1;
                }
                _ if rng.chance(40) => {
                    house.now = house.now.plus_seconds(86_400 * (1 + rng.below(20)));
                    house.node.tick(house.now);
                    *seen.entry("time").or_default() += 1;
                }
                _ => {
                    // Where its holder is the shop, nobody pays in the issuer's place, and holds take its headroom.
                    let owes = -nets(&house).get(&id(ISSUER)).copied().unwrap_or(0);
                    let set = rng.chance(80).then(|| owes.max(0) as u64 + rng.below(20_000));
                    let args = funding(ISSUER, set);
                    if keeper == "pa_franchise" && house.set_funding(&args).is_ok() {
                        cap = set;
                    }
                }
            }
            watch.follow(&house);
            // What shops are owed, its holder owes, and the issuer owes that to nobody else.
            for shop in ["pa_harvest", "pa_polar"] {
                let owed = owed_for_payments(&house, shop);
                let (by_keeper, by_issuer) = (has(&house, shop, keeper), has(&house, shop, ISSUER));
                match shop == keeper {
                    true => {}
                    false => assert_eq!((by_keeper, by_issuer), (owed, 0), "{shop}"),
                }
            }
            let held = reserve(&house.node.state, unit()).expect("set").held.get();
            let own = if keeper == "pa_polar" { owed_for_payments(&house, keeper) } else { 0 };
            let nets = nets(&house);
            assert_eq!(nets.values().sum::<i64>(), 0);
            let of_keeper = nets.get(&id(keeper)).copied().unwrap_or(0);
            assert_eq!(of_keeper, (held + watch.kept) as i64 + own, "held for points, kept, and earned");
        }
        assert_eq!(breakage(&house), watch.kept);
        if to == BreakageTo::Fund {
            let fund = house.node.state.get(&Name::Funding(id(ISSUER), eur())).and_then(Record::funding);
            assert_eq!(fund.map_or(0, |have| have.fund.get()), watch.kept);
        }
        // All that can come back does, and then it ends: of the reserve nothing is left.
        for (shop, payment) in bills {
            let _ = void(&mut house, shop, payment);
            let rest = left(&house, payment);
            let _ = refund(&mut house, shop, payment, rest);
        }
        house.now = house.now.plus_seconds(90 * 86_400);
        house.node.tick(house.now);
        watch.follow(&house);
        assert_eq!(on_accounts(&house.node.state, unit()), 0);
        assert_eq!(reserve(&house.node.state, unit()).expect("set").held, money(0));
        assert_eq!(breakage(&house), watch.kept);
        *seen.entry("kept").or_default() += u32::from(watch.kept > 0);
        verified(&house);
    }
    assert!(seen.values().all(|n| *n >= 4) && seen.len() == 8, "{seen:?}");
}

/// The same movements of two payments, in an order of its own each time.
fn moved(order: u64) -> (House, BTreeMap<ParticipantId, i64>) {
    let mut house = scene(77);
    house.fill_at_issuance(UNIT, 1_234_567, BreakageTo::Issuer).expect("set");
    for n in 0..2 {
        award(&mut house, n, 10_001).expect("awarded");
    }
    let bills: Vec<(usize, PaymentId)> = [(0, 30_007, 0), (2, 20_011, 1)]
        .map(|(shop, amount, n)| (shop, house.pay(shop, UNIT, n, amount, false).expect("held")))
        .into();
    let mut rng = Rng::new(order);
    let mut queues = [
        vec![(1, 5_003), (1, 7_001), (-1, 2_999), (1, 11_111), (-1, 1)],
        vec![(1, 10_007), (-1, 3), (1, 9_999), (-1, 10_000)],
    ];
    while queues.iter().any(|queue| !queue.is_empty()) {
        let of = rng.index(2);
        if queues[of].is_empty() {
            continue;
        }
        let (way, amount) = queues[of].remove(0);
        let (shop, payment) = bills[of];
        let done = match way {
            1 => capture(&mut house, shop, payment, amount, false),
            _ => refund(&mut house, shop, payment, amount),
        };
        done.expect("done");
        if rng.chance(30) {
            award(&mut house, 2, 7).expect("awarded");
            let _ = house.pay(0, UNIT, 2, 133, true).map(|payment| refund(&mut house, 0, payment, 133));
        }
    }
    // As many came into being in each of them.
    let outstanding = on_accounts(&house.node.state, unit());
    let given = -total(&house.node.state, &Name::Shared(unit(), Shared::Issuance));
    award(&mut house, 2, 1_000 + 20_002 - given as u64).expect("awarded");
    assert_eq!(on_accounts(&house.node.state, unit()), outstanding + 21_002 - given as u64);
    let nets = nets(&house);
    (house, nets)
}

#[test]
fn the_order_of_independent_movements_changes_nothing() {
    let (_, first) = moved(0);
    assert!(first.len() == 4, "{first:?}");
    for order in 1..12 {
        let (mut house, nets) = moved(order);
        assert_eq!(nets, first, "order {order}");
        if order == 11 {
            // Refunded in full and past their date: everybody has what they had before.
            let bills: Vec<(PaymentId, String)> = house.node.state.0.iter().filter_map(of_shop).collect();
            for (payment, shop) in bills {
                let shop = if shop == "br_harvest" { 0 } else { 2 };
                let _ = void(&mut house, shop, payment);
                let rest = left(&house, payment);
                let _ = refund(&mut house, shop, payment, rest);
            }
            house.now = house.now.plus_seconds(90 * 86_400);
            house.node.tick(house.now);
            assert_eq!(self::nets(&house), BTreeMap::new());
            verified(&house);
        }
    }
}

fn of_shop((name, record): (&Name, &std::sync::Arc<Record>)) -> Option<(PaymentId, String)> {
    match (name, &**record) {
        (Name::Payment(id), Record::Payment(payment)) => Some((*id, payment.brand.as_str().to_owned())),
        _ => None,
    }
}

#[test]
fn it_is_set_changed_and_ended_while_nothing_is_outstanding() {
    let mut house = scene(78);
    let invalid = |done: Result<_, Refused>| assert_eq!(code(done), Refusal::SettingInvalid);
    let fill = |house: &mut House, ratio| house.fill_at_issuance(UNIT, ratio, BreakageTo::Issuer);
    invalid(fill(&mut house, 999_999));
    invalid(scene_of(78, ISSUER).fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer));
    let nobodys = scene_of(78, "pa_nobody").fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer);
    assert_eq!(code(nobodys), Refusal::ParticipantUnknown);
    // Its issuer agrees: whose it is, by the root or an approver key of the brand that speaks for it.
    for (brand, key) in [(0, 0), (1, 2), (3, 0)] {
        let brand = &house.world.brands[brand];
        let key = [&brand.root, &brand.approvers[0], &brand.issuing[0]][key].kid;
        let done = house.fill_approved(UNIT, 1_000_000, BreakageTo::Issuer, Some(key));
        assert_eq!(code(done), Refusal::EvidenceMissing);
    }
    let alone = house.fill_approved(UNIT, 1_000_000, BreakageTo::Issuer, None);
    assert_eq!(code(alone), Refusal::EvidenceMissing);
    // What was topped up is taken back first.
    house.reserve(UNIT, 1_000_000).expect("set");
    house.top_up(ISSUER, Some(UNIT), 500).expect("topped up");
    invalid(fill(&mut house, 1_000_000));
    house.withdraw(ISSUER, Some(UNIT), 500).expect("withdrawn");
    let approver = house.world.brands[1].approvers[0].kid;
    house.fill_approved(UNIT, 1_000_000, BreakageTo::Issuer, Some(approver)).expect("set");
    fill(&mut house, 2_000_000).expect("set otherwise");
    award(&mut house, 0, 100).expect("awarded");
    assert_eq!(has(&house, "pa_franchise", ISSUER), 100 * 19 * 2);
    // Nothing is topped up or taken back of it, and its terms stay as long as there are points.
    assert_eq!(code(house.top_up(ISSUER, Some(UNIT), 100)), Refusal::CoverInvalid);
    assert_eq!(code(house.withdraw(ISSUER, Some(UNIT), 100)), Refusal::CoverInvalid);
    invalid(fill(&mut house, 2_000_000));
    invalid(house.reserve(UNIT, 0));
    house.now = house.now.plus_seconds(90 * 86_400);
    house.node.tick(house.now);
    assert_eq!(has(&house, "pa_franchise", ISSUER), 0);
    house.reserve(UNIT, 0).expect("ended");
    award(&mut house, 0, 100).expect("awarded");
    assert_eq!(nets(&house), BTreeMap::new());
    // With points that are there it does not begin either.
    invalid(fill(&mut house, 1_000_000));
    verified(&house);
}

#[test]
fn a_payment_keeps_who_pays_for_it() {
    let mut house = scene(79);
    award(&mut house, 0, 200).expect("awarded");
    let before = house.pay(0, UNIT, 0, 4_000, true).expect("paid");
    assert_eq!(has(&house, "pa_harvest", ISSUER), 3_800);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    award(&mut house, 0, 100).expect("awarded");
    let after = house.pay(0, UNIT, 0, 2_000, true).expect("paid");
    assert_eq!(
        (has(&house, "pa_harvest", ISSUER), has(&house, "pa_harvest", "pa_franchise")),
        (3_800, 1_900)
    );
    assert_eq!(nets(&house).get(&id("pa_franchise")), None);
    // Each comes back by the way that it went; the reserve is filled for what is there again.
    refund(&mut house, 0, before, 4_000).expect("refunded");
    assert_eq!((has(&house, "pa_harvest", ISSUER), has(&house, "pa_harvest", "pa_franchise")), (0, 1_900));
    assert_eq!(has(&house, "pa_franchise", ISSUER), 200 * 19 + 1_900);
    refund(&mut house, 0, after, 2_000).expect("refunded");
    assert_eq!(
        (has(&house, "pa_harvest", "pa_franchise"), has(&house, "pa_franchise", ISSUER)),
        (0, 300 * 19)
    );
    verified(&house);
}

/// Points of one unit for points of another.
fn exchange(house: &mut House, from: &str, to: &str, source: u64) -> ExchangeId {
    let (giver, getter) = (house.world.holder(id(from), 0), house.world.holder(id(to), 0));
    let wanted = WantedExchange { to: id(to), currency: eur(), source: Some(points(source)), target: None };
    let cid = house.cid();
    let offer = MakeOffer { firm: false, exchange: Some(wanted), payment: None };
    let request = house.world.make_offer(&giver.key, &cid, &offer);
    let offer = house.send(request).expect("offered").offer.expect("an offer");
    let (cid, args) = (house.cid(), AgreeExchange { offer: offer.offer, hash: offer.hash });
    let request = house.world.agree_exchange(&giver.key, &getter.key, &cid, &args);
    house.send(request).expect("exchanged").exchange.expect("an exchange")
}

#[test]
fn exchanges_draw_on_the_one_reserve_and_fill_the_other() {
    let mut house = scene(80);
    house.award("POLAR", 0, 1_000);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Operator).expect("set");
    let mut watch = Watch::new(&house, unit(), 1_000_000, BreakageTo::Operator);
    award(&mut house, 0, 1_000).expect("awarded");
    // 210 of 1,000: worth 3,990, which its holder owes for the issuer, and 190 points of the other.
    let out = exchange(&mut house, UNIT, "POLAR", 210);
    watch.follow(&house);
    assert_eq!((has(&house, "pa_polar", "pa_franchise"), has(&house, "pa_polar", ISSUER)), (3_990, 0));
    assert_eq!(nets(&house)[&id("pa_franchise")], 790 * 19);
    // Back: polar owes the issuer, and the issuer the holder for the points that came.
    exchange(&mut house, "POLAR", UNIT, 210);
    watch.follow(&house);
    assert_eq!(has(&house, ISSUER, "pa_polar"), 3_990);
    assert_eq!(nets(&house)[&id("pa_franchise")], (790 + 190) * 19);
    // A dispute over the first goes the way that it came.
    let args = FileDispute { exchange: Some(out), ..about(1_000, "not_ours") };
    let dispute = house.dispute(1, &args).expect("filed");
    house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    house.argue(Some(2), dispute, DisputeStep::Accept).expect("accepted");
    watch.follow(&house);
    assert_eq!(has(&house, "pa_polar", "pa_franchise"), 2_990);
    assert_eq!(nets(&house)[&id("pa_franchise")], (790 + 190) * 19);
    verified(&house);
}

#[test]
fn nobody_owes_more_for_points_than_stands_behind_it() {
    let mut house = scene(81);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Issuer).expect("set");
    house.fund(ISSUER, Some(1_900), 0).expect("set");
    award(&mut house, 0, 60).expect("awarded");
    assert_eq!(
        batch(&mut house, &[30, 11, 10, 1]),
        [
            Verdict::Ok,
            Verdict::Refused(Refusal::ExposureExceeded),
            Verdict::Ok,
            Verdict::Refused(Refusal::ExposureExceeded)
        ]
    );
    assert_eq!(code(award(&mut house, 0, 1)), Refusal::ExposureExceeded);
    // A payment asks the issuer for nothing any more: it asks who pays in its place.
    let paid = house.pay(0, UNIT, 0, 400, false).expect("held");
    let pairs = vec![PairCap { creditor: id("pa_harvest"), most: money(400) }];
    let args = SetFunding { pairs, in_flight: true, ..funding("pa_franchise", None) };
    house.set_funding(&args).expect("set");
    house.pay(0, UNIT, 0, 400, false).expect("held");
    assert_eq!(code(house.pay(0, UNIT, 0, 400, false)), Refusal::PairCapExceeded);
    capture(&mut house, 0, paid, 400, true).expect("captured");
    // 20 points are gone: their 380 are free, and were paid to the shop.
    assert_eq!(nets(&house)[&id(ISSUER)], -1_900);
    assert_eq!(nets(&house)[&id("pa_harvest")], 380);
    assert_eq!(code(award(&mut house, 0, 1)), Refusal::ExposureExceeded);
    verified(&house);
}

#[test]
fn books_show_the_reserve_as_what_it_is() {
    let mut house = scene(82);
    house.fill_at_issuance(UNIT, 1_000_000, BreakageTo::Operator).expect("set");
    award(&mut house, 0, 1_000).expect("awarded");
    let paid = house.pay(0, UNIT, 0, 4_010, true).expect("paid");
    refund(&mut house, 0, paid, 1_111).expect("refunded");
    house.now = house.now.plus_seconds(90 * 86_400);
    house.node.tick(house.now);
    award(&mut house, 0, 77).expect("awarded");
    let held = reserve(&house.node.state, unit()).expect("set").held.get() as i64;
    assert_eq!(held, 77 * 19);
    let books = |whose: Option<&str>| {
        let mut ledger = Ledger::new(whose.map(id), 0, [(eur(), 4)]);
        for entry in &house.node.entries {
            let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
            let slots: Vec<Slot> = entry.parts.iter().cloned().map(Slot::Whole).collect();
            let event = Event::read(&envelope, Hash::default(), &slots).expect("our own entry");
            ledger.take(&event).expect("taken");
        }
        let cut = Cut { origin: "t".into(), from: 0, seq: 1, checkpoint: "t\n1\nx\n".into() };
        ledger.journal(cut).expect("balanced").closing
    };
    let at = |books: &BTreeMap<(String, String), i64>, account: &str| {
        books.get(&(account.to_owned(), "EUR".to_owned())).copied().unwrap_or(0)
    };
    let (issuer, keeper, all) = (books(Some(ISSUER)), books(Some("pa_franchise")), books(None));
    assert_eq!(at(&issuer, "Assets:Reserve:KINOPLUS"), held);
    assert_eq!(at(&keeper, "Liabilities:Reserve:KINOPLUS"), -held);
    // What is kept is the one's expense and the other's income; what the shop was paid is through for the holder.
    let kept = breakage(&house) as i64;
    assert!(kept > 0);
    assert_eq!(at(&issuer, "Expenses:Breakage:P-franchise"), kept);
    assert_eq!(at(&keeper, "Income:Breakage:P-kino"), -kept);
    let paid = has(&house, "pa_harvest", "pa_franchise");
    assert_eq!(at(&issuer, "Expenses:Redemptions:P-franchise"), paid);
    assert_eq!(at(&keeper, "Expenses:Redemptions:P-harvest"), paid);
    assert_eq!(at(&keeper, "Income:Redemptions:P-kino"), -paid);
    assert_eq!(at(&issuer, "Assets:Clearing:P-franchise"), has(&house, ISSUER, "pa_franchise"));
    assert_eq!(at(&all, "Assets:Clearing:P-franchise:P-kino"), held + kept + paid);
}

#[test]
fn a_dearer_minimum_and_less_grace_count_after_the_notice_of_a_cut() {
    const DAY: u64 = 86_400;
    let mut house = House::new(41, false);
    let notice = Some(Notice { change_days: 2, cut_days: 9 });
    let mut set = DefineUnit { notice, ..house.world.brands[0].units[0].clone() };
    let define = |house: &mut House, set: &mut DefineUnit| -> Option<Kept> {
        set.version += 1;
        let cid = house.cid();
        let request = house.world.define_unit(&house.world.brands[0].root, &cid, set);
        house.send(request).expect("defined");
        house.node.state.get(&Name::Unit(set.unit)).and_then(Record::unit).expect("there").kept
    };
    let pay = |house: &mut House, points: u64| {
        house.pay(1, "HARVEST", 0, 20 * points, true).map(drop).map_err(|no| no.code)
    };
    // Before any points were issued it counts at once.
    set.min_spend = Some(points(3));
    assert_eq!(define(&mut house, &mut set), None);
    house.award("HARVEST", 0, 1_000);
    assert_eq!((pay(&mut house, 2), pay(&mut house, 3)), (Err(Refusal::AmountTooSmall), Ok(())));
    let grace = set.grace_days;
    (set.min_spend, set.grace_days) = (Some(points(MAX_INT)), 0);
    let kept = define(&mut house, &mut set).expect("announced");
    let announced = house.now.seconds() + 9 * DAY;
    assert_eq!(kept, Kept { until: announced, min_spend: Some(points(3)), grace_days: grace });
    assert_eq!((pay(&mut house, 2), pay(&mut house, 3)), (Err(Refusal::AmountTooSmall), Ok(())));
    // Neither another setting nor a lesser cut begins it anew; a further one does.
    house.now = house.now.plus_seconds(3 * DAY);
    set.pending_days = 1;
    assert_eq!(define(&mut house, &mut set), Some(kept));
    set.min_spend = Some(points(50));
    assert_eq!(define(&mut house, &mut set), Some(kept));
    set.min_spend = Some(points(60));
    let kept = define(&mut house, &mut set).expect("announced");
    assert_eq!(kept.until, house.now.seconds() + 9 * DAY);
    assert_eq!(pay(&mut house, 3), Ok(()));
    house.now = house.now.plus_seconds(9 * DAY);
    assert_eq!((pay(&mut house, 59), pay(&mut house, 60)), (Err(Refusal::AmountTooSmall), Ok(())));
    // What is better for holders counts at once.
    set.min_spend = Some(points(2));
    assert_eq!(define(&mut house, &mut set), None);
    assert_eq!((pay(&mut house, 1), pay(&mut house, 2)), (Err(Refusal::AmountTooSmall), Ok(())));
    verified(&house);
}
