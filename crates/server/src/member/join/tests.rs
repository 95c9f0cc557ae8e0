//! Which answers of a running cluster fit the flags.

use super::*;

fn initial(members: &[(u64, &str)], local: u64) -> InitialCluster {
    let members = members.iter().map(|(id, urls)| InitialMember {
        id: MemberId(*id),
        name: format!("m{id}"),
        peer_urls: MemberUrl::parse_list(urls).unwrap(),
    });
    InitialCluster {
        id: ClusterId(1),
        local: MemberId(local),
        members: members.collect(),
    }
}

fn running(members: &[(u64, &str)]) -> Running {
    let members = members.iter().map(|(id, urls)| Member {
        id: *id,
        peer_urls: urls.split(',').map(str::to_owned).collect(),
        ..Member::default()
    });
    Running {
        cluster: ClusterId(9),
        members: members.collect(),
    }
}

#[tokio::test]
async fn a_joining_member_takes_the_id_that_the_cluster_gave_it() {
    let flags = initial(&[(1, "http://a:1"), (2, "http://b:1,http://b:2")], 2);
    let cluster = running(&[(77, "http://b:2,http://b:1"), (88, "http://a:1")]);
    assert_eq!(match_members(&flags, &cluster).await, Ok(MemberId(77)));
}

/// covers: M-09
#[tokio::test]
async fn flags_and_cluster_must_agree() {
    let flags = initial(&[(1, "http://127.0.0.1:1"), (2, "http://127.0.0.1:2")], 2);
    let cluster = running(&[(77, "http://127.0.0.1:1")]);
    let refused = match_members(&flags, &cluster).await.unwrap_err();
    assert_eq!(refused.why, "member count is unequal");
    let cluster = running(&[(0xab, "http://127.0.0.1:1"), (0xcd, "http://127.0.0.1:3")]);
    let refused = match_members(&flags, &cluster).await.unwrap_err();
    assert_eq!(
        refused.why,
        "PeerURLs: no match found for existing member (cd, [http://127.0.0.1:3]), last resolver error (<nil>)"
    );
    assert!(!refused.lacks_name);
}

/// What nobody knows yet may be known in a moment.
#[tokio::test]
async fn a_name_that_nobody_knows_is_no_mismatch_for_good() {
    let flags = initial(
        &[
            (1, "http://no-such-host.invalid:1"),
            (2, "http://127.0.0.1:2"),
        ],
        2,
    );
    let cluster = running(&[(77, "http://127.0.0.1:1"), (88, "http://127.0.0.1:2")]);
    let refused = match_members(&flags, &cluster).await.unwrap_err();
    assert!(refused.lacks_name, "{refused:?}");
}

/// A member that comes up a little later than the one that asks it is waited for.
#[tokio::test]
async fn who_does_not_answer_is_asked_again() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = async {
        // The first who comes is hung up on.
        drop(listener.accept().await.unwrap());
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        let body = r#"[{"id":7,"peerURLs":["http://a:1"]}]"#;
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Etcd-Cluster-Id: 9\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(body.as_bytes()).await.unwrap();
        stream
    };
    let urls = MemberUrl::parse_list(&url).unwrap();
    let (running, _stream) = tokio::join!(answer_in_time(&urls), answering);
    assert_eq!(running.map(|running| running.cluster), Some(ClusterId(9)));
}

#[test]
fn only_versions_are_versions() {
    assert_eq!(major_minor("3.7.0"), Some((3, 7)));
    assert_eq!(major_minor("not_decided"), None);
    assert_eq!(major_minor("3"), None);
}
