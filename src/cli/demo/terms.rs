//! Terms: what the demo's configuration says of the network, its brands and its members' habits.
//!
//! Owns: the form of `config/demo.toml`, and how a text such as `0.0095` becomes an exact price.
//! Promises: whatever it hands out was read exactly, or was refused with the place that is wrong.
//! Refuses to know: receipts, keys, and what is done with the terms.

use super::fees::{FeesTerms, FeesText};
use crate::book::Expiry;
use crate::types::{BrandId, Currency, Money, ParticipantId, Points, Rate, UnitCode};
use indexmap::IndexMap;
use serde::Deserialize;

/// The terms that come with the program.
const BUILT_IN: &str = include_str!("../../../config/demo.toml");

/// `[network]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkTerms {
    /// The log's name.
    pub origin: String,
    /// The one currency.
    pub currency: Currency,
    /// Digits of its minor unit.
    pub minor: u8,
    /// Digits of amounts in the log.
    pub scale: u8,
    /// The operator's root keys.
    pub roots: u8,
    /// How many of them sign.
    pub threshold: u8,
}

/// `[budget]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetTerms {
    /// How much more than the receipts need, in percent.
    pub headroom_percent: u64,
}

/// `[paying]`: when a bill is paid with points, and how much of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PayingTerms {
    /// So much of the bill.
    pub percent: u64,
    /// If it is at least this, as text.
    pub least: String,
    /// One in so many bills.
    pub one_in: u64,
    /// Of those, one in so many with points of the shop's own brand.
    pub home_one_in: u64,
    /// Most units in one payment.
    pub most_units: usize,
    /// Seconds between hold and capture.
    pub capture_after: u64,
}

/// `[returns]`: which payments are given back, and when.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnTerms {
    /// One in so many.
    pub one_in: u64,
    /// Days later, from and to.
    pub after_days: [u64; 2],
}

/// So many points for so much money.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EarnText {
    points: String,
    per: String,
}

/// When a brand takes what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureWhen {
    /// With the authorisation.
    #[default]
    AtOnce,
    /// In a command of its own.
    Later,
}

/// Whose units a brand takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Accepts {
    Named(Vec<String>),
    Word(String),
}

impl Default for Accepts {
    fn default() -> Self {
        Self::Word("all".into())
    }
}

/// `[default]` and `[[brand]]` as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BrandText {
    name: Option<String>,
    /// For people who read the file.
    #[serde(rename = "about")]
    _about: Option<String>,
    earn: EarnText,
    home: String,
    till: String,
    settle: String,
    issue: String,
    expiry: Expiry,
    #[serde(default)]
    scale: u8,
    #[serde(default)]
    offset: i16,
    #[serde(default)]
    pending_days: u32,
    #[serde(default)]
    grace_days: u32,
    min_spend: Option<String>,
    #[serde(default)]
    capture: CaptureWhen,
    #[serde(default)]
    accepts: Accepts,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    network: NetworkTerms,
    budget: BudgetTerms,
    paying: PayingTerms,
    returns: ReturnTerms,
    fees: Option<FeesText>,
    default: BrandText,
    #[serde(default)]
    brand: Vec<BrandText>,
}

/// How many points a purchase earns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Earn {
    /// Minor units of points.
    points: u64,
    /// For so much money, in the receipts' minor unit.
    per: u64,
}

impl Earn {
    /// So many points, at the unit's scale, for so much money, at the currency's minor unit; both as text.
    pub fn read(points: &str, scale: u8, per: &str, minor: u8) -> Result<Self, String> {
        let (points, per) = (fixed(points, scale)?, fixed(per, minor)?);
        if per == 0 || points == 0 {
            return Err("earn: at least one point for at least some money".into());
        }
        Ok(Self { points, per })
    }

    /// What a purchase of so much (in the receipts' minor unit) earns, rounded down.
    pub fn points(&self, spent: u64) -> Option<Points> {
        let product = u128::from(spent) * u128::from(self.points) / u128::from(self.per);
        u64::try_from(product).ok().and_then(Points::new)
    }
}

