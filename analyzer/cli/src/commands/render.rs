//! `weir render`: a policy, or all experiments of a document, as what an environment installs, and the module as an OCI image
//! layout.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use weir_envoy::{Environment, ManifestFile, Place, find_filter, oci};

use crate::arguments::{RenderArguments, RenderFor};
use crate::commands::documents::{self, Traffic};
use crate::exit::{Exit, Failure, OrExit, Outcome, failure};
use crate::say::{say, say_text};

/// Runs the command.
pub(crate) fn run(arguments: &RenderArguments) -> Outcome {
    let module = find_filter(arguments.filter.as_deref()).or_usage()?;
    let bytes = fs::read(&module).map_err(|error| unreadable(&module, &error))?;
    if let Some(folder) = &arguments.oci {
        let files = oci::layout(&bytes, env!("CARGO_PKG_VERSION")).or_data()?;
        oci::write(folder, &files).map_err(|error| unwritable(folder, &error))?;
        eprintln!("{}: image sha256 {}", folder.display(), oci::image_sha256(&bytes));
    }
    let (Some(policy), Some(environment)) = (&arguments.policy, arguments.environment) else {
        return Ok(Exit::Pass);
    };
    let name = policy.display().to_string();
    let traffic = documents::read(policy, arguments.which.experiment.as_deref())?;
    let environment = match environment {
        RenderFor::Envoy => Environment::Envoy,
        RenderFor::EnvoyEcds => Environment::EnvoyEcds,
        RenderFor::Istio => Environment::Istio,
        RenderFor::EnvoyGateway => Environment::EnvoyGateway,
    };
    let place = place(arguments, environment, module, &bytes)?;
    let files = match traffic {
        Traffic::Policy(policy) => weir_envoy::render(&name, &policy, environment, &place),
        Traffic::Experiments(document) => {
            weir_envoy::render_experiments(&name, &document, environment, &place)
        }
    };
    let files = files.or_usage()?;
    match &arguments.out {
        Some(folder) => write(folder, &files)?,
        None => print(&files),
    }
    Ok(Exit::Pass)
}

fn place(
    arguments: &RenderArguments,
    environment: Environment,
    module: PathBuf,
    bytes: &[u8],
) -> Result<Place, Failure> {
    let sha256 = oci::sha256(bytes);
    let in_pod = || PathBuf::from(format!("/etc/weir/{sha256}.wasm"));
    let module_path = match (&arguments.module_path, environment) {
        (Some(path), _) => path.clone(),
        (None, Environment::Envoy | Environment::EnvoyEcds) => module,
        (None, Environment::Istio | Environment::EnvoyGateway) => in_pod(),
    };
    Ok(Place {
        module_sha256: sha256,
        image_sha256: oci::image_sha256(bytes),
        module_path,
        image: arguments.image.clone(),
        listen: arguments.listen,
        clusters: clusters(&arguments.clusters)?,
        control: arguments.control,
        candidate: arguments.candidate,
        collector: arguments.collector,
        ecds: arguments.ecds.clone(),
        namespace: arguments.namespace.clone(),
        gateway: arguments.gateway.clone(),
        service: arguments.service.clone(),
        service_port: arguments.service_port,
        collector_host: arguments.collector_host.clone(),
    })
}

/// Places by name; no name has two.
fn clusters(given: &[(String, String)]) -> Result<BTreeMap<String, String>, Failure> {
    let mut clusters = BTreeMap::new();
    for (name, place) in given {
        if let Some(other) = clusters.insert(name.clone(), place.clone()) {
            return Err(failure(
                Exit::Usage,
                format!("--cluster {name} is both {other} and {place}\n  hint: give each name once"),
            ));
        }
    }
    Ok(clusters)
}

fn write(folder: &Path, files: &[ManifestFile]) -> Result<(), Failure> {
    for file in files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| unwritable(parent, &error))?;
        fs::write(&path, &file.text).map_err(|error| unwritable(&path, &error))?;
        eprintln!("{}", path.display());
    }
    Ok(())
}

/// All files as one stream of documents, each under its path.
fn print(files: &[ManifestFile]) {
    for (index, file) in files.iter().enumerate() {
        if files.len() > 1 {
            let line = if index > 0 { "---\n" } else { "" };
            say!("{line}# {}", file.path);
        }
        say_text!("{}", file.text);
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    failure(Exit::Data, format!("{}: cannot be read: {error}", path.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    failure(Exit::Data, format!("{}: cannot be written: {error}", path.display()))
}
