//! The model's rules for offers and exchanges.

use super::ask::Ask;
use super::model::{Count, Model, Owner, Stop};
use super::pay::parts;
use super::purse::{From, Pile, last_day, local_day};
use super::rules::{Done, check, most};
use chrono::Datelike;
use serde::Serialize;
use tallyhouse::book::{BillTerms, ExchangeTerms, OfferTerms, OfferedShare, Shared};
use tallyhouse::machine::Offered;
use tallyhouse::payments::{AgreeExchange, Authorise, CancelOffer, MakeOffer, WantedExchange, WantedPayment};
use tallyhouse::prices::PublishPrices;
use tallyhouse::sign::{PaymentConsent, Purpose, TillClaims};
use tallyhouse::types::{
    AccountId, BrandId, Currency, ExchangeId, Hash, HoldId, Kid, Money, OfferId, Points, Refusal, Time,
    UnitCode, encode,
};

/// What became of an offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Open,
    Taken,
    Cancelled,
}

#[derive(Clone, Debug)]
pub struct MOffer {
    pub by: Owner,
    pub key: Kid,
    pub terms: OfferTerms,
    pub until: i64,
    pub fate: Fate,
}

impl MOffer {
    pub fn hash(&self, id: OfferId) -> Hash {
        #[derive(Serialize)]
        struct Text<'a> {
            offer: OfferId,
            terms: &'a OfferTerms,
            until: Time,
        }
        let until = Time::from_micros(self.until).expect("in range");
        Hash::sha256(&encode(&Text { offer: id, terms: &self.terms, until }))
    }
}

fn points(n: u128) -> Points {
    Points::new(u64::try_from(n).expect("fits")).expect("fits")
}

fn money(n: u128) -> Money {
    Money::new(u64::try_from(n).expect("fits")).expect("fits")
}

impl Model {
    fn own_offer(&self, id: OfferId, own: &Owner) -> Result<MOffer, Stop> {
        let offer = self.offers.get(&id).filter(|offer| offer.by == *own);
        Ok(offer.ok_or(Refusal::OfferUnknown)?.clone())
    }

    fn still_open(&self, offer: &MOffer) -> Done {
        check(offer.fate == Fate::Open && self.now < offer.until, Refusal::OfferClosed)
    }

    pub(super) fn make_offer(&mut self, ask: &Ask, args: &MakeOffer) -> Result<Offered, Stop> {
        let key = self.valid(ask.signer, &[Purpose::Account, Purpose::Till])?.clone();
        check(!self.network_frozen, Refusal::NetworkFrozen)?;
        let id = OfferId { seq: self.seq, part: 0 };
        let until = self.now + 60_000_000;
        let terms = match (&args.exchange, &args.payment, &key.owner) {
            (Some(wanted), None, Owner::Account(account)) => {
                let terms = self.offer_exchange(*account, wanted)?;
                let (n, at) = (u128::from(terms.source.get()), self.now);
                self.books.own(*account, at).hold(id.into(), until, n, at)?;
                OfferTerms::Exchange(Box::new(terms))
            }
            (None, Some(wanted), Owner::Brand(brand)) => {
                let till = key.till.clone().expect("a till");
                OfferTerms::Payment(self.on_copy(|model| model.offer_bill(brand, &till, wanted))?)
            }
            (Some(_), Some(_), _) | (None, None, _) => return Err(Refusal::SettingInvalid.into()),
            _ => return Err(Refusal::KeyPurpose.into()),
        };
        let offer = MOffer { by: key.owner, key: ask.signer, terms, until, fate: Fate::Open };
        let (hash, terms) = (offer.hash(id), offer.terms.clone());
        self.offers.insert(id, offer);
        Ok(Offered { offer: id, hash, terms, until: Time::from_micros(until).expect("in range") })
    }

