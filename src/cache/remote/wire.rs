//! What stands in Redis: names of keys, the cursor, values, and the scripts that write them.
//!
//! Owns: the form of all of it, and which value proves what.
//! Promises: a value is believed only beside a cursor of its own generation, read at the same moment. What is not
//! of the expected form, or was not written there by a node of this network, is not there.
//! Refuses to know: connections.
//!
//! Keys begin with `tallyhouse:{NET}:`, NET being the network's id, so that several networks share a Redis, and all
//! keys of one are in one slot of a cluster: values and cursor can only be written at once there.
//!
//! | key | value | lives |
//! |---|---|---|
//! | `…cursor` | generation, seq and hash of the last entry that was fed, of the newest of values ahead of it if there are | a day, unless it is written again |
//! | `…a:ACCOUNT` | generation, `f` (fed) or `m` (filled on a miss), seq of the change, seq as of which, Unix seconds when it was written, record | an hour; 2 s |
//! | `…n:NAME` | a nonce that was used | as long as its signature counts |
//! | `…l:BUCKET` | the instant until which the bucket is drawn on | until it is full |
//!
//! After the cursor and after a value stands a code that only nodes can make (`mac`). Whoever can write to Redis and is none
//! of them can put back what a node wrote there before, no longer than it lives: how old it is stands in it.
//!
//! A generation is drawn whenever the feeder finds no cursor that it can go on from. Values of another generation
//! are as good as gone: nobody knows what they missed.

use super::mac::MacKey;
use crate::book::{Name, Record};
use crate::cache::Loaded;
use crate::store::Place;
use crate::types::{AccountId, Hash};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long a fed value lives.
pub(super) const FED: Duration = Duration::from_secs(3_600);
/// How long a value lives that a reader filled in on a miss.
pub(super) const FILLED: Duration = Duration::from_secs(2);
/// How long a cursor lives that nobody writes again.
pub(super) const CURSOR: Duration = Duration::from_secs(86_400);
/// How far the clocks of two nodes may differ, in seconds: a writer's is within 5 s of the database's, and a reader that is
/// farther off misses more.
const APART: u64 = 10;

/// Names of a network's keys, and what stands under them.
#[derive(Clone)]
pub(super) struct Keys(String, MacKey);

impl Keys {
    pub(super) fn of(net: Hash, mac: MacKey) -> Self {
        Self(format!("tallyhouse:{{{net}}}:"), mac)
    }

    /// What is written for a cursor.
    pub(super) fn write_cursor(&self, cursor: &Cursor) -> Vec<u8> {
        self.1.seal(&self.cursor(), cursor.to_string().as_bytes())
    }

    pub(super) fn read_cursor(&self, bytes: &[u8]) -> Option<Cursor> {
        std::str::from_utf8(self.1.open(&self.cursor(), bytes)?).ok()?.parse().ok()
    }

    /// What is written for an account.
    pub(super) fn write_value(&self, id: AccountId, value: &Value<'_>) -> Vec<u8> {
        self.1.seal(&self.account(id), &value.encode())
    }

    pub(super) fn read_value<'a>(&self, id: AccountId, bytes: &'a [u8]) -> Option<Value<'a>> {
        Value::read(self.1.open(&self.account(id), bytes)?)
    }

    pub(super) fn cursor(&self) -> String {
        format!("{}cursor", self.0)
    }

    pub(super) fn account(&self, id: AccountId) -> String {
        format!("{}a:{id}", self.0)
    }

    /// What all accounts' keys begin with.
    pub(super) fn accounts(&self) -> String {
        format!("{}a:", self.0)
    }

    pub(super) fn nonce(&self, name: &str) -> String {
        format!("{}n:{name}", self.0)
    }

    pub(super) fn bucket(&self, name: &str) -> String {
        format!("{}l:{name}", self.0)
    }
}

/// A random number that one unbroken feeding has in common; never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Generation(pub(super) u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Generation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match u64::from_str_radix(text, 16) {
            Ok(number) if number != 0 && text.len() == 16 => Ok(Self(number)),
            _ => Err(()),
        }
    }
}

/// How far Redis was fed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor {
    pub(super) generation: Generation,
    /// Everything through this entry was written.
    pub(super) place: Place,
    /// Some of what came after it too, through this entry at most. It is written down because whoever goes on from
    /// here must know that its log has that entry: a value of a tail that a log lost would be believed in time.
    pub(super) ahead: Option<Place>,
}

