//! The demo's clearing house: it closes a cycle for every month of the receipts, on the receipts' own time.
//!
//! Owns: which step is taken when, what the bank is made to say, and the figures of each month.
//! Promises: every step is an ordinary signed command; what needs two people has two; one month somebody objects, one
//! month a payment is disputed, one month somebody does not pay in time, and its cover is drawn. Each cycle but the open
//! one ends settled.
//! Refuses to know: how a cycle is decided.

use super::cast::Brand;
use super::dispute::{Busy, Ruled};
use super::safe::Safe;
use crate::app::{Operator, Pen, id_of};
use crate::book::{Answered, Booking, Closing, Line, Name, Record, StatementLine, Way};
use crate::clearing::{
    AcceptStatement, AnswerObjection, BankDetails, ComputeCycle, ConfirmDetails, Debt, Figures,
    FileObjection, GRACE, Iban, ImportStatement, LinePlace, Matrix, Move, MoveCover, MoveCycle,
    SaltedDetails, SealCycle, SetDetails, SetFunding, digest,
};
use crate::clock;
use crate::engine::Engine;
use crate::machine::{Kind, Request};
use crate::sign::{KeyCert, Purpose, SecretKey, Typ, sign};
use crate::store::Read;
use crate::types::{
    Currency, Hash, Ident, InstructionId, Money, Month, ObjectionId, ParticipantId, Time, b64, encode,
};
use crate::views::Reader;
use serde::Serialize;

const DAY: u64 = 86_400;
/// In which month, of those that are closed, somebody objects.
const OBJECTION: u64 = 2;
/// In which somebody disputes a payment.
const DISPUTE: u64 = 3;
/// In which somebody does not pay in time.
const SHORTFALL: u64 = 4;

/// What a month came to.
#[derive(Clone, Serialize)]
pub struct Closed {
    /// The month.
    pub month: String,
    /// The cycle.
    pub cycle: u64,
    /// Gross, bilateral and multilateral, side by side.
    pub figures: Figures,
    /// What of it is fees, in the currency's scale.
    pub fees: i64,
    /// What payers paid in all.
    pub moved: u64,
    /// What became of it beside that.
    pub note: String,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Next {
    Approve,
    PayIn,
    Late,
    PayOut,
    Settle,
}

/// A cycle under way.
struct Open {
    cycle: u64,
    due: Time,
    next: Next,
    closed: Closed,
    /// Who does not pay.
    late: Option<ParticipantId>,
}

/// See the module.
pub struct House<'a> {
    engine: &'a Engine,
    pub(super) views: &'a Reader,
    pub(super) pen: Pen,
    pub(super) currency: Currency,
    /// Who is owed fees.
    pub(super) supplier: Option<ParticipantId>,
    analyst: SecretKey,
    approvers: [SecretKey; 2],
    /// The months that are closed or being closed.
    months: u64,
    month: Option<Month>,
    open: Option<Open>,
    commands: u64,
    done: Vec<Closed>,
}

/// Whoever objects: the issuing key of the participant's brand.
pub type Keys<'k> = &'k dyn Fn(&ParticipantId) -> Option<&'k SecretKey>;

pub(super) fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}

/// The operator's roots certify a person's key.
pub(super) fn hired(
    pen: Pen,
    operator: &Operator,
    key: &SecretKey,
    name: &str,
    purpose: Purpose,
    at: Time,
) -> Result<Request, String> {
    let cert = KeyCert {
        aud: pen.net,
        key: key.public(),
        purpose,
        owner: "op".into(),
        from: at.seconds(),
        until: None,
        till: None,
        held: None,
        person: name.parse().ok(),
    };
    let first = operator.roots.first().ok_or("an operator without roots")?;
    let others = operator.roots.iter().skip(1).take(usize::from(operator.threshold.saturating_sub(1)));
    let by: Vec<&SecretKey> = others.chain([key]).collect();
    Ok(pen.approved(sign(first, Typ::KeyCert, &encode(&cert)), &by))
}

