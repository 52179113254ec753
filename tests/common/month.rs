//! A month in the clearing house: each kind of entry and each sort of record, with as much in it as can be.
//!
//! Owns: the story.
//! Promises: the same bytes every time; the first month ends with every cycle but the open one settled or voided.
//! Refuses to know: what is checked with it.

use super::dispute::{about, over, step as bare};
use super::funds::caller;
use super::house::{House, code, cover, eur, step};
use super::node::award_text;
use super::world::{Key, id, money, points};
use tallyhouse::book::{
    Answered, Booking, BreakageTo, DayOfMonth, DayOfWeek, Every, ExchangeFee, Fee, Instruction, LosingFees,
    Name, NettingMode, PointsEffect, Record, Service, StatementLine, Tax, TaxCategory, Way,
};
use tallyhouse::clearing::{
    AssignLine, CallMargin, ClaimDue, ClosePeriod, ComplaintStep, ConfirmDetails, ConfirmDue, DisputeStep,
    FileComplaint, FileDispute, FileObjection, InstructionStep, LinePlace, Move, MoveComplaint, MoveCover,
    MoveCycle, MoveDispute, MoveInstruction, OperatorLine, PairCap, RejectStatement, SetDetails, SetFunding,
    SetNetting, SetSchedule, Stage, WithdrawalPlace,
};
use tallyhouse::machine::Request;
use tallyhouse::network::SetTier;
use tallyhouse::payments::{AgreeExchange, MakeOffer, WantedExchange, WantedPayment, WantedShare};
use tallyhouse::points::ClawBack;
use tallyhouse::prices::{PublishFees, PublishTax};
use tallyhouse::types::{AwardId, ComplaintId, ExchangeId, Hash, InstructionId, PaymentId, Refusal, encode};

/// Plays it on a network in which participants owe each other.
pub fn play(house: &mut House) {
    funded(house);
    let payment = traded(house);
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    house.review(cycle);
    let objection = FileObjection {
        cycle,
        debtor: id("pa_harvest"),
        creditor: id("pa_kino"),
        currency: eur(),
        amount: money(9_000),
        payment: Some(payment),
        reason: id("not_ours"),
    };
    let filed = house.object(0, &objection).expect("filed");
    house.answer(filed, Answered::Accepted).expect("answered");
    house.compute(cycle).expect("computed");
    house.review(cycle);
    let filed = house.object(0, &FileObjection { payment: None, amount: money(100), ..objection });
    house.answer(filed.expect("filed"), Answered::Rejected).expect("answered");
    let returned = MoveCycle { reason: Some(id("look-again")), ..step(cycle, Move::Return) };
    house.ask("cycle.move", &returned).expect("returned");
    house.approve(cycle);
    house.pay_in(cycle);
    paid(house, cycle);
    disputed(house, payment);
    complained(house);
    void(house);
    banked(house);
    apart(house);
    scheduled(house);
    for month in ["2025-11", "2025-12"] {
        house.agreed("period.close", &ClosePeriod { month: id(month), seq: 40 }).expect("closed");
    }
}

/// The schedule seals a cycle, which is given up; then there is none any more.
fn scheduled(house: &mut House) {
    let schedule =
        |version, every| SetSchedule { version, every, hour: 6, grace_minutes: 30, tolerance: vec![] };
    house.agreed("schedule.set", &schedule(2, Some(Every::Month(DayOfMonth { day: 1 })))).expect("set");
    house.agreed("schedule.set", &schedule(3, Some(Every::Week(DayOfWeek { day: 5 })))).expect("set");
    let cycle = house.open();
    house.now = house.now.plus_seconds(9 * 86_400);
    house.node.tick(house.now);
    assert_eq!(house.stage(cycle), Stage::Sealed);
    let args = MoveCycle { reason: Some(id("rehearsal")), ..step(cycle, Move::Void) };
    house.agreed("cycle.move", &args).expect("voided");
    house.agreed("schedule.set", &schedule(4, None)).expect("set");
}

/// The open cycle is sealed and given up.
fn void(house: &mut House) {
    let void = house.seal();
    let args = MoveCycle { reason: Some(id("wrong-rates")), ..step(void, Move::Void) };
    house.agreed("cycle.move", &args).expect("voided");
    backed(house);
}

