//! The model: predicts every answer and every balance, as simply as it can be said.
//!
//! Owns: its own keys, settings, purses, payments and totals, in plain maps.
//! Promises: it uses the crate's ids and claims to talk, and none of its rules.
//! Refuses to know: entries, records, drafts.

use super::ask::{Ask, What};
use super::claw_back::MAward;
use super::offer::MOffer;
use super::purse::Purse;
use std::collections::{BTreeMap, BTreeSet};
use tallyhouse::book::{KeyState, Shared};
use tallyhouse::machine::{Answer, LineVerdict, Offered};
use tallyhouse::network::DefineUnit;
use tallyhouse::prices::{PublishAcceptance, PublishPrices};
use tallyhouse::sign::{KeyBudget, Purpose, TillClaims};
use tallyhouse::types::{
    AccountId, BrandId, ConsentId, Currency, ExchangeId, Hash, Kid, OfferId, ParticipantId, PaymentId,
    Refusal, Time, UnitCode,
};

/// Refusals recorded for a brand in an hour, at most.
const QUOTA: u64 = 1_000;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Owner {
    Operator,
    Brand(BrandId),
    Account(AccountId),
}

#[derive(Clone, Debug)]
pub struct MKey {
    pub owner: Owner,
    pub purpose: Purpose,
    pub state: KeyState,
    pub from: u64,
    pub until: Option<u64>,
    pub till: Option<TillClaims>,
}

#[derive(Clone, Debug)]
pub struct MBrand {
    pub participant: ParticipantId,
    pub frozen: bool,
}

#[derive(Clone, Debug)]
pub struct MUnit {
    pub brand: BrandId,
    pub set: DefineUnit,
    pub frozen: bool,
    /// Until when what else holds: the least of a payment, the days of grace.
    pub kept: Option<(u64, u64, u32)>,
}

impl MUnit {
    /// What is kept of these settings under new ones, once points were issued.
    pub fn kept_by(&self, new: &DefineUnit, now: u64) -> Option<(u64, u64, u32)> {
        let (least, grace) = self.terms(now);
        let of = |set: &DefineUnit| (set.min_spend.map_or(0, |least| least.get()), set.grace_days);
        let ((said, had), (wanted, days)) = (of(&self.set), of(new));
        if wanted <= least && days >= grace {
            return None;
        }
        let notice = self.set.notice.expect("set in this world").cut_days;
        let until = match self.kept {
            Some((until, ..)) if now < until && wanted <= said && days >= had => until,
            _ => now + u64::from(notice) * 86_400,
        };
        Some((until, least.min(wanted), grace.max(days)))
    }

    /// Fewest points in a payment, and days of grace.
    pub fn terms(&self, now: u64) -> (u64, u32) {
        match self.kept {
            Some((until, least, grace)) if now < until => (least, grace),
            _ => (self.set.min_spend.map_or(0, |least| least.get()), self.set.grace_days),
        }
    }
}

#[derive(Clone, Debug)]
pub struct MShare {
    pub unit: UnitCode,
    pub account: AccountId,
    pub points: u128,
    pub obligation: u128,
    pub issuer: ParticipantId,
    pub taken: Vec<(super::purse::Pile, u128)>,
}

#[derive(Clone, Debug)]
pub struct MPayment {
    pub brand: BrandId,
    pub participant: ParticipantId,
    /// The till's key that asked for it.
    pub by: Kid,
    pub currency: Currency,
    pub amount: u128,
    pub shares: Vec<MShare>,
    pub captured: u128,
    pub refunded: u128,
    pub deadline: i64,
    pub closed: bool,
}

/// A consent that a code opened.
#[derive(Clone, Debug)]
pub struct MOpen {
    pub brand: BrandId,
    pub till: Kid,
    pub account: AccountId,
    pub key: Kid,
    pub currency: Currency,
    pub most: u128,
    pub used: u128,
    pub points: u128,
    pub spent: u128,
    pub until: i64,
}

/// What is counted against a ceiling: who, what, and the window it was counted in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Count {
    Issued(Kid),
    IssuedHour(Kid),
    ClawedBackHour(Kid),
    TakenHour(Kid),
    TakenDay(Kid),
    ReturnedHour(Kid),
    ReturnedDay(Kid),
    AcceptedDay(BrandId, UnitCode),
    ExchangedDay(UnitCode, UnitCode),
    OfferedMinute(BrandId, UnitCode),
    RefusedHour(BrandId),
}

