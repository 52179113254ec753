//! The tour: a short log in which every kind of entry stands, each with as much in it as it can have.
//!
//! Owns: the story that vectors, schemas and the scripts of `tests/interop` are checked with.
//! Promises: the same bytes every time.
//! Refuses to know: what is checked with it.

use super::house::House;
use super::month;
use super::node::PureNode;
use super::world::{Brand, Holder, Key, Till, World, beginning, id, money, points, rate};
use std::collections::BTreeMap;
use tallyhouse::book::{AcceptedUnit, Floor, KeyState, Notice, PriceFor};
use tallyhouse::machine::{Answer, Kind, Request};
use tallyhouse::network::DefineUnit;
use tallyhouse::payments::{
    AgreeExchange, Authorise, MakeOffer, OpenConsent, Under, WantedExchange, WantedPayment, WantedShare,
};
use tallyhouse::prices::{PublishAcceptance, PublishBreakage, PublishPrices};
use tallyhouse::sign::{Award, HeldCaps, PaymentConsent, Sale, SaleLine, SpendCode};
use tallyhouse::types::{PaymentId, Refusal, Time, UnitCode, encode};

/// The world and the log of the tour.
pub struct Tour {
    pub world: World,
    pub node: PureNode,
    now: Time,
    ids: u32,
}