/// What stands behind points and behind debts is set, topped up and taken back.
fn backed(house: &mut House) {
    house.reserve("HARVEST", 1_000_000).expect("set");
    house.top_up("pa_harvest", Some("HARVEST"), 40_000_000).expect("topped up");
    house.withdraw("pa_harvest", Some("HARVEST"), 1).expect("withdrawn");
    house.top_up("pa_harvest", None, 500).expect("topped up");
    let entry = house.withdraw("pa_harvest", None, 300).expect("withdrawn").seq;
    let left = AssignLine::bare(eur(), stray_line(house, Way::Out, 300));
    let withdrawal = Some(WithdrawalPlace { participant: id("pa_harvest"), entry });
    house.agreed("line.assign", &AssignLine { withdrawal, ..left }).expect("it left");
    let funding = SetFunding { in_flight: true, per_shop: Some(money(9_000_000)), ..harvest() };
    house.set_funding(&funding).expect("set");
    house.pay(1, "HARVEST", 7, 5_000, false).expect("held");
    house.offer_firm(1, "HARVEST", 2_000).expect("offered");
    let offered = house.offer_firm(1, "HARVEST", 3_000).expect("offered");
    let cid = house.cid();
    let till = &house.world.brands[1].tills[0].key;
    let request = house.world.cancel_offer(till, &cid, offered.offer);
    house.send(request).expect("cancelled");
    // A participant whose limit is what it owes, until a refund: then it is called upon.
    let paid = house.pay(2, "HARVEST", 7, 40_000, true).expect("paid");
    let has = house.nets(house.open()).get(&id("pa_polar")).copied().unwrap_or(0);
    house.fund("pa_polar", Some((-has).max(0).unsigned_abs()), 0).expect("set");
    let cid = house.cid();
    let till = &house.world.brands[2].tills[0].key;
    let request = house.world.refund(till, &cid, paid, 40_000);
    house.send(request).expect("never refused");
    let until = house.now.seconds() + 5 * 86_400;
    let args = CallMargin { participant: id("pa_polar"), currency: eur(), until };
    house.ask("margin.call", &args).expect("called upon");
    filled(house);
}

/// A reserve that is filled when points are issued; some are spent, some come back, the rest will end unspent.
fn filled(house: &mut House) {
    house.fill_at_issuance("KINOPLUS", 1_000_000, BreakageTo::Fund).expect("set");
    let cid = house.cid();
    let (brand, at) = house.world.brand_of(id("KINOPLUS"));
    let sub = house.world.holder(id("KINOPLUS"), 7).account;
    let mut token = house.world.token(brand, id("KINOPLUS"), &cid, sub, 40, house.now);
    token.until = Some(house.now.date(0).plus_days(2));
    let request = house.world.issue(&brand.issuing[at], &token);
    house.send(request).expect("awarded");
    house.award("KINOPLUS", 7, 900);
    house.offer_firm(0, "KINOPLUS", 100).expect("offered");
    let paid = house.pay(0, "KINOPLUS", 7, 600, true).expect("paid");
    let cid = house.cid();
    let request = house.world.refund(&house.world.brands[0].tills[0].key, &cid, paid, 200);
    house.send(request).expect("refunded");
    sponsored(house);
}

