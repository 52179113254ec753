//! Tidy: the rules of the house, as tests.
//!
//! Owns: the order of folders, and what may not stand where. Every rule is one function from a file to
//! what is wrong with it, with samples that it must catch and samples that it must let pass.
//! Promises: a rule that no longer catches its own violation fails.
//! Refuses to know: what clippy and the compiler already hold.

use std::path::Path;

/// A folder imports only folders listed before it.
const FOLDERS: &[&str] = &[
    "types",
    "sign",
    "log",
    "book",
    "network",
    "prices",
    "points",
    "payments",
    "clearing",
    "machine",
    "formats",
    "config",
    "clock",
    "telemetry",
    "store",
    "vault",
    "views",
    "tiles",
    "cache",
    "engine",
    "reading",
    "banking",
    "peers",
    "api",
    "console",
    "app",
    "cli",
];

/// The last of the pure folders.
const LAST_PURE: &str = "formats";

/// Most lines of a file.
const MOST_LINES: usize = 600;

/// A file as the rules see it.
struct File {
    /// Relative to the repository, with slashes.
    path: String,
    text: String,
    /// Rust without comments and without what stands between quotes; lines kept.
    code: String,
}

impl File {
    fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") { strip(text) } else { String::new() };
        Self { path: path.into(), text: text.into(), code }
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The first name under `src`: `src/log/tree.rs` and `src/log.rs` are both of `log`.
    fn folder(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    fn is_pure(&self) -> bool {
        let last = FOLDERS.iter().position(|f| *f == LAST_PURE).expect("listed");
        self.folder().and_then(|f| FOLDERS.iter().position(|g| *g == f)).is_some_and(|at| at <= last)
    }

    /// The file without the tests at its end.
    fn without_tests(&self) -> Self {
        Self::new(&self.path, self.text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default())
    }

    /// Every place where one of the words stands in the code, as findings.
    fn words(&self, words: &[&str], why: &str) -> Vec<String> {
        let lines = self.code.lines().enumerate();
        let found = |line: &str| words.iter().find(|word| has_word(line, word)).copied();
        lines
            .filter_map(|(at, line)| found(line).map(|word| self.finding(at, &format!("{word}: {why}"))))
            .collect()
    }

    fn finding(&self, line: usize, what: &str) -> String {
        format!("{}:{}: {what}", self.path, line + 1)
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `word` stands in the line and is not a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open = word.ends_with(is_name);
        !(before.is_some_and(is_name) || open && after.is_some_and(is_name))
    })
}

/// Blanks comments, texts and characters out of Rust.
fn strip(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_blank(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment, text or character that begins here ends; `at` itself if none begins.
fn end_of_blank(chars: &[char], at: usize) -> usize {
    let rest = &chars[at..];
    let in_name = at > 0 && is_name(chars[at - 1]);
    match rest {
        ['/', '/', ..] => at + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len()),
        ['/', '*', ..] => at + end_of_comment(rest),
        ['"', ..] => at + end_of_text(rest, 1),
        ['b', '"', ..] if !in_name => at + end_of_text(rest, 2),
        ['b', 'r', '"' | '#', ..] if !in_name => at + end_of_raw(rest, 2),
        ['r', '"' | '#', ..] if !in_name => at + end_of_raw(rest, 1),
        ['\'', '\\', ..] => at + 3 + rest[3..].iter().position(|c| *c == '\'').unwrap_or(0) + 1,
        ['\'', _, '\'', ..] => at + 3,
        _ => at,
    }
}

fn end_of_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at + 1 < rest.len() {
        match (rest[at], rest[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn end_of_text(rest: &[char], mut at: usize) -> usize {
    while at < rest.len() && rest[at] != '"' {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

fn end_of_raw(rest: &[char], prefix: usize) -> usize {
    let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
    if rest.get(prefix + hashes) != Some(&'"') {
        return 0; // a raw name such as r#type
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let from = prefix + hashes + 1;
    let found = rest[from..].windows(close.len()).position(|window| window == close);
    found.map_or(rest.len(), |place| from + place + close.len())
}

/// The folders that code names after `crate::`.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (at, _) in code.match_indices("crate::") {
        let line = code[..at].matches('\n').count();
        let rest = code[at + "crate::".len()..].trim_start();
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group).into_iter().map(|name| (line, name))),
            None => {
                let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
                if !rest[name.len()..].starts_with('!') {
                    found.push((line, name));
                }
            }
        }
    }
    found
}

/// The first name of each path in a group of imports, up to its closing brace.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut head, mut heads) = (0, String::new(), vec![]);
    let mut reading = true;
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.push(std::mem::take(&mut head));
                reading = true;
            }
            c if reading && is_name(c) => head.push(c),
            c if !c.is_whitespace() => reading = false,
            _ => {}
        }
    }
    heads.push(head);
    heads.retain(|head| !head.is_empty());
    heads
}

