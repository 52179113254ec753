//! How keys look in the API's document.

use super::PublicKey;
use std::borrow::Cow;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

impl PartialSchema for PublicKey {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .description(Some("An Ed25519 key as a JWK (RFC 8037), with these members and no others."))
            .property("kty", text().enum_values(Some(["OKP"])))
            .property("crv", text().enum_values(Some(["Ed25519"])))
            .property("x", text().pattern(Some("^[A-Za-z0-9_-]{43}$")))
            .required("kty")
            .required("crv")
            .required("x")
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .examples([serde_json::json!({
                "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
            })])
            .build()
            .into()
    }
}

impl ToSchema for PublicKey {
    fn name() -> Cow<'static, str> {
        "PublicKey".into()
    }
}
