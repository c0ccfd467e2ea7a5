//! What certificates say: until when, by which signature, and whose they are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::{
    der::{
        Decode,
        asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef},
        oid::ObjectIdentifier,
    },
    ext::pkix::{SubjectAltName, name::GeneralName},
    name::Name,
};

use super::Remark;
use crate::auth::ClientCertificate;

/// How long before its end a certificate is warned about.
const SOON: Duration = Duration::from_secs(14 * 86_400);

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// A certificate that is read; whether it can be trusted is rustls's affair.
pub(super) struct Certificate {
    der: Vec<u8>,
    parsed: x509_cert::Certificate,
}

impl Certificate {
    /// `None` for what is no certificate.
    pub fn parse(der: &CertificateDer<'_>) -> Option<Self> {
        let parsed = x509_cert::Certificate::from_der(der).ok()?;
        Some(Self { der: der.to_vec(), parsed })
    }

    /// What there is to say about the time in which it is valid.
    pub fn remark(&self, now: SystemTime) -> Option<Remark> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let validity = self.parsed.tbs_certificate().validity();
        let (from, until) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
        if now < from {
            let text =
                format!("the certificate is not valid before {}; is the clock right?", validity.not_before);
            Some(Remark::Refused(text))
        } else if until < now {
            let text =
                format!("the certificate has expired, {}; get a new one and send SIGHUP", validity.not_after);
            Some(Remark::Refused(text))
        } else if until < now + SOON {
            let text = format!(
                "the certificate expires soon, {}; get a new one and send SIGHUP",
                validity.not_after
            );
            Some(Remark::Warning(text))
        } else {
            None
        }
    }

    /// Until when it is valid.
    pub fn expires(&self) -> SystemTime {
        UNIX_EPOCH + self.parsed.tbs_certificate().validity().not_after.to_unix_duration()
    }

    /// `tls-server-end-point` (RFC 5929 section 4.1): the certificate's hash, by the hash of its signature, or SHA-256 for
    /// the weak ones. Signatures without a hash of their own, such as Ed25519, have no such binding.
    pub fn end_point(&self) -> Option<Vec<u8>> {
        let signature = self.parsed.signature_algorithm().oid.to_string();
        Some(match signature.as_str() {
            // MD5, SHA-1 and SHA-256 with RSA; SHA-1 and SHA-256 with ECDSA.
            "1.2.840.113549.1.1.4"
            | "1.2.840.113549.1.1.5"
            | "1.2.840.113549.1.1.11"
            | "1.2.840.10045.4.1"
            | "1.2.840.10045.4.3.2" => Sha256::digest(&self.der).to_vec(),
            "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Sha384::digest(&self.der).to_vec(),
            "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Sha512::digest(&self.der).to_vec(),
            _ => return None,
        })
    }

    /// Whose it is, if it is a client's.
    pub fn client(&self) -> ClientCertificate {
        let tbs = self.parsed.tbs_certificate();
        let mut client =
            ClientCertificate { common_name: common_name(tbs.subject()), ..ClientCertificate::default() };
        if let Ok(Some((_, names))) = tbs.get_extension::<SubjectAltName>() {
            for name in names.0 {
                match name {
                    GeneralName::DnsName(name) => client.dns_names.push(name.to_string()),
                    GeneralName::Rfc822Name(name) => client.mail_addresses.push(name.to_string()),
                    _ => {}
                }
            }
        }
        client
    }
}

/// The last one, which is the most specific.
fn common_name(subject: &Name) -> Option<String> {
    let last = subject.iter().filter(|attribute| attribute.oid == COMMON_NAME).last()?;
    let value = &last.value;
    let text = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
    text.or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned()))
        .or_else(|_| value.decode_as::<Ia5StringRef<'_>>().map(|text| text.as_str().to_owned()))
        .ok()
}
