//! The live view of a rollout: what is known in, lines out. Pure, so that the same moment gives the same lines.
//!
//! Limits: lines are at most as wide as asked for (60 to 200 columns) and at most as many as the terminal is high; gates
//! that do not fit are counted by outcome, those that speak against the candidate stay. Colour only repeats a word.

use std::collections::BTreeMap;

use weir_gate::{Comparison, Evaluation, GateResult, Outcome, Verdict};

use crate::escape::{shorten, terminal};
use crate::numbers::{self, count};
use crate::screen::time_left;
use crate::table::{Page, Paint, gate_header, gate_row, plot_columns, row_columns};
use crate::words;

/// Columns of a gate's history of widths.
const HISTORY_COLUMNS: usize = 12;
const SHARE_COLUMNS: usize = 24;
/// From here on a gate's history stands beside its plot.
const WIDE_COLUMNS: usize = 140;
/// Gates that are named in what is still missing.
const NAMED_MAX: usize = 2;
/// Lines of a reason.
const REASON_LINES_MAX: usize = 3;

/// What is known while a rollout is watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveView {
    /// The experiment.
    pub experiment: String,
    /// Names of the steps, in order.
    pub steps: Vec<String>,
    /// Index of the current step.
    pub step: Option<usize>,
    /// What the candidate serves of each cohort of the step, in percent.
    pub candidate_percent: f64,
    /// Since all proxies confirmed the step, in seconds.
    pub in_step_s: Option<f64>,
    /// The revision that was written last.
    pub revision: u64,
    /// The proxies.
    pub proxies: LiveProxies,
    /// What the last look at this revision saw; none before the first one.
    pub evidence: Option<LiveEvidence>,
    /// What lets the step be passed.
    pub next: LiveNext,
    /// What went wrong last and is not repaired yet.
    pub trouble: Option<String>,
}

/// Who has confirmed the revision.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveProxies {
    /// How many there are.
    pub all: usize,
    /// How many of them serve the revision.
    pub confirmed: usize,
    /// The one that took longest, and how long after the decision, in milliseconds.
    pub slowest: Option<(String, f64)>,
}

/// A look and what looks before it say about speed.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveEvidence {
    /// What the gates say.
    pub evaluation: Evaluation,
    /// What follows from it, in words.
    pub advice: String,
    /// How each gate closes, by its name.
    pub closing: BTreeMap<String, Closing>,
    /// Samples that come in each second, over the last looks.
    pub samples_per_second: Option<f64>,
    /// Pairs that come in each second, over the last looks.
    pub pairs_per_second: Option<f64>,
    /// Age of the newest sample, in seconds.
    pub newest_s: Option<f64>,
    /// How long the look took, in milliseconds.
    pub look_ms: f64,
    /// Looks at this revision so far.
    pub looks: u64,
}

/// How one gate's interval has closed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Closing {
    /// Half the interval's width at looks since the first one with an interval, the oldest first; in the metric's unit, or
    /// as a share of control for a relative gate.
    pub half_widths: Vec<f64>,
    /// Pairs (or answers of the smaller arm) that come in each second.
    pub per_second: Option<f64>,
}

/// What the current step needs besides its gates, and what comes then.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LiveNext {
    /// Least pairs in this step.
    pub minimum_pairs: u64,
    /// Least seconds in this step.
    pub minimum_s: u64,
    /// Undecided gates let the step pass (`advanceOn: no-breach`).
    pub undecided_passes: bool,
}

/// The view in lines of at most `width` columns and at most `height` of them.
#[must_use]
pub fn live_lines(view: &LiveView, width: usize, height: usize, colour: bool) -> Vec<String> {
    let width = width.clamp(60, 200);
    let mut page = Page { text: String::new(), width, colour };
    page.line(&"─".repeat(width));
    place(&mut page, view);
    share(&mut page, view);
    if let Some(evidence) = &view.evidence {
        samples(&mut page, evidence);
    }
    page.wrapped("  proxies  ", &proxies(&view.proxies, view.revision));
    page.wrapped("  next     ", &next(view));
    if let Some(trouble) = &view.trouble {
        page.wrapped("  trouble  ", &shorten(&terminal(trouble), 2 * width));
    }
    let head = lines(page);
    let Some(evidence) = &view.evidence else { return head };
    let foot = verdict(evidence, width, colour);
    // One line for the heading of the gates, one for the cursor below all of it.
    let left = height.saturating_sub(head.len() + foot.len() + 2).max(1);
    let gates = gates(evidence, width, colour, left);
    let legend = if gates.len() <= left { vec![legend(width, colour)] } else { Vec::new() };
    [head, gates, legend, foot].concat()
}

