//! What a call costs, counted and not timed: steps, allocations, and memory kept.
//!
//! Steps are edges of the control flow of everything compiled with instrumentation: all of Leasehold and of the crates
//! it uses, not the standard library. The compiler calls [`__sanitizer_cov_trace_pc`] at each. A loop that runs away
//! counts whether it allocates or not. Memory is counted by the global allocator. One thread, as libFuzzer runs its
//! targets.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static STEPS: AtomicU64 = AtomicU64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);

/// Load and store instead of an atomic addition: there is one thread, and this runs at each edge.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// Called by instrumented code at each edge. The compiler does not instrument functions of such a name. It stands in for
/// one of libFuzzer that only warns.
#[expect(unsafe_code, reason = "the compiler calls it by this name")]
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_trace_pc() {
    STEPS.store(STEPS.load(Relaxed).wrapping_add(1), Relaxed);
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[expect(unsafe_code, reason = "an allocator; it hands everything on to the system's")]
// SAFETY: every call goes to `System` with the arguments given, and its answer is given back.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(&ALLOCATIONS, 1);
        add(&ALLOCATED, layout.size() as u64);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(&ALLOCATIONS, 1);
        add(&ALLOCATED, layout.size() as u64);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        add(&FREED, layout.size() as u64);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(&ALLOCATIONS, 1);
        add(&ALLOCATED, size as u64);
        add(&FREED, layout.size() as u64);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// What something cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Edges of the control flow.
    pub steps: u64,
    /// Calls of the allocator for more memory.
    pub allocations: u64,
    /// Bytes allocated, whether freed again or not.
    pub bytes: u64,
}

/// Does something and says what it cost.
pub fn measured<R>(what: impl FnOnce() -> R) -> (R, Cost) {
    let before = (STEPS.load(Relaxed), ALLOCATIONS.load(Relaxed), ALLOCATED.load(Relaxed));
    let result = what();
    let cost = Cost {
        steps: STEPS.load(Relaxed).wrapping_sub(before.0),
        allocations: ALLOCATIONS.load(Relaxed).wrapping_sub(before.1),
        bytes: ALLOCATED.load(Relaxed).wrapping_sub(before.2),
    };
    (result, cost)
}

/// Bytes allocated and not freed.
#[must_use]
pub fn live_bytes() -> u64 {
    ALLOCATED.load(Relaxed).wrapping_sub(FREED.load(Relaxed))
}

/// The most that a kind of call may cost.
#[derive(Debug)]
pub struct Budget {
    name: &'static str,
    most: Cost,
    highest: [AtomicU64; 3],
}

impl Budget {
    /// A bound for the calls of this name.
    #[must_use]
    pub const fn new(name: &'static str, most: Cost) -> Self {
        Self { name, most, highest: [AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)] }
    }

    /// Judges one call. With `LEASEHOLD_FUZZ_COSTS` in the environment it tells each new highest cost, so that bounds
    /// can be set by what is seen.
    ///
    /// # Panics
    /// When it cost more than `times` the bound.
    pub fn check(&self, cost: Cost, times: u64) {
        let pairs = [cost.steps, cost.allocations, cost.bytes].into_iter().zip(&self.highest);
        let mut is_record = false;
        for (now, highest) in pairs {
            if now / times.max(1) > highest.load(Relaxed) {
                highest.store(now / times.max(1), Relaxed);
                is_record = true;
            }
        }
        if is_record && std::env::var_os("LEASEHOLD_FUZZ_COSTS").is_some() {
            eprintln!("cost of {}: {:?}", self.name, self.highest);
        }
        let most = self.most;
        assert!(
            cost.steps <= most.steps * times
                && cost.allocations <= most.allocations * times
                && cost.bytes <= most.bytes * times,
            "{} cost {cost:?}, more than {times} times {most:?}",
            self.name
        );
    }
}
