//! camt.053 and camt.054: a bank's statements and notifications.
//!
//! Owns: reading both, in the forms .02 (2009) and .08 (2019) and those between.
//! Promises: what is read passes the statement's own check; only booked entries become lines; a batch becomes a line
//! for each payment if the bank says what each is worth, else one line without references, for a person.
//! Refuses to know: whether the lines were expected.

use super::amount::minor_units;
use super::xml::{Element, read};
use crate::clearing::{Balance, Line, Reference, Statement, StatementKind};
use crate::types::{Currency, Date, Malformed};

/// Most characters that are kept of a text.
const MOST_CHARS: usize = 140;

/// Reads all statements of a document. `digits` tells the digits of a currency's minor unit; `None` if the network
/// does not have it.
pub fn read_camt(bytes: &[u8], digits: impl Fn(Currency) -> Option<u8>) -> Result<Vec<Statement>, Malformed> {
    let accepts = |space: &str| {
        let version = space.strip_prefix("urn:iso:std:iso:20022:tech:xsd:camt.")?;
        let (kind, version) = version.split_once(".001.")?;
        let kind = match kind {
            "053" => StatementKind::Statement,
            "054" => StatementKind::Notification,
            _ => return None,
        };
        matches!(version, "02" | "03" | "04" | "05" | "06" | "07" | "08").then_some(kind)
    };
    let (root, kind) = read(bytes, accepts)?;
    let (outer, inner) = match kind {
        StatementKind::Statement => ("BkToCstmrStmt", "Stmt"),
        StatementKind::Notification => ("BkToCstmrDbtCdtNtfctn", "Ntfctn"),
    };
    let outer_element = root.at(&[outer]).ok_or_else(|| Malformed(format!("Document without {outer}")))?;
    let statements: Vec<Statement> =
        outer_element.all(inner).map(|one| statement(one, kind, &digits)).collect::<Result<_, _>>()?;
    if statements.is_empty() {
        return Err(Malformed(format!("{outer} without {inner}")));
    }
    Ok(statements)
}

fn statement(
    element: &Element,
    kind: StatementKind,
    digits: &impl Fn(Currency) -> Option<u8>,
) -> Result<Statement, Malformed> {
    let id = element.need(&["Id"])?.to_owned();
    let within = |e: Malformed| Malformed(format!("statement {id}: {e}"));
    let acct = element.at(&["Acct"]).ok_or_else(|| within(Malformed("Acct is missing".into())))?;
    let account = acct.text_at(&["Id", "IBAN"]).or(acct.text_at(&["Id", "Othr", "Id"]));
    let account =
        account.ok_or_else(|| within(Malformed("the account has no IBAN and no other id".into())))?;
    let money = Money::new(element, acct, digits).map_err(within)?;
    let balance = |codes: &[&str]| money.balance(element, codes).map_err(within);
    let mut lines = vec![];
    for (entry, place) in element.all("Ntry").zip(1u32..) {
        lines.extend(money.entry(entry, &format!("{id}-{place}")).map_err(within)?);
    }
    let number = element.text_at(&["ElctrncSeqNb"]).or(element.text_at(&["LglSeqNb"]));
    let read = Statement {
        kind,
        id: short(&id),
        number: number.and_then(|number| number.parse().ok()),
        account: account.to_owned(),
        currency: money.currency,
        opening: balance(&["OPBD", "PRCD"])?,
        closing: balance(&["CLBD"])?,
        lines,
    };
    read.check()?;
    Ok(read)
}

/// Whether money came in: a credit.
fn is_credit(element: &Element) -> Result<bool, Malformed> {
    match element.need(&["CdtDbtInd"])? {
        "CRDT" => Ok(true),
        "DBIT" => Ok(false),
        other => Err(Malformed(format!("CdtDbtInd is CRDT or DBIT, not {other:?}"))),
    }
}

