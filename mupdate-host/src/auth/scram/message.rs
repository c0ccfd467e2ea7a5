//! What a SCRAM client says (RFC 5802 section 7).

use std::str;

use mupdate_proto::decode_base64;

/// Octets of a message. Two names of 255 octets with every one of them escaped fit, with a binding and all.
const LONGEST: usize = 4096;

/// What the client makes of channel binding: the gs2-cbind-flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag<'a> {
    /// `n`: it cannot.
    Unable,
    /// `y`: it can, and thinks that we cannot.
    Unused,
    /// `p`: it binds to this.
    Used(&'a str),
}

/// The client-first-message. Extensions, which are all optional, are passed over.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// See [`Flag`].
    pub flag: Flag<'a>,
    /// As whom it wants to act.
    pub acting_as: Option<String>,
    /// Who it is.
    pub user: String,
    /// What it has drawn.
    pub nonce: &'a str,
    /// The gs2-header, with its last comma.
    pub header: &'a str,
    /// All that follows it, which is signed.
    pub bare: &'a str,
}

/// The client-final-message.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFinal<'a> {
    /// The gs2-header once more, and what it is bound to.
    pub binding: Vec<u8>,
    /// That of the server's message.
    pub nonce: &'a str,
    /// All of the message before the comma of the proof, which is signed.
    pub without_proof: &'a str,
    /// The ClientProof.
    pub proof: Vec<u8>,
}

impl<'a> ClientFirst<'a> {
    /// Parses a client-first-message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let message = text(message)?;
        let mut parts = message.split(',');
        let mut part = || parts.next().ok_or("a part of the message is missing");
        let (flag, authzid, user) = (part()?, part()?, part()?);
        // Two commas belong to the header; the parts after them are there.
        let (header, bare) = message.split_at(flag.len() + authzid.len() + 2);
        let flag = match flag {
            "n" => Flag::Unable,
            "y" => Flag::Unused,
            flag => Flag::Used(binding_name(flag)?),
        };
        let acting_as = match authzid {
            "" => None,
            authzid => Some(sasl_name(attribute(authzid, "a=")?)?),
        };
        let user = sasl_name(attribute(user, "n=")?)?;
        let nonce = nonce(part()?)?;
        parts.try_for_each(extension)?;
        Ok(Self { flag, acting_as, user, nonce, header, bare })
    }
}

impl<'a> ClientFinal<'a> {
    /// Parses a client-final-message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(message: &'a [u8]) -> Result<Self, &'static str> {
        let (without_proof, proof) =
            text(message)?.rsplit_once(',').ok_or("a part of the message is missing")?;
        let mut parts = without_proof.split(',');
        let mut part = || parts.next().ok_or("a part of the message is missing");
        let binding = base64(attribute(part()?, "c=")?)?;
        let nonce = nonce(part()?)?;
        parts.try_for_each(extension)?;
        Ok(Self { binding, nonce, without_proof, proof: base64(attribute(proof, "p=")?)? })
    }
}

fn text(message: &[u8]) -> Result<&str, &'static str> {
    if message.len() > LONGEST {
        return Err("the message is longer than any can be");
    }
    str::from_utf8(message).map_err(|_| "the message is not UTF-8")
}

fn base64(text: &str) -> Result<Vec<u8>, &'static str> {
    decode_base64(text.as_bytes()).map_err(|_| "an attribute is not base64")
}

fn extension(part: &str) -> Result<(), &'static str> {
    match part.as_bytes() {
        // An m= here is as mandatory as where it belongs.
        [b'm', ..] => Err("a mandatory extension"),
        [letter, b'=', _, ..] if letter.is_ascii_alphabetic() => Ok(()),
        _ => Err("not an extension"),
    }
}

fn attribute<'a>(part: &'a str, name: &str) -> Result<&'a str, &'static str> {
    part.strip_prefix(name).filter(|value| !value.is_empty()).ok_or("an attribute is missing or empty")
}

fn binding_name(flag: &str) -> Result<&str, &'static str> {
    let letter = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    let name = flag.strip_prefix("p=").filter(|name| !name.is_empty());
    name.filter(|name| name.chars().all(letter)).ok_or("no channel binding flag")
}