impl<'a> House<'a> {
    /// Hires an analyst and two approvers: the operator's roots certify their keys.
    pub fn hire(
        engine: &'a Engine,
        views: &'a Reader,
        pen: Pen,
        currency: Currency,
        operator: &Operator,
        people: [SecretKey; 3],
        at: Time,
    ) -> Result<Self, String> {
        let names = [
            ("analyst", Purpose::Operations),
            ("approver-1", Purpose::Approver),
            ("approver-2", Purpose::Approver),
        ];
        for (key, (name, purpose)) in people.iter().zip(names) {
            engine.ask(&hired(pen, operator, key, name, purpose, at)?, Some(at)).map_err(text)?;
        }
        let [analyst, one, two] = people;
        let approvers = [one, two];
        let (months, month, open) = (0, None, None);
        Ok(Self {
            engine,
            views,
            pen,
            currency,
            supplier: None,
            analyst,
            approvers,
            months,
            month,
            open,
            commands: 3,
            done: vec![],
        })
    }

    /// Brands say where their participants are paid: two approvers of each sign with its root, the analyst calls back.
    pub fn accounts(&mut self, safe: &Safe, brands: &[Brand], at: Time) -> Result<(), String> {
        for (brand, number) in brands.iter().zip(1u64..) {
            let (id, participant, currency) =
                (&brand.terms.id, brand.terms.participant.clone(), self.currency);
            let mut approvers = vec![];
            for name in ["approver-1", "approver-2"] {
                let key = safe.brand_key(id, name)?;
                let person = id_of(&[id.as_str(), name]);
                let cert = KeyCert {
                    aud: self.pen.net,
                    key: key.public(),
                    purpose: Purpose::Approver,
                    owner: id.to_string(),
                    from: at.seconds(),
                    until: None,
                    till: None,
                    held: None,
                    person: Some(person),
                };
                let first = sign(&brand.keys.root, Typ::KeyCert, &encode(&cert));
                let request = self.pen.approved(first, &[&key]);
                self.send(&request, at)?;
                approvers.push(key);
            }
            let set = self.details(safe, &participant, &brand.terms.name, number)?;
            let cid = id_of(&[Kind::DetailsSet.text(), participant.as_str()]);
            let set = self.pen.command(&brand.keys.root, &cid, Kind::DetailsSet, &set);
            let by: Vec<&SecretKey> = approvers.iter().collect();
            let request = self.pen.approved(set, &by);
            self.send(&request, at)?;
            let called =
                ConfirmDetails { participant: participant.clone(), currency, version: 1, settlement: false };
            self.ask(Kind::DetailsConfirmed, participant.as_str(), &called, at)?;
        }
        Ok(())
    }

    /// An account for a participant, kept in the vault: what its brand, or the house, signs of it.
    pub(super) fn details(
        &self,
        safe: &Safe,
        participant: &ParticipantId,
        name: &str,
        number: u64,
    ) -> Result<SetDetails, String> {
        // No bank has these: the check digits fit, and that is all.
        let mut ibans = (2..99).filter_map(|digits| format!("DE{digits:02}{number:018}").parse().ok());
        let iban: Iban = ibans.next().ok_or("no check digits fit")?;
        let (participant, currency) = (participant.clone(), self.currency);
        let (name, salt) = (name.to_owned(), b64(&clock::random::<32>()));
        let details =
            BankDetails { participant: participant.clone(), currency, name, iban, bic: None, mandate: None };
        let commitment = safe.vault().keep_details(&SaltedDetails { salt, details }).map_err(text)?;
        Ok(SetDetails { participant, currency, version: 1, commitment, settlement: false })
    }

    /// When something is to be done next, if nothing happens before: `None` if nothing is under way.
    pub fn due(&self) -> Option<Time> {
        self.open.as_ref().map(|open| open.due)
    }

