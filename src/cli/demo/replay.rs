//! The replay: receipts become awards, payments and returns, on the receipts' own time.
//!
//! Owns: what each receipt makes its member, its shop and its brand sign, and when.
//! Promises: commands bring times that never go back; nothing waits for an answer but a decision that
//! depends on it; memory grows with members, shops and open returns, not with receipts.
//! Refuses to know: how the network decides.

use super::cast::{Brand, Cast, Member};
use super::dispute::Ruled;
use super::house::{Closed, House};
use super::pipe::{Number, Pipe};
use super::receipts::Receipt;
use super::rule::{self, Purse, Share, Wish};
use super::survey::YEAR;
use super::tally::{Borne, Paid, Tally};
use super::terms::CaptureWhen;
use crate::app::id_of;
use crate::engine::{Engine, Failure, Outcome};
use crate::machine::{Kind, Request};
use crate::payments::{Authorise, Capture, Refund};
use crate::sign::{PaymentConsent, PointToken, Sale, SecretKey, Typ, sign};
use crate::types::{Date, Ident, Money, Month, ParticipantId, PaymentId, Points, Time, encode};
use hashbrown::HashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How long a token may be on its way, in seconds.
const TOKEN_LIFE: u64 = 86_400;
/// How long a consent may be on its way, in seconds.
const CONSENT_LIFE: u64 = 120;
/// How long points are held at the most, in seconds.
const HOLD: u64 = 900;

/// What to do when an answer comes.
pub enum What {
    /// It must succeed: nothing after it makes sense otherwise.
    Must(fn(&mut Tally)),
    /// Points for a receipt.
    Award(usize, Points),
    /// A payment: the numbers as they are after it, and what stands captured at once.
    Pay(Paid, u64),
    /// A capture, the last one, or a refund of the payment with this number: its net after it.
    Move(Number, u64, fn(&mut Tally)),
}

/// Something that is to happen later.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Later {
    due: Time,
    order: u64,
    payment: Number,
    store: Ident,
    member: String,
    step: Step,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Capture(Money),
    Refund(Money),
}

/// A payment with something ahead of it.
struct Open {
    id: Option<PaymentId>,
    paid: Paid,
    steps: u8,
}

/// See the module.
pub struct Replay<'a> {
    engine: &'a Engine,
    cast: Cast<'a>,
    pipe: Pipe<What>,
    later: BinaryHeap<Reverse<Later>>,
    open: HashMap<Number, Open>,
    tally: Tally,
    /// Cents at the log's scale.
    cent: u64,
    start: Time,
    now: Time,
    year: u64,
    /// The newest entry that an answer named.
    newest: u64,
    /// Closes the months.
    house: House<'a>,
}

/// What is left when all is done.
pub struct Done<'a> {
    /// The demo's own sums.
    pub tally: Tally,
    /// The time of the last command.
    pub last: Time,
    /// Everybody who was seen.
    pub cast: Cast<'a>,
    /// The months that were closed.
    pub months: Vec<Closed>,
}

impl<'a> Replay<'a> {
    /// Over a network that is founded at `start`.
    pub fn new(engine: &'a Engine, cast: Cast<'a>, house: House<'a>, pipe: Pipe<What>, start: Time) -> Self {
        let network = &cast.terms.network;
        let cent = 10u64.pow(u32::from(network.scale.saturating_sub(network.minor)));
        let tally = Tally::new(cast.brands.len());
        Self {
            engine,
            cast,
            pipe,
            later: BinaryHeap::new(),
            open: HashMap::new(),
            tally,
            cent,
            start,
            now: start,
            year: 0,
            newest: 0,
            house,
        }
    }

