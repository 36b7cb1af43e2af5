//! The phrases by which `refusal` and `hedging` go, as one JSON object: so that `make bench` can hold another tool to the same columns.

use std::error::Error;

use weir_metrics::{HEDGE_PHRASES, REFUSAL_PHRASES};

fn main() -> Result<(), Box<dyn Error>> {
    let phrases = serde_json::json!({ "refusal": REFUSAL_PHRASES, "hedging": HEDGE_PHRASES });
    println!("{}", serde_json::to_string(&phrases)?);
    Ok(())
}
