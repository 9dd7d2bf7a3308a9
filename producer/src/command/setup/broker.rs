//! The broker's users: made over the management API, or written into a file for its first start.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use common::broker::users::{self, CLI, MONITOR, PRODUCER, USERS, User, WORKER};
use common::broker::{Admin, BrokerOptions};
use common::config::Config;

use super::Tell;
use super::secrets::{self, Secret, Secrets};
use crate::cli::SetupArgs;
use crate::exit::{Exit, Failure};
use crate::render::safe_path;

/// The administrator's password for those who have no file.
const PASSWORD: &str = "DOVI_ADMIN_PASSWORD";

/// Sees that the command line can be used, before anything is made.
pub(super) fn usable(url: &str, args: &SetupArgs, config: &Config) -> Result<(), Failure> {
    Admin::new(url, &BrokerOptions::without_password(&config.broker)?)?;
    password(args).map(drop)
}

/// Makes virtual host, queues and users.
pub(super) async fn online(
    url: &str,
    dir: &Path,
    args: &SetupArgs,
    config: &Config,
    tell: &mut Tell,
) -> Result<(), Failure> {
    let options = BrokerOptions::without_password(&config.broker)?;
    let admin = Admin::new(url, &options)?.password(password(args)?);
    let version = admin.check().await?;
    let secrets = Secrets::open(dir)?;
    tell.about("broker", false, &format!("broker: RabbitMQ {version} at {}", admin.address()))?;
    let made = admin.prepare(&options).await?;
    let vhost = options.vhost();
    let text = match made.as_slice() {
        [] => format!("broker: virtual host {vhost} has all queues"),
        made => format!("broker: made {} in virtual host {vhost}", made.join(", ")),
    };
    tell.about("broker", !made.is_empty(), &text)?;
    for user in &USERS {
        if !args.rotate && secrets.find(user)?.is_none() && admin.has_user(user.name).await? {
            return Err(strange(user, &secrets));
        }
        let secret = secrets.obtain(user, args.rotate)?;
        admin.set_user(vhost, user, &secret.password).await?;
        secret.settle()?;
        tell.about("user", secret.made, &said(user, &secret))?;
    }
    if admin.has_user("guest").await? {
        let text = "warning: the user guest exists, and everybody knows its password: `rabbitmqctl delete_user guest`";
        let own = if admin.user() == "guest" { ", after making an administrator of your own" } else { "" };
        tell.about("guest", false, &format!("{text}{own}"))?;
    }
    next_steps(&secrets, tell)
}

/// Writes what [`online`] makes into a definitions file.
pub(super) fn offline(
    file: &Path,
    dir: &Path,
    args: &SetupArgs,
    config: &Config,
    tell: &mut Tell,
) -> Result<(), Failure> {
    let options = BrokerOptions::without_password(&config.broker)?;
    let secrets = Secrets::open(dir)?;
    let mut all = Vec::new();
    for user in &USERS {
        all.push((*user, secrets.obtain(user, args.rotate)?));
    }
    let hash = |(user, secret): &(User, Secret)| Ok((*user, users::password_hash(&secret.password)?));
    let hashes = all.iter().map(hash).collect::<Result<Vec<_>, Failure>>()?;
    let text = serde_json::to_string_pretty(&users::definitions(&options, &hashes))
        .map_err(|e| Failure::new(Exit::Bug, "the definitions have no JSON form").because(&e))?;
    // The broker's own user must be able to read it. It holds no password, only salted hashes of long random ones.
    let written = OpenOptions::new().write(true).create_new(true).open(file);
    written.and_then(|mut f| writeln!(f, "{text}").and_then(|()| f.sync_all())).map_err(|e| {
        Failure::environment(format!("failed to write {}: {e}", safe_path(file))).hint(match e.kind() {
            std::io::ErrorKind::AlreadyExists => "name a file that does not exist yet".to_owned(),
            std::io::ErrorKind::NotFound => "make its folder first, with `mkdir -p`".to_owned(),
            _ => "name a file in a folder that this user may write to".to_owned(),
        })
    })?;
    for (user, secret) in &all {
        secret.settle()?;
        tell.about("user", secret.made, &said(user, secret))?;
    }
    tell.about("definitions", true, &format!("definitions: wrote {}", safe_path(file)))?;
    tell.line("")?;
    tell.line("On the broker's machine, before its first start, in rabbitmq.conf:")?;
    tell.line("  definitions.import_backend = local_filesystem")?;
    tell.line(&format!("  definitions.local.path = /etc/rabbitmq/{}", base_name(file)))?;
    next_steps(&secrets, tell)
}

fn base_name(file: &Path) -> String {
    safe_path(file.file_name().unwrap_or_default())
}

fn said(user: &User, secret: &Secret) -> String {
    let verb = if secret.made { "made a password," } else { "has the password" };
    format!("user {}: {verb} in {} ({})", user.name, safe_path(&secret.path), user.purpose)
}

fn strange(user: &User, secrets: &Secrets) -> Failure {
    let name = user.name;
    Failure::usage(format!(
        "the broker has a user {name} already, but {} has no password of it",
        secrets.dir()
    ))
    .hint(format!("copy {name}.password there, or let --rotate give every user a new one"))
}

fn password(args: &SetupArgs) -> Result<String, Failure> {
    if let Some(file) = &args.admin_password_file {
        return secrets::read(file)?.ok_or_else(|| {
            Failure::usage(format!("{} does not exist", safe_path(file))).hint("check --admin-password-file")
        });
    }
    match std::env::var(PASSWORD) {
        Ok(password) if !password.is_empty() => Ok(password),
        _ => Err(Failure::usage("the administrator's password is missing")
            .hint(format!("put it into a file and name that with --admin-password-file, or set {PASSWORD}"))),
    }
}

fn next_steps(secrets: &Secrets, tell: &mut Tell) -> Result<(), Failure> {
    let dir = secrets.dir();
    tell.line("")?;
    tell.line("Next, each machine gets the one file that it needs, readable for its user alone:")?;
    for (who, user) in [
        ("a worker", WORKER),
        ("where people use dovi-producer", CLI),
        ("a scan that runs by itself", PRODUCER),
        ("who looks at the management UI", MONITOR),
    ] {
        tell.line(&format!("  {who:<32}{dir}/{}.password", user.name))?;
    }
    tell.line("There, in /etc/dovi-fleet/config.toml under [broker]:")?;
    tell.line(&format!("  username = \"{}\"", WORKER.name))?;
    tell.line("  password_file = \"/etc/dovi-fleet/password\"")
}
