//! What the store's leader says of the partners' service, and of this frontend's own.
//!
//! Owns the last word on each frontend. Refuses to judge who answers what. Why this frontend's own service counts: who
//! answers follows from the same words on both sides, so it must know what its partner was told of it (FO-910).
//! Invariant: whoever was never spoken of is presumed to serve; and a frontend cut off from the store presumes that it
//! serves itself, since nobody could tell it so.

use super::{Leases, News};
use leasehold_proto::session::Liveness;
use leasehold_proto::words::{FrontendId, LinkId};
use std::collections::BTreeMap;

/// How a frontend serves one message, by the store's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// It is heard by the store and serves.
    pub is_live: bool,
    /// It serves its clients on the message's link (RFC 7031 §4.7).
    pub is_link_up: bool,
    /// It hears the relay that the message came through; true when that is unknown and for direct messages.
    pub hears_relay: bool,
}

impl Service {
    /// Nothing is known to be wrong.
    pub const FULL: Self = Self { is_live: true, is_link_up: true, hears_relay: true };
}

/// The last word on each frontend.
#[derive(Debug, Default)]
pub(super) struct Partners {
    words: BTreeMap<FrontendId, Liveness>,
}

impl Partners {
    /// Takes a word; appends what it changed.
    pub(super) fn take(&mut self, mut word: Liveness, news: &mut Vec<News>) {
        // The order is promised, and costs little to see to.
        word.links_down.sort_unstable();
        word.relays_heard.iter_mut().for_each(|relays| relays.sort_unstable());
        let frontend = word.frontend.clone();
        let (live, links) = (word.live, word.links_down.clone());
        let had = self.words.insert(frontend.clone(), word);
        let now = self.words.get(&frontend);
        if had.as_ref().map(|had| had.live) != Some(live) {
            news.push(News::Liveness { frontend: frontend.clone(), live });
        }
        let links_before = had.as_ref().map_or(&[][..], |had| &had.links_down);
        let down: Vec<LinkId> = links.iter().filter(|l| !links_before.contains(l)).copied().collect();
        let up: Vec<LinkId> = links_before.iter().filter(|l| !links.contains(l)).copied().collect();
        if !down.is_empty() || !up.is_empty() {
            news.push(News::Links { frontend: frontend.clone(), down, up });
        }
        if had.and_then(|had| had.relays_heard).as_ref() != now.and_then(|now| now.relays_heard.as_ref()) {
            news.push(News::Relays { frontend });
        }
    }

    fn service(&self, frontend: &FrontendId, link: LinkId, relay: Option<u128>) -> Service {
        let Some(word) = self.words.get(frontend) else { return Service::FULL };
        let hears = |relay: u128| match &word.relays_heard {
            Some(relays) => relays.binary_search(&relay).is_ok(),
            None => true,
        };
        Service {
            is_live: word.live,
            is_link_up: word.links_down.binary_search(&link).is_err(),
            hears_relay: relay.is_none_or(hears),
        }
    }
}

impl Leases {
    /// How a partner serves messages of a link, by the leader's last word; `relay`: the source of the datagram, if a
    /// relay sent it.
    #[must_use]
    pub fn service_of(&self, frontend: &FrontendId, link: LinkId, relay: Option<u128>) -> Service {
        self.partners.service(frontend, link, relay)
    }

    /// The same of this frontend itself.
    #[must_use]
    pub fn own_service(&self, link: LinkId, relay: Option<u128>) -> Service {
        if !self.is_connected() {
            return Service::FULL;
        }
        self.partners.service(&self.frontend, link, relay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(live: bool, links_down: &[u32], relays: Option<&[u128]>) -> Liveness {
        Liveness {
            frontend: FrontendId::new("fe-b").unwrap(),
            live,
            links_down: links_down.iter().map(|l| LinkId(*l)).collect(),
            relays_heard: relays.map(<[u128]>::to_vec),
        }
    }

    #[test]
    fn each_change_is_news_once_and_whoever_was_never_spoken_of_serves() {
        let mut partners = Partners::default();
        let fe = FrontendId::new("fe-b").unwrap();
        assert_eq!(partners.service(&fe, LinkId(1), Some(7)), Service::FULL);
        let mut news = Vec::new();
        partners.take(word(true, &[2, 1], Some(&[9, 7])), &mut news);
        assert_eq!(news.len(), 3, "{news:?}");
        let service = partners.service(&fe, LinkId(1), Some(7));
        assert_eq!(service, Service { is_link_up: false, ..Service::FULL });
        assert!(!partners.service(&fe, LinkId(3), Some(8)).hears_relay);
        assert!(partners.service(&fe, LinkId(3), None).hears_relay, "a direct message");
        news.clear();
        partners.take(word(true, &[1, 2], Some(&[7, 9])), &mut news);
        assert_eq!(news, [], "the same in another order");
        partners.take(word(true, &[1, 3], Some(&[7, 9])), &mut news);
        let changed = News::Links { frontend: fe.clone(), down: vec![LinkId(3)], up: vec![LinkId(2)] };
        assert_eq!(news, [changed]);
        news.clear();
        partners.take(word(false, &[1, 3], None), &mut news);
        assert_eq!(
            news,
            [News::Liveness { frontend: fe.clone(), live: false }, News::Relays { frontend: fe.clone() }]
        );
        assert!(partners.service(&fe, LinkId(2), Some(8)).hears_relay, "unknown again");
    }
}
