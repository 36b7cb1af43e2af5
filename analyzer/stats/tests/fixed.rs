//! Fixed-n tests against scipy and statsmodels (`reference/fixed.py`), and against examples that others have published.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use serde::Deserialize;
use weir_stats::StatsError;
use weir_stats::fixed::{
    Effect, KayentaClass, Tested, brunner_munzel, clustered_ratio, cramer_von_mises, e_benjamini_hochberg,
    holm, kayenta, kolmogorov_smirnov, mann_whitney, mcnemar, newcombe, paired_ratio, quantile_difference,
    sign_flip, stability_index, wasserstein, welch, wilcoxon_pratt,
};

#[derive(Deserialize)]
struct Reference {
    two: Vec<Two>,
    pairs: Vec<Paired>,
    flags: Vec<Flags>,
    shares: Vec<Shares>,
    clustered: Vec<Clustered>,
    holm: Holm,
}

#[derive(Deserialize)]
struct Two {
    name: String,
    first: Vec<f64>,
    second: Vec<f64>,
    welch: [f64; 2],
    mann_whitney: [f64; 2],
    brunner_munzel: [f64; 2],
    ks: [f64; 2],
    cvm: [f64; 2],
    wasserstein: f64,
    stability: Option<f64>,
    median: Option<[f64; 3]>,
}

#[derive(Deserialize)]
struct Paired {
    name: String,
    first: Vec<f64>,
    second: Vec<f64>,
    wilcoxon: [f64; 2],
    sign_flip: Option<f64>,
    ratio: [f64; 3],
}

#[derive(Deserialize)]
struct Flags {
    first: Vec<f64>,
    second: Vec<f64>,
    exact: f64,
    mid: f64,
}

#[derive(Deserialize)]
struct Shares {
    first: (u64, u64),
    second: (u64, u64),
    expected: [f64; 3],
}

#[derive(Deserialize)]
struct Clustered {
    first: Vec<(f64, f64)>,
    second: Vec<(f64, f64)>,
    expected: [f64; 3],
}

#[derive(Deserialize)]
struct Holm {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("reference/fixed.json")).unwrap()
}

/// Twelve significant digits.
#[track_caller]
fn same(name: &str, seen: f64, expected: f64) {
    let near = (seen - expected).abs() <= 1e-12 * expected.abs().max(1e-12);
    assert!(near, "{name}: {seen:e}, expected {expected:e}");
}

#[track_caller]
fn same_test(name: &str, seen: Tested, expected: [f64; 2]) {
    same(&format!("{name} statistic"), seen.statistic, expected[0]);
    same(&format!("{name} p"), seen.p, expected[1]);
}

#[track_caller]
fn same_effect(name: &str, seen: Effect, expected: [f64; 3]) {
    same(&format!("{name} value"), seen.value, expected[0]);
    same(&format!("{name} low"), seen.low, expected[1]);
    same(&format!("{name} high"), seen.high, expected[2]);
}

fn zip(first: &[f64], second: &[f64]) -> Vec<(f64, f64)> {
    first.iter().copied().zip(second.iter().copied()).collect()
}

#[test]
fn tests_of_two_samples_equal_scipys_to_twelve_digits() {
    for case in reference().two {
        let (first, second, name) = (&case.first, &case.second, &case.name);
        same_test(&format!("{name} welch"), welch(first, second).unwrap(), case.welch);
        same_test(&format!("{name} mann-whitney"), mann_whitney(first, second).unwrap(), case.mann_whitney);
        same_test(
            &format!("{name} brunner-munzel"),
            brunner_munzel(first, second).unwrap(),
            case.brunner_munzel,
        );
        same_test(&format!("{name} ks"), kolmogorov_smirnov(first, second).unwrap(), case.ks);
        let cvm = cramer_von_mises(first, second).unwrap();
        same(&format!("{name} cvm"), cvm.statistic, case.cvm[0]);
        // Both take p as 1 minus a number near 1: digits behind the twelfth place after the point are noise.
        assert!((cvm.p - case.cvm[1]).abs() < 1e-12, "{name}: {} {}", cvm.p, case.cvm[1]);
        same(&format!("{name} wasserstein"), wasserstein(first, second).unwrap(), case.wasserstein);
        if let (Some(stability), Some(median)) = (case.stability, case.median) {
            same(&format!("{name} stability"), stability_index(first, second).unwrap(), stability);
            same_effect(name, quantile_difference(first, second, 0.5, 0.05).unwrap(), median);
        }
    }
}

#[test]
fn tests_of_pairs_equal_scipys_to_twelve_digits() {
    for case in reference().pairs {
        let pairs = zip(&case.first, &case.second);
        same_test(&case.name, wilcoxon_pratt(&pairs).unwrap(), case.wilcoxon);
        same_effect(&case.name, paired_ratio(&pairs, 0.05).unwrap(), case.ratio);
        if let Some(p) = case.sign_flip {
            same(&case.name, sign_flip(&pairs, 0, 1).unwrap().p, p);
        }
    }
    for case in reference().flags {
        let seen = mcnemar(&zip(&case.first, &case.second)).unwrap();
        same("mcnemar exact", seen.exact_p, case.exact);
        same("mcnemar mid-p", seen.mid_p, case.mid);
    }
}

