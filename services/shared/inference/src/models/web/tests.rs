#![allow(clippy::unwrap_used)]

mod server;

use std::fs;
use std::path::{Path, PathBuf};

use precis_base::digest::sha256_hex;

use self::server::{Reply, Server};
use super::*;
use crate::models::{DEFAULT_MODEL, Manifest};

const FILE: &[u8] = b"0123456789";

/// A folder for one model, whose file has the digest of these bytes.
struct Pull {
    folder: tempfile::TempDir,
    entry: ModelEntry,
    access: Access,
    waits: Waits,
}

impl Pull {
    fn of(bytes: &[u8]) -> Self {
        let builtin = Manifest::builtin().find(DEFAULT_MODEL).unwrap().clone();
        let entry = ModelEntry { file: "m.gguf".into(), sha256: sha256_hex(bytes), bytes: None, ..builtin };
        let waits = Waits { first_backoff: Duration::ZERO, ..Waits::default() };
        Self { folder: tempfile::tempdir().unwrap(), entry, access: Access::default(), waits }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("m.gguf")
    }

    fn from(&self, source: &Source) -> Result<String, EngineError> {
        install(&self.entry, source, &self.target(), &self.access, self.waits, &mut |_| {})
    }

    /// From a server as a plain address.
    fn by_https(&self, server: &Server) -> Result<String, EngineError> {
        self.from(&Source::Https { url: format!("{}/m.gguf", server.address()) })
    }

    /// From a server as a hub.
    fn by_hub(&mut self, server: &Server) -> Result<String, EngineError> {
        self.access.endpoint = Some(server.address());
        self.from(&hub_source())
    }

    fn is_installed(&self, bytes: &[u8]) {
        assert_eq!(fs::read(self.target()).unwrap(), bytes);
        assert_eq!(names(self.folder.path()), ["m.gguf"]);
    }
}

