//! The model's rules for payments.

use super::ask::{Ask, What};
use super::model::Stop;
use super::model::{Count, MOpen, MPayment, MShare, Model, Owner};
use super::offer::Fate;
use super::purse::{From, NEVER, Pile, local_day};
use super::rules::{Done, check, most};
use chrono::Days;
use tallyhouse::book::{BillTerms, Shared};
use tallyhouse::payments::{Authorise, OpenConsent};
use tallyhouse::prices::PublishPrices;
use tallyhouse::sign::{PaymentConsent, Purpose, SpendCode, TillClaims};
use tallyhouse::types::{AccountId, BrandId, ConsentId, Currency, Kid, PaymentId, Rate, Refusal, UnitCode};

/// A price as two integers; the crate keeps them to itself but writes them as `[num, den]`.
pub(super) fn parts(rate: Rate) -> (u128, u128) {
    let text = serde_json::to_string(&rate).expect("JSON");
    let (num, den): (u64, u64) = serde_json::from_str(&text).expect("two integers");
    (num.into(), den.into())
}

impl Model {
    pub(super) fn own_payment(&self, kid: Kid, id: PaymentId) -> Done {
        let key = self.valid(kid, &[Purpose::Till])?;
        let own =
            self.payments.get(&id).is_some_and(|payment| key.owner == Owner::Brand(payment.brand.clone()));
        check(own, Refusal::PaymentUnknown)?;
        let till = key.till.as_ref().expect("a till");
        check(self.payments[&id].participant == till.participant, Refusal::KeyOwner)
    }

    /// A till refunds as long as a dispute could be filed.
    pub(super) fn in_time(&self, id: PaymentId) -> Done {
        let last = self.payments[&id].deadline / 1_000_000 + 120 * 86_400;
        check(self.now / 1_000_000 <= last, Refusal::PaymentClosed)
    }

    pub(super) fn authorise(
        &mut self,
        ask: &Ask,
        args: &Authorise,
        consents: &[(Kid, PaymentConsent)],
    ) -> Result<PaymentId, Stop> {
        let key = self.valid(ask.signer, &[Purpose::Till])?.clone();
        let (Owner::Brand(brand), Some(till)) = (&key.owner, &key.till) else {
            return Err(Refusal::KeyOwner.into());
        };
        check(!self.network_frozen, Refusal::NetworkFrozen)?;
        check(!self.brands[brand].frozen, Refusal::BrandFrozen)?;
        let (now, amount) = (self.seconds(), u128::from(args.amount.get()));
        check(amount > 0, Refusal::AmountTooSmall)?;
        check(args.deadline > now && args.deadline <= now + 30 * 86_400, Refusal::SettingInvalid)?;
        let under = args.under.clone().unwrap_or_default();
        check(!consents.is_empty() || !under.is_empty(), Refusal::EvidenceMissing)?;
        let signed = consents.iter().map(|(_, consent)| consent.amount);
        let sum: u128 = signed.chain(under.iter().map(|one| one.amount)).map(|n| u128::from(n.get())).sum();
        check(sum == amount && consents.len() + under.len() <= 16, Refusal::SharesMismatch)?;
        let offered = self.offered_bill(brand, till, args, consents)?;
        let id = PaymentId { seq: self.seq, part: 0 };
        let open_before = self.open.clone();
        let used = self.on_copy(|model| {
            let counts = [Count::TakenHour(ask.signer), Count::TakenDay(ask.signer)];
            model.count_till(till, counts, amount, args.currency)?;
            let payment = MPayment {
                brand: brand.clone(),
                participant: till.participant.clone(),
                by: ask.signer,
                currency: args.currency,
                amount,
                shares: vec![],
                captured: 0,
                refunded: 0,
                deadline: i64::try_from(args.deadline).expect("in range") * 1_000_000,
                closed: false,
            };
            model.payments.insert(id, payment);
            let (mut used, mut shares) = (vec![], vec![]);
            for (kid, consent) in consents {
                let jti = (consent.account, consent.jti.to_string());
                check(!model.consents.contains(&jti) && !used.contains(&jti), Refusal::ConsentUsed)?;
                model.check_consent(ask, args, brand, till.till.as_str(), *kid, consent)?;
                let most = u128::from(consent.points.get());
                shares.push((consent.account, u128::from(consent.amount.get()), most, None));
                used.push(jti);
            }
            for one in &under {
                let amount = u128::from(one.amount.get());
                let (account, left) = model.use_open(ask, args, one.consent, amount)?;
                shares.push((account, amount, left, Some(one.consent)));
            }
            for (account, amount, most, open) in shares {
                let points = match &offered {
                    Some(bill) => model.hold_offered(id, bill, brand, account, amount, most)?,
                    None => model.hold_share(id, args, brand, account, amount, most)?,
                };
                if let Some(open) = open.and_then(|open| model.open.get_mut(&open)) {
                    open.spent += points;
                }
            }
            if args.capture {
                model.capture(id, amount, true)?;
            }
            Ok(used)
        });
        match used {
            Ok(used) => {
                if let Some(offer) = args.offer.and_then(|offer| self.offers.get_mut(&offer)) {
                    offer.fate = Fate::Taken;
                }
                self.consents.extend(used);
                Ok(id)
            }
            Err(stop) => {
                self.payments.remove(&id);
                self.open = open_before;
                Err(stop)
            }
        }
    }

