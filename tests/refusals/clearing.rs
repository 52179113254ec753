//! The verbs of the clearing house.

use super::{Row, Table, number};
use crate::common::house::{eur, set_off_digest, step};
use crate::common::world::{id, money};
use tallyhouse::book::{Booking, DayOfMonth, DayOfWeek, Every, Name, Record, StatementLine, Tolerance, Way};
use tallyhouse::clearing::{
    self, AcceptStatement, AnswerObjection, AssignLine, CallMargin, ClaimDue, ClosePeriod, ComputeCycle,
    ConfirmDetails, ConfirmDue, FileComplaint, FileDispute, FileObjection, FilledAtIssuance, ImportStatement,
    LinePlace, MoveComplaint, MoveCover, MoveCycle, MoveDispute, MoveInstruction, PairCap, RejectStatement,
    SealCycle, SetDetails, SetFunding, SetNetting, SetOffCycle, SetReserve, SetSchedule, WithdrawalPlace,
};
use tallyhouse::machine::Request;
use tallyhouse::types::{AwardId, ExchangeId, Hash, InstructionId};

fn word<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_value(text.into()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

impl Table {
    /// The version that a row names, or the next one of this record.
    fn next(&self, row: &Row, name: &Name) -> u64 {
        let record = self.node.state.get(name);
        let have = record.and_then(Record::funding).map(|have| have.version);
        let have = have.or_else(|| record.and_then(Record::reserve).map(|have| have.version));
        row.get("version").map_or(have.unwrap_or(0) + 1, number)
    }

    /// The request of a row about clearing; `None` if it is about something else.
    pub(super) fn clearing(&self, row: &Row) -> Option<Request> {
        let reason = row.get("reason").map(id);
        Some(match row.word(0) {
            "seal" => {
                let open = self.node.state.get(&Name::Cycle).and_then(Record::cycle).expect("cycles").open;
                let cycle = if row.word(1) == "open" { open } else { number(row.word(1)) };
                self.command(row, "analyst", "cycle.seal", &SealCycle { cycle })
            }
            "compute" => {
                let (cycle, version) = (number(row.word(1)), number(row.word(2)) as u32);
                let nets = self.node.state.0.iter().filter_map(|(name, record)| match (name, &**record) {
                    (Name::Net(of, who, currency), Record::Total(n)) if *of == cycle => {
                        Some((*currency, who.clone(), *n))
                    }
                    _ => None,
                });
                let right = clearing::digest(&nets.collect::<Vec<_>>());
                let digest = if row.get("digest").is_some() { Hash::default() } else { right };
                self.command(row, "analyst", "cycle.compute", &ComputeCycle { cycle, version, digest })
            }
            "cycle" => {
                let args = MoveCycle {
                    version: row.get("version").map(|n| number(n) as u32),
                    until: row.get("until").map(|at| self.seconds(at)),
                    reason,
                    currency: row.get("currency").map(id),
                    file: row.get("file").map(|_| Hash::default()),
                    tranche: row.get("tranche").map(|n| money(number(n))),
                    ..step(number(row.word(1)), word(row.word(2)))
                };
                self.command(row, "analyst", "cycle.move", &args)
            }
            "object" => {
                let args = FileObjection {
                    cycle: number(row.word(1)),
                    debtor: id(row.word(2)),
                    creditor: id(row.word(3)),
                    currency: eur(),
                    amount: money(number(row.word(4))),
                    payment: row.get("payment").map(|name| self.payment(name)),
                    reason: id("not_ours"),
                };
                self.command(row, "issuing:HARVEST", "objection.file", &args)
            }
            "answer" => {
                let objection = id(&self.made("obj", row.word(1)));
                let args = AnswerObjection { objection, answer: word(row.word(2)), reason: id("seen") };
                self.command(row, "analyst", "objection.answer", &args)
            }
            "instruct" => {
                let args = MoveInstruction {
                    instruction: self.instruction(row.word(1)),
                    step: word(row.word(2)),
                    file: row.get("file").map(|_| Hash::default()),
                };
                self.command(row, "analyst", "instruction.move", &args)
            }
            "import" => {
                // A notification has no balances: `import s1 -`.
                let (opening, lines) =
                    (Some(row.word(2)).filter(|word| *word != "-").map(number), self.lines(row));
                let moved = |sum, line: &StatementLine| match line.way {
                    Way::In => sum + line.amount.get(),
                    Way::Out => sum - line.amount.get(),
                };
                let closing = opening.map(|opening| lines.iter().fold(opening, moved));
                let args = ImportStatement {
                    statement: id(row.word(1)),
                    currency: id(row.or("currency", "EUR")),
                    document: Hash::default(),
                    opening: opening.map(money),
                    closing: closing.filter(|_| row.get("half").is_none()).map(money),
                    opening_below_zero: row.get("below").is_some(),
                    closing_below_zero: row.get("below").is_some(),
                    lines,
                };
                self.command(row, "analyst", "statement.import", &args)
            }
            "bank-accept" => {
                let args =
                    AcceptStatement { currency: id(row.or("currency", "EUR")), statement: id(row.word(1)) };
                self.command(row, "approver:0", "statement.accept", &args)
            }
            "bank-reject" => {
                let args = RejectStatement {
                    currency: id(row.or("currency", "EUR")),
                    statement: id(row.word(1)),
                    reason: id("wrong_file"),
                };
                self.command(row, "approver:0", "statement.reject", &args)
            }
            "fund" => {
                let pair = row.get("pair").and_then(|pair| pair.split_once(':'));
                let pairs = pair.map(|(who, most)| PairCap { creditor: id(who), most: money(number(most)) });
                let args = SetFunding {
                    participant: id(row.word(1)),
                    currency: eur(),
                    version: self.next(row, &Name::Funding(id(row.word(1)), eur())),
                    cap: row.get("cap").map(|n| money(number(n))),
                    pairs: pairs.into_iter().collect(),
                    in_flight: row.has("in-flight"),
                    per_shop: row.get("per-shop").map(|n| money(number(n))),
                    covered: row.has("covered"),
                };
                self.command(row, "analyst", "funding.set", &args)
            }
            "reserve" => {
                let args = SetReserve {
                    unit: id(row.word(1)),
                    currency: id(row.or("currency", "EUR")),
                    version: self.next(row, &Name::Reserve(id(row.word(1)))),
                    ratio: number(row.word(2)) as u32,
                    issuance: row.get("breakage").map(|to| FilledAtIssuance { breakage_to: word(to) }),
                };
                self.command(row, "analyst", "reserve.set", &args)
            }
            // `cover pa_kino in 500 line=s1:0`, `cover pa_kino out 500 unit=KINO reference=order-1`
            "cover" => {
                let line = row.get("line").and_then(|line| line.split_once(':'));
                let args = MoveCover {
                    participant: id(row.word(1)),
                    currency: id(row.or("currency", "EUR")),
                    unit: row.get("unit").map(id),
                    fund: row.has("fund"),
                    way: word(row.word(2)),
                    amount: money(number(row.word(3))),
                    line: line.map(|(statement, line)| LinePlace {
                        statement: id(statement),
                        line: number(line) as u16,
                    }),
                    reference: row.get("reference").map(id),
                };
                self.command(row, "analyst", "cover.move", &args)
            }
            "call" => {
                let args = CallMargin {
                    participant: id(row.word(1)),
                    currency: eur(),
                    until: self.seconds(row.word(2)),
                };
                self.command(row, "analyst", "margin.call", &args)
            }
            "schedule" => {
                let every = row.get("every").map(|text| match text.split_once(':') {
                    Some(("week", day)) => Every::Week(DayOfWeek { day: number(day) as u8 }),
                    Some((_, day)) => Every::Month(DayOfMonth { day: number(day) as u8 }),
                    None => Every::Day,
                });
                let (hour, grace_minutes) =
                    (number(row.or("hour", "0")) as u8, number(row.or("grace", "0")) as u32);
                let tolerance = row.get("tolerance").and_then(|text| text.split_once(':'));
                let tolerance = tolerance
                    .map(|(currency, n)| Tolerance { currency: id(currency), amount: money(number(n)) })
                    .into_iter()
                    .collect();
                let args =
                    SetSchedule { version: number(row.word(1)), every, hour, grace_minutes, tolerance };
                self.command(row, "analyst", "schedule.set", &args)
            }
            "netting" => {
                let (participant, version) = (id(row.word(1)), number(row.word(2)));
                let args = SetNetting { participant, version, mode: word(row.word(3)) };
                self.command(row, "root:br_harvest", "netting.set", &args)
            }
            "set-off" => {
                let (cycle, version) = (number(row.word(1)), number(row.word(2)) as u32);
                let wrong = row.get("digest").is_some();
                let right = || set_off_digest(&self.world, &self.node.state, cycle);
                let digest = if wrong { Hash::default() } else { right() };
                self.command(row, "analyst", "cycle.set_off", &SetOffCycle { cycle, version, digest })
            }
            "due" => {
                let args = ConfirmDue {
                    debtor: id(row.word(1)),
                    creditor: id(row.word(2)),
                    currency: eur(),
                    amount: money(number(row.word(3))),
                    reference: id(row.or("reference", "seen")),
                };
                self.command(row, "root:br_kino", "due.confirm", &args)
            }
            "due-claim" => {
                let args = ClaimDue {
                    debtor: id(row.word(1)),
                    creditor: id(row.word(2)),
                    currency: eur(),
                    amount: money(number(row.word(3))),
                    reference: id(row.or("reference", "sent")),
                };
                self.command(row, "root:br_harvest", "due.claim", &args)
            }
            // `assign s1:0 to=1:pa_kino amount=100`, `assign s2:1 returns=s1:0`, `assign s2:1 operator=charge`
            "assign" => {
                let place = |text: &str| {
                    let (statement, line) = text.split_once(':').expect("a line");
                    LinePlace { statement: id(statement), line: number(line) as u16 }
                };
                let withdrawal = |text: &str| {
                    let (who, entry) = text.split_once(':').expect("a withdrawal");
                    WithdrawalPlace { participant: id(who), entry: number(entry) }
                };
                let args = AssignLine {
                    amount: row.get("amount").map(|amount| money(number(amount))),
                    instruction: row.get("to").map(|to| self.instruction(to)),
                    returns: row.get("returns").map(place),
                    withdrawal: row.get("withdrawal").map(withdrawal),
                    operator: row.get("operator").map(word),
                    ..AssignLine::bare(id(row.or("currency", "EUR")), place(row.word(1)))
                };
                self.command(row, "analyst", "line.assign", &args)
            }
            "period" => {
                let last = || self.node.entries.len() as u64 - 1;
                let seq = if row.word(2) == "last" { last() } else { number(row.word(2)) };
                let args = ClosePeriod { month: id(row.word(1)), seq };
                self.command(row, "analyst", "period.close", &args)
            }
            "details" => {
                let args = SetDetails {
                    participant: id(row.word(1)),
                    currency: id(row.or("currency", "EUR")),
                    version: number(row.word(2)),
                    commitment: Hash::default(),
                    settlement: false,
                };
                self.command(row, "root:br_harvest", "details.set", &args)
            }
            "details-confirm" => {
                let (participant, version) = (id(row.word(1)), number(row.word(2)));
                let args = ConfirmDetails { participant, currency: eur(), version, settlement: false };
                self.command(row, "analyst", "details.confirm", &args)
            }
            "dispute" => {
                let subject = row.word(1);
                let other = self.seqs.get(subject).filter(|_| row.has("exchange") || row.has("award"));
                let award = other.filter(|_| row.has("award"));
                let args = FileDispute {
                    payment: other.is_none().then(|| self.payment(subject)),
                    unit: (other.is_none() && row.get("of").is_none()).then(|| id(row.word(2))),
                    exchange: other.filter(|_| award.is_none()).map(|seq| ExchangeId { seq: *seq, part: 0 }),
                    fee: row.get("of").map(word),
                    award: award.map(|seq| AwardId { seq: *seq, part: 0 }),
                    amount: money(number(row.word(3))),
                    reason: id(row.word(4)),
                    points: row.get("points").map(word),
                    evidence: vec![Hash::default()],
                };
                self.command(row, "issuing:HARVEST", "dispute.file", &args)
            }
            "dispute-move" => {
                let dispute = id(&self.made("dsp", row.word(1)));
                let args = MoveDispute { dispute, step: word(row.word(2)), evidence: vec![] };
                self.command(row, "analyst", "dispute.move", &args)
            }
            "complain" => {
                let account = self.holder(row.word(1)).account;
                let payment = row.get("payment").map(|name| self.payment(name));
                let args = FileComplaint { account, reason: id(row.word(2)), payment, evidence: vec![] };
                self.command(row, row.word(1), "complaint.file", &args)
            }
            "complaint-move" => {
                let complaint = id(&self.made("cmp", row.word(1)));
                let args = MoveComplaint { complaint, step: word(row.word(2)), evidence: vec![] };
                self.command(row, "analyst", "complaint.move", &args)
            }
            _ => return None,
        })
    }

    /// The id of what a row made that said `as=name`; else the text itself.
    fn made(&self, prefix: &str, name: &str) -> String {
        self.seqs.get(name).map_or_else(|| name.to_owned(), |seq| format!("{prefix}_{seq}.0"))
    }

    /// `1:pa_kino`: the instruction that stands for a participant in a cycle; or an id.
    fn instruction(&self, text: &str) -> InstructionId {
        let Some((cycle, who)) = text.split_once(':') else { return id(text) };
        let line = self.node.state.get(&Name::Line(number(cycle), id(who), eur())).and_then(Record::line);
        line.and_then(|line| line.instruction).unwrap_or_else(|| panic!("{text} has no instruction"))
    }

    /// `in:1:pa_kino:500:e1`: so much came in for an instruction, under this reference of the bank's; `in:500:e1`: for
    /// none.
    fn lines(&self, row: &Row) -> Vec<StatementLine> {
        let line = |text: &&str| {
            let fields: Vec<&str> = text.split(':').collect();
            let (way, instruction, amount, entry) = match fields.as_slice() {
                [way, cycle, who, amount, entry] => {
                    (way, Some(self.instruction(&format!("{cycle}:{who}"))), amount, entry)
                }
                [way, amount, entry] => (way, None, amount, entry),
                _ => panic!("{text} is no line"),
            };
            StatementLine {
                entry: id(entry),
                booking: Booking::Booked,
                way: word(way),
                amount: money(number(amount)),
                instruction,
                pays: None,
            }
        };
        row.words.iter().skip(3).map(line).collect()
    }
}
