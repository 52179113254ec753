//! From the log's effects to a journal.
//!
//! Owns: which account of the journal a leg of the log is booked to, summing by day and kind of entry, the opening
//! and closing balances.
//! Promises: every leg of points and money is booked, the network's or one participant's; a day's postings sum to
//! zero.
//! Refuses to know: evidence, and how events come out of the log.
//!
//! Points that holders have are the brand's liability: a credit. So points count the other way round than in the log,
//! where + is what the holder has. Money between participants is an asset of who is owed. For one participant's own
//! books what it is owed or owes for a payment or a fee has a counter-account in its income or expenses, without the
//! tax, which has an account of its own by category and rate (in parts per million). A reserve that is filled when points
//! are issued is an asset of their issuer and a liability of who holds it. What is settled goes through the house, which is
//! nobody's brand: once payers are asked to pay, what two owe each other in that cycle each owes the house or has from it. What
//! is on the house's account and nobody's is a liability of the house, until it is known whose it is.

use super::journal::{Balances, Cut, Document, Journal, Posting, add, part};
use super::periods::Periods;
use super::settling::{Book, Moved, Settling, tax_within};
use crate::book::{Leg, PROVISIONAL, Place, Record, Service, Shared, Tag, TaxCategory};
use crate::machine::{Event, Kind};
use crate::types::{Asset, BrandId, CauseId, Currency, Date, Malformed, ParticipantId, ReserveId, UnitCode};
use std::collections::BTreeMap;

/// Sums up events into a journal. Give it the log from the first entry on, in order.
pub struct Ledger {
    whose: Option<ParticipantId>,
    from: u64,
    scales: BTreeMap<Currency, u8>,
    units: BTreeMap<UnitCode, (BrandId, u8)>,
    brands: BTreeMap<BrandId, ParticipantId>,
    opening: Balances,
    closing: Balances,
    days: BTreeMap<(Date, String), Day>,
    periods: Periods,
    settling: Settling,
    used: BTreeMap<String, u8>,
}

#[derive(Default)]
struct Day {
    first: u64,
    last: u64,
    sums: Balances,
}

impl Ledger {
    /// A ledger of the whole network, or of one participant, whose documents begin with entry `from`. `scales` are the
    /// digits of the log's currencies.
    pub fn new(
        whose: Option<ParticipantId>,
        from: u64,
        scales: impl IntoIterator<Item = (Currency, u8)>,
    ) -> Self {
        Self {
            settling: Settling::of(whose.clone()),
            whose,
            from,
            scales: scales.into_iter().collect(),
            units: BTreeMap::new(),
            brands: BTreeMap::new(),
            opening: Balances::new(),
            closing: Balances::new(),
            days: BTreeMap::new(),
            periods: Periods::default(),
            used: BTreeMap::new(),
        }
    }

    /// Takes an event in. Its day is the day in UTC of its instant.
    pub fn take(&mut self, event: &Event) -> Result<(), Malformed> {
        for effect in &event.effects {
            for (name, record) in effect.done.puts() {
                match (name, record) {
                    (crate::book::Name::Unit(unit), Some(Record::Unit(settings))) => {
                        self.units.insert(*unit, (settings.brand.clone(), settings.scale));
                    }
                    (crate::book::Name::Brand(brand), Some(Record::Brand(settings))) => {
                        self.brands.insert(brand.clone(), settings.participant.clone());
                    }
                    _ => {}
                }
            }
            let text = match self.periods.late(&effect.done) {
                Some(month) => format!("{}, prior period {month}", event.kind),
                None => event.kind.text().to_owned(),
            };
            for leg in &effect.done.legs {
                for posting in self.postings(leg, event.kind, effect.tag)? {
                    self.post(event, &text, posting)?;
                }
            }
        }
        let (units, brands) = (&self.units, &self.brands);
        let owner = |unit: UnitCode| units.get(&unit).and_then(|(brand, _)| brands.get(brand)).cloned();
        for moved in self.settling.take(event, owner)? {
            for posting in self.settled(moved)? {
                self.post(event, event.kind.text(), posting)?;
            }
        }
        self.periods.take(event);
        Ok(())
    }

