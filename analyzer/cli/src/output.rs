//! Which view of the report goes where: `--output` names formats, `--output-file` names files.
//!
//! A file takes the format that its ending names, or the only format asked for. A format without a file goes to
//! standard output, and at most one may. Files are written whole: a temporary file in the same folder, then a rename.

use std::io::{ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure, OrExit, failure};
use weir_report::{Format, RenderOptions, Report};

/// The format that a file's ending names.
fn of_ending(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "txt" => Some(Format::Table),
        "json" => Some(Format::Json),
        "md" | "markdown" => Some(Format::Markdown),
        "xml" => Some(Format::Junit),
        "prom" => Some(Format::Prometheus),
        "html" | "htm" => Some(Format::Html),
        _ => None,
    }
}

/// Where one view goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file, replaced whole.
    File(PathBuf),
}

/// The command line asks for something that cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OutputError(String);

impl std::fmt::Display for OutputError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for OutputError {}

/// Pairs the formats with the files. No format at all is a table on standard output.
pub(crate) fn plan(formats: &[Format], files: &[PathBuf]) -> Result<Vec<(Format, Destination)>, OutputError> {
    if let ([format], [file]) = (formats, files) {
        return Ok(vec![(*format, Destination::File(file.clone()))]);
    }
    let mut plan = Vec::new();
    for file in files {
        let format = of_ending(file).ok_or_else(|| {
            OutputError(format!(
                "--output-file {}: the ending does not name a format; allowed: .txt .json .md .xml .prom .html\n  \
                 hint: with a single --output and a single --output-file any name will do",
                file.display()
            ))
        })?;
        plan.push((format, Destination::File(file.clone())));
    }
    let mut to_stdout: Vec<Format> = Vec::new();
    for format in formats {
        let has_file = plan.iter().any(|(planned, _)| planned == format);
        if !has_file && !to_stdout.contains(format) {
            to_stdout.push(*format);
        }
    }
    if formats.is_empty() {
        to_stdout.push(Format::Table);
    }
    match to_stdout.as_slice() {
        [] => {}
        [format] => plan.insert(0, (*format, Destination::Stdout)),
        [first, second, ..] => {
            return Err(OutputError(format!(
                "--output {} and --output {} would both go to standard output\n  \
                 hint: give one of them a file, such as --output-file report.{}",
                first.name(),
                second.name(),
                if *second == Format::Html { "html" } else { "json" }
            )));
        }
    }
    Ok(plan)
}

/// Columns of the terminal, 80 where there is none or it does not say.
pub(crate) fn width(on_terminal: bool) -> usize {
    let columns = on_terminal.then(terminal_size::terminal_size).flatten();
    columns.map_or(80, |(terminal_size::Width(columns), _)| usize::from(columns))
}

/// Columns and lines of the terminal, 80 by 24 where there is none or it does not say.
pub(crate) fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(std::io::stderr());
    size.map_or((80, 24), |(columns, lines)| (usize::from(columns.0), usize::from(lines.0)))
}

/// Draws the report in every form that was asked for.
pub(crate) fn draw(report: &Report, plan: &[(Format, Destination)]) -> Result<(), Failure> {
    for (format, destination) in plan {
        let colour = *destination == Destination::Stdout
            && std::io::stdout().is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let on_terminal = *destination == Destination::Stdout && std::io::stdout().is_terminal();
        let options = RenderOptions { colour, width: width(on_terminal), ..RenderOptions::default() };
        let text = weir_report::render(report, *format, &options).or_data()?;
        write(destination, &text).map_err(|error| {
            let place = match destination {
                Destination::Stdout => "standard output".to_owned(),
                Destination::File(path) => path.display().to_string(),
            };
            failure(Exit::Data, format!("{place}: cannot be written: {error}"))
        })?;
    }
    Ok(())
}

/// Writes one view.
fn write(destination: &Destination, text: &str) -> std::io::Result<()> {
    match destination {
        Destination::Stdout => {
            let mut stdout = std::io::stdout().lock();
            let end = if text.ends_with('\n') { "" } else { "\n" };
            let written = stdout
                .write_all(text.as_bytes())
                .and_then(|()| stdout.write_all(end.as_bytes()))
                .and_then(|()| stdout.flush());
            // A reader who has had enough is no failure.
            written.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
        }
        Destination::File(path) => write_whole(path, text),
    }
}

/// Replaces a file so that a reader sees the old or the new text, never a part.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn without_arguments_a_table_goes_to_standard_output() {
        assert_eq!(plan(&[], &[]).unwrap(), vec![(Format::Table, Destination::Stdout)]);
    }

    #[test]
    fn a_single_format_and_a_single_file_belong_together_whatever_the_ending() {
        let planned = plan(&[Format::Html], &["summary".into()]).unwrap();
        assert_eq!(planned, vec![(Format::Html, Destination::File("summary".into()))]);
    }

    #[test]
    fn a_file_takes_the_format_of_its_ending_and_the_rest_goes_to_standard_output() {
        let planned = plan(&[Format::Table, Format::Html], &["report.html".into(), "r.json".into()]).unwrap();
        assert_eq!(
            planned,
            vec![
                (Format::Table, Destination::Stdout),
                (Format::Html, Destination::File("report.html".into())),
                (Format::Json, Destination::File("r.json".into())),
            ]
        );
    }

    #[test]
    fn two_formats_on_standard_output_are_refused_with_a_hint() {
        let error = plan(&[Format::Table, Format::Json], &[]).unwrap_err();
        assert!(error.to_string().contains("hint: give one of them a file"), "{error}");
    }

    #[test]
    fn an_ending_that_names_no_format_is_refused() {
        let error = plan(&[], &["report.docx".into()]).unwrap_err();
        assert!(error.to_string().contains(".txt .json .md .xml .prom .html"), "{error}");
    }
}
