//! Reads a table of events and plays it against a node.
//!
//! A row is `verb words… name=value… -> status`. Words before `->` that begin with `#` open a comment.
//!
//! | word | means |
//! |---|---|
//! | `HARVEST.0` | the holder no. 0 of the unit HARVEST |
//! | `op`, `op1` | the operator (two roots), one root alone |
//! | `root:br_kino`, `issuing:KINO`, `till:br_kino.1`, `log`, `new:any` | a key |
//! | `analyst`, `approver:0` | a key of the clearing house |
//! | `+31d`, `-2h`, `+5m`, `+9s` | an instant from now |
//!
//! With the word `http` a row's statement comes as a signed HTTP request, see `carrier.rs`.
//! `at +1d` moves time on; `again` sends the request of the row before once more; `repeat 3 …` plays a row
//! with `{n}` from 1 to 3. The status is `ok` or a code, for a batch with `line:verdict` of each line that
//! gave no points.
//!
//! Whatever is refused must leave state as it was (ids that it spends, and what was due, aside), and after
//! the last row the log must give the same state again, by applying and by deciding.

#![allow(unreachable_pub, missing_docs)]

#[path = "carrier.rs"]
mod carrier;
#[path = "charging.rs"]
mod charging;
#[path = "haggling.rs"]
mod haggling;
#[path = "clearing.rs"]
mod clearing;
#[path = "verbs.rs"]
mod verbs;

use crate::common::node::{How, PureNode, Replay};
use crate::common::world::{Holder, Key, World, beginning, id};
use std::collections::{BTreeMap, HashMap};
use tallyhouse::book::Name;
use tallyhouse::machine::{Answer, Request};
use tallyhouse::types::{ConsentId, OfferId, PaymentId, Refused, Time};

/// A row without its status.
pub struct Row<'a> {
    pub words: Vec<&'a str>,
    pub named: BTreeMap<&'a str, &'a str>,
}

impl<'a> Row<'a> {
    fn read(text: &'a str) -> Self {
        let (named, words) = text.split_whitespace().partition::<Vec<_>, _>(|word| word.contains('='));
        let named = named.into_iter().map(|word| word.split_once('=').expect("name=value")).collect();
        Self { words, named }
    }

    pub fn word(&self, at: usize) -> &'a str {
        self.words.get(at).unwrap_or_else(|| panic!("word {at} is missing"))
    }

    pub fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.named.get(name).copied()
    }

    pub fn or(&self, name: &str, otherwise: &'a str) -> &'a str {
        self.get(name).unwrap_or(otherwise)
    }
}

pub fn number(text: &str) -> u64 {
    text.replace('_', "").parse().unwrap_or_else(|_| panic!("{text} is no number"))
}

/// A table being played.
pub struct Table {
    pub world: World,
    pub node: PureNode,
    pub now: Time,
    pub payments: HashMap<String, PaymentId>,
    pub consents: HashMap<String, ConsentId>,
    pub offers: HashMap<String, OfferId>,
    /// The entries of rows that said `as=name`.
    pub seqs: HashMap<String, u64>,
    pub count: usize,
    last: Option<Request>,
    answers: Vec<Answer>,
    wrong: Vec<String>,
}