/// All that points and money are: small, so that a step that fails half-way is undone by a copy.
#[derive(Clone)]
pub struct Books {
    /// The cycle that is open.
    pub cycle: u64,
    pub purses: BTreeMap<AccountId, Purse>,
    pub shared: BTreeMap<(UnitCode, Shared), i128>,
    pub pairs: BTreeMap<(u64, ParticipantId, ParticipantId, Currency), i128>,
    pub counts: BTreeMap<Count, (i64, u128)>,
}

impl Default for Books {
    fn default() -> Self {
        let (purses, shared, pairs, counts) = Default::default();
        Self { cycle: 1, purses, shared, pairs, counts }
    }
}

impl Books {
    /// An account as of an instant: what is due on it is booked first.
    pub fn purse(&mut self, id: AccountId, at: i64) -> Option<&mut Purse> {
        let purse = self.purses.get_mut(&id)?;
        if purse.is_due(at) {
            let gone = purse.settle(at) as i128;
            *self.shared.entry((purse.unit, Shared::Expired)).or_default() += gone;
        }
        Some(purse)
    }

    /// An account that is known to be there.
    pub fn own(&mut self, id: AccountId, at: i64) -> &mut Purse {
        self.purse(id, at).expect("an account that is known")
    }

    /// All accounts as of an instant.
    pub fn settle(&mut self, at: i64) {
        for id in self.purses.keys().copied().collect::<Vec<_>>() {
            self.own(id, at);
        }
    }

    pub fn book(&mut self, unit: UnitCode, shared: Shared, n: i128) {
        *self.shared.entry((unit, shared)).or_default() += n;
    }

    /// `debtor` owes `creditor` so much more.
    pub fn owe(&mut self, debtor: &ParticipantId, creditor: &ParticipantId, currency: Currency, n: i128) {
        let (a, b, n) = if creditor < debtor { (creditor, debtor, n) } else { (debtor, creditor, -n) };
        *self.pairs.entry((self.cycle, a.clone(), b.clone(), currency)).or_default() += n;
    }

    /// Counts in a window if the ceiling allows it.
    pub fn count(&mut self, what: Count, window: i64, n: u128, ceiling: u128) -> bool {
        let used = self.counts.get(&what).filter(|(w, _)| *w == window).map_or(0, |(_, used)| *used) + n;
        let fits = used <= ceiling;
        if fits {
            self.counts.insert(what, (window, used));
        }
        fits
    }
}

/// What a brand takes: now, and the newest list if it begins later.
#[derive(Clone, Debug)]
pub struct MAccepted {
    pub now: Option<PublishAcceptance>,
    pub next: Option<(u64, PublishAcceptance)>,
}

/// Why nothing new happens.
pub enum Stop {
    No(Refusal),
    Again(Box<Answer>),
}

impl From<Refusal> for Stop {
    fn from(code: Refusal) -> Self {
        Self::No(code)
    }
}

/// What a command that goes through says beside its place.
#[derive(Default)]
pub struct Said {
    pub payment: Option<PaymentId>,
    pub consent: Option<ConsentId>,
    pub offer: Option<Offered>,
    pub exchange: Option<ExchangeId>,
    pub awarded: Option<u64>,
    pub others: Vec<LineVerdict>,
}

pub struct Model {
    /// The place of the next entry, and the instant of the last one.
    pub seq: u64,
    pub last: i64,
    /// Whether due work is swept before each command.
    pub sweeps: bool,
    pub roots: Vec<Kid>,
    pub threshold: usize,
    pub currencies: Vec<Currency>,
    pub network_frozen: bool,
    pub participants: BTreeSet<ParticipantId>,
    /// The first brand of each.
    pub speakers: BTreeMap<ParticipantId, BrandId>,
    /// Whether one is the operator's own.
    pub operator: bool,
    pub brands: BTreeMap<BrandId, MBrand>,
    pub keys: BTreeMap<Kid, MKey>,
    pub budgets: BTreeMap<Kid, KeyBudget>,
    pub units: BTreeMap<UnitCode, MUnit>,
    pub prices: BTreeMap<UnitCode, Vec<PublishPrices>>,
    pub acceptance: BTreeMap<BrandId, MAccepted>,
    pub books: Books,
    pub payments: BTreeMap<PaymentId, MPayment>,
    pub told: BTreeMap<(Owner, String), (Hash, Result<Answer, Refusal>)>,
    pub tokens: BTreeMap<(BrandId, String), (Hash, Answer)>,
    pub refs: BTreeMap<(BrandId, String, String), Hash>,
    /// By brand and text.
    pub awards: BTreeMap<(BrandId, String), MAward>,
    pub consents: BTreeSet<(AccountId, String)>,
    pub open: BTreeMap<ConsentId, MOpen>,
    pub offers: BTreeMap<OfferId, MOffer>,
    /// Refused for good, recorded with the commit.
    waiting: Vec<(Owner, String, Hash, Refusal)>,
    pub now: i64,
}

