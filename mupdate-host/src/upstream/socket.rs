//! A blocking socket, with TLS around it or without.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme,
    StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

/// A connection to the master.
pub(super) enum Socket {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    pub fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.sock,
        }
    }

    /// Shake hands. The certificate has to be for this name and of this authority, where one is given.
    pub fn shake_hands(self, name: &str, ca: Option<&Path>) -> Result<Self, String> {
        let Self::Plain(mut tcp) = self else { return Err("TLS is in place already".into()) };
        let config = client_config(ca)?;
        let name = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
        let mut connection = ClientConnection::new(config, name).map_err(|error| error.to_string())?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp).map_err(|error| format!("no TLS: {error}"))?;
        }
        Ok(Self::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }

    /// What a login by SCRAM is bound to, within TLS 1.3 (RFC 9266).
    pub fn binding(&self) -> Option<(String, Vec<u8>)> {
        let Self::Tls(tls) = self else { return None };
        // Before 1.3 the key may be known to who stands between; RFC 9266 section 4.2 asks for more there.
        if tls.conn.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
            return None;
        }
        let key = tls.conn.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(b""));
        key.ok().map(|key| ("tls-exporter".into(), key.to_vec()))
    }

    /// How long a read waits, and no less than the system's shortest time.
    pub fn wait_for(&self, time: Duration) -> io::Result<()> {
        self.tcp().set_read_timeout(Some(time.max(Duration::from_millis(1))))
    }
}

impl Read for Socket {
    fn read(&mut self, octets: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(octets),
            Self::Tls(tls) => tls.read(octets),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(octets),
            Self::Tls(tls) => tls.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(tcp) => tcp.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}

fn client_config(ca: Option<&Path>) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let config = match ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let unreadable =
                |error: &dyn std::fmt::Display| format!("upstream.ca {}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
                let certificate = certificate.map_err(|error| unreadable(&error))?;
                roots.add(certificate).map_err(|error| unreadable(&error))?;
            }
            config.with_root_certificates(roots)
        }
        None => config.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    };
    Ok(Arc::new(config.with_no_client_auth()))
}

/// Takes any certificate, as Cyrus's own clients do: the connection is encrypted, to whomever.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
