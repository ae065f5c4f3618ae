//! Free ports.

use anyhow::{Context, Result};
use std::net::TcpListener;

/// Free ports of the loopback.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let listeners: Vec<_> = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    let ports: Vec<_> = listeners
        .iter()
        .map(|held| Ok(held.local_addr()?.port()))
        .collect::<Result<_>>()?;
    ports.try_into().ok().context("as many ports as were asked for")
}
