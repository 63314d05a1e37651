//! A model's file from a web server or a hub, resumed where it broke off.
//!
//! The file is fetched to a partial file beside the target ([`partial`]), in as many requests as it
//! takes. [`answer`] says what each answer means, and [`access`] where requests and the token may
//! go. A redirect is followed by this module, not by the client, so that each address is checked.
//! Nothing that a server says is believed: the digest of the whole file decides.

mod access;
mod answer;
mod partial;

use std::path::Path;
use std::time::Duration;

use precis_base::backoff;
use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, IF_RANGE, LOCATION, RANGE};
use reqwest::{Client, Response, Url, redirect};

pub(super) use self::access::Access;
use self::access::{Place, shown};
use self::answer::Answer;
use self::partial::Partial;
use super::grammar::is_local;
use super::install::{Reports, adopt, too_long};
use super::source::Source;
use super::{ModelEntry, Progress};
use crate::error::EngineError;

/// Largest file that is fetched where the manifest does not say how large it is.
const MAX_FILE_BYTES: u64 = 256 << 30;
/// Redirects that one request may follow.
const MAX_REDIRECTS: usize = 5;
/// Requests in a row that brought nothing new.
const MAX_FRUITLESS: u32 = 5;
/// Requests for one file in all.
const MAX_REQUESTS: u32 = 500;
/// Times that a file may turn out to be another one while it is fetched.
const MAX_CHANGES: u32 = 3;
/// Longest wait before a request.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// Time to establish a connection.
    pub(super) connect_timeout: Duration,
    /// Silence of a server, before its answer and within.
    pub(super) read_timeout: Duration,
    /// Wait after the first request that brought nothing; it doubles.
    pub(super) first_backoff: Duration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(60),
            first_backoff: Duration::from_secs(1),
        }
    }
}

/// Fetches the file of a source to the target, and returns its digest. Blocks, on a thread that
/// runs no other async work.
pub(super) fn install(
    entry: &ModelEntry,
    source: &Source,
    target: &Path,
    access: &Access,
    waits: Waits,
    progress: &mut dyn FnMut(Progress),
) -> Result<String, EngineError> {
    let place = access.place(source).map_err(|reason| failed(entry, reason))?;
    let clients = Clients::new(waits).map_err(|reason| failed(entry, reason))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(entry, format!("no thread for the download: {error}")))?;
    let name = source.to_string();
    let mut partial = Partial::open(target, &name, &entry.sha256)
        .map_err(|error| EngineError::io("opening the partial file of", target, &error))?;
    let download = Download { entry, place, source: &name, clients, waits, target };
    let fetched = runtime.block_on(download.run(&mut partial, progress)).and_then(|()| {
        let path = partial.path.clone();
        adopt(entry, &mut partial.file, &path, target, progress)
    });
    match &fetched {
        Ok(_) => partial.forget_tag(),
        // What came of another file, or cannot be gone on with, is of no use to the next pull.
        Err(EngineError::DigestMismatch { .. }) => partial.discard(),
        Err(_) if partial.resume().is_none() => partial.discard(),
        Err(_) => {}
    }
    fetched
}

fn failed(entry: &ModelEntry, reason: String) -> EngineError {
    EngineError::PullFailed { name: entry.name.clone(), reason }
}

/// Why a request did not end the download.
enum Stop {
    /// Another request may.
    Again { reason: String, after: Option<Duration>, changed: bool },
    /// None will.
    Final(EngineError),
}

/// One client for this machine, which no proxy serves, and one for all others.
struct Clients {
    local: Client,
    network: Client,
}

impl Clients {
    fn new(waits: Waits) -> Result<Self, String> {
        // The process may have a TLS provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            Client::builder()
                .user_agent(concat!("precis/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(waits.connect_timeout)
                .read_timeout(waits.read_timeout)
                .redirect(redirect::Policy::none())
        };
        let unusable = |error: reqwest::Error| format!("the web cannot be used: {}", error.without_url());
        Ok(Self {
            local: builder().no_proxy().build().map_err(unusable)?,
            network: builder().https_only(true).build().map_err(unusable)?,
        })
    }

    fn for_url(&self, url: &Url) -> &Client {
        if is_local(url) { &self.local } else { &self.network }
    }
}

struct Download<'a> {
    entry: &'a ModelEntry,
    place: Place,
    source: &'a str,
    clients: Clients,
    waits: Waits,
    target: &'a Path,
}