    /// The month that is over, if a receipt of this time is the first of another.
    pub fn over(&mut self, at: Time) -> Option<Month> {
        let month = at.date(0).month();
        self.month.replace(month).filter(|before| *before != month)
    }

    /// The month of the last receipt: it ends with them.
    pub fn last(&mut self) -> Option<Month> {
        self.month.take()
    }

    /// What was closed, and how many commands it took.
    pub fn finish(self) -> (Vec<Closed>, u64) {
        (self.done, self.commands)
    }

    // Asking.

    pub(super) fn send(&mut self, request: &Request, at: Time) -> Result<u64, String> {
        self.commands += 1;
        Ok(self.engine.ask(request, Some(at)).map_err(text)?.seq)
    }

    pub(super) fn ask(
        &mut self,
        kind: Kind,
        about: &str,
        args: &impl Serialize,
        at: Time,
    ) -> Result<u64, String> {
        let cid = id_of(&[kind.text(), about]);
        let statement = self.pen.command(&self.analyst, &cid, kind, args);
        self.send(&Request::of(vec![statement]), at)
    }

    pub(super) fn agreed(
        &mut self,
        kind: Kind,
        about: &str,
        args: &impl Serialize,
        at: Time,
    ) -> Result<u64, String> {
        let cid = id_of(&[kind.text(), about]);
        let statement = self.pen.command(&self.analyst, &cid, kind, args);
        let request = self.pen.approved(statement, &[&self.approvers[0], &self.approvers[1]]);
        self.send(&request, at)
    }

    fn advance(&mut self, args: MoveCycle, at: Time) -> Result<u64, String> {
        let about = format!("{} {:?}", args.cycle, args.step);
        match args.step {
            Move::Approve | Move::Cover | Move::PayOut | Move::Void => {
                self.agreed(Kind::CycleMoved, &about, &args, at)
            }
            _ => self.ask(Kind::CycleMoved, &format!("{about} {}", at.seconds()), &args, at),
        }
    }

    // Reading.

    /// The command of a brand's, signed with one of its keys.
    pub(super) fn by(
        &mut self,
        key: &SecretKey,
        kind: Kind,
        about: &str,
        args: &impl Serialize,
        at: Time,
    ) -> Result<u64, String> {
        let statement = self.pen.command(key, &id_of(&[kind.text(), about]), kind, args);
        self.send(&Request::of(vec![statement]), at)
    }

    /// The network's state, with all that was committed in it.
    pub(super) fn state(&self) -> Result<&dyn Read, String> {
        self.engine.settle().map_err(text)?;
        Ok(&**self.engine.read())
    }

    pub(super) fn record(&self, name: &Name) -> Result<Option<Record>, String> {
        let rows = self.engine.read().load(&[name.to_string()]).map_err(text)?.rows;
        rows.first().map(|row| Record::decode(name, &row.value).map_err(text)).transpose()
    }

    fn closing(&self, cycle: u64) -> Result<Closing, String> {
        let record = self.record(&Name::Closing(cycle))?;
        record.as_ref().and_then(Record::closing).cloned().ok_or_else(|| format!("no cycle {cycle}"))
    }

    fn lines(&self, cycle: u64) -> Result<Vec<(ParticipantId, Line)>, String> {
        let prefix = format!("line/{cycle}/");
        let loaded = self.engine.read().scan(&prefix, 10_000).map_err(text)?;
        let mut lines = vec![];
        for row in loaded.rows.iter().take_while(|row| row.key.starts_with(&prefix)) {
            let name: Name = row.key.parse().map_err(text)?;
            let record = Record::decode(&name, &row.value).map_err(text)?;
            if let (Name::Line(_, who, _), Record::Line(line)) = (name, record) {
                lines.push((who, line));
            }
        }
        Ok(lines)
    }

    /// The obligations of a cycle, out of the view of them.
    fn matrix(&self, cycle: u64) -> Result<Matrix, String> {
        self.engine.settle().map_err(text)?;
        let rows = self.views.obligations(Some(cycle)).map_err(text)?.what;
        Matrix::of(rows.iter().map(|row| (&row.debtor, &row.creditor, row.amount))).map_err(text)
    }

