//! Object stores: S3, Google Cloud Storage, Azure. Finished Parquet files go there under the same names as in a data folder,
//! upkeep works on them there ([`disk`]), and a mirror of them is what commands read ([`mirror`]).
//!
//! A file appears by one PUT, so never half; it is small enough for that, because a segment of the log is. The log keeps its segment
//! until every file of it is there, so a store that is away, slow or breaks off costs a backlog and no row. A PUT is repeated with
//! the same name and bytes, which changes nothing.
//! Limits: [`TRY_TIME_MAX`] per try; what waits is bounded by the log's high-water mark.

mod disk;
mod mirror;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::{ObjectMeta, ObjectStore, PutMode, path::Path as Key};
use thiserror::Error;
use tokio::runtime::{Handle, Runtime};
use weir_sample::durable::DurableError;

pub(crate) use disk::{ROOT, StoreDisk};
pub use mirror::{Mirrored, mirror};

/// A try takes at most this long; the next one begins anew.
pub(crate) const TRY_TIME_MAX: Duration = Duration::from_secs(60);

/// Where a store's credentials usually are.
fn variables(url: &str) -> &'static str {
    match url.split(':').next() {
        Some("gs") => "GOOGLE_APPLICATION_CREDENTIALS (a file) or GOOGLE_SERVICE_ACCOUNT_KEY (its content)",
        Some("az") => {
            "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY, or with AZURE_CLIENT_ID, AZURE_CLIENT_SECRET and AZURE_TENANT_ID"
        }
        _ => "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION",
    }
}

const LOOK: Duration = Duration::from_millis(100);

/// Where finished files go.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreOptions {
    /// `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or `az://CONTAINER/PREFIX`.
    pub url: String,
    /// Credentials, region, endpoint by the names of their usual variables (`AWS_ACCESS_KEY_ID`, `GOOGLE_APPLICATION_CREDENTIALS`,
    /// `AZURE_STORAGE_ACCOUNT_NAME`); names that begin with none of `AWS_`, `GOOGLE_`, `AZURE_` are passed over.
    pub settings: Vec<(String, String)>,
}

impl std::fmt::Debug for StoreOptions {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The settings hold secrets.
        to.debug_struct("StoreOptions").field("url", &self.url).finish_non_exhaustive()
    }
}

/// What an object store refused.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The address or the settings make no store.
    #[error(
        "store {url:?}: {problem}; allowed: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX\n  hint: credentials come from the usual variables, here {variables}",
        variables = variables(url)
    )]
    Address {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file did not get there.
    #[error(
        "{key}: the object store did not take it: {problem}\n  hint: check that the bucket is there and may be written with these credentials, and the way to it"
    )]
    Put {
        /// Where it should be.
        key: String,
        /// What the store or the network said.
        problem: String,
    },
    /// A file or a listing did not come.
    #[error(
        "{key}: the object store does not give it: {problem}\n  hint: check that the bucket is there and may be read with these credentials, and the way to it"
    )]
    Get {
        /// The file, or the folder.
        key: String,
        /// What the store or the network said.
        problem: String,
    },
    /// Another upkeep is under way.
    #[error(
        "{key}: another `weir compact` or `weir forget` works on this store since {since}\n  hint: wait until it is done; where none runs any more, remove that object"
    )]
    Busy {
        /// The object that says so.
        key: String,
        /// Since when.
        since: String,
    },
    /// The mirror of a store cannot be written.
    #[error(transparent)]
    Mirror(#[from] DurableError),
    /// The system gave no thread.
    #[error("cannot start a thread: {0}\n  hint: check the limits of processes and memory")]
    Thread(io::Error),
}

impl StoreError {
    fn get(key: &str, problem: &dyn std::fmt::Display) -> Self {
        Self::Get { key: key.to_owned(), problem: problem.to_string() }
    }
}