/// The day of a choice of `Dt` and `DtTm`, as the bank counts days.
fn day(choice: Option<&Element>) -> Result<Date, Malformed> {
    let choice = choice.ok_or_else(|| Malformed("a date is missing".into()))?;
    let text = choice.text_at(&["Dt"]).or(choice.text_at(&["DtTm"]));
    let text = text.ok_or_else(|| Malformed(format!("{} without Dt or DtTm", choice.name)))?;
    text.get(..10).unwrap_or(text).parse()
}

/// A text of a bank in one line, at most 140 characters.
fn short(text: &str) -> String {
    let one_line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    one_line.trim().chars().take(MOST_CHARS).collect()
}

/// A reference that says nothing.
fn says_nothing(text: &str) -> bool {
    matches!(text, "NOTPROVIDED" | "NONREF" | "NOTPROVIDED." | "UNKNOWN")
}

/// Amounts of one account.
struct Money {
    currency: Currency,
    digits: u8,
}

impl Money {
    fn new(
        statement: &Element,
        account: &Element,
        digits: &impl Fn(Currency) -> Option<u8>,
    ) -> Result<Self, Malformed> {
        let of = |path: &[&str]| statement.at(path).and_then(|amount| amount.attribute("Ccy"));
        let code = account.text_at(&["Ccy"]).or(of(&["Bal", "Amt"])).or(of(&["Ntry", "Amt"]));
        let code = code.ok_or_else(|| Malformed("the account's currency is not named".into()))?;
        let currency: Currency = code.parse()?;
        let digits = digits(currency);
        let digits =
            digits.ok_or_else(|| Malformed(format!("{currency} is not a currency of the network")))?;
        Ok(Self { currency, digits })
    }

    /// An amount in the account's currency; `None` if it is in another.
    fn own(&self, amount: &Element) -> Result<Option<u64>, Malformed> {
        if amount.attribute("Ccy") != Some(self.currency.as_str()) {
            return Ok(None);
        }
        minor_units(amount.text.trim(), self.digits).map(Some)
    }

    /// The `Amt` in an element, with the sign of its CdtDbtInd.
    fn signed(&self, element: &Element) -> Result<i64, Malformed> {
        let amount =
            element.at(&["Amt"]).ok_or_else(|| Malformed(format!("{} without Amt", element.name)))?;
        let size = self.own(amount)?;
        let size = size.ok_or_else(|| Malformed(format!("an amount that is not in {}", self.currency)))?;
        signed(size, is_credit(element)?)
    }

    /// The first balance with one of these codes.
    fn balance(&self, statement: &Element, codes: &[&str]) -> Result<Option<Balance>, Malformed> {
        let code = |balance: &Element| {
            balance.text_at(&["Tp", "CdOrPrtry", "Cd"]).is_some_and(|code| codes.contains(&code))
        };
        let Some(found) = statement.all("Bal").find(|balance| code(balance)) else { return Ok(None) };
        Ok(Some(Balance { amount: self.signed(found)?, on: day(found.at(&["Dt"]))? }))
    }

