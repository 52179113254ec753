//! Wrong places: reads a JSON body and says where it is not of the documented form.

use super::problem::{Code, Problem, Wrong};
use serde::de::DeserializeOwned;

/// Reads a body. What is wrong is named by a JSON pointer.
pub fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize(&mut json).map_err(|e| {
        let pointer = pointer(e.path());
        wrong(pointer, e.inner())
    })?;
    json.end().map_err(|e| wrong(String::new(), &e))?;
    Ok(read)
}

fn wrong(pointer: String, e: &serde_json::Error) -> Problem {
    let place = if pointer.is_empty() { "the body".to_owned() } else { pointer.clone() };
    let error = Wrong { pointer, detail: e.to_string() };
    Problem::about(Code::BodyInvalid, format!("{place}: {e}")).with_errors(vec![error])
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => text.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payments::Authorise;

    #[test]
    fn the_place_is_named() {
        let rows = [
            (r#"{"amount":-1}"#, "/amount"),
            (r#"{"amount":1,"currency":"USD","deadline":"x"}"#, "/deadline"),
            (r#"{"amount":1,"currency":"USD"}"#, ""),
            (r#"{"amount":1,"currency":"USD","deadline":1,"x/y":1}"#, "/x~1y"),
            (r#"{"amount":1,"currency":"USD","deadline":1} x"#, ""),
            ("", ""),
        ];
        for (body, place) in rows {
            let problem = read::<Authorise>(body.as_bytes()).expect_err(body);
            let text = serde_json::to_value(&problem).expect("JSON");
            assert_eq!(text["errors"][0]["pointer"], place, "{body}: {text}");
        }
    }
}