    /// The brand of a unit of which points may come into being.
    fn obtainable(&self, unit: UnitCode) -> Result<BrandId, Stop> {
        let unit = self.units.get(&unit).ok_or(Refusal::UnitUnknown)?;
        check(!self.brands[&unit.brand].frozen, Refusal::BrandFrozen)?;
        check(!unit.frozen, Refusal::UnitFrozen)?;
        Ok(unit.brand.clone())
    }

    /// Whether some version that is or will be in force pays more for a point than some such version charges.
    fn gains(&self, unit: UnitCode, currency: Currency) -> bool {
        let all: Vec<&PublishPrices> =
            self.prices[&unit].iter().filter(|price| price.currency == currency).collect();
        let now = self.seconds();
        let alive = |p: &&&PublishPrices| {
            let replaced = |q: &&PublishPrices| q.version > p.version && q.from <= now && q.until.is_none();
            p.until.is_none_or(|until| until > now) && !all.iter().any(replaced)
        };
        let alive: Vec<&&PublishPrices> = all.iter().filter(alive).collect();
        alive.iter().any(|high| {
            alive.iter().any(|low| {
                let ((a, b), (c, d)) = (parts(high.settle), parts(low.issue));
                a * d > c * b
            })
        })
    }

    fn offer_exchange(&mut self, account: AccountId, wanted: &WantedExchange) -> Result<ExchangeTerms, Stop> {
        check(wanted.source.is_some() != wanted.target.is_some(), Refusal::SettingInvalid)?;
        let from = self.spendable(account)?;
        let (to, currency) = (wanted.to, wanted.currency);
        check(to != from, Refusal::SettingInvalid)?;
        let brand = self.obtainable(to)?;
        let lists = self.accepted(&brand).and_then(|list| list.exchange).unwrap_or_default();
        let list = lists.into_iter().find(|list| list.into == to);
        let list = list.filter(|list| list.units.iter().any(|unit| unit.unit == from));
        let budget = list.ok_or(Refusal::UnitNotAccepted)?.budget;
        let (settle, issue) = (self.price_now(from, currency)?, self.price_now(to, currency)?);
        check(!self.gains(to, currency), Refusal::ExchangePaused)?;
        let ((a, b), (c, d)) = (parts(settle.settle), parts(issue.issue));
        let (source, target) = match (wanted.source, wanted.target) {
            (Some(source), _) => {
                let source = u128::from(source.get());
                (source, most(source * a * d / (b * c))?)
            }
            (_, target) => {
                let target = u128::from(target.expect("one of them").get());
                (most((target * b * c).div_ceil(a * d))?, target)
            }
        };
        let worth = most(source * a / b)?;
        check(source > 0 && target > 0 && worth > 0, Refusal::AmountTooSmall)?;
        let purse = self.books.own(account, self.now);
        let open = purse.holds.keys().filter(|of| matches!(of, HoldId::Offer(_))).count();
        check(open < 3, Refusal::TooManyOffers)?;
        let participant = |unit: &UnitCode| self.brands[&self.units[unit].brand].participant.clone();
        Ok(ExchangeTerms {
            from,
            to,
            currency,
            source: points(source),
            target: points(target),
            worth: money(worth),
            debtor: participant(&from),
            keeper: None,
            creditor: participant(&to),
            settle_price: settle.version,
            issue_price: issue.version,
            budget,
            fee: None,
            tax: None,
            firm: false,
            pledge: None,
        })
    }

