//! The client's view of Advertise, Reply and Relay-reply.

use super::super::options::TlvError;
use super::super::reply::{ReplyError, ServerMessage, ServerMessageKind, unwrap_relay_reply};
use super::super::wire::{msg, opt, status};
use super::*;

fn rich_reply() -> Vec<u8> {
    build(msg::REPLY, |w| {
        w.option(opt::CLIENT_ID, CLIENT_DUID)?;
        w.option(opt::SERVER_ID, SERVER_DUID)?;
        w.status_code(status::SUCCESS, "fine")?;
        w.option_u8(opt::PREFERENCE, 7)?;
        w.option(opt::RAPID_COMMIT, &[])?;
        w.begin_ia(IaKind::Na, 1, Timers { t1_secs: 100, t2_secs: 160 })?;
        w.begin_ia_address(ADDRESS, TIMES)?;
        w.status_code(status::NOT_ON_LINK, "")?;
        w.end_option()?;
        w.end_option()?;
        w.begin_ia(IaKind::Pd, 2, Timers::default())?;
        w.status_code(status::NO_PREFIX_AVAIL, "dry")?;
        w.end_option()
    })
}

#[test]
fn a_rich_reply_is_read_as_sent() {
    let bytes = rich_reply();
    let reply = ServerMessage::decode(&bytes).unwrap();
    assert_eq!(reply.kind, ServerMessageKind::Reply);
    assert_eq!(reply.transaction_id, XID);
    assert_eq!((reply.client_id, reply.server_id), (Some(CLIENT_DUID), Some(SERVER_DUID)));
    assert_eq!((reply.preference, reply.rapid_commit), (Some(7), true));
    assert_eq!(reply.status.unwrap().text, b"fine");
    assert_eq!(reply.ias.len(), 2);
    assert_eq!(reply.ias[0].timers, Timers { t1_secs: 100, t2_secs: 160 });
    assert_eq!(reply.ias[0].status, None, "the status of a lease is not that of its IA");
    let lease = reply.ias[0].leases().next().unwrap();
    assert_eq!((lease.bits, lease.valid_secs), (ADDRESS, 7_200));
    assert_eq!(lease.status().unwrap().code, status::NOT_ON_LINK);
    assert_eq!(reply.ias[1].status.unwrap().code, status::NO_PREFIX_AVAIL);
    assert_eq!(reply.ias[1].leases().count(), 0);
}

#[test]
fn a_judge_sees_host_bits_and_repeated_ias() {
    let bytes = message_of(
        msg::ADVERTISE,
        &[ia(IaKind::Pd, 1, &[ia_prefix(PREFIX | 1, 56)]), ia(IaKind::Pd, 1, &[])],
    );
    let advertise = ServerMessage::decode(&bytes).unwrap();
    assert_eq!(advertise.kind, ServerMessageKind::Advertise);
    assert_eq!(advertise.ias.len(), 2);
    assert_eq!(advertise.ias[0].leases().next().unwrap().bits, PREFIX | 1);
}

#[test]
fn malformed_server_messages_are_errors() {
    let error = |bytes: &[u8]| ServerMessage::decode(bytes).map(|_| ()).unwrap_err();
    assert_eq!(error(&[7, 1]), ReplyError::TruncatedHeader);
    assert_eq!(error(&message_of(msg::SOLICIT, &[])), ReplyError::UnexpectedType { found: 1 });
    assert_eq!(error(&message_of(msg::REPLY, &[vec![0, 1, 0]])), ReplyError::Tlv(TlvError::Truncated));
    let short = message_of(msg::REPLY, &[tlv(opt::IA_NA, &[0; 11])]);
    assert_eq!(error(&short), ReplyError::BadOptionLength { code: opt::IA_NA });
    let short = message_of(msg::REPLY, &[tlv(opt::STATUS_CODE, &[0])]);
    assert_eq!(error(&short), ReplyError::BadOptionLength { code: opt::STATUS_CODE });
    assert_eq!(unwrap_relay_reply(&[]).map(|_| ()), Err(ReplyError::TruncatedHeader));
    assert_eq!(unwrap_relay_reply(&[7]).map(|_| ()), Err(ReplyError::UnexpectedType { found: 7 }));
    assert_eq!(unwrap_relay_reply(&[13; 33]).map(|_| ()), Err(ReplyError::TruncatedHeader));
    assert_eq!(
        unwrap_relay_reply(&[&[13; 34][..]].concat()).map(|_| ()),
        Err(ReplyError::RelayWithoutMessage)
    );
}

#[test]
fn sv_111_truncation_of_a_reply_at_every_octet_never_panics() {
    let whole = rich_reply();
    for len in 0..whole.len() {
        let _ = ServerMessage::decode(&whole[..len]);
    }
    assert!(ServerMessage::decode(&whole).is_ok());
}
