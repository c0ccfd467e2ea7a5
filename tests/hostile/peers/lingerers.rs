//! Peers that cost by what they do not do.

use std::{io::Write as _, net::SocketAddr, thread, time::Duration};

use bytes::Bytes;

use super::{
    crowd::{Crowd, Reads, connected, logged_in},
    floods::activations,
};

/// 200 that ask for everything and read nothing.
pub fn lists_unread(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let crowd = Crowd::new(address, 200, logged_in);
    present();
    let lists = Bytes::from("L LIST\r\n".repeat(100));
    crowd.flood(Reads::Nothing, |_, round| if round == 0 { lists.clone() } else { Bytes::new() })
}

/// 200 that follow all changes and read none of them.
pub fn subscribers_stuck(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    subscribers(address, present, Reads::Nothing)
}

/// 200 that follow all changes and read them.
pub fn subscribers_following(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    subscribers(address, present, Reads::Everything)
}

/// 200 that follow all changes, while ten more change 2,000 mailboxes over and over.
fn subscribers(address: SocketAddr, present: &mut dyn FnMut(), reads: Reads) -> ! {
    let following = Crowd::new(address, 200, logged_in);
    thread::spawn(move || {
        following.flood(reads, |_, round| match round {
            0 => "U UPDATE\r\n".into(),
            _ => Bytes::new(),
        })
    });
    let changing = Crowd::new(address, 10, logged_in);
    present();
    changing.flood(Reads::Everything, |number, round| activations(number, round, 200))
}

/// 200 that send an octet a second.
pub fn octet_a_second(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let mut slow: Vec<_> = (0..200).map(|_| connected(address)).collect();
    present();
    for octet in b"A1 AUTHENTICATE \"PLAIN\" ".iter().cycle() {
        for stream in &mut slow {
            if stream.write_all(&[*octet]).is_err() {
                *stream = connected(address);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
    unreachable!("a cycle has no end")
}

/// 200 that announce literals as long as is allowed, send all but the last octet, and fall silent.
pub fn literals_unsent(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let crowd = Crowd::new(address, 200, logged_in);
    present();
    let begun = format!("A ACTIVATE \"user.a\" \"be1!x\" {{1048576+}}\r\n{}", "a".repeat((1 << 20) - 1));
    let begun = Bytes::from(begun);
    crowd.flood(Reads::Everything, |_, round| if round == 0 { begun.clone() } else { Bytes::new() })
}

/// A thousand that say nothing at all, once logged in.
pub fn silent(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    let crowd = Crowd::new(address, 1000, logged_in);
    present();
    crowd.flood(Reads::Everything, |_, _| Bytes::new())
}

/// 50 that each send 10 MiB while as much comes back, and read only when nothing more is taken.
pub fn both_full(address: SocketAddr, present: &mut dyn FnMut()) -> ! {
    // No name is that long: refused, and looked at to its last octet.
    let text = format!("A FIND {{5000+}}\r\n{}\r\nB FIND \"user.long\"\r\n", "y".repeat(5000));
    let commands = Bytes::from(text.repeat(2100));
    let mut first = format!("A ACTIVATE \"user.long\" \"be1!x\" {{5000+}}\r\n{}\r\n", "x".repeat(5000));
    first.push_str(&text);
    let first = Bytes::from(first);
    let crowd = Crowd::new(address, 50, logged_in);
    present();
    crowd.flood(Reads::Everything, |_, round| if round == 0 { first.clone() } else { commands.clone() })
}
