//! An honest history with every kind of entry in it.

use crate::common::house::House;
use crate::common::month;
use crate::common::node::PureNode;
use crate::common::world::{Holder, World, beginning, id, money, points};
use tallyhouse::book::{AcceptedUnit, ExchangeAccepted, KeyState};
use tallyhouse::machine::{Answer, Request};
use tallyhouse::network::{DefineUnit, FreezeBrand, FreezeUnit};
use tallyhouse::payments::{
    AgreeExchange, Authorise, MakeOffer, OpenConsent, Under, WantedExchange, WantedPayment, WantedShare,
};
use tallyhouse::prices::{PublishAcceptance, PublishBreakage};
use tallyhouse::sign::{PaymentConsent, Sale, SpendCode};
use tallyhouse::types::{PaymentId, Refusal, Time};

pub fn minutes(n: u64) -> Time {
    beginning().plus_seconds(n * 60)
}

fn ok(node: &mut PureNode, request: &Request, at: Time) -> Answer {
    node.submit(request, at).unwrap_or_else(|no| panic!("{no}"))
}

/// A bill at one of a brand's tills, paid by one holder.
pub struct Bill<'a> {
    pub cid: &'a str,
    pub shop: &'a str,
    pub holder: &'a Holder,
    pub amount: u64,
    pub most: u64,
    pub now: Time,
}

impl Bill<'_> {
    pub fn args(&self) -> Authorise {
        let deadline = self.now.seconds() + 3_600;
        Authorise {
            offer: None,
            amount: money(self.amount),
            currency: id("EUR"),
            deadline,
            reference: None,
            capture: false,
            under: None,
        }
    }

    pub fn consent(&self, world: &World) -> PaymentConsent {
        PaymentConsent {
            offer: None,
            aud: world.net,
            jti: id(&format!("consent-{}", self.cid)),
            account: self.holder.account,
            payee: id(self.shop),
            payment: id(self.cid),
            till: None,
            amount: money(self.amount),
            currency: id("EUR"),
            points: points(self.most),
            deadline: self.now.seconds() + 3_600,
            iat: None,
            exp: self.now.seconds() + 200,
        }
    }

    pub fn request(&self, world: &World) -> Request {
        let till = &world.brands.iter().find(|b| b.id.as_str() == self.shop).expect("a shop").tills[1];
        let consent = world.consent(&self.holder.key, &self.consent(world));
        world.authorise(&till.key, self.cid, &self.args(), vec![consent])
    }
}

