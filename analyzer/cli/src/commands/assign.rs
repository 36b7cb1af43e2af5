//! `weir assign`: the filter's own answer to "who gets what, and why".

use weir_policy::{PluginConfiguration, Policy, Request};

use crate::arguments::{AssignArguments, TextOrJson};
use crate::commands::read_text;
use crate::exit::{Exit, OrExit, Outcome};
use crate::say::say;

/// Runs the command.
pub(crate) fn run(arguments: &AssignArguments) -> Outcome {
    let text = read_text(&arguments.policy)?;
    let name = arguments.policy.display().to_string();
    let path = arguments.path.iter().map(|path| (":path".to_owned(), path.clone()));
    let request = Request {
        headers: path.chain(arguments.headers.iter().cloned()).collect(),
        claims: arguments.claims.clone(),
        client_address: arguments.address.clone(),
    };
    let several = match PluginConfiguration::parse(&name, &text).or_usage()? {
        PluginConfiguration::Experiments(experiments) => experiments.answering(&request).cloned(),
        _ => None,
    };
    let policy = match several {
        Some(policy) => policy,
        // What is neither is refused here.
        None => Policy::parse(&name, &text).or_usage()?,
    };
    let explanation = policy.explain(&policy.assign(&request));
    match arguments.output {
        TextOrJson::Text => say!("{explanation}"),
        TextOrJson::Json => say!("{}", serde_json::to_string_pretty(&explanation).or_data()?),
    }
    Ok(Exit::Pass)
}