fn order(file: &File) -> Vec<String> {
    let Some(folder) = file.folder() else { return vec![] };
    let place = |name: &str| FOLDERS.iter().position(|f| *f == name);
    let Some(own) = place(folder) else {
        return vec![file.finding(0, &format!("src/{folder} has no place in the order of folders"))];
    };
    let wrong = |(line, name): (usize, String)| match place(&name) {
        Some(at) if at <= own => None,
        Some(_) => Some(file.finding(line, &format!("{folder} comes before {name} and may not import it"))),
        None => Some(file.finding(line, &format!("{name} is no folder of the house"))),
    };
    imports(&file.code).into_iter().filter_map(wrong).collect()
}

fn clock(file: &File) -> Vec<String> {
    if file.folder().is_none_or(|folder| folder == "clock") {
        return vec![];
    }
    let mut found =
        file.words(&["SystemTime", "Utc::now", "Local::now", "UNIX_EPOCH"], "src/clock.rs tells the time");
    if file.is_pure() {
        found.extend(file.words(&["Instant", "Local"], "time is an argument"));
    }
    found
}

fn floats(file: &File) -> Vec<String> {
    if !file.is_pure() {
        return vec![];
    }
    // A test may show that a float is refused.
    let file = &file.without_tests();
    let mut found = file.words(&["f32", "f64"], "no floats in pure code");
    for (at, line) in file.code.lines().enumerate() {
        let chars: Vec<char> = line.chars().collect();
        let point = |i: usize| {
            let digits = chars[..i].iter().rev().take_while(|c| c.is_ascii_digit()).count();
            let before = (i - digits).checked_sub(1).map(|b| chars[b]);
            let after = chars.get(i + 1).is_some_and(char::is_ascii_digit);
            // `lot.0.1` is a member of a member, `x1.0` a member of a name.
            digits > 0 && after && !before.is_some_and(|c| c == '.' || is_name(c))
        };
        if (0..chars.len()).any(|i| chars[i] == '.' && point(i)) {
            found.push(file.finding(at, "a float in pure code"));
        }
    }
    found
}

fn hash_order(file: &File) -> Vec<String> {
    let words = ["HashMap", "HashSet", "RandomState"];
    if file.is_pure() { file.words(&words, "the order of a hash map is chance") } else { vec![] }
}

fn outside(file: &File) -> Vec<String> {
    // Tests may read their vectors; the code itself may not.
    if !file.is_pure() || file.path.ends_with("/vectors.rs") {
        return vec![];
    }
    let words = [
        "std::fs",
        "std::net",
        "std::io",
        "std::process",
        "std::thread",
        "tokio",
        "rand",
        "println!",
        "eprintln!",
    ];
    file.without_tests().words(&words, "pure code has no outside")
}

fn header(file: &File) -> Vec<String> {
    let wanted = file.is_rust() && !file.text.starts_with("//! ");
    if wanted { vec![file.finding(0, "a file opens with a //! header")] } else { vec![] }
}

fn length(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let long = file.is_rust() && lines > MOST_LINES;
    if long { vec![file.finding(lines, &format!("{lines} lines; at most {MOST_LINES}"))] } else { vec![] }
}

fn unfinished(file: &File) -> Vec<String> {
    let mut found = file.words(&["todo!", "unimplemented!", "dbg!"], "unfinished");
    found.extend(
        file.words(&["#[ignore", "#[allow(unused", "#[allow(dead_code"], "a test runs, code is used"),
    );
    found
}

fn database(file: &File) -> Vec<String> {
    let Some(folder) = file.folder() else { return vec![] };
    let mut found = vec![];
    if !matches!(folder, "store" | "vault" | "views") {
        let words = ["diesel", "diesel_async", "diesel_migrations", "libsqlite3_sys"];
        found.extend(file.words(&words, "the database is for store, vault and views"));
    }
    if folder != "store" {
        let words = ["tokio_postgres", "tokio_postgres_rustls"];
        found.extend(file.words(&words, "the way to PostgreSQL is for the store"));
    }
    if !matches!(folder, "store" | "peers") {
        let words = ["rustls", "hyper", "hyper_util", "hyper_rustls", "rcgen"];
        found.extend(
            file.words(&words, "the way to the database is for the store, to other nodes for the peers"),
        );
    }
    if folder != "cache" {
        // A setting may have that name; the crate is named before two colons, or imported.
        found.extend(file.words(&["redis::", "use redis", "extern crate redis"], "Redis is for the cache"));
    }
    found
}

