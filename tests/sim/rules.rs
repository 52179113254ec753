//! The model's rules, one function for each command. Every one checks first and changes last, or works
//! on a copy of the books.

use super::ask::{Ask, What};
use super::model::{MAccepted, MBrand, MKey, MUnit, Model, Owner, Said, Stop};
use super::pay::parts;
use super::purse::{MOST, Purse};
use chrono::NaiveDate;
use tallyhouse::book::{AcceptedUnit, Expiry, KeyState, Shared};
use tallyhouse::network::{DefineUnit, OpenAccount, RegisterBrand, RegisterParticipant, RevokeKey};
use tallyhouse::prices::{PublishAcceptance, PublishPrices};
use tallyhouse::sign::{KeyBudget, KeyCert, Purpose};
use tallyhouse::types::{AccountId, BrandId, Date, Hash, Kid, Refusal, UnitCode};

pub(super) type Done = Result<(), Stop>;

pub(super) fn day(date: Date) -> NaiveDate {
    NaiveDate::from_epoch_days(i32::try_from(date.number()).expect("a day")).expect("a day")
}

pub(super) fn no(code: Refusal) -> Done {
    Err(Stop::No(code))
}

pub(super) fn check(holds: bool, otherwise: Refusal) -> Done {
    if holds { Ok(()) } else { no(otherwise) }
}

pub(super) fn most(n: u128) -> Result<u128, Stop> {
    if n <= MOST { Ok(n) } else { Err(Stop::No(Refusal::AmountTooLarge)) }
}

/// How a line's or token's content is recognised.
pub fn line_content(bytes: &[u8]) -> Hash {
    Hash::sha256(bytes)
}

/// The units of which a new list takes less.
fn withdrawn(before: &PublishAcceptance, after: &PublishAcceptance) -> Vec<UnitCode> {
    let less = |had: &[AcceptedUnit], has: &[AcceptedUnit]| -> Vec<UnitCode> {
        let fewer = |one: &&AcceptedUnit| {
            let now = has.iter().find(|now| now.unit == one.unit);
            match (now.map(|now| &now.per_day), &one.per_day) {
                (None, _) | (Some(Some(_)), None) => true,
                (Some(None), _) => false,
                (Some(Some(now)), Some(had)) => now.currency != had.currency || now.amount < had.amount,
            }
        };
        had.iter().filter(fewer).map(|one| one.unit).collect()
    };
    let mut all = less(&before.units, &after.units);
    for list in before.exchange.iter().flatten() {
        let now = after.exchange.iter().flatten().find(|now| now.into == list.into);
        all.extend(less(&list.units, now.map_or(&[][..], |now| &now.units)));
    }
    all
}

impl Model {
    pub(super) fn run(&mut self, ask: &Ask) -> Result<Said, Stop> {
        let mut said = Said::default();
        match &ask.what {
            What::Participant(args) => self.participant(ask, args)?,
            What::Brand(args) => self.brand(ask, args)?,
            What::Certify(cert) => self.certify(ask, cert)?,
            What::Revoke(args) => self.on_copy(|model| model.revoke(ask, args, false))?,
            What::RevokeAccountKey(args) => self.on_copy(|model| model.revoke(ask, args, true))?,
            What::Budget(args) => self.budget(ask, args)?,
            What::Unit(args) => self.unit(ask, args)?,
            What::Prices(args) => self.publish(ask, args)?,
            What::Acceptance(args) => self.accept(ask, args)?,
            What::FreezeNetwork(frozen) => {
                self.operator(ask)?;
                self.network_frozen = *frozen;
            }
            What::FreezeBrand(brand, frozen) => {
                self.may_freeze(ask, brand, *frozen)?;
                self.brands.get_mut(brand).ok_or(Refusal::BrandUnknown)?.frozen = *frozen;
            }
            What::FreezeUnit(unit, frozen) => {
                let brand = self.units.get(unit).ok_or(Refusal::UnitUnknown)?.brand.clone();
                self.may_freeze(ask, &brand, *frozen)?;
                self.units.get_mut(unit).ok_or(Refusal::UnitUnknown)?.frozen = *frozen;
            }
            What::FreezeAccount(account, frozen) => {
                self.on_copy(|model| model.freeze_account(ask, *account, *frozen))?;
            }
            What::Open(args) => self.on_copy(|model| model.open(ask, args))?,
            What::Token(token) => self.token(ask, token)?,
            What::ClawBack(args) => self.on_copy(|model| model.claw_back(ask, args))?,
            What::Batch(claims, lines) => said = self.batch(ask, claims, lines)?,
            What::Show(args, code) => said.consent = Some(self.show(ask, args, code.as_ref())?),
            What::Authorise(args, consents) => said.payment = Some(self.authorise(ask, args, consents)?),
            What::Capture(id, ..) => {
                self.own_payment(ask.signer, *id)?;
                self.move_payment(ask.signer, *id, &ask.what)?;
                said.payment = Some(*id);
            }
            What::Void(id) => {
                self.own_payment(ask.signer, *id)?;
                self.move_payment(ask.signer, *id, &ask.what)?;
                said.payment = Some(*id);
            }
            What::Refund(id, _) => {
                self.own_payment(ask.signer, *id)?;
                self.in_time(*id)?;
                self.move_payment(ask.signer, *id, &ask.what)?;
                said.payment = Some(*id);
            }
            What::MakeOffer(args) => said.offer = Some(self.make_offer(ask, args)?),
            What::CancelOffer(args) => self.cancel_offer(ask, args)?,
            What::Exchange(args) => said.exchange = Some(self.exchange(ask, args)?),
        }
        Ok(said)
    }

