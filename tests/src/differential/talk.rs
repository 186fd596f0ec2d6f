//! A script at work: one client, or several, talking to one server.
//!
//! Owns the sockets, the probe that tells silence without waiting, and the record of what was answered. Refuses to know
//! which server it talks to, and to judge. In: a [`Server`](super::Server)'s address, a script. Out: [`Step`]s.
//! How silence is told: after each message a probe is sent the same way, an Information-request, which every server
//! answers; servers take datagrams of one socket in their order, so what was not answered before the probe was will
//! not be. An answer that comes later all the same shows in the next step, with a foreign transaction id.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::answer::{Answer, Question};
use super::message::{Level, Message, code, kind};
use crate::netns::{Lab, Node, Place, Prefix, Side, wait_until};

/// How long a server may take to answer a probe before it counts as dead.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take to come to know that a pool is full.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(10);
/// The transaction ids of probes begin here; those of scripts are all below.
const PROBES: u32 = 0x00f0_0000;
/// The transaction ids of one script.
const IDS_OF_ONE_SCRIPT: u32 = 0x100;
/// The link address in relayed probes.
const FAR_RELAY: &str = "2001:db8:2::1";
/// Stands in the place of a message where a script could not go on.
const END: &str = "end";
const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;
/// A port that relays do not use without the Relay Source Port option.
const ODD_PORT: u16 = 10_547;

/// The way a client's message takes.
#[derive(Clone, Debug)]
pub enum Way {
    /// From the direct link, to ff02::1:2.
    Multicast,
    /// From the direct link, to the server's link-local address.
    Unicast,
    /// Through relays, the innermost first, to the server's global address.
    Relays(Vec<Level>),
    /// The same, the outermost relay sending from another port than 547.
    RelaysFromOddPort(Vec<Level>),
}

/// The sockets through which one server is talked to.
#[derive(Debug)]
pub struct Wire {
    client: UdpSocket,
    relay: UdpSocket,
    odd_relay: UdpSocket,
    multicast: SocketAddrV6,
    unicast: SocketAddrV6,
    global: SocketAddrV6,
    probes: Cell<u32>,
}