/// One brand's terms.
#[derive(Clone, Debug)]
pub struct BrandTerms {
    /// As the receipts write it.
    pub name: String,
    /// Its id.
    pub id: BrandId,
    /// The legal entity behind it.
    pub participant: ParticipantId,
    /// Its points.
    pub unit: UnitCode,
    /// What a purchase earns.
    pub earn: Earn,
    /// Prices, in the order home, till, settle, issue.
    pub prices: [Rate; 4],
    /// When points expire.
    pub expiry: Expiry,
    /// Decimal places of a point.
    pub scale: u8,
    /// Where its days begin, minutes from UTC.
    pub offset: i16,
    /// Days before points can be spent.
    pub pending_days: u32,
    /// Days that points given back late live on.
    pub grace_days: u32,
    /// Fewest points in a payment.
    pub min_spend: Option<Points>,
    /// When it captures.
    pub capture: CaptureWhen,
    /// Whose units it takes; `None` is everybody's.
    accepts: Option<Vec<String>>,
}

impl BrandTerms {
    /// Whether it takes another brand's points.
    pub fn accepts(&self, other: &Self) -> bool {
        self.name != other.name && self.accepts.as_ref().is_none_or(|names| names.contains(&other.name))
    }
}

/// All terms.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The network's.
    pub network: NetworkTerms,
    /// For budgets.
    pub budget: BudgetTerms,
    /// For paying with points.
    pub paying: PayingTerms,
    /// For returns.
    pub returns: ReturnTerms,
    /// What the network asks for, if it asks for anything.
    pub fees: Option<FeesTerms>,
    default: BrandText,
    brands: IndexMap<String, BrandText>,
}

impl Terms {
    /// The terms that come with the program.
    pub fn built_in() -> Result<Self, String> {
        Self::read(BUILT_IN).map_err(|e| format!("the demo's own configuration: {e}"))
    }

    /// Reads terms.
    pub fn read(text: &str) -> Result<Self, String> {
        let text: Text = toml::from_str(text).map_err(|e| e.to_string())?;
        let mut brands = IndexMap::new();
        for brand in text.brand {
            let name = brand.name.clone().ok_or("[[brand]]: a name is missing")?;
            if brands.insert(name.clone(), brand).is_some() {
                return Err(format!("[[brand]]: {name} stands twice"));
            }
        }
        let fees = text.fees.as_ref().map(|fees| FeesTerms::read(fees, text.network.scale)).transpose()?;
        let terms = Self {
            fees,
            network: text.network,
            budget: text.budget,
            paying: text.paying,
            returns: text.returns,
            default: text.default,
            brands,
        };
        terms.check()?;
        Ok(terms)
    }

    fn check(&self) -> Result<(), String> {
        let names: Vec<String> = self.brands.keys().cloned().collect();
        for brand in self.brands(&names)? {
            for other in brand.accepts.iter().flatten() {
                if !self.brands.contains_key(other) {
                    return Err(format!("brand {}: accepts {other}, which is no brand here", brand.name));
                }
            }
        }
        self.least()?;
        let [from, to] = self.returns.after_days;
        let counts = [self.paying.one_in, self.paying.home_one_in, self.returns.one_in];
        if counts.contains(&0) || !(1..=100).contains(&self.paying.percent) || from > to {
            return Err(
                "[paying], [returns]: one_in is at least 1, percent 1 to 100, days are in order".into()
            );
        }
        Ok(())
    }

    /// Least part of a bill that points pay for, at the log's scale.
    pub fn least(&self) -> Result<Money, String> {
        let least = fixed(&self.paying.least, self.network.scale)?;
        Money::new(least).ok_or_else(|| "[paying] least: too large".into())
    }

    /// Names of the brands that have terms of their own.
    pub fn named(&self) -> impl Iterator<Item = &str> {
        self.brands.keys().map(String::as_str)
    }

    /// What a purchase earns by the default terms, at a unit's scale.
    pub fn default_earn(&self, scale: u8, minor: u8) -> Result<Earn, String> {
        Earn::read(&self.default.earn.points, scale, &self.default.earn.per, minor)
    }