    /// The balances after the last event.
    pub fn balances(&self) -> &Balances {
        &self.closing
    }

    fn post(&mut self, event: &Event, text: &str, posting: Posting) -> Result<(), Malformed> {
        let Posting { account, commodity, amount } = posting;
        let key = (account, commodity);
        add(self.closing.entry(key.clone()).or_default(), amount)?;
        if event.seq < self.from {
            return add(self.opening.entry(key).or_default(), amount);
        }
        let fresh = || Day { first: event.seq, ..Day::default() };
        let day = self.days.entry((event.at.date(0), text.to_owned())).or_insert_with(fresh);
        day.last = event.seq;
        add(day.sums.entry(key).or_default(), amount)
    }

    fn postings(&mut self, leg: &Leg, kind: Kind, tag: Option<Tag>) -> Result<Vec<Posting>, Malformed> {
        let minus = || leg.amount.checked_neg().ok_or_else(large);
        match (&leg.place, leg.asset) {
            (Place::Holder(_), Asset::Unit(unit)) => {
                let account = format!("Liabilities:Points:{unit}");
                self.points(unit, account, minus()?)
            }
            (Place::Shared(unit, shared), Asset::Unit(_)) => {
                let account = of_shared(*unit, *shared);
                self.points(*unit, account, minus()?)
            }
            (Place::Pair(has, other), Asset::Money(currency)) => {
                self.money(has, other, currency, leg.amount, kind, tag)
            }
            (place, asset) => Err(Malformed(format!("a leg of {asset} on {place}"))),
        }
    }

    fn points(&mut self, unit: UnitCode, account: String, amount: i64) -> Result<Vec<Posting>, Malformed> {
        let (brand, scale) = self
            .units
            .get(&unit)
            .ok_or_else(|| Malformed(format!("the unit {unit} was not defined before")))?;
        let owner =
            self.brands.get(brand).ok_or_else(|| Malformed(format!("{brand} was not registered before")))?;
        if self.whose.as_ref().is_some_and(|whose| whose != owner) {
            return Ok(vec![]);
        }
        self.used.insert(unit.to_string(), *scale);
        Ok(vec![Posting { account, commodity: unit.to_string(), amount }])
    }

    /// Who answers for a unit's points.
    fn owner(&self, unit: UnitCode) -> Option<&ParticipantId> {
        self.units.get(&unit).and_then(|(brand, _)| self.brands.get(brand))
    }