    fn offer_bill(
        &mut self,
        shop: &BrandId,
        till: &TillClaims,
        wanted: &WantedPayment,
    ) -> Result<BillTerms, Stop> {
        check(!self.brands[shop].frozen, Refusal::BrandFrozen)?;
        let (amount, now) = (u128::from(wanted.amount.get()), self.seconds());
        check(amount > 0, Refusal::AmountTooSmall)?;
        check(wanted.deadline > now && wanted.deadline <= now + 30 * 86_400, Refusal::SettingInvalid)?;
        let sum: u128 = wanted.shares.iter().map(|share| u128::from(share.amount.get())).sum();
        let mut units: Vec<UnitCode> = wanted.shares.iter().map(|share| share.unit).collect();
        units.sort_unstable();
        units.dedup();
        let once = units.len() == wanted.shares.len();
        check(sum == amount && once && units.len() <= 16, Refusal::SharesMismatch)?;
        let mut shares = vec![];
        for share in &wanted.shares {
            let issuer = self.obtainable(share.unit)?;
            let home = issuer == *shop;
            let list = self.accepted(shop);
            let listed = list.is_some_and(|list| list.units.iter().any(|unit| unit.unit == share.unit));
            check(home || listed, Refusal::UnitNotAccepted)?;
            let price = self.price_now(share.unit, wanted.currency)?;
            let (num, den) = parts(if home { price.home } else { price.till });
            let n = u128::from(share.amount.get());
            let need = most((n * den).div_ceil(num))?;
            let least = u128::from(self.units[&share.unit].terms(self.seconds()).0);
            check(need > 0 && need >= least, Refusal::AmountTooSmall)?;
            let issuer = self.brands[&issuer].participant.clone();
            let (a, b) = parts(price.settle);
            let owed = if issuer == till.participant { 0 } else { most(n * a * den / (b * num))? };
            if let Some(cap) = self.units[&share.unit].set.offer_cap {
                let minute = self.now / 60_000_000;
                let count = Count::OfferedMinute(shop.clone(), share.unit);
                let counted = self.books.count(count, minute, need, u128::from(cap.get()));
                check(counted, Refusal::OfferLimitExceeded)?;
            }
            shares.push(OfferedShare {
                unit: share.unit,
                amount: share.amount,
                points: points(need),
                obligation: money(owed),
                issuer,
                keeper: None,
                price: price.version,
                tax: None,
                firm: false,
                pledge: None,
            });
        }
        Ok(BillTerms {
            participant: till.participant.clone(),
            currency: wanted.currency,
            amount: wanted.amount,
            deadline: wanted.deadline,
            reference: wanted.reference.clone(),
            capture: wanted.capture,
            shares,
            fees: vec![],
        })
    }

    pub(super) fn cancel_offer(&mut self, ask: &Ask, args: &CancelOffer) -> Done {
        let by = self.valid(ask.signer, &[Purpose::Account, Purpose::Till])?.owner.clone();
        let offer = self.own_offer(args.offer, &by)?;
        self.still_open(&offer)?;
        if let Owner::Account(account) = by {
            let at = self.now;
            self.books.own(account, at).release(args.offer.into());
            // What it brings back may be past its date.
            self.books.own(account, at);
        }
        self.offers.get_mut(&args.offer).expect("just seen").fate = Fate::Cancelled;
        Ok(())
    }

    pub(super) fn exchange(&mut self, ask: &Ask, args: &AgreeExchange) -> Result<ExchangeId, Stop> {
        let Owner::Account(account) = self.valid(ask.signer, &[Purpose::Account])?.owner else {
            return Err(Refusal::KeyOwner.into());
        };
        let offer = self.own_offer(args.offer, &Owner::Account(account))?;
        let OfferTerms::Exchange(terms) = &offer.terms else { return Err(Refusal::OfferMismatch.into()) };
        check(offer.hash(args.offer) == args.hash, Refusal::OfferMismatch)?;
        self.still_open(&offer)?;
        self.on_copy(|model| model.exchange_now(ask, args, account, terms))?;
        self.offers.get_mut(&args.offer).expect("just seen").fate = Fate::Taken;
        Ok(ExchangeId { seq: self.seq, part: 0 })
    }

