//! What only an administrator of the broker can do: virtual host, queues, users. Over the management API, since AMQP has no
//! words for users.

mod endpoint;
mod look;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

use self::endpoint::Endpoint;
pub use self::look::Limits;
use super::users::{User, credentials, password_hash};
use super::{BrokerError, BrokerOptions, TlsFault, topology};
use crate::http::{Client, HttpError, Request, encoded};

/// What the broker's own answer is cut to in an error.
const SAID: usize = 300;
/// Far more than any answer has; whoever listens there cannot fill this program's memory.
const MOST: u64 = 16_000_000;

/// An administrator at the management API. `Debug` shows no secret.
#[derive(Clone)]
pub struct Admin {
    endpoint: Endpoint,
    password: String,
    client: Client,
    timeout: Duration,
    /// The server's clock at its latest answer.
    date: Arc<Mutex<Option<String>>>,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Admin({} at {})", self.endpoint.user, self.endpoint.address())
    }
}

impl Admin {
    /// `http[s]://user@host[:port]` of the management API, still without the user's password. Of the options it takes the deadline and,
    /// for `https`, the certificate authority; without one it trusts the system's.
    ///
    /// # Errors
    /// [`BrokerError::AdminUrl`], also for a URL with a password in it; [`BrokerError::Setting`] for a bad certificate file.
    pub fn new(url: &str, options: &BrokerOptions) -> Result<Self, BrokerError> {
        let endpoint = Endpoint::parse(url)?;
        let timeout = options.timeout;
        let client = Client::new(options.ca_pem.as_deref(), timeout)
            .map_err(|e| BrokerError::Setting(format!("broker.ca_file is no certificate: {e}")))?;
        Ok(Self { endpoint, password: String::new(), client, timeout, date: Arc::default() })
    }

    /// The user's password.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = password.into();
        self
    }

    /// `host:port`
    pub fn address(&self) -> String {
        self.endpoint.address()
    }

    /// The administrator's name.
    pub fn user(&self) -> &str {
        &self.endpoint.user
    }

    /// Sees that the broker takes the password and that the user is an administrator. Returns RabbitMQ's version.
    ///
    /// # Errors
    /// As every request, and [`BrokerError::Forbidden`] for somebody who is no administrator.
    pub async fn check(&self) -> Result<String, BrokerError> {
        let who = self.demand("GET", "/api/whoami", None).await?;
        // A list from 3.9 on, a text with commas before.
        let tags = match &who["tags"] {
            Value::Array(list) => list.iter().any(|t| t == "administrator"),
            other => other.as_str().is_some_and(|t| t.split(',').any(|t| t.trim() == "administrator")),
        };
        if !tags {
            let problem = format!("user {} has not the tag administrator", self.endpoint.user);
            return Err(BrokerError::Forbidden { what: "make users".into(), problem });
        }
        let overview = self.demand("GET", "/api/overview", None).await?;
        let version = overview["rabbitmq_version"].as_str().or(overview["management_version"].as_str());
        Ok(version.unwrap_or("of an unknown version").to_owned())
    }

    /// Creates what is missing of the virtual host, its exchanges, queues and bindings; returns the queues it made. Where there
    /// are any it waits as [`topology::declare`] does.
    ///
    /// # Errors
    /// [`BrokerError::Mismatch`] names the first queue that exists with other arguments.
    pub async fn prepare(&self, options: &BrokerOptions) -> Result<Vec<&'static str>, BrokerError> {
        let vhost = encoded(options.vhost());
        self.demand("PUT", &format!("/api/vhosts/{vhost}"), Some(json!({}))).await?;
        let queues = format!("/api/queues/{vhost}?columns=name,arguments&disable_stats=true");
        let before = self.demand("GET", &queues, None).await?;
        let wanted = topology::definitions(options.vhost(), &options.retry_delays);
        let mut part = wanted.clone();
        if let Some(all) = part.as_object_mut() {
            all.remove("vhosts");
        }
        // What exists is left as it is by the broker, whatever its arguments are.
        self.demand("POST", &format!("/api/definitions/{vhost}"), Some(part)).await?;
        let after = self.demand("GET", &queues, None).await?;
        for queue in wanted["queues"].as_array().into_iter().flatten() {
            compare(queue, &after)?;
        }
        let is_in =
            |all: &Value, name: &str| all.as_array().is_some_and(|a| a.iter().any(|q| q["name"] == name));
        let names = topology::QUEUES.iter().map(|q| q.name);
        let made: Vec<_> = names.filter(|name| !is_in(&before, name)).collect();
        if !made.is_empty() {
            tokio::time::sleep(topology::SETTLE).await;
        }
        Ok(made)
    }

    /// Whether there is such a user.
    ///
    /// # Errors
    /// As every request.
    pub async fn has_user(&self, name: &str) -> Result<bool, BrokerError> {
        let path = format!("/api/users/{}", encoded(name));
        match self.request("GET", &path, None).await? {
            (404, _) => Ok(false),
            answer => self.good("GET", &path, answer).map(|_| true),
        }
    }

    /// Makes a user or changes it to this password, these tags and these rights in the virtual host. The password itself does
    /// not travel, only its hash.
    ///
    /// # Errors
    /// As every request.
    pub async fn set_user(&self, vhost: &str, user: &User, password: &str) -> Result<(), BrokerError> {
        let name = encoded(user.name);
        let account = credentials(user, &password_hash(password)?);
        self.demand("PUT", &format!("/api/users/{name}"), Some(account)).await?;
        let path = format!("/api/permissions/{}/{name}", encoded(vhost));
        self.demand("PUT", &path, Some(user.rights())).await?;
        Ok(())
    }

    async fn demand(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value, BrokerError> {
        let answer = self.request(method, path, body).await?;
        self.good(method, path, answer)
    }

    fn good(&self, method: &str, path: &str, (status, body): (u16, Value)) -> Result<Value, BrokerError> {
        let said = || {
            let reason = body["reason"].as_str().or(body["error"].as_str()).unwrap_or("no reason given");
            crate::text::safe(&reason.chars().take(SAID).collect::<String>())
        };
        match status {
            200..300 => Ok(body),
            401 => Err(BrokerError::Denied { address: self.address(), username: self.endpoint.user.clone() }),
            403 => Err(BrokerError::Forbidden { what: format!("{method} {path}"), problem: said() }),
            _ => {
                let what = format!("{method} {path} at {}", self.address());
                Err(BrokerError::Admin { what, status, problem: said() })
            }
        }
    }

    async fn request(
        &self,
        method: &'static str,
        path: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), BrokerError> {
        let Endpoint { tls, prefix, user, .. } = &self.endpoint;
        let scheme = if *tls { "https" } else { "http" };
        let prefix = if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        let mut request = Request::new(method, format!("{scheme}://{}{prefix}{path}", self.address()), MOST)
            .header(
                "Authorization",
                format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", self.password))),
            )
            .header("Accept", "application/json");
        if let Some(body) = body {
            request = request.json(&body);
        }
        let client = self.client.clone();
        let exchange = tokio::task::spawn_blocking(move || client.send(request));
        // Looking up a host name may take longer than the client's own deadline.
        let done = tokio::time::timeout(self.timeout * 2, exchange).await;
        match done {
            Ok(Ok(Ok(answer))) => {
                *self.date.lock().unwrap_or_else(PoisonError::into_inner) = answer.date;
                Ok((answer.status, serde_json::from_slice(&answer.body).unwrap_or(Value::Null)))
            }
            Ok(Ok(Err(e))) => Err(self.refusal(&e)),
            Ok(Err(e)) => Err(BrokerError::Unreachable { address: self.address(), problem: e.to_string() }),
            Err(_) => Err(self.slow()),
        }
    }

    fn refusal(&self, e: &HttpError) -> BrokerError {
        let (address, problem) = (self.address(), e.to_string());
        match e {
            HttpError::Slow(_) => self.slow(),
            HttpError::Tls(_) => BrokerError::Tls { address, fault: TlsFault::of(&problem), problem },
            _ => BrokerError::Unreachable { address, problem },
        }
    }

    fn slow(&self) -> BrokerError {
        BrokerError::Timeout { what: format!("ask the broker at {}", self.address()), after: self.timeout }
    }
}

