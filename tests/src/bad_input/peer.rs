//! What comes over the network.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use ferrod_proto::etcdserverpb::PutRequest;
use tonic::Code;

use super::{Ended, Ground, block_on, check_kept, put};
use crate::member::Member;
use crate::usage::anonymous_memory;
use crate::wire::Wire;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// What a hostile connection may cost at most: far more than a limit of any kind, far less than without one.
const MEMORY_MAX: u64 = 256 << 20;

/// Starts a member that holds a key.
fn start(ground: &Ground) -> Result<Member> {
    let member = ground.setup()?.start()?;
    block_on(async {
        let wire = Wire::connect(&member.setup().endpoint()).await?;
        Ok(put(&wire, 0).await?)
    })?;
    Ok(member)
}

fn connect(member: &Member) -> Result<TcpStream> {
    let socket = TcpStream::connect(("127.0.0.1", member.setup().client_port()))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.set_write_timeout(Some(Duration::from_secs(2)))?;
    Ok(socket)
}

/// Sends `bytes` as far as the server takes them and returns what it says until it falls silent.
fn say(member: &Member, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut socket = connect(member)?;
    // The server may close before it has read everything, which is an answer too.
    let _ = socket.write_all(bytes);
    let mut answer = Vec::new();
    let _ = socket.take(64 * 1024).read_to_end(&mut answer);
    Ok(answer)
}

/// After whatever happened the member serves as before.
fn unharmed(mut member: Member, memory_before: u64) -> Result<Ended> {
    block_on(check_kept(&mut member, 1))?;
    let grown = anonymous_memory(member.pid())?.saturating_sub(memory_before);
    ensure!(grown < MEMORY_MAX, "it took {} MiB of memory", grown >> 20);
    Ok(Ended::Passed)
}

pub(super) fn oversize_requests(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    block_on(async {
        let wire = Wire::connect(&member.setup().endpoint()).await?;
        let refusal = async |len: usize| {
            let value = vec![b'v'; len].into();
            let request = PutRequest {
                key: "big".into(),
                value,
                ..Default::default()
            };
            wire.kv()
                .put(request)
                .await
                .err()
                .map(|s| (s.code(), s.message().to_owned()))
        };
        ensure!(
            refusal(1_500_000).await.is_none(),
            "a request below the limit is refused"
        );
        let wanted = (
            Code::InvalidArgument,
            "etcdserver: request is too large".to_owned(),
        );
        let got = refusal(1_572_864).await;
        ensure!(got.as_ref() == Some(&wanted), "1.5 MiB: {got:?}");
        let text = "grpc: received message larger than max (2097162 vs. 2097152)";
        let got = refusal(2_097_152).await;
        ensure!(
            got == Some((Code::ResourceExhausted, text.to_owned())),
            "2 MiB: {got:?}"
        );
        let got = refusal(64 << 20).await;
        ensure!(
            matches!(&got, Some((Code::ResourceExhausted, _))),
            "64 MiB: {got:?}"
        );
        Ok(())
    })?;
    unharmed(member, memory)
}

pub(super) fn garbage_bytes(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    let mut rng = fastrand::Rng::with_seed(7);
    for len in [1, 9, 24, 1_000, 100_000] {
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        say(&member, &bytes)?;
        say(&member, &vec![0; len])?;
    }
    say(&member, &PREFACE[..12])?;
    unharmed(member, memory)
}

pub(super) fn garbage_frames(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    let mut rng = fastrand::Rng::with_seed(8);
    for _ in 0..40 {
        // Frames of every kind with random flags, streams and contents, the length mostly true.
        let mut bytes = PREFACE.to_vec();
        for _ in 0..rng.usize(1..8) {
            let len = rng.usize(0..200);
            let said = if rng.u32(0..5) == 0 {
                rng.u32(..)
            } else {
                len as u32
            };
            bytes.extend_from_slice(&said.to_be_bytes()[1..]);
            bytes.extend_from_slice(&[rng.u8(0..12), rng.u8(..), 0, 0, 0, rng.u8(0..8)]);
            bytes.extend((0..len).map(|_| rng.u8(..)));
        }
        let mut socket = connect(&member)?;
        let _ = socket.write_all(&bytes);
    }
    unharmed(member, memory)
}

pub(super) fn garbage_http(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    let long = "x".repeat(4 << 20);
    let requests = [
        "GET\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "\r\n\r\n\r\n\r\n".to_owned(),
        "POST /v3/kv/put HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n{".to_owned(),
        "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /health HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
        format!(
            "GET /health HTTP/1.1\r\nHost: x\r\n{}\r\n",
            "A: b\r\n".repeat(100_000)
        ),
    ];
    for request in &requests {
        let answer = say(&member, request.as_bytes())?;
        let text = String::from_utf8_lossy(&answer);
        ensure!(
            !text.starts_with("HTTP/1.1 200") && !text.starts_with("HTTP/1.0 200"),
            "{:?} is answered by {text:?}",
            &request[..request.len().min(60)]
        );
    }
    let healthy = say(
        &member,
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    )?;
    let healthy = String::from_utf8_lossy(&healthy);
    ensure!(
        healthy.contains("\"health\":\"true\""),
        "its health is {healthy:?}"
    );
    unharmed(member, memory)
}

/// Headers without end: one block of many megabytes in CONTINUATION frames.
pub(super) fn header_flood(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    for end_of_headers in [0, 4] {
        let mut socket = connect(&member)?;
        let mut bytes = PREFACE.to_vec();
        // A literal header without indexing: name `a`, and 16,000 bytes of value by its three-byte length.
        let mut field = vec![0x00, 0x01, b'a', 0x7f, 0x81, 0x7c];
        field.resize(6 + 16_000, b'v');
        let mut frame = |kind: u8, flags: u8| {
            bytes.extend_from_slice(&(field.len() as u32).to_be_bytes()[1..]);
            bytes.extend_from_slice(&[kind, flags, 0, 0, 0, 1]);
            bytes.extend_from_slice(&field);
        };
        frame(1, 0);
        (0..2_000).for_each(|_| frame(9, 0));
        frame(9, end_of_headers);
        let _ = socket.write_all(&bytes);
    }
    unharmed(member, memory)
}

/// Requests that are taken back as soon as they are made.
pub(super) fn reset_flood(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    let mut socket = connect(&member)?;
    let mut bytes = PREFACE.to_vec();
    // :method POST, :scheme http, :path /, and an authority.
    let headers = [0x83, 0x86, 0x84, 0x41, 0x01, b'x'];
    for stream in (1..40_000u32).step_by(2) {
        bytes.extend_from_slice(&[0, 0, headers.len() as u8, 1, 4]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(&headers);
        bytes.extend_from_slice(&[0, 0, 4, 3, 0]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(&8u32.to_be_bytes());
    }
    let _ = socket.write_all(&bytes);
    unharmed(member, memory)
}

pub(super) fn silent_connections(ground: &Ground) -> Result<Ended> {
    let member = start(ground)?;
    let memory = anonymous_memory(member.pid())?;
    let mut open = Vec::new();
    for number in 0..500 {
        let mut socket = connect(&member)?;
        if number % 2 == 0 {
            let _ = socket.write_all(PREFACE);
        }
        open.push(socket);
    }
    let ended = unharmed(member, memory);
    drop(open);
    ended
}
