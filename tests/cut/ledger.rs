//! An independent reader of a log: what is owed, cycle by cycle, out of the bytes of entries alone.
//!
//! Owns: its own sums of every obligation, and what clearing promises about them, checked at every entry.
//! Promises: it knows JSON and nothing of the crate's records, legs, nets or stages; a broken promise is an error that
//! names the entry.
//! Refuses to know: who asked for what, and what anybody was answered.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tallyhouse::types::Hash;

/// Beside all cycles: charged back and not decided.
const PROVISIONAL: u64 = 0;

/// A participant in a currency.
pub type Party = (String, String);
/// What each has from all others.
pub type Nets = BTreeMap<Party, i128>;

/// One obligation: a part of an entry that makes one participant owe another.
#[derive(Debug)]
pub struct Obligation {
    pub seq: u64,
    /// The cycle that its part names.
    pub cycle: u64,
    /// The cycle whose interval has its entry, if that is what decides; an objection moves from one to another.
    by_place: Option<u64>,
}

/// What there is of a payment or an exchange between the two who are concerned.
#[derive(Default, Debug)]
struct Subject {
    captured: i128,
    refunded: i128,
}

/// What a cycle means for a participant, as its line says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Line {
    version: u64,
    net: i128,
    carry: i128,
    amount: i128,
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Amounts {
    pub id: String,
    /// Whether its participant pays.
    pub pays: bool,
    pub amount: u64,
    pub confirmed: u64,
    /// Its payer did not pay, and others bore it.
    pub defaulted: bool,
}

/// See the module.
#[derive(Default)]
pub struct Ledger {
    next: u64,
    /// Entries that sealed a cycle, in order: what is before the nth is of the nth cycle at the latest.
    cuts: Vec<u64>,
    pub obligations: Vec<Obligation>,
    nets: BTreeMap<u64, Nets>,
    /// What all participants have in a cycle and a currency: always nothing.
    sums: BTreeMap<(u64, String), i128>,
    pub(super) pairs: BTreeMap<(u64, String, String, String), i128>,
    /// What participants declared about how they are settled.
    pub(super) netting: Value,
    cycles: BTreeMap<u64, Value>,
    lines: BTreeMap<(u64, Party), Line>,
    instructions: BTreeMap<String, Value>,
    /// Who has said where it is to be paid.
    known: BTreeSet<Party>,
    subjects: BTreeMap<(String, String), Subject>,
    disputes: BTreeMap<String, ((String, String), i128)>,
    /// Cycles that were approved, and those that they took over: nothing may change their nets any more.
    approved: BTreeSet<u64>,
    /// How many entries of each kind.
    pub kinds: BTreeMap<String, u64>,
}

/// An entry as it is checked.
pub(super) struct Entry {
    seq: u64,
    kind: String,
    pub(super) parts: Vec<Value>,
}

/// The cycle whose record an entry changes.
fn concerned(puts: &[(&str, &Value)]) -> Option<u64> {
    puts.iter().find_map(|(name, _)| name.strip_prefix("cycle/")?.parse().ok())
}

pub(super) fn integer(value: &Value) -> i128 {
    i128::from(value.as_i64().unwrap_or_else(|| panic!("{value} is no integer")))
}

pub(super) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The cents of a currency of the test network: EUR has four decimals, CHF two.
fn cent(currency: &str) -> i128 {
    if currency == "EUR" { 100 } else { 1 }
}

/// An error that says why, if something does not hold.
macro_rules! ensure {
    ($holds:expr, $($why:tt)+) => {
        if !$holds {
            return Err(format!($($why)+));
        }
    };
}

pub(super) use ensure;

