//! The parameters `lang` and `fields` of `/geolocate`.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::http::StatusCode;
use chassis::Problem;
use common::geo::Location;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema as _};

use crate::domain::{Language, UnknownLanguage};

#[derive(Debug, Default, Deserialize)]
pub(super) struct GeolocateParams {
    /// Only used by `GET`.
    #[serde(default)]
    pub(super) ip: String,
    #[serde(default)]
    lang: String,
    #[serde(default)]
    fields: String,
}

/// The validated parameters.
#[derive(Debug)]
pub(super) struct FieldSelection {
    pub(super) language: Language,
    /// Empty means all.
    fields: Vec<&'static str>,
}

/// A location, or the selected fields of one.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum SelectedLocation {
    Full(Box<Location>),
    Selected(Map<String, Value>),
}

impl utoipa::ToSchema for SelectedLocation {
    fn name() -> Cow<'static, str> {
        "ShownLocation".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((Location::name().into(), Location::schema()));
        Location::schemas(schemas);
    }
}

impl PartialSchema for SelectedLocation {
    fn schema() -> RefOr<Schema> {
        let part = ObjectBuilder::new().description(Some("With `fields`: only these fields"));
        AnyOfBuilder::new()
            .item(Ref::from_schema_name(Location::name()))
            .item(part)
            .into()
    }
}

/// The names of all fields of a location.
static LOCATION_FIELDS: LazyLock<Vec<String>> =
    LazyLock::new(|| match to_json(&Location::default()) {
        Value::Object(fields) => fields.into_iter().map(|(name, _)| name).collect(),
        _ => vec![],
    });

fn to_json(location: &Location) -> Value {
    serde_json::to_value(location).expect("a location has string keys only")
}

impl TryFrom<&GeolocateParams> for FieldSelection {
    type Error = Problem;

    fn try_from(wanted: &GeolocateParams) -> Result<Self, Problem> {
        let language = match wanted.lang.trim() {
            "" => Ok(Language::default()),
            tag => tag.parse().map_err(unknown_language),
        };
        let names = wanted.fields.split(',').map(str::trim);
        let fields = names.filter(|name| !name.is_empty()).map(parse_field);
        Ok(Self {
            language: language?,
            fields: fields.collect::<Result<_, _>>()?,
        })
    }
}

fn parse_field(name: &str) -> Result<&'static str, Problem> {
    let known = LOCATION_FIELDS.iter().find(|known| *known == name);
    known.map(String::as_str).ok_or_else(|| {
        let detail = format!(
            "`fields` has an unknown field; the fields are {}",
            LOCATION_FIELDS.join(", ")
        );
        Problem::new(StatusCode::BAD_REQUEST, "FIELD_UNKNOWN", detail).field("fields")
    })
}

fn unknown_language(error: UnknownLanguage) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "LANG_UNKNOWN", error.to_string()).field("lang")
}

impl FieldSelection {
    pub(super) fn select(&self, location: Box<Location>) -> SelectedLocation {
        if self.fields.is_empty() {
            return SelectedLocation::Full(location);
        }
        let Value::Object(mut all) = to_json(&location) else {
            return SelectedLocation::Selected(Map::new());
        };
        all.retain(|name, _| self.fields.contains(&name.as_str()));
        SelectedLocation::Selected(all)
    }
}
