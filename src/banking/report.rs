//! The report of a cycle: figures, documents, lines and the entries behind them.
//!
//! Owns: what stands in it, and its form as CSV.
//! Promises: the matrix is made of the log's own entries and its nets are those that the cycle was computed from, or there
//! is no report. Documents are numbered without gaps, across cycles; the same cycle always has the same numbers, and a voided one
//! has none. It names the cut and a checkpoint, and each entry has its proof at `/v1/entries/{seq}/proof`.
//! Refuses to know: who reads it.

use super::behind::{Effect, Pairs, effects, end, is_traded, owed, traded};
use super::{Desk, Fault, NextStep, next_step};
use crate::book::{Closing, Line, Name, Record, SetOffSums};
use crate::clearing::{
    CycleDocument, Figures, InstructionStage, Matrix, Stage, Unsound, cycle_documents, instruction_stage,
    stage,
};
use crate::machine::SupplyLine;
use crate::types::{Currency, Hash, InstructionId, Money, ParticipantId, Time, word};
use serde::Serialize;
use std::collections::BTreeMap;

/// A cycle in one currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct ReportSide {
    /// The currency.
    pub currency: Currency,
    /// Gross, bilateral and multilateral, side by side; for the operator and analysts alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures: Option<Figures>,
    /// What of that stands apart, between two of whom one does not accept the clearing house: set off, and left to be paid
    /// between them; for the operator and analysts alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_off: Option<SetOffSums>,
    /// What each participant bills each other one, gross. What an accepted objection put off is billed with the cycle that it
    /// went to, and not here; what stood in a voided cycle, with the one that took it over.
    pub documents: Vec<CycleDocument>,
}

/// What a cycle means for a participant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct ReportLine {
    /// The participant.
    pub participant: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// Its obligations, netted: + is owed to it.
    pub net: i64,
    /// Carried from the cycle before.
    pub carry: i64,
    /// What it pays (−) or is paid (+).
    pub amount: i64,
    /// Carried on to the next.
    pub carried: i64,
    /// Confirmed by bank statements.
    pub paid: Money,
    /// For a payer: drawn from its cover, or borne by others.
    pub drawn: Money,
    /// For a receiver: what it did not get.
    pub lost: Money,
    /// For a payer: what was missing and was written off.
    pub written_off: Money,
    /// For a payer: what was too much and was written off.
    pub kept: Money,
    /// The instruction in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<InstructionId>,
    /// Where that stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<InstructionStage>,
    /// Who bears what was missing and written off, or has what was too much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer: Option<ParticipantId>,
}

/// The report.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct CycleReport {
    /// The cycle.
    pub cycle: u64,
    /// Where it stands: the report of a settled one is final.
    pub stage: Stage,
    /// How often it was computed.
    pub version: u32,
    /// The first entry whose obligations are its own.
    pub from: u64,
    /// The cut: obligations of this entry and later are the next cycle's.
    pub cut: u64,
    /// The digest of its nets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Hash>,
    /// The digest of the set-off that was taken out of it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_off: Option<Hash>,
    /// What the next step is signed for, if it waits to be computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<NextStep>,
    /// The last entry that is counted: the one that ended the cycle, or the newest.
    pub seq: u64,
    /// The root of the log's tree through that entry: the checkpoint of that size.
    pub root: Hash,
    /// A currency each.
    pub sides: Vec<ReportSide>,
    /// In the order of participants.
    pub lines: Vec<ReportLine>,
    /// The obligations, entry by entry.
    pub entries: Vec<Effect>,
}

impl From<Unsound> for Fault {
    fn from(e: Unsound) -> Self {
        Self::Damaged(e.to_string())
    }
}

/// The obligations of a cycle; of those before it, which of them have documents: a report holds one cycle.
#[derive(Default)]
struct Behind {
    own: BTreeMap<Currency, Vec<Effect>>,
    before: BTreeMap<(u64, Currency), Pairs>,
}

fn matrix(all: &[Effect]) -> Result<Matrix, Fault> {
    Ok(Matrix::of(all.iter().map(|one| (&one.debtor, &one.creditor, one.amount)))?)
}

