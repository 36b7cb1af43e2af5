//! The report under a real terminal of 80 and of 200 columns, with and without colour, and in a pipe.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::{Command, Stdio};

/// What `weir` writes: under a terminal of so many columns, or into a pipe. None without Python.
fn written(columns: Option<u32>, no_colour: bool, data: &Path) -> Option<String> {
    let weir = env!("CARGO_BIN_EXE_weir");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terminal.py");
    let mut command = match columns {
        Some(columns) => {
            let mut command = Command::new("python3");
            command.args([script, &columns.to_string(), weir]);
            command
        }
        None => Command::new(weir),
    };
    command.args(["analyze", "--data"]).arg(data).env("TERM", "xterm").env_remove("NO_COLOR");
    if no_colour {
        command.env("NO_COLOR", "1");
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: no python3, which gives the test a terminal: {error}");
            return None;
        }
    };
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().replace('\r', ""))
}

fn without_colour(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain + rest
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn the_report_fits_the_terminal_and_colour_adds_nothing_but_colour() {
    let folder = tempfile::tempdir().unwrap();
    let legs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/logs/support.jsonl");
    let imported = Command::new(env!("CARGO_BIN_EXE_weir"))
        .args(["import", "--format", "jsonl", legs, "--data"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(imported.status.success());
    let piped = written(None, false, folder.path()).unwrap();
    assert!(!piped.contains('\u{1b}') && widest(&piped) <= 80);
    let Some(narrow) = written(Some(80), false, folder.path()) else { return };
    assert!(narrow.contains("\u{1b}[1;31mROLL BACK\u{1b}[0m"));
    let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    assert_eq!(trimmed(&without_colour(&narrow)), trimmed(&piped));
    let plain = written(Some(80), true, folder.path()).unwrap();
    assert!(!plain.contains('\u{1b}'), "NO_COLOR is obeyed");
    let wide = without_colour(&written(Some(200), false, folder.path()).unwrap());
    assert!((120..=200).contains(&widest(&wide)), "{}", widest(&wide));
}

#[test]
fn a_reader_who_has_had_enough_is_no_failure_and_a_full_disk_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let legs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/logs/support.jsonl");
    let data = folder.path().to_str().unwrap();
    let weir = |arguments: &[&str], to: Stdio| {
        let output = Command::new(env!("CARGO_BIN_EXE_weir")).args(arguments).stdout(to).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let gone = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let (imported, said) = weir(&["import", "--format", "jsonl", legs, "--data", data], gone());
    assert_eq!((imported, said.as_str()), (Some(0), ""));
    for (arguments, usual) in
        [(vec!["validate", "--schema", "policy"], 0), (vec!["analyze", "--data", data], 1)]
    {
        assert_eq!(weir(&arguments, gone()), (Some(usual), String::new()), "{arguments:?}");
        let (code, said) = weir(&arguments, full());
        assert_eq!(code, Some(5), "{arguments:?}: {said}");
        assert!(said.contains("standard output: cannot be written: No space left"), "{said}");
    }
}
