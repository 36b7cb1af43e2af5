//! A bare scan: polars reads the columns that a look reads, file by file, and drops them. The measure of what `make bench`
//! holds a look against. Usage: `scan DATA EXPERIMENT`; prints the number of rows.

use std::error::Error;

use polars::prelude::{LazyFrame, PlRefPath, ScanArgsParquet, col};
use weir_sample::{Kind, list_files};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(data), Some(experiment)) = (arguments.next(), arguments.next()) else {
        return Err("usage: scan DATA EXPERIMENT".into());
    };
    let columns: Vec<_> = weir_metrics::columns().iter().map(|column| col(*column)).collect();
    let mut rows = 0;
    for path in list_files(data.as_ref(), Kind::Samples, Some(&experiment))? {
        let arguments = ScanArgsParquet { glob: false, cache: false, ..ScanArgsParquet::default() };
        let frame = LazyFrame::scan_parquet(PlRefPath::try_from_path(&path)?, arguments)?;
        rows += frame.select(columns.clone()).collect()?.height();
    }
    println!("{rows}");
    Ok(())
}
