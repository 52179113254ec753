//! Checked: a request read before it takes a turn of the writer.
//!
//! Owns: finding the keys that signed it.
//! Promises: a key that cannot be looked up now is not taken for one that nobody knows: then there is no answer.
//! Refuses to know: what a command does.

use super::run::Engine;
use super::{Failure, fault};
use crate::book::{Name, Record};
use crate::machine::{Command, DryRun, Request};
use crate::sign::{PublicKey, Verifier};
use crate::types::{Kid, Refused};
use std::cell::RefCell;
use std::sync::PoisonError;

impl Engine {
    /// Reads and checks a request: form, audience, signatures. Costs no turn of the writer.
    pub fn check(&self, request: &Request) -> Result<Command, Failure> {
        self.with_keys(|keys| Command::read(request, self.net(), keys))
    }

    /// [`Engine::check`] for what shall only be tried.
    pub fn check_dry(&self, request: &Request) -> Result<DryRun, Failure> {
        self.with_keys(|keys| DryRun::read(request, self.net(), keys))
    }

    fn with_keys<T>(
        &self,
        read: impl FnOnce(&dyn Fn(Kid) -> Option<Verifier>) -> Result<T, Refused>,
    ) -> Result<T, Failure> {
        let failed = RefCell::new(None);
        let find = |kid| {
            self.verifier(kid).unwrap_or_else(|failure| {
                *failed.borrow_mut() = Some(failure);
                None
            })
        };
        let done = read(&find);
        match failed.take() {
            Some(failure) => Err(failure),
            None => done.map_err(Failure::Refused),
        }
    }

    fn verifier(&self, kid: Kid) -> Result<Option<Verifier>, Failure> {
        if let Some(ready) = self.shared.verifiers.get(&kid) {
            return Ok(Some(ready));
        }
        let ready = self.key(kid)?.as_ref().map(Verifier::new);
        if let Some(ready) = &ready {
            self.shared.verifiers.insert(kid, ready.clone());
        }
        Ok(ready)
    }

    fn key(&self, kid: Kid) -> Result<Option<PublicKey>, Failure> {
        let known = self.shared.keys.read().unwrap_or_else(PoisonError::into_inner).get(&kid).copied();
        if known.is_some() {
            return Ok(known);
        }
        let name = Name::Key(kid);
        let Some(row) = self.read.load(&[name.to_string()]).map_err(fault)?.rows.pop() else {
            return Ok(None);
        };
        let record = Record::decode(&name, &row.value).map_err(fault)?;
        let key = record.key().map(|record| record.key);
        if let Some(key) = key {
            self.shared.learn(kid, key);
        }
        Ok(key)
    }
}
