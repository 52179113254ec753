//! Receipts: a CSV file of any size, read row by row, in the order of time.
//!
//! Owns: the columns, what a row must be, and the order.
//! Promises: rows come in the order of `at`, those of one instant in the file's order; memory holds the
//! order of a file that is not sorted (16 bytes a row), never the rows.
//! Refuses to know: brands' terms, members' wallets.

use crate::types::{Ident, Time};
use csv::{Position, StringRecord};
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::{Path, PathBuf};

/// The receipts that come with the program; where they are from stands in `config/demo/NOTICE.md`.
const SAMPLE: &[u8] = include_bytes!("../../../config/demo/receipts.csv");

/// Most rows of a file that is not sorted: its order takes 16 bytes a row.
const MOST_UNSORTED: usize = 8_000_000;

/// Where receipts come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// With the program.
    Sample,
    /// A file.
    File(PathBuf),
}

trait ReadSeek: Read + Seek + Send {}
impl<T: Read + Seek + Send> ReadSeek for T {}

impl Source {
    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Sample => "the receipts that come with the program".into(),
            Self::File(path) => path.display().to_string(),
        }
    }

    fn open(&self, buffer: usize) -> Result<Box<dyn ReadSeek>, String> {
        Ok(match self {
            Self::Sample => Box::new(Cursor::new(SAMPLE)),
            Self::File(path) => Box::new(BufReader::with_capacity(buffer, open(path)?)),
        })
    }
}

fn open(path: &Path) -> Result<File, String> {
    File::open(path).map_err(|e| format!("{}: {e}", path.display()))
}

/// A row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Where it stands in the file.
    pub line: u64,
    /// Its number.
    pub number: Ident,
    /// The brand, as the file writes it.
    pub brand: String,
    /// The shop.
    pub store: Ident,
    /// The member, as the file writes it.
    pub member: String,
    /// When.
    pub at: Time,
    /// What it came to, in the currency's minor unit.
    pub amount: u64,
}

/// A row that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadLine {
    /// Where it stands.
    pub line: u64,
    /// Why not.
    pub reason: String,
}

/// Where the columns are.
#[derive(Clone, Debug)]
struct Columns([usize; 6]);

const COLUMNS: [&str; 6] = ["receipt", "brand", "store", "member", "at", "amount_minor"];

impl Columns {
    fn find(header: &StringRecord) -> Result<Self, String> {
        let mut at = [0; 6];
        for (slot, name) in at.iter_mut().zip(COLUMNS) {
            *slot = header.iter().position(|have| have.trim() == name).ok_or_else(|| {
                format!(
                    "there is no column {name}: the first line names the columns {}",
                    "receipt,brand,store,member,at,amount_minor,items"
                )
            })?;
        }
        Ok(Self(at))
    }

    fn read(&self, row: &StringRecord) -> Result<Receipt, BadLine> {
        let line = row.position().map_or(0, Position::line);
        let bad = |reason: String| BadLine { line, reason };
        let cell = |which: usize| {
            let at = self.0.get(which).copied().unwrap_or(usize::MAX);
            let name = COLUMNS.get(which).copied().unwrap_or_default();
            match row.get(at).map(str::trim) {
                None | Some("") => Err(bad(format!("{name} is missing"))),
                Some(text) => Ok((name, text)),
            }
        };
        let text = |which: usize| {
            let (name, text) = cell(which)?;
            let fits = text.len() <= 64 && !text.chars().any(char::is_control);
            if fits {
                Ok(text.to_owned())
            } else {
                Err(bad(format!("{name}: at most 64 bytes, no control characters")))
            }
        };
        let ident = |which: usize| {
            let (name, text) = cell(which)?;
            text.parse::<Ident>().map_err(|e| bad(format!("{name}: {e}")))
        };
        let (_, at) = cell(4)?;
        let (_, amount) = cell(5)?;
        Ok(Receipt {
            line,
            number: ident(0)?,
            brand: text(1)?,
            store: ident(2)?,
            member: text(3)?,
            at: at.parse().map_err(|e| bad(format!("at: {e}")))?,
            amount: amount.parse().ok().filter(|amount| *amount < 1 << 40).ok_or_else(|| {
                bad(format!("amount_minor: {amount:?} is not a number of cents, 0 or more"))
            })?,
        })
    }
}

