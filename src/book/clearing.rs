//! Records of the clearing house: cycles, lines, instructions, objections, statements, complaints.
//!
//! Owns: their shapes. A cycle and an instruction store facts (sealed at, version, approved, confirmed …).
//! Promises: one sign: + is owed to the participant, − is owed by it.
//! Refuses to know: which step may follow which; `clearing` derives stages from these facts.

use crate::types::{
    AccountId, BrandId, Currency, Hash, Ident, InstructionId, Kid, Money, ParticipantId, PaymentId, Time,
};
use serde::{Deserialize, Serialize};

/// Where obligations stand that were charged back and are not decided: beside all cycles, which begin at 1, and in
/// nobody's position.
pub const PROVISIONAL: u64 = 0;

/// Which cycle is open, and which are sealed and neither settled nor voided.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cycle {
    /// The open one's number, from 1.
    pub open: u64,
    /// Those under way, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub live: Vec<u64>,
}

/// When something happened: the entry and its log time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// The entry.
    pub seq: u64,
    /// Log time.
    pub at: Time,
}

/// What a computation of a cycle rests on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Computed {
    /// When.
    pub mark: Mark,
    /// BLAKE3 over the nets that it began from.
    pub digest: Hash,
    /// The cycle whose carries it took over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// The sums of a cycle in one currency, in the network's smallest unit of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// The currency.
    pub currency: Currency,
    /// Participants who pay.
    pub payers: u64,
    /// Participants who are paid.
    pub receivers: u64,
    /// What all payers pay: as much as all receivers get.
    pub moved: Money,
    /// Confirmed by statements as paid in.
    pub paid_in: Money,
    /// Drawn from covers, funds and tranches in a shortfall.
    pub drawn: Money,
    /// Missing of pay-ins and written off: the operator's participant brings it.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub written_off: Money,
    /// What receivers do not get, after a shortfall.
    pub lost: Money,
    /// Confirmed by statements as paid out.
    pub paid_out: Money,
    /// Confirmed beyond what payers were asked for, within the tolerance, and not written off: nothing is paid out of it.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub surplus: Money,
    /// Hash of the file of payment orders, once it may leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Hash>,
}

/// One cycle: what happened to it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// The first entry whose obligations are its own.
    pub from: u64,
    /// Voided cycles whose obligations it takes over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<u64>,
    /// Sealed by this entry, the first that is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Mark>,
    /// How often it was computed.
    pub version: u32,
    /// What stands apart was taken out of it, for a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apart: Option<super::apart::TakenApart>,
    /// The newest computation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub computed: Option<Computed>,
    /// Until when participants may object, in Unix seconds; set when its review begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<u64>,
    /// Objections that nobody answered yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub objections: u32,
    /// Why the newest version is to be computed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Ident>,
    /// When two people approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Mark>,
    /// First instant at which a payer is late, in Unix seconds; set when notices went out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
    /// Its sums, in the order of currencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sums: Vec<Sums>,
    /// When it was found that not everybody paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<Mark>,
    /// When all was paid out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settled: Option<Mark>,
    /// When two people voided it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voided: Option<Mark>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Closing {
    /// A cycle that opens with this entry.
    pub fn opened(from: u64) -> Self {
        Self {
            from,
            includes: vec![],
            sealed: None,
            version: 0,
            apart: None,
            computed: None,
            review: None,
            objections: 0,
            returned: None,
            approved: None,
            due: None,
            sums: vec![],
            shortfall: None,
            settled: None,
            voided: None,
        }
    }
}

/// What a cycle means for one participant in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The version of the cycle that it is of.
    pub version: u32,
    /// The obligations of the cycle, netted.
    pub net: i64,
    /// Carried from the cycle before: less than the bank's smallest unit.
    pub carry: i64,
    /// What is to be paid: net and carry in the bank's unit; the rest is carried on.
    pub amount: i64,
    /// The instruction that stands for it, if there is something to pay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<InstructionId>,
    /// Confirmed by statements.
    pub paid: Money,
    /// For a payer: drawn from its cover, or borne by others in its place.
    pub drawn: Money,
    /// For a receiver: what it did not get, and is owed by who did not pay.
    pub lost: Money,
    /// For a payer: what was missing and two people wrote off.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub written_off: Money,
    /// For a payer: what was too much and two people wrote off.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub kept: Money,
}

impl Line {
    /// What the next cycle takes over.
    pub fn carried(&self) -> i64 {
        self.net.saturating_add(self.carry).saturating_sub(self.amount)
    }

    /// What is still to be paid, by or to the participant.
    pub fn open(&self) -> u64 {
        let done = [self.paid, self.drawn, self.lost, self.written_off];
        let done = done.into_iter().fold(0u64, |sum, n| sum.saturating_add(n.get()));
        self.amount.unsigned_abs().saturating_sub(done)
    }
}

