//! Certificates that name users, and users who act as others.

use super::*;
use crate::config::External;

/// A connection whose client has shown this certificate.
fn certified() -> Transport {
    let client = ClientCertificate {
        common_name: Some("be1".into()),
        dns_names: vec!["unknown.example.org".into(), "BE2.example.org".into()],
        mail_addresses: vec!["be3@example.org".into()],
    };
    let facts = TlsFacts { client: Some(client), ..TlsFacts::default() };
    Transport { tls: Some(Arc::new(facts)), ..AWAY }
}

fn authenticator_with(external: External, proxies: &[&str]) -> Arc<Authenticator> {
    let keys = NewKeys::default().of(b"secret").unwrap();
    let text = format!("be1:*\nbe2.example.org:*\nbe3@example.org:*\nmurder:{keys}\nother:{keys}\n");
    let mut config = undelayed();
    config.auth.external = external;
    config.auth.proxies = proxies.iter().map(ToString::to_string).collect();
    for_users(Users::parse(&text).unwrap(), &config)
}

fn logged_in(principal: &str) -> AuthReply {
    AuthReply::Accepted { principal: principal.into() }
}

#[test]
fn a_certificate_names_a_user_by_the_rule() {
    let rules = [
        (External::CommonName, "be1"),
        (External::DnsName, "be2.example.org"),
        (External::Mail, "be3@example.org"),
    ];
    for (rule, user) in rules {
        let authenticator = authenticator_with(rule, &[]);
        let mut login = authenticator.login(certified(), "test");
        assert_eq!(login.mechanisms(), ["SCRAM-SHA-256", "EXTERNAL", "PLAIN", "LOGIN"]);
        assert_eq!(reply(&mut login, start("EXTERNAL", Some(b""))), logged_in(user));
        assert_eq!(reply(&mut login, start("external", None)), AuthReply::Challenge(Vec::new()));
        assert_eq!(reply(&mut login, AuthStep::Continue(user.into())), logged_in(user), "as himself");
        assert_eq!(reply(&mut login, start("EXTERNAL", Some(b"murder"))), rejected(OTHER_USER));
        let malformed = rejected("malformed SASL response");
        assert_eq!(reply(&mut login, start("EXTERNAL", Some(b"\xFF"))), malformed);
        assert_eq!(reply(&mut login, start("EXTERNAL", Some(b"a\0b"))), malformed);
    }
}

#[test]
fn without_a_rule_a_certificate_or_a_user_there_is_no_external() {
    let unavailable = rejected(UNAVAILABLE);
    let nobody = for_users(users(&[("murder", "secret")]), &{
        let mut config = undelayed();
        config.auth.external = External::CommonName;
        config
    });
    let encrypted = Transport { tls: Some(Arc::default()), ..AWAY };
    let cases = [
        (authenticator_with(External::Off, &[]), certified()),
        (authenticator_with(External::CommonName, &[]), encrypted),
        (authenticator_with(External::CommonName, &[]), HERE),
        (nobody, certified()),
    ];
    for (authenticator, transport) in cases {
        let mut login = authenticator.login(transport, "test");
        assert!(!login.mechanisms().contains(&"EXTERNAL".to_owned()));
        assert_eq!(reply(&mut login, start("EXTERNAL", Some(b""))), unavailable);
    }
}

#[test]
fn proxies_act_as_users_that_exist() {
    let authenticator = authenticator_with(External::CommonName, &["murder", "be1"]);
    assert_eq!(plain(&authenticator, b"other\0murder\0secret"), logged_in("other"));
    assert_eq!(plain(&authenticator, b"nobody\0murder\0secret"), rejected(OTHER_USER));
    assert_eq!(plain(&authenticator, b"murder\0other\0secret"), rejected(OTHER_USER), "is no proxy");
    assert_eq!(plain(&authenticator, b"other\0murder\0wrong"), rejected(FAILED));
    let mut login = authenticator.login(certified(), "test");
    assert_eq!(reply(&mut login, start("EXTERNAL", Some(b"murder"))), logged_in("murder"));
    assert_eq!(reply(&mut login, start("EXTERNAL", Some(b"nobody"))), rejected(OTHER_USER));
}
