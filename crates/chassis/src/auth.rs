//! Authorization: a bearer token with the right scope (RFC 6750).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use common::jwt::{Scope, TokenError, TokenVerifier};
use utoipa_axum::router::OpenApiRouter;

use crate::Problem;

struct ScopeGuard {
    verifier: TokenVerifier,
    scope: Scope,
}

/// Requires a token with `scope` for all routes of `router`. The body of rejected requests is not
/// read.
pub fn require_scope<S>(
    router: OpenApiRouter<S>,
    verifier: &TokenVerifier,
    scope: Scope,
) -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
{
    let guard = Arc::new(ScopeGuard {
        verifier: verifier.clone(),
        scope,
    });
    router.route_layer(from_fn_with_state(guard, check_scope))
}

async fn check_scope(
    State(guard): State<Arc<ScopeGuard>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = bearer_token(&request)?;
    let claims = guard.verifier.verify(token).map_err(token_problem)?;
    if !claims.scope.allows(guard.scope) {
        let detail = format!("the token does not have the scope {}", guard.scope);
        return Err(Problem::new(StatusCode::FORBIDDEN, "SCOPE_MISSING", detail)
            .field("authorization")
            .authenticate(r#"Bearer error="insufficient_scope""#));
    }
    request.extensions_mut().insert(claims);
    Ok(next.run(request).await)
}

fn bearer_token(request: &Request) -> Result<&str, Problem> {
    request
        .headers()
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| {
            let detail = "a token is required; send the header Authorization: Bearer <token>";
            Problem::new(StatusCode::UNAUTHORIZED, "TOKEN_REQUIRED", detail)
                .field("authorization")
                .authenticate("Bearer")
        })
}

fn token_problem(error: TokenError) -> Problem {
    let code = match error {
        TokenError::Invalid => "TOKEN_INVALID",
        TokenError::UnsupportedAlgorithm => "TOKEN_ALGORITHM",
        TokenError::Expired => "TOKEN_EXPIRED",
        TokenError::NotYetValid => "TOKEN_NOT_YET_VALID",
        TokenError::WrongAudience => "TOKEN_AUDIENCE",
    };
    Problem::new(StatusCode::UNAUTHORIZED, code, error.to_string())
        .field("authorization")
        .authenticate(r#"Bearer error="invalid_token""#)
}
