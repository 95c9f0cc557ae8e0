//! Asks DNS who is in the cluster, for a member without data that was given a domain instead of a list.
//!
//! Each SRV record of the domain is a member's peer URL. The member itself is the one whose address is that of an
//! advertised URL of its own; the others get numbers as names, until they publish their own.

use std::net::SocketAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

use super::Error;
use crate::config::{Config, MemberUrl, Scheme, Srv};
use crate::logging::error_chain;

/// The configuration with the members that DNS tells of; `None` if it is not to be asked.
///
/// # Errors
/// If DNS does not tell, or does not tell of this member.
pub(super) async fn complete(config: &Config) -> Result<Option<Config>, Error> {
    let Some(srv) = &config.cluster.srv else {
        return Ok(None);
    };
    let failed = |why: String| Error::Start(format!("error setting up initial cluster: {why}"));
    let members = find(config, srv).await.map_err(failed)?;
    for member in &members {
        tracing::info!(node = member, "got bootstrap from DNS for etcd-server");
    }
    let is_local = |member: &String| {
        let name = member.split_once('=').map(|(name, _)| name);
        name == Some(&config.name)
    };
    if !members.iter().any(is_local) {
        return Err(failed(format!(
            "cannot find local etcd member {:?} in SRV records",
            config.name
        )));
    }
    let mut complete = config.clone();
    complete.cluster.initial = members.join(",");
    Ok(Some(complete))
}

/// A service that peers offer.
#[derive(Debug, Clone, Copy)]
struct Service {
    label: &'static str,
    scheme: Scheme,
}

/// In the order in which they are asked for.
const SERVICES: [Service; 2] = [
    Service {
        label: "etcd-server-ssl",
        scheme: Scheme::Https,
    },
    Service {
        label: "etcd-server",
        scheme: Scheme::Http,
    },
];

/// `name=url` for each member of both services.
async fn find(config: &Config, srv: &Srv) -> Result<Vec<String>, String> {
    let own = own_places(&config.advertise_peer_urls).await;
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for service in SERVICES {
        let label = match srv.name.as_str() {
            "" => service.label.to_owned(),
            name => format!("{}-{name}", service.label),
        };
        let members = match &own {
            Ok(own) => ask(&label, &srv.domain).await.and_then(|targets| {
                name_members(&label, service.scheme, &config.name, own, &targets)
            }),
            Err(why) => Err(why.clone()),
        };
        let members =
            members.map_err(|why| format!("error querying DNS SRV records for _{label} {why}"));
        tracing::info!(
            "service-scheme" = service.scheme.as_str(),
            "service-name" = label,
            "server-name" = config.name,
            "discovery-srv" = srv.domain,
            "found-cluster" = ?members.as_deref().unwrap_or_default(),
            error = members.as_ref().err(),
            "get cluster for {} SRV", service.label
        );
        match members {
            Ok(members) => found.extend(members),
            Err(why) => failures.push(why),
        }
    }
    let failures = failures.join("; ");
    if found.is_empty() {
        return Err(failures);
    }
    if !failures.is_empty() {
        // Usual: a cluster has one of the two services.
        tracing::warn!(error = failures, "failed to resolve during SRV discovery");
    }
    Ok(found)
}

/// Where an SRV record points to.
#[derive(Debug, Clone)]
struct Target {
    /// Without the dot at its end.
    host: String,
    port: u16,
    address: Result<SocketAddr, String>,
}

/// All targets of a service, best first.
async fn ask(label: &str, domain: &str) -> Result<Vec<Target>, String> {
    let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
    let resolver = resolver.map_err(|error| error_chain(&error))?;
    let name = format!("_{label}._tcp.{domain}");
    let answer = resolver.srv_lookup(name).await;
    let answer = answer.map_err(|error| error_chain(&error))?;
    let records = answer
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        });
    let mut records: Vec<_> = records
        .map(|srv| (srv.priority, srv.target.to_utf8(), srv.port))
        .collect();
    records.sort_unstable();
    let mut targets = Vec::new();
    for (_, host, port) in records {
        targets.push(Target {
            address: look_up(&format!("{host}:{port}")).await,
            host: host.strip_suffix('.').unwrap_or(&host).to_owned(),
            port,
        });
    }
    Ok(targets)
}

/// Where the advertised URLs lead to.
async fn own_places(urls: &[MemberUrl]) -> Result<Vec<(SocketAddr, &MemberUrl)>, String> {
    let mut places = Vec::new();
    for url in urls {
        places.push((look_up(url.address()).await?, url));
    }
    Ok(places)
}

