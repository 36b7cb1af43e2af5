//! `weir config`: every setting with its value and where that comes from.

use serde_json::json;

use crate::arguments::{ConfigArguments, TextOrJson};
use crate::exit::{Exit, OrExit as _, Outcome};
use crate::say::say;
use crate::settings::{self, CONFIG_VARIABLE, ConfigFile, SETTINGS, Setting};

/// A setting as it stands.
struct Found {
    name: &'static str,
    value: Option<String>,
    origin: String,
}

/// Runs the command.
pub(crate) fn run(arguments: &ConfigArguments) -> Outcome {
    let file = settings::config_file()?;
    let found: Vec<Found> = SETTINGS.iter().map(|setting| find(setting, file.as_ref())).collect();
    match arguments.output {
        TextOrJson::Text => print(&found, file.as_ref()),
        TextOrJson::Json => {
            let settings: Vec<serde_json::Value> = found
                .iter()
                .map(|one| json!({"name": one.name, "value": one.value, "origin": one.origin}))
                .collect();
            let file = file.as_ref().map(|file| file.path.display().to_string());
            let all = json!({"file": file, "settings": settings});
            say!("{}", serde_json::to_string_pretty(&all).or_data()?);
        }
    }
    Ok(Exit::Pass)
}

/// The environment counts before the file, as it does where the setting is used.
fn find(setting: &Setting, file: Option<&ConfigFile>) -> Found {
    let name = setting.name;
    if let Ok(value) = std::env::var(setting.variable) {
        return Found { name, value: Some(value), origin: format!("environment, {}", setting.variable) };
    }
    match file.and_then(|file| Some((file, file.value(setting)?))) {
        Some((file, value)) => {
            Found { name, value: Some(value), origin: format!("file, {}", file.path.display()) }
        }
        None => Found { name, value: None, origin: format!("not set; {} or --{name}", setting.variable) },
    }
}

fn print(found: &[Found], file: Option<&ConfigFile>) {
    match file {
        Some(file) => say!("file        {}", file.path.display()),
        None => {
            let places: Vec<String> =
                settings::places().iter().map(|place| place.display().to_string()).collect();
            say!("file        none; looked for {CONFIG_VARIABLE}, {}", places.join(", "));
        }
    }
    for one in found {
        match &one.value {
            Some(value) => say!("{:<11} {value}  ({})", one.name, one.origin),
            None => say!("{:<11} -  ({})", one.name, one.origin),
        }
    }
    say!("An option on the command line counts before all of these.");
}