/// Texts that only make sense on one machine, written so that this file does not hold them itself.
fn machine_words() -> Vec<String> {
    let joined =
        [["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"], ["/wo", "rk/"], ["../sha", "red"], ["C:", "\\"]];
    let hosts = [["pypi", ".org"], ["npmjs", ".org"], ["npmjs", ".com"], ["pythonhosted", ".org"]];
    joined.iter().chain(&hosts).map(|halves| halves.concat()).collect()
}

fn machines(file: &File) -> Vec<String> {
    let words = machine_words();
    let starts = |line: &str, word: &String| {
        // In the middle of a longer path a word is no path of a machine.
        let own = |at: usize| {
            !word.starts_with('/') || !line[..at].chars().next_back().is_some_and(|c| is_name(c) || c == '.')
        };
        line.match_indices(word.as_str()).any(|(at, _)| own(at))
    };
    let lines = file.text.lines().enumerate();
    let found =
        lines.filter_map(|(at, line)| words.iter().find(|w| starts(line, w)).map(|w| file.finding(at, w)));
    found.map(|finding| finding + ": the name of a machine or registry").collect()
}

/// Every file that belongs to the repository.
fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![];
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder can be read") {
            let entry = entry.expect("an entry");
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let ignored = matches!(name.as_str(), ".git" | "target" | "node_modules" | "__pycache__")
                || name.starts_with(".venv")
                || path == root.join("data");
            if ignored {
                continue;
            }
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let inside = path.strip_prefix(root).expect("inside").to_string_lossy().replace('\\', "/");
                files.push(File::new(&inside, &text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Holds all files to a rule, after the rule has shown that it catches and lets pass.
fn hold(rule: fn(&File) -> Vec<String>, catches: &[(&str, &str)], passes: &[(&str, &str)]) {
    for (path, text) in catches {
        assert!(!rule(&File::new(path, text)).is_empty(), "the rule does not catch {path}: {text}");
    }
    for (path, text) in passes {
        let found = rule(&File::new(path, text));
        assert!(found.is_empty(), "the rule catches {path}: {text}: {found:?}");
    }
    let files = files();
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the files are there");
    let found: Vec<String> = files.iter().flat_map(rule).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn a_folder_imports_only_folders_before_it() {
    let catches = [
        ("src/types/a.rs", "use crate::log::Slot;"),
        ("src/book/a.rs", "use crate::{types::Hash, machine::{Kind, decide}};"),
        ("src/log/a.rs", "fn f() { crate::points::issue() }"),
        ("src/prices.rs", "use crate::points;"),
        ("src/log/a.rs", "use crate::newcomer;"),
        ("src/newcomer/a.rs", ""),
        ("src/engine/a.rs", "use crate :: api::Page; use crate::api;"),
    ];
    let passes = [
        ("src/machine/a.rs", "use crate::{points, types::{Hash, Kid}};\nuse crate::machine::Kind;"),
        ("src/log/a.rs", "// crate::points\nconst A: &str = \"crate::points\";"),
        ("src/lib.rs", "pub use crate::cli;"),
        ("src/types/id.rs", "crate::text_id!(A);"),
    ];
    hold(order, &catches, &passes);
}

#[test]
fn only_the_clock_tells_the_time() {
    let catches = [
        ("src/engine/a.rs", "let now = SystemTime::now();"),
        ("src/api/a.rs", "chrono::Utc::now()"),
        ("src/points/a.rs", "let t = Instant::now();"),
        ("src/log/a.rs", "use std::time::Instant;"),
    ];
    let passes = [
        ("src/clock.rs", "SystemTime::now()"),
        ("src/engine/a.rs", "Instant::now()"),
        ("src/log/a.rs", "/// An Instant.\nfn push_instant() {}"),
    ];
    hold(clock, &catches, &passes);
}

#[test]
fn pure_code_has_no_floats() {
    let catches = [
        ("src/types/a.rs", "fn f(x: f64) {}"),
        ("src/prices/a.rs", "let x = 0.5;"),
        ("src/prices/a.rs", "let x = (1.25, 2);"),
    ];
    let passes = [
        ("src/api/a.rs", "let x: f64 = 0.5;"),
        ("src/book/a.rs", "let x = lot.0.0; let y = 0..5; let z = t1.0.1; // 0.5"),
        ("src/sign/a.rs", "fn visit_f64() {} // f64\n#[cfg(test)]\nmod tests { const F: f64 = 0.5; }"),
    ];
    hold(floats, &catches, &passes);
}

#[test]
fn pure_code_has_no_hash_order() {
    let catches =
        [("src/book/a.rs", "use std::collections::HashMap;"), ("src/log/a.rs", "let s: HashSet<u8>;")];
    let passes = [
        ("src/engine/a.rs", "use hashbrown::HashMap;"),
        ("src/book/a.rs", "use std::collections::BTreeMap;"),
    ];
    hold(hash_order, &catches, &passes);
}

#[test]
fn pure_code_has_no_outside() {
    let catches = [
        ("src/log/a.rs", "std::fs::read(\"a\")"),
        ("src/points/a.rs", "let x: u8 = rand::random();"),
        ("src/points/a.rs", "println!(\"a\");"),
    ];
    let passes = [
        ("src/log/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { std::fs::read(\"a\"); } }"),
        ("src/store/a.rs", "std::fs::read(\"a\")"),
        ("src/log/a.rs", "let random = operand;"),
    ];
    hold(outside, &catches, &passes);
}

#[test]
fn every_file_opens_with_a_header() {
    let catches = [("src/log/a.rs", "use x;\n//! Late."), ("tests/a.rs", "// Not one.")];
    let passes = [("src/log/a.rs", "//! What it owns."), ("README.md", "# Hello")];
    hold(header, &catches, &passes);
}

#[test]
fn no_file_is_too_long() {
    let (long, short) = ("x\n".repeat(MOST_LINES + 1), "x\n".repeat(MOST_LINES));
    hold(length, &[("src/a.rs", &long)], &[("src/a.rs", &short), ("Cargo.lock", &long)]);
}

#[test]
fn nothing_is_unfinished() {
    let catches = [
        ("src/a.rs", "fn f() { todo!() }"),
        ("src/a.rs", "unimplemented!(\"later\")"),
        ("tests/a.rs", "dbg!(x);"),
        ("tests/a.rs", "#[test]\n#[ignore]\nfn f() {}"),
        ("tests/a.rs", "#[ignore = \"slow\"]"),
    ];
    let passes = [("src/a.rs", "// todo!()\nlet x = \"dbg!\"; let y = r#\"#[ignore] \"x\" todo!\"#;")];
    hold(unfinished, &catches, &passes);
}

#[test]
fn the_database_stays_in_its_folders() {
    let catches = [
        ("src/engine/a.rs", "use diesel::prelude::*;"),
        ("src/api/a.rs", "fn f() { redis::Client::open(x) }"),
        ("src/store/a.rs", "use redis::Commands;"),
        ("src/engine/a.rs", "use diesel_async::AsyncPgConnection;"),
        ("src/views/a.rs", "use tokio_postgres::Config;"),
        ("src/api/a.rs", "use hyper::Request;"),
        ("src/app/a.rs", "use rustls::ServerConfig;"),
    ];
    let passes =
        [("src/views/a.rs", "use diesel::prelude::*;"), ("src/cache/redis.rs", "use redis::Commands;")];
    hold(database, &catches, &passes);
}

#[test]
fn no_file_names_a_machine() {
    let samples: Vec<String> = machine_words().iter().map(|word| format!("see {word}x")).collect();
    let catches: Vec<(&str, &str)> = samples.iter().map(|text| ("docs/a.md", text.as_str())).collect();
    let inside: Vec<String> = machine_words()
        .iter()
        .filter(|word| word.starts_with('/'))
        .map(|word| format!("cargo run; see the network{word} folder, /tmp and /usr/bin/env"))
        .collect();
    let passes: Vec<(&str, &str)> = inside.iter().map(|text| ("README.md", text.as_str())).collect();
    hold(machines, &catches, &passes);
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "a /* b /* c */ d */ e \"f\\\"g\" h 'i' j '\\'' k r#\"l\"# m b\"n\" 'o: p // q\nr";
    let words: Vec<String> = strip(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, ["a", "e", "h", "j", "k", "m", "'o:", "p", "r"]);
    assert_eq!(strip(text).lines().count(), text.lines().count());
}
