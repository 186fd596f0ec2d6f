//! Which options an answer carries, and in which order: values of several places, by precedence (OP-05).
//!
//! Owns the merging of a place's options with those of lower precedence, done once for a configuration, and the choice
//! among them for one message: what the client asked for and may ask for (SV-202, SV-203), and what is forced. Refuses to
//! know what values mean and whether they fit into the answer: `reply` writes them. Choosing allocates nothing for up to
//! sixteen options.

use crate::codec::Oro;
use crate::codec::wire::opt;
use leasehold_proto::network::{Network, OptionValue, Options};
use leasehold_proto::options::is_requestable;
use leasehold_proto::words::{Duid, PoolId};
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// Options without which a client is worse off than without any other, most important first: they are written first, and
/// so are left out last where an answer would become too long (SV-113). All others follow in the order of the file.
const IMPORTANT: [u16; 9] = [
    opt::SOL_MAX_RT,
    opt::INF_MAX_RT,
    opt::INFO_REFRESH_TIME,
    opt::DNS_SERVERS,
    opt::AFTR_NAME,
    opt::S46_CONT_MAPE,
    opt::S46_CONT_MAPT,
    opt::S46_CONT_LW,
    opt::DOMAIN_LIST,
];

/// One instance, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    key: (u16, u32),
    data: Vec<u8>,
    forced: bool,
    requestable: bool,
}

impl Entry {
    fn new(value: &OptionValue) -> Self {
        Self {
            key: value.key(),
            data: value.data.clone(),
            forced: value.forced,
            requestable: is_requestable(value.code),
        }
    }
}

/// The options of one place, those of lower precedence included where they are not replaced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) struct OptionSet(Vec<Entry>);

impl OptionSet {
    /// The options of one place alone.
    pub(super) fn of(options: &Options) -> Self {
        Self::default().under(options)
    }

    /// These options under those of a place of higher precedence: a code replaces all instances of it, of Vendor Opts
    /// those of the same enterprise (OP-02). What is forced below stays so.
    pub(super) fn under(&self, above: &Options) -> Self {
        let mut entries: Vec<Entry> = above.iter().map(Entry::new).collect();
        for entry in &mut entries {
            entry.forced |= self.forces(entry.key);
        }
        let replaced = |key: (u16, u32)| above.iter().any(|value| value.key() == key);
        entries.extend(self.0.iter().filter(|entry| !replaced(entry.key)).cloned());
        entries.sort_by_key(|entry| rank(entry.key.0));
        Self(entries)
    }

    fn forces(&self, key: (u16, u32)) -> bool {
        self.0.iter().any(|entry| entry.key == key && entry.forced)
    }

    /// Whether a value of this code stands here.
    pub(super) fn has_code(&self, code: u16) -> bool {
        self.0.iter().any(|entry| entry.key.0 == code)
    }

    fn has(&self, key: (u16, u32)) -> bool {
        self.0.iter().any(|entry| entry.key == key)
    }
}

/// The sets that speak for one client, highest precedence first; the last is that of its pool or link.
pub(in crate::engine) type SpeakingOptions<'s> = SmallVec<[&'s OptionSet; 4]>;

/// The options of every place of a configuration.
#[derive(Debug)]
pub(super) struct PlaceOptions {
    /// By position of the link: its own and those of the network.
    links: Vec<OptionSet>,
    /// Of pools that have some: with those of their link.
    pools: BTreeMap<PoolId, OptionSet>,
    /// By position of the class.
    classes: Vec<OptionSet>,
    hosts: BTreeMap<Duid, OptionSet>,
}

impl PlaceOptions {
    /// Merges what lies on top of each other.
    pub(super) fn new(network: &Network) -> Self {
        let global = OptionSet::of(&network.options);
        let links: Vec<OptionSet> = network.links.iter().map(|link| global.under(&link.options)).collect();
        let of_link =
            |id| network.links.iter().zip(&links).find(|(link, _)| link.id == id).map(|(_, set)| set);
        let pools = network.pools.iter().filter(|pool| !pool.options.is_empty());
        let pools =
            pools.filter_map(|pool| Some((pool.id, of_link(pool.link)?.under(&pool.options)))).collect();
        Self {
            pools,
            classes: network.classes.iter().map(|class| OptionSet::of(&class.options)).collect(),
            hosts: network
                .hosts
                .iter()
                .map(|host| (host.duid.clone(), OptionSet::of(&host.options)))
                .collect(),
            links,
        }
    }

