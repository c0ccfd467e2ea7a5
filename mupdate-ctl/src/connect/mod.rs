//! The two ways to a server: its admin interface, and MUPDATE itself, which every server speaks.

pub mod http;
pub mod login;
pub mod place;
pub mod stream;
pub mod tls;
pub mod wire;

use std::path::{Path, PathBuf};

use crate::{
    fail::{Code, Fail},
    options::{Global, Secret},
};
use http::Admin;
use wire::Wire;

/// A command's way to the server.
pub enum Way {
    /// The admin interface.
    Admin(Admin),
    /// MUPDATE.
    Wire(Box<Wire>),
}

/// Where everything is, as the options say it.
pub struct Connect<'a> {
    /// The options, completed by the file.
    pub global: &'a Global,
    /// The password in the file.
    pub secret: Option<Secret>,
}

/// The admin interface's socket in a data directory.
const SOCKET: &str = "admin.sock";

impl Connect<'_> {
    /// The admin interface where there is one, else MUPDATE: for what both can do.
    ///
    /// # Errors
    /// There is neither.
    pub fn way(&self) -> Result<Way, Fail> {
        if self.global.server.is_none() && (self.global.admin.is_some() || self.has_socket()?) {
            let admin = self.admin()?;
            // One that does not know mailboxes is passed over, unless it was asked for by its name.
            if self.global.admin.is_some() || admin.knows(&http::Target::new("/v1/mailbox"))? {
                return Ok(Way::Admin(admin));
            }
        }
        self.wire().map(|wire| Way::Wire(Box::new(wire)))
    }

    /// The admin interface.
    ///
    /// # Errors
    /// There is none.
    pub fn admin(&self) -> Result<Admin, Fail> {
        if self.global.server.is_some() {
            let text = "--server speaks MUPDATE, which cannot say this; use the admin interface (--admin or --data-dir)";
            return Err(Fail::usage(text));
        }
        match &self.global.admin {
            Some(url) if url.starts_with("https://") || url.starts_with("http://") => self.remote(url),
            Some(path) => Self::local(Path::new(path)),
            None => Self::local(&self.socket()),
        }
    }

    /// Who logs in does not matter to a local socket, so `--user` is meant for something else.
    ///
    /// # Errors
    /// It was given; `instead` says what does that.
    pub fn no_user(&self, instead: &str) -> Result<(), Fail> {
        let remote = self.global.admin.as_ref().is_some_and(|admin| admin.contains("://"));
        match &self.global.user {
            Some(user) if !remote => Err(Fail::usage(format!(
                "--user is who logs in; what {user} has changed is asked for by {instead} {user}"
            ))),
            _ => Ok(()),
        }
    }

    /// A connection by MUPDATE, logged in.
    ///
    /// # Errors
    /// There is no server, or the login is refused.
    pub fn wire(&self) -> Result<Wire, Fail> {
        let place = self.global.server.as_deref().unwrap_or("127.0.0.1").parse::<place::Place>()?;
        Wire::open(self, &place).map_err(|fail| self.without_socket(fail))
    }

    /// The same with another server than the one that the options name.
    ///
    /// # Errors
    /// It is no server, there is none, or the login is refused.
    pub fn wire_to(&self, server: &str) -> Result<Wire, Fail> {
        Wire::open(self, &server.parse::<place::Place>()?)
    }

    /// Nobody named a server: neither was there an admin interface.
    fn without_socket(&self, fail: Fail) -> Fail {
        match fail {
            Fail::Said(code, text) if self.global.server.is_none() && !self.socket().exists() => {
                let socket = self.socket();
                let advice = "name a server by --server, or its data directory by --data-dir";
                Fail::new(
                    code,
                    format!("{text} (and there is no admin socket at {}; {advice})", socket.display()),
                )
            }
            other => other,
        }
    }

    /// Is there one in the data directory? If that may not be looked into, and nobody named it, there is none for us.
    fn has_socket(&self) -> Result<bool, Fail> {
        let socket = self.socket();
        match socket.try_exists() {
            Err(error) if self.global.data_dir.is_some() => Err(Self::shut(&socket, &error)),
            found => Ok(found.unwrap_or_default()),
        }
    }

    fn shut(socket: &Path, error: &std::io::Error) -> Fail {
        let text = format!("{}: {error}; only the daemon's user and root may use it", socket.display());
        Fail::new(Code::Unavailable, text)
    }

    fn socket(&self) -> PathBuf {
        self.global.data_dir().join(SOCKET)
    }

    fn local(socket: &Path) -> Result<Admin, Fail> {
        if !socket.try_exists().map_err(|error| Self::shut(socket, &error))? {
            let text = format!(
                "no admin socket at {}: is mupdated running, with [admin] on? see --data-dir and --admin",
                socket.display()
            );
            return Err(Fail::new(Code::Unavailable, text));
        }
        Ok(Admin::local(socket))
    }

    fn remote(&self, url: &str) -> Result<Admin, Fail> {
        let place = place::Place::of_url(url)?;
        let who = login::identity(self, &place)?;
        let secure = url.starts_with("https://");
        if !secure && !place.private() && !self.global.allow_plaintext {
            let text =
                format!("{url} would carry the password in the clear; use https, or --allow-plaintext");
            return Err(Fail::usage(text));
        }
        let tls = if secure { Some(tls::Connector::new(self.global)?) } else { None };
        Ok(Admin::remote(url, place, tls, self.global.tls_name.clone(), &who))
    }
}
