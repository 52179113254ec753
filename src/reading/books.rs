//! The books of the clearing house: the records that its reports are made of.
//!
//! Promises: all of them are of one moment, and that moment is named.

use super::Fault;
use crate::book::{Name, Record};
use crate::clearing::{BOOKS, Books};
use crate::engine::open_entry;
use crate::log::{Checkpoint, root_at};
use crate::store::{Place, Read};
use crate::tiles::Hashes;
use crate::types::Time;
use std::sync::Arc;

/// Records read at a time.
const PAGE: usize = 4_000;
/// How often it is tried: a writer may be at work meanwhile.
const TRIES: usize = 20;

/// The books, and of which moment they are.
pub struct Kept {
    /// The records.
    pub books: Books,
    /// The last entry that they show.
    pub seq: u64,
    /// Its log time.
    pub at: Time,
    /// The checkpoint over the log through it, in one line.
    pub checkpoint: String,
}

/// Records alone, those whose names begin so.
pub fn records(read: &dyn Read, prefixes: &[&str]) -> Result<Books, Fault> {
    for _ in 0..TRIES {
        if let Some((books, _)) = once(read, prefixes)? {
            return Ok(books);
        }
    }
    Err(Fault::Damaged("the state goes on faster than it can be read: try again".into()))
}

/// Reads the books.
pub fn books(read: &dyn Read, hashes: &Hashes, origin: &str) -> Result<Kept, Fault> {
    for _ in 0..TRIES {
        if let Some((books, place)) = once(read, BOOKS)? {
            return named(read, hashes, origin, books, place);
        }
    }
    Err(Fault::Damaged("the state goes on faster than it can be read: try again".into()))
}

/// All records, if state did not go on meanwhile.
fn once(read: &dyn Read, prefixes: &[&str]) -> Result<Option<(Books, Place)>, Fault> {
    let Some(place) = read.cursor()? else { return Err(Fault::Damaged("there is no state yet".into())) };
    let mut books = Books::default();
    for prefix in prefixes {
        // A name may be the prefix itself.
        let mut loaded = read.load(&[(*prefix).to_owned()])?;
        let mut after = (*prefix).to_owned();
        loop {
            if loaded.cursor != Some(place) {
                return Ok(None);
            }
            for row in loaded.rows.iter().take_while(|row| row.key.starts_with(prefix)) {
                let damaged = |e: crate::types::Malformed| Fault::Damaged(format!("{}: {e}", row.key));
                let name: Name = row.key.parse().map_err(damaged)?;
                let record = Record::decode(&name, &row.value).map_err(damaged)?;
                books.0.insert(name, Arc::new(record));
                after.clone_from(&row.key);
            }
            let next = read.scan(&after, PAGE)?;
            if !next.rows.first().is_some_and(|row| row.key.starts_with(prefix)) {
                break;
            }
            loaded = next;
        }
    }
    Ok(Some((books, place)))
}

fn named(read: &dyn Read, hashes: &Hashes, origin: &str, books: Books, place: Place) -> Result<Kept, Fault> {
    let entry = read.read(place.seq, 1, usize::MAX)?;
    let entry = entry.first().ok_or_else(|| Fault::Damaged(format!("entry {} is missing", place.seq)))?;
    let at = open_entry(entry).map_err(|e| Fault::Damaged(e.to_string()))?.0.at;
    let size = place.seq.saturating_add(1);
    let root =
        root_at(size, hashes).map_err(|e| Fault::Damaged(format!("the root over {size} entries: {e:?}")))?;
    let text = Checkpoint { origin: origin.to_owned(), size, root }.text();
    Ok(Kept { books, seq: place.seq, at, checkpoint: text.trim_end().replace('\n', " ") })
}
