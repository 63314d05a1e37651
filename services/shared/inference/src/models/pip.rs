//! Download of a wheel by Python's own `pip`, which knows the machine's index, proxies and
//! certificates.
//!
//! What is wanted comes from a manifest, which is data from elsewhere. So:
//! - only texts of the grammar get there, and they stand in a requirements file: none of them is an
//!   argument;
//! - the wheel's pinned digest stands beside them, and `pip` itself demands it
//!   (`--require-hashes`);
//! - `pip` takes built wheels alone: the set-up script of a source package never runs;
//! - `pip` gets the machine's index, proxies and certificates from the environment, and neither
//!   settings that add other sources nor the secrets of this process;
//! - `pip` works in a folder that was made for it: Python also looks for modules in the folder that
//!   it works in, and that could be one with strangers' documents.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::grammar::{is_package_name, is_sha256, is_version};

/// The settings of `pip` that say how it reaches the machine's index, and nothing about what it
/// takes from there.
const PIP_SETTINGS: [&str; 15] = [
    "PIP_CACHE_DIR",
    "PIP_CERT",
    "PIP_CLIENT_CERT",
    "PIP_CONFIG_FILE",
    "PIP_DEFAULT_TIMEOUT",
    "PIP_INDEX_URL",
    "PIP_KEYRING_PROVIDER",
    "PIP_NO_CACHE_DIR",
    "PIP_NO_INDEX",
    "PIP_PROXY",
    "PIP_RESUME_RETRIES",
    "PIP_RETRIES",
    "PIP_TIMEOUT",
    "PIP_TRUSTED_HOST",
    "PIP_USE_FEATURE",
];
/// What a program needs to find its files, its user's settings and the network.
const SYSTEM_SETTINGS: [&str; 26] = [
    "CURL_CA_BUNDLE",
    "DBUS_SESSION_BUS_ADDRESS",
    "DYLD_LIBRARY_PATH",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "NETRC",
    "PATH",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONUSERBASE",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TZ",
    "USER",
    "USERPROFILE",
    "VIRTUAL_ENV",
];

/// The wheel that is wanted, in words of the grammar.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wheel<'a> {
    package: &'a str,
    version: &'a str,
    sha256: &'a str,
}

impl<'a> Wheel<'a> {
    /// `None` where a text is not of the grammar.
    pub(super) fn new(package: &'a str, version: &'a str, sha256: &'a str) -> Option<Self> {
        let plain = is_package_name(package) && is_version(version) && is_sha256(sha256);
        plain.then_some(Self { package, version, sha256 })
    }

    /// Whether a file of this name is a wheel of this package and version: names are compared as
    /// PEP 503 does, and `-` separates the parts (PEP 427).
    fn is_named(&self, file: &str) -> bool {
        let Some((name, rest)) = file.strip_suffix(".whl").and_then(|stem| stem.split_once('-')) else { return false };
        let version = rest.split('-').next().unwrap_or_default();
        normalised(name) == normalised(self.package) && version.eq_ignore_ascii_case(&self.version.replace('-', "_"))
    }

    /// The wheel in this folder, if it is there.
    pub(super) fn find_in(&self, folder: &Path) -> Option<PathBuf> {
        let files = fs::read_dir(folder).ok()?.filter_map(Result::ok);
        files
            .map(|file| file.path())
            .find(|path| path.file_name().is_some_and(|name| self.is_named(&name.to_string_lossy())))
    }

    /// Downloads the wheel into a folder that is empty and nobody else's. The error says why not.
    pub(super) fn download(&self, folder: &Path) -> Result<PathBuf, String> {
        self.download_with(folder, std::env::vars_os())
    }

    /// The same as [`Wheel::download`], with the environment as a value.
    fn download_with<N: AsRef<OsStr>>(
        &self,
        folder: &Path,
        environment: impl IntoIterator<Item = (N, N)>,
    ) -> Result<PathBuf, String> {
        let Self { package, version, sha256 } = self;
        let folder = std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let wanted = folder.join("requirements.txt");
        fs::write(&wanted, format!("{package}=={version} --hash=sha256:{sha256}\n"))
            .map_err(|error| format!("{} cannot be written: {error}", wanted.display()))?;
        let output = command(&folder, &wanted, environment)
            .output()
            .map_err(|error| format!("python3 could not be started: {error}: install Python 3 with pip"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
            return Err(format!("pip download of {package} {version} ended with {}: {}", output.status, last.trim()));
        }
        self.find_in(&folder).ok_or_else(|| format!("pip left no wheel of {package} {version}"))
    }
}

/// `pip`, about to download what a requirements file names.
fn command<N: AsRef<OsStr>>(folder: &Path, wanted: &Path, environment: impl IntoIterator<Item = (N, N)>) -> Command {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--require-hashes"]);
    command.args(["--no-input", "--quiet", "--disable-pip-version-check"]);
    command.arg("--dest").arg(folder).arg("--requirement").arg(wanted);
    command.current_dir(folder).stdin(Stdio::null()).env_clear().env("PYTHONSAFEPATH", "1");
    let passed = environment.into_iter().filter(|(name, _)| name.as_ref().to_str().is_some_and(is_passed_on));
    command.envs(passed);
    command
}

/// Whether `pip` gets this variable of the environment.
fn is_passed_on(variable: &str) -> bool {
    let proxies = ["ALL_PROXY", "FTP_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
    PIP_SETTINGS.contains(&variable)
        || SYSTEM_SETTINGS.contains(&variable)
        || proxies.iter().any(|proxy| variable.eq_ignore_ascii_case(proxy))
        || variable.starts_with("LC_")
        || variable.starts_with("XDG_")
}

/// A package's name as the index compares it: runs of `-`, `_` and `.` are one.
fn normalised(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if plain.ends_with('_') => {}
            '-' | '_' | '.' => plain.push('_'),
            letter => plain.push(letter.to_ascii_lowercase()),
        }
    }
    plain
}

#[cfg(test)]
mod tests;