/// The lines of a page; a number and its unit stay together until here.
fn lines(page: Page) -> Vec<String> {
    page.text.lines().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// `14 s` that no line ends within.
fn together(text: &str) -> String {
    text.replace(' ', "\u{a0}")
}

/// `support-v2  step 2 of 3  shadow > [5 %] > 20 %`.
fn place(page: &mut Page, view: &LiveView) {
    let number = view.step.map_or_else(|| "-".to_owned(), |step| (step + 1).to_string());
    let name = shorten(&terminal(&view.experiment), 30);
    let head = format!("{name}  step {number} of {}  ", view.steps.len());
    let left = page.width.saturating_sub(head.chars().count());
    let line = head + &path(&view.steps, view.step, left);
    page.line(&line);
}

/// The steps with the current one in brackets; as many around it as there is room for.
fn path(steps: &[String], current: Option<usize>, room: usize) -> String {
    let drawn = |from: usize, to: usize| {
        let names = steps.iter().enumerate().take(to).skip(from).map(|(index, name)| {
            let name = shorten(&terminal(name), 24);
            if current == Some(index) { format!("[{name}]") } else { name }
        });
        let before = (from > 0).then(|| "…".to_owned());
        let after = (to < steps.len()).then(|| "…".to_owned());
        before.into_iter().chain(names).chain(after).collect::<Vec<_>>().join(" > ")
    };
    let at = current.unwrap_or(0).min(steps.len());
    let (mut from, mut to) = (at, (at + 1).min(steps.len()));
    loop {
        let wider = [(from, (to + 1).min(steps.len())), (from.saturating_sub(1), to)];
        let fits = |&(from_then, to_then): &(usize, usize)| {
            (from_then, to_then) != (from, to) && drawn(from_then, to_then).chars().count() <= room
        };
        match wider.into_iter().find(fits) {
            Some(found) => (from, to) = found,
            None => return shorten(&drawn(from, to), room),
        }
    }
}

fn share(page: &mut Page, view: &LiveView) {
    let share = (view.candidate_percent / 100.0).clamp(0.0, 1.0);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // a share of some columns
    let filled = (share * SHARE_COLUMNS as f64).ceil() as usize;
    let bar = "#".repeat(filled) + &" ".repeat(SHARE_COLUMNS.saturating_sub(filled));
    let since = view.in_step_s.map_or_else(String::new, |seconds| format!(", for {}", lasted(seconds)));
    let percent = numbers::trimmed_percent(share);
    page.wrapped("  share    ", &format!("[{bar}] the candidate serves {percent} %{since}"));
}

fn samples(page: &mut Page, evidence: &LiveEvidence) {
    let health = &evidence.evaluation.health;
    let rate = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!(" ({})", per_second(rate)));
    let samples = health.primary_control + health.primary_candidate + health.shadow + health.noise;
    page.wrapped(
        "  samples  ",
        &format!(
            "{}{}; {} pairs{}; served {} by control, {} by candidate; {} lost",
            count(samples),
            rate(evidence.samples_per_second),
            count(health.pairs),
            rate(evidence.pairs_per_second),
            count(health.primary_control),
            count(health.primary_candidate),
            count(health.sequence_gaps),
        ),
    );
    let newest = match evidence.newest_s {
        Some(age) => format!("the newest sample is {} old; ", precisely(age)),
        None => String::new(),
    };
    page.wrapped(
        "  lag      ",
        &format!("{newest}look {} took {:.0} ms", count(evidence.looks), evidence.look_ms),
    );
    if let Some(first) = health.problems.first() {
        let text = format!("{} of them; {}", health.problems.len(), terminal(first));
        page.wrapped("  problems ", &shorten(&text, 2 * page.width));
    }
}