fn micros(at: Time) -> i64 {
    at.micros()
}

impl Model {
    /// A model of a network that has genesis and its first term.
    pub fn new(genesis: &tallyhouse::machine::Genesis, begun: Time, sweeps: bool) -> Self {
        let key = |purpose| MKey {
            owner: Owner::Operator,
            purpose,
            state: KeyState::Active,
            from: begun.seconds(),
            until: None,
            till: None,
        };
        let roots: Vec<Kid> = genesis.roots.iter().map(|root| root.kid()).collect();
        let mut keys: BTreeMap<Kid, MKey> =
            roots.iter().map(|kid| (*kid, key(Purpose::OperatorRoot))).collect();
        keys.insert(genesis.log.kid(), key(Purpose::Log));
        Self {
            seq: 2,
            last: micros(begun) + 1,
            sweeps,
            roots,
            threshold: usize::from(genesis.threshold),
            currencies: genesis.currencies.iter().map(|c| c.code).collect(),
            network_frozen: false,
            participants: BTreeSet::new(),
            speakers: BTreeMap::new(),
            operator: false,
            brands: BTreeMap::new(),
            keys,
            budgets: BTreeMap::new(),
            units: BTreeMap::new(),
            prices: BTreeMap::new(),
            acceptance: BTreeMap::new(),
            books: Books::default(),
            payments: BTreeMap::new(),
            told: BTreeMap::new(),
            tokens: BTreeMap::new(),
            refs: BTreeMap::new(),
            awards: BTreeMap::new(),
            consents: BTreeSet::new(),
            open: BTreeMap::new(),
            offers: BTreeMap::new(),
            waiting: vec![],
            now: micros(begun),
        }
    }

    pub fn seconds(&self) -> u64 {
        u64::try_from(self.now / 1_000_000).expect("after 1970")
    }

    /// What a brand takes at this instant.
    pub fn accepted(&self, brand: &BrandId) -> Option<PublishAcceptance> {
        let all = self.acceptance.get(brand)?;
        let next = all.next.as_ref().filter(|(from, _)| *from <= self.seconds());
        next.map(|(_, list)| list.clone()).or(all.now.clone())
    }

    pub fn hour(&self) -> i64 {
        self.now / 3_600_000_000
    }

    /// An entry of the writer's own: a new term, or the sweep of `tick`.
    pub fn entry(&mut self, at: i64) {
        self.last = at.max(self.last + 1);
        self.seq += 1;
    }

    /// Sweeps what is due by `time`, as the writer does before it decides.
    pub fn tick(&mut self, time: i64) {
        if self.sweeps && self.books.purses.values().any(|purse| purse.is_due(time)) {
            self.books.settle(time);
            self.entry(time);
        }
    }

    /// Predicts the answer to a command that asks for `time`, and takes its effects over. Refusals are
    /// recorded by [`Model::flush`].
    pub fn judge(&mut self, ask: &Ask, time: Time) -> Result<Answer, Refusal> {
        if let Some(flaw) = ask.flaw {
            return Err(flaw);
        }
        if !self.knows(ask) {
            return Err(Refusal::KeyUnknown);
        }
        if self.waiting.iter().any(|(_, cid, ..)| ask.cid.as_ref() == Some(cid)) {
            self.flush();
        }
        self.tick(micros(time));
        self.now = micros(time).max(self.last + 1);
        let decided = self.decide(ask);
        match decided {
            Ok(said) => Ok(self.commit(ask, said)),
            Err(Stop::Again(answer)) => Ok(Answer { replayed: true, ..*answer }),
            Err(Stop::No(code)) => {
                self.burn(ask, code);
                Err(code)
            }
        }
    }

    /// Whether every key that signed is registered, or comes with the statement itself.
    pub fn knows(&self, ask: &Ask) -> bool {
        self.signers(ask).iter().all(|(kid, _)| self.keys.contains_key(kid) || introduces(ask, *kid))
    }

    /// Whoever signed anything, and as what sort of statement.
    fn signers(&self, ask: &Ask) -> Vec<(Kid, &'static str)> {
        let sort = match ask.what {
            What::Token(_) => "token",
            What::Batch(..) => "batch",
            What::Certify(_) => "cert",
            What::Budget(_) => "budget",
            _ => "command",
        };
        let mut all = vec![(ask.signer, sort)];
        all.extend(ask.approvals.iter().map(|kid| (*kid, "approval")));
        if let What::Authorise(_, consents) = &ask.what {
            all.extend(consents.iter().map(|(kid, _)| (*kid, "consent")));
        }
        if let What::Show(_, Some((kid, _))) = &ask.what {
            all.push((*kid, "code"));
        }
        all
    }

