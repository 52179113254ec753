//! The feeder: a follower of committed entries that keeps Redis.
//!
//! Owns: what waits to be fed, the cursor it goes on from, and when it starts a new generation.
//! Promises: the cursor is moved only from where this feeder believes it to be (compare and swap), in the same
//! script as the values of the entries it moves over; after any trouble it goes on from the cursor that it finds. What
//! waits is bounded. The writer never waits for it.
//! Refuses to know: who reads.
//!
//! A run of more values than fit into a script goes in pieces, the cursor with the last. Until then its values are
//! newer than the cursor, and nobody believes them; the cursor says how far ahead they are.

use super::link::{Link, is_lost};
use super::wire::{CURSOR, Cursor, FED, FEED, Generation, How, Keys, Value};
use super::{Changed, Shared, Source};
use crate::clock;
use crate::store::Place;
use crate::types::AccountId;
use hashbrown::HashMap;
use redis::aio::ConnectionLike;
use redis::{Cmd, RedisError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long Redis may take for a piece.
const PATIENCE: Duration = Duration::from_secs(2);
/// Values in one script: it is Redis' only thread that runs it, and readers wait meanwhile.
const PIECE: usize = 500;
/// Accounts that may wait; beyond it they are forgotten, and read from the log again.
const WAITING: usize = 100_000;
/// How often it looks whether Redis still has the cursor.
const HEARTBEAT: Duration = Duration::from_millis(250);
/// Entries that are read back from the log at a time, and the most that it catches up with. Whoever is further behind
/// than that starts a new generation: Redis fills again by itself, sooner than a long log is read.
const STRETCH: usize = 1_000;
const FAR: u64 = 20_000;
/// The longest that it catches up at once.
const LONG: Duration = Duration::from_secs(10);
/// The first wait after trouble, doubled up to the last one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What waits to be fed: all changes of the entries from `first` through `to`, an account that changed often once.
#[derive(Default)]
pub(super) struct Waiting {
    run: Mutex<Run>,
    more: Notify,
}

#[derive(Default)]
struct Run {
    first: u64,
    to: Option<Place>,
    changed: HashMap<AccountId, Changed>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the entries from `first` through `to` changed. They come in order and without a gap.
    pub(super) fn add(&self, first: u64, to: Place, changes: impl Iterator<Item = (AccountId, Changed)>) {
        let mut run = self.lock();
        // Whoever looked whether anybody feeds may come too late, and leave something that nothing follows.
        if run.to.is_none_or(|to| to.seq.checked_add(1) != Some(first)) {
            *run = Run { first, ..Run::default() };
        }
        run.changed.extend(changes);
        run.to = Some(to);
        if run.changed.len() > WAITING {
            *run = Run::default();
        }
        drop(run);
        self.more.notify_one();
    }

    /// Forgets everything: nobody is there to take it.
    pub(super) fn clear(&self) {
        *self.lock() = Run::default();
    }

    fn take(&self) -> Option<(u64, Place, HashMap<AccountId, Changed>)> {
        let run = std::mem::take(&mut *self.lock());
        run.to.map(|to| (run.first, to, run.changed))
    }
}

/// Why a feeding ended.
enum Trouble {
    /// Redis said no, or nothing.
    Redis(RedisError),
    /// Another cursor is there than the one that was left: a flush, a restart, a failover, another feeder.
    Moved,
    /// It is too far behind the log to catch up.
    Far,
    /// The log or state cannot be read.
    Source(String),
}

impl From<RedisError> for Trouble {
    fn from(e: RedisError) -> Self {
        Self::Redis(e)
    }
}

pub(super) struct Feeder<'a> {
    pub(super) keys: &'a Keys,
    pub(super) link: &'a Link,
    pub(super) shared: &'a Shared,
    pub(super) source: &'a dyn Source,
    /// Something was written since the last trouble.
    pub(super) calm: AtomicBool,
}

