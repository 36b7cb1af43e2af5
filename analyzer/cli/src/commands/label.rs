//! `weir label`: people's scores of answers, or their preferences between two, and what they say of the judges.

use std::io::{BufRead, Write};

use weir_judge::Rubric;
use weir_judge::choice::{ChoiceOptions, Row, choose, choose_pairs};
use weir_judge::labels::{Label, append, calibrate, file, read_labels, read_labels_by};

use crate::arguments::LabelArguments;
use crate::commands::embed::experiment;
use crate::commands::judge::{read_rubric, undecided};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::say;

/// Runs the command.
pub(crate) fn run(arguments: &LabelArguments) -> Outcome {
    let rubric = read_rubric(&arguments.rubric)?;
    let data = &arguments.data.data;
    let experiment = experiment(data, arguments.data.experiment.as_deref())?;
    if let Some(from) = &arguments.from {
        if !from.is_file() {
            return Err(failure(Exit::Usage, format!("{}: is not a file", from.display())));
        }
        append(data, &read_labels_by(from, &rubric).or_usage()?).or_data()?;
    } else if arguments.pairwise {
        compare(arguments, &rubric, &experiment)?;
    } else {
        interview(arguments, &rubric, &experiment)?;
    }
    let labels = read_labels(&file(data)).or_data()?;
    report(&calibrate(data, &experiment, &labels).or_data()?);
    Ok(Exit::Pass)
}

/// Shows answers one by one, without saying whose they are, and keeps each score at once.
fn interview(arguments: &LabelArguments, rubric: &Rubric, experiment: &str) -> Result<(), Failure> {
    let labels = read_labels(&file(&arguments.data.data)).or_data()?;
    let rows = choose(&options(arguments, experiment)?, rubric, &labels).or_data()?;
    let (least, most) = (rubric.scale.minimum, rubric.scale.maximum);
    let parse = |typed: &str| typed.parse::<i64>().ok().filter(|score| (least..=most).contains(score));
    let mut typed = Typed::new();
    for (at, row) in rows.iter().take(arguments.count).enumerate() {
        let all = arguments.count.min(rows.len());
        eprintln!("\n--- {} of {all} ---\nasked:  {}\nanswer: {}", at + 1, row.request, row.answer);
        for criterion in &rubric.criteria {
            let question = format!("{} ({}) {least} to {most}", criterion.name, criterion.description);
            match typed.answer(
                &question,
                &format!("is not on the scale; allowed: {least} to {most}"),
                parse,
            )? {
                Said::Stop => return Ok(()),
                Said::Skip => {}
                Said::Answer(score) => {
                    let label = label(arguments, row, &criterion.name, rubric.share(score as f64));
                    append(&arguments.data.data, &[label]).or_data()?;
                }
            }
        }
    }
    Ok(())
}

/// Shows both answers of a request, in an order that says nothing, and keeps which is better.
fn compare(arguments: &LabelArguments, rubric: &Rubric, experiment: &str) -> Result<(), Failure> {
    let labels = read_labels(&file(&arguments.data.data)).or_data()?;
    let pairs = choose_pairs(&options(arguments, experiment)?, rubric, &labels).or_data()?;
    let parse = |typed: &str| match typed {
        "1" => Some(1.0),
        "2" => Some(0.0),
        "=" => Some(0.5),
        _ => None,
    };
    let mut typed = Typed::new();
    for (at, [first, second]) in pairs.iter().take(arguments.count).enumerate() {
        eprintln!(
            "\n--- {} of {} ---\nasked:    {}\nanswer 1: {}\nanswer 2: {}",
            at + 1,
            arguments.count.min(pairs.len()),
            first.request,
            first.answer,
            second.answer
        );
        for (criterion, of_pairs) in rubric.criteria.iter().zip(rubric.of_pairs().criteria) {
            let question = format!("{} ({}) better is 1, 2 or =", criterion.name, criterion.description);
            match typed.answer(&question, "is no answer; allowed: 1, 2, = for as good", parse)? {
                Said::Stop => return Ok(()),
                Said::Skip => {}
                Said::Answer(score) => {
                    let both = [
                        label(arguments, first, &of_pairs.name, score),
                        label(arguments, second, &of_pairs.name, 1.0 - score),
                    ];
                    append(&arguments.data.data, &both).or_data()?;
                }
            }
        }
    }
    Ok(())
}

