//! A gate in front of a server. While it is shut, connections are refused, and open ones are cut.

use parking_lot::Mutex;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A gate in front of one server.
pub struct Gate {
    /// The server's URL, with the gate's address.
    url: String,
    shut: Arc<AtomicBool>,
    inside: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    /// A gate in front of the server of this `http://HOST:PORT/...`.
    pub fn to(url: String) -> Gate {
        let rest = url.strip_prefix("http://").expect("a URL of the rig");
        let (server, path) = rest.split_once('/').expect("with a path");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (shut, inside) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<Mutex<Vec<TcpStream>>>::default(),
        );
        let gate = Gate {
            url: format!("http://{address}/{path}"),
            shut: shut.clone(),
            inside: inside.clone(),
        };
        let server = server.to_string();
        // The thread ends with the tests.
        std::thread::spawn(move || {
            for guest in listener.incoming().flatten() {
                let mut inside = inside.lock();
                let Ok(host) = TcpStream::connect(&server) else {
                    continue;
                };
                if shut.load(Ordering::SeqCst) {
                    continue;
                }
                for (from, to) in [(&guest, &host), (&host, &guest)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || pass(from, to));
                }
                inside.extend([guest, host]);
            }
        });
        gate
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }

    pub fn shut(&self) {
        let mut inside = self.inside.lock();
        self.shut.store(true, Ordering::SeqCst);
        for stream in inside.drain(..) {
            // An error means that it is closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Copies bytes until one side ends.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 4096];
    while let Ok(count) = from.read(&mut bytes)
        && count > 0
        && to.write_all(&bytes[..count]).is_ok()
    {}
    let _ = to.shutdown(Shutdown::Both);
}
