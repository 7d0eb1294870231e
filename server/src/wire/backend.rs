//! What clients are sent, apart from rows.

use bytes::Bytes;
use pgwire::messages::PgWireBackendMessage as Message;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::data::{FieldDescription, NoData, ParameterDescription, RowDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::{
    CommandComplete, EmptyQueryResponse, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus as PgStatus,
};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey};

use atoll_connector_api::types::{BuiltinType, PgType};

use super::encode::Format;
use crate::error::{Notice, NoticeSeverity, SqlError};
use crate::session::{ResultColumn, TransactionStatus};

/// How an error ends things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    /// The statement.
    Error,
    /// The connection.
    Fatal,
}

/// `ErrorResponse`.
pub(super) fn error(severity: Severity, error: &SqlError) -> Message {
    let severity = match severity {
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    };
    Message::ErrorResponse(ErrorResponse::new(fields(severity, error)))
}

/// `NoticeResponse`.
pub(super) fn notice(notice: &Notice) -> Message {
    let severity = match notice.severity {
        NoticeSeverity::Notice => "NOTICE",
        NoticeSeverity::Warning => "WARNING",
    };
    Message::NoticeResponse(NoticeResponse::new(fields(severity, &notice.message)))
}

fn fields(severity: &str, error: &SqlError) -> Vec<(u8, String)> {
    let mut fields = vec![
        (b'S', severity.to_owned()),
        (b'V', severity.to_owned()),
        (b'C', error.sqlstate.as_str().to_owned()),
        (b'M', text(&error.message)),
    ];
    let optional = [(b'D', &error.detail), (b'H', &error.hint), (b'W', &error.context)];
    fields.extend(optional.into_iter().filter_map(|(code, value)| Some((code, text(value.as_deref()?)))));
    fields.extend(error.position.map(|position| (b'P', position.to_string())));
    fields
}

/// Strings end at a NUL on the wire; a remote's message may hold one.
fn text(value: &str) -> String {
    value.replace('\0', "\u{fffd}")
}

/// `RowDescription`.
pub(super) fn row_description(columns: &[ResultColumn], formats: impl Iterator<Item = Format>) -> Message {
    let fields = columns.iter().zip(formats).map(|(column, format)| {
        // An OID is unsigned on the wire; the type of this field is only a container of its four bytes.
        let relation = i32::from_be_bytes(column.origin.0.to_be_bytes());
        FieldDescription::new(
            text(&column.name),
            relation,
            column.origin.1,
            column.data_type.oid,
            type_length(&column.data_type),
            column.data_type.modifier,
            format.code(),
        )
    });
    Message::RowDescription(RowDescription::new(fields.collect()))
}

fn type_length(data_type: &PgType) -> i16 {
    match &data_type.user {
        // An enum's value is an OID (`pg_type.typlen` is 4).
        Some(user) if !user.labels.is_empty() && !user.array => 4,
        Some(_) => -1,
        None => BuiltinType::by_oid(data_type.oid).map_or(-1, |builtin| builtin.length),
    }
}

/// `ParameterDescription`.
pub(super) fn parameter_description(types: &[PgType]) -> Message {
    Message::ParameterDescription(ParameterDescription::new(types.iter().map(|data_type| data_type.oid).collect()))
}

/// `ReadyForQuery`.
pub(super) fn ready_for_query(status: TransactionStatus) -> Message {
    Message::ReadyForQuery(ReadyForQuery::new(match status {
        TransactionStatus::Idle => PgStatus::Idle,
        TransactionStatus::InBlock => PgStatus::Transaction,
        TransactionStatus::Failed => PgStatus::Error,
    }))
}

/// `CommandComplete`.
pub(super) fn command_complete(tag: impl Into<String>) -> Message {
    Message::CommandComplete(CommandComplete::new(tag.into()))
}

/// `ParameterStatus`.
pub(super) fn parameter_status(name: &str, value: &str) -> Message {
    Message::ParameterStatus(ParameterStatus::new(text(name), text(value)))
}

