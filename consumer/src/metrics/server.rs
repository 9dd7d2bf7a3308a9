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
    let room = Arc::new(Semaphore::new(MOST));
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
        let answers = answers.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let answers = answers.clone();
                async move { Ok::<_, Infallible>(answer(&request, answers).await) }
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

async fn answer(request: &Request<Incoming>, answers: Arc<dyn Answers>) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into());
        refused.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let path = request.uri().path().to_owned();
    // A disk that hangs must not hold up the worker's own threads.
    let asked = tokio::task::spawn_blocking(move || match path.as_str() {
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
    });
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(Ok((status, kind, body))) => page(status, kind, body),
        _ => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, b"a disk does not answer\n".to_vec()),
    }
}

fn page(status: StatusCode, kind: &'static str, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    response
}
