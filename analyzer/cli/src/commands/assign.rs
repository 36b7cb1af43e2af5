//! `weir assign`: the filter's own answer to "who gets what, and why".

use weir_policy::Request;

use crate::arguments::{AssignArguments, TextOrJson};
use crate::commands::read_text;
use crate::exit::{Exit, OrExit, Outcome};

/// Runs the command.
pub(crate) fn run(arguments: &AssignArguments) -> Outcome {
    let text = read_text(&arguments.policy)?;
    let policy = weir_policy::Policy::parse(&arguments.policy.display().to_string(), &text).or_usage()?;
    let path = arguments.path.iter().map(|path| (":path".to_owned(), path.clone()));
    let request = Request {
        headers: path.chain(arguments.headers.iter().cloned()).collect(),
        claims: arguments.claims.clone(),
        client_address: arguments.address.clone(),
    };
    let explanation = policy.explain(&policy.assign(&request));
    match arguments.output {
        TextOrJson::Text => println!("{explanation}"),
        TextOrJson::Json => println!("{}", serde_json::to_string_pretty(&explanation).or_data()?),
    }
    Ok(Exit::Pass)
}
