//! What people type and what they see: the README's commands and those of `commands/*.md`, run as they stand there.

use std::path::Path;

fn in_the_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(std::env::set_current_dir(&root).is_ok(), "{} is there", root.display());
}

#[test]
fn every_transcript_is_what_the_command_line_prints() {
    in_the_workspace();
    trycmd::TestCases::new().case("analyzer/cli/tests/commands/*.md").case("README.md");
}
