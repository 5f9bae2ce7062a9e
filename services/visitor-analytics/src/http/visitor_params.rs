//! The parameters of endpoints that concern one visitor or user.

use axum::http::StatusCode;
use chassis::Problem;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::domain::visit::validate_external_id;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct VisitorParams {
    /// Only data of this site. Default: all sites. Required if the token is limited to several
    /// sites.
    pub(super) site: Option<String>,
}

/// Validates a visitor or user id in the path.
pub(super) fn parse_path_id(id: String, field: &'static str) -> Result<String, Problem> {
    validate_external_id(id, field).map_err(|error| {
        Problem::new(StatusCode::BAD_REQUEST, "PATH_INVALID", error.to_string()).field(field)
    })
}

pub(super) fn visitor_not_found() -> Problem {
    Problem::not_found("there is no visitor with this id")
}
