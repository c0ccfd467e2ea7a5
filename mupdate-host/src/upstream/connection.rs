//! From a host's name to a connection that is logged in.

use std::{
    fs,
    net::{TcpStream, ToSocketAddrs},
};

use mupdate_proto::{Banner, Role, Verb};
use tracing::debug;
use zeroize::Zeroizing;

use super::{Shared, socket::Socket};
use crate::{
    client::{Client, LoginError, Means},
    config::{StartTls, UpstreamSettings},
    scram::client::Identity,
};

/// What a master is connected through.
pub(super) type Connection = Client<Socket>;

/// Connect to the master and log in.
pub(super) fn open(shared: &Shared) -> Result<(Connection, Banner), String> {
    let Shared { settings, host, .. } = shared;
    // From its first octet on: a master that is connected to may hang before it says anything.
    let (mut client, mut banner) = greet(shared, |tcp| match shared.attach(tcp) {
        true => Ok(()),
        false => Err("stopped".into()),
    })?;
    if !host.tls && settings.starttls != StartTls::Off {
        if banner.starttls {
            client.call(Verb::StartTls).map_err(|error| format!("STARTTLS: {error}"))?;
            let socket = client.into_stream().shake_hands(&host.name, settings.ca.as_deref())?;
            (client, banner) = Client::greet(socket).map_err(|error| error.to_string())?;
        } else if settings.starttls == StartTls::Require {
            return Err("it offers no STARTTLS, which upstream.starttls requires".into());
        }
    }
    let encrypted = matches!(client.stream(), Socket::Tls(_));
    let local = client.stream().tcp().peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
    let clear = encrypted || local || settings.starttls == StartTls::Off;
    let binding = client.stream().binding();
    let identity =
        Identity { user: settings.user.clone(), password: password(settings)?, acting_as: None, binding };
    let means = Means { clear, ..Means::default() };
    let mechanism = client.login(&banner.mechanisms, &identity, means).map_err(|error| match error {
        LoginError::Mechanisms { only_clear: true, .. } => {
            "it offers neither TLS nor SCRAM, and upstream.starttls is not \"off\"".into()
        }
        error => format!("login: {error}"),
    })?;
    debug!(host = %shared.host, mechanism, "logged in at the master");
    Ok((client, banner))
}

/// What is the master, by its own word? Whoever has no password of it is told too.
pub(super) fn look(shared: &Shared) -> Result<Role, String> {
    greet(shared, |_| Ok(())).map(|(_, banner)| banner.role)
}

/// A fresh connection, and what it is greeted with. `connected` is given its socket.
fn greet(
    shared: &Shared,
    connected: impl FnOnce(TcpStream) -> Result<(), String>,
) -> Result<(Connection, Banner), String> {
    let Shared { settings, host, .. } = shared;
    let addresses = (host.name.as_str(), host.port).to_socket_addrs();
    let addresses = addresses.map_err(|error| format!("{} has no address: {error}", host.name))?;
    let mut failed = format!("{} has no address", host.name);
    for address in addresses {
        match TcpStream::connect_timeout(&address, settings.timeout) {
            Ok(tcp) => {
                connected(tcp.try_clone().map_err(|error| error.to_string())?)?;
                return greeted(shared, tcp);
            }
            Err(error) => failed = format!("{address}: {error}"),
        }
    }
    Err(failed)
}

fn greeted(shared: &Shared, tcp: TcpStream) -> Result<(Connection, Banner), String> {
    let Shared { settings, host, .. } = shared;
    let prepared = tcp
        .set_nodelay(true)
        .and_then(|()| tcp.set_read_timeout(Some(settings.timeout)))
        .and_then(|()| tcp.set_write_timeout(Some(settings.timeout)));
    prepared.map_err(|error| error.to_string())?;
    let mut socket = Socket::Plain(tcp);
    if host.tls {
        socket = socket.shake_hands(&host.name, settings.ca.as_deref())?;
    }
    Client::greet(socket).map_err(|error| format!("no banner: {error}"))
}

/// The first line of the password's file.
fn password(settings: &UpstreamSettings) -> Result<Zeroizing<String>, String> {
    let Some(path) = &settings.password_file else { return Err("upstream.password_file is not set".into()) };
    let unreadable = |error| format!("upstream.password_file {}: {error}", path.display());
    let text = Zeroizing::new(fs::read_to_string(path).map_err(unreadable)?);
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}
