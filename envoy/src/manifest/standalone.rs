//! Envoy without a control plane: its bootstrap, and the file that carries the policy.

use weir_policy::Policy;

use super::{ManifestFile, Place};
use crate::bootstrap::{Bootstrap, FilterSource, Names, Upstreams};
use crate::ecds_response;

/// Everything in the bootstrap.
pub(super) fn fixed(policy: &Policy, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let source = FilterSource::Static { policy_json: policy.to_json(), module: place.module_path.clone() };
    Ok(vec![bootstrap(policy, place, source), pin(place)])
}

/// The policy in a file that Envoy watches.
pub(super) fn ecds(policy: &Policy, place: &Place) -> Result<Vec<ManifestFile>, String> {
    let source = FilterSource::Ecds { file: place.ecds.clone(), module: place.module_path.clone() };
    let name = place.ecds.file_name().map_or_else(|| "weir.json".into(), |name| name.to_string_lossy());
    let text = ecds_response(&policy.to_json(), policy.revision, &place.module_path) + "\n";
    let carried = ManifestFile { path: name.into_owned(), text };
    Ok(vec![bootstrap(policy, place, source), carried, pin(place)])
}

fn bootstrap(policy: &Policy, place: &Place, source: FilterSource) -> ManifestFile {
    let upstreams =
        Upstreams { control: place.control, candidate: place.candidate, collector: place.collector };
    let mut bootstrap = Bootstrap::new(upstreams, source);
    bootstrap.names = Names::of(policy);
    bootstrap.mirrored = !policy.shadow.calls_out();
    bootstrap.listen = place.listen;
    bootstrap.admin_port = 9901;
    ManifestFile { path: "envoy.yaml".to_owned(), text: bootstrap.render() }
}

/// Envoy does not check a local module's digest; `sha256sum --check` does, before it starts.
fn pin(place: &Place) -> ManifestFile {
    let text = format!("{}  {}\n", place.module_sha256, place.module_path.display());
    ManifestFile { path: "SHA256SUMS".to_owned(), text }
}
