//! `weir analyze`, `compact` and `forget` on a bucket of a real S3 server: moto's, a Python package. The same verdict as on a folder.
//!
//! Skipped without it: `make setup-tools` installs it; WEIR_MOTO names another `moto_server`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Moto {
    /// A server with a bucket `data`; `None` where the package is not installed.
    fn start() -> Option<Self> {
        let binary =
            std::env::var_os("WEIR_MOTO").map_or(root().join(".venv/moto/bin/moto_server"), PathBuf::from);
        if !binary.exists() {
            println!(
                "skipped: no {}; `make setup-tools` installs moto, or WEIR_MOTO names it",
                binary.display()
            );
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let child = Command::new(binary)
            .args(["-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moto = Self { child, address };
        for _ in 0..600 {
            if moto.put("data", b"").is_some_and(|answer| answer.contains(" 200 ")) {
                return Some(moto);
            }
            #[allow(clippy::disallowed_methods, reason = "no executor here")]
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("moto does not listen");
    }

    /// The first line of the answer.
    fn put(&self, name: &str, body: &[u8]) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        let length = body.len();
        write!(
            stream,
            "PUT /{name} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        stream.write_all(body).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.lines().next().map(str::to_owned)
    }

    /// Everything in a folder.
    fn upload(&self, folder: &Path, prefix: &str) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{prefix}/{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                self.upload(&path, &name);
            } else if path.extension().is_some_and(|ending| ending == "parquet") {
                assert!(self.put(&name, &std::fs::read(&path).unwrap()).unwrap().contains(" 200 "), "{name}");
            }
        }
    }

    fn weir(&self, words: &[&str]) -> Output {
        weir(words)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_ENDPOINT", format!("http://{}", self.address))
            .output()
            .unwrap()
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn weir(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weir"));
    command.args(words).current_dir(root()).env_remove("WEIR_DATA").env_remove("WEIR_CONFIG");
    command
}

fn told(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_bucket_gives_the_verdict_of_its_folder_is_merged_and_forgets() {
    let Some(moto) = Moto::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data, cache) = (at("data"), at("cache"));
    let legs = std::fs::read_to_string(root().join("examples/logs/support.jsonl")).unwrap();
    let lines: Vec<&str> = legs.lines().collect();
    let (one, two) = lines.split_at(lines.len() / 2);
    for (name, part) in [("one.jsonl", one), ("two.jsonl", two)] {
        std::fs::write(at(name), part.join("\n")).unwrap();
        let done = weir(&["import", &at(name), "--data", &data]).output().unwrap();
        assert_eq!(told(&done).0, Some(0), "{:?}", told(&done));
    }
    moto.upload(Path::new(&data), "data/team");
    let bucket = "s3://data/team";
    let of_folder = weir(&["analyze", "--data", &data, "--output", "json"]).output().unwrap();
    let look = || moto.weir(&["analyze", "--data", bucket, "--cache", &cache, "--output", "json"]);
    let verdict = |output: &Output| {
        let (code, out, told) = told(output);
        let mut report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{told}"));
        let from = report["generated_from"].take();
        (code, report["evaluation"].clone(), from["samples"].clone(), from["data"].clone(), told)
    };
    let (expected, found) = (verdict(&of_folder), verdict(&look()));
    assert_eq!((&found.0, &found.1, &found.2), (&expected.0, &expected.1, &expected.2));
    assert_eq!((found.0, found.3.as_str()), (Some(1), Some(bucket)));
    assert!(found.4.contains("4 files fetched"), "{}", found.4);
    assert!(!verdict(&look()).4.contains("fetched"), "the second look fetches nothing");

    let (code, out, told_of) = told(&moto.weir(&["compact", "--data", bucket]));
    assert_eq!(code, Some(0), "{told_of}");
    assert!(out.contains("4 files merged into 2"), "{out}");
    let merged = verdict(&look());
    assert_eq!((merged.1, merged.2), (expected.1, expected.2));
    let (code, out, told_of) =
        told(&moto.weir(&["forget", "--data", bucket, "--identity-hash", "00000000000000aa"]));
    assert_eq!(code, Some(0), "{told_of}");
    assert!(out.contains("0 samples and 0 scores of identity 00000000000000aa erased"), "{out}");
}

#[test]
fn commands_that_write_beside_the_samples_refuse_a_store_and_say_what_to_do() {
    for words in [
        &["embed", "--data", "s3://data/team", "--embedder", "lexical"][..],
        &["import", "x.jsonl", "--data", "gs://data/team"],
        &["collect", "--data", "az://data/team"],
        &["judge", "--data", "s3://data/team", "--rubric", "examples/rubrics/support.yaml", "--dry-run"],
        &["label", "--data", "s3://data/team", "--rubric", "examples/rubrics/support.yaml"],
        &["golden", "coverage", "x.jsonl", "--data", "s3://data/team"],
        &[
            "watch",
            "--data",
            "s3://data/team",
            "--policy",
            "p",
            "--rollout",
            "r",
            "--gates",
            "g",
            "--envoy",
            "ecds-file:e",
        ],
    ] {
        let (code, out, told_of) = told(&weir(words).output().unwrap());
        assert_eq!((code, out.as_str()), (Some(2), ""), "{told_of}");
        assert!(told_of.contains("is an object store; allowed: a folder\n  hint:"), "{told_of}");
    }
    let (code, _, told_of) = told(&weir(&["compact", "--data", "ftp://data/team"]).output().unwrap());
    assert_eq!(code, Some(2), "{told_of}");
    assert!(told_of.contains("scheme \"ftp\" is none of an object store"), "{told_of}");
}
