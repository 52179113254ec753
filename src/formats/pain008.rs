//! pain.008.001.08: direct debits to the settlement account, under mandates.
//!
//! Owns: the message's form (ISO 20022 Payments Initiation, 2019; EPC130-08 and EPC131-08).
//! Promises: the file validates against the ISO schema; payments of one place in their mandates' sequence stand in
//! one block.
//! Refuses to know: whether a mandate is in force.

use super::pain::{BankParty, Item, Order, account, agent, party, remittance};
use super::xml::Writer;
use crate::clearing::{CreditorId, Reference};
use crate::types::{Date, Ident, Malformed};

/// Whose rules a debit follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// May be returned for eight weeks without a reason.
    Core,
    /// Between businesses: no refund of an authorised debit.
    B2b,
}

/// A debit's place in its mandate's sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum SequenceType {
    /// The first of several.
    First,
    /// One of several.
    Recurring,
    /// The last of several.
    Final,
    /// The only one.
    OneOff,
}

impl SequenceType {
    const ALL: [Self; 4] = [Self::First, Self::Recurring, Self::Final, Self::OneOff];

    fn code(self) -> &'static str {
        match self {
            Self::First => "FRST",
            Self::Recurring => "RCUR",
            Self::Final => "FNAL",
            Self::OneOff => "OOFF",
        }
    }
}

/// The debtor's permission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mandate {
    /// Its reference: at most 35 characters.
    pub id: Ident,
    /// When it was signed.
    pub signed: Date,
    /// This debit's place in its sequence.
    pub sequence: SequenceType,
}

/// Direct debits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectDebits {
    /// The message, and the account that receives.
    pub order: Order,
    /// Under which identifier the house collects.
    pub creditor_id: CreditorId,
    /// Whose rules.
    pub scheme: Scheme,
    /// The business day on which they are due.
    pub on: Date,
    /// The payments.
    pub debits: Vec<Debit>,
}

/// One payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Debit {
    /// The instruction's id, which comes back as EndToEndId: at most 35 characters.
    pub id: Ident,
    /// How much, in the bank's minor unit.
    pub amount: u64,
    /// Who pays it.
    pub debtor: BankParty,
    /// Under which mandate.
    pub mandate: Mandate,
    /// The notice's structured reference.
    pub reference: Option<Reference>,
}

/// Writes the file.
pub fn write_pain008(file: &DirectDebits) -> Result<Vec<u8>, Malformed> {
    let order = &file.order;
    let sum = order.decimal(order.check(&items(&file.debits.iter().collect::<Vec<_>>()))?)?;
    let mut blocks = vec![];
    for sequence in SequenceType::ALL {
        let of: Vec<&Debit> = file.debits.iter().filter(|d| d.mandate.sequence == sequence).collect();
        if of.is_empty() {
            continue;
        }
        if let Some(long) = of.iter().find(|d| d.mandate.id.as_str().len() > 35) {
            return Err(Malformed(format!("the mandate {} has more than 35 characters", long.mandate.id)));
        }
        let sum = order.decimal(order.check(&items(&of))?)?;
        let amounts: Vec<String> = of.iter().map(|d| order.decimal(d.amount)).collect::<Result<_, _>>()?;
        blocks.push((sequence, of, sum, amounts));
    }
    let mut w = Writer::document("urn:iso:std:iso:20022:tech:xsd:pain.008.001.08");
    w.nest("CstmrDrctDbtInitn", |w| {
        order.header(w, file.debits.len(), &sum);
        for ((sequence, debits, sum, amounts), number) in blocks.iter().zip(1u8..) {
            w.nest("PmtInf", |w| {
                w.leaf(&["PmtInfId"], &format!("{}-{number}", order.message));
                w.leaf(&["PmtMtd"], "DD");
                w.leaf(&["BtchBookg"], "false");
                w.leaf(&["NbOfTxs"], &debits.len().to_string());
                w.leaf(&["CtrlSum"], sum);
                w.nest("PmtTpInf", |w| {
                    if order.is_euro() {
                        w.leaf(&["SvcLvl", "Cd"], "SEPA");
                    }
                    let scheme = if file.scheme == Scheme::Core { "CORE" } else { "B2B" };
                    w.leaf(&["LclInstrm", "Cd"], scheme);
                    w.leaf(&["SeqTp"], sequence.code());
                });
                w.leaf(&["ReqdColltnDt"], &file.on.to_string());
                party(w, "Cdtr", &order.account);
                account(w, "CdtrAcct", &order.account);
                agent(w, "CdtrAgt", order.account.bic.as_ref());
                w.leaf(&["ChrgBr"], if order.is_euro() { "SLEV" } else { "SHAR" });
                w.nest("CdtrSchmeId", |w| {
                    w.nest("Id", |w| {
                        w.nest("PrvtId", |w| {
                            w.nest("Othr", |w| {
                                w.leaf(&["Id"], file.creditor_id.as_str());
                                w.leaf(&["SchmeNm", "Prtry"], "SEPA");
                            });
                        });
                    });
                });
                for (debit, amount) in debits.iter().zip(amounts) {
                    one(w, order, debit, amount);
                }
            });
        }
    });
    Ok(w.finish())
}

fn items<'a>(debits: &[&'a Debit]) -> Vec<Item<'a>> {
    debits.iter().map(|debit| Item { id: &debit.id, amount: debit.amount }).collect()
}

fn one(w: &mut Writer, order: &Order, debit: &Debit, amount: &str) {
    w.nest("DrctDbtTxInf", |w| {
        w.nest("PmtId", |w| {
            w.leaf(&["InstrId"], debit.id.as_str());
            w.leaf(&["EndToEndId"], debit.id.as_str());
        });
        w.money("InstdAmt", order.currency.as_str(), amount);
        w.nest("DrctDbtTx", |w| {
            w.nest("MndtRltdInf", |w| {
                w.leaf(&["MndtId"], debit.mandate.id.as_str());
                w.leaf(&["DtOfSgntr"], &debit.mandate.signed.to_string());
            });
        });
        agent(w, "DbtrAgt", debit.debtor.bic.as_ref());
        party(w, "Dbtr", &debit.debtor);
        account(w, "DbtrAcct", &debit.debtor);
        remittance(w, debit.reference.as_ref(), None);
    });
}
