//! What is understood, and what is refused.

use std::time::UNIX_EPOCH;

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

/// The first request of this text.
fn first(text: &str) -> Result<Option<Request>, Refused> {
    let mut reader = Reader::default();
    reader.push(text.as_bytes());
    reader.request()
}

fn good(text: &str) -> Request {
    first(text).expect("a good request").expect("a whole one")
}

fn status(text: &str) -> u16 {
    first(text).expect_err("a bad request").status
}

#[test]
fn a_request_is_understood() {
    let request = good(
        "GET /v1/mailboxes?server=be1.example.org&limit=10 HTTP/1.1\r\nHost: x\r\nConnection: Keep-Alive\r\n\
         aUTHORIZATION:  Basic eDp5 \r\n\r\n",
    );
    assert_eq!((&request.method, request.path.as_str()), (&Method::Get, "/v1/mailboxes"));
    assert_eq!(request.query.octets("server"), Some(&b"be1.example.org"[..]));
    assert_eq!(request.authorization.as_ref().map(|text| text.as_str()), Some("Basic eDp5"));
    assert!(request.keep_alive && request.modern && !request.expects && !request.has_origin);
    assert!(!format!("{request:?}").contains("eDp5"), "no password in the log");
    let request = good("\r\n\nPOST http://localhost/x?y HTTP/1.0\nContent-Length: 3\n\nabc");
    assert_eq!((request.method.as_str(), request.path.as_str(), request.length), ("POST", "/x", 3));
    assert!(!request.keep_alive);
    assert!(!good("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: a, CLOSE\r\n\r\n").keep_alive);
    assert!(good("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nOrigin: null\r\n\r\n").expects);
}

#[test]
fn other_hosts_are_not_this_one() {
    let names = |host: &str| {
        let request = good(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        request.names_this_host("mupdate.example.org")
    };
    for own in
        ["localhost", "localhost:8080", "x", "", "127.0.0.1:80", "[::1]:80", "[::1]", "MUPDATE.example.org:1"]
    {
        assert!(names(own), "{own}");
    }
    for other in
        ["example.com", "example.com:8080", "localhost.example.com", "127.0.0.1.example.com", "a.b:c"]
    {
        assert!(!names(other), "{other}");
    }
    assert!(good("GET / HTTP/1.0\r\n\r\n").names_this_host("x"));
}

#[test]
fn what_can_be_understood_in_two_ways_is_refused() {
    for (expected, text) in [
        (400, "\0\r\n\r\n"),
        (400, "* BYE\r\n\r\n"),
        (400, "GET x HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, "GET /#x HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost : x\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n"),
        (400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n"),
        (400, "GET /?a=%zz HTTP/1.1\r\nHost: x\r\n\r\n"),
        (400, "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n"),
        (411, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (417, "POST / HTTP/1.1\r\nHost: x\r\nExpect: money\r\n\r\n"),
        (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    ] {
        assert_eq!(status(text), expected, "{text}");
    }
}

#[test]
fn a_head_is_bounded() {
    let mut reader = Reader::default();
    reader.push(b"GET / HTTP/1.1\r\nX: ");
    for _ in 0..(HEAD - 19) {
        reader.push(b"x");
        assert_eq!(reader.request(), Ok(None));
    }
    reader.push(b"x");
    assert_eq!(reader.request().expect_err("too long").status, 431);
    let many: String = (0..70).map(|number| format!("X-{number}: y\r\n")).collect();
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")), 431);
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(HEAD))), 431);
}

#[test]
fn requests_and_bodies_follow_each_other() {
    let mut reader = Reader::default();
    assert!(reader.is_idle());
    reader.push(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    assert_eq!(reader.request().expect("good").expect("whole").path, "/a");
    assert_eq!(reader.body(2), "he");
    assert_eq!((reader.body(9), reader.body(9), reader.body_left()), ("l".into(), "".into(), 2));
    assert!(!reader.is_idle());
    reader.push(b"loGET /b HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(reader.body(9), "lo");
    assert_eq!(reader.request().expect("good").expect("whole").path, "/b");
    reader.push(b"POST /c HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nnot");
    assert_eq!(reader.request().expect("good").expect("whole").path, "/c");
    assert_eq!(reader.request(), Ok(None));
    reader.push(b" taken\r\nGET /d HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(reader.request().expect("good").expect("whole").path, "/d");
    assert!(reader.is_idle());
}

#[test]
fn an_answer_says_how_it_ends() {
    let mut out = BytesMut::new();
    let head = Head {
        status: 405,
        kind: "application/json",
        framing: Framing::Length(2),
        close: true,
        fields: &[("Allow", "GET, HEAD".into())],
    };
    head.encode(UNIX_EPOCH, &mut out);
    assert_eq!(
        out,
        "HTTP/1.1 405 Method Not Allowed\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: application/json\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nAllow: GET, HEAD\r\nContent-Length: 2\r\n\
         Connection: close\r\n\r\n"
    );
    let mut out = BytesMut::new();
    chunk(&[b'x'; 17], &mut out);
    chunk(b"", &mut out);
    last_chunk(&mut out);
    assert_eq!(out, format!("11\r\n{}\r\n0\r\n\r\n", "x".repeat(17)));
}

proptest! {
    #[test]
    fn anything_is_read_alike_in_any_pieces(data: Vec<u8>) {
        harness::connection(&data);
    }

    #[test]
    fn requests_are_read_alike_in_any_pieces(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..4),
        rest: Vec<u8>,
    ) {
        let mut data = Vec::new();
        for body in bodies {
            let head = format!("POST /v1/x?a=%20 HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
            data.extend_from_slice(head.as_bytes());
            data.extend_from_slice(&body);
        }
        data.extend_from_slice(&rest);
        harness::connection(&data);
    }
}
