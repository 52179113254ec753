//! Between instructions and the bank: what an instruction is called there, and a matched statement as the house imports it.
//!
//! Owns: EndToEndId and structured reference of an instruction; a statement's lines as arguments of `statement.import`.
//! Promises: two instructions never have the same name at the bank; an import's pages lead from the statement's opening
//! balance to its closing balance; a line counts under the same name in whichever message it comes.
//! Refuses to know: who imports and who accepts.

use crate::book::{Booking, Instruction, StatementLine, Way};
use crate::clearing::{ImportStatement, Line, Matching, Open, Reference, Statement, StatementKind};
use crate::types::{Currency, Hash, Ident, InstructionId, Malformed, Money, encode, hex};
use std::collections::{BTreeMap, BTreeSet};

/// Most lines that one import takes.
const PAGE: usize = 100;
/// Most bytes of an import as it is signed: with its header, its id, the audience and the signature it stays below what the log
/// keeps of a signed request (4096, of which base64 takes a quarter).
const MOST_BYTES: usize = 2_400;
/// An entry of this number, and its last instruction, stand for all as far as their length goes.
const LONGEST: InstructionId = InstructionId { seq: 999_999_999_999, part: 9_999 };
/// What the name of a notification begins with.
const NOTIFIED: &str = "camt.054-";
/// Most characters of an id of the log.
const MOST_ID: usize = 64;

/// What the bank gets as EndToEndId and gives back: SEPA has no underscore, so `ins_42.1` is `ins-42.1`.
pub fn end_to_end(id: InstructionId) -> Result<Ident, Malformed> {
    id.to_string().replace('_', "-").parse()
}

/// An instruction's id as people and the API write it, of what a bank gives back: `ins-42.1` is `ins_42.1`.
pub fn of_end_to_end(id: &Ident) -> Ident {
    let own = id.as_str().strip_prefix("ins-").and_then(|rest| format!("ins_{rest}").parse().ok());
    own.unwrap_or_else(|| id.clone())
}

/// The structured reference of a pay-in notice: entry and number of the instruction, parted by an X.
pub fn reference(id: InstructionId) -> Result<Reference, Malformed> {
    Reference::of(&format!("{}X{}", id.seq, id.part))
}

/// An instruction as matching sees it, if its stage allows all. `unit` is the bank's minor unit in the network's smallest.
pub fn open(id: InstructionId, instruction: &Instruction, unit: u64) -> Result<Open, Malformed> {
    let whole = |money: Money| {
        let rest = money.get().checked_rem(unit);
        let minor = money.get().checked_div(unit).filter(|_| rest == Some(0));
        minor.ok_or_else(|| {
            Malformed(format!("{id}: {money} is not a whole number of the bank's unit of {unit}"))
        })
    };
    Ok(Open {
        id: end_to_end(id)?,
        reference: Some(reference(id)?),
        way: instruction.way,
        amount: whole(instruction.amount)?,
        paid: whole(instruction.confirmed)?,
        takes: true,
        returns: true,
    })
}

/// How many lines each import of a statement has: as many as one signed request holds, whatever the lines are matched with, so
/// that a statement that is read again comes in the same pages.
fn cut(currency: Currency, lines: &[&Line], unit: u64) -> Result<Vec<usize>, Malformed> {
    let too_large = || Malformed("an amount above 9007199254740991".into());
    let most = Money::new(crate::types::MAX_INT).ok_or_else(too_large)?;
    let bare = ImportStatement {
        statement: "x".repeat(MOST_ID).parse()?,
        currency,
        document: Hash::default(),
        opening: Some(most),
        closing: Some(most),
        opening_below_zero: true,
        closing_below_zero: true,
        lines: vec![],
    };
    let bare = encode(&bare).len();
    let (mut pages, mut room): (Vec<usize>, usize) = (vec![], 0);
    for line in lines {
        let amount =
            line.amount.unsigned_abs().checked_mul(unit).and_then(Money::new).ok_or_else(too_large)?;
        let longest = StatementLine {
            entry: line_name(line)?,
            booking: Booking::Returned,
            way: Way::Out,
            amount,
            instruction: Some(LONGEST),
            pays: Some(amount),
        };
        let size = encode(&longest).len().saturating_add(1);
        match pages.last_mut().filter(|count| size <= room && **count < PAGE) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                pages.push(1);
                room = MOST_BYTES.saturating_sub(bare);
            }
        }
        room = room.saturating_sub(size);
    }
    Ok(pages)
}

/// What the imports of a statement are called, in their order. A notification's are other than those of a statement to which the
/// bank gives the same id.
fn names(statement: &Statement, pages: usize) -> Result<Vec<Ident>, Malformed> {
    let id = match statement.kind {
        StatementKind::Statement => statement.id.clone(),
        StatementKind::Notification => format!("{NOTIFIED}{}", statement.id),
    };
    if pages <= 1 {
        return Ok(vec![ident(&id)?]);
    }
    (1..=pages).map(|page| ident(&format!("{id}-{page}"))).collect()
}