    // Steps.

    /// A month is over: its cycle is sealed and computed, and the review begins.
    /// `busy`: payments of which more is to come. Says what a ruling came to, if there was one.
    pub fn begin(&mut self, month: Month, at: Time, keys: Keys, busy: Busy) -> Result<Option<Ruled>, String> {
        self.months += 1;
        let ruled = if self.months == DISPUTE { self.dispute(keys, busy, at)? } else { None };
        let record = self.record(&Name::Cycle)?;
        let cycle = record.as_ref().and_then(Record::cycle).ok_or("no cycle is open")?.open;
        self.ask(Kind::CycleSealed, &cycle.to_string(), &SealCycle { cycle }, at)?;
        let matrix = self.matrix(cycle)?;
        self.compute(cycle, 1, at)?;
        let until = at.seconds() + DAY;
        self.advance(MoveCycle { until: Some(until), ..MoveCycle::bare(cycle, Move::Review) }, at)?;
        let figures = matrix.figures().map_err(text)?;
        let note = ruled.as_ref().map_or(String::new(), Ruled::note);
        let fees = self.fees_in(cycle)?;
        let mut closed = Closed { month: month.to_string(), cycle, figures, fees, moved: 0, note };
        let mut due = Time::from_seconds(until).ok_or("a time beyond all")?;
        if self.months == OBJECTION
            && let Some(debt) = self.objected(cycle, &matrix, keys, at)?
        {
            let again = until + DAY;
            self.compute(cycle, 2, at)?;
            self.advance(
                MoveCycle { until: Some(again), ..MoveCycle::bare(cycle, Move::Review) },
                at.plus_seconds(1),
            )?;
            closed.note = format!("{} objected to part of what it owes {}", debt.debtor, debt.creditor);
            due = Time::from_seconds(again).ok_or("a time beyond all")?;
        }
        self.open = Some(Open { cycle, due, next: Next::Approve, closed, late: None });
        Ok(ruled)
    }

    /// Whoever owes another brand on balance objects to half of it: the first of the debts.
    fn objected(
        &mut self,
        cycle: u64,
        matrix: &Matrix,
        keys: Keys,
        at: Time,
    ) -> Result<Option<Debt>, String> {
        for debt in matrix.debts() {
            // To what another brand is owed, not to a fee.
            if let (Some(key), Some(_)) = (keys(&debt.debtor), keys(&debt.creditor))
                && self.object(cycle, &debt.debtor, &debt.creditor, debt.amount.get() / 2, key, at)?
            {
                return Ok(Some(debt));
            }
        }
        Ok(None)
    }

    fn compute(&mut self, cycle: u64, version: u32, at: Time) -> Result<(), String> {
        let nets = self.matrix(cycle)?.nets().map_err(text)?;
        let nets: Vec<_> = nets.into_iter().map(|(who, net)| (self.currency, who, net)).collect();
        let args = ComputeCycle { cycle, version, digest: digest(&nets) };
        self.ask(Kind::CycleComputed, &format!("{cycle} {version}"), &args, at).map(drop)
    }

