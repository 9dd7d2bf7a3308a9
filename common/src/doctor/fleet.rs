//! What the checks of both programs look at.

use std::path::Path;
use std::time::{Instant, SystemTime};

use crate::broker::{Admin, BrokerError, BrokerOptions};
use crate::config::Config;
use crate::exit::Failure;
use crate::share::ShareState;

/// For whom the checks are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `dovi-producer`: queues films, and shows what became of them.
    Producer,
    /// `dovi-consumer`: takes films and makes them.
    Worker,
}

/// Somebody who may look at the broker over its management API.
#[derive(Clone)]
pub struct Management {
    /// `http[s]://user@host[:port]`, without a password.
    pub url: String,
    /// The user's password.
    pub password: String,
}

impl std::fmt::Debug for Management {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A URL that was refused may hold a password, too.
        f.write_str("Management")
    }
}

/// The password of who may look, for those who have no file.
const PASSWORD: &str = "DOVI_MANAGEMENT_PASSWORD";

/// As given on the command line; the password comes from the file or from the environment.
///
/// # Errors
/// The file cannot be read, or there is no password at all.
pub fn management(url: Option<&str>, file: Option<&Path>) -> Result<Option<Management>, Failure> {
    let Some(url) = url else { return Ok(None) };
    let password = match (file, std::env::var(PASSWORD)) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file).map_err(|e| {
                let shown = crate::text::safe_path(file);
                let hint = "check the path after --management-password-file and who may read it";
                Failure::usage(format!("{shown} cannot be read: {e}")).hint(hint).because(&e)
            })?;
            text.lines().next().unwrap_or_default().trim().to_owned()
        }
        (None, Ok(password)) => password,
        (None, Err(_)) => String::new(),
    };
    if password.is_empty() {
        let hint = format!("name its file with --management-password-file, or set {PASSWORD}");
        return Err(Failure::usage("there is no password for --management").hint(hint));
    }
    Ok(Some(Management { url: url.to_owned(), password }))
}

/// Configuration, share and broker of one program.
#[derive(Debug)]
pub struct Fleet {
    /// All settings.
    pub config: Config,
    /// Whose.
    pub role: Role,
    /// Where the broker's own tables may be read, if anywhere.
    pub management: Option<Management>,
    /// When this began, by the clock on the wall and by the one that cannot be set.
    pub began: (SystemTime, Instant),
}

impl Fleet {
    /// A world that is looked at from now on.
    pub fn new(config: Config, role: Role, management: Option<Management>) -> Self {
        Self { config, role, management, began: (SystemTime::now(), Instant::now()) }
    }

    /// The state folder.
    pub fn share(&self) -> ShareState {
        ShareState::new(&self.config.share.state_dir)
    }

    /// How to reach the broker.
    ///
    /// # Errors
    /// The settings cannot be used.
    pub fn broker(&self) -> Result<BrokerOptions, BrokerError> {
        let name = match self.role {
            Role::Producer => "dovi-producer",
            Role::Worker => "dovi-consumer",
        };
        let host = self.config.worker.display_name();
        Ok(BrokerOptions::from_config(&self.config.broker)?.name(name).property("host", host))
    }

    /// The management API, if somebody was named for it.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn admin(&self) -> Result<Option<Admin>, BrokerError> {
        let Some(given) = &self.management else { return Ok(None) };
        let options = BrokerOptions::without_password(&self.config.broker)?;
        Ok(Some(Admin::new(&given.url, &options)?.password(&given.password)))
    }
}

impl AsRef<Self> for Fleet {
    fn as_ref(&self) -> &Self {
        self
    }
}
