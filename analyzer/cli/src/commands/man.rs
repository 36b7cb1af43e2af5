//! `weir man`: a man page of each command, from the same definition as the help.

use std::path::Path;

use crate::arguments::ManArguments;
use crate::exit::{Exit, Failure, Outcome, failure};
use crate::settings;

/// Runs the command.
pub(crate) fn run(arguments: &ManArguments) -> Outcome {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder).map_err(|error| refused(folder, &error))?;
    let command = settings::command();
    let mut pages = 0_usize;
    write(folder, "weir", &command)?;
    for subcommand in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
        let name = format!("weir-{}", subcommand.get_name());
        // clap keeps names for as long as the process lives.
        let page = subcommand.clone().name(&*name.clone().leak()).display_name(name.replace('-', " "));
        write(folder, &name, &page.version(env!("CARGO_PKG_VERSION")))?;
        pages += 1;
    }
    println!(
        "{} man pages in {}; read one with `man {}/weir.1`",
        pages + 1,
        folder.display(),
        folder.display()
    );
    Ok(Exit::Pass)
}

fn write(folder: &Path, name: &str, command: &clap::Command) -> Result<(), Failure> {
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    // No date: the same version gives the same bytes.
    clap_mangen::Man::new(command.clone())
        .title(name.to_uppercase())
        .date("")
        .render(&mut page)
        .and_then(|()| std::fs::write(&path, page))
        .map_err(|error| refused(&path, &error))
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    failure(Exit::Data, format!("{}: cannot be written: {error}", path.display()))
}
