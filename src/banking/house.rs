//! The house's own account in a file or a notice: as this node's configuration names it, and as people signed for it.
//!
//! Owns: the comparison of the two. Promises: where the log has a commitment to the house's account that counts, no file and
//! no notice names another one, whatever one node's configuration says; where it has none, whoever asks is told.
//! Refuses to know: who signed; that was decided when it was booked.

use super::{Desk, Fault};
use crate::book::{DetailsVersion, Name, Record};
use crate::formats::SettlementAccount;
use crate::types::Currency;

impl Desk<'_> {
    /// The house's account for a cycle, and whether people signed for it.
    pub(super) fn house(&self, cycle: u64, currency: Currency) -> Result<(SettlementAccount, bool), Fault> {
        let account = self.accounts.of(currency)?.clone();
        let Some((version, signed)) = self.signed_for(cycle, currency)? else { return Ok((account, false)) };
        let vault =
            self.vault.ok_or_else(|| Fault::No("the vault is needed, and is not open here".into()))?;
        let salted = vault.details(signed.commitment)?.ok_or_else(|| {
            let how = "send it again (POST /v1/bank-details:keep, or `tallyhouse bank keep`)";
            Fault::No(format!(
                "the vault does not have version {version} of the house's account in {currency}: {how}"
            ))
        })?;
        let (one, own) = (salted.details, &account);
        let bic = one.bic.is_none() || one.bic == own.bic;
        if one.currency == currency && (&one.name, &one.iban) == (&own.name, &own.iban) && bic {
            return Ok((account, true));
        }
        let how = "name that one in the file of `api.settlement_accounts`, or sign for another (`details.set` with \"settlement\":true)";
        Err(Fault::No(format!(
            "the house's account in {currency} is {}, {}, by version {version} that people signed for, and this node's \
             configuration names {}, {}: {how}",
            one.name, one.iban, own.name, own.iban
        )))
    }

    /// The version of the house's account that counts for a cycle.
    fn signed_for(&self, cycle: u64, currency: Currency) -> Result<Option<(u64, DetailsVersion)>, Fault> {
        let head = self.record(&Name::House(currency))?;
        let mut at = head.as_ref().and_then(Record::details).and_then(|head| head.confirmed);
        while let Some(version) = at {
            let record = self.record(&Name::HouseVersion(currency, version))?;
            let one = record.as_ref().and_then(Record::details_version).cloned();
            let one =
                one.ok_or_else(|| Fault::Damaged(format!("no version {version} of the house's account")))?;
            if one.from.is_some_and(|from| from <= cycle) {
                return Ok(Some((version, one)));
            }
            at = one.before;
        }
        Ok(None)
    }

    /// What to tell whoever gets a file or notices in which an account stands that nobody signed for.
    pub fn unsigned(&self, cycle: u64, currency: Currency) -> Result<Option<String>, Fault> {
        let warning = format!(
            "nobody has signed for the house's account in {currency}: whoever edits this node's configuration decides \
             where payers pay (`details.set` with \"settlement\":true ends that)"
        );
        Ok(self.signed_for(cycle, currency)?.is_none().then_some(warning))
    }
}
