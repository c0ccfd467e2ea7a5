//! MUPDATE: what every server can be asked.

use std::io;

use mupdate_core::client::Event;
use mupdate_host::admin::api::{Mailbox, MailboxState, Text};
use mupdate_host::client::{Client, ClientError, LoginError, Means};
use mupdate_proto::{Banner, MailboxName, Response, ServerName, Verb};

use super::{Connect, login, place::Place, stream::Stream, tls};
use crate::{
    fail::{Code, Fail},
    options::Tls,
};

/// Names that are asked for at a time. More would gain nothing, and fill buffers.
const AT_A_TIME: usize = 64;

/// A connection that has logged in.
pub struct Wire {
    client: Client<Stream>,
    name: String,
}

impl Wire {
    /// Connects and logs in.
    pub(super) fn open(connect: &Connect<'_>, place: &Place) -> Result<Self, Fail> {
        let global = connect.global;
        let name = match place {
            Place::Unix(path) => path.display().to_string(),
            Place::Tcp { host, port, .. } => format!("{host}:{port}"),
        };
        let who = login::identity(connect, place)?;
        let broken = |error: ClientError| broken(&name, error);
        let shake = |stream: Stream| -> io::Result<Stream> {
            let Place::Tcp { host, .. } = place else { return Ok(stream) };
            let connector = tls::Connector::new(global).map_err(|fail| io::Error::other(fail.to_string()))?;
            connector.connect(global.tls_name.as_deref().unwrap_or(host), stream).map_err(|error| {
                io::Error::new(error.kind(), format!("no TLS: {error}{}", tls::advice(&error)))
            })
        };
        let stream = Stream::dial(place)?;
        let (client, banner) = match place {
            Place::Tcp { tls: true, .. } => {
                Client::greet(shake(stream).map_err(|error| broken(error.into()))?)
            }
            _ => Client::greet(stream),
        }
        .map_err(broken)?;
        let (client, banner) = match wanted(global.tls, place, &banner) {
            Ok(false) => (client, banner),
            Ok(true) => client.start_tls(shake).map_err(broken)?,
            Err(text) => return Err(Fail::new(Code::Unavailable, format!("{name}: {text}"))),
        };
        let mut wire = Self { client, name };
        wire.login(connect, place, &banner, who)?;
        Ok(wire)
    }

    fn login(
        &mut self,
        connect: &Connect<'_>,
        place: &Place,
        banner: &Banner,
        mut who: mupdate_host::scram::client::Identity,
    ) -> Result<(), Fail> {
        let secure = matches!(self.client.stream(), Stream::Tls(_));
        who.binding = self.client.stream().binding();
        let means = Means {
            clear: secure || place.private() || connect.global.allow_plaintext,
            certificate: secure && connect.global.certificate.is_some(),
            only: connect.global.mechanism.as_deref(),
        };
        let Err(error) = self.client.login(&banner.mechanisms, &who, means) else { return Ok(()) };
        let advice = match &error {
            LoginError::Mechanisms { only_clear: true, .. } => {
                "; the password would be sent in the clear: use TLS, or --allow-plaintext"
            }
            LoginError::Mechanisms { .. } if !secure && banner.starttls => "; see --tls",
            LoginError::Mechanisms { .. } => "; see --mechanism",
            LoginError::Client(ClientError::Refused { .. }) => "; see --user and --password-file",
            LoginError::Scram(_) | LoginError::Client(_) => "",
        };
        let code = match &error {
            LoginError::Client(ClientError::Refused { .. })
            | LoginError::Mechanisms { .. }
            | LoginError::Scram(_) => Code::Login,
            LoginError::Client(error) => code(error),
        };
        Err(Fail::new(code, format!("{}: cannot log in as {}: {error}{advice}", self.name, who.user)))
    }

