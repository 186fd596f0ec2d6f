//! scratch
use leasehold_tests::model::{Config, ONE_HOLDER, explore};

#[test]
fn scratch() {
    let mut c = Config::BASE;
    let n = |k: &str, d: u8| std::env::var(k).ok().map(|v| v.parse().expect("n")).unwrap_or(d);
    c.ticks = n("T", c.ticks);
    c.promises = n("P", c.promises);
    c.sessions = n("S", 2) as usize;
    c.addresses = n("N", 1) as usize;
    c.lifetime = n("D", 1);
    c.mclt = n("M", 1);
    c.autonomy = n("A", 1);
    c.window = n("W", 1) as usize;
    c.crashes = n("CRASH", 0) > 0;
    c.stops = n("STOP", 0) > 0;
    c.proofs = n("PROOF", 0) > 0;
    c.adoption = n("ADOPT", 0) > 0;
    let out = explore(c, 2, &[ONE_HOLDER]);
    println!("{} states depth {} in {:?}", out.states, out.depth, out.took);
    for f in &out.found {
        println!("{}: {} {:#?}", f.property, f.actions.len(), f.actions);
    }
    println!(
        "{:?}",
        leasehold_tests::model::Sight::ALL.iter().filter(|s| out.sights.has(**s)).collect::<Vec<_>>()
    );
}
