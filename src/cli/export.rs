//! `export`: the log as lines, or as a folder that any web server can serve.

use super::context::{CliError, Context, Exit};
use super::folder::{Folder, bar};
use crate::app::{Exported, said_by_log};
use crate::log::leaf_hash;
use crate::store::{Read, StoredPart, TipRecord};
use crate::tiles::{Site, publish};
use crate::types::{Hash, encode};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Envelopes read at a time, and bytes of entries with parts.
const PAGE: usize = 512;
const PAGE_BYTES: usize = 4 << 20;

/// Options of `export`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  tallyhouse export > envelopes.ndjson
  tallyhouse export --parts --from 100 --to 199 --out some.ndjson
  tallyhouse export --static public/log

One line an envelope, its exact bytes: the BLAKE3 of a line (without its line feed) is `prev` of the next.
  head -1 envelopes.ndjson | tr -d '\\n' | b3sum
With --parts each envelope is followed by its parts: {\"seq\":n,\"index\":i,\"part\":\"<its exact text>\"}, or
{\"seq\":n,\"index\":i,\"erased\":\"<its leaf hash>\"}, also where the log says that it is erased and it is there still. Parts are not public: only those concerned may have them.
To a file and to the log's end, its signed checkpoint is written beside it: FILE.checkpoint. `recover` reads both.

--static writes the public log in the layout of C2SP tlog-tiles: checkpoint, tile/<L>/<N>[.p/<W>],
tile/entries/<N>[.p/<W>]; again later, it adds what is new. The log's verifier key goes beside the folder, into
<FOLDER>.vkey: a verifier (aics-tlog, for one) wants the key from outside what it checks.")]
pub struct Args {
    /// Write to this file instead of standard output; it appears when it is whole.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Parts too.
    #[arg(long)]
    parts: bool,
    /// The first entry.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// The last entry; without it, the newest.
    #[arg(long)]
    to: Option<u64>,
    /// Write the public log into this folder instead.
    #[arg(long = "static", value_name = "FOLDER", conflicts_with_all = ["out", "parts", "from", "to"])]
    site: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args, context: &mut Context<'_>) -> Result<Exit, CliError> {
    let folder = Folder::open(context)?;
    let bar = bar();
    let mut progress = |done: u64, all: u64| {
        bar.set_length(all);
        bar.set_position(done);
    };
    if let Some(site) = &args.site {
        let made = publish(&*folder.read, &folder.log, &folder.vkey, site, &mut progress)?;
        bar.finish_and_clear();
        told(&made, site, context)?;
        return Ok(Exit::Ok);
    }
    // As of now: the log may grow meanwhile.
    let tip = folder.read.tip()?;
    let to = args.to.or(tip.as_ref().map(|tip| tip.seq));
    let range = Range::of(&*folder.read, args.from, to)?;
    let parts = args.parts.then(|| said_by_log(&*folder.read)).transpose().map_err(CliError::fault)?;
    let parts = parts.as_ref();
    match &args.out {
        Some(path) => to_file(&*folder.read, range, parts, path, &mut progress)?,
        None => lines(&*folder.read, range, parts, context.out, &mut progress)?,
    }
    bar.finish_and_clear();
    if let (Some(path), true) = (&args.out, args.parts) {
        keep_checkpoint(tip, range, path)?;
    }
    if let Some(path) = &args.out {
        let entries = range.end.saturating_sub(range.start);
        context.say(format!("{}: {entries} entries", path.display()))?;
    }
    Ok(Exit::Ok)
}

/// What came of a public folder, for programs.
#[derive(Serialize)]
struct Published {
    size: u64,
    root: Hash,
    written: u64,
    vkey_file: String,
}

fn told(site: &Site, folder: &Path, context: &mut Context<'_>) -> Result<(), CliError> {
    let vkey_file = site.vkey.display().to_string();
    if context.json {
        let Site { size, root, written, .. } = *site;
        return context.say_json(&Published { size, root, written, vkey_file });
    }
    context.say(format!("{}: {} entries, {} files written", folder.display(), site.size, site.written))?;
    context.say(format!("root: {}", site.root))?;
    context.say(format!("verifier key: {vkey_file}"))
}

/// Entries from one on to before another; it may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    start: u64,
    end: u64,
}

impl Range {
    /// `to` is the last one wanted. What is not in the log when this is called is not exported.
    fn of(read: &dyn Read, from: u64, to: Option<u64>) -> Result<Self, CliError> {
        let size = read.tip()?.map_or(0, |tip| tip.seq.saturating_add(1));
        let end = to.map_or(size, |to| to.saturating_add(1));
        match () {
            () if end > size => {
                Err(CliError::usage(format!("the log has {size} entries; --to is the last one")))
            }
            () if from > end => Err(CliError::usage(format!("there is nothing from {from} on"))),
            () => Ok(Self { start: from, end }),
        }
    }
}

/// Parts that the log says are erased: these are not in an export, whatever the store has.
type Erased = BTreeMap<(u64, u16), Hash>;

#[derive(Serialize)]
struct PartLine<'a> {
    seq: u64,
    index: usize,
    part: &'a str,
}