/// The first address of a name, if possible one of IPv4.
async fn look_up(host_port: &str) -> Result<SocketAddr, String> {
    let failed = |why: String| format!("lookup {host_port}: {why}");
    let found = tokio::net::lookup_host(host_port).await;
    let found: Vec<_> = found.map_err(|error| failed(error.to_string()))?.collect();
    let best = found
        .iter()
        .find(|address| address.is_ipv4())
        .or(found.first());
    best.copied()
        .ok_or_else(|| failed("no addresses".to_owned()))
}

/// `name=url` for each target whose address is known. The one at an address of `own` is `local`, if the schemes agree.
///
/// # Errors
/// If there is no target that can be used: why the last one cannot be.
fn name_members(
    label: &str,
    scheme: Scheme,
    local: &str,
    own: &[(SocketAddr, &MemberUrl)],
    targets: &[Target],
) -> Result<Vec<String>, String> {
    let scheme = scheme.as_str();
    let (mut members, mut numbers) = (Vec::new(), 0_u32..);
    let mut failure = "no records".to_owned();
    for Target {
        host,
        port,
        address,
    } in targets
    {
        let address = match address {
            Ok(address) => address,
            Err(why) => {
                failure.clone_from(why);
                continue;
            }
        };
        match own.iter().find(|(place, _)| place == address) {
            Some((_, url)) if url.scheme().as_str() != scheme => {
                failure = format!(
                    "bootstrap at {scheme}://{host}:{port} from DNS for {label} has scheme mismatch with expected peer {url}"
                );
            }
            Some(_) => members.push(format!("{local}={scheme}://{host}:{port}")),
            None => {
                let number = numbers.next().unwrap_or_default();
                members.push(format!("{number}={scheme}://{host}:{port}"));
            }
        }
    }
    match members.is_empty() {
        true => Err(failure),
        false => Ok(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, port: u16, address: &str) -> Target {
        Target {
            host: host.to_owned(),
            port,
            address: address
                .parse()
                .map_err(|_| format!("lookup {host}: {address}")),
        }
    }

    fn named(scheme: Scheme, own: &str, targets: &[Target]) -> Result<Vec<String>, String> {
        let own = MemberUrl::parse(own).unwrap();
        let place = own.address().parse().unwrap();
        name_members("etcd-server", scheme, "m", &[(place, &own)], targets)
    }

    #[test]
    fn the_target_at_an_own_address_has_the_own_name_and_others_have_numbers() {
        let targets = [
            target("a.example", 1, "10.0.0.1:1"),
            target("b.example", 1, "10.0.0.2:1"),
            target("c.example", 1, "10.0.0.3:1"),
        ];
        assert_eq!(
            named(Scheme::Http, "http://10.0.0.2:1", &targets).unwrap(),
            [
                "0=http://a.example:1",
                "m=http://b.example:1",
                "1=http://c.example:1"
            ]
        );
        // The port counts, too: several members may be on one machine.
        assert_eq!(
            named(Scheme::Http, "http://10.0.0.2:2", &targets).unwrap(),
            [
                "0=http://a.example:1",
                "1=http://b.example:1",
                "2=http://c.example:1"
            ]
        );
    }

    #[test]
    fn targets_that_cannot_be_used_are_left_out() {
        let targets = [
            target("a.example", 1, "nobody knows it"),
            target("b.example", 1, "10.0.0.2:1"),
            target("c.example", 1, "10.0.0.3:1"),
        ];
        assert_eq!(
            named(Scheme::Https, "http://10.0.0.2:1", &targets).unwrap(),
            ["0=https://c.example:1"]
        );
    }

    #[test]
    fn the_last_reason_is_told_when_nothing_is_left() {
        assert_eq!(
            named(Scheme::Http, "http://10.0.0.2:1", &[]),
            Err("no records".to_owned())
        );
        let unknown = target("a.example", 1, "nobody knows it");
        assert_eq!(
            named(
                Scheme::Http,
                "http://10.0.0.2:1",
                std::slice::from_ref(&unknown)
            ),
            Err("lookup a.example: nobody knows it".to_owned())
        );
        let own = target("b.example", 1, "10.0.0.2:1");
        assert_eq!(
            named(Scheme::Https, "http://10.0.0.2:1", &[unknown, own]),
            Err("bootstrap at https://b.example:1 from DNS for etcd-server has scheme mismatch with expected peer http://10.0.0.2:1".to_owned())
        );
    }
}
