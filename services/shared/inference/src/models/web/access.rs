//! Where files of the web are, and who may see the token.
//!
//! - TLS everywhere, except on this machine; a request that began on the network never comes back
//!   to this machine in clear text.
//! - The token of Hugging Face goes to the endpoint's own scheme, host and port, and nowhere else:
//!   the endpoint answers with a redirect to a storage host, which needs no token.

use reqwest::Url;
use reqwest::header::HeaderValue;

use super::super::grammar::{is_local, is_safe};
use super::super::source::Source;

/// Where the hub is when nothing else is said.
const HUB: &str = "https://huggingface.co";
/// Variables of the hub's own tools.
const ENDPOINT_VARIABLE: &str = "HF_ENDPOINT";
const TOKEN_VARIABLE: &str = "HF_TOKEN";

/// The hub as this machine reaches it.
#[derive(Clone, Default)]
pub(in crate::models) struct Access {
    /// Address of the hub; `None` is Hugging Face.
    pub(in crate::models) endpoint: Option<String>,
    /// What it shows to see files that are not for everybody.
    pub(in crate::models) token: Option<String>,
}

impl Access {
    /// As the environment says.
    pub(in crate::models) fn of_environment() -> Self {
        let variable =
            |name| std::env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        Self { endpoint: variable(ENDPOINT_VARIABLE), token: variable(TOKEN_VARIABLE) }
    }

    /// The place of a source's file. The error says what is wrong.
    pub(super) fn place(&self, source: &Source) -> Result<Place, String> {
        match source {
            Source::Https { url } => Place::new(url),
            Source::HuggingFace { repo, file, revision } => self.hub_place(repo, file, revision),
            other => Err(format!("{other} is no place of the web")),
        }
    }

    fn hub_place(&self, repo: &str, file: &str, revision: &str) -> Result<Place, String> {
        let endpoint = self.endpoint.as_deref().unwrap_or(HUB);
        let wrong = || format!("{ENDPOINT_VARIABLE} must be https:// with a host; http:// only on this machine");
        let mut url = Url::parse(endpoint).ok().filter(is_safe).ok_or_else(wrong)?;
        {
            let mut path = url.path_segments_mut().map_err(|()| wrong())?;
            path.pop_if_empty().extend(repo.split('/'));
            // A revision is one segment, whatever is in it.
            path.push("resolve").push(revision).extend(file.split('/'));
        }
        let token = match &self.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                    .map_err(|_| format!("{TOKEN_VARIABLE} has characters that a header cannot carry"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Place { url, token, is_hub: true })
    }
}

/// Address of a file, and the token for the host that it names.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) url: Url,
    token: Option<HeaderValue>,
    /// Whether the token of the hub and its headers mean something there.
    pub(super) is_hub: bool,
}

impl Place {
    fn new(url: &str) -> Result<Self, String> {
        let url = Url::parse(url).ok().filter(is_safe);
        let url = url.ok_or("the address must be https:// with a host; http:// only on this machine")?;
        Ok(Self { url, token: None, is_hub: false })
    }

    /// The token, where a request to this address may carry it.
    pub(super) fn token_for(&self, url: &Url) -> Option<&HeaderValue> {
        self.token.as_ref().filter(|_| url.origin() == self.url.origin())
    }

    /// Where a redirect leads. The error says why nobody goes there.
    pub(super) fn next(&self, current: &Url, location: &str) -> Result<Url, String> {
        let url = current.join(location).map_err(|_| "the server redirects to what is no address".to_owned())?;
        let stays = is_local(&self.url) || !is_local(&url);
        if is_safe(&url) && stays {
            return Ok(url);
        }
        Err(format!("the server redirects to {}, where nothing protects the file or this machine", shown(&url)))
    }
}

/// Scheme and host of an address. Its path and query may hold a signature.
pub(super) fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests;