/// In which direction money moves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// From a participant to the settlement account.
    In,
    /// From the settlement account to a participant.
    Out,
}

/// How an instruction ended without being paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// The bank did not take it.
    Rejected,
    /// It came back, perhaps after it was booked.
    Returned,
    /// Its payer did not pay.
    Defaulted,
}

/// One payment that a cycle asks for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = InstructionFacts)]
pub struct Instruction {
    /// The cycle.
    pub cycle: u64,
    /// The version of the cycle.
    pub version: u32,
    /// Who pays or is paid.
    pub participant: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// In which direction.
    pub way: Way,
    /// How much, in the network's smallest unit; a whole number of the bank's.
    pub amount: Money,
    /// Confirmed by statements.
    pub confirmed: Money,
    /// What is missing of it and two people wrote off.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub written_off: Money,
    /// What was too much and two people wrote off.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub kept: Money,
    /// What came back of it after its cycle was settled: its participant owes it, or is owed it, anew.
    #[serde(default, skip_serializing_if = "super::record::nothing")]
    pub late: Money,
    /// Who bears what was missing, or has what was too much: the operator's participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer: Option<ParticipantId>,
    /// The bank said that it has it (pain.002).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub acknowledged: bool,
    /// How it ended, if it was not paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
    /// The file that it leaves in, if that is not its cycle's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Hash>,
    /// The version of the participant's bank details that counts for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<u64>,
    /// The one it was issued for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<InstructionId>,
    /// The one that was issued in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<InstructionId>,
}

/// What became of an objection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answered {
    /// The obligations are carried to the open cycle.
    Accepted,
    /// They stay.
    Rejected,
}

/// A participant objects to obligations of a cycle.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ObjectionFacts)]
pub struct Objection {
    /// The cycle.
    pub cycle: u64,
    /// The version of it.
    pub version: u32,
    /// Who objects.
    pub by: ParticipantId,
    /// Who owes.
    pub debtor: ParticipantId,
    /// Who is owed.
    pub creditor: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much of it.
    pub amount: Money,
    /// The payment that it is about, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// Why.
    pub reason: Ident,
    /// What the answer was, if there is one, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::types::pair::<Answered, Ident>)]
    pub answer: Option<(Answered, Ident)>,
}

/// What a line of a bank statement says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Booking {
    /// Money moved.
    Booked,
    /// Money that moved before came back.
    Returned,
}

/// A line of a bank statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StatementLine {
    /// The bank's own reference of the entry: it counts once.
    pub entry: Ident,
    /// What it says.
    pub booking: Booking,
    /// In which direction money moved.
    pub way: Way,
    /// How much, in the network's smallest unit.
    pub amount: Money,
    /// The instruction that it was matched with, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<InstructionId>,
    /// How much of it pays that, if more came than was open: the rest is nobody's. All of it if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pays: Option<Money>,
}

/// Why a line changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exception {
    /// No instruction was named, or there is none of that name.
    Unknown,
    /// The same was taken in before: a notification said it, or an earlier message.
    Duplicate,
    /// The bank's reference was taken in before for something else: a notification said otherwise of it, or a statement
    /// has it already.
    Altered,
    /// The direction or the currency is another.
    Mismatch,
    /// More than is open of the instruction: all of it, or the rest of a line that says how much of it pays.
    TooMuch,
    /// The instruction is not to be paid now.
    NotOpen,
}

/// A line of a bank statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinePlace {
    /// The statement, of the account of the currency; it was accepted.
    pub statement: Ident,
    /// The line's number in it, from 0.
    pub line: u16,
}

/// A withdrawal of cover, of a share of the fund or of a reserve.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalPlace {
    /// Whose.
    pub participant: ParticipantId,
    /// The entry of the withdrawal.
    pub entry: u64,
}

/// What a line was about, or a part of it, that had changed nothing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum Assigned {
    /// It paid this instruction, or took a payment of it back.
    Instruction(InstructionId),
    /// It and this line of the account take each other back.
    Line(LinePlace),
    /// By it left what a participant took back of its cover, its share of the fund or a reserve.
    Withdrawal(WithdrawalPlace),
    /// What the bank charged, or paid, for the account itself: the operator bears it, or has it.
    Charge,
    /// The operator's own money, which it brought for what it bears, or took back.
    Own,
}

/// What became of a line, or of a part of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LinePart)]
pub struct Part {
    /// The line's number, from 0.
    pub line: u16,
    /// How much of it.
    pub amount: Money,
    /// What it was about.
    pub to: Assigned,
}

/// That a statement which was imported is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StatementRejection)]
pub struct Rejection {
    /// When.
    pub at: Mark,
    /// The key that rejected it.
    pub by: Kid,
    /// Why.
    pub reason: Ident,
}

