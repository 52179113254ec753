//! The difference between two views, table by table, row by row, whichever databases they are in.
//!
//! Owns: what counts as the same. Tables and columns are read from the schema, so none can be forgotten.
//! Promises: `None` means that every value of every row of both is the same, its type included, and, where it
//! is a file, that what is found through an index is what stands in its table.
//! Refuses to know: which of the two is right.

use super::reader::Reader;
use crate::store::Fault;
use crate::store::base::{Lent, on};
use crate::store::postgres::Session;
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};

/// Stands between the values of a row; nothing that the views hold contains it.
const GAP: char = '\u{1f}';

/// Rows that are read at a time.
const SLICE: usize = 5_000;

/// Not the migrations' own table, which says when they ran, nor SQLite's.
const OURS: &str = "name NOT GLOB '__diesel*' AND name NOT GLOB 'sqlite_*'";

/// The first place where two views differ: the table, the key, the column, and what stands there
/// in the first and in the second. The cursor is compared first: views of different entries differ in
/// much. Each is looked at as of one moment.
pub fn difference(a: &Reader, b: &Reader) -> Result<Option<String>, Fault> {
    a.once(|a| {
        let mut a = Side(a);
        a.execute("begin to compare", "BEGIN")?;
        let found = b.once(|b| {
            let mut b = Side(b);
            b.execute("begin to compare", "BEGIN")?;
            // After a fault the connection is not used again, so its transaction ends with it.
            let found = compare(&mut a, &mut b)?;
            b.execute("end comparing", "COMMIT")?;
            Ok(found)
        })?;
        a.execute("end comparing", "COMMIT")?;
        Ok(found)
    })
}

fn compare(a: &mut Side<'_>, b: &mut Side<'_>) -> Result<Option<String>, Fault> {
    let (tables, others) = (a.tables()?, b.tables()?);
    if tables != others || (a.is_file() && b.is_file() && a.statements()? != b.statements()?) {
        return Ok(Some("the schema".into()));
    }
    for table in tables {
        let found = table.first_difference(a, b)?;
        if found.is_some() {
            return Ok(found);
        }
    }
    if let Some(what) = a.wrong_index()? {
        return Ok(Some(format!("{what} (in the first)")));
    }
    Ok(b.wrong_index()?.map(|what| format!("{what} (in the second)")))
}

/// One of the two.
struct Side<'a>(Lent<'a>);

impl Side<'_> {
    fn is_file(&self) -> bool {
        matches!(self.0, Lent::Sqlite(_))
    }

    fn execute(&mut self, doing: &'static str, what: &str) -> Result<(), Fault> {
        self.0.run(doing, |link| on!(link, c => c.batch_execute(what)))
    }

    fn texts(&mut self, query: &str) -> Result<Vec<String>, Fault> {
        self.0.run("read the schema", |link| on!(link, c => diesel::dsl::sql::<Text>(query).load(c)))
    }

    /// What a file's tables and indexes were made by.
    fn statements(&mut self) -> Result<Vec<String>, Fault> {
        self.texts(&format!("SELECT name || ' ' || sql FROM sqlite_schema WHERE {OURS} ORDER BY name"))
    }

    /// The tables, the cursor first.
    fn tables(&mut self) -> Result<Vec<Table>, Fault> {
        let names = match &self.0 {
            Lent::Sqlite(_) => {
                format!("SELECT name FROM sqlite_schema WHERE type = 'table' AND {OURS}")
            }
            Lent::Postgres(_) => "SELECT table_name::text FROM information_schema.tables \
                                  WHERE table_schema = 'views' AND left(table_name, 8) <> '__diesel'"
                .into(),
        };
        let mut names = self.texts(&names)?;
        names.sort_by(|a, b| (a != "cursor", a).cmp(&(b != "cursor", b)));
        names.into_iter().map(|name| self.table(name)).collect()
    }

    fn table(&mut self, name: String) -> Result<Table, Fault> {
        let (key, mut rest) = match &self.0 {
            Lent::Sqlite(_) => {
                let of = |which| {
                    format!("SELECT name FROM pragma_table_info('{name}') WHERE {which} ORDER BY pk, cid")
                };
                (self.texts(&of("pk > 0"))?, self.texts(&of("pk = 0"))?)
            }
            Lent::Postgres(_) => {
                let key = format!(
                    "SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(n, at) \
                     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.n \
                     WHERE i.indisprimary AND i.indrelid = 'views.{name}'::regclass ORDER BY k.at"
                );
                let all = format!(
                    "SELECT column_name::text FROM information_schema.columns \
                     WHERE table_schema = 'views' AND table_name = '{name}'"
                );
                let key = self.texts(&key)?;
                let rest = self.texts(&all)?.into_iter().filter(|column| !key.contains(column));
                let rest: Vec<String> = rest.collect();
                (key, rest)
            }
        };
        rest.sort();
        Ok(Table { name, key: key.len(), columns: [key, rest].concat() })
    }

    /// How a value is written, so that the same value is the same text wherever it comes from.
    fn quoted(&mut self, table: &Table) -> Result<Vec<String>, Fault> {
        let Lent::Postgres(_) = &self.0 else {
            return Ok(table.columns.iter().map(|column| format!("quote(\"{column}\")")).collect());
        };
        let mut quoted = vec![];
        for column in &table.columns {
            let of = format!(
                "SELECT data_type::text FROM information_schema.columns WHERE table_schema = 'views' \
                 AND table_name = '{}' AND column_name = '{column}'",
                table.name
            );
            let value = match self.texts(&of)?.first().map(String::as_str) {
                Some("text") => format!("'''' || replace(\"{column}\", '''', '''''') || ''''"),
                Some("bytea") => format!("'X''' || upper(encode(\"{column}\", 'hex')) || ''''"),
                Some("boolean") => format!("(\"{column}\"::integer)::text"),
                _ => format!("\"{column}\"::text"),
            };
            quoted.push(format!("coalesce({value}, 'NULL')"));
        }
        Ok(quoted)
    }

    /// All rows of a table in the order of the key, each as one text that shows its values and their types; as
    /// bytes, since a damaged text need not be one.
    fn rows(&mut self, table: &Table) -> Result<Rows<'_>, Fault> {
        let quoted = self.quoted(table)?;
        let key = table.columns.iter().take(table.key);
        let order = key.map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let name = &table.name;
        if let Lent::Postgres(_) = &self.0 {
            let values = quoted.join(" || chr(31) || ");
            let query = format!(
                "CLOSE ALL; DECLARE compared NO SCROLL CURSOR FOR SELECT convert_to({values}, 'UTF8') \
                 FROM \"{name}\" ORDER BY {order}"
            );
            self.execute(COMPARE, &query)?;
        }
        match &mut self.0 {
            Lent::Sqlite(file) => {
                let values = quoted.join(" || char(31) || ");
                let query = format!("SELECT CAST({values} AS BLOB) FROM \"{name}\" ORDER BY {order}");
                let named = file.named().clone();
                let broken = move |e| named.fault(COMPARE, e);
                let rows = diesel::dsl::sql::<Binary>(&query);
                let rows = rows.load_iter::<Vec<u8>, DefaultLoadingMode>(&mut file.connection);
                Ok(Box::new(rows.map_err(broken.clone())?.map(move |row| row.map_err(broken.clone()))))
            }
            Lent::Postgres(session) => {
                Ok(Box::new(Fetched { session, slice: vec![].into_iter(), over: false }))
            }
        }
    }

    /// Where an index of a file does not say what its table says. Reading the tables in order did not look at
    /// them.
    fn wrong_index(&mut self) -> Result<Option<String>, Fault> {
        if !self.is_file() {
            return Ok(None);
        }
        let tables = format!("SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'index' AND {OURS}");
        for table in self.texts(&tables)? {
            let check = format!("SELECT integrity_check FROM pragma_integrity_check('{table}')");
            if let Some(what) = self.texts(&check)?.into_iter().find(|said| said != "ok") {
                return Ok(Some(format!("{table}, {what}")));
            }
        }
        Ok(None)
    }
}

