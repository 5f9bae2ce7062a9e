//! The fields of a log line before its time: virtual host, addresses, identity and user.

use std::net::IpAddr;

use super::parsed_line::LineParseError;
use super::quoted_text::{is_blank, unescape};

const MAX_HOST_BYTES: usize = 253;

/// The fields before the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AddressFields {
    /// The first address of the line: behind proxies, the others are those of the proxies.
    pub(super) ip: IpAddr,
    /// The virtual host, without port.
    pub(super) host: Option<String>,
    pub(super) user: Option<String>,
}

/// Parses `[host[:port]] address[, proxy…] identity user`. The user may contain blanks. Repeated
/// addresses (ingress-nginx: `81.2.69.5 - [81.2.69.5] - -`) are not part of the user.
pub(super) fn parse_address_fields(text: &str) -> Result<AddressFields, LineParseError> {
    let words: Vec<&str> = text
        .split(is_blank)
        .filter(|word| !word.is_empty())
        .collect();
    let words = strip_program_tag(&words);
    let first = words.iter().position(|word| parse_address(word).is_some());
    let first = first.ok_or_else(|| no_address(words))?;
    let (host_word, visitor) = match (words, first) {
        // Apache writes the port of a virtual host, even if the host is an address.
        ([host, client, ..], 0)
            if has_port(host) && !host.ends_with(',') && parse_address(client).is_some() =>
        {
            (Some(*host), 1)
        }
        (_, 0) => (None, 0),
        ([host, ..], _) => {
            let between = words.get(1..first).unwrap_or_default();
            let follow = words.len() - first - 1;
            let is_host = !is_placeholder(host);
            if !between.iter().all(|word| is_placeholder(word))
                || (is_host && first > 1 && follow < 2)
            {
                return Err(no_address(words));
            }
            (is_host.then_some(*host), first)
        }
        ([], _) => return Err(LineParseError::NoAddress),
    };
    let ip = words.get(visitor).and_then(|word| parse_address(word));
    let ip = ip.ok_or(LineParseError::NoAddress)?;
    let others = identity_and_user(&words[visitor..]);
    let (identity, user) = match others.split_first() {
        Some((identity, user)) => (Some(*identity), user),
        None => (None, [].as_slice()),
    };
    // lighttpd writes the virtual host in the place of the identity.
    let host = host_word.or(identity.filter(|_| !user.is_empty()));
    Ok(AddressFields {
        ip,
        host: host.and_then(host_name),
        user: join_user(user),
    })
}

/// Removes what a collector of logs puts before a line: `Nov 20 10:13:55 web nginx[7]:`, `web_1 |`.
fn strip_program_tag<'a, 'b>(words: &'b [&'a str]) -> &'b [&'a str] {
    let is_tag = |word: &&str| *word == "|" || (word.ends_with(':') && word.len() > 1);
    let before = words
        .iter()
        .position(|word| parse_address(word).is_some())
        .unwrap_or(words.len());
    match words[..before].iter().rposition(is_tag) {
        Some(tag) => &words[tag + 1..],
        None => words,
    }
}

fn no_address(words: &[&str]) -> LineParseError {
    let is_name = |word: &&str| {
        let name = word.trim_end_matches(',');
        !is_placeholder(word)
            && name.contains(|c: char| c.is_ascii_alphabetic())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c))
            && !name.ends_with(':')
    };
    match words.first() {
        Some(first) if is_name(first) => LineParseError::HostNames,
        _ => LineParseError::NoAddress,
    }
}

/// The words after the visitor's address, without the addresses of proxies.
fn identity_and_user<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let mut is_list = true;
    let mut others = vec![];
    for word in words {
        if !is_list && parse_address(word).is_none() {
            others.push(*word);
        }
        is_list = is_list && word.ends_with(',');
    }
    others
}

/// Joins the words of the user. A user that cannot be an id is left out.
fn join_user(words: &[&str]) -> Option<String> {
    let is_none = |word: &&str| matches!(*word, "-" | "\"\"");
    let start = words.iter().position(|word| !is_none(word))?;
    let end = words.iter().rposition(|word| !is_none(word))?;
    let user = unescape(&words[start..=end].join(" "));
    let user = user.trim_matches('"');
    let is_valid = (1..=128).contains(&user.len()) && !user.contains(char::is_control);
    is_valid.then(|| user.to_owned())
}

fn is_placeholder(word: &str) -> bool {
    matches!(word.trim_end_matches(','), "-" | "unknown" | "")
}

/// Parses an address with optional brackets, port or zone; of a list, the first address.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    let mut parts = text.split(',').map(str::trim);
    let text = parts.find(|part| !is_placeholder(part))?;
    let text = text.trim_matches('"');
    let text = match text.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None if text.matches(':').count() == 1 => text.split(':').next()?,
        None => text,
    };
    let address: IpAddr = text.split('%').next()?.parse().ok()?;
    Some(address.to_canonical())
}

fn has_port(word: &str) -> bool {
    word.contains("]:") || word.matches(':').count() == 1
}

/// The host of a page in lower case, without port; `None` for what is not the name of a public
/// host. The text comes from the client.
pub(super) fn host_name(text: &str) -> Option<String> {
    let host = text.split(':').next()?.trim_end_matches('.');
    let is_valid = host.len() <= MAX_HOST_BYTES
        && host.contains('.')
        && !host.starts_with('.')
        && !host.contains("..")
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    is_valid.then(|| host.to_ascii_lowercase())
}