/// The file: checked once, then read as often as needed.
#[derive(Clone, Debug)]
pub struct Receipts {
    source: Source,
    /// Rows.
    pub rows: u64,
    /// For a file that is not sorted: instant and place of each row, in order.
    order: Option<Vec<(Time, u64)>>,
}

impl Receipts {
    /// Reads the file through: every row must be sound. Finds out whether it is sorted.
    pub fn open(source: Source) -> Result<Self, String> {
        let named = |e: String| format!("{}: {e}", source.name());
        let mut receipts = Self { source: source.clone(), rows: 0, order: None };
        let mut last = Time::default();
        let mut sorted = true;
        for row in Rows::begin(&source)? {
            let receipt = row.map_err(|e| named(e.to_string()))?;
            sorted &= last <= receipt.at;
            last = receipt.at;
            receipts.rows += 1;
        }
        if receipts.rows == 0 {
            return Err(named("there are no receipts in it".into()));
        }
        if !sorted {
            receipts.order = Some(sort(&source)?);
        }
        Ok(receipts)
    }

    /// The rows in the order of time.
    pub fn rows(&self) -> Result<Ordered<'_>, String> {
        match &self.order {
            None => Ok(Ordered::AsTheyStand(Box::new(Rows::begin(&self.source)?))),
            Some(order) => {
                // One row is read at a place, so little is read ahead.
                let rows = Rows::with_buffer(&self.source, 512)?;
                Ok(Ordered::ByPlace(Box::new(rows), order.iter()))
            }
        }
    }
}

fn sort(source: &Source) -> Result<Vec<(Time, u64)>, String> {
    let mut order = vec![];
    let mut rows = Rows::begin(source)?;
    while let Some(row) = rows.next() {
        let receipt = row.map_err(|e| e.to_string())?;
        if order.len() >= MOST_UNSORTED {
            return Err(format!(
                "{}: its lines are not in the order of `at`, and there are more than {MOST_UNSORTED} of them. \
                 Sort the file by the column `at` first.",
                source.name()
            ));
        }
        order.push((receipt.at, rows.record.position().map_or(0, Position::byte)));
    }
    order.sort();
    order.shrink_to_fit();
    Ok(order)
}

/// Rows as they stand in a file, sound or not.
pub struct Rows {
    reader: csv::Reader<Box<dyn ReadSeek>>,
    columns: Columns,
    header: StringRecord,
    record: StringRecord,
}

impl Rows {
    /// From the first row on.
    pub fn begin(source: &Source) -> Result<Self, String> {
        Self::with_buffer(source, 1 << 16)
    }

    fn with_buffer(source: &Source, buffer: usize) -> Result<Self, String> {
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            .buffer_capacity(buffer)
            .from_reader(source.open(buffer)?);
        let named = |e: String| format!("{}: {e}", source.name());
        let header = reader.headers().map_err(|e| named(e.to_string()))?.clone();
        let columns = Columns::find(&header).map_err(named)?;
        Ok(Self { reader, columns, header, record: StringRecord::new() })
    }

    /// Goes to a byte of the file: the beginning of a row.
    fn seek(&mut self, byte: u64) -> Result<(), BadLine> {
        let mut place = Position::new();
        place.set_byte(byte);
        self.reader.seek(place).map_err(|e| BadLine { line: 0, reason: e.to_string() })
    }

    /// The names of the columns.
    pub fn header(&self) -> Vec<String> {
        self.header.iter().map(str::to_owned).collect()
    }

    /// How many bytes of the file are behind us.
    pub fn bytes_read(&self) -> u64 {
        self.reader.position().byte()
    }

    /// The row that was read last, as it stands in the file.
    pub fn raw(&self) -> Vec<String> {
        self.record.iter().map(str::to_owned).collect()
    }
}

impl Iterator for Rows {
    type Item = Result<Receipt, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) => Some(self.columns.read(&self.record)),
            Err(e) => {
                let line = e.position().map_or(0, Position::line);
                self.record.clear();
                let reason = match e.kind() {
                    csv::ErrorKind::Utf8 { .. } => "not UTF-8".into(),
                    _ => e.to_string(),
                };
                Some(Err(BadLine { line, reason }))
            }
        }
    }
}

