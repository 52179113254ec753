//! The member of `Signature-Input`: which components are covered, and the parameters.

use super::{LONGEST, TAG};
use crate::types::{Hash, Kid, MAX_INT, Refusal, Refused};
use sfv::{BareItem, FieldType, InnerList, List, ListEntry, Parser};

/// The shortest nonce, in bytes of its text.
const SHORTEST_NONCE: usize = 16;
/// The longest member, in bytes.
const MAX_INPUT: usize = 1024;

/// What a signature says of itself.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// Names of the components, in the signer's order, each once.
    pub components: Vec<String>,
    pub created: u64,
    pub expires: u64,
    pub nonce: String,
    pub kid: Kid,
}

pub(super) fn malformed(about: impl std::fmt::Display) -> Refused {
    Refused::about(Refusal::SignatureMalformed, about)
}

impl Input {
    /// Reads a member. It is signed as it stands, so it must stand in the one form that RFC 9421 signs.
    pub fn parse(text: &str) -> Result<Self, Refused> {
        let list = read(text)?;
        let mut input = Self {
            components: Vec::with_capacity(list.items.len()),
            created: 0,
            expires: 0,
            nonce: String::new(),
            kid: Kid(Hash::default()),
        };
        let mut seen =
            [("created", false), ("expires", false), ("nonce", false), ("keyid", false), ("tag", false)];
        for (name, value) in &list.params {
            input.param(name.as_str(), value)?;
            if let Some(have) = seen.iter_mut().find(|(known, _)| *known == name.as_str()) {
                have.1 = true;
            }
        }
        if let Some((missing, _)) = seen.iter().find(|(_, there)| !there) {
            return Err(malformed(format!(
                "{missing}: missing; created, expires, nonce, keyid and tag are needed"
            )));
        }
        for item in &list.items {
            let name =
                item.bare_item.as_string().ok_or_else(|| malformed("a component is a string"))?.as_str();
            if let Some((param, _)) = item.params.first() {
                let about = format!("{name};{}: components take no parameters here", param.as_str());
                return Err(Refused::about(Refusal::SignatureCoverage, about));
            }
            if input.components.iter().any(|have| have == name) {
                return Err(malformed(format!("{name}: covered twice")));
            }
            input.components.push(name.to_owned());
        }
        let life = input.expires.checked_sub(input.created);
        if !life.is_some_and(|life| (1..=LONGEST).contains(&life)) {
            let about = format!("expires: 1 to {LONGEST} s after created");
            return Err(Refused::about(Refusal::SignatureStale, about));
        }
        Ok(input)
    }

    fn param(&mut self, name: &str, value: &BareItem) -> Result<(), Refused> {
        let text = value.as_string().map(|text| text.as_str());
        match name {
            "created" => self.created = seconds(name, value)?,
            "expires" => self.expires = seconds(name, value)?,
            "nonce" => {
                let nonce = text.filter(|text| text.len() >= SHORTEST_NONCE);
                let about = "nonce: a string of at least 16 characters";
                self.nonce = nonce.ok_or_else(|| malformed(about))?.to_owned();
            }
            "keyid" => {
                let about = "keyid: the key's RFC 7638 thumbprint";
                self.kid = text.and_then(|text| text.parse().ok()).ok_or_else(|| malformed(about))?;
            }
            "tag" if text == Some(TAG) => {}
            "tag" => return Err(malformed(format!("tag: {TAG:?} is wanted"))),
            "alg" if text == Some("ed25519") => {}
            "alg" => return Err(malformed("alg: absent or \"ed25519\"")),
            _ => return Err(malformed(format!("{name}: a parameter that is not taken"))),
        }
        Ok(())
    }
}

fn seconds(name: &str, value: &BareItem) -> Result<u64, Refused> {
    let number = value.as_integer().and_then(|number| u64::try_from(i64::from(number)).ok());
    number.filter(|n| *n <= MAX_INT).ok_or_else(|| malformed(format!("{name}: whole Unix seconds")))
}

/// The inner list, if the text is one in its canonical form and nothing else.
fn read(text: &str) -> Result<InnerList, Refused> {
    if text.len() > MAX_INPUT {
        return Err(malformed(format!("signature-input: at most {MAX_INPUT} bytes")));
    }
    let list: List = Parser::new(text).parse().map_err(|e| malformed(format!("signature-input: {e}")))?;
    // A parameter that stands twice, white space and other spellings of a number would be lost in reading.
    if list.serialize().as_deref() != Some(text) {
        return Err(malformed(
            "signature-input: not in the form of RFC 9421, such as (\"@method\");created=1",
        ));
    }
    match <[ListEntry; 1]>::try_from(list) {
        Ok([ListEntry::InnerList(list)]) => Ok(list),
        _ => Err(malformed("signature-input: a list of components in brackets")),
    }
}
