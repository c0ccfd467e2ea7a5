//! What the machine alone makes of such a client's work: an echo over loopback that goes through as many threads as a change
//! does in a daemon, and a write that is synced to the disk.
//!
//! Neither knows of the daemon. When they take long, everything does, and the daemon is not to blame.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Between two echoes; a stall of the processors that is longer is seen.
const ECHO: Duration = Duration::from_micros(300);

/// Between two writes; seldom, so as not to be in the way of the daemon's own.
const SYNC: Duration = Duration::from_millis(50);

/// The longest that each took.
#[derive(Debug, Clone, Copy)]
pub struct Control {
    pub echo: Duration,
    pub disk: Duration,
}

impl Control {
    pub fn worst(&self) -> Duration {
        self.echo.max(self.disk)
    }
}

/// Both controls at work.
pub struct Controls {
    over: Arc<AtomicBool>,
    echo: JoinHandle<Duration>,
    disk: JoinHandle<Duration>,
}

impl Controls {
    /// Works until told to stop; the file is made in `folder`.
    pub fn start(folder: &Path) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let echo = repeat(&over, ECHO, echo().expect("loopback works"));
        let disk = repeat(&over, SYNC, disk(folder).expect("the folder is ours"));
        Self { over, echo, disk }
    }

    /// Ends them.
    pub fn stop(self) -> Control {
        self.over.store(true, Ordering::Relaxed);
        let worst = |thread: JoinHandle<Duration>| thread.join().expect("the machine works");
        Control { echo: worst(self.echo), disk: worst(self.disk) }
    }
}

fn repeat(
    over: &Arc<AtomicBool>,
    pause: Duration,
    mut act: impl FnMut() -> io::Result<()> + Send + 'static,
) -> JoinHandle<Duration> {
    let over = Arc::clone(over);
    thread::spawn(move || {
        let mut worst = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let started = Instant::now();
            act().expect("the machine works");
            worst = worst.max(started.elapsed());
            // No event: the pace of a measurement.
            thread::sleep(pause);
        }
        worst
    })
}

/// There and back again, by way of three threads: who reads the socket, who does the work, and who answers.
fn echo() -> io::Result<impl FnMut() -> io::Result<()>> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut read, _) = listener.accept()?;
    near.set_nodelay(true)?;
    read.set_nodelay(true)?;
    let mut write = read.try_clone()?;
    let (asked, asks) = mpsc::channel();
    let (answered, answers) = mpsc::channel();
    thread::spawn(move || {
        let mut octet = [0];
        while read.read_exact(&mut octet).is_ok() && asked.send(octet).is_ok() {}
    });
    thread::spawn(move || asks.iter().all(|octet| answered.send(octet).is_ok()));
    thread::spawn(move || answers.iter().all(|octet| write.write_all(&octet).is_ok()));
    Ok(move || {
        near.write_all(&[0])?;
        near.read_exact(&mut [0])
    })
}

/// What a small commit costs at least.
fn disk(folder: &Path) -> io::Result<impl FnMut() -> io::Result<()> + use<>> {
    let file = File::create(folder.join("control"))?;
    Ok(move || {
        file.write_all_at(&[0; 4096], 0)?;
        file.sync_data()
    })
}
