//! Settings that several commands share: from the command line, the environment, a configuration file, in this order.
//!
//! The file is a document of kind `Config`: the one that WEIR_CONFIG names, else `weir.yaml` in the working folder, else
//! `weir/weir.yaml` in the user's configuration folder; only the first that is there is read. Its paths are relative to
//! its own folder. Its values become defaults of the arguments, so that there is one way to read a setting, and `--help`
//! shows them.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, CommandFactory as _, FromArgMatches as _};
use weir_document::document;

use crate::arguments::{Arguments, help};
use crate::exit::{Exit, Failure, OrExit as _, failure};

/// The variable that names the configuration file.
pub(crate) const CONFIG_VARIABLE: &str = "WEIR_CONFIG";

document! {
    /// Defaults of the command line.
    pub struct Config kind "Config" {
        /// The data folder.
        pub data: Option<String>,
        /// The experiment.
        pub experiment: Option<String>,
        /// The policy that a rollout starts from.
        pub policy: Option<String>,
        /// The gates.
        pub gates: Option<String>,
        /// The steps of the rollout.
        pub rollout: Option<String>,
        /// How the proxies get their policy and who confirms it.
        pub envoy: Option<String>,
        /// Where the collector listens.
        pub listen: Option<String>,
    }
}

/// A setting: what it is called in the file and as an option, its variable, whether it is a path, which commands have it.
pub(crate) struct Setting {
    /// Key in the file, and the option without its dashes.
    pub(crate) name: &'static str,
    /// The environment variable.
    pub(crate) variable: &'static str,
    path: bool,
    commands: &'static [&'static str],
    value: fn(&Config) -> Option<&String>,
}

/// Every setting.
pub(crate) const SETTINGS: [Setting; 7] = [
    Setting { name: "data", variable: "WEIR_DATA", path: true, commands: &[], value: |c| c.data.as_ref() },
    Setting {
        name: "experiment",
        variable: "WEIR_EXPERIMENT",
        path: false,
        commands: &["analyze", "plan", "rehearse", "status", "history", "approve", "pause"],
        value: |c| c.experiment.as_ref(),
    },
    Setting {
        name: "policy",
        variable: "WEIR_POLICY",
        path: true,
        commands: &["watch"],
        value: |c| c.policy.as_ref(),
    },
    Setting {
        name: "gates",
        variable: "WEIR_GATES",
        path: true,
        commands: &["analyze", "plan", "rehearse", "watch"],
        value: |c| c.gates.as_ref(),
    },
    Setting {
        name: "rollout",
        variable: "WEIR_ROLLOUT",
        path: true,
        commands: &["watch"],
        value: |c| c.rollout.as_ref(),
    },
    Setting {
        name: "envoy",
        variable: "WEIR_TARGET",
        path: false,
        commands: &["watch", "push", "rollback", "status"],
        value: |c| c.envoy.as_ref(),
    },
    Setting {
        name: "listen",
        variable: "WEIR_LISTEN",
        path: false,
        commands: &["collect"],
        value: |c| c.listen.as_ref(),
    },
];

impl Setting {
    fn is_of(&self, command: &str) -> bool {
        self.commands.is_empty() || self.commands.contains(&command)
    }
}

/// A configuration file as it was read.
#[derive(Debug)]
pub(crate) struct ConfigFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    config: Config,
}

impl ConfigFile {
    /// A setting's value; a relative path is one from the file's folder.
    pub(crate) fn value(&self, setting: &Setting) -> Option<String> {
        let value = (setting.value)(&self.config)?;
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Some(match folder {
            Some(folder) if setting.path => folder.join(value).display().to_string(),
            _ => value.clone(),
        })
    }
}

/// Where a file is looked for, the first that is there counts.
pub(crate) fn places() -> Vec<PathBuf> {
    let mut places = vec![PathBuf::from("weir.yaml")];
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".config"));
    let folder = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    places.extend(folder.or_else(home).map(|folder| folder.join("weir/weir.yaml")));
    places
}

/// The configuration file, if there is one.
///
/// # Errors
/// A file that WEIR_CONFIG names and that is not there, and one with problems (all of them).
pub(crate) fn config_file() -> Result<Option<ConfigFile>, Failure> {
    let named = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
    let Some(path) = named.clone().or_else(|| places().into_iter().find(|place| place.is_file())) else {
        return Ok(None);
    };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        let hint = if named.is_some() {
            format!("\n  hint: {CONFIG_VARIABLE} names this file")
        } else {
            String::new()
        };
        failure(Exit::Usage, format!("{}: cannot be read: {error}{hint}", path.display()))
    })?;
    let config = weir_document::read(&path.display().to_string(), &text).or_usage()?;
    Ok(Some(ConfigFile { path, config }))
}

/// What needs no settings, so that a broken file does not keep anybody from reading the help or from checking that file.
const WITHOUT_SETTINGS: [&str; 8] =
    ["help", "-h", "--help", "-V", "--version", "completions", "man", "validate"];

/// The grammar with variables and examples, without anybody's values: for help, completions and man pages.
pub(crate) fn command() -> clap::Command {
    let variables = Arguments::command().mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        command.mut_args(move |argument| match setting_of(&name, &argument) {
            Some(setting) => argument.env(setting.variable),
            None => argument,
        })
    });
    help::with_examples(variables)
}

/// The grammar with the file's values as defaults.
fn configured(file: &ConfigFile) -> clap::Command {
    command().mut_subcommands(|command| {
        let name = command.get_name().to_owned();
        command.mut_args(|argument| {
            let value = setting_of(&name, &argument).and_then(|setting| file.value(setting));
            match value {
                // The grammar lives as long as the process, and so do its few defaults.
                Some(value) => argument.default_value(&*value.leak()).required(false),
                None => argument,
            }
        })
    })
}

fn setting_of(command: &str, argument: &Arg) -> Option<&'static Setting> {
    let long = argument.get_long()?;
    SETTINGS.iter().find(|setting| setting.name == long && setting.is_of(command))
}

/// What was typed, completed by environment and file.
///
/// # Errors
/// The configuration file's problems. A wrong command line ends in clap's own error, help and version in their text.
pub(crate) fn parse() -> Result<Result<Arguments, clap::Error>, Failure> {
    let grammar_only =
        std::env::args_os().nth(1).is_none_or(|word| WITHOUT_SETTINGS.iter().any(|known| word == *known));
    let grammar = match config_file() {
        Ok(Some(file)) => configured(&file),
        Ok(None) => command(),
        Err(_) if grammar_only => command(),
        Err(failure) => return Err(failure),
    };
    let matches: Result<ArgMatches, clap::Error> = grammar.try_get_matches();
    Ok(matches.and_then(|matches| Arguments::from_arg_matches(&matches)))
}
