//! Disputes of taxed lines and of fees: what is taken back takes its tax with it, whatever else happens to the payment.

use super::*;
use crate::common::dispute::about;
use crate::common::house::code;
use tallyhouse::book::{Dispute, DisputeStage, PointsEffect};
use tallyhouse::clearing::{DisputeStep, FileDispute};
use tallyhouse::types::{DisputeId, Refusal};

fn asked(payment: PaymentId, fee: Option<Service>, amount: u64, reason: &str) -> FileDispute {
    let unit = fee.is_none().then(|| id("HARVEST"));
    FileDispute { payment: Some(payment), unit, fee, ..about(amount, reason) }
}

/// Charged back, and nobody answers in time.
fn win(house: &mut House, dispute: DisputeId) {
    house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    lapse(house, dispute);
}

fn lapse(house: &mut House, dispute: DisputeId) {
    house.now = house.now.plus_seconds(30 * DAY + 1);
    house.argue(None, dispute, DisputeStep::Lapse).expect("accepted by silence");
}

fn facts(house: &House, dispute: DisputeId) -> Dispute {
    house.node.state.get(&Name::Dispute(dispute)).and_then(Record::dispute).expect("there").clone()
}

#[test]
fn a_won_dispute_takes_the_tax_back_in_proportion_and_in_full_to_nothing() {
    let free = fee(0, 0, None, true);
    let mut house = charging(31, free, free, 0);
    let tax = Tax { category: TaxCategory::Standard, rate: 70_000 };
    let args =
        PublishTax { participant: id("pa_kino"), version: 1, service: Service::Redemption, from: None, tax };
    let cid = house.cid();
    let request = house.world.command(&house.world.brands[1].root, &cid, "tax.publish", &args);
    house.send(tallyhouse::machine::Request::of(vec![request])).expect("published");
    house.award("HARVEST", 0, 1_000_000);
    house.now = house.now.plus_seconds(3 * DAY);
    let from = house.node.entries.len();
    let payment = house.pay(1, "HARVEST", 0, 60_001, true).expect("paid");
    let key = (Service::Redemption, id::<ParticipantId>("pa_kino"), id::<ParticipantId>("pa_harvest"));
    let booked = |house: &House| lines(house, from).get(&key).copied().unwrap_or_default();
    let within = |gross: u64| i64::try_from(tax.within(money(gross)).expect("fits").get()).expect("fits");
    let gross = owes(&house, "pa_harvest", "pa_kino") as u64;
    assert_eq!(booked(&house), (gross as i64 - within(gross), within(gross)));
    // Thirds of odd amounts: each rounding is of what was taken back in all.
    let mut won = 0;
    for (amount, reason) in [(1_001, "duplicate"), (3, "fraud"), (gross - 1_001 - 3, "not_ours")] {
        let dispute = house.dispute(0, &asked(payment, None, amount, reason)).expect("filed");
        win(&mut house, dispute);
        won += amount;
        assert_eq!(facts(&house, dispute).stage, DisputeStage::Accepted);
        let (net, of_tax) = booked(&house);
        assert_eq!(of_tax, within(gross) - within(won), "after {won}");
        assert_eq!(net + of_tax, (gross - won) as i64);
    }
    assert_eq!((booked(&house), owes(&house, "pa_harvest", "pa_kino")), ((0, 0), 0));
    rows_are_nets(&house);
}