pub(crate) struct Store {
    store: Box<dyn ObjectStore>,
    prefix: Key,
    runtime: Handle,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Store").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Store {
    /// Nothing is sent: a store that is away is no reason not to collect. Must be called within a tokio runtime.
    pub(crate) fn new(options: &StoreOptions) -> Result<Self, StoreError> {
        let wrong = |problem: String| StoreError::Address { url: options.url.clone(), problem };
        let url = url::Url::parse(&options.url).map_err(|error| wrong(format!("is no address: {error}")))?;
        if !["s3", "gs", "az"].contains(&url.scheme()) {
            return Err(wrong(format!("scheme {:?} is none of an object store", url.scheme())));
        }
        // A variable TOKEN or TIMEOUT is somebody else's, though the library would take it.
        let settings = options
            .settings
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .filter(|(name, _)| ["aws_", "google_", "azure_"].iter().any(|of| name.starts_with(of)));
        let (store, _) =
            object_store::parse_url_opts(&url, settings).map_err(|error| wrong(error.to_string()))?;
        // The library's own prefix lacks the first part of an Azure path, which it takes for a container; its builder takes
        // the host for that.
        let prefix = Key::from_url_path(url.path()).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { store, prefix, runtime: Handle::current() })
    }

    /// Puts a file there, whole. `over` ends it early. Must be called on a thread of its own, not on the runtime's.
    pub(crate) fn put(&self, name: &str, bytes: Vec<u8>, over: impl Fn() -> bool) -> Result<(), StoreError> {
        let key = self.key(name);
        let failed = |problem: String| StoreError::Put { key: key.to_string(), problem };
        self.runtime.block_on(async {
            let mut put = pin!(self.store.put(&key, bytes.into()));
            let until = Instant::now() + TRY_TIME_MAX;
            loop {
                match tokio::time::timeout(LOOK, put.as_mut()).await {
                    Ok(done) => return done.map(|_| ()).map_err(|error| failed(error.to_string())),
                    Err(_) if over() => return Err(failed("it was told to stop".to_owned())),
                    Err(_) if Instant::now() >= until => {
                        return Err(failed(format!("it took longer than {} s", TRY_TIME_MAX.as_secs())));
                    }
                    Err(_) => {}
                }
            }
        })
    }

    /// A whole file.
    pub(crate) fn get(&self, name: &str) -> io::Result<Bytes> {
        let key = self.key(name);
        self.wait(async { self.store.get(&key).await?.bytes().await })
    }

    /// Removes a file; one that is gone already is no failure.
    pub(crate) fn delete(&self, name: &str) -> io::Result<()> {
        let key = self.key(name);
        match self.wait(self.store.delete(&key)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Everything below a folder, by name within the prefix, sorted.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<(String, ObjectMeta)>, StoreError> {
        let below = self.key(folder);
        let found = self.wait(self.store.list(Some(&below)).try_collect::<Vec<_>>());
        let found = found.map_err(|error| StoreError::get(below.as_ref(), &error))?;
        let name = |meta: &ObjectMeta| {
            let parts: Vec<_> = meta.location.prefix_match(&self.prefix)?.collect();
            Some(parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/"))
        };
        let mut named: Vec<_> = found.into_iter().filter_map(|meta| Some((name(&meta)?, meta))).collect();
        named.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(named)
    }

    /// Puts a file there that was not there; `Ok(false)` when it was.
    pub(crate) fn put_new(&self, name: &str, text: String) -> io::Result<bool> {
        let key = self.key(name);
        match self.wait(self.store.put_opts(&key, text.into(), PutMode::Create.into())) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            done => done.map(|_| true),
        }
    }

    /// The names in a listing are encoded already.
    fn key(&self, name: &str) -> Key {
        let parts = self.prefix.parts().map(|part| part.as_ref().to_owned());
        let parts: Vec<String> = parts.chain(name.split('/').map(str::to_owned)).collect();
        Key::parse(parts.join("/"))
            .unwrap_or_else(|_| name.split('/').fold(self.prefix.clone(), |key, part| key.child(part)))
    }

    fn wait<T>(&self, what: impl Future<Output = Result<T, object_store::Error>>) -> io::Result<T> {
        let done = self.runtime.block_on(async { tokio::time::timeout(TRY_TIME_MAX, what).await });
        done.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map_err(|error| {
            let kind = match &error {
                object_store::Error::NotFound { .. } => io::ErrorKind::NotFound,
                object_store::Error::AlreadyExists { .. } => io::ErrorKind::AlreadyExists,
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
                _ => io::ErrorKind::Other,
            };
            io::Error::new(kind, error)
        })
    }
}

/// What drives a store outside of the collector.
pub(crate) fn runtime() -> Result<Runtime, StoreError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(StoreError::Thread)
}

/// A store with what drives it; `work` must not be called on a tokio runtime.
pub(crate) fn with_store<T>(options: &StoreOptions, work: impl FnOnce(Store) -> T) -> Result<T, StoreError> {
    let runtime = runtime()?;
    let store = {
        let _inside = runtime.enter();
        Store::new(options)?
    };
    Ok(work(store))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[tokio::test]
    async fn addresses_that_are_no_store_are_refused_and_settings_are_not_shown() {
        let refused = |url: &str| {
            let options = StoreOptions { url: url.to_owned(), settings: Vec::new() };
            Store::new(&options).unwrap_err().to_string()
        };
        for (url, problem) in [
            ("bucket/prefix", "is no address"),
            ("https://example.org/x", "scheme \"https\" is none"),
            ("file:///tmp/x", "scheme \"file\" is none"),
            ("az://container/x", "allowed: s3://BUCKET/PREFIX"),
        ] {
            let message = refused(url);
            assert!(message.contains(problem) && message.contains("\n  hint:"), "{message}");
        }
        let setting = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = vec![
            setting("AWS_ACCESS_KEY_ID", "somebody"),
            setting("AWS_SECRET_ACCESS_KEY", "hidden"),
            setting("AWS_REGION", "eu-north-1"),
        ];
        let options = StoreOptions { url: "s3://bucket/a/b".to_owned(), settings };
        assert!(!format!("{options:?}").contains("hidden"));
        assert_eq!(Store::new(&options).unwrap().prefix.to_string(), "a/b");
    }

    #[tokio::test]
    async fn each_cloud_has_its_address_and_its_variables_and_others_of_the_environment_are_passed_over() {
        let store = |url: &str, settings: &[(&str, &str)]| {
            let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Store::new(&StoreOptions { url: url.to_owned(), settings: settings.collect() })
        };
        // Of some other program.
        let foreign = [("TIMEOUT", "soon"), ("ALLOW_HTTP", "perhaps"), ("SKIP_SIGNATURE", "no way")];
        let key = r#"{"client_email":"","private_key":"","private_key_id":"","disable_oauth":true}"#;
        let with = |own: &[(&'static str, &'static str)]| [&foreign[..], own].concat();
        let google = store("gs://bucket/a/b", &with(&[("GOOGLE_SERVICE_ACCOUNT_KEY", key)])).unwrap();
        assert_eq!(google.prefix.to_string(), "a/b");
        let own = [("AZURE_STORAGE_ACCOUNT_NAME", "team"), ("AZURE_STORAGE_ACCOUNT_KEY", "a2V5")];
        assert_eq!(store("az://container/a", &with(&own)).unwrap().prefix.to_string(), "a");
        assert_eq!(
            store("s3://bucket", &with(&[("AWS_REGION", "eu-north-1")])).unwrap().prefix.to_string(),
            ""
        );
    }
}