    fn asker(&self, ask: &Ask) -> Option<Owner> {
        match (self.keys.get(&ask.signer), &ask.what) {
            (Some(key), _) => Some(key.owner.clone()),
            (None, What::Brand(args)) => Some(Owner::Brand(args.brand.clone())),
            (None, What::Open(args)) => Some(Owner::Account(args.account)),
            (None, _) => None,
        }
    }

    fn decide(&mut self, ask: &Ask) -> Result<Said, Stop> {
        let asker = self.asker(ask).ok_or(Refusal::KeyUnknown)?;
        if let Some(cid) = &ask.cid
            && self.keys.contains_key(&ask.signer)
            && let Some((content, told)) = self.told.get(&(asker, cid.clone()))
        {
            return Err(match told {
                _ if *content != ask.content => Refusal::IdReused.into(),
                Ok(answer) => Stop::Again(Box::new(answer.clone())),
                Err(code) => Stop::No(*code),
            });
        }
        for (kid, sort) in self.signers(ask) {
            if self.keys.get(&kid).is_some_and(|key| !may_sign(key.purpose, sort)) {
                return Err(Refusal::KeyPurpose.into());
            }
        }
        self.run(ask)
    }

    fn commit(&mut self, ask: &Ask, said: Said) -> Answer {
        let answer = Answer {
            seq: self.seq,
            kind: ask.what.kind().into(),
            at: Time::from_micros(self.now).expect("in range"),
            payment: said.payment,
            consent: said.consent,
            offer: said.offer.map(Box::new),
            exchange: said.exchange,
            awarded: said.awarded,
            others: said.others,
            replayed: false,
        };
        self.seq += 1;
        self.last = self.now;
        match (&ask.cid, &ask.what) {
            (Some(cid), _) => {
                // An account that opened itself is known by now.
                let asker = self.asker(ask).expect("whoever succeeds is known");
                self.told.insert((asker, cid.clone()), (ask.content, Ok(answer.clone())));
            }
            (None, What::Token(token)) => {
                let id = (token.iss.clone(), token.jti.to_string());
                self.tokens.insert(id, (ask.content, answer.clone()));
            }
            (None, What::Batch(claims, _)) => {
                let id = (claims.iss.clone(), claims.jti.to_string());
                self.tokens.insert(id, (ask.content, answer.clone()));
            }
            (None, _) => {}
        }
        answer
    }

    fn burn(&mut self, ask: &Ask, code: Refusal) {
        if let (true, Some(cid), Some(asker)) = (code.burns(), &ask.cid, self.asker(ask))
            && self.keys.contains_key(&ask.signer)
            && !self.told.contains_key(&(asker.clone(), cid.clone()))
        {
            self.waiting.push((asker, cid.clone(), ask.content, code));
        }
    }

    /// Records what was refused for good; the end of a commit.
    pub fn flush(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let (mut recorded, hour) = (false, (self.last + 1) / 3_600_000_000);
        for (asker, cid, content, code) in waiting {
            let allowed = match &asker {
                Owner::Brand(brand) => {
                    self.books.count(Count::RefusedHour(brand.clone()), hour, 1, u128::from(QUOTA))
                }
                Owner::Operator | Owner::Account(_) => true,
            };
            if allowed {
                self.told.insert((asker, cid), (content, Err(code)));
                recorded = true;
            }
        }
        if recorded {
            self.entry(0);
        }
    }
}

/// Whether a key comes with the statement itself.
fn introduces(ask: &Ask, kid: Kid) -> bool {
    match &ask.what {
        What::Brand(args) => args.root.kid() == kid,
        What::Certify(cert) => cert.key.kid() == kid,
        What::Open(args) => args.key.kid() == kid,
        _ => false,
    }
}

/// The table of the documentation: which key signs which statement.
fn may_sign(purpose: Purpose, sort: &str) -> bool {
    let all: &[&str] = match purpose {
        Purpose::OperatorRoot => &["cert", "command", "approval"],
        Purpose::BrandRoot => &["cert", "budget", "command", "approval"],
        Purpose::Issuing => &["token", "batch", "command", "approval"],
        Purpose::Till => &["token", "command", "approval"],
        Purpose::Account => &["consent", "code", "command", "approval"],
        Purpose::Log => &["approval"],
        Purpose::Recovery | Purpose::Operations | Purpose::Approver => &["command", "approval"],
    };
    all.contains(&sort)
}
