//! What orders to a bank have in common: parties, ids, the header, the characters that a bank takes.
//!
//! Owns: the checks on an order's ids, names and amounts, and the blocks that pain.001 and pain.008 share.
//! Promises: what passes the checks is valid by the schema and within the SEPA character set (EPC217-08).
//! Refuses to know: which way the money goes.

use super::amount::decimal;
use super::xml::Writer;
use crate::clearing::{Bic, Iban, Reference};
use crate::types::{Currency, Ident, Malformed, Time};
use std::collections::BTreeSet;

/// Most characters of an id in ISO 20022 (Max35Text).
const MOST_ID: usize = 35;
/// Most characters of a name in SEPA.
const MOST_NAME: usize = 70;
/// Most characters of a free text (Max140Text).
const MOST_TEXT: usize = 140;

/// Somebody with an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BankParty {
    /// Its name; letters that SEPA does not have are written as close as it gets.
    pub name: String,
    /// Its account.
    pub iban: Iban,
    /// Its bank; not needed within SEPA.
    pub bic: Option<Bic>,
}

/// What an order says besides its payments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The message's id, at most 33 characters of SEPA's set.
    pub message: Ident,
    /// When it was made.
    pub created: Time,
    /// Who sends it.
    pub initiator: String,
    /// Whose account: the settlement account.
    pub account: BankParty,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// Digits of the bank's minor unit.
    pub digits: u8,
}

/// One payment of an order, as far as both kinds have it.
pub(super) struct Item<'a> {
    pub(super) id: &'a Ident,
    pub(super) amount: u64,
}

impl Order {
    pub(super) fn is_euro(&self) -> bool {
        self.currency.as_str() == "EUR"
    }

    pub(super) fn decimal(&self, minor: u64) -> Result<String, Malformed> {
        let minor = i64::try_from(minor).map_err(|_| Malformed("an amount above 63 bits".into()))?;
        Ok(decimal(minor, self.digits))
    }

