//! A unit whose reserve is filled when points are issued, what is done with its points, and a model that follows the reserve.
//!
//! Owns: the movements, each as a shop, an issuer or the house asks for it; the counting.
//! Promises: what the model counts comes out of accounts and prices, never out of the reserve.
//! Refuses to know: what is asked of it.

use super::common::dispute::over;
use super::common::house::{House, eur};
use super::common::node::{How, PureNode, Replay, State, replay_by_applying, replay_by_checking};
use super::common::world::{Brand, Till, World, beginning, id, rate};
use std::collections::BTreeMap;
use tallyhouse::book::{BreakageTo, Name, PROVISIONAL, PointsEffect, Record, Service, Shared};
use tallyhouse::clearing::{DisputeStep, FileDispute};
use tallyhouse::log::{Envelope, open};
use tallyhouse::machine::PartBody;
use tallyhouse::points::Verdict;
use tallyhouse::prices::PublishPrices;
use tallyhouse::types::{ParticipantId, PaymentId, Refused, UnitCode, decode, encode};

/// Of br_kino: points live three days, through the end of the month.
pub const UNIT: &str = "KINOPLUS";
pub const ISSUER: &str = "pa_kino";

pub fn unit() -> UnitCode {
    id(UNIT)
}

pub fn total(state: &State, name: &Name) -> i64 {
    state.get(name).and_then(Record::total).copied().unwrap_or(0)
}

/// What accounts of a unit hold together, account by account.
pub fn on_accounts(state: &State, unit: UnitCode) -> u64 {
    let of = |record: &Record| match record {
        Record::Account(account) if account.head.unit == unit => account.total().get(),
        _ => 0,
    };
    state.0.values().map(|record| of(record)).sum()
}

pub fn need(points: u64, price: u64, ratio: u32) -> u64 {
    (u128::from(points) * u128::from(price) * u128::from(ratio)).div_ceil(1_000_000) as u64
}

/// What one has from another, in all cycles.
pub fn has(house: &House, a: &str, b: &str) -> i64 {
    let of = |name: &Name| match name {
        Name::Pair(cycle, ..) if *cycle == PROVISIONAL => 0,
        Name::Pair(_, x, y, _) if x.as_str() == a && y.as_str() == b => 1,
        Name::Pair(_, x, y, _) if x.as_str() == b && y.as_str() == a => -1,
        _ => 0,
    };
    house.node.state.0.keys().map(|name| of(name) * total(&house.node.state, name)).sum()
}

pub fn nets(house: &House) -> BTreeMap<ParticipantId, i64> {
    let mut nets = BTreeMap::new();
    for name in house.node.state.0.keys() {
        if let Name::Net(cycle, who, _) = name
            && *cycle != PROVISIONAL
        {
            *nets.entry(who.clone()).or_insert(0) += total(&house.node.state, name);
        }
    }
    nets.retain(|_, net| *net != 0);
    nets
}

pub fn reserve(state: &State, unit: UnitCode) -> Option<tallyhouse::book::Reserve> {
    state.get(&Name::Reserve(unit)).and_then(Record::reserve).cloned()
}

/// A reserve that is followed entry by entry.
pub struct Watch {
    pub replay: Replay,
    pub unit: UnitCode,
    pub ratio: u32,
    pub to: BreakageTo,
    /// From when on which settle price is the highest.
    pub prices: Vec<(u64, u64)>,
    pub kept: u64,
}

impl Watch {
    pub fn new(house: &House, unit: UnitCode, ratio: u32, to: BreakageTo) -> Self {
        let mut replay = Replay::new(How::Apply);
        replay.follow(&house.node.entries).expect("our own entries");
        Self { replay, unit, ratio, to, prices: vec![(0, 19)], kept: 0 }
    }

    pub fn shared(&self) -> [i64; 7] {
        Shared::ALL.map(|place| total(&self.replay.state, &Name::Shared(self.unit, place)))
    }

