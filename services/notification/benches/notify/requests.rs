//! Requests like those of visitor-analytics about new visitors.

use common::clock::Clock;

/// An event whose messages go to the log at once.
pub const LOGGED_EVENT: &str = "visitor.arrived";
/// An event whose messages quiet hours hold.
pub const HELD_EVENT: &str = "bench.held";

/// Creates requests for `items` notifications, `each` per request, with unique idempotency keys.
pub fn build_requests(
    run: &str,
    event: &str,
    items: usize,
    each: usize,
    token: &str,
) -> Vec<Vec<u8>> {
    let clock = Clock::system();
    let requests = 0..items / each;
    if each == 1 {
        return requests
            .map(|n| {
                let key = format!("Idempotency-Key: {run}:{n}\r\n");
                format_request(
                    token,
                    &key,
                    &format!("{{{}}}", notification_fields(event, &clock)),
                )
            })
            .collect();
    }
    requests
        .map(|n| {
            let item = |place: usize| {
                let about = notification_fields(event, &clock);
                format!("{{{about},\"idempotency_key\":\"{run}:{n}:{place}\"}}")
            };
            let items: Vec<_> = (0..each).map(item).collect();
            format_request(token, "", &format!("[{}]", items.join(",")))
        })
        .collect()
}

fn format_request(token: &str, header: &str, body: &str) -> Vec<u8> {
    let request = format!(
        "POST /notify HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n{header}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    request.into_bytes()
}

/// Returns the fields of a notification with every field of a visit.
fn notification_fields(event: &str, clock: &Clock) -> String {
    let (visit, session) = (clock.new_id(), clock.new_id());
    let now = clock.now().to_rfc3339();
    format!(
        r#""event":"{event}","data":{{"visit":{{"id":"{visit}","site":"shop.example",
"timestamp":"{now}","received_at":"{now}","url":"https://shop.example/products/17?utm_source=news",
"path":"/products/17","title":null,"referrer":"https://news.example/story","source":"news",
"medium":"email","channel":"email","utm_source":"news","utm_medium":"email","utm_campaign":null,
"utm_term":null,"utm_content":null,"method":"GET","status_code":200,"response_time_ms":12,
"visitor_id":"9f86d081884c7d65","session_id":"{session}","user_id":null,"country_code":"GB",
"country":"United Kingdom","region_code":"ENG","region":"England","city":"London",
"latitude":51.5142,"longitude":-0.0931,"time_zone":"Europe/London","asn":20712,
"as_organization":"An Example Ltd","browser":"Firefox","browser_version":"144.0","os":"Windows",
"os_version":"10","device_type":"desktop","language":"en-GB","is_bot":false,"bot_name":null,
"bot_score":0,"bot_reasons":[],"ruleset":1,"engagement_seconds":null,"scroll_depth":null,
"properties":{{}}}},"session":{{"id":"{session}","started_at":"{now}","visits":1}},
"visitor":{{"id":"9f86d081884c7d65","returning":false,"previous_sessions":0}}}}"#
    )
}