    /// Checks ids and amounts. Returns the sum.
    pub(super) fn check(&self, items: &[Item<'_>]) -> Result<u64, Malformed> {
        // Room for what tells the payment blocks of one message apart.
        id(&self.message, MOST_ID.saturating_sub(2))?;
        if items.is_empty() {
            return Err(Malformed("an order has at least one payment".into()));
        }
        let (mut seen, mut sum) = (BTreeSet::new(), 0u64);
        for item in items {
            id(item.id, MOST_ID)?;
            if !seen.insert(item.id) {
                return Err(Malformed(format!("the id {} is twice in the order", item.id)));
            }
            if item.amount == 0 {
                return Err(Malformed(format!("{} is an order for nothing", item.id)));
            }
            let fits = |sum: &u64| i64::try_from(*sum).is_ok();
            let too_large = || Malformed("the order's amounts sum to more than a bank takes".into());
            sum = sum.checked_add(item.amount).filter(fits).ok_or_else(too_large)?;
        }
        Ok(sum)
    }

    pub(super) fn header(&self, w: &mut Writer, count: usize, sum: &str) {
        w.nest("GrpHdr", |w| {
            w.leaf(&["MsgId"], self.message.as_str());
            w.leaf(&["CreDtTm"], &second(self.created));
            w.leaf(&["NbOfTxs"], &count.to_string());
            w.leaf(&["CtrlSum"], sum);
            w.leaf(&["InitgPty", "Nm"], &name(&self.initiator));
        });
    }
}

/// An instant to the second, in UTC: `2026-11-30T08:15:00Z`.
fn second(at: Time) -> String {
    let text = at.to_string();
    text.split_once('.').map_or(text.clone(), |(head, _)| format!("{head}Z"))
}

/// An id as banks take it: SEPA has no underscore.
fn id(id: &Ident, most: usize) -> Result<(), Malformed> {
    let text = id.as_str();
    if text.len() > most || text.contains('_') {
        return Err(Malformed(format!("{text:?} is no id for a bank: at most {most} of A-Z a-z 0-9 . -")));
    }
    Ok(())
}

pub(super) fn agent(w: &mut Writer, name: &'static str, bic: Option<&Bic>) {
    match bic {
        Some(bic) => w.leaf(&[name, "FinInstnId", "BICFI"], bic.as_str()),
        None => w.leaf(&[name, "FinInstnId", "Othr", "Id"], "NOTPROVIDED"),
    }
}

pub(super) fn party(w: &mut Writer, tag: &'static str, party: &BankParty) {
    w.leaf(&[tag, "Nm"], &name(&party.name));
}

pub(super) fn account(w: &mut Writer, tag: &'static str, party: &BankParty) {
    w.leaf(&[tag, "Id", "IBAN"], party.iban.as_str());
}

/// A structured reference, or a free text; SEPA takes one of the two.
pub(super) fn remittance(w: &mut Writer, reference: Option<&Reference>, free: Option<&str>) {
    match (reference, free) {
        (Some(reference), _) => w.nest("RmtInf", |w| {
            w.nest("Strd", |w| {
                w.nest("CdtrRefInf", |w| {
                    w.nest("Tp", |w| {
                        w.leaf(&["CdOrPrtry", "Cd"], "SCOR");
                        w.leaf(&["Issr"], "ISO");
                    });
                    w.leaf(&["Ref"], reference.as_str());
                });
            });
        }),
        (None, Some(free)) => w.leaf(&["RmtInf", "Ustrd"], &plain(free, MOST_TEXT)),
        (None, None) => {}
    }
}

fn name(text: &str) -> String {
    plain(text, MOST_NAME)
}

/// The text in SEPA's characters, at most so many: letters lose their marks, what has no likeness becomes a point.
fn plain(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in text.chars() {
        let like = like(c);
        if out.len().saturating_add(like.len()) > most {
            break;
        }
        out.push_str(like);
        if like.is_empty() {
            out.push(if is_plain(c) { c } else { '.' });
        }
    }
    out.truncate(most);
    let trimmed = out.trim();
    if trimmed.is_empty() { ".".into() } else { trimmed.to_owned() }
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || " /-?:().,'+".contains(c)
}

/// What a letter is written as, after the conversion table of EPC217-08; empty if it stays, or has no likeness.
fn like(c: char) -> &'static str {
    match c {
        'À' | 'Á' | 'Â' | 'Ã' | 'Å' | 'Ā' | 'Ą' => "A",
        'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' | 'ą' => "a",
        'Ä' | 'Æ' => "AE",
        'ä' | 'æ' => "ae",
        'Ç' | 'Ć' | 'Č' => "C",
        'ç' | 'ć' | 'č' => "c",
        'Ď' | 'Đ' => "D",
        'ď' | 'đ' => "d",
        'È' | 'É' | 'Ê' | 'Ë' | 'Ę' | 'Ě' => "E",
        'è' | 'é' | 'ê' | 'ë' | 'ę' | 'ě' => "e",
        'Ğ' => "G",
        'ğ' => "g",
        'Ì' | 'Í' | 'Î' | 'Ï' | 'İ' => "I",
        'ì' | 'í' | 'î' | 'ï' | 'ı' => "i",
        'Ł' => "L",
        'ł' => "l",
        'Ñ' | 'Ń' | 'Ň' => "N",
        'ñ' | 'ń' | 'ň' => "n",
        'Ò' | 'Ó' | 'Ô' | 'Õ' | 'Ø' | 'Ő' => "O",
        'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ő' => "o",
        'Ö' | 'Œ' => "OE",
        'ö' | 'œ' => "oe",
        'Ř' => "R",
        'ř' => "r",
        'Ś' | 'Š' | 'Ş' | 'Ș' => "S",
        'ś' | 'š' | 'ş' | 'ș' => "s",
        'ß' => "ss",
        'Ť' | 'Ț' => "T",
        'ť' | 'ț' => "t",
        'Ù' | 'Ú' | 'Û' | 'Ů' | 'Ű' => "U",
        'ù' | 'ú' | 'û' | 'ů' | 'ű' => "u",
        'Ü' => "UE",
        'ü' => "ue",
        'Ý' => "Y",
        'ý' | 'ÿ' => "y",
        'Ź' | 'Ż' | 'Ž' => "Z",
        'ź' | 'ż' | 'ž' => "z",
        '&' => "+",
        '€' => "EUR",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_in_the_characters_of_sepa() {
        assert_eq!(name("Müller & Söhne GmbH, Łódź"), "Mueller + Soehne GmbH, Lodz");
        assert_eq!(name("日本 <b>"), ".. .b.");
        assert_eq!(name("  "), ".");
        assert_eq!(name(&"ß".repeat(60)).len(), 70);
        assert_eq!(name(&"x".repeat(200)).len(), 70);
    }
}
