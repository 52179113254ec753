//! The difference between two files of views, table by table, row by row.
//!
//! Owns: what counts as the same. Tables and columns are read from the schema, so none can be forgotten.
//! Promises: `None` means that every value of every row of both files is the same, its type included, and
//! that what is found through an index is what stands in its table.
//! Refuses to know: which of the two is right.

use super::reader::Reader;
use crate::store::Fault;
use crate::store::sqlite::file::File;
use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};
use diesel::sqlite::SqliteConnection;

/// Stands between the values of a row; nothing that the views hold contains it.
const GAP: char = '\u{1f}';

/// Not the migrations' own table, which says when they ran, nor SQLite's.
const OURS: &str = "name NOT GLOB '__diesel*' AND name NOT GLOB 'sqlite_*'";

/// The first place where two files of views differ: the table, the key, the column, and what stands there
/// in the first and in the second. The cursor is compared first: views of different entries differ in
/// much. Each file is looked at as of one moment.
pub fn difference(a: &Reader, b: &Reader) -> Result<Option<String>, Fault> {
    a.with(|a| b.with(|b| stand_still(a, |a| stand_still(b, |b| compare(a, b)))))
}

/// Works inside one read transaction.
fn stand_still<T>(file: &mut File, work: impl FnOnce(&mut File) -> Result<T, Fault>) -> Result<T, Fault> {
    file.run("begin to compare", |connection| connection.batch_execute("BEGIN"))?;
    // After a fault the connection is not used again, so its transaction ends with it.
    let answer = work(file)?;
    file.run("end comparing", |connection| connection.batch_execute("COMMIT"))?;
    Ok(answer)
}

fn compare(a: &mut File, b: &mut File) -> Result<Option<String>, Fault> {
    let schema = format!("SELECT name || ' ' || sql FROM sqlite_schema WHERE {OURS} ORDER BY name");
    if texts(a, &schema)? != texts(b, &schema)? {
        return Ok(Some("the schema".into()));
    }
    for table in tables(a)? {
        let found = table.first_difference(&mut a.connection, &mut b.connection);
        let found = found.map_err(|broken| match broken {
            Broken::First(e) => a.fault("compare a table", e),
            Broken::Second(e) => b.fault("compare a table", e),
        })?;
        if found.is_some() {
            return Ok(found);
        }
    }
    for (file, which) in [(a, "first"), (b, "second")] {
        if let Some(what) = wrong_index(file)? {
            return Ok(Some(format!("{what} (in the {which})")));
        }
    }
    Ok(None)
}

fn texts(file: &mut File, query: &str) -> Result<Vec<String>, Fault> {
    file.run("read the schema", |connection| diesel::dsl::sql::<Text>(query).load(connection))
}

fn tables(file: &mut File) -> Result<Vec<Table>, Fault> {
    let names = format!(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND {OURS} ORDER BY name <> 'cursor', name"
    );
    let names = texts(file, &names)?;
    names.into_iter().map(|name| Table::read(file, name)).collect()
}

/// A table: its name, its columns, and how many of those are the key's, which come first.
struct Table {
    name: String,
    key: usize,
    columns: Vec<String>,
}

/// Which of the two files could not be read.
enum Broken {
    First(diesel::result::Error),
    Second(diesel::result::Error),
}

impl Table {
    fn read(file: &mut File, name: String) -> Result<Self, Fault> {
        let of =
            |which| format!("SELECT name FROM pragma_table_info('{name}') WHERE {which} ORDER BY pk, cid");
        let (key, rest) = (texts(file, &of("pk > 0"))?, texts(file, &of("pk = 0"))?);
        Ok(Self { name, key: key.len(), columns: [key, rest].concat() })
    }

    /// All rows in the order of the key, each as one text that shows its values and their types; as bytes,
    /// since a damaged text need not be one.
    fn query(&self) -> String {
        let quoted: Vec<String> = self.columns.iter().map(|column| format!("quote(\"{column}\")")).collect();
        let (values, order) = (quoted.join(" || char(31) || "), self.columns.iter().take(self.key));
        let order: Vec<String> = order.map(|column| format!("\"{column}\"")).collect();
        format!("SELECT CAST({values} AS BLOB) FROM \"{}\" ORDER BY {}", self.name, order.join(", "))
    }

    fn first_difference(
        &self,
        a: &mut SqliteConnection,
        b: &mut SqliteConnection,
    ) -> Result<Option<String>, Broken> {
        let rows = || diesel::dsl::sql::<Binary>(&self.query());
        let mut a = rows().load_iter::<Vec<u8>, DefaultLoadingMode>(a).map_err(Broken::First)?;
        let mut b = rows().load_iter::<Vec<u8>, DefaultLoadingMode>(b).map_err(Broken::Second)?;
        loop {
            let row = a.next().transpose().map_err(Broken::First)?;
            let other = b.next().transpose().map_err(Broken::Second)?;
            match (row, other) {
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

/// Where an index does not say what its table says. Reading the tables in order did not look at them.
fn wrong_index(file: &mut File) -> Result<Option<String>, Fault> {
    let tables = format!("SELECT DISTINCT tbl_name FROM sqlite_schema WHERE type = 'index' AND {OURS}");
    for table in texts(file, &tables)? {
        let check = format!("SELECT integrity_check FROM pragma_integrity_check('{table}')");
        let found = file.run("check an index", |connection| {
            diesel::dsl::sql::<Text>(&check).load::<String>(connection)
        })?;
        if let Some(what) = found.into_iter().find(|said| said != "ok") {
            return Ok(Some(format!("{table}, {what}")));
        }
    }
    Ok(None)
}
