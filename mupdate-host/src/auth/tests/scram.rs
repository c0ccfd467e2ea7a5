//! SCRAM between a client and ours.

use super::*;
use crate::auth::harness::{Identity, scram_client};
use crate::scram::BOUNDS;

fn identity(user: &str, password: &str) -> Identity {
    Identity { user: user.into(), password: password.to_owned().into(), ..Identity::default() }
}

/// Users whose passwords are "secret", with keys of all hashes, as cheap as can be.
fn with_all_hashes(names: &[&str]) -> Users {
    let new = NewKeys { hashes: Hash::ALL.to_vec(), iterations: *BOUNDS.start() };
    let keys = new.of(b"secret").unwrap();
    Users::parse(&names.iter().map(|name| format!("{name}:{keys}\n")).collect::<String>()).unwrap()
}

fn encrypted(exporter: u8) -> Transport {
    let facts = TlsFacts {
        server_end_point: Some(vec![9; 32]),
        exporter: Some([exporter; 32]),
        ..TlsFacts::default()
    };
    Transport { tls: Some(Arc::new(facts)), ..AWAY }
}

/// The server's last word.
fn exchange(login: &mut Login, mechanism: &str, identity: Identity) -> AuthReply {
    let mut client = scram_client(mechanism, identity);
    let mut said = reply(login, start(mechanism, Some(&client.step(None).unwrap())));
    while let AuthReply::Challenge(challenge) = said {
        let response = client.step(Some(&challenge)).expect("the server is who it says to be");
        said = reply(login, AuthStep::Continue(response));
    }
    said
}

#[test]
fn every_hash_logs_in_with_the_right_password_only() {
    let authenticator = for_users(with_all_hashes(&["murder"]), &undelayed());
    let offered = ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1"];
    assert_eq!(authenticator.mechanisms(&AWAY), offered);
    for mechanism in offered {
        let mut login = authenticator.login(AWAY, "test");
        assert_eq!(exchange(&mut login, mechanism, identity("murder", "secret")), accepted());
        for wrong in
            [identity("murder", "Secret"), identity("nobody", "secret"), identity("MURDER", "secret")]
        {
            assert_eq!(exchange(&mut login, mechanism, wrong), rejected(FAILED));
        }
    }
    assert_eq!(authenticator.counts(), LoginCounts { verified: 3, failed: 9, ..LoginCounts::default() });
}

#[test]
fn the_client_is_asked_to_begin_and_nothing_follows_the_end() {
    let authenticator = authenticator();
    let mut login = authenticator.login(AWAY, "test");
    assert_eq!(reply(&mut login, start("scram-sha-256", None)), AuthReply::Challenge(Vec::new()));
    let mut client = scram_client("SCRAM-SHA-256", identity("murder", "secret"));
    let mut said = reply(&mut login, AuthStep::Continue(client.step(None).unwrap()));
    for _ in 0..2 {
        let AuthReply::Challenge(challenge) = said else { panic!("{said:?}") };
        said = reply(&mut login, AuthStep::Continue(client.step(Some(&challenge)).unwrap()));
    }
    assert_eq!(said, accepted());
    assert_eq!(reply(&mut login, AuthStep::Continue(Vec::new())), rejected("no authentication is under way"));
}

#[test]
fn what_is_not_scram_is_malformed_and_no_guess() {
    let authenticator = authenticator();
    let mut login = authenticator.login(AWAY, "test");
    for first in ["", "n", "n,a,n=murder,r=x", "n,,n", "n,,n=,r=x", "n,,n=murder,r=x,", "n,,n=a=2Z,r=x"] {
        let said = reply(&mut login, start("SCRAM-SHA-256", Some(first.as_bytes())));
        assert_eq!(said, rejected("malformed SASL response"), "{first}");
    }
    for last in ["", "c=biws", "c=biws,r=x,p=", "c=biws,r=x,p=A,", "c=*,r=x,p=A"] {
        let _ = reply(&mut login, start("SCRAM-SHA-256", Some(b"n,,n=murder,r=x")));
        let said = reply(&mut login, AuthStep::Continue(last.into()));
        assert_eq!(said, rejected("malformed SASL response"), "{last}");
    }
    assert_eq!(authenticator.counts(), LoginCounts::default());
    // Well formed, and wrong: of another exchange.
    let _ = reply(&mut login, start("SCRAM-SHA-256", Some(b"n,,n=murder,r=x")));
    let said = reply(&mut login, AuthStep::Continue("c=biws,r=x,p=AAAA".into()));
    assert_eq!((said, authenticator.counts().failed), (rejected(FAILED), 1));
}

