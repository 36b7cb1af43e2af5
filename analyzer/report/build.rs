//! Takes the built live page (`make page` leaves it in the target folder) into the crate; without it the HTML report says
//! that its live part is missing. For wasm32, which is the live page itself, there is never one.

use std::error::Error;
use std::path::{Path, PathBuf};

const FILES: [&str; 3] = ["page.js", "page.js.sha256", "page.wasm.gz.base64"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out_dir = PathBuf::from(std::env::var("OUT_DIR")?);
    let native = std::env::var("CARGO_CFG_TARGET_ARCH")? != "wasm32";
    let target_dir = out_dir.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    let mut live = "None".to_owned();
    if native && let Some(target_dir) = target_dir {
        let page = target_dir.join("live-page");
        // It exists from now on: a missing path would build the crate anew each time.
        std::fs::create_dir_all(&page)?;
        println!("cargo::rerun-if-changed={}", page.display());
        if FILES.iter().all(|file| page.join(file).is_file()) {
            let text = |file: &str| format!("include_str!({:?})", Path::new(&page).join(file));
            let [script, hash, module] = FILES.map(text);
            live = format!("Some(Live {{ script: {script}, hash: {hash}, module: {module} }})");
        }
    }
    std::fs::write(out_dir.join("live.rs"), format!("const LIVE: Option<Live> = {live};\n"))?;
    Ok(())
}
