//! What holders, tills and issuing keys ask for.

use super::super::common::world::{Key, id, points};
use super::ask::{Ask, Line, What};
use super::generate::{Generator, HOARDER, LINGERER};
use super::model::{MOpen, MPayment, Model};
use tallyhouse::payments::{Authorise, OpenConsent, Under};
use tallyhouse::prices::PublishPrices;
use tallyhouse::sign::{PaymentConsent, PointToken, Sale, SaleLine, SpendCode};
use tallyhouse::types::{ConsentId, Date, Ident, Money, PaymentId, Refusal, UnitCode, encode};

fn money(n: u64) -> Money {
    super::super::common::world::money(n)
}

fn date(seconds: u64) -> Date {
    tallyhouse::types::Time::from_seconds(seconds).expect("in range").date(0)
}

const DAY: u64 = 86_400;

impl<'w> Generator<'w> {
    /// What an award may say besides whom and how much.
    fn decorate(&mut self, token: &mut PointToken, hoarding: bool) {
        let now = self.seconds();
        if self.rng.chance(50) {
            token.reference = Some(id(&self.fresh("receipt")));
        }
        if self.rng.chance(50) {
            token.till = Some(id(&format!("till-{}", self.rng.below(2))));
        }
        if self.rng.chance(20) {
            let back = match self.rng.below(10) {
                0 => 30 * DAY,
                1..4 => self.rng.below(30 * DAY),
                _ => self.rng.below(DAY),
            };
            token.occurred_at = Some(if self.rng.chance(10) { now + 299 } else { now - back });
        }
        if self.rng.chance(5) {
            token.business_date = Some(date(now - self.rng.below(3) * DAY));
        }
        if self.rng.chance(10) {
            token.reason = Some(id(if self.rng.chance(60) { "goodwill" } else { "birthday" }));
        }
        if hoarding && self.rng.chance(80) {
            token.until = Some(date(now + self.rng.range(2, 200) * DAY));
        } else if self.rng.chance(4) {
            token.until = Some(date(now + self.rng.below(5) * DAY - DAY));
        }
        if self.rng.chance(5) {
            token.from = Some(date(now + self.rng.below(4) * DAY));
        }
        if self.rng.chance(5) {
            let (a, b) = (token.amount.get() / 2, token.amount.get() - token.amount.get() / 2);
            let line = |n: &str, p| SaleLine { id: id(n), amount: money(p * 3), points: points(p) };
            token.lines = Some(vec![line("1", a), line("2", b)]);
            token.sale = Some(Sale { amount: money((a + b) * 3), currency: id("EUR") });
        }
    }

    fn plain_token(&mut self, unit: UnitCode) -> PointToken {
        let holder = self.holder(unit);
        let hoarding = holder.account == self.cast.holders[&unit][HOARDER].account;
        let amount = match self.rng.below(10) {
            0 => self.rng.range(1, 9),
            1..7 => self.rng.range(10, 2_000),
            _ => self.rng.range(2_000, 50_000),
        };
        let (brand, jti) = (self.world.brand_of(unit).0, self.fresh("token"));
        let mut token = self.world.token(brand, unit, &jti, holder.account, amount, self.time());
        self.decorate(&mut token, hoarding);
        token
    }

    pub fn token(&mut self, model: &Model) -> Ask {
        let unit = self.unit();
        let mut token = self.plain_token(unit);
        let mut key = self.issuing_of(unit, model);
        let brand = self.world.brand_of(unit).0;
        let own = self.world.brands.iter().position(|own| own.id == brand.id).expect("one of ours");
        let funded = |key: &&&Key| model.budgets.get(&key.kid).is_some_and(|budget| budget.unit == unit);
        if let Some(till) = self.tills[own].iter().rfind(funded)
            && self.rng.chance(25)
        {
            // A till that may award.
            key = *till;
        }
        if self.rng.chance(12) {
            self.spoil_token(&mut token, &mut key, model);
        }
        let request = self.world.issue(key, &token);
        Ask::new(request, key.kid, vec![], None, What::Token(Box::new(token)))
    }