    /// The terms of brands, named as receipts name them; each gets an id and a unit of its own.
    pub fn brands(&self, names: &[String]) -> Result<Vec<BrandTerms>, String> {
        let mut all: Vec<BrandTerms> = Vec::with_capacity(names.len());
        for name in names {
            let slug = unlike(slug(name), |slug| all.iter().any(|brand| brand.id.as_str()[3..] == *slug));
            let code = unlike(code(name), |code| all.iter().any(|brand| brand.unit.as_str() == *code));
            let text = self.brands.get(name).unwrap_or(&self.default);
            let brand = self.brand(name, &slug, &code, text).map_err(|e| format!("brand {name}: {e}"))?;
            all.push(brand);
        }
        Ok(all)
    }

    fn brand(&self, name: &str, slug: &str, code: &str, text: &BrandText) -> Result<BrandTerms, String> {
        let price = |price: &str| price_of(price, self.network.scale, text.scale);
        let malformed = |e: crate::types::Malformed| e.to_string();
        let accepts = match &text.accepts {
            Accepts::Named(names) => Some(names.clone()),
            Accepts::Word(word) if word == "all" => None,
            Accepts::Word(_) => return Err("accepts: \"all\", or a list of names".into()),
        };
        let min_spend = match &text.min_spend {
            Some(least) => Some(Points::new(fixed(least, text.scale)?).ok_or("min_spend: too large")?),
            None => None,
        };
        Ok(BrandTerms {
            name: name.into(),
            id: format!("br_{slug}").parse().map_err(malformed)?,
            participant: format!("pa_{slug}").parse().map_err(malformed)?,
            unit: code.parse().map_err(malformed)?,
            earn: Earn::read(&text.earn.points, text.scale, &text.earn.per, self.network.minor)?,
            prices: [price(&text.home)?, price(&text.till)?, price(&text.settle)?, price(&text.issue)?],
            expiry: text.expiry.clone(),
            scale: text.scale,
            offset: text.offset,
            pending_days: text.pending_days,
            grace_days: text.grace_days,
            min_spend,
            capture: text.capture,
            accepts,
        })
    }

    /// Money of a receipt (the currency's minor unit) at the log's scale.
    pub fn money(&self, minor: u64) -> Option<Money> {
        let finer = u32::from(self.network.scale.checked_sub(self.network.minor)?);
        10u64.checked_pow(finer)?.checked_mul(minor).and_then(Money::new)
    }
}

/// A decimal text as an integer at a scale: exact, or refused.
pub(crate) fn fixed(text: &str, scale: u8) -> Result<u64, String> {
    let no = || format!("{text:?} is not an amount with at most {scale} decimal places");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || text.ends_with('.') {
        return Err(no());
    }
    let part = part.trim_end_matches('0');
    let missing = usize::from(scale).checked_sub(part.len()).ok_or_else(no)?;
    format!("{whole}{part}{}", "0".repeat(missing)).parse().map_err(|_| no())
}

/// Money for one point, as text, becomes units of the log's scale per minor unit of points.
fn price_of(text: &str, scale: u8, unit_scale: u8) -> Result<Rate, String> {
    let decimals = text.split_once('.').map_or(0, |(_, part)| part.trim_end_matches('0').len());
    let decimals = u8::try_from(decimals).map_err(|e| e.to_string())?;
    let no = || format!("{text:?} is not a price");
    let digits = fixed(text, decimals)?;
    let ten = |n: u8| 10u64.checked_pow(u32::from(n));
    let num = ten(scale).and_then(|s| s.checked_mul(digits)).ok_or_else(no)?;
    let den = ten(decimals).zip(ten(unit_scale)).and_then(|(a, b)| a.checked_mul(b)).ok_or_else(no)?;
    let common = gcd(num, den).max(1);
    Rate::new(num / common, den / common).ok_or_else(no)
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A brand's name as a part of ids: lower case, what may not stand in an id becomes a hyphen.
fn slug(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' };
    let slug: String = name.chars().map(plain).take(40).collect();
    if slug.is_empty() { "brand".into() } else { slug }
}

/// A unit's code made of a brand's name.
fn code(name: &str) -> String {
    let mut code: String =
        name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).take(14).collect();
    if !code.starts_with(|c: char| c.is_ascii_uppercase()) {
        code.insert(0, 'U');
    }
    if code.len() < 4 {
        code.push_str("PTS");
    }
    code.truncate(14);
    code
}

