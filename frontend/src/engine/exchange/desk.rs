//! The way of one message: octets, link, server, whose turn, look-up, plan, reply.
//!
//! Owns the order of these steps. Refuses to decide any of them itself; what becomes of messages and Replies that were
//! kept is `later`'s. Input: packets; output: replies in the sink and counts. Invariant: one message, at most one answer.

use super::access;
use super::answer::{Answer, Cause, decide};
use super::claim::{Place, came_again};
use super::classes::{Classes, Sender, lifetimes_of};
use super::context::Context;
use super::held::Terms;
use super::parked::{Parking, Waiting};
use super::plan::Plan;
use super::pools::{LinkAt, Topology};
use super::server::{self, Speaker};
use super::{
    Exchange, confirm, decline, ending, information_request, legacy, link, rebind, register, release, renew,
    reply, request, solicit, traced,
};
use crate::codec::wire::msg;
use crate::codec::{
    ClientMessage, Decoded, Discard, MessageKind, RelayChain, TemporaryIa, Writer, decode, validate,
    validate_sender,
};
use crate::engine::counters::Counters;
use crate::engine::leases::Leases;
use crate::engine::trace::TraceLog;
use crate::engine::{Packet, ReplySink};
use leasehold_proto::time::LocalTime;
use leasehold_proto::words::{FrontendId, LinkId};
use siphasher::sip::SipHasher13;
use std::cell::{Cell, OnceCell};
use std::hash::Hasher as _;

/// Leases of one message that the store is asked to adopt (R7). Why two: an honest client has one address and one prefix.
const ADOPTIONS_PER_MESSAGE: u8 = 2;

/// Why a message is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Occasion<'t> {
    /// It has arrived.
    Arrived,
    /// It was left to this partner, and the store's word on the partners changed: as if it had just arrived.
    JudgedAnew(&'t FrontendId),
    /// It is a Release or Decline that was left to the partner long enough; if its leases still stand like this, the
    /// partner did not act on it.
    Unhandled(u64),
    /// What the store knows of its client is here, or does not come: it is ours, and is answered now.
    LookedUp,
    /// What the store was asked to adopt is decided, or it does not say: it is ours, and nothing more is asked.
    Adopted,
}

/// A message that is to be answered, whichever relationship does.
#[derive(Clone, Copy)]
struct Asked<'a, 'm> {
    sender: Sender<'a, 'm>,
    classes: &'a Classes,
    temporary: &'a [TemporaryIa<'m>],
    occasion: Occasion<'a>,
}

/// What became of a message that was not discarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Handled {
    /// A reply of this type is in the sink.
    Answered { message_type: u8, cause: Option<Cause> },
    /// A copy is kept, or was kept already.
    Kept,
    /// The Reply is held until what it promises is committed.
    Held,
}

/// [`Exchange`] at work, with the leases, counters and sink that one call needs.
pub(in crate::engine) struct Desk<'e, S> {
    pub(in crate::engine) now: LocalTime,
    pub(in crate::engine) exchange: &'e mut Exchange,
    pub(in crate::engine) leases: &'e mut Leases,
    pub(in crate::engine) counters: &'e mut Counters,
    /// What somebody who traces a client is told: filled in on the way.
    pub(in crate::engine) trace: &'e mut TraceLog,
    pub(in crate::engine) replies: &'e mut S,
}

