//! A cycle's orders: from its instructions and the parties' accounts to what a bank reads, and to payers' notices.
//!
//! Owns: which payments stand in which file, in which order and under which names; the name of a message.
//! Promises: the same instructions, accounts and days give the same bytes, so that a file can be made again; two files
//! never have the same message id, nor two payments the same EndToEndId.
//! Refuses to know: whether a file may leave.

use super::amount::decimal;
use super::pain::{BankParty, Order};
use super::pain001::{CreditTransfers, Transfer};
use super::pain008::{Debit, DirectDebits, Mandate, Scheme, SequenceType};
use super::settlement::{end_to_end, reference};
use crate::book::Instruction;
use crate::clearing::{
    BankDetails, Bic, CreditorId, DebitScheme, Iban, Reference, is_business_day, on_or_after,
};
use crate::types::{Currency, Date, Hash, Ident, InstructionId, Malformed, Money, ParticipantId, Time, hex};
use serde::{Deserialize, Serialize};

/// The house's settlement account in a currency.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettlementAccount {
    /// Its holder, as the bank knows it.
    #[schema(example = "Tallyhouse Clearing")]
    pub name: String,
    /// Its number.
    pub iban: Iban,
    /// Its bank; not needed within SEPA.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub bic: Option<Bic>,
    /// Under which identifier the house collects by direct debit, if it does.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub creditor_id: Option<CreditorId>,
}

impl SettlementAccount {
    fn party(&self) -> BankParty {
        BankParty { name: self.name.clone(), iban: self.iban.clone(), bic: self.bic.clone() }
    }
}

/// An instruction, and the account of its participant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ordered {
    /// The instruction's id.
    pub id: InstructionId,
    /// What it says.
    pub instruction: Instruction,
    /// The account.
    pub details: BankDetails,
}

/// What all files of a cycle in one currency have in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The network.
    pub net: Hash,
    /// The cycle.
    pub cycle: u64,
    /// The version of the cycle.
    pub version: u32,
    /// The currency.
    pub currency: Currency,
    /// Digits of the bank's minor unit.
    pub digits: u8,
    /// The bank's minor unit in the network's smallest.
    pub unit: u64,
    /// When the cycle was approved: all its files say that they were made then.
    pub created: Time,
    /// The house's account.
    pub house: SettlementAccount,
    /// Whether people signed for it.
    pub signed: bool,
}

/// What a file is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileOf {
    /// The cycle's pay-outs.
    PayOuts,
    /// One that was issued again.
    Again(InstructionId),
    /// The cycle's pay-ins under mandates of one scheme.
    Debits(DebitScheme),
}

/// A message's id: of the network, the cycle, its version and the file. A bank takes a message of one id once.
pub fn message_id(
    net: Hash,
    cycle: u64,
    version: u32,
    currency: Currency,
    of: FileOf,
) -> Result<Ident, Malformed> {
    let Hash(net) = net;
    let net = hex(net.get(..4).unwrap_or_default());
    let text = match of {
        FileOf::Again(id) => format!("{net}-{}", end_to_end(id)?),
        FileOf::PayOuts => format!("{net}-{cycle}-{version}-{currency}"),
        FileOf::Debits(DebitScheme::Core) => format!("{net}-{cycle}-{version}-{currency}-C"),
        FileOf::Debits(DebitScheme::B2b) => format!("{net}-{cycle}-{version}-{currency}-B"),
    };
    text.parse()
}

impl Batch {
    fn order(&self, of: FileOf) -> Result<Order, Malformed> {
        Ok(Order {
            message: message_id(self.net, self.cycle, self.version, self.currency, of)?,
            created: self.created,
            initiator: self.house.name.clone(),
            account: self.house.party(),
            currency: self.currency,
            digits: self.digits,
        })
    }

    /// An amount in the bank's minor unit.
    fn minor(&self, id: InstructionId, amount: Money) -> Result<u64, Malformed> {
        let rest = amount.get().checked_rem(self.unit);
        let minor = amount.get().checked_div(self.unit).filter(|_| rest == Some(0));
        minor.ok_or_else(|| Malformed(format!("{id}: {amount} is not a whole number of the bank's unit")))
    }

    fn party(&self, one: &Ordered) -> BankParty {
        BankParty {
            name: one.details.name.clone(),
            iban: one.details.iban.clone(),
            bic: one.details.bic.clone(),
        }
    }

    /// Pay-outs as credit transfers, in the order of their ids.
    pub fn transfers(&self, of: FileOf, on: Date, all: &[Ordered]) -> Result<CreditTransfers, Malformed> {
        let transfer = |one: &Ordered| {
            Ok(Transfer {
                id: end_to_end(one.id)?,
                amount: self.minor(one.id, one.instruction.amount)?,
                creditor: self.party(one),
                reference: None,
                text: Some(format!("Points clearing, cycle {}", self.cycle)),
            })
        };
        let transfers = sorted(all).into_iter().map(transfer).collect::<Result<_, Malformed>>()?;
        Ok(CreditTransfers { order: self.order(of)?, on, transfers })
    }

