//! The clearing house at work: one thread seals, one takes every sealed cycle to its end.
//!
//! Owns: what is tried on which cycle: wrong digests, objections, cycles given up, orders before the money is there.
//! Promises: the digest that it brings comes from the entries alone, by its own ledger; a cycle's number says what happens
//! to it.
//! Refuses to know: who trades meanwhile.

use super::super::common::house::{eur, step};
use super::super::common::world::{id, money};
use super::ledger::Ledger;
use super::town::{Told, Town, refused};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tallyhouse::book::{Answered, Booking, StatementLine, Way};
use tallyhouse::clearing::{
    AcceptStatement, AnswerObjection, ComputeCycle, FileObjection, ImportStatement, Move, MoveCycle,
    SealCycle,
};
use tallyhouse::engine::Failure;
use tallyhouse::machine::Answer;
use tallyhouse::store::StoredPart;
use tallyhouse::types::{Hash, Money, ObjectionId, Refusal};

/// Bytes of entries read at a time.
const PAGE: usize = 8 << 20;
/// How long one thread waits for what another is to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// An instruction, whether its participant pays, and how much.
type Due = (String, bool, u64);

/// What becomes of a cycle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Story {
    /// Given up before it is computed.
    VoidAtOnce,
    /// Given up after two people approved it.
    VoidLate,
    /// An objection takes something out of it, and it is computed again.
    Objected,
    /// An objection is rejected, and an analyst sends it back all the same.
    Returned,
    /// Nothing of the kind.
    Plain,
}

fn story_of(cycle: u64) -> Story {
    match cycle % 7 {
        2 => Story::VoidAtOnce,
        4 => Story::VoidLate,
        5 => Story::Objected,
        6 => Story::Returned,
        _ => Story::Plain,
    }
}

/// Takes what the ledger has not yet: entries that are committed.
pub fn follow(town: &Town, ledger: &mut Ledger) {
    loop {
        let entries = town.network.engine.read().read(ledger.next(), 1_000, PAGE).expect("read");
        if entries.is_empty() {
            return;
        }
        for entry in entries {
            let parts = entry.parts.iter().map(|part| match part {
                StoredPart::Whole(bytes) => bytes.as_slice(),
                StoredPart::Erased(_) => panic!("entry {} lost a part", entry.seq),
            });
            ledger.take(&entry.envelope, parts).unwrap_or_else(|what| panic!("{what}"));
        }
    }
}