    pub fn price(&self, at: u64) -> u64 {
        self.prices.iter().rev().find(|(from, _)| *from <= at).expect("a price").1
    }

    /// Each new entry leaves the reserve at what the points need that are outstanding after it.
    pub fn follow(&mut self, house: &House) {
        while (self.replay.next_seq() as usize) < house.node.entries.len() {
            let entry = &house.node.entries[self.replay.next_seq() as usize];
            let (before, held) = (self.shared(), reserve(&self.replay.state, self.unit).expect("set").held);
            self.replay.take(&entry.envelope, &entry.parts).expect("our own entry");
            let after = self.shared();
            let outstanding = on_accounts(&self.replay.state, self.unit);
            assert_eq!(after.iter().sum::<i64>(), -(outstanding as i64));
            let now = reserve(&self.replay.state, self.unit).expect("set").held;
            let envelope = Envelope::decode(&entry.envelope).expect("our own envelope");
            if before == after {
                // Where the issuer is asked, the price of the moment counts for all.
                let asked = ["payment.authorised", "offer.made"].contains(&envelope.kind.as_str());
                assert!(now == held || asked, "{}", envelope.kind);
                if now == held {
                    continue;
                }
            }
            let at = envelope.at.seconds();
            let price = self.price(at);
            assert_eq!(now.get(), need(outstanding, price, self.ratio), "{outstanding} at {price}");
            // Expired, clawed back, forfeited.
            let ended = (4..7).map(|n| after[n] - before[n]).sum::<i64>() as u64;
            if self.to != BreakageTo::Issuer {
                self.kept += need(outstanding + ended, price, self.ratio) - now.get();
            }
        }
    }
}

/// What lines of breakage come to.
pub fn breakage(house: &House) -> u64 {
    let mut sum = 0;
    for part in house.node.entries.iter().flat_map(|entry| &entry.parts) {
        let body: PartBody = decode(&open(part).expect("a part").1).expect("a body");
        sum += body.supply.filter(|line| line.service == Service::Breakage).map_or(0, |line| line.gross);
    }
    sum as u64
}

/// What shops of a participant are owed for payments with the unit, by what was captured, refunded and charged back.
pub fn owed_for_payments(house: &House, shop: &str) -> i64 {
    let mut sum = 0;
    for record in house.node.state.0.values() {
        let Record::Payment(payment) = &**record else { continue };
        for share in payment.shares.iter().filter(|share| share.unit == unit()) {
            if payment.participant.as_str() == shop {
                let n = u128::from(payment.captured.get() - payment.refunded.get());
                let full = u128::from(share.obligation.get());
                sum += (full * n / u128::from(payment.amount.get())) as i64;
                sum -= share.charged.get() as i64;
            }
        }
    }
    sum
}

pub fn verified(house: &House) {
    assert_eq!(replay_by_applying(&house.node.entries).bytes(), house.node.state.bytes());
    let signed = house.world.signing;
    assert_eq!(replay_by_checking(&house.node.entries, signed).0.bytes(), house.node.state.bytes());
    let mut erased = Replay::new(How::Erased);
    erased.follow(&house.node.entries).unwrap_or_else(|e| panic!("{e}"));
    erased.same(&house.node.state).expect("the same without evidence");
}

pub fn batch(house: &mut House, amounts: &[u64]) -> Vec<Verdict> {
    let (cid, now) = (house.cid(), house.now);
    let (brand, at) = house.world.brand_of(unit());
    let line = |(n, amount): (usize, &u64)| {
        let sub = house.world.holder(unit(), n % 3).account;
        encode(&house.world.token(brand, unit(), &cid, sub, *amount, now).award())
    };
    let lines: Vec<Vec<u8>> = amounts.iter().enumerate().map(line).collect();
    let claims = house.world.batch(brand, unit(), &cid, &lines, true, now);
    let request = house.world.issue_batch(&brand.issuing[at], &claims, &lines);
    let answer = house.send(request).expect("taken in");
    let mut verdicts = vec![Verdict::Ok; amounts.len()];
    for other in answer.others {
        verdicts[other.line as usize - 1] = other.verdict;
    }
    verdicts
}