/// Awards of one brand's points that another pays for, with tax, in a token and in a batch; it disputes the first.
fn sponsored(house: &mut House) {
    let key = Key::derive(house.world.seed, "sponsor");
    house.sponsor(1, "HARVEST", &key, &[1]).expect("granted");
    let tax = Tax { category: TaxCategory::Standard, rate: 190_000 };
    let args =
        PublishTax { participant: id("pa_harvest"), version: 1, service: Service::Award, from: None, tax };
    let cid = house.cid();
    let request = house.world.command(&house.world.brands[0].root, &cid, "tax.publish", &args);
    house.send(Request::of(vec![request])).expect("published");
    let sub = house.award("HARVEST", 7, 1).account;
    let (cid, now) = (house.cid(), house.now);
    let token = house.world.token(&house.world.brands[1], id("HARVEST"), &cid, sub, 300, now);
    let given = house.send(house.world.issue(&key, &token)).expect("awarded").seq;
    let cid = house.cid();
    let lines = vec![encode(&token.award())];
    let claims = house.world.batch(&house.world.brands[1], id("HARVEST"), &cid, &lines, true, now);
    house.send(house.world.issue_batch(&key, &claims, &lines)).expect("awarded");
    let args = FileDispute { award: Some(AwardId { seq: given, part: 0 }), ..about(40, "duplicate") };
    let dispute = house.dispute(1, &args).expect("filed");
    house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
    house.argue(Some(0), dispute, DisputeStep::Accept).expect("accepted");
    // Some of them are taken back, and one of an award that said its last day.
    let (text, month) = (award_text(&house.node.entries[given as usize], None), house.now.date(60).month());
    let back =
        |award, month, most| ClawBack { award, till: None, month, points: most, reason: id("returned") };
    house.by(&key, "points.claw_back", &back(text, Some(month), Some(points(20)))).expect("taken back");
    let (cid, now) = (house.cid(), house.now);
    let mut token = house.world.token(&house.world.brands[0], id("HARVEST"), &cid, sub, 9, now);
    (token.business_date, token.until) = (Some(now.date(60)), Some(now.date(60).plus_days(300)));
    let key = Key::derive(house.world.seed, "br_harvest issuing 0");
    let given = house.send(house.world.issue(&key, &token)).expect("awarded").seq;
    let text = award_text(&house.node.entries[given as usize], None);
    house.by(&key, "points.claw_back", &back(text, None, None)).expect("taken back");
}

/// Bank details: set twice, set by the house for who has no brand; and a cycle whose instructions they are pinned in.
fn banked(house: &mut House) {
    for request in house.world.approving().into_iter().skip(4).take(2) {
        house.send(request).expect("certified");
    }
    let next = |house: &House, who: &str| {
        let head = house.node.state.get(&Name::Details(id(who), eur())).and_then(Record::details);
        head.map_or(0, |head| head.newest) + 1
    };
    for account in [&b"an account"[..], b"another one"] {
        let version = next(house, "pa_polar");
        house.details(2, version, Hash::blake3(account));
    }
    let args = SetDetails {
        participant: id("pa_franchise"),
        currency: eur(),
        version: next(house, "pa_franchise"),
        commitment: Hash::blake3(b"a franchisee's"),
        settlement: false,
    };
    house.agreed("details.set", &args).expect("set");
    // It is the operator's: the house's own account stands apart, and another analyst confirms it.
    let args = SetDetails { version: 1, commitment: Hash::blake3(b"the house's"), settlement: true, ..args };
    house.agreed("details.set", &args).expect("set");
    let SetDetails { participant, currency, version, settlement, .. } = args;
    let args = ConfirmDetails { participant, currency, version, settlement };
    assert_eq!(code(house.ask("details.confirm", &args)), Refusal::PeopleMissing);
    let cid = house.cid();
    let request = house.world.command(&caller(&house.world), &cid, "details.confirm", &args);
    house.send(Request::of(vec![request])).expect("confirmed");
    let cycle = house.seal();
    house.compute(cycle).expect("computed");
    let args = MoveCycle { reason: Some(id("not-now")), ..step(cycle, Move::Void) };
    house.agreed("cycle.move", &args).expect("voided");
}

/// Two do not accept the clearing house as their counterparty: what they owe and are owed leaves a cycle, some of it is paid.
fn apart(house: &mut House) {
    // Nobody changes sides while it is over its limit.
    house.fund("pa_polar", None, 0).expect("set");
    let mode = |who: &str, mode| SetNetting { participant: id(who), version: 1, mode };
    house.agreed_by_brand(2, "netting.set", &mode("pa_polar", NettingMode::SetOff)).expect("declared");
    house.agreed("netting.set", &mode("pa_franchise", NettingMode::SetOff)).expect("declared");
    let void = |house: &mut House, cycle| {
        let args = MoveCycle { reason: Some(id("not-now")), ..step(cycle, Move::Void) };
        house.agreed("cycle.move", &args).expect("voided");
    };
    // It counts from the next cycle on.
    let before = house.seal();
    void(house, before);
    house.pay(2, "HARVEST", 7, 100_050, true).expect("paid");
    let cycle = house.seal();
    assert_eq!(code(house.compute(cycle)), Refusal::CycleOpenWork, "it is set off first");
    house.set_off(cycle).expect("set off");
    house.compute(cycle).expect("computed");
    void(house, cycle);
    let due = house.node.state.get(&Name::Due(id("pa_harvest"), id("pa_polar"), eur())).cloned();
    let due = due.as_ref().and_then(Record::due_between).expect("something is due").clone();
    assert_eq!(due.debtor, id("pa_harvest"));
    let half = money(due.amount.get() / 200 * 100);
    for reference in ["order-1", "order-2"] {
        let args = ClaimDue {
            debtor: due.debtor.clone(),
            creditor: id("pa_polar"),
            currency: eur(),
            amount: half,
            reference: id(reference),
        };
        house.by_root(0, "due.claim", &args).expect("claimed");
    }
    let args = ConfirmDue {
        debtor: due.debtor,
        creditor: id("pa_polar"),
        currency: eur(),
        amount: half,
        reference: id("order-1"),
    };
    house.by_root(2, "due.confirm", &args).expect("confirmed");
}