fn proxies(proxies: &LiveProxies, revision: u64) -> String {
    let LiveProxies { all, confirmed, slowest } = proxies;
    let serve = if *all == 1 { "serves" } else { "serve" };
    let text = format!("{confirmed} of {all} {serve} revision {revision}");
    match slowest {
        Some((name, took_ms)) if confirmed == all => {
            let who = if *all == 1 { String::new() } else { format!(", the slowest {}", terminal(name)) };
            format!("{text}{who} after {took_ms:.0} ms")
        }
        _ if confirmed < all => format!("{text}; a step counts when all of them do"),
        _ => text,
    }
}

/// What the step still needs, and how long that takes at the present rate.
fn next(view: &LiveView) -> String {
    let Some(step) = view.step else { return "the rollout has not begun".to_owned() };
    let name = match view.steps.get(step + 1) {
        Some(name) => format!("'{}'", shorten(&terminal(name), 24)),
        None => "the end of the rollout".to_owned(),
    };
    let Some(evidence) = &view.evidence else {
        return format!("{name}; no look at the evidence of this revision yet");
    };
    match evidence.evaluation.verdict {
        Verdict::Rollback => return "back to control".to_owned(),
        Verdict::Investigate => return format!("{name}, after a person has looked at what moved"),
        Verdict::SignOff => return format!("{name}, after a person has signed off (weir approve)"),
        Verdict::Promote | Verdict::Hold => {}
    }
    let missing = missing(view, evidence);
    if missing.is_empty() {
        return match evidence.evaluation.verdict {
            Verdict::Promote => format!("{name}, now"),
            _ => format!("{name}, when the verdict is promote"),
        };
    }
    let when = missing
        .iter()
        .map(|part| part.seconds)
        .try_fold(0.0, |most: f64, seconds| seconds.map(|seconds| most.max(seconds)))
        .map_or_else(
            || ", no telling when".to_owned(),
            |seconds| format!(" in about {}", together(&time_left(seconds))),
        );
    let parts: Vec<&str> = missing.iter().map(|part| part.text.as_str()).collect();
    format!("{name}{when}; still open: {}", parts.join("; "))
}

/// One thing that the step needs, and in how many seconds it is there.
struct Missing {
    text: String,
    seconds: Option<f64>,
}

fn missing(view: &LiveView, evidence: &LiveEvidence) -> Vec<Missing> {
    let mut missing = Vec::new();
    let pairs = evidence.evaluation.health.pairs;
    if pairs < view.next.minimum_pairs {
        let more = view.next.minimum_pairs - pairs;
        missing.push(Missing {
            text: format!("{} of {} pairs", count(pairs), count(view.next.minimum_pairs)),
            seconds: seconds_for(more, evidence.pairs_per_second),
        });
    }
    #[allow(clippy::cast_precision_loss)] // seconds of a step
    let seconds = view.next.minimum_s as f64 - view.in_step_s.unwrap_or(0.0);
    if seconds > 0.0 {
        missing.push(Missing {
            text: format!(
                "{} left of the step's {}",
                together(&time_left(seconds)),
                together(&lasted(view.next.minimum_s as f64))
            ),
            seconds: Some(seconds),
        });
    }
    if !view.next.undecided_passes {
        open_gates(evidence, &mut missing);
    }
    missing
}

/// The gates that keep the step; the slowest first.
fn open_gates(evidence: &LiveEvidence, missing: &mut Vec<Missing>) {
    let is_open = |gate: &&GateResult| {
        matches!(gate.outcome, Outcome::Undecided | Outcome::NoData)
            && gate.severity != weir_gate::Severity::Advisory
    };
    let mut open: Vec<(&GateResult, Option<f64>)> = evidence
        .evaluation
        .gates
        .iter()
        .filter(is_open)
        .map(|gate| (gate, seconds_to_close(gate, evidence)))
        .collect();
    let slowness = |seconds: Option<f64>| seconds.unwrap_or(f64::INFINITY);
    open.sort_by(|left, right| slowness(right.1).total_cmp(&slowness(left.1)));
    for (gate, seconds) in open.iter().take(NAMED_MAX) {
        let name = shorten(&terminal(&gate.gate), 28);
        missing.push(Missing { text: format!("{name} {}", needs(gate, *seconds)), seconds: *seconds });
    }
    if let Some((_, seconds)) = open.get(NAMED_MAX) {
        let text = format!("{} more gates, sooner", open.len() - NAMED_MAX);
        missing.push(Missing { text, seconds: *seconds });
    }
}

