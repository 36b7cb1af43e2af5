//! `bench-recovery [MIB]`: starts a collector on a log of that size (default 1024), writes `target/bench/recovery.json`.

mod recovery;

use std::path::PathBuf;

use weir_tests::world::Failure;

fn main() -> Result<(), Failure> {
    let mib: u64 = std::env::args().nth(1).map_or(Ok(1_024), |text| text.parse())?;
    let figures = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(recovery::measure(mib << 20))?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("recovery.json"), format!("{figures:#}\n"))?;
    println!("{figures:#}");
    Ok(())
}
