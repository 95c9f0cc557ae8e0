use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::path::Path;

use super::table::Table;
use super::terms::translate;
use super::{NAMES, port};

/// Every `fail_point!("name"` in the sources of the crates.
fn names_in_sources(folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names_in_sources(&path, names);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let calls = text.split("fail_point!(").skip(1);
            let name = |call: &str| {
                Some(
                    call.trim_start()
                        .strip_prefix('"')?
                        .split_once('"')?
                        .0
                        .to_owned(),
                )
            };
            names.extend(calls.filter_map(name));
        }
    }
}

#[test]
fn list_is_what_the_sources_have() {
    let mut names = Vec::new();
    names_in_sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join(".."),
        &mut names,
    );
    let unique: BTreeSet<_> = names.iter().map(String::as_str).collect();
    assert_eq!(unique.len(), names.len(), "a name is used at two places");
    assert_eq!(unique.into_iter().collect::<Vec<_>>(), NAMES);
}

#[test]
fn terms_are_translated() {
    let same = |terms: &str| assert_eq!(translate(terms).as_deref(), Ok(terms));
    same("panic");
    same("50%2*return");
    same("1*off->1*pause");
    assert_eq!(translate(r#"panic("why")"#).as_deref(), Ok("panic(why)"));
    assert_eq!(
        translate(r#"3*sleep("2s")"#).as_deref(),
        Ok("3*sleep(2000)")
    );
    assert_eq!(translate("sleep(15)").as_deref(), Ok("sleep(15)"));
    for nonsense in ["", "break", "sleep", "sleep(x)", "panic(", "explode"] {
        assert!(translate(nonsense).is_err(), "{nonsense}");
    }
}

fn call(port: std::net::SocketAddr, request: &str, body: &str) -> String {
    let mut stream = std::net::TcpStream::connect(port).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn port_lists_sets_and_clears() {
    let port = port::serve("127.0.0.1:0".parse().unwrap(), Table::new()).unwrap();
    let name = "raftBeforeAdvance";
    assert!(call(port, "GET /", "").contains(&format!("\n{name}=\n")));
    assert!(call(port, &format!("GET /{name}"), "").contains("failpoint is disabled"));
    assert!(call(port, &format!("PUT /{name}"), "0*panic").starts_with("HTTP/1.1 204"));
    assert!(call(port, "GET /", "").contains(&format!("\n{name}=0*panic\n")));
    assert!(call(port, &format!("GET /{name}"), "").ends_with("\r\n\r\n0*panic\n"));
    assert!(call(port, &format!("PUT /{name}"), "explode").starts_with("HTTP/1.1 404"));
    assert!(call(port, "PUT /nowhere", "off").contains("does not exist"));
    assert!(call(port, "PUT /failpoints", &format!("{name}=off;")).starts_with("HTTP/1.1 204"));
    assert!(call(port, &format!("DELETE /{name}"), "").starts_with("HTTP/1.1 204"));
    assert!(call(port, "GET /", "").contains(&format!("\n{name}=\n")));
}