/// Where an imported statement stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatementState {
    /// It waits for another person than who imported it.
    Imported,
    /// It counts.
    Accepted,
    /// It does not count, and may be imported again.
    Rejected,
}

/// A bank statement, or a notification of some lines that a statement will repeat.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StatementFacts)]
pub struct Statement {
    /// The currency of the account.
    pub currency: Currency,
    /// SHA-256 of the document as the bank sent it.
    pub document: Hash,
    /// The balance that it begins with, in the network's smallest unit: below 0 if overdrawn; a notification has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<i64>,
    /// The balance that it ends with; a notification has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<i64>,
    /// Its lines.
    pub lines: Vec<StatementLine>,
    /// The key that imported it.
    pub by: Kid,
    /// When another person accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Mark>,
    /// When it was rejected, and why: it changes nothing, and its name may be imported again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Rejection>,
    /// The lines that changed nothing, or not all of which did (`too_much`, of a line with `pays`), by their number from 0,
    /// and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::types::pairs::<u16, Exception>)]
    pub exceptions: Vec<(u16, Exception)>,
    /// How much of which lines became cover or reserve, by their number from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::types::pairs::<u16, Money>)]
    pub covers: Vec<(u16, Money)>,
    /// What became of them since, part by part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assigned: Vec<Part>,
}

impl Statement {
    /// Where it stands.
    pub fn state(&self) -> StatementState {
        match (self.accepted, &self.rejected) {
            (Some(_), _) => StatementState::Accepted,
            (None, Some(_)) => StatementState::Rejected,
            (None, None) => StatementState::Imported,
        }
    }

    /// Why a line is nobody's, if something of it is: it changed nothing, in no other message either, and not all of it
    /// was assigned since, or became cover.
    pub fn unmatched(&self, line: u16) -> Option<Exception> {
        let why = self.exceptions.iter().find(|(at, _)| *at == line).map(|(_, why)| *why);
        let of = self.accepted.and(self.closing).and(why);
        of.filter(|why| *why != Exception::Duplicate && !self.rest(line).is_zero())
    }

    /// How much of a line is nobody's.
    pub fn left(&self, line: u16) -> Money {
        self.unmatched(line).map_or(Money::ZERO, |_| self.rest(line))
    }

    /// What is said of a line's amount nowhere.
    fn rest(&self, line: u16) -> Money {
        let amount = self.lines.get(usize::from(line)).map_or(Money::ZERO, |line| line.amount);
        let covers = self.covers.iter().filter(|(at, _)| *at == line).map(|(_, used)| *used);
        let parts = self.assigned.iter().filter(|part| part.line == line).map(|part| part.amount);
        covers.chain(parts).fold(amount, |left, used| left.minus(used).unwrap_or_default())
    }

    /// What of it is nobody's in all: + came in.
    pub fn nobodys(&self) -> i64 {
        (0u16..).zip(&self.lines).fold(0i64, |sum, (number, line)| {
            let left = self.left(number).signed();
            sum.saturating_add(if line.way == Way::In { left } else { left.saturating_neg() })
        })
    }
}

/// A line that counts by a notification, and that no accepted statement repeated yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// The notification.
    pub statement: Ident,
    /// What it says.
    pub line: StatementLine,
    /// When it was accepted.
    pub accepted: Mark,
}

/// The settlement account of a currency, as the last accepted statement left it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bank {
    /// Its balance: below 0 if overdrawn.
    pub balance: i64,
    /// The statement that says so.
    pub statement: Ident,
}

/// How many participants there are: each has a number, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roll {
    /// How many.
    pub participants: u64,
}

/// The stage of a complaint.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ComplaintStage {
    /// Filed; the brand answers in time.
    Filed,
    /// The brand agrees.
    Upheld,
    /// The brand does not.
    Rejected,
    /// The consumer does not accept that; the operator answers.
    Appealed,
    /// The operator agrees with the consumer.
    AppealUpheld,
    /// The operator does not.
    AppealRejected,
    /// Taken back.
    Withdrawn,
}

impl ComplaintStage {
    /// Whether it waits for an answer: the brand's, or the house's on appeal.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Filed | Self::Appealed)
    }
}

/// A consumer complains.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ComplaintFacts)]
pub struct Complaint {
    /// Whose account it is about.
    pub account: AccountId,
    /// The brand that answers: that of the account's unit.
    pub brand: BrandId,
    /// Why: `missing_points`, `not_me`, `wrong_amount`.
    pub reason: Ident,
    /// The payment, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<PaymentId>,
    /// Where it stands.
    pub stage: ComplaintStage,
    /// When an answer is due, in Unix seconds.
    pub until: u64,
    /// SHA-256 of the documents that were brought.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Hash>,
}
