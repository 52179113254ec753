//! Figures: what the network's own state says, for the page and against the demo's tally.
//!
//! Owns: one pass over accounts, payments and totals of state.
//! Promises: the books balance (issued = spent + expired + outstanding; payments add up to what was
//! redeemed; gross obligations net to the pair totals), or an error says which do not.
//! Refuses to know: how state came about, and how figures are printed.

use super::house::text;
use crate::book::{Name, Price, Record, Shared, Unit};
use crate::payments::charged_now;
use crate::store::Read;
use crate::types::{BrandId, Currency, Money, ParticipantId, Points, UnitCode};
use std::collections::BTreeMap;

/// Records read at a time.
const PAGE: usize = 4_000;

/// One unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnitFigures {
    /// The unit.
    pub unit: UnitCode,
    /// Whose it is.
    pub brand: BrandId,
    /// Its decimal places.
    pub scale: u8,
    /// Points that were issued.
    pub issued: u64,
    /// Spent at the brand's own shops, returns taken off.
    pub home: u64,
    /// Spent elsewhere, returns taken off.
    pub elsewhere: u64,
    /// Past their date.
    pub expired: u64,
    /// available + held + pending over all accounts.
    pub outstanding: u64,
    /// Accounts.
    pub accounts: u64,
    /// What the outstanding points are worth at the settle price.
    pub liability: Money,
}

/// The network as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figures {
    /// By unit, in the order of codes.
    pub units: BTreeMap<UnitCode, UnitFigures>,
    /// Gross: debtor, creditor.
    pub owed: BTreeMap<(ParticipantId, ParticipantId), u64>,
    /// Each participant's net: what it has to get (+) or to pay (−).
    pub nets: BTreeMap<ParticipantId, i64>,
    /// Payments.
    pub payments: u64,
}

pub(super) fn scan(
    read: &dyn Read,
    prefix: &str,
    take: &mut dyn FnMut(Name, Record) -> Result<(), String>,
) -> Result<(), String> {
    let mut after = prefix.to_owned();
    loop {
        let rows = read.scan(&after, PAGE).map_err(|e| e.to_string())?.rows;
        for row in &rows {
            if !row.key.starts_with(prefix) {
                return Ok(());
            }
            let name: Name = row.key.parse().map_err(|e| format!("{}: {e}", row.key))?;
            let record = Record::decode(&name, &row.value).map_err(|e| format!("{}: {e}", row.key))?;
            take(name, record)?;
        }
        match rows.last() {
            Some(last) => after.clone_from(&last.key),
            None => return Ok(()),
        }
    }
}

fn add(sum: &mut u64, more: u64) -> Result<(), String> {
    *sum = sum.checked_add(more).ok_or("a sum of points does not fit")?;
    Ok(())
}

impl Figures {
    /// Reads state. It must stand still and be at the log's end.
    pub fn of(read: &dyn Read, currency: Currency) -> Result<Self, String> {
        let mut units = BTreeMap::new();
        scan(read, "unit/", &mut |name, record| {
            if let (Name::Unit(code), Record::Unit(unit)) = (name, record) {
                units.insert(code, blank(code, &unit));
            }
            Ok(())
        })?;
        let mut figures = Self { units, owed: BTreeMap::new(), nets: BTreeMap::new(), payments: 0 };
        scan(read, "account/", &mut |_, record| figures.account(&record))?;
        scan(read, "payment/", &mut |_, record| figures.payment(&record))?;
        scan(read, "dispute/", &mut |_, record| figures.dispute(&record))?;
        figures.totals(read)?;
        figures.pairs(read, currency)?;
        scan(read, "prices/", &mut |name, record| figures.price(&name, &record, currency))?;
        Ok(figures)
    }

    fn unit(&mut self, code: UnitCode) -> Result<&mut UnitFigures, String> {
        self.units.get_mut(&code).ok_or_else(|| format!("{code} is no unit"))
    }

    fn account(&mut self, record: &Record) -> Result<(), String> {
        let Record::Account(account) = record else { return Ok(()) };
        let unit = self.unit(account.head.unit)?;
        unit.accounts += 1;
        add(&mut unit.outstanding, account.total().get())
    }

    fn payment(&mut self, record: &Record) -> Result<(), String> {
        let Record::Payment(payment) = record else { return Ok(()) };
        self.payments += 1;
        let net = payment.captured.minus(payment.refunded).ok_or("a payment refunded above its captures")?;
        let of = payment.amount.get();
        for share in &payment.shares {
            let back = match share.restored.is_zero() {
                true => Some(Points::ZERO),
                false => share.points.share_ceil(share.restored.get(), share.obligation.get()),
            };
            let points = share.points.share_ceil(net.get(), of);
            let points = points.zip(back).and_then(|(points, back)| points.minus(back)).map(Points::get);
            let owed = share.obligation.share_floor(net.get(), of).map(Money::get);
            let (Some(points), Some(owed)) = (points, owed) else {
                return Err("a share of a payment does not fit".into());
            };
            let unit = self.unit(share.unit)?;
            let at_home = unit.brand == payment.brand;
            add(if at_home { &mut unit.home } else { &mut unit.elsewhere }, points)?;
            if owed > 0 {
                self.owe(&share.issuer, &payment.participant, owed)?;
            }
        }
        for fee in &payment.fees {
            let (net, tax) = charged_now(payment, fee).map_err(|e| format!("a fee: {e:?}"))?;
            if let Some(owed) = net.plus(tax).filter(|owed| !owed.is_zero()) {
                self.owe(&fee.customer, &fee.supplier, owed.get())?;
            }
        }
        Ok(())
    }

