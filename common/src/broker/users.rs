//! Who may do what on the broker: one user for each program, with no more than it needs.
//!
//! RabbitMQ knows three permissions, each a regular expression over names of exchanges and queues. Measured on 3.10, 4.0 and
//! 4.3: publishing needs `write` on the exchange; taking, acknowledging and purging need `read` on the queue; declaring and
//! deleting need `configure`. From 4.3 on, looking at a queue's length needs any of the three on it. `write` on a queue alone
//! gives nothing else: a binding also needs `read` on the exchange, which nobody here has.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{BrokerError, topology};

/// One user of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User {
    /// Its name, `dovi-…`.
    pub name: &'static str,
    /// What it is for, as a person would say it.
    pub purpose: &'static str,
    /// RabbitMQ's tags: only with one of them a user may into the management UI.
    pub tags: &'static str,
    /// What it may declare and delete.
    pub configure: &'static str,
    /// Where it may publish, and whose length it may see.
    pub write: &'static str,
    /// What it may take from.
    pub read: &'static str,
}

const NOTHING: &str = "^$";
/// Where a worker hears orders: a queue of its own.
const OWN: &str = r"^dovi\.ctl\..*$";
/// The exchange of films, and (for their length alone) the queues.
const PUBLISH: &str = r"^dovi\.(work|films(\.first)?|retry\.(1m|10m|1h)|failed)$";
/// As [`PUBLISH`], and orders to workers.
const STEER: &str = r"^dovi\.(work|control|films(\.first)?|retry\.(1m|10m|1h)|failed)$";

/// Queues films, and reads nothing: for a scan that runs by itself.
pub const PRODUCER: User = User {
    name: "dovi-producer",
    purpose: "dovi-producer scan, reconcile, status, doctor",
    tags: "",
    configure: NOTHING,
    write: PUBLISH,
    read: NOTHING,
};

/// Takes films, publishes retries, dead letters and events, and hears orders over a queue of its own, which it binds.
pub const WORKER: User = User {
    name: "dovi-worker",
    purpose: "dovi-consumer run, doctor",
    tags: "",
    configure: OWN,
    write: r"^dovi\.(work|events|ctl\..*)$",
    read: r"^dovi\.(films(\.first)?|control|ctl\..*)$",
};

/// Everything a person does with `dovi-producer`: also orders to workers, and the dead letters. The exclusive queue that it may declare is the lock
/// that keeps two people from moving the same letters.
pub const CLI: User = User {
    name: "dovi-cli",
    purpose: "every command of dovi-producer, also failed, rescan, pause, cancel",
    tags: "",
    configure: r"^dovi\.tmp\.failed$",
    write: STEER,
    read: r"^dovi\.failed$",
};

/// Sees the management UI and the metrics, and no message.
pub const MONITOR: User = User {
    name: "dovi-monitor",
    purpose: "the management UI and metrics",
    tags: "monitoring",
    configure: NOTHING,
    write: NOTHING,
    read: NOTHING,
};

/// All of them.
pub const USERS: [User; 4] = [PRODUCER, WORKER, CLI, MONITOR];

impl User {
    /// Its rights in one virtual host, as the management API and a definitions file write them.
    pub(super) fn rights(&self) -> Value {
        json!({"configure": self.configure, "write": self.write, "read": self.read})
    }
}

/// A new password: 32 letters, digits, `-` and `_`, 192 bits from the operating system.
///
/// # Errors
/// [`BrokerError::Setting`]: the system gives no random numbers.
pub fn new_password() -> Result<String, BrokerError> {
    let bytes = random::<24>()?;
    Ok(BASE64_URL_SAFE.encode(bytes))
}

/// A password as RabbitMQ keeps it (`rabbit_password_hashing_sha256`): base64 of a random salt of four bytes, and of the SHA-256
/// of salt and password.
///
/// # Errors
/// As [`new_password`].
pub fn password_hash(password: &str) -> Result<String, BrokerError> {
    Ok(hash_with(random::<4>()?, password))
}

fn hash_with(salt: [u8; 4], password: &str) -> String {
    let sum = digest(&SHA256, &[&salt, password.as_bytes()].concat());
    BASE64_STANDARD.encode([&salt, sum.as_ref()].concat())
}

fn random<const N: usize>() -> Result<[u8; N], BrokerError> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; N];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| BrokerError::Setting("the system gives no random numbers".into()))?;
    Ok(bytes)
}

/// What the fleet's users may in a virtual host, as the `permissions` of a definitions file.
pub fn permissions(vhost: &str) -> Value {
    let of = |user: &User| {
        let mut entry = user.rights();
        entry["user"] = user.name.into();
        entry["vhost"] = vhost.into();
        entry
    };
    USERS.iter().map(of).collect()
}

/// A whole definitions file: virtual host, exchanges, queues, bindings, and the users with these password hashes. A broker
/// that loads it at its first start never makes `guest` (measured on 3.10, 4.0 and 4.3).
pub fn definitions(options: &super::BrokerOptions, hashes: &[(User, String)]) -> Value {
    let mut all = topology::definitions(options.vhost(), &options.retry_delays);
    let users = hashes.iter().map(|(user, hash)| account(user, hash));
    all["users"] = users.collect();
    all["permissions"] = permissions(options.vhost());
    all
}

fn account(user: &User, hash: &str) -> Value {
    let mut entry = credentials(user, hash);
    entry["name"] = user.name.into();
    entry
}

/// A user's password and tags, as the management API takes them.
pub(super) fn credentials(user: &User, hash: &str) -> Value {
    json!({"password_hash": hash, "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": user.tags})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_rabbitmqs() {
        // `rabbitmqctl hash_password` prints such hashes; this one is of a broker that takes the password.
        let known = "ZG92acPfiXJKNRLigV4plN2TNYvvWb/E/4n7flNfLhuYGfPG";
        assert_eq!(hash_with(*b"dovi", "dovi-test"), known);
    }

    #[test]
    fn passwords_differ_and_need_no_escaping() {
        let (one, two) = (new_password().unwrap(), new_password().unwrap());
        assert_ne!(one, two);
        for p in [one, two] {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            assert!(p.len() == 32 && p.chars().all(plain), "{p}");
        }
    }

    #[test]
    fn the_shipped_permissions_are_this_table() {
        let shipped: Value =
            serde_json::from_str(include_str!("../../../deploy/rabbitmq/permissions.json")).unwrap();
        let made = json!({"permissions": permissions(topology::VHOST)});
        let text = serde_json::to_string_pretty(&made).unwrap();
        assert_eq!(shipped, made, "deploy/rabbitmq/permissions.json should be:\n{text}");
    }

    #[test]
    fn the_compose_start_makes_every_user() {
        let script = include_str!("../../../deploy/compose/start-broker.sh");
        for user in USERS {
            let short = user.name.trim_start_matches("dovi-");
            assert!(script.contains(&format!("\nuser {short} \"{}\"\n", user.tags)), "{}", user.name);
        }
    }
}
