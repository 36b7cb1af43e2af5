//! What a change did, in words.

use weir_gate::Evaluation;

/// Verdict and outcomes that differ between two evaluations, as a sentence or two.
#[must_use]
pub fn difference(before: &Evaluation, after: &Evaluation) -> String {
    let mut said = if before.verdict == after.verdict {
        format!("Still {}.", after.verdict)
    } else {
        format!("{} instead of {}.", capital(after.verdict.as_str()), before.verdict)
    };
    let outcome = |evaluation: &Evaluation, name: &str| {
        evaluation.gates.iter().find(|gate| gate.gate == name).map(|gate| gate.outcome)
    };
    let mut changes: Vec<String> = Vec::new();
    for gate in &after.gates {
        match outcome(before, &gate.gate) {
            Some(old) if old == gate.outcome => {}
            Some(old) => changes.push(format!("{} {} (was {old})", gate.gate, gate.outcome)),
            None => changes.push(format!("{} {} (new)", gate.gate, gate.outcome)),
        }
    }
    for gate in &before.gates {
        if outcome(after, &gate.gate).is_none() {
            changes.push(format!("{} left out", gate.gate));
        }
    }
    if !changes.is_empty() {
        said.push_str(&format!(" {}.", capital(&changes.join("; "))));
    }
    said
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
