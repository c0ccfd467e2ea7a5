//! How much room is left.

use tracing::error;

use super::{
    describe::{DISK_FREE, DISK_SIZE, MAP_SIZE, MAP_USED},
    page::Page,
};
use crate::service::Service;

pub(super) fn collect(service: &Service, page: &mut Page) {
    match service.store.map_fill() {
        Ok((used, size)) => {
            page.say(&MAP_USED, used);
            page.say(&MAP_SIZE, size);
        }
        Err(error) => error!(%error, "it cannot be told how full the store is"),
    }
    if let Some((free, size)) = service.store.disk() {
        page.say(&DISK_FREE, free);
        page.say(&DISK_SIZE, size);
    }
}
