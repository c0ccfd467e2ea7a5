//! The secret by which strangers are told lies that stay the same: the file `login-secret` in the data directory.

use std::io;
use std::path::Path;

use tracing::warn;
use zeroize::Zeroizing;

use super::{UsersError, file};

const FILE: &str = "login-secret";

/// The key under which what is told about users that do not exist is drawn.
pub type LoginSecret = Zeroizing<[u8; 32]>;

/// The secret of this data directory, the same at every start; made where there is none. Where it cannot be kept, there is
/// another at each start, and the log says so: that is no reason to refuse to serve.
///
/// # Errors
/// The operating system gives no random octets.
pub fn login_secret(data_dir: &Path) -> Result<LoginSecret, UsersError> {
    let kept = data_dir.join(FILE);
    match std::fs::read(&kept).map(Zeroizing::new) {
        Ok(octets) => match <[u8; 32]>::try_from(octets.as_slice()) {
            Ok(secret) => return Ok(Zeroizing::new(secret)),
            Err(_) => warn!(file = %kept.display(), "not 32 octets; another secret is made"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!(file = %kept.display(), %error, "cannot read the secret; another is made"),
    }
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret).map_err(UsersError::Random)?;
    if let Err(error) = file::replace(data_dir, &kept, &*secret) {
        warn!(%error, "SCRAM may tell who exists: the secret is another after a restart");
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_kept_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let secret = login_secret(dir.path()).unwrap();
        assert_eq!(secret, login_secret(dir.path()).unwrap());
        let file = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "short").unwrap();
        let other = login_secret(dir.path()).unwrap();
        assert_ne!(secret, other);
        assert_eq!(other, login_secret(dir.path()).unwrap());
    }

    #[test]
    fn one_that_cannot_be_kept_is_a_secret_nevertheless() {
        assert_ne!(*login_secret(Path::new("/nonexistent")).unwrap(), [0; 32]);
    }
}
