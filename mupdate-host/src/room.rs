//! Buffers that are given back when they are empty: idle connections are many, and none keeps a large one.

use bytes::BytesMut;

/// Octets that an empty buffer may keep for the next time.
const KEEP: usize = 4 * 1024;

/// Give a large buffer back to the system if it is empty.
pub fn give_back(room: &mut BytesMut) {
    if room.is_empty() && room.capacity() > KEEP {
        *room = BytesMut::new();
    }
}