fn hub_source() -> Source {
    Source::HuggingFace { repo: "owner/name".into(), file: "deep/m.gguf".into(), revision: "refs/pr/1".into() }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn tagged(etag: &str) -> Reply {
    Reply::new(200, FILE).with("etag", etag)
}

fn rest(from: usize, etag: &str) -> Reply {
    let range = format!("bytes {from}-{}/{}", FILE.len() - 1, FILE.len());
    Reply::new(206, &FILE[from..]).with("content-range", &range).with("etag", etag)
}

#[test]
fn a_file_comes_and_nothing_else_stays() {
    let server = Server::start([tagged("\"a\"")]);
    let pull = Pull::of(FILE);
    assert_eq!(pull.by_https(&server).unwrap(), sha256_hex(FILE));
    pull.is_installed(FILE);
    assert!(!server.requests()[0].contains("range:"), "{}", server.requests()[0]);
}

#[test]
fn a_download_that_breaks_off_goes_on_with_the_rest() {
    let server = Server::start([tagged("\"a\"").cut(4), rest(4, "\"a\"").cut(2), rest(6, "\"a\"")]);
    let pull = Pull::of(FILE);
    pull.by_https(&server).unwrap();
    pull.is_installed(FILE);
    let requests = server.requests();
    for (request, range) in requests[1..].iter().zip(["range: bytes=4-", "range: bytes=6-"]) {
        assert!(request.contains(range) && request.contains("if-range: \"a\""), "{request}");
    }
}

/// A process that ends in the middle loses nothing, and its signed address need not be the same.
#[test]
fn what_came_stays_for_the_next_pull() {
    let mut pull = Pull::of(FILE);
    let error = pull.by_hub(&Server::start([tagged("\"a\"").cut(4)])).unwrap_err();
    assert_eq!(error.code(), "pull_failed", "{error}");
    assert_eq!(names(pull.folder.path()), [".m.gguf.partial", ".m.gguf.partial.json"]);
    let second = Server::start([rest(4, "\"a\"")]);
    pull.by_hub(&second).unwrap();
    pull.is_installed(FILE);
    assert!(second.requests()[0].contains("range: bytes=4-"));
}

/// The server keeps its promise: it sends the whole of the new file, since its tag is another.
#[test]
fn a_file_that_changes_between_two_requests_begins_anew() {
    let server = Server::start([Reply::new(200, b"old bytes").with("etag", "\"a\"").cut(4), tagged("\"b\"")]);
    let pull = Pull::of(FILE);
    pull.by_https(&server).unwrap();
    pull.is_installed(FILE);
}

/// A rest that begins elsewhere, or of a file with another tag, is not added to what came.
#[test]
fn a_rest_of_another_place_or_file_is_not_taken() {
    let other_place = Reply { head: rest(4, "\"a\"").head.replace("bytes 4-", "bytes 3-"), ..rest(4, "\"a\"") };
    for lie in [other_place, rest(4, "\"b\""), Reply::new(206, &FILE[4..]), Reply::new(416, b"")] {
        let server = Server::start([tagged("\"a\"").cut(4), lie, tagged("\"b\"")]);
        let pull = Pull::of(FILE);
        pull.by_https(&server).unwrap();
        pull.is_installed(FILE);
        assert!(!server.requests()[2].contains("range:"));
    }
}

#[test]
fn a_file_that_never_stays_the_same_is_given_up() {
    let flip = || [tagged("\"a\"").cut(4), rest(4, "\"b\"")];
    let server = Server::start([flip(), flip(), flip(), flip()].concat());
    let error = Pull::of(FILE).by_https(&server).unwrap_err();
    assert!(error.to_string().contains("not any more"), "{error}");
    assert_eq!(server.requests().len(), 6);
}

/// Without a strong tag nobody knows whose the rest is.
#[test]
fn nothing_is_resumed_without_a_strong_tag() {
    for tag in ["W/\"a\"", "a"] {
        let server = Server::start([tagged(tag).cut(4), tagged(tag)]);
        let pull = Pull::of(FILE);
        pull.by_https(&server).unwrap();
        pull.is_installed(FILE);
        assert!(!server.requests()[1].contains("range:"));
        let pull = Pull::of(FILE);
        pull.by_https(&Server::start([tagged(tag).cut(4)])).unwrap_err();
        assert_eq!(names(pull.folder.path()), Vec::<String>::new());
    }
}

#[test]
fn wrong_bytes_are_refused_and_nothing_stays() {
    let pull = Pull::of(FILE);
    let error = pull.by_https(&Server::start([Reply::new(200, b"9876543210").with("etag", "\"a\"")])).unwrap_err();
    assert_eq!(error.code(), "digest_mismatch", "{error}");
    assert_eq!(names(pull.folder.path()), Vec::<String>::new());
}

/// Both what a server announces and what it sends without announcing.
#[test]
fn a_file_of_another_length_is_refused() {
    let mut pull = Pull::of(FILE);
    pull.entry.bytes = Some(9);
    let error = pull.by_https(&Server::start([tagged("\"a\"")])).unwrap_err();
    assert!(error.to_string().contains("10 bytes instead of the 9"), "{error}");
    let error = pull.by_https(&Server::start([tagged("\"a\"").chunked()])).unwrap_err();
    assert!(error.to_string().contains("more than the 9 bytes"), "{error}");
    pull.entry.bytes = Some(11);
    let error = pull.by_https(&Server::start([Reply::new(200, FILE).chunked()])).unwrap_err();
    assert!(
        error.to_string().contains("after 10 of 11 bytes") || error.to_string().contains("no connection"),
        "{error}"
    );
    assert!(!pull.target().exists());
}

#[test]
fn refusals_of_a_server_are_told_and_not_repeated() {
    for (status, told) in [(401, "HF_TOKEN"), (403, "licence"), (404, "no such file"), (416, "416"), (418, "418")] {
        let server = Server::start([Reply::new(status, b""), tagged("\"a\"")]);
        let mut pull = Pull::of(FILE);
        let error = pull.by_hub(&server).unwrap_err();
        assert!(error.code() == "pull_failed" && error.to_string().contains(told), "{error}");
        assert_eq!((server.requests().len(), names(pull.folder.path())), (1, Vec::new()));
    }
}

#[test]
fn a_server_that_is_busy_is_asked_again() {
    let busy = |status| Reply::new(status, b"").with("retry-after", "0");
    let server = Server::start([busy(429), busy(500), busy(503), busy(408), tagged("\"a\"")]);
    let pull = Pull::of(FILE);
    pull.by_https(&server).unwrap();
    pull.is_installed(FILE);
    let server = Server::start([busy(500), busy(500), busy(500), busy(500), busy(500), tagged("\"a\"")]);
    let error = Pull::of(FILE).by_https(&server).unwrap_err();
    assert!(error.to_string().contains("answered 500"), "{error}");
}

/// The storage that a hub redirects to gets the range, and never the token.
#[test]
fn the_token_goes_to_the_hub_alone() {
    let storage = Server::start([tagged("\"a\"").cut(4), rest(4, "\"a\"")]);
    let redirect = || Reply::new(302, b"").with("location", &format!("{}/signed?x=1", storage.address()));
    let hub = Server::start([redirect(), redirect()]);
    let mut pull = Pull::of(FILE);
    pull.access.token = Some("secret".into());
    pull.by_hub(&hub).unwrap();
    pull.is_installed(FILE);
    for request in hub.requests() {
        assert!(request.starts_with("GET /owner/name/resolve/refs%2Fpr%2F1/deep/m.gguf "), "{request}");
        assert!(request.contains("authorization: Bearer secret"), "{request}");
    }
    assert!(storage.requests().iter().all(|request| !request.contains("secret")));
    assert!(storage.requests()[1].contains("range: bytes=4-"));
}

/// An address of a manifest is nobody's hub.
#[test]
fn the_token_goes_to_no_plain_address() {
    let server = Server::start([tagged("\"a\"")]);
    let mut pull = Pull::of(FILE);
    pull.access = Access { endpoint: Some(server.address()), token: Some("secret".into()) };
    pull.by_https(&server).unwrap();
    assert!(!server.requests()[0].contains("secret"));
}

#[test]
fn redirects_end() {
    let replies = vec![Reply::new(307, b"").with("location", "/again"); 20];
    let server = Server::start(replies);
    let error = Pull::of(FILE).by_https(&server).unwrap_err();
    assert!(error.to_string().contains("more than 5 times"), "{error}");
    assert_eq!(server.requests().len(), 6);
    for (location, told) in [
        ("http://example.org/x", "nothing protects"),
        ("file:///etc/passwd", "nothing protects"),
        ("http://", "no address"),
    ] {
        let error =
            Pull::of(FILE).by_https(&Server::start([Reply::new(301, b"").with("location", location)])).unwrap_err();
        assert!(error.to_string().contains(told), "{location}: {error}");
    }
    let error = Pull::of(FILE).by_https(&Server::start([Reply::new(301, b"")])).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// The hub says the digest of a large file beside its redirect.
#[test]
fn a_file_that_the_hub_says_is_another_is_not_fetched() {
    let other = sha256_hex(b"other");
    let reply = Reply::new(302, b"").with("location", "/storage").with("x-linked-etag", &format!("\"{other}\""));
    let server = Server::start([reply, tagged("\"a\"")]);
    let error = Pull::of(FILE).by_hub(&server).unwrap_err();
    assert!(matches!(&error, EngineError::DigestMismatch { found, .. } if *found == other), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_says_nothing_is_left() {
    let server = Server::start(vec![Reply::silence(); 5]);
    let mut pull = Pull::of(FILE);
    pull.waits.read_timeout = Duration::from_millis(20);
    let error = pull.by_https(&server).unwrap_err();
    assert!(error.to_string().contains("nothing came in time"), "{error}");
}

/// An entry without a digest takes what comes, and tells its digest.
#[test]
fn the_digest_of_the_first_download_can_be_pinned() {
    let mut pull = Pull::of(FILE);
    pull.entry.sha256 = String::new();
    assert_eq!(pull.by_https(&Server::start([tagged("\"a\"")])).unwrap(), sha256_hex(FILE));
    pull.is_installed(FILE);
}

#[test]
fn an_endpoint_in_clear_text_gets_nothing() {
    let mut pull = Pull::of(FILE);
    pull.access = Access { endpoint: Some("http://example.org".into()), token: Some("secret".into()) };
    let error = pull.from(&hub_source()).unwrap_err();
    assert!(error.to_string().contains("HF_ENDPOINT must be https://"), "{error}");
}

#[test]
fn errors_name_no_signature_and_no_token() {
    let server = Server::start([]);
    let mut pull = Pull::of(FILE);
    pull.access.token = Some("secret-token".into());
    let error = pull.from(&Source::Https { url: format!("{}/m?sig=secret-token", server.address()) }).unwrap_err();
    assert!(error.to_string().contains("no connection") && !error.to_string().contains("secret"), "{error}");
    pull.access.token = Some("secret-token\n".into());
    let error = pull.by_hub(&server).unwrap_err();
    assert!(error.to_string().contains("HF_TOKEN") && !error.to_string().contains("secret"), "{error}");
}
