//! What the last embedding found, as a report carries it.

use jiff::Timestamp;
use weir_meaning::Findings;
use weir_meaning::drift::Sequential;
use weir_meaning::findings::{Exemplar, Map, Moved, Period, Point};
use weir_report::{
    Meaning, MeaningExemplar, MeaningGroup, MeaningPeriod, MeaningTest, PromptMap, PromptPoint,
};

/// The findings without their map, which stands beside them in a report.
#[must_use]
pub fn meaning(findings: &Findings) -> Meaning {
    Meaning {
        embedder: findings.embedder.clone(),
        diverged: findings.diverged(),
        sentence: findings.sentence(),
        revision: findings.revision,
        alpha: findings.alpha,
        pairs: findings.pairs as u64,
        noise_pairs: findings.noise_pairs as u64,
        without_text: findings.without_text as u64,
        distance: findings.distance,
        noise_distance: findings.noise_distance,
        tests: vec![
            test("beyond noise", &findings.beyond_noise),
            test("beyond noise, apart", &findings.beyond_noise_apart),
            test("other spread", &findings.systematic),
            test("common direction", &findings.mean_shift),
            test("served cohorts", &findings.cohorts),
        ],
        moved: findings.moved.iter().map(group).collect(),
        over_time: findings.over_time.iter().map(period).collect(),
        not_looked_at: findings.not_looked_at.clone(),
    }
}

/// The map of the prompts; its method names the embedder.
#[must_use]
pub fn prompt_map(map: &Map, embedder: &str) -> PromptMap {
    PromptMap {
        method: format!("{embedder}, first two principal directions"),
        clusters: map.clusters.clone(),
        points: map.points.iter().map(point).collect(),
    }
}

fn test(name: &str, test: &Sequential) -> MeaningTest {
    let last = test.looks.last();
    MeaningTest {
        name: name.to_owned(),
        detected: test.detected,
        n: last.map_or(0, |look| look.n as u64),
        statistic: last.map(|look| look.statistic),
        p: last.map(|look| look.p),
        level: last.map(|look| look.level),
    }
}

fn group(moved: &Moved) -> MeaningGroup {
    MeaningGroup {
        dimension: moved.dimension.clone(),
        value: moved.value.clone(),
        pairs: moved.pairs as u64,
        distance: moved.distance,
        noise_distance: moved.noise_distance,
        shift: moved.shift(),
        exemplars: moved.exemplars.iter().map(exemplar).collect(),
    }
}

fn exemplar(exemplar: &Exemplar) -> MeaningExemplar {
    MeaningExemplar {
        sample_id: exemplar.sample_id.clone(),
        distance: exemplar.distance,
        request_text: exemplar.request.clone(),
        control_text: exemplar.control.clone(),
        candidate_text: exemplar.candidate.clone(),
    }
}

fn period(period: &Period) -> MeaningPeriod {
    MeaningPeriod {
        // A time outside of the calendar is no time of a sample; it stays visible as what it is.
        from: Timestamp::from_microsecond(period.from_us)
            .map_or_else(|_| format!("{} us", period.from_us), |time| time.to_string()),
        pairs: period.pairs as u64,
        distance: period.distance,
        noise_distance: period.noise_distance,
    }
}

fn point(point: &Point) -> PromptPoint {
    PromptPoint {
        sample_id: point.sample_id.clone(),
        x: point.x,
        y: point.y,
        shift: point.distance,
        noise: point.noise_distance,
        cluster: Some(point.cluster),
        text: point.request.clone(),
    }
}
