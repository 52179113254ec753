//! Documents: the evidence that is brought in disputes and complaints. The log has hashes, the vault what stands behind
//! them.

use super::call::{Caller, Via, Whom, service};
use super::cycles::sight;
use super::problem::{Code, Problem};
use super::query::Query;
use super::reply::{json, min_seq};
use super::service::Service;
use super::wallets::vault_problem;
use super::write::Incoming;
use crate::book::{ComplaintStage, Name, Record};
use crate::machine::Role;
use crate::types::{AccountId, ComplaintId, DisputeId, Hash, Ident, Time, b64, b64_decode};
use crate::vault::{DOCUMENT_TYPES, Document, Erased, Found};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};

/// A document, to be kept.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDocument {
    /// `application/pdf`, `image/jpeg`, `image/png` or `text/plain`.
    media_type: String,
    /// Its bytes, at most 1 MiB: base64url without padding. Their SHA-256 must stand in the dispute or complaint.
    content: String,
}

/// A document that was brought.
#[derive(Serialize, utoipa::ToSchema)]
pub struct KeptDocument {
    /// The dispute or complaint.
    matter: String,
    /// SHA-256 of its bytes.
    sha256: Hash,
    /// How many bytes it has.
    #[schema(example = 15)]
    bytes: usize,
}

/// A document.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ShownDocument {
    /// The dispute or complaint.
    matter: String,
    /// SHA-256 of its bytes.
    sha256: Hash,
    /// Its media type.
    media_type: String,
    /// Who brought it.
    by: String,
    /// When.
    added: Time,
    /// Its bytes, base64url without padding.
    content: String,
}

/// What became of a document.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ErasedDocument {
    /// The dispute or complaint.
    matter: String,
    /// SHA-256 of what its bytes were: that stays in the log.
    sha256: Hash,
    /// Whether the network keeps it: no more.
    #[schema(example = false)]
    kept: bool,
    /// How it was erased: when, signed by which key, why. Whoever asks for the document is told so.
    erased: Erased,
}

/// Why it is erased.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Why {
    /// A word for it, which is kept beside the erasure.
    #[param(value_type = Option<String>)]
    reason: Option<Ident>,
}

/// A dispute or complaint, as somebody who may look into it sees it.
struct Matter {
    /// Its id.
    id: String,
    /// Hashes of what was brought, each with who brought it, where that is one of several.
    hashes: Vec<(Option<String>, Hash)>,
    /// Who looks: as a document names who brought it.
    who: String,
    /// Whose account a complaint is about.
    account: Option<AccountId>,
    /// While somebody may go on with it: how it stands.
    open: Option<String>,
}

/// How something stands that is open, and when that changes by itself, if it does.
fn standing(stage: &impl Serialize, until: u64) -> String {
    let until = Time::from_seconds(until).map(|until| format!(", until {until}"));
    let stage = serde_json::to_value(stage).unwrap_or_default();
    format!("{}{}", stage.as_str().unwrap_or_default(), until.unwrap_or_default())
}

fn nothing() -> Problem {
    Problem::about(Code::NotFound, "no such dispute or complaint of yours")
}

impl Service {
    /// What was filed a moment ago may not show yet; its id says by which entry it was.
    async fn wait_for_matter(&self, id: &str) -> Result<(), Problem> {
        let seq = match (id.parse::<DisputeId>(), id.parse::<ComplaintId>()) {
            (Ok(dispute), _) => dispute.seq,
            (_, Ok(complaint)) => complaint.seq,
            _ => return Ok(()),
        };
        let committed = self.engine().progress().committed;
        self.wait_for(Some(seq).filter(|seq| *seq < committed)).await
    }