#[test]
fn names_are_unescaped_and_prepared() {
    let users = with_all_hashes(&["a,b=c", "IX"]);
    let authenticator = for_users(users, &undelayed());
    for (name, kept) in [("a,b=c", "a,b=c"), ("\u{2168}", "IX")] {
        let mut login = authenticator.login(AWAY, "test");
        let said = exchange(&mut login, "SCRAM-SHA-256", identity(name, "secret"));
        assert_eq!(said, AuthReply::Accepted { principal: kept.into() });
    }
}

#[test]
fn who_acts_as_another_is_refused_and_only_the_right_password_hears_of_it() {
    let authenticator = for_users(with_all_hashes(&["murder", "other"]), &undelayed());
    let acting = |password: &str, acting_as: &str| {
        let identity = Identity { acting_as: Some(acting_as.into()), ..identity("murder", password) };
        exchange(&mut authenticator.login(AWAY, "test"), "SCRAM-SHA-1", identity)
    };
    assert_eq!(acting("secret", "murder"), accepted());
    assert_eq!(acting("secret", "other"), rejected(OTHER_USER));
    assert_eq!(acting("wrong", "other"), rejected(FAILED));
    let mut config = undelayed();
    config.auth.proxies.insert("murder".into());
    authenticator.reload(with_all_hashes(&["murder", "other"]), &config);
    assert_eq!(acting("secret", "other"), AuthReply::Accepted { principal: "other".into() });
    assert_eq!(acting("secret", "nobody"), rejected(OTHER_USER));
}

/// Salt and iterations as the server tells them.
fn told(authenticator: &Arc<Authenticator>, mechanism: &str, user: &str) -> String {
    let first = format!("n,,n={user},r=x");
    let said = reply(&mut authenticator.login(AWAY, "test"), start(mechanism, Some(first.as_bytes())));
    let AuthReply::Challenge(challenge) = said else { panic!("{said:?}") };
    let text = String::from_utf8(challenge).unwrap();
    text.split_once(",s=").unwrap().1.to_owned()
}

#[test]
fn who_does_not_exist_looks_like_who_does() {
    let users = with_all_hashes(&["one", "two"]);
    let [authenticator, restarted] = [(); 2].map(|()| for_users(users.clone(), &undelayed()));
    let mut seen = std::collections::BTreeSet::new();
    for user in ["nobody", "somebody"] {
        let mine = told(&authenticator, "SCRAM-SHA-256", user);
        assert_eq!(mine, told(&authenticator, "SCRAM-SHA-256", user));
        assert_eq!(mine, told(&restarted, "SCRAM-SHA-256", user));
        let theirs = told(&authenticator, "SCRAM-SHA-256", "one");
        assert_eq!((mine.len(), mine.split_once(",i=").unwrap().1), (theirs.len(), "4096"));
        assert!(seen.insert(mine), "no two the same");
        assert!(seen.insert(told(&authenticator, "SCRAM-SHA-1", user)), "nor for two hashes");
    }
}

#[test]
fn a_user_without_such_keys_looks_like_nobody() {
    let new = NewKeys { hashes: vec![Hash::Sha1], iterations: 4096 };
    let (sha1, sha256) = (new.of(b"secret").unwrap(), NewKeys::default().of(b"secret").unwrap());
    let users = Users::parse(&format!("one:{sha1}\ntwo:{sha256}\nnone:*\n")).unwrap();
    let authenticator = for_users(users, &undelayed());
    assert_eq!(authenticator.mechanisms(&AWAY), ["SCRAM-SHA-256", "SCRAM-SHA-1"]);
    for user in ["one", "none", "nobody"] {
        let said =
            exchange(&mut authenticator.login(AWAY, "test"), "SCRAM-SHA-256", identity(user, "secret"));
        assert_eq!(said, rejected(FAILED));
    }
    assert_eq!(plain(&authenticator, b"\0none\0secret"), rejected(FAILED));
    assert_eq!(plain(&authenticator, b"\0one\0secret"), AuthReply::Accepted { principal: "one".into() });
}

