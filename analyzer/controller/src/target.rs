//! Where a policy is pushed to, and which proxies must confirm it: the value of `--envoy`.
//!
//! Format: `ecds-file:PATH[,key=value]...` with the keys
//!
//! | key | meaning |
//! |---|---|
//! | `admin=URL` | a proxy's admin address, for its `version_text` and its rejections |
//! | `probe=URL` | an address of the same proxy's listener; an answer's `x-weir-revision` is read |
//! | `probe-header=NAME:VALUE` | sent with that proxy's probe (for example `host:shop.example`), may be repeated |
//! | `name=NAME` | the extension's name in the file (default `weir`) |
//! | `timeout-ms=N` | how long a push may take to be confirmed, 1 to 600,000 (default 5,000) |
//!
//! `admin` and `probe` of one proxy stand next to each other; a second `admin` (or `probe`) starts the next proxy.
//! Limits: only plain `http://` addresses; a path cannot contain a comma.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// The extension's name in ECDS when the operator gives none.
pub const EXTENSION_NAME: &str = "weir";
/// How long a push may take to be confirmed when the operator says nothing.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(5);
/// The path that is asked for when a probe's address has none: harmless wherever it ends up, and easy to find in samples.
pub const PROBE_PATH: &str = weir_policy::headers::PROBE_PATH;

const TIMEOUT_MS_MAX: u64 = 600_000;

/// Where a policy goes and who confirms it.
#[derive(Clone, Debug, PartialEq)]
pub struct EnvoyTarget {
    /// The ECDS file that the proxies watch.
    pub path: PathBuf,
    /// The extension's name in that file.
    pub name: String,
    /// The proxies that must confirm, at least one.
    pub proxies: Vec<ProxyTarget>,
    /// How long a push may take to be confirmed.
    pub timeout: Duration,
}

/// One proxy that must confirm: by its admin interface, by a probe through its listener, or by both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyTarget {
    /// Address of the admin interface.
    pub admin: Option<Url>,
    /// Request through the listener.
    pub probe: Option<Probe>,
}

/// A harmless `GET` through a listener; any status counts, only the answer's `x-weir-revision` is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Address with path.
    pub url: Url,
    /// Headers to send.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Why an `--envoy` value was refused.
#[derive(Debug, thiserror::Error, PartialEq)]
#[error("--envoy {given}: {message}\n  hint: {hint}")]
pub struct TargetError {
    given: String,
    message: String,
    hint: String,
}

impl ProxyTarget {
    /// How this proxy is called in messages: its admin address, else its probe's.
    pub fn label(&self) -> String {
        let url = self.admin.as_ref().or(self.probe.as_ref().map(|probe| &probe.url));
        match url {
            Some(url) => match (url.host_str(), url.port_or_known_default()) {
                (Some(host), Some(port)) => format!("{host}:{port}"),
                _ => url.to_string(),
            },
            None => String::from("proxy without an address"),
        }
    }
}

impl FromStr for EnvoyTarget {
    type Err = TargetError;

    fn from_str(given: &str) -> Result<Self, TargetError> {
        let refuse = |message: String, hint: &str| TargetError {
            given: given.to_owned(),
            message,
            hint: hint.to_owned(),
        };
        let example = "write ecds-file:PATH,admin=http://HOST:PORT,probe=http://HOST:PORT";
        let Some(rest) = given.strip_prefix("ecds-file:") else {
            return Err(refuse(
                String::from("does not start with a known kind of target; allowed: ecds-file"),
                example,
            ));
        };
        let mut parts = rest.split(',');
        let path = parts.next().unwrap_or_default();
        if path.is_empty() {
            return Err(refuse(String::from("has no path"), example));
        }
        let mut target = Self {
            path: PathBuf::from(path),
            name: EXTENSION_NAME.to_owned(),
            proxies: Vec::new(),
            timeout: CONFIRM_TIMEOUT,
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            target.set(key, value).map_err(|(message, hint)| refuse(message, hint))?;
        }
        if target.proxies.is_empty() {
            return Err(refuse(
                String::from("names no proxy, so a push could never be confirmed"),
                "add admin=http://HOST:PORT (Envoy's admin interface), probe=http://HOST:PORT (its listener), or both",
            ));
        }
        Ok(target)
    }
}