impl<S: ReplySink> Desk<'_, S> {
    /// Answers, keeps or discards one datagram, and counts which.
    pub(in crate::engine) fn handle(&mut self, packet: &Packet<'_>) {
        self.counters.packets += 1;
        self.look_at(packet, Occasion::Arrived);
    }

    /// Counts what became of a message; nothing if it was discarded.
    pub(super) fn look_at(&mut self, packet: &Packet<'_>, occasion: Occasion<'_>) -> Option<Handled> {
        self.trace_begin(packet, traced::occasion_word(&occasion));
        match self.consider(packet, occasion) {
            Ok(handled) => {
                match handled {
                    Handled::Answered { message_type, cause } => {
                        self.counters.answer(message_type, cause);
                        self.trace.answered(message_type, cause);
                    }
                    Handled::Kept | Handled::Held => self.trace.kept(),
                }
                Some(handled)
            }
            Err(reason) => {
                self.counters.discard(reason);
                self.trace.discarded(reason);
                None
            }
        }
    }

    pub(super) fn trace_begin(&mut self, packet: &Packet<'_>, occasion: &'static str) {
        traced::begin(self.trace, self.now, packet, self.exchange, self.leases, occasion);
    }

    fn consider(&mut self, packet: &Packet<'_>, occasion: Occasion<'_>) -> Result<Handled, Discard> {
        let decoded = decode(packet.bytes)?;
        if occasion == Occasion::Arrived {
            self.counters.receive(&decoded);
        }
        let message = decoded.message();
        if decoded.relay().is_none() && !packet.destination.is_multicast() {
            let topology = self.exchange.topology.take().ok_or(Discard::UnicastDestination)?;
            let outcome = self.answer_unicast(&topology, packet, message);
            self.exchange.topology = Some(topology);
            return outcome;
        }
        // Which DUIDs a Server Identifier may hold is judged where the logical servers are known.
        validate(message, message.server_id.unwrap_or_default())?;
        validate_sender(message, decoded.relay().map_or(packet.source, RelayChain::client_address))?;
        // The index stands aside while leases and kept messages change beside it.
        let topology = self.exchange.topology.take().ok_or(Discard::NoConfiguration)?;
        let outcome = self.consider_in(&topology, packet, &decoded, occasion);
        self.exchange.topology = Some(topology);
        outcome
    }

    /// What a client sent to this machine's own address is dropped, or answered by a word about multicast (SV-134,
    /// SV-135); for whom nothing else is answered, neither is this.
    fn answer_unicast(
        &mut self,
        topology: &Topology,
        packet: &Packet<'_>,
        message: &ClientMessage<'_>,
    ) -> Result<Handled, Discard> {
        let server_duid = legacy::told_to_use_multicast(topology, message)?;
        let chosen = link::choose(topology, &self.exchange.interface_links, packet, None);
        let (link, by) = chosen.ok_or(Discard::NoLink)?;
        traced::link(self.trace, topology.link(link), by);
        let sender = Sender { message, relay: None, packet };
        let client = speaker_hash(self.exchange.message_hash, &Speaker::new(message, None, packet));
        self.admit(topology, link, sender, client, Occasion::Arrived)?;
        let mut out = Writer::new(self.replies.begin(), reply::PAYLOAD_LEN_MAX);
        legacy::write_use_multicast(message, server_duid, &mut out).map_err(|_| Discard::ReplyTooLong)?;
        self.replies.commit(reply::reply_to(packet, None));
        Ok(Handled::Answered { message_type: msg::REPLY, cause: None })
    }

    /// The classes of a client that is served on a link, and has not sent too much of late (SEC-01, SEC-10).
    fn admit(
        &mut self,
        topology: &Topology,
        link: LinkAt,
        sender: Sender<'_, '_>,
        client: u64,
        occasion: Occasion<'_>,
    ) -> Result<Classes, Discard> {
        let classes = topology.classes().of(sender);
        traced::classes(self.trace, topology.network(), &classes);
        access::check_client(topology, link, &classes, sender.message)?;
        let link = topology.link(link);
        if occasion == Occasion::Arrived {
            let exchange = &mut *self.exchange;
            access::check_rate(
                &mut exchange.rates,
                exchange.message_hash,
                self.now,
                (link.id, &link.limits),
                sender,
                client,
            )?;
        }
        Ok(classes)
    }

    fn consider_in(
        &mut self,
        topology: &Topology,
        packet: &Packet<'_>,
        decoded: &Decoded<'_>,
        occasion: Occasion<'_>,
    ) -> Result<Handled, Discard> {
        let (message, relay) = (decoded.message(), decoded.relay());
        if relay.is_some() {
            access::check_relay(topology.network(), &self.exchange.interfaces, packet)?;
            // Only now does it count as a relay that is heard: the partner judges by it who answers.
            self.counters.relayed += u64::from(occasion == Occasion::Arrived);
        }
        let no_link = match message.kind {
            MessageKind::Confirm => Discard::UnknownLinkConfirm,
            _ => Discard::NoLink,
        };
        let choose = match message.kind {
            MessageKind::AddrRegInform => link::choose_to_register,
            _ => link::choose,
        };
        let (link, by) = choose(topology, &self.exchange.interface_links, packet, relay).ok_or(no_link)?;
        traced::link(self.trace, topology.link(link), by);
        if occasion == Occasion::Arrived {
            self.exchange.heard.heard(topology.link(link).id);
        }
        let speaker = Speaker::new(message, relay, packet);
        let client = speaker_hash(self.exchange.message_hash, &speaker);
        let classes = self.admit(topology, link, Sender { message, relay, packet }, client, occasion)?;
        let server = server::choose(topology, message, link, &speaker)?;
        let place = Place { topology, link, server };
        traced::server(self.trace, place.relationship());
        if occasion == Occasion::Arrived {
            let (relationship, kind) = (place.relationship().id, message.kind.to_wire());
            self.heard_of_asked(relationship, place.link_id(), message.client_id, kind);
        }
        let key = message_key(client, message);
        let mut cause = None;
        let mut went_unanswered = false;
        match occasion {
            Occasion::LookedUp | Occasion::Adopted => {}
            Occasion::Unhandled(standing) => {
                let now = ending::standing(self.exchange.message_hash, self.leases, place.link_id(), message);
                if now != Some(standing) {
                    return Err(Discard::NotOurs);
                }
                cause = Some(Cause::Unhandled);
                went_unanswered = true;
            }
            Occasion::Arrived | Occasion::JudgedAnew(_) => {
                let relay = relay.map(|_| packet.source.to_bits());
                let mut claim = self.claim(place, message, &speaker, key, relay);
                if let Occasion::JudgedAnew(left_to) = occasion
                    && claim.relationship.partner_of(claim.me) != Some(left_to)
                {
                    // That one may have dropped it, and its successor did so while it was no partner.
                    claim.partners.is_live = false;
                }
                match decide(&claim) {
                    Answer::Now(why) => cause = Some(why),
                    Answer::Park if occasion != Occasion::Arrived => return Ok(Handled::Kept),
                    Answer::Park => {
                        let bucket = claim.bucket;
                        self.trace.note(|| format!("bucket {bucket}: the partner goes first, and serves"));
                        return self.leave_to_partner(place, key, packet, message);
                    }
                }
                went_unanswered = came_again(&claim, cause, place, message);
                if self.waits_for_look_up(place, message, key, packet) {
                    return Ok(Handled::Kept);
                }
            }
        }
        // The same message may have been left to the partner a second ago: this answer is for both.
        self.exchange.parked.forget(key);
        let sender = Sender { message, relay, packet };
        let answered = self.answer(place, sender, &classes, cause, occasion);
        if answered == Err(Discard::AdoptionPending)
            && let Some(duid) = message.client_id
        {
            let client = client_key(self.exchange.message_hash, place.link_id(), duid);
            if self.park(key, Waiting::Adoption(client), packet) {
                return Ok(Handled::Kept);
            }
        }
        let handled = answered?;
        // Only now: what this frontend has no answer to either, the partner may have been silent about for good reason.
        if went_unanswered {
            self.exchange.heard.unanswered(place.link_id());
        }
        Ok(handled)
    }

    /// Keeps a message for the case that the partner turns out not to be live. A copy of one that is kept already is
    /// not kept again, so that it grows old as the first did.
    fn leave_to_partner(
        &mut self,
        place: Place<'_>,
        key: u64,
        packet: &Packet<'_>,
        message: &ClientMessage<'_>,
    ) -> Result<Handled, Discard> {
        if self.exchange.parked.find(key).is_some() {
            return Ok(Handled::Kept);
        }
        let partner = place.relationship().partner_of(self.leases.frontend()).ok_or(Discard::NotOurs)?;
        let (partner, link) = (partner.clone(), place.link_id());
        let ending = ending::standing(self.exchange.message_hash, self.leases, link, message);
        if self.park(key, Waiting::Partner { partner, link, ending }, packet) {
            Ok(Handled::Kept)
        } else {
            Err(Discard::NotOurs)
        }
    }

    /// While the load runs, a client that is not known yet is looked up in the store first; says whether to wait.
    fn waits_for_look_up(
        &mut self,
        place: Place<'_>,
        message: &ClientMessage<'_>,
        key: u64,
        packet: &Packet<'_>,
    ) -> bool {
        let about_leases = !matches!(
            message.kind,
            MessageKind::Confirm | MessageKind::InformationRequest | MessageKind::AddrRegInform
        );
        let (Some(duid), link) = (message.client_id, place.link_id()) else { return false };
        if !about_leases || self.leases.is_loaded() {
            return false;
        }
        if !self.leases.lookup_pending_or_request(self.now, link, duid) {
            return false;
        }
        if matches!(self.exchange.parked.find(key), Some((_, Waiting::LookUp(_)))) {
            return true;
        }
        let client = client_key(self.exchange.message_hash, link, duid);
        self.park(key, Waiting::LookUp(client), packet)
    }

    /// Says whether the message is kept.
    fn park(&mut self, key: u64, waiting: Waiting, packet: &Packet<'_>) -> bool {
        traced::waits(self.trace, &waiting);
        match self.exchange.parked.park(self.now, key, waiting, packet) {
            Parking::Refused => return false,
            Parking::KeptForOldest => self.counters.parked_dropped += 1,
            Parking::Kept => {}
        }
        self.counters.parked += 1;
        true
    }

    /// What the other relationships of this frontend on the link would give, when the one that the client is spread to
    /// has nothing for it: whoever is in several stands for all of them. The first that has something; silence while one
    /// may have something presently.
    #[cold]
    fn ask_others<'a, 'm>(
        &mut self,
        place: Place<'a>,
        asked: Asked<'a, 'm>,
    ) -> Result<Option<(Plan, Context<'a, 'm>)>, Discard> {
        let mut may_have_presently = false;
        for server in server::others(place.topology, place.link, place.server) {
            let other = Place { server, ..place };
            let cx = self.context(other, asked);
            match plan(&cx, self.leases) {
                Ok(plan) if !plan.gives_nothing() => {
                    let name = &other.relationship().name;
                    self.trace
                        .note(|| format!("{} has nothing for it, {name} has", place.relationship().name));
                    traced::server(self.trace, other.relationship());
                    return Ok(Some((plan, cx)));
                }
                outcome => may_have_presently |= matches!(outcome, Err(Discard::RangesDry)),
            }
        }
        if may_have_presently { Err(Discard::RangesDry) } else { Ok(None) }
    }

    #[inline]
    fn context<'a, 'm>(&self, place: Place<'a>, asked: Asked<'a, 'm>) -> Context<'a, 'm> {
        let Asked { sender: Sender { message, relay, packet }, classes, temporary, occasion } = asked;
        let duid = message.client_id.unwrap_or_default();
        Context {
            now: self.now,
            message,
            relay,
            temporary,
            topology: place.topology,
            link: place.topology.link(place.link),
            relationship: place.relationship(),
            pools: place.topology.pools(place.link, place.server).open_to(classes),
            lifetimes: lifetimes_of(place.topology.network(), classes),
            sole_server: place.topology.relationships_on(place.link) == 1,
            duid,
            client_hash: self.leases.client_hash(place.link_id(), duid),
            source: (packet.source, packet.source_port),
            reconfigure: self.exchange.reconfigures.offer(
                message,
                place.topology.link(place.link),
                place.relationship(),
                self.leases.incarnation(),
                || self.leases.cluster_time_at_most(self.now),
            ),
            extra: OnceCell::new(),
            extra_noted: OnceCell::new(),
            adoptions_left: Cell::new(if occasion == Occasion::Adopted { 0 } else { ADOPTIONS_PER_MESSAGE }),
            nothing_left: Default::default(),
            is_kept: occasion != Occasion::Arrived,
        }
    }

    /// Plans and writes the answer. A Reply that has to wait for the commit is held.
    fn answer(
        &mut self,
        place: Place<'_>,
        sender: Sender<'_, '_>,
        classes: &Classes,
        cause: Option<Cause>,
        occasion: Occasion<'_>,
    ) -> Result<Handled, Discard> {
        let Sender { message, relay, packet } = sender;
        let temporary = legacy::temporary_ias(place.topology.network(), message)?;
        let asked = Asked { sender, classes, temporary: &temporary, occasion };
        let mut cx = self.context(place, asked);
        let records = message.kind == MessageKind::Request || message.rapid_commit;
        if records && !reply::has_room(&cx, packet.bytes.len(), self.replies.begin()) {
            return Err(Discard::ReplyTooLong);
        }
        self.leases.reply_begin();
        let before = traced::before(self.trace, &cx, self.leases);
        let mut plan = match plan(&cx, self.leases) {
            Ok(plan) => plan,
            Err(Discard::NothingToSay) if legacy::has_temporary_alone(&cx) => Plan::reply(),
            Err(reason) => return Err(reason),
        };
        // Both are large: they stay where they are but for the rare client that another relationship serves.
        if message.kind == MessageKind::Solicit
            && plan.gives_nothing()
            && let Some((others_plan, others_cx)) = self.ask_others(place, asked)?
        {
            plan = others_plan;
            cx = others_cx;
        }
        let options = place.topology.options_for(place.link, classes, cx.duid, || {
            let first = plan.ias.iter().flat_map(|ia| &ia.lines).find(|line| line.extended)?;
            Some(self.leases.pool_of(first.prefix)?.id)
        });
        let out = self.replies.begin();
        let written = reply::write_what_fits(&mut plan, &cx, &options, out);
        let left_out = written.map_err(|_| Discard::ReplyTooLong)?;
        self.counters.options_left_out += left_out.len() as u64;
        traced::answer(self.trace, before, &plan, &cx, self.leases, (out, &left_out));
        let to = reply::reply_to(packet, relay);
        if let Some(rest) = self.leases.reply_rest() {
            let mut terms = Terms::new(self.now, to, rest, &plan, cx.duid, cause);
            terms.traced = self.trace.mark();
            if self.exchange.held.hold(out, terms) {
                self.counters.held += 1;
                self.trace.waits("commit", || "the Reply is held until the store commits it".to_owned());
                return Ok(Handled::Held);
            }
            self.counters.held_no_room += 1;
        }
        self.replies.commit(to);
        Ok(Handled::Answered { message_type: plan.message_type, cause })
    }
}

