//! Models by name, from a hub on this machine that speaks HTTP as the real one does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use weir_meaning::hub::{Hub, MANIFEST};
use weir_meaning::{EmbedderChoice, MeaningError};

const NAME: &str = "all-MiniLM-L6-v2";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const MODEL: &[u8] = b"a model, as far as the hub knows";

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    WrongDigest,
    NoDigest,
    CutShort,
    Missing,
    RedirectsForever,
}

/// The hub: its address, and what it was asked for.
fn hub(fault: Fault) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            answer(stream.unwrap(), fault, &heard);
        }
    });
    (address, asked)
}

fn answer(mut stream: TcpStream, fault: Fault, asked: &Mutex<Vec<String>>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let path = first.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(path.clone());
    let digest: String = Sha256::digest(MODEL).iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = match fault {
        Fault::WrongDigest => format!("x-linked-etag: \"{}\"\r\n", "0".repeat(64)),
        Fault::NoDigest => String::new(),
        _ => format!("x-linked-etag: \"{digest}\"\r\n"),
    };
    let text = match path.as_str() {
        "/elsewhere" if fault == Fault::RedirectsForever => {
            "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n".to_owned()
        }
        "/elsewhere" => {
            let more = if fault == Fault::CutShort { 100 } else { 0 };
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", MODEL.len() + more)
        }
        path if path.ends_with("/onnx/model.onnx") => {
            format!(
                "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\n{digest}x-repo-commit: {COMMIT}\r\ncontent-length: 0\r\n"
            )
        }
        path if path.ends_with("/config.json") && fault == Fault::Missing => {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n".to_owned()
        }
        _ => format!("HTTP/1.1 200 OK\r\nx-repo-commit: {COMMIT}\r\ncontent-length: 2\r\n"),
    };
    let body: &[u8] = match path.as_str() {
        "/elsewhere" if fault != Fault::RedirectsForever => MODEL,
        _ if text.contains("content-length: 2\r") => b"{}",
        _ => b"",
    };
    // A client that has heard enough closes.
    let _ = stream.write_all(format!("{text}connection: close\r\n\r\n").as_bytes());
    let _ = stream.write_all(body);
}

fn fetch(endpoint: &str, cache: &Path) -> Result<std::path::PathBuf, MeaningError> {
    Hub { endpoint: endpoint.to_owned(), cache: cache.to_path_buf() }.model(NAME, &mut |_, _| {})
}

#[test]
fn a_model_is_fetched_once_whole_and_at_one_commit() {
    let (address, asked) = hub(Fault::None);
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&address, cache.path()).unwrap();
    assert_eq!(std::fs::read(folder.join("model.onnx")).unwrap(), MODEL);
    let first = asked.lock().unwrap().clone();
    assert_eq!(first[0], format!("/Xenova/{NAME}/resolve/main/onnx/model.onnx"));
    assert_eq!(first[1], "/elsewhere");
    assert!(first[2..].iter().all(|path| path.contains(&format!("/resolve/{COMMIT}/"))), "{first:?}");
    assert_eq!(first.len(), 6);
    assert_eq!(fetch(&address, cache.path()).unwrap(), folder);
    assert_eq!(asked.lock().unwrap().len(), 6, "nothing is asked for again");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1, "no partial folder stays");
}

#[test]
fn what_is_not_what_the_hub_states_is_refused_and_leaves_nothing() {
    for (fault, words) in [
        (Fault::WrongDigest, "the hub states 0000"),
        (Fault::NoDigest, "the hub does not state the SHA-256 of onnx/model.onnx"),
        (Fault::CutShort, "broke off"),
        (Fault::Missing, "config.json answered 404"),
        (Fault::RedirectsForever, "is redirected more than 5 times"),
    ] {
        let (address, _) = hub(fault);
        let cache = tempfile::tempdir().unwrap();
        let error = fetch(&address, cache.path()).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0, "{words}");
    }
}

#[test]
fn without_a_network_the_error_says_how_to_get_the_folder() {
    // A port that nobody listens on any more.
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let cache = tempfile::tempdir().unwrap();
    let error = fetch(&address, cache.path()).unwrap_err().to_string();
    assert!(error.contains("cannot be reached: "), "{error}");
    assert!(error.contains("hint: without a network, put the files of "), "{error}");
    assert!(error.contains("onnx/model.onnx, tokenizer.json"), "{error}");
    assert!(error.contains("--embedding-model DIR, or use --embedder lexical"), "{error}");
}

#[test]
fn a_cached_model_that_was_changed_is_refused() {
    let (address, _) = hub(Fault::None);
    let cache = tempfile::tempdir().unwrap();
    let folder = fetch(&address, cache.path()).unwrap();
    std::fs::write(folder.join("model.onnx"), "another model").unwrap();
    let error = fetch(&address, cache.path()).unwrap_err().to_string();
    assert!(error.contains("model.onnx: differs from what was fetched"), "{error}");
    std::fs::write(folder.join(MANIFEST), "{").unwrap();
    let error = fetch(&address, cache.path()).unwrap_err().to_string();
    assert!(error.contains(&format!("{MANIFEST}: ")), "{error}");
}

#[test]
fn a_name_that_nobody_knows_is_refused_with_those_that_are_known() {
    let of = |name: &str| EmbedderChoice::of(None, Some(Path::new(name)));
    assert_eq!(of(NAME).unwrap(), EmbedderChoice::Named(NAME.to_owned()));
    assert_eq!(of("./models").unwrap(), EmbedderChoice::Onnx("./models".into()));
    let error = of("all-MiniLM-L7").unwrap_err().to_string();
    assert!(error.contains("no embedding model \"all-MiniLM-L7\""), "{error}");
    assert!(error.contains("all-MiniLM-L6-v2, all-MiniLM-L12-v2, "), "{error}");
}
