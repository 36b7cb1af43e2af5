//! What embeddings would say about the fixed reports.

use weir_report::{Meaning, MeaningExemplar, MeaningGroup, MeaningPeriod, MeaningTest};

/// Every text of it is `hostile`, where that is given.
pub(crate) fn meaning(hostile: Option<&str>) -> Meaning {
    let say = |text: &str| hostile.unwrap_or(text).to_owned();
    let exemplar = MeaningExemplar {
        sample_id: say("0197f2a0c4d2"),
        distance: 0.912,
        request_text: say("I want my money back"),
        control_text: say("You get it back within five days."),
        candidate_text: say("Our shop has many fine things, also for your garden."),
    };
    let group = |dimension: &str, value: &str, distance: f64, exemplars: Vec<MeaningExemplar>| MeaningGroup {
        dimension: say(dimension),
        value: say(value),
        pairs: 1_204,
        distance,
        noise_distance: Some(0.2114),
        shift: distance - 0.2114,
        exemplars,
    };
    let test = |name: &str, detected: bool, p: f64| MeaningTest {
        name: say(name),
        detected,
        n: 200,
        statistic: Some(0.25),
        p: Some(p),
        level: Some(0.05 / 12.0),
    };
    let period = |from: &str, distance: f64| MeaningPeriod {
        from: say(from),
        pairs: 741,
        distance,
        noise_distance: Some(0.21),
    };
    Meaning {
        embedder: say("onnx-all-MiniLM-L6-v2-8d1c2f5a90b3e764"),
        diverged: true,
        sentence: say(
            "answers moved beyond the model's own noise, in a common direction (cosine distance 0.412, control to itself 0.211, 1482 pairs, onnx-all-MiniLM-L6-v2-8d1c2f5a90b3e764)",
        ),
        revision: None,
        alpha: 0.05,
        pairs: 1_482,
        noise_pairs: 318,
        without_text: 6,
        distance: Some(0.412),
        noise_distance: Some(0.211),
        tests: vec![
            test("beyond noise", true, 0.0002),
            test("common direction", false, 0.31),
            MeaningTest { name: say("served cohorts"), ..MeaningTest::default() },
        ],
        moved: vec![
            group("cluster", "2: money, back, refund", 0.705, vec![exemplar]),
            group("tier", "beta", 0.31, Vec::new()),
        ],
        over_time: vec![period("2025-10-09T08:53:20Z", 0.403), period("2025-10-09T08:54:10Z", 0.421)],
        not_looked_at: vec![say("stretched: answers are 38 % shorter")],
    }
}