impl Wire {
    /// Opens the sockets in a lab whose first frontend is the server.
    ///
    /// # Errors
    /// When a namespace or a socket cannot be had.
    pub fn open(lab: &Lab) -> Result<Self> {
        let client_node = lab.add_client(Place::Direct)?;
        let open = |node: Node, port: u16| -> Result<UdpSocket> {
            let socket = lab.inside(node, || UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)))?;
            let socket = socket.with_context(|| format!("port {port} in {node} cannot be had"))?;
            socket.set_read_timeout(Some(PROBE_TIMEOUT))?;
            Ok(socket)
        };
        let scope = lab.inside(client_node, || nix::net::if_::if_nametoindex("eth0"))??;
        let all_servers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
        Ok(Self {
            client: open(client_node, CLIENT_PORT)?,
            relay: open(Node::Relay, SERVER_PORT)?,
            odd_relay: open(Node::Relay, ODD_PORT)?,
            multicast: SocketAddrV6::new(all_servers, SERVER_PORT, 0, scope),
            unicast: SocketAddrV6::new(lab.link_local(Side::A), SERVER_PORT, 0, scope),
            global: SocketAddrV6::new(lab.near_address(Side::A), SERVER_PORT, 0, 0),
            probes: Cell::new(PROBES),
        })
    }

    /// The server's DUID, asked for until it answers.
    ///
    /// # Errors
    /// When it does not within `patience`.
    pub fn server_id(&self, patience: Duration) -> Result<Vec<u8>> {
        let asked = self.probe();
        self.client.set_read_timeout(Some(Duration::from_millis(200)))?;
        let found = wait_until("the server's first answer", patience, || {
            // The kernel makes the client's link-local address a moment after its link is up.
            if self.client.send_to(asked.bytes(), self.multicast).is_err() {
                return Ok(None);
            }
            match receive(&self.client) {
                Ok(answer) => Ok(Answer::read(&answer)?.server_id().map(<[u8]>::to_vec)),
                Err(_) => Ok(None),
            }
        })?;
        // What was asked for in vain may be answered still.
        while receive(&self.client).is_ok() {}
        self.client.set_read_timeout(Some(PROBE_TIMEOUT))?;
        Ok(found)
    }

    /// Sends a message and returns all answers to it, read or not.
    fn exchange(&self, way: &Way, message: &Message) -> Result<Vec<Vec<u8>>> {
        let relayed_probe = |level: Level| Message::relayed(&level, &self.probe());
        let (socket, to, probe, probe_to) = match way {
            Way::Multicast => (&self.client, self.multicast, self.probe(), self.multicast),
            // A server need not answer what is sent to it by unicast, the probe neither.
            Way::Unicast => (&self.client, self.unicast, self.probe(), self.multicast),
            Way::Relays(_) => (&self.relay, self.global, relayed_probe(Level::on(FAR_RELAY)), self.global),
            Way::RelaysFromOddPort(_) => {
                // With a port of its own in the option the answer comes back to where the probe was sent from.
                let level = Level::on(FAR_RELAY).option(code::RELAY_SOURCE_PORT, [0, 0]);
                (&self.odd_relay, self.global, relayed_probe(level), self.global)
            }
        };
        socket.send_to(message.bytes(), to).context("cannot send")?;
        socket.send_to(probe.bytes(), probe_to).context("cannot send")?;
        let mut answers = Vec::new();
        loop {
            let datagram = receive(socket).context("the server does not answer an Information-request")?;
            if Answer::read(&datagram).is_ok_and(|answer| answer.transaction_id() == self.probes.get()) {
                break;
            }
            answers.push(datagram);
        }
        if matches!(way, Way::RelaysFromOddPort(_)) {
            // An answer to the wrong port is an answer too.
            answers.extend(self.strays(&self.relay)?);
        }
        Ok(answers)
    }

    /// What lies in a socket that nothing should have been sent to.
    fn strays(&self, socket: &UdpSocket) -> Result<Vec<Vec<u8>>> {
        socket.set_nonblocking(true)?;
        let mut found = Vec::new();
        while let Ok(datagram) = receive(socket) {
            found.push(datagram);
        }
        socket.set_nonblocking(false)?;
        Ok(found)
    }

    /// An Information-request, each by a client of its own: servers bound the messages of one.
    fn probe(&self) -> Message {
        self.probes.set(self.probes.get() + 1);
        let client_id = [&[0, 4][..], b"probe", &self.probes.get().to_be_bytes()].concat();
        Message::new(kind::INFORMATION_REQUEST, self.probes.get()).option(code::CLIENT_ID, client_id)
    }
}

fn receive(socket: &UdpSocket) -> Result<Vec<u8>> {
    let mut buffer = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buffer) {
            Ok((length, _)) => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("nothing came"),
        }
    }
}

/// What one message of a script came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The message, by its number in the script and its type.
    pub message: String,
    /// The normal form of what was answered.
    pub answer: Vec<String>,
}

impl Step {
    /// Whether this is no message but the untimely end of a script.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.message == END
    }
}

/// What was answered, for the script to go on with.
#[derive(Debug, Default)]
pub struct Heard(Option<Answer>);

impl Heard {
    /// The first address in the IA_NA of this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn na(&self, iaid: u32) -> Result<Prefix> {
        self.lease(code::IA_NA, iaid)
    }

    /// The first prefix in the IA_PD of this number.
    ///
    /// # Errors
    /// When there is none.
    pub fn pd(&self, iaid: u32) -> Result<Prefix> {
        self.lease(code::IA_PD, iaid)
    }

    fn lease(&self, ia_code: u16, iaid: u32) -> Result<Prefix> {
        let leases = self.0.as_ref().map(|answer| answer.leases(ia_code, iaid)).unwrap_or_default();
        leases.first().copied().context("the script cannot go on: no lease was given")
    }
}