    /// Parties see it and, of the operator, whoever works on it.
    fn matter(&self, caller: &Caller, id: &str) -> Result<Matter, Problem> {
        let operator =
            caller.whom == Whom::Operator && matches!(caller.role, Role::Operator | Role::Operations);
        if let Ok(dispute) = id.parse::<DisputeId>() {
            let record = self.record(&Name::Dispute(dispute))?;
            let facts = record.as_deref().and_then(Record::dispute).ok_or_else(nothing)?;
            let who = match sight(self, caller) {
                Ok(Some(own)) if own == facts.filer || own == facts.target => own.to_string(),
                Ok(None) if operator => "op".into(),
                _ => return Err(nothing()),
            };
            let hashes = facts.evidence.iter().map(|(by, hash)| (Some(by.to_string()), *hash)).collect();
            let open = facts.outcome.is_none().then(|| standing(&facts.stage, facts.until));
            return Ok(Matter { id: id.to_owned(), hashes, who, account: None, open });
        }
        let complaint: ComplaintId = id.parse().map_err(|_| nothing())?;
        let record = self.record(&Name::Complaint(complaint))?;
        let facts = record.as_deref().and_then(Record::complaint).ok_or_else(nothing)?;
        let who = match caller.brand() {
            Some(brand) if *brand == facts.brand => brand.to_string(),
            Some(_) => return Err(nothing()),
            None if operator => "op".into(),
            None if caller.whom == Whom::Operator => return Err(nothing()),
            None => {
                self.may_see_account(caller, facts.account, None).map_err(|_| nothing())?;
                facts.account.to_string()
            }
        };
        let hashes = facts.evidence.iter().map(|hash| (None, *hash)).collect();
        // What was rejected may be appealed for a time.
        let open = match facts.stage {
            ComplaintStage::Filed | ComplaintStage::Appealed => true,
            ComplaintStage::Rejected => self.log_time()?.seconds() < facts.until,
            ComplaintStage::Upheld
            | ComplaintStage::AppealUpheld
            | ComplaintStage::AppealRejected
            | ComplaintStage::Withdrawn => false,
        };
        let open = open.then(|| standing(&facts.stage, facts.until));
        Ok(Matter { id: id.to_owned(), hashes, who, account: Some(facts.account), open })
    }
}

impl Matter {
    /// Refuses a hash that does not stand in it.
    fn has(&self, sha256: Hash) -> Result<(), Problem> {
        let there = self.hashes.iter().any(|(_, hash)| *hash == sha256);
        there
            .then_some(())
            .ok_or_else(|| Problem::about(Code::NotFound, "no document of this hash was brought"))
    }

    /// Refuses to take what whoever looks has not announced.
    fn takes(&self, sha256: Hash) -> Result<(), Problem> {
        let own = |by: &Option<String>| by.as_ref().is_none_or(|by| *by == self.who);
        let announced = self.who != "op" && self.hashes.iter().any(|(by, hash)| *hash == sha256 && own(by));
        let about = || format!("its SHA-256 is {sha256}, which you did not bring in {}", self.id);
        announced.then_some(()).ok_or_else(|| Problem::about(Code::DocumentMismatch, about()))
    }
}

/// Hand in a document
///
/// Of a dispute or complaint in which its SHA-256 stands: first the hash goes into the log, with the statement that brings
/// it, then the document comes here. Another one is refused, and so is one of the other side's. It is kept sealed; the
/// parties and the operator's people read it.
#[utoipa::path(post, path = "/v1/documents/{matter}", tag = "clearing", operation_id = "addDocument",
    params(("matter" = String, Path, description = "The id of the dispute or complaint.",
        example = "dsp_15740.0")),
    request_body = NewDocument,
    responses((status = 201, description = "It is kept.", body = KeptDocument)))]
pub async fn add(incoming: Incoming, matter: web::Path<String>) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let new: NewDocument = incoming.json()?;
    if !DOCUMENT_TYPES.contains(&new.media_type.as_str()) {
        let about = format!("media_type: one of {}", DOCUMENT_TYPES.join(", "));
        return Err(Problem::about(Code::BodyInvalid, about));
    }
    let content = b64_decode(&new.content)
        .map_err(|_| Problem::about(Code::BodyInvalid, "content: base64url without padding"))?;
    let service = incoming.service.clone();
    service.wait_for_matter(&matter).await?;
    let matter = service.matter(&caller, &matter)?;
    matter.takes(Hash::sha256(&content))?;
    let bytes = content.len();
    let document = Document {
        matter: matter.id.clone(),
        media_type: new.media_type,
        content,
        by: matter.who,
        added: service.clock.now(),
    };
    let kept = web::block(move || service.vault.keep_document(&document, matter.account));
    let sha256 = kept.await.map_err(Problem::fault)?.map_err(vault_problem)?;
    Ok(HttpResponse::Created().json(KeptDocument { matter: matter.id, sha256, bytes }))
}