    /// Pay-ins under mandates of a scheme as direct debits, in the order of their ids; `None` if there are none.
    pub fn debits(
        &self,
        scheme: DebitScheme,
        on: Date,
        all: &[Ordered],
    ) -> Result<Option<DirectDebits>, Malformed> {
        let mut debits = vec![];
        for one in sorted(all) {
            let Some(mandate) = one.details.mandate.as_ref().filter(|m| m.scheme == scheme) else { continue };
            debits.push(Debit {
                id: end_to_end(one.id)?,
                amount: self.minor(one.id, one.instruction.amount)?,
                debtor: self.party(one),
                mandate: Mandate {
                    id: mandate.id.clone(),
                    signed: mandate.signed,
                    sequence: SequenceType::Recurring,
                },
                reference: Some(reference(one.id)?),
            });
        }
        if debits.is_empty() {
            return Ok(None);
        }
        let none = || Malformed("creditor_id: the settlement account needs one to collect by debit".into());
        let creditor_id = self.house.creditor_id.clone().ok_or_else(none)?;
        let order = self.order(FileOf::Debits(scheme))?;
        let scheme = match scheme {
            DebitScheme::Core => Scheme::Core,
            DebitScheme::B2b => Scheme::B2b,
        };
        Ok(Some(DirectDebits { order, creditor_id, scheme, on, debits }))
    }

    /// What a payer is asked for. `due` is the first instant at which it is late, in Unix seconds.
    pub fn notice(
        &self,
        id: InstructionId,
        instruction: &Instruction,
        due: u64,
        by_debit: bool,
    ) -> Result<PayInNotice, Malformed> {
        let minor = i64::try_from(self.minor(id, instruction.amount)?)
            .map_err(|_| Malformed("an amount above 63 bits".into()))?;
        Ok(PayInNotice {
            instruction: id,
            participant: instruction.participant.clone(),
            currency: self.currency,
            amount: decimal(minor, self.digits),
            reference: reference(id)?,
            until: last_day(due),
            account: self.house.clone(),
            signed: self.signed,
            by_debit,
        })
    }
}

fn sorted(all: &[Ordered]) -> Vec<&Ordered> {
    let mut all: Vec<&Ordered> = all.iter().collect();
    all.sort_by_key(|one| one.id);
    all
}

/// The last business day before an instant at which payers are late, in Unix seconds.
pub fn last_day(due: u64) -> Date {
    let at = |seconds: u64| Time::from_seconds(seconds).unwrap_or_default().date(0);
    let mut back = due.saturating_sub(1);
    for _ in 0..7 {
        if is_business_day(at(back)) {
            break;
        }
        back = back.saturating_sub(86_400);
    }
    at(back)
}

/// The business day on which pay-outs are carried out, if nothing else is said: when payers would be late, or the next; once
/// that has passed, today, or the next. `today` is the log's day in UTC.
pub fn pay_out_day(due: u64, today: Date) -> Date {
    on_or_after(Time::from_seconds(due).unwrap_or_default().date(0).max(today))
}

/// The business day on which debits are collected, if nothing else is said: the last on which payers are in time; once that
/// has come, the business day after today, since no bank collects on the day on which it is told.
pub fn debit_day(due: u64, today: Date) -> Date {
    let last = last_day(due);
    if last > today { last } else { on_or_after(today.plus_days(1)) }
}

/// What a participant is asked to pay, and how.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, utoipa::ToSchema)]
pub struct PayInNotice {
    /// The instruction: the EndToEndId, with a dash instead of the underscore.
    pub instruction: InstructionId,
    /// Who pays.
    pub participant: ParticipantId,
    /// The currency.
    pub currency: Currency,
    /// How much, as a decimal of the currency.
    #[schema(example = "1234.56")]
    pub amount: String,
    /// The structured reference (ISO 11649) by which the payment is known.
    pub reference: Reference,
    /// The last business day on which it arrives in time.
    pub until: Date,
    /// To which account.
    pub account: SettlementAccount,
    /// Whether the log has a commitment to that account that two people signed and a third confirmed; if not, one node's
    /// configuration alone says it.
    pub signed: bool,
    /// Whether it is collected under the participant's mandate: then there is nothing to do.
    pub by_debit: bool,
}