type Rows<'a> = Box<dyn Iterator<Item = Result<Vec<u8>, Fault>> + 'a>;

const COMPARE: &str = "compare a table";

/// Rows of a cursor on the server, which are fetched a slice at a time.
struct Fetched<'a> {
    session: &'a mut Session,
    slice: std::vec::IntoIter<Vec<u8>>,
    over: bool,
}

impl Iterator for Fetched<'_> {
    type Item = Result<Vec<u8>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.slice.len() == 0 && !self.over {
            let fetch = format!("FETCH {SLICE} FROM compared");
            let fetched =
                self.session.run(COMPARE, |c| diesel::dsl::sql::<Binary>(&fetch).load::<Vec<u8>>(c));
            match fetched {
                Ok(slice) => {
                    self.over = slice.len() < SLICE;
                    self.slice = slice.into_iter();
                }
                Err(fault) => {
                    self.over = true;
                    return Some(Err(fault));
                }
            }
        }
        self.slice.next().map(Ok)
    }
}

/// A table: its name, its columns, and how many of those are the key's, which come first; the others by name.
#[derive(PartialEq, Eq)]
struct Table {
    name: String,
    key: usize,
    columns: Vec<String>,
}

impl Table {
    fn first_difference(&self, a: &mut Side<'_>, b: &mut Side<'_>) -> Result<Option<String>, Fault> {
        let (mut a, mut b) = (a.rows(self)?, b.rows(self)?);
        loop {
            match (a.next().transpose()?, b.next().transpose()?) {
                (None, None) => return Ok(None),
                (Some(row), None) => {
                    return Ok(Some(format!("{}, only in the first", self.place(&text(&row)))));
                }
                (None, Some(row)) => {
                    return Ok(Some(format!("{}, only in the second", self.place(&text(&row)))));
                }
                (Some(row), Some(other)) if row != other => return Ok(Some(self.describe(&row, &other))),
                _ => {}
            }
        }
    }

    /// Where two rows that should be the same differ.
    fn describe(&self, a: &[u8], b: &[u8]) -> String {
        let (a, b) = (&text(a), &text(b));
        let values = a.split(GAP).zip(b.split(GAP)).zip(&self.columns);
        let differs = values.enumerate().find(|(_, ((a, b), _))| a != b);
        match differs {
            Some((at, ((was, is), column))) if at >= self.key => {
                format!("{}, {column}: {was} against {is}", self.place(a))
            }
            _ => format!("{}: {} against {}", self.name, self.key(a), self.key(b)),
        }
    }

    fn place(&self, row: &str) -> String {
        format!("{} {}", self.name, self.key(row))
    }

    fn key(&self, row: &str) -> String {
        row.split(GAP).take(self.key).collect::<Vec<_>>().join(" ")
    }
}

fn text(row: &[u8]) -> String {
    String::from_utf8_lossy(row).into_owned()
}
