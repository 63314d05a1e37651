//! The programs with which `run.py` measures the router, on Apache Kafka and outside of Précis: a
//! publisher, the raw loop that is the limit, and two readers. They use nothing of `flow`, so that
//! a fault there cannot hide.
//!
//! ```text
//! precis-bench-router fill    --brokers B --topic T --records N --bytes N [--rate N]
//! precis-bench-router raw     --brokers B --input T --output T --group G --records N --bytes N --interval-ms N --compression C
//! precis-bench-router count   --brokers B --topic T --records N
//! precis-bench-router latency --brokers B --topic T --records N
//! ```
//!
//! Each prints one line of JSON, except `raw`, which runs until it is killed.

mod arguments;
mod document;
mod fill;
mod raw;
mod read;

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use arguments::Arguments;

fn main() -> ExitCode {
    use std::io::Write as _;
    match run() {
        Ok(found) => {
            let _ = writeln!(std::io::stdout(), "{found}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "precis-bench-router: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<serde_json::Value> {
    let (command, arguments) = Arguments::parse(std::env::args().skip(1))?;
    match command.as_str() {
        "fill" => fill::run(&arguments),
        "raw" => raw::run(&arguments),
        "count" => read::count(&arguments),
        "latency" => read::latency(&arguments),
        other => anyhow::bail!("unknown command {other}; known: fill, raw, count, latency"),
    }
}

/// Microseconds since 1970.
fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
