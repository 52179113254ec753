//! The clearing house of the test network: its analyst, its approvers, and a function for each of its commands.
//!
//! Owns: their keys, and a node on which they and tills work.
//! Promises: requests are made exactly as asked.
//! Refuses to know: what they will be answered.

use super::node::{PureNode, State};
use super::world::{Brand, Holder, Key, World, beginning, id, money};
use std::collections::BTreeMap;
use tallyhouse::book::{Answered, Booking, Closing, Instruction, Line, Name, Record, StatementLine, Way};
use tallyhouse::clearing::{
    self, AcceptStatement, AnswerObjection, ComputeCycle, ConfirmDetails, FileObjection, ImportStatement,
    InstructionStep, LinePlace, Matrix, Move, MoveCover, MoveCycle, MoveInstruction, SealCycle, SetDetails,
    SetFunding, SetOffCycle, Stage, stage,
};
use tallyhouse::machine::{Answer, Offered, Request};
use tallyhouse::payments::{Authorise, MakeOffer, WantedPayment, WantedShare};
use tallyhouse::sign::{KeyCert, PaymentConsent, Purpose, Typ};
use tallyhouse::types::{
    Currency, Hash, Ident, InstructionId, ObjectionId, ParticipantId, PaymentId, Refusal, Refused, Time,
};

pub struct House {
    pub world: World,
    pub node: PureNode,
    pub now: Time,
    pub analyst: Key,
    /// Of three people.
    pub approvers: Vec<Key>,
    pub(super) ids: u32,
}

/// A step of a cycle with nothing but its name.
pub fn step(cycle: u64, step: Move) -> MoveCycle {
    MoveCycle::bare(cycle, step)
}

/// The certificate of somebody who works for the operator, with its proof and the operator's roots.
pub fn certify(world: &World, key: &Key, purpose: Purpose, person: Option<&str>) -> Request {
    let cert = KeyCert {
        aud: world.net,
        key: key.public,
        purpose,
        owner: "op".into(),
        from: beginning().seconds(),
        until: None,
        till: None,
        held: None,
        person: person.map(id),
    };
    let first = world.statement(&world.roots[0], Typ::KeyCert, &cert);
    let others = [world.approve(key, &first), world.approve(&world.roots[1], &first)];
    Request::of([vec![first], others.to_vec()].concat())
}

/// The keys of the house: the analyst's, and three approvers'.
pub fn keys(world: &World) -> (Key, Vec<Key>) {
    let key = |label: &str| Key::derive(world.seed, label);
    (key("analyst"), ["approver 0", "approver 1", "approver 2"].map(key).into())
}

/// What brings them into the network.
pub fn hiring(world: &World) -> Vec<Request> {
    let (analyst, approvers) = keys(world);
    let mut all = vec![certify(world, &analyst, Purpose::Operations, Some("ana"))];
    for (key, person) in approvers.iter().zip(["bo", "cy", "di"]) {
        all.push(certify(world, key, Purpose::Approver, Some(person)));
    }
    all
}

impl House {
    pub fn new(seed: u64, signing: bool) -> Self {
        let world = if signing { World::new(seed) } else { World::unsigned(seed) };
        let node = PureNode::founded(&world);
        Self::adopt(world, node, beginning().plus_seconds(60))
    }

    /// On a node that was not made for it.
    pub fn adopt(world: World, node: PureNode, now: Time) -> Self {
        let (analyst, approvers) = keys(&world);
        let mut house = Self { world, node, now, analyst, approvers, ids: 0 };
        for request in hiring(&house.world) {
            house.send(request).expect("hired");
        }
        house
    }

    pub fn cid(&mut self) -> String {
        self.ids += 1;
        format!("house-{}", self.ids)
    }

    pub fn send(&mut self, request: Request) -> Result<Answer, Refused> {
        self.now = self.now.plus_seconds(1);
        self.node.submit(&request, self.now)
    }

    /// A command by the analyst.
    pub fn ask(&mut self, kind: &str, args: &impl serde::Serialize) -> Result<Answer, Refused> {
        let cid = self.cid();
        let first = self.world.command(&self.analyst, &cid, kind, args);
        self.send(Request::of(vec![first]))
    }