impl Table {
    pub fn play((name, text): (&str, &str)) {
        let world = World::new(5);
        let node = PureNode::founded(&world);
        let now = beginning().plus_seconds(600);
        let mut node = node;
        for request in world.approving() {
            node.submit(&request, beginning().plus_seconds(1)).expect("certified");
        }
        let mut table = Self {
            world,
            node,
            now,
            payments: HashMap::new(),
            consents: HashMap::new(),
            offers: HashMap::new(),
            seqs: HashMap::new(),
            count: 0,
            last: None,
            answers: vec![],
            wrong: vec![],
        };
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let place = format!("refusals/{name}.txt:{}: {line}", at + 1);
            let Some(times) = line.strip_prefix("repeat ") else {
                table.row(line, &place);
                continue;
            };
            let (times, row) = times.split_once(' ').expect("repeat N row");
            for n in 1..=number(times) {
                table.row(&row.replace("{n}", &n.to_string()), &place);
            }
        }
        assert!(table.wrong.is_empty(), "{}", table.wrong.join("\n"));
        table.replay();
    }

    fn row(&mut self, line: &str, place: &str) {
        self.now = self.now.plus_seconds(1);
        if let Some(later) = line.strip_prefix("at ") {
            self.now = self.instant(later.trim());
            return;
        }
        let (event, wanted) = line.split_once("->").unwrap_or_else(|| panic!("{place}: no status"));
        self.count += 1;
        let row = Row::read(event);
        let request = match row.word(0) {
            "again" => self.last.clone().expect("a row before"),
            _ if row.has("http") => {
                let request = self.request(&row);
                self.over_http(&row, &request)
            }
            _ => self.request(&row),
        };
        self.last = Some(request.clone());
        self.node.tick(self.now);
        let before = self.standing();
        let outcome = self.node.submit(&request, self.now);
        if let Err(no) = &outcome {
            assert!(self.standing() == before, "{place}: {no} has changed something");
        }
        if let (Ok(Answer { payment: Some(payment), .. }), "authorise" | "take") = (&outcome, row.word(0)) {
            self.payments.insert(row.word(1).to_owned(), *payment);
        }
        if let (Ok(Answer { consent: Some(consent), .. }), "show") = (&outcome, row.word(0)) {
            self.consents.insert(row.word(1).to_owned(), *consent);
        }
        if let (Ok(Answer { offer: Some(offered), .. }), "want" | "offer") = (&outcome, row.word(0)) {
            self.offers.insert(row.word(1).to_owned(), offered.offer);
        }
        if let (Ok(answer), Some(name)) = (&outcome, row.get("as")) {
            self.seqs.insert(name.to_owned(), answer.seq);
        }
        let wanted = wanted.split_whitespace().collect::<Vec<_>>().join(" ");
        self.answers.extend(outcome.iter().cloned());
        let status_of = status(&outcome);
        if status_of != wanted {
            let about = outcome.map_or_else(|no| no.about, |_| String::new());
            self.wrong.push(format!("{place}: it is {status_of} {about}"));
        }
    }

    /// State without what a refusal may leave.
    fn standing(&self) -> Vec<(String, Vec<u8>)> {
        let leaves = |name: &Name| {
            matches!(name, Name::Command(..) | Name::Limit(_, _, tallyhouse::book::Measure::RefusedHour))
        };
        let kept = self.node.state.0.iter().filter(|(name, _)| !leaves(name));
        let mut all: Vec<_> = kept.map(|(name, record)| (name.to_string(), record.encode())).collect();
        all.sort();
        all
    }

    /// The log gives the same state again, and each entry the answer it gave.
    fn replay(&self) {
        for how in [How::Apply, How::Check(true)] {
            let mut replay = Replay::new(how);
            replay.follow(&self.node.entries).unwrap_or_else(|what| panic!("{what}"));
            replay.same(&self.node.state).unwrap_or_else(|what| panic!("{what}"));
        }
        for answer in &self.answers {
            let replayed = answer.replayed;
            assert_eq!(Answer { replayed, ..self.node.answer(answer.seq) }, *answer);
        }
    }

    /// `+31d` and the like, from now.
    pub fn instant(&self, text: &str) -> Time {
        let (sign, rest) = text.split_at(1);
        let (n, unit) = rest.split_at(rest.len() - 1);
        let seconds = number(n)
            * match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3_600,
                "d" => 86_400,
                _ => panic!("{text} is no instant"),
            };
        match sign {
            "+" => self.now.plus_seconds(seconds),
            "-" => Time::from_seconds(self.now.seconds().saturating_sub(seconds)).expect("in range"),
            _ => panic!("{text} is no instant"),
        }
    }

    pub fn seconds(&self, text: &str) -> u64 {
        text.parse().unwrap_or_else(|_| self.instant(text).seconds())
    }

    pub fn holder(&self, text: &str) -> Holder {
        let (unit, n) = text.split_once('.').unwrap_or_else(|| panic!("{text} is no holder"));
        self.world.holder(id(unit), number(n) as usize)
    }

    /// A key by what it is; see the module.
    pub fn key(&self, who: &str) -> Key {
        let (kind, whose) = who.split_once(':').unwrap_or((who, ""));
        let label = match kind {
            "op" | "op1" => "root 0".to_owned(),
            "op2" => "root 1".to_owned(),
            "log" => "log".to_owned(),
            "root" => format!("{whose} root"),
            "issuing" => {
                let (brand, place) = self.world.brand_of(id(whose));
                format!("{} issuing {place}", brand.id)
            }
            "approver" => match whose.split_once('.') {
                Some((brand, n)) => format!("{brand} approver {n}"),
                None => format!("approver {whose}"),
            },
            "till" => whose.split_once('.').map(|(brand, n)| format!("{brand} till {n}")).expect("till:br.n"),
            "new" => who.to_owned(),
            "analyst" => "analyst".to_owned(),
            holder => {
                let (unit, n) = holder.split_once('.').unwrap_or_else(|| panic!("{who} is nobody"));
                format!("holder {unit} {n}")
            }
        };
        Key::derive(self.world.seed, &label)
    }
}

fn status(outcome: &Result<Answer, Refused>) -> String {
    match outcome {
        Err(no) => no.code.code().to_owned(),
        Ok(answer) => {
            let verdict = |v| serde_json::to_value(v).expect("JSON").as_str().expect("text").to_owned();
            let others = answer.others.iter().map(|o| format!(" {}:{}", o.line, verdict(o.verdict)));
            format!("ok{}", others.collect::<String>())
        }
    }
}