    fn exchange_now(
        &mut self,
        ask: &Ask,
        args: &AgreeExchange,
        account: AccountId,
        terms: &ExchangeTerms,
    ) -> Done {
        check(!self.network_frozen, Refusal::NetworkFrozen)?;
        self.spendable(account)?;
        let brand = self.obtainable(terms.to)?;
        let [approval] = ask.approvals[..] else { return Err(Refusal::EvidenceMissing.into()) };
        let Owner::Account(receiver) = self.valid(approval, &[Purpose::Account])?.owner else {
            return Err(Refusal::KeyOwner.into());
        };
        let purse = self.books.own(receiver, self.now);
        check(purse.unit == terms.to, Refusal::KeyOwner)?;
        check(!purse.frozen, Refusal::AccountFrozen)?;
        let (source, target) = (u128::from(terms.source.get()), u128::from(terms.target.get()));
        let (worth, at) = (u128::from(terms.worth.get()), self.now);
        self.books.own(account, at).take(args.offer.into(), source, at)?;
        self.books.book(terms.from, Shared::Exchanged, source as i128);
        if terms.debtor != terms.creditor {
            self.books.owe(&terms.debtor, &terms.creditor, terms.currency, worth as i128);
        }
        let unit = self.units[&terms.to].clone();
        let today = local_day(at, unit.set.offset);
        let lists = self.accepted(&brand).and_then(|list| list.exchange).unwrap_or_default();
        let list = lists.iter().find(|list| list.into == terms.to);
        let listed = list.and_then(|list| list.units.iter().find(|unit| unit.unit == terms.from));
        if let Some(cap) = listed.and_then(|listed| listed.per_day.as_ref()) {
            check(cap.currency == terms.currency, Refusal::AcceptanceCapExceeded)?;
            let count = Count::ExchangedDay(terms.from, terms.to);
            let day = i64::from(today.to_epoch_days());
            let counted = self.books.count(count, day, worth, u128::from(cap.amount.get()));
            check(counted, Refusal::AcceptanceCapExceeded)?;
        }
        self.may_issue(terms.budget, &brand, terms.to)?;
        let budget = self.budgets[&terms.budget].clone();
        let (hour, kid) = (self.hour(), terms.budget);
        let ceiling = u128::from(budget.ceiling.get());
        check(self.books.count(Count::Issued(kid), 0, target, ceiling), Refusal::BudgetExceeded)?;
        let hourly = u128::from(budget.hourly.get());
        let counted = self.books.count(Count::IssuedHour(kid), hour, target, hourly);
        check(counted, Refusal::HourlyCeilingExceeded)?;
        let issued = self.books.shared.get(&(terms.to, Shared::Issuance)).map_or(0, |n| n.unsigned_abs());
        if let Some(cap) = unit.set.issue_cap {
            check(issued + target <= u128::from(cap.get()), Refusal::IssueCapExceeded)?;
        }
        let until = last_day(&unit.set.expiry, today);
        let month = (today.year(), today.month());
        let pile = Pile { until, from: None, month, origin: From::Exchanged };
        self.books.own(receiver, at).give(pile, target, at)?;
        most(issued + target)?;
        self.books.book(terms.to, Shared::Issuance, -(target as i128));
        Ok(())
    }

    /// The terms of an offered bill that this request agrees to.
    pub(super) fn offered_bill(
        &self,
        brand: &BrandId,
        till: &TillClaims,
        args: &Authorise,
        consents: &[(Kid, PaymentConsent)],
    ) -> Result<Option<BillTerms>, Stop> {
        let Some(id) = args.offer else {
            let none = consents.iter().all(|(_, consent)| consent.offer.is_none());
            return check(none, Refusal::ConsentMismatch).map(|()| None);
        };
        let offer = self.own_offer(id, &Owner::Brand(brand.clone()))?;
        let OfferTerms::Payment(bill) = &offer.terms else { return Err(Refusal::OfferMismatch.into()) };
        let same = bill.participant == till.participant
            && (bill.amount, bill.currency, bill.deadline) == (args.amount, args.currency, args.deadline)
            && bill.reference == args.reference
            && bill.capture == args.capture
            && args.under.is_none()
            && bill.shares.len() == consents.len();
        check(same, Refusal::OfferMismatch)?;
        let hash = offer.hash(id);
        let agreed = consents.iter().all(|(_, consent)| consent.offer == Some(hash));
        check(agreed, Refusal::ConsentMismatch)?;
        self.still_open(&offer)?;
        Ok(Some(bill.clone()))
    }
}
