//! Requests about terms: offers, exchanges, and prices that people approve.

use super::world::{Brand, Key, World, beginning, id};
use tallyhouse::machine::Request;
use tallyhouse::payments::{AgreeExchange, CancelOffer, MakeOffer};
use tallyhouse::prices::{PublishBreakage, PublishPrices};
use tallyhouse::sign::{KeyCert, Purpose};
use tallyhouse::types::OfferId;

impl World {
    pub fn make_offer(&self, key: &Key, cid: &str, args: &MakeOffer) -> Request {
        self.alone(self.command(key, cid, "offer.make", args))
    }

    pub fn cancel_offer(&self, key: &Key, cid: &str, offer: OfferId) -> Request {
        self.alone(self.command(key, cid, "offer.cancel", &CancelOffer { offer }))
    }

    /// The holder of the points that are given up agrees; the key of the account that gets the others approves.
    pub fn agree_exchange(&self, key: &Key, receiver: &Key, cid: &str, args: &AgreeExchange) -> Request {
        let first = self.command(key, cid, "exchange.agree", args);
        let approval = self.approve(receiver, &first);
        Request::of(vec![first, approval])
    }

    /// The certificates of all approvers.
    pub fn approving(&self) -> Vec<Request> {
        let now = beginning().seconds();
        let of = |brand: &Brand| -> Vec<Request> {
            let certify = |(n, key): (usize, &Key)| {
                let (purpose, person) = (Purpose::Approver, Some(id(&format!("{}-{n}", brand.id))));
                let cert = KeyCert { purpose, person, ..self.issuing_cert(brand, key, now, None) };
                self.certify(&brand.root, key, &cert)
            };
            brand.approvers.iter().enumerate().map(certify).collect()
        };
        self.brands.iter().flat_map(of).collect()
    }

    /// Prices that two people approve.
    pub fn change_prices(&self, brand: &Brand, cid: &str, args: &PublishPrices) -> Request {
        self.by_two(brand, cid, "prices.publish", args)
    }

    /// A breakage curve that two people approve.
    pub fn publish_breakage(&self, brand: &Brand, cid: &str, args: &PublishBreakage) -> Request {
        self.by_two(brand, cid, "breakage.publish", args)
    }

    fn by_two(&self, brand: &Brand, cid: &str, kind: &str, args: &impl serde::Serialize) -> Request {
        let first = self.command(&brand.root, cid, kind, args);
        let approvals = brand.approvers.iter().map(|key| self.approve(key, &first));
        Request::of(std::iter::once(first.clone()).chain(approvals).collect())
    }
}