impl Desk<'_> {
    /// The report of a sealed cycle; `root` is asked for the root of the log's tree of a size, `tip` is the newest entry.
    pub fn report(
        &self,
        cycle: u64,
        tip: u64,
        now: Time,
        root: impl FnOnce(u64) -> Result<Hash, Fault>,
    ) -> Result<CycleReport, Fault> {
        let closing = self.closing(cycle)?;
        let sealed = closing.sealed.ok_or_else(|| {
            Fault::No(format!("cycle {cycle} is open: it is sealed first, then there is something to report"))
        })?;
        let behind = self.of_cycles(cycle, tip)?;
        let (mut sides, mut entries, mut last) = (vec![], vec![], BTreeMap::new());
        for ((number, currency), pairs) in &behind.before {
            // What was voided is billed with the cycle that took it over.
            if self.closing(*number)?.voided.is_none() {
                let count = u64::try_from(pairs.len()).unwrap_or(u64::MAX);
                let sum = last.entry(*currency).or_insert(0u64);
                *sum = sum.saturating_add(count);
            }
        }
        for currency in self.genesis.currencies.iter().map(|one| one.code) {
            let own = behind.own.get(&currency).map_or(&[][..], Vec::as_slice);
            let matrix = matrix(own)?;
            if matrix.is_empty() {
                continue;
            }
            let before = last.get(&currency).copied().unwrap_or(0);
            let documents = match closing.voided {
                Some(_) => vec![],
                None => cycle_documents(&self::matrix(&traded(own))?, before)?,
            };
            self.agrees(cycle, &closing, currency, &matrix)?;
            entries.extend_from_slice(own);
            let figures = Some(self::matrix(&owed(own, sealed.seq))?.figures()?);
            let sums = closing.apart.as_ref().map_or(&[][..], |apart| &apart.sums);
            let set_off = sums.iter().find(|sums| sums.currency == currency).cloned();
            sides.push(ReportSide { currency, figures, set_off, documents });
        }
        entries.sort_by_key(|one| one.seq);
        let netting = self.record(&Name::Netting)?;
        let netting = netting.as_ref().and_then(Record::netting).cloned().unwrap_or_default();
        let apart: Vec<_> = netting.apart(cycle).cloned().collect();
        let currencies: Vec<_> = self.genesis.currencies.iter().map(|one| one.code).collect();
        let next = next_step(&entries, &apart, &currencies, &closing)?;
        let seq = closing.settled.or(closing.voided).map_or(tip, |mark| mark.seq);
        Ok(CycleReport {
            cycle,
            stage: stage(&closing),
            version: closing.version,
            from: closing.from,
            cut: sealed.seq,
            digest: closing.computed.as_ref().map(|computed| computed.digest),
            set_off: closing.apart.as_ref().map(|apart| apart.digest),
            next,
            seq,
            root: root(seq.saturating_add(1))?,
            sides,
            lines: self.report_lines(cycle, &closing, now)?,
            entries,
        })
    }

    /// The obligations of a cycle and of all before it that count, each under the cycle that settles it.
    fn of_cycles(&self, cycle: u64, tip: u64) -> Result<Behind, Fault> {
        // By which cycle each is settled, and before which entry: what is written off of its payments comes later.
        let mut settles: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        let mut to = 0u64;
        for number in 1..=cycle {
            let closing = self.closing(number)?;
            let before = end(&closing);
            settles.insert(number, (number, before));
            for earlier in &closing.includes {
                settles.insert(*earlier, (number, before));
            }
            to = to.max(before);
        }
        let mut behind = Behind::default();
        effects(self.read, 0, to.min(tip.saturating_add(1)), &mut |one| {
            if let Some((number, before)) = settles.get(&one.cycle)
                && one.seq < *before
            {
                if *number == cycle {
                    behind.own.entry(one.currency).or_default().push(one);
                } else if is_traded(&one) {
                    behind.before.entry((*number, one.currency)).or_default().add(&one);
                }
            }
            Ok(())
        })?;
        Ok(behind)
    }

    /// The nets of the entries are those of the lines.
    fn agrees(
        &self,
        cycle: u64,
        closing: &Closing,
        currency: Currency,
        matrix: &Matrix,
    ) -> Result<(), Fault> {
        if closing.computed.is_none() || closing.returned.is_some() || closing.voided.is_some() {
            return Ok(());
        }
        for (who, net) in matrix.nets()? {
            let record = self.record(&Name::Line(cycle, who.clone(), currency))?;
            let line = record.as_ref().and_then(Record::line).map_or(0, |line| line.net);
            if line != net {
                return Err(Fault::Damaged(format!(
                    "cycle {cycle}: {who} has {net} in {currency} by the entries, and {line} by its line"
                )));
            }
        }
        Ok(())
    }

    fn report_lines(&self, cycle: u64, closing: &Closing, now: Time) -> Result<Vec<ReportLine>, Fault> {
        let mut lines = vec![];
        for (participant, currency, line) in self.lines(cycle)? {
            let (mut next, mut stage, mut bearer) = (line.instruction, None, None);
            // What was written off of one that was issued again since stands with the one before.
            while let (Some(id), None) = (next, &bearer) {
                let one = self.instruction(id)?;
                stage = stage.or_else(|| Some(instruction_stage(&one, closing, now.seconds())));
                (next, bearer) = (one.replaces, one.bearer);
            }
            let carried = line.carried();
            let Line { net, carry, amount, instruction, paid, drawn, lost, written_off, kept, .. } = line;
            lines.push(ReportLine {
                participant,
                currency,
                net,
                carry,
                amount,
                carried,
                paid,
                drawn,
                lost,
                written_off,
                kept,
                instruction,
                stage,
                bearer,
            });
        }
        Ok(lines)
    }
}

