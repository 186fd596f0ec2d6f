//! A DHCPv6 client behind a relay on loopback. The relay asks for answers at its own port (option 135), since port
//! 547 is not a test's to use. Source: RFC 8357.

use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::codec::reply::{ServerMessage, ServerMessageKind, unwrap_relay_reply};
use crate::codec::wire::{msg, opt};
use crate::session::tests::soon;

/// One client and its relay.
pub(super) struct Client {
    socket: UdpSocket,
    duid: [u8; 10],
}

/// What a client reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) kind: ServerMessageKind,
    pub(super) server_id: Vec<u8>,
    pub(super) address: Ipv6Addr,
    pub(super) valid_secs: u32,
}

impl Client {
    pub(super) async fn of(server: SocketAddrV6, number: u8) -> Self {
        let socket = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(server).await.unwrap();
        Self { socket, duid: [0, 3, 0, 1, 2, 0, 0, 0, 0, number] }
    }

    pub(super) async fn solicit(&self) -> Answer {
        self.send(msg::SOLICIT, None).await;
        self.answer().await
    }

    pub(super) async fn request(&self, offer: &Answer) -> Answer {
        self.send(msg::REQUEST, Some(offer)).await;
        self.answer().await
    }

    pub(super) async fn renew(&self, lease: &Answer) -> Answer {
        self.send(msg::RENEW, Some(lease)).await;
        self.answer().await
    }

    /// Sends a Solicit again and again until it is answered.
    pub(super) async fn solicit_until_answered(&self) -> Answer {
        soon("an answer to a Solicit", async {
            loop {
                self.send(msg::SOLICIT, None).await;
                // An unconnected port at the other end shows as an error here: as good as no answer.
                let waited = tokio::time::timeout(Duration::from_millis(100), self.read()).await;
                if let Ok(Some(answer)) = waited {
                    return answer;
                }
            }
        })
        .await
    }

    pub(super) async fn send(&self, kind: u8, about: Option<&Answer>) {
        let mut inner = vec![kind, 1, 2, 3];
        option(&mut inner, opt::CLIENT_ID, &self.duid);
        if let Some(about) = about {
            option(&mut inner, opt::SERVER_ID, &about.server_id);
        }
        option(&mut inner, opt::ELAPSED_TIME, &[0, 0]);
        let mut ia = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        if let Some(about) = about {
            let lease = [about.address.octets().as_slice(), &[0; 8]].concat();
            option(&mut ia, opt::IA_ADDR, &lease);
        }
        option(&mut inner, opt::IA_NA, &ia);
        let mut outer = vec![msg::RELAY_FORWARD, 0];
        outer.extend("2001:db8:1::1".parse::<Ipv6Addr>().unwrap().octets());
        outer.extend("fe80::c".parse::<Ipv6Addr>().unwrap().octets());
        option(&mut outer, opt::RELAY_SOURCE_PORT, &[0, 0]);
        option(&mut outer, opt::RELAY_MESSAGE, &inner);
        let _ = self.socket.send(&outer).await;
    }

    async fn answer(&self) -> Answer {
        soon("an answer", self.read()).await.expect("a readable answer")
    }

    async fn read(&self) -> Option<Answer> {
        let mut buffer = [0; 2048];
        let len = self.socket.recv(&mut buffer).await.ok()?;
        let relay = unwrap_relay_reply(&buffer[..len]).unwrap();
        let message = ServerMessage::decode(relay.payload).unwrap();
        let lease = message.ias.first().and_then(|ia| ia.leases().next()).expect("an IA with an address");
        Some(Answer {
            kind: message.kind,
            server_id: message.server_id.unwrap().to_vec(),
            address: Ipv6Addr::from_bits(lease.bits),
            valid_secs: lease.valid_secs,
        })
    }
}

fn option(out: &mut Vec<u8>, code: u16, data: &[u8]) {
    out.extend(code.to_be_bytes());
    out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
    out.extend(data);
}