#[test]
fn intervals_of_shares_and_of_clustered_ratios_and_adjusted_p_equal_the_reference() {
    for case in reference().shares {
        same_effect("newcombe", newcombe(case.first, case.second, 0.05).unwrap(), case.expected);
    }
    for case in reference().clustered {
        same_effect("ratio", clustered_ratio(&case.first, &case.second, 0.05).unwrap(), case.expected);
    }
    let Holm { p, adjusted } = reference().holm;
    for (seen, expected) in holm(&p).into_iter().zip(adjusted) {
        same("holm", seen, expected);
    }
}

#[test]
fn e_values_fall_together_when_enough_of_them_are_large() {
    assert_eq!(e_benjamini_hochberg(&[1.0, 30.0, 50.0, 25.0], 0.1), [false, true, true, true]);
    assert_eq!(e_benjamini_hochberg(&[1.0, 9.0, 39.0, 19.0], 0.1), [false; 4]);
    assert_eq!(e_benjamini_hochberg(&[], 0.1), Vec::<bool>::new());
}

/// GSM8K's example solutions: 6b_verification is right and 175b_finetuning wrong in 209 questions, the reverse in 152.
#[test]
fn mcnemars_published_example_of_real_answers() {
    let pair = |first: f64, second: f64, n: usize| std::iter::repeat_n((first, second), n);
    let pairs: Vec<(f64, f64)> = pair(1.0, 0.0, 209)
        .chain(pair(0.0, 1.0, 152))
        .chain(pair(1.0, 1.0, 306))
        .chain(pair(0.0, 0.0, 652))
        .collect();
    let seen = mcnemar(&pairs).unwrap();
    assert_eq!((seen.only_first, seen.only_second), (209, 152));
    assert!((seen.exact_p - 0.00315).abs() < 5e-6, "{}", seen.exact_p);
    assert!(seen.mid_p < seen.exact_p);
}

#[test]
fn the_random_sign_flip_is_near_the_exact_one_and_repeats_with_its_seed() {
    // One more difference, so small that it hardly counts, makes the exact test a random one.
    let exact: Vec<(f64, f64)> = (0..20).map(|at| (0.0, f64::from(at % 7) - 2.2)).collect();
    let random: Vec<(f64, f64)> = exact.iter().copied().chain([(0.0, 1e-9)]).collect();
    let seen = sign_flip(&random, 20_000, 7).unwrap();
    assert_eq!(seen, sign_flip(&random, 20_000, 7).unwrap());
    let expected = sign_flip(&exact, 0, 0).unwrap().p;
    assert!((seen.p - expected).abs() < 0.02, "{} {expected}", seen.p);
    // Never 0, however extreme.
    let all_up: Vec<(f64, f64)> = (0..100).map(|_| (0.0, 1.0)).collect();
    assert!((sign_flip(&all_up, 999, 1).unwrap().p - 0.001).abs() < 1e-12);
}

#[test]
fn constant_tiny_and_broken_samples_are_answered_or_refused_and_never_a_panic() {
    let constant = [2.0, 2.0, 2.0];
    assert_eq!(welch(&constant, &constant).unwrap().p, 1.0);
    assert_eq!(welch(&constant, &[3.0, 3.0]).unwrap().p, 0.0);
    assert_eq!(mann_whitney(&constant, &constant).unwrap().p, 1.0);
    assert_eq!(brunner_munzel(&constant, &constant), Err(StatsError::NoSpread));
    assert_eq!(wasserstein(&constant, &[5.0]).unwrap(), 3.0);
    assert!(matches!(wilcoxon_pratt(&[(1.0, 1.0)]), Err(StatsError::TooFew { .. })));
    assert_eq!(mcnemar(&[(1.0, 1.0)]).unwrap().mid_p, 1.0);
    assert!(matches!(welch(&[1.0], &[2.0, 3.0]), Err(StatsError::TooFew { n: 1, minimum: 2 })));
    assert!(matches!(mann_whitney(&[f64::NAN], &[1.0]), Err(StatsError::NotFinite { index: 0 })));
    assert!(matches!(paired_ratio(&[(0.0, 1.0), (0.0, 2.0)], 0.05), Err(StatsError::NoRatio { .. })));
    assert!(matches!(quantile_difference(&[1.0; 5], &[1.0; 5], 0.99, 0.05), Err(StatsError::TooFew { .. })));
    assert!(matches!(newcombe((3, 2), (1, 2), 0.05), Err(StatsError::TooFew { .. })));
}

