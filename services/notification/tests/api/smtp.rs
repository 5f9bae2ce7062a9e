//! Email through a fake mail server that follows RFC 5321.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::json;
use sqlx::PgPool;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use crate::support::{Service, clock, delete_suppression, first_attempt};

#[derive(Default)]
struct ServerState {
    /// Replies to the next recipients.
    recipients: VecDeque<&'static str>,
    /// Replies to the next messages; an empty text closes the connection.
    messages: VecDeque<&'static str>,
    hello_names: Vec<String>,
    sign_ins: Vec<String>,
    mails: Vec<String>,
}

type SharedState = Arc<Mutex<ServerState>>;

pub struct Smtp {
    pub address: String,
    world: SharedState,
    _server: AbortOnDropHandle<()>,
}

impl Smtp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let world = SharedState::default();
        let own = world.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, own.clone()));
            }
        });
        Self {
            address,
            world,
            _server: AbortOnDropHandle::new(server),
        }
    }

    fn args(&self) -> Vec<String> {
        vec![
            format!("--smtp-url=smtp://user:secret@{}", self.address),
            "--email-from=Shop <shop@example.com>".into(),
        ]
    }
}

async fn talk(stream: TcpStream, world: SharedState) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write
        .write_all(b"220 mail.example.com ESMTP\r\n")
        .await
        .ok()?;
    while let Some(line) = lines.next_line().await.ok()? {
        let reply = match line
            .get(..4)
            .unwrap_or_default()
            .to_ascii_uppercase()
            .as_str()
        {
            "EHLO" => {
                let name = line.get(5..).unwrap_or_default().to_owned();
                world.lock().unwrap().hello_names.push(name);
                "250-mail.example.com\r\n250-8BITMIME\r\n250 AUTH PLAIN"
            }
            "AUTH" => {
                let mut world = world.lock().unwrap();
                let given = line.rsplit(' ').next().unwrap();
                let given = base64::engine::general_purpose::STANDARD
                    .decode(given)
                    .unwrap();
                world.sign_ins.push(String::from_utf8(given).unwrap());
                "235 welcome"
            }
            "RCPT" => {
                let mut world = world.lock().unwrap();
                world.recipients.pop_front().unwrap_or("250 yes")
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await.ok()?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await.ok()? {
                    if line == "." {
                        break;
                    }
                    mail += &line;
                    mail += "\n";
                }
                let mut world = world.lock().unwrap();
                world.mails.push(mail);
                world.messages.pop_front().unwrap_or("250 taken")
            }
            "QUIT" => "221 bye",
            _ => "250 fine",
        };
        if reply.is_empty() {
            return None;
        }
        write.write_all(reply.as_bytes()).await.ok()?;
        write.write_all(b"\r\n").await.ok()?;
    }
    None
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn email_goes_out_with_its_headers_and_both_forms(pool: PgPool) {
    let smtp = Smtp::start().await;
    let service = Service::with(&pool, &clock(), &smtp.args()).await;
    let rule = json!({"name": "Orders", "event": "order", "recipients": ["ann@example.com"],
        "templates": [{"title": "Order {{ data.n }}", "text": "Grüße, {{ data.name }}",
            "html": "<p>{{ data.name }}</p>"}]});
    service.create("/rules", rule).await;
    let data = json!({"n": 7, "name": "<Ann>"});
    let (_, sent) = service
        .notify(json!({"event": "order", "data": data}))
        .await;
    assert_eq!(sent["deliveries"][0]["recipient"], "a•••@example.com");
    let delivery = service.wait_for_delivery(|d| d["status"] == "sent").await;
    assert_eq!(delivery["provider"], "smtp");
    assert_eq!(delivery["attempts"][0]["provider_code"], 250);
    let world = smtp.world.lock().unwrap();
    assert_eq!(world.sign_ins, ["\0user\0secret"]);
    assert_eq!(world.hello_names, ["example.com"]);
    let [mail] = &world.mails[..] else {
        panic!("expected one mail");
    };
    let id = delivery["id"].as_str().unwrap();
    for part in [
        "From: Shop <shop@example.com>",
        "To: ann@example.com",
        "Subject: Order 7",
        "List-Unsubscribe: <mailto:shop@example.com?subject=unsubscribe>",
        &format!("Message-ID: <{id}@example.com>"),
        "multipart/alternative",
        "<p>&lt;Ann&gt;</p>",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn each_reply_of_a_mail_server_means_something(pool: PgPool) {
    let smtp = Smtp::start().await;
    let service = Service::with(&pool, &clock(), &smtp.args()).await;
    let recipients = [
        ("450 4.2.1 later", "transient"),
        ("550 5.1.1 <ann@example.com>: no such user", "gone"),
        ("550 5.7.1 relaying denied", "permanent"),
        ("530 5.7.0 sign in first", "config"),
        ("250 yes", "sent"),
    ];
    for (reply, outcome) in recipients {
        smtp.world.lock().unwrap().recipients.push_back(reply);
        let made = first_attempt(&service, "ann@example.com").await;
        assert_eq!(made["outcome"], outcome, "{reply}: {made}");
        assert!(!made.to_string().contains("ann@example.com"), "{made}");
        if outcome == "gone" {
            delete_suppression(&service).await;
        }
    }
    let messages = [
        ("451 4.3.0 later", "transient"),
        ("554 5.7.1 spam", "permanent"),
        ("", "unknown"),
    ];
    for (reply, outcome) in messages {
        smtp.world.lock().unwrap().messages.push_back(reply);
        let made = first_attempt(&service, "ann@example.com").await;
        assert_eq!(made["outcome"], outcome, "{reply}: {made}");
    }
    let nobody = [
        "--smtp-url=smtp://127.0.0.1:1",
        "--email-from=a@example.com",
    ];
    drop(service);
    let service = Service::with(&pool, &clock(), &nobody.map(Into::into)).await;
    let made = first_attempt(&service, "bob@example.com").await;
    assert_eq!(
        (&made["outcome"], &made["detail"]),
        (&json!("transient"), &json!("no connection"))
    );
}

#[sqlx::test(migrator = "notification::MIGRATOR")]
async fn a_server_that_refuses_the_name_leads_to_the_setting(pool: PgPool) {
    let smtp = Smtp::start().await;
    let url = format!("--smtp-url=smtp://{}", smtp.address);
    let from = "--email-from=Laden <laden@Bücher.example>";
    let detail = |code: u16, name: &str| {
        json!(format!(
            "SMTP {code}: the server does not accept the name {name} (EHLO); set SMTP_HELO to the \
             public host name of this service"
        ))
    };
    let default = "xn--bcher-kva.example";
    for (more, name) in [
        (None, default),
        (Some("--smtp-helo=mail.example.com"), "mail.example.com"),
    ] {
        let args = [url.clone(), from.into()].into_iter();
        let args: Vec<String> = args.chain(more.map(str::to_owned)).collect();
        let service = Service::with(&pool, &clock(), &args).await;
        for (reply, code, outcome) in [
            (
                "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname",
                504,
                "config",
            ),
            ("550 5.7.1 Invalid HELO name", 550, "config"),
            (
                "450 4.7.1 <vm>: Helo command rejected: Host not found",
                450,
                "transient",
            ),
        ] {
            smtp.world.lock().unwrap().recipients.push_back(reply);
            let made = first_attempt(&service, "ann@example.com").await;
            assert_eq!(
                (&made["outcome"], &made["detail"]),
                (&json!(outcome), &detail(code, name)),
                "{made}"
            );
        }
        let used = smtp.world.lock().unwrap().hello_names.last().cloned();
        assert_eq!(used.as_deref(), Some(name));
        first_attempt(&service, "bob@example.com").await;
        let mails = smtp.world.lock().unwrap().mails.clone();
        let mail = mails.last().unwrap();
        assert!(mail.contains(&format!("@{default}>")), "{mail}");
    }
}
