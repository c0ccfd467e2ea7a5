//! The server's side of one SCRAM exchange (RFC 5802, RFC 7677).
//!
//! Only HMACs are made here, the slow hash is the client's; so a step is quick enough for an executor. (rsasl has SCRAM too.
//! But its parser panics at an attribute of one octet, it leaves names escaped, bindings unchecked and extensions unsigned,
//! and it tells of users that do not exist by another salt and other iterations: what has to be done around it is more than
//! what it does.)

mod message;

use std::fmt;

use mupdate_proto::encode_base64;
use subtle::ConstantTimeEq;

use super::TlsFacts;
use crate::scram::ScramRecord;

pub(super) use message::{ClientFinal, ClientFirst, Flag};

/// Octets that the server draws for each exchange.
const NONCE_OCTETS: usize = 18;

/// An exchange after the client's first message.
pub(super) struct Exchange {
    record: ScramRecord,
    nonce: String,
    /// What the client has to repeat: its header, and what it is bound to.
    binding: Vec<u8>,
    /// What is signed of the first two messages, with a comma after each.
    signed: String,
}

impl Exchange {
    /// Takes the client's first message, and gives the server's.
    ///
    /// # Errors
    /// The operating system gives no random octets.
    pub fn begin(
        record: ScramRecord,
        binding: Option<Vec<u8>>,
        first: &ClientFirst<'_>,
    ) -> Result<(Self, Vec<u8>), getrandom::Error> {
        let mut drawn = [0; NONCE_OCTETS];
        getrandom::fill(&mut drawn)?;
        Ok(Self::with_nonce(record, binding, first, &encode_base64(&drawn)))
    }

    /// The same, with what the server has drawn.
    pub fn with_nonce(
        record: ScramRecord,
        binding: Option<Vec<u8>>,
        first: &ClientFirst<'_>,
        drawn: &str,
    ) -> (Self, Vec<u8>) {
        let nonce = format!("{}{drawn}", first.nonce);
        let server_first = format!("r={nonce},s={},i={}", encode_base64(record.salt()), record.iterations());
        let binding = [first.header.as_bytes(), &binding.unwrap_or_default()].concat();
        let signed = format!("{},{server_first},", first.bare);
        (Self { record, nonce, binding, signed }, server_first.into_bytes())
    }

    /// Takes the client's final message. Gives the server's, which shows that we have the keys too, if the client has proved
    /// to know the password.
    pub fn finish(self, last: &ClientFinal<'_>) -> Option<Vec<u8>> {
        let [stored_key, server_key] = self.record.keys();
        let hash = self.record.hash();
        let signed = format!("{}{}", self.signed, last.without_proof);
        let signature = hash.mac(stored_key, signed.as_bytes());
        let client_key: Vec<u8> =
            last.proof.iter().zip(&signature).map(|(proof, mask)| proof ^ mask).collect();
        let matches = hash.digest(&client_key).ct_eq(stored_key)
            & last.proof.len().ct_eq(&signature.len())
            & last.binding.ct_eq(&self.binding)
            & last.nonce.as_bytes().ct_eq(self.nonce.as_bytes());
        let verifier = encode_base64(&hash.mac(server_key, signed.as_bytes()));
        bool::from(matches).then(|| format!("v={verifier}").into_bytes())
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// What the client's proof has to be bound to, given its [`Flag`]; `plus` says whether it chose a mechanism with -PLUS,
/// `offered` whether it could. Texts are those of RFC 5802 section 7, but for the hyphens.
///
/// # Errors
/// What the client is told.
pub(super) fn binding(
    flag: Flag<'_>,
    plus: bool,
    offered: bool,
    tls: Option<&TlsFacts>,
) -> Result<Option<Vec<u8>>, &'static str> {
    match (flag, plus) {
        (Flag::Used(name), true) => {
            let known = tls.and_then(|tls| match name {
                "tls-exporter" => tls.exporter.map(|octets| octets.to_vec()),
                "tls-server-end-point" => tls.server_end_point.clone(),
                _ => None,
            });
            known.map(Some).ok_or("unsupported channel binding type")
        }
        // -PLUS promises a binding, and a binding needs -PLUS.
        (_, true) | (Flag::Used(_), false) => Err("channel bindings do not match"),
        // Somebody in between has taken -PLUS from our banner.
        (Flag::Unused, false) if offered => Err("server does support channel binding"),
        (Flag::Unused | Flag::Unable, false) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 5802 section 5 and RFC 7677 section 3: record, first messages of client and server, the
    /// server's part of the nonce, and the last messages.
    const EXAMPLES: [[&str; 6]; 2] = [
        [
            "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=",
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "3rfcNHYJY1ZVvWVs7j",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
        [
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==\
             $WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    ];

    /// What the server says at last.
    fn answered([record, first, server_first, nonce, _, _]: [&str; 6], last: &str) -> Option<String> {
        let first = ClientFirst::parse(first.as_bytes()).unwrap();
        let (exchange, said) = Exchange::with_nonce(record.parse().unwrap(), None, &first, nonce);
        assert_eq!(String::from_utf8(said).unwrap(), server_first);
        exchange
            .finish(&ClientFinal::parse(last.as_bytes()).unwrap())
            .map(|said| String::from_utf8(said).unwrap())
    }

    #[test]
    fn the_examples_of_the_rfcs() {
        for example in EXAMPLES {
            let [.., last, verifier] = example;
            assert_eq!(answered(example, last).as_deref(), Some(verifier));
        }
    }

    #[test]
    fn whatever_is_changed_in_the_last_message_makes_it_wrong() {
        for example in EXAMPLES {
            let last = example[4];
            for (what, with) in
                [("c=biws", "c=eSws"), ("r=", "r=x"), (",p=", ",e=x,p="), ("p=v", "p=w"), ("p=d", "p=e")]
            {
                let changed = last.replace(what, with);
                assert_eq!(answered(example, &changed).is_some(), changed == last, "{changed}");
            }
            let (rest, _) = last.split_once(",p=").unwrap();
            assert_eq!(answered(example, &format!("{rest},p=AAAA")), None, "too short");
        }
    }

    #[test]
    fn no_two_exchanges_have_the_same_nonce() {
        let first = ClientFirst::parse(EXAMPLES[0][1].as_bytes()).unwrap();
        let [one, other] =
            [(); 2].map(|()| Exchange::begin(EXAMPLES[0][0].parse().unwrap(), None, &first).unwrap().1);
        assert_ne!(one, other);
    }
}
