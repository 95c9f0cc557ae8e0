//! Answers to the member commands.

use std::io::{self, Write};

use ferrod_client::proto::{Member, MemberListResponse, ResponseHeader};
use prost::Message;
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, is_default};
use super::table::Table;
use super::{Printable, Style};
use crate::Error;

const COLUMNS: [&str; 6] = [
    "id",
    "status",
    "name",
    "peer addrs",
    "client addrs",
    "is learner",
];

/// Header and members, as every command on members shows them in JSON.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum ListJson<'a> {
    Decimal {
        #[serde(skip_serializing_if = "Option::is_none")]
        header: Option<Header>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        members: Vec<MemberJson<'a, u64>>,
    },
    Hex {
        header: HexHeader,
        members: Vec<MemberJson<'a, String>>,
    },
}

/// A header whose identifiers are texts, so that readers with doubles can take them.
#[derive(Serialize)]
pub(super) struct HexHeader {
    cluster_id: String,
    member_id: String,
    #[serde(skip_serializing_if = "is_default")]
    revision: i64,
    #[serde(skip_serializing_if = "is_default")]
    raft_term: u64,
}

impl HexHeader {
    pub(super) fn of(header: Option<&ResponseHeader>) -> HexHeader {
        let header = header.copied().unwrap_or_default();
        HexHeader {
            cluster_id: format!("{:x}", header.cluster_id),
            member_id: format!("{:x}", header.member_id),
            revision: header.revision,
            raft_term: header.raft_term,
        }
    }
}

#[derive(Serialize)]
pub(super) struct MemberJson<'a, Id: Default + PartialEq> {
    #[serde(rename = "ID", skip_serializing_if = "is_default")]
    id: Id,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(rename = "peerURLs", skip_serializing_if = "<[String]>::is_empty")]
    peer_urls: &'a [String],
    #[serde(rename = "clientURLs", skip_serializing_if = "<[String]>::is_empty")]
    client_urls: &'a [String],
    #[serde(rename = "isLearner", skip_serializing_if = "is_default")]
    is_learner: bool,
}

pub(super) fn member_json<Id: Default + PartialEq>(member: &Member, id: Id) -> MemberJson<'_, Id> {
    MemberJson {
        id,
        name: &member.name,
        peer_urls: &member.peer_ur_ls,
        client_urls: &member.client_ur_ls,
        is_learner: member.is_learner,
    }
}

/// Header and members in JSON.
pub(super) fn list_json<'a>(
    header: Option<&ResponseHeader>,
    members: &'a [Member],
    style: &Style,
) -> ListJson<'a> {
    if style.hex {
        let hex = |member: &'a Member| member_json(member, format!("{:x}", member.id));
        ListJson::Hex {
            header: HexHeader::of(header),
            members: members.iter().map(hex).collect(),
        }
    } else {
        let decimal = |member: &'a Member| member_json(member, member.id);
        ListJson::Decimal {
            header: Header::of(header),
            members: members.iter().map(decimal).collect(),
        }
    }
}

fn row(member: &Member) -> Vec<String> {
    // A member without a name has never come up.
    let status = if member.name.is_empty() {
        "unstarted"
    } else {
        "started"
    };
    vec![
        format!("{:x}", member.id),
        status.to_owned(),
        member.name.clone(),
        member.peer_ur_ls.join(","),
        member.client_ur_ls.join(","),
        member.is_learner.to_string(),
    ]
}

impl Printable for MemberListResponse {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        let table = Table::new(&COLUMNS, self.members.iter().map(row));
        out.write_all(table.lines().as_bytes())
    }

    fn json(&self, style: &Style) -> impl Serialize {
        list_json(self.header.as_ref(), &self.members, style)
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        for member in &self.members {
            fields.id("ID", member.id, style);
            fields.quoted("Name", &member.name);
            member
                .peer_ur_ls
                .iter()
                .for_each(|url| fields.quoted("PeerURL", url));
            member
                .client_ur_ls
                .iter()
                .for_each(|url| fields.quoted("ClientURL", url));
            fields.line("IsLearner", member.is_learner);
            fields.empty_line();
        }
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encode_to_vec())
    }

    fn table(&self) -> Option<Table> {
        Some(Table::new(&COLUMNS, self.members.iter().map(row)))
    }
}