    /// A command by this key.
    pub fn by(&mut self, key: &Key, kind: &str, args: &impl serde::Serialize) -> Result<Answer, Refused> {
        let cid = self.cid();
        let first = self.world.command(key, &cid, kind, args);
        self.send(Request::of(vec![first]))
    }

    /// A command by a brand's issuing key.
    pub fn by_brand(
        &mut self,
        brand: usize,
        kind: &str,
        args: &impl serde::Serialize,
    ) -> Result<Answer, Refused> {
        let cid = self.cid();
        let first = self.world.command(&self.world.brands[brand].issuing[0], &cid, kind, args);
        self.send(Request::of(vec![first]))
    }

    /// A command by a brand's root.
    pub fn by_root(
        &mut self,
        brand: usize,
        kind: &str,
        args: &impl serde::Serialize,
    ) -> Result<Answer, Refused> {
        let cid = self.cid();
        let first = self.world.command(&self.world.brands[brand].root, &cid, kind, args);
        self.send(Request::of(vec![first]))
    }

    /// A command by the analyst that these approvers approve.
    pub fn with(
        &mut self,
        approvers: &[usize],
        kind: &str,
        args: &impl serde::Serialize,
    ) -> Result<Answer, Refused> {
        let cid = self.cid();
        let first = self.world.command(&self.analyst, &cid, kind, args);
        let request = approved(&self.world, first, approvers.iter().map(|at| &self.approvers[*at]));
        self.send(request)
    }

    /// The same with two approvers.
    pub fn agreed(&mut self, kind: &str, args: &impl serde::Serialize) -> Result<Answer, Refused> {
        self.with(&[0, 1], kind, args)
    }

    /// A command by a brand's root that its two approvers approve.
    pub fn agreed_by_brand(
        &mut self,
        brand: usize,
        kind: &str,
        args: &impl serde::Serialize,
    ) -> Result<Answer, Refused> {
        let cid = self.cid();
        let brand = &self.world.brands[brand];
        let first = self.world.command(&brand.root, &cid, kind, args);
        let request = approved(&self.world, first, brand.approvers.iter());
        self.send(request)
    }

    /// A version of a participant's bank details, by its brand, and confirmed.
    pub fn details(&mut self, brand: usize, version: u64, commitment: Hash) {
        let participant = self.world.brands[brand].participant.clone();
        let args = SetDetails {
            participant: participant.clone(),
            currency: eur(),
            version,
            commitment,
            settlement: false,
        };
        self.agreed_by_brand(brand, "details.set", &args).expect("set");
        let args = ConfirmDetails { participant, currency: eur(), version, settlement: false };
        self.ask("details.confirm", &args).expect("confirmed");
    }

    /// Points of a unit, for its nth holder.
    pub fn award(&mut self, unit: &str, n: usize, amount: u64) -> Holder {
        let holder = self.world.holder(id(unit), n);
        let cid = self.cid();
        let (brand, at) = self.world.brand_of(id(unit));
        let token = self.world.token(brand, id(unit), &cid, holder.account, amount, self.now);
        let request = self.world.issue(&brand.issuing[at], &token);
        self.send(request).expect("awarded");
        // The holder's key, so that it can agree to spend.
        if self.node.state.get(&Name::Key(holder.key.kid)).is_none() {
            let cid = self.cid();
            let (brand, at) = self.world.brand_of(id(unit));
            let request = self.world.open_account_by_brand(&cid, &brand.issuing[at], id(unit), &holder);
            self.send(request).expect("opened");
        }
        holder
    }

    /// A bill of so much at a shop, paid with points of one unit.
    pub fn pay(
        &mut self,
        shop: usize,
        unit: &str,
        n: usize,
        amount: u64,
        capture: bool,
    ) -> Result<PaymentId, Refused> {
        self.pay_with(eur(), shop, unit, n, amount, capture)
    }

