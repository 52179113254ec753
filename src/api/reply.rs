//! Replies: the headers that answers have in common, pages of lists, freshness.
//!
//! Owns: `Tallyhouse-Seq`, `Min-Seq`, `limit`, `cursor`, `next` and `Link`.
//! Promises: a cursor that a list gave is taken by that list only; an answer says which entry it shows.
//! Refuses to know: what is listed.

use super::problem::{Code, Problem};
use super::service::Service;
use crate::engine::Level;
use crate::types::{b64, b64_decode};
use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpRequest, HttpResponse};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// The last entry that an answer shows.
pub const SEQ: HeaderName = HeaderName::from_static("tallyhouse-seq");
/// The entry that an answer must show at least.
pub const MIN_SEQ: HeaderName = HeaderName::from_static("min-seq");

/// How long one engine is waited for at a time.
const TURN: Duration = Duration::from_millis(200);

/// Items of a page if nothing is said.
const LIMIT: u32 = 50;
/// Most items of a page.
pub const MOST: u32 = 1_000;

/// How a list is asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Most items; 50 if absent.
    #[param(minimum = 1, maximum = 1000, example = 50)]
    pub limit: Option<u32>,
    /// Where to go on: `next` of the page before.
    pub cursor: Option<String>,
}

impl PageQuery {
    /// Most items of this page.
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit.unwrap_or(LIMIT) {
            limit @ 1..=MOST => Ok(usize::try_from(limit).unwrap_or(1)),
            limit => Err(Problem::about(Code::QueryInvalid, format!("limit={limit}: 1 to {MOST}"))),
        }
    }

    /// Where to go on, for the list of this name; `None` at the beginning.
    pub fn place<T: DeserializeOwned>(&self, list: &str) -> Result<Option<T>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        let wrong = || Problem::from(Code::CursorInvalid);
        let bytes = b64_decode(cursor).map_err(|_| wrong())?;
        let (of, place): (String, T) = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
        if of == list { Ok(Some(place)) } else { Err(wrong()) }
    }
}

/// The cursor of a list that goes on after a place.
pub fn cursor(list: &str, place: &impl Serialize) -> String {
    b64(&serde_json::to_vec(&(list, place)).unwrap_or_default())
}

/// A page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T: Serialize> Page<T> {
    /// One page of what is there as a whole, in the order of its places.
    pub fn cut<S, P>(
        all: Vec<S>,
        list: &str,
        query: &PageQuery,
        place: impl Fn(&S) -> P,
        show: impl Fn(S) -> T,
    ) -> Result<Self, Problem>
    where
        P: Ord + Serialize + DeserializeOwned,
    {
        let (limit, after) = (query.limit()?, query.place::<P>(list)?);
        let behind = |one: &S| after.as_ref().is_none_or(|after| place(one) > *after);
        let mut rest = all.into_iter().filter(behind).peekable();
        let (mut items, mut last) = (vec![], None);
        while let Some(one) = rest.next_if(|_| items.len() < limit) {
            last = Some(place(&one));
            items.push(show(one));
        }
        let next = last.filter(|_| rest.peek().is_some()).map(|last| cursor(list, &last));
        Ok(Self { items, next })
    }
}

/// Answers with a page.
pub fn page<T: Serialize>(request: &HttpRequest, seq: Option<u64>, page: &Page<T>) -> HttpResponse {
    let mut answer = json(seq, page);
    if let Some(next) = &page.next {
        let query = request.query_string().split('&').filter(|p| !p.is_empty() && !p.starts_with("cursor="));
        let cursor = format!("cursor={next}");
        let query: Vec<&str> = query.chain([cursor.as_str()]).collect();
        let link = format!("<{}?{}>; rel=\"next\"", request.path(), query.join("&"));
        if let Ok(link) = link.parse() {
            answer.headers_mut().insert(header::LINK, link);
        }
    }
    answer
}

/// Answers with JSON, and says which entry it shows.
pub fn json(seq: Option<u64>, body: &impl Serialize) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if let Some(seq) = seq {
        answer.insert_header((SEQ, seq));
    }
    answer.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// The entry that the caller wants to see at least.
pub fn min_seq(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(MIN_SEQ) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    number.map(Some).ok_or_else(|| Problem::about(Code::HeaderInvalid, "Min-Seq: the number of an entry"))
}

impl Service {
    /// Waits until everything that can be read shows the entry; for not longer than is configured.
    pub async fn wait_for(&self, seq: Option<u64>) -> Result<(), Problem> {
        self.wait_until(Level::Views, seq).await
    }

    /// Waits until balances, which show what is committed, show the entry; for not longer than is configured.
    pub async fn wait_for_balances(&self, seq: Option<u64>) -> Result<(), Problem> {
        self.wait_until(Level::Committed, seq).await
    }

    async fn wait_until(&self, level: Level, seq: Option<u64>) -> Result<(), Problem> {
        let Some(seq) = seq else { return Ok(()) };
        let (begun, most) = (Instant::now(), Duration::from_millis(self.settings.min_seq_ms));
        loop {
            let left = most.saturating_sub(begun.elapsed());
            // Another engine may take this one's place meanwhile.
            let engine = self.engine();
            match engine.reach(level, seq, left.min(TURN)).await {
                Ok(()) => return Ok(()),
                Err(_) if left > TURN => {
                    if engine.failure().is_some() {
                        actix_web::rt::time::sleep(TURN / 4).await;
                    }
                }
                Err(_) => return Err(Problem::about(Code::NotYetThere, format!("Min-Seq: {seq}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_in_its_own_list_only() {
        let query = |cursor: String| PageQuery { limit: None, cursor: Some(cursor) };
        let made = cursor("payments", &(5u64, "x"));
        assert_eq!(query(made.clone()).place("payments").expect("its own"), Some((5u64, "x".to_owned())));
        let refused = query(made).place::<(u64, String)>("movements").expect_err("another list's");
        assert_eq!(refused.code(), "cursor_invalid");
        for wrong in ["", "x", "W10", "bm9wZQ"] {
            assert!(query(wrong.into()).place::<u64>("payments").is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_list_that_is_there_is_cut_into_pages_without_an_empty_last_one() {
        let pages = |length: u32, limit: u32| -> Vec<Vec<u32>> {
            let (mut pages, mut at) = (vec![], None);
            loop {
                let query = PageQuery { limit: Some(limit), cursor: at };
                let page = Page::cut((0..length).collect(), "n", &query, |n| *n, |n| n * 10).expect("a page");
                pages.push(page.items);
                match page.next {
                    Some(next) => at = Some(next),
                    None => return pages,
                }
            }
        };
        assert_eq!(pages(5, 2), [vec![0, 10], vec![20, 30], vec![40]]);
        assert_eq!(pages(4, 2), [vec![0, 10], vec![20, 30]]);
        assert_eq!((pages(0, 2), pages(2, 50)), (vec![vec![]], vec![vec![0, 10]]));
        let others = PageQuery { limit: None, cursor: Some(cursor("m", &1u32)) };
        assert!(Page::cut(vec![1u32], "n", &others, |n| *n, |n| n).is_err());
    }

    #[test]
    fn a_limit_has_bounds() {
        let limit = |limit| PageQuery { limit, cursor: None }.limit().ok();
        assert_eq!((limit(None), limit(Some(1)), limit(Some(1000))), (Some(50), Some(1), Some(1000)));
        assert_eq!((limit(Some(0)), limit(Some(1001))), (None, None));
    }
}