    /// Undoes the books if the step is refused.
    pub(super) fn on_copy<T>(&mut self, step: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        let before = self.books.clone();
        let done = step(self);
        if done.is_err() {
            self.books = before;
        }
        done
    }

    // Keys.

    pub(super) fn valid(&self, kid: Kid, purposes: &[Purpose]) -> Result<&MKey, Stop> {
        let key = self.keys.get(&kid).ok_or(Refusal::KeyUnknown)?;
        check(purposes.contains(&key.purpose), Refusal::KeyPurpose)?;
        match key.state {
            KeyState::Retired => return Err(Refusal::KeyRetired.into()),
            KeyState::Compromised => return Err(Refusal::KeyCompromised.into()),
            KeyState::Active => {}
        }
        let now = self.seconds();
        check(key.from <= now && key.until.is_none_or(|until| now < until), Refusal::KeyExpired)?;
        Ok(key)
    }

    fn operator(&self, ask: &Ask) -> Done {
        let mut signers = vec![ask.signer];
        signers.extend(&ask.approvals);
        signers.sort_unstable();
        signers.dedup();
        let root =
            |kid: &&Kid| self.roots.contains(kid) && self.valid(**kid, &[Purpose::OperatorRoot]).is_ok();
        check(signers.iter().filter(root).count() >= self.threshold, Refusal::EvidenceMissing)
    }

    fn root(&self, kid: Kid) -> Result<BrandId, Stop> {
        match &self.valid(kid, &[Purpose::BrandRoot])?.owner {
            Owner::Brand(brand) => Ok(brand.clone()),
            _ => Err(Refusal::KeyOwner.into()),
        }
    }

    fn root_or_operator(&self, ask: &Ask, brand: &BrandId) -> Done {
        match self.root(ask.signer) {
            Ok(root) => check(root == *brand, Refusal::KeyOwner),
            Err(_) => self.operator(ask),
        }
    }

    fn may_freeze(&self, ask: &Ask, brand: &BrandId, frozen: bool) -> Done {
        if frozen { self.root_or_operator(ask, brand) } else { self.operator(ask) }
    }

    fn new_key(&mut self, kid: Kid, key: MKey) -> Done {
        check(!self.keys.contains_key(&kid), Refusal::AlreadyExists)?;
        self.keys.insert(kid, key);
        Ok(())
    }

    fn plain_key(&self, owner: Owner, purpose: Purpose) -> MKey {
        MKey { owner, purpose, state: KeyState::Active, from: self.seconds(), until: None, till: None }
    }

    // The network.

    fn participant(&mut self, ask: &Ask, args: &RegisterParticipant) -> Done {
        self.operator(ask)?;
        check(self.currencies.contains(&args.currency), Refusal::SettingInvalid)?;
        check(!self.participants.contains(&args.participant), Refusal::AlreadyExists)?;
        check(!(args.operator && self.operator), Refusal::AlreadyExists)?;
        self.operator |= args.operator;
        self.participants.insert(args.participant.clone());
        Ok(())
    }

    /// The root of this brand approves.
    fn by_root(&self, ask: &Ask, brand: &BrandId) -> Done {
        let roots = ask.approvals.iter().filter_map(|kid| self.root(*kid).ok());
        check(roots.into_iter().any(|of| of == *brand), Refusal::EvidenceMissing)
    }