impl Ledger {
    /// The place of the next entry.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next entry: its envelope and its parts as the log has them.
    pub fn take<'a>(&mut self, envelope: &[u8], parts: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
        let envelope: Value = serde_json::from_slice(envelope).map_err(|e| e.to_string())?;
        let (seq, kind) = (number(&envelope["seq"]), text(&envelope["kind"]).to_owned());
        ensure!(seq == self.next, "entry {seq} comes where {} should", self.next);
        self.next += 1;
        let parts: Result<Vec<Value>, _> = parts.map(serde_json::from_slice).collect();
        let mut parts = parts.map_err(|e| e.to_string())?;
        parts.extend(envelope.get("pub").cloned());
        *self.kinds.entry(kind.clone()).or_default() += 1;
        let entry = Entry { seq, kind, parts };
        self.check(&entry).map_err(|what| format!("entry {seq}, {}: {what}", entry.kind))
    }

    fn check(&mut self, entry: &Entry) -> Result<(), String> {
        let puts: Vec<(&str, &Value)> = entry
            .parts
            .iter()
            .flat_map(|part| list(&part["done"]["put"]))
            .map(|put| (text(&put[0]), &put[1]))
            .collect();
        let mut touched = BTreeSet::new();
        for part in &entry.parts {
            self.part(entry, part, &puts, &mut touched)?;
        }
        for (cycle, who) in &touched {
            self.row(*cycle, who)?;
            ensure!(!self.approved.contains(cycle), "cycle {cycle} was approved, and gets an obligation");
        }
        ensure!(self.sums.values().all(|sum| *sum == 0), "positions sum to {:?}", self.sums);
        let before = if entry.kind == "cycle.computed" { self.lines.clone() } else { BTreeMap::new() };
        for (name, value) in &puts {
            self.put(entry, name, value)?;
        }
        match entry.kind.as_str() {
            "cycle.sealed" | "cycle.due" => self.sealed(entry)?,
            "cycle.computed" => self.computed(entry, &puts, &before)?,
            "cycle.set_off" => self.taken_out(entry, concerned(&puts).ok_or("no cycle")?)?,
            _ => {}
        }
        if puts.iter().any(|(name, _)| name.starts_with("instruction/") || name.starts_with("cycle/")) {
            self.paid()?;
        }
        if !touched.is_empty() || entry.kind.starts_with("dispute.") {
            self.charged()?;
        }
        Ok(())
    }

    /// The cycle that is open now: one more than there were cuts.
    pub fn open(&self) -> u64 {
        self.cuts.len() as u64 + 1
    }

    /// Money in one part: both sides of it, in one cycle.
    fn part(
        &mut self,
        entry: &Entry,
        part: &Value,
        puts: &[(&str, &Value)],
        touched: &mut BTreeSet<(u64, String)>,
    ) -> Result<(), String> {
        let pair =
            |leg: &Value| text(&leg[0]).split_once(':').filter(|(a, _)| a.starts_with("pa_")).is_some();
        let legs: Vec<&Value> = list(&part["done"]["legs"]).iter().filter(|leg| pair(leg)).collect();
        if legs.is_empty() {
            return Ok(());
        }
        let cycle = part.get("cycle").map(number).ok_or("an obligation of no cycle")?;
        let mut sums: BTreeMap<&str, i128> = BTreeMap::new();
        for leg in &legs {
            let (who, from) = text(&leg[0]).split_once(':').expect("a pair");
            let (currency, amount) = (text(&leg[1]), integer(&leg[2]));
            ensure!(who != from, "{who} owes itself");
            *sums.entry(currency).or_default() += amount;
            *self.sums.entry((cycle, currency.to_owned())).or_default() += amount;
            touched.insert((cycle, who.to_owned()));
            let party = (who.to_owned(), currency.to_owned());
            *self.nets.entry(cycle).or_default().entry(party).or_default() += amount;
            let key = (cycle, who.to_owned(), from.to_owned(), currency.to_owned());
            let total = self.pairs.entry(key).or_default();
            *total += amount;
            ensure!(leg.get(3).map(integer) == Some(*total), "{leg} leaves {total}");
            let back = |other: &&&Value| other[0] == format!("{from}:{who}") && other[1] == leg[1];
            let back: i128 = legs.iter().filter(back).map(|leg| integer(&leg[2])).sum();
            ensure!(back == -amount, "{leg} has no other side");
        }
        ensure!(sums.values().all(|sum| *sum == 0), "a part's money sums to {sums:?}");
        let by_place = match entry.kind.as_str() {
            // An accepted objection takes out of a cycle that was sealed, and puts the same into the open one.
            "objection.answered" if cycle != self.open() => {
                let of = puts.iter().find(|(name, _)| name.starts_with("objection/"));
                let of = of.map(|(_, record)| number(&record["cycle"]));
                ensure!(of == Some(cycle), "an objection to {of:?} changes cycle {cycle}");
                None
            }
            "cycle.set_off" if cycle != self.open() => {
                let of = concerned(puts);
                ensure!(of == Some(cycle), "a set-off of cycle {of:?} changes cycle {cycle}");
                None
            }
            "dispute.moved" if cycle == PROVISIONAL => None,
            _ => {
                ensure!(cycle == self.open(), "it is of cycle {cycle} while {} is open", self.open());
                Some(self.open())
            }
        };
        self.obligations.push(Obligation { seq: entry.seq, cycle, by_place });
        self.traded(entry, part, legs[0]);
        Ok(())
    }

    /// What of a payment was captured and refunded, in what is owed for it; of an exchange, what it came to.
    fn traded(&mut self, entry: &Entry, part: &Value, first: &Value) {
        let cause = part.get("payment").or(part.get("exchange"));
        let fee = part["supply"]["service"].as_str().is_some_and(|service| service.ends_with("_fee"));
        let Some(cause) = cause.filter(|_| !fee) else { return };
        let (_, debtor) = text(&first[0]).split_once(':').expect("a pair");
        let subject = self.subjects.entry((text(cause).to_owned(), debtor.to_owned())).or_default();
        match entry.kind.as_str() {
            "payment.refunded" => subject.refunded -= integer(&first[2]),
            _ => subject.captured += integer(&first[2]),
        }
    }

    /// What a participant has from all others in a cycle is what stands between it and each of them.
    fn row(&self, cycle: u64, who: &str) -> Result<(), String> {
        let mut row: BTreeMap<&str, i128> = BTreeMap::new();
        let of = self.pairs.range((cycle, who.to_owned(), String::new(), String::new())..);
        for ((_, _, _, currency), amount) in of.take_while(|((of, one, ..), _)| *of == cycle && one == who) {
            *row.entry(currency).or_default() += amount;
        }
        for (currency, sum) in row {
            let net = self.nets[&cycle].get(&(who.to_owned(), currency.to_owned()));
            ensure!(net == Some(&sum), "{who} has {net:?} {currency} in cycle {cycle}, pair by pair {sum}");
        }
        Ok(())
    }

    /// A cycle and those that it took over.
    pub(super) fn all_of(&self, cycle: u64) -> BTreeSet<u64> {
        let includes = self.cycles.get(&cycle).map_or(&[][..], |record| list(&record["includes"]));
        includes.iter().map(number).chain([cycle]).collect()
    }

    /// What participants have by a cycle and those that it took over.
    pub fn nets_of(&self, cycle: u64) -> Nets {
        let mut nets = Nets::new();
        for of in self.all_of(cycle) {
            for (party, net) in self.nets.get(&of).into_iter().flatten() {
                *nets.entry(party.clone()).or_default() += net;
            }
        }
        nets.retain(|_, net| *net != 0);
        nets
    }

    /// What a computation must name: BLAKE3 over the nets of a cycle, as text.
    pub fn digest(&self, cycle: u64) -> Hash {
        let nets = self.nets_of(cycle);
        let sorted: BTreeSet<_> = nets.iter().map(|((who, currency), net)| (currency, who, net)).collect();
        let one =
            |(currency, who, net): (&String, &String, &i128)| format!("[\"{currency}\",\"{who}\",{net}]");
        let text: Vec<String> = sorted.into_iter().map(one).collect();
        Hash::blake3(format!("[{}]", text.join(",")).as_bytes())
    }

    /// What the first owes the second on balance, by a cycle and those that it took over.
    pub fn owes(&self, cycle: u64, debtor: &str, creditor: &str, currency: &str) -> i128 {
        let of = |cycle| (cycle, creditor.to_owned(), debtor.to_owned(), currency.to_owned());
        self.all_of(cycle).into_iter().filter_map(|cycle| self.pairs.get(&of(cycle))).sum()
    }

    fn put(&mut self, entry: &Entry, name: &str, value: &Value) -> Result<(), String> {
        let words: Vec<&str> = name.split('/').collect();
        match words.as_slice() {
            ["cycle", of] => self.cycle(of.parse().map_err(|_| "a cycle's number")?, value)?,
            ["line", of, who, currency] => {
                let key = (
                    of.parse().map_err(|_| "a cycle's number")?,
                    ((*who).to_owned(), (*currency).to_owned()),
                );
                let [net, carry, amount] = ["net", "carry", "amount"].map(|what| integer(&value[what]));
                let line = Line { version: number(&value["version"]), net, carry, amount };
                let before = self.lines.insert(key, line);
                let again = entry.kind == "cycle.computed";
                ensure!(again || before == Some(line), "{name} changes without a computation");
            }
            ["instruction", id] => drop(self.instructions.insert((*id).to_owned(), value.clone())),
            ["details", who, currency] if !value["confirmed"].is_null() => {
                self.known.insert(((*who).to_owned(), (*currency).to_owned()));
            }
            ["dispute", id] => {
                let lost = ["closed", "ruled_for_target", "withdrawn"].contains(&text(&value["stage"]));
                let cause = value.get("payment").or(value.get("exchange")).map(text).ok_or("of nothing")?;
                let subject = (cause.to_owned(), text(&value["filer"]).to_owned());
                let amount = if lost { 0 } else { integer(&value["amount"]) };
                self.disputes.insert((*id).to_owned(), (subject, amount));
            }
            ["netting"] => self.netting = value.clone(),
            ["due", _, currency] if !value.is_null() => {
                let [amount, paid] = ["amount", "paid"].map(|what| integer(&value[what]));
                let whole = amount % cent(currency) == 0 && paid % cent(currency) == 0;
                ensure!(whole && paid <= amount, "{name}: {paid} of {amount}");
            }
            _ => {}
        }
        Ok(())
    }

    /// A cycle changes: what it takes over, and what no step may change.
    fn cycle(&mut self, cycle: u64, after: &Value) -> Result<(), String> {
        let before = self.cycles.insert(cycle, after.clone()).unwrap_or_default();
        for end in ["settled", "voided"] {
            ensure!(before.get(end).is_none(), "cycle {cycle} changes after its end");
        }
        let kept = ["from", "sealed", "approved", "due"];
        for fact in kept.into_iter().filter(|fact| before.get(*fact).is_some()) {
            ensure!(before[fact] == after[fact], "cycle {cycle} was {fact} before");
        }
        let (had, has) = (list(&before["includes"]), list(&after["includes"]));
        ensure!(has.starts_with(had), "cycle {cycle} lets go of what it took over");
        ensure!(
            has.len() == had.len() || cycle == self.open(),
            "cycle {cycle} takes over what was voided, and is not open"
        );
        if after.get("approved").is_some() && before.get("approved").is_none() {
            self.approved.extend(self.all_of(cycle));
        }
        if after.get("voided").is_some() {
            let open = self.cycles.get(&self.open());
            let carried: BTreeSet<u64> = self.all_of(cycle);
            let has: BTreeSet<u64> =
                open.map_or(&[][..], |open| list(&open["includes"])).iter().map(number).collect();
            // The open cycle's record stands before or after in the entry, so what it has is looked at in the end too.
            ensure!(
                has.is_disjoint(&carried) || carried.is_subset(&has),
                "{has:?} has a part of {carried:?}"
            );
        }
        let files =
            |record: &Value| list(&record["sums"]).iter().filter(|sums| sums.get("file").is_some()).count();
        if files(after) > files(&before) {
            for sums in list(&after["sums"]).iter().filter(|sums| sums.get("file").is_some()) {
                let [moved, lost, paid_in, drawn] =
                    ["moved", "lost", "paid_in", "drawn"].map(|what| integer(&sums[what]));
                let off = sums.get("written_off").map_or(0, integer);
                ensure!(
                    paid_in + drawn + off >= moved - lost,
                    "orders of cycle {cycle} leave, and {sums} is there"
                );
            }
        }
        if after.get("settled").is_some() {
            let open = |one: &Amounts| !one.defaulted && one.confirmed != one.amount;
            ensure!(!self.amounts(cycle).iter().any(open), "cycle {cycle} ends, and not all is paid");
        }
        Ok(())
    }

    fn sealed(&mut self, entry: &Entry) -> Result<(), String> {
        let cycle = self.open();
        let fact = |of: u64| self.cycles.get(&of).cloned().unwrap_or_default();
        ensure!(
            fact(cycle)["sealed"]["seq"] == entry.seq,
            "cycle {cycle} is the open one, and was not sealed"
        );
        ensure!(
            fact(cycle + 1)["from"] == entry.seq,
            "cycle {} does not begin where {cycle} ends",
            cycle + 1
        );
        self.cuts.push(entry.seq);
        Ok(())
    }

    /// The nets that a cycle is computed from are those of its obligations, and the amounts come of them and of what the
    /// cycle before carried on by largest remainder.
    fn computed(
        &mut self,
        entry: &Entry,
        puts: &[(&str, &Value)],
        before: &BTreeMap<(u64, Party), Line>,
    ) -> Result<(), String> {
        let own = puts
            .iter()
            .find_map(|(name, record)| Some((name.strip_prefix("cycle/")?.parse().ok()?, *record)));
        let (cycle, record): (u64, &Value) = own.ok_or("no cycle")?;
        let nets = self.nets_of(cycle);
        let mut lines: BTreeMap<Party, Line> = BTreeMap::new();
        let version = number(&record["version"]);
        for ((_, party), line) in self.lines.iter().filter(|((of, _), _)| *of == cycle) {
            ensure!(line.version == version, "the line of {party:?} is of version {}", line.version);
            lines.insert(party.clone(), *line);
        }
        let apart = self.apart(cycle);
        ensure!(!nets.keys().any(|(who, _)| apart.contains(who)), "{apart:?} are set off, and netted too");
        let digest = self.digest(cycle);
        ensure!(record["computed"]["digest"] == digest.to_string(), "the digest of its nets is {digest}");
        let after = record["computed"].get("after").map(number);
        let newest =
            (1..cycle).rev().find(|of| self.cycles.get(of).is_none_or(|one| one.get("voided").is_none()));
        ensure!(after == newest, "it carries on from {after:?}, the newest before it is {newest:?}");
        let carried = |party: &Party| {
            let line = after.and_then(|after| before.get(&(after, party.clone())));
            line.map_or(0, |line| line.net + line.carry - line.amount)
        };
        let parties: BTreeSet<&Party> = nets.keys().chain(lines.keys()).collect();
        let mut exact: BTreeMap<&str, Vec<(&Party, i128)>> = BTreeMap::new();
        for party in parties {
            let net = nets.get(party).copied().unwrap_or(0);
            let Some(line) = lines.get(party) else { return Err(format!("{party:?} has {net} and no line")) };
            ensure!(
                (line.net, line.carry) == (net, carried(party)),
                "{party:?} has {net}, carried {}, its line is {line:?}",
                carried(party)
            );
            exact.entry(&party.1).or_default().push((party, net + line.carry));
        }
        for ((of, party), _) in before.iter().filter(|((of, _), _)| Some(*of) == after) {
            ensure!(
                carried(party) == 0 || lines.contains_key(party),
                "{party:?} loses what cycle {of} carried on"
            );
        }
        let mut told: BTreeMap<Party, Vec<&Value>> = BTreeMap::new();
        for one in self
            .instructions
            .values()
            .filter(|one| number(&one["cycle"]) == cycle && number(&one["version"]) == version)
        {
            let party = (text(&one["participant"]).to_owned(), text(&one["currency"]).to_owned());
            told.entry(party).or_default().push(one);
        }
        for (currency, mut parties) in exact {
            let cent = cent(currency);
            let units = -parties.iter().map(|(_, x)| x.div_euclid(cent)).sum::<i128>();
            parties.sort_by_key(|(party, x)| {
                let rest = x.rem_euclid(cent);
                (rest == 0, *x == rest && !self.known.contains(*party), -rest, *party)
            });
            for (place, (party, x)) in (0..).zip(parties) {
                let amount = (x.div_euclid(cent) + i128::from(place < units)) * cent;
                let line = lines[party];
                ensure!(line.amount == amount, "{party:?} is to be paid {amount}, its line is {line:?}");
                let told = told.get(party).map_or(&[][..], Vec::as_slice);
                match told {
                    [] => ensure!(amount == 0, "nobody pays {amount} for {party:?}"),
                    [one] => {
                        let way = if amount < 0 { "in" } else { "out" };
                        let said = (integer(&one["amount"]), text(&one["way"]));
                        ensure!(
                            said == (amount.abs(), way),
                            "{party:?} is to be paid {amount}, instructed {said:?}"
                        );
                    }
                    more => return Err(format!("{party:?} has {} instructions", more.len())),
                }
            }
        }
        let legs = entry.parts.iter().any(|part| !list(&part["done"]["legs"]).is_empty());
        ensure!(!legs, "a computation books something");
        Ok(())
    }

    /// No more leaves the settlement account for a cycle than came in for it, and none is paid more than it is to be.
    fn paid(&self) -> Result<(), String> {
        let mut sums: BTreeMap<(u64, &str), [i128; 2]> = BTreeMap::new();
        for (id, one) in &self.instructions {
            let (amount, confirmed) = (integer(&one["amount"]), integer(&one["confirmed"]));
            ensure!(confirmed <= amount, "{id} is for {amount}, and {confirmed} is confirmed");
            let sum = sums.entry((number(&one["cycle"]), text(&one["currency"]))).or_default();
            sum[usize::from(one["way"] == "out")] += confirmed;
        }
        for ((cycle, currency), [paid_in, out]) in sums {
            let record = &self.cycles[&cycle];
            let drawn = list(&record["sums"]).iter().find(|sums| sums["currency"] == *currency);
            let off = drawn.and_then(|sums| sums.get("written_off")).map_or(0, integer);
            let drawn = drawn.map_or(0, |sums| integer(&sums["drawn"])) + off;
            ensure!(
                out <= paid_in + drawn,
                "cycle {cycle}: {out} left, {paid_in} came in, {drawn} was drawn"
            );
        }
        Ok(())
    }

    /// What was refunded of a payment and what of it is disputed or was charged back never come to more than was captured.
    fn charged(&self) -> Result<(), String> {
        let mut disputed: BTreeMap<&(String, String), i128> = BTreeMap::new();
        for (subject, amount) in self.disputes.values() {
            *disputed.entry(subject).or_default() += amount;
        }
        for (key, amount) in disputed {
            let Some(subject) = self.subjects.get(key) else {
                return Err(format!("{key:?} is disputed and was never owed"));
            };
            let Subject { captured, refunded } = subject;
            ensure!(
                refunded + amount <= *captured,
                "{key:?}: {refunded} refunded, {amount} disputed of {captured}"
            );
        }
        Ok(())
    }

    /// Of every obligation of the log: the one cycle that it is in, voided ones left out. The open one counts too.
    pub fn homes(&self) -> Result<BTreeMap<u64, Vec<u64>>, String> {
        let voided =
            |cycle: &u64| self.cycles.get(cycle).is_some_and(|record| record.get("voided").is_some());
        let mut homes: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for obligation in self.obligations.iter().filter(|one| one.cycle != PROVISIONAL) {
            let Obligation { seq, cycle, by_place } = obligation;
            let cut = self.cuts.partition_point(|cut| cut <= seq) as u64 + 1;
            ensure!(
                by_place.is_none_or(|cycle| cycle == cut),
                "entry {seq} is before cut {cut}, and of {by_place:?}"
            );
            let has: Vec<u64> =
                (1..=self.open()).filter(|of| !voided(of) && self.all_of(*of).contains(cycle)).collect();
            let [home] = has.as_slice() else {
                return Err(format!("the obligation of entry {seq}, of cycle {cycle}, is in {has:?}"));
            };
            homes.entry(*home).or_default().push(*seq);
        }
        Ok(homes)
    }

    /// A fact of a cycle.
    pub fn fact(&self, cycle: u64, fact: &str) -> Option<&Value> {
        self.cycles.get(&cycle)?.get(fact)
    }

    /// How many cycles have a fact.
    pub fn with(&self, fact: &str) -> usize {
        self.cycles.values().filter(|record| record.get(fact).is_some()).count()
    }

    /// The instructions of a cycle's newest version.
    pub fn amounts(&self, cycle: u64) -> Vec<Amounts> {
        let version = self.fact(cycle, "version");
        let of = |one: &Value| number(&one["cycle"]) == cycle && Some(&one["version"]) == version;
        let told = self.instructions.iter().filter(|(_, one)| of(one));
        told.map(|(id, one)| Amounts {
            id: id.clone(),
            pays: one["way"] == "in",
            amount: number(&one["amount"]),
            confirmed: number(&one["confirmed"]),
            defaulted: one["fate"] == "defaulted",
        })
        .collect()
    }

    /// Nets over all cycles.
    pub fn total(&self) -> Nets {
        let mut nets = Nets::new();
        for (_, of) in self.nets.iter().filter(|(cycle, _)| **cycle != PROVISIONAL) {
            for (party, net) in of {
                *nets.entry(party.clone()).or_default() += net;
            }
        }
        nets.retain(|_, net| *net != 0);
        nets
    }
}
