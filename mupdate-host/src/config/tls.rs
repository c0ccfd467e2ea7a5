//! `[tls]`: what is shown to clients, and what they have to show.

use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::read::{Section, text};

/// TLS: `[tls]`. Without a certificate there is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// PEM file of our certificate and of those that lead to its CA.
    pub certificate: Option<PathBuf>,
    /// PEM file of its key.
    pub key: Option<PathBuf>,
    /// PEM file of the CAs that are believed about clients.
    pub client_ca: Option<PathBuf>,
    /// Whether clients show certificates.
    pub client_certificates: ClientCertificates,
    /// The oldest version that is spoken.
    pub minimum_version: TlsVersion,
}

/// Whether clients show certificates: `tls.client_certificates`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and one that shows a bad one is refused.
    Optional,
    /// None comes in without.
    Required,
}

/// A version of TLS: `tls.minimum_version`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    #[default]
    Tls12,
    /// TLS 1.3
    Tls13,
}

impl ClientCertificates {
    /// As the file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Required => "required",
        }
    }
}

impl TlsVersion {
    /// As the file says it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl TlsSettings {
    /// STARTTLS can be offered.
    pub fn is_on(&self) -> bool {
        self.certificate.is_some()
    }

    /// Relative paths count from this directory.
    pub(super) fn relative_to(&mut self, directory: &Path) {
        for path in [&mut self.certificate, &mut self.key, &mut self.client_ca].into_iter().flatten() {
            *path = directory.join(&path);
        }
    }

    pub(super) fn read(&mut self, table: &Section<'_, '_>) {
        table.read("certificate", &mut self.certificate, file);
        table.read("key", &mut self.key, file);
        table.read("client_ca", &mut self.client_ca, file);
        table.read("client_certificates", &mut self.client_certificates, |value| {
            match text(value)?.as_str() {
                "off" => Ok(ClientCertificates::Off),
                "optional" => Ok(ClientCertificates::Optional),
                "required" => Ok(ClientCertificates::Required),
                _ => Err("allowed: \"off\", \"optional\" or \"required\"".into()),
            }
        });
        table.read("minimum_version", &mut self.minimum_version, |value| match text(value)?.as_str() {
            "1.2" => Ok(TlsVersion::Tls12),
            "1.3" => Ok(TlsVersion::Tls13),
            _ => Err("allowed: \"1.2\" or \"1.3\"".into()),
        });
        table.require("certificate", "key", self.certificate.is_none() || self.key.is_some());
        table.require("key", "certificate", self.key.is_none() || self.certificate.is_some());
        table.require("client_ca", "certificate", self.client_ca.is_none() || self.certificate.is_some());
        let asks = self.client_certificates != ClientCertificates::Off;
        table.require("client_certificates", "client_ca", !asks || self.client_ca.is_some());
    }
}

/// A file's path; an empty one is none.
fn file(value: &DeValue<'_>) -> Result<Option<PathBuf>, String> {
    text(value).map(|path| Some(PathBuf::from(path)).filter(|path| !path.as_os_str().is_empty()))
}
