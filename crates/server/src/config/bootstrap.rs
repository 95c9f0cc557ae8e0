//! The members with which a new cluster starts.

use std::collections::{BTreeMap, BTreeSet};

use ferrod_node::MemberId;

use super::url::UrlError;
use super::{Config, MemberUrl};
use crate::ids::{ClusterId, cluster_id, initial_member_id};

/// One member of a new cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialMember {
    /// Its id.
    pub id: MemberId,
    /// Its name.
    pub name: String,
    /// Its peer URLs, sorted.
    pub peer_urls: Vec<MemberUrl>,
}

/// The members with which a new cluster starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitialCluster {
    /// The id of the cluster.
    pub id: ClusterId,
    /// This member's id.
    pub local: MemberId,
    /// All members, this one too, in order of id.
    pub members: Vec<InitialMember>,
}

/// Why a new cluster cannot start with these members, in etcd's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// A URL that is none.
    #[error("error setting up initial cluster: {0}")]
    Url(#[from] UrlError),
    /// This member is not among them.
    #[error("couldn't find local name {0:?} in the initial cluster configuration")]
    NoLocalName(String),
    /// Two members share a URL.
    #[error("initial cluster {0} has duplicate url")]
    DuplicateUrl(String),
    /// Two members have the same id.
    #[error("member exists with identical ID {0}")]
    SameId(MemberId),
    /// The hash came out as zero.
    #[error("cannot use 0 as member id")]
    ZeroId,
    /// The list has URLs of this member that it does not advertise.
    #[error(
        "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised}"
    )]
    NotAdvertised {
        /// `name=url` for each.
        missing: String,
        /// What is advertised.
        advertised: String,
    },
    /// This member advertises URLs that the list has not.
    #[error(
        "--initial-advertise-peer-urls has {missing} but missing from --initial-cluster={initial}"
    )]
    NotInCluster {
        /// The URLs.
        missing: String,
        /// `name=url` for each that is advertised.
        initial: String,
    },
}

impl InitialCluster {
    /// What the list says of this member, sorted.
    #[must_use]
    pub fn local_urls(&self) -> &[MemberUrl] {
        let local = self.members.iter().find(|member| member.id == self.local);
        local.map_or(&[], |member| &member.peer_urls)
    }
}

impl Config {
    /// The members with which this member starts a new cluster, or which it expects in the one that
    /// it joins: their ids are then others. To be asked only when there is no data yet: a member
    /// that has some knows its cluster, and these flags say nothing then.
    ///
    /// # Errors
    /// [`BootstrapError`].
    pub fn initial_cluster(&self) -> Result<InitialCluster, BootstrapError> {
        let by_name = read_members(&self.cluster.initial)?;
        if !by_name.contains_key(&self.name) {
            return Err(BootstrapError::NoLocalName(self.name.clone()));
        }
        check_duplicates(&by_name)?;
        self.assemble(by_name)
    }

    fn assemble(
        &self,
        by_name: BTreeMap<String, Vec<MemberUrl>>,
    ) -> Result<InitialCluster, BootstrapError> {
        let mut members = BTreeMap::new();
        let mut local = MemberId::NONE;
        for (name, peer_urls) in by_name {
            let texts: Vec<&str> = peer_urls.iter().map(MemberUrl::as_str).collect();
            let id = initial_member_id(&texts, &self.cluster.token);
            if id == MemberId::NONE {
                return Err(BootstrapError::ZeroId);
            }
            if name == self.name {
                local = id;
            }
            let member = InitialMember {
                id,
                name,
                peer_urls,
            };
            if members.insert(id, member).is_some() {
                return Err(BootstrapError::SameId(id));
            }
        }
        let ids: Vec<MemberId> = members.keys().copied().collect();
        Ok(InitialCluster {
            id: cluster_id(&ids),
            local,
            members: members.into_values().collect(),
        })
    }