/// One unit's part in a bill: whose points, and how much of the bill.
type Shares<'a> = &'a [(&'a Holder, u64)];

impl Tour {
    /// Takes the tour.
    pub fn take() -> Self {
        let world = World::new(20_261_120);
        let node = PureNode::founded(&world);
        let mut tour = Self { world, node, now: beginning().plus_seconds(60), ids: 0 };
        let (harvest, kino) = (tour.holder("HARVEST"), tour.holder("KINO"));
        tour.accounts(&harvest, &kino);
        tour.awards(&harvest, &kino);
        tour.payments(&harvest, &kino);
        tour.held(&harvest, &kino);
        tour.freezing(&harvest);
        tour.over_http();
        tour.shown(&harvest);
        tour.offers(&harvest, &kino);
        tour.due(&harvest);
        tour.erased();
        let mut tour = tour.cleared();
        tour.node.snapshot(tour.now);
        let kinds = tour.by_kind();
        let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !kinds.contains_key(kind.text())).collect();
        assert!(missing.is_empty(), "the tour leaves out {missing:?}");
        tour
    }

    /// Adds awards until the log has so many entries.
    pub fn lengthen(&mut self, entries: u64) {
        let unit = id("TWIN");
        while self.node.chain.next_seq() < entries {
            let now = self.now;
            self.submit(|world, cid| {
                let brand = &world.brands[3];
                let token = world.token(brand, unit, cid, world.holder(unit, 0).account, 1, now);
                world.issue(&brand.issuing[0], &token)
            });
        }
    }

    /// The places of the entries of each kind.
    pub fn by_kind(&self) -> BTreeMap<String, Vec<usize>> {
        let mut kinds = BTreeMap::<String, Vec<usize>>::new();
        for (at, entry) in self.node.entries.iter().enumerate() {
            let envelope = tallyhouse::log::Envelope::decode(&entry.envelope).expect("our own envelope");
            kinds.entry(envelope.kind).or_default().push(at);
        }
        kinds
    }

    fn holder(&self, unit: &str) -> Holder {
        self.world.holder(id(unit), 0)
    }

    fn cid(&mut self) -> String {
        self.ids += 1;
        format!("tour-{}", self.ids)
    }

    fn submit(&mut self, request: impl FnOnce(&World, &str) -> Request) -> Answer {
        let cid = self.cid();
        self.now = self.now.plus_seconds(1);
        let request = request(&self.world, &cid);
        self.node.submit(&request, self.now).unwrap_or_else(|no| panic!("{cid}: {no}"))
    }

    fn accounts(&mut self, harvest: &Holder, kino: &Holder) {
        self.submit(|world, cid| world.open_account(cid, id("HARVEST"), harvest));
        let now = self.now;
        self.submit(|world, cid| {
            let brand = &world.brands[1];
            let token = world.token(brand, id("KINO"), cid, kino.account, 900_000, now);
            world.issue(&brand.issuing[0], &token)
        });
        self.submit(|world, cid| {
            world.open_account_by_brand(cid, &world.brands[1].issuing[0], id("KINO"), kino)
        });
    }

    fn awards(&mut self, harvest: &Holder, kino: &Holder) {
        let now = self.now;
        self.submit(|world, cid| {
            let mut token = world.token(&world.brands[0], id("HARVEST"), cid, harvest.account, 40_000, now);
            token.iat = Some(now.seconds());
            token.reference = Some(id("receipt-1"));
            token.store = Some(id("store-0"));
            token.till = Some(id("till-0"));
            token.occurred_at = Some(now.seconds() - 30);
            token.business_date = Some(id("2026-01-05"));
            token.reason = Some(id("goodwill"));
            token.campaign = Some(id("winter"));
            token.until = Some(id("2026-12-31"));
            token.from = Some(id("2026-01-05"));
            let line = |n: u64| SaleLine {
                id: id(&format!("line-{n}")),
                amount: money(n * 100),
                points: points(20_000),
            };
            token.lines = Some(vec![line(1), line(2)]);
            token.sale = Some(Sale { amount: money(300), currency: id("EUR") });
            world.issue(&world.brands[0].issuing[0], &token)
        });
        self.submit(|world, cid| {
            let brand = &world.brands[1];
            let award = |amount: u64, number: &str| {
                encode(&Award {
                    sub: kino.account,
                    amount: points(amount),
                    reference: Some(id(number)),
                    store: None,
                    till: Some(id("till-0")),
                    occurred_at: None,
                    business_date: None,
                    reason: None,
                    campaign: None,
                    until: None,
                    from: None,
                    lines: None,
                    sale: None,
                })
            };
            // New, the same again, the same receipt with other content, and no award at all.
            let lines =
                [award(500, "r-1"), award(500, "r-1"), award(501, "r-1"), b"{}".to_vec(), award(7, "r-2")];
            let claims = world.batch(brand, id("KINO"), cid, &lines, true, now);
            world.issue_batch(&brand.issuing[0], &claims, &lines)
        });
    }

    /// A bill in a shop of a third brand, paid with points of several units.
    fn authorise(&mut self, shares: Shares, capture: bool) -> PaymentId {
        self.authorise_by(None, shares, capture)
    }

    /// The same, asked for with another key than the till's own.
    fn authorise_by(&mut self, by: Option<&Key>, shares: Shares, capture: bool) -> PaymentId {
        let (eur, now) = (id("EUR"), self.now);
        let deadline = now.seconds() + 3_600;
        let answer = self.submit(|world, cid| {
            let shop: &Brand = &world.brands[2];
            let total = shares.iter().map(|(_, amount)| *amount).sum();
            let reference = Some(id(&format!("bill-{cid}")));
            let args = Authorise {
                offer: None,
                amount: money(total),
                currency: eur,
                deadline,
                reference,
                capture,
                under: None,
            };
            let consents = shares.iter().map(|(holder, amount)| {
                let claims = PaymentConsent {
                    offer: None,
                    aud: world.net,
                    jti: id(&format!("consent-{cid}")),
                    account: holder.account,
                    payee: shop.id.clone(),
                    payment: id(cid),
                    till: Some(shop.tills[1].till.clone()),
                    amount: money(*amount),
                    currency: eur,
                    points: points(100_000),
                    deadline,
                    iat: Some(now.seconds()),
                    exp: now.seconds() + 200,
                };
                world.consent(&holder.key, &claims)
            });
            world.authorise(by.unwrap_or(&shop.tills[1].key), cid, &args, consents.collect())
        });
        answer.payment.expect("a payment")
    }

    fn payments(&mut self, harvest: &Holder, kino: &Holder) {
        // KINO's points can be spent two days after they were earned.
        self.now = self.now.plus_seconds(3 * 86_400);
        let shares: Shares = &[(harvest, 60_001), (kino, 40_000)];
        let payment = self.authorise(shares, false);
        self.submit(|world, cid| world.capture(till(world), cid, payment, 50_001, false));
        self.submit(|world, cid| world.capture(till(world), cid, payment, 20_000, true));
        self.submit(|world, cid| world.refund(till(world), cid, payment, 10_001));
        let voided = self.authorise(&[(harvest, 20_000)], false);
        self.submit(|world, cid| world.void(till(world), cid, voided));
        self.authorise(&[(kino, 1_000)], true);
        // More than was authorised: a refusal that spends the command's id.
        let cid = self.cid();
        let request = self.world.capture(till(&self.world), &cid, payment, 1, false);
        let no = self.node.submit(&request, self.now).expect_err("the payment is closed");
        assert_eq!(no.code, Refusal::PaymentClosed);
    }

    /// Keys that the network holds for a brand: one issues, one stands at a till.
    fn held(&mut self, harvest: &Holder, kino: &Holder) {
        let (issuing, now) = (Key::derive(1, "held issuing"), self.now);
        let caps = |per_account_day, per_day| Some(HeldCaps { per_account_day, per_day });
        self.submit(|world, _| {
            let mut cert = world.issuing_cert(&world.brands[1], &issuing, now.seconds(), None);
            cert.held = caps(1_000, 5_000);
            world.certify(&world.brands[1].root, &issuing, &cert)
        });
        self.submit(|world, _| {
            world.set_budget(&world.brands[1].root, &world.budget(issuing.kid, id("KINO"), 1))
        });
        self.submit(|world, cid| {
            let token = world.token(&world.brands[1], id("KINO"), cid, kino.account, 900, now);
            world.issue(&issuing, &token)
        });
        let place = &self.world.brands[2].tills[1];
        let till = Till {
            key: Key::derive(1, "held till"),
            store: place.store.clone(),
            till: place.till.clone(),
            participant: place.participant.clone(),
            most: place.most,
        };
        self.submit(|world, _| {
            let shop = &world.brands[2];
            let mut cert = world.till_cert(shop, &till, now.seconds(), None);
            cert.held = caps(20_000, 30_000);
            world.certify(&shop.root, &till.key, &cert)
        });
        let shares: Shares = &[(harvest, 9_000), (kino, 9_000)];
        let payment = self.authorise_by(Some(&till.key), shares, true);
        self.submit(|world, cid| world.refund(&till.key, cid, payment, 12_000));
        // A day's cap is reached: this refusal spends the command's id too.
        let cid = self.cid();
        let request = self.world.refund(&till.key, &cid, payment, 1);
        let no = self.node.submit(&request, self.now).expect_err("all is drawn");
        assert_eq!(no.code, Refusal::AssertedLimitExceeded);
    }

    fn freezing(&mut self, harvest: &Holder) {
        let (account, unit): (_, UnitCode) = (harvest.account, id("TWIN"));
        self.submit(|world, cid| world.freeze_account(&harvest.key, cid, account, true));
        self.submit(|world, cid| world.freeze_account(&world.brands[0].root, cid, account, false));
        for frozen in [true, false] {
            self.submit(|world, cid| world.freeze_brand(cid, &world.brands[3].id, frozen));
            self.submit(|world, cid| world.freeze_unit(cid, unit, frozen));
            self.submit(|world, cid| world.freeze_network(cid, frozen));
        }
        let retired = KeyState::Retired;
        self.submit(|world, cid| {
            let brand = &world.brands[3];
            world.revoke_key(&brand.root, cid, brand.tills[0].key.kid, retired)
        });
    }

    /// What can be asked for by a signed HTTP request, asked so.
    fn over_http(&mut self) {
        let polar = self.holder("POLAR");
        let now = self.now.plus_seconds(1);
        self.submit(|world, cid| {
            world.over_http(&world.open_account(cid, id("POLAR"), &polar), &polar.key, now)
        });
        self.submit(|world, cid| {
            let brand = &world.brands[2];
            let mut token = world.token(brand, id("POLAR"), cid, polar.account, 9_000, now);
            token.reference = Some(id("receipt-2"));
            token.occurred_at = Some(now.seconds());
            world.over_http(&world.issue(&brand.issuing[0], &token), &brand.issuing[0], now)
        });
        let deadline = now.seconds() + 3_600;
        let answer = self.submit(|world, cid| {
            let till = &world.brands[1].tills[0].key;
            let args = Authorise {
                offer: None,
                amount: money(500),
                currency: id("EUR"),
                deadline,
                reference: Some(id("bill-http")),
                capture: false,
                under: None,
            };
            let claims = PaymentConsent {
                offer: None,
                aud: world.net,
                jti: id("consent-http"),
                account: polar.account,
                payee: world.brands[1].id.clone(),
                payment: id(cid),
                till: None,
                amount: money(500),
                currency: id("EUR"),
                points: points(100_000),
                deadline,
                iat: None,
                exp: now.seconds() + 200,
            };
            let consent = world.consent(&polar.key, &claims);
            world.over_http(&world.authorise(till, cid, &args, vec![consent]), till, now)
        });
        let payment = answer.payment.expect("a payment");
        self.submit(|world, cid| {
            let till = &world.brands[1].tills[0].key;
            world.over_http(&world.capture(till, cid, payment, 500, true), till, now)
        });
        // A kind that everybody sees.
        self.submit(|world, cid| {
            let (root, unit) = (&world.brands[2].root, &world.brands[2].units[0]);
            let again = DefineUnit { version: 2, ..unit.clone() };
            world.over_http(&world.define_unit(root, cid, &again), root, now)
        });
    }

    /// A code on a phone opens a consent; two bills are paid under it, one of them together with points of another
    /// unit, whose holder signs.
    fn shown(&mut self, harvest: &Holder) {
        let (eur, now, polar) = (id("EUR"), self.now.plus_seconds(1), self.holder("POLAR"));
        let answer = self.submit(|world, cid| {
            let code = SpendCode {
                aud: world.net,
                jti: id("code-1"),
                payee: Some(world.brands[2].id.clone()),
                most: money(30_000),
                currency: eur,
                iat: Some(now.seconds()),
                exp: now.seconds() + 45,
            };
            let codes = vec![world.code(&harvest.key, &code)];
            world.open_consent(till(world), cid, &OpenConsent { code: code.jti }, codes)
        });
        let consent = answer.consent.expect("a consent");
        let under = |amount| Some(vec![Under { consent, amount: money(amount) }]);
        let deadline = now.seconds() + 3_600;
        let args = |amount, under| {
            let reference = None;
            Authorise {
                offer: None,
                amount: money(amount),
                currency: eur,
                deadline,
                reference,
                capture: true,
                under,
            }
        };
        self.submit(|world, cid| world.authorise(till(world), cid, &args(4_000, under(4_000)), vec![]));
        self.submit(|world, cid| {
            let shop = &world.brands[2];
            let claims = PaymentConsent {
                offer: None,
                aud: world.net,
                jti: id("consent-both"),
                account: polar.account,
                payee: shop.id.clone(),
                payment: id(cid),
                till: None,
                amount: money(1_000),
                currency: eur,
                points: points(100_000),
                deadline,
                iat: None,
                exp: now.seconds() + 200,
            };
            let consents = vec![world.consent(&polar.key, &claims)];
            world.over_http(
                &world.authorise(till(world), cid, &args(3_000, under(2_000)), consents),
                till(world),
                now,
            )
        });
    }

    /// Offers: an exchange that is agreed to, one that is taken back, and a bill.
    fn offers(&mut self, harvest: &Holder, kino: &Holder) {
        let eur = id("EUR");
        let approving = self.world.approving();
        for request in approving.into_iter().skip(2).take(2) {
            self.submit(|_, _| request);
        }
        let from = self.now.seconds() + 86_400;
        self.submit(|world, cid| {
            let brand = &world.brands[1];
            let one = |name: &str, n| PriceFor { participant: id(name), rate: rate(n, 1) };
            let args = PublishPrices {
                until: Some(from + 86_400),
                verifiable_until: Some(from + 90 * 86_400),
                settle_for: Some(vec![one("pa_harvest", 18), one("pa_polar", 20)]),
                issue_for: Some(vec![one("pa_harvest", 22)]),
                reason: Some(id("spring")),
                ..world.prices(id("KINO"), 2, eur, from)
            };
            world.change_prices(brand, cid, &args)
        });
        self.submit(|world, cid| {
            let brand = &world.brands[1];
            let args = PublishBreakage {
                unit: id("KINO"),
                version: 1,
                redeemed: vec![150_000, 400_000, 700_000],
                reason: Some(id("first-year")),
            };
            world.publish_breakage(brand, cid, &args)
        });
        self.submit(|world, cid| {
            let brand = &world.brands[1];
            let mut unit = brand.units[0].clone();
            unit.version = 2;
            unit.notice = Some(Notice { change_days: 1, cut_days: 2 });
            unit.floor = Some(vec![Floor { currency: eur, rate: rate(20, 1) }]);
            world.define_unit(&brand.root, cid, &unit)
        });
        self.submit(|world, cid| {
            let args = PublishAcceptance {
                brand: world.brands[3].id.clone(),
                version: 2,
                from: Some(from + 3 * 86_400),
                units: vec![AcceptedUnit { unit: id("HARVEST"), per_day: None }],
                exchange: None,
            };
            world.publish_acceptance(&world.brands[3].root, cid, &args)
        });
        let want = |source, target| MakeOffer {
            exchange: Some(WantedExchange { to: id("KINO"), currency: eur, source, target }),
            payment: None,
            firm: false,
        };
        let two = [want(Some(points(500)), None), want(None, Some(points(300)))];
        let [first, second] = two.map(|args| {
            let answer = self.submit(|world, cid| world.make_offer(&harvest.key, cid, &args));
            answer.offer.expect("an offer")
        });
        let args = AgreeExchange { offer: first.offer, hash: first.hash };
        self.submit(|world, cid| world.agree_exchange(&harvest.key, &kino.key, cid, &args));
        self.submit(|world, cid| world.cancel_offer(&harvest.key, cid, second.offer));
        let deadline = self.now.seconds() + 3_600;
        let share = |unit, amount| WantedShare { unit: id(unit), amount: money(amount) };
        let bill = WantedPayment {
            amount: money(5_000),
            currency: eur,
            deadline,
            reference: Some(id("bill-offered")),
            capture: true,
            shares: vec![share("HARVEST", 3_000), share("KINO", 2_000)],
        };
        let args = MakeOffer { exchange: None, payment: Some(bill), firm: false };
        let now = self.now.plus_seconds(1);
        let answer = self.submit(|world, cid| {
            world.over_http(&world.make_offer(till(world), cid, &args), till(world), now)
        });
        let offered = answer.offer.expect("an offer");
        self.submit(|world, cid| {
            let args = Authorise {
                amount: money(5_000),
                currency: eur,
                deadline,
                reference: Some(id("bill-offered")),
                capture: true,
                offer: Some(offered.offer),
                under: None,
            };
            let consents = [(harvest, 3_000), (kino, 2_000)].map(|(holder, amount)| {
                let claims = PaymentConsent {
                    aud: world.net,
                    jti: id(&format!("consent-{cid}")),
                    account: holder.account,
                    payee: world.brands[2].id.clone(),
                    payment: id(cid),
                    till: None,
                    amount: money(amount),
                    currency: eur,
                    points: points(1_000),
                    deadline,
                    offer: Some(offered.hash),
                    iat: None,
                    exp: now.seconds() + 200,
                };
                world.consent(&holder.key, &claims)
            });
            world.authorise(till(world), cid, &args, consents.to_vec())
        });
    }

    /// A month in the clearing house, and one with fees and tax.
    fn cleared(self) -> Self {
        let Self { world, node, now, ids } = self;
        let mut house = House::adopt(world, node, now);
        month::play(&mut house);
        let charged = month::charge(&mut house);
        month::contest(&mut house, charged);
        Self { world: house.world, node: house.node, now: house.now, ids }
    }

    /// What a holder asked with, erased on request.
    fn erased(&mut self) {
        let seq = self.by_kind()["account.opened"][0];
        let leaf = tallyhouse::log::leaf_hash(&self.node.entries[seq].parts[0]);
        self.submit(|world, cid| world.erase(cid, seq as u64, 0, leaf));
    }

    /// A hold past its deadline and points past their date; and a key of an account that is reported lost.
    fn due(&mut self, harvest: &Holder) {
        let short = self.world.holder(id("KINOPLUS"), 0);
        let now = self.now;
        self.submit(|world, cid| {
            let brand = &world.brands[1];
            let token = world.token(brand, id("KINOPLUS"), cid, short.account, 70, now);
            world.issue(&brand.issuing[1], &token)
        });
        self.authorise(&[(harvest, 5_000)], false);
        self.now = self.now.plus_seconds(60 * 86_400);
        self.node.tick(self.now);
        self.submit(|world, cid| {
            world.revoke_account_key(&world.brands[0].root, cid, harvest.key.kid, KeyState::Compromised)
        });
    }
}

/// The till that the bills are paid at: it stands in a franchisee's shop and has limits.
fn till(world: &World) -> &Key {
    &world.brands[2].tills[1].key
}