    /// One purchase.
    pub fn receipt(&mut self, receipt: &Receipt) -> Result<(), String> {
        if let Some(month) = self.house.over(receipt.at) {
            let begins = format!("{}-01", receipt.at.date(0).month());
            let begins: Date = begins.parse().map_err(|e: crate::types::Malformed| e.0)?;
            self.close(month, begins.starts(0))?;
        }
        self.settle_through(receipt.at)?;
        self.catch_up(receipt.at)?;
        self.now = self.now.max(receipt.at);
        self.renew_budgets()?;
        let brand = self.cast.brand_of(&receipt.brand)?;
        self.cast.meet(&receipt.member)?;
        self.certify_till(brand, &receipt.store)?;
        let paid = self.pay(brand, receipt)?;
        self.award(brand, receipt, paid)
    }

    /// Everything that is still ahead, then the last answers.
    pub fn finish(mut self) -> Result<Done<'a>, String> {
        while let Some(Reverse(next)) = self.later.peek() {
            let due = next.due;
            self.catch_up(due)?;
        }
        self.wait_for(self.pipe.sent())?;
        // The last month may end while the one before is still being paid.
        self.settle_all()?;
        if let Some(month) = self.house.last() {
            self.close(month, self.now.plus_seconds(1))?;
        }
        self.settle_all()?;
        let (months, commands) = self.house.finish();
        self.tally.counts.clearing = commands;
        Ok(Done { tally: self.tally, last: self.now, cast: self.cast, months })
    }

    // What the clearing house does, between receipts.

    /// A month is over: its cycle is sealed at `at`, once all before is answered.
    fn close(&mut self, month: Month, at: Time) -> Result<(), String> {
        self.settle_through(at)?;
        self.catch_up(at)?;
        self.wait_for(self.pipe.sent())?;
        self.now = self.now.max(at);
        let brands = &self.cast.brands;
        let keys = |who: &ParticipantId| {
            let brand = brands.iter().find(|brand| brand.terms.participant == *who);
            brand.map(|brand| &brand.keys.issuing)
        };
        let open = &self.open;
        let busy = |id: PaymentId| open.values().any(|open| open.id == Some(id));
        match self.house.begin(month, self.now, &keys, &busy)? {
            Some(ruled) => self.ruled(&ruled),
            None => Ok(()),
        }
    }

    /// A ruling took back what one brand owes another, and gave its holder the points back.
    fn ruled(&mut self, ruled: &Ruled) -> Result<(), String> {
        let place = |who: &ParticipantId| {
            let found = self.cast.brands.iter().position(|brand| brand.terms.participant == *who);
            found.ok_or_else(|| format!("{who} is no brand's"))
        };
        let (issuer, shop) = (place(&ruled.filer)?, place(&ruled.target)?);
        self.tally.ruled(issuer, shop, ruled.points, ruled.amount);
        let purses = self.cast.members.values_mut().flat_map(|member| &mut member.purses);
        for purse in purses.filter(|purse| purse.account == ruled.account) {
            purse.most = purse.most.saturating_add(ruled.points);
        }
        Ok(())
    }

    /// Takes every step of the clearing house that is still ahead.
    fn settle_all(&mut self) -> Result<(), String> {
        while let Some(due) = self.house.due() {
            self.settle_through(due)?;
        }
        Ok(())
    }

    /// Takes every step of the clearing house that is due by then.
    fn settle_through(&mut self, through: Time) -> Result<(), String> {
        while let Some(due) = self.house.due().filter(|due| *due <= through) {
            self.catch_up(due)?;
            self.wait_for(self.pipe.sent())?;
            self.now = self.now.max(due);
            self.house.step(self.now)?;
        }
        Ok(())
    }

    // On the way to the network and back.

    fn send(&mut self, request: Request, what: What) -> Result<Number, String> {
        while self.pipe.is_full() {
            self.take_one()?;
        }
        self.pipe.send(request, self.now, what)
    }

    /// Waits until a command is answered.
    fn wait_for(&mut self, number: Number) -> Result<(), String> {
        while self.pipe.awaits(number) {
            self.take_one()?;
        }
        Ok(())
    }

    fn take_one(&mut self) -> Result<(), String> {
        match self.pipe.take() {
            Some((number, what, outcome)) => self.answered(number, what, outcome),
            None => Ok(()),
        }
    }

    fn answered(&mut self, number: Number, what: What, outcome: Outcome) -> Result<(), String> {
        let answer = match (outcome, &what) {
            (Ok(answer), _) => answer,
            (Err(Failure::Refused(no)), What::Award(..) | What::Pay(..) | What::Move(..)) => {
                self.tally.refused(no.code.code());
                self.open.remove(&number);
                return Ok(());
            }
            (Err(failure), _) => return Err(failure.to_string()),
        };
        if answer.seq <= self.newest {
            // The same receipt stood in the file before, to the letter: nothing happened again.
            self.tally.repeated += 1;
            self.open.remove(&number);
            return Ok(());
        }
        self.newest = answer.seq;
        match what {
            What::Must(count) => count(&mut self.tally),
            What::Award(brand, points) => self.tally.issued(brand, points),
            What::Pay(mut paid, net) => {
                self.tally.counts.payments += 1;
                self.tally.moved(&mut paid, net)?;
                if let Some(open) = self.open.get_mut(&number) {
                    (open.id, open.paid) = (answer.payment, paid);
                }
            }
            What::Move(payment, net, count) => {
                count(&mut self.tally);
                if let Some(open) = self.open.get_mut(&payment) {
                    self.tally.moved(&mut open.paid, net)?;
                    open.steps = open.steps.saturating_sub(1);
                    if open.steps == 0 {
                        self.open.remove(&payment);
                    }
                }
            }
        }
        Ok(())
    }

    // What time brings.

    fn catch_up(&mut self, through: Time) -> Result<(), String> {
        while self.later.peek().is_some_and(|Reverse(next)| next.due <= through) {
            let Some(Reverse(next)) = self.later.pop() else { break };
            self.now = self.now.max(next.due);
            self.renew_budgets()?;
            self.step(next)?;
        }
        Ok(())
    }

    fn step(&mut self, later: Later) -> Result<(), String> {
        self.wait_for(later.payment)?;
        // A payment that was refused has nothing ahead of it any more.
        let Some(open) = self.open.get(&later.payment) else { return Ok(()) };
        let Some(id) = open.id else { return Ok(()) };
        let (shop, before) = (open.paid.shop, open.paid.net);
        let units: Vec<usize> = open.paid.shares.iter().map(|share| share.brand).collect();
        let number = later.payment.to_string();
        let (kind, statement_args, net, count): (_, _, _, fn(&mut Tally)) = match later.step {
            Step::Capture(amount) => {
                let args = Capture { payment: id, amount, last: true };
                (Kind::PaymentCaptured, encode(&args), before + amount.get(), |t| t.counts.captures += 1)
            }
            Step::Refund(amount) => {
                let args = Refund { payment: id, amount };
                (Kind::PaymentRefunded, encode(&args), before - amount.get().min(before), |t| {
                    t.counts.refunds += 1
                })
            }
        };
        let args =
            serde_json::value::RawValue::from_string(String::from_utf8(statement_args).unwrap_or_default())
                .map_err(|e| e.to_string())?;
        let brand = self.cast.brand(shop)?;
        let cid = id_of(&[kind.text(), brand.terms.id.as_str(), &number]);
        let till = brand.tills.get(&later.store).ok_or("a till that nobody certified")?;
        let request = self.cast.pen.alone(self.cast.pen.command(&till.key, &cid, kind, &args));
        let sent = self.send(request, What::Move(later.payment, net, count))?;
        let member = self.cast.member(&later.member)?;
        for purse in member.purses.iter_mut().filter(|purse| units.contains(&purse.brand)) {
            purse.changed(sent, None);
        }
        Ok(())
    }

    /// A new year has begun: each brand's root gives its issuing key the next budget.
    fn renew_budgets(&mut self) -> Result<(), String> {
        while self.now >= self.start.plus_seconds((self.year + 1) * YEAR) {
            self.year += 1;
            for at in 0..self.cast.brands.len() {
                let brand = self.cast.brand(at)?;
                let budget = brand.budget(&self.cast.pen, self.start, self.year)?;
                let request = self.cast.pen.budget(&brand.keys.root, &budget);
                self.send(request, What::Must(|t| t.counts.budgets += 1))?;
            }
        }
        Ok(())
    }

    // What a receipt brings.

    fn certify_till(&mut self, brand: usize, store: &Ident) -> Result<(), String> {
        if self.cast.brand(brand)?.tills.contains_key(store) {
            return Ok(());
        }
        let request = self.cast.new_till(brand, store, self.now)?;
        let number = self.send(request, What::Must(|t| t.counts.tills += 1))?;
        if let Some(till) = self.cast.brands.get_mut(brand).and_then(|b| b.tills.get_mut(store)) {
            till.certified = number;
        }
        Ok(())
    }

    fn award(&mut self, brand: usize, receipt: &Receipt, paid: u64) -> Result<(), String> {
        let spent = receipt.amount.saturating_sub(paid / self.cent);
        let terms = self.cast.brand(brand)?.terms.clone();
        let points = terms.earn.points(spent).ok_or("more points than 2^53 - 1")?;
        if points.is_zero() {
            return Ok(());
        }
        let purse = self.purse(&receipt.member, brand)?;
        let amount = self.cast.terms.money(receipt.amount).ok_or("more money than 2^53 - 1")?;
        let now = self.now.seconds();
        let token = PointToken {
            aud: self.cast.pen.net,
            iss: terms.id.clone(),
            jti: id_of(&["award", terms.id.as_str(), receipt.store.as_str(), receipt.number.as_str()]),
            unit: terms.unit,
            iat: Some(now),
            exp: now + TOKEN_LIFE,
            sub: self.cast.member(&receipt.member)?.purses.get(purse).ok_or("no account")?.account,
            amount: points,
            reference: Some(receipt.number.clone()),
            store: Some(receipt.store.clone()),
            till: Some(receipt.store.clone()),
            occurred_at: Some(receipt.at.seconds()),
            business_date: None,
            reason: None,
            campaign: None,
            until: None,
            from: None,
            lines: None,
            sale: Some(Sale { amount, currency: self.cast.terms.network.currency }),
        };
        let request = self.cast.pen.token(&self.cast.brand(brand)?.keys.issuing, &token);
        let number = self.send(request, What::Award(brand, points))?;
        if let Some(purse) = self.cast.member(&receipt.member)?.purses.get_mut(purse) {
            purse.changed(number, Some(points.get()));
        }
        Ok(())
    }

    /// The member's account of a brand, opened with its own key at first need.
    fn purse(&mut self, member: &str, brand: usize) -> Result<usize, String> {
        if let Some(at) = self.cast.member(member)?.purses.iter().position(|purse| purse.brand == brand) {
            return Ok(at);
        }
        let request = self.cast.open_account(member, brand)?;
        self.send(request, What::Must(|t| t.counts.accounts += 1))?;
        Ok(self.cast.member(member)?.purses.len().saturating_sub(1))
    }

    /// Pays a part of the bill with points, if the rule says so and the points suffice. Returns how much,
    /// at the log's scale.
    fn pay(&mut self, shop: usize, receipt: &Receipt) -> Result<u64, String> {
        let capture = self.cast.brand(shop)?.terms.capture;
        let Some(wish) = rule::wish(self.cast.terms, receipt, capture) else { return Ok(0) };
        let candidates = self.candidates(shop, &receipt.member, wish)?;
        let could = candidates.iter().fold(0u64, |sum, (purse, _)| {
            let most = Points::new(purse.available.get()).and_then(|p| purse.rate.money_floor(p));
            sum.saturating_add(most.map_or(u64::MAX, Money::get))
        });
        if could < wish.amount.get() {
            return Ok(0);
        }
        // Now the balances themselves, after everything that was sent for these accounts.
        let newest = candidates.iter().map(|(_, last)| *last).max().unwrap_or(0);
        self.wait_for(newest)?;
        let purses = self.balances(&receipt.member, candidates)?;
        let most = self.cast.terms.paying.most_units;
        let held = rule::split(wish.hold, &purses, self.cent, most).map(|shares| (wish.hold, shares));
        let exact = || rule::split(wish.amount, &purses, self.cent, most).map(|shares| (wish.amount, shares));
        let Some((hold, shares)) = held.or_else(exact) else { return Ok(0) };
        self.authorise(shop, receipt, wish.amount, hold, &purses, &shares)
    }

    /// The accounts that may pay, with the most that they could hold, and the last command that was sent for
    /// each.
    fn candidates(&mut self, shop: usize, member: &str, wish: Wish) -> Result<Vec<(Purse, Number)>, String> {
        let Member { purses, .. } = self.cast.members.get(member).ok_or("a member nobody met")?;
        let here = self.cast.brand(shop)?;
        let mut all = vec![];
        for (which, purse) in purses.iter().enumerate() {
            let issuer = self.cast.brand(purse.brand)?;
            let takes = if wish.home { purse.brand == shop } else { here.terms.accepts(&issuer.terms) };
            if takes && purse.most > 0 {
                let [home, till, ..] = issuer.terms.prices;
                let rate = if wish.home { home } else { till };
                let available = Points::new(purse.most).unwrap_or_default();
                let min_spend = issuer.terms.min_spend;
                all.push((Purse { which, available, until: None, rate, min_spend }, purse.last));
            }
        }
        Ok(all)
    }

    /// Asks for the accounts as they stand.
    fn balances(&mut self, member: &str, candidates: Vec<(Purse, Number)>) -> Result<Vec<Purse>, String> {
        let (engine, now) = (self.engine, self.now);
        let member = self.cast.member(member)?;
        let mut all = vec![];
        for (mut purse, _) in candidates {
            let Some(own) = member.purses.get_mut(purse.which) else { continue };
            let account = engine.account(own.account).map_err(|e| e.to_string())?;
            let account = account.ok_or_else(|| format!("account {} is not there", own.account))?;
            purse.available = account.available(now);
            purse.until = account
                .lots
                .iter()
                .find(|lot| lot.0.1.is_none_or(|from| from <= now.date(account.head.offset)))
                .and_then(|lot| lot.0.0);
            own.most = account.total().get();
            all.push(purse);
        }
        Ok(all)
    }

    fn authorise(
        &mut self,
        shop: usize,
        receipt: &Receipt,
        amount: Money,
        hold: Money,
        purses: &[Purse],
        shares: &[Share],
    ) -> Result<u64, String> {
        let currency = self.cast.terms.network.currency;
        let brand = self.cast.brand(shop)?;
        let (id, capture) = (brand.terms.id.clone(), brand.terms.capture);
        let till = brand.tills.get(&receipt.store).ok_or("a till that nobody certified")?;
        let certified = till.certified;
        let cid = id_of(&["pay", id.as_str(), receipt.store.as_str(), receipt.number.as_str()]);
        let deadline = self.now.seconds() + HOLD;
        let later = capture == CaptureWhen::Later;
        let reference = Some(receipt.number.clone());
        let args = Authorise {
            offer: None,
            amount: hold,
            currency,
            deadline,
            reference,
            capture: !later,
            under: None,
        };
        let pen = self.cast.pen;
        let mut jws = vec![pen.command(&till.key, &cid, Kind::PaymentAuthorised, &args)];
        let mut borne = vec![];
        let mut units = vec![];
        for share in shares {
            let (statement, part, brand) = self.consent(&cid, shop, receipt, deadline, purses, share)?;
            jws.push(statement);
            borne.push(part);
            units.push((brand, share.points.get()));
        }
        // Both the till's certificate and the accounts' opening must be in the log before anybody checks.
        self.wait_for(certified)?;
        let fees = match &self.cast.terms.fees {
            Some(fees) => fees.charged(self.start, self.now, shop, &borne)?,
            None => vec![],
        };
        let paid = Paid { shop, amount: hold, net: 0, shares: borne, fees };
        let at_once = if later { 0 } else { hold.get() };
        let number = self.send(Request::of(jws), What::Pay(paid.clone(), at_once))?;
        for (which, points) in units {
            if let Some(purse) = self.cast.member(&receipt.member)?.purses.get_mut(which) {
                purse.most = purse.most.saturating_sub(if later { 0 } else { points });
                purse.last = number;
            }
        }
        let steps = self.plan(number, receipt, amount, later);
        if steps > 0 {
            self.open.insert(number, Open { id: None, paid, steps });
        }
        // What the member earns depends on whether the payment was taken.
        let before = self.tally.counts.payments;
        self.wait_for(number)?;
        Ok(if self.tally.counts.payments > before { amount.get() } else { 0 })
    }

    /// One account's consent to its share, signed with its own key.
    fn consent(
        &mut self,
        cid: &Ident,
        shop: usize,
        receipt: &Receipt,
        deadline: u64,
        purses: &[Purse],
        share: &Share,
    ) -> Result<(String, Borne, usize), String> {
        let now = self.now.seconds();
        let net = self.cast.pen.net;
        let payee = self.cast.brand(shop)?.terms.id.clone();
        let currency = self.cast.terms.network.currency;
        let member = self.cast.members.get(&receipt.member).ok_or("a member nobody met")?;
        let own = member.purses.get(share.which).ok_or("no account")?;
        let issuer: &Brand = self.cast.brand(own.brand)?;
        let claims = PaymentConsent {
            offer: None,
            aud: net,
            jti: id_of(&["consent", cid.as_str(), issuer.terms.unit.as_str()]),
            account: own.account,
            payee,
            payment: cid.clone(),
            till: Some(receipt.store.clone()),
            amount: share.amount,
            currency,
            points: share.points,
            deadline,
            iat: Some(now),
            exp: now + CONSENT_LIFE,
        };
        let key = SecretKey::derive(&member.seed, issuer.terms.unit);
        let rate = purses.iter().find(|purse| purse.which == share.which).ok_or("no purse")?.rate;
        let [_, _, settle, _] = issuer.terms.prices;
        let obligation = match own.brand == shop {
            true => Money::ZERO,
            false => share.amount.reprice_floor(settle, rate).ok_or("more money than 2^53 - 1")?,
        };
        let borne = Borne { brand: own.brand, amount: share.amount, points: share.points, obligation };
        Ok((sign(&key, Typ::PaymentConsent, &encode(&claims)), borne, share.which))
    }

    /// Puts what follows a payment on the calendar: its capture, and perhaps a return. Returns how many steps.
    fn plan(&mut self, payment: Number, receipt: &Receipt, amount: Money, capture: bool) -> u8 {
        let mut steps = 0;
        let mut put = |due: Time, step: Step| {
            steps += 1;
            let order = payment * 2 + u64::from(steps);
            let (store, member) = (receipt.store.clone(), receipt.member.clone());
            self.later.push(Reverse(Later { due, order, payment, store, member, step }));
        };
        if capture {
            put(self.now.plus_seconds(self.cast.terms.paying.capture_after), Step::Capture(amount));
        }
        if let Some((amount, after)) = rule::returned(self.cast.terms, receipt, amount, self.cent) {
            put(self.now.plus_seconds(after), Step::Refund(amount));
        }
        steps
    }
}