/// Fees are published, and tax; a payment and an exchange with both, each first offered.
pub fn charge(house: &mut House) -> (PaymentId, ExchangeId) {
    let cid = house.cid();
    let request = house.world.register_participant(&cid, &id("pa_op"), eur());
    house.send(request).expect("registered");
    let from = house.now.seconds() + 31 * 86_400;
    let fee = |ppm, refundable| Fee { ppm, min: money(10), max: Some(money(90_000)), refundable };
    let line = |tier: Option<&str>, ppm| ExchangeFee {
        unit: Some(id("HARVEST")),
        tier: tier.map(id),
        ppm,
        min: points(2),
        max: Some(points(50)),
    };
    let fees = PublishFees {
        version: 1,
        currency: eur(),
        from,
        until: Some(from + 90 * 86_400),
        supplier: id("pa_op"),
        acceptor: fee(4_000, true),
        issuer: fee(2_900, false),
        exchange: Some(vec![line(None, 10_000), line(Some("gold"), 5_000)]),
        tax: Tax { category: TaxCategory::Standard, rate: 190_000 },
        dispute: Some(LosingFees { network: money(2_000), winner: money(700) }),
        reason: Some(id("first-fees")),
    };
    house.agreed("fees.publish", &fees).expect("published");
    for (version, service) in [(1, Service::Redemption), (2, Service::Exchange)] {
        let tax = Tax { category: TaxCategory::Standard, rate: 70_000 };
        let args = PublishTax { participant: id("pa_kino"), version, service, from: Some(from), tax };
        let cid = house.cid();
        let request = house.world.command(&house.world.brands[1].root, &cid, "tax.publish", &args);
        house.send(Request::of(vec![request])).expect("published");
    }
    house.now = house.now.plus_seconds(32 * 86_400);
    let (harvest, kino) = (house.award("HARVEST", 7, 100_000), house.award("KINO", 7, 1));
    let tier = SetTier { account: harvest.account, tier: Some(id("gold")) };
    house.by_brand(0, "account.set_tier", &tier).expect("set");
    let payment = house.pay(1, "HARVEST", 7, 60_000, false).expect("held");
    for (amount, back) in [(20_001, false), (10_000, true)] {
        let (cid, till) = (house.cid(), &house.world.brands[1].tills[0].key);
        let request = match back {
            true => house.world.refund(till, &cid, payment, amount),
            false => house.world.capture(till, &cid, payment, amount, false),
        };
        house.send(request).expect("moved");
    }
    let bill = WantedPayment {
        amount: money(5_000),
        currency: eur(),
        deadline: house.now.seconds() + 3_600,
        reference: None,
        capture: true,
        shares: vec![WantedShare { unit: id("HARVEST"), amount: money(5_000) }],
    };
    let (cid, till) = (house.cid(), &house.world.brands[1].tills[0].key);
    let bill =
        house.world.make_offer(till, &cid, &MakeOffer { firm: false, exchange: None, payment: Some(bill) });
    house.send(bill).expect("offered");
    let wanted =
        WantedExchange { to: id("KINO"), currency: eur(), source: Some(points(9_000)), target: None };
    let cid = house.cid();
    let offer = MakeOffer { firm: false, exchange: Some(wanted), payment: None };
    let offer = house.world.make_offer(&harvest.key, &cid, &offer);
    let offer = house.send(offer).expect("offered").offer.expect("an offer");
    let (cid, args) = (house.cid(), AgreeExchange { offer: offer.offer, hash: offer.hash });
    let request = house.world.agree_exchange(&harvest.key, &kino.key, &cid, &args);
    (payment, house.send(request).expect("exchanged").exchange.expect("an exchange"))
}

