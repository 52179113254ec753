//! JSON that keeps its members in order, and every small way to change it.

/// A tree of JSON; scalars other than texts stay as they are written.
#[derive(Clone, PartialEq, Debug)]
pub enum Json {
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Reads canonical JSON.
pub fn parse(bytes: &[u8]) -> Json {
    let text = std::str::from_utf8(bytes).expect("text");
    let (tree, rest) = value(text);
    assert!(rest.is_empty(), "{rest}");
    tree
}

fn value(text: &str) -> (Json, &str) {
    match text.as_bytes()[0] {
        b'{' => {
            let (mut members, mut rest) = (vec![], &text[1..]);
            while !rest.starts_with('}') {
                let (name, after) = string(rest.trim_start_matches(','));
                let (member, after) = value(after.strip_prefix(':').expect("a colon"));
                members.push((name, member));
                rest = after;
            }
            (Json::Object(members), &rest[1..])
        }
        b'[' => {
            let (mut items, mut rest) = (vec![], &text[1..]);
            while !rest.starts_with(']') {
                let (item, after) = value(rest.trim_start_matches(','));
                items.push(item);
                rest = after;
            }
            (Json::List(items), &rest[1..])
        }
        b'"' => {
            let (string, rest) = string(text);
            (Json::Text(string), rest)
        }
        _ => {
            let end = text.find([',', ']', '}']).unwrap_or(text.len());
            (Json::Plain(text[..end].into()), &text[end..])
        }
    }
}

/// A text with its escapes as they stand.
fn string(text: &str) -> (String, &str) {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let end = end.expect("an end") + 1;
    (text[1..end].into(), &text[end + 1..])
}

pub fn write(tree: &Json) -> Vec<u8> {
    fn put(tree: &Json, out: &mut String) {
        let (open, close) = match tree {
            Json::Plain(text) => return out.push_str(text),
            Json::Text(text) => return out.push_str(&format!("\"{text}\"")),
            Json::List(_) => ('[', ']'),
            Json::Object(_) => ('{', '}'),
        };
        out.push(open);
        let begin = out.len();
        let comma = |out: &mut String| {
            if out.len() > begin {
                out.push(',');
            }
        };
        match tree {
            Json::List(items) => items.iter().for_each(|item| {
                comma(out);
                put(item, out);
            }),
            Json::Object(members) => members.iter().for_each(|(name, member)| {
                comma(out);
                out.push_str(&format!("\"{name}\":"));
                put(member, out);
            }),
            _ => {}
        }
        out.push(close);
    }
    let mut out = String::new();
    put(tree, &mut out);
    out.into_bytes()
}

/// Calls `each` with every text that is a value.
pub fn texts(tree: &mut Json, each: &mut dyn FnMut(&mut String)) {
    match tree {
        Json::Plain(_) => {}
        Json::Text(text) => each(text),
        Json::List(items) => items.iter_mut().for_each(|item| texts(item, each)),
        Json::Object(members) => members.iter_mut().for_each(|(_, member)| texts(member, each)),
    }
}

/// Every tree that differs in one place: a number one higher, one lower or of the other sign, a text with
/// another letter in it, a flag turned, an item or member gone, an item standing twice, a member null.
pub fn altered(tree: &Json) -> Vec<Json> {
    match tree {
        Json::Plain(text) => plain(text).into_iter().map(Json::Plain).collect(),
        Json::Text(text) => other_letters(text).into_iter().map(Json::Text).collect(),
        Json::List(items) => {
            let mut all = vec![];
            for at in 0..items.len() {
                let mut gone = items.clone();
                gone.remove(at);
                let mut twice = items.clone();
                twice.insert(at, items[at].clone());
                all.extend([Json::List(gone), Json::List(twice)]);
                all.extend(altered(&items[at]).into_iter().map(|item| {
                    let mut items = items.clone();
                    items[at] = item;
                    Json::List(items)
                }));
            }
            all
        }
        Json::Object(members) => {
            let mut all = vec![];
            for at in 0..members.len() {
                let mut gone = members.clone();
                gone.remove(at);
                all.push(Json::Object(gone));
                let null = std::iter::once(Json::Plain("null".into()));
                all.extend(altered(&members[at].1).into_iter().chain(null).map(|member| {
                    let mut members = members.clone();
                    members[at].1 = member;
                    Json::Object(members)
                }));
            }
            all
        }
    }
}

fn plain(text: &str) -> Vec<String> {
    match text {
        "true" => vec!["false".into()],
        "false" => vec!["true".into()],
        "null" => vec!["0".into()],
        number => {
            let n: i64 = number.parse().expect("an integer");
            [n + 1, n - 1, -n, 0].iter().filter(|m| **m != n).map(i64::to_string).collect()
        }
    }
}

/// Another last letter, and another first one behind a prefix such as `ac_`.
fn other_letters(text: &str) -> Vec<String> {
    let other = |b: u8| {
        if b.is_ascii_digit() {
            if b == b'1' { '2' } else { '1' }
        } else if b == b'A' {
            'B'
        } else {
            'A'
        }
    };
    let places = [text.len().checked_sub(1), Some(3), Some(5)];
    let mut all: Vec<String> = places
        .into_iter()
        .flatten()
        .filter(|at| *at < text.len() && text.is_char_boundary(*at) && text.is_char_boundary(at + 1))
        .map(|at| format!("{}{}{}", &text[..at], other(text.as_bytes()[at]), &text[at + 1..]))
        .filter(|t| t != text)
        .collect();
    all.dedup();
    all
}
