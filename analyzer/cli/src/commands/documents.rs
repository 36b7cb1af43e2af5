//! A policy out of a file that holds one, or one of several experiments.

use std::path::Path;

use weir_policy::{Experiments, PluginConfiguration, Policy};

use crate::commands::read_text;
use crate::exit::{Exit, Failure, OrExit, failure};

/// What a file says about traffic.
#[derive(Debug)]
pub(crate) enum Traffic {
    /// One policy: the file's, or that of the experiment that was named.
    Policy(Box<Policy>),
    /// Several experiments.
    Experiments(Experiments),
}

/// Reads a policy or several experiments; of several, the one of this name where there is a name.
pub(crate) fn read(path: &Path, experiment: Option<&str>) -> Result<Traffic, Failure> {
    let text = read_text(path)?;
    let name = path.display().to_string();
    let refuse =
        |message: String, hint: &str| Err(failure(Exit::Usage, format!("{name}: {message}\n  hint: {hint}")));
    match (PluginConfiguration::parse(&name, &text).or_usage()?, experiment) {
        (PluginConfiguration::Policy(policy), Some(wanted)) if policy.experiment != wanted => refuse(
            format!("is the policy of {}, not of {wanted}", policy.experiment),
            "leave --experiment away, or give the file that has it",
        ),
        (PluginConfiguration::Policy(policy), _) => Ok(Traffic::Policy(policy)),
        (PluginConfiguration::Experiments(experiments), None) => Ok(Traffic::Experiments(experiments)),
        (PluginConfiguration::Experiments(experiments), Some(wanted)) => {
            let found = experiments.experiments.iter().find(|policy| policy.experiment == wanted);
            match found {
                Some(policy) => Ok(Traffic::Policy(Box::new(policy.clone()))),
                None => refuse(
                    format!("has no experiment '{wanted}'; there: {}", names(&experiments)),
                    "name one of these with --experiment",
                ),
            }
        }
        (PluginConfiguration::Capture(_), _) => refuse(
            "captures on a cluster and is no policy".to_owned(),
            "give a file of kind Policy or Experiments",
        ),
    }
}

/// Reads one policy: a document of several experiments needs a name.
pub(crate) fn read_one(path: &Path, experiment: Option<&str>) -> Result<Policy, Failure> {
    match read(path, experiment)? {
        Traffic::Policy(policy) => Ok(*policy),
        Traffic::Experiments(experiments) => Err(failure(
            Exit::Usage,
            format!(
                "{}: has the experiments {}, and it has to be said which one is meant\n  hint: name it with --experiment",
                path.display(),
                names(&experiments)
            ),
        )),
    }
}

fn names(experiments: &Experiments) -> String {
    let names: Vec<&str> = experiments.experiments.iter().map(|policy| policy.experiment.as_str()).collect();
    names.join(", ")
}