/// The first of `text`, `text2`, `text3` … that is not taken.
fn unlike(text: String, taken: impl Fn(&String) -> bool) -> String {
    if !taken(&text) {
        return text;
    }
    let numbered = |n: u32| format!("{text}{n}");
    (2..=99).map(numbered).find(|text| !taken(text)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(num: u64, den: u64) -> Rate {
        Rate::new(num, den).expect("a price")
    }

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        assert_eq!(fixed("0.50", 4), Ok(5_000));
        assert_eq!(fixed("12", 2), Ok(1_200));
        assert_eq!(fixed("1.50", 1), Ok(15));
        for bad in ["", ".5", "1.", "1.234", "-1", "1e3", "1,5", "99999999999999999999"] {
            assert!(fixed(bad, 2).is_err(), "{bad}");
        }
    }

    #[test]
    fn prices_are_money_for_one_minor_unit_of_points() {
        // 0.0095 a point: 95 ten-thousandths.
        assert_eq!(price_of("0.0095", 4, 0), Ok(rate(95, 1)));
        // A dollar a point of two decimals: 10,000 ten-thousandths for 100.
        assert_eq!(price_of("1.00", 4, 2), Ok(rate(100, 1)));
        assert_eq!(price_of("0.00333", 4, 1), Ok(rate(333, 100)));
        assert!(price_of("0", 4, 0).is_err());
    }

    #[test]
    fn earning_rounds_down() {
        let earn = Earn::read("1", 0, "2.00", 2).expect("a rule");
        assert_eq!(earn.points(399), Points::new(1));
        assert_eq!(earn.points(400), Points::new(2));
        let finer = Earn::read("0.03", 2, "1.00", 2).expect("a rule");
        assert_eq!(finer.points(1_000), Points::new(30));
    }

    #[test]
    fn the_built_in_terms_hold() {
        let terms = Terms::built_in().expect("read");
        let names: Vec<String> = terms.named().map(str::to_owned).collect();
        let brands = terms.brands(&names).expect("terms");
        assert_eq!(brands.len(), 10);
        for brand in &brands {
            let [_, _, settle, issue] = brand.prices;
            assert!(!settle.is_above(issue), "{}: an issue price below the settle price", brand.name);
        }
        let [harvest, cleaver] =
            ["HARVEST", "CLEAVER"].map(|n| brands.iter().find(|b| b.name == n).expect("there"));
        assert!(cleaver.accepts(harvest) && !harvest.accepts(harvest));
        let bloom = brands.iter().find(|b| b.name == "BLOOM").expect("there");
        assert!(!cleaver.accepts(bloom) && harvest.accepts(bloom));
        assert_eq!(terms.money(607), Money::new(60_700));
    }

    #[test]
    fn brands_without_terms_get_ids_and_units_of_their_own() {
        let terms = Terms::built_in().expect("read");
        let names = ["Café 7", "Caf 7", "7-11", "KFC", "HARVEST", "Ø"].map(String::from);
        let brands = terms.brands(&names).expect("terms");
        let codes: Vec<String> = brands.iter().map(|b| format!("{} {}", b.id, b.unit)).collect();
        assert_eq!(
            codes,
            [
                "br_caf--7 CAF7",
                "br_caf-7 CAF72",
                "br_7-11 U711",
                "br_kfc KFCPTS",
                "br_harvest HARVEST",
                "br_- UPTS"
            ]
        );
        assert_eq!(brands[3].scale, 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let broken = |from: &str, to: &str| Terms::read(&BUILT_IN.replace(from, to)).expect_err("refused");
        assert!(broken("least = \"0.50\"", "least = \"0.50001\"").contains("0.50001"));
        assert!(broken("\"HARVEST\", \"APOTHECARY\"", "\"HARVST\", \"APOTHECARY\"").contains("HARVST"));
        assert!(broken("one_in = 12", "one_in = 0").contains("one_in"));
        assert!(broken("days = [32,", "days = [30,").contains("[fees] days"));
        assert!(broken("percent = \"0.4\"", "percent = \"100\"").contains("[fees] 100 percent"));
        assert!(broken("capture = \"later\"", "capture = \"soon\"").contains("soon"));
        assert!(broken("name = \"CELLAR\"", "name = \"BLOOM\"").contains("twice"));
    }
}