fn options(arguments: &LabelArguments, experiment: &str) -> Result<ChoiceOptions, Failure> {
    let undecided = undecided(arguments.report.as_deref())?;
    Ok(ChoiceOptions {
        data_dir: arguments.data.data.clone(),
        experiment: experiment.to_owned(),
        count: arguments.count,
        seed: arguments.seed,
        criteria: undecided.criteria,
        segments: undecided.segments,
        pairs_only: false,
    })
}

fn label(arguments: &LabelArguments, row: &Row, criterion: &str, score: f64) -> Label {
    Label {
        sample_id: row.sample_id.clone(),
        leg: row.leg.clone(),
        criterion: criterion.to_owned(),
        score,
        by: arguments.by.clone(),
        probability: Some(row.probability),
    }
}

/// What was said to a question.
enum Said<T> {
    Answer(T),
    Skip,
    Stop,
}

/// What people type, line by line.
struct Typed(std::io::Lines<std::io::StdinLock<'static>>);

impl Typed {
    fn new() -> Self {
        Self(std::io::stdin().lock().lines())
    }

    /// Asks until there is an answer; the end of the input stops.
    fn answer<T>(
        &mut self,
        question: &str,
        refused: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Said<T>, Failure> {
        loop {
            eprint!("{question}, s to skip, q to stop: ");
            let _ = std::io::stderr().flush();
            let Some(line) = self.0.next() else { return Ok(Said::Stop) };
            let line = line.or_data()?;
            match (line.trim(), parse(line.trim())) {
                ("q", _) => return Ok(Said::Stop),
                ("s", _) => return Ok(Said::Skip),
                (_, Some(answer)) => return Ok(Said::Answer(answer)),
                (text, None) => eprintln!("{text:?} {refused}, s, q"),
            }
        }
    }
}

/// What people's labels say of the judges.
pub(crate) fn report(calibration: &weir_judge::labels::Calibration) {
    for note in &calibration.notes {
        eprintln!("warning: {note}");
    }
    for trust in &calibration.trust {
        let word = if trust.calibrated { "calibrated" } else { "not calibrated: can roll back, not promote" };
        say!("judge {} of {}: {word} ({})", trust.judge, trust.criterion, trust.text);
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.3}"));
        say!(
            "  agreement {}  kappa {}  alpha {}  bias control {}  candidate {}  error with length {}",
            number(trust.agreement),
            number(trust.kappa),
            number(trust.alpha),
            number(trust.bias.0),
            number(trust.bias.1),
            number(trust.length_bias)
        );
        if let Some(position) = &trust.position {
            say!(
                "  order: {} of {} pairs changed with it; the first is preferred by {:.3}",
                position.flips,
                position.pairs,
                position.first
            );
        }
        if let Some(twice) = &trust.twice {
            say!(
                "  asked twice: the same score for {} of {} answers, mean difference {:.3}",
                twice.same,
                twice.answers,
                twice.difference
            );
        }
        for part in trust.parts.iter().filter(|part| part.labels > 0) {
            say!(
                "  {:<28} {:>5} labels  agreement {}  kappa {}  bias {}  error with length {}",
                part.of,
                part.labels,
                number(part.agreement),
                number(part.kappa),
                number(part.bias),
                number(part.length_bias)
            );
        }
        if let Some(corrected) = &trust.corrected {
            let (low, high) = corrected.interval();
            say!(
                "  candidate - control as people would score: {:+.3} [{low:+.3}, {high:+.3}] ({} + {} labels)",
                corrected.mean,
                trust.labels.0,
                trust.labels.1
            );
        }
    }
}
