//! Work: the requests that are measured, signed as a till, a phone and a brand's server would.
//!
//! Owns: the bytes of each request.
//! Promises: the n-th request is another one than all before, in this run and in others against the same network.
//! Refuses to know: when they are sent, and what is answered.

use super::super::awards::Zipf;
use super::super::world::{World, account};
use super::load::Maker;
use crate::sign::HttpMessage;
use crate::types::ConsentId;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use serde_json::Value;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// A payment each, signed by the till, under a fresh consent of the holder: two signatures to verify.
    Payments,
    /// A payment each, signed by the till, under a consent that the holder's code opened before: one signature.
    Shown,
    /// An award each, as a token that the brand signed: one signature.
    Tokens,
    /// Awards in signed batches of NDJSON lines.
    Awards,
    /// Balances, with a brand's API key. The answers of a server that only says hello are measured with it.
    Reads,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As callers sign it, without a slash at its end.
    pub url: String,
    /// Where to connect.
    pub address: SocketAddr,
    host: String,
}

impl Place {
    /// From `http://host:port`.
    pub(super) fn of(url: &str) -> Result<Self, String> {
        let url = url.trim_end_matches('/');
        let host = url.strip_prefix("http://").filter(|host| !host.contains('/'));
        let host = host.ok_or("--url http://host:port; this client speaks no TLS, and signs for no path")?;
        let name = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut addresses = name.to_socket_addrs().map_err(|e| format!("{host}: {e}"))?;
        let address = addresses.next().ok_or_else(|| format!("{host}: no such address"))?;
        Ok(Self { url: url.to_owned(), address, host: host.to_owned() })
    }

    /// A request in bytes.
    pub(super) fn request(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, String)],
        body: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512 + body.len());
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in fields {
            text += &format!("{name}: {value}\r\n");
        }
        if method != "GET" {
            text += &format!("content-length: {}\r\n", body.len());
        }
        bytes.extend_from_slice(text.as_bytes());
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        bytes
    }
}

/// What requests are made of.
pub(super) struct Orders {
    /// The network's keys.
    pub world: Arc<World>,
    /// Where they go.
    pub place: Place,
    /// The API key of those who read.
    pub secret: String,
    /// Accounts that pay and are read.
    pub payers: u64,
    /// Accounts that awards go to.
    pub accounts: u64,
    /// Lines in a batch.
    pub lines: u64,
    /// Everything concerns one account.
    pub hot: bool,
    /// When this run began, in Unix seconds: part of every id.
    pub run: u64,
}

impl Orders {
    /// Makes requests of one sort. `shown`: the open consents of the payers.
    pub(super) fn maker(self: Arc<Self>, work: Work, shown: &[ConsentId]) -> Maker {
        match work {
            Work::Payments => Arc::new(move |n| self.payment(n)),
            Work::Shown => {
                let consents = shown.to_vec();
                Arc::new(move |n| self.shown(n, &consents))
            }
            Work::Tokens => Arc::new(move |n| self.token(n)),
            Work::Reads => Arc::new(move |n| self.read(n)),
            Work::Awards => {
                let zipf = Zipf::new(self.accounts);
                Arc::new(move |n| self.batch(n, &zipf))
            }
        }
    }

    /// In a scattered order: neighbours in time are not neighbours in the store.
    fn who(&self, n: u64) -> u64 {
        if self.hot { 0 } else { n.wrapping_mul(7_919) % self.payers }
    }

    /// Receipt numbers: those of another run begin elsewhere.
    fn receipt(&self, n: u64) -> u64 {
        (self.run % 10_000_000) * 100_000 + n
    }

    /// A request of the till, with what a holder signed.
    fn by_till(&self, path: &str, cid: String, args: &Value, holder: Option<String>) -> Vec<u8> {
        let nonce = format!("{cid:0>22}");
        let message = HttpMessage::post(format!("{}{path}", self.place.url), cid, args.to_string());
        // The command's id guards against replay, so the nonce need not be chance.
        let message = message.sign(self.world.till(), self.world.now(), &nonce);
        let mut fields = message.headers();
        fields.extend(holder.map(|statement| ("tallyhouse-consents", statement)));
        self.place.request("POST", path, &fields, message.body.as_deref().unwrap_or_default().as_bytes())
    }

    fn payment(&self, n: u64) -> Vec<u8> {
        let cid = format!("{}-{n}", self.run);
        let (args, consent) = self.world.signed_payment(&cid, self.who(n));
        self.by_till("/v1/payments", cid, &args, Some(consent))
    }

    /// The code of the i-th payer, shown to the till.
    pub(super) fn show(&self, i: u64) -> Vec<u8> {
        let cid = format!("{}-code-{i}", self.run);
        let (args, code) = self.world.shown_code(&cid, i);
        self.by_till("/v1/consents", cid, &args, Some(code))
    }

    fn shown(&self, n: u64, consents: &[ConsentId]) -> Vec<u8> {
        let who = usize::try_from(self.who(n)).unwrap_or_default();
        let consent = consents.get(who).copied();
        let args = self.world.payment_under(consent.unwrap_or(ConsentId { seq: 0, part: 0 }));
        self.by_till("/v1/payments", format!("{}-{n}", self.run), &args, None)
    }

    fn token(&self, n: u64) -> Vec<u8> {
        let token = self.world.token(&format!("{}-{n}", self.run), self.who(n), self.receipt(n));
        let fields = [("content-type", "application/jose".to_owned())];
        self.place.request("POST", "/v1/tokens", &fields, token.as_bytes())
    }

