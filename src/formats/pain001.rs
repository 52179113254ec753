//! pain.001.001.09: credit transfers from the settlement account.
//!
//! Owns: the message's form (ISO 20022 Payments Initiation, 2019; EPC132-08 where the currency is the euro).
//! Promises: the file validates against the ISO schema; its count and control sum are those of its payments.
//! Refuses to know: approvals; whoever sends the file signs its hash.

use super::pain::{BankParty, Item, Order, account, agent, party, remittance};
use super::xml::Writer;
use crate::clearing::Reference;
use crate::types::{Date, Ident, Malformed};

/// Credit transfers, in one payment block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreditTransfers {
    /// The message, and the account that pays.
    pub order: Order,
    /// The business day on which they are to be paid.
    pub on: Date,
    /// The payments.
    pub transfers: Vec<Transfer>,
}

/// One payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The instruction's id, which comes back as EndToEndId: at most 35 characters.
    pub id: Ident,
    /// How much, in the bank's minor unit.
    pub amount: u64,
    /// Who receives it.
    pub creditor: BankParty,
    /// The creditor's structured reference, if it gave one.
    pub reference: Option<Reference>,
    /// A free text, if there is no reference.
    pub text: Option<String>,
}

/// Writes the file.
pub fn write_pain001(file: &CreditTransfers) -> Result<Vec<u8>, Malformed> {
    let order = &file.order;
    let items: Vec<Item<'_>> = file.transfers.iter().map(|t| Item { id: &t.id, amount: t.amount }).collect();
    let sum = order.decimal(order.check(&items)?)?;
    let amounts: Vec<String> =
        file.transfers.iter().map(|t| order.decimal(t.amount)).collect::<Result<_, _>>()?;
    let count = file.transfers.len();
    let mut w = Writer::document("urn:iso:std:iso:20022:tech:xsd:pain.001.001.09");
    w.nest("CstmrCdtTrfInitn", |w| {
        order.header(w, count, &sum);
        w.nest("PmtInf", |w| {
            w.leaf(&["PmtInfId"], &format!("{}-1", order.message));
            w.leaf(&["PmtMtd"], "TRF");
            // One line a payment on the statement, so that each can be matched.
            w.leaf(&["BtchBookg"], "false");
            w.leaf(&["NbOfTxs"], &count.to_string());
            w.leaf(&["CtrlSum"], &sum);
            if order.is_euro() {
                w.leaf(&["PmtTpInf", "SvcLvl", "Cd"], "SEPA");
            }
            w.leaf(&["ReqdExctnDt", "Dt"], &file.on.to_string());
            party(w, "Dbtr", &order.account);
            account(w, "DbtrAcct", &order.account);
            agent(w, "DbtrAgt", order.account.bic.as_ref());
            w.leaf(&["ChrgBr"], if order.is_euro() { "SLEV" } else { "SHAR" });
            for (transfer, amount) in file.transfers.iter().zip(&amounts) {
                w.nest("CdtTrfTxInf", |w| {
                    w.nest("PmtId", |w| {
                        w.leaf(&["InstrId"], transfer.id.as_str());
                        w.leaf(&["EndToEndId"], transfer.id.as_str());
                    });
                    w.nest("Amt", |w| w.money("InstdAmt", order.currency.as_str(), amount));
                    if let Some(bic) = &transfer.creditor.bic {
                        agent(w, "CdtrAgt", Some(bic));
                    }
                    party(w, "Cdtr", &transfer.creditor);
                    account(w, "CdtrAcct", &transfer.creditor);
                    remittance(w, transfer.reference.as_ref(), transfer.text.as_deref());
                });
            }
        });
    });
    Ok(w.finish())
}
