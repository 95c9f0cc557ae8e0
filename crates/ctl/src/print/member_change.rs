//! Answers to the commands that change members, and who leads.

use std::io::{self, Write};

use ferrod_client::proto::{
    Member, MemberAddResponse, MemberPromoteResponse, MemberRemoveResponse, MemberUpdateResponse,
    MoveLeaderResponse, ResponseHeader,
};
use prost::Message;
use serde::Serialize;

use super::json::{Header, HeaderOnly};
use super::member::{HexHeader, ListJson, MemberJson, list_json, member_json};
use super::{Printable, Style};
use crate::{Error, go};

fn cluster_id(header: Option<&ResponseHeader>) -> u64 {
    header.map_or(0, |header| header.cluster_id)
}

/// A new member, and what it must be started with.
pub(crate) struct Added {
    pub(crate) name: String,
    /// As given.
    pub(crate) peer_urls: String,
    pub(crate) learner: bool,
    pub(crate) answer: MemberAddResponse,
}

impl Added {
    fn id(&self) -> u64 {
        self.answer.member.as_ref().map_or(0, |member| member.id)
    }

    /// `name=url` of each URL of each member. The new one has no name in the answer.
    fn initial_cluster(&self) -> String {
        let members = self.answer.members.iter().flat_map(|member| {
            let is_new = member.id == self.id();
            let name = if is_new { &self.name } else { &member.name };
            let urls = member.peer_ur_ls.iter();
            urls.map(move |url| format!("{name}={url}"))
        });
        members.collect::<Vec<_>>().join(",")
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum AddedJson<'a> {
    Decimal {
        #[serde(skip_serializing_if = "Option::is_none")]
        header: Option<Header>,
        #[serde(skip_serializing_if = "Option::is_none")]
        member: Option<MemberJson<'a, u64>>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        members: Vec<MemberJson<'a, u64>>,
    },
    Hex {
        header: HexHeader,
        member: Option<MemberJson<'a, String>>,
        members: Vec<MemberJson<'a, String>>,
    },
}

impl Printable for Added {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let (id, cluster) = (self.id(), cluster_id(self.answer.header.as_ref()));
        let kind = if self.learner { " as learner" } else { "" };
        let (id, cluster) = (format!("{id:x}"), format!("{cluster:x}"));
        writeln!(out, "Member {id:>16} added{kind} to cluster {cluster:>16}")?;
        let quote = |text: &str| go::quote(text.as_bytes());
        writeln!(out, "\nETCD_NAME={}", quote(&self.name))?;
        writeln!(
            out,
            "ETCD_INITIAL_CLUSTER={}",
            quote(&self.initial_cluster())
        )?;
        let urls = quote(&self.peer_urls);
        writeln!(out, "ETCD_INITIAL_ADVERTISE_PEER_URLS={urls}")?;
        writeln!(out, "ETCD_INITIAL_CLUSTER_STATE=\"existing\"")
    }

    fn json(&self, style: &Style) -> impl Serialize {
        let MemberAddResponse {
            header,
            member,
            members,
        } = &self.answer;
        let (member, members) = (member.as_ref(), members.iter());
        if style.hex {
            AddedJson::Hex {
                header: HexHeader::of(header.as_ref()),
                member: member.map(|m| member_json(m, format!("{:x}", m.id))),
                members: members
                    .map(|m| member_json(m, format!("{:x}", m.id)))
                    .collect(),
            }
        } else {
            AddedJson::Decimal {
                header: Header::of(header.as_ref()),
                member: member.map(|m| member_json(m, m.id)),
                members: members.map(|m| member_json(m, m.id)).collect(),
            }
        }
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.answer.encode_to_vec())
    }
}

/// A member that is removed, updated or promoted.
pub(crate) struct MemberDone {
    id: u64,
    /// What happened, and what stands between that and the cluster.
    done: &'static str,
    header: Option<ResponseHeader>,
    members: Vec<Member>,
    encoded: Vec<u8>,
}

impl MemberDone {
    pub(crate) fn removed(id: u64, answer: MemberRemoveResponse) -> MemberDone {
        MemberDone {
            id,
            done: "removed from",
            encoded: answer.encode_to_vec(),
            header: answer.header,
            members: answer.members,
        }
    }

    pub(crate) fn updated(id: u64, answer: MemberUpdateResponse) -> MemberDone {
        MemberDone {
            id,
            done: "updated in",
            encoded: answer.encode_to_vec(),
            header: answer.header,
            members: answer.members,
        }
    }

    pub(crate) fn promoted(id: u64, answer: MemberPromoteResponse) -> MemberDone {
        MemberDone {
            id,
            done: "promoted in",
            encoded: answer.encode_to_vec(),
            header: answer.header,
            members: answer.members,
        }
    }
}

impl Printable for MemberDone {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let (id, cluster) = (self.id, cluster_id(self.header.as_ref()));
        let (id, cluster) = (format!("{id:x}"), format!("{cluster:x}"));
        let done = self.done;
        writeln!(out, "Member {id:>16} {done} cluster {cluster:>16}")
    }

    fn json(&self, style: &Style) -> impl Serialize {
        let json: ListJson<'_> = list_json(self.header.as_ref(), &self.members, style);
        json
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encoded.clone())
    }
}

/// A new leader.
pub(crate) struct LeaderMoved {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) answer: MoveLeaderResponse,
}

impl Printable for LeaderMoved {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let (from, to) = (self.from, self.to);
        writeln!(out, "Leadership transferred from {from:x} to {to:x}")
    }

    fn json(&self, _: &Style) -> impl Serialize {
        HeaderOnly {
            header: Header::of(self.answer.header.as_ref()),
        }
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.answer.encode_to_vec())
    }
}
