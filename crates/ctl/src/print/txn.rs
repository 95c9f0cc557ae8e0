//! Answers to txn.

use std::io::{self, Write};

use ferrod_client::proto::response_op::Response;
use ferrod_client::proto::{ResponseOp, TxnResponse};
use prost::Message;
use serde::Serialize;

use super::fields::Fields;
use super::json::{Header, is_default};
use super::key_value::{DeleteRangeJson, PutJson, RangeJson};
use super::{Printable, Style};
use crate::Error;

#[derive(Serialize)]
struct TxnJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<Header>,
    #[serde(skip_serializing_if = "is_default")]
    succeeded: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    responses: Vec<OpJson<'a>>,
}

/// Go's encoder shows the interface that holds the answer under its own name.
#[derive(Serialize)]
struct OpJson<'a> {
    #[serde(rename = "Response")]
    response: Option<AnswerJson<'a>>,
}

#[derive(Serialize)]
enum AnswerJson<'a> {
    #[serde(rename = "response_range")]
    Range(RangeJson<'a>),
    #[serde(rename = "response_put")]
    Put(PutJson<'a>),
    #[serde(rename = "response_delete_range")]
    DeleteRange(DeleteRangeJson<'a>),
    #[serde(rename = "response_txn")]
    Txn(TxnJson<'a>),
}

impl<'a> TxnJson<'a> {
    fn of(answer: &'a TxnResponse) -> TxnJson<'a> {
        TxnJson {
            header: Header::of(answer.header.as_ref()),
            succeeded: answer.succeeded,
            responses: answer.responses.iter().map(OpJson::of).collect(),
        }
    }
}

impl<'a> OpJson<'a> {
    fn of(op: &'a ResponseOp) -> OpJson<'a> {
        let response = op.response.as_ref().map(|response| match response {
            Response::ResponseRange(answer) => AnswerJson::Range(RangeJson::of(answer)),
            Response::ResponsePut(answer) => AnswerJson::Put(PutJson::of(answer)),
            Response::ResponseDeleteRange(answer) => {
                AnswerJson::DeleteRange(DeleteRangeJson::of(answer))
            }
            Response::ResponseTxn(answer) => AnswerJson::Txn(TxnJson::of(answer)),
        });
        OpJson { response }
    }
}

impl Printable for TxnResponse {
    fn simple(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{}",
            if self.succeeded { "SUCCESS" } else { "FAILURE" }
        )?;
        for op in &self.responses {
            writeln!(out)?;
            match &op.response {
                Some(Response::ResponseRange(answer)) => answer.simple(style, out)?,
                Some(Response::ResponsePut(answer)) => answer.simple(style, out)?,
                Some(Response::ResponseDeleteRange(answer)) => answer.simple(style, out)?,
                Some(Response::ResponseTxn(answer)) => answer.simple(style, out)?,
                None => {}
            }
        }
        Ok(())
    }

    fn json(&self, _: &Style) -> impl Serialize {
        TxnJson::of(self)
    }

    fn fields(&self, style: &Style) -> Option<String> {
        let mut fields = Fields::header(self.header.as_ref(), style);
        fields.line("Succeeded", self.succeeded);
        let mut text = fields.done()?;
        for op in &self.responses {
            text += &match &op.response {
                Some(Response::ResponseRange(answer)) => answer.fields(style)?,
                Some(Response::ResponsePut(answer)) => answer.fields(style)?,
                Some(Response::ResponseDeleteRange(answer)) => answer.fields(style)?,
                Some(Response::ResponseTxn(answer)) => answer.fields(style)?,
                None => String::new(),
            };
        }
        Some(text)
    }

    fn protobuf(&self) -> Result<Vec<u8>, Error> {
        Ok(self.encode_to_vec())
    }
}
