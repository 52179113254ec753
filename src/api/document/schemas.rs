//! Schemas: made plainer than they are derived.
//!
//! Owns: what derivation writes too loosely or too long.
//! Promises: what it leaves out is never sent and not wanted.
//! Refuses to know: single schemas, but for the one sum type that bodies have.

use super::fields::reference;
use serde_json::{Map, Value, json};

/// Makes all schemas plainer.
pub fn tidy(schemas: &mut Map<String, Value>) {
    schemas.values_mut().for_each(without_null);
    name_variants(schemas, "Expiry");
    let names: Vec<String> = schemas.keys().cloned().collect();
    for name in names {
        let Some(of) = name.strip_prefix("Page_") else { continue };
        if schemas.contains_key(of)
            && let Some(items) = schemas.get_mut(&name).and_then(|page| page.pointer_mut("/properties/items"))
        {
            items["items"] = reference("schemas", of);
        }
    }
}

/// What is absent is left out, never `null`.
fn without_null(schema: &mut Value) {
    let null = json!({"type": "null"});
    if let Some(members) = schema.as_object_mut() {
        if let Some(Value::Array(types)) = members.get("type")
            && let [one, Value::String(last)] = types.as_slice()
            && last == "null"
        {
            let one = one.clone();
            members.insert("type".into(), one);
        }
        if let Some(Value::Array(choices)) = members.get("oneOf")
            && let Some(Value::Object(one)) = choices.iter().find(|choice| **choice != null)
            && choices.len() == 2
            && choices.contains(&null)
        {
            let one = one.clone();
            members.remove("oneOf");
            members.extend(one);
        }
        members.values_mut().for_each(without_null);
    }
    schema.as_array_mut().into_iter().flatten().for_each(without_null);
}

/// Gives the variants of a sum type names of their own, and no members but those that are named: generators of
/// clients make a type of each.
fn name_variants(schemas: &mut Map<String, Value>, of: &str) {
    let Some(mut sum) = schemas.remove(of) else { return };
    close(&mut sum);
    for variant in sum["oneOf"].as_array_mut().into_iter().flatten() {
        let Some(members) = variant.get_mut("properties").and_then(Value::as_object_mut) else { continue };
        let Some((tag, inner)) = members.iter_mut().next() else { continue };
        let mut letters = tag.chars();
        let name: String = letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        let name = format!("{of}{name}");
        schemas.insert(name.clone(), std::mem::replace(inner, reference("schemas", &name)));
    }
    schemas.insert(of.to_owned(), sum);
}

/// No members but those that are named.
fn close(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        if members.contains_key("properties") {
            members.insert("additionalProperties".into(), json!(false));
        }
        members.values_mut().for_each(close);
    }
    schema.as_array_mut().into_iter().flatten().for_each(close);
}

/// Joins the lines of each paragraph: where a comment's line ends means nothing to its reader.
pub fn one_line(value: &mut Value) {
    if let Some(members) = value.as_object_mut() {
        for (name, member) in members.iter_mut() {
            match member {
                Value::String(text) if name == "description" || name == "summary" => {
                    let paragraphs =
                        text.split("\n\n").map(|one| one.split('\n').collect::<Vec<_>>().join(" "));
                    *text = paragraphs.collect::<Vec<_>>().join("\n\n");
                }
                member => one_line(member),
            }
        }
    }
    value.as_array_mut().into_iter().flatten().for_each(one_line);
}