    /// The same in a currency.
    pub fn pay_with(
        &mut self,
        currency: Currency,
        shop: usize,
        unit: &str,
        n: usize,
        amount: u64,
        capture: bool,
    ) -> Result<PaymentId, Refused> {
        let (holder, cid, now) = (self.world.holder(id(unit), n), self.cid(), self.now);
        let deadline = now.seconds() + 86_400;
        let brand: &Brand = &self.world.brands[shop];
        let claims = PaymentConsent {
            aud: self.world.net,
            jti: id(&format!("consent-{cid}")),
            account: holder.account,
            payee: brand.id.clone(),
            payment: id(&cid),
            till: None,
            amount: money(amount),
            currency,
            points: super::world::points(9_000_000_000_000),
            deadline,
            offer: None,
            iat: None,
            exp: now.seconds() + 200,
        };
        let args = Authorise {
            amount: money(amount),
            currency,
            deadline,
            reference: None,
            capture,
            offer: None,
            under: None,
        };
        let consent = self.world.consent(&holder.key, &claims);
        let request = self.world.authorise(&brand.tills[0].key, &cid, &args, vec![consent]);
        self.send(request).map(|answer| answer.payment.expect("a payment"))
    }

    /// A bill of one unit that a shop offers for sure: headroom is held for it.
    pub fn offer_firm(&mut self, shop: usize, unit: &str, amount: u64) -> Result<Box<Offered>, Refused> {
        let cid = self.cid();
        let bill = WantedPayment {
            amount: money(amount),
            currency: eur(),
            deadline: self.now.seconds() + 3_600,
            reference: None,
            capture: false,
            shares: vec![WantedShare { unit: id(unit), amount: money(amount) }],
        };
        let args = MakeOffer { exchange: None, payment: Some(bill), firm: true };
        let request = self.world.make_offer(&self.world.brands[shop].tills[0].key, &cid, &args);
        self.send(request).map(|answer| answer.offer.expect("an offer"))
    }

    pub fn closing(&self, cycle: u64) -> Closing {
        let record = self.node.state.get(&Name::Closing(cycle));
        record.and_then(Record::closing).unwrap_or_else(|| panic!("no cycle {cycle}")).clone()
    }

    pub fn stage(&self, cycle: u64) -> Stage {
        stage(&self.closing(cycle))
    }

    pub fn open(&self) -> u64 {
        self.node.state.get(&Name::Cycle).and_then(Record::cycle).expect("cycles").open
    }

    pub fn line(&self, cycle: u64, who: &str) -> Option<Line> {
        self.node.state.get(&Name::Line(cycle, id(who), eur())).and_then(Record::line).cloned()
    }

    pub fn instruction(&self, id: InstructionId) -> Instruction {
        self.node.state.get(&Name::Instruction(id)).and_then(Record::instruction).expect("there").clone()
    }

    /// The instructions of a cycle that are in force, by participant.
    pub fn instructions(&self, cycle: u64) -> BTreeMap<ParticipantId, (InstructionId, Instruction)> {
        let of = |name: &Name, record: &Record| match (name, record) {
            (Name::Line(of, who, _), Record::Line(line)) if *of == cycle => {
                Some((who.clone(), line.instruction?))
            }
            _ => None,
        };
        let found = self.node.state.0.iter().filter_map(|(name, record)| of(name, record));
        found.map(|(who, id)| (who, (id, self.instruction(id)))).collect()
    }

    /// The nets of a cycle in EUR, out of the totals of pairs: independent of the nets that state keeps.
    pub fn nets(&self, cycle: u64) -> BTreeMap<ParticipantId, i64> {
        self.nets_in(cycle, eur())
    }

    /// The same in a currency.
    pub fn nets_in(&self, cycle: u64, of_currency: Currency) -> BTreeMap<ParticipantId, i64> {
        let of: Vec<u64> = self.closing(cycle).includes.into_iter().chain([cycle]).collect();
        let mut nets = BTreeMap::new();
        for (name, record) in &self.node.state.0 {
            if let (Name::Pair(c, a, b, currency), Record::Total(total)) = (name, &**record)
                && of.contains(c)
                && *currency == of_currency
            {
                *nets.entry(a.clone()).or_insert(0) += total;
                *nets.entry(b.clone()).or_insert(0) -= total;
            }
        }
        nets
    }

