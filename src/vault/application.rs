//! Applications of brands to join the network: drafts, until the operator's people decide.
//!
//! Owns: what a brand handed in (statements of its own root), what was approved so far, how it stands.
//! Promises: none of it is in the log before it is decided; only the operator, or who has the token that was
//! told once when it was handed in, can read it; an application is decided once.
//! Refuses to know: what the statements say, and whose approvals count: the log decides that.

use super::file::Stop;
use super::room::{self, Kept};
use super::seal::What;
use super::{ApplicationId, Fault, Inner, Vault};
use crate::clock;
use crate::types::{BrandId, Currency, Hash, Malformed, ParticipantId, Time, b64};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Open applications of one brand id, at most.
const OPEN_OF_BRAND: usize = 3;
/// Open applications, at most.
const OPEN_IN_ALL: i64 = 10_000;
/// How long one stays open that nobody decides, in seconds: anybody can hand one in for any id.
const LAPSES: u64 = 30 * 86_400;
/// Statements of an application, and its approvals, at most.
const MAX_STATEMENTS: usize = 32;
/// The longest statement, and the longest contact, in bytes.
const MAX_TEXT: usize = 4_096;

/// How an application stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationState {
    /// Handed in, not decided.
    Applied,
    /// The operator took the brand in.
    Approved,
    /// The operator did not.
    Rejected,
    /// The brand thought better of it.
    Withdrawn,
    /// Nobody decided it in time.
    Lapsed,
}

impl ApplicationState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Applied, Self::Approved, Self::Rejected, Self::Withdrawn, Self::Lapsed];

    /// As it is written.
    pub fn code(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Lapsed => "lapsed",
        }
    }
}

impl fmt::Display for ApplicationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for ApplicationState {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let found = Self::ALL.into_iter().find(|state| state.code() == text);
        let no = || Malformed(format!("{text:?} is not applied, approved, rejected, withdrawn or lapsed"));
        found.ok_or_else(no)
    }
}

/// What a brand hands in.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// The id that it wants.
    pub brand: BrandId,
    /// The legal entity that would owe and be owed.
    pub participant: ParticipantId,
    /// The currency that it settles in.
    pub currency: Currency,
    /// Compact JWSs: what its root signed.
    pub statements: Vec<String>,
    /// How to reach whoever applies; personal data.
    pub contact: String,
}

/// An application.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// How it stands.
    pub state: ApplicationState,
    /// The id that the brand wants.
    pub brand: BrandId,
    /// The legal entity that would owe and be owed.
    pub participant: ParticipantId,
    /// The currency that it settles in.
    pub currency: Currency,
    /// Compact JWSs: what the brand's root signed.
    pub statements: Vec<String>,
    /// Compact JWSs of those who approved, in their order.
    pub approvals: Vec<String>,
    /// When it was handed in.
    pub created: Time,
    /// When it was decided or withdrawn.
    pub decided: Option<Time>,
    /// How to reach whoever applied.
    pub contact: String,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptApplication {
    application: Application,
    token: Hash,
}

impl Kept for KeptApplication {
    const WHAT: What = What::Application;
    fn name(&self) -> String {
        self.application.id.to_string()
    }
    fn owner(&self) -> String {
        self.application.brand.to_string()
    }
    fn secret(&self) -> Option<Hash> {
        Some(self.token)
    }
    fn state(&self) -> Option<&'static str> {
        Some(self.application.state.code())
    }
}

impl Vault {
    /// Takes an application in: itself, and the token that its applicant reads it with, told this once. At
    /// most 3 of a brand id are open, and 10,000 in all; one lapses after 30 days.
    pub fn apply(&self, new: NewApplication, now: Time) -> Result<(Application, String), Fault> {
        let NewApplication { brand, participant, currency, statements, contact } = new;
        let long = statements.iter().chain([&contact]).any(|text| text.len() > MAX_TEXT);
        if long || statements.len() > MAX_STATEMENTS {
            return Err(Fault::TooMuch(
                "an application has at most 32 statements, and texts of at most 4 KiB",
            ));
        }
        let token = format!("th_app_{}", b64(&clock::random::<32>()));
        let Inner { file, master, salts, .. } = &mut *self.inner();
        let id = ApplicationId(u128::from_be_bytes(salts.bytes()));
        let (state, approvals, decided) = (ApplicationState::Applied, vec![], None);
        let application = Application {
            id,
            state,
            brand,
            participant,
            currency,
            statements,
            approvals,
            created: now,
            decided,
            contact,
        };
        let kept = KeptApplication { application, token: Hash::sha256(token.as_bytes()) };
        file.write("keep an application", |tables| {
            let brand = &kept.application.brand;
            let by = room::by_owner::<KeptApplication>(master, brand.as_str());
            let others = room::all::<KeptApplication>(tables, master, by)?;
            let mut open = others.iter().filter(|other| other.record.application.state == state).count();
            let mut in_all = room::count::<KeptApplication>(tables, master, state.code())?;
            if open >= OPEN_OF_BRAND || in_all >= OPEN_IN_ALL {
                let by = room::by_state::<KeptApplication>(master, state.code());
                for mut old in room::all::<KeptApplication>(tables, master, by)? {
                    let application = &mut old.record.application;
                    if application.created.plus_seconds(LAPSES) > now {
                        continue;
                    }
                    (application.state, application.decided) = (ApplicationState::Lapsed, Some(now));
                    open -= usize::from(application.brand == *brand);
                    in_all -= 1;
                    room::replace(tables, master, salts, &old)?;
                }
            }
            if open >= OPEN_OF_BRAND || in_all >= OPEN_IN_ALL {
                return Err(Stop::Fault(Fault::TooManyOpen(brand.clone())));
            }
            room::add(tables, master, salts, &kept, None)
        })?;
        Ok((kept.application, token))
    }

