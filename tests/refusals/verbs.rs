//! The verbs of the tables: each makes one request.

use super::{Row, Table, number};
use crate::common::node::award_text;
use crate::common::world::{Brand, Key, beginning, id, money, points, rate};
use std::sync::Arc;
use tallyhouse::book::{AcceptedUnit, ExchangeAccepted, Expiry, Floor, KeyState, Notice, PriceFor};
use tallyhouse::machine::Request;
use tallyhouse::network::{
    EraseEvidence, FreezeAccount, FreezeBrand, FreezeNetwork, FreezeUnit, OpenAccount, RegisterBrand,
    RegisterParticipant, RevokeKey,
};
use tallyhouse::payments::{Authorise, Capture, OpenConsent, Refund, Under, Void};
use tallyhouse::points::ClawBack;
use tallyhouse::prices::{PublishAcceptance, PublishBreakage};
use tallyhouse::sign::{
    HeldCaps, KeyCert, PaymentConsent, PointToken, Purpose, Sale, SpendCode, SponsorTerms, TillClaims,
    TillLimits, Typ, Window, sign,
};
use tallyhouse::types::{Hash, PaymentId, b64};

impl Table {
    pub(super) fn request(&mut self, row: &Row) -> Request {
        match row.word(0) {
            "raw" => self.raw(row),
            "participant" => {
                let args = RegisterParticipant {
                    participant: id(row.word(1)),
                    currency: id(row.word(2)),
                    operator: row.has("operator"),
                };
                self.command(row, "op", "participant.register", &args)
            }
            "brand" => self.brand(row),
            "certify" => self.certify(row),
            "revoke" | "revoke-account" => {
                let state = match row.word(2) {
                    "active" => KeyState::Active,
                    "retired" => KeyState::Retired,
                    _ => KeyState::Compromised,
                };
                let kind = if row.word(0) == "revoke" { "key.revoke" } else { "account.key_revoke" };
                self.command(row, "op", kind, &RevokeKey { key: self.key(row.word(1)).kid, state })
            }
            "budget" => self.budget(row),
            "unit" => self.unit(row),
            "prices" => self.prices(row),
            "accept" => self.accept(row),
            "breakage" => self.breakage(row),
            "open" => self.open(row),
            "freeze" | "release" => self.freeze(row),
            "erase" => {
                let (entry, part) = (number(row.word(1)), number(row.word(2)) as u16);
                let args = EraseEvidence { entry, part, leaf: Hash::default(), reason: id("holder-asked") };
                self.command(row, "op", "evidence.erase", &args)
            }
            "token" => self.token(row),
            "batch" => self.batch(row),
            "claw-back" => {
                let award = self.seqs.get(row.word(1)).map_or_else(
                    || row.word(1).to_owned(),
                    |seq| award_text(&self.node.entries[*seq as usize], row.get("line").map(number)),
                );
                let args = ClawBack {
                    award,
                    till: row.get("till").map(id),
                    month: row.get("month").map(id),
                    points: row.words.get(2).map(|n| points(number(n))),
                    reason: id("error"),
                };
                self.command(row, "issuing:HARVEST", "points.claw_back", &args)
            }
            "show" => self.show(row),
            "authorise" => self.authorise(row),
            "want" => self.want(row),
            "offer" => self.offer(row),
            "cancel" => self.cancel(row),
            "exchange" => self.exchange(row),
            "take" => self.take(row),
            "capture" => {
                let (amount, last) = (money(number(row.word(2))), row.has("final"));
                let args = Capture { payment: self.payment(row.word(1)), amount, last };
                self.command(row, "till:br_kino.0", "payment.capture", &args)
            }
            "void" => {
                let args = Void { payment: self.payment(row.word(1)) };
                self.command(row, "till:br_kino.0", "payment.void", &args)
            }
            "refund" => {
                let args = Refund { payment: self.payment(row.word(1)), amount: money(number(row.word(2))) };
                self.command(row, "till:br_kino.0", "payment.refund", &args)
            }
            verb => {
                let found = self.clearing(row).or_else(|| self.charging(row));
                found.unwrap_or_else(|| panic!("{verb} is no verb"))
            }
        }
    }

