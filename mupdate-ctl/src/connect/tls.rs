//! TLS: whom we trust, and what we show.

use std::{io, path::Path, sync::Arc};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::stream::Stream;
use crate::{
    fail::{Code, Fail},
    options::Global,
};

/// Puts TLS around connections.
#[derive(Clone)]
pub struct Connector(Arc<ClientConfig>);

impl Connector {
    /// As the options say.
    ///
    /// # Errors
    /// A file cannot be read, or is none of its kind.
    pub fn new(global: &Global) -> Result<Self, Fail> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has suites for both versions of TLS")
            .with_root_certificates(roots(global.ca.as_deref())?);
        let config = match &global.certificate {
            None => config.with_no_client_auth(),
            Some(path) => {
                let key_path = global.key.as_deref().unwrap_or(path);
                let key = PrivateKeyDer::from_pem_file(key_path).map_err(|error| wrong(key_path, &error))?;
                config.with_client_auth_cert(certificates(path)?, key).map_err(|error| wrong(path, &error))?
            }
        };
        Ok(Self(Arc::new(config)))
    }

    /// Shakes hands with the server of this name.
    ///
    /// # Errors
    /// It is not the one that it has to be, or hands cannot be shaken.
    pub fn connect(&self, name: &str, stream: Stream) -> io::Result<Stream> {
        let Stream::Tcp(mut stream) = stream else { return Ok(stream) };
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let mut connection = ClientConnection::new(Arc::clone(&self.0), name).map_err(io::Error::other)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream)?;
        }
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Fail> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|error| wrong(path, &error))?;
            }
        }
        None => {
            // One that cannot be read vouches for nobody; the handshake says so.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Fail> {
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| wrong(path, &error))?.collect();
    match found {
        Ok(found) if found.is_empty() => Err(wrong(path, &"there is no certificate in it")),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong(path, &error)),
    }
}

fn wrong(path: &Path, error: &dyn std::fmt::Display) -> Fail {
    Fail::new(Code::NoInput, format!("{}: {error}", path.display()))
}

/// Why hands could not be shaken, and what may help.
pub fn advice(error: &io::Error) -> &'static str {
    let text = error.to_string();
    if text.contains("UnknownIssuer") {
        "; name the authority's certificate by --ca"
    } else if text.contains("not valid for") || text.contains("NotValidForName") {
        "; name the server as its certificate does, or say --tls-name"
    } else if text.contains("CertificateRequired") {
        "; the server wants a certificate: --certificate and --key"
    } else {
        ""
    }
}