impl Feeder<'_> {
    /// Feeds, and begins anew after whatever happens. Does not return.
    pub(super) async fn run(&self) {
        let (mut wait, last) = BACKOFF;
        loop {
            let trouble = match self.link.target.connect(PATIENCE).await {
                Ok(mut connection) => self.feed(&mut connection, &mut wait).await,
                Err(e) => Trouble::Redis(e),
            };
            self.shared.feeding.store(false, Ordering::Release);
            self.shared.waiting.clear();
            match &trouble {
                Trouble::Redis(e) => {
                    // A master that is none any more still answers readers: they need a new connection, too.
                    self.link.trip();
                    tracing::warn!("Redis is not fed: {e}");
                }
                Trouble::Source(why) => tracing::warn!("Redis is not fed, its source cannot be read: {why}"),
                Trouble::Moved | Trouble::Far => {}
            }
            self.link.count_error();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(last);
        }
    }

    /// Looks at the cursor that another node moves, and believes its generation if it is of this log. Does not return.
    pub(super) async fn watch(&self) {
        let (mut wait, last) = BACKOFF;
        loop {
            if let Ok(mut connection) = self.link.target.connect(PATIENCE).await {
                while let Ok(()) = self.look(&mut connection).await {
                    wait = BACKOFF.0;
                    tokio::time::sleep(HEARTBEAT).await;
                }
            }
            self.link.count_error();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(last);
        }
    }

    async fn look(&self, connection: &mut impl ConnectionLike) -> Result<(), Trouble> {
        let mut get = Cmd::new();
        get.arg("GET").arg(self.keys.cursor());
        let there: Option<Vec<u8>> = get.query_async(connection).await?;
        if let Some(found) = there.and_then(|bytes| self.keys.read_cursor(&bytes))
            && self.has(Some(found.place))?
            && self.has(found.ahead)?
        {
            self.shared.at(&found);
        }
        Ok(())
    }

    /// Feeds over one connection, until it is lost.
    async fn feed(&self, connection: &mut impl ConnectionLike, wait: &mut Duration) -> Trouble {
        let mut anew = false;
        loop {
            // Before the cursor is looked at: from here on nothing that is committed is missed.
            self.shared.feeding.store(true, Ordering::Release);
            let trouble = match self.begin(connection, anew).await {
                Ok(cursor) => match self.go_on(connection, cursor).await {
                    Err(trouble) => trouble,
                    Ok(never) => match never {},
                },
                Err(trouble) => trouble,
            };
            if self.calm.swap(false, Ordering::Relaxed) {
                *wait = BACKOFF.0;
            }
            anew = matches!(trouble, Trouble::Far);
            match trouble {
                Trouble::Far => {}
                Trouble::Moved => tokio::time::sleep(*wait).await,
                // Full memory, say: the cursor is where it was.
                Trouble::Redis(e) if !is_lost(&e) && !e.is_timeout() => {
                    self.link.count_error();
                    self.shared.feeding.store(false, Ordering::Release);
                    self.shared.waiting.clear();
                    tokio::time::sleep(*wait).await;
                }
                trouble => return trouble,
            }
            *wait = (*wait * 2).min(BACKOFF.1);
        }
    }

    /// The cursor to go on from: the one that is there, if it is of this log and not too far back, else the first of a
    /// new generation at the log's end.
    async fn begin(&self, connection: &mut impl ConnectionLike, anew: bool) -> Result<Cursor, Trouble> {
        let mut get = Cmd::new();
        get.arg("GET").arg(self.keys.cursor());
        let there: Option<Vec<u8>> = get.query_async(connection).await?;
        let there = there.unwrap_or_default();
        let newest = self.source.newest().map_err(Trouble::Source)?;
        if let Some(found) = self.keys.read_cursor(&there)
            && !anew
            && newest.seq.saturating_sub(found.place.seq) <= FAR
            && self.has(Some(found.place))?
            && self.has(found.ahead)?
        {
            self.shared.at(&found);
            return Ok(found);
        }
        let generation = Generation(u64::from_le_bytes(clock::random()).max(1));
        let first = Cursor { generation, place: newest, ahead: None };
        self.write(connection, &there, &first, &[]).await?;
        self.shared.at(&first);
        Ok(first)
    }

    /// Whether the log has an entry, and not another one in its place.
    fn has(&self, place: Option<Place>) -> Result<bool, Trouble> {
        let Some(place) = place else { return Ok(true) };
        Ok(self.source.hash(place.seq).map_err(Trouble::Source)? == Some(place.hash))
    }

    /// From a cursor to the end of all days.
    async fn go_on(
        &self,
        connection: &mut impl ConnectionLike,
        mut cursor: Cursor,
    ) -> Result<std::convert::Infallible, Trouble> {
        // What was committed before anybody listened, or forgotten since, is in the log.
        let mut look = true;
        loop {
            match self.shared.waiting.take() {
                Some((first, to, changed)) => {
                    if first > cursor.place.seq + 1 {
                        cursor = self.catch_up(connection, cursor, first - 1).await?;
                    }
                    if to.seq > cursor.place.seq {
                        cursor = self.take(connection, cursor, to, changed).await?;
                    }
                }
                None if look => {
                    let newest = self.source.newest().map_err(Trouble::Source)?;
                    cursor = self.catch_up(connection, cursor, newest.seq).await?;
                    look = false;
                }
                None => {
                    let more = self.shared.waiting.more.notified();
                    if tokio::time::timeout(HEARTBEAT, more).await.is_err() {
                        self.write(connection, &self.keys.write_cursor(&cursor), &cursor, &[]).await?;
                        look = true;
                    }
                }
            }
        }
    }

    /// Takes a run over.
    async fn take(
        &self,
        connection: &mut impl ConnectionLike,
        mut cursor: Cursor,
        to: Place,
        changed: HashMap<AccountId, Changed>,
    ) -> Result<Cursor, Trouble> {
        let changed: Vec<(AccountId, Changed)> = changed.into_iter().collect();
        // State may show more than the entries that it was asked about.
        let newest = changed.iter().map(|(_, (seq, _))| *seq).max().filter(|newest| *newest > to.seq);
        let ahead = match newest {
            Some(seq) => {
                let hash = self.source.hash(seq).map_err(Trouble::Source)?;
                Place { seq, hash: hash.ok_or_else(|| Trouble::Source(format!("no entry {seq}")))? }
            }
            None => to,
        };
        let mut pieces = changed.chunks(PIECE).peekable();
        loop {
            let piece = pieces.next().unwrap_or_default();
            let last = pieces.peek().is_none();
            let next = cursor.moved(if last { to } else { cursor.place }, ahead);
            self.write(connection, &self.keys.write_cursor(&cursor), &next, piece).await?;
            cursor = next;
            if last {
                self.shared.at(&cursor);
                return Ok(cursor);
            }
        }
    }

    /// Reads from log and state what the entries after the cursor changed, through `last` at least.
    async fn catch_up(
        &self,
        connection: &mut impl ConnectionLike,
        mut cursor: Cursor,
        last: u64,
    ) -> Result<Cursor, Trouble> {
        let begun = Instant::now();
        while cursor.place.seq < last {
            if last - cursor.place.seq > FAR || begun.elapsed() > LONG {
                return Err(Trouble::Far);
            }
            let stretch = self.source.touched(cursor.place.seq + 1, STRETCH).map_err(Trouble::Source)?;
            let Some((to, ids)) = stretch else {
                return Err(Trouble::Source(format!("the log ends before entry {last}")));
            };
            let changed = loop {
                let (size, rows) = self.source.load(&ids).map_err(Trouble::Source)?;
                if size > to.seq {
                    break rows;
                }
                // State will be there in a moment.
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            cursor = self.take(connection, cursor, to, changed).await?;
        }
        Ok(cursor)
    }

    /// Writes values and a cursor, if `was` is the one that is there.
    async fn write(
        &self,
        connection: &mut impl ConnectionLike,
        was: &[u8],
        to: &Cursor,
        values: &[(AccountId, Changed)],
    ) -> Result<(), Trouble> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut script = Cmd::new();
        script.arg("EVAL").arg(FEED).arg(values.len() + 1).arg(self.keys.cursor());
        for (id, _) in values {
            script.arg(self.keys.account(*id));
        }
        script.arg(was).arg(self.keys.write_cursor(to)).arg(millis(CURSOR)).arg(millis(FED));
        script.arg(to.generation.to_string());
        let (generation, written) = (to.generation, clock::now().seconds());
        for (id, (seq, record)) in values {
            let record = record.as_ref().map(|record| record.encode());
            let value = |record: Vec<u8>| {
                let (how, changed, as_of, record) = (How::Fed, *seq, *seq, &record[..]);
                self.keys.write_value(*id, &Value { generation, how, changed, as_of, written, record })
            };
            script.arg(*seq).arg(record.map(value).unwrap_or_default());
        }
        let found: Vec<u8> = script.query_async(connection).await?;
        if found != was {
            return Err(Trouble::Moved);
        }
        self.calm.store(true, Ordering::Relaxed);
        self.shared.written.fetch_add(values.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Hash;

    fn place(seq: u64) -> Place {
        Place { seq, hash: Hash([1; 32]) }
    }

    #[test]
    fn what_waits_is_coalesced_and_begins_where_it_began() {
        let waiting = Waiting::default();
        assert!(waiting.take().is_none());
        waiting.add(5, place(6), [(AccountId(1), (5, None)), (AccountId(2), (6, None))].into_iter());
        waiting.add(7, place(7), [(AccountId(1), (7, None))].into_iter());
        let (first, to, changed) = waiting.take().expect("a run");
        assert_eq!((first, to.seq, changed.len()), (5, 7, 2));
        assert_eq!(changed.get(&AccountId(1)).map(|(seq, _)| *seq), Some(7));
        assert!(waiting.take().is_none());
    }

    #[test]
    fn too_much_is_forgotten_as_a_whole() {
        let waiting = Waiting::default();
        let many = (0..=WAITING as u128).map(|id| (AccountId(id), (1, None)));
        waiting.add(1, place(1), many);
        assert!(waiting.take().is_none(), "half of a run would be taken for all of it");
        waiting.add(2, place(2), [(AccountId(1), (2, None))].into_iter());
        assert_eq!(waiting.take().map(|(first, ..)| first), Some(2), "and the gap shows");
    }

    #[test]
    fn what_does_not_follow_is_no_part_of_a_run() {
        let waiting = Waiting::default();
        waiting.add(5, place(6), [(AccountId(1), (5, None))].into_iter());
        waiting.add(9, place(9), [(AccountId(2), (9, None))].into_iter());
        let (first, to, changed) = waiting.take().expect("a run");
        assert_eq!((first, to.seq, changed.len()), (9, 9, 1), "7 and 8 are in nobody's hands");
    }
}