/// Disputes that take back some of what was charged: of a taxed share, of both fees of a payment, of an exchange and its
/// fee.
pub fn contest(house: &mut House, (payment, exchange): (PaymentId, ExchangeId)) {
    let dispute = over(payment, "HARVEST", 10, "not_ours");
    let of_fee = |fee| FileDispute { unit: None, fee: Some(fee), ..dispute.clone() };
    let of_exchange =
        |fee| FileDispute { payment: None, unit: None, exchange: Some(exchange), fee, ..dispute.clone() };
    let all = [
        (0, dispute.clone()),
        (1, of_fee(Service::AcceptorFee)),
        (0, of_fee(Service::IssuerFee)),
        (0, of_exchange(None)),
        (0, of_exchange(Some(Service::ExchangeFee))),
    ];
    let filed: Vec<_> = all.iter().map(|(by, args)| house.dispute(*by, args).expect("filed")).collect();
    for step in [DisputeStep::ChargeBack, DisputeStep::Lapse] {
        for dispute in &filed {
            house.argue(None, *dispute, step).expect("taken back");
        }
        house.now = house.now.plus_seconds(31 * 86_400);
    }
}

/// A dispute that ends for its filer, whose points come back; one that ends for its target and costs; one that goes on.
fn disputed(house: &mut House, payment: PaymentId) {
    let evidence = vec![Hash::sha256(b"a letter")];
    let filed = |house: &mut House, reason, points| {
        let args =
            FileDispute { points, evidence: evidence.clone(), ..over(payment, "HARVEST", 500, reason) };
        house.dispute(0, &args).expect("filed")
    };
    let first = filed(house, "wrong_amount", None);
    house.argue(None, first, DisputeStep::ChargeBack).expect("charged back");
    house.argue(Some(1), first, DisputeStep::Accept).expect("accepted");
    let second = filed(house, "duplicate", Some(PointsEffect::None));
    house.set_funding(&super::house::funding("pa_kino", None)).expect("set");
    house.argue(None, second, DisputeStep::ChargeBack).expect("charged back");
    let represented = MoveDispute { evidence: evidence.clone(), ..bare(second, DisputeStep::Represent) };
    house.by_brand(1, "dispute.move", &represented).expect("represented");
    house.argue(None, second, DisputeStep::Review).expect("reviewed");
    house.argue(Some(0), second, DisputeStep::Escalate).expect("goes on");
    house.argue(Some(0), second, DisputeStep::Escalate).expect("goes on");
    house.argue(None, second, DisputeStep::RuleForTarget).expect("ruled");
    let third = filed(house, "goods_not_received", None);
    house.argue(None, third, DisputeStep::ChargeBack).expect("charged back");
    exchange_disputed(house);
}

/// A dispute about the exchange that was made before.
fn exchange_disputed(house: &mut House) {
    let made = house.node.state.0.iter().find_map(|(name, record)| match (name, &**record) {
        (Name::Exchange(id), Record::Exchange(one)) => Some((*id, one.terms.debtor.clone())),
        _ => None,
    });
    let (exchange, debtor) = made.expect("an exchange");
    assert_eq!(debtor, id("pa_harvest"));
    let args = FileDispute { exchange: Some(exchange), ..about(10, "not_ours") };
    house.dispute(0, &args).expect("filed");
}

/// A complaint that is appealed.
fn complained(house: &mut House) {
    let holder = house.world.holder(id("HARVEST"), 7);
    let args = FileComplaint {
        account: holder.account,
        reason: id("missing_points"),
        payment: None,
        evidence: vec![Hash::sha256(b"a receipt")],
    };
    let seq = house.by(&holder.key, "complaint.file", &args).expect("filed").seq;
    let complaint = ComplaintId { seq, part: 0 };
    let step = |step| MoveComplaint { complaint, step, evidence: vec![] };
    house.by_brand(0, "complaint.move", &step(ComplaintStep::Reject)).expect("rejected");
    house.by(&holder.key, "complaint.move", &step(ComplaintStep::Appeal)).expect("appealed");
    house.ask("complaint.move", &step(ComplaintStep::Uphold)).expect("upheld");
}

