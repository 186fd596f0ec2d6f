//! The client's states, by hand: no sockets, no clock.

use std::time::Duration;

use leasehold_frontend::codec::decode;
use leasehold_frontend::codec::encode::Writer;
use leasehold_frontend::codec::ia::IaKind;
use leasehold_frontend::codec::message::MessageKind;
use leasehold_frontend::codec::reply::ServerMessage;
use leasehold_proto::time::{Lifetime, LocalTime};

use super::server::{Quirk, SERVER_DUID, Server, lease_of};
use crate::load::client::{Behaviour, Client, Handled, Phase};
use crate::load::judge::{Fault, Promise};
use crate::load::message::ClientDuid;

const BOTH: Behaviour = Behaviour { addresses: true, prefixes: true, rapid_commit: false, renew_after: None };

/// A client and its time.
struct Case {
    client: Client,
    behaviour: Behaviour,
    now: LocalTime,
    sent: Vec<u8>,
    promises: Vec<Promise>,
}

impl Case {
    fn new(behaviour: Behaviour) -> Self {
        let client = Client::new(ClientDuid::new(1, 5), 77, &behaviour, 42);
        Self { client, behaviour, now: LocalTime::from_millis(1000), sent: Vec::new(), promises: Vec::new() }
    }

    fn started(behaviour: Behaviour) -> Self {
        let mut case = Self::new(behaviour);
        case.client.start(case.now);
        case
    }

    /// What the client sends now, if anything.
    fn poll(&mut self) -> Option<(MessageKind, bool)> {
        let mut writer = Writer::new(&mut self.sent, 1232);
        let polled = self.client.poll(self.now, &self.behaviour, &mut writer).unwrap();
        polled.sent.map(|sent| (sent.kind, sent.again))
    }

    /// Waits until the client wants to do something.
    fn wait(&mut self) -> Option<(MessageKind, bool)> {
        self.now = self.client.next_deadline();
        assert_ne!(self.now, LocalTime::NEVER);
        self.poll()
    }

    fn hear(&mut self, octets: &[u8]) -> Handled {
        let message = ServerMessage::decode(octets).unwrap();
        self.client.handle(self.now, &self.behaviour, &message, &mut self.promises)
    }

    /// Lets a server answer what was sent last.
    fn ask(&mut self, server: &Server) -> Handled {
        let answer = server.answer(&self.sent).unwrap();
        self.hear(&answer)
    }

    fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    fn bound(behaviour: Behaviour) -> Self {
        let mut case = Self::started(behaviour);
        let server = Server::new(Quirk::None);
        case.poll().unwrap();
        assert!(matches!(case.ask(&server), Handled::Offered { .. }));
        assert_eq!(case.poll(), Some((MessageKind::Request, false)));
        assert!(matches!(case.ask(&server), Handled::Bound { .. }));
        case
    }
}

#[test]
fn four_messages_bind_an_address_and_a_prefix() {
    let mut case = Case::started(BOTH);
    let server = Server::new(Quirk::None);
    assert_eq!(case.poll(), Some((MessageKind::Solicit, false)));
    case.pass(Duration::from_millis(20));
    assert_eq!(case.ask(&server), Handled::Offered { after: Duration::from_millis(20) });
    assert!(case.promises.is_empty(), "an offer promises nothing");
    assert_eq!(case.poll(), Some((MessageKind::Request, false)));
    {
        let decoded = decode(&case.sent).unwrap();
        let request = decoded.message();
        assert_eq!(request.server_id, Some(SERVER_DUID.as_slice()));
        let named: Vec<_> = request.ias.iter().flat_map(|ia| ia.leases().map(|lease| lease.bits)).collect();
        assert_eq!(named, [lease_of(5, IaKind::Na).bits(), lease_of(5, IaKind::Pd).bits()]);
    }
    case.pass(Duration::from_millis(30));
    let bound = case.ask(&server);
    let (after, waited) = (Duration::from_millis(30), Duration::from_millis(50));
    assert_eq!(bound, Handled::Bound { by: MessageKind::Request, after, waited, lost: 0 });
    assert_eq!(case.promises.len(), 2);
    assert_eq!(case.client.phase(), Phase::Bound);
    assert_eq!(case.client.next_deadline(), case.now + Duration::from_secs(500));
}

