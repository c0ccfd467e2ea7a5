//! Where the service manager listens: a file, or a name that begins with `@`, which has no file.

use std::{
    io,
    os::unix::{ffi::OsStrExt, net::SocketAddr},
    path::Path,
};

/// The address that is meant.
pub(super) fn address(socket: &Path) -> io::Result<SocketAddr> {
    match socket.as_os_str().as_bytes() {
        [b'@', name @ ..] => of_name(name),
        [b'/', ..] => SocketAddr::from_pathname(socket),
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "it is neither a path nor a name after @")),
    }
}

#[cfg(target_os = "linux")]
fn of_name(name: &[u8]) -> io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn of_name(_: &[u8]) -> io::Result<SocketAddr> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "only Linux has names without files"))
}
