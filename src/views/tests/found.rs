//! Differences between tables and the log, whatever was changed, are found and named.

use super::*;

/// A value with one bit of each of its bytes changed, one after the other; a missing value appears.
fn flips(value: &str) -> Vec<String> {
    let each = |bytes: &[u8], form: &dyn Fn(String) -> String| -> Vec<String> {
        let flip = |at| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1u8 << (at % 8);
            form(data_encoding::HEXUPPER.encode(&bytes))
        };
        (0..bytes.len()).map(flip).collect()
    };
    let inside = |start| value.strip_prefix(start).map(|rest: &str| rest.trim_end_matches('\''));
    if value == "NULL" {
        return vec!["0".into(), "''".into()];
    }
    if let Some(digits) = inside("X'") {
        let bytes = data_encoding::HEXUPPER.decode(digits.as_bytes()).unwrap();
        return each(&bytes, &|hex| format!("X'{hex}'"));
    }
    if let Some(text) = inside("'") {
        let mut all = each(text.as_bytes(), &|hex| format!("CAST(X'{hex}' AS TEXT)"));
        all.push("'no such text'".into());
        return all;
    }
    let number: i64 = value.parse().unwrap();
    (0..8).map(|byte| (number ^ (1 << (8 * byte + byte % 8))).to_string()).collect()
}

/// Two files of the same views: the second is to be damaged through the connection, which has the first
/// at hand as `sound`.
struct Pair {
    _dirs: [tempfile::TempDir; 2],
    sound: Reader,
    damaged: Reader,
    file: File,
}

impl Pair {
    fn new() -> Self {
        let events = story().events;
        let ((dir, sound), (other, damaged)) = (told(&events), told(&events));
        let mut file = raw(other.path());
        let attach = format!(
            "PRAGMA ignore_check_constraints = ON; ATTACH '{}' AS sound",
            dir.path().join("views.sqlite").display()
        );
        file.connection.batch_execute(&attach).unwrap();
        assert_eq!(difference(&sound, &damaged).unwrap(), None);
        Self { _dirs: [dir, other], sound, damaged, file }
    }

    fn run(&mut self, sql: &str) -> bool {
        self.file.connection.batch_execute(sql).is_ok()
    }

    fn difference(&self) -> Option<String> {
        let (one, other) = (difference(&self.sound, &self.damaged), difference(&self.damaged, &self.sound));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.is_some(), other.is_some());
        one
    }

    fn repair(&mut self, table: &str) {
        assert!(self.run(&format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM sound.{table}")));
    }
}

#[test]
fn every_change_of_every_value_is_found() {
    let mut pair = Pair::new();
    for table in TABLES.split(' ') {
        let columns = columns(&mut pair.file.connection, table);
        let rows = texts(&mut pair.file.connection, &format!("SELECT '' FROM {table}")).len();
        assert!(rows > 0, "{table} has no rows");
        for column in &columns {
            let mut found = 0;
            for row in 0..rows {
                let values: Vec<String> = columns
                    .iter()
                    .map(|c| format!("SELECT quote({c}) FROM sound.{table} LIMIT 1 OFFSET {row}"))
                    .map(|query| texts(&mut pair.file.connection, &query).remove(0))
                    .collect();
                let this = columns.iter().zip(&values).map(|(column, value)| format!("{column} IS {value}"));
                let this = this.collect::<Vec<_>>().join(" AND ");
                let value = &values[columns.iter().position(|c| c == column).unwrap()];
                for flipped in flips(value) {
                    // A change that the schema itself refuses (a key twice, a null, a type) is none.
                    if !pair.run(&format!("UPDATE {table} SET {column} = {flipped} WHERE {this}")) {
                        continue;
                    }
                    let place = pair.difference();
                    let place = place.unwrap_or_else(|| panic!("{table}.{column}: {value} to {flipped}"));
                    assert!(place.starts_with(table), "{place}");
                    found += 1;
                    pair.repair(table);
                }
            }
            assert!(found > 0, "{table}.{column} was never changed");
        }
        assert_eq!(pair.difference(), None, "repaired");
    }
}

#[test]
fn a_difference_is_named() {
    let mut pair = Pair::new();
    assert!(pair.run("UPDATE movements SET balance = 51 WHERE id = 65537"));
    assert_eq!(pair.difference().as_deref(), Some("movements 65537, balance: 50 against 51"));
    assert!(pair.run("UPDATE flows SET what = 'lost' WHERE unit = 'KINO' AND what = 'issued'"));
    let place = "flows: 'KINO' '2026-01-01' 'issued' '' against 'KINO' '2026-01-01' 'lost' ''";
    assert_eq!(pair.difference().as_deref(), Some(place), "tables are compared by name");
    assert!(pair.run("UPDATE cursor SET seq = 5"));
    assert_eq!(pair.difference().as_deref(), Some("cursor 1, seq: 6 against 5"), "the cursor first");
}

#[test]
fn a_row_too_many_or_too_few_is_found() {
    let mut pair = Pair::new();
    for table in TABLES.split(' ') {
        assert!(pair.run(&format!("DELETE FROM {table}")));
        let place = pair.difference().unwrap();
        assert!(place.starts_with(table) && place.ends_with("only in the first"), "{place}");
        pair.repair(table);
    }
    assert!(pair.run("INSERT INTO heads VALUES (zeroblob(16), 1, 1, 1)"));
    assert!(pair.difference().unwrap().starts_with("heads"));
    pair.repair("heads");
    assert!(pair.run("CREATE TABLE stray (a)"));
    assert_eq!(pair.difference().as_deref(), Some("the schema"));
}

#[test]
fn an_index_that_lies_is_found() {
    let mut pair = Pair::new();
    // The index is made over changed rows, hidden while the rows are put right, and shown again.
    let hide = "PRAGMA writable_schema = ON; \
        CREATE TEMP TABLE hidden AS SELECT * FROM main.sqlite_schema WHERE name = 'payments_brand'; \
        DELETE FROM main.sqlite_schema WHERE name = 'payments_brand'; PRAGMA writable_schema = RESET";
    let show = "PRAGMA writable_schema = ON; \
        INSERT INTO main.sqlite_schema SELECT * FROM hidden; PRAGMA writable_schema = RESET";
    assert!(pair.run("UPDATE payments SET at = at + 1"));
    assert!(pair.run(hide) && pair.run("UPDATE payments SET at = at - 1"));
    assert_eq!(pair.difference().as_deref(), Some("the schema"), "without its index");
    assert!(pair.run(show));
    assert!(pair.difference().unwrap().starts_with("payments, row 1 missing from index payments_brand"));
}
