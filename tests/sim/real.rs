//! The second driver: the engine over real files, stepped, that dies where the seed says.
//!
//! Owns: a data folder, the core in it, and chance: when it dies, how far followers lag, how little it
//! remembers.
//! Promises: whatever died, the next answer and all balances are the model's.

use super::super::common::node::{How, Replay, State};
use super::super::common::place::Place;
use super::super::common::rng::Rng;
use super::super::common::world::{World, beginning};
use super::ask::Ask;
use super::generate::{Cast, Generator};
use super::model::Model;
use super::{Tally, agree, compare, founded};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tallyhouse::book::{Name, Record};
use tallyhouse::engine::{Core, Crash, Failure, Follower, Job, Point, Setup, StateFollower, Stores};
use tallyhouse::log::LogSigner;
use tallyhouse::machine::{Answer, Command, Request};
use tallyhouse::sign::{PublicKey, Verifier};
use tallyhouse::store::{Faces, Read, StoredPart};
use tallyhouse::types::{Hash, Kid, Refusal, Refused, Time};

/// Rounds between two comparisons of everything.
const LOOK: u64 = 150;

/// Dies in some of ten thousand cases, and says where.
struct Fate {
    chance: AtomicU64,
    rng: Mutex<Rng>,
    died: Mutex<Option<Point>>,
    deaths: Mutex<BTreeMap<String, u64>>,
}

impl Fate {
    fn dies(&self, point: Point) -> bool {
        let chance = self.chance.load(Ordering::Relaxed);
        if self.rng.lock().unwrap_or_else(PoisonError::into_inner).below(10_000) >= chance {
            return false;
        }
        *self.died.lock().unwrap_or_else(PoisonError::into_inner) = Some(point);
        let mut deaths = self.deaths.lock().unwrap_or_else(PoisonError::into_inner);
        *deaths.entry(format!("died {point:?}")).or_default() += 1;
        true
    }

    fn taken(&self) -> Option<Point> {
        self.died.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

struct Real<'w> {
    world: &'w World,
    place: Place,
    core: Option<Core>,
    fate: Arc<Fate>,
    rng: Rng,
    keys: BTreeMap<Kid, PublicKey>,
}

fn open<'w>(world: &'w World, cast: &Cast) -> Real<'w> {
    let brands = world.brands.iter().flat_map(|brand| {
        let tills = brand.tills.iter().map(|till| &till.key);
        tills.chain(&brand.issuing).chain(&brand.approvers).chain([&brand.root])
    });
    let holders = cast.holders.values().flatten().map(|holder| &holder.key);
    let all = brands.chain(holders).chain(&cast.spare).chain(&world.roots).chain([&world.log]);
    Real {
        world,
        // What is tested is where it dies, not the disk.
        place: Place::in_memory(),
        core: None,
        fate: Arc::new(Fate {
            chance: AtomicU64::new(0),
            rng: Mutex::new(Rng::new(world.seed ^ 0xdead)),
            died: Mutex::new(None),
            deaths: Mutex::default(),
        }),
        rng: Rng::new(world.seed ^ 0xc0de),
        keys: all.map(|key| (key.kid, key.public)).collect(),
    }
}

impl Real<'_> {
    fn core(&mut self) -> &mut Core {
        self.core.as_mut().expect("an open core")
    }

    /// Opens the folder; the error is where it died on the way.
    fn start(&mut self) -> Result<(), String> {
        drop(self.core.take());
        let crash: Crash = {
            let fate = Arc::clone(&self.fate);
            Arc::new(move |point| fate.dies(point))
        };
        let mut salts = Rng::new(self.rng.next());
        let setup = Setup {
            memory_rows: self.rng.range(2, 60) as usize,
            salts: Box::new(move || salts.salt()),
            crash: Some(crash.clone()),
            holds: None,
        };
        let Faces { log, state, reader } = self.place.home.open().map_err(|e| e.to_string())?;
        let mut state = StateFollower::new(state, Some(crash)).map_err(|e| e.to_string())?;
        if self.rng.chance(2) {
            // As if the state had been lost, or restored from nothing.
            state.wipe().map_err(|e| e.to_string())?;
        }
        let stores = Stores { log, read: reader, state: Box::new(state), others: vec![] };
        let genesis = &self.world.genesis;
        let seed = Hash::blake3(format!("{} log", self.world.seed).as_bytes()).0;
        let signer = LogSigner::new(&genesis.origin, &seed).map_err(|e| e.to_string())?;
        self.core = Some(Core::open(setup, stores, signer, genesis, beginning()).map_err(|e| e.to_string())?);
        Ok(())
    }

    /// Dies and comes back, as often as it takes. Every term that was appended is an entry.
    fn restart(&mut self, model: &mut Model) -> Result<(), String> {
        loop {
            match (self.start(), self.fate.taken()) {
                (Ok(()), _) => {
                    model.entry(0);
                    return Ok(());
                }
                (Err(_), Some(Point::AfterAppend)) => model.entry(0),
                (Err(_), Some(_)) => {}
                (Err(what), None) => return Err(format!("it does not open: {what}")),
            }
        }
    }

    fn read(&self, request: &Request, model: Option<&Model>) -> Result<Command, Refused> {
        let registered = |kid: Kid| model.is_none_or(|model| model.keys.contains_key(&kid));
        let key = |kid| self.keys.get(&kid).filter(|_| registered(kid)).map(Verifier::new);
        if self.world.signing {
            return Command::read(request, self.world.net, &key);
        }
        Command::read_unsigned(request, self.world.net)
    }

    /// Lets state follow, a little, all the way, or not at all.
    fn follow(&mut self) -> Result<(), Failure> {
        match self.rng.below(10) {
            0..4 => Ok(()),
            4..8 => {
                let most = self.rng.range(1, 12) as usize;
                self.core().follow(0, most).map(drop)
            }
            _ => self.core().follow_all(),
        }
    }
}

