//! Claw-backs: what of an award is taken back, as the model says it, and who asks for it.

use super::super::common::world::{Key, id, points};
use super::ask::{Ask, What};
use super::generate::Generator;
use super::model::{Count, Model, Owner, Stop};
use super::purse::{From, Pile};
use super::rules::{Done, check};
use chrono::NaiveDate;
use tallyhouse::book::Shared;
use tallyhouse::machine::Request;
use tallyhouse::points::ClawBack;
use tallyhouse::sign::Purpose;
use tallyhouse::types::{AccountId, BrandId, Refusal, UnitCode};

/// An award that was taken in, found again by its brand and its text.
#[derive(Clone, Debug)]
pub struct MAward {
    pub account: AccountId,
    pub unit: UnitCode,
    pub awarded: u128,
    pub taken: u128,
    /// The till that its receipt is of, and whether the text says that itself; nothing without a receipt's number.
    pub receipt: Option<(String, bool)>,
    /// Whether its text has an id of its own.
    pub token: bool,
    /// The month as the text says it, or as it was said when points were first taken back.
    pub month: Option<(i32, u32)>,
    /// The month of its points.
    pub earned: (i32, u32),
    pub origin: From,
    pub until: Option<NaiveDate>,
}

impl Model {
    pub(super) fn claw_back(&mut self, ask: &Ask, args: &ClawBack) -> Done {
        let kid = ask.signer;
        let Owner::Brand(brand) = self.valid(kid, &[Purpose::Issuing])?.owner.clone() else {
            return Err(Refusal::KeyOwner.into());
        };
        let place = (brand, args.award.clone());
        let one = self.awards.get(&place).ok_or(Refusal::AwardUnknown)?.clone();
        match &one.receipt {
            Some((till, said)) => {
                let named = args.till.as_ref().map_or("-", |till| till.as_str());
                check(*said || named == till, Refusal::AwardUnknown)?;
            }
            None => check(one.token, Refusal::AwardUnknown)?,
        }
        let named = args.month.map(|month| month_of(&month.to_string()));
        let month = one.month.or(named).ok_or(Refusal::TokenPayload)?;
        let left = one.awarded - one.taken;
        let n = args.points.map_or(left, |points| u128::from(points.get()));
        check(n > 0 && n <= left, Refusal::ClawBackExceeded)?;
        let budget = self.budgets.get(&kid).filter(|budget| budget.unit == one.unit);
        let hourly = u128::from(budget.ok_or(Refusal::BudgetMissing)?.hourly.get());
        let own = |pile: &Pile| {
            let day = one.until.is_none_or(|until| pile.until == until);
            pile.month == month && pile.origin == one.origin && day
        };
        let at = self.now;
        let taken = self.books.own(one.account, at).take_last(n, own);
        check(taken > 0, Refusal::InsufficientPoints)?;
        self.books.book(one.unit, Shared::ClawedBack, taken as i128);
        let hour = self.hour();
        check(
            self.books.count(Count::ClawedBackHour(kid), hour, taken, hourly),
            Refusal::HourlyCeilingExceeded,
        )?;
        let kept = self.awards.get_mut(&place).ok_or(Stop::No(Refusal::AwardUnknown))?;
        (kept.taken, kept.month) = (kept.taken + taken, Some(month));
        Ok(())
    }

    /// Remembers an award that went through.
    pub(super) fn awarded(&mut self, iss: &BrandId, text: &str, award: MAward) {
        self.awards.insert((iss.clone(), text.to_owned()), award);
    }
}

fn month_of(text: &str) -> (i32, u32) {
    let (year, month) = text.split_once('-').expect("a month");
    (year.parse().expect("a year"), month.parse().expect("a month"))
}

impl Generator<'_> {
    /// Takes an award back, all or in part; now and then one that never was, or not so many, or by whom it is no business.
    pub fn claw_back(&mut self, model: &Model) -> Ask {
        if model.awards.is_empty() {
            return self.token(model);
        }
        // Mostly one that can be named: most lines of batches have no number of a receipt.
        let some = |rng: &mut super::super::common::rng::Rng| {
            model.awards.iter().nth(rng.index(model.awards.len())).expect("within")
        };
        let ((_, text), one) = (0..4).fold(some(&mut self.rng), |found, _| match found.1 {
            one if one.token || one.receipt.is_some() => found,
            _ => some(&mut self.rng),
        });
        let mut args = ClawBack {
            award: text.clone(),
            till: None,
            month: None,
            points: None,
            reason: id(if self.rng.chance(50) { "returned" } else { "error" }),
        };
        if let Some((till, false)) = &one.receipt
            && till != "-"
            && !self.rng.chance(8)
        {
            args.till = Some(id(till));
        } else if self.rng.chance(4) {
            args.till = Some(id("till-0"));
        }
        if self.rng.chance(85) {
            let (year, month) = one.earned;
            let year = if self.rng.chance(6) { year - 1 } else { year };
            args.month = Some(id(&format!("{year:04}-{month:02}")));
        }
        if self.rng.chance(60) {
            let left = u64::try_from(one.awarded - one.taken).expect("fits");
            args.points = Some(points(match self.rng.below(12) {
                0 => 0,
                1 => left + 1,
                _ => self.rng.range(1, left.max(1)),
            }));
        }
        if self.rng.chance(3) {
            args.award.push(' ');
        }
        let (unit, cid) = (one.unit, self.fresh("back"));
        let own = self.world.brand_of(unit).0;
        let brand = self.world.brands.iter().position(|brand| brand.id == own.id).expect("one of ours");
        let other = self.unit();
        let key: &Key = match self.rng.below(40) {
            0 => &own.root,
            1 => self.till_of(brand, model),
            2 => self.issuing_of(other, model),
            _ => self.issuing_of(unit, model),
        };
        let request = Request::of(vec![self.world.command(key, &cid, "points.claw_back", &args)]);
        Ask::new(request, key.kid, vec![], Some(&cid), What::ClawBack(args))
    }
}
