//! Queries: the parameters behind the path.
//!
//! Owns: how they are read. Promises: what is wrong is named by its parameter, in words of HTTP and not of this
//! program. Refuses to know: what they mean.

use super::problem::{Code, Problem};
use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use std::future::{Ready, ready};
use std::ops::Deref;

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
        let about = match wrong {
            None => whole,
            Some((name, why)) => match why.split_once("`, expected ") {
                Some((_, known)) if why.starts_with("unknown field `") => {
                    format!(
                        "{name}: no such parameter here; there are {}",
                        known.trim_start_matches("one of ")
                    )
                }
                _ if ["in string", "integer", "number too"].iter().any(|words| why.contains(words)) => {
                    format!("{name}: a whole number is wanted")
                }
                _ => format!("{name}: {why}"),
            },
        };
        Problem::about(Code::QueryInvalid, about)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Which {
        brand: Option<crate::types::BrandId>,
        limit: Option<u32>,
        open: Option<bool>,
    }

    #[test]
    fn what_is_wrong_is_named_by_its_parameter() {
        let told = |query: &str| read::<Which>(query).map_err(|no| no.to_string());
        assert!(told("").is_ok() && told("limit=5&open=true&brand=br_a").is_ok());
        for (query, words) in [
            ("open=true&limit=x", "limit: a whole number is wanted"),
            ("limit=-1", "limit: a whole number is wanted"),
            ("limit=99999999999", "limit: a whole number is wanted"),
            ("limit=5&asof=1", "asof: no such parameter here; there are `brand`, `limit`, `open`"),
            ("brand=x", "brand: "),
            ("open=yes", "open: "),
            ("limit=1&limit=2", "duplicate field `limit`"),
        ] {
            let no = told(query).expect_err(query);
            assert!(no.contains(words) && !no.contains("deserialize"), "{query}: {no}");
        }
    }
}