    fn spoil_token(&mut self, token: &mut PointToken, key: &mut &'w Key, model: &Model) {
        let now = self.seconds();
        match self.rng.below(14) {
            0 => token.amount = points(0),
            1 => {
                let unit = self.unit();
                token.sub = self.holder(unit).account;
            }
            2 => (token.till, token.reference) = self.some_receipt(model),
            3 => token.occurred_at = Some(now - 30 * DAY - 1),
            4 => token.occurred_at = Some(now + 301),
            5 => token.exp = now,
            6 => token.exp = now + 1,
            7 => token.iss = self.world.brands[self.brand()].id.clone(),
            8 => {
                let brand = self.brand();
                *key = self.till_of(brand, model);
            }
            9 => {
                let unit = self.unit();
                *key = self.issuing_of(unit, model);
            }
            10 => *key = &self.world.brands[self.brand()].root,
            11 => token.unit = Self::unknown_unit(),
            12 => {
                let line = SaleLine { id: id("1"), amount: money(1), points: points(token.amount.get() + 1) };
                token.lines = Some(vec![line]);
            }
            _ => token.amount = points(5_000_000_000_000 + self.rng.below(9)),
        }
    }

    fn some_receipt(&mut self, model: &Model) -> (Option<Ident>, Option<Ident>) {
        if model.refs.is_empty() {
            return (None, None);
        }
        let at = self.rng.index(model.refs.len());
        let (_, till, number) = model.refs.keys().nth(at).expect("within");
        ((till != "-").then(|| id(till)), Some(id(number)))
    }

    pub fn batch(&mut self, model: &Model) -> Ask {
        let unit = self.unit();
        let count = if self.rng.chance(5) { self.rng.below(2) } else { self.rng.range(2, 14) };
        let clean = self.rng.chance(50);
        let mut lines: Vec<Line> = vec![];
        for _ in 0..count {
            let mut token = self.plain_token(unit);
            if !clean && self.rng.chance(10) {
                let mut nobody = &self.world.roots[0];
                self.spoil_token(&mut token, &mut nobody, model);
            }
            let bytes = encode(&token.award());
            lines.push(match self.rng.below(60) {
                0 if !clean => (b"{\"sub\":1}".to_vec(), None),
                1 if !clean => (b"no line".to_vec(), None),
                2..8 if !lines.is_empty() => lines[self.rng.index(lines.len())].clone(),
                _ => (bytes, Some(token.award())),
            });
        }
        let bytes: Vec<Vec<u8>> = lines.iter().map(|(bytes, _)| bytes.clone()).collect();
        let (brand, jti, skip) = (self.world.brand_of(unit).0, self.fresh("batch"), self.rng.chance(60));
        let mut claims = self.world.batch(brand, unit, &jti, &bytes, skip, self.time());
        let key = self.issuing_of(unit, model);
        let mut flaw = None;
        if self.rng.chance(6) {
            flaw = Some(Refusal::BatchMismatch);
            match self.rng.below(3) {
                0 => claims.count += 1,
                1 => claims.total = points(claims.total.get() + 1),
                _ => claims.root = self.world.net,
            }
        } else if self.rng.chance(3) {
            claims.exp = self.seconds();
        }
        let request = self.world.issue_batch(key, &claims, &bytes);
        let mut ask = Ask::new(request, key.kid, vec![], None, What::Batch(claims, lines));
        ask.flaw = flaw;
        ask
    }

    // Payments.

    /// Who could pay with a unit: an account with a key and points, and how many to spend.
    pub fn payer(&mut self, unit: UnitCode, model: &Model) -> Option<(usize, u64)> {
        let holders = &self.cast.holders[&unit];
        for _ in 0..4 {
            let n = if self.rng.chance(15) { LINGERER } else { self.rng.index(holders.len()) };
            let Some(purse) = model.books.purses.get(&holders[n].account) else { continue };
            let have = u64::try_from(purse.available(self.now)).expect("fits");
            if purse.key.is_some() && have > 0 {
                let some = match self.rng.below(10) {
                    0 => have,
                    1 => have + 1,
                    2 => self.rng.range(1, 3.min(have)),
                    _ if n == LINGERER => self.rng.range(1, 1 + have / 200),
                    3..5 => self.rng.range(1, 1 + have / 3),
                    _ => self.rng.range(5.min(have), have.min(3_000)),
                };
                return Some((n, some));
            }
        }
        None
    }