impl CycleReport {
    /// What concerns one participant: its lines, its documents and its entries, and no sum over others.
    pub fn of(mut self, who: &ParticipantId) -> Self {
        self.lines.retain(|line| line.participant == *who);
        self.entries.retain(|one| one.debtor == *who || one.creditor == *who);
        for side in &mut self.sides {
            side.documents.retain(|one| one.debt.debtor == *who || one.debt.creditor == *who);
            (side.figures, side.set_off) = (None, None);
        }
        self.sides.retain(|side| !side.documents.is_empty());
        self.next = None;
        self
    }

    /// As CSV: a row for the cycle, each figure, document, line and entry; amounts in the network's smallest unit.
    pub fn csv(&self) -> Result<Vec<u8>, Fault> {
        let mut out = csv::Writer::from_writer(vec![]);
        let wrong = |e: csv::Error| Fault::No(e.to_string());
        let header = [
            "record",
            "cycle",
            "currency",
            "number",
            "participant",
            "debtor",
            "creditor",
            "count",
            "amount",
            "net",
            "carry",
            "carried",
            "paid",
            "drawn",
            "lost",
            "written_off",
            "kept",
            "instruction",
            "stage",
            "entry",
            "at",
            "what",
            "service",
            "taxable",
            "tax_category",
            "tax_rate",
            "tax",
            "bearer",
            "checkpoint",
        ];
        out.write_record(header).map_err(wrong)?;
        let mut row = |cells: &[(&str, String)]| {
            let cell = |name: &&str| {
                cells.iter().find(|(have, _)| have == name).map_or(String::new(), |(_, value)| value.clone())
            };
            out.write_record(header.iter().map(cell)).map_err(wrong)
        };
        let n = |n: &dyn std::fmt::Display| n.to_string();
        let cycle = n(&self.cycle);
        row(&[
            ("record", "cycle".into()),
            ("cycle", cycle.clone()),
            ("stage", n(&self.stage)),
            ("entry", n(&self.cut)),
            ("checkpoint", format!("{} {}", self.seq.saturating_add(1), self.root)),
        ])?;
        for side in &self.sides {
            let all = side.figures.iter().flat_map(|figures| {
                [
                    ("gross", figures.gross),
                    ("bilateral", figures.bilateral),
                    ("multilateral", figures.multilateral),
                ]
            });
            for (name, figure) in all {
                row(&[
                    ("record", "figure".into()),
                    ("cycle", cycle.clone()),
                    ("currency", n(&side.currency)),
                    ("what", name.into()),
                    ("count", n(&figure.payments)),
                    ("amount", n(&figure.value)),
                ])?;
            }
            if let Some(apart) = &side.set_off {
                for (name, count, amount) in
                    [("apart", apart.pairs, apart.owed), ("left_apart", apart.payments, apart.left)]
                {
                    row(&[
                        ("record", "figure".into()),
                        ("cycle", cycle.clone()),
                        ("currency", n(&side.currency)),
                        ("what", name.into()),
                        ("count", n(&count)),
                        ("amount", n(&amount)),
                    ])?;
                }
            }
            for one in &side.documents {
                row(&[
                    ("record", "document".into()),
                    ("cycle", cycle.clone()),
                    ("currency", n(&side.currency)),
                    ("number", n(&one.number)),
                    ("debtor", n(&one.debt.debtor)),
                    ("creditor", n(&one.debt.creditor)),
                    ("count", n(&one.debt.count)),
                    ("amount", n(&one.debt.amount)),
                ])?;
            }
        }
        for line in &self.lines {
            row(&[
                ("record", "line".into()),
                ("cycle", cycle.clone()),
                ("currency", n(&line.currency)),
                ("participant", n(&line.participant)),
                ("net", n(&line.net)),
                ("carry", n(&line.carry)),
                ("amount", n(&line.amount)),
                ("carried", n(&line.carried)),
                ("paid", n(&line.paid)),
                ("drawn", n(&line.drawn)),
                ("lost", n(&line.lost)),
                ("written_off", n(&line.written_off)),
                ("kept", n(&line.kept)),
                ("instruction", line.instruction.map_or(String::new(), |id| id.to_string())),
                ("stage", line.stage.map_or(String::new(), |stage| stage.to_string())),
                ("bearer", line.bearer.as_ref().map_or(String::new(), |bearer| bearer.to_string())),
            ])?;
        }
        for one in &self.entries {
            let of = |text: &dyn Fn(&SupplyLine) -> String| one.supply.as_ref().map_or(String::new(), text);
            row(&[
                ("record", "entry".into()),
                ("cycle", cycle.clone()),
                ("currency", n(&one.currency)),
                ("debtor", n(&one.debtor)),
                ("creditor", n(&one.creditor)),
                ("amount", n(&one.amount)),
                ("entry", n(&one.seq)),
                ("at", n(&one.at)),
                ("what", one.what()),
                ("service", one.service().unwrap_or_default().into()),
                ("taxable", of(&|supply| n(&supply.net))),
                ("tax_category", of(&|supply| word(&supply.category))),
                ("tax_rate", of(&|supply| n(&supply.rate))),
                ("tax", of(&|supply| n(&supply.tax))),
            ])?;
        }
        out.into_inner().map_err(|e| Fault::No(e.to_string()))
    }
}
