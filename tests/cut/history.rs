//! Random histories on the pure core: trade, and cycles taken a step at a time, in any order, often at the wrong moment.
//!
//! Owns: what is tried.
//! Promises: a seed names a history. Every answer to a step of a cycle, and where that cycle stands then, is foreseen by
//! a model; every entry is read by the ledger.
//! Refuses to know: threads and disks.

use super::super::common::dispute::over;
use super::super::common::house::{House, eur, step};
use super::super::common::rng::Rng;
use super::super::common::world::{id, money, points};
use super::foresee::{Foreseen, Try};
use super::ledger::Ledger;
use super::town::UNITS;
use std::collections::BTreeMap;
use tallyhouse::book::{Answered, Booking, Fate, Name, NettingMode, Record, StatementLine, Way};
use tallyhouse::clearing::{
    AnswerObjection, ComputeCycle, ConfirmDue, DisputeStep, FileObjection, Move, MoveCycle, SealCycle,
    SetNetting, SetOffCycle,
};
use tallyhouse::payments::{AgreeExchange, MakeOffer, WantedExchange};
use tallyhouse::types::{DisputeId, Hash, InstructionId, ObjectionId, ParticipantId, PaymentId, Refusal};

/// Brands, and the participant that answers for each; the first and the last have one.
const OWED: [(usize, &str); 3] = [(0, "pa_harvest"), (1, "pa_kino"), (2, "pa_polar")];
const HOLDERS: u64 = 2;

