//! Certificates and a client for tests.

use std::{
    fs, io,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore,
    client::Resumption,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use sha2::{Digest, Sha256};

/// The name in the certificates of servers.
pub const SERVER: &str = "mupdate.example.org";

const DAY: Duration = Duration::from_secs(86_400);

/// An authority that issues certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

impl Authority {
    /// A new authority of this name.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key()).expect("a certificate of an authority"))
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A server's certificate, valid from yesterday for that many days, which may be negative.
    pub fn server(&self, days: i64) -> Pair {
        let params = CertificateParams::new([SERVER.to_owned()]).expect("a host's name");
        self.issue(params, ExtendedKeyUsagePurpose::ServerAuth, days)
    }

    /// A client's certificate, likewise, with this common name and these alternative names: mail addresses have an `@`.
    pub fn client(&self, name: &str, others: &[&str], days: i64) -> Pair {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        for other in others {
            let text = (*other).try_into().expect("ASCII");
            params.subject_alt_names.push(match other.contains('@') {
                true => SanType::Rfc822Name(text),
                false => SanType::DnsName(text),
            });
        }
        self.issue(params, ExtendedKeyUsagePurpose::ClientAuth, days)
    }

    fn issue(&self, mut params: CertificateParams, purpose: ExtendedKeyUsagePurpose, days: i64) -> Pair {
        let end = DAY * u32::try_from(days.unsigned_abs()).expect("some days");
        let now = SystemTime::now();
        params.not_after = if days < 0 { now - end } else { now + end }.into();
        params.not_before = (SystemTime::from(params.not_after).min(now) - DAY).into();
        params.extended_key_usages = vec![purpose];
        let key = key();
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Pair { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Pair {
    /// Write both into a directory, as `certificate.pem` and `key.pem`, the key for its owner alone.
    ///
    /// # Errors
    /// The disk refuses them.
    pub fn write(&self, directory: &Path) -> io::Result<()> {
        fs::write(directory.join("certificate.pem"), &self.certificate)?;
        let key = directory.join("key.pem");
        fs::write(&key, &self.key)?;
        fs::set_permissions(key, fs::Permissions::from_mode(0o600))
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("random octets")
}

/// How a client connects: which version of TLS it speaks, whom it trusts, and the sessions that it can resume.
#[derive(Clone)]
pub struct Dialler(Arc<ClientConfig>);

impl Dialler {
    /// One that trusts servers of this authority, shows this certificate if asked, and speaks these versions.
    pub fn new(
        authority: &Authority,
        shows: Option<&Pair>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match shows {
            None => config.with_no_client_auth(),
            Some(pair) => {
                let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("PEM");
                config.with_client_auth_cert(vec![certificate], key).expect("a pair")
            }
        };
        config.resumption = Resumption::in_memory_sessions(8);
        Self(Arc::new(config))
    }

    /// TLS 1.2 and 1.3, without a certificate.
    pub fn both(authority: &Authority) -> Self {
        Self::showing(authority, None)
    }

    /// TLS 1.2 and 1.3, with this certificate.
    pub fn showing(authority: &Authority, shows: Option<&Pair>) -> Self {
        Self::new(authority, shows, rustls::ALL_VERSIONS)
    }

    /// A new connection.
    pub fn dial(&self) -> Caller {
        let name = ServerName::try_from(SERVER).expect("a host's name");
        let connection = ClientConnection::new(Arc::clone(&self.0), name).expect("a client");
        Caller(connection)
    }
}

/// The client's side of one TLS connection, without its socket.
pub struct Caller(ClientConnection);

impl Caller {
    /// Octets for the server that are due without being asked for: of the handshake, or an alert.
    pub fn due(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut wire).expect("memory takes whatever is written");
        }
        wire
    }

    /// Encrypt.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        self.0.writer().write_all(plain).expect("room for what a test says");
        self.due()
    }

    /// Decrypt; what is due in answer to it comes from [`due`](Self::due).
    ///
    /// # Errors
    /// What rustls says of it.
    pub fn open(&mut self, mut wire: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let mut plain = Vec::new();
        while !wire.is_empty() {
            if self.0.read_tls(&mut wire).expect("a slice is read") == 0 {
                break;
            }
            let readable = self.0.process_new_packets()?.plaintext_bytes_to_read();
            let start = plain.len();
            plain.resize(start + readable, 0);
            self.0.reader().read_exact(&mut plain[start..]).expect("as much as it said");
        }
        Ok(plain)
    }

    /// The server said that nothing more comes, before its last octets.
    pub fn ended(&mut self) -> bool {
        self.0.process_new_packets().is_ok_and(|state| state.peer_has_closed())
    }

    /// Say that nothing more comes.
    pub fn close(&mut self) -> Vec<u8> {
        self.0.send_close_notify();
        self.due()
    }

    /// The handshake is not complete.
    pub fn handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    /// An earlier session was resumed.
    pub fn resumed(&self) -> bool {
        self.0.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Which version of TLS.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.0.protocol_version()
    }

    /// The channel binding `tls-server-end-point`, of a certificate that is signed with SHA-256.
    pub fn server_end_point(&self) -> Vec<u8> {
        let shown = self.0.peer_certificates().and_then(<[_]>::first).expect("a server shows a certificate");
        Sha256::digest(shown).to_vec()
    }

    /// The channel binding `tls-exporter`, as the client computes it.
    pub fn exporter(&self) -> [u8; 32] {
        self.0.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b"")).expect("a handshake")
    }
}