fn seconds_to_close(gate: &GateResult, evidence: &LiveEvidence) -> Option<f64> {
    seconds_for(gate.needed_more?, evidence.closing.get(&gate.gate)?.per_second)
}

#[allow(clippy::cast_precision_loss)] // numbers of pairs
fn seconds_for(more: u64, per_second: Option<f64>) -> Option<f64> {
    per_second.filter(|rate| *rate > 0.0).map(|rate| more as f64 / rate)
}

/// `undecided, about 240 more pairs`.
fn needs(gate: &GateResult, seconds: Option<f64>) -> String {
    let unit = if gate.comparison == Comparison::Paired { "pairs" } else { "answers of each" };
    let time = seconds.map_or_else(String::new, |seconds| format!(", {}", together(&time_left(seconds))));
    match (gate.outcome, gate.needed_more) {
        (Outcome::NoData, _) => "has no data".to_owned(),
        (_, Some(more)) => format!("needs about {} more {unit}{time}", numbers::about(more)),
        (_, None) => "is not on its way inside its margin".to_owned(),
    }
}

/// What the signs of the plots mean.
fn legend(width: usize, colour: bool) -> String {
    let page = Page { text: String::new(), width, colour };
    page.paint("  ( ) interval, o estimate, : no change, ! margin, < > beyond", Paint::Quiet)
}

fn verdict(evidence: &LiveEvidence, width: usize, colour: bool) -> Vec<String> {
    let verdict = evidence.evaluation.verdict;
    let mut page = Page { text: String::new(), width, colour: false };
    let word = words::verdict(verdict).to_uppercase();
    page.wrapped(&format!("{word}  "), &terminal(&evidence.advice));
    let mut foot = lines(page);
    if foot.len() > REASON_LINES_MAX {
        foot.truncate(REASON_LINES_MAX);
        if let Some(last) = foot.last_mut() {
            *last = shorten(&format!("{last} …"), width);
        }
    }
    let painter = Page { text: String::new(), width, colour };
    if let Some(first) = foot.first_mut() {
        *first = first.replacen(&word, &painter.paint(&word, Paint::of(verdict)), 1);
    }
    foot
}

/// The gates with their intervals and how these close, in at most `height` lines and a heading.
fn gates(evidence: &LiveEvidence, width: usize, colour: bool, height: usize) -> Vec<String> {
    let page = Page { text: String::new(), width, colour };
    let columns = plot_columns(width);
    let blocks: Vec<Vec<String>> =
        evidence.evaluation.gates.iter().map(|gate| block(&page, gate, evidence, columns)).collect();
    let beside = if width >= WIDE_COLUMNS { "   closing since the first look" } else { "" };
    let heading = page.paint((gate_header(columns) + beside).trim_end(), Paint::Quiet);
    let shown = fitting(&evidence.evaluation.gates, &blocks, height);
    let mut lines = vec![heading];
    for (block, shown) in blocks.iter().zip(&shown) {
        lines.extend(block.iter().take(*shown).cloned());
    }
    let hidden = evidence.evaluation.gates.iter().zip(&shown).filter(|(_, shown)| **shown == 0);
    let hidden: Vec<&GateResult> = hidden.map(|(gate, _)| gate).collect();
    if !hidden.is_empty() {
        lines.push(shorten(&format!("  and {} more: {}", hidden.len(), by_outcome(&hidden)), width));
    }
    lines
}

