//! `/metrics` and `/healthz`, over HTTP/1.1.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at the same time; further ones wait.
const MOST: usize = 32;
/// For one request, from its first byte to the last of the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Answers in the making; on a disk that hangs each keeps a thread.
const THREADS: usize = 4;

const TEXT: &str = "text/plain; charset=utf-8";

/// What is asked when somebody asks. Both may block.
pub trait Answers: Send + Sync + 'static {
    /// Prometheus' text format, or why not.
    fn metrics(&self) -> Result<Vec<u8>, String>;

    /// `Ok`: it works or waits for work. `Err`: it does not take films, and why.
    fn health(&self) -> Result<String, String>;
}

/// Listens.
///
/// # Errors
/// The address is taken, or is none of this machine's.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, answers: Arc<dyn Answers>) {
    let (room, threads) = (Arc::new(Semaphore::new(MOST)), Arc::new(Semaphore::new(THREADS)));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(e) => {
                // No files left, for example: a moment later there may be.
                tracing::debug!(error = %e, "a request for metrics was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (answers, threads) = (answers.clone(), threads.clone());
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let (answers, threads) = (answers.clone(), threads.clone());
                async move { Ok::<_, Infallible>(answer(&request, answers, threads).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            // Whoever hangs up or dawdles is nobody's concern.
            let _ = tokio::time::timeout(PATIENCE * 2, connection).await;
            drop(permit);
        });
    }
}

async fn answer(
    request: &Request<Incoming>,
    answers: Arc<dyn Answers>,
    threads: Arc<Semaphore>,
) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into());
        refused.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let path = request.uri().path().to_owned();
    // A disk that hangs must not hold up the worker's own threads.
    let asked = async {
        let permit = threads.acquire_owned().await.ok()?;
        let asked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            found(&path, answers.as_ref())
        });
        asked.await.ok()
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Some((status, kind, body))) => page(status, kind, body),
        _ => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, b"a disk does not answer\n".to_vec()),
    }
}

fn found(path: &str, answers: &dyn Answers) -> (StatusCode, &'static str, Vec<u8>) {
    match path {
        "/metrics" => match answers.metrics() {
            Ok(text) => (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
            Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, format!("{e}\n").into_bytes()),
        },
        "/healthz" => match answers.health() {
            Ok(state) => (StatusCode::OK, TEXT, format!("{state}\n").into_bytes()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n").into_bytes()),
        },
        "/" => (StatusCode::OK, TEXT, b"dovi-consumer: /metrics and /healthz\n".to_vec()),
        _ => (StatusCode::NOT_FOUND, TEXT, b"there is only /metrics and /healthz\n".to_vec()),
    }
}

fn page(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use common::http::{Client, Request as Ask};

    use super::*;

    /// A disk that hangs, for a while.
    struct Hanging;

    impl Answers for Hanging {
        fn metrics(&self) -> Result<Vec<u8>, String> {
            std::thread::sleep(Duration::from_secs(2));
            Ok(Vec::new())
        }
        fn health(&self) -> Result<String, String> {
            Err("ill: no room (disk.full)".into())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn strange_requests_and_a_slow_disk_do_no_harm() {
        let listener = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(listen(address).await.is_err(), "taken");
        let server = tokio::spawn(serve(listener, Arc::new(Hanging)));
        let ask = |method: &'static str, path: &'static str, ms| {
            tokio::task::spawn_blocking(move || {
                let client = Client::new(None, Duration::from_millis(ms)).unwrap();
                client.send(Ask::new(method, format!("http://{address}{path}"), 1000))
            })
        };
        let slow = ask("GET", "/metrics", 300).await.unwrap();
        assert!(slow.is_err(), "{slow:?}");
        let ill = ask("GET", "/healthz?x=1", 5000).await.unwrap().unwrap();
        assert_eq!((ill.status, ill.body), (503, b"ill: no room (disk.full)\n".to_vec()));
        for (method, path, status) in
            [("POST", "/metrics", 405), ("GET", "/../etc/passwd", 404), ("GET", "/", 200)]
        {
            assert_eq!(ask(method, path, 5000).await.unwrap().unwrap().status, status, "{method} {path}");
        }
        server.abort();
    }
}