/// Rows in the order of time.
pub enum Ordered<'a> {
    /// The file is sorted.
    AsTheyStand(Box<Rows>),
    /// It is not: each row is looked up.
    ByPlace(Box<Rows>, std::slice::Iter<'a, (Time, u64)>),
}

impl Iterator for Ordered<'_> {
    type Item = Result<Receipt, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::AsTheyStand(rows) => rows.next(),
            Self::ByPlace(rows, order) => {
                let (_, byte) = order.next()?;
                match rows.seek(*byte) {
                    Ok(()) => rows.next(),
                    Err(bad) => Some(Err(bad)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "receipt,brand,store,member,at,amount_minor,items\n";

    fn file(text: &str) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("receipts.csv");
        std::fs::write(&path, text).expect("written");
        (dir, Source::File(path))
    }

    fn numbers(receipts: &Receipts) -> Vec<String> {
        receipts.rows().expect("open").map(|row| row.expect("sound").number.to_string()).collect()
    }

    #[test]
    fn the_sample_is_sorted_and_sound() {
        let receipts = Receipts::open(Source::Sample).expect("sound");
        assert_eq!((receipts.rows, receipts.order.is_none()), (12_962, true));
        let first = receipts.rows().expect("open").next().expect("a row").expect("sound");
        assert_eq!((first.member.as_str(), first.amount, first.line), ("h1058", 607, 2));
    }

    #[test]
    fn a_file_that_is_not_sorted_is_read_in_order_all_the_same() {
        let mut text = HEADER.to_owned();
        let mut wanted: Vec<(u32, u32)> = vec![];
        for n in 0..500u32 {
            let day = (n * 37) % 28 + 1;
            wanted.push((day, n));
            text.push_str(&format!(
                "r{n},\"B, co\",s1,\"m \"\"{n}\"\"\",2017-03-{day:02}T08:00:00Z,{n},\"1\n\"\n"
            ));
        }
        let (_dir, source) = file(&text);
        let receipts = Receipts::open(source).expect("sound");
        assert!(receipts.order.is_some());
        wanted.sort_unstable();
        let wanted: Vec<String> = wanted.iter().map(|(_, n)| format!("r{n}")).collect();
        assert_eq!(numbers(&receipts), wanted);
    }

    #[test]
    fn columns_may_stand_in_any_order_beside_others() {
        let (_dir, source) = file(
            "\u{feff}at,extra,amount_minor,member,store,brand,receipt\n\
             2017-01-01T00:00:00Z,x,12,m,s,b,r\n",
        );
        let receipts = Receipts::open(source).expect("sound");
        assert_eq!(numbers(&receipts), ["r"]);
    }

    #[test]
    fn bad_lines_are_named_and_the_others_are_read() {
        let (_dir, source) = file(&format!(
            "{HEADER}r1,B,s,m,2017-01-01T00:00:00Z,1,1\n\
             r2,B,s,m,2017-01-01,1,1\n\
             r3,B,s,m,2017-01-01T00:00:00Z,-5,1\n\
             r 4,B,s,m,2017-01-01T00:00:00Z,5,1\n\
             r5,B,s\n\
             r6,,s,m,2017-01-01T00:00:00Z,5,1\n\
             r7,B,s,m,2017-01-01T00:00:00Z,5,1\n"
        ));
        let rows: Vec<_> = Rows::begin(&source).expect("open").collect();
        let bad: Vec<String> =
            rows.iter().filter_map(|row| row.as_ref().err()).map(ToString::to_string).collect();
        assert_eq!(bad.len(), 5, "{bad:?}");
        for (bad, wanted) in bad.iter().zip([
            "line 3: at:",
            "line 4: amount_minor:",
            "line 5: receipt:",
            "line 6: at is missing",
            "line 7: brand is missing",
        ]) {
            assert!(bad.starts_with(wanted), "{bad} should be {wanted}");
        }
        let told = Receipts::open(source).expect_err("refused");
        assert!(told.contains("line 3"), "{told}");
    }

    #[test]
    fn a_missing_column_or_an_empty_file_is_said() {
        let (_dir, source) = file("receipt,brand,store,member,at\n");
        assert!(Receipts::open(source).expect_err("refused").contains("no column amount_minor"));
        let (_dir, source) = file(HEADER);
        assert!(Receipts::open(source).expect_err("refused").contains("no receipts"));
    }
}