/// `CopyOutResponse`: `columns` is at most PostgreSQL's bound of a target list.
pub(super) fn copy_out_response(columns: usize, format: Format) -> Message {
    let count = i16::try_from(columns).unwrap_or(i16::MAX);
    let formats = std::iter::repeat_n(format.code(), usize::from(count.unsigned_abs())).collect();
    let overall = i8::from(format == Format::Binary);
    Message::CopyOutResponse(CopyOutResponse::new(overall, count, formats))
}

/// `BackendKeyData`.
pub(super) fn backend_key_data(pid: i32, key: &[u8]) -> Message {
    Message::BackendKeyData(BackendKeyData::new(pid, SecretKey::Bytes(Bytes::copy_from_slice(key))))
}

/// `NegotiateProtocolVersion` with the newest version as PostgreSQL sends it: both halves.
pub(super) fn negotiate_protocol_version(newest: i32, unknown: Vec<String>) -> Message {
    Message::NegotiateProtocolVersion(NegotiateProtocolVersion::new(newest, unknown))
}

/// `AuthenticationSASL`.
pub(super) fn sasl(mechanisms: Vec<String>) -> Message {
    Message::Authentication(Authentication::SASL(mechanisms))
}

/// `AuthenticationSASLContinue`.
pub(super) fn sasl_continue(data: String) -> Message {
    Message::Authentication(Authentication::SASLContinue(data.into()))
}

/// `AuthenticationSASLFinal`.
pub(super) fn sasl_final(data: String) -> Message {
    Message::Authentication(Authentication::SASLFinal(data.into()))
}

macro_rules! plain {
    ($($name:ident = $message:expr;)*) => {
        $(pub(super) fn $name() -> Message { $message })*
    };
}

plain! {
    authentication_ok = Message::Authentication(Authentication::Ok);
    parse_complete = Message::ParseComplete(ParseComplete::new());
    bind_complete = Message::BindComplete(BindComplete::new());
    close_complete = Message::CloseComplete(CloseComplete::new());
    portal_suspended = Message::PortalSuspended(PortalSuspended::new());
    no_data = Message::NoData(NoData::new());
    empty_query = Message::EmptyQueryResponse(EmptyQueryResponse::new());
    copy_done = Message::CopyDone(CopyDone::new());
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::error::SqlState;

    fn bytes(message: &Message) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        message.encode(&mut buffer).unwrap();
        buffer.to_vec()
    }

    #[test]
    fn an_error_carries_all_its_fields_and_no_terminator_within() {
        let mut sql_error = SqlError::new(SqlState::UNDEFINED_TABLE, "a\0b").detail("d").hint("h").at(7);
        sql_error.context = Some("c".to_owned());
        assert_eq!(
            String::from_utf8(bytes(&error(Severity::Fatal, &sql_error))[5..].to_vec()).unwrap(),
            "SFATAL\0VFATAL\0C42P01\0Ma\u{fffd}b\0Dd\0Hh\0Wc\0P7\0\0"
        );
    }

    #[test]
    fn a_row_description_keeps_large_oids() {
        let mut column = ResultColumn::new("x", PgType::user("mood", vec!["sad".to_owned()], false));
        column.origin = (u32::MAX, 3);
        let bytes = bytes(&row_description(&[column], std::iter::once(Format::Binary)));
        assert_eq!(&bytes[5..9], b"\0\x01x\0");
        assert_eq!(&bytes[9..15], b"\xff\xff\xff\xff\0\x03");
        assert_eq!(&bytes[19..], b"\0\x04\xff\xff\xff\xff\0\x01");
    }

    #[test]
    fn a_cancel_key_may_be_short_or_long() {
        assert_eq!(bytes(&backend_key_data(1, b"abcd")), b"K\0\0\0\x0c\0\0\0\x01abcd");
        assert_eq!(bytes(&backend_key_data(1, &[7; 32])).len(), 1 + 8 + 32);
    }
}
