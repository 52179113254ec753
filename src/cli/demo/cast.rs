//! The cast: brands with their keys and tills, members with their seeds and accounts.
//!
//! Owns: every secret key of the demo, and the files they are kept in.
//! Promises: a key is on disk before anything that it signed is sent; each till has a key of its own, and
//! each wallet a seed that all its account keys are derived from.
//! Refuses to know: what is signed when.

use super::pipe::Number;
use super::safe::Safe;
use super::survey::{Sales, YEAR};
use super::terms::{BrandTerms, Terms};
use crate::app::{BrandKeys, Pen, id_of};
use crate::machine::{Kind, Request};
use crate::network::OpenAccount;
use crate::sign::{KeyBudget, Purpose, SecretKey, TillClaims};
use crate::types::{AccountId, Ident, Points, Time};
use crate::vault::WalletId;
use hashbrown::HashMap;

/// A till: one for each shop.
pub struct Till {
    /// Its key.
    pub key: SecretKey,
    /// The command that certified it.
    pub certified: Number,
}

/// A brand.
pub struct Brand {
    /// Its terms.
    pub terms: BrandTerms,
    /// What the receipts say it will sell.
    pub sales: Sales,
    /// How much more than that its budgets allow, in percent.
    pub headroom: u64,
    /// Its root and its issuing key.
    pub keys: BrandKeys,
    /// Its tills, by shop.
    pub tills: HashMap<Ident, Till>,
}

impl Brand {
    /// The budget of a year, counted from 0: what the receipts need up to the end of it and some more, and
    /// the busiest hour and some more. It ends a day after the year, when the next one is long signed.
    pub fn budget(&self, pen: &Pen, start: Time, year: u64) -> Result<KeyBudget, String> {
        let enough = |sold: u64| {
            let more = sold.saturating_mul(100 + self.headroom).div_ceil(100);
            let points = self.terms.earn.points(more).map_or(0, Points::get);
            // Somebody who sold next to nothing may still issue a first point.
            Points::new(points.max(1)).ok_or("a budget above 2^53 - 1 points")
        };
        let years = usize::try_from(year).map_err(|e| e.to_string())?;
        Ok(KeyBudget {
            aud: pen.net,
            key: self.keys.issuing.public().kid(),
            unit: self.terms.unit,
            serial: year + 1,
            ceiling: enough(self.sales.through(years))?,
            hourly: enough(self.sales.busiest_hour)?,
            until: start.plus_seconds((year + 1) * YEAR + 86_400).seconds(),
            backfill: None,
            sponsored: None,
        })
    }
}

/// A member's account of one unit, as the demo remembers it.
pub struct Purse {
    /// Whose points: the brand's place.
    pub brand: usize,
    /// The account.
    pub account: AccountId,
    /// The most that it can hold: what is given counts at once, what expires does not.
    pub most: u64,
    /// The last command that was sent for it.
    pub last: Number,
}

impl Purse {
    /// A command was sent that changes the account: it gives so many points, or some that it held before.
    pub fn changed(&mut self, number: Number, gives: Option<u64>) {
        self.last = number;
        // What a return gives back is found out when the balance is asked for.
        self.most = gives.map_or(u64::from(u32::MAX), |points| self.most.saturating_add(points));
    }
}

/// A member.
pub struct Member {
    /// As the vault knows it.
    pub wallet: WalletId,
    /// What the wallet's account keys are derived from.
    pub seed: [u8; 32],
    /// Its accounts, in the order of opening.
    pub purses: Vec<Purse>,
}

/// Everybody.
pub struct Cast<'a> {
    /// The configuration.
    pub terms: &'a Terms,
    /// Signs for this network.
    pub pen: Pen,
    /// In the order of their first receipt.
    pub brands: Vec<Brand>,
    by_name: HashMap<String, usize>,
    /// By the name that receipts give them.
    pub members: HashMap<String, Member>,
    safe: &'a Safe,
}

impl<'a> Cast<'a> {
    /// The brands, and nobody else yet.
    pub fn new(terms: &'a Terms, pen: Pen, brands: Vec<Brand>, safe: &'a Safe) -> Self {
        let by_name = brands.iter().enumerate().map(|(at, brand)| (brand.terms.name.clone(), at)).collect();
        Self { terms, pen, brands, by_name, members: HashMap::new(), safe }
    }

    /// The place of a brand.
    pub fn brand_of(&self, name: &str) -> Result<usize, String> {
        self.by_name
            .get(name)
            .copied()
            .ok_or_else(|| format!("brand {name} was not there when the file was surveyed"))
    }

    /// A brand.
    pub fn brand(&self, at: usize) -> Result<&Brand, String> {
        self.brands.get(at).ok_or_else(|| format!("no brand {at}"))
    }

    /// A member that was met.
    pub fn member(&mut self, name: &str) -> Result<&mut Member, String> {
        self.members.get_mut(name).ok_or_else(|| format!("member {name} was never met"))
    }

    /// Gives a member a wallet, at first sight.
    pub fn meet(&mut self, name: &str) -> Result<(), String> {
        if !self.members.contains_key(name) {
            let (wallet, seed) = self.safe.wallet(name)?;
            self.members.insert(name.to_owned(), Member { wallet, seed, purses: vec![] });
        }
        Ok(())
    }

    /// Shops that have a till.
    pub fn stores(&self) -> usize {
        self.brands.iter().map(|brand| brand.tills.len()).sum()
    }

    /// A shop's till: a new key, certified by the brand's root.
    pub fn new_till(&mut self, brand: usize, store: &Ident, now: Time) -> Result<Request, String> {
        let pen = self.pen;
        let brand = self.brands.get_mut(brand).ok_or("no such brand")?;
        let key = self.safe.till_key(&brand.terms.id, store)?;
        let claims = TillClaims {
            store: store.clone(),
            till: store.clone(),
            participant: brand.terms.participant.clone(),
            limits: None,
        };
        let from = now.seconds();
        let request = pen.certify(&brand.keys.root, &key, Purpose::Till, &brand.terms.id, from, Some(claims));
        brand.tills.insert(store.clone(), Till { key, certified: 0 });
        Ok(request)
    }

    /// A member's account of a brand's points, opened by the brand with the member's own key.
    pub fn open_account(&mut self, member: &str, brand: usize) -> Result<Request, String> {
        let unit = self.brand(brand)?.terms.unit;
        let (pen, safe) = (self.pen, self.safe);
        let member = self.member(member)?;
        let account = safe.account(member.wallet, unit)?;
        let key = SecretKey::derive(&member.seed, unit);
        let args = OpenAccount { account, unit, key: key.public() };
        let cid = id_of(&["open", &account.to_string()]);
        member.purses.push(Purse { brand, account, most: 0, last: 0 });
        let issuing = &self.brand(brand)?.keys.issuing;
        Ok(pen.approved(pen.command(issuing, &cid, Kind::AccountOpened, &args), &[&key]))
    }
}