    pub fn seal(&mut self) -> u64 {
        let cycle = self.open();
        self.ask("cycle.seal", &SealCycle { cycle }).expect("sealed");
        cycle
    }

    pub fn compute(&mut self, cycle: u64) -> Result<Answer, Refused> {
        let of = |currency: Currency| {
            self.nets_in(cycle, currency).into_iter().map(move |(who, net)| (currency, who, net))
        };
        let nets: Vec<_> = [eur(), id("CHF")].into_iter().flat_map(of).collect();
        let version = self.closing(cycle).version + 1;
        let digest = clearing::digest(&nets);
        self.ask("cycle.compute", &ComputeCycle { cycle, version, digest })
    }

    /// Takes what stands apart out of a cycle, before its next version is computed.
    pub fn set_off(&mut self, cycle: u64) -> Result<Answer, Refused> {
        let (version, digest) = (self.closing(cycle).version + 1, self.set_off_digest(cycle));
        self.ask("cycle.set_off", &SetOffCycle { cycle, version, digest })
    }

    pub fn set_off_digest(&self, cycle: u64) -> Hash {
        set_off_digest(&self.world, &self.node.state, cycle)
    }

    /// From sealed to approved, with nobody objecting.
    pub fn approve(&mut self, cycle: u64) {
        self.compute(cycle).expect("computed");
        self.review(cycle);
        self.now = self.now.plus_seconds(3_601);
        let args = MoveCycle { version: Some(self.closing(cycle).version), ..step(cycle, Move::Approve) };
        self.agreed("cycle.move", &args).expect("approved");
    }

    /// Opens the review; whoever is to be paid has bank details by then.
    pub fn review(&mut self, cycle: u64) {
        self.bank(cycle);
        let until = Some(self.now.seconds() + 3_600);
        self.ask("cycle.move", &MoveCycle { until, ..step(cycle, Move::Review) }).expect("reviewed");
    }

    pub fn pay_in(&mut self, cycle: u64) {
        let until = Some(self.now.seconds() + 3 * 86_400);
        self.ask("cycle.move", &MoveCycle { until, ..step(cycle, Move::PayIn) }).expect("notices");
    }

    pub fn pay_out(&mut self, cycle: u64) -> Result<Answer, Refused> {
        let file = Some(Hash::sha256(format!("orders of {cycle}").as_bytes()));
        let args = MoveCycle { currency: Some(eur()), file, ..step(cycle, Move::PayOut) };
        self.agreed("cycle.move", &args)
    }

    /// A statement with these lines, imported by the analyst and accepted by an approver; what became of it.
    pub fn statement(&mut self, lines: Vec<StatementLine>) -> tallyhouse::book::Statement {
        let bank = self.node.state.get(&Name::Bank(eur())).and_then(Record::bank);
        let opening = bank.map_or(0, |bank| bank.balance);
        let name = self.cid();
        self.import(&name, opening, lines).expect("imported");
        self.accept(&name, 2).expect("accepted");
        self.node
            .state
            .get(&Name::Statement(eur(), id(&name)))
            .and_then(Record::statement)
            .expect("there")
            .clone()
    }

    pub fn import(&mut self, name: &str, opening: i64, lines: Vec<StatementLine>) -> Result<Answer, Refused> {
        let moved = |line: &StatementLine| match line.way {
            Way::In => line.amount.signed(),
            Way::Out => -line.amount.signed(),
        };
        let closing = opening + lines.iter().map(moved).sum::<i64>();
        self.ask("statement.import", &import_of(name, Some((opening, closing)), lines))
    }

    /// A notification of these lines: without balances.
    pub fn notify(&mut self, name: &str, lines: Vec<StatementLine>) -> Result<Answer, Refused> {
        self.ask("statement.import", &import_of(name, None, lines))
    }

    pub fn accept(&mut self, name: &str, by: usize) -> Result<Answer, Refused> {
        self.accept_in(eur(), name, by)
    }