/// A gate's row, and below it or beside it how its interval closes.
fn block(page: &Page, gate: &GateResult, evidence: &LiveEvidence, columns: usize) -> Vec<String> {
    let mut row = gate_row(page, gate, columns);
    let closing = evidence.closing.get(&gate.gate).filter(|_| gate.interval.is_some());
    let mut parts: Vec<String> = closing.and_then(|closing| narrowed(gate, closing)).into_iter().collect();
    if gate.outcome == Outcome::Undecided {
        parts.push(needs(gate, seconds_to_close(gate, evidence)));
    }
    let text = parts.join("; ").replace('\u{a0}', " ");
    if page.width >= WIDE_COLUMNS {
        let history = closing.map_or_else(String::new, |closing| history(&closing.half_widths));
        if words::plot(gate).is_none() {
            row.push_str(&" ".repeat(columns));
        }
        let used = row_columns(columns);
        let side = format!("   {history:<HISTORY_COLUMNS$}  {text}");
        return vec![
            (row + &shorten(side.trim_end(), page.width.saturating_sub(used))).trim_end().to_owned(),
        ];
    }
    if gate.outcome != Outcome::Undecided {
        return vec![row.trim_end().to_owned()];
    }
    let history = closing.map(|closing| history(&closing.half_widths)).filter(|drawn| !drawn.is_empty());
    let lead = history.map_or_else(String::new, |drawn| format!("{drawn}  "));
    vec![row.trim_end().to_owned(), shorten(&format!("    {lead}{text}"), page.width)]
}

/// `±1.3 pt, was ±4.2 pt`.
fn narrowed(gate: &GateResult, closing: &Closing) -> Option<String> {
    let (first, last) = (closing.half_widths.first()?, closing.half_widths.last()?);
    let size = |width: f64| format!("±{}", numbers::margin(&gate.unit, gate.relative, width));
    let was = if closing.half_widths.len() > 1 { format!(", was {}", size(*first)) } else { String::new() };
    Some(size(*last) + &was)
}

/// Widths over looks, the first one full: `▇▆▅▃▂▁`.
fn history(half_widths: &[f64]) -> String {
    const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let widest = half_widths.iter().copied().filter(|width| width.is_finite()).fold(0.0_f64, f64::max);
    let cells = half_widths.len().min(HISTORY_COLUMNS);
    let picked = (0..cells).filter_map(|cell| {
        // The first and the last look are always among them.
        let at = if cells > 1 { cell * (half_widths.len() - 1) / (cells - 1) } else { 0 };
        half_widths.get(at)
    });
    picked
        .map(|width| {
            let share = if widest > 0.0 { (width / widest).clamp(0.0, 1.0) } else { 0.0 };
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 0 to 7
            let step = (share * 7.0).round() as usize;
            STEPS.get(step).copied().unwrap_or('█')
        })
        .collect()
}

/// How many lines of each block fit: first one for each gate in the order of what it says, then the second ones.
fn fitting(gates: &[GateResult], blocks: &[Vec<String>], height: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..gates.len()).collect();
    order.sort_by_key(|at| gates.get(*at).map_or(9, |gate| words::outcome_rank(gate.outcome)));
    // What is hidden needs a line of its own.
    let mut left = if gates.len() > height { height.saturating_sub(1) } else { height };
    let mut shown = vec![0; blocks.len()];
    for line in 0..2 {
        for at in &order {
            let lines = blocks.get(*at).map_or(0, Vec::len);
            if let Some(shown) = shown.get_mut(*at)
                && left > 0
                && lines > line
                && *shown == line
            {
                *shown += 1;
                left -= 1;
            }
        }
    }
    shown
}

/// `30 inside, 8 undecided`.
fn by_outcome(gates: &[&GateResult]) -> String {
    let mut counts: BTreeMap<u8, (&str, usize)> = BTreeMap::new();
    for gate in gates {
        counts.entry(words::outcome_rank(gate.outcome)).or_insert((words::outcome(gate.outcome), 0)).1 += 1;
    }
    let counts: Vec<String> = counts.values().map(|(word, count)| format!("{count} {word}")).collect();
    counts.join(", ")
}

/// `18.4/s`, `1,204/s`.
fn per_second(rate: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // not negative
    let whole = rate.round() as u64;
    if rate < 100.0 { format!("{rate:.1}/s") } else { format!("{}/s", count(whole)) }
}

/// `1.2 s`, `45 s`, `3 min`.
fn precisely(seconds: f64) -> String {
    if seconds < 10.0 { format!("{seconds:.1} s") } else { lasted(seconds) }
}

/// `45 s`, `2 min 5 s`, `3 h 20 min`: rounded down.
fn lasted(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // far below 2^53, not negative
    let whole = seconds.max(0.0).floor() as u64;
    match whole {
        0..=99 => format!("{whole} s"),
        100..=5_999 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        100..=5_999 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}