    fn batch(&self, n: u64, zipf: &Zipf) -> Vec<u8> {
        let mut random = rand::rngs::StdRng::seed_from_u64(n);
        let ids: Vec<u64> =
            (0..self.lines).map(|_| if self.hot { 0 } else { zipf.draw(random.random()) }).collect();
        let id = format!("{}-{n}", self.run);
        let batch = self.world.batch(&id, self.receipt(n * self.lines), &ids, 5);
        let signed = batch.jws.first().cloned().unwrap_or_default();
        let fields = [("content-type", "application/x-ndjson".to_owned()), ("tallyhouse-batch", signed)];
        self.place.request("POST", "/v1/awards:batch", &fields, batch.lines.as_deref().unwrap_or_default())
    }

    fn read(&self, n: u64) -> Vec<u8> {
        let path = format!("/v1/accounts/{}", account(self.who(n)));
        self.place.request("GET", &path, &[("authorization", format!("Bearer {}", self.secret))], &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::{Command, Request};
    use crate::sign::HttpFields;

    fn orders(hot: bool) -> Arc<Orders> {
        let place = Place::of("http://127.0.0.1:8710/").expect("a place");
        let (world, secret) = (Arc::new(World::new(false)), "th_test_x".into());
        Arc::new(Orders {
            world,
            place,
            secret,
            payers: 100,
            accounts: 50,
            lines: 3,
            hot,
            run: 1_800_000_000,
        })
    }

    /// The fields and the body of a request.
    fn parts(bytes: &[u8]) -> (String, Vec<(String, String)>, Vec<u8>) {
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut fields);
        let end = request.parse(bytes).expect("a request").unwrap();
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).expect("text");
        let fields = request.headers.iter().map(|field| (field.name.to_owned(), text(field.value))).collect();
        (
            format!("{} {}", request.method.expect("one"), request.path.expect("one")),
            fields,
            bytes[end..].to_vec(),
        )
    }

    #[test]
    fn a_place_is_where_its_url_says() {
        let place = Place::of("http://127.0.0.1:8710/").expect("a place");
        assert_eq!((place.url.as_str(), place.address.port()), ("http://127.0.0.1:8710", 8710));
        assert_eq!(Place::of("http://127.0.0.1").expect("a place").address.port(), 80);
        assert!(Place::of("https://127.0.0.1").is_err());
        assert!(Place::of("http://127.0.0.1/points").is_err());
        assert!(Place::of("http://127.0.0.1:x").is_err());
    }

    #[test]
    fn payments_and_awards_are_what_the_machine_takes() {
        let orders = orders(false);
        let net = orders.world.net;
        // Under an open consent the till signs alone; else a holder signed something too.
        for (bytes, path, with) in [
            (orders.payment(7), "/v1/payments", true),
            (orders.show(7), "/v1/consents", true),
            (orders.shown(7, &[ConsentId { seq: 5, part: 0 }; 100]), "/v1/payments", false),
        ] {
            let (line, fields, body) = parts(&bytes);
            assert_eq!(line, format!("POST {path}"));
            let field =
                |name: &str| fields.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str());
            assert_eq!(field("tallyhouse-consents").is_some(), with);
            let signed = HttpFields {
                method: "POST",
                target_uri: &format!("http://127.0.0.1:8710{path}"),
                content_type: field("content-type"),
                content_digest: field("content-digest"),
                idempotency_key: field("idempotency-key"),
                authorization: None,
                signature_input: field("signature-input").expect("signed"),
                signature: field("signature").expect("signed"),
                body: &body,
            };
            let signed = signed.read().expect("a signed request");
            signed.fresh(orders.world.now()).expect("fresh");
            signed.verify(&orders.world.till().public()).expect("signed by the till");
            let more = field("tallyhouse-consents").map(str::to_owned).into_iter().collect();
            Command::read_unsigned(&Request::signed(signed.message().clone(), more), net).expect("a command");
        }

        let (line, _, body) = parts(&orders.token(7));
        assert_eq!(line, "POST /v1/tokens");
        let token = Request::of(vec![String::from_utf8(body).expect("text")]);
        Command::read_unsigned(&token, net).expect("a token");

        let (line, fields, body) = parts(&orders.clone().maker(Work::Awards, &[])(7));
        assert_eq!(line, "POST /v1/awards:batch");
        let batch = fields.iter().find(|(name, _)| name == "tallyhouse-batch").expect("signed").1.clone();
        let batch = Request { jws: vec![batch], lines: Some(Arc::from(body)), ..Request::default() };
        Command::read_unsigned(&batch, net).expect("a batch");

        let (line, fields, _) = parts(&orders.read(0));
        assert_eq!(line, format!("GET /v1/accounts/{}", account(0)));
        assert!(fields.contains(&("authorization".into(), "Bearer th_test_x".into())));
    }

    #[test]
    fn no_two_requests_are_the_same_and_a_hot_run_concerns_one_account() {
        let (spread, hot) = (orders(false), orders(true));
        for work in [Work::Payments, Work::Shown, Work::Tokens, Work::Awards] {
            let maker = spread.clone().maker(work, &[]);
            assert_ne!(maker(1), maker(2), "{work:?}");
        }
        assert_ne!(spread.read(1), spread.read(2));
        assert_eq!(hot.read(1), hot.read(2));
        let one = format!("\"sub\":\"{}\"", account(0));
        let (_, _, body) = parts(&hot.clone().maker(Work::Awards, &[])(1));
        assert_eq!(String::from_utf8(body).expect("text").matches(&one).count(), 3);
    }
}
