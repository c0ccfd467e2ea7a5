//! What a configuration may say, and should not.

use super::{ClientCertificates, Config, External, SaslauthdUsers};

impl Config {
    /// What is allowed but probably not meant, a sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let open: Vec<String> =
            self.listen.iter().filter(|addr| !addr.is_local()).map(ToString::to_string).collect();
        if !open.is_empty() && !self.allow_plaintext && !self.tls.is_on() {
            warnings.push(format!(
                "from other hosts, only who speaks SCRAM can log in through {} (Cyrus 3.6 and later): there is no \
                 certificate in [tls], and allow_plaintext is false",
                open.join(" and ")
            ));
        }
        if !open.is_empty() && self.allow_plaintext {
            warnings.push(format!(
                "passwords cross the network in the clear to {}: let only trusted networks reach it",
                open.join(" and ")
            ));
        }
        if self.saslauthd.socket.is_some() && self.saslauthd.users == SaslauthdUsers::All {
            warnings.push("whoever saslauthd knows can log in: name users in auth.saslauthd_users if these are too many".into());
        }
        if self.auth.external != External::Off && self.tls.client_certificates == ClientCertificates::Off {
            warnings.push("auth.external finds no certificate: tls.client_certificates is \"off\"".into());
        }
        if self.readers() < u32::try_from(self.limits.connections).unwrap_or(u32::MAX) {
            warnings.push("store.readers is below limits.connections: reads can fail under load".into());
        }
        warnings.extend(self.upstream.warnings());
        warnings
    }
}
