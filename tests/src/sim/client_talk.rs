//! What clients and their relays say, and what clients make of the answers.
//!
//! Owns the octets of client messages, written by the frontend's own codec, and the reading of Advertise and Reply
//! (RFC 9915 §18.2.9, §18.2.10). Judges on the way: T1 and T2, lifetimes, and that no lease in force is taken away
//! from a client that renews it.

use super::client::{Attachment, Doing};
use super::network::client_address;
use super::odd::Oddity;
use super::oracle::Holder;
use super::report::Kind;
use super::world::{World, note};
use leasehold_frontend::codec::relay_encode::ForwardLevel;
use leasehold_frontend::codec::reply::{ServerMessage, ServerMessageKind};
use leasehold_frontend::codec::wire::{msg, opt, status};
use leasehold_frontend::codec::{
    EncodeError, IaKind as WireKind, LeaseTimes, RawOption, RelayHeader, Timers, TransactionId, Writer,
    encode_relay_forward,
};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{IaKind, Prefix};
use std::net::Ipv6Addr;
use std::time::Duration;

/// Where the relay next to clients is, on their link.
const RELAY_LINK_ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 2, 0, 0, 0, 0, 1);
/// Addresses of relays towards servers, by level.
const RELAYS: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0xe, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0xe, 2),
];
/// Octets of the largest message that clients here make.
const MESSAGE_MAX: usize = 1400;

fn wire_kind(kind: IaKind) -> WireKind {
    match kind {
        IaKind::Na => WireKind::Na,
        IaKind::Pd => WireKind::Pd,
    }
}

fn word_kind(kind: WireKind) -> IaKind {
    match kind {
        WireKind::Na => IaKind::Na,
        WireKind::Pd => IaKind::Pd,
    }
}

impl World {
    /// Sends the message of a client's exchange.
    pub(super) fn client_transmits(&mut self, number: usize, now: LocalTime) {
        let message = self.client_message(number, now);
        note!(
            self,
            "client {number} sends {}: {:?}",
            name(message[0]),
            self.clients[number].exchange.as_ref().map(|e| &e.ias)
        );
        self.clone_speaks(number);
        self.maybe_release_again(number, &message);
        self.client_datagram(number, message, client_address(number));
    }

    /// Sends a client's message, through its relays if it has any.
    pub(super) fn client_datagram(&mut self, number: usize, message: Vec<u8>, address: Ipv6Addr) {
        match self.clients[number].plan.attachment {
            Attachment::Direct => self.send_to_frontends(message, address, true),
            Attachment::Relayed(levels) => {
                let levels = usize::from(levels.clamp(1, 2));
                let forward = relayed(address, levels, &message).expect("the message is far below the limit");
                self.send_to_frontends(forward, RELAYS[levels - 1], false);
            }
        }
    }

    fn client_message(&self, number: usize, now: LocalTime) -> Vec<u8> {
        let client = &self.clients[number];
        let exchange = client.exchange.as_ref().expect("a message is sent only within an exchange");
        let mut out = Vec::new();
        let mut write = || -> Result<(), EncodeError> {
            let mut w = Writer::new(&mut out, MESSAGE_MAX);
            w.message(exchange.message, TransactionId(exchange.xid))?;
            w.option(opt::CLIENT_ID, &client.duid)?;
            if let Some(server) = client.server.as_ref().filter(|_| exchange.with_server) {
                w.option(opt::SERVER_ID, server)?;
            }
            let elapsed = match client.plan.oddity {
                Oddity::NoElapsedTime => 0,
                _ => now.saturating_since(exchange.began).as_millis() / 10,
            };
            w.option_u16(opt::ELAPSED_TIME, u16::try_from(elapsed).unwrap_or(u16::MAX))?;
            w.code_list(opt::ORO, &[opt::DNS_SERVERS, opt::SOL_MAX_RT])?;
            if exchange.message == msg::SOLICIT && client.plan.rapid_commit {
                w.option(opt::RAPID_COMMIT, &[])?;
            }
            let may_accept = !matches!(exchange.message, msg::CONFIRM | msg::RELEASE | msg::DECLINE);
            if client.plan.accepts_reconfigure && may_accept {
                w.option(opt::RECONF_ACCEPT, &[])?;
            }
            for (kind, iaid, prefixes) in &exchange.ias {
                w.begin_ia(wire_kind(*kind), *iaid, Timers::default())?;
                for prefix in prefixes {
                    match kind {
                        IaKind::Na => w.ia_address(prefix.bits(), LeaseTimes::default())?,
                        IaKind::Pd => w.ia_prefix(prefix.bits(), prefix.len_bits(), LeaseTimes::default())?,
                    }
                }
                w.end_option()?;
            }
            w.finish().map(|_| ())
        };
        write().expect("a client's message is far below the limit");
        out
    }