    fn count_till(&mut self, till: &TillClaims, counts: [Count; 2], n: u128, currency: Currency) -> Done {
        let Some(limits) = &till.limits else { return Ok(()) };
        let (hour, today) = (self.hour(), i64::from(local_day(self.now, 0).to_epoch_days()));
        check(limits.currency == currency, Refusal::TillLimitExceeded)?;
        let within = limits.once.is_none_or(|most| n <= u128::from(most.get()));
        check(within, Refusal::TillLimitExceeded)?;
        let windows = [(hour, limits.hour), (today, limits.day)];
        for (count, (window, ceiling)) in counts.into_iter().zip(windows) {
            if let Some(ceiling) = ceiling {
                let counted = self.books.count(count, window, n, u128::from(ceiling.get()));
                check(counted, Refusal::TillLimitExceeded)?;
            }
        }
        Ok(())
    }

    fn check_consent(
        &self,
        ask: &Ask,
        args: &Authorise,
        brand: &BrandId,
        till: &str,
        kid: Kid,
        consent: &PaymentConsent,
    ) -> Done {
        let key = self.valid(kid, &[Purpose::Account])?;
        check(key.owner == Owner::Account(consent.account), Refusal::KeyOwner)?;
        let fits = consent.payee == *brand
            && ask.cid.as_deref() == Some(consent.payment.as_str())
            && consent.till.as_ref().is_none_or(|only| only.as_str() == till)
            && consent.currency == args.currency
            && consent.deadline >= args.deadline;
        check(fits, Refusal::ConsentMismatch)?;
        let now = self.seconds();
        check(consent.exp > now && consent.exp <= now + 300, Refusal::ConsentExpired)
    }

    /// The unit of an account from which points may be spent at all.
    pub(super) fn spendable(&mut self, account: AccountId) -> Result<UnitCode, Stop> {
        let purse = self.books.purse(account, self.now).ok_or(Refusal::AccountUnknown)?;
        let (code, frozen) = (purse.unit, purse.frozen);
        let unit = &self.units[&code];
        check(!self.brands[&unit.brand].frozen, Refusal::BrandFrozen)?;
        check(!unit.frozen, Refusal::UnitFrozen)?;
        check(!frozen, Refusal::AccountFrozen)?;
        Ok(code)
    }

    pub(super) fn price_now(&self, code: UnitCode, currency: Currency) -> Result<PublishPrices, Stop> {
        let now = self.seconds();
        let in_force = |price: &&PublishPrices| {
            price.currency == currency && price.from <= now && price.until.is_none_or(|until| now < until)
        };
        let all = self.prices.get(&code);
        let newest = all.and_then(|all| all.iter().rfind(|price| price.currency == currency));
        let ended = newest.is_some_and(|price| price.until.is_some_and(|until| until <= now));
        let no = if ended { Refusal::PriceStale } else { Refusal::NoPrice };
        Ok(all.and_then(|all| all.iter().rfind(in_force)).ok_or(no)?.clone())
    }

