//! Which store node to try next, and how long to wait before: a pure state, asked by the task.
//!
//! Owns the order of attempts and the backoff. Refuses to connect, to sleep and to draw lots: jitter comes in as a
//! number. Rules: the configured nodes are tried in turn, each once a round, with a pause between rounds; a node that
//! says where the leader is sends us there at once, a few times a round; a connection that broke after it had served
//! starts a new round at once, with that node last.
//! Invariant: without a connection that lives, pauses between rounds grow to their bound, so that no pair of
//! confused nodes can make this loop spin.

use std::time::Duration;

use super::StoreAddress;

/// The first pause between rounds.
pub(super) const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause between rounds.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The longest pause while store nodes answer but none leads: an election is soon over.
const PAUSE_MAX_ELECTING: Duration = Duration::from_millis(200);

/// Jumps out of turn (to a leader named, or once more to the same node) in one round.
const JUMPS_MAX: u32 = 4;

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Connect there.
    Try(StoreAddress),
    /// Wait so long, then ask again.
    Pause(Duration),
}

/// The state of the search.
#[derive(Debug)]
pub(super) struct Search {
    stores: Vec<StoreAddress>,
    /// Whether a leader's address that is not configured may be followed: only if who names it is authenticated.
    trusting: bool,
    /// Whose turn it is, as a position in `stores`.
    turn: usize,
    tried_this_round: usize,
    jumps_this_round: u32,
    jump: Option<StoreAddress>,
    /// In this round some node answered, if only to say no.
    answered: bool,
    pause: Duration,
}

impl Search {
    /// A search among these nodes. With none, it only ever pauses.
    pub(super) fn new(stores: Vec<StoreAddress>, trusting: bool) -> Self {
        Self {
            stores,
            trusting,
            turn: 0,
            tried_this_round: 0,
            jumps_this_round: 0,
            jump: None,
            answered: false,
            pause: PAUSE_MIN,
        }
    }

    /// What to do next. `random` is any number; a pause is half to all of its length by it.
    pub(super) fn step(&mut self, random: u32) -> Step {
        if let Some(jump) = self.jump.take() {
            return Step::Try(jump);
        }
        if let Some(store) = self.stores.get(self.turn).filter(|_| self.tried_this_round < self.stores.len())
        {
            self.tried_this_round += 1;
            self.turn = (self.turn + 1) % self.stores.len();
            return Step::Try(store.clone());
        }
        let bound = if self.answered { PAUSE_MAX_ELECTING } else { PAUSE_MAX };
        let pause = self.pause.min(bound);
        self.pause = (self.pause * 2).min(PAUSE_MAX);
        self.begin_round();
        Step::Pause(pause / 2 + (pause / 2).mul_f64(f64::from(random) / f64::from(u32::MAX)))
    }

    /// The node tried last answered that another one leads, perhaps saying which.
    pub(super) fn not_leader(&mut self, leader_address: Option<&str>) {
        self.answered = true;
        let Some(address) = leader_address else { return };
        let known = self.stores.iter().find(|store| store.address == address).cloned();
        let stranger = || self.trusting.then(|| StoreAddress { name: None, address: address.to_owned() });
        if let Some(leader) = known.or_else(stranger) {
            self.jump_to(leader);
        }
    }

    /// The node tried last is the right one, only the connection is to be made anew.
    pub(super) fn again(&mut self, store: &StoreAddress) {
        self.answered = true;
        self.jump_to(store.clone());
    }

    /// A connection to that node served for a while, and broke.
    pub(super) fn broke_after_service(&mut self, store: &StoreAddress) {
        if let Some(at) = self.stores.iter().position(|other| other == store) {
            self.turn = (at + 1) % self.stores.len();
        }
        self.begin_round();
        self.pause = PAUSE_MIN;
    }

    fn begin_round(&mut self) {
        self.tried_this_round = 0;
        self.jumps_this_round = 0;
        self.answered = false;
        self.jump = None;
    }

    fn jump_to(&mut self, store: StoreAddress) {
        if self.jumps_this_round < JUMPS_MAX {
            self.jumps_this_round += 1;
            self.jump = Some(store);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(address: &str) -> StoreAddress {
        StoreAddress { name: None, address: address.to_owned() }
    }

    fn search(trusting: bool) -> Search {
        Search::new(vec![store("a:1"), store("b:1"), store("c:1")], trusting)
    }

    fn tried(search: &mut Search) -> Option<String> {
        match search.step(u32::MAX) {
            Step::Try(store) => Some(store.address),
            Step::Pause(_) => None,
        }
    }

    #[test]
    fn a_round_tries_each_node_once_and_pauses_grow_to_their_bound() {
        let mut search = search(true);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let round: Vec<_> = (0..3).map(|_| tried(&mut search).unwrap()).collect();
            assert_eq!(round, ["a:1", "b:1", "c:1"]);
            let Step::Pause(pause) = search.step(u32::MAX) else { panic!("a round of four") };
            pauses.push(pause);
        }
        assert_eq!(pauses[0], PAUSE_MIN);
        assert!(pauses.is_sorted() && pauses[9] == PAUSE_MAX, "{pauses:?}");
    }

    #[test]
    fn jitter_shortens_a_pause_by_half_at_most() {
        let mut search = search(true);
        (0..3).for_each(|_| assert!(tried(&mut search).is_some()));
        assert_eq!(search.step(0), Step::Pause(PAUSE_MIN / 2));
    }

    #[test]
    fn a_leader_that_is_named_comes_next_and_two_that_name_each_other_end_the_round() {
        let mut search = search(true);
        assert_eq!(tried(&mut search).unwrap(), "a:1");
        let mut tries = 1;
        for _ in 0..100 {
            search.not_leader(Some("elsewhere:1"));
            if tried(&mut search).is_none() {
                break;
            }
            tries += 1;
        }
        assert_eq!(tries, 3 + JUMPS_MAX, "the nodes of a round and the jumps of a round");
    }

    #[test]
    fn fo_304_a_stranger_is_followed_only_on_an_authenticated_word() {
        let mut plain = search(false);
        assert_eq!(tried(&mut plain).unwrap(), "a:1");
        plain.not_leader(Some("evil:1"));
        assert_eq!(tried(&mut plain).unwrap(), "b:1");
        plain.not_leader(Some("a:1"));
        assert_eq!(tried(&mut plain).unwrap(), "a:1", "a configured node may be named by anybody");
    }

    #[test]
    fn a_lost_leader_is_tried_last_and_at_once() {
        let mut search = search(true);
        assert_eq!(tried(&mut search).unwrap(), "a:1");
        search.broke_after_service(&store("a:1"));
        let round: Vec<_> = (0..3).map(|_| tried(&mut search).unwrap()).collect();
        assert_eq!(round, ["b:1", "c:1", "a:1"]);
    }

    #[test]
    fn while_an_election_runs_pauses_stay_short() {
        let mut search = search(true);
        for _ in 0..10 {
            (0..3).for_each(|_| {
                assert!(tried(&mut search).is_some());
                search.not_leader(None);
            });
            let Step::Pause(pause) = search.step(u32::MAX) else { panic!("a round of four") };
            assert!(pause <= PAUSE_MAX_ELECTING);
        }
    }
}