    /// Asks for each of these names, many at a time; tells of them in their sequence.
    ///
    /// # Errors
    /// The connection is over, a name is none, or what `each` says.
    pub fn find(
        &mut self,
        names: &[Vec<u8>],
        mut each: impl FnMut(&[u8], Option<Mailbox>) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        for names in names.chunks(AT_A_TIME) {
            for name in names {
                let mailbox = MailboxName::new(name.clone())
                    .map_err(|error| Fail::usage(format!("{}: {error}", name.escape_ascii())))?;
                self.client.send(Verb::Find { mailbox });
            }
            for name in names {
                let mut found = None;
                self.client.answer(|row| found = mailbox(row)).map_err(|error| broken(&self.name, error))?;
                each(name, found)?;
            }
        }
        Ok(())
    }

    /// Everything, or what is at this server, in the server's own order.
    ///
    /// # Errors
    /// The connection is over, or what `each` says.
    pub fn list(
        &mut self,
        server: Option<&[u8]>,
        mut each: impl FnMut(Mailbox) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        let prefix = server.map(|server| [server, b"!"].concat().into());
        self.client.send(Verb::List { prefix });
        loop {
            match self.client.event().map_err(|error| broken(&self.name, error))? {
                Event::Data(row) => mailbox(row).map_or(Ok(()), &mut each)?,
                Event::Completed { status: mupdate_proto::Status::Ok, .. } => return Ok(()),
                Event::Completed { status, text, .. } => {
                    let text = String::from_utf8_lossy(&text).into_owned();
                    return Err(broken(&self.name, ClientError::Refused { status, text }));
                }
                Event::Banner(_) | Event::Challenge(_) | Event::GoAhead | Event::Untagged { .. } => {}
            }
        }
    }

    /// Every change from now on, until the connection ends.
    ///
    /// # Errors
    /// The connection is over, or what `each` says.
    pub fn watch(
        &mut self,
        server: Option<&[u8]>,
        mut each: impl FnMut(Mailbox) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        let servers = server.map(|server| ServerName::new(server.to_vec())).transpose();
        let servers: Vec<_> =
            servers.map_err(|error| Fail::usage(format!("--host: {error}")))?.into_iter().collect();
        let fail = |error| broken(&self.name, error);
        self.client.send(Verb::Update { servers });
        // What is there already comes first.
        self.client.answer(drop).map_err(fail)?;
        self.client.stream().patience(None);
        loop {
            if let Event::Data(row) = self.client.event().map_err(fail)? {
                mailbox(row).map_or(Ok(()), &mut each)?;
            }
        }
    }
}

/// Is TLS to be asked for?
fn wanted(tls: Option<Tls>, place: &Place, banner: &Banner) -> Result<bool, &'static str> {
    let begun = matches!(place, Place::Unix(_) | Place::Tcp { tls: true, .. });
    let tls = tls.unwrap_or(if place.private() { Tls::Off } else { Tls::Prefer });
    match tls {
        _ if begun => Ok(false),
        Tls::Off => Ok(false),
        Tls::Require if !banner.starttls => Err("the server does not offer TLS, and --tls is `require`"),
        Tls::Require | Tls::Prefer => Ok(banner.starttls),
    }
}

fn mailbox(row: Response) -> Option<Mailbox> {
    match row {
        Response::Mailbox { name, location, acl, .. } => Some(Mailbox {
            mailbox: text(name),
            state: MailboxState::Active,
            location: Some(text(location)),
            acl: Some(text(acl)),
            revision: None,
        }),
        Response::Reserve { name, location, .. } => Some(Mailbox {
            mailbox: text(name),
            state: MailboxState::Reserved,
            location: Some(text(location)),
            acl: None,
            revision: None,
        }),
        Response::Delete { name, .. } => Some(Mailbox {
            mailbox: text(name),
            state: MailboxState::Deleted,
            location: None,
            acl: None,
            revision: None,
        }),
        Response::Status { .. } | Response::GoAhead => None,
    }
}

fn text(octets: impl AsRef<[u8]>) -> Text {
    octets.as_ref().into()
}

fn code(error: &ClientError) -> Code {
    match error {
        ClientError::Refused { .. } => Code::No,
        ClientError::Violation(_) => Code::Protocol,
        ClientError::Bye(_) | ClientError::Io(_) => Code::Unavailable,
    }
}

fn broken(name: &str, error: ClientError) -> Fail {
    Fail::new(code(&error), format!("{name}: {error}"))
}