/// The names in the log of all that a statement comes in; of a notification, if all of it is matched.
pub fn statement_names(statement: &Statement, unit: u64) -> Result<Vec<Ident>, Malformed> {
    let lines: Vec<&Line> = statement.lines.iter().collect();
    names(statement, cut(statement.currency, &lines, unit)?.len())
}

/// A matched statement as arguments of `statement.import`: in pages that a signed request holds, each with its own balances.
/// `ids` are the instructions that were matched with; `document` is the SHA-256 of what the bank sent. Lines that were
/// counted before come along with what they say that they are about: the house sees by their names that they were, and
/// whether they say the same. Of a notification, which has no balances, only
/// lines that were matched are imported: all others come again in a statement. None: nothing is to be imported.
pub fn imports(
    statement: &Statement,
    matching: &Matching,
    ids: &[InstructionId],
    unit: u64,
    document: Hash,
) -> Result<Vec<ImportStatement>, Malformed> {
    if let Some(whole) = matching.exceptions.iter().find(|exception| exception.why.is_of_statement()) {
        return Err(Malformed(format!("statement {}: {}", statement.id, whole.why.advice())));
    }
    let no = |what: &str| Malformed(format!("statement {}: {what}", statement.id));
    let by_name: BTreeMap<Ident, InstructionId> =
        ids.iter().map(|id| Ok((end_to_end(*id)?, *id))).collect::<Result<_, Malformed>>()?;
    let by_reference: BTreeMap<Reference, InstructionId> =
        ids.iter().map(|id| Ok((reference(*id)?, *id))).collect::<Result<_, Malformed>>()?;
    let repeated: BTreeSet<_> = matching.repeated.iter().collect();
    let matched: BTreeMap<_, _> = matching.matches.iter().map(|one| (&one.line, one)).collect();
    let in_network = |minor: u64| {
        let amount = minor.checked_mul(unit).and_then(Money::new);
        amount.ok_or_else(|| no("an amount above 9007199254740991"))
    };
    let told = statement.kind == StatementKind::Notification;
    let lines: Vec<&Line> =
        statement.lines.iter().filter(|line| !told || matched.contains_key(&line.key())).collect();
    let mut balance = match statement.opening {
        Some(opening) if !told => Some(opening.amount),
        None if !told => return Err(no("a statement without balances")),
        _ => None,
    };
    let mut pages = vec![];
    let counts = cut(statement.currency, &lines, unit)?;
    let names = names(statement, counts.len())?;
    let mut rest = lines.as_slice();
    for (count, name) in counts.into_iter().zip(names) {
        let (page, after) = rest.split_at_checked(count).ok_or_else(|| no("a page of lines it has not"))?;
        rest = after;
        let of_balance = |balance: Option<i64>| balance.map(|n| in_network(n.unsigned_abs())).transpose();
        let (opening, opening_below_zero) = (of_balance(balance)?, balance.is_some_and(i64::is_negative));
        let mut out = vec![];
        for line in page {
            let size = line.amount.unsigned_abs();
            let way = if line.amount > 0 { Way::In } else { Way::Out };
            if let Some(before) = balance {
                let next = before.checked_add(line.amount);
                balance = Some(next.ok_or_else(|| no("a balance above 63 bits"))?);
            }
            let (instruction, back) = match matched.get(&line.key()) {
                Some(one) => (by_name.get(&one.id).copied(), one.amount < 0),
                None if repeated.contains(&line.key()) => {
                    let about = about(line, &by_name, &by_reference);
                    (about, about.is_some() && (line.reversal || line.return_reason.is_some()))
                }
                None => (None, false),
            };
            let booking = if back { Booking::Returned } else { Booking::Booked };
            let part =
                matched.get(&line.key()).map(|one| one.amount.unsigned_abs()).filter(|part| *part < size);
            out.push(StatementLine {
                entry: line_name(line)?,
                booking,
                way,
                amount: in_network(size)?,
                instruction,
                pays: part.map(in_network).transpose()?,
            });
        }
        pages.push(ImportStatement {
            statement: name,
            currency: statement.currency,
            document,
            opening,
            closing: of_balance(balance)?,
            opening_below_zero,
            closing_below_zero: balance.is_some_and(i64::is_negative),
            lines: out,
        });
    }
    Ok(pages)
}