    fn object(
        &mut self,
        cycle: u64,
        debtor: &ParticipantId,
        creditor: &ParticipantId,
        most: u64,
        key: &SecretKey,
        at: Time,
    ) -> Result<bool, String> {
        // What it owes on balance may be less than that.
        let (a, b) = if debtor < creditor { (debtor, creditor) } else { (creditor, debtor) };
        let record = self.record(&Name::Pair(cycle, a.clone(), b.clone(), self.currency))?;
        let first_has = record.as_ref().and_then(Record::total).copied().unwrap_or(0);
        let owes = if a == creditor { first_has } else { -first_has };
        let Some(amount) = u64::try_from(owes).ok().map(|owes| owes.min(most)).filter(|n| *n > 0) else {
            return Ok(false);
        };
        let args = FileObjection {
            cycle,
            debtor: debtor.clone(),
            creditor: creditor.clone(),
            currency: self.currency,
            amount: Money::new(amount).ok_or("too much")?,
            payment: None,
            reason: "not_ours".parse().map_err(text)?,
        };
        let seq = self.by(key, Kind::ObjectionFiled, &cycle.to_string(), &args, at)?;
        let args = AnswerObjection {
            objection: ObjectionId { seq, part: 0 },
            answer: Answered::Accepted,
            reason: "evidence_seen".parse().map_err(text)?,
        };
        self.agreed(Kind::ObjectionAnswered, &cycle.to_string(), &args, at).map(|_| true)
    }