    /// Those of one client: as a host of its own, by its classes, by its pool or else its link (OP-05).
    pub(super) fn of(
        &self,
        link: usize,
        classes: &[usize],
        duid: &[u8],
        pool: impl FnOnce() -> Option<PoolId>,
    ) -> SpeakingOptions<'_> {
        let mut sets = SpeakingOptions::new();
        if !self.hosts.is_empty()
            && let Some(host) = self.hosts.get(duid)
        {
            sets.push(host);
        }
        for class in classes.iter().filter_map(|at| self.classes.get(*at)) {
            sets.push(class);
        }
        let of_pool = if self.pools.is_empty() { None } else { pool().and_then(|id| self.pools.get(&id)) };
        if let Some(place) = of_pool.or_else(|| self.links.get(link)) {
            sets.push(place);
        }
        sets
    }
}

/// Hands over what of these is sent, most important first, whichever set it is of: precedence says which value counts, and
/// no more.
///
/// Errors: the first that `send` has.
pub(super) fn each_chosen<'s, E>(
    sets: &[&'s OptionSet],
    oro: Oro<'_>,
    mut send: impl FnMut(u16, &'s [u8]) -> Result<(), E>,
) -> Result<(), E> {
    let is_asked_for = |entry: &Entry| entry.forced || (entry.requestable && oro.contains(entry.key.0));
    // Each set is in order by itself.
    if let [only] = sets {
        return only.0.iter().filter(|e| is_asked_for(e)).try_for_each(|e| send(e.key.0, &e.data));
    }
    let mut chosen: SmallVec<[&'s Entry; 16]> = SmallVec::new();
    for (at, set) in sets.iter().enumerate() {
        let (above, below) = (&sets[..at], &sets[at + 1..]);
        let wanted = set.0.iter().filter(|entry| {
            (is_asked_for(entry) || below.iter().any(|below| below.forces(entry.key)))
                && !above.iter().any(|above| above.has(entry.key))
        });
        chosen.extend(wanted);
    }
    // Nothing is allocated for the sorting of so few.
    chosen.sort_by_key(|entry| rank(entry.key.0));
    chosen.into_iter().try_for_each(|entry| send(entry.key.0, &entry.data))
}

/// Place of a code among the important ones; those that are not come last.
fn rank(code: u16) -> usize {
    IMPORTANT.iter().position(|important| *important == code).unwrap_or(IMPORTANT.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(code: u16, data: &[u8], forced: bool) -> OptionValue {
        OptionValue { code, data: data.to_vec(), forced }
    }

    fn sent(sets: &[&OptionSet], codes: &[u8]) -> Vec<(u16, Vec<u8>)> {
        let mut sent = Vec::new();
        let oro = Oro::from_data(codes).expect("even");
        let sound: Result<(), ()> = each_chosen(sets, oro, |code, data| {
            sent.push((code, data.to_vec()));
            Ok(())
        });
        sound.map(|()| sent).expect("nothing fails here")
    }

    #[test]
    fn op_05_a_place_of_higher_precedence_replaces_all_instances_of_a_code() {
        let global =
            OptionSet::of(&vec![value(23, b"g", false), value(56, b"a", false), value(56, b"b", false)]);
        let link = global.under(&vec![value(56, b"l", false)]);
        assert_eq!(sent(&[&link], &[0, 23, 0, 56]), [(23, b"g".to_vec()), (56, b"l".to_vec())]);
        let class = OptionSet::of(&vec![value(23, b"c", false)]);
        assert_eq!(sent(&[&class, &link], &[0, 23, 0, 56]), [(23, b"c".to_vec()), (56, b"l".to_vec())]);
    }

    #[test]
    fn sv_202_sv_203_what_is_asked_for_and_what_is_forced() {
        let set = OptionSet::of(&vec![value(23, b"x", false), value(61, b"y", false), value(24, b"z", true)]);
        assert_eq!(sent(&[&set], &[]), [(24, b"z".to_vec())]);
        assert_eq!(sent(&[&set], &[0, 61, 0, 23]), [(23, b"x".to_vec()), (24, b"z".to_vec())]);
        let above = set.under(&vec![value(24, b"l", false)]);
        assert_eq!(sent(&[&above], &[]), [(24, b"l".to_vec())], "forced below stays forced");
        let class = OptionSet::of(&vec![value(24, b"c", false)]);
        assert_eq!(sent(&[&class, &set], &[]), [(24, b"c".to_vec())]);
    }

    #[test]
    fn op_02_vendor_options_are_replaced_by_enterprise() {
        let low =
            OptionSet::of(&vec![value(17, &[0, 0, 0, 1, 9], false), value(17, &[0, 0, 0, 2, 9], false)]);
        let high = low.under(&vec![value(17, &[0, 0, 0, 1, 7], false)]);
        let data: Vec<_> = sent(&[&high], &[0, 17]).into_iter().map(|(_, data)| data[3..].to_vec()).collect();
        assert_eq!(data, [[1, 7], [2, 9]]);
    }
}
