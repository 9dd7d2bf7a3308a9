//! Why TLS failed, in words for people.

use std::fmt;

/// The usual reasons for a handshake to fail. Told apart by the words of the TLS library (rustls), which has no better way to
/// hand them through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// Nobody that is trusted here signed the certificate.
    UnknownAuthority,
    /// The broker shows the authority's own certificate.
    IsAuthority,
    /// The certificate has expired.
    Expired,
    /// The certificate is for later: mostly a clock is wrong.
    NotYet,
    /// The certificate is for another host name.
    OtherName,
    /// Whoever listens there speaks no TLS.
    NotTls,
    /// The other side hung up in the middle of the handshake, as a port without TLS may, or a broker that restarts.
    HungUp,
    /// Anything else.
    Other,
}

impl TlsFault {
    /// Reads the reason out of rustls's message.
    pub fn of(message: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|w| message.contains(w));
        if has(&["CaUsedAsEndEntity"]) {
            Self::IsAuthority
        } else if has(&["UnknownIssuer"]) {
            Self::UnknownAuthority
        } else if has(&["certificate expired", "Expired"]) {
            Self::Expired
        } else if has(&["not valid yet", "NotValidYet"]) {
            Self::NotYet
        } else if has(&["not valid for name", "NotValidForName"]) {
            Self::OtherName
        } else if has(&["corrupt message", "InvalidContentType"]) {
            Self::NotTls
        } else {
            Self::Other
        }
    }

    /// What a person does about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::UnknownAuthority => {
                "Set broker.ca_file to the authority's certificate (ca.pem), the one that signed the broker's."
            }
            Self::IsAuthority => {
                "Give the broker a certificate of its own, signed by the authority: deploy/make-ca.sh makes both."
            }
            Self::Expired => {
                "Make the broker a new certificate (deploy/make-ca.sh) and restart it; check both clocks."
            }
            Self::NotYet => "Check the clocks of both machines.",
            Self::OtherName => {
                "Use a name or address in broker.url that the certificate has, or make one for this name (deploy/make-ca.sh)."
            }
            Self::NotTls => {
                "The port speaks no TLS: use the TLS port (5671) in broker.url, or amqp:// for this one."
            }
            Self::HungUp => {
                "If it repeats: the port speaks no TLS; use the TLS port (5671) in broker.url, or amqp:// for this one."
            }
            Self::Other => {
                "Check broker.ca_file, the certificate's host names, and that the port is the TLS one (5671)."
            }
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAuthority => "its certificate is signed by an authority that is not trusted here",
            Self::IsAuthority => "it shows an authority's certificate instead of its own",
            Self::Expired => "its certificate has expired",
            Self::NotYet => "its certificate is not valid yet",
            Self::OtherName => "its certificate is for another host name",
            Self::NotTls => "whoever listens there speaks no TLS",
            Self::HungUp => "it hung up during the handshake",
            Self::Other => "the handshake failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_reasons_are_told_apart() {
        for (message, fault) in [
            ("invalid peer certificate: UnknownIssuer", TlsFault::UnknownAuthority),
            (
                "invalid peer certificate: certificate expired: verified at time 2 (UNIX), …",
                TlsFault::Expired,
            ),
            ("invalid peer certificate: certificate not valid for name \"a\"; …", TlsFault::OtherName),
            ("received corrupt message of type InvalidContentType", TlsFault::NotTls),
            ("received fatal alert: HandshakeFailure", TlsFault::Other),
        ] {
            assert_eq!(TlsFault::of(message), fault, "{message}");
        }
    }
}
