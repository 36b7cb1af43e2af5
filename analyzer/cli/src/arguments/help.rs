//! Examples for `--help` and the man pages. A test parses every one of them.

/// Examples of a command: a line with a dollar sign is typed, the one before it says why.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "validate",
        "Every problem of three documents at once:
  $ weir validate policy.yaml gates.yaml rollout.yaml
The schema, for an editor that completes and checks:
  $ weir validate --schema gates",
    ),
    (
        "assign",
        "Why does ada get the candidate?
  $ weir assign policy.yaml --header x-user-id=ada --header x-tier=beta
The same for a program:
  $ weir assign policy.yaml --header x-user-id=ada --output json",
    ),
    (
        "collect",
        "On this machine, for a filter whose sink is 127.0.0.1:4318:
  $ weir collect --data /var/lib/weir
Parquet every second, for a rollout that looks often:
  $ weir collect --data /var/lib/weir --flush-interval-ms 1000",
    ),
    (
        "import",
        "Logs of another gateway, one answer to a line:
  $ weir import --format jsonl logs.jsonl --data data --experiment support-answers",
    ),
    (
        "compact",
        "Every night, from cron: small files merged, 30 days and at most 200 GiB kept:
  $ weir compact --data /var/lib/weir --keep-days 30 --keep-bytes 200GiB",
    ),
    (
        "forget",
        "How much is there of user 4711? Then without --dry-run:
  $ weir forget --data /var/lib/weir --identity 4711 --policy policy.yaml --dry-run",
    ),
    (
        "analyze",
        "The verdict in the terminal; the exit code says it, too:
  $ weir analyze --data data --gates gates.yaml
One file to send round, and the report itself for later:
  $ weir analyze --data data --output-file report.html --output-file report.json
In CI: a comment, and the table in the log:
  $ weir analyze --data data --gates gates.yaml --output table --output-file comment.md
The last hour of one revision:
  $ weir analyze --data data --revision 7 --window 1h",
    ),
    (
        "plan",
        "What the built-in gates need, by control's own history:
  $ weir plan --data data --price-per-copy 0.004
Before there is any data, for a canary of 5 percent in three steps:
  $ weir plan --gates gates.yaml --baseline error=0.02 --baseline latency_ms=800,400 --requests-per-hour 3600 --candidate-percent 5 --steps 3",
    ),
    (
        "rehearse",
        "How often would these gates have fired on the last days, where nothing changed?
  $ weir rehearse --data data --gates gates.yaml --splits 500",
    ),
    (
        "embed",
        "How far are the answers apart, and what do tripwires see?
  $ weir embed --data data --embedder lexical
With a sentence model on disk:
  $ weir embed --data data --embedding-model all-MiniLM-L6-v2 --output json",
    ),
    (
        "judge",
        "What would it cost?
  $ weir judge --data data --rubric rubric.yaml --judge strict=gpt-4o@https://api.openai.com/v1 --price-prompt 2.5 --price-completion 10 --dry-run
Two judges, at most five of whatever the prices are in:
  $ weir judge --data data --rubric rubric.yaml --judge a=large@http://127.0.0.1:8000/v1 --judge b=small@http://127.0.0.1:8001/v1 --max-cost 5",
    ),
    (
        "label",
        "Twenty answers, without saying whose they are:
  $ weir label --data data --rubric rubric.yaml --by ada
  $ weir label --data data --rubric rubric.yaml --pairwise
Labels from elsewhere:
  $ weir label --data data --rubric rubric.yaml --from labels.jsonl",
    ),
    (
        "eval",
        "In CI; the exit code blocks:
  $ weir eval --golden golden.jsonl --control desk-1@http://127.0.0.1:8000/v1 --candidate desk-2@http://127.0.0.1:8001/v1 --junit golden.xml --markdown golden.md",
    ),
    (
        "golden",
        "Failures become cases:
  $ weir golden add golden.jsonl --data data
What does the set not cover?
  $ weir golden coverage golden.jsonl --data data --embedder lexical",
    ),
    (
        "watch",
        "The whole rollout, with a report at its end:
  $ weir watch --data data --policy policy.yaml --rollout rollout.yaml --gates gates.yaml --envoy ecds-file:/etc/envoy/ecds/weir.yaml,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:8080 --output-file report.html
With a judge beside the looks, for at most a thousand calls:
  $ weir watch --data data --policy policy.yaml --rollout rollout.yaml --gates gates.yaml --envoy ecds-file:/etc/envoy/ecds/weir.yaml,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:8080 --embedder lexical --rubric rubric.yaml --judge strict=gpt-4o@https://api.openai.com/v1 --max-calls 1000",
    ),
    (
        "push",
        "Push, and wait until Envoy and an answer show the revision:
  $ weir push policy.yaml --envoy ecds-file:/etc/envoy/ecds/weir.yaml,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:8080
One experiment of several; the others stay as they are:
  $ weir push experiments.yaml --experiment search-ranking --envoy ecds-file:/etc/envoy/ecds/weir.yaml,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:8080",
    ),
    (
        "rollback",
        "Now, with a reason for the record:
  $ weir rollback --data data --reason \"support reports wrong refunds\" --envoy ecds-file:/etc/envoy/ecds/weir.yaml,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:8080",
    ),
    (
        "status",
        "Where it stands, and what the proxies say:
  $ weir status --data data --envoy ecds-file:/etc/envoy/ecds/weir.yaml,admin=http://127.0.0.1:9901,probe=http://127.0.0.1:8080",
    ),
    ("history", "Every decision with its reason, for a program:\n  $ weir history --data data --output json"),
    ("approve", "A person agrees, and the rollout goes on:\n  $ weir approve --data data"),
    ("pause", "Stay at this step until somebody approves:\n  $ weir pause --data data"),
    (
        "render",
        "A bootstrap with the policy in a file that Envoy watches:
  $ weir render --for envoy-ecds policy.yaml --out envoy
Objects with kustomize overlays, the module pinned by its digest:
  $ weir render --for istio policy.yaml --image registry.example/weir-filter:1 --out istio
The module as an image layout:
  $ weir render --oci image",
    ),
    (
        "report",
        "A stored report as a page:
  $ weir report report.json --output-file report.html
What would these gates have said? The exit code is the verdict's:
  $ weir report report.json --gates stricter.yaml",
    ),
    (
        "demo",
        "A worse model, caught and rolled back:
  $ weir demo
The same model under two names must not be rolled back:
  $ weir demo --scenario same --seed 7",
    ),
    (
        "completions",
        "For this shell and the next ones:
  $ weir completions bash
  $ weir completions zsh",
    ),
    ("config", "Which data folder is meant here, and why?\n  $ weir config\nThe same for a program:\n  $ weir config --output json"),
];

