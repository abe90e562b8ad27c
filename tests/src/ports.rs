//! Free ports for servers that bind them only later.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the system hands out by itself, and below those of `tests/servers/ports.py`.
const FIRST: u16 = 12_000;
const COUNT: u16 = 8_000;

/// A free port. One that was found by binding to port 0 and let go could be handed out to another process before the
/// server binds it; this one is not.
///
/// # Panics
/// Where all are taken.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Each process begins elsewhere.
    let start = RandomState::new().hash_one(std::process::id());
    for _ in 0..COUNT {
        let step = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + (start.wrapping_add(step) % u64::from(COUNT)) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no port from {FIRST} on is free")
}
