//! The page: everything the demo has to say at its end, for people and for programs.
//!
//! Owns: how figures are set in a terminal of 100 columns, and the form of `--json`.
//! Promises: amounts are exact integers with their decimal point put in; nothing is rounded.
//! Refuses to know: where figures come from.

use super::fees::Shown;
use super::house::Closed;
use super::tally::Counts;
use crate::clearing::Figure;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Widest line.
pub const WIDTH: usize = 100;
/// Width of a brand's name before its row.
const NAME: usize = 10;
/// Most brands whose obligations are set as a matrix.
const MOST_IN_MATRIX: usize = 10;
/// Most lines of a list of obligations.
const MOST_IN_LIST: usize = 20;

/// One brand's line. Amounts are in minor units.
#[derive(Clone, Serialize)]
pub struct Line {
    /// As the receipts name it.
    pub brand: String,
    /// Its unit.
    pub unit: String,
    /// Decimal places of its points.
    pub scale: u8,
    /// Accounts.
    pub accounts: u64,
    /// Points issued.
    pub issued: u64,
    /// Spent at home.
    pub home: u64,
    /// Spent elsewhere.
    pub elsewhere: u64,
    /// Expired.
    pub expired: u64,
    /// Outstanding.
    pub outstanding: u64,
    /// What that is worth at the settle price.
    pub liability: u64,
    /// What it has to get (+) or to pay (−) over all others.
    pub net: i64,
}

/// What one brand owes another, gross.
#[derive(Clone, Serialize)]
pub struct Owed {
    /// Who owes.
    pub debtor: String,
    /// Whom.
    pub creditor: String,
    /// How much.
    pub amount: u64,
}

/// What verification found.
#[derive(Clone, Serialize)]
pub struct Verified {
    /// Whether all of it holds.
    pub holds: bool,
    /// How deep it looked.
    pub level: String,
    /// Entries.
    pub entries: u64,
    /// Parts.
    pub parts: u64,
    /// Signatures.
    pub signatures: u64,
    /// Records of state that were compared.
    pub records: u64,
    /// Seconds it took.
    pub seconds: f64,
    /// The size that the checkpoint signs.
    pub size: u64,
    /// The root that it signs.
    pub root: String,
    /// The first thing that is wrong.
    pub finding: Option<String>,
}

/// See the module.
#[derive(Clone, Serialize)]
pub struct Page {
    /// The data folder.
    pub data: String,
    /// Where the receipts are from.
    pub receipts_from: String,
    /// The network's id.
    pub network: String,
    /// The log's verifier key.
    pub vkey: String,
    /// Receipts.
    pub receipts: u64,
    /// Members.
    pub members: usize,
    /// Shops.
    pub stores: usize,
    /// The first receipt.
    pub from: String,
    /// The last command.
    pub to: String,
    /// What the receipts come to, in the currency's minor unit.
    pub sold: u64,
    /// The currency.
    pub currency: String,
    /// Digits of its minor unit.
    pub minor: u8,
    /// Digits of the amounts below.
    pub money_scale: u8,
    /// By brand.
    pub brands: Vec<Line>,
    /// Obligations, gross.
    pub obligations: Vec<Owed>,
    /// What the network asks for its service, and what that came to.
    pub fees: Option<Shown>,
    /// The months that were closed.
    pub months: Vec<Closed>,
    /// Commands that were accepted.
    pub commands: Counts,
    /// Commands that changed nothing, since they had taken effect before.
    pub repeated: u64,
    /// Commands that were refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Seconds that the replay took.
    pub seconds: f64,
    /// Accepted commands a second.
    pub commands_per_second: f64,
    /// The verification.
    pub verified: Verified,
}

/// An integer with thousands set apart.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// An amount in minor units with its decimal point, thousands set apart.
pub fn decimal(minor: u64, scale: u8) -> String {
    let ten = 10u64.pow(u32::from(scale.min(18)));
    match scale {
        0 => grouped(minor),
        _ => format!("{}.{:0width$}", grouped(minor / ten), minor % ten, width = usize::from(scale)),
    }
}

fn signed(minor: i64, scale: u8) -> String {
    let sign = match minor.signum() {
        -1 => "-",
        1 => "+",
        _ => "",
    };
    format!("{sign}{}", decimal(minor.unsigned_abs(), scale))
}

/// Cuts a text to a width.
fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(1)).chain(std::iter::once('…')).collect(),
        false => text.to_owned(),
    }
}