fn funded(house: &mut House) {
    let bare = SetFunding { covered: false, ..harvest() };
    house.set_funding(&bare).expect("set");
    house.top_up("pa_harvest", None, 80_000_000).expect("topped up");
    let line = Some(LinePlace { statement: house.deposit(1_000), line: 0 });
    let share = MoveCover { fund: true, line, ..cover("pa_harvest", None, Way::In, 1_000) };
    house.agreed("cover.move", &share).expect("topped up");
    house.set_funding(&harvest()).expect("set");
}

/// All that stands behind HARVEST's participant.
fn harvest() -> SetFunding {
    let pairs = vec![PairCap { creditor: id("pa_kino"), most: money(90_000_000) }];
    SetFunding {
        participant: id("pa_harvest"),
        currency: eur(),
        version: 0,
        cap: Some(money(100_000_000)),
        pairs,
        in_flight: false,
        per_shop: None,
        covered: true,
    }
}

/// Payments of which headroom is reserved; the one that is captured.
fn traded(house: &mut House) -> PaymentId {
    house.award("HARVEST", 7, 100_000);
    house.award("POLAR", 7, 100_000);
    let payment = house.pay(1, "HARVEST", 7, 60_000, false).expect("held");
    let cid = house.cid();
    let request = house.world.capture(&house.world.brands[1].tills[0].key, &cid, payment, 50_000, false);
    house.send(request).expect("captured");
    let cid = house.cid();
    let request = house.world.void(&house.world.brands[1].tills[0].key, &cid, payment);
    house.send(request).expect("voided");
    // Still held when the month is over.
    house.pay(1, "HARVEST", 7, 5_000, false).expect("held");
    house.pay(0, "POLAR", 7, 30_000, true).expect("paid");
    payment
}

/// A line of an accepted statement that names nothing.
fn stray_line(house: &mut House, way: Way, amount: u64) -> LinePlace {
    let (entry, booking) = (id(&house.cid()), Booking::Booked);
    house.statement(vec![StatementLine {
        entry,
        booking,
        way,
        amount: money(amount),
        instruction: None,
        pays: None,
    }]);
    let bank = house.node.state.get(&Name::Bank(eur())).and_then(Record::bank).expect("an account");
    LinePlace { statement: bank.statement.clone(), line: 0 }
}

