//! TLS 1.2 and 1.3 with rustls and ring; certificates, key and client authorities are files in PEM.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::watched::Watched;
use super::{AccessError, TlsFiles, unreadable};
use crate::status::LogSink;

type Make = Box<dyn Fn() -> Result<Arc<ServerConfig>, AccessError> + Send + Sync>;

pub(crate) struct Tls(Watched<Arc<ServerConfig>, Make>);

impl std::fmt::Debug for Tls {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("Tls")
    }
}

impl Tls {
    pub(crate) fn new(files: TlsFiles, log: &LogSink) -> Result<Self, AccessError> {
        let paths: Vec<PathBuf> = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let make: Make = Box::new(move || config(&files));
        Ok(Self(Watched::new(paths, make, log)?))
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&*self.0.get()))
    }
}

fn config(files: &TlsFiles) -> Result<Arc<ServerConfig>, AccessError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => wrong(&files.key, "holds no private key"),
        error => unreadable(&files.key, &error),
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&files.certificate, &error.to_string()))?;
    let builder = match &files.client_ca {
        None => versions.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(path, &format!("holds no authority: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            versions.with_client_cert_verifier(verifier.map_err(|error| wrong(path, &error.to_string()))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        wrong(&files.certificate, &format!("does not go with {}: {error}", files.key.display()))
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| unreadable(path, &error))?.collect();
    let found = found.map_err(|error| unreadable(path, &error))?;
    if found.is_empty() { Err(wrong(path, "holds no certificate")) } else { Ok(found) }
}

fn wrong(path: &Path, problem: &str) -> AccessError {
    AccessError {
        path: path.to_path_buf(),
        problem: problem.to_owned(),
        hint: "certificates and keys are files in PEM, as cert-manager and openssl write them",
    }
}