fn plural(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

impl Page {
    fn head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        writeln!(
            f,
            "Tallyhouse: {} of {} in {} of {}, {} {} in all",
            plural(self.receipts, "receipt", "receipts"),
            plural(count(self.members), "member", "members"),
            plural(count(self.stores), "shop", "shops"),
            plural(count(self.brands.len()), "brand", "brands"),
            self.currency,
            decimal(self.sold, self.minor),
        )?;
        let day = |instant: &str| instant.get(..10).unwrap_or_default().to_owned();
        writeln!(f, "from {} to {}, out of {}", day(&self.from), day(&self.to), self.receipts_from)
    }

    fn points(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<14}{:>13}{:>12}{:>12}{:>13}{:>14}{:>18}",
            "POINTS",
            "issued",
            "spent home",
            "elsewhere",
            "expired",
            "outstanding",
            format!("liability {}", self.currency)
        )?;
        let mut liability = 0;
        for line in &self.brands {
            let points = |n| decimal(n, line.scale);
            liability += line.liability;
            writeln!(
                f,
                "{:<14}{:>13}{:>12}{:>12}{:>13}{:>14}{:>18}",
                cut(&line.brand, 13),
                points(line.issued),
                points(line.home),
                points(line.elsewhere),
                points(line.expired),
                points(line.outstanding),
                decimal(line.liability, self.money_scale)
            )?;
        }
        writeln!(
            f,
            "{:<78}{:>18}",
            "outstanding points at the prices that issuers settle at",
            decimal(liability, self.money_scale)
        )
    }

    fn obligations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\nOBLIGATIONS in {}", self.currency)?;
        match self.brands.len() > MOST_IN_MATRIX {
            true => self.list(f)?,
            false => self.matrix(f)?,
        }
        self.nets(f)
    }

    /// As many columns beside each other as find room, the others below.
    fn matrix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, ": each row owes, each column is owed")?;
        let amounts = self.obligations.iter().map(|owed| decimal(owed.amount, self.money_scale));
        let widest = amounts.map(|amount| amount.len()).max().unwrap_or(0).max(7);
        let columns = ((WIDTH - NAME) / (widest + 1)).max(1);
        let width = ((WIDTH - NAME) / columns).min(widest + 3);
        for block in self.brands.chunks(columns) {
            write!(f, "{:NAME$}", "")?;
            for creditor in block {
                write!(f, "{:>width$}", cut(&creditor.brand, width - 1))?;
            }
            writeln!(f)?;
            for debtor in &self.brands {
                write!(f, "{:NAME$}", cut(&debtor.brand, NAME))?;
                for creditor in block {
                    write!(f, "{:>width$}", self.cell(&debtor.brand, &creditor.brand))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }

    fn cell(&self, debtor: &str, creditor: &str) -> String {
        let owed = self.obligations.iter().find(|owed| owed.debtor == debtor && owed.creditor == creditor);
        match owed {
            Some(owed) => decimal(owed.amount, self.money_scale),
            None => if debtor == creditor { "-" } else { "." }.into(),
        }
    }

    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut largest: Vec<&Owed> = self.obligations.iter().collect();
        largest.sort_by_key(|owed| std::cmp::Reverse(owed.amount));
        match largest.len() > MOST_IN_LIST {
            true => writeln!(f, ": the {MOST_IN_LIST} largest of {}", largest.len())?,
            false => writeln!(f)?,
        }
        for owed in largest.iter().take(MOST_IN_LIST) {
            writeln!(
                f,
                "{:<24} owes {:<24}{:>24}",
                cut(&owed.debtor, 24),
                cut(&owed.creditor, 24),
                decimal(owed.amount, self.money_scale)
            )?;
        }
        Ok(())
    }

    /// What stands if everything is netted: the moved money is the sum of the positive nets.
    fn nets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.obligations.iter().map(|owed| owed.amount).sum::<u64>();
        let fees = self.fees.iter().map(|fees| (fees.supplier.as_str(), fees.net));
        let nets = || self.brands.iter().map(|line| (line.brand.as_str(), line.net)).chain(fees.clone());
        let moved: u64 = nets().filter(|(_, net)| *net > 0).map(|(_, net)| net.unsigned_abs()).sum();
        writeln!(
            f,
            "{} owed in all; netted, {} would have to move:",
            decimal(all, self.money_scale),
            decimal(moved, self.money_scale)
        )?;
        let mut column = 0;
        for (who, net) in nets().filter(|(_, net)| *net != 0).take(2 * MOST_IN_MATRIX) {
            write!(f, "  {:<13}{:>13}", cut(who, 13), signed(net, self.money_scale))?;
            column += 1;
            if column % 3 == 0 {
                writeln!(f)?;
            }
        }
        if column % 3 == 0 { Ok(()) } else { writeln!(f) }
    }

    /// What the network asks for its service.
    fn fees(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(fees) = &self.fees else { return Ok(()) };
        writeln!(
            f,
            "\nFEES in {}, owed to {} for payments from {} until {}",
            self.currency, fees.supplier, fees.from, fees.until
        )?;
        for (whose, (terms, sum)) in [("takes points", &fees.acceptor), ("issued them", &fees.issuer)] {
            let sum = decimal(*sum, self.money_scale);
            writeln!(f, "  from who {whose:<15}{:<54}{sum:>20}", cut(terms, 53))?;
        }
        for terms in &fees.exchange {
            writeln!(f, "  from who {:<15}{}", "exchanges them", cut(terms, 74))?;
        }
        Ok(())
    }

    /// Gross, bilateral and multilateral, side by side.
    fn clearing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.months.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nCLEARING in {}, a cycle for each month, all settled", self.currency)?;
        let heads = ["each way of a pair", "each pair", "through the house"];
        let fees = if self.fees.is_some() { "      fees" } else { "" };
        writeln!(f, "  {:<9}{:>29}{:>25}{:>25}{fees}", "month", heads[0], heads[1], heads[2])?;
        for closed in &self.months {
            let money = |figure: &Figure| decimal(figure.value, self.money_scale);
            let figures = &closed.figures;
            let fees = self.fees.as_ref().map(|_| {
                let sign = if closed.fees < 0 { "-" } else { "" };
                format!("{:>10}", format!("{sign}{}", decimal(closed.fees.unsigned_abs(), self.money_scale)))
            });
            writeln!(
                f,
                "  {:<9}{:>9}{:>20}{:>7}{:>18}{:>7}{:>18}{}",
                closed.month,
                grouped(figures.gross.payments),
                money(&figures.gross),
                grouped(figures.bilateral.payments),
                money(&figures.bilateral),
                grouped(figures.multilateral.payments),
                money(&figures.multilateral),
                fees.unwrap_or_default(),
            )?;
            if !closed.note.is_empty() {
                writeln!(f, "           {}", cut(&closed.note, WIDTH - 11))?;
            }
        }
        Ok(())
    }

    fn commands(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.commands;
        writeln!(
            f,
            "\nCOMMANDS    {} signed and accepted in {:.2} s: {} a second",
            grouped(c.sum()),
            self.seconds,
            grouped(self.commands_per_second as u64)
        )?;
        writeln!(
            f,
            "            {}, {}, {}, {}",
            plural(c.awards, "award", "awards"),
            plural(c.payments, "payment", "payments"),
            plural(c.captures, "later capture", "later captures"),
            plural(c.refunds, "return", "returns"),
        )?;
        writeln!(
            f,
            "            {} opened, {} certified, {} for founding, {},",
            plural(c.accounts, "account", "accounts"),
            plural(c.tills, "till", "tills"),
            grouped(c.founding),
            plural(c.budgets, "budget renewed", "budgets renewed"),
        )?;
        writeln!(
            f,
            "            {} for the sandbox: keys that the network holds, and a till that gives points",
            grouped(c.sandbox)
        )?;
        writeln!(f, "            {} to close the months", grouped(c.clearing))?;
        if self.repeated > 0 {
            writeln!(
                f,
                "            {} had taken effect before: nothing happened twice",
                grouped(self.repeated)
            )?;
        }
        let refused: Vec<String> =
            self.refused.iter().map(|(code, n)| format!("{} {code}", grouped(*n))).collect();
        let refused = if refused.is_empty() { "none".into() } else { refused.join(", ") };
        writeln!(f, "            refused: {refused}")
    }

    fn verification(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v = &self.verified;
        match &v.finding {
            None => writeln!(
                f,
                "\nVERIFIED    everything holds: {} entries, {} parts, {} signatures, in {:.2} s",
                grouped(v.entries),
                grouped(v.parts),
                grouped(v.signatures),
                v.seconds
            )?,
            Some(finding) => writeln!(f, "\nVERIFIED    DOES NOT HOLD: {finding}")?,
        }
        writeln!(f, "            {}", v.level)?;
        writeln!(f, "            {} records of state and all views compared", grouped(v.records))?;
        writeln!(f, "NETWORK     {}", self.network)?;
        writeln!(f, "CHECKPOINT  over {} entries, root", grouped(v.size))?;
        writeln!(f, "            {}", v.root)?;
        writeln!(f, "LOG KEY     {}", self.vkey)?;
        write!(f, "\nIt is in {}. Check it yourself: tallyhouse verify --data {}", self.data, self.data)
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.head(f)?;
        self.points(f)?;
        self.obligations(f)?;
        self.fees(f)?;
        self.clearing(f)?;
        self.commands(f)?;
        self.verification(f)
    }
}
