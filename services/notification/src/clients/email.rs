//! Email over SMTP (RFC 5321).

mod reply;

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use lettre::message::{Mailbox, MultiPart, SinglePart, header};
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use url::Url;

use self::reply::{classify_reply, refuses_hello_name};
use super::Provider;
use crate::domain::attempt::{ClaimedDelivery, SendOutcome, SendResult};
use crate::domain::email_address::to_ascii_domain;

/// Applies to each command of a session.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(15);
const MAX_CONNECTIONS: u32 = 4;
const MAX_SUBJECT_CHARS: usize = 150;

pub struct EmailProvider {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// Value of the header `List-Unsubscribe`.
    unsubscribe: String,
    /// Name in EHLO.
    hello_name: String,
}

/// Invalid settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailConfigError {
    #[error(
        "SMTP_URL must be a URL such as smtps://user:password@mail.example.com or \
         smtp://mail.example.com:587?tls=required"
    )]
    Url,
    #[error("SMTP_CA_FILE must contain certificates in PEM format")]
    CaFile,
    #[error("EMAIL_FROM must be a mailbox such as Shop <shop@example.com>")]
    From,
}

impl EmailProvider {
    /// Creates a client for the server at `url`: `smtps://` for implicit TLS,
    /// `smtp://…?tls=required` for STARTTLS, `smtp://` without encryption. `authorities` are PEM
    /// certificates that are trusted in addition to the system's. The client introduces itself as
    /// `hello_name`, by default the domain of `from`.
    pub fn new(
        url: &str,
        from: &str,
        hello_name: Option<&str>,
        authorities: Option<&[u8]>,
    ) -> Result<Self, EmailConfigError> {
        let from = parse_sender(from).ok_or(EmailConfigError::From)?;
        let hello_name = hello_name.unwrap_or_else(|| from.email.domain()).to_owned();
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(url)
            .map_err(|_| EmailConfigError::Url)?
            .hello_name(ClientId::Domain(hello_name.clone()))
            .timeout(Some(COMMAND_TIMEOUT))
            .pool_config(PoolConfig::new().max_size(MAX_CONNECTIONS));
        if let Some(pem) = authorities {
            builder = builder.tls(tls_mode(url, pem)?);
        }
        Ok(Self {
            transport: builder.build(),
            unsubscribe: format!("<mailto:{}?subject=unsubscribe>", from.email),
            from,
            hello_name,
        })
    }

    /// The same for all attempts, so that mailboxes can recognize duplicates.
    fn message_id(&self, delivery: &ClaimedDelivery) -> String {
        format!("<{}@{}>", delivery.id, self.from.email.domain())
    }

    async fn post(&self, delivery: &ClaimedDelivery) -> SendResult {
        let Some(message) = self.build_message(delivery) else {
            let detail = "the address or the message is invalid";
            return SendResult::new(SendOutcome::Permanent, Some(detail));
        };
        match self.transport.send(message).await {
            Ok(response) => SendResult {
                code: Some(i32::from(u16::from(response.code()))),
                message_id: Some(self.message_id(delivery)),
                ..SendResult::new(SendOutcome::Sent, None)
            },
            Err(error) => classify_error(&error, &self.hello_name),
        }
    }

    fn build_message(&self, delivery: &ClaimedDelivery) -> Option<Message> {
        let to = delivery.address.unmasked().parse().ok()?;
        let subject = delivery.title.as_deref().unwrap_or_else(|| {
            let first = delivery.body.lines().next();
            first.unwrap_or(&delivery.event)
        });
        let subject: String = subject.chars().filter(|c| !c.is_control()).collect();
        let builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(super::truncate(&subject, MAX_SUBJECT_CHARS))
            .message_id(Some(self.message_id(delivery)))
            .header(ListUnsubscribe(self.unsubscribe.clone()));
        let message = match &delivery.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(
                delivery.body.clone(),
                html.clone(),
            )),
            None => builder.singlepart(SinglePart::plain(delivery.body.clone())),
        };
        message.ok()
    }
}

/// Returns the TLS mode of `url` with additional certificate authorities.
fn tls_mode(url: &str, pem: &[u8]) -> Result<Tls, EmailConfigError> {
    let url = Url::parse(url).map_err(|_| EmailConfigError::Url)?;
    let host = url.host_str().ok_or(EmailConfigError::Url)?;
    let authorities = Certificate::from_pem(pem).map_err(|_| EmailConfigError::CaFile)?;
    let parameters = TlsParameters::builder(host.into())
        .add_root_certificate(authorities)
        .build()
        .map_err(|_| EmailConfigError::CaFile)?;
    let asked = url.query_pairs().find(|(name, _)| name == "tls");
    Ok(
        match (url.scheme(), asked.as_ref().map(|(_, how)| &**how)) {
            ("smtps", _) => Tls::Wrapper(parameters),
            (_, Some("required")) => Tls::Required(parameters),
            (_, Some("opportunistic")) => Tls::Opportunistic(parameters),
            _ => Tls::None,
        },
    )
}

/// Parses the mailbox of the sender. Its domain is converted to ASCII.
fn parse_sender(text: &str) -> Option<Mailbox> {
    let mailbox: Mailbox = text.trim().parse().ok()?;
    let domain = mailbox.email.domain();
    // Lettre also accepts an IP address in brackets.
    let domain = to_ascii_domain(domain).unwrap_or_else(|| domain.to_owned());
    let email = Address::new(mailbox.email.user(), domain).ok()?;
    Some(Mailbox::new(mailbox.name, email))
}

fn classify_error(error: &Error, hello_name: &str) -> SendResult {
    let code = error.status().map(u16::from);
    if let Some(code) = code {
        let text = error.to_string();
        if refuses_hello_name(code, &text) {
            let outcome = match code {
                400..=499 => SendOutcome::Transient(None),
                _ => SendOutcome::Config,
            };
            let detail = format!(
                "SMTP {code}: the server does not accept the name {hello_name} (EHLO); set \
                 SMTP_HELO to the public host name of this service"
            );
            return SendResult {
                code: Some(code.into()),
                detail: Some(detail),
                ..SendResult::new(outcome, None)
            };
        }
        let (outcome, words) = classify_reply(code, &text);
        return SendResult {
            code: Some(code.into()),
            detail: Some(format!("SMTP {code}: {words}")),
            ..SendResult::new(outcome, None)
        };
    }
    let words = error.to_string().to_ascii_lowercase();
    let (outcome, words) = if error.is_tls() || words.contains("peer certificate") {
        (
            SendOutcome::Config,
            "TLS failed or the certificate is not trusted",
        )
    } else if error.is_client() {
        (
            SendOutcome::Config,
            "the server lacks a required feature, such as STARTTLS",
        )
    } else if error.is_timeout() || error.is_response() {
        (SendOutcome::Unknown, "no valid answer in time")
    } else if words.contains("connection error") {
        (SendOutcome::Transient(None), "no connection")
    } else {
        (SendOutcome::Unknown, "the connection broke")
    };
    SendResult::new(outcome, Some(words))
}

/// `List-Unsubscribe` (RFC 2369).
#[derive(Clone)]
struct ListUnsubscribe(String);

impl header::Header for ListUnsubscribe {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("List-Unsubscribe")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), self.0.clone())
    }
}

impl Provider for EmailProvider {
    fn name(&self) -> &'static str {
        "smtp"
    }

    fn send<'a>(&'a self, delivery: &'a ClaimedDelivery) -> BoxFuture<'a, SendResult> {
        self.post(delivery).boxed()
    }
}