#[test]
fn guessing_by_scram_counts_as_by_plain() {
    let [home, elsewhere] = [1, 2].map(|last| Some(IpAddr::from([192, 0, 2, last])));
    let authenticator = for_users(with_all_hashes(&["murder"]), &Config::default());
    let by_scram = |network, password: &str| {
        let mut login = authenticator.login(Transport { network, ..AWAY }, "test");
        exchange(&mut login, "SCRAM-SHA-256", identity("murder", password))
    };
    assert_eq!(by_scram(home, "secret"), accepted(), "known here from now on");
    let replies: Vec<AuthReply> = (0..25).map(|guess| by_scram(elsewhere, &guess.to_string())).collect();
    assert!(delay(&replies[0]) < delay(&replies[1]), "{replies:?}");
    assert_eq!(
        authenticator.counts(),
        LoginCounts { verified: 1, failed: 20, unseen: 5, ..LoginCounts::default() }
    );
    assert_eq!(from(&authenticator, elsewhere, "murder", "secret"), replies[24], "PLAIN too");
    assert_eq!(by_scram(elsewhere, "secret"), replies[24], "the right password too");
    assert_eq!(by_scram(home, "secret"), accepted());
    // Somebody at the honest one's own address: a right proof goes on, as what is remembered does.
    for guess in 0..25 {
        by_scram(home, &guess.to_string());
    }
    assert_eq!((by_scram(home, "secret"), by_scram(home, "x")), (accepted(), replies[24].clone()));
}

#[test]
fn a_reload_counts_for_an_exchange_under_way() {
    let authenticator = authenticator();
    let mut login = authenticator.login(AWAY, "test");
    let mut client = scram_client("SCRAM-SHA-256", identity("murder", "secret"));
    let said = reply(&mut login, start("SCRAM-SHA-256", Some(&client.step(None).unwrap())));
    let AuthReply::Challenge(challenge) = said else { panic!("{said:?}") };
    authenticator.reload(users(&[("murder", "secret")]), &undelayed());
    let said = reply(&mut login, AuthStep::Continue(client.step(Some(&challenge)).unwrap()));
    assert_eq!(said, rejected(FAILED), "the keys are others");
}

#[test]
fn a_bound_exchange_is_bound_to_this_connection() {
    let mut config = undelayed();
    assert_eq!(
        for_users(with_all_hashes(&["a"]), &config).mechanisms(&encrypted(1)).len(),
        5,
        "off by default"
    );
    config.auth.channel_binding = true;
    let authenticator = for_users(with_all_hashes(&["murder"]), &config);
    assert_eq!(authenticator.mechanisms(&AWAY).len(), 3);
    assert_eq!(
        authenticator.mechanisms(&encrypted(1))[..3],
        ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"]
    );
    let bound = |mechanism: &str, name: &str, data: Vec<u8>| {
        let identity = Identity { binding: Some((name.into(), data)), ..identity("murder", "secret") };
        exchange(&mut authenticator.login(encrypted(1), "test"), mechanism, identity)
    };
    for mechanism in ["SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"] {
        assert_eq!(bound(mechanism, "tls-exporter", vec![1; 32]), accepted());
        assert_eq!(bound(mechanism, "tls-server-end-point", vec![9; 32]), accepted());
        assert_eq!(bound(mechanism, "tls-exporter", vec![2; 32]), rejected(FAILED), "another connection");
        assert_eq!(bound(mechanism, "tls-unique", vec![1; 12]), rejected("unsupported channel binding type"));
    }
    let mut login = authenticator.login(encrypted(1), "test");
    let mut first =
        |mechanism: &str, message: &str| reply(&mut login, start(mechanism, Some(message.as_bytes())));
    let mismatch = rejected("channel bindings do not match");
    assert_eq!(first("SCRAM-SHA-256-PLUS", "n,,n=murder,r=x"), mismatch);
    assert_eq!(first("SCRAM-SHA-256-PLUS", "y,,n=murder,r=x"), mismatch);
    assert_eq!(first("SCRAM-SHA-256", "p=tls-exporter,,n=murder,r=x"), mismatch);
    assert_eq!(first("SCRAM-SHA-256", "y,,n=murder,r=x"), rejected("server does support channel binding"));
    assert!(matches!(first("SCRAM-SHA-256", "n,,n=murder,r=x"), AuthReply::Challenge(_)));
    let mut login = authenticator.login(AWAY, "test");
    let said = reply(&mut login, start("SCRAM-SHA-256", Some(b"y,,n=murder,r=x")));
    assert!(matches!(said, AuthReply::Challenge(_)), "nothing to bind to is offered here");
}