/// Every kind of entry but a snapshot.
pub fn story(world: &World) -> PureNode {
    let mut node = PureNode::founded(world);
    let (harvest, kino) = (&world.brands[0], &world.brands[1]);
    let unit = id("HARVEST");
    let (ada, ben) = (world.holder(unit, 0), world.holder(unit, 1));
    let mut t = 10;
    let mut next = || {
        t += 1;
        minutes(t)
    };
    ok(&mut node, &world.open_account("open-ada", unit, &ada), next());
    let now = next();
    ok(
        &mut node,
        &world.issue(&harvest.issuing[0], &world.token(harvest, unit, "t1", ada.account, 5_000, now)),
        now,
    );
    ok(
        &mut node,
        &world.issue(&harvest.issuing[0], &world.token(harvest, unit, "t2", ben.account, 700, now)),
        now,
    );
    ok(&mut node, &world.open_account_by_brand("open-ben", &harvest.issuing[0], unit, &ben), next());
    let line = |reference: &str, amount: u64, sub| {
        format!(r#"{{"sub":"{sub}","amount":{amount},"ref":"{reference}","till":"till-0"}}"#).into_bytes()
    };
    let lines = vec![
        line("r1", 30, ada.account),
        line("r1", 31, ben.account),
        b"{}".to_vec(),
        line("r2", 40, ben.account),
    ];
    let now = next();
    let claims = world.batch(harvest, unit, "b1", &lines, true, now);
    ok(&mut node, &world.issue_batch(&harvest.issuing[0], &claims, &lines), now);

    let till = &kino.tills[1].key;
    let pay = |node: &mut PureNode, cid: &str, holder: &Holder, amount: u64, now: Time| -> PaymentId {
        let bill = Bill { cid, shop: "br_kino", holder, amount, most: 4_000, now };
        ok(node, &bill.request(world), now).payment.expect("a payment")
    };
    let first = pay(&mut node, "pay-1", &ada, 20_010, next());
    ok(&mut node, &world.capture(till, "cap-1", first, 7_003, false), next());
    ok(&mut node, &world.refund(till, "ref-1", first, 1_001), next());
    let second = pay(&mut node, "pay-2", &ben, 2_000, next());
    ok(&mut node, &world.void(till, "void-2", second), next());
    // A code that was shown, and what is asked for under it.
    let now = next();
    let code = SpendCode {
        aud: world.net,
        jti: id("code-3"),
        payee: Some(kino.id.clone()),
        most: money(3_000),
        currency: id("EUR"),
        iat: None,
        exp: now.seconds() + 60,
    };
    let args = OpenConsent { code: code.jti.clone() };
    let codes = vec![world.code(&ada.key, &code)];
    let open = ok(&mut node, &world.open_consent(till, "open-3", &args, codes), now);
    let under = Under { consent: open.consent.expect("a consent"), amount: money(1_000) };
    let bill = Bill { cid: "pay-3", shop: "br_kino", holder: &ada, amount: 1_000, most: 0, now };
    let args = Authorise { under: Some(vec![under]), capture: true, ..bill.args() };
    ok(&mut node, &world.authorise(till, "pay-3", &args, vec![]), next());
    // A refusal that spends its id.
    let no =
        node.submit(&world.capture(till, "cap-no", first, 999_999, false), next()).expect_err("too much");
    assert_eq!(no.code, Refusal::CaptureExceeded);
    // Settings, keys, freezing.
    let again = DefineUnit { version: 2, ..harvest.units[0].clone() };
    ok(&mut node, &world.define_unit(&harvest.root, "unit-2", &again), next());
    let units = vec![AcceptedUnit {
        unit,
        per_day: Some(Sale { amount: money(5_000_000), currency: "EUR".parse().expect("a currency") }),
    }];
    let exchange = vec![ExchangeAccepted {
        into: id("KINO"),
        budget: kino.issuing[0].kid,
        units: vec![AcceptedUnit { unit, per_day: None }],
    }];
    let accept =
        PublishAcceptance { from: None, exchange: Some(exchange), brand: kino.id.clone(), version: 2, units };
    ok(&mut node, &world.publish_acceptance(&kino.root, "accept-2", &accept), next());
    ok(&mut node, &world.set_budget(&harvest.root, &world.budget(harvest.issuing[0].kid, unit, 2)), next());
    let frozen = FreezeUnit { unit, frozen: true };
    ok(&mut node, &world.alone(world.command(&harvest.root, "freeze-u", "unit.freeze", &frozen)), next());
    ok(&mut node, &world.freeze_unit("release-u", unit, false), next());
    let frozen = FreezeBrand { brand: kino.id.clone(), frozen: true };
    ok(&mut node, &world.alone(world.command(&kino.root, "freeze-b", "brand.freeze", &frozen)), next());
    ok(&mut node, &world.freeze_brand("release-b", &kino.id, false), next());
    ok(&mut node, &world.freeze_network("freeze-n", true), next());
    ok(&mut node, &world.freeze_network("release-n", false), next());
    ok(&mut node, &world.freeze_account(&ben.key, "freeze-a", ben.account, true), next());
    ok(&mut node, &world.freeze_account(&harvest.root, "release-a", ben.account, false), next());
    ok(
        &mut node,
        &world.revoke_account_key(&harvest.root, "revoke-ben", ben.key.kid, KeyState::Retired),
        next(),
    );
    ok(
        &mut node,
        &world.revoke_key(&harvest.root, "revoke-till", harvest.tills[1].key.kid, KeyState::Compromised),
        next(),
    );
    ok(&mut node, &world.erase("erase-1", 3, 0, tallyhouse::types::Hash([9; 32])), next());
    // An hour later the first payment's hold falls due.
    node.tick(minutes(200));
    let now = minutes(201);
    ok(
        &mut node,
        &world.issue(&harvest.issuing[0], &world.token(harvest, unit, "t3", ada.account, 7, now)),
        now,
    );
    offers(world, &mut node);
    // A month in the clearing house. The cast is the same: its keys follow from the seed.
    let mut house = House::adopt(World::new(world.seed), node, minutes(400));
    month::play(&mut house);
    let charged = month::charge(&mut house);
    month::contest(&mut house, charged);
    house.node
}

/// Two exchanges offered, one of them agreed to; a bill offered, agreed to and captured; one taken back.
fn offers(world: &World, node: &mut PureNode) {
    let (harvest, kino) = (&world.brands[0], &world.brands[1]);
    let (ada, cara) = (world.holder(id("HARVEST"), 0), world.holder(id("KINO"), 0));
    let till = &kino.tills[1].key;
    let mut t = 201;
    let mut next = || {
        t += 1;
        beginning().plus_seconds(t * 60)
    };
    for request in world.approving().iter().take(2) {
        ok(node, request, next());
    }
    let prices = world.prices(id("HARVEST"), 2, id("EUR"), next().seconds() + 86_400);
    ok(node, &world.change_prices(harvest, "prices-2", &prices), next());
    let curve = PublishBreakage { unit: prices.unit, version: 1, redeemed: vec![300_000], reason: None };
    ok(node, &world.publish_breakage(harvest, "breakage-1", &curve), next());
    ok(node, &world.open_account("open-cara", id("KINO"), &cara), next());
    let want = |source| MakeOffer {
        exchange: Some(WantedExchange { to: id("KINO"), currency: id("EUR"), source, target: None }),
        payment: None,
        firm: false,
    };
    let now = next();
    let made = ok(node, &world.make_offer(&ada.key, "offer-1", &want(Some(points(210)))), now);
    let made = made.offer.expect("an offer");
    let args = AgreeExchange { offer: made.offer, hash: made.hash };
    ok(node, &world.agree_exchange(&ada.key, &cara.key, "exchange-1", &args), now.plus_seconds(5));
    let made = ok(node, &world.make_offer(&ada.key, "offer-2", &want(Some(points(50)))), next());
    let offer = made.offer.expect("an offer").offer;
    ok(node, &world.cancel_offer(&ada.key, "cancel-2", offer), made.at.plus_seconds(9));
    let now = next();
    let bill = Bill { cid: "pay-9", shop: "br_kino", holder: &ada, amount: 2_000, most: 500, now };
    let args = bill.args();
    let wanted = WantedPayment {
        amount: args.amount,
        currency: args.currency,
        deadline: args.deadline,
        reference: None,
        capture: false,
        shares: vec![WantedShare { unit: harvest.units[0].unit, amount: args.amount }],
    };
    let made = ok(
        node,
        &world.make_offer(till, "offer-3", &MakeOffer { exchange: None, payment: Some(wanted), firm: false }),
        now,
    );
    let made = made.offer.expect("an offer");
    let consent = PaymentConsent { offer: Some(made.hash), ..bill.consent(world) };
    let args = Authorise { offer: Some(made.offer), ..args };
    let consents = vec![world.consent(&ada.key, &consent)];
    ok(node, &world.authorise(till, "pay-9", &args, consents), now.plus_seconds(7));
}
