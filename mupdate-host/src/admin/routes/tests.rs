//! The table itself.

use std::collections::BTreeSet;

use super::*;
use crate::admin::http::{Query, Reader};

fn request(line: &str) -> Request {
    let mut reader = Reader::default();
    reader.push(format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
    reader.request().expect("good").expect("whole")
}

fn refused(line: &str) -> (u16, Vec<(&'static str, String)>) {
    let request = request(line);
    let answer = find(&request).expect_err("no route");
    (answer.status, answer.fields)
}

#[test]
fn every_resource_is_there_once() {
    let unique: BTreeSet<_> = ROUTES.iter().map(|route| (route.verb == Verb::Get, route.path)).collect();
    assert_eq!(unique.len(), ROUTES.len());
    assert!(ROUTES.iter().all(|route| route.path.starts_with('/')));
    let open: Vec<_> = ROUTES.iter().filter(|route| route.open).map(|route| route.path).collect();
    assert_eq!(open, ["/livez"], "nothing else is told to strangers");
    assert!(ROUTES.iter().all(|route| route.verb == Verb::Post || route.body == 0));
}

#[test]
fn routes_are_found() {
    let found = request("HEAD /livez");
    assert!(find(&found).expect("there").route.open);
    assert_eq!(refused("GET /nothing").0, 404);
    assert_eq!(refused("GET /livez/").0, 404);
    assert_eq!(refused("DELETE /livez"), (405, vec![("Allow", "GET, HEAD".into())]));
    assert_eq!(matches("/v1/clients/{}/kick", "/v1/clients/7/kick"), Some(Some("7")));
    for wrong in ["/v1/clients//kick", "/v1/clients/7", "/v1/clients/7/8/kick", "/v1/clients/kick"] {
        assert_eq!(matches("/v1/clients/{}/kick", wrong), None, "{wrong}");
    }
    assert_eq!(Query::default().only(&[]), Ok(()));
}