/// One script's talk with one server.
#[derive(Debug)]
pub struct Talk<'w> {
    wire: &'w Wire,
    server_id: &'w [u8],
    client_id: Vec<u8>,
    clients: [u8; 8],
    transaction_id: Cell<u32>,
    way: Way,
    steps: Vec<Step>,
    known: BTreeSet<Prefix>,
}

impl<'w> Talk<'w> {
    /// A talk of clients that no other script has.
    ///
    /// # Panics
    /// When there are more scripts than transaction ids for them.
    pub(super) fn new(wire: &'w Wire, server_id: &'w [u8], number: u32) -> Self {
        let first_id = (number + 1) * IDS_OF_ONE_SCRIPT;
        assert!(first_id < PROBES, "too many scripts");
        let mut talk = Self {
            wire,
            server_id,
            client_id: Vec::new(),
            clients: u64::from(number).to_be_bytes(),
            transaction_id: Cell::new(first_id),
            way: Way::Multicast,
            steps: Vec::new(),
            known: BTreeSet::new(),
        };
        talk.be(1);
        talk
    }

    pub(super) fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    /// Goes on as another client; the first is 1.
    pub fn be(&mut self, client: u8) {
        // DUID-UUID: opaque, and no server can read a hardware address out of it.
        self.client_id = [&[0, 4][..], b"script\0", &[client], &self.clients].concat();
    }

    /// The DUID of the present client.
    pub fn client_id(&self) -> &[u8] {
        &self.client_id
    }