    fn brand(&mut self, ask: &Ask, args: &RegisterBrand) -> Done {
        let root = args.root.kid();
        check(ask.signer == root, Refusal::EvidenceMismatch)?;
        self.operator(ask)?;
        check(self.participants.contains(&args.participant), Refusal::ParticipantUnknown)?;
        check(!self.brands.contains_key(&args.brand), Refusal::AlreadyExists)?;
        match self.speakers.get(&args.participant).cloned() {
            Some(first) => self.by_root(ask, &first)?,
            None => drop(self.speakers.insert(args.participant.clone(), args.brand.clone())),
        }
        self.new_key(root, self.plain_key(Owner::Brand(args.brand.clone()), Purpose::BrandRoot))?;
        let brand = MBrand { participant: args.participant.clone(), frozen: false };
        self.brands.insert(args.brand.clone(), brand);
        Ok(())
    }

    fn certify(&mut self, ask: &Ask, cert: &KeyCert) -> Done {
        check(cert.until.is_none_or(|until| until > cert.from), Refusal::SettingInvalid)?;
        check(ask.approvals.contains(&cert.key.kid()), Refusal::EvidenceMissing)?;
        let brand: BrandId = cert.owner.parse().map_err(|_| Refusal::TokenPayload)?;
        check(self.root(ask.signer)? == brand, Refusal::KeyOwner)?;
        let brands = matches!(cert.purpose, Purpose::Issuing | Purpose::Till | Purpose::Approver);
        check(brands, Refusal::KeyPurpose)?;
        check((cert.purpose == Purpose::Till) == cert.till.is_some(), Refusal::TokenPayload)?;
        if let Some(till) = &cert.till {
            check(self.participants.contains(&till.participant), Refusal::ParticipantUnknown)?;
            if self.brands[&brand].participant != till.participant {
                match self.speakers.get(&till.participant).cloned() {
                    Some(first) => self.by_root(ask, &first)?,
                    None => self.operator(ask)?,
                }
            }
        }
        let somebodys = cert.purpose == Purpose::Approver;
        check(cert.person.is_some() == somebodys, Refusal::TokenPayload)?;
        let plain = self.plain_key(Owner::Brand(brand), cert.purpose);
        let key = MKey { from: cert.from, until: cert.until, till: cert.till.clone(), ..plain };
        self.new_key(cert.key.kid(), key)
    }

    fn revoke(&mut self, ask: &Ask, args: &RevokeKey, of_account: bool) -> Done {
        let key = self.keys.get(&args.key).ok_or(Refusal::TargetUnknown)?.clone();
        check(of_account == matches!(key.owner, Owner::Account(_)), Refusal::TargetUnknown)?;
        let brand = match &key.owner {
            Owner::Operator => None,
            Owner::Brand(brand) => Some(brand.clone()),
            Owner::Account(account) => {
                let unit = self.books.own(*account, self.now).unit;
                Some(self.units[&unit].brand.clone())
            }
        };
        let by_root = brand.is_some() && self.root(ask.signer).ok() == brand;
        if !by_root {
            self.operator(ask)?;
        }
        check(key.state != KeyState::Compromised, Refusal::SettingInvalid)?;
        check(args.state != KeyState::Active || by_root, Refusal::SettingInvalid)?;
        self.keys.get_mut(&args.key).expect("just seen").state = args.state;
        Ok(())
    }

    fn budget(&mut self, ask: &Ask, args: &KeyBudget) -> Done {
        let brand = self.root(ask.signer)?;
        let key = self.keys.get(&args.key).ok_or(Refusal::KeyUnknown)?;
        check(key.owner == Owner::Brand(brand.clone()), Refusal::KeyOwner)?;
        check(matches!(key.purpose, Purpose::Issuing | Purpose::Till), Refusal::KeyPurpose)?;
        check(self.units.get(&args.unit).ok_or(Refusal::UnitUnknown)?.brand == brand, Refusal::KeyOwner)?;
        if let Some(have) = self.budgets.get(&args.key) {
            check(args.unit == have.unit, Refusal::SerialStale)?;
        }
        let next = self.budgets.get(&args.key).map_or(1, |have| have.serial + 1);
        check(args.serial == next, Refusal::SerialStale)?;
        self.budgets.insert(args.key, args.clone());
        Ok(())
    }