#[test]
fn rapid_commit_takes_two_messages_only_when_asked_for() {
    let server = Server { rapid_commit: true, ..Server::new(Quirk::None) };
    let mut case = Case::started(Behaviour { rapid_commit: true, ..BOTH });
    case.poll().unwrap();
    assert!(matches!(case.ask(&server), Handled::Bound { by: MessageKind::Solicit, .. }));
    let mut case = Case::started(BOTH);
    case.poll().unwrap();
    assert!(matches!(case.ask(&server), Handled::Offered { .. }));
}

#[test]
fn rfc_9915_18_2_1_an_unanswered_solicit_is_sent_again_with_the_elapsed_time() {
    let mut case = Case::started(BOTH);
    let first = case.now;
    case.poll().unwrap();
    let transaction = case.sent[1..4].to_vec();
    for _ in 0..6 {
        assert_eq!(case.wait(), Some((MessageKind::Solicit, true)));
        assert_eq!(case.sent[1..4], transaction, "the same transaction");
        let decoded = decode(&case.sent).unwrap();
        let elapsed = case.now.saturating_since(first).as_millis() / 10;
        assert_eq!(u128::from(decoded.message().elapsed_centisecs), elapsed);
    }
    assert!(case.now.saturating_since(first) > Duration::from_secs(50));
    assert_eq!(case.client.waiting_since(), Some(first));
}

#[test]
fn rfc_9915_18_2_2_a_request_is_given_up_after_ten_sendings_and_the_wait_goes_on() {
    let mut case = Case::started(BOTH);
    let first = case.now;
    case.poll().unwrap();
    case.ask(&Server::new(Quirk::None));
    case.poll().unwrap();
    for _ in 1..10 {
        assert_eq!(case.wait(), Some((MessageKind::Request, true)));
    }
    assert_eq!(case.wait(), None);
    assert_eq!(case.poll(), Some((MessageKind::Solicit, false)));
    assert_eq!(case.client.waiting_since(), Some(first));
}

#[test]
fn rfc_9915_18_2_4_renew_at_t1_rebind_at_t2_and_anew_when_all_has_expired() {
    let mut case = Case::bound(BOTH);
    let bound_at = case.now;
    let at = |secs| bound_at + Duration::from_secs(secs);
    assert_eq!(case.wait(), Some((MessageKind::Renew, false)));
    assert_eq!(case.now, at(500));
    let mut last = (MessageKind::Renew, false);
    while case.now < at(800) {
        last = case.wait().unwrap();
    }
    assert_eq!((case.now, last), (at(800), (MessageKind::Rebind, false)));
    assert_eq!(decode(&case.sent).unwrap().message().server_id, None);
    while case.now < at(1000) {
        last = case.wait().unwrap();
    }
    assert_eq!((case.now, last), (at(1000), (MessageKind::Solicit, false)));
    assert_eq!(case.client.leases().count(), 0);
}

#[test]
fn a_renewal_waits_from_its_first_renew_across_the_rebind() {
    let mut case = Case::bound(BOTH);
    let bound_at = case.now;
    while case.client.phase() != Phase::Rebinding {
        case.wait().unwrap();
    }
    case.pass(Duration::from_secs(1));
    let handled = case.ask(&Server::new(Quirk::None));
    let waited = case.now.saturating_since(bound_at + Duration::from_secs(500));
    assert_eq!(
        handled,
        Handled::Bound { by: MessageKind::Rebind, after: Duration::from_secs(1), waited, lost: 0 }
    );
}