    fn money(
        &mut self,
        has: &ParticipantId,
        other: &ParticipantId,
        currency: Currency,
        amount: i64,
        kind: Kind,
        tag: Option<Tag>,
    ) -> Result<Vec<Posting>, Malformed> {
        let scale = self.scale(currency)?;
        let commodity = currency.to_string();
        let post = |account: String, amount: i64| Posting { account, commodity: commodity.clone(), amount };
        let minus = |n: i64| n.checked_neg().ok_or_else(large);
        // What is charged back and not decided is nobody's income yet, and no expense.
        let provisional = tag.is_some_and(|tag| tag.cycle == PROVISIONAL);
        let book = if provisional { "Disputed" } else { "Clearing" };
        let supply = tag.and_then(|tag| tag.supply);
        let supplies = supply.map(|supply| supply.gross() == Some(amount));
        let tax = tax_within(amount, tag)?;
        let net = amount.checked_sub(tax).ok_or_else(large)?;
        let reserve = tag.and_then(|tag| match tag.cause {
            CauseId::Reserve(ReserveId(unit)) => Some(unit),
            _ => None,
        });
        let out = match &self.whose {
            None => {
                // No account below the other: that one's balance would hold this one's, too.
                let (own, of) = (part(has.as_str()), part(other.as_str()));
                let mut out = vec![
                    post(format!("Assets:{book}Tax:{own}:{of}"), tax),
                    post(format!("Assets:{book}:{own}:{of}"), net),
                ];
                if self.settling.anew(kind, tag) {
                    out.push(post(format!("Assets:Clearing:{own}:House"), minus(amount)?));
                    out.push(post(format!("Assets:Clearing:House:{own}"), amount));
                }
                if kind == Kind::DueConfirmed {
                    out.push(post(format!("Assets:Bank:{own}:{of}"), minus(amount)?));
                }
                out
            }
            Some(whose) if whose == has && reserve.is_some_and(|_| supply.is_none()) => {
                let unit = reserve.map(|unit| unit.to_string()).unwrap_or_default();
                let own = reserve.and_then(|unit| self.owner(unit)) == Some(whose);
                let side = if own { "Assets" } else { "Liabilities" };
                vec![
                    post(format!("Assets:{book}:{}", part(other.as_str())), amount),
                    post(format!("{side}:Reserve:{unit}"), minus(amount)?),
                ]
            }
            // Neither is anybody's loss: who bears a part has it from the defaulter, and no longer from the house.
            Some(whose) if whose == has && self.settling.anew(kind, tag) => vec![
                post(format!("Assets:Clearing:{}", part(other.as_str())), amount),
                post("Assets:Clearing:House".into(), minus(amount)?),
            ],
            Some(whose) if whose == has => {
                // A refund takes back what a capture booked, so it is booked to the same account; and so is what comes
                // back of what was written off.
                let banked = matches!(kind, Kind::StatementAccepted | Kind::LineAssigned);
                let back = banked || kind == Kind::PaymentRefunded;
                let owed = supplies.unwrap_or((amount > 0) != back);
                let (side, taxes) = match owed {
                    // What is set off or carried on was income or an expense before; what was paid between two is at the
                    // bank.
                    _ if provisional || matches!(kind, Kind::CycleSetOff | Kind::ObjectionAnswered) => {
                        ("Equity", "Equity")
                    }
                    _ if kind == Kind::DueConfirmed => ("Assets", "Assets"),
                    true => ("Income", "Liabilities"),
                    false => ("Expenses", "Assets"),
                };
                let what = match supply.map(|supply| supply.service) {
                    Some(service) if service.is_fee() => "Fees",
                    Some(Service::Breakage) => "Breakage",
                    _ if tag.is_some_and(|tag| matches!(tag.cause, CauseId::Award(_))) => "Awards",
                    _ => match kind {
                        Kind::ExchangeMade => "Exchanges",
                        Kind::DisputeMoved => "Disputes",
                        Kind::InstructionMoved | Kind::StatementAccepted | Kind::LineAssigned => "WrittenOff",
                        Kind::CycleSetOff => "SetOff",
                        Kind::ObjectionAnswered => "Carried",
                        Kind::DueConfirmed => "Bank",
                        _ => "Redemptions",
                    },
                };
                let of_tax = supply.map(|supply| supply.tax).unwrap_or_default();
                let other = part(other.as_str());
                vec![
                    post(format!("Assets:{book}:{other}"), amount),
                    post(format!("{side}:{what}:{other}"), minus(net)?),
                    post(format!("{taxes}:Tax:{}-{}", category(of_tax.category), of_tax.rate), minus(tax)?),
                ]
            }
            Some(_) => vec![],
        };
        if !out.is_empty() {
            self.used.insert(commodity.clone(), scale);
        }
        Ok(out.into_iter().filter(|posting| posting.amount != 0).collect())
    }