    /// The same of another account.
    pub fn accept_in(&mut self, currency: Currency, name: &str, by: usize) -> Result<Answer, Refused> {
        let cid = self.cid();
        let args = AcceptStatement { currency, statement: id(name) };
        let first = self.world.command(&self.approvers[by], &cid, "statement.accept", &args);
        self.send(Request::of(vec![first]))
    }

    /// A line that confirms so much of an instruction.
    pub fn booked(&mut self, instruction: InstructionId, amount: u64) -> StatementLine {
        let way = self.instruction(instruction).way;
        let entry = id(&self.cid());
        StatementLine {
            entry,
            booking: Booking::Booked,
            way,
            amount: money(amount),
            instruction: Some(instruction),
            pays: None,
        }
    }

    /// Money of others, which no instruction is about: what was drawn from covers and tranches. The statement that says so,
    /// in its first line.
    pub fn deposit(&mut self, amount: u64) -> Ident {
        let entry = id(&self.cid());
        let line = StatementLine {
            entry,
            booking: Booking::Booked,
            way: Way::In,
            amount: money(amount),
            instruction: None,
            pays: None,
        };
        self.statement(vec![line]);
        let bank = self.node.state.get(&Name::Bank(eur())).and_then(Record::bank);
        bank.expect("an account").statement.clone()
    }

    /// Tops a cover up, or the reserve of a unit, by what a statement just brought: whole cents.
    pub fn top_up(&mut self, who: &str, unit: Option<&str>, amount: u64) -> Result<Answer, Refused> {
        let statement = self.deposit(amount.next_multiple_of(100));
        let line = Some(LinePlace { statement, line: 0 });
        self.agreed("cover.move", &MoveCover { line, ..cover(who, unit, Way::In, amount) })
    }

    /// Takes some of it back, with the consent of the participant's brand.
    pub fn withdraw(&mut self, who: &str, unit: Option<&str>, amount: u64) -> Result<Answer, Refused> {
        let (reference, cid) = (Some(id(&self.cid())), self.cid());
        let args = MoveCover { reference, ..cover(who, unit, Way::Out, amount) };
        let first = self.world.command(&self.analyst, &cid, "cover.move", &args);
        let own = self.world.brands.iter().find(|brand| brand.participant.as_str() == who);
        let by = self.approvers[..2].iter().chain(own.map(|brand| &brand.root));
        let request = approved(&self.world, first, by);
        self.send(request)
    }

    /// How much must stand behind a unit's points.
    pub fn reserve(&mut self, unit: &str, ratio: u32) -> Result<Answer, Refused> {
        let args = self.next_reserve(unit, ratio);
        self.agreed("reserve.set", &args)
    }

    /// All instructions of a cycle in one direction, paid in full.
    pub fn paid(&mut self, cycle: u64, way: Way, but: &[&str]) {
        let all = self.instructions(cycle).into_iter();
        let due: Vec<_> = all
            .filter(|(who, (_, one))| one.way == way && !but.contains(&who.as_str()))
            .map(|(_, (id, one))| (id, one.amount.get() - one.confirmed.get()))
            .filter(|(_, amount)| *amount > 0)
            .collect();
        let lines = due.into_iter().map(|(id, amount)| self.booked(id, amount)).collect();
        let statement = self.statement(lines);
        assert_eq!(statement.exceptions, vec![], "{statement:?}");
    }

    pub fn object(&mut self, brand: usize, args: &FileObjection) -> Result<ObjectionId, Refused> {
        let answer = self.by_brand(brand, "objection.file", args)?;
        Ok(ObjectionId { seq: answer.seq, part: 0 })
    }

    pub fn answer(&mut self, objection: ObjectionId, answer: Answered) -> Result<Answer, Refused> {
        let args = AnswerObjection { objection, answer, reason: id("looked-at") };
        match answer {
            Answered::Accepted => self.agreed("objection.answer", &args),
            Answered::Rejected => self.ask("objection.answer", &args),
        }
    }