#[test]
fn renew_after_overrides_t1() {
    let behaviour = Behaviour { renew_after: Some(Duration::from_secs(3)), ..BOTH };
    let mut case = Case::bound(behaviour);
    let bound_at = case.now;
    assert_eq!(case.wait(), Some((MessageKind::Renew, false)));
    assert_eq!(case.now, bound_at + Duration::from_secs(3));
}

#[test]
fn rfc_9915_18_2_7_a_release_is_sent_four_times() {
    let mut case = Case::bound(BOTH);
    case.client.release(case.now);
    assert_eq!(case.poll(), Some((MessageKind::Release, false)));
    for _ in 1..4 {
        assert_eq!(case.wait(), Some((MessageKind::Release, true)));
    }
    assert_eq!(case.wait(), None);
    assert_eq!((case.client.phase(), case.client.next_deadline()), (Phase::Idle, LocalTime::NEVER));
    let mut case = Case::bound(BOTH);
    case.client.release(case.now);
    case.poll().unwrap();
    assert!(matches!(case.ask(&Server::new(Quirk::None)), Handled::Released { .. }));
    assert_eq!(case.client.leases().count(), 0);
}

#[test]
fn wrong_answers_are_named_and_ignored() {
    for (quirk, fault) in [
        (Quirk::NoIas, Fault::IaMissing),
        (Quirk::Timers, Fault::T1AboveT2),
        (Quirk::Lifetimes, Fault::PreferredAboveValid),
        (Quirk::NoClientId, Fault::ClientId),
    ] {
        let mut case = Case::started(BOTH);
        case.poll().unwrap();
        assert_eq!(case.ask(&Server::new(quirk)), Handled::Wrong(fault), "{quirk:?}");
        assert_eq!(case.client.phase(), Phase::Soliciting);
    }
    let mut case = Case::bound(BOTH);
    case.wait().unwrap();
    assert_eq!(case.ask(&Server::new(Quirk::OtherServer)), Handled::Wrong(Fault::ServerId));
    assert!(case.promises.is_empty());
    assert!(
        matches!(case.ask(&Server::new(Quirk::None)), Handled::Bound { .. }),
        "the right answer still counts"
    );
}

#[test]
fn a_second_answer_is_late_but_promises_all_the_same() {
    let mut case = Case::bound(BOTH);
    assert_eq!(case.ask(&Server::new(Quirk::None)), Handled::Late);
    assert_eq!(case.promises.len(), 2);
    case.client.release(case.now);
    let old = Server::new(Quirk::None).answer(&case.sent).unwrap();
    case.poll().unwrap();
    assert_eq!(case.hear(&old), Handled::Late);
    assert!(case.promises.is_empty(), "who has released holds nothing");
    let mut stranger = old;
    stranger[1] ^= 1;
    assert_eq!(case.hear(&stranger), Handled::Unasked);
}

#[test]
fn no_binding_loses_the_leases_and_begins_anew() {
    let mut case = Case::bound(BOTH);
    case.wait().unwrap();
    let handled = case.ask(&Server::new(Quirk::NoBinding));
    assert!(matches!(handled, Handled::Lost { leases: 2, by: MessageKind::Renew, .. }), "{handled:?}");
    assert!(case.promises.iter().all(|promise| promise.valid == Lifetime::ZERO));
    assert_eq!(case.promises.len(), 2);
    assert_eq!(case.poll(), Some((MessageKind::Solicit, false)));
}

#[test]
fn a_dry_server_is_asked_again_later() {
    let mut case = Case::started(BOTH);
    case.poll().unwrap();
    let dry = Server::new(Quirk::Dry);
    assert!(matches!(case.ask(&dry), Handled::Refused { status: 2 }));
    assert_eq!(case.poll(), None, "not at once");
    assert_eq!(case.wait(), Some((MessageKind::Solicit, true)));
    case.ask(&Server::new(Quirk::None));
    case.poll().unwrap();
    assert!(matches!(case.ask(&dry), Handled::Refused { status: 2 }));
    assert_eq!(case.wait(), Some((MessageKind::Solicit, false)));
}
