//! Queries: the parameters behind the path.
//!
//! Owns: how they are read. Promises: what is wrong is named by its parameter, in words of HTTP and not of this
//! program; no operation is reached with a parameter that its description does not name. Refuses to know: what they
//! mean.

use super::document::DOCUMENT;
use super::problem::{Code, Problem};
use crate::machine::Route;
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::OnceLock;

/// What a handler takes of a query.
pub struct Query<T>(T);

impl<T> Query<T> {
    /// The parameters.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Query<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(read(request.query_string()).map(Self))
    }
}

/// The parameters of each operation, as the document describes them.
fn described() -> &'static BTreeMap<String, Vec<String>> {
    static KNOWN: OnceLock<BTreeMap<String, Vec<String>>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        // Only what is asked about is read of it, so this takes no room worth mentioning.
        let Described { paths, components } = serde_json::from_str(DOCUMENT).unwrap_or_default();
        let of_query = |one: Parameter| match one {
            Parameter::Shared { to } => components.parameters.get(to.rsplit('/').next()?)?.of_query(),
            own => own.of_query(),
        };
        let operations = paths.into_values().flat_map(BTreeMap::into_values);
        let named = operations.map(|Operation { id, parameters }| {
            (id.into_owned(), parameters.into_iter().filter_map(of_query).collect())
        });
        named.collect()
    })
}

/// The part of the document that parameters are in.
#[derive(Deserialize, Default)]
struct Described<'a> {
    #[serde(borrow)]
    paths: BTreeMap<Cow<'a, str>, BTreeMap<Cow<'a, str>, Operation<'a>>>,
    #[serde(borrow)]
    components: Components<'a>,
}

#[derive(Deserialize, Default)]
struct Components<'a> {
    #[serde(borrow)]
    parameters: BTreeMap<Cow<'a, str>, Parameter<'a>>,
}

#[derive(Deserialize)]
struct Operation<'a> {
    #[serde(rename = "operationId", borrow)]
    id: Cow<'a, str>,
    #[serde(default, borrow)]
    parameters: Vec<Parameter<'a>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Parameter<'a> {
    Shared {
        #[serde(rename = "$ref", borrow)]
        to: Cow<'a, str>,
    },
    Own {
        #[serde(borrow)]
        name: Cow<'a, str>,
        #[serde(rename = "in", borrow)]
        place: Cow<'a, str>,
    },
}

impl Parameter<'_> {
    fn of_query(&self) -> Option<String> {
        match self {
            Self::Own { name, place } if place == "query" => Some(name.clone().into_owned()),
            _ => None,
        }
    }
}

/// Refuses a parameter that the operation does not know: what is misspelt would otherwise pass for left out, and a
/// `dry_run` that nobody looks at for one that was obeyed. The page for people takes what its browser makes of it.
pub fn known(route: &Route, query: &str) -> Result<(), Problem> {
    if query.is_empty() {
        return Ok(());
    }
    let Some(known) = described().get(route.id) else { return Ok(()) };
    let pairs = web::Query::<Vec<(String, String)>>::from_query(query).map(web::Query::into_inner);
    let pairs = pairs.map_err(|e| Problem::about(Code::QueryInvalid, e))?;
    match pairs.into_iter().find(|(name, _)| !known.contains(name)) {
        None => Ok(()),
        Some((name, _)) => {
            let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            let there = match known.as_slice() {
                [] => "it takes none".to_owned(),
                [one] => format!("there is {one}"),
                several => format!("there are {}", several.join(", ")),
            };
            Err(Problem::about(Code::QueryInvalid, format!("{name}: no such parameter here; {there}")))
        }
    }
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let read = web::Query::<T>::from_query(text).map(web::Query::into_inner);
    read.map_err(|e| {
        let text = e.to_string();
        text.strip_prefix("Query deserialize error: ").unwrap_or(&text).to_owned()
    })
}

fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    parse(query).map_err(|whole| {
        // Each parameter may be left out, so the first that is wrong by itself is the one that is meant.
        let wrong = query.split('&').filter(|pair| !pair.is_empty()).find_map(|pair| {
            let why = parse::<T>(pair).err()?;
            Some((pair.split('=').next().unwrap_or_default(), why))
        });
        let numbers = ["in string", "integer", "number too"];
        let about = match wrong {
            None => whole,
            Some((name, why)) if numbers.iter().any(|words| why.contains(words)) => {
                format!("{name}: a whole number is wanted")
            }
            Some((name, why)) => format!("{name}: {why}"),
        };
        Problem::about(Code::QueryInvalid, about)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Which {
        brand: Option<crate::types::BrandId>,
        limit: Option<u32>,
        open: Option<bool>,
    }

    #[test]
    fn what_an_operation_does_not_know_is_refused_with_what_it_does() {
        let told = |id: &str, query: &str| {
            known(Route::of_id(id).expect("a route"), query).map_err(|no| no.to_string())
        };
        for (id, query) in [
            ("getAccount", ""),
            ("getAccount", "as_of=5"),
            ("getAccount", "%61s_of=5"),
            ("capturePayment", "dry_run=true"),
            ("getDocs", "url=x"),
        ] {
            assert_eq!(told(id, query), Ok(()), "{id}?{query}");
        }
        for (id, query, words) in [
            ("getAccount", "asof=1", "asof: no such parameter here; there are `as_of`, `worth`"),
            ("listBrands", "limit=5&page=2", "page: no such parameter here; there are `limit`, `cursor`"),
            ("createApiKey", "dry_run=true", "dry_run: no such parameter here; it takes none"),
            ("capturePayment", "dry-run=true", "dry-run: no such parameter here; there is `dry_run`"),
            ("getHealth", "x", "x: no such parameter"),
        ] {
            let no = told(id, query).expect_err(query);
            assert!(no.contains(words), "{id}?{query}: {no}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_parameter() {
        let told = |query: &str| read::<Which>(query).map_err(|no| no.to_string());
        assert!(told("").is_ok() && told("limit=5&open=true&brand=br_a").is_ok());
        for (query, words) in [
            ("open=true&limit=x", "limit: a whole number is wanted"),
            ("limit=-1", "limit: a whole number is wanted"),
            ("limit=99999999999", "limit: a whole number is wanted"),
            ("brand=x", "brand: "),
            ("open=yes", "open: "),
            ("limit=1&limit=2", "duplicate field `limit`"),
        ] {
            let no = told(query).expect_err(query);
            assert!(no.contains(words) && !no.contains("deserialize"), "{query}: {no}");
        }
    }
}