/// Runs a seed: commits of one or a few commands, deaths, late followers, and everything that was not
/// answered asked again.
pub fn run(seed: u64, steps: u64) -> Result<Tally, String> {
    let world = if seed.is_multiple_of(5) { World::new(seed) } else { World::unsigned(seed) };
    let cast = Cast::new(&world);
    let mut real = open(&world, &cast);
    real.start()?;
    let mut model = founded(&world, true, |request, at| {
        let command = real.read(request, None)?;
        let job = Job { command, at: Some(at) };
        let outcome = real.core().commit(&[job], at).map(|mut all| all.remove(0)).and_then(|one| one);
        outcome.map_err(|failure| match failure {
            Failure::Refused(no) => no,
            other => panic!("{other}"),
        })
    });
    let mut generator = Generator::new(&world, &cast, beginning());
    let (mut tally, mut again) = (Tally::default(), VecDeque::new());
    let mut next: Option<(Ask, Time)> = None;
    let (mut asked, mut round) = (0, 0);
    while asked < steps {
        round += 1;
        real.fate.chance.store(if round % 400 < 20 { 1_500 } else { 60 }, Ordering::Relaxed);
        let batch = if again.is_empty() {
            gather(&mut generator, &model, &mut real.rng, &mut next)
        } else {
            // Whatever was not answered comes again first, as its callers would have it.
            again.drain(..).map(|ask| (ask, generator.time())).collect()
        };
        asked += batch.len() as u64;
        again.extend(commit(&mut real, &mut model, &mut generator, &mut tally, batch, asked)?);
        if real.follow().is_err() {
            match real.fate.taken() {
                Some(_) => real.restart(&mut model)?,
                None => return Err(format!("step {asked}: a follower broke")),
            }
        }
        if round % LOOK == 0 || asked >= steps {
            real.fate.chance.store(0, Ordering::Relaxed);
            look(&mut real, &model).map_err(|what| format!("after step {asked}: {what}"))?;
        }
    }
    real.fate.chance.store(0, Ordering::Relaxed);
    replays(&mut real)?;
    let deaths = real.fate.deaths.lock().unwrap_or_else(PoisonError::into_inner);
    for (point, n) in deaths.iter() {
        tally.answers.insert(format!("line {point}"), *n);
    }
    Ok(tally)
}

/// Commands for one commit: trade may share one, what changes keys and settings stands alone, since the
/// next command's evidence may need it.
fn gather(
    generator: &mut Generator,
    model: &Model,
    rng: &mut Rng,
    next: &mut Option<(Ask, Time)>,
) -> Vec<(Ask, Time)> {
    let most = rng.range(1, 6) as usize;
    let mut batch: Vec<(Ask, Time)> = vec![];
    while batch.len() < most {
        let one = next.take().unwrap_or_else(|| generator.next(model));
        let alone = !one.0.what.is_trade();
        if alone && !batch.is_empty() {
            *next = Some(one);
            break;
        }
        batch.push(one);
        if alone {
            break;
        }
    }
    batch
}

