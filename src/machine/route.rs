//! Routes: the one table of what can be asked over HTTP.
//!
//! Owns: for each operation its method, its path, the kind of entry that it makes, in what its request must be
//! carried, and the scope that it needs.
//! Promises: a method and a path lead to one route at the most.
//! Refuses to know: how requests arrive and what they are answered.

use super::kind::Kind;
use super::scope::Scope;
use std::fmt;

/// The methods in use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Post,
    Delete,
}

impl Method {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Get, Self::Post, Self::Delete];

    /// As HTTP writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Who must stand behind a request, and how.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Carrier {
    /// Nobody: it is public.
    Nobody,
    /// Anybody; who says who they are is shown what concerns them.
    Optional,
    /// A reader: a signed request or an API key.
    Reader,
    /// Statements (JWS) only: they are handed on and approved by others.
    Statement,
    /// Statements, a signed request, or an API key that stands for a held key.
    Command,
    /// A signed request or an API key; what it changes stands in the vault, not in the log.
    Vault,
}

/// One operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Route {
    /// Its name in the OpenAPI document.
    pub id: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path; a segment in braces is a parameter.
    pub path: &'static str,
    /// The kind of entry that it makes, if it makes one.
    pub kind: Option<Kind>,
    /// Who must stand behind it.
    pub carrier: Carrier,
    /// What its caller must be allowed; `None` where everybody is.
    pub scope: Option<Scope>,
    /// How much of the path stands before its first parameter: a look at it tells most routes apart.
    literal: usize,
}

impl Route {
    /// The route of a path that was asked for, without its query, and the path's parameters in order.
    pub fn find<'a>(method: &str, path: &'a str) -> Option<(&'static Self, Vec<&'a str>)> {
        let fits = |route: &'static Self| {
            let rest = path.strip_prefix(route.path.get(..route.literal)?)?;
            if route.literal == route.path.len() {
                return rest.is_empty().then_some((route, vec![]));
            }
            Some((route, route.parameters(path)?))
        };
        Self::ALL.iter().filter(|route| route.method.code() == method).find_map(fits)
    }

    /// The route that makes entries of a kind.
    pub fn of_kind(kind: Kind) -> Option<&'static Self> {
        Self::ALL.iter().find(|route| route.kind == Some(kind))
    }

    /// The route of an operation.
    pub fn of_id(id: &str) -> Option<&'static Self> {
        Self::ALL.iter().find(|route| route.id == id)
    }

    /// The kind of entry that a signed request makes: its route's, where one is taken there.
    pub(super) fn signed_kind(method: &str, path: &str) -> Option<Kind> {
        let (route, _) = Self::find(method, path)?;
        route.kind.filter(|_| route.carrier == Carrier::Command)
    }

    /// The parameters, if the path is one of this route. `{path...}` takes all that is left.
    fn parameters<'a>(&self, path: &'a str) -> Option<Vec<&'a str>> {
        let mut found = vec![];
        let mut rest = path.strip_prefix('/')?;
        let mut wanted = self.path.strip_prefix('/')?.split('/').peekable();
        while let Some(segment) = wanted.next() {
            if segment.ends_with("...}") {
                found.push(rest);
                return (!rest.is_empty()).then_some(found);
            }
            let (have, left) = rest.split_once('/').map_or((rest, None), |(have, left)| (have, Some(left)));
            // A name in a path is never empty, and no parameter takes the place of a verb behind a colon.
            let fits = if segment.starts_with('{') {
                !have.is_empty() && !have.contains(':')
            } else {
                have == segment
            };
            if !fits || left.is_some() != wanted.peek().is_some() {
                return None;
            }
            if segment.starts_with('{') {
                found.push(have);
            }
            rest = left.unwrap_or_default();
        }
        Some(found)
    }
}

/// Bytes before the first parameter of a path.
const fn literal(path: &str) -> usize {
    let (mut rest, mut count) = (path.as_bytes(), 0usize);
    while let [first, more @ ..] = rest {
        if *first == b'{' {
            break;
        }
        count = count.saturating_add(1);
        rest = more;
    }
    count
}

const fn route(
    id: &'static str,
    method: Method,
    path: &'static str,
    kind: Option<Kind>,
    carrier: Carrier,
    scope: Option<Scope>,
) -> Route {
    Route { id, method, path, kind, carrier, scope, literal: literal(path) }
}