    pub fn instruct(&mut self, instruction: InstructionId, step: InstructionStep) -> Result<Answer, Refused> {
        let way = self.instruction(instruction).way;
        let orders = step == InstructionStep::Reissue && way == Way::Out;
        let file = orders.then(|| Hash::sha256(instruction.to_string().as_bytes()));
        self.agreed("instruction.move", &MoveInstruction { instruction, step, file })
    }

    /// A cap, and so much cover as statements did not bring yet.
    pub fn fund(&mut self, who: &str, cap: Option<u64>, cover: u64) -> Result<Answer, Refused> {
        let answer = self.set_funding(&funding(who, cap))?;
        let has = self.node.state.get(&Name::Funding(id(who), eur())).and_then(Record::funding);
        let has = has.map_or(0, |has| has.cover.get());
        if cover > has { self.top_up(who, None, cover - has) } else { Ok(answer) }
    }
}

/// The digest of what a set-off of a cycle comes to, out of the totals of pairs; of a cycle that is not there, of none.
pub fn set_off_digest(world: &World, state: &State, cycle: u64) -> Hash {
    let netting = state.get(&Name::Netting).and_then(Record::netting).cloned().unwrap_or_default();
    let apart: Vec<ParticipantId> = netting.apart(cycle).cloned().collect();
    let closing = state.get(&Name::Closing(cycle)).and_then(Record::closing);
    let includes = closing.map_or(vec![], |closing| closing.includes.clone());
    let mut owed: BTreeMap<(Currency, ParticipantId, ParticipantId), i64> = BTreeMap::new();
    for (name, record) in &state.0 {
        if let (Name::Pair(c, a, b, currency), Record::Total(total)) = (name, &**record)
            && (*c == cycle || includes.contains(c))
            && (apart.contains(a) || apart.contains(b))
        {
            *owed.entry((*currency, b.clone(), a.clone())).or_default() += total;
        }
    }
    let mut lines = vec![];
    for currency in world.genesis.currencies.iter().map(|one| one.code) {
        let debts = owed.iter().filter(|((of, ..), _)| *of == currency);
        let matrix = Matrix::of(debts.map(|((_, debtor, creditor), n)| (debtor, creditor, *n)));
        let matrix = matrix.expect("sound");
        let off = clearing::set_off(&matrix).expect("solved");
        lines.extend(clearing::set_off_lines(currency, &matrix, &off));
    }
    clearing::set_off_digest(&lines)
}

/// A statement with the approvals of these keys.
pub(super) fn approved<'a>(world: &World, first: String, by: impl Iterator<Item = &'a Key>) -> Request {
    let approvals: Vec<String> = by.map(|key| world.approve(key, &first)).collect();
    Request::of([vec![first], approvals].concat())
}

fn import_of(name: &str, balances: Option<(i64, i64)>, lines: Vec<StatementLine>) -> ImportStatement {
    let size = |balance: i64| money(balance.unsigned_abs());
    ImportStatement {
        statement: id(name),
        currency: eur(),
        document: Hash::sha256(name.as_bytes()),
        opening: balances.map(|(opening, _)| size(opening)),
        closing: balances.map(|(_, closing)| size(closing)),
        opening_below_zero: balances.is_some_and(|(opening, _)| opening < 0),
        closing_below_zero: balances.is_some_and(|(_, closing)| closing < 0),
        lines,
    }
}

pub fn cover(who: &str, unit: Option<&str>, way: Way, amount: u64) -> MoveCover {
    MoveCover {
        participant: id(who),
        currency: eur(),
        unit: unit.map(id),
        way,
        amount: money(amount),
        line: None,
        fund: false,
        reference: None,
    }
}

/// A cap, and no more; the version is found when it is set.
pub fn funding(who: &str, cap: Option<u64>) -> SetFunding {
    SetFunding {
        participant: id(who),
        currency: eur(),
        version: 0,
        cap: cap.map(money),
        pairs: vec![],
        in_flight: false,
        per_shop: None,
        covered: false,
    }
}

pub fn eur() -> Currency {
    id("EUR")
}

/// The code of a refusal.
pub fn code<T: std::fmt::Debug>(result: Result<T, Refused>) -> Refusal {
    result.expect_err("a refusal").code
}