    /// A till opens a consent with a code that was shown to it.
    pub(super) fn show(
        &mut self,
        ask: &Ask,
        args: &OpenConsent,
        code: Option<&(Kid, SpendCode)>,
    ) -> Result<ConsentId, Stop> {
        let Owner::Brand(brand) = self.valid(ask.signer, &[Purpose::Till])?.owner.clone() else {
            return Err(Refusal::KeyOwner.into());
        };
        let (kid, code) = code.ok_or(Refusal::EvidenceMissing)?;
        check(code.jti == args.code, Refusal::EvidenceMismatch)?;
        let Owner::Account(account) = self.valid(*kid, &[Purpose::Account])?.owner else {
            return Err(Refusal::KeyOwner.into());
        };
        let (jti, now) = ((account, code.jti.to_string()), self.seconds());
        check(!self.consents.contains(&jti), Refusal::ConsentUsed)?;
        check(code.exp > now && code.exp <= now + 60, Refusal::ConsentExpired)?;
        check(!self.network_frozen, Refusal::NetworkFrozen)?;
        check(!self.brands[&brand].frozen, Refusal::BrandFrozen)?;
        let most = u128::from(code.most.get());
        let points = self.on_copy(|model| {
            let unit = model.spendable(account)?;
            let price = model.price_now(unit, code.currency)?;
            let home = model.units[&unit].brand == brand;
            let (num, den) = parts(if home { price.home } else { price.till });
            let points = super::rules::most((most * den).div_ceil(num))?;
            check(most > 0, Refusal::AmountTooSmall)?;
            check(code.payee.as_ref().is_none_or(|of| *of == brand), Refusal::ConsentMismatch)?;
            Ok(points)
        })?;
        self.consents.insert(jti);
        let id = ConsentId { seq: self.seq, part: 0 };
        let (key, currency, until) = (*kid, code.currency, self.now + 900_000_000);
        let till = ask.signer;
        self.open.insert(
            id,
            MOpen { brand, till, account, key, currency, most, used: 0, points, spent: 0, until },
        );
        Ok(id)
    }

    /// Asks for so much under an open consent; says whose points they are.
    fn use_open(
        &mut self,
        ask: &Ask,
        args: &Authorise,
        id: ConsentId,
        n: u128,
    ) -> Result<(AccountId, u128), Stop> {
        let open = self.open.get(&id).filter(|open| open.till == ask.signer);
        let open = open.ok_or(Refusal::ConsentUnknown)?.clone();
        self.valid(open.key, &[Purpose::Account])?;
        check(self.now < open.until, Refusal::ConsentExpired)?;
        check(open.currency == args.currency, Refusal::ConsentMismatch)?;
        let deadline = i64::try_from(args.deadline).expect("in range") * 1_000_000;
        check(deadline <= open.until + 86_400_000_000, Refusal::ConsentMismatch)?;
        check(open.used + n <= open.most, Refusal::ConsentExceeded)?;
        self.open.get_mut(&id).expect("just seen").used += n;
        Ok((open.account, open.points - open.spent))
    }

