//! Answers to the alarm commands.

use std::io::{self, Write};

use ferrod_client::proto::{AlarmMember, AlarmResponse, AlarmType};
use prost::Message;
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, is_default};
use super::{Printable, Style};
use crate::Error;

#[derive(Serialize)]
struct AlarmsJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    alarms: Vec<AlarmJson>,
}

#[derive(Serialize)]
struct AlarmJson {
    #[serde(rename = "memberID", skip_serializing_if = "is_default")]
    member_id: u64,
    #[serde(skip_serializing_if = "is_default")]
    alarm: i32,
}

fn kind(alarm: &AlarmMember) -> String {
    match AlarmType::try_from(alarm.alarm) {
        Ok(kind) => kind.as_str_name().to_owned(),
        Err(_) => alarm.alarm.to_string(),
    }
}

/// Protobuf's text form: what is zero is left out.
fn line(alarm: &AlarmMember) -> String {
    let member = (alarm.member_id != 0).then(|| format!("memberID:{}", alarm.member_id));
    let kind = (alarm.alarm != 0).then(|| format!("alarm:{}", kind(alarm)));
    let parts: Vec<String> = member.into_iter().chain(kind).collect();
    parts.join(" ")
}

impl Printable for AlarmResponse {
    fn simple(&self, _: &Style, out: &mut dyn Write) -> io::Result<()> {
        self.alarms
            .iter()
            .try_for_each(|alarm| writeln!(out, "{}", line(alarm)))
    }

    fn json(&self, _: &Style) -> impl Serialize {
        let alarm = |a: &AlarmMember| AlarmJson {
            member_id: a.member_id,
            alarm: a.alarm,
        };
        AlarmsJson {
            header: Header::of(self.header.as_ref()),
            alarms: self.alarms.iter().map(alarm).collect(),
        }
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        for alarm in &self.alarms {
            fields.id("MemberID", alarm.member_id, style);
            fields.line("AlarmType", kind(alarm));
            fields.empty_line();
        }
        fields.done()
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encode_to_vec())
    }
}
