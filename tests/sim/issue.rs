//! The model's rules of points: tokens, batches, and what each award in them comes to.

use super::ask::{Ask, Line};
use super::claw_back::MAward;
use super::model::{Count, Model, Owner, Said, Stop};
use super::purse::{From, NEVER, Pile, Purse, last_day, local_day};
use super::rules::{Done, check, day, line_content, most, no};
use chrono::{Datelike, Days};
use tallyhouse::book::Shared;
use tallyhouse::machine::LineVerdict;
use tallyhouse::points::Verdict;
use tallyhouse::sign::{Award, OnLineError, PointBatch, PointToken, Purpose};
use tallyhouse::types::{BrandId, Hash, Kid, Refusal, UnitCode};

impl Model {
    fn unused(&self, kid: Kid, iss: &BrandId, jti: &str, content: Hash) -> Done {
        check(self.keys[&kid].owner == Owner::Brand(iss.clone()), Refusal::KeyOwner)?;
        match self.tokens.get(&(iss.clone(), jti.to_owned())) {
            None => Ok(()),
            Some((before, answer)) if *before == content => Err(Stop::Again(Box::new(answer.clone()))),
            Some(_) => no(Refusal::TokenConflict),
        }
    }

    pub(super) fn may_issue(&self, kid: Kid, iss: &BrandId, code: UnitCode) -> Done {
        let key = self.valid(kid, &[Purpose::Issuing, Purpose::Till])?;
        check(key.owner == Owner::Brand(iss.clone()), Refusal::KeyOwner)?;
        let unit = self.units.get(&code).ok_or(Refusal::UnitUnknown)?;
        check(unit.brand == *iss, Refusal::KeyOwner)?;
        check(!self.network_frozen, Refusal::NetworkFrozen)?;
        check(!self.brands[iss].frozen, Refusal::BrandFrozen)?;
        check(!unit.frozen, Refusal::UnitFrozen)?;
        let budget = self.budgets.get(&kid).filter(|budget| budget.unit == code);
        let budget = budget.ok_or(Refusal::BudgetMissing)?;
        check(budget.until > self.seconds(), Refusal::BudgetExpired)
    }

    pub(super) fn token(&mut self, ask: &Ask, token: &PointToken) -> Done {
        self.unused(ask.signer, &token.iss, token.jti.as_str(), ask.content)?;
        check(token.exp > self.seconds(), Refusal::TokenExpired)?;
        self.may_issue(ask.signer, &token.iss, token.unit)?;
        // A signed request's text is its body, which has no id of its own.
        let (text, own) = match &ask.request.http {
            Some(message) => (message.body.clone().expect("a write has a body"), false),
            None => (ask.request.jws[0].clone(), true),
        };
        let by = (ask.signer, &token.iss, token.unit);
        self.on_copy(|model| model.award(by, &token.award(), ask.content, (&text, own)))?;
        Ok(())
    }

    pub(super) fn batch(&mut self, ask: &Ask, claims: &PointBatch, lines: &[Line]) -> Result<Said, Stop> {
        self.unused(ask.signer, &claims.iss, claims.jti.as_str(), ask.content)?;
        check(claims.exp > self.seconds(), Refusal::TokenExpired)?;
        self.may_issue(ask.signer, &claims.iss, claims.unit)?;
        let reject = claims.on_line_error == OnLineError::Reject;
        let before = reject.then(|| (self.books.clone(), self.refs.clone(), self.awards.clone()));
        let mut said = Said { awarded: Some(0), ..Said::default() };
        let mut bad = false;
        for ((bytes, award), line) in lines.iter().zip(1..) {
            let one = match award {
                None => Err(Stop::No(Refusal::BatchLine)),
                Some(award) => {
                    let content = line_content(bytes);
                    let by = (ask.signer, &claims.iss, claims.unit);
                    let text = std::str::from_utf8(bytes).expect("an award is text");
                    self.on_copy(|model| model.award(by, award, content, (text, false)))
                }
            };
            let verdict = match one {
                Ok(true) => {
                    said.awarded = said.awarded.map(|n| n + 1);
                    continue;
                }
                Ok(false) => Verdict::AlreadyDone,
                Err(Stop::No(code)) => {
                    bad = true;
                    Verdict::Refused(code)
                }
                Err(again) => return Err(again),
            };
            said.others.push(LineVerdict { line, verdict });
        }
        match before {
            Some((books, refs, awards)) if bad => {
                (self.books, self.refs, self.awards) = (books, refs, awards);
                Err(Refusal::BatchRejected.into())
            }
            _ => Ok(said),
        }
    }

