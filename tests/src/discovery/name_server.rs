//! A name server of a few records: RFC 1035 and 2782, as far as a stub resolver looks.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use super::DOMAIN;

const PORT: u16 = 53;
const TYPE_A: u16 = 1;
const TYPE_SRV: u16 = 33;
/// Recursion was asked for and is available; this is an answer.
const ANSWER: u16 = 0x8180;
const NO_SUCH_NAME: u16 = 3;

/// A name server that does not answer yet.
pub(super) struct NameServer {
    socket: UdpSocket,
    address: Ipv4Addr,
    services: BTreeMap<String, Vec<(String, u16)>>,
    hosts: Vec<String>,
}

/// One that answers, until it is dropped.
pub(super) struct Serving {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Takes an address of the loopback network that no other run of this test has.
    pub(super) fn bind() -> Result<NameServer> {
        let [.., high, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 53, high, low.max(1));
        let socket = UdpSocket::bind((address, PORT));
        let socket = socket.with_context(|| format!("listen on {address}:{PORT}"))?;
        Ok(NameServer {
            socket,
            address,
            services: BTreeMap::new(),
            hosts: Vec::new(),
        })
    }

    pub(super) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// One more target of a service.
    pub(super) fn service(&mut self, service: &str, host: &str, port: u16) {
        let name = format!("{service}.{DOMAIN}");
        let targets = self.services.entry(name).or_default();
        targets.push((host.to_owned(), port));
    }

    /// A name of this machine.
    pub(super) fn host(&mut self, host: &str) {
        self.hosts.push(host.to_owned());
    }

    /// Begins to answer.
    pub(super) fn serve(self) -> Result<Serving> {
        self.socket
            .set_read_timeout(Some(Duration::from_millis(100)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut query = [0; 512];
            while !stopping.load(Ordering::Relaxed) {
                let Ok((length, from)) = self.socket.recv_from(&mut query) else {
                    continue;
                };
                if let Some(answer) = self.answer(&query[..length]) {
                    // Who does not get it asks again.
                    let _lost = self.socket.send_to(&answer, from);
                }
            }
        });
        Ok(Serving {
            stop,
            thread: Some(thread),
        })
    }

    /// `None` for what is no question.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = read_name(query.get(12..)?)?;
        let kind = u16::from_be_bytes([*rest.first()?, *rest.get(1)?]);
        let question = &query[12..query.len() - rest.len() + 4];
        let services = self.services.get(&name);
        let is_host = self.hosts.contains(&name);
        let records: Vec<Vec<u8>> = match kind {
            TYPE_SRV => services.into_iter().flatten().map(srv).collect(),
            TYPE_A if is_host => vec![Ipv4Addr::LOCALHOST.octets().to_vec()],
            _ => Vec::new(),
        };
        let known = services.is_some() || is_host;
        let flags = ANSWER | if known { 0 } else { NO_SUCH_NAME };
        let mut answer = query[..2].to_vec();
        for word in [flags, 1, records.len() as u16, 0, 0] {
            answer.extend(word.to_be_bytes());
        }
        answer.extend(question);
        for record in records {
            // The name is that of the question; class IN, and a second to live.
            answer.extend(0xc00c_u16.to_be_bytes());
            answer.extend(kind.to_be_bytes());
            answer.extend([0, 1, 0, 0, 0, 1]);
            answer.extend((record.len() as u16).to_be_bytes());
            answer.extend(record);
        }
        Some(answer)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic; and if it did, there is nothing left to do here.
            let _ = thread.join();
        }
    }
}

fn srv((host, port): &(String, u16)) -> Vec<u8> {
    let (priority, weight) = ([0, 10], [0, 1]);
    let mut record = [priority, weight, port.to_be_bytes()].concat();
    for label in host.split('.') {
        record.push(label.len() as u8);
        record.extend(label.as_bytes());
    }
    record.push(0);
    record
}

/// A name in lower case, and what follows it.
fn read_name(mut bytes: &[u8]) -> Option<(String, &[u8])> {
    let mut labels = Vec::new();
    loop {
        let (&length, rest) = bytes.split_first()?;
        if length == 0 {
            return Some((labels.join("."), rest));
        }
        let label = rest.get(..usize::from(length))?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        bytes = rest.get(usize::from(length)..)?;
    }
}
