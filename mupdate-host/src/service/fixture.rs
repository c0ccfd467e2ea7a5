//! A service of its own for a test.

use std::{path::Path, sync::Arc};

use tempfile::TempDir;

use super::Service;
use crate::{config::Config, store::Progress, users};

/// What logs in the user whom the service has.
pub(crate) const LOGIN: &str = "A AUTHENTICATE \"PLAIN\" \"AG11cmRlcgBzZWNyZXQ=\"\r\n";

/// A service, and its data directory, which is gone when this is dropped. What a test does with it stands beside the test.
pub(crate) struct Host {
    pub service: Arc<Service>,
    dir: TempDir,
}

impl Host {
    /// With these settings, and room for more connections than any test has.
    pub fn new(settings: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        users::add(dir.path(), "murder", b"secret", &users::NewKeys::default()).expect("a user");
        let config = Config { data_dir: dir.path().into(), ..Config::parse(settings).expect("settings") };
        let (service, _) =
            Service::open(&config, 20_000, Box::new(|text| panic!("{text}")), Progress::default())
                .expect("a service");
        Self { service, dir }
    }

    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }
}