/// Notices as CSV.
pub fn write_notices_csv(notices: &[PayInNotice]) -> Result<Vec<u8>, Malformed> {
    let mut out = csv::Writer::from_writer(vec![]);
    let wrong = |e: csv::Error| Malformed(e.to_string());
    let header = [
        "instruction",
        "participant",
        "currency",
        "amount",
        "reference",
        "until",
        "name",
        "iban",
        "bic",
        "by_debit",
    ];
    out.write_record(header).map_err(wrong)?;
    for one in notices {
        let bic = one.account.bic.as_ref().map(ToString::to_string).unwrap_or_default();
        out.write_record([
            one.instruction.to_string(),
            one.participant.to_string(),
            one.currency.to_string(),
            one.amount.clone(),
            one.reference.to_string(),
            one.until.to_string(),
            one.account.name.clone(),
            one.account.iban.to_string(),
            bic,
            one.by_debit.to_string(),
        ])
        .map_err(wrong)?;
    }
    out.into_inner().map_err(|e| Malformed(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::write_pain001;

    fn batch() -> Batch {
        Batch {
            net: Hash([0xab; 32]),
            cycle: 7,
            version: 2,
            currency: "EUR".parse().expect("EUR"),
            digits: 2,
            unit: 100,
            created: "2026-11-30T08:15:00.000000Z".parse().expect("an instant"),
            house: SettlementAccount {
                name: "Tallyhouse Clearing".into(),
                iban: "DE89370400440532013000".parse().expect("an IBAN"),
                bic: None,
                creditor_id: None,
            },
            signed: true,
        }
    }

    fn ordered(part: u16, amount: u64, mandate: Option<DebitMandateText>) -> Ordered {
        let text = format!(
            r#"{{"cycle":7,"version":2,"participant":"pa_{part}","currency":"EUR","way":"out","amount":{amount},"confirmed":0}}"#
        );
        let details = BankDetails {
            participant: format!("pa_{part}").parse().expect("an id"),
            currency: "EUR".parse().expect("EUR"),
            name: "Harvest AG".into(),
            iban: "GB29NWBK60161331926819".parse().expect("an IBAN"),
            bic: None,
            mandate: mandate.map(|text| serde_json::from_str(text).expect("a mandate")),
        };
        let id = InstructionId { seq: 42, part };
        Ordered { id, instruction: serde_json::from_str(&text).expect("an instruction"), details }
    }

    type DebitMandateText = &'static str;

    #[test]
    fn the_same_instructions_make_the_same_file_in_whichever_order_they_come() {
        let on = "2026-12-01".parse().expect("a date");
        let (a, b) = (ordered(1, 50_000, None), ordered(2, 1_230_000, None));
        let made = |all: &[Ordered]| {
            write_pain001(&batch().transfers(FileOf::PayOuts, on, all).expect("orders")).expect("written")
        };
        let file = made(&[a.clone(), b.clone()]);
        assert_eq!(file, made(&[b, a.clone()]));
        let text = String::from_utf8(file).expect("UTF-8");
        for part in ["abababab-7-2-EUR", "ins-42.1", ">5.00<", ">123.00<", "cycle 7"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(batch().transfers(FileOf::PayOuts, on, &[ordered(1, 50_050, None)]).is_err(), "half a cent");
        let id = |of| message_id(Hash([0xab; 32]), 7, 2, batch().currency, of).expect("an id");
        assert_eq!(id(FileOf::PayOuts).as_str(), "abababab-7-2-EUR");
        assert_eq!(id(FileOf::Again(a.id)).as_str(), "abababab-ins-42.1");
    }

    #[test]
    fn who_has_a_mandate_is_debited_and_the_others_are_asked() {
        let mandate = r#"{"id":"M-1","signed":"2026-01-15","scheme":"b2b"}"#;
        let all = [ordered(1, 50_000, Some(mandate)), ordered(2, 70_000, None)];
        let on = "2026-12-01".parse().expect("a date");
        let mut batch = batch();
        assert!(batch.debits(DebitScheme::B2b, on, &all).is_err(), "no creditor identifier");
        batch.house.creditor_id = Some("DE98ZZZ09999999999".parse().expect("one"));
        let debits = batch.debits(DebitScheme::B2b, on, &all).expect("made").expect("one");
        assert_eq!(debits.debits.len(), 1);
        assert_eq!(batch.debits(DebitScheme::Core, on, &all), Ok(None));
        // Monday 30 November: who is late from the first second of 1 December on pays on the 30th.
        let due = Time::from_seconds(1_796_083_200).expect("an instant");
        assert_eq!(due.to_string(), "2026-12-01T00:00:00.000000Z");
        let notice = batch.notice(all[1].id, &all[1].instruction, due.seconds(), false).expect("a notice");
        assert_eq!((notice.amount.as_str(), notice.until.to_string().as_str()), ("7.00", "2026-11-30"));
        let csv = String::from_utf8(write_notices_csv(&[notice]).expect("CSV")).expect("UTF-8");
        assert!(csv.contains("ins_42.2,pa_2,EUR,7.00,RF"), "{csv}");
        // Saturday, Sunday and Monday's first second: the Friday before.
        assert_eq!(last_day(due.seconds() - 86_400).to_string(), "2026-11-27");
        let day = |text: &str| text.parse::<Date>().expect("a date");
        let on = |today| pay_out_day(due.seconds() - 2 * 86_400, day(today)).to_string();
        assert_eq!(on("2026-11-20"), "2026-11-30");
        // After a shortfall that day has passed.
        assert_eq!([on("2026-12-04"), on("2026-12-05")], ["2026-12-04", "2026-12-07"]);
        assert_eq!(on("2026-12-25"), "2026-12-28", "Christmas, and a weekend");
        let on = |today| debit_day(due.seconds() - 86_400, day(today)).to_string();
        assert_eq!([on("2026-11-26"), on("2026-11-27")], ["2026-11-27", "2026-11-30"]);
        assert_eq!(on("2026-12-24"), "2026-12-28");
    }
}