fn plan(cx: &Context<'_, '_>, leases: &mut Leases) -> Result<Plan, Discard> {
    match cx.message.kind {
        MessageKind::Solicit => solicit::answer(cx, leases),
        MessageKind::Request => request::answer(cx, leases),
        MessageKind::Renew => renew::answer(cx, leases),
        MessageKind::Rebind => rebind::answer(cx, leases),
        MessageKind::Release => release::answer(cx, leases),
        MessageKind::Decline => decline::answer(cx, leases),
        MessageKind::Confirm => confirm::answer(cx),
        MessageKind::InformationRequest => Ok(information_request::answer()),
        MessageKind::AddrRegInform => register::answer(cx, leases),
    }
}

/// Knows a message again: the same client, kind and transaction. `client`: its hash under a secret key, so that nobody can
/// make two clients' messages look alike.
fn message_key(client: u64, message: &ClientMessage<'_>) -> u64 {
    let [x0, x1, x2] = message.transaction_id.0;
    client ^ u64::from(u32::from_be_bytes([message.kind.to_wire(), x0, x1, x2]))
}

/// A client by its DUID or address, under a secret key.
fn speaker_hash(mut hash: SipHasher13, speaker: &Speaker<'_>) -> u64 {
    hash.write(speaker.octets());
    hash.finish()
}

/// Knows a client again.
pub(super) fn client_key(mut hash: SipHasher13, link: LinkId, duid: &[u8]) -> u64 {
    hash.write(&link.0.to_be_bytes());
    hash.write(duid);
    hash.finish()
}