fn hash(text: &str) -> Result<Hash, Problem> {
    serde_json::from_value(text.into())
        .map_err(|_| Problem::about(Code::NotFound, "no document of this hash was brought"))
}

/// Show a document
///
/// For the parties of the dispute or complaint and the operator's people.
#[utoipa::path(get, path = "/v1/documents/{matter}/{sha256}", tag = "clearing", operation_id = "getDocument",
    params(("matter" = String, Path, description = "The id of the dispute or complaint.",
        example = "dsp_15740.0"),
        ("sha256" = Hash, Path, description = "SHA-256 of the document.",
            example = "cec4abf15319d79a283bc0bf94df63c97707d7fc748fab1bde4ebf728eb8dcab")),
    responses((status = 200, description = "The document.", body = ShownDocument)))]
pub async fn get(
    caller: Caller,
    request: HttpRequest,
    place: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (matter, sha256) = place.into_inner();
    let service = service(&request)?;
    service.wait_for(min_seq(request.headers())?).await?;
    service.wait_for_matter(&matter).await?;
    let matter = service.matter(&caller, &matter)?;
    let sha256 = hash(&sha256)?;
    matter.has(sha256)?;
    let id = matter.id.clone();
    let found = web::block(move || service.vault.document(&id, sha256));
    match found.await.map_err(Problem::fault)?.map_err(vault_problem)? {
        Some(Found::Whole(one)) => {
            let (content, media_type) = (b64(&one.content), one.media_type);
            let shown = ShownDocument {
                matter: one.matter,
                sha256,
                media_type,
                by: one.by,
                added: one.added,
                content,
            };
            Ok(json(None, &shown))
        }
        Some(Found::Erased(how)) => Err(Problem::about(Code::DocumentErased, how)),
        None => Err(Problem::about(Code::NotFound, "it was not handed in yet")),
    }
}

/// Erase a document
///
/// By a root of the operator, once the dispute or complaint has ended. Its hash stays in the log; what it said is gone, and
/// is not taken again. When that was, which key signed for it and why is kept, and told to whoever asks for it. What a
/// statement in the log says is erased at `/v1/erasures`.
#[utoipa::path(delete, path = "/v1/documents/{matter}/{sha256}", tag = "clearing", operation_id = "eraseDocument",
    params(("matter" = String, Path, description = "The id of the dispute or complaint.",
        example = "dsp_15740.0"),
        ("sha256" = Hash, Path, description = "SHA-256 of the document.",
            example = "cec4abf15319d79a283bc0bf94df63c97707d7fc748fab1bde4ebf728eb8dcab"), Why),
    responses((status = 200, description = "The network does not keep it.", body = ErasedDocument)))]
pub async fn erase(
    incoming: Incoming,
    place: web::Path<(String, String)>,
    why: Query<Why>,
) -> Result<HttpResponse, Problem> {
    let caller = incoming.caller().await?;
    let (matter, sha256) = place.into_inner();
    let service = incoming.service.clone();
    // Its parties' newest step counts: one may have gone on a moment ago.
    service.wait_for(service.engine().progress().committed.checked_sub(1)).await?;
    let matter = service.matter(&caller, &matter)?;
    let sha256 = hash(&sha256)?;
    matter.has(sha256)?;
    if let Some(stage) = matter.open {
        let about = format!("{} is open ({stage}): its documents may be erased once it has ended", matter.id);
        return Err(Problem::about(Code::NotReady, about));
    }
    // The scope is a root's, and no API key has it.
    let Via::Signature(root) = caller.via else { return Err(Code::ScopeMissing.into()) };
    let how = Erased { at: service.clock.now(), by: Some(root), reason: why.into_inner().reason };
    let id = matter.id.clone();
    // Old bytes of it are waited for, until no reader needs them.
    let erased = web::block(move || service.vault.erase_document(&id, sha256, &how));
    match erased.await.map_err(Problem::fault)?.map_err(vault_problem)? {
        Some(erased) => Ok(json(None, &ErasedDocument { matter: matter.id, sha256, kept: false, erased })),
        None => Err(Problem::about(Code::NotFound, "it was not handed in yet")),
    }
}