impl Download<'_> {
    /// Asks until the file is whole.
    async fn run(&self, partial: &mut Partial, progress: &mut dyn FnMut(Progress)) -> Result<(), EngineError> {
        // A pull may have ended between the last byte and the file's name.
        if partial.resume().is_some_and(|resume| Some(resume.from) == self.entry.bytes) {
            return Ok(());
        }
        let (mut fruitless, mut changes) = (0, 0);
        for _ in 0..MAX_REQUESTS {
            let before = partial.bytes();
            progress(Progress::Receiving { source: self.source.to_owned(), done: before, total: self.entry.bytes });
            let (reason, after, changed) = match self.request(partial, progress).await {
                Ok(()) => return Ok(()),
                Err(Stop::Final(error)) => return Err(error),
                Err(Stop::Again { reason, after, changed }) => (reason, after, changed),
            };
            changes += u32::from(changed);
            fruitless = if partial.bytes() > before { 0 } else { fruitless + 1 };
            if fruitless >= MAX_FRUITLESS || changes >= MAX_CHANGES {
                return Err(self.failed(reason));
            }
            progress(Progress::Retrying { source: self.source.to_owned(), reason, done: partial.bytes() });
            if fruitless > 0 {
                let wait = backoff::wait(fruitless - 1, self.waits.first_backoff, MAX_BACKOFF, 0.0);
                tokio::time::sleep(after.unwrap_or(wait)).await;
            }
        }
        Err(self.failed(format!("the server broke off {MAX_REQUESTS} times")))
    }

    fn failed(&self, reason: String) -> EngineError {
        failed(self.entry, reason)
    }

    fn refused(&self, reason: String) -> Stop {
        Stop::Final(self.failed(reason))
    }

    fn io(&self, error: &std::io::Error) -> Stop {
        Stop::Final(EngineError::io("writing the partial file of", self.target, error))
    }

    /// One request: for the whole file, or for what is missing of it.
    async fn request(&self, partial: &mut Partial, progress: &mut dyn FnMut(Progress)) -> Result<(), Stop> {
        let resume = partial.resume();
        let response = self.follow(resume.as_ref()).await?;
        let total = match answer::read(response.status(), response.headers(), resume.as_ref(), self.place.is_hub) {
            Answer::Complete => return Ok(()),
            Answer::Refused(reason) => return Err(self.refused(reason)),
            Answer::Later { reason, after } => return Err(Stop::Again { reason, after, changed: false }),
            Answer::Changed => {
                partial.restart(None).map_err(|error| self.io(&error))?;
                let reason = "the server's file is not, or not any more, the one of which a part had come".to_owned();
                return Err(Stop::Again { reason, after: None, changed: true });
            }
            Answer::Rest { total } => Some(total),
            Answer::Whole { total, etag } => {
                partial.restart(etag).map_err(|error| self.io(&error))?;
                total
            }
        };
        if let (Some(total), Some(pinned)) = (total, self.entry.bytes)
            && total != pinned
        {
            let reason = format!("the server's file has {total} bytes instead of the {pinned} that the manifest names");
            return Err(self.refused(reason));
        }
        self.body(response, total, partial, progress).await
    }

    /// Writes the body to the partial file.
    async fn body(
        &self,
        mut response: Response,
        total: Option<u64>,
        partial: &mut Partial,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Stop> {
        let limit = total.or(self.entry.bytes).unwrap_or(MAX_FILE_BYTES).min(MAX_FILE_BYTES);
        let mut reports = Reports::new(limit);
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(error) => return Err(Self::broken(&error)),
            };
            if partial.bytes() + chunk.len() as u64 > limit {
                partial.restart(None).map_err(|error| self.io(&error))?;
                return Err(Stop::Final(too_long(self.entry, limit)));
            }
            partial.append(&chunk).map_err(|error| self.io(&error))?;
            if reports.is_due(partial.bytes()) {
                let (source, done) = (self.source.to_owned(), partial.bytes());
                progress(Progress::Receiving { source, done, total: total.or(self.entry.bytes) });
            }
        }
        match total.or(self.entry.bytes) {
            Some(total) if partial.bytes() < total => {
                let reason = format!("the server ended after {} of {total} bytes", partial.bytes());
                Err(Stop::Again { reason, after: None, changed: false })
            }
            _ => Ok(()),
        }
    }

    /// Sends the request and follows redirects.
    async fn follow(&self, resume: Option<&answer::Resume>) -> Result<Response, Stop> {
        let mut url = self.place.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let mut get = self.clients.for_url(&url).get(url.clone()).header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.place.token_for(&url) {
                get = get.header(AUTHORIZATION, token.clone());
            }
            if let Some(resume) = resume {
                get = get.header(RANGE, format!("bytes={}-", resume.from)).header(IF_RANGE, &resume.etag);
            }
            let response = get.send().await.map_err(|error| Self::broken(&error))?;
            if self.place.is_hub && url.origin() == self.place.url.origin() {
                self.expect_linked(&response)?;
            }
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let location = location.ok_or_else(|| self.refused("the server redirects to nowhere".to_owned()))?;
            url = self.place.next(&url, location).map_err(|reason| self.refused(reason))?;
        }
        Err(self.refused(format!("the server redirects more than {MAX_REDIRECTS} times")))
    }

    /// Refuses a file whose digest the hub itself says to be another, before gigabytes of it come.
    fn expect_linked(&self, response: &Response) -> Result<(), Stop> {
        match answer::linked_sha256(response.headers()) {
            Some(found) if self.entry.is_pinned() && found != self.entry.sha256 => {
                let (what, expected) = (self.entry.file.clone(), self.entry.sha256.clone());
                Err(Stop::Final(EngineError::DigestMismatch { what, expected, found }))
            }
            _ => Ok(()),
        }
    }

    fn broken(error: &reqwest::Error) -> Stop {
        let host = error.url().map(shown).unwrap_or_default();
        let what = if error.is_connect() {
            format!("no connection to {host}")
        } else if error.is_timeout() {
            "nothing came in time".to_owned()
        } else {
            "the connection broke".to_owned()
        };
        Stop::Again { reason: what, after: None, changed: false }
    }
}

#[cfg(test)]
mod tests;
