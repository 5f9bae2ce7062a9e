//! Lookups of several deliveries with the same text to the same recipient: each message at Twilio
//! counts for one delivery only.

use chrono::TimeDelta;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::support::{Service, clock, until};
use crate::twilio::{Reply, Twilio};

/// Sends `count` notifications with the same text, each after the last one's first attempt.
async fn send_same_text(service: &Service, twilio: &Twilio, count: usize) -> Vec<Value> {
    let mut ids = vec![];
    for n in 1..=count {
        let (_, sent) = service
            .notify(json!({"event": "e", "message": "hello"}))
            .await;
        ids.push(sent["id"].clone());
        until(async || (twilio.posts().len() == n).then_some(())).await;
    }
    ids
}

async fn delivery_of(service: &Service, id: &Value) -> Value {
    service.read_notification(id).await["deliveries"][0].clone()
}

/// Waits until all have been sent. Returns the ids of their messages.
async fn message_ids_when_sent(service: &Service, ids: &[Value]) -> Vec<String> {
    let mut found = vec![];
    for id in ids {
        let sent = until(async || {
            let delivery = delivery_of(service, id).await;
            (delivery["status"] == "sent").then_some(delivery)
        });
        let message_id = sent.await["provider_message_id"].clone();
        found.push(message_id.as_str().unwrap().to_owned());
    }
    found.sort();
    found
}

fn sids(twilio: &Twilio) -> Vec<String> {
    let messages = twilio.messages();
    let sids = messages
        .iter()
        .map(|m| m["sid"].as_str().unwrap().to_owned());
    sids.collect()
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn one_message_is_found_by_one_of_several_lookups(pool: PgPool) {
    let clock = clock();
    let replies = [
        Reply::Fail(500),
        Reply::AcceptThenFail(500),
        Reply::Fail(500),
        Reply::AcceptThenFail(500),
    ];
    let twilio = Twilio::start(&clock, &replies).await;
    let service = Service::with(&pool, &clock, &twilio.args()).await;
    let ids = send_same_text(&service, &twilio, replies.len()).await;
    for id in &ids {
        let unknown = async || {
            delivery_of(&service, id).await["unknown_since"]
                .as_str()
                .map(drop)
        };
        until(unknown).await;
    }
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(message_ids_when_sent(&service, &ids).await, sids(&twilio));
    assert_eq!(twilio.messages().len(), replies.len());
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_message_whose_response_is_on_its_way_belongs_to_its_sender(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::Fail(500), Reply::AcceptThenWait]).await;
    let service = Service::with(&pool, &clock, &twilio.args()).await;
    let ids = send_same_text(&service, &twilio, 2).await;
    let unknown = async || {
        delivery_of(&service, &ids[0]).await["unknown_since"]
            .as_str()
            .map(drop)
    };
    until(unknown).await;
    clock.advance(TimeDelta::seconds(30));
    let looked_up = async || {
        let delivery = delivery_of(&service, &ids[0]).await;
        (delivery["status"] == "sent").then_some(delivery)
    };
    assert_eq!(until(looked_up).await["attempts"][1]["outcome"], "found");

    twilio.release();
    until(async || (twilio.messages().len() == 2).then_some(())).await;
    assert_eq!(message_ids_when_sent(&service, &ids).await, sids(&twilio));
    let attempts = delivery_of(&service, &ids[0]).await["attempts"].clone();
    assert_eq!(attempts[1]["outcome"], "unknown");
    assert_eq!(
        attempts[1]["detail"],
        "the message that was found belongs to another delivery"
    );
    assert_eq!(attempts[2]["outcome"], "sent");
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_message_on_a_later_page_is_found(pool: PgPool) {
    let clock = clock();
    let twilio = Twilio::start(&clock, &[Reply::AcceptThenFail(500)]).await;
    let service = Service::with(&pool, &clock, &twilio.args()).await;
    let ids = send_same_text(&service, &twilio, 1).await;
    until(async || {
        delivery_of(&service, &ids[0]).await["unknown_since"]
            .as_str()
            .map(drop)
    })
    .await;
    for n in 0..450 {
        let later = json!({"event": "e", "message": format!("later {n}")});
        assert_eq!(service.notify(later).await.0, 202);
    }
    until(async || (twilio.messages().len() == 451).then_some(())).await;
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(
        message_ids_when_sent(&service, &ids).await,
        sids(&twilio)[..1]
    );
    assert_eq!(twilio.messages().len(), 451);
    assert_eq!(twilio.lookups().len(), 3);
}