/// A read that is public.
const fn open(id: &'static str, path: &'static str) -> Route {
    route(id, Method::Get, path, None, Carrier::Nobody, None)
}

/// A read for whom it concerns.
const fn read(id: &'static str, path: &'static str, scope: Scope) -> Route {
    route(id, Method::Get, path, None, Carrier::Reader, Some(scope))
}

/// A write to the log.
const fn write(id: &'static str, path: &'static str, kind: Kind, carrier: Carrier, scope: Scope) -> Route {
    route(id, Method::Post, path, Some(kind), carrier, Some(scope))
}

/// A change of the vault.
const fn vault(id: &'static str, method: Method, path: &'static str, scope: Option<Scope>) -> Route {
    route(id, method, path, None, Carrier::Vault, scope)
}

impl Route {
    /// Every route.
    pub const ALL: &'static [Self] = &[
        // What everybody may see.
        open("getNetwork", "/v1/network"),
        open("listBrands", "/v1/brands"),
        open("getBrand", "/v1/brands/{brand}"),
        open("getBrandJwks", "/v1/brands/{brand}/jwks"),
        open("listBrandKeys", "/v1/brands/{brand}/keys"),
        open("getAcceptance", "/v1/brands/{brand}/acceptance"),
        open("listParticipants", "/v1/participants"),
        open("getParticipant", "/v1/participants/{participant}"),
        open("getKey", "/v1/keys/{kid}"),
        open("listUnits", "/v1/units"),
        open("getUnit", "/v1/units/{unit}"),
        open("getUnitFunding", "/v1/units/{unit}/funding"),
        open("listPrices", "/v1/units/{unit}/prices"),
        open("listPriceHistory", "/v1/units/{unit}/prices/history"),
        open("getBreakage", "/v1/units/{unit}/breakage"),
        open("listFees", "/v1/fees"),
        open("listFeeHistory", "/v1/fees/history"),
        open("getTax", "/v1/participants/{participant}/tax"),
        open("listRefusals", "/v1/refusals"),
        route("listEntries", Method::Get, "/v1/entries", None, Carrier::Optional, None),
        route("getEntry", Method::Get, "/v1/entries/{seq}", None, Carrier::Optional, None),
        route("getProof", Method::Get, "/v1/entries/{seq}/proof", None, Carrier::Optional, None),
        open("getCheckpoint", "/checkpoint"),
        open("getTile", "/tile/{path...}"),
        open("getHealth", "/healthz"),
        open("getReadiness", "/readyz"),
        open("getMetrics", "/metrics"),
        open("getOpenapi", "/openapi.json"),
        open("getDocs", "/docs/{path...}"),
        // What concerns its reader.
        route("getMe", Method::Get, "/v1/me", None, Carrier::Reader, None),
        read("getAccount", "/v1/accounts/{account}", Scope::AccountsRead),
        read("listMovements", "/v1/accounts/{account}/movements", Scope::AccountsRead),
        read("listPayments", "/v1/payments", Scope::PaymentsRead),
        read("getPayment", "/v1/payments/{payment}", Scope::PaymentsRead),
        read("getOffer", "/v1/offers/{offer}", Scope::PaymentsRead),
        read("getExchange", "/v1/exchanges/{exchange}", Scope::PaymentsRead),
        read("getSponsoredAwards", "/v1/awards/{award}", Scope::SettlementRead),
        read("getConsent", "/v1/consents/{consent}", Scope::PaymentsRead),
        read("listEvents", "/v1/events", Scope::EntriesRead),
        read("listObligations", "/v1/obligations", Scope::SettlementRead),
        read("listFlows", "/v1/units/{unit}/flows", Scope::SettlementRead),
        read("listCycles", "/v1/cycles", Scope::SettlementRead),
        read("getCycle", "/v1/cycles/{cycle}", Scope::SettlementRead),
        read("listLines", "/v1/cycles/{cycle}/lines", Scope::SettlementRead),
        read("getInstruction", "/v1/instructions/{instruction}", Scope::SettlementRead),
        read("getObjection", "/v1/objections/{objection}", Scope::SettlementRead),
        read("listStatements", "/v1/bank-statements", Scope::SettlementRead),
        read("getStatement", "/v1/bank-statements/{currency}/{statement}", Scope::SettlementRead),
        read("getDispute", "/v1/disputes/{dispute}", Scope::SettlementRead),
        read("listComplaints", "/v1/complaints", Scope::AccountsRead),
        read("getComplaint", "/v1/complaints/{complaint}", Scope::AccountsRead),
        read(
            "getBankDetails",
            "/v1/participants/{participant}/bank-details/{currency}",
            Scope::SettlementRead,
        ),
        read("getCycleReport", "/v1/cycles/{cycle}/report", Scope::SettlementRead),
        read("getOrders", "/v1/cycles/{cycle}/orders/{currency}", Scope::SettlementRead),
        read("listNotices", "/v1/cycles/{cycle}/notices/{currency}", Scope::SettlementRead),
        read("getSchedule", "/v1/schedule", Scope::SettlementRead),
        read("getNetting", "/v1/netting", Scope::SettlementRead),
        read("listDues", "/v1/dues", Scope::SettlementRead),
        read("getPeriod", "/v1/periods", Scope::SettlementRead),
        read("getDocument", "/v1/documents/{matter}/{sha256}", Scope::DocumentsRead),
        read("listPositions", "/v1/positions", Scope::SettlementRead),
        read("listDisputes", "/v1/disputes", Scope::SettlementRead),
        read("listObjections", "/v1/objections", Scope::SettlementRead),
        read("reportLiability", "/v1/reports/liability", Scope::SettlementRead),
        read("exportJournal", "/v1/reports/journal", Scope::SettlementRead),
        read("reportAging", "/v1/reports/aging", Scope::SettlementRead),
        read("reportExposure", "/v1/reports/exposure", Scope::SettlementRead),
        read("reportWhatIf", "/v1/reports/what-if/{participant}", Scope::SettlementRead),
        read("getExposure", "/v1/participants/{participant}/exposure", Scope::SettlementRead),
        read("listCover", "/v1/participants/{participant}/cover", Scope::SettlementRead),
        read("getBudget", "/v1/budgets/{kid}", Scope::BudgetsRead),
        // The network.
        write(
            "registerParticipant",
            "/v1/participants",
            Kind::ParticipantRegistered,
            Carrier::Command,
            Scope::NetworkOperate,
        ),
        write("registerBrand", "/v1/brands", Kind::BrandRegistered, Carrier::Command, Scope::NetworkOperate),
        write("certifyKey", "/v1/keys", Kind::KeyCertified, Carrier::Statement, Scope::KeysWrite),
        write("revokeKey", "/v1/keys/revocations", Kind::KeyRevoked, Carrier::Command, Scope::KeysWrite),
        write("setBudget", "/v1/budgets", Kind::BudgetSet, Carrier::Statement, Scope::BudgetsWrite),
        write("defineUnit", "/v1/units", Kind::UnitDefined, Carrier::Command, Scope::TermsWrite),
        write("publishPrices", "/v1/prices", Kind::PricesPublished, Carrier::Command, Scope::TermsWrite),
        write(
            "publishAcceptance",
            "/v1/acceptance",
            Kind::AcceptancePublished,
            Carrier::Command,
            Scope::TermsWrite,
        ),
        write("publishFees", "/v1/fees", Kind::FeesPublished, Carrier::Command, Scope::SettlementWrite),
        write("publishTax", "/v1/tax", Kind::TaxPublished, Carrier::Command, Scope::TermsWrite),
        write(
            "publishBreakage",
            "/v1/breakage",
            Kind::BreakagePublished,
            Carrier::Command,
            Scope::TermsWrite,
        ),
        write(
            "freezeNetwork",
            "/v1/freezes/network",
            Kind::NetworkFrozen,
            Carrier::Command,
            Scope::NetworkOperate,
        ),
        write("eraseEvidence", "/v1/erasures", Kind::EvidenceErased, Carrier::Command, Scope::NetworkOperate),
        write("freezeBrand", "/v1/freezes/brands", Kind::BrandFrozen, Carrier::Command, Scope::FreezesWrite),
        write("freezeUnit", "/v1/freezes/units", Kind::UnitFrozen, Carrier::Command, Scope::FreezesWrite),
        write(
            "freezeAccount",
            "/v1/freezes/accounts",
            Kind::AccountFrozen,
            Carrier::Command,
            Scope::FreezesWrite,
        ),
        // Holders and points.
        write("openAccount", "/v1/accounts", Kind::AccountOpened, Carrier::Command, Scope::AccountsWrite),
        write(
            "revokeAccountKey",
            "/v1/accounts/key-revocations",
            Kind::AccountKeyRevoked,
            Carrier::Command,
            Scope::KeysWrite,
        ),
        write("setTier", "/v1/accounts/tiers", Kind::AccountTierSet, Carrier::Command, Scope::AccountsWrite),
        write("award", "/v1/awards", Kind::PointsIssued, Carrier::Command, Scope::AwardsWrite),
        write("submitToken", "/v1/tokens", Kind::PointsIssued, Carrier::Statement, Scope::AwardsWrite),
        write("awardBatch", "/v1/awards:batch", Kind::PointsBatch, Carrier::Statement, Scope::AwardsWrite),
        write(
            "clawBack",
            "/v1/awards/claw-backs",
            Kind::PointsClawedBack,
            Carrier::Command,
            Scope::AwardsWrite,
        ),
        // Payments.
        write("openConsent", "/v1/consents", Kind::ConsentOpened, Carrier::Command, Scope::PaymentsWrite),
        write(
            "authorisePayment",
            "/v1/payments",
            Kind::PaymentAuthorised,
            Carrier::Command,
            Scope::PaymentsWrite,
        ),
        // Each line is a command of its own, signed on its own.
        route(
            "paymentBatch",
            Method::Post,
            "/v1/payments:batch",
            None,
            Carrier::Statement,
            Some(Scope::PaymentsWrite),
        ),
        write(
            "capturePayment",
            "/v1/captures",
            Kind::PaymentCaptured,
            Carrier::Command,
            Scope::PaymentsWrite,
        ),
        write("voidPayment", "/v1/voids", Kind::PaymentVoided, Carrier::Command, Scope::PaymentsWrite),
        write("makeOffer", "/v1/offers", Kind::OfferMade, Carrier::Command, Scope::OffersWrite),
        write(
            "cancelOffer",
            "/v1/offers/cancellations",
            Kind::OfferCancelled,
            Carrier::Command,
            Scope::OffersWrite,
        ),
        write("exchange", "/v1/exchanges", Kind::ExchangeMade, Carrier::Command, Scope::OffersWrite),
        write("refundPayment", "/v1/refunds", Kind::PaymentRefunded, Carrier::Command, Scope::PaymentsWrite),
        // Clearing.
        write("sealCycle", "/v1/cycles", Kind::CycleSealed, Carrier::Command, Scope::SettlementWrite),
        write(
            "computeCycle",
            "/v1/cycles/computations",
            Kind::CycleComputed,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write("moveCycle", "/v1/cycles/moves", Kind::CycleMoved, Carrier::Command, Scope::SettlementWrite),
        write(
            "fileObjection",
            "/v1/objections",
            Kind::ObjectionFiled,
            Carrier::Command,
            Scope::DisputesWrite,
        ),
        write(
            "answerObjection",
            "/v1/objections/answers",
            Kind::ObjectionAnswered,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write(
            "importStatement",
            "/v1/bank-statements",
            Kind::StatementImported,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write(
            "acceptStatement",
            "/v1/bank-statements/acceptances",
            Kind::StatementAccepted,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write(
            "rejectStatement",
            "/v1/bank-statements/rejections",
            Kind::StatementRejected,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write(
            "assignLine",
            "/v1/bank-statements/assignments",
            Kind::LineAssigned,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write(
            "moveInstruction",
            "/v1/instructions/moves",
            Kind::InstructionMoved,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write("setBankDetails", "/v1/bank-details", Kind::DetailsSet, Carrier::Command, Scope::TermsWrite),
        write(
            "confirmBankDetails",
            "/v1/bank-details/confirmations",
            Kind::DetailsConfirmed,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write("setNetting", "/v1/netting", Kind::NettingSet, Carrier::Command, Scope::TermsWrite),
        write(
            "setOffCycle",
            "/v1/cycles/set-offs",
            Kind::CycleSetOff,
            Carrier::Command,
            Scope::SettlementWrite,
        ),
        write("claimDue", "/v1/dues/claims", Kind::DueClaimed, Carrier::Command, Scope::DisputesWrite),
        write(
            "confirmDue",
            "/v1/dues/confirmations",
            Kind::DueConfirmed,
            Carrier::Command,
            Scope::DisputesWrite,
        ),
        write("setSchedule", "/v1/schedule", Kind::ScheduleSet, Carrier::Command, Scope::SettlementWrite),
        write("closePeriod", "/v1/periods", Kind::PeriodClosed, Carrier::Command, Scope::SettlementWrite),
        write("setFunding", "/v1/funding", Kind::FundingSet, Carrier::Command, Scope::SettlementWrite),
        write("setReserve", "/v1/reserves", Kind::ReserveSet, Carrier::Command, Scope::SettlementWrite),
        write("moveCover", "/v1/cover", Kind::CoverMoved, Carrier::Command, Scope::SettlementWrite),
        write("callMargin", "/v1/margin-calls", Kind::MarginCalled, Carrier::Command, Scope::SettlementWrite),
        write("fileDispute", "/v1/disputes", Kind::DisputeFiled, Carrier::Command, Scope::DisputesWrite),
        write(
            "moveDispute",
            "/v1/disputes/moves",
            Kind::DisputeMoved,
            Carrier::Command,
            Scope::DisputesWrite,
        ),
        write(
            "fileComplaint",
            "/v1/complaints",
            Kind::ComplaintFiled,
            Carrier::Command,
            Scope::DisputesWrite,
        ),
        write(
            "moveComplaint",
            "/v1/complaints/moves",
            Kind::ComplaintMoved,
            Carrier::Command,
            Scope::DisputesWrite,
        ),
        // The vault. Who applies is nobody yet.
        route("apply", Method::Post, "/v1/applications", None, Carrier::Optional, None),
        vault("listApplications", Method::Get, "/v1/applications", Some(Scope::ApplicationsRead)),
        vault("getApplication", Method::Get, "/v1/applications/{application}", Some(Scope::ApplicationsRead)),
        vault(
            "approveApplication",
            Method::Post,
            "/v1/applications/{application}/approvals",
            Some(Scope::ApplicationsApprove),
        ),
        vault("listApiKeys", Method::Get, "/v1/api-keys", Some(Scope::ApiKeysRead)),
        vault("createApiKey", Method::Post, "/v1/api-keys", Some(Scope::ApiKeysWrite)),
        vault("getApiKey", Method::Get, "/v1/api-keys/{api_key}", Some(Scope::ApiKeysRead)),
        vault("revokeApiKey", Method::Delete, "/v1/api-keys/{api_key}", Some(Scope::ApiKeysWrite)),
        vault("listHeldKeys", Method::Get, "/v1/held-keys", Some(Scope::HeldKeysRead)),
        vault("createHeldKey", Method::Post, "/v1/held-keys", Some(Scope::HeldKeysWrite)),
        vault("forgetHeldKey", Method::Delete, "/v1/held-keys/{kid}", Some(Scope::HeldKeysWrite)),
        vault("addDocument", Method::Post, "/v1/documents/{matter}", Some(Scope::DisputesWrite)),
        vault(
            "eraseDocument",
            Method::Delete,
            "/v1/documents/{matter}/{sha256}",
            Some(Scope::NetworkOperate),
        ),
        vault("resolveAccount", Method::Post, "/v1/accounts:resolve", Some(Scope::AccountsResolve)),
        vault("createWallet", Method::Post, "/v1/wallets", Some(Scope::WalletsWrite)),
        vault("reconcile", Method::Post, "/v1/reconciliations", Some(Scope::PaymentsRead)),
        vault("exportJournalInChart", Method::Post, "/v1/reports/journal", Some(Scope::SettlementRead)),
        vault("keepBankDetails", Method::Post, "/v1/bank-details:keep", Some(Scope::TermsWrite)),
        vault("matchStatement", Method::Post, "/v1/bank-statements:match", Some(Scope::SettlementRead)),
        vault("readStatusReport", Method::Post, "/v1/status-reports:read", Some(Scope::SettlementRead)),
        vault("listWallets", Method::Get, "/v1/wallets", Some(Scope::WalletsRead)),
        vault("getWallet", Method::Get, "/v1/wallets/{wallet}", Some(Scope::WalletsRead)),
        vault("listAliases", Method::Get, "/v1/wallets/{wallet}/aliases", Some(Scope::WalletsRead)),
        vault("addAlias", Method::Post, "/v1/wallets/{wallet}/aliases", Some(Scope::WalletsWrite)),
        vault("listWalletAccounts", Method::Get, "/v1/wallets/{wallet}/accounts", Some(Scope::WalletsRead)),
        vault("addWalletAccount", Method::Post, "/v1/wallets/{wallet}/accounts", Some(Scope::WalletsWrite)),
    ];
}

#[cfg(test)]
mod tests {
    use super::super::scope::Role;
    use super::*;

    #[test]
    fn every_kind_that_a_command_makes_has_its_route() {
        for kind in Kind::ALL {
            let posts: Vec<_> = Route::ALL.iter().filter(|route| route.kind == Some(*kind)).collect();
            let by_statement = matches!(kind, Kind::KeyCertified | Kind::BudgetSet | Kind::PointsBatch);
            let wanted = match kind {
                // A token and an award as JSON: the same thing, in two carriers.
                Kind::PointsIssued => 2,
                kind if !kind.command().is_empty() || by_statement => 1,
                _ => 0,
            };
            assert_eq!(posts.len(), wanted, "{kind}");
            for route in posts {
                assert_eq!(route.method, Method::Post, "{kind}");
                let carrier = if by_statement || route.id == "submitToken" {
                    Carrier::Statement
                } else {
                    Carrier::Command
                };
                assert_eq!(route.carrier, carrier, "{kind}");
                assert_eq!(Route::of_kind(*kind).and_then(|found| found.kind), Some(*kind));
            }
        }
    }

    #[test]
    fn every_route_has_a_scope_or_is_public() {
        for route in Route::ALL {
            // One's own name is told to everybody who has one.
            let scopeless =
                matches!(route.carrier, Carrier::Nobody | Carrier::Optional) || route.id == "getMe";
            assert_eq!(route.scope.is_none(), scopeless, "{}", route.id);
        }
        for scope in Scope::ALL {
            assert!(Route::ALL.iter().any(|route| route.scope == Some(*scope)), "{scope} opens nothing");
            assert!(Role::ALL.iter().any(|role| role.scopes().contains(scope)), "nobody has {scope}");
        }
    }

    #[test]
    fn no_two_routes_collide() {
        for (at, route) in Route::ALL.iter().enumerate() {
            let sample = route.path.replace("{path...}", "a/b").replace(['{', '}'], "");
            let (found, parameters) =
                Route::find(route.method.code(), &sample).expect("a route finds itself");
            assert_eq!(found.id, route.id, "{sample}");
            assert_eq!(parameters.len(), route.path.matches('{').count(), "{sample}");
            assert_eq!(Route::of_id(route.id), Some(route));
            for other in Route::ALL.iter().skip(at + 1) {
                assert_ne!(other.id, route.id);
                let same = other.method == route.method && other.parameters(&sample).is_some();
                assert!(!same, "{} and {} collide", route.id, other.id);
            }
        }
    }

    #[test]
    fn paths_are_compared_as_they_are() {
        let found =
            |method, path| Route::find(method, path).map(|(route, parameters)| (route.id, parameters));
        assert_eq!(found("GET", "/v1/brands/br_a/keys"), Some(("listBrandKeys", vec!["br_a"])));
        assert_eq!(
            found("GET", "/tile/entries/x001/067.p/8"),
            Some(("getTile", vec!["entries/x001/067.p/8"]))
        );
        assert_eq!(found("POST", "/v1/awards:batch").map(|f| f.0), Some("awardBatch"));
        for path in [
            "",
            "/",
            "v1/brands",
            "/v1/brands/",
            "/v1//brands",
            "/v1/Brands",
            "/v1/brands/br_a/",
            "/v1/brands?x=1",
            "/tile/",
            "/v1/brands/a:b",
        ] {
            assert_eq!(found("GET", path), None, "{path}");
        }
        assert_eq!([found("PUT", "/v1/brands"), found("post", "/v1/brands")], [None, None]);
    }
}