/// One commit. Returns what nobody got an answer to.
fn commit(
    real: &mut Real,
    model: &mut Model,
    generator: &mut Generator,
    tally: &mut Tally,
    batch: Vec<(Ask, Time)>,
    step: u64,
) -> Result<Vec<Ask>, String> {
    let mut jobs = vec![];
    // What reading alone refuses never gets to the writer.
    let mut unread: Vec<Option<Refused>> = vec![];
    for (ask, time) in &batch {
        match real.read(&ask.request, Some(model)) {
            Ok(_) if !model.knows(ask) => unread.push(Some(Refusal::KeyUnknown.into())),
            Ok(command) => {
                jobs.push(Job { command, at: Some(*time) });
                unread.push(None);
            }
            Err(no) => unread.push(Some(no)),
        }
    }
    let committed = real.core().commit(&jobs, beginning());
    let died = real.fate.taken();
    let outcomes = match (committed, died) {
        (Ok(outcomes), None) => Some(outcomes),
        (Err(_), Some(Point::AfterAppend)) => None,
        (Err(_), Some(Point::BeforeAppend)) => {
            real.restart(model)?;
            return Ok(batch.into_iter().map(|(ask, _)| ask).collect());
        }
        (Err(failure), _) => return Err(format!("step {step}: {failure}")),
        (Ok(_), Some(point)) => return Err(format!("step {step}: it died at {point:?} and answered")),
    };
    let answered = outcomes.is_some();
    let mut outcomes = outcomes.into_iter().flatten();
    for ((ask, time), unread) in batch.iter().zip(unread) {
        let expected = model.judge(ask, *time);
        note_payment(generator, &expected);
        if !answered {
            continue;
        }
        let got = match unread.map_or_else(|| outcomes.next(), |no| Some(Err(Failure::Refused(no)))) {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(Failure::Refused(no))) => Err(no),
            Some(Err(failure)) => return Err(format!("step {step}: {failure}: {:?}", ask.what)),
            None => return Err(format!("step {step}: fewer answers than commands")),
        };
        agree(step, ask, &expected, &got)?;
        tally.note(&ask.what, &expected);
    }
    model.flush();
    if answered {
        return Ok(vec![]);
    }
    real.restart(model)?;
    Ok(batch.into_iter().map(|(ask, _)| ask).collect())
}

fn note_payment(generator: &mut Generator, told: &Result<Answer, Refusal>) {
    if let Ok(Answer { kind, payment: Some(id), .. }) = told
        && kind == "payment.authorised"
        && generator.payments.last().is_none_or(|last| last < id)
    {
        generator.payments.push(*id);
    }
}

/// All of state, as it stands in its file.
fn state_of(read: &dyn Read) -> Result<State, String> {
    let mut state = State::default();
    let mut after = String::new();
    loop {
        let rows = read.scan(&after, 5_000).map_err(|e| e.to_string())?.rows;
        let Some(last) = rows.last() else { return Ok(state) };
        after.clone_from(&last.key);
        for row in rows {
            let name: Name = row.key.parse().map_err(|e| format!("{}: {e}", row.key))?;
            let record = Record::decode(&name, &row.value).map_err(|e| format!("{}: {e}", row.key))?;
            if record.due().map(Time::micros) != row.due {
                return Err(format!("{name} is due at {:?}, its row says {:?}", record.due(), row.due));
            }
            state.0.insert(name, Arc::new(record));
        }
    }
}

fn look(real: &mut Real, model: &Model) -> Result<(), String> {
    real.core().follow_all().map_err(|e| e.to_string())?;
    let (last, tip) = (real.core().writer.last_at(), real.core().writer.tip());
    if tip.map(|tip| tip.seq + 1) != Some(model.seq) {
        return Err(format!("the log ends at {tip:?}, the model is before {}", model.seq));
    }
    let state = state_of(&**real.core().read())?;
    let records: Vec<_> = state.0.iter().map(|(name, record)| (name.clone(), (**record).clone())).collect();
    compare::same(model, &records, last.max(Time::from_micros(model.now).expect("in range")))
}

/// The log alone gives the state that stands in the file, taken over or decided again.
fn replays(real: &mut Real) -> Result<(), String> {
    let signing = real.world.signing;
    let read = Arc::clone(real.core().read());
    let state = state_of(&*read)?;
    for how in [How::Apply, How::Check(signing)] {
        let mut replay = Replay::new(how);
        loop {
            let entries = read.read(replay.next_seq(), 1_000, 1 << 23).map_err(|e| e.to_string())?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                let whole = |part: StoredPart| match part {
                    StoredPart::Whole(bytes) => Ok(bytes),
                    StoredPart::Erased(_) => Err(format!("entry {} lost a part", entry.seq)),
                };
                let parts = entry.parts.into_iter().map(whole).collect::<Result<Vec<_>, _>>()?;
                replay.take(&entry.envelope, &parts)?;
            }
        }
        replay.same(&state)?;
    }
    Ok(())
}