    fn price<'m>(&self, unit: UnitCode, model: &'m Model) -> Option<&'m PublishPrices> {
        let now = self.seconds();
        let eur = id("EUR");
        let good = |p: &&PublishPrices| {
            p.currency == eur && p.from <= now && p.until.is_none_or(|until| now < until)
        };
        model.prices.get(&unit)?.iter().rfind(good)
    }

    pub fn authorise(&mut self, model: &Model) -> Ask {
        let (brand, now) = (self.brand(), self.seconds());
        let till = self.till_of(brand, model);
        let cid = self.fresh("pay");
        let deadline = match self.rng.below(10) {
            0 => now + 30 * DAY,
            1 => now + self.rng.range(1, 30),
            2..7 => now + self.rng.range(1, 3 * DAY),
            _ => now + self.rng.range(60, 900),
        };
        let shop = &self.world.brands[brand];
        let mut args = Authorise {
            offer: None,
            amount: money(0),
            currency: id("EUR"),
            deadline,
            reference: self.rng.chance(30).then(|| id(&cid)),
            capture: self.rng.chance(25),
            under: None,
        };
        if self.rng.chance(25)
            && let Some(under) = self.under(till, model)
        {
            // All of it under an open consent, or more than that.
            let all = self.rng.chance(80);
            args.amount = if all { under.amount } else { money(under.amount.get() + 1) };
            if self.rng.chance(3) {
                args.currency = id("CHF");
            }
            args.under = Some(vec![under]);
            let request = self.world.authorise(till, &cid, &args, vec![]);
            return Ask::new(request, till.kid, vec![], Some(&cid), What::Authorise(args, vec![]));
        }
        let many = [1, 1, 1, 1, 2, 2, 3][self.rng.index(7)];
        let mut consents: Vec<(&Key, PaymentConsent)> = vec![];
        let (mut sum, first) = (0, self.rng.index(self.units.len()));
        for k in 0..many {
            let own = &shop.units[0].unit;
            let unit =
                if k == 0 && self.rng.chance(40) { *own } else { self.units[(first + k) % self.units.len()] };
            let Some((n, spend)) = self.payer(unit, model) else { continue };
            let home = shop.units.iter().any(|own| own.unit == unit);
            let Some(price) = self.price(unit, model) else { continue };
            let rate = if home { price.home } else { price.till };
            let amount = rate.money_floor(points(spend)).unwrap_or_default().max(money(1));
            let need = rate.points_ceil(amount).unwrap_or_default().get();
            let least = model.units[&unit].terms(model.seconds()).0;
            if need < least && self.rng.chance(90) {
                continue;
            }
            let holder = &self.cast.holders[&unit][n];
            let consent = PaymentConsent {
                offer: None,
                aud: self.world.net,
                jti: id(&self.fresh("consent")),
                account: holder.account,
                payee: shop.id.clone(),
                payment: id(&cid),
                till: None,
                amount,
                currency: id("EUR"),
                points: points(need + self.rng.below(2) * self.rng.below(100)),
                deadline: deadline + self.rng.below(2) * 60,
                iat: None,
                exp: now + self.rng.range(2, 300),
            };
            if consents.iter().all(|(_, have)| have.account != consent.account) {
                sum += amount.get();
                consents.push((&holder.key, consent));
            }
        }
        args.amount = money(sum);
        if consents.is_empty() && self.rng.chance(95) {
            return self.token(model);
        }
        if self.rng.chance(14) {
            self.spoil_bill(&mut args, &mut consents, model);
        }
        let signed = consents.iter().map(|(key, consent)| self.world.consent(key, consent)).collect();
        let request = self.world.authorise(till, &cid, &args, signed);
        let consents = consents.into_iter().map(|(key, consent)| (key.kid, consent)).collect();
        Ask::new(request, till.kid, vec![], Some(&cid), What::Authorise(args, consents))
    }

    /// A till reads the code on a phone.
    pub fn show(&mut self, model: &Model) -> Ask {
        let (brand, now, unit) = (self.brand(), self.seconds(), self.unit());
        let till = self.till_of(brand, model);
        let cid = self.fresh("open");
        let holder = match self.payer(unit, model) {
            Some((n, _)) => &self.cast.holders[&unit][n],
            None => self.holder(unit),
        };
        let mut code = SpendCode {
            aud: self.world.net,
            jti: id(&self.fresh("code")),
            payee: self.rng.chance(30).then(|| self.world.brands[brand].id.clone()),
            most: money(self.rng.range(1, 40_000)),
            currency: id("EUR"),
            iat: None,
            exp: now + self.rng.range(2, 60),
        };
        let mut args = OpenConsent { code: code.jti.clone() };
        let mut key = &holder.key;
        match self.rng.below(60) {
            0 => code.exp = now,
            1 => code.exp = now + 61,
            2 => code.exp = now + 60,
            3 => code.payee = Some(self.world.brands[self.brand()].id.clone()),
            4 => code.most = money(0),
            5 => code.currency = id("CHF"),
            6 => args.code = id("another"),
            7 => key = &self.world.log,
            8 => key = till,
            9 => {
                if let Some((_, jti)) = model.consents.iter().find(|(account, _)| *account == holder.account)
                {
                    (code.jti, args.code) = (id(jti), id(jti));
                }
            }
            _ => {}
        }
        let none = self.rng.chance(2);
        let codes = if none { vec![] } else { vec![self.world.code(key, &code)] };
        let request = self.world.open_consent(till, &cid, &args, codes);
        let code = (!none).then_some((key.kid, code));
        Ask::new(request, till.kid, vec![], Some(&cid), What::Show(args, code))
    }

    /// Something to ask for under a consent that was opened at a till; now and then at another one, too late or too
    /// much.
    fn under(&mut self, till: &Key, model: &Model) -> Option<Under> {
        let strange = self.rng.chance(5);
        let mine = |open: &MOpen| open.till == till.kid && model.now < open.until && open.used < open.most;
        let fits = |(_, open): &(&ConsentId, &MOpen)| strange || mine(open);
        let all: Vec<_> = model.open.iter().filter(fits).collect();
        let (consent, open) = *all.get(self.rng.index(all.len().max(1)))?;
        let left = u64::try_from(open.most - open.used).expect("small");
        let amount = match self.rng.below(12) {
            0 => left,
            1 => left + 1,
            _ => self.rng.range(1, left.clamp(1, 2_500)),
        };
        let unknown = self.rng.chance(2).then_some(ConsentId { seq: model.seq, part: 0 });
        Some(Under { consent: unknown.unwrap_or(*consent), amount: money(amount) })
    }

    fn spoil_bill(
        &mut self,
        args: &mut Authorise,
        consents: &mut Vec<(&'w Key, PaymentConsent)>,
        model: &Model,
    ) {
        let now = self.seconds();
        match self.rng.below(6) {
            0 => args.amount = money(args.amount.get() + 1),
            1 => args.deadline = now,
            2 => args.deadline = now + 30 * DAY + 1,
            3 => args.currency = id("CHF"),
            4 => consents.clear(),
            _ => {}
        }
        let Some(at) = consents.len().checked_sub(1) else { return };
        let (key, consent) = &mut consents[at];
        match self.rng.below(16) {
            0 => consent.points = points(consent.points.get() / 2),
            1 => consent.exp = now,
            2 => consent.exp = now + 301,
            3 => consent.exp = now + 300,
            4 => consent.payee = self.world.brands[self.brand()].id.clone(),
            5 => consent.till = Some(id("till-0")),
            6 => consent.deadline = args.deadline - 1,
            7 => consent.payment = id("another"),
            8 => {
                let unit = self.unit();
                let other = self.holder(unit);
                if model.keys.contains_key(&other.key.kid) {
                    *key = &other.key;
                }
            }
            9 => {
                let unit = self.unit();
                consent.account = self.holder(unit).account;
            }
            10 => {
                let used = model.consents.iter().find(|(account, _)| *account == consent.account);
                if let Some((_, jti)) = used {
                    consent.jti = id(jti);
                }
            }
            11 => {
                // The same account twice, in two halves.
                let half = consent.amount.get() / 2;
                let mut twin = (*key, consent.clone());
                consent.amount = money(consent.amount.get() - half);
                (twin.1.amount, twin.1.jti) = (money(half), id(&format!("{}-b", twin.1.jti)));
                consents.push(twin);
            }
            12 => consent.currency = id("CHF"),
            13 => *key = &self.world.log,
            _ => {}
        }
    }

    /// A payment as wanted; now and then just any.
    fn some_payment(&mut self, model: &Model, wanted: impl Fn(&MPayment) -> bool) -> Option<PaymentId> {
        if self.payments.is_empty() {
            return None;
        }
        let any = self.rng.chance(4);
        for _ in 0..12 {
            let recent = self.rng.chance(70);
            let n = self.payments.len();
            let at = if recent { n - 1 - self.rng.index(n.min(30)) } else { self.rng.index(n) };
            if any || wanted(&model.payments[&self.payments[at]]) {
                return Some(self.payments[at]);
            }
        }
        None
    }

    /// A till of the payment's brand, or, rarely, of another.
    fn till_for(&mut self, payment: &MPayment, model: &Model) -> &'w Key {
        let own = self.world.brands.iter().position(|brand| brand.id == payment.brand).expect("one of ours");
        let brand = if self.rng.chance(2) { self.brand() } else { own };
        // Mostly one of the participant that was paid: others of the brand are refused.
        let terms = |key: &Key| model.keys.get(&key.kid).and_then(|key| key.till.as_ref());
        let paid = |key: &&&Key| terms(key).is_some_and(|till| till.participant == payment.participant);
        let theirs: Vec<&Key> = self.tills[brand].iter().filter(paid).copied().collect();
        if theirs.is_empty() || self.rng.chance(5) {
            return self.till_of(brand, model);
        }
        self.usable(&theirs, model)
    }

    fn unknown_payment(&mut self, model: &Model) -> Ask {
        let (brand, cid) = (self.brand(), self.fresh("capture"));
        let (till, payment) = (self.till_of(brand, model), PaymentId { seq: 1 + self.rng.below(9), part: 0 });
        let request = self.world.void(till, &cid, payment);
        Ask::new(request, till.kid, vec![], Some(&cid), What::Void(payment))
    }

    pub fn capture(&mut self, model: &Model) -> Ask {
        let now = self.now;
        let open = |payment: &MPayment| !payment.closed && now < payment.deadline;
        let Some(payment) = self.some_payment(model, open) else { return self.authorise(model) };
        let have = &model.payments[&payment];
        let left = u64::try_from(have.amount - have.captured).expect("fits");
        let n = match self.rng.below(20) {
            0 => left + 1,
            1 => 0,
            2..5 => 1,
            5..10 => left,
            _ => self.rng.range(0, left.max(1)).max(1),
        };
        let (till, last, cid) = (self.till_for(have, model), self.rng.chance(20), self.fresh("capture"));
        let request = self.world.capture(till, &cid, payment, n, last);
        Ask::new(request, till.kid, vec![], Some(&cid), What::Capture(payment, n, last))
    }

    pub fn void(&mut self, model: &Model) -> Ask {
        let now = self.now;
        let open = |payment: &MPayment| !payment.closed && now < payment.deadline;
        let Some(payment) = self.some_payment(model, open) else { return self.authorise(model) };
        if self.rng.chance(3) {
            return self.unknown_payment(model);
        }
        let (till, cid) = (self.till_for(&model.payments[&payment], model), self.fresh("void"));
        let request = self.world.void(till, &cid, payment);
        Ask::new(request, till.kid, vec![], Some(&cid), What::Void(payment))
    }

    pub fn refund(&mut self, model: &Model) -> Ask {
        let taken = |payment: &MPayment| payment.captured > payment.refunded;
        let Some(payment) = self.some_payment(model, taken) else { return self.authorise(model) };
        let have = &model.payments[&payment];
        let left = u64::try_from(have.captured - have.refunded).expect("fits");
        let n = match self.rng.below(20) {
            0 => left + 1,
            1 => 0,
            2..5 => 1,
            5..12 => left,
            _ => self.rng.range(0, left.max(1)).max(1),
        };
        let (till, cid) = (self.till_for(have, model), self.fresh("refund"));
        let request = self.world.refund(till, &cid, payment, n);
        Ask::new(request, till.kid, vec![], Some(&cid), What::Refund(payment, n))
    }
}