#[test]
fn a_fee_is_disputed_by_whoever_owes_it_and_comes_back_once() {
    let mut house = charging(32, fee(10_000, 7, None, true), fee(3_000, 5, None, false), 190_000);
    house.award("HARVEST", 0, 1_000_000);
    house.now = house.now.plus_seconds(3 * DAY);
    let from = house.node.entries.len();
    let payment = house.pay(1, "HARVEST", 0, 60_000, true).expect("paid");
    let gross = owes(&house, "pa_kino", "pa_op") as u64;
    assert_eq!(gross, 714, "600, and 114 tax");
    let of = |fee: Service, amount, reason| asked(payment, Some(fee), amount, reason);
    let mine = |amount, reason| of(Service::AcceptorFee, amount, reason);
    assert_eq!(code(house.dispute(0, &mine(1, "fraud"))), Refusal::KeyOwner, "kino owes it");
    assert_eq!(code(house.dispute(1, &mine(715, "fraud"))), Refusal::DisputeInvalid);
    let wrong = FileDispute { unit: Some(id("HARVEST")), ..mine(1, "fraud") };
    assert_eq!(code(house.dispute(1, &wrong)), Refusal::TokenPayload);
    let other = of(Service::ExchangeFee, 1, "fraud");
    assert_eq!(code(house.dispute(1, &other)), Refusal::TokenPayload);
    let restore = FileDispute { points: Some(PointsEffect::Restore), ..mine(1, "fraud") };
    assert_eq!(code(house.dispute(1, &restore)), Refusal::DisputeInvalid);
    // Two disputes; the bill is refunded meanwhile: what is charged back does not come back by that.
    let first = house.dispute(1, &mine(500, "not_ours")).expect("filed");
    let second = house.dispute(1, &mine(214, "fraud")).expect("filed");
    for dispute in [first, second] {
        house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    }
    assert_eq!(code(house.dispute(1, &mine(1, "duplicate"))), Refusal::DisputeInvalid, "all of it is");
    assert!(step(&mut house, 1, payment, 60_000, true));
    assert_eq!(owes(&house, "pa_kino", "pa_op"), 714);
    // One is taken back: now the refund counts for it. The other is won.
    house.argue(Some(1), second, DisputeStep::Withdraw).expect("taken back");
    assert_eq!(owes(&house, "pa_kino", "pa_op"), 500);
    lapse(&mut house, first);
    assert_eq!(owes(&house, "pa_kino", "pa_op"), 0);
    let key = (Service::AcceptorFee, id::<ParticipantId>("pa_op"), id::<ParticipantId>("pa_kino"));
    assert_eq!(lines(&house, from)[&key], (0, 0), "net and tax, too");
    // The issuer's fee is not refunded; it is disputed like any other.
    let of_issuer = owes(&house, "pa_harvest", "pa_op") as u64;
    assert_eq!(of_issuer, 214);
    let third = house.dispute(0, &of(Service::IssuerFee, of_issuer, "not_ours")).expect("filed");
    win(&mut house, third);
    assert_eq!(owes(&house, "pa_harvest", "pa_op"), 0);
    rows_are_nets(&house);
}

#[test]
fn captures_refunds_and_disputes_of_a_fee_in_any_order() {
    for seed in 0..24 {
        let mut rng = Rng::new(seed);
        let asks = fee(1 + rng.below(30_000) as u32, rng.below(40), None, true);
        let rate = [0, 70_000, 190_000][rng.below(3) as usize];
        let mut house = charging(400 + seed, asks, fee(0, 0, None, true), rate);
        house.award("HARVEST", 0, 1_000_000);
        house.now = house.now.plus_seconds(3 * DAY);
        let (from, x) = (house.node.entries.len(), 30_000 + rng.below(30_000));
        let payment = house.pay(1, "HARVEST", 0, x, true).expect("paid");
        let (mut refunded, mut charged, mut won, mut filed) = (0, 0, 0, 0);
        let mut open: Vec<(DisputeId, u64)> = vec![];
        for _ in 0..8 {
            match rng.below(4) {
                0 => {
                    let amount = 1 + rng.below(x - refunded);
                    if step(&mut house, 1, payment, amount, true) {
                        refunded += amount;
                    }
                }
                1 => {
                    let reason = ["duplicate", "fraud", "not_ours"][filed % 3];
                    let args = asked(payment, Some(Service::AcceptorFee), 1 + rng.below(300), reason);
                    if let Ok(dispute) = house.dispute(1, &args) {
                        filed += 1;
                        house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
                        charged += args.amount.get();
                        open.push((dispute, args.amount.get()));
                    }
                }
                2 => {
                    if let Some((dispute, amount)) = open.pop() {
                        house.argue(Some(1), dispute, DisputeStep::Withdraw).expect("taken back");
                        charged -= amount;
                    }
                }
                _ => {
                    if let Some((dispute, amount)) = open.pop() {
                        lapse(&mut house, dispute);
                        won += amount;
                    }
                }
            }
            let stands = gross_at(&asks, rate, x, x, refunded).max(charged as i64);
            assert_eq!(owes(&house, "pa_kino", "pa_op"), stands - won as i64, "seed {seed}");
            let key = (Service::AcceptorFee, id::<ParticipantId>("pa_op"), id::<ParticipantId>("pa_kino"));
            let (net, tax) = lines(&house, from).get(&key).copied().unwrap_or_default();
            assert_eq!(net + tax, stands - won as i64);
            assert!(net >= 0 && tax >= 0, "seed {seed}: {net}, {tax}");
            rows_are_nets(&house);
            if refunded == x {
                break;
            }
        }
    }
}
