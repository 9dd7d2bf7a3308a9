//! Who connects where.

use std::fmt;
use std::time::Duration;

use lapin::uri::{AMQPScheme, AMQPUri};

use super::BrokerError;
use crate::config::{BrokerConfig, exposed_file};

/// Everything a connection needs. Cheap to clone; `Debug` shows no secret.
#[derive(Clone)]
pub struct BrokerOptions {
    pub(super) uri: AMQPUri,
    pub(super) ca_pem: Option<String>,
    pub(super) name: String,
    pub(super) properties: Vec<(String, String)>,
    pub(super) timeout: Duration,
    pub(super) retry_delays: [Duration; 3],
}

impl fmt::Debug for BrokerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerOptions({self}, {:?})", self.name)
    }
}

impl fmt::Display for BrokerOptions {
    /// The broker without credentials: `amqp://host:5672/vhost`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/{}", self.uri.scheme, self.address(), self.uri.vhost)
    }
}

impl BrokerOptions {
    /// Options for `amqp[s]://host[:port]/vhost`. Credentials inside the URL win over the given ones: who writes them
    /// there means them. Heartbeat 20 s, deadline 15 s, retry tiers of 1 min, 10 min and 1 h.
    ///
    /// # Errors
    /// [`BrokerError::Url`], which never repeats the URL, since a password may be in it.
    pub fn new(url: &str, username: &str, password: &str) -> Result<Self, BrokerError> {
        let rest = url.strip_prefix("amqp://").or_else(|| url.strip_prefix("amqps://"));
        let rest = rest.ok_or(BrokerError::Url("it does not begin with amqp:// or amqps://"))?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        // The parser's own message may repeat the URL.
        let mut uri: AMQPUri =
            url.parse().map_err(|_| BrokerError::Url("it has not the form amqp://host:port/vhost"))?;
        let host = authority.rsplit('@').next().unwrap_or_default();
        if host.is_empty() {
            return Err(BrokerError::Url("it names no host"));
        }
        if let Some((v6, _)) = host.strip_prefix('[').and_then(|h| h.split_once(']')) {
            // The parser takes an IPv6 host for no host and silently goes to localhost.
            v6.clone_into(&mut uri.authority.host);
        }
        if !authority.contains('@') {
            username.clone_into(&mut uri.authority.userinfo.username);
            password.clone_into(&mut uri.authority.userinfo.password);
        }
        uri.query.heartbeat.get_or_insert(20);
        Ok(Self {
            uri,
            ca_pem: None,
            name: "dovi-fleet".into(),
            properties: vec![
                ("product".into(), "dovi-fleet".into()),
                ("version".into(), env!("CARGO_PKG_VERSION").into()),
                ("system".into(), format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)),
            ],
            timeout: Duration::from_secs(15),
            retry_delays: [60, 600, 3600].map(Duration::from_secs),
        })
    }

    /// Options as configured; reads the password and CA files. A password file that everybody may read is warned of.
    ///
    /// # Errors
    /// [`BrokerError::Url`] or [`BrokerError::Setting`].
    pub fn from_config(config: &BrokerConfig) -> Result<Self, BrokerError> {
        let password = config.secret().map_err(|e| BrokerError::Setting(e.to_string()))?;
        if let Some(warning) = exposed(config) {
            tracing::warn!("{warning}");
        }
        Self::with_password(config, &password)
    }

    /// Options as configured, without a password: for what does not log in by AMQP.
    ///
    /// # Errors
    /// As [`from_config`](Self::from_config).
    pub fn without_password(config: &BrokerConfig) -> Result<Self, BrokerError> {
        Self::with_password(config, "")
    }

    fn with_password(config: &BrokerConfig, password: &str) -> Result<Self, BrokerError> {
        let mut options = Self::new(&config.url, &config.username, password)?
            .heartbeat(config.heartbeat_s)
            .timeout(Duration::from_secs(config.timeout_s))
            .retry_delays(config.retry_delays_s.map(|s| Duration::from_secs(s.into())));
        if !config.ca_file.as_os_str().is_empty() {
            let pem = std::fs::read_to_string(&config.ca_file).map_err(|e| {
                let file = crate::text::safe_path(&config.ca_file);
                BrokerError::Setting(format!(
                    "the setting broker.ca_file is not usable: {file} cannot be read: {e}"
                ))
            })?;
            options = options.ca_pem(pem);
        }
        Ok(options)
    }

    /// Names the connections; the management UI shows it followed by what each one is for.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Adds a client property for the management UI, for example `host` or `slot`.
    #[must_use]
    pub fn property(mut self, key: &str, value: impl Into<String>) -> Self {
        self.properties.push((key.into(), value.into()));
        self
    }

    /// Trusts this private certificate authority (PEM) instead of the system's.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<String>) -> Self {
        self.ca_pem = Some(pem.into());
        self
    }

    /// Deadline of each exchange with the broker.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Seconds between heartbeats. A dead link is noticed after two of them by us and after three by the broker
    /// (measured: 10 s and 13.5 s at 5 s).
    #[must_use]
    pub fn heartbeat(mut self, seconds: u16) -> Self {
        self.uri.query.heartbeat = Some(seconds);
        self
    }

    /// Delays of the three retry tiers. They become queue arguments, which stay for the queue's life.
    #[must_use]
    pub fn retry_delays(mut self, delays: [Duration; 3]) -> Self {
        self.retry_delays = delays;
        self
    }

    /// `host:port`
    pub fn address(&self) -> String {
        let a = &self.uri.authority;
        if a.host.contains(':') {
            format!("[{}]:{}", a.host, a.port)
        } else {
            format!("{}:{}", a.host, a.port)
        }
    }

    /// The virtual host.
    pub fn vhost(&self) -> &str {
        &self.uri.vhost
    }

    /// Who logs in.
    pub fn username(&self) -> String {
        self.uri.authority.userinfo.username.clone()
    }

    pub(super) fn tls(&self) -> bool {
        self.uri.scheme == AMQPScheme::AMQPS
    }
}

/// What is wrong with a password file that everybody on this machine may read.
pub fn exposed(config: &BrokerConfig) -> Option<String> {
    exposed_file(&config.password_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_form_of_it_shows_the_password() {
        for url in ["amqp://h/dovi", "amqp://who:s3cret@h:1/dovi", "amqps://who:s3cret@[::1]/dovi"] {
            let o = BrokerOptions::new(url, "dovi", "s3cret").unwrap();
            assert!(!format!("{o} {o:?} {o:#?}").contains("s3cret"), "{o:?}");
        }
        for bad in
            ["http://u:s3cret@h/", "amqp:u:s3cret@h", "amqp://u:s3cret@/dovi", "amqp://u:s3cret@h:port/dovi"]
        {
            let e = BrokerOptions::new(bad, "u", "s3cret").unwrap_err();
            assert!(
                matches!(e, BrokerError::Url(_)) && !format!("{e} {e:?}").contains("s3cret"),
                "{bad}: {e:?}"
            );
        }
    }

    #[test]
    fn credentials_in_the_url_win_and_hosts_are_kept() {
        let o = BrokerOptions::new("amqp://a:b@broker.lan:9/v", "dovi", "pw").unwrap();
        assert_eq!((o.username().as_str(), o.address().as_str(), o.vhost()), ("a", "broker.lan:9", "v"));
        let o = BrokerOptions::new("amqps://[::1]/dovi", "dovi", "pw").unwrap();
        assert_eq!((o.username().as_str(), o.address().as_str(), o.tls()), ("dovi", "[::1]:5671", true));
        assert_eq!(o.uri.authority.host, "::1");
    }
}
