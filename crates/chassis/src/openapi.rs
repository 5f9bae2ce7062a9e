//! Completes the OpenAPI of a service: title, authentication and error responses.

use std::collections::BTreeMap;

use utoipa::PartialSchema;
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, ResponseBuilder, Schema,
    SecurityRequirement,
};

use crate::problem::ProblemBody;

const PROBLEM_SCHEMA: &str = "Problem";

/// Adds everything that all services have in common.
pub(crate) fn complete(mut openapi: OpenApi, name: &str, about: &str) -> OpenApi {
    openapi.info = InfoBuilder::new()
        .title(name)
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .build();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .build();
    add_problem_responses(&mut openapi);
    name_operations(&mut openapi);
    relax_flattened_schemas(&mut openapi);
    let components = openapi.components.get_or_insert_with(Components::new);
    let problem = <ProblemBody as PartialSchema>::schema();
    components
        .schemas
        .insert(PROBLEM_SCHEMA.to_owned(), problem);
    components.add_security_scheme("token", SecurityScheme::Http(bearer));
    openapi.security = Some(vec![SecurityRequirement::new(
        "token",
        Vec::<String>::new(),
    )]);
    openapi
}

/// Gives each 4xx and 5xx response the content type of problems (RFC 9457). Adds a default response
/// for errors that every operation may return, such as a missing token or a body that is too large.
fn add_problem_responses(openapi: &mut OpenApi) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM_SCHEMA)));
    let refusal = ResponseBuilder::new()
        .description("Any other error. `code` identifies the error.")
        .content("application/problem+json", content.build())
        .build();
    for path in openapi.paths.paths.values_mut() {
        let operations = [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.patch,
            &mut path.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            for (status, response) in responses.iter_mut() {
                if let RefOr::T(told) = response
                    && status.starts_with(['4', '5'])
                    && told.content.is_empty()
                {
                    told.content.clone_from(&refusal.content);
                }
            }
            responses.insert("default".to_owned(), RefOr::T(refusal.clone()));
        }
    }
}

/// Names each operation after its method and path, such as `get_visits_by_id`. The names of handlers
/// would repeat (`list`), and OpenAPI requires unique names.
fn name_operations(openapi: &mut OpenApi) {
    for (path, item) in &mut openapi.paths.paths {
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let segments = segments.map(|segment| match segment.strip_prefix('{') {
            Some(parameter) => format!("by_{}", parameter.trim_end_matches('}')),
            None => segment.replace(|sign: char| !sign.is_ascii_alphanumeric(), "_"),
        });
        let resource = segments.collect::<Vec<_>>().join("_");
        for (method, operation) in [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ] {
            if let Some(operation) = operation {
                operation.operation_id = Some(format!("{method}_{resource}"));
            }
        }
    }
}

/// Removes `additionalProperties: false` from schemas that are flattened into others
/// (`#[serde(flatten)]`). As part of an `allOf`, such a schema would reject the other fields.
fn relax_flattened_schemas(openapi: &mut OpenApi) {
    let Some(components) = &mut openapi.components else {
        return;
    };
    let known = components.schemas.clone();
    for schema in components.schemas.values_mut() {
        relax_parts(schema, &known);
    }
}

type SchemaMap = BTreeMap<String, RefOr<Schema>>;

fn relax_parts(schema: &mut RefOr<Schema>, known: &SchemaMap) {
    let RefOr::T(schema) = schema else { return };
    let inner: Vec<&mut RefOr<Schema>> = match schema {
        Schema::Object(object) => object.properties.values_mut().collect(),
        Schema::Array(array) => match &mut array.items {
            ArrayItems::RefOrSchema(items) => vec![&mut **items],
            ArrayItems::False => vec![],
        },
        Schema::OneOf(one) => one.items.iter_mut().collect(),
        Schema::AnyOf(any) => any.items.iter_mut().collect(),
        Schema::AllOf(all) => {
            for part in &mut all.items {
                if let Some(open) = relaxed_schema(part, known) {
                    *part = open;
                }
            }
            all.items.iter_mut().collect()
        }
        _ => vec![],
    };
    for schema in inner {
        relax_parts(schema, known);
    }
}

/// The referenced schema without `additionalProperties`, if it has this keyword.
fn relaxed_schema(part: &RefOr<Schema>, known: &SchemaMap) -> Option<RefOr<Schema>> {
    let RefOr::Ref(part) = part else { return None };
    let name = part.ref_location.strip_prefix("#/components/schemas/")?;
    match known.get(name)? {
        RefOr::T(Schema::Object(strict)) if strict.additional_properties.is_some() => {
            let mut open = strict.clone();
            open.additional_properties = None;
            Some(RefOr::T(Schema::Object(open)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::{OpenApi as _, ToSchema};

    use super::*;

    #[derive(ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its OpenAPI schema is used")]
    struct Submitted {
        name: String,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its OpenAPI schema is used")]
    struct Stored {
        id: u32,
        #[serde(flatten)]
        submitted: Submitted,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its OpenAPI schema is used")]
    struct Page {
        #[schema(inline)]
        data: Vec<Stored>,
    }

    #[utoipa::path(get, path = "/", responses((status = 200, body = Stored), (status = 404)))]
    #[expect(dead_code, reason = "only its OpenAPI schema is used")]
    fn read() {}

    #[utoipa::path(get, path = "/service-areas/{id}", responses((status = 200, body = Stored)))]
    #[expect(dead_code, reason = "only its OpenAPI operation is used")]
    fn read_item() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(read, read_item), components(schemas(Submitted, Stored, Page)))]
    struct TestApi;

    #[test]
    fn error_responses_are_problems() {
        let described = serde_json::to_value(complete(TestApi::openapi(), "a", "b")).unwrap();
        let responses = &described["paths"]["/"]["get"]["responses"];
        for status in ["404", "default"] {
            let problem = &responses[status]["content"]["application/problem+json"]["schema"];
            assert_eq!(problem["$ref"], "#/components/schemas/Problem", "{status}");
        }
        assert!(responses["200"]["content"]["application/problem+json"].is_null());
    }

    #[test]
    fn operations_are_named_after_method_and_path() {
        let described = serde_json::to_value(complete(TestApi::openapi(), "a", "b")).unwrap();
        let operation = &described["paths"]["/service-areas/{id}"]["get"];
        assert_eq!(operation["operationId"], "get_service_areas_by_id");
    }

    #[test]
    fn a_flattened_schema_allows_the_other_fields() {
        let described = serde_json::to_value(complete(TestApi::openapi(), "a", "b")).unwrap();
        let schemas = &described["components"]["schemas"];
        assert_eq!(
            schemas["Submitted"]["additionalProperties"],
            Value::Bool(false)
        );
        let parts = schemas["Stored"]["allOf"].as_array().unwrap();
        assert!(
            parts
                .iter()
                .any(|part| part["properties"]["name"].is_object())
        );
        assert!(
            parts
                .iter()
                .all(|part| part["additionalProperties"].is_null())
        );
    }
}
