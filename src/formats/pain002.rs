//! pain.002: what a bank says of an order.
//!
//! Owns: reading status reports (pain.002.001.03, .10 and the later ones of the same form).
//! Promises: a status that is not known is an error and never an acceptance.
//! Refuses to know: what follows; only a statement's lines confirm a payment.

use super::xml::{Element, read};
use crate::types::Malformed;

/// What a status means for whoever sent the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The bank received it, or waits for something.
    Pending,
    /// The bank will carry it out, or did: acknowledged, not confirmed.
    Accepted,
    /// Some of it was accepted: see the payments.
    PartlyAccepted,
    /// It will not be carried out.
    Rejected,
}

impl Verdict {
    /// From the external code set (ExternalPaymentTransactionStatus1Code and its kin).
    fn of(code: &str) -> Result<Self, Malformed> {
        Ok(match code {
            "RCVD" | "PDNG" | "PATC" => Self::Pending,
            "ACTC" | "ACCP" | "ACSP" | "ACSC" | "ACWC" | "ACWP" | "ACFC" | "ACCC" => Self::Accepted,
            "PART" => Self::PartlyAccepted,
            "RJCT" | "CANC" | "BLCK" => Self::Rejected,
            other => {
                return Err(Malformed(format!(
                    "the status {other:?} is not known: ask the bank what it means"
                )));
            }
        })
    }
}

/// What is said of one payment, or of a block of payments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reported {
    /// The payment's EndToEndId, or the block's id.
    pub id: String,
    /// What becomes of it.
    pub verdict: Verdict,
    /// The bank's code for it.
    pub code: String,
    /// Reasons: an ISO external code such as AC04, or the bank's own words.
    pub reasons: Vec<String>,
}

/// A status report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StatusReport {
    /// The report's id.
    pub id: String,
    /// The id of the message that it is about.
    pub message: String,
    /// What is said of the message as a whole, if anything.
    pub group: Option<Reported>,
    /// What is said of its payment blocks.
    pub blocks: Vec<Reported>,
    /// What is said of single payments.
    pub payments: Vec<Reported>,
}

/// The forms that are read.
const VERSIONS: [&str; 4] = ["03", "10", "12", "14"];

/// Reads a status report.
pub fn read_pain002(bytes: &[u8]) -> Result<StatusReport, Malformed> {
    let accepts = |space: &str| {
        let version = space.strip_prefix("urn:iso:std:iso:20022:tech:xsd:pain.002.001.")?;
        VERSIONS.contains(&version).then_some(())
    };
    let (root, ()) = read(bytes, accepts)?;
    let none = || Malformed("Document without CstmrPmtStsRpt".into());
    let report = root.at(&["CstmrPmtStsRpt"]).ok_or_else(none)?;
    let original = report.at(&["OrgnlGrpInfAndSts"]);
    let original = original.ok_or_else(|| Malformed("CstmrPmtStsRpt without OrgnlGrpInfAndSts".into()))?;
    let message = original.need(&["OrgnlMsgId"])?.to_owned();
    let group = said(original, "GrpSts", message.clone())?;
    let (mut blocks, mut payments) = (vec![], vec![]);
    for block in report.all("OrgnlPmtInfAndSts") {
        let id = block.need(&["OrgnlPmtInfId"])?.to_owned();
        blocks.extend(said(block, "PmtInfSts", id)?);
        for payment in block.all("TxInfAndSts") {
            let id = payment.need(&["OrgnlEndToEndId"])?.to_owned();
            payments.extend(said(payment, "TxSts", id)?);
        }
    }
    Ok(StatusReport { id: report.need(&["GrpHdr", "MsgId"])?.to_owned(), message, group, blocks, payments })
}

fn said(of: &Element, status: &str, id: String) -> Result<Option<Reported>, Malformed> {
    let Some(code) = of.text_at(&[status]) else { return Ok(None) };
    let mut reasons = vec![];
    for info in of.all("StsRsnInf") {
        reasons.extend(info.text_at(&["Rsn", "Cd"]).or(info.text_at(&["Rsn", "Prtry"])).map(str::to_owned));
        reasons
            .extend(info.all("AddtlInf").map(|more| more.text.trim().to_owned()).filter(|t| !t.is_empty()));
    }
    Ok(Some(Reported { id, verdict: Verdict::of(code)?, code: code.to_owned(), reasons }))
}