    /// An application, for the operator.
    pub fn application(&self, id: ApplicationId) -> Result<Option<Application>, Fault> {
        Ok(self.kept(id)?.map(|kept| kept.application))
    }

    /// An application, for who has its token. An id that is not there and a token that is not its own look
    /// the same.
    pub fn application_for(&self, id: ApplicationId, token: &str) -> Result<Option<Application>, Fault> {
        let presented = Hash::sha256(token.as_bytes());
        let kept = self.kept(id)?;
        Ok(kept.filter(|kept| kept.token == presented).map(|kept| kept.application))
    }

    /// The applications that stand so, the oldest first.
    pub fn applications(&self, state: ApplicationState) -> Result<Vec<Application>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_state::<KeptApplication>(master, state.code());
        let found =
            file.read("read applications", |tables| room::all::<KeptApplication>(tables, master, by))?;
        let mut all: Vec<_> = found.into_iter().map(|found| found.record.application).collect();
        all.sort_by_key(|application| (application.created, application.id));
        Ok(all)
    }

    /// Adds somebody's approval to an open application. The same one again changes nothing.
    pub fn approve_application(&self, id: ApplicationId, approval: &str) -> Result<Application, Fault> {
        if approval.len() > MAX_TEXT {
            return Err(Fault::TooMuch("an approval has at most 4 KiB"));
        }
        self.change(id, |application| {
            let approvals = &mut application.approvals;
            if approvals.iter().any(|known| known == approval) {
                return Ok(());
            }
            if approvals.len() >= MAX_STATEMENTS {
                return Err(Fault::TooMuch("an application has at most 32 approvals"));
            }
            approvals.push(approval.to_owned());
            Ok(())
        })
    }

    /// Decides an open application, or withdraws it.
    pub fn decide_application(
        &self,
        id: ApplicationId,
        state: ApplicationState,
        now: Time,
    ) -> Result<Application, Fault> {
        self.change(id, |application| {
            application.state = state;
            application.decided = (state != ApplicationState::Applied).then_some(now);
            Ok(())
        })
    }

    fn kept(&self, id: ApplicationId) -> Result<Option<KeptApplication>, Fault> {
        let Inner { file, master, .. } = &mut *self.inner();
        let by = room::by_name::<KeptApplication>(master, &id.to_string());
        let found =
            file.read("read an application", |tables| room::one::<KeptApplication>(tables, master, by))?;
        Ok(found.map(|found| found.record))
    }

    /// Changes an application that is open.
    fn change(
        &self,
        id: ApplicationId,
        change: impl FnOnce(&mut Application) -> Result<(), Fault>,
    ) -> Result<Application, Fault> {
        let Inner { file, master, salts, .. } = &mut *self.inner();
        let by = room::by_name::<KeptApplication>(master, &id.to_string());
        file.write("change an application", |tables| {
            let found = room::one::<KeptApplication>(tables, master, by)?;
            let unknown = || Stop::Fault(Fault::Unknown { what: "application", id: id.to_string() });
            let mut found = found.ok_or_else(unknown)?;
            if found.record.application.state != ApplicationState::Applied {
                return Err(Stop::Fault(Fault::Decided(id)));
            }
            change(&mut found.record.application).map_err(Stop::Fault)?;
            room::replace(tables, master, salts, &found)?;
            Ok(found.record.application)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{bytes, holds};
    use super::*;
    use crate::vault::tests::on_each;

    fn at(seconds: u64) -> Time {
        Time::from_seconds(seconds).expect("an instant")
    }

    fn new(brand: &str) -> NewApplication {
        NewApplication {
            brand: brand.parse().expect("a brand"),
            participant: "pa_harvest".parse().expect("a participant"),
            currency: "USD".parse().expect("a currency"),
            statements: vec!["one.two.three".into()],
            contact: "Ada of nowhere".into(),
        }
    }

    #[test]
    fn an_application_is_read_by_the_operator_and_its_applicant_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let (made, token) = vault.apply(new("br_harvest"), at(5)).expect("taken");
        let (other, others) = vault.apply(new("br_voyage"), at(6)).expect("taken");
        assert_eq!((made.state, made.decided), (ApplicationState::Applied, None));
        for vault in [&vault, &Vault::open(dir.path()).expect("opened again")] {
            assert_eq!(vault.application(made.id).expect("read"), Some(made.clone()));
            assert_eq!(vault.application_for(made.id, &token).expect("read"), Some(made.clone()));
            for wrong in [&others[..], "", &token[..20]] {
                assert_eq!(vault.application_for(made.id, wrong).expect("an answer"), None);
            }
            let nowhere = ApplicationId(3);
            assert_eq!(vault.application_for(nowhere, &token).expect("an answer"), None);
            let open = vault.applications(ApplicationState::Applied).expect("two");
            assert_eq!(open, [made.clone(), other.clone()]);
            assert_eq!(vault.applications(ApplicationState::Approved).expect("none"), []);
        }
        for hidden in [token.as_bytes(), b"Ada of nowhere", b"br_harvest", b"one.two.three"] {
            assert!(!holds(&bytes(dir.path()), hidden), "{}", String::from_utf8_lossy(hidden));
        }
    }

    #[test]
    fn it_is_approved_and_decided_once() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let id = vault.apply(new("br_harvest"), at(5)).expect("taken").0.id;
            for approval in ["a", "b", "a"] {
                vault.approve_application(id, approval).expect("added");
            }
            let decided = vault.decide_application(id, ApplicationState::Approved, at(9)).expect("decided");
            assert_eq!(decided.approvals, ["a", "b"]);
            assert_eq!((decided.state, decided.decided), (ApplicationState::Approved, Some(at(9))));
            assert_eq!(vault.application(id).expect("read"), Some(decided.clone()));
            assert_eq!(vault.applications(ApplicationState::Approved).expect("one"), [decided]);
            assert_eq!(vault.applications(ApplicationState::Applied).expect("none"), []);
            let again = vault.decide_application(id, ApplicationState::Rejected, at(10));
            assert!(matches!(again, Err(Fault::Decided(_))));
            assert!(matches!(vault.approve_application(id, "c"), Err(Fault::Decided(_))));
            let unknown = vault.approve_application(ApplicationId(1), "a");
            assert!(matches!(unknown, Err(Fault::Unknown { .. })));
        });
    }

    #[test]
    fn open_applications_of_a_brand_are_few_and_small() {
        on_each(|home| {
            let vault = Vault::open(home).expect("a vault");
            let ids = [1, 2, 3].map(|s| vault.apply(new("br_harvest"), at(s)).expect("taken").0.id);
            assert!(matches!(vault.apply(new("br_harvest"), at(4)), Err(Fault::TooManyOpen(_))));
            vault.apply(new("br_voyage"), at(4)).expect("another brand");
            vault.decide_application(ids[1], ApplicationState::Withdrawn, at(5)).expect("withdrawn");
            vault.apply(new("br_harvest"), at(6)).expect("one is free again");
            let long = NewApplication { contact: "c".repeat(MAX_TEXT + 1), ..new("br_bloom") };
            let many = NewApplication { statements: vec![String::new(); 33], ..new("br_bloom") };
            for wrong in [long, many] {
                assert!(matches!(vault.apply(wrong, at(7)), Err(Fault::TooMuch(_))));
            }
        });
    }

    #[test]
    fn an_application_that_nobody_decides_is_not_in_the_way_for_ever() {
        let dir = tempfile::tempdir().expect("a folder");
        let vault = Vault::open(dir.path()).expect("a vault");
        let ids = [1, 2, 2_000].map(|s| vault.apply(new("br_harvest"), at(s)).expect("taken").0.id);
        let other = vault.apply(new("br_voyage"), at(1)).expect("taken").0.id;
        assert!(matches!(vault.apply(new("br_harvest"), at(LAPSES)), Err(Fault::TooManyOpen(_))));
        vault.apply(new("br_harvest"), at(LAPSES + 2)).expect("two lapsed");
        let state = |id| vault.application(id).expect("read").expect("there").state;
        assert_eq!(
            ids.map(state),
            [ApplicationState::Lapsed, ApplicationState::Lapsed, ApplicationState::Applied]
        );
        assert_eq!(state(other), ApplicationState::Lapsed);
        assert!(matches!(vault.approve_application(ids[0], "a"), Err(Fault::Decided(_))));
        vault.apply(new("br_harvest"), at(LAPSES + 3)).expect("the second place");
        assert!(matches!(vault.apply(new("br_harvest"), at(LAPSES + 4)), Err(Fault::TooManyOpen(_))));
    }

    #[test]
    fn states_have_one_text_each() {
        for state in ApplicationState::ALL {
            assert_eq!(state.code().parse(), Ok(state));
            assert_eq!(crate::types::encode(&state), format!("{:?}", state.code()).as_bytes());
        }
        assert!("open".parse::<ApplicationState>().is_err());
    }
}