/// Adds the examples to the long help of each command that has some.
pub(crate) fn with_examples(command: clap::Command) -> clap::Command {
    command.mut_subcommands(|command| match EXAMPLES.iter().find(|(name, _)| *name == command.get_name()) {
        Some((_, examples)) => command.after_long_help(format!("Examples:\n{examples}")),
        None => command,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::settings;

    /// Words as a shell splits them; quotation marks only around whole words.
    fn words(line: &str) -> Vec<String> {
        let mut words = Vec::new();
        for (number, part) in line.split('"').enumerate() {
            if number % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_example_is_a_command_line_that_weir_understands() {
        for (name, examples) in EXAMPLES {
            let typed: Vec<&str> =
                examples.lines().filter_map(|line| line.trim().strip_prefix("$ ")).collect();
            assert!(!typed.is_empty(), "{name}");
            for line in typed {
                let matches = settings::command().try_get_matches_from(words(line));
                let matches = matches.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!(matches.subcommand_name(), Some(*name), "{line}");
            }
        }
    }

    #[test]
    fn the_short_help_of_every_command_fits_a_screen() {
        for mut command in settings::command().get_subcommands().cloned() {
            let lines = command.render_help().to_string().lines().count();
            assert!(lines <= 45, "{}: {lines} lines", command.get_name());
        }
    }

    #[test]
    fn the_grammar_has_no_contradictions() {
        settings::command().debug_assert();
    }
}
