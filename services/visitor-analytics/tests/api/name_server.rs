//! A DNS server over UDP and TCP with a few records.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_resolver::proto::rr::rdata::PTR;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// TTL of all records, in seconds.
pub const TTL: u32 = 600;

#[derive(Clone)]
pub struct NameServer {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

enum Reply {
    Records(Vec<RData>),
    Code(ResponseCode),
    /// Truncated over UDP; over TCP complete, or no answer at all.
    Truncated(Option<RData>),
    Silence,
}

impl NameServer {
    /// Starts a server, which ends with the test.
    pub async fn start() -> Self {
        let (udp, tcp) = bind_both().await;
        let server = Self {
            address: udp.local_addr().unwrap(),
            asked: Arc::default(),
        };
        tokio::spawn(server.clone().over_udp(udp));
        tokio::spawn(server.clone().over_tcp(tcp));
        server
    }

    /// The names that were queried over UDP.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    async fn over_udp(self, socket: UdpSocket) {
        let mut bytes = [0; 4_096];
        loop {
            let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
            let question = Message::from_vec(&bytes[..length]).unwrap();
            let name = question.queries[0].name().to_string();
            self.asked.lock().unwrap().push(name);
            if let Some(answer) = answer(&question, true) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    }

    async fn over_tcp(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(talk(stream));
        }
    }
}

/// Binds UDP and TCP to the same port. Tries another one if the port is only free for UDP.
async fn bind_both() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

/// Each message is preceded by its length (RFC 1035 §4.2.2).
async fn talk(mut stream: TcpStream) {
    while let Ok(length) = stream.read_u16().await {
        let mut bytes = vec![0; length.into()];
        stream.read_exact(&mut bytes).await.unwrap();
        let question = Message::from_vec(&bytes).unwrap();
        let Some(answer) = answer(&question, false) else {
            return;
        };
        let length = u16::try_from(answer.len()).unwrap();
        stream.write_u16(length).await.unwrap();
        stream.write_all(&answer).await.unwrap();
    }
}

fn answer(question: &Message, is_datagram: bool) -> Option<Vec<u8>> {
    let query = &question.queries[0];
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.add_query(query.clone());
    let mut add = |data: RData| {
        answer.add_answer(Record::from_rdata(query.name().clone(), TTL, data));
    };
    match reply(query) {
        Reply::Records(records) => records.into_iter().for_each(add),
        Reply::Truncated(Some(data)) if !is_datagram => add(data),
        Reply::Truncated(None) if !is_datagram => return None,
        Reply::Truncated(_) => answer.metadata.truncation = true,
        Reply::Code(code) => answer.metadata.response_code = code,
        Reply::Silence => return None,
    }
    Some(answer.to_vec().unwrap())
}

fn reply(query: &Query) -> Reply {
    let pointer = |name: &str| RData::PTR(PTR(Name::from_ascii(name).unwrap()));
    let to = |name: &str| Reply::Records(vec![pointer(name)]);
    let at = |ip: &str| {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) => RData::A(ip.into()),
            IpAddr::V6(ip) => RData::AAAA(ip.into()),
        };
        Reply::Records(vec![data])
    };
    let name = query.name().to_lowercase().to_string();
    match (name.as_str(), query.query_type()) {
        ("1.66.249.66.in-addr.arpa.", RecordType::PTR) => to("crawl-1.googlebot.com."),
        ("crawl-1.googlebot.com.", RecordType::A) => at("66.249.66.1"),
        (reverse, RecordType::PTR) if reverse.starts_with("1.0.0.0.0.0.") => {
            let one = pointer("other.example.");
            Reply::Records(vec![one, pointer("crawl-6.googlebot.com.")])
        }
        ("crawl-6.googlebot.com.", RecordType::AAAA) => at("2001:4860:4801::1"),
        ("2.2.0.192.in-addr.arpa.", _) => to("crawl.googlebot.com.evil.example."),
        ("3.2.0.192.in-addr.arpa.", _) => to("crawl-3.googlebot.com."),
        ("crawl-3.googlebot.com.", _) => at("192.0.2.99"),
        ("4.2.0.192.in-addr.arpa.", _) => to("gone.googlebot.com."),
        ("5.2.0.192.in-addr.arpa.", _) => Reply::Code(ResponseCode::ServFail),
        ("6.2.0.192.in-addr.arpa.", _) => Reply::Silence,
        ("7.2.0.192.in-addr.arpa.", _) => to("broken.googlebot.com."),
        ("broken.googlebot.com.", _) => Reply::Code(ResponseCode::Refused),
        ("8.2.0.192.in-addr.arpa.", _) => Reply::Truncated(Some(pointer("crawl-8.googlebot.com."))),
        ("crawl-8.googlebot.com.", _) => at("192.0.2.8"),
        ("9.2.0.192.in-addr.arpa.", _) => Reply::Truncated(None),
        ("10.2.0.192.in-addr.arpa.", _) => Reply::Records(vec![]),
        _ => Reply::Code(ResponseCode::NXDomain),
    }
}