/// Samples of 30 and their classes as Kayenta's project publishes them (spinnaker/kayenta, `ClassifierSuite`: a tolerance of 0.10 at
/// a confidence of 0.95).
#[test]
fn kayentas_published_examples_get_their_published_classes() {
    #[rustfmt::skip]
    let near_ten = [
        9.776734312010946, 10.587071850477695, 7.837550638890177, 9.324332688611388, 8.377450540978442,
        8.935926439960628, 8.270766332472851, 9.748430812671693, 11.623746715547156, 9.275344267963394,
        8.153804774917152, 10.562020975754294, 13.498135575451835, 11.054419256110332, 6.953890359005509,
        12.52100834219548, 9.021635860354644, 4.923485669953166, 11.251360203607172, 11.598449508040337,
        8.435232204668182, 11.110228516867279, 10.70063380164755, 8.921277365211525, 10.086167067942661,
        11.42107515483087, 9.379234781364495, 7.798032014855259, 10.62339807275746, 11.909642062063739,
    ];
    #[rustfmt::skip]
    let ten = [
        11.1453586774086, 9.961805988559702, 7.068574306369829, 7.301266181048366, 9.794463026565673,
        9.60379186036873, 6.186779335033939, 12.345599159550174, 10.371891733859533, 8.609430078501672,
        9.913162673361084, 10.361375299003466, 14.206800387518818, 10.9461537547533, 10.215876627044048,
        11.739760899484603, 10.907627468626439, 12.823353694464775, 8.101860977173214, 8.498161640880493,
        12.113441374697231, 13.272210809932028, 10.114579381663297, 6.946395876797807, 6.210527854172778,
        10.160401684903775, 8.345771206645546, 8.383822063895833, 7.0020205070083765, 10.755757401808442,
    ];
    #[rustfmt::skip]
    let near_twenty = [
        20.878412601720026, 21.78550581191622, 19.70828084717019, 15.859946903461562, 19.51005877217684,
        19.392005525270303, 22.9265283149121, 17.156530276709894, 18.65511791622617, 23.422607911610392,
        24.055817684156644, 22.62689958516501, 21.979472967817678, 21.659318607218694, 20.067707574072426,
        22.119570836305414, 16.44037132663307, 21.55962282634127, 21.00018144348922, 17.779369411412663,
        17.806006358943584, 18.53720061838611, 20.555550300210797, 19.552928184468378, 21.771118944087092,
        21.809622806176627, 20.96176290990527, 20.97757157750302, 19.106303205498794, 16.97691896698708,
    ];
    #[rustfmt::skip]
    let twenty = [
        20.758113589510348, 22.80205962946456, 20.61234036349221, 20.973274654749986, 23.469237330498622,
        21.53133988954805, 21.767353687439805, 18.3080507303743, 19.062145167827566, 25.87949843600178,
        18.98262972633613, 19.387920182269266, 18.995398251246982, 24.228420230932805, 20.050985172694688,
        18.2340451091756, 17.870515494460435, 23.05810386380662, 18.400259567501134, 16.971352091177167,
        19.46752906605215, 17.90465423342031, 17.55394861782583, 16.104611843907193, 24.38171081433039,
        15.919294339922635, 20.479409626304697, 19.08307201492406, 17.455788050722866, 18.853826823235142,
    ];
    let class = |control: &[f64], candidate: &[f64]| kayenta(control, candidate, 0.10, 0.95).unwrap().class;
    assert_eq!(class(&ten, &near_ten), KayentaClass::Pass);
    assert_eq!(class(&ten, &near_twenty), KayentaClass::High);
    assert_eq!(class(&twenty, &near_ten), KayentaClass::Low);
    assert_eq!(class(&ten, &ten), KayentaClass::Pass);
    // Ties, the same values in another order, one zero ahead of ones; without values there is no class.
    assert_eq!(class(&[1.0; 2], &[1.0; 3]), KayentaClass::Pass);
    assert_eq!(class(&[5.0, 4.0, 3.0, 2.0, 1.0], &[1.0, 2.0, 3.0, 4.0, 5.0]), KayentaClass::Pass);
    assert_eq!(class(&[1.0; 5], &[0.0, 1.0, 1.0, 1.0, 1.0]), KayentaClass::Pass);
    assert!(kayenta(&[1.0, 2.0, 3.0, 4.0, 5.0], &[], 0.10, 0.95).is_err());
    // The estimate is the median of all differences, which is its definition.
    let seen = kayenta(&ten, &near_ten, 0.25, 0.98).unwrap();
    let mut differences: Vec<f64> = near_ten.iter().flat_map(|x| ten.iter().map(move |y| x - y)).collect();
    differences.sort_by(f64::total_cmp);
    let median = (differences[449] + differences[450]) / 2.0;
    assert!((seen.estimate - median).abs() < 0.02, "{} {median}", seen.estimate);
    assert!(seen.low < seen.estimate && seen.estimate < seen.high);
}

/// Facts of the field: on 0/1 flags per request this rule sees little, where a test of shares sees the same data clearly.
#[test]
fn on_flags_kayentas_rule_passes_what_a_test_of_shares_rejects() {
    let flags = |ones: usize| -> Vec<f64> { (0..1000).map(|at| f64::from(u8::from(at < ones))).collect() };
    let (control, candidate) = (flags(900), flags(858));
    assert!(newcombe((900, 1000), (858, 1000), 0.02).unwrap().high < 0.0);
    let seen = kayenta(&control, &candidate, 0.25, 0.98).unwrap();
    assert_eq!((seen.class, seen.low, seen.estimate, seen.high), (KayentaClass::Pass, 0.0, 0.0, 0.0));
}
