//! Who joins the test network: participants, brands, keys; and who agrees to it.

use super::world::{Brand, Key, World};
use tallyhouse::machine::Request;
use tallyhouse::network::{RegisterBrand, RegisterParticipant};
use tallyhouse::sign::{KeyCert, Typ};
use tallyhouse::types::{Currency, ParticipantId};

impl World {
    pub fn register_participant(
        &self,
        cid: &str,
        participant: &ParticipantId,
        currency: Currency,
    ) -> Request {
        let operator = *participant == self.operator;
        let args = RegisterParticipant { participant: participant.clone(), currency, operator };
        self.by_operator(cid, "participant.register", &args)
    }

    pub fn register_brand(&self, cid: &str, brand: &Brand) -> Request {
        let args = RegisterBrand {
            brand: brand.id.clone(),
            participant: brand.participant.clone(),
            root: brand.root.public,
            recovery: None,
        };
        let first = self.command(&brand.root, cid, "brand.register", &args);
        let speaker = self.speaker(&brand.participant).filter(|speaker| speaker.id != brand.id);
        let by = self.roots.iter().take(2).chain(speaker.map(|speaker| &speaker.root));
        let approvals = by.map(|root| self.approve(root, &first)).collect();
        Request::of([vec![first], approvals].concat())
    }

    /// The brand that speaks for a participant: the first of its brands.
    pub fn speaker(&self, participant: &ParticipantId) -> Option<&Brand> {
        self.brands.iter().find(|brand| brand.participant == *participant)
    }

    /// A certificate signed by `root`, with the new key's proof of possession.
    pub fn certify(&self, root: &Key, new: &Key, cert: &KeyCert) -> Request {
        let first = self.statement(root, Typ::KeyCert, cert);
        let mut jws = vec![self.approve(new, &first)];
        if self.of_another(cert) {
            jws.extend(self.agreeing(cert).iter().map(|root| self.approve(root, &first)));
        }
        jws.insert(0, first);
        Request::of(jws)
    }

    /// Who agrees for the legal entity that a till's certificate names: its brand, else the operator.
    pub fn agreeing(&self, cert: &KeyCert) -> Vec<&Key> {
        let speaker = cert.till.as_ref().and_then(|till| self.speaker(&till.participant));
        speaker.map_or_else(|| self.roots.iter().take(2).collect(), |speaker| vec![&speaker.root])
    }

    /// Whether a till's certificate names another legal entity than its brand's, which agrees then.
    pub fn of_another(&self, cert: &KeyCert) -> bool {
        let brand = self.brands.iter().find(|brand| brand.id.as_str() == cert.owner);
        cert.till.as_ref().zip(brand).is_some_and(|(till, brand)| till.participant != brand.participant)
    }
}
