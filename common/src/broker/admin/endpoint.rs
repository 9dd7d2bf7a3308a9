//! Where the management API listens, and as whom.

use super::super::BrokerError;

/// `http[s]://user@host:port/prefix`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub tls: bool,
    pub host: String,
    pub port: u16,
    /// What a reverse proxy may have put in front, without a slash at its end.
    pub prefix: String,
    pub user: String,
}

impl Endpoint {
    /// Reads the URL. A password in it is refused: on a command line everybody on the machine can read it.
    pub fn parse(url: &str) -> Result<Self, BrokerError> {
        let bad = |why| Err(BrokerError::AdminUrl(why));
        let (tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return bad("it does not begin with http:// or https://"),
        };
        let (authority, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if prefix.contains(['?', '#', ' ']) {
            return bad("it has more than a host and a path");
        }
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return bad("it holds a password, which everybody on this machine could read");
            }
            Some((user, address)) => (decoded(user), address),
            None => return bad("it names no user"),
        };
        let (host, port) = match address.strip_prefix('[').and_then(|a| a.split_once(']')) {
            Some((v6, rest)) => (v6, rest.strip_prefix(':').or(rest.is_empty().then_some(""))),
            None => match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, Some("")),
            },
        };
        let port = match port {
            Some("") => Some(if tls { 15671 } else { 15672 }),
            Some(text) => text.parse().ok(),
            None => None,
        };
        match (user, port) {
            (Some(user), Some(port)) if !host.is_empty() && !user.is_empty() => Ok(Self {
                tls,
                host: host.to_owned(),
                port,
                prefix: prefix.trim_end_matches('/').to_owned(),
                user,
            }),
            _ => bad("it has not the form http://user@host:port"),
        }
    }

    /// `host:port`
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// `%XX` resolved (RFC 3986 2.1).
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&b, tail)) = rest.split_first() {
        rest = tail;
        if b == b'%' {
            let hex = std::str::from_utf8(tail.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(b);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let e = Endpoint::parse("http://admin@broker.lan").unwrap();
        assert_eq!((e.address().as_str(), e.user.as_str(), e.tls), ("broker.lan:15672", "admin", false));
        let e = Endpoint::parse("https://a%40b@[::1]:9/mq/").unwrap();
        assert_eq!((e.address().as_str(), e.user.as_str(), e.prefix.as_str()), ("[::1]:9", "a@b", "mq"));
        for bad in [
            "amqp://a@h",
            "http://h",
            "http://@h",
            "http://a@",
            "http://a@h:port",
            "http://a@[::1",
            "http://a@[::1]x",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        let e = Endpoint::parse("http://admin:s3cret@h").unwrap_err();
        assert!(e.to_string().contains("holds a password") && !format!("{e} {e:?}").contains("s3cret"));
    }
}
