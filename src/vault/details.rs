//! Bank details of participants, with the salts of their commitments.
//!
//! Owns: how they are kept: sealed, each under its commitment, by which the log names them.
//! Promises: what is found under a commitment is what it was made of; keeping the same twice changes nothing.
//! Refuses to know: which of them count.

use super::file::Stop;
use super::room::{self, Kept};
use super::seal::What;
use super::{Fault, Inner, Vault};
use crate::clearing::SaltedDetails;
use crate::types::Hash;

impl Kept for SaltedDetails {
    const WHAT: What = What::Details;
    fn name(&self) -> String {
        self.commitment().to_string()
    }
    fn owner(&self) -> String {
        self.details.participant.to_string()
    }
}

impl Vault {
    /// Keeps bank details; the commitment that stands for them.
    pub fn keep_details(&self, salted: &SaltedDetails) -> Result<Hash, Fault> {
        let commitment = salted.commitment();
        let Inner { file, master, salts, .. } = &mut *self.inner();
        file.write("keep bank details", |tables| {
            let by = room::by_name::<SaltedDetails>(master, &commitment.to_string());
            match room::one::<SaltedDetails>(tables, master, by)? {
                Some(_) => Ok::<_, Stop>(()),
                None => room::add(tables, master, salts, salted, None),
            }
        })?;
        Ok(commitment)
    }

    /// What stands behind a commitment, if it was kept here.
    pub fn details(&self, commitment: Hash) -> Result<Option<SaltedDetails>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_name::<SaltedDetails>(master, &commitment.to_string());
        let found =
            file.read("read bank details", |tables| room::one::<SaltedDetails>(tables, master, by))?;
        let found = found.map(|found| found.record);
        match found {
            Some(salted) if salted.commitment() != commitment => {
                Err(Fault::Damaged { path: file.path.clone(), what: What::Details.text() })
            }
            found => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, holds};
    use super::*;
    use crate::types::b64;

    #[test]
    fn details_are_found_by_their_commitment_and_cannot_be_read_in_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let text = format!(
            r#"{{"salt":"{}","details":{{"participant":"pa_harvest","currency":"EUR","name":"Harvest AG","iban":"DE89370400440532013000"}}}}"#,
            b64(&[9; 32])
        );
        let salted: SaltedDetails = serde_json::from_str(&text).expect("details");
        let commitment = vault.keep_details(&salted).expect("kept");
        assert_eq!(vault.keep_details(&salted).expect("kept again"), commitment);
        let vault = Vault::open(dir.path()).expect("opened again");
        assert_eq!(vault.details(commitment).expect("an answer"), Some(salted));
        assert_eq!(vault.details(Hash::default()).expect("an answer"), None);
        for hidden in ["DE89370400440532013000", "Harvest AG", "pa_harvest", &commitment.to_string()] {
            assert!(!holds(&bytes(dir.path()), hidden.as_bytes()), "{hidden}");
        }
    }
}