pub fn award(house: &mut House, n: usize, amount: u64) -> Result<(), Refused> {
    let (cid, now) = (house.cid(), house.now);
    let (brand, at) = house.world.brand_of(unit());
    let token = house.world.token(brand, unit(), &cid, house.world.holder(unit(), n).account, amount, now);
    let request = house.world.issue(&brand.issuing[at], &token);
    house.send(request).map(drop)
}

pub fn till(house: &House, shop: usize) -> &Till {
    let brand: &Brand = &house.world.brands[shop];
    &brand.tills[0]
}

pub fn capture(
    house: &mut House,
    shop: usize,
    payment: PaymentId,
    amount: u64,
    last: bool,
) -> Result<(), Refused> {
    let cid = house.cid();
    let request = house.world.capture(&till(house, shop).key, &cid, payment, amount, last);
    house.send(request).map(drop)
}

pub fn void(house: &mut House, shop: usize, payment: PaymentId) -> Result<(), Refused> {
    let cid = house.cid();
    let request = house.world.void(&till(house, shop).key, &cid, payment);
    house.send(request).map(drop)
}

pub fn refund(house: &mut House, shop: usize, payment: PaymentId, amount: u64) -> Result<(), Refused> {
    let cid = house.cid();
    let request = house.world.refund(&till(house, shop).key, &cid, payment, amount);
    house.send(request).map(drop)
}

/// What was captured of a payment and not refunded.
pub fn left(house: &House, payment: PaymentId) -> u64 {
    let record = house.node.state.get(&Name::Payment(payment)).and_then(Record::payment);
    record.map_or(0, |payment| payment.captured.get() - payment.refunded.get())
}

/// The issuer disputes some of a payment in this brand's shop; the shop accepts, and its points may come back.
pub fn disputed(
    house: &mut House,
    shop: usize,
    payment: PaymentId,
    amount: u64,
    back: bool,
) -> Result<(), Refused> {
    let points = Some(if back { PointsEffect::Restore } else { PointsEffect::None });
    // Each reason counts once.
    let file = |house: &mut House, reason| {
        house.dispute(1, &FileDispute { points, ..over(payment, UNIT, amount, reason) })
    };
    let mut filed = file(house, "fraud");
    for reason in ["goods_not_received", "duplicate"] {
        filed = filed.or_else(|_| file(house, reason));
    }
    let dispute = filed?;
    house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    house.argue(Some(shop), dispute, DisputeStep::Accept).expect("accepted");
    Ok(())
}

/// Another settle price from the next second on.
pub fn reprice(house: &mut House, version: u64, settle: u64) -> u64 {
    let from = house.now.seconds() + 2;
    let prices = house.world.prices(unit(), version, eur(), from);
    let args = PublishPrices { settle: rate(settle, 1), issue: rate(settle + 2, 1), ..prices };
    house.agreed_by_brand(1, "prices.publish", &args).expect("published");
    house.now = house.now.plus_seconds(2);
    from
}

/// A house with holders of the unit and nothing outstanding.
pub fn scene(seed: u64) -> House {
    scene_of(seed, "pa_franchise")
}

/// The same in a network in which this is the operator's participant.
pub fn scene_of(seed: u64, operator: &str) -> House {
    let world = World { operator: id(operator), ..World::unsigned(seed) };
    let node = PureNode::founded(&world);
    let mut house = House::adopt(world, node, beginning().plus_seconds(60));
    for request in house.world.approving() {
        house.send(request).expect("certified");
    }
    for n in 0..3 {
        let (cid, holder) = (house.cid(), house.world.holder(unit(), n));
        let request = house.world.open_account(&cid, unit(), &holder);
        house.send(request).expect("opened");
    }
    house
}