    /// An answer reaches a client.
    pub(super) fn client_hears(&mut self, number: usize, slot: usize, bytes: &[u8]) {
        match bytes.first() {
            Some(&msg::RECONFIGURE) => return self.client_is_asked(number, bytes),
            Some(&msg::ADDR_REG_REPLY) => return self.client_is_registered(number, slot, bytes),
            _ => {}
        }
        let message = match ServerMessage::decode(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.fail(format!("client {number} cannot read what frontend {slot} sent: {error}"));
                return;
            }
        };
        let client = &self.clients[number];
        let Some(exchange) = &client.exchange else { return };
        // RFC 9915 §16.3, §16.10: what is not an answer to this exchange is dropped.
        let fits = message.transaction_id.0 == exchange.xid
            && message.client_id == Some(&client.duid[..])
            && message.server_id.is_some()
            && (!exchange.with_server || message.server_id == client.server.as_deref());
        if !fits {
            return;
        }
        let now = client.clock.local(self.now);
        match (client.doing, message.kind) {
            (Doing::Soliciting, ServerMessageKind::Advertise) => {
                self.client_is_offered(number, now, &message)
            }
            (Doing::Soliciting, ServerMessageKind::Reply) if !message.rapid_commit => return,
            (Doing::Away(_) | Doing::Bound, _)
            | (_, ServerMessageKind::Advertise | ServerMessageKind::AddrRegReply) => return,
            (Doing::Releasing | Doing::Declining, _) => self.client_finishes(number, now),
            (Doing::Confirming, _) => self.client_is_confirmed(number, now, &message),
            (_, ServerMessageKind::Reply) => {
                let message_type = exchange.message;
                if !self.client_takes_key(number, &message) {
                    return;
                }
                self.note_came(number, message_type);
                if self.clients[number].doing == Doing::Informing {
                    self.client_is_informed(number);
                } else {
                    self.client_is_told(number, slot, now, &message);
                }
            }
        }
        self.client_plan_wake(number);
    }

    fn client_is_offered(&mut self, number: usize, now: LocalTime, message: &ServerMessage<'_>) {
        let mut offered = Vec::new();
        for ia in &message.ias {
            for lease in ia.leases().filter(|l| l.valid_secs > 0) {
                if let Ok(prefix) = Prefix::new(lease.bits, u32::from(lease.len_bits)) {
                    offered.push((word_kind(ia.kind), ia.iaid, prefix));
                }
            }
        }
        // An offer of nothing is passed over (RFC 9915 §18.2.9).
        if offered.is_empty() {
            return;
        }
        let client = &mut self.clients[number];
        client.server = message.server_id.map(<[u8]>::to_vec);
        client.hints = offered;
        self.client_begins(number, now, msg::REQUEST);
    }

    fn client_is_confirmed(&mut self, number: usize, now: LocalTime, message: &ServerMessage<'_>) {
        if message.status.is_some_and(|s| s.code == status::NOT_ON_LINK) {
            self.fail(format!("client {number} is told that it is on another link"));
            return;
        }
        let client = &mut self.clients[number];
        client.exchange = None;
        client.doing = Doing::Bound;
        client.t1 = client.t1.max(now + Duration::from_secs(1));
    }

    /// A Reply to an Information-request: its leases are as they were.
    fn client_is_informed(&mut self, number: usize) {
        let client = &mut self.clients[number];
        client.exchange = None;
        client.doing = Doing::Bound;
    }

    /// A Reply to Request, Renew, Rebind, or to a Solicit with Rapid Commit.
    fn client_is_told(&mut self, number: usize, slot: usize, now: LocalTime, message: &ServerMessage<'_>) {
        let renews = matches!(self.clients[number].doing, Doing::Renewing | Doing::Rebinding);
        let answered_before = self.clients[number].answered_by.replace(slot);
        let mut no_binding = false;
        let (mut t1, mut t2) = (u32::MAX, u32::MAX);
        for ia in &message.ias {
            let (kind, iaid) = (word_kind(ia.kind), ia.iaid);
            let Some(mine) =
                self.clients[number].associations.iter().position(|a| a.kind == kind && a.iaid == iaid)
            else {
                self.fail(format!("client {number} is told of an IA that it does not have"));
                return;
            };
            if ia.status.is_some_and(|s| s.code == status::NO_BINDING) {
                no_binding = true;
                let held: Vec<Prefix> =
                    self.clients[number].associations[mine].leases.iter().map(|l| l.0).collect();
                self.judge_withdrawn(slot, number, (kind, iaid), &held, "told that it has no binding");
            }
            if ia.timers.t1_secs > ia.timers.t2_secs {
                self.fail(format!(
                    "client {number} is told T1 {} and T2 {}",
                    ia.timers.t1_secs, ia.timers.t2_secs
                ));
            }
            let mut has_live = false;
            for lease in ia.leases() {
                let Ok(prefix) = Prefix::new(lease.bits, u32::from(lease.len_bits)) else {
                    self.fail(format!("client {number} is told of a prefix with host bits"));
                    return;
                };
                if lease.preferred_secs > lease.valid_secs {
                    self.fail(format!("client {number} is told a preferred lifetime above the valid one"));
                }
                if lease.valid_secs == 0 {
                    if renews
                        && self.clients[number].associations[mine]
                            .leases
                            .iter()
                            .any(|l| l.0 == prefix && l.1 > now)
                    {
                        self.judge_withdrawn(slot, number, (kind, iaid), &[prefix], "told to stop using it");
                    }
                    self.client_drops(number, kind, iaid, prefix);
                    continue;
                }
                has_live = true;
                self.client_accepts(number, slot, now, mine, prefix, lease.valid_secs, answered_before);
            }
            if has_live {
                let or_half = |t: u32, of: u32| if t == 0 { of } else { t };
                t1 = t1.min(or_half(ia.timers.t1_secs, 30));
                t2 = t2.min(or_half(ia.timers.t2_secs, 48));
            }
        }
        self.client_goes_on(number, now, (t1, t2), no_binding, message.server_id.map(<[u8]>::to_vec));
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one lease of one Reply: all of it is needed, nothing of it is a thing"
    )]
    fn client_accepts(
        &mut self,
        number: usize,
        slot: usize,
        now: LocalTime,
        mine: usize,
        prefix: Prefix,
        valid_secs: u32,
        answered_before: Option<usize>,
    ) {
        let (until, until_true) = self.client_until(number, now, valid_secs);
        let identity = self.identity(number);
        let by = (slot, self.fronts[slot].life);
        let association = &mut self.clients[number].associations[mine];
        let holder = Holder { client: identity, kind: association.kind, iaid: association.iaid };
        match association.leases.iter_mut().find(|l| l.0 == prefix) {
            Some(lease) => {
                lease.1 = until;
                self.counts.renewals += 1;
                self.counts.renewals_by_the_partner +=
                    u64::from(answered_before.is_some_and(|s| s / 2 != slot / 2));
            }
            None => {
                association.leases.push((prefix, until));
                self.counts.leases += 1;
                if self.held_before.insert(prefix, identity).is_some_and(|other| other != identity) {
                    self.counts.addresses_reused += 1;
                }
            }
        }
        note!(self, "client {number} holds {prefix} for {valid_secs} s by frontend {slot}");
        match self.oracle.promised(self.now, holder, prefix, until_true, by) {
            Ok(()) => {}
            // Whoever is right about it now: an operator took this upon himself.
            Err(clash) if clash.by.iter().any(|b| self.operator.overridden.contains(b)) => {
                self.counts.owners_two_by_override += 1;
                self.oracle.overridden(self.now, holder, prefix, until_true, by);
            }
            Err(clash) => self.fail_as(Kind::Safety, clash.violation),
        }
    }

    /// What follows from a Reply.
    fn client_goes_on(
        &mut self,
        number: usize,
        now: LocalTime,
        (t1, t2): (u32, u32),
        no_binding: bool,
        server: Option<Vec<u8>>,
    ) {
        let renews = matches!(self.clients[number].doing, Doing::Renewing | Doing::Rebinding);
        let client = &mut self.clients[number];
        client.exchange = None;
        client.told_at = now;
        client.server = server;
        if t1 != u32::MAX {
            client.t1 = now + Duration::from_secs(u64::from(t1.max(1)));
            client.t2 = now + Duration::from_secs(u64::from(t2.max(2)));
        }
        let holds = client.associations.iter().any(|a| !a.leases.is_empty());
        if no_binding && renews {
            // RFC 9915 §18.2.10.1: a Request for what has no binding.
            client.hints = client
                .associations
                .iter()
                .flat_map(|a| a.leases.iter().map(|l| (a.kind, a.iaid, l.0)))
                .collect();
            self.client_begins(number, now, msg::REQUEST);
        } else if holds {
            if t1 == u32::MAX {
                // Nothing was extended: it asks again before long.
                client.t1 = now + Duration::from_secs(5);
                client.t2 = client.t2.max(now + Duration::from_secs(10));
            }
            client.doing = Doing::Bound;
        } else {
            client.hints.clear();
            client.doing = Doing::Away(now + Duration::from_secs(10));
        }
    }
}