    /// What is settled, in the participant's own books; of all of them, also in the house's.
    fn settled(&mut self, moved: Moved) -> Result<Vec<Posting>, Malformed> {
        let Moved { who, from, to, currency, amount } = moved;
        let scale = self.scale(currency)?;
        let mut out = vec![];
        for (book, amount) in [(to, amount), (from, amount.checked_neg().ok_or_else(large)?)] {
            let own = who.as_ref().map_or_else(String::new, |who| part(who.as_str()));
            let (name, with) = match &book {
                Book::Pair(other) => ("Clearing", part(other.as_str())),
                Book::PairTax(other) => ("ClearingTax", part(other.as_str())),
                Book::House => ("Clearing", "House".into()),
                Book::Bank => ("Bank", "House".into()),
                Book::Cover => ("Cover", "House".into()),
                Book::Fund => ("Fund", "House".into()),
                Book::Overpaid => ("Overpaid", "House".into()),
                Book::Borne => ("Borne", "House".into()),
                Book::Reserve(unit) => ("Reserve", unit.to_string()),
                Book::Breakage(keeper) => ("Breakage", part(keeper.as_str())),
                Book::Charges => ("BankCharges", "House".into()),
                Book::Unassigned => ("Unassigned", "House".into()),
                Book::Opening => ("Opening", "House".into()),
            };
            let mut post = |account: String, amount: i64| {
                out.push(Posting { account, commodity: currency.to_string(), amount });
            };
            match (&self.whose, &book) {
                (Some(_), Book::Breakage(_) | Book::Charges) => {
                    post(format!("Expenses:{name}:{with}"), amount)
                }
                (_, Book::Unassigned) => post(format!("Liabilities:{name}:{with}"), amount),
                (_, Book::Opening) => post(format!("Equity:{name}:{with}"), amount),
                (None, Book::Bank) if who.is_none() => post("Assets:Bank:House:Unassigned".into(), amount),
                // The bank took it from the house's account, and not from the operator's.
                (None, Book::Charges) => {
                    post(format!("Expenses:{name}:{own}:{with}"), amount);
                    post(format!("Assets:Bank:House:{own}"), amount.checked_neg().ok_or_else(large)?);
                }
                // One's own books have the tax beside income and expenses.
                (Some(_), Book::PairTax(_)) => post(format!("Assets:Clearing:{with}"), amount),
                (Some(_), _) => post(format!("Assets:{name}:{with}"), amount),
                // What two have from each other the other's books say.
                (None, Book::Pair(_) | Book::PairTax(_)) => {
                    post(format!("Assets:{name}:{own}:{with}"), amount);
                }
                (None, Book::Breakage(_)) => {}
                (None, _) => {
                    post(format!("Assets:{name}:{own}:{with}"), amount);
                    let mirror = if with == "House" { own } else { with };
                    post(format!("Assets:{name}:House:{mirror}"), amount.checked_neg().ok_or_else(large)?);
                }
            }
        }
        self.used.insert(currency.to_string(), scale);
        Ok(out)
    }

    fn scale(&self, currency: Currency) -> Result<u8, Malformed> {
        let scale = self.scales.get(&currency).copied();
        scale.ok_or_else(|| Malformed(format!("{currency} is not a currency of the network")))
    }

    /// The journal. `cut` tells of what.
    pub fn journal(self, cut: Cut) -> Result<Journal, Malformed> {
        let mut documents = vec![];
        for ((date, kind), day) in self.days {
            let postings: Vec<Posting> = day
                .sums
                .into_iter()
                .filter(|(_, amount)| *amount != 0)
                .map(|((account, commodity), amount)| Posting { account, commodity, amount })
                .collect();
            if !postings.is_empty() {
                let number = u64::try_from(documents.len()).unwrap_or(u64::MAX).saturating_add(1);
                let entries = (day.first, day.last);
                documents.push(Document { number, date, posted: date, text: kind, entries, postings });
            }
        }
        let clean = |mut balances: Balances| {
            balances.retain(|_, amount| *amount != 0);
            balances
        };
        let journal = Journal {
            cut,
            commodities: self.used,
            opening: clean(self.opening),
            documents,
            closing: clean(self.closing),
        };
        journal.check()?;
        Ok(journal)
    }
}

fn large() -> Malformed {
    Malformed("an amount above 63 bits".into())
}

fn category(category: TaxCategory) -> &'static str {
    match category {
        TaxCategory::Standard => "Standard",
        TaxCategory::ZeroRated => "ZeroRated",
        TaxCategory::Exempt => "Exempt",
        TaxCategory::ReverseCharge => "ReverseCharge",
        TaxCategory::OutsideScope => "OutsideScope",
    }
}

fn of_shared(unit: UnitCode, shared: Shared) -> String {
    let (root, what) = match shared {
        Shared::Issuance => ("Expenses", "Issued"),
        Shared::Redeemed => ("Income", "Redeemed"),
        Shared::Exchanged => ("Income", "Exchanged"),
        Shared::Transit => ("Equity", "Transit"),
        Shared::Expired => ("Income", "Expired"),
        Shared::ClawedBack => ("Income", "ClawedBack"),
        Shared::Forfeited => ("Income", "Forfeited"),
    };
    format!("{root}:Points:{unit}:{what}")
}
