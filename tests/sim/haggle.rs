//! Offers and exchanges that the generator asks for.

use super::super::common::world::{Key, id, money, points};
use super::ask::{Ask, What};
use super::generate::Generator;
use super::model::{Model, Owner};
use super::offer::{Fate, MOffer};
use tallyhouse::book::{BillTerms, OfferTerms};
use tallyhouse::payments::{
    AgreeExchange, Authorise, CancelOffer, MakeOffer, WantedExchange, WantedPayment, WantedShare,
};
use tallyhouse::sign::PaymentConsent;
use tallyhouse::types::{Hash, OfferId};

impl<'w> Generator<'w> {
    /// An offer of the last few, mostly one that is open.
    fn some_offer<'m>(&mut self, model: &'m Model) -> Option<(OfferId, &'m MOffer)> {
        let open = |(_, offer): &(&OfferId, &MOffer)| offer.fate == Fate::Open && offer.until > self.now;
        let mut recent: Vec<_> = model.offers.iter().rev().take(12).collect();
        if recent.iter().any(open) {
            recent.retain(open);
        }
        if self.rng.chance(5) {
            recent = model.offers.iter().collect();
        }
        if recent.is_empty() { None } else { Some(recent[self.rng.index(recent.len())]) }
            .map(|(id, offer)| (*id, offer))
    }

    /// The pair of a key that a holder or a till has.
    fn key_of_maker(&self, offer: &MOffer) -> Option<&'w Key> {
        let holders = self.cast.holders.values().flatten().map(|holder| &holder.key);
        holders.chain(self.tills.iter().flatten().copied()).find(|key| key.kid == offer.key)
    }

    /// Has an exchange offered, or a bill.
    pub fn haggle(&mut self, model: &Model) -> Ask {
        let cid = self.fresh("offer");
        let wanted = if self.rng.chance(60) { self.want_exchange(model) } else { self.want_bill(model) };
        let Some((key, mut args)) = wanted else { return self.token(model) };
        match self.rng.below(40) {
            0 => args.exchange = None,
            1 => {
                args.payment = None;
                args.exchange = Some(WantedExchange {
                    to: self.unit(),
                    currency: id("EUR"),
                    source: Some(points(5)),
                    target: None,
                });
            }
            _ => {}
        }
        let request = self.world.make_offer(key, &cid, &args);
        Ask::new(request, key.kid, vec![], Some(&cid), What::MakeOffer(args))
    }

    fn want_exchange(&mut self, model: &Model) -> Option<(&'w Key, MakeOffer)> {
        let from = self.unit();
        let (n, spend) = self.payer(from, model)?;
        let to = if self.rng.chance(3) { Self::unknown_unit() } else { self.unit() };
        let currency = id(if self.rng.chance(3) { "CHF" } else { "EUR" });
        let some = Some(points(spend));
        let (source, target) = match self.rng.below(30) {
            0 => (None, None),
            1 => (some, some),
            2 => (Some(points(0)), None),
            3 => (None, Some(points(9_007_199_254_740_991))),
            4..15 => (None, some),
            _ => (some, None),
        };
        let exchange = Some(WantedExchange { to, currency, source, target });
        Some((&self.cast.holders[&from][n].key, MakeOffer { exchange, payment: None, firm: false }))
    }

    fn want_bill(&mut self, model: &Model) -> Option<(&'w Key, MakeOffer)> {
        let brand = self.brand();
        let till = self.till_of(brand, model);
        let (many, first) = (self.rng.range(1, 3), self.rng.index(self.units.len()));
        let mut shares = vec![];
        for k in 0..many {
            let unit = self.units[(first + k as usize) % self.units.len()];
            shares.push(WantedShare { unit, amount: money(self.rng.range(1, 9_000)) });
        }
        let mut amount: u64 = shares.iter().map(|share| share.amount.get()).sum();
        let mut deadline = self.seconds() + self.rng.range(1, 90_000);
        match self.rng.below(30) {
            0 => amount += 1,
            1 => shares.push(shares[0].clone()),
            2 => deadline = self.seconds(),
            3 => shares[0].unit = Self::unknown_unit(),
            4 => (amount, shares) = (0, vec![]),
            _ => {}
        }
        let reference = self.rng.chance(30).then(|| id("bill"));
        let capture = self.rng.chance(30);
        let amount = money(amount);
        let payment = WantedPayment { amount, currency: id("EUR"), deadline, reference, capture, shares };
        Some((till, MakeOffer { exchange: None, payment: Some(payment), firm: false }))
    }

    /// Agrees to an offer that is there, or takes it back.
    pub fn settle_offer(&mut self, model: &Model) -> Ask {
        let Some((offer, has)) = self.some_offer(model) else { return self.haggle(model) };
        let Some(mut key) = self.key_of_maker(has) else { return self.haggle(model) };
        if self.rng.chance(3) {
            key = &self.world.brands[self.brand()].tills[0].key;
        }
        let cid = self.fresh("settle");
        if self.rng.chance(12) {
            let args = CancelOffer { offer };
            let request = self.world.alone(self.world.command(key, &cid, "offer.cancel", &args));
            return Ask::new(request, key.kid, vec![], Some(&cid), What::CancelOffer(args));
        }
        let hash = if self.rng.chance(4) { Hash([4; 32]) } else { has.hash(offer) };
        match (&has.terms, &has.by) {
            (OfferTerms::Payment(bill), Owner::Brand(brand)) => {
                let shop = self.world.brands.iter().position(|one| one.id == *brand).expect("ours");
                self.agree_bill(model, key, shop, offer, hash, bill).unwrap_or_else(|| self.token(model))
            }
            (OfferTerms::Exchange(terms), _) => {
                let to = if self.rng.chance(4) { self.unit() } else { terms.to };
                let receiver = &self.holder(to).key;
                let args = AgreeExchange { offer, hash };
                let mut request = self.world.agree_exchange(key, receiver, &cid, &args);
                let mut approvals = vec![receiver.kid];
                if self.rng.chance(4) {
                    request.jws.truncate(1);
                    approvals.clear();
                }
                Ask::new(request, key.kid, approvals, Some(&cid), What::Exchange(args))
            }
            _ => self.token(model),
        }
    }

    fn agree_bill(
        &mut self,
        model: &Model,
        till: &'w Key,
        shop: usize,
        offer: OfferId,
        hash: Hash,
        bill: &BillTerms,
    ) -> Option<Ask> {
        let (cid, now) = (self.fresh("pay"), self.seconds());
        let mut args = Authorise {
            amount: bill.amount,
            currency: bill.currency,
            deadline: bill.deadline,
            reference: bill.reference.clone(),
            capture: bill.capture,
            offer: Some(offer),
            under: None,
        };
        let mut consents = vec![];
        for share in &bill.shares {
            let (n, _) = self.payer(share.unit, model)?;
            let holder = &self.cast.holders[&share.unit][n];
            let most = share.points.get() - u64::from(self.rng.chance(3));
            let consent = PaymentConsent {
                aud: self.world.net,
                jti: id(&self.fresh("consent")),
                account: holder.account,
                payee: self.world.brands[shop].id.clone(),
                payment: id(&cid),
                till: None,
                amount: share.amount,
                currency: bill.currency,
                points: points(most),
                deadline: bill.deadline,
                offer: (!self.rng.chance(3)).then_some(hash),
                iat: None,
                exp: now + self.rng.range(2, 300),
            };
            consents.push((&holder.key, consent));
        }
        match self.rng.below(30) {
            0 => args.capture = !args.capture,
            1 => args.deadline += 1,
            2 => args.offer = None,
            _ => {}
        }
        let signed = consents.iter().map(|(key, consent)| self.world.consent(key, consent)).collect();
        let request = self.world.authorise(till, &cid, &args, signed);
        let consents = consents.into_iter().map(|(key, consent)| (key.kid, consent)).collect();
        Some(Ask::new(request, till.kid, vec![], Some(&cid), What::Authorise(args, consents)))
    }
}
