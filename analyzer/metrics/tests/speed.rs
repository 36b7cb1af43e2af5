//! How long a look takes; prints, asserts nothing about time. Run with `--ignored --nocapture`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::time::Instant;

use weir_metrics::{Cache, LoadOptions, load, load_cached};
use weir_sample::{Leg, Sample, Variant, write_samples};

#[test]
#[ignore = "prints times"]
fn a_look_at_many_small_files() {
    let data = tempfile::tempdir().unwrap();
    let text =
        "{\"answer\": \"Your order was shipped on Monday and it will arrive soon. \", \"order_id\": 42}";
    for file in 0..100_i64 {
        let legs = (0..50_i64)
            .map(|row| Sample {
                experiment: "support".into(),
                sample_id: format!("s{:08}", file * 25 + row / 2),
                leg: if row % 2 == 0 { Leg::Primary } else { Leg::Shadow },
                variant: if row % 2 == 0 { Variant::Control } else { Variant::Candidate },
                ts_us: 1_760_000_000_000_000 + file * 1_000_000 + row,
                revision: Some(1),
                status: Some(200),
                response_text: Some(format!("{text}{}", " ".repeat(300))),
                ..Sample::default()
            })
            .collect();
        write_samples(data.path(), &format!("part-{file:04}"), legs).unwrap();
    }
    let options =
        LoadOptions { data_dir: data.path().to_path_buf(), revision: Some(1), ..LoadOptions::default() };
    let mut cache = Cache::default();
    for look in ["cold", "warm"] {
        let start = Instant::now();
        let loaded = load_cached(&options, &mut cache).unwrap();
        println!("{look}: {:?} for {} legs in 100 files", start.elapsed(), loaded.samples);
        assert_eq!(loaded.samples, 5_000);
    }
    let start = Instant::now();
    let other = LoadOptions { revision: Some(2), ..options.clone() };
    assert_eq!(load_cached(&other, &mut cache).unwrap().samples, 0);
    println!("another revision: {:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(load(&options).unwrap().health.pairs, 2_500);
    println!("again without a cache: {:?}", start.elapsed());
}