    fn hold_share(
        &mut self,
        id: PaymentId,
        args: &Authorise,
        brand: &BrandId,
        account: AccountId,
        n: u128,
        most_points: u128,
    ) -> Result<u128, Stop> {
        let code = self.spendable(account)?;
        let unit = self.units[&code].clone();
        let price = self.price_now(code, args.currency)?;
        let home = unit.brand == *brand;
        if !home {
            let list = self.accepted(brand);
            let listed = list.as_ref().and_then(|list| list.units.iter().find(|listed| listed.unit == code));
            if let Some(most) = &listed.ok_or(Refusal::UnitNotAccepted)?.per_day.clone() {
                check(most.currency == args.currency, Refusal::AcceptanceCapExceeded)?;
                let most = most.amount;
                let today = i64::from(local_day(self.now, unit.set.offset).to_epoch_days());
                let count = Count::AcceptedDay(brand.clone(), code);
                let counted = self.books.count(count, today, n, u128::from(most.get()));
                check(counted, Refusal::AcceptanceCapExceeded)?;
            }
        }
        let (num, den) = parts(if home { price.home } else { price.till });
        let points = most((n * den).div_ceil(num))?;
        check(points > 0, Refusal::AmountTooSmall)?;
        let least = u128::from(unit.terms(self.seconds()).0);
        check(points >= least, Refusal::AmountTooSmall)?;
        check(points <= most_points, Refusal::ConsentExceeded)?;
        let issuer = self.brands[&unit.brand].participant.clone();
        let payment = self.payments.get_mut(&id).expect("just made");
        let (settle_num, settle_den) = parts(price.settle);
        let obligation = if issuer == payment.participant {
            0
        } else {
            most(n.checked_mul(settle_num * den).expect("prices here are small") / (settle_den * num))?
        };
        let (deadline, at) = (payment.deadline, self.now);
        self.books.own(account, at).hold(id.into(), deadline, points, at)?;
        check(payment.shares.iter().all(|share| share.unit != code), Refusal::SharesMismatch)?;
        payment.shares.push(MShare { unit: code, account, points, obligation, issuer, taken: vec![] });
        Ok(points)
    }

    /// A share as it was offered; the day's cap counts if the unit is still taken.
    fn hold_offered(
        &mut self,
        id: PaymentId,
        bill: &BillTerms,
        brand: &BrandId,
        account: AccountId,
        n: u128,
        most_points: u128,
    ) -> Result<u128, Stop> {
        let code = self.spendable(account)?;
        let offered = bill.shares.iter().find(|share| share.unit == code);
        let offered = offered.filter(|share| u128::from(share.amount.get()) == n);
        let offered = offered.ok_or(Refusal::OfferMismatch)?;
        let unit = self.units[&code].clone();
        let list = self.accepted(brand);
        let listed = list.as_ref().and_then(|list| list.units.iter().find(|listed| listed.unit == code));
        if let Some(most) = listed.and_then(|listed| listed.per_day.clone()).filter(|_| unit.brand != *brand)
        {
            check(most.currency == bill.currency, Refusal::AcceptanceCapExceeded)?;
            let today = i64::from(local_day(self.now, unit.set.offset).to_epoch_days());
            let count = Count::AcceptedDay(brand.clone(), code);
            let counted = self.books.count(count, today, n, u128::from(most.amount.get()));
            check(counted, Refusal::AcceptanceCapExceeded)?;
        }
        let points = u128::from(offered.points.get());
        check(points <= most_points, Refusal::ConsentExceeded)?;
        let payment = self.payments.get_mut(&id).expect("just made");
        let (deadline, at) = (payment.deadline, self.now);
        self.books.own(account, at).hold(id.into(), deadline, points, at)?;
        check(payment.shares.iter().all(|share| share.unit != code), Refusal::SharesMismatch)?;
        let (obligation, issuer) = (u128::from(offered.obligation.get()), offered.issuer.clone());
        payment.shares.push(MShare { unit: code, account, points, obligation, issuer, taken: vec![] });
        Ok(points)
    }

    fn is_open(&self, payment: &MPayment) -> bool {
        !payment.closed && self.now < payment.deadline
    }

    pub(super) fn capture(&mut self, id: PaymentId, n: u128, last: bool) -> Done {
        let mut payment = self.payments[&id].clone();
        check(self.is_open(&payment), Refusal::PaymentClosed)?;
        check(payment.captured + n <= payment.amount, Refusal::CaptureExceeded)?;
        check(n > 0, Refusal::AmountTooSmall)?;
        let before = payment.captured - payment.refunded;
        payment.captured += n;
        payment.closed = last || payment.captured == payment.amount;
        self.move_to(id, payment, before)
    }

