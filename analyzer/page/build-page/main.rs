//! Turns the compiled module into what `weir-report` embeds: `build-page MODULE.wasm OUT_DIR`.
//!
//! Writes `page.js` (wasm-bindgen's glue and `assets/page.js`), `page.js.sha256` (base64, for the content security policy)
//! and `page.wasm.gz.base64`, and for tests in Node the module and its glue alone (`page.wasm`, `glue.js`). wasm-bindgen runs as a library of the locked version, so that it always matches the module,
//! and nothing has to be installed. A file whose content stays the same is not touched: nothing is built again for it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use wasm_bindgen_cli_support::Bindgen;

const PAGE: &str = include_str!("../assets/page.js");

fn main() -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [module, out_dir] = arguments.as_slice() else {
        bail!("usage: build-page MODULE.wasm OUT_DIR");
    };
    std::fs::create_dir_all(out_dir).with_context(|| out_dir.display().to_string())?;
    let mut output = Bindgen::new()
        .input_path(module)
        .out_name("page")
        .no_modules(true)?
        .no_modules_global("weir")?
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate_output()?;
    let wasm = output.wasm_mut().emit_wasm();
    let script = format!("{}\n{PAGE}", output.js());
    if script.contains("</script") || script.contains("<!--") {
        bail!("the script could not stand in an HTML page: it contains </script or <!--");
    }
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&wasm)?;
    let packed = STANDARD.encode(packed.finish()?);
    println!(
        "page: module {} KiB, embedded {} KiB with its script",
        wasm.len().div_ceil(1024),
        (packed.len() + script.len()).div_ceil(1024)
    );
    replace(&out_dir.join("page.wasm"), &wasm)?;
    replace(&out_dir.join("glue.js"), output.js().as_bytes())?;
    replace(&out_dir.join("page.wasm.gz.base64"), packed.as_bytes())?;
    replace(&out_dir.join("page.js.sha256"), STANDARD.encode(Sha256::digest(&script)).as_bytes())?;
    replace(&out_dir.join("page.js"), script.as_bytes())
}

fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == content) {
        return Ok(());
    }
    std::fs::write(path, content).with_context(|| path.display().to_string())
}
