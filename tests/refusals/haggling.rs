//! The verbs of offers and exchanges.

use super::{Row, Table, number};
use crate::common::world::{id, money, points};
use tallyhouse::machine::Request;
use tallyhouse::payments::{
    AgreeExchange, Authorise, CancelOffer, MakeOffer, WantedExchange, WantedPayment, WantedShare,
};
use tallyhouse::sign::PaymentConsent;
use tallyhouse::types::{Hash, OfferId};

impl Table {
    /// The offer that a row with this id made, and its hash; or one that is named.
    fn offered(&self, name: &str) -> (OfferId, Hash) {
        let made = self.answers.iter().filter_map(|answer| answer.offer.as_ref());
        let made: Vec<_> = made.collect();
        match self.offers.get(name) {
            Some(offer) => {
                let found = made.iter().find(|made| made.offer == *offer).expect("it was answered");
                (*offer, found.hash)
            }
            None => (id(name), Hash([7; 32])),
        }
    }

    /// `want cid holder UNIT [source=] [target=] [currency=] [by=]`, and `bill=UNIT:n+…` beside it.
    pub(super) fn want(&self, row: &Row) -> Request {
        let amount = |name: &str| row.get(name).map(|n| points(number(n)));
        let (source, target) = (amount("source"), amount("target"));
        let currency = id(row.or("currency", "EUR"));
        let exchange = WantedExchange { to: id(row.word(3)), currency, source, target };
        let payment = row.get("bill").map(|bill| self.wanted(row, bill, 5));
        let exchange = (!row.has("nothing")).then_some(exchange);
        let args = MakeOffer { exchange, payment, firm: row.has("firm") };
        self.world.make_offer(&self.key(row.or("by", row.word(2))), row.word(1), &args)
    }

    fn wanted(&self, row: &Row, bill: &str, amount: u64) -> WantedPayment {
        let share = |text: &str| {
            let (unit, n) = text.split_once(':').expect("UNIT:n");
            WantedShare { unit: id(unit), amount: money(number(n)) }
        };
        WantedPayment {
            amount: money(amount),
            currency: id(row.or("currency", "EUR")),
            deadline: self.seconds(row.or("deadline", "+1h")),
            reference: row.get("ref").map(id),
            capture: row.has("capture"),
            shares: bill.split('+').filter(|text| !text.is_empty()).map(share).collect(),
        }
    }

    /// `offer cid amount UNIT:n+… [till=br.n] [by=] [currency=] [deadline=] [capture] [ref=]`.
    pub(super) fn offer(&self, row: &Row) -> Request {
        let till = format!("till:{}", row.or("till", "br_kino.0"));
        let payment = Some(self.wanted(row, row.or("split", row.word(3)), number(row.word(2))));
        let args = MakeOffer { exchange: None, payment, firm: row.has("firm") };
        self.world.make_offer(&self.key(row.or("by", &till)), row.word(1), &args)
    }

    /// `cancel cid offer by=`.
    pub(super) fn cancel(&self, row: &Row) -> Request {
        let args = CancelOffer { offer: self.offered(row.word(2)).0 };
        self.command(row, row.get("by").expect("by="), "offer.cancel", &args)
    }

    /// `exchange offer holder receiver [hash=] [by=] [alone]`.
    pub(super) fn exchange(&self, row: &Row) -> Request {
        let (offer, hash) = self.offered(row.word(1));
        let hash = row.get("hash").map_or(hash, |_| Hash([3; 32]));
        let args = AgreeExchange { offer, hash };
        let key = self.key(row.or("by", row.word(2)));
        let mut request = self.world.agree_exchange(&key, &self.key(row.word(3)), &self.cid(row), &args);
        if row.has("alone") {
            request.jws.truncate(1);
        }
        request
    }

    /// `take cid offer amount holder:share:most… [till=] [deadline=] [capture] [ref=] [blind] [no-offer]`: agrees to a bill.
    pub(super) fn take(&self, row: &Row) -> Request {
        let (offer, hash) = self.offered(row.word(2));
        let till = row.or("till", "br_kino.0");
        let (shop, _) = till.split_once('.').expect("br.n");
        // The bill was offered a second ago, or as many as the row says.
        let ago = number(row.or("ago", "1"));
        let deadline = self.seconds(row.or("deadline", "+1h")) - ago;
        let args = Authorise {
            amount: money(number(row.word(3))),
            currency: id("EUR"),
            deadline,
            reference: row.get("ref").map(id),
            capture: row.has("capture"),
            offer: (!row.has("no-offer")).then_some(offer),
            under: row.get("under").map(|all| all.split('+').map(|one| self.under(one)).collect()),
        };
        let shares = row.words[4..].iter().filter(|word| word.contains(':')).enumerate();
        let consents = shares.map(|(n, share)| {
            let [holder, amount, most] = share.split(':').collect::<Vec<_>>()[..] else {
                panic!("{share}: holder:share:most")
            };
            let claims = PaymentConsent {
                aud: self.world.net,
                jti: id(&format!("jti-{}-{n}", self.count)),
                account: self.holder(holder).account,
                payee: id(shop),
                payment: id(row.word(1)),
                till: None,
                amount: money(number(amount)),
                currency: id("EUR"),
                points: points(number(most)),
                deadline: deadline + 60,
                offer: (!row.has("blind")).then_some(hash),
                iat: None,
                exp: self.seconds("+2m"),
            };
            self.world.consent(&self.key(holder), &claims)
        });
        let by = self.key(&format!("till:{till}"));
        self.world.authorise(&by, row.word(1), &args, consents.collect())
    }
}
