//! `weir man`: a man page of each command, from the same definition as the help.

use std::fmt::Write as _;
use std::path::Path;

use crate::arguments::ManArguments;
use crate::exit::{Exit, Failure, Outcome, failure};
use crate::say::say;
use crate::settings;

/// Runs the command.
pub(crate) fn run(arguments: &ManArguments) -> Outcome {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder).map_err(|error| refused(folder, &error))?;
    let pages = write_all(folder, &["weir"], &settings::command())?;
    say!("{pages} man pages in {}; read one with `man {}/weir.1`", folder.display(), folder.display());
    Ok(Exit::Pass)
}

/// The page of a command and those of the commands below it; how many that were.
fn write_all(folder: &Path, words: &[&str], command: &clap::Command) -> Result<usize, Failure> {
    let name = words.join("-");
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(&name, words, command)).map_err(|error| refused(&path, &error))?;
    let mut pages = 1;
    for below in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
        pages += write_all(folder, &[words, &[below.get_name()]].concat(), below)?;
    }
    Ok(pages)
}

fn page(name: &str, words: &[&str], command: &clap::Command) -> Vec<u8> {
    // clap keeps names for as long as the process lives.
    let command = command
        .clone()
        .name(&*name.to_owned().leak())
        .display_name(name)
        .bin_name(words.join(" "))
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true);
    let more = command.get_after_long_help().or(command.get_after_help()).map(ToString::to_string);
    let has_commands = command.get_subcommands().any(|one| one.get_name() != "help");
    // No date: the same version gives the same bytes.
    let man = clap_mangen::Man::new(command).title(name.to_uppercase()).date("");
    let mut page = Vec::new();
    // Nothing fails when it is written into memory.
    let _written = man
        .render_title(&mut page)
        .and_then(|()| man.render_name_section(&mut page))
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page))
        .and_then(|()| if has_commands { man.render_subcommands_section(&mut page) } else { Ok(()) });
    page.extend(more.map(|more| section(&more)).unwrap_or_default().into_bytes());
    let _written = man.render_version_section(&mut page);
    page
}

/// The text below the options, as it stands: `Examples:` and its lines, or the exit codes.
fn section(text: &str) -> String {
    let (heading, body) = match text.trim().split_once(":\n") {
        Some((heading, body)) if !heading.contains('\n') => (heading, body),
        _ => ("Notes", text.trim()),
    };
    let mut section = format!(".SH {}\n.nf\n", heading.to_uppercase());
    for line in body.lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        // A line that begins with a point or an apostrophe would be a request.
        let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
        let _ = writeln!(section, "{guard}{line}");
    }
    section + ".fi\n"
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    failure(Exit::Data, format!("{}: cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn every_page_that_a_page_names_is_there_and_examples_stand_as_they_are_typed() {
        let folder = tempfile::tempdir().unwrap();
        let pages = write_all(folder.path(), &["weir"], &settings::command()).unwrap();
        let files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        assert_eq!(files.len(), pages);
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let named = text.lines().filter_map(|line| line.strip_suffix("(1)"));
            for name in named {
                let name = name.replace("\\-", "-");
                assert!(folder.path().join(format!("{name}.1")).exists(), "{name} in {}", file.display());
            }
        }
        let plan = std::fs::read_to_string(folder.path().join("weir-plan.1")).unwrap();
        assert!(plan.contains(".SH EXAMPLES\n.nf\n"), "{plan}");
        assert!(
            plan.lines().any(|line| line == "  $ weir plan \\-\\-data data \\-\\-price\\-per\\-copy 0.004")
        );
        assert!(plan.contains("weir plan\\fR") || plan.contains("weir plan"), "{plan}");
        assert!(folder.path().join("weir-golden-add.1").exists());
    }

    #[test]
    fn a_line_of_an_example_is_never_a_request() {
        assert_eq!(section("Examples:\n.x\n\\y"), ".SH EXAMPLES\n.nf\n\\&.x\n\\ey\n.fi\n");
        assert_eq!(section("Exit codes: 0 a"), ".SH NOTES\n.nf\nExit codes: 0 a\n.fi\n");
    }
}