    /// One award; false if the same one was there before.
    fn award(
        &mut self,
        (kid, iss, code): (Kid, &BrandId, UnitCode),
        award: &Award,
        content: Hash,
        (text, token): (&str, bool),
    ) -> Result<bool, Stop> {
        let n = u128::from(award.amount.get());
        // A till awards for its own receipts only.
        let place = self.keys[&kid].till.clone();
        if let Some(own) = &place {
            let store = award.store.as_ref().is_none_or(|store| *store == own.store);
            let till = award.till.as_ref().is_none_or(|till| *till == own.till);
            check(store && till, Refusal::KeyOwner)?;
        }
        check(n > 0, Refusal::AmountTooSmall)?;
        if let Some(lines) = &award.lines {
            let sum: u128 = lines.iter().map(|line| u128::from(line.points.get())).sum();
            check(sum == n, Refusal::SharesMismatch)?;
            if let Some(sale) = &award.sale {
                let sum: u128 = lines.iter().map(|line| u128::from(line.amount.get())).sum();
                check(sum == u128::from(sale.amount.get()), Refusal::SharesMismatch)?;
            }
        }
        let till = award.till.clone().or(place.map(|own| own.till));
        let till = till.map_or("-".to_owned(), |till| till.to_string());
        let receipt = award.reference.as_ref().map(|number| (iss.clone(), till, number.to_string()));
        if let Some(before) = receipt.as_ref().and_then(|receipt| self.refs.get(receipt)) {
            return if *before == content { Ok(false) } else { Err(Refusal::RefConflict.into()) };
        }
        let (now, budget, unit) = (self.seconds(), self.budgets[&kid].clone(), self.units[&code].clone());
        let backfill = |at: u64| budget.backfill.is_some_and(|window| window.from <= at && at < window.until);
        let (happened, late) = match award.occurred_at {
            None => (self.now, false),
            Some(at) => {
                let believed = at + 30 * 86_400 >= now;
                check(at <= now + 300 && (backfill(at) || believed), Refusal::OccurredAtOutOfWindow)?;
                (i64::try_from(at).expect("in range") * 1_000_000, backfill(at))
            }
        };
        let offset = unit.set.offset;
        match self.books.purse(award.sub, self.now) {
            Some(purse) if purse.unit != code => return Err(Refusal::AccountUnknown.into()),
            Some(purse) if purse.frozen => return Err(Refusal::AccountFrozen.into()),
            Some(_) => {}
            None => drop(self.books.purses.insert(award.sub, Purse::new(code, offset, None))),
        }
        let ceiling = u128::from(budget.ceiling.get());
        check(self.books.count(Count::Issued(kid), 0, n, ceiling), Refusal::BudgetExceeded)?;
        if !late {
            let (hour, hourly) = (self.hour(), u128::from(budget.hourly.get()));
            check(self.books.count(Count::IssuedHour(kid), hour, n, hourly), Refusal::HourlyCeilingExceeded)?;
        }
        let issued = self.books.shared.get(&(code, Shared::Issuance)).map_or(0, |sum| sum.unsigned_abs());
        if let Some(cap) = unit.set.issue_cap {
            check(issued + n <= u128::from(cap.get()), Refusal::IssueCapExceeded)?;
        }
        let earned = award.business_date.map_or_else(|| local_day(happened, offset), day);
        let until = award.until.map_or_else(|| last_day(&unit.set.expiry, earned), day);
        let pending = u64::from(unit.set.pending_days);
        let from = award.from.map(day).or_else(|| (pending > 0).then(|| earned + Days::new(pending)));
        let goodwill = award.reason.as_ref().is_some_and(|reason| reason.as_str() == "goodwill");
        let pile = Pile {
            until,
            from: from.filter(|from| *from > local_day(self.now, offset)),
            month: (earned.year(), earned.month()),
            origin: if goodwill { From::Goodwill } else { From::Earned },
        };
        let at = self.now;
        let purse = self.books.own(award.sub, at);
        if until != NEVER && purse.over(&pile, at) {
            self.books.book(code, Shared::Expired, n as i128);
        } else {
            purse.give(pile, n, at)?;
        }
        most(issued + n)?;
        self.books.book(code, Shared::Issuance, -(n as i128));
        let said = award.business_date.map(day);
        let said = said.or_else(|| award.occurred_at.map(|_| local_day(happened, offset)));
        let of = receipt.as_ref().map(|(_, till, _)| (till.clone(), award.till.is_some()));
        let one = MAward {
            account: award.sub,
            unit: code,
            awarded: n,
            taken: 0,
            receipt: of,
            token,
            month: said.map(|day| (day.year(), day.month())),
            earned: pile.month,
            origin: pile.origin,
            until: award.until.map(day),
        };
        self.awarded(iss, text, one);
        if let Some(receipt) = receipt {
            self.refs.insert(receipt, content);
        }
        Ok(true)
    }
}