    /// What this member advertises must be what the list says of it, or the others would look for
    /// it in the wrong place. URLs are compared as texts; whoever asks may look up names then.
    ///
    /// Of no interest to a member that joins: it was announced with its URLs before, and the
    /// cluster knows them, whatever these flags say.
    ///
    /// # Errors
    /// [`BootstrapError::NotAdvertised`] and [`BootstrapError::NotInCluster`].
    pub fn check_advertised(&self, initial: &InitialCluster) -> Result<(), BootstrapError> {
        let listed = initial.local_urls().iter().map(MemberUrl::as_str);
        let listed: BTreeSet<&str> = listed.collect();
        let advertised: BTreeSet<&str> = self
            .advertise_peer_urls
            .iter()
            .map(MemberUrl::as_str)
            .collect();
        let with_name = |url: &&str| format!("{}={url}", self.name);
        let missing: Vec<String> = listed.difference(&advertised).map(with_name).collect();
        if !missing.is_empty() {
            return Err(BootstrapError::NotAdvertised {
                missing: missing.join(","),
                advertised: join(&advertised),
            });
        }
        let missing: BTreeSet<&str> = advertised.difference(&listed).copied().collect();
        if !missing.is_empty() {
            let initial: Vec<String> = advertised.iter().map(with_name).collect();
            return Err(BootstrapError::NotInCluster {
                missing: join(&missing),
                initial: initial.join(","),
            });
        }
        Ok(())
    }
}

fn join(texts: &BTreeSet<&str>) -> String {
    let texts: Vec<&str> = texts.iter().copied().collect();
    texts.join(",")
}

/// Reads `name=url,name=url`; a name may come again with another URL.
fn read_members(text: &str) -> Result<BTreeMap<String, Vec<MemberUrl>>, UrlError> {
    let mut members: BTreeMap<String, Vec<MemberUrl>> = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (name, url) = part.split_once('=').unwrap_or((part, ""));
        members
            .entry(name.to_owned())
            .or_default()
            .push(MemberUrl::parse(url)?);
    }
    for urls in members.values_mut() {
        urls.sort();
    }
    Ok(members)
}

fn check_duplicates(by_name: &BTreeMap<String, Vec<MemberUrl>>) -> Result<(), BootstrapError> {
    let mut seen = BTreeSet::new();
    if by_name.values().flatten().all(|url| seen.insert(url)) {
        return Ok(());
    }
    let all: Vec<String> = by_name
        .iter()
        .flat_map(|(name, urls)| urls.iter().map(move |url| format!("{name}={url}")))
        .collect();
    Err(BootstrapError::DuplicateUrl(all.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Startup, Surroundings};

    fn cluster_of(words: &[&str]) -> Result<InitialCluster, String> {
        let startup = Startup::read(&Surroundings::for_test(words));
        let config = startup.config().expect("the flags are good");
        let checked = config.initial_cluster().and_then(|initial| {
            config.check_advertised(&initial)?;
            Ok(initial)
        });
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_it_is_the_default_member() {
        let cluster = cluster_of(&[]).unwrap();
        assert_eq!(cluster.id.to_string(), "cdf818194e3a8c32");
        assert_eq!(cluster.local.to_string(), "8e9e05c52164694d");
        assert_eq!(cluster.members[0].name, "default");
    }

    #[test]
    fn dns_takes_the_place_of_the_list() {
        let words = [
            "--name=m",
            "--discovery-srv=example.com",
            "--discovery-srv-name=x",
        ];
        let startup = Startup::read(&Surroundings::for_test(&words));
        let cluster = startup.config().expect("the flags are good").cluster;
        let srv = cluster.srv.expect("there is a domain");
        assert_eq!(
            (srv.domain.as_str(), srv.name.as_str()),
            ("example.com", "x")
        );
        assert_eq!(cluster.initial, "");
    }

    /// Each text is what etcd 3.5.1 logged for the same flags, less what it says in brackets.
    #[test]
    fn mistakes_are_told_in_the_words_of_etcd() {
        for (words, message) in [
            (
                &["--initial-cluster=default"][..],
                "error setting up initial cluster: URL scheme must be http, https, unix, or unixs: ",
            ),
            (
                &["--name=foo", "--initial-cluster=a=http://b:1"],
                "couldn't find local name \"foo\" in the initial cluster configuration",
            ),
            (
                &["--initial-cluster=default=http://localhost:1"],
                "--initial-cluster has default=http://localhost:1 but missing from --initial-advertise-peer-urls=http://localhost:2380",
            ),
            (
                &["--initial-advertise-peer-urls=http://localhost:2380,http://localhost:2381"],
                "--initial-advertise-peer-urls has http://localhost:2381 but missing from --initial-cluster=default=http://localhost:2380,default=http://localhost:2381",
            ),
            (
                &["--initial-cluster=default=http://localhost:2380,b=http://localhost:2380"],
                "initial cluster b=http://localhost:2380,default=http://localhost:2380 has duplicate url",
            ),
            (
                &["--initial-cluster="],
                "couldn't find local name \"default\" in the initial cluster configuration",
            ),
        ] {
            assert_eq!(cluster_of(words), Err(message.to_owned()), "{words:?}");
        }
    }
}
