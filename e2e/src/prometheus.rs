//! A private Prometheus for tests, where one is installed: own port, own folder, gone with its value.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use common::http::{Client, Request, encoded};
use serde_json::Value;

use crate::{tool, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// It asks one worker twice a second.
pub struct Prometheus {
    child: Child,
    address: String,
    begun: f64,
}

impl Prometheus {
    /// Starts it in `dir`; it asks `target` (`host:port`). `None`: there is no Prometheus on this machine.
    ///
    /// # Errors
    /// It is there and does not start.
    pub fn start(dir: &Path, target: &str) -> Result<Option<Self>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let rules =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/prometheus/alerts.yml").canonicalize()?;
        let config = format!(
            "global: {{ scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
             scrape_configs:\n  - job_name: dovi\n    static_configs: [{{ targets: [{target:?}] }}]\n"
        );
        fs::create_dir_all(dir)?;
        fs::write(dir.join("prometheus.yml"), config)?;
        let mut command = tool::command("prometheus");
        command
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn")
            .current_dir(dir)
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log"))?);
        let child = match command.spawn() {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.context("starting prometheus")?,
        };
        let prometheus = Self { child, address, begun: now() };
        wait::until(PATIENCE, "Prometheus", || {
            prometheus.ask("/-/ready").is_ok_and(|(status, _)| status == 200)
        })
        .with_context(|| fs::read_to_string(dir.join("log")).unwrap_or_default())?;
        Ok(Some(prometheus))
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn ask(&self, path: &str) -> Result<(u16, Vec<u8>)> {
        let client = Client::new(None, Duration::from_secs(20)).map_err(anyhow::Error::msg)?;
        let answer = client.send(Request::new("GET", format!("{}{path}", self.url()), 64 << 20))?;
        Ok((answer.status, answer.body))
    }

    /// Every series that a query gave at any moment since the start.
    ///
    /// # Errors
    /// Prometheus refuses the query.
    pub fn series(&self, query: &str) -> Result<Vec<Value>> {
        let path =
            format!("/api/v1/query_range?query={}&start={}&end={}&step=1", encoded(query), self.begun, now());
        let (status, body) = self.ask(&path)?;
        let body: Value = serde_json::from_slice(&body)?;
        anyhow::ensure!(status == 200 && body["status"] == "success", "{query}: {body}");
        Ok(body["data"]["result"].as_array().cloned().unwrap_or_default())
    }

    /// The state of every alert that Prometheus knows: `inactive`, `pending`, `firing`.
    ///
    /// # Errors
    /// Prometheus does not answer.
    pub fn rules(&self) -> Result<Vec<(String, String)>> {
        let (_, body) = self.ask("/api/v1/rules")?;
        let body: Value = serde_json::from_slice(&body)?;
        let groups = body["data"]["groups"].as_array().cloned().unwrap_or_default();
        let rules = groups.iter().filter_map(|g| g["rules"].as_array()).flatten();
        let text = |rule: &Value, key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        Ok(rules.map(|r| (text(r, "name"), text(r, "health"))).collect())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // One that has ended cannot be killed, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Title and query of every panel of the dashboard file, with Grafana's variables filled in as Grafana does: all workers, and so
/// much time on the screen.
///
/// # Errors
/// The file is no dashboard.
pub fn dashboard_queries(range: &str) -> Result<Vec<(String, String)>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/dovi-fleet.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let panels = dashboard["panels"].as_array().context("a dashboard has panels")?;
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().context("a panel has a title")?;
            let query = target["expr"].as_str().context("a target has a query")?;
            let query =
                query.replace("$worker", ".*").replace("$__range", range).replace("$__rate_interval", range);
            queries.push((title.to_owned(), query));
        }
    }
    Ok(queries)
}
