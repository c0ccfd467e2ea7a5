//! The operator's files: certificate, key, CA. Whatever is wrong with them is said in one line.

use std::{
    fmt::Display,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::Remark;
use crate::{
    config::TlsSettings,
    exit::{Code, Fatal},
};

/// Of the files and the settings: another one means another TLS.
pub(super) type Fingerprint = [u8; 32];

/// Permission bits of people who are neither the owner nor in the group.
const OTHERS: u32 = 0o007;

/// What was read, as it was.
pub(super) struct Files {
    pub certificate: PathBuf,
    certificate_pem: Vec<u8>,
    key: PathBuf,
    key_pem: Zeroizing<Vec<u8>>,
    key_mode: u32,
    ca: PathBuf,
    ca_pem: Vec<u8>,
}

impl Files {
    pub fn read(certificate: &Path, key: &Path, ca: Option<&Path>) -> Result<Self, Fatal> {
        Ok(Self {
            certificate: certificate.to_owned(),
            certificate_pem: read("tls.certificate", certificate)?,
            key: key.to_owned(),
            key_pem: Zeroizing::new(read("tls.key", key)?),
            key_mode: fs::metadata(key).map_or(0, |metadata| metadata.mode()),
            ca: ca.map(Path::to_owned).unwrap_or_default(),
            ca_pem: ca.map(|ca| read("tls.client_ca", ca)).transpose()?.unwrap_or_default(),
        })
    }

    pub fn fingerprint(&self, settings: &TlsSettings) -> Fingerprint {
        let mut hash = Sha256::new();
        for part in
            [&self.certificate_pem[..], &self.key_pem, &self.ca_pem, format!("{settings:?}").as_bytes()]
        {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().into()
    }

    /// Our certificate first, then those that lead to its CA; never empty.
    pub fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Fatal> {
        let advice = "tls.certificate is to name a PEM file with the certificate and those of its issuers";
        certificates(&self.certificate, &self.certificate_pem, advice)
    }

    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, Fatal> {
        PrivateKeyDer::from_pem_slice(&self.key_pem).map_err(|error| match error {
            pem::Error::NoItemsFound if contains(&self.key_pem, b"ENCRYPTED PRIVATE KEY") => {
                wrong(&self.key, "the key in it has a password", "decrypt it with `openssl pkey`")
            }
            pem::Error::NoItemsFound => wrong(
                &self.key,
                "there is no private key in it",
                "tls.key is to name a PEM file with the key of tls.certificate",
            ),
            error => wrong(&self.key, &error, "it has to be PEM"),
        })
    }

    /// Whom we believe about clients; never empty.
    pub fn roots(&self) -> Result<RootCertStore, Fatal> {
        let advice = "tls.client_ca is to name a PEM file with the CAs of client certificates";
        let mut roots = RootCertStore::empty();
        for root in certificates(&self.ca, &self.ca_pem, advice)? {
            roots
                .add(root)
                .map_err(|error| wrong(&self.ca, &error, "it has to be the certificate of a CA"))?;
        }
        Ok(roots)
    }

    /// The key, and the certificate that it does not belong to, or that cannot be understood.
    pub fn no_pair(&self, error: &rustls::Error) -> Fatal {
        let (certificate, key) = (self.certificate.display(), self.key.display());
        let text = match error {
            rustls::Error::InconsistentKeys(_) => format!(
                "the key in {key} does not belong to the certificate in {certificate}; name two that were made for each other, \
                 the certificate before those of its issuers"
            ),
            rustls::Error::InvalidCertificate(_) => {
                format!(
                    "{certificate}: the first certificate in it is damaged: {error}; get it anew from its CA"
                )
            }
            _ => format!(
                "{key}: the key cannot be used: {error}; RSA of 2048 bits or more, P-256, P-384 or Ed25519 are good"
            ),
        };
        Fatal::new(Code::Data, text)
    }

    pub fn no_roots(&self, error: &dyn Display) -> Fatal {
        wrong(&self.ca, error, "it has to be PEM, with the CAs of client certificates")
    }

    pub fn key_remark(&self) -> Option<Remark> {
        (self.key_mode & OTHERS != 0).then(|| {
            let key = self.key.display();
            Remark::Warning(format!("everybody on this host can get at the key in {key}; chmod o= {key}"))
        })
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>, Fatal> {
    fs::read(path).map_err(|error| Fatal::io("read", path, &error, &format!("{setting} names it")))
}

/// Never empty; `advice` is for a file that has none.
fn certificates(path: &Path, pem: &[u8], advice: &str) -> Result<Vec<CertificateDer<'static>>, Fatal> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(path, &error, "it has to be PEM"))?;
    if found.is_empty() { Err(wrong(path, "there is no certificate in it", advice)) } else { Ok(found) }
}

fn wrong(path: &Path, what: impl Display, advice: &str) -> Fatal {
    Fatal::new(Code::Data, format!("{}: {what}; {advice}", path.display()))
}

fn contains(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}
