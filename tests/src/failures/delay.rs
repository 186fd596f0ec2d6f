//! A slow way from the frontends to the store: everything arrives, only later.
//!
//! Owns: a relay of TCP connections. In each frontend's namespace it listens at the store nodes' own addresses, and
//! carries what comes to the real ones from the namespace of the bridges, each piece of data so much later than it came.
//! Refuses to know what is carried. The frontends know nothing of it: their configuration and the leader's address that
//! the store names lead through it all the same. (A kernel with netem could do this better.)
//! Invariants: order is kept; a delay that is changed holds for what comes from then on; memory is bounded.

use std::ffi::OsString;
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener as Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::debian;
use crate::netns::{Lab, Node, Side};

/// Where store nodes listen in the lab.
const STORE_PORT: u16 = 7547;
/// Pieces of data under way in one direction of one connection.
const PIECES_MAX: usize = 4096;
/// The largest piece, octets.
const PIECE_LEN: usize = 16 * 1024;

/// The way, while it lives.
#[derive(Debug)]
pub struct SlowStore {
    delay_ms: Arc<AtomicU64>,
    carried: Arc<AtomicU64>,
    /// Held so that it runs; its only thread sits in the namespace of the bridges.
    _runtime: Runtime,
}

impl SlowStore {
    /// Puts itself between both frontends and the store, without any delay at first. To be called before the frontends
    /// start.
    ///
    /// # Errors
    /// When a namespace cannot be entered, or an address is in use.
    pub fn start(lab: &Lab) -> Result<Self> {
        let delay_ms = Arc::new(AtomicU64::new(0));
        let carried = Arc::new(AtomicU64::new(0));
        let build = || Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = lab.inside(Node::Core, build)?.context("no runtime")?;
        for side in [Side::A, Side::B] {
            for number in 1..=3 {
                let store = lab.store_address(Node::Store(number))?;
                let node = Node::Frontend(side);
                let mut words = debian::tool("ip")?.words();
                let own = format!("{store}/128");
                words.extend(["addr", "add", &own, "dev", "lo", "nodad"].map(OsString::from));
                lab.run(node, &words)?;
                let listener = lab.inside(node, || listen(store))?;
                let listener = listener.with_context(|| format!("cannot listen for {store} in {node}"))?;
                let shared = (Arc::clone(&delay_ms), Arc::clone(&carried));
                runtime.spawn(accept(listener, store, shared));
            }
        }
        Ok(Self { delay_ms, carried, _runtime: runtime })
    }

    /// From now on, everything takes so much longer in each direction.
    pub fn set(&self, delay: Duration) {
        self.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Octets carried up to now: grows only while the frontends speak to the store this way.
    #[must_use]
    pub fn carried(&self) -> u64 {
        self.carried.load(Ordering::Relaxed)
    }
}

type Shared = (Arc<AtomicU64>, Arc<AtomicU64>);

fn listen(store: Ipv6Addr) -> std::io::Result<Listener> {
    let listener = Listener::bind(SocketAddrV6::new(store, STORE_PORT, 0, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

async fn accept(listener: Listener, store: Ipv6Addr, shared: Shared) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(carry(near, store, shared.clone()));
    }
}

/// Carries one connection to its end, which either side may bring about.
async fn carry(near: TcpStream, store: Ipv6Addr, shared: Shared) {
    // A store node that is not there: the connection ends, as it would without this relay.
    let Ok(far) = TcpStream::connect((store, STORE_PORT)).await else { return };
    for stream in [&near, &far] {
        // Without it small pieces would wait for each other.
        let _ = stream.set_nodelay(true);
    }
    let (near_in, near_out) = near.into_split();
    let (far_in, far_out) = far.into_split();
    tokio::select! {
        () = one_way(near_in, far_out, shared.clone()) => {}
        () = one_way(far_in, near_out, shared) => {}
    }
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, (delay_ms, carried): Shared) {
    let (sender, mut pieces) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let read = async move {
        let mut buffer = vec![0; PIECE_LEN];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let due = Instant::now() + Duration::from_millis(delay_ms.load(Ordering::Relaxed));
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((due, piece)).await.is_err() {
                break;
            }
        }
    };
    let write = async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                break;
            }
            carried.fetch_add(u64::try_from(piece.len()).unwrap_or(0), Ordering::Relaxed);
        }
    };
    tokio::join!(read, write);
}