    /// What a dispute took back, and what its loser owes for that.
    fn dispute(&mut self, record: &Record) -> Result<(), String> {
        let Record::Dispute(dispute) = record else { return Ok(()) };
        let outcome = dispute.outcome.as_ref().ok_or("a dispute that is not decided")?;
        let (filer, target) = (&dispute.filer, &dispute.target);
        let (winner, loser) = if outcome.for_filer { (filer, target) } else { (target, filer) };
        let mut less = if outcome.for_filer { dispute.amount.get() } else { 0 };
        for fee in dispute.fees.iter().filter(|_| !outcome.fees.is_zero()) {
            // What the target owes the filer for it stands in one part with what is taken back.
            match fee.to.as_ref().unwrap_or(winner) {
                to if to == filer && loser == target => add(&mut less, fee.amount.get())?,
                to => self.owe(loser, to, fee.amount.get())?,
            }
        }
        let owed = self.owed.entry((filer.clone(), target.clone())).or_default();
        *owed = owed.checked_sub(less).ok_or("more was charged back than is owed")?;
        self.shift(filer, target, -i64::try_from(less).map_err(text)?);
        Ok(())
    }

    fn owe(&mut self, debtor: &ParticipantId, creditor: &ParticipantId, owed: u64) -> Result<(), String> {
        add(self.owed.entry((debtor.clone(), creditor.clone())).or_default(), owed)?;
        self.shift(debtor, creditor, i64::try_from(owed).map_err(text)?);
        Ok(())
    }

    fn shift(&mut self, debtor: &ParticipantId, creditor: &ParticipantId, by: i64) {
        *self.nets.entry(debtor.clone()).or_default() -= by;
        *self.nets.entry(creditor.clone()).or_default() += by;
    }

    /// The shared accounts say where points came from and ended; both sides must agree.
    fn totals(&mut self, read: &dyn Read) -> Result<(), String> {
        let mut totals = BTreeMap::new();
        scan(read, "shared/", &mut |name, record| {
            if let (Name::Shared(code, shared), Record::Total(total)) = (name, record) {
                totals.insert((code, shared), total.unsigned_abs());
            }
            Ok(())
        })?;
        for unit in self.units.values_mut() {
            let total = |shared| totals.get(&(unit.unit, shared)).copied().unwrap_or(0);
            unit.issued = total(Shared::Issuance);
            unit.expired = total(Shared::Expired);
            let redeemed = total(Shared::Redeemed);
            let other: u64 = [Shared::Exchanged, Shared::Transit, Shared::ClawedBack, Shared::Forfeited]
                .map(total)
                .iter()
                .sum();
            if unit.home + unit.elsewhere != redeemed {
                return Err(format!(
                    "{}: payments add up to {} points, {redeemed} are booked as redeemed",
                    unit.unit,
                    unit.home + unit.elsewhere
                ));
            }
            let gone = redeemed + unit.expired + other;
            if unit.issued != gone + unit.outstanding {
                return Err(format!(
                    "{}: {} points issued, {gone} gone and {} outstanding do not add up",
                    unit.unit, unit.issued, unit.outstanding
                ));
            }
        }
        Ok(())
    }

    /// State keeps what stands between two participants as one net total.
    fn pairs(&mut self, read: &dyn Read, currency: Currency) -> Result<(), String> {
        let mut pairs = BTreeMap::new();
        scan(read, "pair/", &mut |name, record| {
            if let (Name::Pair(_, a, b, c), Record::Total(total)) = (name, record)
                && c == currency
            {
                *pairs.entry((a, b)).or_insert(0) += total;
            }
            Ok(())
        })?;
        let gross = |a: &ParticipantId, b: &ParticipantId| {
            let owed = self.owed.get(&(a.clone(), b.clone())).copied().unwrap_or(0);
            i64::try_from(owed).unwrap_or(i64::MAX)
        };
        let known: std::collections::BTreeSet<_> = self
            .owed
            .keys()
            .map(|(a, b)| if a < b { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) })
            .collect();
        for (a, b) in known.iter().chain(pairs.keys()) {
            // The total is what the first has from the second: what the second owes it, net.
            let (net, booked) =
                (gross(b, a) - gross(a, b), pairs.get(&(a.clone(), b.clone())).copied().unwrap_or(0));
            if net != booked {
                return Err(format!("{a} and {b}: payments net to {net}, {booked} is booked"));
            }
        }
        Ok(())
    }

    fn price(&mut self, name: &Name, record: &Record, currency: Currency) -> Result<(), String> {
        let (Name::Prices(code), Record::Prices(prices)) = (name, record) else { return Ok(()) };
        let last = prices.versions.iter().rev().find(|price: &&Price| price.currency == currency);
        let unit = self.unit(*code)?;
        if let (Some(price), Some(points)) = (last, Points::new(unit.outstanding)) {
            unit.liability = price.settle.money_floor(points).ok_or("a liability above 2^53 - 1")?;
        }
        Ok(())
    }
}

fn blank(code: UnitCode, unit: &Unit) -> UnitFigures {
    UnitFigures {
        unit: code,
        brand: unit.brand.clone(),
        scale: unit.scale,
        issued: 0,
        home: 0,
        elsewhere: 0,
        expired: 0,
        outstanding: 0,
        accounts: 0,
        liability: Money::ZERO,
    }
}