/// Pay-ins with what can happen to them, a shortfall, pay-outs.
fn paid(house: &mut House, cycle: u64) {
    let due: Vec<_> =
        house.instructions(cycle).into_iter().filter(|(_, (_, one))| one.way == Way::In).collect();
    assert!(due.len() >= 2, "two pay: {due:?}");
    let (first, amount) = (due[0].1.0, due[0].1.1.amount.get());
    let acknowledged = MoveInstruction::bare(first, InstructionStep::Acknowledge);
    house.ask("instruction.move", &acknowledged).expect("acknowledged");
    let rejected = MoveInstruction { step: InstructionStep::Reject, ..acknowledged };
    house.agreed("instruction.move", &rejected).expect("rejected");
    house.instruct(first, InstructionStep::Reissue).expect("again");
    let again = house.instructions(cycle)[&due[0].0].0;
    // All but a cent, told early, and a line of nobody.
    let most = house.booked(again, amount - 100);
    let told = house.cid();
    house.notify(&told, vec![most.clone()]).expect("imported");
    house.accept(&told, 2).expect("accepted");
    let stray = StatementLine { instruction: None, ..house.booked(again, 700) };
    house.statement(vec![most, stray.clone()]);
    let of_bank = |house: &House, line| {
        let bank = house.node.state.get(&Name::Bank(eur())).and_then(Record::bank).expect("an account");
        LinePlace { statement: bank.statement.clone(), line }
    };
    // It goes back to whoever sent it.
    let came = of_bank(house, 1);
    let entry = id(&house.cid());
    house.statement(vec![StatementLine { entry, way: Way::Out, ..stray }]);
    let went = of_bank(house, 0);
    let args = AssignLine { returns: Some(came), ..AssignLine::bare(eur(), went) };
    house.agreed("line.assign", &args).expect("went back");
    house.tolerate(200).expect("set");
    house.instruct(again, InstructionStep::WriteOff).expect("written off");
    // Another pays two cents too much; then all of it comes back.
    let (second, amount) = (due[1].1.0, due[1].1.1.amount.get());
    let part = StatementLine { pays: Some(money(100)), ..house.booked(second, 300) };
    house.statement(vec![part]);
    let rest = of_bank(house, 0);
    let much = house.booked(second, amount + 100);
    assert_eq!(house.statement(vec![much]).exceptions, vec![]);
    house.instruct(second, InstructionStep::WriteOff).expect("written off");
    let back =
        StatementLine { booking: Booking::Returned, way: Way::Out, ..house.booked(second, amount + 200) };
    assert_eq!(house.statement(vec![back]).exceptions, vec![]);
    house.now = house.now.plus_seconds(5 * 86_400);
    house.ask("cycle.move", &step(cycle, Move::Shortfall)).expect("late");
    let args = MoveCycle { tranche: Some(money(500)), ..step(cycle, Move::Cover) };
    house.agreed("cycle.move", &args).expect("covered");
    assert_eq!(house.stage(cycle), Stage::Funded);
    house.pay_out(cycle).expect("orders leave");
    house.deposit(1_000_000);
    // What was too much goes back; the bank charges, and the operator brings some of what it bears.
    let returns =
        AssignLine { returns: Some(rest), ..AssignLine::bare(eur(), stray_line(house, Way::Out, 200)) };
    house.agreed("line.assign", &returns).expect("went back");
    let charged = AssignLine::bare(eur(), stray_line(house, Way::Out, 300));
    let charged = AssignLine { operator: Some(OperatorLine::Charge), ..charged };
    house.agreed("line.assign", &charged).expect("the bank's");
    let brought = AssignLine::bare(eur(), stray_line(house, Way::In, 500));
    let brought = AssignLine { operator: Some(OperatorLine::Own), amount: Some(money(400)), ..brought };
    house.agreed("line.assign", &brought).expect("its own");
    let orders = house
        .instructions(cycle)
        .into_iter()
        .find(|(_, (_, one))| one.way == Way::Out && one.amount.get() > 0);
    let (_, (order, one)) = orders.expect("somebody is paid");
    let out = house.booked(order, one.amount.get());
    let back =
        StatementLine { booking: Booking::Returned, way: Way::In, ..house.booked(order, one.amount.get()) };
    let statement = house.statement(vec![out, back]);
    assert_eq!(statement.exceptions, vec![]);
    house.instruct(order, InstructionStep::Reissue).expect("again");
    // The bank does not say what it paid; two people do.
    let (order, one) = house.instructions(cycle).remove(&one.participant).expect("issued again");
    let paid = StatementLine { instruction: None, ..house.booked(order, one.amount.get()) };
    house.statement(vec![paid]);
    let line = of_bank(house, 0);
    let args = AssignLine { instruction: Some(order), ..AssignLine::bare(eur(), line) };
    house.agreed("line.assign", &args).expect("paid");
    // The last one is told of early, and no statement has it yet.
    let open = |(_, (id, one)): (_, (InstructionId, Instruction))| {
        let open = one.amount.get().saturating_sub(one.confirmed.get());
        (one.way == Way::Out && open > 0).then_some((id, open))
    };
    let rest: Vec<_> = house.instructions(cycle).into_iter().filter_map(open).collect();
    for (order, amount) in rest {
        let (line, told) = (house.booked(order, amount), house.cid());
        house.notify(&told, vec![line]).expect("imported");
        house.accept(&told, 2).expect("accepted");
    }
    house.ask("cycle.move", &step(cycle, Move::Settle)).expect("settled");
    // Weeks later a payer's bank takes some of it back, and some of what was paid out comes back.
    for (instruction, way, amount) in [(again, Way::Out, 500), (order, Way::In, 300)] {
        let line = stray_line(house, way, amount);
        let late = AssignLine { instruction: Some(instruction), ..AssignLine::bare(eur(), line) };
        house.agreed("line.assign", &late).expect("came back");
    }
    let wrong = house.cid();
    house.import(&wrong, 0, vec![]).expect("imported");
    let args = RejectStatement { currency: eur(), statement: id(&wrong), reason: id("wrong_file") };
    house.ask("statement.reject", &args).expect("rejected");
}
