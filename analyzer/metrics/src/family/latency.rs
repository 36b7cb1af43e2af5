//! How long an answer took: `latency_ms` and `ttft_ms` (time to the first byte of the body).
//!
//! Failed requests are left out: a quick error is no quick answer. Negative times come from broken clocks and are
//! missing.

use weir_gate::Better;

use super::amount;
use crate::answer::Answer;
use crate::metric::Metric;

pub(crate) fn metrics() -> Vec<Metric> {
    vec![
        amount("latency_ms", "ms", Better::Lower, |answer| time(answer, answer.latency_ms)),
        amount("ttft_ms", "ms", Better::Lower, |answer| time(answer, answer.ttft_ms)),
    ]
}

fn time(answer: &Answer<'_>, time_ms: Option<f64>) -> Option<f64> {
    time_ms.filter(|time_ms| *time_ms >= 0.0 && answer.failed() != Some(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_failed_requests_and_impossible_times_are_missing() {
        let cases = [
            (Some(200), Some(12.5), Some(12.5)),
            (None, Some(0.0), Some(0.0)),
            (Some(500), Some(1.0), None),
            (Some(200), Some(-3.0), None),
            (Some(200), Some(f64::NAN), None),
            (Some(200), Some(f64::INFINITY), None),
            (Some(200), None, None),
        ];
        for (status, latency_ms, expected) in cases {
            let answer = Answer { status, latency_ms, ttft_ms: latency_ms, ..Answer::default() };
            for metric in metrics() {
                assert_eq!(metric.value(&answer), expected, "{} {status:?} {latency_ms:?}", metric.name);
            }
        }
    }
}
