//! Servers that speak the protocols of object stores, from packages, and a way to them that can be broken.
//!
//! `make setup-tools` installs them: moto (a Python package) for S3, Azurite (a Node package) for Azure.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Azurite's account and its key, as its documentation publishes them.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A server with a bucket or container `samples`.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// `None` where the package is not installed; says so.
    fn spawn(variable: &str, usual: &str, words: impl Fn(&str, &str) -> Vec<String>) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let binary = std::env::var_os(variable).map_or(root.join(usual), PathBuf::from);
        if !binary.exists() {
            println!(
                "skipped: no {}; `make setup-tools` installs it, or {variable} names it",
                binary.display()
            );
            return None;
        }
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(binary)
            .args(words(&address.port().to_string(), folder.path().to_str().unwrap()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { child, address, _folder: folder })
    }

    /// moto.
    pub async fn moto() -> Option<Self> {
        let words = |port: &str, _: &str| ["-H", "127.0.0.1", "-p", port].map(str::to_owned).to_vec();
        let server = Self::spawn("WEIR_MOTO", ".venv/moto/bin/moto_server", words)?;
        let url = format!("http://{}/samples", server.address);
        server.ready(|client| client.put(&url)).await;
        Some(server)
    }

    /// Azurite; it is told to report to nobody.
    pub async fn azurite() -> Option<Self> {
        let words = |port: &str, folder: &str| {
            ["--disableTelemetry", "--silent", "--skipApiVersionCheck", "--blobHost", "127.0.0.1"]
                .into_iter()
                .chain(["--blobPort", port, "--location", folder])
                .map(str::to_owned)
                .collect()
        };
        let server = Self::spawn("WEIR_AZURITE", ".venv/azurite/node_modules/.bin/azurite-blob", words)?;
        let url = format!("http://{}/{ACCOUNT}/samples?restype=container", server.address);
        server
            .ready(|client| {
                let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                let (version, resource) = ("2023-11-03", format!("/{ACCOUNT}/{ACCOUNT}/samples"));
                let head = format!("x-ms-date:{date}\nx-ms-version:{version}\n");
                let text = format!("PUT{}{head}{resource}\nrestype:container", "\n".repeat(12));
                let mut mac =
                    Hmac::<sha2::Sha256>::new_from_slice(&STANDARD.decode(ACCOUNT_KEY).unwrap()).unwrap();
                mac.update(text.as_bytes());
                let signature = STANDARD.encode(mac.finalize().into_bytes());
                let authorization = format!("SharedKey {ACCOUNT}:{signature}");
                let request = client.put(&url).header("x-ms-date", date).header("x-ms-version", version);
                request.header("authorization", authorization).header("content-length", 0)
            })
            .await;
        Some(server)
    }

    /// Asks for the bucket until it is there.
    async fn ready(&self, request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder) {
        let client = reqwest::Client::new();
        for _ in 0..600 {
            if let Ok(answer) = request(&client).send().await {
                assert!(answer.status().is_success(), "{answer:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} does not listen", self.address);
    }
}

pub const GOOD: u8 = 0;
pub const REFUSING: u8 = 1;
pub const FAILING: u8 = 2;
pub const CUTTING: u8 = 3;
pub const SLOW: u8 = 4;

/// A way to the store that can be broken.
pub async fn way(to: SocketAddr, mode: Arc<AtomicU8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let modes = Arc::clone(&mode);
            let mode = mode.load(Relaxed);
            tokio::spawn(async move {
                let mut bytes = [0; 700];
                match mode {
                    REFUSING => {}
                    FAILING => {
                        let _ = client.read(&mut bytes).await;
                        let _ = client.write_all(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
                    }
                    CUTTING => {
                        // The head and a little of the body get there.
                        let mut server = TcpStream::connect(to).await.unwrap();
                        let read = client.read(&mut bytes).await.unwrap_or(0);
                        let _ = server.write_all(&bytes[..read]).await;
                    }
                    _ => {
                        if mode == SLOW {
                            tokio::time::sleep(Duration::from_millis(700)).await;
                        }
                        let mut server = TcpStream::connect(to).await.unwrap();
                        // A connection that is kept alive breaks with the way.
                        let broken = async {
                            while modes.load(Relaxed) == mode {
                                tokio::time::sleep(Duration::from_millis(5)).await;
                            }
                        };
                        tokio::select! {
                            _ = copy_bidirectional(&mut client, &mut server) => {}
                            () = broken => {}
                        }
                    }
                }
            });
        }
    });
    address
}

pub async fn wait_until(what: &str, is: impl Fn() -> bool) {
    for _ in 0..1_500 {
        if is() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what} did not happen");
}

/// What must not run on the test's own runtime.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub fn files_here(data: &Path) -> usize {
    weir_sample::list_all_files(data, weir_sample::Kind::Samples, None).unwrap().len()
}
