//! Whether a host is this machine: the one test of every rule about clear text on the network.

use std::net::IpAddr;

/// Whether connections to this host never leave this machine. An IPv6 address may be in brackets.
/// A name other than `localhost` may resolve to anything, so it is no loopback.
pub fn is_loopback(host: &str) -> bool {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.8.9.1", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "kafka-0", "localhost.example.org", "127.0.0.1.example.org", "10.0.0.1", "0.0.0.0", "[::]", "["]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