    fn unit(&mut self, ask: &Ask, args: &DefineUnit) -> Done {
        let brand = self.root(ask.signer)?;
        let block = |round: &Option<u32>| round.is_none_or(|months| [1, 3, 12].contains(&months));
        let expiry = match &args.expiry {
            Expiry::Never => true,
            Expiry::Days { n, round } => *n <= 36_525 && block(round),
            Expiry::Months { n, round } => *n <= 1_217 && block(round),
            Expiry::Yearly { month, day, least } => {
                NaiveDate::from_ymd_opt(2024, *month, *day).is_some() && *least <= 36_525
            }
        };
        let days = args.pending_days <= 366 && args.grace_days <= 366;
        let offset = (-840..=840).contains(&args.offset);
        check(args.scale <= 4 && offset && expiry && days, Refusal::SettingInvalid)?;
        let (mut next, mut frozen, mut kept) = (1, false, None);
        if let Some(have) = self.units.get(&args.unit) {
            check(have.brand == brand, Refusal::AlreadyExists)?;
            let fixed = have.set.scale == args.scale && have.set.offset == args.offset;
            check(fixed, Refusal::SettingInvalid)?;
            let notice = |set: &DefineUnit| set.notice.expect("set in this world");
            check(notice(args).cut_days >= notice(&have.set).cut_days, Refusal::SettingInvalid)?;
            (next, frozen) = (have.set.version + 1, have.frozen);
            let issued = self.books.shared.get(&(args.unit, Shared::Issuance)).is_some_and(|sum| *sum != 0);
            kept = if issued { have.kept_by(args, self.seconds()) } else { None };
        }
        check(args.version == next, Refusal::SerialStale)?;
        self.units.insert(args.unit, MUnit { brand, set: args.clone(), frozen, kept });
        Ok(())
    }

    fn publish(&mut self, ask: &Ask, args: &PublishPrices) -> Done {
        let unit = self.units.get(&args.unit).ok_or(Refusal::UnitUnknown)?;
        check(self.root(ask.signer)? == unit.brand, Refusal::KeyOwner)?;
        check(self.currencies.contains(&args.currency), Refusal::SettingInvalid)?;
        let now = self.seconds();
        let all = self.prices.get(&args.unit).cloned().unwrap_or_default();
        check(args.version == all.last().map_or(1, |last| last.version + 1), Refusal::SerialStale)?;
        let first = all.is_empty();
        let new = all.iter().all(|price| price.currency != args.currency);
        check(args.from >= now || first, Refusal::SettingInvalid)?;
        check(args.until.is_none_or(|until| until > args.from), Refusal::SettingInvalid)?;
        let alive = |p: &&PublishPrices| {
            let replaced = |q: &PublishPrices| {
                q.version > p.version && q.currency == p.currency && q.from <= now && q.until.is_none()
            };
            p.currency == args.currency
                && p.until.is_none_or(|until| until > now)
                && !all.iter().any(replaced)
        };
        let less = |a, b| {
            let ((a, b), (c, d)) = (parts(a), parts(b));
            c * b < a * d
        };
        let cut = |old: &PublishPrices| {
            less(old.home, args.home) || less(old.till, args.till) || less(old.settle, args.settle)
        };
        if !first {
            let notice = unit.set.notice.expect("set in this world");
            let cut = new || all.iter().filter(alive).any(cut);
            let days = u64::from(if cut { notice.cut_days } else { notice.change_days });
            check(args.from >= now + days * 86_400, Refusal::NoticeTooShort)?;
            let approves = |kid: &&Kid| {
                let key = self.valid(**kid, &[Purpose::Approver]);
                key.is_ok_and(|key| key.owner == Owner::Brand(unit.brand.clone()))
            };
            check(ask.approvals.iter().filter(approves).count() >= 2, Refusal::PeopleMissing)?;
        }
        // 64 versions may be in force or announced: those that no later one has replaced for good.
        let after: Vec<&PublishPrices> = all.iter().chain([args]).collect();
        let gone = |p: &PublishPrices| {
            let over = p.until.is_some_and(|until| until <= now);
            let replaced = after.iter().any(|q| {
                q.version > p.version && q.currency == p.currency && q.from <= now && q.until.is_none()
            });
            let newest = !after.iter().any(|q| q.version > p.version && q.currency == p.currency);
            !newest && (over || replaced)
        };
        check(after.iter().filter(|price| !gone(price)).count() <= 64, Refusal::SettingInvalid)?;
        self.prices.entry(args.unit).or_default().push(args.clone());
        Ok(())
    }

