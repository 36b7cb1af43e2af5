//! The JSON view's layout: objects with a line for each key, lists of numbers and texts within a line.
//!
//! A report carries long lists of numbers; a line for each would make it three times as large and no easier to read.

use std::io::{self, Write};

use serde::Serialize as _;
use serde_json::ser::Formatter;

use weir_gate::MetricSeries;

use crate::model::Report;

/// The report with a final line break.
pub(crate) fn render(report: &Report) -> serde_json::Result<String> {
    // Some five bytes a number: text that grows by doubling is copied as often.
    let mut bytes = Vec::with_capacity(6 * report.evidence.iter().map(MetricSeries::numbers).sum::<usize>());
    report.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Layout::default()))?;
    bytes.push(b'\n');
    // A serializer writes UTF-8; nothing is lost.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// What is open, from the outside in.
#[derive(Default)]
struct Layout {
    open: Vec<Open>,
    /// The next thing is an element of a list.
    element: bool,
}

/// An object or a list, and whether anything in it stands on lines of its own.
#[derive(Default)]
struct Open {
    lines: bool,
}

impl Layout {
    fn line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        (0..self.open.len()).try_for_each(|_| writer.write_all(b"  "))
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, sign: &[u8]) -> io::Result<()> {
        if self.open.pop().is_some_and(|open| open.lines) {
            self.line(writer)?;
        }
        writer.write_all(sign)
    }
}

impl Formatter for Layout {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.element = false;
        self.open.push(Open::default());
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.element = true;
        if first { Ok(()) } else { writer.write_all(b",") }
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.element = false;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.element {
            self.element = false;
            if let Some(list) = self.open.last_mut() {
                list.lines = true;
            }
            self.line(writer)?;
        }
        self.open.push(Open::default());
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        if let Some(object) = self.open.last_mut() {
            object.lines = true;
        }
        self.line(writer)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