#[derive(Serialize)]
struct ErasedLine {
    seq: u64,
    index: usize,
    erased: Hash,
}

fn to_file(
    read: &dyn Read,
    range: Range,
    parts: Option<&Erased>,
    path: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), CliError> {
    // A pipe or a device is written to; a file is replaced when it is complete.
    if path.metadata().is_ok_and(|meta| !meta.is_file()) {
        let mut out = BufWriter::new(std::fs::File::options().write(true).open(path).map_err(at(path))?);
        lines(read, range, parts, &mut out, progress)?;
        return out.flush().map_err(at(path));
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    let file = std::fs::File::create(&temporary).map_err(at(&temporary))?;
    let mut out = BufWriter::new(file);
    lines(read, range, parts, &mut out, progress)?;
    let file = out.into_inner().map_err(|e| at(&temporary)(e.into_error()))?;
    file.sync_all().map_err(at(&temporary))?;
    std::fs::rename(&temporary, path).map_err(at(path))
}

/// Puts the checkpoint beside an export that goes to the end of the log, so that `recover` can tell that it is whole.
fn keep_checkpoint(tip: Option<TipRecord>, range: Range, path: &Path) -> Result<(), CliError> {
    if let Some(tip) = tip.filter(|tip| tip.seq.checked_add(1) == Some(range.end)) {
        let beside = Exported::checkpoint_path(path);
        std::fs::write(&beside, tip.checkpoint).map_err(at(&beside))?;
    }
    Ok(())
}

/// Writes the lines, a page of entries at a time; with parts, but for what is erased.
fn lines(
    read: &dyn Read,
    range: Range,
    parts: Option<&Erased>,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), CliError> {
    let mut next = range.start;
    while next < range.end {
        let left = usize::try_from(range.end.saturating_sub(next)).unwrap_or(usize::MAX).min(PAGE);
        next = match parts {
            Some(erased) => with_parts(read, next, left, erased, out)?,
            None => envelopes(read, next, left, out)?,
        };
        progress(next.saturating_sub(range.start), range.end.saturating_sub(range.start));
    }
    Ok(out.flush()?)
}

fn envelopes(read: &dyn Read, mut next: u64, most: usize, out: &mut dyn Write) -> Result<u64, CliError> {
    let page = read.read_envelopes(next, most)?;
    in_turn(next, page.first().map(|entry| entry.seq))?;
    for entry in page {
        in_turn(next, Some(entry.seq))?;
        line(out, &entry.bytes)?;
        next = next.saturating_add(1);
    }
    Ok(next)
}

fn with_parts(
    read: &dyn Read,
    mut next: u64,
    most: usize,
    said: &Erased,
    out: &mut dyn Write,
) -> Result<u64, CliError> {
    let page = read.read(next, most, PAGE_BYTES)?;
    in_turn(next, page.first().map(|entry| entry.seq))?;
    for entry in page {
        let seq = entry.seq;
        in_turn(next, Some(seq))?;
        line(out, &entry.envelope)?;
        for (index, part) in entry.parts.iter().enumerate() {
            let said = u16::try_from(index).ok().and_then(|index| said.get(&(seq, index)));
            match part {
                StoredPart::Whole(bytes) if said.is_some_and(|leaf| leaf_hash(bytes) == *leaf) => {
                    line(out, &encode(&ErasedLine { seq, index, erased: leaf_hash(bytes) }))?;
                }
                StoredPart::Whole(bytes) => {
                    let part = std::str::from_utf8(bytes)
                        .map_err(|_| CliError::fault(format!("part {index} of entry {seq} is not text")))?;
                    line(out, &encode(&PartLine { seq, index, part }))?;
                }
                StoredPart::Erased(erased) => {
                    line(out, &encode(&ErasedLine { seq, index, erased: *erased }))?;
                }
            }
        }
        next = next.saturating_add(1);
    }
    Ok(next)
}

/// For `map_err` on what the operating system says of a file.
fn at(path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    move |e| CliError::fault(format!("{}: {e}", path.display()))
}

fn line(out: &mut dyn Write, bytes: &[u8]) -> Result<(), CliError> {
    out.write_all(bytes)?;
    Ok(out.write_all(b"\n")?)
}

/// An export has no gap.
fn in_turn(expected: u64, found: Option<u64>) -> Result<(), CliError> {
    match found {
        Some(seq) if seq == expected => Ok(()),
        _ => Err(CliError::Refused(format!("entry {expected} is missing from the log"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Envelope;
    use crate::store::StoredEntry;
    use crate::tiles::tests::MemoryLog;

    fn exported(log: &MemoryLog, from: u64, to: Option<u64>, parts: bool) -> Result<String, CliError> {
        let mut out = vec![];
        let mut last = (0, 0);
        let range = Range::of(log, from, to)?;
        let erased = said_by_log(log).expect("readable");
        lines(log, range, parts.then_some(&erased), &mut out, &mut |done, all| last = (done, all))?;
        assert_eq!(last.0, last.1, "progress ends at the end");
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn the_hash_of_a_line_is_prev_of_the_next() {
        for size in [0, 1, 2, 511, 512, 513, 1_300] {
            let text = exported(&MemoryLog::of(size, 0), 0, None, false).expect("exported");
            let mut expected = crate::types::Hash::blake3(b"{\"n\":1}");
            for (seq, line) in text.lines().enumerate() {
                let envelope = Envelope::decode(line.as_bytes()).expect("an envelope");
                assert_eq!((envelope.seq, envelope.prev), (seq as u64, expected));
                expected = Envelope::hash(line.as_bytes());
            }
            assert_eq!(text.lines().count() as u64, size);
        }
    }

    #[test]
    fn entries_come_back_whole_from_the_lines() {
        let log = MemoryLog::of(600, 0);
        log.change(|entries| {
            for seq in [7, 203] {
                entries[seq].parts[1] = StoredPart::Erased(Hash([seq as u8; 32]));
            }
        });
        let text = exported(&log, 0, None, true).expect("exported");
        let mut back: Vec<StoredEntry> = vec![];
        for line in text.lines() {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            if value.get("v").is_some() {
                let seq = value["seq"].as_u64().expect("a seq");
                back.push(StoredEntry { seq, envelope: line.into(), parts: vec![], beside: None });
                continue;
            }
            let entry = back.last_mut().expect("an envelope came first");
            assert_eq!(value["seq"], entry.seq);
            assert_eq!(value["index"], entry.parts.len());
            entry.parts.push(match value.get("part") {
                Some(part) => StoredPart::Whole(part.as_str().expect("text").into()),
                None => {
                    StoredPart::Erased(Hash::parse(value["erased"].as_str().expect("text")).expect("a hash"))
                }
            });
        }
        assert_eq!(back, log.read(0, usize::MAX, usize::MAX).expect("readable"));
        assert_eq!(exported(&log, 0, None, true).expect("again"), text);
    }

    #[test]
    fn ranges_are_pieces_of_the_whole() {
        let log = MemoryLog::of(1_100, 0);
        for parts in [false, true] {
            let whole = exported(&log, 0, None, parts).expect("exported");
            let pieces: String =
                [(0, Some(0)), (1, Some(511)), (512, Some(1_098)), (1_099, None), (1_100, None)]
                    .into_iter()
                    .map(|(from, to)| exported(&log, from, to, parts).expect("exported"))
                    .collect();
            assert!(pieces == whole);
        }
        for (from, to) in [(0, Some(1_100)), (1_101, None), (5, Some(3)), (0, Some(u64::MAX))] {
            assert!(exported(&log, from, to, false).is_err(), "{from} {to:?}");
        }
    }

    #[test]
    fn a_gap_is_named() {
        for at in [0, 300, 999] {
            let log = MemoryLog::of(1_000, 0);
            log.change(|entries| drop(entries.remove(at)));
            for parts in [false, true] {
                let why = exported(&log, 0, None, parts).expect_err("a gap").to_string();
                assert!(why.contains(&format!("entry {at} is missing")), "{why}");
            }
        }
    }

    #[test]
    fn a_file_appears_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("log.ndjson");
        let log = MemoryLog::of(1_000, 0);
        let range = Range::of(&*log, 0, None).expect("a range");
        let text = exported(&log, 0, None, true).expect("exported");
        log.change(|entries| drop(entries.remove(900)));
        let none = Erased::default();
        assert!(to_file(&*log, range, Some(&none), &path, &mut |_, _| {}).is_err());
        assert!(!path.exists());
        to_file(&*MemoryLog::of(1_000, 0), range, Some(&none), &path, &mut |_, _| {}).expect("exported");
        assert!(std::fs::read_to_string(&path).expect("readable") == text);
    }
}