impl Cursor {
    /// The cursor after everything through `place`, and some through `ahead`, was written.
    pub(super) fn moved(&self, place: Place, ahead: Place) -> Self {
        let newest = self.ahead.filter(|known| known.seq > ahead.seq).unwrap_or(ahead);
        Self { place, ahead: Some(newest).filter(|newest| newest.seq > place.seq), ..*self }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.generation, self.place.seq, self.place.hash)?;
        match &self.ahead {
            Some(ahead) => write!(f, " {} {}", ahead.seq, ahead.hash),
            None => Ok(()),
        }
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let place = |seq: &str, hash: &str| {
            Ok(Place { seq: seq.parse().map_err(|_| ())?, hash: Hash::parse(hash).map_err(|_| ())? })
        };
        let words: Vec<&str> = text.split(' ').collect();
        let (generation, at, ahead) = match words[..] {
            [generation, seq, hash] => (generation, place(seq, hash)?, None),
            [generation, seq, hash, ahead, its] => (generation, place(seq, hash)?, Some(place(ahead, its)?)),
            _ => return Err(()),
        };
        Ok(Self { generation: generation.parse()?, place: at, ahead })
    }
}

/// How a value came to be there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// The feeder wrote it: it is right through the cursor.
    Fed,
    /// A reader did, on a miss: it is right as of what that reader's state showed.
    Filled,
}

/// An account as it stands in Redis.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Value<'a> {
    pub(super) generation: Generation,
    pub(super) how: How,
    /// The entry that changed the account last.
    pub(super) changed: u64,
    /// The entry as of which it was read.
    pub(super) as_of: u64,
    /// When it was written, in Unix seconds.
    pub(super) written: u64,
    /// The record's bytes.
    pub(super) record: &'a [u8],
}

impl<'a> Value<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let how = match self.how {
            How::Fed => 'f',
            How::Filled => 'm',
        };
        let Self { generation, changed, as_of, written, record, .. } = self;
        let mut text = format!("{generation} {how} {changed} {as_of} {written} ").into_bytes();
        text.extend_from_slice(record);
        text
    }

    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut word = || {
            let end = rest.iter().position(|byte| *byte == b' ')?;
            let (word, after) = rest.split_at(end);
            rest = &after[1..];
            std::str::from_utf8(word).ok()
        };
        let generation = word()?.parse().ok()?;
        let how = match word()? {
            "f" => How::Fed,
            "m" => How::Filled,
            _ => return None,
        };
        let mut number = || word()?.parse().ok();
        let (changed, as_of, written) = (number()?, number()?, number()?);
        (changed <= as_of).then_some(Self { generation, how, changed, as_of, written, record: rest })
    }

    /// The entry through which it is right, if it is at all beside this cursor. A fed value that is newer than the
    /// cursor belongs to a run of which the end is not there yet: nothing vouches for it. Nor for one that should be gone by
    /// `now`, in Unix seconds: somebody put it back, or kept it there.
    pub(super) fn proves(&self, cursor: &Cursor, now: u64) -> Option<u64> {
        let lives = match self.how {
            How::Fed => FED,
            How::Filled => FILLED,
        };
        let until = self.written.saturating_add(lives.as_secs()).saturating_add(APART);
        if self.generation != cursor.generation || now > until {
            return None;
        }
        match self.how {
            How::Fed => (self.changed <= cursor.place.seq).then_some(cursor.place.seq),
            How::Filled => Some(self.as_of),
        }
    }

    /// What a reader is given, right through the entry `through`.
    pub(super) fn loaded(&self, id: AccountId, through: u64) -> Option<Loaded> {
        let record = Record::decode(&Name::Account(id), self.record).ok()?;
        record.account()?;
        Some(Loaded { size: through.checked_add(1)?, row: Some((self.changed, Arc::new(record))) })
    }
}

/// Writes values and a cursor, all at once. KEYS: the cursor, then an account for
/// each pair at the end of ARGV (seq of the change, value; an empty one takes it away). ARGV: the cursor that must be
/// there (empty: none), the one that shall be, milliseconds that it and values live, the
/// generation. Answers the cursor that it found; if it is not the expected one nothing was changed.
///
/// Redis replicates what a script did as one MULTI, so a replica has all of it or nothing. A script that meets full
/// memory fails at its first write, and so as a whole.
pub(super) const FEED: &str = "
local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] then return found end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for i = 2, #KEYS do
  local seq, value = tonumber(ARGV[2 * i + 2]), ARGV[2 * i + 3]
  local old = redis.call('GET', KEYS[i])
  local generation, changed = string.match(old or '', '^(%x+) %a (%d+) ')
  if generation ~= ARGV[5] or tonumber(changed) <= seq then
    if value == '' then redis.call('DEL', KEYS[i]) else redis.call('SET', KEYS[i], value, 'PX', ARGV[4]) end
  end
end
return found";

