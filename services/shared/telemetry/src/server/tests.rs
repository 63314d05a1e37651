//! Real requests to a real port.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::metrics::{Counter, Histogram};
use crate::{Health, install_recorder};

const ANY: &str = "127.0.0.1:0";

async fn start(health: &Health) -> Server {
    let info = Info::new("router").with("log", "embedded");
    serve(ANY.parse().unwrap(), install_recorder(), health.clone(), info).await.unwrap()
}

/// Status, headers in lower case, body.
async fn get(server: &Server, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_lowercase(), body.to_owned())
}

#[tokio::test]
async fn probes_follow_the_components() {
    let health = Health::new();
    let component = health.register("consumer", Duration::from_mins(10));
    let server = start(&health).await;

    let (status, _, body) = get(&server, "/readyz").await;
    assert_eq!(status, 503);
    let report: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(report["components"][0]["name"], "consumer");
    assert_eq!(report["components"][0]["reason"], "starting");
    assert_eq!(get(&server, "/livez").await.0, 200);

    component.set_ready();
    assert_eq!(get(&server, "/readyz").await.0, 200);

    component.set_unready("broker unreachable");
    assert_eq!(get(&server, "/readyz").await.0, 503);
    assert_eq!(get(&server, "/livez").await.0, 200, "an outage elsewhere is no reason to restart");

    drop(component);
    assert_eq!(get(&server, "/livez").await.0, 503);
}

#[tokio::test]
async fn metrics_are_in_prometheus_text_format() {
    let server = start(&Health::new()).await;
    Counter::Outcomes.increment(&["answered", "server-test"]);
    Histogram::ApiLatencySeconds.record(0.3, &["server-test"]);
    let (status, head, body) = get(&server, "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for line in [
        "# TYPE precis_outcomes_total counter\n",
        "precis_outcomes_total{status=\"answered\",tier=\"server-test\"} 1\n",
        "precis_api_latency_seconds_bucket{provider=\"server-test\",le=\"0.25\"} 0\n",
        "precis_api_latency_seconds_bucket{provider=\"server-test\",le=\"0.5\"} 1\n",
        "precis_build_info{version=\"",
        "process_start_time_seconds ",
    ] {
        assert!(body.contains(line), "{line} in\n{body}");
    }
    #[cfg(target_os = "linux")]
    {
        let resident = body.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).unwrap();
        assert!(resident.parse::<f64>().unwrap() > 100_000.0);
        assert!(body.contains("\nprocess_open_fds ") && body.contains("\nprocess_threads "), "{body}");
    }
}

#[tokio::test]
async fn info_says_what_runs() {
    let server = start(&Health::new()).await;
    let (status, _, body) = get(&server, "/info").await;
    assert_eq!(status, 200);
    let info: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(info["service"], "router");
    assert_eq!(info["details"]["log"], "embedded");
    assert_eq!(get(&server, "/nowhere").await.0, 404);
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_it() {
    let server = start(&Health::new()).await;
    let error = serve(server.local_addr(), install_recorder(), Health::new(), Info::new("second")).await.unwrap_err();
    assert_eq!(error.code(), "cannot_listen");
    assert!(error.to_string().contains(&server.local_addr().to_string()), "{error}");
}

#[tokio::test]
async fn a_stopped_server_gives_its_port_back() {
    let server = start(&Health::new()).await;
    let address = server.local_addr();
    server.stop().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_recorder_is_one_for_the_whole_process() {
    let first = install_recorder();
    let second = install_recorder();
    Counter::Escalations.increment(&["one-recorder-test", "language"]);
    let line = "precis_escalations_total{tier=\"one-recorder-test\",code=\"language\"} 1\n";
    assert!(first.render().contains(line));
    assert!(second.render().contains(line));
}

/// How long a connection that must end is waited for. None takes so long where the server is right.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What the server says until it ends the connection.
async fn until_closed(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // The end, or a reset where bytes were left unread.
    let ended = tokio::time::timeout(MAX_WAIT, stream.read_to_end(&mut answer)).await;
    let _ = ended.expect("the server keeps the connection");
    answer
}

/// Half an HTTP request, after which nothing comes.
async fn half_open(server: &Server) -> TcpStream {
    let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: t").await.unwrap();
    stream
}

async fn within(limits: Limits) -> Server {
    let state = ServerState { recorder: install_recorder(), health: Health::new(), info: Info::new("router") };
    serve_within(ANY.parse().unwrap(), state, limits).await.unwrap()
}

/// An attacker who reaches the port: neither do the connections pile up nor is the probe kept out.
#[tokio::test]
async fn half_open_connections_keep_no_probe_out() {
    let hour = Duration::from_hours(1);
    let server = within(Limits { header_timeout: hour, ..Limits::default() }).await;
    let mut open = Vec::new();
    for _ in 0..3 * connections::MAX_CONNECTIONS {
        open.push(half_open(&server).await);
    }
    assert_eq!(get(&server, "/livez").await.0, 200);
    // The oldest had to go, although their time was not over.
    for stream in open.iter_mut().take(2 * connections::MAX_CONNECTIONS) {
        assert!(until_closed(stream).await.is_empty());
    }
}

#[tokio::test]
async fn a_request_that_never_ends_is_given_up() {
    let server = within(Limits { header_timeout: Duration::from_millis(1), ..Limits::default() }).await;
    let mut stream = half_open(&server).await;
    let answer = until_closed(&mut stream).await;
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"));
}

#[tokio::test]
async fn requests_with_bodies_or_endless_headers_are_refused() {
    let server = start(&Health::new()).await;
    let endless = format!("GET /livez HTTP/1.1\r\nhost: t\r\nx: {}\r\n\r\n", "x".repeat(64 * 1024));
    let with_body = "GET /livez HTTP/1.1\r\nhost: t\r\ncontent-length: 1000000000000\r\n\r\nxxxx".to_owned();
    for (request, status) in [(endless, "431"), (with_body, "413")] {
        let mut stream = TcpStream::connect(server.local_addr()).await.unwrap();
        // The server may have answered and closed before it was all sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let answer = until_closed(&mut stream).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || answer.contains(status), "{answer}");
    }
    assert_eq!(get(&server, "/livez").await.0, 200);
}