/// See the module.
pub struct History {
    pub house: House,
    pub ledger: Ledger,
    foreseen: Foreseen,
    rng: Rng,
    /// What was sold: the payment, shop, unit, amount.
    bills: Vec<(PaymentId, usize, usize, u64)>,
    /// Charged back: the dispute, its filer's brand, its target's.
    disputes: Vec<(DisputeId, usize, usize)>,
    /// What was objected to: in which cycle, who owes whom, and how much of it.
    objections: Vec<(ObjectionId, u64, [&'static str; 2], u64)>,
    /// Nobody stands apart in it.
    calm: bool,
    /// How often each brand's participant declared how it is settled.
    versions: BTreeMap<usize, u64>,
    /// How often each step got each answer.
    pub met: BTreeMap<String, u64>,
}

fn said(got: Result<(), Refusal>) -> String {
    got.map_or_else(|no| no.to_string(), |()| "ok".into())
}

impl History {
    pub fn new(seed: u64) -> Self {
        let mut house = House::new(500 + seed, false);
        for (unit, _) in UNITS {
            for n in 0..HOLDERS as usize {
                house.award(unit, n, 40_000_000);
            }
        }
        house.now = house.now.plus_seconds(3 * 86_400);
        // A cover that is drawn in a shortfall, and nothing behind the others.
        house.fund("pa_polar", None, 7_777).expect("set");
        for request in house.world.approving() {
            house.send(request).expect("certified");
        }
        for who in OWED.map(|(_, who)| who).into_iter().chain(["pa_franchise"]) {
            house.account(&id(who), eur());
        }
        let (ledger, foreseen, bills, disputes, objections, versions, met) = Default::default();
        let (rng, calm) = (Rng::new(seed), seed.is_multiple_of(3));
        Self { house, ledger, foreseen, rng, bills, disputes, objections, calm, versions, met }
    }

    /// Plays so many steps.
    pub fn play(&mut self, steps: u64) {
        for _ in 0..steps {
            match self.rng.below(100) {
                0..30 => self.pay(),
                30..38 => self.move_bill(),
                38..43 => self.exchange(),
                43..48 => self.file(),
                48..51 => self.end(),
                51..53 => self.pass(),
                53 => self.declare(),
                54 => self.confirm(),
                55..58 => self.seal(),
                _ => self.advance(),
            }
            self.follow();
        }
    }

    /// What the log has that the ledger has not.
    fn follow(&mut self) {
        let from = usize::try_from(self.ledger.next()).expect("fits");
        for entry in &self.house.node.entries[from..] {
            let parts = entry.parts.iter().map(Vec::as_slice);
            self.ledger.take(&entry.envelope, parts).unwrap_or_else(|what| panic!("{what}"));
        }
    }

    fn pass(&mut self) {
        let seconds =
            if self.rng.chance(20) { self.rng.range(1, 2 * 86_400) } else { self.rng.range(1, 5_000) };
        self.house.now = self.house.now.plus_seconds(seconds);
    }

    fn pay(&mut self) {
        let (unit, shop) = (self.rng.index(UNITS.len()), self.rng.index(4));
        let (n, amount) = (self.rng.below(HOLDERS) as usize, self.rng.range(100, 90_000));
        let capture = self.rng.chance(60);
        // What it is worth is the simulator's question; here some may be refused.
        if let Ok(payment) = self.house.pay(shop, UNITS[unit].0, n, amount, capture) {
            self.bills.push((payment, shop, unit, amount));
        }
    }

    fn move_bill(&mut self) {
        if self.bills.is_empty() {
            return;
        }
        let (payment, shop, _, amount) = *self.rng.pick(&self.bills);
        let (amount, cid) = (self.rng.range(1, amount), self.house.cid());
        let what = self.rng.below(10);
        let last = self.rng.chance(20);
        let (world, key) = (&self.house.world, &self.house.world.brands[shop].tills[0].key);
        let request = match what {
            0..4 => world.capture(key, &cid, payment, amount, last),
            4..9 => world.refund(key, &cid, payment, amount),
            _ => world.void(key, &cid, payment),
        };
        let _ = self.house.send(request);
    }

    fn exchange(&mut self) {
        let (from, to) = (self.rng.index(UNITS.len()), self.rng.index(UNITS.len()));
        let wanted = WantedExchange {
            to: id(UNITS[to].0),
            currency: eur(),
            source: Some(points(self.rng.range(10, 3_000))),
            target: None,
        };
        let args = MakeOffer { exchange: Some(wanted), payment: None, firm: false };
        let (giver, getter) =
            (self.house.world.holder(id(UNITS[from].0), 0), self.house.world.holder(id(UNITS[to].0), 1));
        let cid = self.house.cid();
        let request = self.house.world.make_offer(&giver.key, &cid, &args);
        let Some(offer) = self.house.send(request).ok().and_then(|answer| answer.offer) else { return };
        let args = AgreeExchange { offer: offer.offer, hash: offer.hash };
        let cid = self.house.cid();
        let request = self.house.world.agree_exchange(&giver.key, &getter.key, &cid, &args);
        let _ = self.house.send(request);
    }

    fn file(&mut self) {
        if self.bills.is_empty() {
            return;
        }
        let (payment, shop, unit, amount) = *self.rng.pick(&self.bills);
        let (code, filer) = UNITS[unit];
        let reason = *self.rng.pick(&["fraud", "not_ours", "duplicate"]);
        let args = over(payment, code, self.rng.range(1, amount), reason);
        let Ok(dispute) = self.house.dispute(filer, &args) else { return };
        self.house.argue(None, dispute, DisputeStep::ChargeBack).expect("charged back");
        // The twin is a further brand of the first one's participant, for which that one speaks.
        self.disputes.push((dispute, filer, if shop == 3 { 0 } else { shop }));
    }

    fn end(&mut self) {
        let Some((dispute, filer, target)) = self.disputes.pop() else { return };
        let (step, by) = match self.rng.chance(60) {
            true => (DisputeStep::Accept, target),
            false => (DisputeStep::Withdraw, filer),
        };
        self.house.argue(Some(by), dispute, step).expect("ended");
    }

    /// In every third history nobody stands apart.
    fn declare(&mut self) {
        if self.calm {
            return self.pass();
        }
        let (brand, who) = *self.rng.pick(&OWED);
        let mode = if self.rng.chance(60) { NettingMode::SetOff } else { NettingMode::Novated };
        let version = self.versions.get(&brand).copied().unwrap_or_default() + 1;
        let args = SetNetting { participant: id(who), version, mode };
        let got = self.house.agreed_by_brand(brand, "netting.set", &args).map(drop).map_err(|no| no.code);
        // Who did not pay in time changes no sides.
        // Nor does who did not pay what set-offs left begin to be settled with all.
        let owes = mode == NettingMode::Novated && self.is_due(who);
        let foreseen = if self.is_late(who) || owes { Err(Refusal::CycleOpenWork) } else { Ok(()) };
        assert_eq!(got, foreseen, "{args:?}");
        if got.is_ok() {
            self.versions.insert(brand, version);
        }
        *self.met.entry(format!("Declare {}", said(got))).or_default() += 1;
    }

    /// Whether a participant did not pay what a cycle under way asked for in time, or will not.
    fn is_late(&self, who: &str) -> bool {
        let now = self.house.now.seconds();
        self.foreseen.live().into_iter().any(|cycle| {
            let due = self.house.closing(cycle).due;
            let Some((_, one)) = self.house.instructions(cycle).remove(&id::<ParticipantId>(who)) else {
                return false;
            };
            let late = due.is_some_and(|due| due <= now) && one.confirmed < one.amount;
            one.way == Way::In && (one.fate == Some(Fate::Defaulted) || (late && one.fate.is_none()))
        })
    }

    /// Whether a participant did not pay what is due between it and another.
    fn is_due(&self, who: &str) -> bool {
        self.house
            .node
            .state
            .0
            .values()
            .filter_map(|record| record.due_between())
            .any(|due| due.debtor == id::<ParticipantId>(who) && due.amount > due.paid)
    }

    /// A creditor says that it was paid something of what is due to it, if that can be said now.
    fn confirm(&mut self) {
        let open = self.house.open();
        let due = self.house.node.state.0.iter().filter_map(|(name, record)| match (name, &**record) {
            (Name::Due(a, b, _), Record::Due(due)) if due.amount > due.paid => {
                let creditor = if due.debtor == *a { b } else { a };
                Some((due.debtor.clone(), creditor.clone(), due.cycle, due.amount.get() - due.paid.get()))
            }
            _ => None,
        });
        let mut due: Vec<_> = due.collect();
        due.sort();
        if due.is_empty() {
            return self.pass();
        }
        let (debtor, creditor, cycle, most) = self.rng.pick(&due).clone();
        let Some((brand, _)) = OWED.iter().find(|(_, who)| *who == creditor.as_str()) else { return };
        let amount = money((self.rng.below(most / 100) + 1) * 100);
        let reference = id(&self.house.cid());
        let args = ConfirmDue { debtor, creditor, currency: eur(), amount, reference };
        let got = self.house.by_root(*brand, "due.confirm", &args).map(drop).map_err(|no| no.code);
        let foreseen = if cycle == open { Ok(()) } else { Err(Refusal::CycleOpenWork) };
        assert_eq!(got, foreseen, "{args:?}");
        *self.met.entry(format!("Confirm {}", said(got))).or_default() += 1;
    }

    fn seal(&mut self) {
        // Mostly the open one; else one that was sealed before, or one that is not there yet.
        let open = self.foreseen.open();
        let cycle = if self.rng.chance(90) { open } else { self.rng.range(1, open + 1) };
        self.attempt(cycle, Try::Seal);
    }

    /// One step of a cycle: mostly of the oldest that is under way, mostly the one that it waits for.
    fn advance(&mut self) {
        let live = self.foreseen.live();
        let any = self.rng.range(1, self.foreseen.open());
        let oldest = live.first().copied().unwrap_or(any);
        let cycle = match self.rng.below(10) {
            0 => any,
            1..3 if !live.is_empty() => *self.rng.pick(&live),
            _ => oldest,
        };
        let stage = self.foreseen.stage(&self.ledger, cycle);
        if matches!(stage, "pay_in" | "shortfall" | "pay_out") && self.rng.chance(40) {
            return self.bank(cycle, stage == "pay_out");
        }
        // Deadlines pass, for objections and for payers.
        match stage {
            "review" if self.rng.chance(30) => self.house.now = self.house.now.plus_seconds(4_000),
            "pay_in" if self.rng.chance(25) => self.house.now = self.house.now.plus_seconds(2 * 86_400),
            _ => {}
        }
        let now = self.house.now.seconds();
        let version = self.foreseen.next_version(cycle);
        let kept = version.saturating_sub(1);
        let until = now + 2 + self.rng.below(4_000);
        let right = self.rng.chance(85);
        let next = match stage {
            "sealed" if self.rng.chance(6) => Try::Void,
            "sealed" if !self.ledger.apart(cycle).is_empty() && self.rng.chance(60) => {
                Try::SetOff { version: if self.rng.chance(90) { version } else { kept }, right }
            }
            "sealed" => Try::Compute { version: if self.rng.chance(90) { version } else { kept }, right },
            "computed" => Try::Review { until },
            "review" => match self.rng.below(10) {
                0..3 => Try::Object,
                3 => Try::Return,
                _ => Try::Approve { version: if self.rng.chance(90) { kept } else { version } },
            },
            "approved" if self.rng.chance(10) => Try::Void,
            "approved" => Try::PayIn { until },
            "pay_in" => Try::Shortfall,
            "shortfall" => Try::Cover,
            "funded" if self.rng.chance(70) => Try::PayOut,
            _ => Try::Settle,
        };
        let what = match self.rng.below(100) {
            0..72 => next,
            72..84 => return self.answer(),
            84 => Try::Compute { version, right },
            85 if self.rng.chance(50) => Try::SetOff { version, right },
            85 => Try::Review { until },
            86 => Try::Return,
            87 => Try::Approve { version: kept },
            88..90 => Try::PayIn { until: if self.rng.chance(50) { until } else { now } },
            90..92 => Try::Shortfall,
            92 => Try::Cover,
            93..95 => Try::PayOut,
            95..98 => Try::Settle,
            98 => Try::Void,
            _ => Try::Object,
        };
        self.attempt(cycle, what);
    }

    fn answer(&mut self) {
        let Some((objection, cycle, [debtor, creditor], amount)) = self.objections.pop() else { return };
        let accepted = self.rng.chance(50);
        let owed = self.ledger.owes(cycle, debtor, creditor, "EUR") >= i128::from(amount);
        let foreseen = self.judged(cycle, Try::Answer { accepted, owed });
        let answer = if accepted { Answered::Accepted } else { Answered::Rejected };
        let args = AnswerObjection { objection, answer, reason: id("looked-at") };
        let got = self.house.agreed("objection.answer", &args).map(drop).map_err(|no| no.code);
        if got.is_err() {
            self.objections.push((objection, cycle, [debtor, creditor], amount));
        }
        self.compare(cycle, Try::Answer { accepted, owed }, foreseen, got);
    }

    /// What must come of it: it will be asked a second from now.
    fn judged(&mut self, cycle: u64, what: Try) -> Result<(), Refusal> {
        let now = self.house.now.seconds() + 1;
        self.foreseen.judge(&self.ledger, cycle, now, what)
    }

    fn compare(&mut self, cycle: u64, what: Try, foreseen: Result<(), Refusal>, got: Result<(), Refusal>) {
        assert_eq!(got, foreseen, "cycle {cycle}, {what:?}");
        self.follow();
        let word = format!("{what:?}");
        let word = word.split(' ').next().unwrap_or_default();
        let answer = got.map_or_else(|code| code.to_string(), |()| "ok".into());
        *self.met.entry(format!("{word} {answer}")).or_default() += 1;
        for cycle in 1..self.foreseen.open() {
            let stage = self.foreseen.stage(&self.ledger, cycle);
            assert_eq!(self.house.stage(cycle).code(), stage, "cycle {cycle} after {what:?}");
        }
    }

    fn attempt(&mut self, cycle: u64, what: Try) {
        if what == Try::Object {
            return self.object(cycle);
        }
        let foreseen = self.judged(cycle, what);
        let bare = |with| step(cycle, with);
        let why = Some(id("chance"));
        let got = match what {
            Try::Seal => self.house.ask("cycle.seal", &SealCycle { cycle }),
            Try::SetOff { version, right } => {
                let wrong = Hash::blake3(b"something else");
                let digest = match right && cycle < self.foreseen.open() {
                    true => self.house.set_off_digest(cycle),
                    false => wrong,
                };
                self.house.ask("cycle.set_off", &SetOffCycle { cycle, version, digest })
            }
            Try::Compute { version, right } => {
                let digest = if right { self.ledger.digest(cycle) } else { Hash::blake3(b"something else") };
                self.house.ask("cycle.compute", &ComputeCycle { cycle, version, digest })
            }
            Try::Review { until } => {
                self.house.ask("cycle.move", &MoveCycle { until: Some(until), ..bare(Move::Review) })
            }
            Try::Return => self.house.ask("cycle.move", &MoveCycle { reason: why, ..bare(Move::Return) }),
            Try::Approve { version } => {
                self.house.agreed("cycle.move", &MoveCycle { version: Some(version), ..bare(Move::Approve) })
            }
            Try::PayIn { until } => {
                self.house.ask("cycle.move", &MoveCycle { until: Some(until), ..bare(Move::PayIn) })
            }
            Try::Shortfall => self.house.ask("cycle.move", &bare(Move::Shortfall)),
            Try::Cover => {
                let tranche = Some(money(self.rng.below(9_000)));
                let args = MoveCycle { tranche, ..bare(Move::Cover) };
                self.house.agreed("cycle.move", &args)
            }
            Try::PayOut => self.house.pay_out(cycle),
            Try::Settle => self.house.ask("cycle.move", &bare(Move::Settle)),
            Try::Void => self.house.agreed("cycle.move", &MoveCycle { reason: why, ..bare(Move::Void) }),
            Try::Object | Try::Answer { .. } => unreachable!("asked elsewhere"),
        };
        let got = got.map(drop).map_err(|no| no.code);
        let covered = what == Try::Cover && got.is_ok();
        self.compare(cycle, what, foreseen, got);
        if covered {
            // What was drawn lies on other accounts: it comes to the one that orders are paid from.
            let drawn = self.house.closing(cycle).sums.iter().map(|sums| sums.drawn.get()).sum::<u64>();
            if drawn > 0 {
                self.house.deposit(drawn);
            }
        }
    }

    /// Whoever owes most in a cycle objects to a part of it.
    fn object(&mut self, cycle: u64) {
        let pairs = OWED.iter().flat_map(|a| OWED.iter().map(move |b| (*a, b.1)));
        let owed = pairs.map(|(a, b)| (a, b, self.ledger.owes(cycle, a.1, b, "EUR")));
        let most = owed.max_by_key(|(_, _, owed)| *owed).filter(|(_, _, owed)| *owed > 0);
        let Some(((by, debtor), creditor, owed)) = most else { return };
        let foreseen = self.judged(cycle, Try::Object);
        let amount = self.rng.range(1, u64::try_from(owed).expect("above 0"));
        let args = FileObjection {
            cycle,
            debtor: id(debtor),
            creditor: id(creditor),
            currency: eur(),
            amount: money(amount),
            payment: None,
            reason: id("not_ours"),
        };
        let got = self.house.object(by, &args);
        if let Ok(objection) = &got {
            self.objections.push((*objection, cycle, [debtor, creditor], amount));
        }
        self.compare(cycle, Try::Object, foreseen, got.map(drop).map_err(|no| no.code));
    }

    /// A statement: some of what is open, some of it in part.
    fn bank(&mut self, cycle: u64, out: bool) {
        let mut lines = vec![];
        for one in self.ledger.amounts(cycle).into_iter().filter(|one| one.pays != out && !one.defaulted) {
            let open = one.amount - one.confirmed;
            let part = if self.rng.chance(70) { open } else { self.rng.below(open / 100 + 1) * 100 };
            if part > 0 && self.rng.chance(80) {
                lines.push((one.id.clone(), part));
            }
        }
        let lines: Vec<StatementLine> = lines
            .into_iter()
            .map(|(instruction, amount)| StatementLine {
                entry: id(&self.house.cid()),
                booking: Booking::Booked,
                way: if out { Way::Out } else { Way::In },
                amount: money(amount),
                instruction: Some(id::<InstructionId>(&instruction)),
                pays: None,
            })
            .collect();
        let statement = self.house.statement(lines);
        assert_eq!(statement.exceptions, vec![], "{statement:?}");
        self.follow();
        assert_eq!(
            self.house.stage(cycle).code(),
            self.foreseen.stage(&self.ledger, cycle),
            "cycle {cycle} was paid"
        );
    }
}