fn relayed(client: Ipv6Addr, levels: usize, message: &[u8]) -> Result<Vec<u8>, EncodeError> {
    let interface_id = [RawOption { code: opt::INTERFACE_ID, data: b"port-7" }];
    let inner = ForwardLevel {
        header: RelayHeader { hop_count: 0, link_address: RELAY_LINK_ADDRESS, peer_address: client },
        options: &interface_id,
    };
    let outer = ForwardLevel {
        header: RelayHeader { hop_count: 1, link_address: Ipv6Addr::UNSPECIFIED, peer_address: RELAYS[0] },
        options: &[],
    };
    let chain = [outer, inner];
    let mut out = Vec::new();
    let mut w = Writer::new(&mut out, MESSAGE_MAX);
    encode_relay_forward(&chain[2 - levels..], &mut w, |w| w.raw(message))?;
    w.finish()?;
    Ok(out)
}

fn name(message: u8) -> &'static str {
    match message {
        msg::SOLICIT => "Solicit",
        msg::REQUEST => "Request",
        msg::RENEW => "Renew",
        msg::REBIND => "Rebind",
        msg::CONFIRM => "Confirm",
        msg::RELEASE => "Release",
        msg::DECLINE => "Decline",
        msg::INFORMATION_REQUEST => "Information-request",
        _ => "something",
    }
}