/// The instruction that a line names, if it names one and no other.
fn about(
    line: &Line,
    by_name: &BTreeMap<Ident, InstructionId>,
    by_reference: &BTreeMap<Reference, InstructionId>,
) -> Option<InstructionId> {
    let name = line.end_to_end.as_deref().and_then(|name| name.parse::<Ident>().ok());
    let named = name.and_then(|name| by_name.get(&name)).copied();
    let referred = line.reference.as_ref().and_then(|reference| by_reference.get(reference)).copied();
    match (named, referred) {
        (Some(a), Some(b)) if a != b => None,
        (named, referred) => named.or(referred),
    }
}

/// A line's name in the log: the bank's reference and the place in the entry.
pub fn line_name(line: &Line) -> Result<Ident, Malformed> {
    match line.detail {
        0 => ident(&line.entry),
        detail => ident(&format!("{}.{detail}", line.entry)),
    }
}

/// A bank's text as an id of the log: itself if it is one, else a hash of it.
fn ident(text: &str) -> Result<Ident, Malformed> {
    if text.len() <= MOST_ID
        && !text.starts_with("x-")
        && let Ok(id) = text.parse()
    {
        return Ok(id);
    }
    let Hash(bytes) = Hash::sha256(text.as_bytes());
    format!("x-{}", hex(bytes.get(..16).unwrap_or_default())).parse()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clearing::{Accepted, Account, Balance, LineKey, Why, match_statement};

    struct Nothing;

    impl Accepted for Nothing {
        fn statement(&self, _: &Statement) -> bool {
            false
        }

        fn line(&self, _: &LineKey) -> Option<i64> {
            None
        }

        fn entry(&self, _: &str) -> Option<i64> {
            None
        }
    }

    fn instruction(way: Way, amount: u64) -> Instruction {
        let text = format!(
            r#"{{"cycle":7,"version":1,"participant":"pa_harvest","currency":"USD","way":"{}","amount":{amount},"confirmed":0}}"#,
            if way == Way::In { "in" } else { "out" }
        );
        serde_json::from_str(&text).expect("an instruction")
    }

    fn statement(lines: Vec<Line>) -> Statement {
        let on = "2026-11-30".parse().expect("a date");
        let opening = 100_000;
        let closing = opening + lines.iter().map(|line| line.amount).sum::<i64>();
        Statement {
            kind: StatementKind::Statement,
            id: "2026/11 30".into(),
            number: None,
            account: "DE89370400440532013000".into(),
            currency: "USD".parse().expect("USD"),
            opening: Some(Balance { amount: opening, on }),
            closing: Some(Balance { amount: closing, on }),
            lines,
        }
    }

    fn line(entry: &str, detail: u32, amount: i64, end_to_end: Option<&str>) -> Line {
        Line {
            entry: entry.into(),
            unnamed: false,
            detail,
            booked: "2026-11-30".parse().expect("a date"),
            amount,
            reversal: false,
            return_reason: (amount == 50).then(|| "AC04".into()),
            end_to_end: end_to_end.map(str::to_owned),
            reference: None,
            mistyped: None,
            text: None,
            name: None,
            account: None,
        }
    }

    fn ids() -> [InstructionId; 2] {
        [InstructionId { seq: 42, part: 0 }, InstructionId { seq: 42, part: 1 }]
    }

    fn made(lines: Vec<Line>) -> Result<Vec<ImportStatement>, Malformed> {
        let ids = ids();
        let all = [(ids[0], instruction(Way::In, 30_000)), (ids[1], instruction(Way::Out, 5_000))];
        let open: Vec<Open> = all.iter().map(|(id, one)| open(*id, one, 100).expect("whole")).collect();
        let statement = statement(lines);
        let account =
            Account { account: statement.account.clone(), currency: statement.currency, last: None };
        let matching = match_statement(&account, &statement, &open, &Nothing, 0).expect("whole");
        imports(&statement, &matching, &ids, 100, Hash::default())
    }

    #[test]
    fn an_instruction_has_a_name_at_the_bank() {
        let [first, second] = ids();
        assert_eq!(end_to_end(first).map(|id| id.to_string()), Ok("ins-42.0".into()));
        assert_ne!(reference(first), reference(second));
        let most = InstructionId { seq: u64::MAX, part: u16::MAX };
        assert!(reference(InstructionId { seq: crate::types::MAX_INT, part: 9_999 }).is_ok());
        assert!(end_to_end(most).is_ok_and(|id| id.as_str().len() <= 35));
        assert!(open(first, &instruction(Way::In, 101), 100).is_err(), "not a whole number of cents");
    }

    #[test]
    fn lines_become_an_import_with_balances() {
        let lines = vec![
            line("E1", 0, 300, Some("ins-42.0")),
            line("B/1 ä", 0, -50, Some("ins-42.1")),
            line("B/1 ä", 1, 50, Some("ins-42.1")),
            line("E4", 0, 7, None),
        ];
        let pages = made(lines).expect("imported");
        let [page] = pages.as_slice() else { panic!("one page") };
        assert_eq!((page.opening, page.closing), (Money::new(10_000_000), Money::new(10_030_700)));
        let told: Vec<_> =
            page.lines.iter().map(|l| (l.way, l.booking, l.amount.get(), l.instruction)).collect();
        let [first, second] = ids();
        assert_eq!(
            told,
            [
                (Way::In, Booking::Booked, 30_000, Some(first)),
                (Way::Out, Booking::Booked, 5_000, Some(second)),
                (Way::In, Booking::Returned, 5_000, Some(second)),
                (Way::In, Booking::Booked, 700, None),
            ]
        );
        let names: Vec<&str> = page.lines.iter().map(|l| l.entry.as_str()).collect();
        assert_eq!((names[0], names[3]), ("E1", "E4"));
        assert!(names[1].starts_with("x-") && names[2].starts_with("x-") && names[1] != names[2]);
        assert!(page.statement.as_str().starts_with("x-"), "2026/11 30 is no id of the log");
    }

    #[test]
    fn of_a_notification_only_what_was_matched_is_imported() {
        let told = |lines: Vec<Line>| {
            let all = [(ids()[0], instruction(Way::In, 30_000))];
            let open: Vec<Open> = all.iter().map(|(id, one)| open(*id, one, 100).expect("whole")).collect();
            let notification = Statement {
                kind: StatementKind::Notification,
                opening: None,
                closing: None,
                ..statement(lines)
            };
            let account = Account {
                account: notification.account.clone(),
                currency: notification.currency,
                last: None,
            };
            let matching = match_statement(&account, &notification, &open, &Nothing, 0).expect("whole");
            let pages = imports(&notification, &matching, &ids(), 100, Hash::default()).expect("made");
            let whys: Vec<_> = matching.exceptions.iter().map(|exception| exception.why).collect();
            (pages, whys)
        };
        let unnamed = Line { unnamed: true, ..line("N-2", 0, 100, Some("ins-42.0")) };
        let (pages, whys) =
            told(vec![line("E1", 0, 200, Some("ins-42.0")), unnamed.clone(), line("E3", 0, 7, None)]);
        let [page] = pages.as_slice() else { panic!("one page") };
        assert_eq!((page.opening, page.closing, page.lines.len()), (None, None, 1));
        assert_eq!((page.lines[0].entry.as_str(), page.lines[0].instruction), ("E1", Some(ids()[0])));
        assert_ne!(Ok(&page.statement), ident(&statement(vec![]).id).as_ref(), "no statement has its name");
        assert_eq!(whys, [Why::Unnamed, Why::UnknownReference]);
        assert!(told(vec![unnamed]).0.is_empty(), "nothing to import");
    }

    #[test]
    fn a_page_is_what_a_signed_request_holds() {
        for length in [1, 22, 35, 64, 137] {
            let entry = |n: i64| format!("{n:0>3}{}", "Z".repeat(length));
            let lines: Vec<Line> =
                (0..151).map(|n| line(&entry(n), 0, 1_000_000, Some("ins-42.0"))).collect();
            let pages = made(lines.clone()).expect("imported");
            assert_eq!(pages.iter().map(|page| page.lines.len()).sum::<usize>(), 151);
            assert!(pages.iter().all(|page| encode(page).len() <= MOST_BYTES), "{length}");
            assert!(pages.iter().rev().skip(1).all(|page| page.lines.len() >= 10), "{length}");
            // What lines are matched with changes no page.
            let other = lines.into_iter().map(|line| Line { end_to_end: None, ..line }).collect();
            let names = |pages: &[ImportStatement]| -> Vec<_> {
                pages.iter().map(|page| (page.statement.clone(), page.lines.len())).collect()
            };
            assert_eq!(names(&made(other).expect("imported")), names(&pages));
        }
    }

    #[test]
    fn long_statements_come_in_pages_that_follow_each_other() {
        let lines =
            (0..250).map(|n| line(&format!("E{n}"), 0, if n % 2 == 0 { 9 } else { -4 }, None)).collect();
        let pages = made(lines).expect("imported");
        assert_eq!(pages.iter().map(|page| page.lines.len()).sum::<usize>(), 250);
        for two in pages.windows(2) {
            assert_eq!(two[0].closing, two[1].opening);
            assert_ne!(two[0].statement, two[1].statement);
        }
    }

    #[test]
    fn an_overdrawn_account_is_imported_as_it_is() {
        let below = made(vec![line("E1", 0, -100_001, None)]).expect("imported");
        assert_eq!((below[0].closing, below[0].closing_below_zero), (Money::new(100), true));
        assert!(!below[0].opening_below_zero);
        let back = made(vec![line("E1", 0, -100_001, None), line("E2", 0, 1, None)]).expect("imported");
        assert_eq!((back[0].closing, back[0].closing_below_zero), (Money::new(0), false));
    }
}
