//! TLS through rustls: what the operator's files say, and one connection's side of it.
//!
//! ```text
//!   [tls] ──files──▶ Tls (shared, replaced on SIGHUP) ──accept──▶ Channel (one a connection, a layer of its link)
//!                                                                    └──▶ TlsFacts: what a login can rest on
//! ```
//!
//! - TLS 1.2 and 1.3, with rustls's own choice of suites: all have forward secrecy. No ALPN: MUPDATE has no name for it.
//! - A backend of Cyrus connects anew for every operation, so sessions are resumed, by **tickets** and nothing else:
//!   they cost no memory however many clients there are, where a cache would have to forget under a storm, just when it is
//!   needed. Their keys are drawn at the start, change every six hours, and are drawn anew when the files change: who was
//!   trusted by a CA that is gone cannot come back by a ticket.
//! - No early data: it could be replayed, and a command is not to be carried out twice.

mod certificate;
mod channel;
mod files;
#[cfg(feature = "harness")]
#[doc(hidden)]
pub mod harness;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::SystemTime};

use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    server::{NoClientAuth, NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tracing::{error, warn};

pub use self::channel::{Channel, TlsError};
use self::{
    certificate::Certificate,
    files::{Files, Fingerprint},
};
use crate::{
    config::{ClientCertificates, Config, TlsSettings, TlsVersion},
    exit::{Code, Fatal},
};

/// TLS as it is configured: what a connection needs to accept a handshake.
pub struct Tls {
    config: Arc<ServerConfig>,
    /// The channel binding `tls-server-end-point`.
    end_point: Option<Vec<u8>>,
    /// Until when the certificate is valid.
    expires: Option<SystemTime>,
    /// What all of this was made of.
    fingerprint: Fingerprint,
    /// Sentences for the log.
    remarks: Vec<Remark>,
}

/// Something about the files that works, but will not for long, or should not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// To be put right soon.
    Warning(String),
    /// Clients that look at it will refuse it: an error, where nobody has to be served.
    Refused(String),
}

impl Tls {
    /// What `[tls]` of a configuration says; `None` if it has no certificate. `current` is what is in force: if the files
    /// are what they were then, it stays, and its tickets with it.
    ///
    /// # Errors
    /// A file is missing, cannot be read, or is not what it should be: one line that says what to do.
    pub fn load(config: &Config, current: Option<&Arc<Self>>) -> Result<Option<Arc<Self>>, Fatal> {
        let settings = &config.tls;
        let Some((certificate, key)) = settings.certificate.as_deref().zip(settings.key.as_deref()) else {
            return match config {
                _ if !config.listen_tls.is_empty() => Err(no_certificate("listen_tls")),
                _ if config.admin.needs_tls() => Err(no_certificate("admin.listen")),
                _ => Ok(None),
            };
        };
        let files = Files::read(certificate, key, settings.client_ca.as_deref())?;
        let fingerprint = files.fingerprint(settings);
        if let Some(same) = current.filter(|current| current.fingerprint == fingerprint) {
            return Ok(Some(Arc::clone(same)));
        }
        Self::new(settings, &files, fingerprint, SystemTime::now()).map(|tls| Some(Arc::new(tls)))
    }

    fn new(
        settings: &TlsSettings,
        files: &Files,
        fingerprint: Fingerprint,
        now: SystemTime,
    ) -> Result<Self, Fatal> {
        let provider = Arc::new(ring::default_provider());
        let chain = files.chain()?;
        let certificate = Certificate::parse(&chain[0]);
        let mut remarks = Vec::from_iter(files.key_remark());
        remarks.extend(
            certificate.as_ref().and_then(|certificate| {
                certificate.remark(now).map(|remark| remark.about(&files.certificate))
            }),
        );
        let pair = CertifiedKey::from_der(chain, files.private_key()?, &provider)
            .map_err(|error| files.no_pair(&error))?;
        let verifier: Arc<dyn ClientCertVerifier> = match settings.client_certificates {
            ClientCertificates::Off => Arc::new(NoClientAuth),
            which => {
                let roots: Arc<RootCertStore> = Arc::new(files.roots()?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
                let verifier = match which {
                    ClientCertificates::Optional => verifier.allow_unauthenticated(),
                    ClientCertificates::Off | ClientCertificates::Required => verifier,
                };
                verifier.build().map_err(|error| files.no_roots(&error))?
            }
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions(settings.minimum_version))
            .map_err(|error| refused(&error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(pair)));
        config.ticketer = ring::Ticketer::new().map_err(|error| refused(&error))?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let expires = certificate.as_ref().map(Certificate::expires);
        let end_point = certificate.and_then(|certificate| certificate.end_point());
        Ok(Self { config: Arc::new(config), end_point, expires, fingerprint, remarks })
    }

    /// The server's side of a fresh connection.
    ///
    /// # Errors
    /// The system gives no random octets.
    pub fn accept(self: &Arc<Self>) -> Result<Channel, TlsError> {
        Channel::new(Arc::clone(self))
    }

    /// Until when the certificate is valid, if that can be read from it.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// What an operator should know about the files.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// Tell the log.
    ///
    /// A certificate that has expired is served all the same: Cyrus's clients do not look at it, and a murder that does
    /// not come back after a reboot is worse than a bad certificate. `check-config` refuses it.
    pub fn log_remarks(&self) {
        for remark in &self.remarks {
            match remark {
                Remark::Warning(text) => warn!("{text}"),
                Remark::Refused(text) => error!("{text}"),
            }
        }
    }
}

impl Remark {
    fn about(self, path: &std::path::Path) -> Self {
        let path = path.display();
        match self {
            Self::Warning(text) => Self::Warning(format!("{path}: {text}")),
            Self::Refused(text) => Self::Refused(format!("{path}: {text}")),
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("remarks", &self.remarks).finish_non_exhaustive()
    }
}

fn versions(minimum: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match minimum {
        TlsVersion::Tls12 => &BOTH,
        TlsVersion::Tls13 => &BOTH[..1],
    }
}

fn no_certificate(listener: &str) -> Fatal {
    let text = format!("{listener} has no certificate to show; set certificate and key in [tls]");
    Fatal::new(Code::Config, text)
}

fn refused(error: &rustls::Error) -> Fatal {
    Fatal::new(
        Code::OsErr,
        format!("cannot prepare for TLS: {error}; are there enough memory and random octets?"),
    )
}