    /// Takes the step that is due, at an instant that is not before that.
    pub fn step(&mut self, at: Time) -> Result<(), String> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let cycle = open.cycle;
        match open.next {
            Next::Approve => {
                let version = Some(self.closing_now(cycle)?.version);
                self.advance(MoveCycle { version, ..MoveCycle::bare(cycle, Move::Approve) }, at)?;
                let until = Some(at.seconds() + 3 * DAY);
                self.advance(MoveCycle { until, ..MoveCycle::bare(cycle, Move::PayIn) }, at)?;
                (open.next, open.due) = (Next::PayIn, at.plus_seconds(2 * DAY));
            }
            Next::PayIn => {
                let lines = self.lines_now(cycle)?;
                let payers = lines.iter().filter(|(_, line)| line.amount < 0);
                open.closed.moved = payers.clone().map(|(_, line)| line.amount.unsigned_abs()).sum();
                // The smallest of several payers is the one that does not pay.
                let least = payers.clone().min_by_key(|(_, line)| line.amount.unsigned_abs());
                let late = least.filter(|_| self.months == SHORTFALL && payers.count() > 1);
                open.late = late.map(|(who, _)| who.clone());
                let paying = lines.iter().filter(|(who, _)| Some(who) != open.late.as_ref());
                self.statement(&format!("{cycle}-in"), paying, Way::In, 0, at)?;
                (open.next, open.due) = match open.late {
                    Some(_) => (Next::Late, at.plus_seconds(DAY + GRACE)),
                    None => (Next::PayOut, at.plus_seconds(DAY)),
                };
            }
            Next::Late => {
                if let Some(who) = open.late.clone() {
                    self.cover(cycle, &who, at)?;
                    open.closed.note = format!("{who} did not pay in time: its cover was drawn");
                }
                (open.next, open.due) = (Next::PayOut, at.plus_seconds(1));
            }
            Next::PayOut => {
                let sums = self.closing_now(cycle)?.sums;
                for sums in &sums {
                    let orders = self.lines(cycle)?;
                    let file = Hash::sha256(&encode(&orders));
                    let (currency, file) = (Some(sums.currency), Some(file));
                    self.advance(MoveCycle { currency, file, ..MoveCycle::bare(cycle, Move::PayOut) }, at)?;
                }
                (open.next, open.due) = (Next::Settle, at.plus_seconds(DAY));
            }
            Next::Settle => {
                let lines = self.lines_now(cycle)?;
                self.statement(&format!("{cycle}-out"), lines.iter(), Way::Out, 0, at)?;
                self.advance(MoveCycle::bare(cycle, Move::Settle), at)?;
                self.done.push(open.closed);
                return Ok(());
            }
        }
        self.open = Some(open);
        Ok(())
    }

    fn closing_now(&self, cycle: u64) -> Result<Closing, String> {
        self.engine.settle().map_err(text)?;
        self.closing(cycle)
    }

    fn lines_now(&self, cycle: u64) -> Result<Vec<(ParticipantId, Line)>, String> {
        self.engine.settle().map_err(text)?;
        self.lines(cycle)
    }

    /// The participant tops its cover up by what it owes; then that is drawn.
    fn cover(&mut self, cycle: u64, who: &ParticipantId, at: Time) -> Result<(), String> {
        let lines = self.lines_now(cycle)?;
        let owes = lines.iter().find(|(of, _)| of == who).map_or(0, |(_, line)| line.open());
        let before = self.record(&Name::Funding(who.clone(), self.currency))?;
        let before = before.as_ref().and_then(Record::funding).map_or(0, |have| have.version);
        let args = SetFunding {
            participant: who.clone(),
            currency: self.currency,
            version: before.saturating_add(1),
            cap: None,
            pairs: vec![],
            in_flight: false,
            per_shop: None,
            covered: false,
        };
        self.agreed(Kind::FundingSet, &cycle.to_string(), &args, at)?;
        let name = format!("{cycle}-cover");
        self.statement(&name, [].iter(), Way::In, owes, at)?;
        let args = MoveCover {
            participant: who.clone(),
            currency: self.currency,
            unit: None,
            fund: false,
            way: Way::In,
            amount: Money::new(owes).ok_or("too much")?,
            line: Some(LinePlace { statement: format!("{name}-0").parse().map_err(text)?, line: 0 }),
            reference: None,
        };
        self.agreed(Kind::CoverMoved, &cycle.to_string(), &args, at)?;
        self.advance(MoveCycle::bare(cycle, Move::Shortfall), at)?;
        self.advance(MoveCycle::bare(cycle, Move::Cover), at).map(drop)
    }

    /// The bank's word: everything that these lines say is paid, in statements of as many lines as one can have, each
    /// imported by one person and accepted by another. `others`: money that came in from elsewhere.
    fn statement<'l>(
        &mut self,
        name: &str,
        lines: impl Iterator<Item = &'l (ParticipantId, Line)>,
        way: Way,
        others: u64,
        at: Time,
    ) -> Result<(), String> {
        let of_way = lines.filter(|(_, line)| (line.amount < 0) == (way == Way::In) && line.open() > 0);
        let mut all: Vec<(Option<InstructionId>, u64, Way)> =
            of_way.map(|(_, line)| (line.instruction, line.open(), way)).collect();
        if others > 0 {
            all.insert(0, (None, others, Way::In));
        }
        let bank = self.record(&Name::Bank(self.currency))?;
        let mut balance = bank
            .as_ref()
            .and_then(Record::bank)
            .and_then(|bank| Money::new(u64::try_from(bank.balance).ok()?))
            .unwrap_or_default();
        for (page, chunk) in all.chunks(20).enumerate() {
            let statement: Ident = format!("{name}-{page}").parse().map_err(text)?;
            let mut lines = vec![];
            let opening = balance;
            for (number, (instruction, amount, way)) in chunk.iter().enumerate() {
                let amount = Money::new(*amount).ok_or("too much")?;
                let moved = match way {
                    Way::In => balance.plus(amount),
                    Way::Out => balance.minus(amount),
                };
                balance = moved.ok_or("an overdrawn account")?;
                let entry = format!("{name}-{page}-{number}").parse().map_err(text)?;
                let (booking, way, instruction) = (Booking::Booked, *way, *instruction);
                lines.push(StatementLine { entry, booking, way, amount, instruction, pays: None });
            }
            let document = Hash::sha256(&encode(&lines));
            let args = ImportStatement {
                statement: statement.clone(),
                currency: self.currency,
                document,
                opening: Some(opening),
                closing: Some(balance),
                opening_below_zero: false,
                closing_below_zero: false,
                lines,
            };
            self.ask(Kind::StatementImported, statement.as_str(), &args, at)?;
            let cid = id_of(&["accept", statement.as_str()]);
            let args = AcceptStatement { currency: self.currency, statement };
            let accepted = self.pen.command(&self.approvers[0], &cid, Kind::StatementAccepted, &args);
            self.send(&Request::of(vec![accepted]), at)?;
        }
        Ok(())
    }
}