impl EnvoyTarget {
    /// Applies one `key=value`.
    fn set(&mut self, key: &str, value: &str) -> Result<(), (String, &'static str)> {
        match key {
            "admin" => {
                let url = http_url(key, value)?;
                self.proxy(|proxy| proxy.admin.is_none()).admin = Some(url);
            }
            "probe" => {
                let mut url = http_url(key, value)?;
                if url.path() == "/" {
                    url.set_path(PROBE_PATH);
                }
                self.proxy(|proxy| proxy.probe.is_none()).probe = Some(Probe { url, headers: Vec::new() });
            }
            "probe-header" => {
                let header = header(value)?;
                let Some(probe) = self.proxies.last_mut().and_then(|proxy| proxy.probe.as_mut()) else {
                    return Err((
                        format!("{key}={value} stands before any probe"),
                        "put it behind the probe=URL that it belongs to",
                    ));
                };
                probe.headers.push(header);
            }
            "name" if !value.is_empty() => self.name = value.to_owned(),
            "timeout-ms" => match value.parse::<u64>() {
                Ok(milliseconds @ 1..=TIMEOUT_MS_MAX) => self.timeout = Duration::from_millis(milliseconds),
                _ => {
                    return Err((
                        format!("{key}={value} is not a number of milliseconds"),
                        "allowed: 1 to 600000",
                    ));
                }
            },
            _ => {
                return Err((
                    format!("'{key}={value}' is not understood"),
                    "allowed: admin=URL, probe=URL, probe-header=NAME:VALUE, name=NAME, timeout-ms=N",
                ));
            }
        }
        Ok(())
    }

    /// The last proxy if it still has room for this setting, else a new one.
    fn proxy(&mut self, has_room: impl Fn(&ProxyTarget) -> bool) -> &mut ProxyTarget {
        let index = match self.proxies.last() {
            Some(last) if has_room(last) => self.proxies.len() - 1,
            _ => self.proxies.len(),
        };
        if index == self.proxies.len() {
            self.proxies.push(ProxyTarget::default());
        }
        #[allow(clippy::indexing_slicing)] // just pushed where it was missing
        &mut self.proxies[index]
    }
}

fn http_url(key: &str, value: &str) -> Result<Url, (String, &'static str)> {
    let url = Url::parse(value).map_err(|error| {
        (format!("{key}={value} is not an address: {error}"), "write it like http://127.0.0.1:9901")
    })?;
    if url.scheme() != "http" || url.host_str().is_none() {
        return Err((
            format!("{key}={value} is not an http:// address"),
            "only plain http is spoken to an admin interface or a listener",
        ));
    }
    Ok(url)
}

fn header(value: &str) -> Result<(HeaderName, HeaderValue), (String, &'static str)> {
    let wrong =
        || (format!("probe-header={value} is not a header"), "write it like probe-header=host:shop.example");
    let (name, value) = value.split_once(':').ok_or_else(wrong)?;
    let name = HeaderName::from_str(name.trim()).map_err(|_| wrong())?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| wrong())?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn parse(text: &str) -> EnvoyTarget {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_with_admin_and_probe_is_one_proxy() {
        let target =
            parse("ecds-file:/etc/envoy/ecds.json,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:10000");
        assert_eq!(target.path, PathBuf::from("/etc/envoy/ecds.json"));
        assert_eq!(target.proxies.len(), 1);
        assert_eq!(target.proxies[0].label(), "127.0.0.1:9901");
        assert_eq!(
            target.proxies[0].probe.as_ref().unwrap().url.as_str(),
            "http://127.0.0.1:10000/weir-probe"
        );
        assert_eq!(target.timeout, CONFIRM_TIMEOUT);
    }

    #[test]
    fn a_second_admin_starts_the_next_proxy() {
        let target = parse(
            "ecds-file:e.json,admin=http://a:1,admin=http://b:1,probe=http://b:2/v1,probe-header=host:shop,name=other,timeout-ms=200",
        );
        assert_eq!(target.proxies.len(), 2);
        assert!(target.proxies[0].probe.is_none());
        let probe = target.proxies[1].probe.as_ref().unwrap();
        assert_eq!(probe.url.path(), "/v1");
        assert_eq!(probe.headers[0].0, "host");
        assert_eq!((target.name.as_str(), target.timeout), ("other", Duration::from_millis(200)));
    }

    #[test]
    fn every_refusal_says_what_is_allowed() {
        let cases = [
            "ecds.json",
            "ecds-file:",
            "ecds-file:e.json",
            "ecds-file:e.json,admin=127.0.0.1:9901",
            "ecds-file:e.json,admin=https://127.0.0.1:9901",
            "ecds-file:e.json,probe-header=host:a,probe=http://a:1",
            "ecds-file:e.json,probe=http://a:1,probe-header=nonsense",
            "ecds-file:e.json,admin=http://a:1,timeout-ms=0",
            "ecds-file:e.json,admin=http://a:1,retries=3",
        ];
        let refusals: Vec<String> =
            cases.iter().map(|case| case.parse::<EnvoyTarget>().unwrap_err().to_string()).collect();
        insta::assert_snapshot!(refusals.join("\n"));
    }
}