    /// The DUID of the server.
    pub fn server_id(&self) -> &'w [u8] {
        self.server_id
    }

    /// From now on messages take this way.
    pub fn go(&mut self, way: Way) {
        self.way = way;
    }

    /// From now on messages come through one relay on the link of this address.
    pub fn behind(&mut self, link: &str) {
        self.way = Way::Relays(vec![Level::on(link)]);
    }

    /// A message of this type without any option.
    pub fn bare(&self, kind: u8) -> Message {
        self.transaction_id.set(self.transaction_id.get() + 1);
        Message::new(kind, self.transaction_id.get())
    }

    /// A message of this type with Client ID and Elapsed Time.
    pub fn to_all(&self, kind: u8) -> Message {
        self.bare(kind).option(code::CLIENT_ID, &self.client_id).option(code::ELAPSED_TIME, [0, 0])
    }

    /// A message of this type with Client ID, Server ID and Elapsed Time.
    pub fn to_server(&self, kind: u8) -> Message {
        self.to_all(kind).option(code::SERVER_ID, self.server_id)
    }

    /// A Solicit.
    pub fn solicit(&self) -> Message {
        self.to_all(kind::SOLICIT)
    }

    /// A Request to this server.
    pub fn request(&self) -> Message {
        self.to_server(kind::REQUEST)
    }

    /// A Confirm.
    pub fn confirm(&self) -> Message {
        self.to_all(kind::CONFIRM)
    }

    /// A Renew to this server.
    pub fn renew(&self) -> Message {
        self.to_server(kind::RENEW)
    }

    /// A Rebind.
    pub fn rebind(&self) -> Message {
        self.to_all(kind::REBIND)
    }

    /// A Release to this server.
    pub fn release(&self) -> Message {
        self.to_server(kind::RELEASE)
    }

    /// A Decline to this server.
    pub fn decline(&self) -> Message {
        self.to_server(kind::DECLINE)
    }

    /// An Information-request.
    pub fn information(&self) -> Message {
        self.to_all(kind::INFORMATION_REQUEST)
    }

    /// Sends a message whose answer is compared.
    ///
    /// # Errors
    /// When the server answers nothing more at all.
    pub fn ask(&mut self, message: Message) -> Result<Heard> {
        let name = name_of(&message);
        let wrapped = self.wrap(message);
        let answers = self.wire.exchange(&self.way, &wrapped)?;
        let (heard, lines) = self.read(&wrapped, &answers);
        self.steps.push(Step { message: format!("{} {name}", self.steps.len() + 1), answer: lines });
        Ok(heard)
    }

    /// Sends a message that only prepares: it must be answered, and how is not compared.
    ///
    /// # Errors
    /// When it is not answered.
    pub fn hold(&mut self, message: Message) -> Result<Heard> {
        let wrapped = self.wrap(message);
        let answers = self.wire.exchange(&self.way, &wrapped)?;
        let (heard, lines) = self.read(&wrapped, &answers);
        match heard.0 {
            Some(_) => Ok(heard),
            None => bail!("the script cannot go on: {}", lines.join("; ")),
        }
    }

    /// Sends a message again and again until it is answered, and compares that answer: a server may have to find out
    /// first that there is nothing to give.
    ///
    /// # Errors
    /// When it is never answered.
    pub fn ask_until_answered(&mut self, message: Message) -> Result<Heard> {
        let name = name_of(&message);
        let wrapped = self.wrap(message);
        let answers = wait_until("an answer", SETTLE_TIMEOUT, || {
            let answers = self.wire.exchange(&self.way, &wrapped)?;
            Ok((!answers.is_empty()).then_some(answers))
        })?;
        let (heard, lines) = self.read(&wrapped, &answers);
        self.steps.push(Step { message: format!("{} {name}", self.steps.len() + 1), answer: lines });
        Ok(heard)
    }

    /// Sends a message, and waits for its answer if that does not come at once: a server may have to ask somebody.
    ///
    /// # Errors
    /// When nothing comes within five seconds.
    pub fn ask_and_wait(&mut self, message: Message) -> Result<Heard> {
        let name = name_of(&message);
        let wrapped = self.wrap(message);
        let mut answers = self.wire.exchange(&self.way, &wrapped)?;
        if answers.is_empty() {
            answers.push(receive(&self.wire.client)?);
        }
        let (heard, lines) = self.read(&wrapped, &answers);
        self.steps.push(Step { message: format!("{} {name}", self.steps.len() + 1), answer: lines });
        Ok(heard)
    }

    /// Records that the script could not go on.
    pub(super) fn stopped(&mut self, error: &anyhow::Error) {
        self.steps.push(Step { message: END.to_owned(), answer: vec![format!("{error:#}")] });
    }

    fn wrap(&self, message: Message) -> Message {
        match &self.way {
            Way::Multicast | Way::Unicast => message,
            Way::Relays(levels) | Way::RelaysFromOddPort(levels) => {
                levels.iter().fold(message, |inner, level| Message::relayed(level, &inner))
            }
        }
    }

    fn read(&mut self, sent: &Message, answers: &[Vec<u8>]) -> (Heard, Vec<String>) {
        let question = Question {
            sent: sent.bytes(),
            transaction_id: self.transaction_id.get(),
            server_id: self.server_id,
            known: &self.known,
        };
        let (heard, lines) = match answers {
            [] => (Heard::default(), vec!["silence".to_owned()]),
            [answer] => match Answer::read(answer) {
                Ok(answer) => {
                    let lines = answer.lines(&question);
                    (Heard(Some(answer)), lines)
                }
                Err(error) => (Heard::default(), vec![format!("unreadable answer: {error:#}")]),
            },
            many => (Heard::default(), vec![format!("{} answers", many.len())]),
        };
        if let Some(answer) = &heard.0 {
            self.known.extend(answer.all_leases());
        }
        (heard, lines)
    }
}

fn name_of(message: &Message) -> String {
    let name = match message.bytes().first() {
        Some(&kind::SOLICIT) => "Solicit",
        Some(&kind::REQUEST) => "Request",
        Some(&kind::CONFIRM) => "Confirm",
        Some(&kind::RENEW) => "Renew",
        Some(&kind::REBIND) => "Rebind",
        Some(&kind::RELEASE) => "Release",
        Some(&kind::DECLINE) => "Decline",
        Some(&kind::INFORMATION_REQUEST) => "Information-request",
        Some(&kind::RELAY_FORWARD) => "Relay-forward",
        Some(other) => return format!("message of type {other}"),
        None => "nothing",
    };
    name.to_owned()
}