    fn accept(&mut self, ask: &Ask, args: &PublishAcceptance) -> Done {
        check(self.root_owner(ask.signer)? == args.brand, Refusal::KeyOwner)?;
        let mut codes: Vec<UnitCode> = args.units.iter().map(|unit| unit.unit).collect();
        codes.sort_unstable();
        codes.dedup();
        check(codes.len() == args.units.len(), Refusal::SettingInvalid)?;
        check(codes.iter().all(|code| self.units.contains_key(code)), Refusal::UnitUnknown)?;
        for (at, list) in args.exchange.iter().flatten().enumerate() {
            let twice = args.exchange.iter().flatten().take(at).any(|earlier| earlier.into == list.into);
            check(!twice, Refusal::SettingInvalid)?;
            let own = self.units.get(&list.into).ok_or(Refusal::UnitUnknown)?.brand == args.brand;
            check(own, Refusal::KeyOwner)?;
            let key = self.keys.get(&list.budget).ok_or(Refusal::KeyUnknown)?;
            check(key.owner == Owner::Brand(args.brand.clone()), Refusal::KeyOwner)?;
            let mut codes: Vec<UnitCode> = list.units.iter().map(|unit| unit.unit).collect();
            codes.sort_unstable();
            codes.dedup();
            check(codes.len() == list.units.len(), Refusal::SettingInvalid)?;
            check(codes.iter().all(|code| self.units.contains_key(code)), Refusal::UnitUnknown)?;
            check(!codes.contains(&list.into), Refusal::SettingInvalid)?;
        }
        let now = self.seconds();
        let in_force = self.accepted(&args.brand);
        let newest = self.acceptance.get(&args.brand).and_then(|all| {
            all.next.as_ref().map(|(_, list)| list.version).or(all.now.as_ref().map(|list| list.version))
        });
        check(args.version == newest.unwrap_or(0) + 1, Refusal::SerialStale)?;
        let from = args.from.unwrap_or(now);
        check(from >= now, Refusal::SettingInvalid)?;
        for unit in in_force.iter().flat_map(|before| withdrawn(before, args)) {
            let days = u64::from(self.units[&unit].set.notice.expect("set in this world").cut_days);
            check(from >= now + days * 86_400, Refusal::NoticeTooShort)?;
        }
        let (now, next) =
            if from > now { (in_force, Some((from, args.clone()))) } else { (Some(args.clone()), None) };
        self.acceptance.insert(args.brand.clone(), MAccepted { now, next });
        Ok(())
    }

    fn root_owner(&self, kid: Kid) -> Result<BrandId, Stop> {
        self.root(kid)
    }

    fn freeze_account(&mut self, ask: &Ask, account: AccountId, frozen: bool) -> Done {
        let unit = self.books.purse(account, self.now).ok_or(Refusal::AccountUnknown)?.unit;
        let own =
            self.valid(ask.signer, &[Purpose::Account]).is_ok_and(|key| key.owner == Owner::Account(account));
        if !(own && frozen) {
            let brand = self.units[&unit].brand.clone();
            self.root_or_operator(ask, &brand)?;
        }
        self.books.own(account, self.now).frozen = frozen;
        Ok(())
    }

    fn open(&mut self, ask: &Ask, args: &OpenAccount) -> Done {
        let unit = self.units.get(&args.unit).ok_or(Refusal::UnitUnknown)?;
        let kid = args.key.kid();
        let own = ask.signer == kid;
        if own {
            check(args.account == AccountId::of(kid), Refusal::KeyOwner)?;
        } else {
            let key = self.valid(ask.signer, &[Purpose::Issuing])?;
            check(key.owner == Owner::Brand(unit.brand.clone()), Refusal::KeyOwner)?;
            check(ask.approvals.contains(&kid), Refusal::EvidenceMissing)?;
        }
        let (offset, brand) = (unit.set.offset, unit.brand.clone());
        if let Some(purse) = self.books.purse(args.account, self.now) {
            let (same, old) = (purse.unit == args.unit, purse.key);
            let keyless = old.is_none_or(|old| self.keys[&old].state != KeyState::Active);
            check(!own && same && keyless, Refusal::AlreadyExists)?;
            let vouches = |kid: &Kid| {
                let key = self.valid(*kid, &[Purpose::BrandRoot, Purpose::Approver]);
                key.is_ok_and(|key| key.owner == Owner::Brand(brand.clone()))
            };
            check(ask.approvals.iter().any(vouches), Refusal::EvidenceMissing)?;
        }
        self.new_key(kid, self.plain_key(Owner::Account(args.account), Purpose::Account))?;
        let new = || Purse::new(args.unit, offset, None);
        self.books.purses.entry(args.account).or_insert_with(new).key = Some(kid);
        Ok(())
    }
}