fn nonce(part: &str) -> Result<&str, &'static str> {
    let nonce = attribute(part, "r=")?;
    let printable = nonce.chars().all(|c| ('!'..='~').contains(&c));
    if printable { Ok(nonce) } else { Err("a nonce that is not printable") }
}

/// A saslname with `=2C` and `=3D` undone.
fn sasl_name(text: &str) -> Result<String, &'static str> {
    let mut parts = text.split('=');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err("a name with = that is not =2C or =3D"),
        };
        name.push(letter);
        name.push_str(rest);
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_message() {
        let table = [
            ("n,,n=user,r=fyko", Flag::Unable, None, "user", "n,,"),
            ("y,,n=user,r=fyko", Flag::Unused, None, "user", "y,,"),
            ("p=tls-exporter,,n=user,r=fyko", Flag::Used("tls-exporter"), None, "user", "p=tls-exporter,,"),
            ("n,a=other,n=user,r=fyko,e=x", Flag::Unable, Some("other"), "user", "n,a=other,"),
            ("n,a==2C,n=a=3D=2Cb=3D2C,r=fyko", Flag::Unable, Some(","), "a=,b=2C", "n,a==2C,"),
            ("n,,n=\u{fc},r=fyko", Flag::Unable, None, "\u{fc}", "n,,"),
        ];
        for (text, flag, acting_as, user, header) in table {
            let expected = ClientFirst {
                flag,
                acting_as: acting_as.map(str::to_owned),
                user: user.into(),
                nonce: "fyko",
                header,
                bare: &text[header.len()..],
            };
            assert_eq!(ClientFirst::parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn first_messages_that_are_none() {
        let long = format!("n,,n={},r=x", "x".repeat(LONGEST));
        let table = [
            "",
            "n",
            "n,",
            "n,,",
            "n,,n",
            "n,,n=",
            "n,,n=,r=x",
            "n,,n=user",
            "n,,n=user,",
            "n,,n=user,r",
            "n,,n=user,r=",
            "n,,n=user,r=\u{fc}",
            "n,,n=user,r=a b",
            "n,,n=user,r=x,",
            "n,,n=user,r=x,m=x",
            "n,,m=x,n=user,r=x",
            "n,a,n=user,r=x",
            "n,a=,n=user,r=x",
            "n,b=x,n=user,r=x",
            "n,,n=a=2c,r=x",
            "n,,n=a=,r=x",
            "n,,n=a=2,r=x",
            "x,,n=user,r=x",
            "p,,n=user,r=x",
            "p=,,n=user,r=x",
            "p=tls exporter,,n=user,r=x",
            &long,
        ];
        for text in table {
            assert!(ClientFirst::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(ClientFirst::parse(b"n,,n=\xFF,r=x").is_err());
    }

    #[test]
    fn the_final_message() {
        for text in ["c=biws,r=fyko", "c=biws,r=fyko,e=x"] {
            let expected =
                ClientFinal { binding: b"n,,".into(), nonce: "fyko", without_proof: text, proof: vec![0; 3] };
            assert_eq!(ClientFinal::parse(format!("{text},p=AAAA").as_bytes()), Ok(expected));
        }
        let wrong = [
            "",
            "c=biws",
            "c=,r=x,p=AAAA",
            "c=biw,r=x,p=AAAA",
            "c=biws,r=x",
            "c=biws,r=x,p=",
            "c=biws,r=x,p=A",
            "c=biws,r=x,p=AAAA,",
            "c=biws,r=x,p=AAAA,e=x",
            "c=biws,r=x,m=x,p=AAAA",
            "r=x,c=biws,p=AAAA",
        ];
        for text in wrong {
            assert!(ClientFinal::parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(text in "[nyp=,armce\\PC]{0,24}", octets: Vec<u8>) {
            for message in [text.as_bytes(), &octets] {
                let _ = (ClientFirst::parse(message).is_ok(), ClientFinal::parse(message).is_ok());
            }
        }

        #[test]
        fn names_come_back(name in "[^\0]{1,40}") {
            let written = name.replace('=', "=3D").replace(',', "=2C");
            prop_assert_eq!(sasl_name(&written), Ok(name));
        }
    }
}
