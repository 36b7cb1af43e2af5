//! One part file through polars: a lazy scan of the columns that are needed, with the filter pushed down.
//!
//! A file is checked first (Parquet, kind, schema version, types, experiment), so that a query fails on damage only.
//! Optional columns that an older file lacks read as unknown.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use polars::prelude::*;
use weir_sample::{Record, check_file};

use crate::error::MetricsError;
use crate::expression::Expression;

/// A part file that does not belong: what is wrong with it.
pub(crate) type Refusal = String;

/// Checks a part file of table `R`.
pub(crate) fn check<R: Record>(path: &Path, experiment: &str) -> Result<(), Refusal> {
    let facts = check_file::<R>(path).map_err(|error| reason(&error.to_string(), path))?;
    if facts.experiment == experiment {
        Ok(())
    } else {
        Err(format!("holds experiment {:?} in the folder of {experiment:?}", facts.experiment))
    }
}

/// Reads `columns` of a part file and computes `own`, those rows that `filter` keeps.
pub(crate) fn scan(
    path: &Path,
    columns: &[&str],
    own: &[(&str, &Expression)],
    filter: Option<Expr>,
) -> Result<Frame, MetricsError> {
    let failed = |source| MetricsError::query(path, source);
    let source = PlRefPath::try_from_path(path).map_err(failed)?;
    let arguments = ScanArgsParquet { glob: false, cache: false, ..ScanArgsParquet::default() };
    let mut frame = LazyFrame::scan_parquet(source, arguments).map_err(failed)?;
    let schema = frame.collect_schema().map_err(failed)?;
    let present: Vec<Expr> = columns
        .iter()
        .filter(|column| schema.contains(column))
        .map(|column| if *column == "ts" { col(*column).to_physical() } else { col(*column) })
        .chain(own.iter().map(|(name, own)| own.polars(|column| schema.contains(column)).alias(*name)))
        .collect();
    if let Some(filter) = filter {
        frame = frame.filter(filter);
    }
    let frame = frame.select(present);
    // Pages whose bytes were changed behind a good footer make some decoders panic, and one bad file is to cost one file.
    let mut frame = catch_unwind(AssertUnwindSafe(|| frame.collect()))
        .unwrap_or_else(|_| Err(polars_err!(ComputeError: "a page cannot be decoded")))
        .map_err(failed)?;
    frame.rechunk_mut();
    Ok(Frame { frame, path: path.into() })
}

/// The columns that a scan gave.
pub(crate) struct Frame {
    frame: DataFrame,
    path: Arc<Path>,
}

impl Frame {
    pub(crate) fn rows(&self) -> usize {
        self.frame.height()
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<Cells<'_, StringType>>, MetricsError> {
        self.typed(name, |column| column.str())
    }

    pub(crate) fn integers(&self, name: &str) -> Result<Option<Cells<'_, Int64Type>>, MetricsError> {
        self.typed(name, |column| column.i64())
    }

    pub(crate) fn small_integers(&self, name: &str) -> Result<Option<Cells<'_, Int32Type>>, MetricsError> {
        self.typed(name, |column| column.i32())
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Option<Cells<'_, Float64Type>>, MetricsError> {
        self.typed(name, |column| column.f64())
    }

    pub(crate) fn flags(&self, name: &str) -> Result<Option<Cells<'_, BooleanType>>, MetricsError> {
        self.typed(name, |column| column.bool())
    }

    /// A column of maps from text to text.
    pub(crate) fn tags(&self, name: &str) -> Result<Option<Tags>, MetricsError> {
        let Ok(column) = self.frame.column(name) else { return Ok(None) };
        Tags::new(column).map(Some).map_err(|source| MetricsError::query(&self.path, source))
    }

    fn typed<'a, T: PolarsDataType>(
        &'a self,
        name: &str,
        view: fn(&'a Column) -> PolarsResult<&'a ChunkedArray<T>>,
    ) -> Result<Option<Cells<'a, T>>, MetricsError> {
        let Ok(column) = self.frame.column(name) else { return Ok(None) };
        let column = view(column).map_err(|source| MetricsError::query(&self.path, source))?;
        // In one piece, as every column of the frame.
        Ok(column.downcast_get(0).map(Cells))
    }
}

/// The cells of one column, by row.
pub(crate) struct Cells<'a, T: PolarsDataType>(&'a T::Array);

impl<T: PolarsDataType> Clone for Cells<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: PolarsDataType> Copy for Cells<'_, T> {}

impl<'a, T: PolarsDataType> Cells<'a, T> {
    /// That of a row; nothing where it is empty.
    pub(crate) fn get(self, row: usize) -> Option<T::Physical<'a>> {
        self.0.get(row)
    }
}

/// A word of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    pub(crate) text: &'a str,
    /// Its first bytes, or where the column has it: two words of a column with one such number are the same.
    pub(crate) known_by: u128,
}

impl<'a> Cells<'a, StringType> {
    /// That of a row; nothing where it is empty.
    pub(crate) fn word(self, row: usize) -> Option<Word<'a>> {
        Some(Word { text: self.0.get(row)?, known_by: self.0.views().get(row)?.as_u128() })
    }
}

/// Tags of each row: a map is a list of entries with a key and a value.
pub(crate) struct Tags {
    /// Where the entries of each row begin, and the end of the last one's.
    starts: Vec<usize>,
    keys: StringChunked,
    values: StringChunked,
}

impl Tags {
    fn new(column: &Column) -> PolarsResult<Self> {
        let list = column.list()?.rechunk().into_owned();
        let starts = list.offsets()?.iter().filter_map(|start| usize::try_from(*start).ok()).collect();
        let entries = list.get_inner();
        let entries = entries.struct_()?;
        let text = |name: &str| -> PolarsResult<StringChunked> {
            Ok(entries.field_by_name(name)?.str()?.rechunk().into_owned())
        };
        let (keys, values) = match text("key") {
            Ok(keys) => (keys, text("value")?),
            Err(_) => (text("keys")?, text("values")?),
        };
        Ok(Self { starts, keys, values })
    }

    /// Key and value of each tag of a row.
    pub(crate) fn at(&self, row: usize) -> Vec<(&str, &str)> {
        let (Some(start), Some(end)) = (self.starts.get(row), self.starts.get(row + 1)) else {
            return Vec::new();
        };
        (*start..*end).filter_map(|at| Some((self.keys.get(at)?, self.values.get(at)?))).collect()
    }
}

/// The newest time in a part file before `until_us`; probes count like any other leg.
pub(crate) fn newest_us(path: &Path, until_us: Option<i64>) -> Result<Option<i64>, MetricsError> {
    let frame = scan(path, &["ts"], &[], window(None, until_us))?;
    let times = frame.integers("ts")?;
    Ok((0..frame.rows()).filter_map(|row| times?.get(row)).max())
}

/// The rows of a time window.
pub(crate) fn window(since_us: Option<i64>, until_us: Option<i64>) -> Option<Expr> {
    let since = since_us.map(|since_us| col("ts").to_physical().gt_eq(lit(since_us)));
    let until = until_us.map(|until_us| col("ts").to_physical().lt(lit(until_us)));
    [since, until].into_iter().flatten().reduce(Expr::and)
}

/// What is wrong with a file, without the path and the hint, which the list around it gives.
fn reason(text: &str, path: &Path) -> String {
    let first = text.lines().next().unwrap_or(text);
    let shown = path.display().to_string();
    first.strip_prefix(&shown).map_or(first, |rest| rest.trim_start_matches([':', ' '])).to_owned()
}