/// Seals as fast as it is let, until trade is over; the number of cycles that it sealed.
pub fn seal(town: &Town, over: &AtomicBool) -> u64 {
    let (mut cycle, mut since) = (1, Instant::now());
    loop {
        let last = over.load(Ordering::SeqCst);
        match town.ask(&town.analyst, &[], "cycle.seal", &SealCycle { cycle }) {
            Ok(_) if last => return cycle,
            Ok(_) => {
                (cycle, since) = (cycle + 1, Instant::now());
                town.sealed.fetch_add(1, Ordering::SeqCst);
            }
            Err(failure) => {
                // Twelve are under way: the clearer is the slower one.
                assert_eq!(refused(&failure), Refusal::CyclesTooMany);
                assert!(since.elapsed() < PATIENCE, "nobody clears");
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }
}

/// The clearer.
pub struct Desk<'a> {
    town: &'a Town,
    pub ledger: Ledger,
    pub told: Told,
    /// What is on the settlement account.
    balance: u64,
}

impl<'a> Desk<'a> {
    pub fn new(town: &'a Town) -> Self {
        Self { town, ledger: Ledger::default(), told: Told::default(), balance: 0 }
    }

    fn hear(&mut self, answer: Result<Answer, Failure>) -> Answer {
        let answer = answer.unwrap_or_else(|failure| panic!("{failure}"));
        self.told.insert(answer.seq, answer.kind.clone());
        answer
    }

    fn moved(&mut self, args: &MoveCycle) {
        let answer = self.town.ask(&self.town.analyst, &self.town.approvers[..2], "cycle.move", args);
        self.hear(answer);
    }

    fn is_refused(&self, args: &MoveCycle, code: Refusal) {
        let answer = self.town.ask(&self.town.analyst, &self.town.approvers[..2], "cycle.move", args);
        assert_eq!(answer.map_err(|failure| refused(&failure)).expect_err("too early"), code);
    }

    /// Whether a cycle was sealed, as far as the log shows.
    fn is_sealed(&mut self, cycle: u64) -> bool {
        follow(self.town, &mut self.ledger);
        self.ledger.fact(cycle, "sealed").is_some()
    }

    /// Takes one cycle after the other to its end, until there are no more.
    pub fn work(&mut self, sealed: &std::sync::OnceLock<u64>) {
        let (mut cycle, mut since) = (1, Instant::now());
        while sealed.get().is_none_or(|last| cycle <= *last) {
            if self.is_sealed(cycle) {
                self.clear(cycle);
                (cycle, since) = (cycle + 1, Instant::now());
            } else {
                assert!(since.elapsed() < PATIENCE, "nobody seals");
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    fn clear(&mut self, cycle: u64) {
        let story = story_of(cycle);
        let give_up = MoveCycle { reason: Some(id("rehearsal")), ..step(cycle, Move::Void) };
        if story == Story::VoidAtOnce {
            return self.moved(&give_up);
        }
        self.compute(cycle, 1);
        self.review(cycle, 1);
        let again = match story {
            Story::Objected => self.object(cycle, Answered::Accepted),
            Story::Returned => {
                self.object(cycle, Answered::Rejected);
                self.moved(&MoveCycle { reason: Some(id("look-again")), ..step(cycle, Move::Return) });
                true
            }
            _ => false,
        };
        if again {
            follow(self.town, &mut self.ledger);
            self.compute(cycle, 2);
            self.review(cycle, 2);
        }
        // The time for objections is over for everybody: it is one clock.
        self.town.pass(3);
        let version = Some(if again { 2 } else { 1 });
        self.moved(&MoveCycle { version, ..step(cycle, Move::Approve) });
        follow(self.town, &mut self.ledger);
        if story == Story::VoidLate {
            return self.moved(&give_up);
        }
        self.pay(cycle);
        self.moved(&step(cycle, Move::Settle));
    }

    /// With the digest of the nets as the ledger has them.
    fn compute(&mut self, cycle: u64, version: u32) {
        let digest = self.ledger.digest(cycle);
        let town = self.town;
        let wrong = ComputeCycle { cycle, version, digest: Hash::blake3(b"something else") };
        let answer = town.ask(&town.analyst, &[], "cycle.compute", &wrong);
        assert_eq!(refused(&answer.expect_err("another digest")), Refusal::CycleDigest);
        let answer = town.ask(&town.analyst, &[], "cycle.compute", &ComputeCycle { cycle, version, digest });
        self.hear(answer);
    }

    fn review(&mut self, cycle: u64, version: u32) {
        let until = Some(self.town.now().seconds() + 3);
        self.moved(&MoveCycle { until, ..step(cycle, Move::Review) });
        let early = MoveCycle { version: Some(version), ..step(cycle, Move::Approve) };
        self.is_refused(&early, Refusal::CycleOpenWork);
    }

    /// Somebody who owes something objects to half of it; whether anybody does.
    fn object(&mut self, cycle: u64, answer: Answered) -> bool {
        let brands: [(usize, &str); 3] = [(0, "pa_harvest"), (1, "pa_kino"), (2, "pa_polar")];
        let pairs = brands.iter().flat_map(|a| brands.iter().map(move |b| (*a, *b)));
        let owed = pairs.map(|(a, b)| (a, b.1, self.ledger.owes(cycle, a.1, b.1, "EUR")));
        let Some((by, creditor, owed)) =
            owed.max_by_key(|(_, _, owed)| *owed).filter(|(_, _, owed)| *owed > 1)
        else {
            return false;
        };
        let args = FileObjection {
            cycle,
            debtor: id(by.1),
            creditor: id(creditor),
            currency: eur(),
            amount: money(u64::try_from(owed / 2).expect("above 0")),
            payment: None,
            reason: id("not_ours"),
        };
        let town = self.town;
        let key = &town.world.brands[by.0].issuing[0];
        let filed = town.ask(key, &[], "objection.file", &args);
        let objection = ObjectionId { seq: self.hear(filed).seq, part: 0 };
        let args = AnswerObjection { objection, answer, reason: id("looked-at") };
        let answered = town.ask(&town.analyst, &town.approvers[..2], "objection.answer", &args);
        self.hear(answered);
        true
    }

    /// Everybody pays, then everybody is paid; not the other way round.
    fn pay(&mut self, cycle: u64) {
        let until = Some(self.town.now().seconds() + 3 * 86_400);
        self.moved(&MoveCycle { until, ..step(cycle, Move::PayIn) });
        let all = self.ledger.amounts(cycle);
        if all.is_empty() {
            return;
        }
        let file = Some(Hash::sha256(format!("orders of {cycle}").as_bytes()));
        let orders = MoveCycle { currency: Some(eur()), file, ..step(cycle, Move::PayOut) };
        self.is_refused(&orders, Refusal::CycleStage);
        let due = all.into_iter().map(|one| (one.id, one.pays, one.amount));
        let (payers, receivers): (Vec<Due>, Vec<Due>) = due.partition(|(_, pays, _)| *pays);
        self.statement(cycle, "in", &payers);
        self.is_refused(&step(cycle, Move::Settle), Refusal::CycleOpenWork);
        self.moved(&orders);
        // Half of each, then the rest.
        let half = |(id, pays, amount): &Due| (id.clone(), *pays, amount / 200 * 100);
        let first: Vec<Due> = receivers.iter().map(half).collect();
        self.statement(cycle, "out", &first);
        let less = |((id, pays, all), (.., first)): (&Due, &Due)| (id.clone(), *pays, all - first);
        let rest: Vec<Due> = receivers.iter().zip(&first).map(less).collect();
        self.statement(cycle, "rest", &rest);
    }

    fn statement(&mut self, cycle: u64, what: &str, all: &[Due]) {
        let town = self.town;
        let name = format!("s-{cycle}-{what}");
        let lines: Vec<StatementLine> = (0..)
            .zip(all.iter().filter(|(.., amount)| *amount > 0))
            .map(|(n, (instruction, pays, amount)): (u32, _)| StatementLine {
                entry: id(&format!("{name}-{n}")),
                booking: Booking::Booked,
                way: if *pays { Way::In } else { Way::Out },
                amount: money(*amount),
                instruction: Some(id(instruction)),
                pays: None,
            })
            .collect();
        let opening = self.balance;
        for line in &lines {
            match line.way {
                Way::In => self.balance += line.amount.get(),
                Way::Out => self.balance -= line.amount.get(),
            }
        }
        let whole = |amount: u64| Money::new(amount).expect("fits");
        let args = ImportStatement {
            statement: id(&name),
            currency: eur(),
            document: Hash::sha256(name.as_bytes()),
            opening: Some(whole(opening)),
            closing: Some(whole(self.balance)),
            opening_below_zero: false,
            closing_below_zero: false,
            lines,
        };
        let answer = town.ask(&town.analyst, &[], "statement.import", &args);
        self.hear(answer);
        let args = AcceptStatement { currency: eur(), statement: id(&name) };
        let answer = town.ask(&town.approvers[2], &[], "statement.accept", &args);
        self.hear(answer);
    }
}