    pub(super) fn cid<'a>(&self, row: &Row<'a>) -> String {
        row.get("cid").map_or_else(|| format!("row-{}", self.count), str::to_owned)
    }

    /// A command by `by=`, approved by `and=` (comma between); `op` brings its second root along.
    pub(super) fn command(&self, row: &Row, by: &str, kind: &str, args: &impl serde::Serialize) -> Request {
        let by = row.get("by").unwrap_or(by);
        let first = self.world.command(&self.key(by), &self.cid(row), kind, args);
        self.approved(row, by, first)
    }

    fn approved(&self, row: &Row, by: &str, first: String) -> Request {
        let second = if by == "op" { "op2" } else { "" };
        let names = [second].into_iter().chain(row.get("and").into_iter().flat_map(|all| all.split(',')));
        let names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        let approvals = names.iter().map(|name| self.world.approve(&self.key(name), &first));
        let jws = std::iter::once(first.clone()).chain(approvals).collect();
        Request::of(jws)
    }

    fn home(&self, name: &str) -> &Brand {
        let found = self.world.brands.iter().find(|brand| brand.id.as_str() == name);
        found.unwrap_or_else(|| panic!("{name} is no brand of the cast"))
    }

    pub(super) fn payment(&self, name: &str) -> PaymentId {
        self.payments.get(name).copied().unwrap_or_else(|| id(name))
    }

    fn brand(&self, row: &Row) -> Request {
        let root = self.key(row.or("root", "new:root"));
        let args = RegisterBrand {
            brand: id(row.word(1)),
            participant: id(row.or("participant", "pa_kino")),
            root: root.public,
            recovery: row.get("recovery").map(|who| self.key(who).public),
        };
        self.command(row, row.or("root", "new:root"), "brand.register", &args)
    }

    fn certify(&self, row: &Row) -> Request {
        let new = self.key(row.word(1));
        let purpose: Purpose = id(row.word(2));
        let till = TillClaims {
            store: id("store-9"),
            till: id("till-9"),
            participant: id(row.or("participant", "pa_kino")),
            limits: row.get("limits-in").map(|code| TillLimits {
                currency: id(code),
                once: None,
                hour: Some(money(1_000)),
                day: None,
            }),
        };
        // A key of somebody's is somebody's, if the row does not say otherwise.
        let somebodys = matches!(purpose, Purpose::Approver | Purpose::Operations);
        let person = row.get("person").map_or_else(
            || somebodys.then(|| id(&row.word(1).replace(':', "-"))),
            |person| Some(person).filter(|person| *person != "-").map(id),
        );
        let with_till = row.get("till").map_or(purpose == Purpose::Till, |yes| yes == "yes");
        let cert = KeyCert {
            aud: self.world.net,
            key: new.public,
            purpose,
            owner: row.or("owner", "br_kino").to_owned(),
            from: self.seconds(row.or("from", "-1s")),
            until: row.get("until").map(|until| self.seconds(until)),
            till: with_till.then_some(till),
            held: row.get("held").map(|caps| {
                let (account, day) = caps.split_once(':').expect("for an account, in all");
                HeldCaps { per_account_day: number(account), per_day: number(day) }
            }),
            person,
        };
        let by = row.or("by", "root:br_kino");
        let first = self.world.statement(&self.key(by), Typ::KeyCert, &cert);
        let mut request = self.approved(row, by, first);
        let proof = self.world.approve(&new, &request.jws[0]);
        if row.or("proof", "yes") == "yes" {
            request.jws.push(proof);
        }
        request
    }

    fn budget(&self, row: &Row) -> Request {
        let mut budget = self.world.budget(self.key(row.word(1)).kid, id(row.word(2)), number(row.word(3)));
        if let Some(ceiling) = row.get("ceiling") {
            budget.ceiling = points(number(ceiling));
        }
        if let Some(hourly) = row.get("hourly") {
            budget.hourly = points(number(hourly));
        }
        if let Some(until) = row.get("until") {
            budget.until = self.seconds(until);
        }
        budget.backfill =
            row.get("backfill").map(|from| Window { from: self.seconds(from), until: 253_402_300_799 });
        budget.sponsored = row.get("sponsored").map(|terms| {
            let parts: Vec<&str> = terms.split(':').collect();
            let issue = rate(parts.get(1).map_or(21, |n| number(n)), 1);
            let ceiling = parts.get(2).map(|most| money(number(most)));
            SponsorTerms { currency: id(parts[0]), issue, ceiling }
        });
        let first = self.world.statement(&self.key(row.word(4)), Typ::KeyBudget, &budget);
        self.approved(row, "", first)
    }

    fn unit(&self, row: &Row) -> Request {
        let mut args = self.world.brands[0].units[0].clone();
        args.unit = id(row.word(1));
        args.version = number(row.word(2));
        args.scale = number(row.or("scale", "0")) as u8;
        args.offset = row.get("offset").map_or(60, |minutes| minutes.parse().expect("minutes"));
        args.pending_days = number(row.or("pending", "0")) as u32;
        args.issue_cap = row.get("cap").map(|cap| points(number(cap)));
        let days = |text: &str| {
            let (change, cut) = text.split_once(':').expect("change:cut");
            Notice { change_days: number(change) as u32, cut_days: number(cut) as u32 }
        };
        args.notice = row.get("notice").map(days).or(args.notice);
        args.floor = row.get("floor").map(|all| {
            let one = |text: &str| {
                let (code, n) = text.split_once(':').expect("EUR:n");
                Floor { currency: id(code), rate: rate(number(n), 1) }
            };
            all.split('+').map(one).collect()
        });
        args.offer_cap = row.get("offer-cap").map(|cap| points(number(cap)));
        if let Some(month) = row.get("month") {
            args.expiry = Expiry::Yearly { month: number(month) as u32, day: 30, least: 0 };
        }
        self.command(row, "root:br_kino", "unit.define", &args)
    }

    /// `breakage HARVEST 1 200000+500000`: so many of a million are spent by the end of each month.
    fn breakage(&self, row: &Row) -> Request {
        let unit = id(row.word(1));
        let redeemed = row.word(3).split('+').map(|n| number(n) as u32).collect();
        let args = PublishBreakage { unit, version: number(row.word(2)), redeemed, reason: None };
        let brand = self.world.brand_of(unit).0;
        self.command(row, &format!("root:{}", brand.id), "breakage.publish", &args)
    }

    fn prices(&self, row: &Row) -> Request {
        let (unit, version) = (id(row.word(1)), number(row.word(2)));
        let from = self.seconds(row.or("from", "+1m"));
        let mut args = self.world.prices(unit, version, id(row.or("currency", "EUR")), from);
        args.until = row.get("until").map(|until| self.seconds(until));
        if let Some(dear) = row.get("point") {
            (args.home, args.till) = (rate(number(dear), 1), rate(number(dear), 1));
        }
        let one = |text: &str| {
            let (who, n) = text.split_once(':').expect("participant:n");
            PriceFor { participant: id(who), rate: rate(number(n), 1) }
        };
        let some = |name: &str| row.get(name).map(|text| text.split('+').map(one).collect());
        (args.settle_for, args.issue_for) = (some("settle-for"), some("issue-for"));
        args.verifiable_until = row.get("verifiable").map(|until| self.seconds(until));
        args.reason = row.get("reason").map(id);
        args.settle = row.get("settle").map_or(args.settle, |n| rate(number(n), 1));
        args.issue = row.get("issue").map_or(args.issue, |n| rate(number(n), 1));
        let brand = self.world.brand_of(unit).0;
        let by = row.get("by").map_or_else(|| format!("root:{}", brand.id), str::to_owned);
        let first = self.world.command(&self.key(&by), &self.cid(row), "prices.publish", &args);
        let people = (0..2).map(|n| format!("approver:{}.{n}", brand.id)).collect::<Vec<_>>().join(",");
        let people = if row.has("alone") { "" } else { row.or("and", &people) };
        let approve = |who: &str| self.world.approve(&self.key(who), &first);
        let approvals: Vec<_> = people.split(',').filter(|who| !who.is_empty()).map(approve).collect();
        Request::of([vec![first.clone()], approvals].concat())
    }

    /// `accept brand version UNIT… [cap=] [cap-in=] [exchange=INTO:kind:whose:UNIT[:cap]]`.
    fn accept(&self, row: &Row) -> Request {
        let cap = |cap: &str| Sale { amount: money(number(cap)), currency: id(row.or("cap-in", "EUR")) };
        let per_day = row.get("cap").map(cap);
        let units = row.words[3..].iter();
        let units = units.map(|unit| AcceptedUnit { unit: id(unit), per_day: per_day.clone() }).collect();
        let exchange = row.get("exchange").map(|text| {
            let parts: Vec<&str> = text.split(':').collect();
            let unit = AcceptedUnit { unit: id(parts[3]), per_day: parts.get(4).copied().map(cap) };
            let budget = self.key(&format!("{}:{}", parts[1], parts[2])).kid;
            vec![ExchangeAccepted { into: id(parts[0]), budget, units: vec![unit] }]
        });
        let args = PublishAcceptance {
            brand: id(row.word(1)),
            version: number(row.word(2)),
            from: row.get("from").map(|from| self.seconds(from)),
            units,
            exchange,
        };
        self.command(row, &format!("root:{}", row.word(1)), "acceptance.publish", &args)
    }

    fn open(&self, row: &Row) -> Request {
        let holder = self.holder(row.word(1));
        let unit = id(row.or("unit", row.word(1).split('.').next().expect("a unit")));
        let key = self.key(row.or("key", row.word(1))).public;
        let args = OpenAccount { account: holder.account, unit, key };
        self.command(row, row.or("key", row.word(1)), "account.open", &args)
    }

    fn freeze(&self, row: &Row) -> Request {
        let frozen = row.word(0) == "freeze";
        match row.word(1) {
            "network" => self.command(row, "op", "network.freeze", &FreezeNetwork { frozen }),
            "brand" => {
                self.command(row, "op", "brand.freeze", &FreezeBrand { brand: id(row.word(2)), frozen })
            }
            "unit" => self.command(row, "op", "unit.freeze", &FreezeUnit { unit: id(row.word(2)), frozen }),
            _ => {
                let args = FreezeAccount { account: self.holder(row.word(2)).account, frozen };
                self.command(row, "op", "account.freeze", &args)
            }
        }
    }

    fn token(&self, row: &Row) -> Request {
        let holder = self.holder(row.word(2));
        let unit = row.or("unit", row.word(2).split('.').next().expect("a unit"));
        let brand = self.home(row.or("iss", self.world.brand_of(id(unit)).0.id.as_str()));
        let mut token: PointToken =
            self.world.token(brand, id(unit), row.word(1), holder.account, number(row.word(3)), self.now);
        token.exp = self.seconds(row.or("exp", "+1h"));
        token.reference = row.get("ref").map(id);
        token.store = row.get("store").map(id);
        token.till = row.get("till").map(id);
        token.occurred_at = row.get("occurred").map(|when| self.seconds(when));
        let day = |when: &str| self.instant(when).date(0);
        token.until = row.get("until").map(day);
        token.from = row.get("from").map(day);
        if let Some(parts) = row.get("lines") {
            let line = |amount: &str| format!(r#"{{"id":"x","amount":1,"points":{amount}}}"#);
            let all = parts.split('+').map(line).collect::<Vec<_>>().join(",");
            token.lines = serde_json::from_str(&format!("[{all}]")).expect("lines");
        }
        let issuing = format!("issuing:{unit}");
        self.world.issue(&self.key(row.or("by", &issuing).to_owned().as_str()), &token)
    }

    /// Lines are `holder:amount:ref`; `{}` and the like stand for themselves.
    fn batch(&self, row: &Row) -> Request {
        let unit = id(row.word(2));
        let brand = self.world.brand_of(unit).0;
        let line = |text: &&str| match text.split(':').collect::<Vec<_>>().as_slice() {
            [holder, amount, reference] if holder.contains('.') => {
                let sub = self.holder(holder).account;
                format!(r#"{{"sub":"{sub}","amount":{amount},"ref":"{reference}"}}"#).into_bytes()
            }
            [holder, amount] if holder.contains('.') => {
                format!(r#"["{}",{amount}]"#, self.holder(holder).account).into_bytes()
            }
            _ => text.as_bytes().to_vec(),
        };
        let mut lines: Vec<Vec<u8>> = row.words[4..].iter().map(line).collect();
        let mut claims = self.world.batch(brand, unit, row.word(1), &lines, row.word(3) == "skip", self.now);
        if let Some(times) = row.get("times") {
            lines = vec![lines[0].clone(); number(times) as usize];
        }
        // The array is no award, so it does not count in the total.
        let awards = row.words[4..].iter().filter(|text| text.split(':').count() == 3);
        let total = awards.map(|text| number(text.split(':').nth(1).expect("an amount"))).sum();
        claims.total = points(row.get("total").map_or(total, number));
        claims.count = row.get("count").map_or(claims.count, number);
        claims.exp = self.seconds(row.or("exp", "+1h"));
        if row.get("root").is_some() {
            claims.root = Hash([1; 32]);
        }
        let issuing = format!("issuing:{unit}");
        self.world.issue_batch(&self.key(row.get("by").unwrap_or(&issuing)), &claims, &lines)
    }

    /// `show cid holder most [till=br.n] [by=] [code=] [named=] [payee=] [currency=] [exp=] [signer=] [nothing]`.
    fn show(&self, row: &Row) -> Request {
        let till = format!("till:{}", row.or("till", "br_kino.0"));
        let code = SpendCode {
            aud: self.world.net,
            jti: row.get("code").map_or_else(|| id(&format!("code-{}", self.count)), id),
            payee: row.get("payee").map(id),
            most: money(number(row.word(3))),
            currency: id(row.or("currency", "EUR")),
            iat: None,
            exp: self.seconds(row.or("exp", "+1m")),
        };
        let args = OpenConsent { code: row.get("named").map_or_else(|| code.jti.clone(), id) };
        let key = self.key(row.or("signer", row.word(2)));
        let codes = if row.has("nothing") { vec![] } else { vec![self.world.code(&key, &code)] };
        self.world.open_consent(&self.key(row.get("by").unwrap_or(&till)), row.word(1), &args, codes)
    }

    /// `cid:amount`, a share under the consent that was opened so, or under one that is named.
    pub(super) fn under(&self, text: &str) -> Under {
        let (open, amount) = text.split_once(':').expect("cid:amount");
        let consent = self.consents.get(open).copied().unwrap_or_else(|| id(open));
        Under { consent, amount: money(number(amount)) }
    }

    /// `authorise cid amount holder:share:most… [till=br.n] [currency=] [deadline=] [capture] [under=cid:share+…]`, and for the
    /// consents: `jti= exp= payee= payment= at-till= consented= signer= consent-deadline=`.
    fn authorise(&self, row: &Row) -> Request {
        let till = row.or("till", "br_kino.0");
        let (shop, _) = till.split_once('.').expect("br.n");
        let currency = row.or("currency", "EUR");
        let deadline = self.seconds(row.or("deadline", "+1h"));
        let amount = money(number(row.word(2)));
        let reference = row.get("ref").map(id);
        let args = Authorise {
            offer: None,
            amount,
            currency: id(currency),
            deadline,
            reference,
            capture: row.has("capture"),
            under: row.get("under").map(|all| all.split('+').map(|one| self.under(one)).collect()),
        };
        let shares = row.words[3..].iter().filter(|word| word.contains(':')).enumerate();
        let consents = shares.map(|(n, share)| {
            let [holder, amount, most] = share.split(':').collect::<Vec<_>>()[..] else {
                panic!("{share}: holder:share:most")
            };
            let jti = row.get("jti").map_or_else(|| format!("jti-{}-{n}", self.count), str::to_owned);
            let claims = PaymentConsent {
                offer: None,
                aud: self.world.net,
                jti: id(&jti),
                account: self.holder(holder).account,
                payee: id(row.or("payee", shop)),
                payment: id(row.or("payment", row.word(1))),
                till: row.get("at-till").map(id),
                amount: money(number(amount)),
                currency: id(row.or("consented", currency)),
                points: points(number(most)),
                deadline: row.get("consent-deadline").map_or(deadline, |when| self.seconds(when)),
                iat: None,
                exp: self.seconds(row.or("exp", "+2m")),
            };
            self.world.consent(&self.key(row.or("signer", holder)), &claims)
        });
        let by = format!("till:{till}");
        self.world.authorise(&self.key(row.get("by").unwrap_or(&by)), row.word(1), &args, consents.collect())
    }

    /// Statements that are wrong by themselves.
    fn raw(&self, row: &Row) -> Request {
        let key = self.key("root:br_kino");
        let args = FreezeBrand { brand: id("br_kino"), frozen: true };
        let good = self.world.command(&key, &self.cid(row), "brand.freeze", &args);
        let payload = |json: &str| sign(&key.secret, Typ::Command, json.as_bytes());
        let claims = |args: &str| {
            let (net, cid) = (self.world.net, self.cid(row));
            payload(&format!(r#"{{"aud":"{net}","cid":"{cid}","kind":"brand.freeze","args":{args}}}"#))
        };
        let header = |json: &str| {
            let (_, rest) = good.split_once('.').expect("three parts");
            format!("{}.{rest}", b64(json.as_bytes()))
        };
        let kid = key.kid;
        let one = |statement: String| Request::of(vec![statement]);
        match row.word(1) {
            "nothing" => Request::default(),
            "no-token" => one("freeze it".into()),
            "two-parts" => one(good.rsplit_once('.').expect("three parts").0.into()),
            "long" => one("a".repeat(4_097)),
            "alg-none" => one(header(&format!(r#"{{"alg":"none","typ":"command+jwt","kid":"{kid}"}}"#))),
            "typ-other" => one(header(&format!(r#"{{"alg":"EdDSA","typ":"JWT","kid":"{kid}"}}"#))),
            "array-payload" => one(payload("[1]")),
            "twice" => one(claims(r#"{"brand":"br_kino","frozen":false,"frozen":true}"#)),
            "array-args" => one(claims(r#"["br_kino",true]"#)),
            "null-args" => one(claims("null")),
            "more-args" => one(claims(r#"{"brand":"br_kino","frozen":true,"who":1}"#)),
            "fraction" => one(claims(r#"{"brand":"br_kino","frozen":1.5}"#)),
            "separator" => one(claims(r#"{"brand":"br_kino/x","frozen":true}"#)),
            "array-nested" => {
                let (net, cid) = (self.world.net, self.cid(row));
                one(payload(&format!(
                    r#"{{"aud":"{net}","cid":"{cid}","kind":"acceptance.publish","args":{{"brand":"br_kino","version":2,"units":[["HARVEST",1]]}}}}"#
                )))
            }
            "kind-unknown" => {
                let (net, cid) = (self.world.net, self.cid(row));
                one(payload(&format!(r#"{{"aud":"{net}","cid":"{cid}","kind":"tick","args":{{}}}}"#)))
            }
            "other-network" => {
                let (net, cid) = (Hash([9; 32]), self.cid(row));
                one(payload(&format!(
                    r#"{{"aud":"{net}","cid":"{cid}","kind":"brand.freeze","args":{{"brand":"br_kino","frozen":true}}}}"#
                )))
            }
            "bad-signature" => {
                let (input, _) = good.rsplit_once('.').expect("three parts");
                one(format!("{input}.{}", b64(&Key::derive(1, "thief").secret.sign(input.as_bytes()))))
            }
            "approval-alone" => one(self.world.approve(&key, &good)),
            "approval-of-other" => {
                let other = self.world.approve(&self.key("op"), &claims("{}"));
                Request::of(vec![good, other])
            }
            "approval-twice" => {
                let approval = self.world.approve(&self.key("op"), &good);
                Request::of(vec![good, approval.clone(), approval])
            }
            "approval-needless" => {
                let token = self.world.token(
                    &self.world.brands[0],
                    id("HARVEST"),
                    "needless",
                    self.holder("HARVEST.0").account,
                    5,
                    self.now,
                );
                let token = self.world.statement(&self.key("issuing:HARVEST"), Typ::PointToken, &token);
                let approval = self.world.approve(&self.key("op"), &token);
                Request::of(vec![token, approval])
            }
            "33-statements" => Request::of(vec![good; 33]),
            "lines-without-batch" => {
                Request { jws: vec![good], lines: Some(Arc::from(&b"{}\n"[..])), http: None }
            }
            "stranger" => {
                one(self.world.command(&self.key("new:stranger"), &self.cid(row), "brand.freeze", &args))
            }
            other => panic!("{other}: no such wrong statement; the network began {}", beginning()),
        }
    }
}
