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