/// Whether a queue that is there has the arguments that it should have.
fn compare(wanted: &Value, there: &Value) -> Result<(), BrokerError> {
    let name = wanted["name"].as_str().unwrap_or_default();
    let found = there.as_array().into_iter().flatten().find(|q| q["name"] == name);
    let Some(found) = found else {
        let problem = format!("there is no {name} after it was made");
        return Err(BrokerError::Missing { what: "make the queues".into(), problem });
    };
    let (want, have) = (&wanted["arguments"], &found["arguments"]);
    if want == have {
        return Ok(());
    }
    let differs = |key: &&String| want[key.as_str()] != have[key.as_str()];
    let keys = [want, have].into_iter().filter_map(Value::as_object).flat_map(serde_json::Map::keys);
    let key = keys.into_iter().find(differs).cloned().unwrap_or_default();
    let problem = format!("{key} is {}, should be {}", have[&key], want[&key]);
    Err(BrokerError::Mismatch { name: name.to_owned(), problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_arguments_are_named() {
        let queue = |ttl| json!({"name": "dovi.retry.1m", "arguments": {"x-queue-type": "quorum", "x-message-ttl": ttl}});
        compare(&queue(1), &json!([queue(1)])).unwrap();
        let e = compare(&queue(1), &json!([queue(2)])).unwrap_err();
        assert!(
            matches!(&e, BrokerError::Mismatch { name, problem }
            if name == "dovi.retry.1m" && problem == "x-message-ttl is 2, should be 1"),
            "{e:?}"
        );
        assert!(matches!(compare(&queue(1), &json!([])), Err(BrokerError::Missing { .. })));
    }

    #[test]
    fn no_form_of_it_shows_the_password() {
        let options = BrokerOptions::new("amqp://h/dovi", "", "").unwrap();
        let admin = Admin::new("http://a@h", &options).unwrap().password("s3cret");
        assert!(!format!("{admin:?}").contains("s3cret"));
    }
}