    /// A step of a payment: what another till authorised is counted as taken, what is given back or released
    /// as returned, by the till that asks.
    pub(super) fn move_payment(&mut self, by: Kid, id: PaymentId, step: &What) -> Done {
        let before = self.payments[&id].clone();
        let till = self.keys[&by].till.clone().expect("a till");
        let done = self.on_copy(|model| {
            let (mut taken, mut returned) = (0, 0);
            match *step {
                What::Capture(_, n, last) => {
                    model.capture(id, u128::from(n), last)?;
                    taken = if before.by == by { 0 } else { u128::from(n) };
                }
                What::Void(_) => model.void(id)?,
                What::Refund(_, n) => {
                    model.refund(id, u128::from(n))?;
                    returned = u128::from(n);
                }
                _ => unreachable!("not a step of a payment"),
            }
            let now = &model.payments[&id];
            if now.closed && !before.closed {
                returned += now.amount - now.captured;
            }
            if taken > 0 {
                let counts = [Count::TakenHour(by), Count::TakenDay(by)];
                model.count_till(&till, counts, taken, before.currency)?;
            }
            if returned > 0 {
                let counts = [Count::ReturnedHour(by), Count::ReturnedDay(by)];
                model.count_till(&till, counts, returned, before.currency)?;
            }
            Ok(())
        });
        if done.is_err() {
            self.payments.insert(id, before);
        }
        done
    }

    fn void(&mut self, id: PaymentId) -> Done {
        let mut payment = self.payments[&id].clone();
        check(self.is_open(&payment), Refusal::PaymentClosed)?;
        payment.closed = true;
        let before = payment.captured - payment.refunded;
        self.move_to(id, payment, before)
    }

    fn refund(&mut self, id: PaymentId, n: u128) -> Done {
        let mut payment = self.payments[&id].clone();
        check(payment.refunded + n <= payment.captured, Refusal::RefundExceeded)?;
        check(n > 0, Refusal::AmountTooSmall)?;
        let before = payment.captured - payment.refunded;
        payment.refunded += n;
        self.move_to(id, payment, before)
    }

    /// Moves every share from f(before) to f(now), f being the part of the bill that is paid.
    fn move_to(&mut self, id: PaymentId, mut payment: MPayment, before: u128) -> Done {
        let (at, whole, after) = (self.now, payment.amount, payment.captured - payment.refunded);
        for share in &mut payment.shares {
            let points = |n: u128| (share.points * n).div_ceil(whole);
            let owed = |n: u128| (share.obligation * n / whole) as i128;
            let (had, has) = (points(before), points(after));
            let change = owed(after) - owed(before);
            if has >= had {
                let taken = self.books.own(share.account, at).take(id.into(), has - had, at)?;
                self.books.book(share.unit, Shared::Redeemed, (has - had) as i128);
                share.taken.extend(taken);
            } else {
                give_back(self, share, had - has);
            }
            if payment.closed {
                self.books.own(share.account, at).release(id.into());
                // What it brings back may be past its date.
                self.books.own(share.account, at);
            }
            if change != 0 {
                self.books.owe(&share.issuer, &payment.participant, payment.currency, change);
            }
        }
        self.payments.insert(id, payment);
        Ok(())
    }
}

/// The last points taken come back first: to where they were, or, past their date, for the unit's grace
/// once, or not at all.
fn give_back(model: &mut Model, share: &mut MShare, mut n: u128) {
    let (at, grace) = (model.now, Days::new(u64::from(model.units[&share.unit].terms(model.seconds()).1)));
    while n > 0 {
        let (pile, have) = share.taken.pop().expect("more was taken than is given back");
        let part = have.min(n);
        n -= part;
        if part < have {
            share.taken.push((pile, have - part));
        }
        model.books.book(share.unit, Shared::Redeemed, -(part as i128));
        let purse = model.books.own(share.account, at);
        let again = Pile {
            until: if pile.until == NEVER { NEVER } else { pile.until + grace },
            from: None,
            month: pile.month,
            origin: From::Reinstated,
        };
        if !purse.over(&pile, at) {
            purse.put_back(pile, part);
        } else if pile.origin != From::Reinstated && !purse.over(&again, at) {
            purse.put_back(again, part);
        } else {
            model.books.book(share.unit, Shared::Expired, part as i128);
        }
    }
}
