//! Sends each example of the OpenAPI document.

use std::collections::HashMap;

use common::jwt::Scope;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{start, token, visit};

/// Each operation with a JSON body, and the example of the body.
fn examples(api: &Value) -> Vec<(Method, String, Value)> {
    let mut found = vec![];
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let Some(name) = schema["$ref"]
                .as_str()
                .and_then(|name| name.rsplit('/').next())
            else {
                assert_eq!(*schema, Value::Null, "{method} {path} has a named schema");
                continue;
            };
            let example = &api["components"]["schemas"][name]["example"];
            assert!(!example.is_null(), "{method} {path} has an example");
            let method = method.to_uppercase().parse().unwrap();
            found.push((method, path.clone(), example.clone()));
        }
    }
    // Create sites first, before a visit creates them.
    found.sort_by_key(|(method, path, _)| (path != "/sites", *method != Method::POST));
    found
}

#[sqlx::test(migrations = false)]
async fn what_the_documentation_shows_is_accepted(pool: PgPool) {
    let mut system = start(pool).await;
    let recorded = system.record(&visit(&json!({}))).await;
    system.token = token(&system.clock, &[Scope::Admin], 86_400);
    let api = system.read("/openapi.json").await;
    let examples = examples(&api);
    assert!(examples.len() >= 6, "{examples:?}");
    // Updates concern what an earlier example created, or the visit.
    let mut made = HashMap::new();
    for (method, path, example) in examples {
        let list = path.split("/{").next().unwrap_or_default();
        let id = made.get(list).unwrap_or(&recorded["id"]);
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        let named = path.replace("{id}", &id).replace("{domain}", "example.com");
        let request = system
            .http
            .request(method.clone(), format!("{}{named}", system.base));
        let answer = request
            .bearer_auth(&system.token)
            .json(&example)
            .send()
            .await;
        let answer = answer.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        if let Ok(answer) = serde_json::from_str::<Value>(&text) {
            made.insert(path, answer["id"].clone());
        }
    }
}