/// Draws on buckets that nodes share, after the fact. KEYS: buckets. ARGV for each: how many were taken, how many a
/// second there are, how many may come at once. Answers for each how many milliseconds nobody may draw on it.
///
/// A bucket is the instant until which it is drawn on: full if that is past, empty if it is a whole burst ahead.
/// What nodes took beyond it in the moments between two exchanges is owed, a second at most. What is no instant was not
/// written here, and is none: one bucket that somebody spoiled is written anew, and the others of the script count.
pub(super) const DRAW: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local waits = {}
for i = 1, #KEYS do
  local taken, rate, burst = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local room = burst * 1000 / rate
  local old = redis.pcall('GET', KEYS[i])
  old = type(old) == 'string' and tonumber(string.match(old, '^%d+$')) or 0
  local till = math.max(old, now) + taken * 1000 / rate
  till = math.floor(math.min(till, now + room + 1000))
  redis.call('SET', KEYS[i], string.format('%d', till), 'PX', math.max(till - now, 1))
  waits[i] = math.max(0, math.floor(till - now - room))
end
return waits";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Account;
    use proptest::prelude::*;

    const ONE: Generation = Generation(1);

    fn cursor(generation: Generation, seq: u64) -> Cursor {
        Cursor { generation, place: Place { seq, hash: Hash([7; 32]) }, ahead: None }
    }

    #[test]
    fn a_value_proves_the_cursor_read_with_it_and_a_filled_one_only_itself() {
        let value =
            |how, changed, as_of| Value { generation: ONE, how, changed, as_of, written: 100, record: b"{}" };
        let rows = [
            (value(How::Fed, 5, 5), cursor(ONE, 9), Some(9)),
            (value(How::Fed, 9, 9), cursor(ONE, 9), Some(9)),
            // A run whose end is not there, or a replica that lost it.
            (value(How::Fed, 10, 10), cursor(ONE, 9), None),
            (value(How::Fed, 5, 5), cursor(Generation(2), 9), None),
            (value(How::Filled, 5, 7), cursor(ONE, 9), Some(7)),
            (value(How::Filled, 5, 12), cursor(ONE, 9), Some(12)),
            (value(How::Filled, 5, 7), cursor(Generation(2), 9), None),
        ];
        for (value, cursor, proves) in rows {
            assert_eq!(value.proves(&cursor, 100), proves, "{value:?} beside {cursor}");
        }
        let (fed, filled) = (value(How::Fed, 5, 5), value(How::Filled, 5, 7));
        let proves = |value: &Value<'_>, now| value.proves(&cursor(ONE, 9), now).is_some();
        assert!(proves(&fed, 90) && proves(&fed, 3_700), "the clocks of nodes differ");
        assert!(!proves(&fed, 3_711) && proves(&filled, 112) && !proves(&filled, 113), "it should be gone");
    }

    #[test]
    fn what_is_not_of_the_form_is_not_there() {
        let fine = cursor(ONE, 12);
        assert_eq!(fine.to_string().parse(), Ok(fine));
        let ahead = fine.moved(fine.place, Place { seq: 15, ..fine.place });
        assert_eq!(ahead.to_string().parse(), Ok(ahead));
        assert_eq!(
            ahead.moved(Place { seq: 14, ..fine.place }, fine.place).ahead,
            ahead.ahead,
            "still ahead"
        );
        assert_eq!(ahead.moved(Place { seq: 15, ..fine.place }, fine.place).ahead, None, "reached");
        let text = fine.to_string();
        for wrong in ["", "1 2 3", &text[1..], &format!("{text} "), &text.replacen('1', "g", 1)] {
            assert_eq!(wrong.parse::<Cursor>(), Err(()), "{wrong:?}");
        }
        let zero = "0000000000000000".parse::<Generation>();
        assert_eq!(zero, Err(()), "0 is no generation");
        for wrong in [&b""[..], b"0000000000000001 f 5 5", b"0000000000000001 x 5 5 9 {}", b"1 f 5 5 9 {}"] {
            assert_eq!(Value::read(wrong), None, "{wrong:?}");
        }
        assert_eq!(Value::read(b"0000000000000001 f 6 5 9 {}"), None, "changed after it was read");
    }

    proptest! {
        #[test]
        fn values_come_back(generation in 1u64.., filled: bool, changed in 0u64..1 << 50, more in 0u64..9) {
            let account = Account::new("KINO".parse().expect("a unit"), 0, None);
            let record = Record::Account(account);
            let bytes = record.encode();
            let how = if filled { How::Filled } else { How::Fed };
            let generation = Generation(generation);
            let value = Value { generation, how, changed, as_of: changed + more, written: more, record: &bytes };
            let encoded = value.encode();
            let read = Value::read(&encoded);
            prop_assert_eq!(read.as_ref(), Some(&value));
            let loaded = value.loaded(AccountId(3), changed + more).expect("an account");
            prop_assert_eq!(loaded.size, changed + more + 1);
            let row = loaded.row.map(|(seq, record)| (seq, record.encode()));
            prop_assert_eq!(row, Some((changed, bytes)));
        }
    }
}