    /// The lines of an entry: none if it is not booked.
    fn entry(&self, entry: &Element, place: &str) -> Result<Vec<Line>, Malformed> {
        let status = entry.text_at(&["Sts", "Cd"]).or(entry.text_at(&["Sts"]));
        match status {
            Some("BOOK") => {}
            Some("PDNG" | "INFO" | "FUTR") => return Ok(vec![]),
            other => return Err(Malformed(format!("an entry is BOOK, PDNG, INFO or FUTR, not {other:?}"))),
        }
        let credit = is_credit(entry)?;
        let amount = self.signed(entry)?;
        let reversal = match entry.text_at(&["RvslInd"]) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => return Err(Malformed(format!("RvslInd is true or false, not {other:?}"))),
        };
        let parts: Vec<&Element> = entry.all("NtryDtls").flat_map(|details| details.all("TxDtls")).collect();
        let named = |path: &[&str]| entry.text_at(path).filter(|text| !says_nothing(text));
        let of_part = || match parts.as_slice() {
            [one] => one.text_at(&["Refs", "AcctSvcrRef"]).filter(|text| !says_nothing(text)),
            _ => None,
        };
        let reference = named(&["AcctSvcrRef"]).or_else(|| named(&["NtryRef"])).or_else(of_part);
        let whole = Line {
            entry: short(reference.unwrap_or(place)),
            // NtryRef counts the entries of one message at many banks.
            unnamed: named(&["AcctSvcrRef"]).or_else(of_part).is_none(),
            detail: 0,
            booked: day(entry.at(&["BookgDt"]).or(entry.at(&["ValDt"])))?,
            amount,
            reversal,
            return_reason: None,
            end_to_end: None,
            reference: None,
            mistyped: None,
            text: entry.text_at(&["AddtlNtryInf"]).map(short),
            name: None,
            account: None,
        };
        if let [one] = parts.as_slice() {
            return Ok(vec![described(one, credit, whole)]);
        }
        Ok(self.split(&parts, credit, &whole)?.unwrap_or_else(|| vec![whole]))
    }

    /// A line for each payment of a batch, if their amounts are known and add up to the entry's.
    fn split(&self, parts: &[&Element], credit: bool, whole: &Line) -> Result<Option<Vec<Line>>, Malformed> {
        let (mut lines, mut sum) = (vec![], 0i64);
        for (part, detail) in parts.iter().zip(0u32..) {
            let amount = part.at(&["Amt"]).or(part.at(&["AmtDtls", "TxAmt", "Amt"]));
            let Some(size) = amount.map(|amount| self.own(amount)).transpose()?.flatten() else {
                return Ok(None);
            };
            let credit = if part.at(&["CdtDbtInd"]).is_some() { is_credit(part)? } else { credit };
            let amount = signed(size, credit)?;
            sum = sum.saturating_add(amount);
            lines.push(described(part, credit, Line { detail, amount, ..whole.clone() }));
        }
        Ok((!lines.is_empty() && sum == whole.amount).then_some(lines))
    }
}

fn signed(size: u64, credit: bool) -> Result<i64, Malformed> {
    let size = i64::try_from(size).map_err(|_| Malformed("an amount above 63 bits".into()))?;
    Ok(if credit { size } else { size.saturating_neg() })
}

/// The line with what the payment's details say.
fn described(part: &Element, credit: bool, line: Line) -> Line {
    // The other side of a credit is who paid it.
    let (party, account) = if credit { ("Dbtr", "DbtrAcct") } else { ("Cdtr", "CdtrAcct") };
    let texts: Vec<&str> =
        part.at(&["RmtInf"]).iter().flat_map(|info| info.all("Ustrd")).map(|t| t.text.trim()).collect();
    let free = texts.join(" ");
    let structured = part.at(&["RmtInf"]).into_iter().flat_map(|info| info.all("Strd"));
    let structured: Vec<&str> = structured.filter_map(|one| one.text_at(&["CdtrRefInf", "Ref"])).collect();
    // A reference that a payer typed into the free text counts if it is all of it, or one word of it.
    let typed = || {
        let words = std::iter::once(free.as_str()).chain(free.split_whitespace());
        words.filter_map(|word| word.parse::<Reference>().ok()).next()
    };
    let reference = structured.iter().find_map(|text| text.parse::<Reference>().ok()).or_else(typed);
    let mistyped = structured.first().filter(|_| reference.is_none()).map(|text| short(text));
    let at = |path: &[&str]| part.text_at(path).map(short);
    Line {
        return_reason: at(&["RtrInf", "Rsn", "Cd"]).or_else(|| at(&["RtrInf", "Rsn", "Prtry"])),
        end_to_end: at(&["Refs", "EndToEndId"]).filter(|id| !says_nothing(id)),
        reference,
        mistyped: mistyped.filter(|text| !text.is_empty()),
        text: Some(short(&free)).filter(|text| !text.is_empty()).or(line.text),
        name: at(&["RltdPties", party, "Pty", "Nm"]).or_else(|| at(&["RltdPties", party, "Nm"])),
        account: at(&["RltdPties", account, "Id", "IBAN"])
            .or_else(|| at(&["RltdPties", account, "Id", "Othr", "Id"])),
        ..line
    }
}

#[cfg(test)]
mod tests;
